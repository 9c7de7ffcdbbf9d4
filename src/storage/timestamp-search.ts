/** Finding records by their timestamps, for ListOffsets. */
import type { RecordBatchView } from '#protocol/records'

import type { LogSegment } from './log-segment.ts'

export interface FoundTimestamp {
  readonly timestamp: bigint
  readonly offset: number
}

export class TimestampSearch {
  readonly #segments: readonly LogSegment[]
  readonly #endOf: (segment: LogSegment) => number
  readonly #onRead: (segment: LogSegment) => void

  /** `endOf`: bytes of a segment that its file has; `onRead` is told of each segment whose file is about to be read. */
  constructor(
    segments: readonly LogSegment[],
    endOf: (segment: LogSegment) => number,
    onRead: (segment: LogSegment) => void,
  ) {
    this.#segments = segments
    this.#endOf = endOf
    this.#onRead = onRead
  }

  /** The first record at or behind `from` and below `upTo` that is not older than `timestamp`. */
  first(timestamp: bigint, from: number, upTo: number): FoundTimestamp | null {
    for (const segment of this.#segments) {
      if (segment.baseOffset >= upTo) return null
      if (segment.max.timestamp < timestamp) continue
      const found = this.#firstIn(segment, timestamp, from)
      if (found !== null) return found.offset < upTo ? found : null
    }
    return null
  }

  #firstIn(segment: LogSegment, timestamp: bigint, from: number): FoundTimestamp | null {
    this.#onRead(segment)
    const start = Math.max(segment.timeIndex.lookup(timestamp).offset, from)
    for (const { batch, position } of segment.headersFrom(start, this.#endOf(segment))) {
      if (batch.maxTimestampExact < timestamp || batch.lastOffset < from) continue
      const found = firstRecord(segment.batchAt(position), (stamp, offset) => stamp >= timestamp && offset >= from)
      if (found !== null) return found
    }
    return null
  }

  /** The first of the records with the largest timestamp. */
  largest(from: number, upTo: number): FoundTimestamp | null {
    let best: LogSegment | null = null
    for (const segment of this.#segments)
      if (segment.max.timestamp >= 0n && segment.max.timestamp > (best?.max.timestamp ?? -1n)) best = segment
    if (best === null) return null
    this.#onRead(best)
    const { timestamp, offset } = best.max
    for (const { batch, position } of best.headersFrom(offset, this.#endOf(best))) {
      if (batch.lastOffset < offset) continue
      const found = firstRecord(best.batchAt(position), (stamp) => stamp === timestamp)
      return found !== null && found.offset >= from && found.offset < upTo ? found : null
    }
    return null
  }
}

function firstRecord(
  batch: RecordBatchView,
  fits: (timestamp: bigint, offset: number) => boolean,
): FoundTimestamp | null {
  for (const record of batch.records())
    if (fits(record.timestampExact, record.offset)) return { timestamp: record.timestampExact, offset: record.offset }
  return null
}
