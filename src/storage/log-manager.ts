/**
 * The logs of a broker in their directories: opening and recovering them, making and deleting them, the
 * checkpoints that a directory keeps for all of its logs, and what happens when a directory fails.
 */
import { MalformedBytesError, assert, encodeUtf8 } from '#base'
import { joinPath, makeDirectoryDurably, type FileLock, type Platform, type Timer } from '#platform'

import { encodeOffsetCheckpoint, readOffsetCheckpoint, type OffsetCheckpoint } from './checkpoints.ts'
import type { LogConfig } from './log-config.ts'
import { LogDirectory } from './log-directory.ts'
import { createLog, loadLog } from './log-loader.ts'
import { Log, type LogEnvironment } from './log.ts'
import {
  CLEAN_SHUTDOWN_FILE,
  HIGH_WATERMARK_FILE,
  LOCK_FILE,
  LOG_START_OFFSET_FILE,
  RECOVERY_POINT_FILE,
  deletedFolderName,
  futureFolderName,
  isDeletedFolder,
  parseFutureFolder,
  parsePartitionName,
  strayFolderName,
  partitionName,
  type TopicPartition,
} from './names.ts'
import { OpenSegments } from './open-segments.ts'
import { ReadBuffers } from './read-buffers.ts'
import { TailMemory, type TailBounds } from './tail-cache.ts'
import { WholeFile, writeWhole } from './whole-files.ts'
import { WriteGather } from './write-gather.ts'

export interface LogManagerOptions {
  readonly platform: Pick<Platform, 'clock' | 'random' | 'files' | 'logger'>
  /** `log.dirs`. Missing ones are made. */
  readonly directories: readonly string[]
  /** Those that are known to be of no use, each with the reason: they count as failed from the start. */
  readonly unusable?: ReadonlyMap<string, unknown>
  topicConfig(topic: string): LogConfig
  /** `producer.id.expiration.ms`; 24 hours by default. */
  readonly producerIdExpirationMs?: number
  readonly tailBounds?: TailBounds
  /** How many old segments are open for readers at most. */
  readonly openSegmentsMax?: number
}

/** `log.flush.offset.checkpoint.interval.ms` and `log.flush.start.offset.checkpoint.interval.ms`. */
const CHECKPOINT_INTERVAL_MS = 60_000
/** `producer.id.expiration.check.interval.ms`. */
const PRODUCER_EXPIRY_INTERVAL_MS = 600_000
const PRODUCER_ID_EXPIRATION_MS = 86_400_000

const CLEAN_SHUTDOWN_CONTENT = '{"version":0,"brokerEpoch":-1}'

/** Whether a file is there matters to Kafka, not what is in it. */
type CheckpointName = typeof RECOVERY_POINT_FILE | typeof LOG_START_OFFSET_FILE | typeof HIGH_WATERMARK_FILE

export class LogManager {
  /** Called when a directory has failed, with the logs that lived in it. */
  onDirectoryFailure: (directory: LogDirectory, logs: readonly Log[]) => void = () => {}

  readonly #options: LogManagerOptions
  readonly #environment: LogEnvironment
  readonly #directories: LogDirectory[] = []
  readonly #locks = new Map<LogDirectory, FileLock>()
  readonly #logs = new Map<string, Log>()
  /** Replicas on their way to another directory: they take the place of the partition's log when they have all of it. */
  readonly #futures = new Map<string, Log>()
  /** Where logs are to be made that are not there yet, as somebody asked. */
  readonly #wanted = new Map<string, LogDirectory>()
  /** Partitions whose directory has failed: they must not be made anew elsewhere. */
  readonly #offline = new Set<string>()
  readonly #checkpoints = new Map<string, WholeFile>()
  /** Timers of deleted folders that wait for their removal; what a stopped broker leaves is removed at its next start. */
  readonly #removals = new Set<Timer>()
  readonly #deletions = new Set<Promise<void>>()
  #timers: Timer[] = []
  #startsAreNoted = true
  #isClosed = false

