/** Reading batches: from the tail in memory where it reaches, else from the segment's file. */
import { BATCH_HEADER_BYTES, RecordBatchView } from '#protocol/records'

import { CorruptSegmentError } from './batch-scan.ts'
import type { LogSegment } from './log-segment.ts'
import type { ReadBuffer, ReadBuffers } from './read-buffers.ts'
import type { Hold, LogTail, TailChunk } from './tail-cache.ts'

export interface ReadRequest {
  readonly offset: number
  readonly maxBytes: number
  /** Batches that begin here or later are left out. */
  readonly upTo: number
  /** The first batch comes even if it is larger than `maxBytes`. */
  readonly minOneBatch: boolean
}

export interface LogRead {
  /** Whole batches; the first holds the offset that was asked for, or the next one that exists. */
  readonly records: Uint8Array
  /** To be released once when nobody reads `records` any more; null: they may be kept. */
  readonly hold: Hold | null
}

/** Where a record lies. Positions in different segments cannot be compared. */
export interface LogPosition {
  readonly segmentBase: number
  readonly position: number
}

const NOTHING: LogRead = { records: new Uint8Array(0), hold: null }

/** Reads larger than this, or further from the end than `NEAR_BYTES`, go through the pool: they may have to wait for the disk. */
const SYNC_READ_BYTES_MAX = 1024 * 1024
const NEAR_BYTES = 32 * 1024 * 1024
/** Where the last reads of a log ended; as many as readers that go through it side by side without losing their place. */
const PLACES_KEPT = 8

export class LogReader {
  readonly #segments: readonly LogSegment[]
  readonly #tail: LogTail
  readonly #buffers: ReadBuffers
  readonly #onRead: (segment: LogSegment) => void
  /** Offset that a reader will ask for next, to the place where it lies. */
  readonly #places = new Map<number, LogPosition>()
  /** How often the log was cut. */
  #cuts = 0

  /** `onRead` is told of each segment whose file is about to be read. */
  constructor(
    segments: readonly LogSegment[],
    tail: LogTail,
    buffers: ReadBuffers,
    onRead: (segment: LogSegment) => void = () => {},
  ) {
    this.#segments = segments
    this.#tail = tail
    this.#buffers = buffers
    this.#onRead = onRead
  }

  /** The log was cut: places known before may lie elsewhere now. */
  forget(): void {
    this.#cuts += 1
    this.#places.clear()
  }

  /** `endOf`: bytes of a segment that its file has. */
  read(request: ReadRequest, endOf: (segment: LogSegment) => number): LogRead | Promise<LogRead> {
    if (request.offset >= request.upTo || (request.maxBytes <= 0 && !request.minOneBatch)) return NOTHING
    const chunk = this.#tail.find(request.offset)
    if (chunk !== null) return this.#readChunk(chunk, request)
    return this.#readFiles(request, endOf)
  }

  locate(offset: number, nextOffset: number): LogPosition | null {
    const last = this.#segments.at(-1)!
    if (offset >= nextOffset) return { segmentBase: last.baseOffset, position: last.size }
    const chunk = this.#tail.find(offset)
    if (chunk === null) return null
    return {
      segmentBase: chunk.segmentBase,
      position: chunk.filePosition + chunk.positionOf(Math.max(0, chunk.batchAt(offset))),
    }
  }

