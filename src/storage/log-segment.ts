import { assert } from '#base'
import { joinPath, type File, type FileSystem } from '#platform'
import type { RecordBatchView } from '#protocol/records'

import { CorruptSegmentError, batchAt, batchesIn, headersIn, type ScannedBatch } from './batch-scan.ts'
import {
  DELETED_SUFFIX,
  INDEX_SUFFIX,
  LOG_SUFFIX,
  TIME_INDEX_SUFFIX,
  TRANSACTION_INDEX_SUFFIX,
  segmentFileName,
} from './names.ts'
import { OffsetIndex } from './offset-index.ts'
import { TimeIndex, type TimestampOffset } from './time-index.ts'
import { TransactionIndex } from './transaction-index.ts'

const RELATIVE_OFFSET_MAX = 2 ** 31 - 1

export interface RollConditions {
  readonly segmentBytes: number
  readonly segmentIndexBytes: number
  /** `segment.ms` less the segment's jitter. */
  readonly segmentMs: number
  readonly nowMs: number
  readonly incomingBytes: number
  readonly incomingMaxTimestamp: bigint
  readonly incomingLastOffset: number
}

/**
 * A file of batches with its indexes. The segment keeps books of what is appended; the bytes themselves are
 * written by the log, gathered.
 */
export class LogSegment {
  readonly baseOffset: number
  readonly offsetIndex: OffsetIndex
  readonly timeIndex: TimeIndex
  readonly transactionIndex: TransactionIndex
  /** Bytes of the file, with those that are appended and not yet written. */
  size: number
  readonly #files: FileSystem
  #folder: string
  #file: File | null = null
  /** Null until it is needed: then it is the last entry of the time index. */
  #max: TimestampOffset | null
  /** Max timestamp of the first batch, which starts the clock for rolling; null: empty, or not looked at yet. */
  #firstTimestamp: bigint | null = null
  #createdMs: number
  #bytesSinceIndexEntry = 0
  #isDeleted = false

