/**
 * Opening a partition's folder (upstream `LogLoader`). After a clean stop the files are believed; else every segment
 * from the recovery point on is read and checked, cut at the first bad batch, and what is derived from it made anew.
 */
import { MalformedBytesError } from '#base'
import { FileError, joinPath } from '#platform'
import type { RecordBatchView } from '#protocol/records'

import { CorruptSegmentError, headersIn } from './batch-scan.ts'
import { readEpochCheckpoint } from './checkpoints.ts'
import { LeaderEpochs } from './leader-epochs.ts'
import { UNLIMITED, isCompacted, type LogConfig } from './log-config.ts'
import type { LogDirectory } from './log-directory.ts'
import { LogSegment } from './log-segment.ts'
import { Log, type LogEnvironment } from './log.ts'
import {
  CLEANED_SUFFIX,
  DELETED_SUFFIX,
  INDEX_SUFFIX,
  LEADER_EPOCH_FILE,
  LOG_SUFFIX,
  SNAPSHOT_SUFFIX,
  SWAP_SUFFIX,
  TIME_INDEX_SUFFIX,
  TRANSACTION_INDEX_SUFFIX,
  baseOffsetOf,
  partitionName,
  segmentFileName,
} from './names.ts'
import { readPartitionMetadata } from './partition-metadata.ts'
import { foldIn, rebuildProducers, snapshotOffsets } from './producer-recovery.ts'
import { ProducerStates } from './producer-states.ts'
import type { AbortedTransaction } from './transaction-index.ts'

export interface LogToLoad {
  readonly directory: LogDirectory
  readonly topic: string
  readonly partition: number
  /** Of the folder, where it is not the partition's. */
  readonly folderName?: string
  readonly config: LogConfig
  /** From the directory's checkpoints; 0 where they do not name the partition. */
  readonly recoveryPoint: number
  readonly logStartOffset: number
  readonly highWatermark: number
  /** The directory was left by a clean stop. */
  readonly isClean: boolean
}

/** Makes a new, empty log; its folder must not exist. */
export function createLog(log: LogToLoad, environment: LogEnvironment): Log {
  const folder = folderOf(log)
  log.directory.files.makeDirectory(folder)
  const segment = new LogSegment(log.directory.files, folder, 0, environment.clock.now(), true)
  const start = { logStartOffset: 0, logEndOffset: 0, recoveryPoint: 0, highWatermark: 0 }
  const derived = { epochs: new LeaderEpochs(), producers: new ProducerStates(), topicId: null }
  return new Log({ ...log, folder, segments: [segment], ...derived, ...start, isNew: true }, environment)
}

export async function loadLog(log: LogToLoad, environment: LogEnvironment): Promise<Log> {
  return await new Loader(log, folderOf(log), environment).load()
}

function folderOf({ directory, topic, partition, folderName }: LogToLoad): string {
  return joinPath(directory.path, folderName ?? partitionName(topic, partition))
}

class Loader {
  readonly #log: LogToLoad
  readonly #folder: string
  readonly #environment: LogEnvironment
  readonly #producers = new ProducerStates()
  #epochs = new LeaderEpochs()
  #epochsChanged = false
  #segments: LogSegment[] = []

  constructor(log: LogToLoad, folder: string, environment: LogEnvironment) {
    this.#log = log
    this.#folder = folder
    this.#environment = environment
  }

  async load(): Promise<Log> {
    const { isClean } = this.#log
    this.#tidy()
    this.#openSegments()
    this.#readEpochs()
    await this.#mendIndexes()
    if (!isClean) await this.#recover()
    const logStartOffset = this.#logStart()
    const logEndOffset = this.#endOrStartAnew(logStartOffset)
    this.#epochs.truncateFromEnd(logEndOffset)
    this.#epochs.truncateFromStart(logStartOffset)
    this.#loadProducers(logStartOffset, logEndOffset)
    for (const segment of this.#segments) segment.rest()
    const log = this.#build(logStartOffset, logEndOffset)
    if (!isClean && this.#countsSyncedOnly) await log.flush()
    return log
  }

  /** Where the topic asks for syncs, what a killed process had written but not synced must not count before it is. */
  get #countsSyncedOnly(): boolean {
    const { flushMessages, flushMs } = this.#log.config
    return Math.min(flushMessages, flushMs) !== UNLIMITED
  }

  #build(logStartOffset: number, logEndOffset: number): Log {
    const { recoveryPoint, highWatermark, isClean } = this.#log
    const log = new Log(
      {
        ...this.#log,
        folder: this.#folder,
        topicId: this.#readTopicId(),
        segments: this.#segments,
        epochs: this.#epochs,
        producers: this.#producers,
        logStartOffset,
        logEndOffset,
        recoveryPoint: isClean ? logEndOffset : Math.min(recoveryPoint, logEndOffset),
        highWatermark,
        isNew: false,
      },
      this.#environment,
    )
    // What a killed process wrote last may not be on the disk yet.
    if (this.#epochsChanged || !isClean) log.saveEpochs()
    return log
  }

  get #files() {
    return this.#log.directory.files
  }

