/**
 * One server's data: what it has logged, what of it has taken effect, and the files of both. It does not know who leads, and is the
 * same in a server of its own.
 *
 *     append → (disk) → onSynced          apply, in the same order → tree, committed log
 *
 * What is logged and not applied waits here: in an ensemble a quorum decides when. Before an election all of it takes effect
 * (`fastForward`), as it will after a restart; a leader that does not have it has it cut off (`truncate`).
 * Source: ZKDatabase, FileTxnSnapLog.
 */
import { assert } from '#base'
import { joinPath, type Platform } from '#platform'
import { LoggedTxn, hexLong, type LoggedBytes } from '#zookeeper/protocol'
import {
  CommittedLog,
  TxnLog,
  VERSION_FOLDER,
  listDated,
  logAfter,
  receiveSnapshot,
  recover,
  replaceData,
  sendSnapshot,
  truncateData,
  type ByteSource,
  type DatedFile,
  type Folders,
  type Recovered,
} from '#zookeeper/persistence'
import type { Applied, FrozenTree, ZnodeTree } from '#zookeeper/tree'

import { foldersOf, type ZooKeeperConfig } from './config.ts'
import { ServerMetrics } from './metrics/server-metrics.ts'
import { Snapshotter } from './snapshotter.ts'

/** Entries at the head of the queue that were applied are cut off when there are this many. */
const QUEUE_COMPACTED_FROM = 4096

/** In the place of an entry whose bytes need not be held any more. */
const APPLIED: LoggedBytes = { zxid: 0n, bytes: new Uint8Array(0) }

/** A snapshot on its way to a learner: the tree as it was when `beginSnapshot` was called. */
export interface OutgoingSnapshot {
  /** The last transaction that it holds. */
  readonly zxid: bigint
  /** Sessions, ACLs and nodes, as they go over the quorum port. To be called once; it ends the snapshot, also when the sink fails. */
  writeTo(sink: (bytes: Uint8Array) => void | Promise<void>): Promise<void>
}

export class Replica {
  readonly folders: Folders
  readonly committed: CommittedLog
  /** Everything up to this transaction is on stable storage. Set by the role in office. */
  onSynced: (zxid: bigint) => void = () => {}
  /** The log could not be written: what the disk holds is unknown, and the server must stop. */
  onFailure: (error: unknown) => void = () => {}

  readonly #platform: Platform
  readonly #config: ZooKeeperConfig
  readonly #log: TxnLog
  readonly #snapshotter: Snapshotter
  #tree: ZnodeTree
  #lastLoggedZxid: bigint
  /** Logged and not applied, behind `#queueStart`. */
  #queue: LoggedBytes[] = []
  #queueStart = 0

  /** Recovers. Rejects with `RecoveryError` or `FileError` where the data cannot be used. */
  static async open(platform: Platform, config: ZooKeeperConfig, metrics = new ServerMetrics()): Promise<Replica> {
    const committed = new CommittedLog(config.ensemble?.commitLogCount ?? 0)
    const startMs = platform.clock.monotonic()
    const recovered = await load(platform, config, committed)
    metrics.dbInitTime.add(platform.clock.monotonic() - startMs)
    metrics.startupSnapLoadTime.add(recovered.tookMs.snapshot)
    metrics.startupTxnsLoadTime.add(recovered.tookMs.replay)
    metrics.startupTxnsLoaded.add(recovered.replayed)
    return new Replica(platform, config, committed, recovered, metrics)
  }