  /** `fresh`: a new segment; else one whose files are there. */
  constructor(files: FileSystem, folder: string, baseOffset: number, nowMs: number, fresh: boolean) {
    this.#files = files
    this.#folder = folder
    this.baseOffset = baseOffset
    this.#createdMs = nowMs
    this.offsetIndex = new OffsetIndex(files, this.#path(INDEX_SUFFIX), baseOffset, fresh)
    this.timeIndex = new TimeIndex(files, this.#path(TIME_INDEX_SUFFIX), baseOffset, fresh)
    this.transactionIndex = new TransactionIndex(files, this.#path(TRANSACTION_INDEX_SUFFIX), fresh)
    this.#max = fresh ? { timestamp: -1n, offset: baseOffset } : null
    this.size = fresh ? 0 : files.stat(this.#path(LOG_SUFFIX)).size
    if (fresh) this.#file = files.open(this.#path(LOG_SUFFIX), 'truncate')
  }

  /** The files are on their way out, or are another's by now: nothing may open, and thereby make, them again. */
  get isDeleted(): boolean {
    return this.#isDeleted
  }

  get file(): File {
    assert(!this.#isDeleted, 'a deleted segment has no file')
    this.#file ??= this.#files.open(this.#path(LOG_SUFFIX), 'write')
    return this.#file
  }

  get max(): TimestampOffset {
    this.#max ??= this.timeIndex.lastEntry
    return this.#max
  }

  /** Facts 2.1, upstream `LogSegment.shouldRoll`. */
  shouldRoll(incoming: RollConditions): boolean {
    if (this.size > incoming.segmentBytes - incoming.incomingBytes) return this.size > 0
    if (incoming.incomingLastOffset - this.baseOffset > RELATIVE_OFFSET_MAX) return true
    if (this.size === 0) return false
    if (this.offsetIndex.isFull(incoming.segmentIndexBytes) || this.timeIndex.isFull(incoming.segmentIndexBytes))
      return true
    return this.#age(incoming) > incoming.segmentMs
  }

  #age(incoming: RollConditions): number {
    this.#firstTimestamp ??= this.#readFirstTimestamp()
    if (this.#firstTimestamp >= 0n) return Number(incoming.incomingMaxTimestamp - this.#firstTimestamp)
    return incoming.nowMs - this.#createdMs
  }

  #readFirstTimestamp(): bigint {
    for (const { batch } of headersIn(this.file, 0, this.size)) return batch.maxTimestampExact
    return -1n
  }

  /** Keeps the books for a batch that is written at the segment's end; returns its position. */
  note(batch: RecordBatchView, indexIntervalBytes: number): number {
    const position = this.size
    const size = batch.sizeInBytes
    const timestamp = batch.maxTimestampExact
    if (position === 0) this.#firstTimestamp = timestamp
    if (timestamp > this.max.timestamp) this.#max = { timestamp, offset: batch.lastOffset }
    if (this.#bytesSinceIndexEntry > indexIntervalBytes) {
      this.offsetIndex.append(batch.lastOffset, position)
      this.timeIndex.appendIfLarger(this.max.timestamp, this.max.offset)
      this.#bytesSinceIndexEntry = 0
    }
    this.#bytesSinceIndexEntry += size
    this.size += size
    return position
  }

  /** Where the first batch with a last offset ≥ `offset` begins, looking no further than `end`; null: there is none. */
  positionOf(offset: number, end = this.size): number | null {
    for (const { batch, position } of headersIn(this.file, this.offsetIndex.lookup(offset).position, end))
      if (batch.lastOffset >= offset) return position
    return null
  }

  /** Headers from the index entry below `offset` on. */
  headersFrom(offset: number, end = this.size): Generator<ScannedBatch> {
    return headersIn(this.file, this.offsetIndex.lookup(offset).position, end)
  }

  /** Headers from the first batch with an index entry at or behind `start` on (all, where `start` is not above 0), up to `end`. */
  headersBetween(start: number, end: number): Generator<ScannedBatch> {
    return headersIn(this.file, start <= 0 ? 0 : this.offsetIndex.positionFrom(start, end), end)
  }

  batchAt(position: number): RecordBatchView {
    return batchAt(this.file, position, this.size)
  }

  /** The offset behind the last batch, found by reading from the last index entry on. */
  readNextOffset(): number {
    let next = this.baseOffset
    for (const { batch } of headersIn(
      this.file,
      this.offsetIndex.entry(this.offsetIndex.count - 1).position,
      this.size,
    ))
      next = batch.nextOffset
    return next
  }

  /**
   * Reads the whole file, checks every batch and makes the indexes anew; what follows the first bad batch is cut
   * off. `onBatch` sees each good one. Returns how many bytes were cut.
   *
   * Offsets grow and leader epochs never go back. A batch that breaks this is what a power failure brings back of a suffix that
   * had been cut off and partly overwritten: it is whole, but no longer part of the log.
   */
  recover(indexIntervalBytes: number, onBatch: (batch: RecordBatchView) => void): number {
    const end = this.file.size()
    this.reset()
    this.size = 0
    let lastOffset = this.baseOffset - 1
    let lastEpoch = -1
    try {
      for (const { batch, position } of batchesIn(this.file, 0, end)) {
        if (batch.partitionLeaderEpoch < lastEpoch)
          throw new CorruptSegmentError(`epoch ${batch.partitionLeaderEpoch} follows ${lastEpoch}`, position)
        if (batch.baseOffset <= lastOffset || batch.lastOffset - this.baseOffset > RELATIVE_OFFSET_MAX)
          throw new CorruptSegmentError(`offset ${batch.baseOffset} follows ${lastOffset}`, position)
        this.note(batch, indexIntervalBytes)
        lastOffset = batch.lastOffset
        lastEpoch = batch.partitionLeaderEpoch
        onBatch(batch)
      }
    } catch (error) {
      if (!(error instanceof CorruptSegmentError)) throw error
    }
    if (end > this.size) this.file.truncate(this.size)
    return end - this.size
  }

  /** Forgets all indexes, to build them anew. */
  reset(): void {
    this.offsetIndex.reset()
    this.timeIndex.reset()
    this.transactionIndex.reset()
    this.#max = { timestamp: -1n, offset: this.baseOffset }
    this.#firstTimestamp = null
    this.#bytesSinceIndexEntry = 0
  }

  /**
   * Cuts off all batches from `offset` on, one that holds it included. Done on return but for the transaction index, whose file
   * the promise stands for.
   */
  truncateTo(offset: number, nowMs: number): Promise<void> {
    const position = this.positionOf(offset) ?? this.size
    this.offsetIndex.truncateTo(offset)
    this.timeIndex.truncateTo(offset)
    this.file.truncate(position)
    this.size = position
    if (position === 0) {
      this.#createdMs = nowMs
      this.#firstTimestamp = null
    }
    this.#bytesSinceIndexEntry = 0
    this.#max = this.#readMax()
    return this.transactionIndex.truncateTo(offset)
  }

  /** The last entry of the time index knows what came before it; the batches behind it are read. */
  #readMax(): TimestampOffset {
    let max = this.timeIndex.lastEntry
    for (const { batch } of this.headersFrom(max.offset))
      if (batch.maxTimestampExact > max.timestamp)
        max = { timestamp: batch.maxTimestampExact, offset: batch.lastOffset }
    return max
  }

  /** Writes the indexes out, closed by the largest timestamp: the segment becomes inactive, or the log is closed. */
  async seal(sync: boolean): Promise<void> {
    if (this.#isDeleted) return
    if (this.max.timestamp >= 0n) this.timeIndex.appendIfLarger(this.max.timestamp, this.max.offset)
    await this.offsetIndex.save(sync)
    if (!this.#isDeleted) await this.timeIndex.save(sync)
    if (sync && !this.#isDeleted) await this.transactionIndex.sync()
  }

  /** An inactive segment's handle and index entries are opened again when a reader needs them. */
  rest(): void {
    this.offsetIndex.unload()
    this.timeIndex.unload()
    this.closeFile()
  }

  /** The log lets go of the segment. Its folder may come back under the same name, with another log in it. */
  retire(): void {
    this.closeFile()
    this.#isDeleted = true
  }

  /** Its folder was renamed; open files stay open. */
  movedTo(folder: string): void {
    this.#folder = folder
    this.offsetIndex.movedTo(this.#path(INDEX_SUFFIX))
    this.timeIndex.movedTo(this.#path(TIME_INDEX_SUFFIX))
    this.transactionIndex.movedTo(this.#path(TRANSACTION_INDEX_SUFFIX))
  }

  closeFile(): void {
    this.#file?.close()
    this.#file = null
  }

  /** Whether the index files are there and whole. */
  hasSaneIndexes(): boolean {
    return this.offsetIndex.isFileSane() && this.timeIndex.isFileSane()
  }

  /** Renames the files to `.deleted`; `removeFiles` then takes them away at leisure. */
  markDeleted(): void {
    this.closeFile()
    this.#isDeleted = true
    this.#files.rename(this.#path(LOG_SUFFIX), this.#path(LOG_SUFFIX) + DELETED_SUFFIX)
    this.offsetIndex.rename(this.#path(INDEX_SUFFIX) + DELETED_SUFFIX)
    this.timeIndex.rename(this.#path(TIME_INDEX_SUFFIX) + DELETED_SUFFIX)
    this.transactionIndex.rename(this.#path(TRANSACTION_INDEX_SUFFIX) + DELETED_SUFFIX)
  }

  removeFiles(): void {
    assert(this.#file === null, 'an open segment is not removed')
    this.#files.remove(this.#path(LOG_SUFFIX) + DELETED_SUFFIX)
    this.offsetIndex.remove()
    this.timeIndex.remove()
    this.transactionIndex.remove()
  }

  #path(suffix: string): string {
    return joinPath(this.#folder, segmentFileName(this.baseOffset, suffix))
  }
}
