/**
 * Everything that one server counts, under Apache's names: what `mntr`, the HTTP command `monitor` and Prometheus read. Times in ms.
 * Source: org.apache.zookeeper.server.ServerMetrics.
 */
import { WatchEventType } from '#zookeeper/protocol'

import { SizeStats } from '../stats.ts'
import { Counter, CounterSet, Summary, SummarySet } from './instruments.ts'
import { NamespaceTraffic, namespaceOf } from './namespaces.ts'
import { ALWAYS_ZERO_COUNTERS, ALWAYS_ZERO_SUMMARIES } from './names.ts'

export type Instrument = Counter | CounterSet | Summary | SummarySet

/** Parts of the tree beyond these are not told apart: each costs some KiB. */
const NAMESPACES_MAX = 256

export class ServerMetrics {
  readonly #instruments = new Map<string, Instrument>()

  /** Clients that could not prove who they are. */
  authFailures = 0
  /** Syncs that took longer than the threshold for a warning. */
  slowSyncs = 0

  // Clients.
  readonly bytesReceived = this.#counter('bytes_received_count')
  readonly responseBytes = this.#counter('response_bytes')
  readonly watchBytes = this.#counter('watch_bytes')
  /** Handshakes. */
  readonly connectionRequests = this.#counter('connection_request_count')
  readonly connectionsRejected = this.#counter('connection_rejected')
  /** TLS handshakes of clients that failed. */
  readonly handshakesFailed = this.#counter('unsuccessful_handshake')
  /** Connections of clients that ended without `closeSession`. */
  readonly connectionsDropped = this.#counter('connection_drop_count')
  /** Sessions that came back on another connection, here. */
  readonly connectionsRevalidated = this.#counter('connection_revalidate_count')
  /** Sessions that a learner asked this leader about. */
  readonly revalidations = this.#counter('revalidate_count')
  /** Connections that never said who they are. */
  readonly silentConnectionsClosed = this.#counter('sessionless_connections_expired')
  readonly sessionsExpired = this.#counter('stale_sessions_expired')
  readonly readLatency = this.#summary('readlatency', true)
  readonly updateLatency = this.#summary('updatelatency', true)
  /** From the time that the leader gave the transaction until it took effect here, by two clocks. */
  readonly propagationLatency = this.#summary('propagation_latency', true)
  readonly #readPerNamespace = this.#summarySet('read_per_namespace', { keysMax: NAMESPACES_MAX })
  readonly #writePerNamespace = this.#summarySet('write_per_namespace', { keysMax: NAMESPACES_MAX })
  readonly reads = new NamespaceTraffic(this.#readPerNamespace)
  readonly writes = new NamespaceTraffic(this.#writePerNamespace)
  /** Writes beyond a hard limit, by part of the tree. */
  readonly #quotaExceeded = this.#add('quota_exceeded_error_per_namespace', new CounterSet())
  /** Watchers told of one event, by kind. */
  readonly nodeCreatedWatchers = this.#summary('node_created_watch_count')
  readonly nodeDeletedWatchers = this.#summary('node_deleted_watch_count')
  readonly nodeChangedWatchers = this.#summary('node_changed_watch_count')
  readonly nodeChildrenWatchers = this.#summary('node_children_watch_count')

  // Writes and files.
  readonly writesLogged = this.#counter('sync_processor_request_queued')
  readonly batchSize = this.#summary('sync_processor_batch_size')
  readonly flushTime = this.#summary('sync_processor_queue_flush_time_ms', true)
  readonly fsyncTime = this.#summary('fsynctime')
  readonly snapshotTime = this.#summary('snapshottime')
  readonly snapshotErrors = this.#counter('snapshot_error_count')
  readonly snapshotsRateLimited = this.#counter('snapshot_rate_limited_count')
  readonly dbInitTime = this.#summary('dbinittime')
  readonly startupTxnsLoaded = this.#summary('startup_txns_loaded')
  readonly startupTxnsLoadTime = this.#summary('startup_txns_load_time')
  readonly startupSnapLoadTime = this.#summary('startup_snap_load_time')
  readonly unrecoverableErrors = this.#counter('unrecoverable_error_count')

  // The ensemble.
  readonly proposals = this.#counter('proposal_count')
  /** Bytes of each; for `srvr`. */
  readonly proposalSizes = new SizeStats()
  readonly commits = this.#counter('commit_count')
  readonly learnerProposalsReceived = this.#counter('learner_proposal_received_count')
  readonly learnerCommitsReceived = this.#counter('learner_commit_received_count')
  /** Times that this server looked for a leader. */
  readonly lookings = this.#counter('looking_count')
  readonly diffs = this.#counter('diff_count')
  readonly snaps = this.#counter('snap_count')
  readonly electionTime = this.#summary('election_time')
  /** From the loss of the leader until there is another. */
  readonly leaderUnavailableTime = this.#summary('leader_unavailable_time')
  /** From the loss of the leader until this server serves again. */
  readonly unavailableTime = this.#summary('unavailable_time')
  readonly followerSyncTime = this.#summary('follower_sync_time')
  readonly observerSyncTime = this.#summary('observer_sync_time')
  readonly proposalLatency = this.#summary('proposal_latency', true)
  readonly quorumAckLatency = this.#summary('quorum_ack_latency', true)
  /** From proposal to acknowledgement, by server id. */
  readonly ackLatency = this.#summarySet('ack_latency', { detailed: true })

  constructor() {
    for (const name of ALWAYS_ZERO_COUNTERS) this.#counter(name)
    for (const [name, detailed] of ALWAYS_ZERO_SUMMARIES) this.#summary(name, detailed)
  }

  /** By name, in a fixed order. */
  get instruments(): ReadonlyMap<string, Instrument> {
    return this.#instruments
  }

  quotaExceeded(path: string): void {
    this.#quotaExceeded.of(namespaceOf(path)).add()
  }

  /** Watchers told of one event of this kind. */
  watchersOf(type: WatchEventType): Summary {
    switch (type) {
      case WatchEventType.nodeCreated:
        return this.nodeCreatedWatchers
      case WatchEventType.nodeDeleted:
        return this.nodeDeletedWatchers
      case WatchEventType.nodeDataChanged:
        return this.nodeChangedWatchers
      default:
        return this.nodeChildrenWatchers
    }
  }

  reset(): void {
    for (const instrument of this.#instruments.values()) instrument.reset()
  }

  #counter(name: string): Counter {
    return this.#add(name, new Counter())
  }

  #summary(name: string, detailed = false): Summary {
    return this.#add(name, new Summary({ detailed }))
  }

  #summarySet(name: string, options: { detailed?: boolean; keysMax?: number }): SummarySet {
    return this.#add(name, new SummarySet(options))
  }

  #add<Kind extends Instrument>(name: string, instrument: Kind): Kind {
    this.#instruments.set(name, instrument)
    return instrument
  }
}