  private constructor(
    platform: Platform,
    config: ZooKeeperConfig,
    committed: CommittedLog,
    { tree }: Recovered,
    metrics: ServerMetrics,
  ) {
    this.#platform = platform
    this.#config = config
    this.folders = foldersOf(config, VERSION_FOLDER)
    this.committed = committed
    this.#tree = tree
    this.#lastLoggedZxid = tree.lastZxid
    this.#log = new TxnLog(platform, this.folders.logs, logOptions(config), {
      onSynced: (zxid) => this.onSynced(zxid),
      onFailure: (error) => this.onFailure(error),
      onGroup: (transactions, syncMs) => {
        metrics.writesLogged.add(transactions)
        metrics.batchSize.add(transactions)
        metrics.fsyncTime.add(syncMs)
        metrics.flushTime.add(syncMs)
        if (syncMs > config.fsyncWarningMs) metrics.slowSyncs++
      },
    })
    this.#snapshotter = new Snapshotter(platform, this.folders, this.#log, config, metrics)
  }

  /** Another one after `truncate` and `loadSnapshot`. */
  get tree(): ZnodeTree {
    return this.#tree
  }

  /** Of the last transaction in the log, or of the snapshot that it goes on from. */
  get lastLoggedZxid(): bigint {
    return this.#lastLoggedZxid
  }

  get lastAppliedZxid(): bigint {
    return this.#tree.lastZxid
  }

  /** `bytes` is an encoded `LoggedTxn`, as it is in PROPOSAL; it is kept. Transactions come in their order. */
  append(zxid: bigint, bytes: Uint8Array): void {
    assert(zxid > this.#lastLoggedZxid, 'a transaction is logged out of order')
    this.#lastLoggedZxid = zxid
    this.#queue.push({ zxid, bytes })
    this.#log.append(zxid, bytes)
  }

  /** Everything appended is on disk. Rejects when it cannot be; `onFailure` has been called then. */
  synced(): Promise<void> {
    return this.#log.settled()
  }

  /** The oldest logged transaction takes effect. */
  apply(logged: LoggedTxn): Applied {
    const { zxid } = logged.header
    const entry = this.#queue[this.#queueStart]
    assert(entry?.zxid === zxid, 'a transaction takes effect that is not the next in the log')
    this.#dequeue()
    const applied = this.#tree.apply(logged)
    this.committed.add(zxid, entry.bytes)
    this.#snapshotter.onApplied(this.#tree)
    return applied
  }

  /** Everything that is logged takes effect. No snapshot is taken of it: a leader may not have it. */
  fastForward(): void {
    for (let entry = this.#queue[this.#queueStart]; entry !== undefined; entry = this.#queue[this.#queueStart]) {
      this.#dequeue()
      this.#tree.apply(LoggedTxn.decode(entry.bytes))
      this.committed.add(entry.zxid, entry.bytes)
    }
  }

  /**
   * Takes back everything after `zxid`, on disk and in memory, and resolves when that is durable. Rejects with `RecoveryError` when it
   * is impossible, before anything has changed.
   */
  async truncate(zxid: bigint): Promise<void> {
    await this.#whileStill(async () => {
      await truncateData(this.#platform, this.folders, zxid)
      this.committed.clear()
      const { tree } = await load(this.#platform, this.#config, this.committed)
      this.#goOnFrom(tree)
    })
  }

  /** The tree as it is now, for a learner. Transactions go on meanwhile. */
  beginSnapshot(): OutgoingSnapshot {
    const tree = this.#tree
    const frozen = tree.freeze()
    return { zxid: frozen.state.zxid, writeTo: (sink) => this.#send(tree, frozen, sink) }
  }

  /**
   * Takes over a leader's snapshot of `zxid` in place of everything that is here, and resolves when it is durable. When the stream
   * breaks it rejects, and nothing has changed. When the disk fails, `onFailure` is called, too.
   */
  async loadSnapshot(source: ByteSource, zxid: bigint): Promise<void> {
    const { clock } = this.#platform
    const tree = await receiveSnapshot(source, zxid, this.#config, (run) => clock.nextTurn(run))
    await source.end?.()
    setConfig(tree, this.#platform, this.#config)
    await this.#whileStill(async () => {
      try {
        await replaceData(this.#platform, this.folders, tree)
      } catch (error) {
        this.onFailure(error)
        throw error
      }
      this.committed.clear()
      this.committed.startsAfter(tree.lastZxid)
      this.#goOnFrom(tree)
    })
  }

  /**
   * Committed transactions after `zxid` from the log on disk, which may end before `lastAppliedZxid`: others commit before the own
   * disk has it. null where it does not reach back to `zxid` without a hole, or holds more than `bytesMax` from there on.
   */
  logAfter(zxid: bigint, bytesMax: number): readonly LoggedBytes[] | null {
    return logAfter(this.#platform.files, this.folders.logs, zxid, this.lastAppliedZxid, bytesMax)
  }

  /** Of the newest snapshot on disk; 0 where there is none. */
  snapshotBytes(): number {
    const { files } = this.#platform
    const newest = listDated(files, this.folders.snapshots, 'snapshot').at(-1)
    return newest === undefined ? 0 : files.stat(newest.path).size
  }

  /** Writes a snapshot as of now; null when it cannot be written. */
  takeSnapshot(): Promise<DatedFile | null> {
    return this.#snapshotter.takeNow(() => this.#tree)
  }

  purge(snapshotsRetained: number): void {
    this.#snapshotter.purge(snapshotsRetained)
  }

  /** Ends when what was appended is on disk or has failed, and no snapshot is being written. */
  async close(): Promise<void> {
    await this.#log.close()
    await this.#snapshotter.settled()
  }

  async #send(tree: ZnodeTree, frozen: FrozenTree, sink: Parameters<typeof sendSnapshot>[1]): Promise<void> {
    const { clock } = this.#platform
    try {
      await sendSnapshot(frozen, sink, (run) => clock.nextTurn(run))
    } finally {
      tree.thaw(frozen)
    }
  }

  #dequeue(): void {
    this.#queue[this.#queueStart++] = APPLIED
    if (this.#queueStart === this.#queue.length) this.#queue.length = 0
    else if (this.#queueStart < QUEUE_COMPACTED_FROM) return
    else this.#queue.splice(0, this.#queueStart)
    this.#queueStart = 0
  }

  /** `change` may do with the files what it wants: nothing else is written meanwhile, and no file is open. */
  async #whileStill(change: () => Promise<void>): Promise<void> {
    await this.#snapshotter.suspend()
    try {
      await this.#log.release()
      await change()
    } finally {
      this.#snapshotter.resume()
    }
  }

  #goOnFrom(tree: ZnodeTree): void {
    this.#queue = []
    this.#queueStart = 0
    this.#tree = tree
    this.#lastLoggedZxid = tree.lastZxid
  }
}

async function load(platform: Platform, config: ZooKeeperConfig, committed: CommittedLog): Promise<Recovered> {
  const startMs = platform.clock.monotonic()
  const recovered = await recover(platform, foldersOf(config, VERSION_FOLDER), config, (zxid, bytes) =>
    committed.add(zxid, bytes),
  )
  const { tree, snapshotZxid, replayed } = recovered
  committed.startsAfter(snapshotZxid)
  setConfig(tree, platform, config)
  platform.logger.info(
    `${tree.nodeCount} znodes and ${tree.sessions.size} sessions from snapshot ${hexLong(snapshotZxid)} and ${replayed} transactions after it, ` +
      `in ${(platform.clock.monotonic() - startMs).toFixed(0)} ms`,
  )
  return recovered
}

function setConfig(tree: ZnodeTree, { clock }: Platform, { ensemble }: ZooKeeperConfig): void {
  if (ensemble !== null) tree.setConfig(new TextEncoder().encode(ensemble.configText), clock.now())
}

function logOptions(config: ZooKeeperConfig): ConstructorParameters<typeof TxnLog>[2] {
  return {
    preAllocBytes: config.preAllocBytes,
    fileBytesMax: config.txnLogBytesMax,
    forceSync: config.forceSync,
    syncWarningMs: config.fsyncWarningMs,
  }
}

export function folderBytes({ files }: Platform, folder: string): number {
  return files.list(folder).reduce((sum, name) => sum + files.stat(joinPath(folder, name)).size, 0)
}
