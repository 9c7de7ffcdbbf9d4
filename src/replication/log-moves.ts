/**
 * Replicas that move to another log directory of this broker (KIP-113): a second log is filled from the first, like a follower from
 * its leader, and takes its place when it has all of it. Source: ReplicaAlterLogDirsThread.
 */
import { sleep, type Clock, type Logger } from '#platform'
import { FollowerAppendError, UNLIMITED, type Log, type LogDirectory, type LogManager } from '#storage'

import type { Partition } from './partition.ts'
import type { ReplicationQuota } from './replication-quota.ts'

export interface LogMovesOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly logs: LogManager
  readonly quota: ReplicationQuota
  /** Read and written at a time. */
  readonly bytesMax: number
}

/** Before a move goes on whose quota is used up. */
const HELD_BACK_MS = 100

export class LogMoves {
  readonly #options: LogMovesOptions
  readonly #moves = new Map<string, LogMove>()

  constructor(options: LogMovesOptions) {
    this.#options = options
  }

  /** Moves the partition's replica to `directory`, and nowhere else any more. */
  start(partition: Partition, directory: LogDirectory): void {
    const log = partition.log!
    const { logs } = this.#options
    const present = logs.futureLog(partition.topic, partition.partition)
    if (present !== null && present.directory !== directory) this.cancel(partition)
    if (log.directory === directory || present?.directory === directory) return
    logs.createFuture(log, directory)
    this.resume(partition)
  }

  /** Goes on with a move that was under way before, if there is one. */
  resume(partition: Partition): void {
    const log = partition.log
    const future = log === null ? null : this.#options.logs.futureLog(partition.topic, partition.partition)
    if (log === null || future === null || this.#moves.has(log.name)) return
    const move = new LogMove(this.#options, partition, future)
    this.#moves.set(log.name, move)
    void move.run().then(() => {
      if (this.#moves.get(log.name) === move) this.#moves.delete(log.name)
    })
  }

  /** The replica stays where it is. */
  cancel({ topic, partition, log }: Partition): void {
    const future = this.#options.logs.futureLog(topic, partition)
    if (future === null) return
    this.#moves.get(future.name)?.stop()
    this.#moves.delete(future.name)
    if (log !== null) this.#options.logs.dropFuture(future.name)
  }

  /** What is under way goes on at the next start. */
  close(): void {
    for (const move of this.#moves.values()) move.stop()
    this.#moves.clear()
  }
}

class LogMove {
  readonly #options: LogMovesOptions
  readonly #partition: Partition
  readonly #future: Log
  #isStopped = false
  /** Where the log ended when the move first had all of it; null before. */
  #caughtUpAt: number | null = null

  constructor(options: LogMovesOptions, partition: Partition, future: Log) {
    this.#options = options
    this.#partition = partition
    this.#future = future
  }

  stop(): void {
    this.#isStopped = true
  }

  async run(): Promise<void> {
    const { logger } = this.#options
    const { name, directory } = this.#future
    try {
      for (;;) {
        const log = this.#partition.log
        if (this.#isStopped || log === null || log.isOffline || this.#future.isOffline) return
        if (await this.#step(log)) break
      }
      logger.info(`${name} has moved to ${directory.path}`)
    } catch (error) {
      // A disk that fails takes its directory offline by itself.
      logger.warn(`${name} does not move to ${directory.path}`, error)
    }
  }

  /** Returns whether the move is done. */
  async #step(log: Log): Promise<boolean> {
    const future = this.#future
    await future.settle()
    if (this.#isStopped || future.isOffline) return false
    this.#follow(log)
    if (future.nextOffset >= log.nextOffset) return await this.#takePlace(log)
    if (this.#options.quota.isExceeded) {
      // Meanwhile the log may be cut, or be gone.
      await sleep(this.#options.clock, HELD_BACK_MS)
      return false
    }
    if (future.nextOffset >= log.logEndOffset) await log.settle()
    else await this.#copy(log)
    return false
  }

  /** What the partition's log does not have, or not any more, is not to be in its successor. */
  #follow(log: Log): void {
    const future = this.#future
    const common = commonEnd(log, future)
    if (common < future.logEndOffset) future.truncateTo(common)
    if (future.logEndOffset < log.logStartOffset) future.truncateFullyAndStartAt(log.logStartOffset)
    else future.raiseLogStart(log.logStartOffset)
  }

  async #copy(log: Log): Promise<void> {
    const future = this.#future
    const { bytesMax, quota } = this.#options
    const wanted = { offset: future.nextOffset, maxBytes: bytesMax, upTo: log.logEndOffset, minOneBatch: true }
    const { records, hold } = await log.read(wanted)
    try {
      // The log may have been cut while it was read.
      if (this.#isStopped || future.isOffline || future.nextOffset !== wanted.offset || log.logEndOffset < wanted.upTo)
        return
      future.appendAsFollower(records)
      quota.record(records.length)
      future.writePending()
    } catch (error) {
      if (!(error instanceof FollowerAppendError) || future.isOffline) throw error
      this.#options.logger.warn(`${future.name} begins to move anew`, error)
      await future.settle()
      future.truncateFullyAndStartAt(log.logStartOffset)
    } finally {
      hold?.release()
    }
  }

  /**
   * The bulk of it is synced before; where the topic counts synced records only, everything is. A power failure may have taken the topic
   * id: the controller has told the partition's log of it, and does not tell again.
   */
  async #takePlace(log: Log): Promise<boolean> {
    const future = this.#future
    this.#caughtUpAt ??= future.logEndOffset
    const { flushMessages, flushMs } = log.config
    const countsSyncedOnly = Math.min(flushMessages, flushMs) !== UNLIMITED
    const later = log.epochs.entries.filter(({ epoch }) => epoch > future.latestEpoch)
    if (future.recoveryPoint < (countsSyncedOnly ? future.logEndOffset : this.#caughtUpAt)) await future.flush()
    else if (future.topicId === null && log.topicId !== null) future.assignTopicId(log.topicId)
    else if (later.length > 0) for (const { epoch, startOffset } of later) future.epochs.assign(epoch, startOffset)
    else if (future.nextOffset === log.nextOffset && log.isSettled && future.isIdle) return this.#replace(log)
    await Promise.all([log.settle(), future.idle()])
    return false
  }

  #replace(log: Log): boolean {
    if (this.#isStopped || this.#partition.log !== log) return false
    this.#future.raiseHighWatermark(log.highWatermark)
    const replaced = this.#options.logs.replaceByFuture(this.#future.name)
    if (replaced !== null) this.#partition.useLog(replaced)
    return true
  }
}

/** Where the two logs part at the latest, judged by the epoch of the later one's last record. */
function commonEnd(log: Log, future: Log): number {
  const end = future.latestEpoch < 0 ? null : log.endOffsetForEpoch(future.latestEpoch)
  if (end === null) return log.logEndOffset
  if (end.epoch === future.latestEpoch) return end.endOffset
  return Math.min(end.endOffset, future.endOffsetForEpoch(end.epoch)?.endOffset ?? 0)
}