  #path(name: string): string {
    return joinPath(this.#folder, name)
  }

  /** Removes what was left half done: deletions, the cleaner's unfinished output, files that were about to be replaced. */
  #tidy(): void {
    const names = this.#files.list(this.#folder)
    const cleanedFrom = Math.min(
      ...names.filter((name) => name.endsWith(CLEANED_SUFFIX)).map((name) => baseOffsetOf(name) ?? Infinity),
    )
    for (const name of names)
      if ([DELETED_SUFFIX, CLEANED_SUFFIX, '.tmp'].some((suffix) => name.endsWith(suffix)))
        this.#files.remove(this.#path(name))
    for (const name of names) if (name.endsWith(LOG_SUFFIX + SWAP_SUFFIX)) this.#finishSwap(name, cleanedFrom)
    for (const name of names) if (name.endsWith(SWAP_SUFFIX)) this.#files.remove(this.#path(name))
  }

  /** The cleaner had finished this segment when the process ended: it takes the place of those that it was made from. */
  #finishSwap(name: string, cleanedFrom: number): void {
    const baseOffset = baseOffsetOf(name)
    if (baseOffset === null || baseOffset >= cleanedFrom) return
    const file = this.#files.open(this.#path(name), 'read')
    let nextOffset = baseOffset
    for (const { batch } of headersIn(file, 0, file.size())) nextOffset = batch.nextOffset
    file.close()
    for (const other of this.#files.list(this.#folder)) {
      const base = baseOffsetOf(other)
      const isReplaced = base !== null && base >= baseOffset && base < Math.max(nextOffset, baseOffset + 1)
      if (isReplaced && !other.endsWith(SWAP_SUFFIX) && !other.endsWith(SNAPSHOT_SUFFIX))
        this.#files.remove(this.#path(other))
    }
    for (const suffix of [LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX]) {
      const from = this.#path(segmentFileName(baseOffset, suffix + SWAP_SUFFIX))
      if (this.#files.exists(from)) this.#files.rename(from, this.#path(segmentFileName(baseOffset, suffix)))
    }
  }

  #openSegments(): void {
    const names = this.#files.list(this.#folder)
    const bases = names.filter((name) => name.endsWith(LOG_SUFFIX)).map((name) => baseOffsetOf(name))
    for (const name of names) {
      const isIndex = [INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX].some((suffix) =>
        name.endsWith(suffix),
      )
      if (isIndex && !bases.includes(baseOffsetOf(name))) this.#files.remove(this.#path(name))
    }
    this.#segments = bases.filter((base) => base !== null).map((base) => this.#segment(base, false))
    if (this.#segments.length === 0) this.#segments.push(this.#segment(this.#log.logStartOffset, true))
  }

  #segment(baseOffset: number, fresh: boolean): LogSegment {
    return new LogSegment(this.#files, this.#folder, baseOffset, this.#environment.clock.now(), fresh)
  }

  /** A checkpoint that cannot be read is made anew from the batches, which all carry their epoch. */
  #readEpochs(): void {
    try {
      this.#epochs = new LeaderEpochs(readEpochCheckpoint(this.#files, this.#path(LEADER_EPOCH_FILE)))
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error
      this.#environment.logger.warn('leader epochs are read from the log, since their checkpoint is unreadable', error)
      this.#epochs = new LeaderEpochs()
      for (const segment of this.#segments) this.#readEpochsOf(segment)
      this.#epochsChanged = true
    }
    this.#epochs.onChange = () => (this.#epochsChanged = true)
  }

  /** From the first byte on, by no index: after a crash neither the indexes nor the tail can be trusted yet. */
  #readEpochsOf(segment: LogSegment): void {
    try {
      for (const { batch } of headersIn(segment.file, 0, segment.size)) noteEpoch(this.#epochs, batch)
    } catch (error) {
      if (!(error instanceof CorruptSegmentError)) throw error
    }
  }

  /**
   * Indexes are whole after a clean stop and below the recovery point, unless someone removed them. Segments behind it are
   * left to `#recover`, which must see what is torn in them.
   */
  async #mendIndexes(): Promise<void> {
    const end = this.#log.isClean ? this.#segments.length : this.#firstUnsynced()
    for (let index = 0; index < Math.min(end, this.#segments.length); index++) {
      const segment = this.#segments[index]!
      if (segment.hasSaneIndexes()) continue
      const aborted = [...segment.transactionIndex.entries]
      const cut = segment.recover(this.#log.config.indexIntervalBytes, (batch) => noteEpoch(this.#epochs, batch))
      // Without the producers of that time they cannot be told from the batches alone.
      const end = segment.readNextOffset()
      for (const entry of aborted) if (entry.lastOffset < end) await segment.transactionIndex.append(entry)
      if (cut > 0) this.#dropBehind(index, cut)
      if (index < this.#segments.length - 1) await this.#sealAndRest(segment)
    }
  }

  /** A log may have more segments than a process may have files. */
  async #sealAndRest(segment: LogSegment): Promise<void> {
    await segment.seal(true)
    segment.rest()
  }

  async #recover(): Promise<void> {
    const first = this.#firstUnsynced()
    const start = this.#segments[first]!.baseOffset
    this.#rebuildProducers(Math.max(start, this.#logStart()), this.#logStart())
    const aborted: [LogSegment, AbortedTransaction][] = []
    for (let index = first; index < this.#segments.length; index++) {
      const segment = this.#segments[index]!
      const cut = segment.recover(this.#log.config.indexIntervalBytes, (batch) => {
        noteEpoch(this.#epochs, batch)
        const entry = foldIn(this.#producers, batch)
        if (entry !== null) aborted.push([segment, entry])
        this.#producers.endOffset = batch.nextOffset
      })
      if (cut > 0 || this.#leavesGap(index)) this.#dropBehind(index, cut)
      if (index < this.#segments.length - 1) await this.#sealAndRest(segment)
    }
    for (const [segment, entry] of aborted) await segment.transactionIndex.append(entry)
  }

  /**
   * Whether what follows does not continue the log: a power failure may keep a later segment and lose batches at the end of
   * the one before. Kept, the hole would never be filled from the leader. Only compaction leaves gaps of its own.
   */
  #leavesGap(index: number): boolean {
    const segment = this.#segments[index]!
    const next = this.#segments[index + 1]
    if (next === undefined) return false
    return segment.size === 0 || (!isCompacted(this.#log.config) && segment.readNextOffset() < next.baseOffset)
  }

  #dropBehind(index: number, cut: number): void {
    const segment = this.#segments[index]!
    const dropped = this.#segments.splice(index + 1)
    this.#environment.logger.warn(
      `${this.#folder}: cut ${cut} bytes behind the last good batch of segment ${segment.baseOffset}` +
        (dropped.length > 0 ? `, and ${dropped.length} later segments` : ''),
    )
    for (const later of dropped) {
      later.markDeleted()
      later.removeFiles()
    }
  }

  /** Index of the segment in which the recovery point lies. */
  #firstUnsynced(): number {
    let index = this.#segments.length - 1
    while (index > 0 && this.#segments[index]!.baseOffset > this.#log.recoveryPoint) index -= 1
    return index
  }

  #logStart(): number {
    return Math.max(this.#log.logStartOffset, this.#segments[0]!.baseOffset)
  }

  /** The log's end; where that lies before its start, everything is dropped and the log begins at its start. */
  #endOrStartAnew(logStartOffset: number): number {
    const active = this.#segments.at(-1)!
    const end = active.readNextOffset()
    if (end >= logStartOffset) return end
    for (const segment of this.#segments) {
      segment.markDeleted()
      segment.removeFiles()
    }
    this.#segments = [this.#segment(logStartOffset, true)]
    return logStartOffset
  }

  #loadProducers(logStartOffset: number, logEndOffset: number): void {
    for (const offset of snapshotOffsets(this.#files, this.#folder))
      if (offset > logEndOffset) this.#files.remove(this.#path(segmentFileName(offset, SNAPSHOT_SUFFIX)))
    if (!this.#log.isClean && this.#producers.endOffset === logEndOffset) return
    // Left cleanly and without a snapshot: by a version that knew no producers. There is nothing to replay.
    if (this.#log.isClean && snapshotOffsets(this.#files, this.#folder).length === 0)
      return this.#producers.clear(logEndOffset)
    this.#rebuildProducers(logEndOffset, logStartOffset)
  }

  #rebuildProducers(endOffset: number, logStartOffset: number): void {
    rebuildProducers({
      files: this.#files,
      folder: this.#folder,
      segments: this.#segments,
      producers: this.#producers,
      logStartOffset: Math.min(logStartOffset, endOffset),
      endOffset,
      nowMs: this.#environment.clock.now(),
      expirationMs: this.#environment.producerIdExpirationMs,
      logger: this.#environment.logger,
    })
  }

  #readTopicId(): string | null {
    try {
      return readPartitionMetadata(this.#files, this.#folder)
    } catch (error) {
      if (error instanceof FileError) throw error
      this.#environment.logger.warn('the topic id will be written again', error)
      return null
    }
  }
}

/** Epochs are taken from batches only where they go on from what is known (KAFKA-10432: epoch 0 counts too). */
function noteEpoch(epochs: LeaderEpochs, batch: RecordBatchView): void {
  if (batch.partitionLeaderEpoch >= 0 && batch.partitionLeaderEpoch > epochs.latestEpoch)
    epochs.assign(batch.partitionLeaderEpoch, batch.baseOffset)
}
