/** Between the peer, which knows who leads, and the server, which knows the clients. */
import type { Platform } from '#platform'
import type { EpochFiles } from '#zookeeper/persistence'
import type { Id, LoggedTxn } from '#zookeeper/protocol'
import type { EnsembleFaults, LearnerRequest } from '#zookeeper/zab'

import type { EnsembleConfig } from '../ensemble-config.ts'
import type { ServerMetrics } from '../metrics/server-metrics.ts'
import type { Replica } from '../replica.ts'

/** What the server is told. */
export interface EnsembleServer {
  readonly metrics: ServerMetrics
  /** The peer leads a quorum that has its history: clients may be served. Sessions begin anew with their full timeout. */
  lead(office: LeaderOffice): void
  /** The leader has said UPTODATE: clients may be served. */
  follow(office: LearnerOffice): void
  /**
   * There has been no leader for a while, and the configuration allows it: clients that ask for it are served what this server has,
   * until `retire`.
   */
  serveReadOnly(): void
  /** Out of office: every client connection is closed, nothing is answered any more, waiters are dropped. Idempotent. */
  retire(reason: string): void
  /** In zxid order, between `lead` or `follow` and `retire`: apply, and answer whoever waits. */
  commit(logged: LoggedTxn): void
  /** What the disk holds is unknown, or contradicts the others: this server must not go on. */
  failed(error: Error): void
}

/** Another server, as the leader sees it: whose session is it, where does an answer go? */
export interface LearnerPort {
  readonly sid: number
  /** Sends SYNC, at its place among the commits. */
  synced(): void
}

export interface LeaderOffice {
  readonly epoch: number
  /** The epoch's beginning, `epoch << 32`; the first transaction is the one after it. */
  readonly firstZxid: bigint
  /** `EnsembleServer.commit` follows once a quorum has it. */
  propose(logged: LoggedTxn): void
  /** Calls `ready` when everything that was proposed so far is committed. */
  sync(ready: () => void): void
  /** Goes out of office; `retire` follows. */
  stepDown(reason: string): void
  learners(): LearnerView[]
  /** Set by the server: a learner's client writes, or (type sync) wants `from.synced()`. The body lives on. */
  onRequest: (from: LearnerPort, request: LearnerRequest) => void
  /** Set by the server: a learner heard of this session. */
  onTouched: (from: LearnerPort, sessionId: bigint, timeoutMs: number) => void
  /** Set by the server: whether the session is alive; it is the learner's from now on. */
  onRevalidate: (from: LearnerPort, sessionId: bigint, timeoutMs: number) => boolean
}

export interface LearnerOffice {
  readonly epoch: number
  readonly leaderSid: number
  request(request: { sessionId: bigint; cxid: number; type: number; body: Uint8Array; ids: readonly Id[] }): void
  /** Whether the session is alive. Rejects when the leader is lost before it answers. */
  revalidate(sessionId: bigint, timeoutMs: number): Promise<boolean>
  /** Set by the server: sessions heard of since the last call, with their timeouts in ms. */
  takeTouched: () => readonly (readonly [bigint, number])[]
  /** Set by the server: the oldest sync that waits may be answered. */
  onSynced: () => void
}

/** A learner, for admin words and metrics. */
export interface LearnerView {
  readonly sid: number
  readonly role: 'follower' | 'observer'
  readonly remoteHost: string
  readonly remotePort: number
  /** Wall clock, ms. */
  readonly establishedMs: number
  readonly isSynced: boolean
  readonly queuedBytes: number
  readonly packetsReceived: number
  readonly packetsSent: number
  readonly requests: number
  /** Of the last transaction that it acknowledged; -1 before the first. */
  readonly ackedZxid: bigint
}

/** What a term is carried out with. */
export interface TermContext {
  readonly platform: Platform
  readonly ensemble: EnsembleConfig
  readonly tickTimeMs: number
  /** Whether reads are served while there is no leader. */
  readonly readOnlyMode: boolean
  readonly replica: Replica
  readonly epochs: EpochFiles
  readonly server: EnsembleServer
  readonly faults: EnsembleFaults
  /** The epoch stands: what this server reports of itself from now on. */
  readonly onEstablished: (epoch: number) => void
}
