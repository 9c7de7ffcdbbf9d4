/**
 * Takes a snapshot after so many transactions, while the server goes on. A server waits between half of the
 * configured count and all of it, at random: the servers of an ensemble take turns. Source: SyncRequestProcessor.
 */
import type { Platform } from '#platform'
import { purge, writeSnapshot, type Folders, type TxnLog } from '#zookeeper/persistence'
import type { ZnodeTree } from '#zookeeper/tree'

export interface SnapshotterOptions {
  snapCount: number
  /** 0: the size of the log asks for none. */
  snapBytesMax: number
}

export class Snapshotter {
  readonly #platform: Platform
  readonly #folders: Folders
  readonly #tree: ZnodeTree
  readonly #log: TxnLog
  readonly #options: SnapshotterOptions
  #transactions = 0
  #bytesBefore = 0
  #dueTransactions = 0
  #dueBytes = Infinity
  #running: Promise<void> | null = null

  constructor(platform: Platform, folders: Folders, tree: ZnodeTree, log: TxnLog, options: SnapshotterOptions) {
    this.#platform = platform
    this.#folders = folders
    this.#tree = tree
    this.#log = log
    this.#options = options
    this.#drawLots()
  }

  /** After each transaction that was applied. */
  onApplied(): void {
    this.#transactions++
    const bytes = this.#log.appendedBytes - this.#bytesBefore
    if (this.#transactions <= this.#dueTransactions && bytes <= this.#dueBytes) return
    if (this.#running !== null) return
    this.#transactions = 0
    this.#bytesBefore = this.#log.appendedBytes
    this.#drawLots()
    this.#log.roll()
    this.#running = this.#take()
  }

  /** Ends when no snapshot is being written. */
  async settled(): Promise<void> {
    await this.#running
  }

  purge(snapshotsRetained: number): void {
    const removed = purge(this.#platform.files, this.#folders, snapshotsRetained)
    if (removed.length > 0) this.#platform.logger.info(`purged ${removed.length} old files`)
  }

  /** A snapshot that fails (the disk is full) leaves the log as it is: nothing is lost but time at the next start. */
  async #take(): Promise<void> {
    const { clock, logger } = this.#platform
    const startMs = clock.monotonic()
    try {
      const { path } = await writeSnapshot(this.#platform, this.#folders.snapshots, this.#tree.freeze())
      logger.info(`${path} written in ${(clock.monotonic() - startMs).toFixed(0)} ms`)
    } catch (error) {
      logger.error('the snapshot could not be written; the transaction log keeps everything', error)
    } finally {
      this.#tree.thaw()
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
