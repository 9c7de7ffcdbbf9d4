/**
 * Takes a snapshot after so many transactions, while the server goes on. A server waits between half of the
 * configured count and all of it, at random: the servers of an ensemble take turns. Source: SyncRequestProcessor.
 */
import type { Platform } from '#platform'
import { purge, writeSnapshot, type DatedFile, type Folders, type TxnLog } from '#zookeeper/persistence'
import type { ZnodeTree } from '#zookeeper/tree'

import type { ServerMetrics } from './metrics/server-metrics.ts'

export interface SnapshotterOptions {
  snapCount: number
  /** 0: the size of the log asks for none. */
  snapBytesMax: number
}

export class Snapshotter {
  readonly #platform: Platform
  readonly #folders: Folders
  readonly #log: TxnLog
  readonly #options: SnapshotterOptions
  readonly #metrics: ServerMetrics
  #transactions = 0
  #bytesBefore = 0
  #dueTransactions = 0
  #dueBytes = Infinity
  /** Of the snapshot that is being written; null in it when that has failed. */
  #running: Promise<DatedFile | null> | null = null
  /** The data are about to be others: no snapshot of them may come to be. */
  #isSuspended = false

  constructor(platform: Platform, folders: Folders, log: TxnLog, options: SnapshotterOptions, metrics: ServerMetrics) {
    this.#metrics = metrics
    this.#platform = platform
    this.#folders = folders
    this.#log = log
    this.#options = options
    this.#drawLots()
  }

  /** After each transaction that was applied to the tree. */
  onApplied(tree: ZnodeTree): void {
    this.#transactions++
    const bytes = this.#log.appendedBytes - this.#bytesBefore
    if (this.#transactions <= this.#dueTransactions && bytes <= this.#dueBytes) return
    if (this.#running !== null) return
    this.#transactions = 0
    this.#bytesBefore = this.#log.appendedBytes
    this.#drawLots()
    this.#log.roll()
    this.#running = this.#take(tree)
  }

  /** A snapshot as of now, for who asks for one; null when it cannot be written, or the data are about to be others. */
  async takeNow(tree: () => ZnodeTree): Promise<DatedFile | null> {
    while (this.#running !== null) await this.#running
    if (this.#isSuspended) return null
    this.#running = this.#take(tree())
    return this.#running
  }

  /** Ends when no snapshot is being written. */
  async settled(): Promise<void> {
    await this.#running
  }

  /** As `settled`; one that is being written is given up, and none is begun until `resume`. */
  async suspend(): Promise<void> {
    this.#isSuspended = true
    await this.#running
  }

  resume(): void {
    this.#isSuspended = false
  }

  purge(snapshotsRetained: number): void {
    const removed = purge(this.#platform.files, this.#folders, snapshotsRetained)
    if (removed.length > 0) this.#platform.logger.info(`purged ${removed.length} old files`)
  }

  /** A snapshot that fails (the disk is full) leaves the log as it is: nothing is lost but time at the next start. */
  async #take(tree: ZnodeTree): Promise<DatedFile | null> {
    const { clock, logger } = this.#platform
    const startMs = clock.monotonic()
    const frozen = tree.freeze()
    try {
      const written = await writeSnapshot(this.#platform, this.#folders.snapshots, frozen, () => !this.#isSuspended)
      const tookMs = clock.monotonic() - startMs
      this.#metrics.snapshotTime.add(tookMs)
      logger.info(`${written.path} written in ${tookMs.toFixed(0)} ms`)
      return written
    } catch (error) {
      if (!this.#isSuspended) {
        this.#metrics.snapshotErrors.add()
        logger.error('the snapshot could not be written; the transaction log keeps everything', error)
      }
      return null
    } finally {
      tree.thaw(frozen)
      this.#running = null
    }
  }

  #drawLots(): void {
    const { snapCount, snapBytesMax } = this.#options
    const share = (1 + this.#platform.random.next()) / 2
    this.#dueTransactions = Math.floor(snapCount * share)
    this.#dueBytes = snapBytesMax === 0 ? Infinity : snapBytesMax * share
  }
}