  private constructor(options: LogManagerOptions) {
    const { clock, random, logger } = options.platform
    this.#options = options
    this.#environment = {
      clock,
      logger,
      tails: new TailMemory(options.tailBounds),
      readBuffers: new ReadBuffers(),
      openSegments: new OpenSegments(options.openSegmentsMax),
      gather: new WriteGather(clock),
      producerIdExpirationMs: options.producerIdExpirationMs ?? PRODUCER_ID_EXPIRATION_MS,
      startMoved: () => this.#checkpointStartsSoon(),
      random: () => random.next(),
    }
  }

  /**
   * Locks the directories and opens every log in them. A directory that cannot be used is left out, with a line in the
   * log; rejects when none is left, or when another process holds one.
   */
  static async open(options: LogManagerOptions): Promise<LogManager> {
    const manager = new LogManager(options)
    try {
      for (const path of options.directories) await manager.#openDirectory(path)
      manager.#finishMoves()
      assert(options.directories.length > 0, 'a broker has a log directory')
      if (manager.liveDirectories.length === 0) throw new Error('none of the log directories can be used')
    } catch (error) {
      for (const lock of manager.#locks.values()) lock.release()
      throw error
    }
    manager.#startTimers()
    return manager
  }

  get directories(): readonly LogDirectory[] {
    return this.#directories
  }

  get liveDirectories(): LogDirectory[] {
    return this.#directories.filter((directory) => !directory.isOffline)
  }

  get logs(): Iterable<Log> {
    return this.#logs.values()
  }

  log(topic: string, partition: number): Log | null {
    return this.#logs.get(partitionName(topic, partition)) ?? null
  }

  /** The partition's replica in the directory that it moves to; null when it does not move. */
  futureLog(topic: string, partition: number): Log | null {
    return this.#futures.get(partitionName(topic, partition)) ?? null
  }

  get futureLogs(): Iterable<Log> {
    return this.#futures.values()
  }

  directory(path: string): LogDirectory | null {
    return this.#directories.find((directory) => directory.path === path) ?? null
  }

  /** Whether the partition's replica lies in a directory that has failed. */
  isOffline(topic: string, partition: number): boolean {
    return this.#offline.has(partitionName(topic, partition))
  }

  // ---------------------------------------------------------------- opening

  async #openDirectory(path: string): Promise<void> {
    const { files, logger } = this.#options.platform
    const directory = new LogDirectory(path, files, logger, (failed) => this.#directoryFailed(failed))
    this.#directories.push(directory)
    const { unusable } = this.#options
    if (unusable?.has(path) === true) return directory.fail('reading meta.properties', unusable.get(path))
    try {
      makeDirectoryDurably(files, path)
      this.#lock(directory)
      await this.#loadLogs(directory)
    } catch (error) {
      if (error instanceof DirectoryInUseError) throw error
      directory.fail('opening it', error)
    }
  }

  #lock(directory: LogDirectory): void {
    const path = joinPath(directory.path, LOCK_FILE)
    try {
      this.#locks.set(directory, directory.files.lock(path))
    } catch (cause) {
      if ((cause as { code?: string }).code !== 'EWOULDBLOCK') throw cause
      throw new DirectoryInUseError(`another process uses the log directory ${directory.path}`, { cause })
    }
  }

  async #loadLogs(directory: LogDirectory): Promise<void> {
    const { files } = directory
    const isClean = this.#takeCleanShutdownMarker(directory)
    const recoveryPoints = this.#readCheckpoint(directory, RECOVERY_POINT_FILE)
    const logStartOffsets = this.#readCheckpoint(directory, LOG_START_OFFSET_FILE)
    const highWatermarks = this.#readCheckpoint(directory, HIGH_WATERMARK_FILE)
    for (const name of files.list(directory.path)) {
      if (isDeletedFolder(name)) this.#removeLater(joinPath(directory.path, name), 0)
      const future = parseFutureFolder(name)
      const named = future ?? parsePartitionName(name)
      if (named === null || files.stat(joinPath(directory.path, name)).kind !== 'directory') continue
      const key = partitionName(named.topic, named.partition)
      const logs = future === null ? this.#logs : this.#futures
      const log = await loadLog(
        {
          directory,
          ...named,
          folderName: name,
          config: this.#options.topicConfig(named.topic),
          recoveryPoint: recoveryPoints.get(key) ?? 0,
          logStartOffset: logStartOffsets.get(key) ?? 0,
          highWatermark: highWatermarks.get(key) ?? 0,
          isClean,
        },
        this.#environment,
      )
      const rival = logs.get(key)
      logs.set(key, rival === undefined ? log : this.#laterOf(rival, log))
    }
  }

  /**
   * A power failure may have kept the one rename of a move and not the other. The log that reaches further is it; the other one is
   * put aside under a name that nothing takes for a partition's.
   */
  #laterOf(one: Log, other: Log): Log {
    const isOther =
      other.latestEpoch > one.latestEpoch ||
      (other.latestEpoch === one.latestEpoch && other.logEndOffset > one.logEndOffset)
    const [later, former] = isOther ? [other, one] : [one, other]
    const { directory, name } = former
    const aside = joinPath(directory.path, strayFolderName(name, this.#options.platform.random.bytes(16)))
    former.renameFolder(aside)
    this.#options.platform.logger.warn(
      `${name} lies in ${later.directory.path} and in ${directory.path}: it is kept where it reaches further, the other one is ${aside} now`,
    )
    return later
  }

  /** A crash between the two renames of a move left the new folder only. */
  #finishMoves(): void {
    for (const [name, future] of this.#futures) {
      if (this.#logs.has(name) || this.#offline.has(name)) continue
      future.moveFolder(joinPath(future.directory.path, name))
      this.#futures.delete(name)
      this.#logs.set(name, future)
    }
  }

  /** The marker is gone before anything is loaded, so that a crash while loading counts as one (KAFKA-10471). */
  #takeCleanShutdownMarker(directory: LogDirectory): boolean {
    const path = joinPath(directory.path, CLEAN_SHUTDOWN_FILE)
    if (!directory.files.exists(path)) return false
    directory.files.remove(path)
    directory.files.syncDirectoryNow(directory.path)
    return true
  }

  /** What cannot be read counts as empty: then more is recovered, or a high watermark found anew, than had to be. */
  #readCheckpoint(directory: LogDirectory, name: CheckpointName): OffsetCheckpoint {
    try {
      return readOffsetCheckpoint(directory.files, joinPath(directory.path, name))
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error
      this.#options.platform.logger.warn(`${joinPath(directory.path, name)} is unreadable and counts as empty`, error)
      return new Map()
    }
  }

  #startTimers(): void {
    this.#every(CHECKPOINT_INTERVAL_MS, () => this.checkpointLogs())
    this.#every(PRODUCER_EXPIRY_INTERVAL_MS, () => {
      for (const log of this.#logs.values()) log.expireProducers()
    })
  }

  #every(intervalMs: number, run: () => void | Promise<void>): void {
    const index = this.#timers.length
    const arm = (): Timer =>
      this.#options.platform.clock.setTimer(intervalMs, () => {
        if (this.#isClosed) return
        this.#timers[index] = arm()
        void run()
      })
    this.#timers.push(arm())
  }

  // ---------------------------------------------------------------- making and deleting

  /**
   * The partition's log; made, where the fewest are, when there is none. Throws when its directory has failed, and when it may be one that
   * failed before it was read: only a replica that is surely new (`isNew`) is made while a directory is offline. Source: KIP-112.
   */
  getOrCreate({ topic, partition }: TopicPartition, { isNew = true }: { readonly isNew?: boolean } = {}): Log {
    const name = partitionName(topic, partition)
    const present = this.#logs.get(name)
    if (present !== undefined) return present
    if (!isNew && this.#directories.some(({ isOffline }) => isOffline)) this.#offline.add(name)
    if (this.#offline.has(name)) throw new OfflineLogError(`${name} lies in a log directory that has failed`)
    const directory = this.#wanted.get(name) ?? this.#directoryForNewLog()
    this.#wanted.delete(name)
    const config = this.#options.topicConfig(topic)
    try {
      const start = { recoveryPoint: 0, logStartOffset: 0, highWatermark: 0, isClean: true }
      const log = createLog({ directory, topic, partition, config, ...start }, this.#environment)
      this.#logs.set(name, log)
      return log
    } catch (cause) {
      this.#offline.add(name)
      directory.fail(`making ${name}`, cause)
      throw new OfflineLogError(`${name} could not be made`, { cause })
    }
  }

  *#everyLog(): Generator<Log> {
    yield* this.#logs.values()
    yield* this.#futures.values()
  }

  #directoryForNewLog(): LogDirectory {
    const counts = new Map<LogDirectory, number>(this.liveDirectories.map((directory) => [directory, 0]))
    for (const { directory } of this.#logs.values())
      if (counts.has(directory)) counts.set(directory, counts.get(directory)! + 1)
    let best: LogDirectory | null = null
    for (const [directory, count] of counts) if (best === null || count < counts.get(best)!) best = directory
    if (best === null) throw new OfflineLogError('every log directory has failed')
    return best
  }

  /** The partition's log is made there, should it have to be. */
  wantIn(directory: LogDirectory, { topic, partition }: TopicPartition): void {
    this.#wanted.set(partitionName(topic, partition), directory)
  }

  /** Begins a move: an empty log in `directory` that starts where the partition's does. Throws when the directory fails. */
  createFuture(log: Log, directory: LogDirectory): Log {
    assert(!this.#futures.has(log.name), 'a log moves to one directory at a time')
    const { topic, partition, config } = log
    const folderName = futureFolderName(log.name, this.#options.platform.random.bytes(16))
    try {
      const start = { recoveryPoint: 0, logStartOffset: 0, highWatermark: 0, isClean: true }
      const future = createLog({ directory, topic, partition, folderName, config, ...start }, this.#environment)
      if (log.topicId !== null) future.assignTopicId(log.topicId)
      if (log.logStartOffset > 0) future.truncateFullyAndStartAt(log.logStartOffset)
      this.#futures.set(log.name, future)
      return future
    } catch (cause) {
      directory.fail(`making ${folderName}`, cause)
      throw new OfflineLogError(`${folderName} could not be made`, { cause })
    }
  }

  /**
   * The future log, which has all that the partition's has and is idle, takes its place at once; what it leaves behind is deleted.
   * Null when a directory failed under it.
   */
  replaceByFuture(name: string): Log | null {
    const future = this.#futures.get(name)
    const former = this.#logs.get(name)
    assert(future !== undefined && former !== undefined, 'both logs are there')
    this.#discard(former)
    if (former.directory.isOffline || future.isOffline) return null
    try {
      future.moveFolder(joinPath(future.directory.path, name))
    } catch (error) {
      future.directory.fail(`moving ${name}`, error)
      return null
    }
    this.#futures.delete(name)
    this.#logs.set(name, future)
    return future
  }

  /** The partition does not move any more. */
  dropFuture(name: string): void {
    const future = this.#futures.get(name)
    if (future === undefined) return
    this.#futures.delete(name)
    this.#discard(future)
  }

  /** Takes the partition's folder out of the way at once, and removes it when `file.delete.delay.ms` has passed. */
  delete(topic: string, partition: number): void {
    const log = this.log(topic, partition)
    this.dropFuture(partitionName(topic, partition))
    if (log === null) return
    this.#logs.delete(log.name)
    this.#discard(log)
  }

  /**
   * Puts the partition's folder aside, for good and for people to look at: the partition has no log here then. Returns the
   * folder's path now; null when there was none, or its directory failed under it.
   */
  setAside(topic: string, partition: number): string | null {
    const log = this.log(topic, partition)
    this.dropFuture(partitionName(topic, partition))
    if (log === null) return null
    const folder = joinPath(log.directory.path, strayFolderName(log.name, this.#options.platform.random.bytes(16)))
    this.#logs.delete(log.name)
    try {
      log.renameFolder(folder)
      return folder
    } catch (error) {
      log.directory.fail(`putting ${log.name} aside`, error)
      return null
    }
  }

  #discard(log: Log): void {
    const { directory } = log
    const folder = joinPath(directory.path, deletedFolderName(log.name, this.#options.platform.random.bytes(16)))
    try {
      log.renameFolder(folder)
      this.#removeLater(folder, log.config.fileDeleteDelayMs)
    } catch (error) {
      directory.fail(`deleting ${log.name}`, error)
    }
  }

  #removeLater(folder: string, delayMs: number): void {
    const timer = this.#options.platform.clock.setTimer(delayMs, () => {
      this.#removals.delete(timer)
      const removal = this.#options.platform.files.removeTree(folder).catch((error: unknown) => {
        this.#options.platform.logger.warn(`${folder} could not be removed`, error)
      })
      this.#deletions.add(removal)
      void removal.then(() => this.#deletions.delete(removal))
    })
    this.#removals.add(timer)
  }

  /** `producer.id.expiration.ms` has changed. */
  setProducerIdExpiration(ms: number): void {
    this.#environment.producerIdExpirationMs = ms
  }

  topicConfigChanged(topic: string): void {
    const config = this.#options.topicConfig(topic)
    for (const log of this.#everyLog()) if (log.topic === topic) log.updateConfig(config)
  }

  // ---------------------------------------------------------------- checkpoints

  /** `replication-offset-checkpoint`; replication asks for it every `replica.high.watermark.checkpoint.interval.ms`. */
  async checkpointHighWatermarks(): Promise<void> {
    await this.#checkpoint(HIGH_WATERMARK_FILE, (log) => log.highWatermark)
  }

  async checkpointLogs(): Promise<void> {
    await this.#checkpoint(RECOVERY_POINT_FILE, (log) => log.recoveryPoint)
    await this.#checkpoint(LOG_START_OFFSET_FILE, (log) => log.logStartOffset)
  }

  /** Records that were deleted shall not be there again after a crash: this does not wait for its turn. All that move in one go are written once. */
  #checkpointStartsSoon(): void {
    if (!this.#startsAreNoted) return
    this.#startsAreNoted = false
    this.#options.platform.clock.setTimer(0, () => {
      this.#startsAreNoted = true
      if (!this.#isClosed) void this.#checkpoint(LOG_START_OFFSET_FILE, (log) => log.logStartOffset)
    })
  }

  async #checkpoint(name: CheckpointName, offsetOf: (log: Log) => number): Promise<void> {
    const writes = this.liveDirectories.map(async (directory) => {
      const entries = [...this.#everyLog()]
        .filter((log) => log.directory === directory)
        // A log that starts at its first segment needs no entry in the start checkpoint.
        .filter((log) => name !== LOG_START_OFFSET_FILE || log.logStartOffset > log.segmentBaseOffsets[0]!)
        .map((log) => ({ topic: log.topic, partition: log.partition, offset: offsetOf(log) }))
      try {
        const file = this.#checkpointFile(directory, name)
        await file.write(encodeOffsetCheckpoint(entries))
        await file.sync()
      } catch (error) {
        directory.fail(`writing ${name}`, error)
      }
    })
    await Promise.all(writes)
  }

  #checkpointFile(directory: LogDirectory, name: CheckpointName): WholeFile {
    const path = joinPath(directory.path, name)
    let file = this.#checkpoints.get(path)
    if (file === undefined) this.#checkpoints.set(path, (file = new WholeFile(directory.files, path)))
    return file
  }

  // ---------------------------------------------------------------- failing and stopping

  #directoryFailed(directory: LogDirectory): void {
    const lost = [...this.#logs.values()].filter((log) => log.directory === directory)
    for (const log of lost) {
      this.#logs.delete(log.name)
      this.#offline.add(log.name)
      log.abandon()
    }
    for (const [name, future] of this.#futures)
      if (future.directory === directory) {
        this.#futures.delete(name)
        future.abandon()
      }
    this.onDirectoryFailure(directory, lost)
  }

  /**
   * A clean stop: every log synced and sealed, then the checkpoints, and last the marker that says so. Directories that
   * have failed get none.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const timer of [...this.#timers, ...this.#removals]) timer.cancel()
    for (const directory of this.liveDirectories) await this.#closeLogs(directory)
    await this.checkpointLogs()
    await this.checkpointHighWatermarks()
    await Promise.all(this.#deletions)
    for (const directory of this.liveDirectories) {
      try {
        await writeWhole(
          directory.files,
          joinPath(directory.path, CLEAN_SHUTDOWN_FILE),
          encodeUtf8(CLEAN_SHUTDOWN_CONTENT),
        )
      } catch (error) {
        directory.fail('writing the marker of a clean stop', error)
      }
    }
    for (const lock of this.#locks.values()) lock.release()
  }

  async #closeLogs(directory: LogDirectory): Promise<void> {
    const logs = [...this.#everyLog()].filter((log) => log.directory === directory)
    try {
      await Promise.all(logs.map((log) => log.close()))
    } catch (error) {
      directory.fail('closing its logs', error)
    }
  }
}

/** The partition's replica cannot be used until the broker starts again. */
export class OfflineLogError extends Error {
  override name = 'OfflineLogError'
}

class DirectoryInUseError extends Error {
  override name = 'DirectoryInUseError'
}