  #readChunk(chunk: TailChunk, { offset, upTo, maxBytes, minOneBatch }: ReadRequest): LogRead {
    const first = firstBatch(chunk, offset)
    const start = chunk.positionOf(first)
    const last = chunk.nextOffset <= upTo ? chunk.batchCount : chunk.batchAt(upTo - 1) + 1
    let end = Math.min(last, chunk.boundaryBefore(start + maxBytes))
    if (end <= first && minOneBatch) end = first + 1
    if (end <= first || first >= last) return NOTHING
    const records = chunk.bytes.subarray(start, chunk.positionOf(end))
    const hold = this.#tail.hold(chunk)
    return hold === null ? { records: records.slice(), hold } : { records, hold }
  }

  #readFiles(request: ReadRequest, endOf: (segment: LogSegment) => number): LogRead | Promise<LogRead> {
    for (let index = this.#floor(request.offset); index < this.#segments.length; index++) {
      const segment = this.#segments[index]!
      if (segment.baseOffset >= request.upTo) break
      const isActive = index === this.#segments.length - 1
      const end = endOf(segment)
      this.#onRead(segment)
      const place = this.#places.get(request.offset)
      const start = place?.segmentBase === segment.baseOffset ? place.position : segment.positionOf(request.offset, end)
      // A segment may end before the offset where compaction left a gap; the next one begins behind it.
      if (start === null || start >= end) continue
      return this.#readFile(segment, { start, end, isNear: isActive && end - start <= NEAR_BYTES }, request)
    }
    return NOTHING
  }

  #readFile(segment: LogSegment, range: FileRange, request: ReadRequest): LogRead | Promise<LogRead> {
    const length = Math.min(
      range.end - range.start,
      Math.max(request.maxBytes, request.minOneBatch ? BATCH_HEADER_BYTES : 0),
    )
    const buffer = this.#buffers.take(length)
    if (range.isNear && length <= SYNC_READ_BYTES_MAX) {
      const count = segment.file.read(buffer.bytes, range.start)
      return this.#finish(segment, range, request, buffer, count)
    }
    const cuts = this.#cuts
    const reading = segment.file.readBehind(buffer.bytes, range.start)
    if (typeof reading === 'number') return this.#finish(segment, range, request, buffer, reading)
    return reading.then((count) => {
      if (this.#cuts === cuts) return this.#finish(segment, range, request, buffer, count)
      // What was read may be of the log as it was before and after the cut, and lies elsewhere by now.
      buffer.release()
      return NOTHING
    })
  }

  /**
   * Keeps the whole batches below the bound; reads again where not even the first one fitted. Throws `CorruptSegmentError` where no
   * batch can begin. The `count` bytes that the file had
   * may be fewer than were asked for, while a rolled segment is still being written; behind them lies what an earlier read left.
   */
  #finish(
    segment: LogSegment,
    range: FileRange,
    request: ReadRequest,
    buffer: ReadBuffer,
    count: number,
  ): LogRead | Promise<LogRead> {
    const bytes = buffer.bytes.subarray(0, count)
    const { end, nextOffset, firstSize } = wholeBatches(bytes, request.upTo)
    if (end > 0) {
      this.#remember(nextOffset, { segmentBase: segment.baseOffset, position: range.start + end })
      return { records: bytes.subarray(0, end), hold: buffer }
    }
    buffer.release()
    if (count >= BATCH_HEADER_BYTES && firstSize < BATCH_HEADER_BYTES)
      throw new CorruptSegmentError(`a batch of ${firstSize} bytes`, range.start)
    const isTooSmall = request.minOneBatch && firstSize > buffer.bytes.length && range.start + firstSize <= range.end
    return isTooSmall ? this.#readFile(segment, range, { ...request, maxBytes: firstSize }) : NOTHING
  }

  #remember(offset: number, place: LogPosition): void {
    this.#places.delete(offset)
    this.#places.set(offset, place)
    if (this.#places.size > PLACES_KEPT)
      for (const oldest of this.#places.keys()) return void this.#places.delete(oldest)
  }

  /** Index of the last segment that begins at or before `offset`. */
  #floor(offset: number): number {
    let index = this.#segments.length - 1
    while (index > 0 && this.#segments[index]!.baseOffset > offset) index -= 1
    return index
  }
}

interface FileRange {
  readonly start: number
  /** Bytes of the file that may be read. */
  readonly end: number
  readonly isNear: boolean
}

/** The first batch whose last offset is not below `offset`. */
function firstBatch(chunk: TailChunk, offset: number): number {
  const floor = Math.max(0, chunk.batchAt(offset))
  const batch = new RecordBatchView(chunk.bytes, chunk.positionOf(floor))
  return batch.lastOffset < offset ? floor + 1 : floor
}

/** How far whole batches that begin below `upTo` reach; `firstSize` is what the first one states. */
function wholeBatches(bytes: Uint8Array, upTo: number): { end: number; nextOffset: number; firstSize: number } {
  let end = 0
  let nextOffset = -1
  let firstSize = 0
  while (end + BATCH_HEADER_BYTES <= bytes.length) {
    const batch = new RecordBatchView(bytes, end)
    const size = batch.sizeInBytes
    if (end === 0) firstSize = size
    if (batch.baseOffset >= upTo || size < BATCH_HEADER_BYTES || end + size > bytes.length) break
    nextOffset = batch.nextOffset
    end += size
  }
  return { end, nextOffset, firstSize }
}
