import { assert } from '#base'
import type { FileSystem } from '#platform'

import { IndexEntries } from './index-entries.ts'

/** int64 timestamp, int32 offset − base offset. */
const ENTRY_BYTES = 12

export interface TimestampOffset {
  /** −1: no record has a timestamp. */
  readonly timestamp: bigint
  readonly offset: number
}

/**
 * `%020d.timeindex`: the largest timestamp so far and the last offset of the batch that has it, entered together
 * with an entry of the offset index where it has grown since, and once more when the segment is rolled or closed.
 * Timestamps are exact int64, since nanosecond stamps exist.
 */
export class TimeIndex extends IndexEntries {
  readonly #baseOffset: number

  constructor(files: FileSystem, path: string, baseOffset: number, fresh: boolean) {
    super(files, path, ENTRY_BYTES, fresh)
    this.#baseOffset = baseOffset
  }

  /** One entry is left free for the one that closes the segment. */
  isFull(indexBytesMax: number): boolean {
    return this.count >= Math.floor(indexBytesMax / ENTRY_BYTES) - 1
  }

  appendIfLarger(timestamp: bigint, offset: number): void {
    if (timestamp <= this.lastEntry.timestamp) return
    assert(offset >= this.lastEntry.offset, 'offsets in an index grow')
    const at = this.grow()
    this.view.setBigInt64(at, timestamp)
    this.view.setInt32(at + 8, offset - this.#baseOffset)
  }

  get lastEntry(): TimestampOffset {
    return this.#entry(this.count - 1)
  }

  /** The last entry whose timestamp is at most `timestamp`; records before it are all older. */
  lookup(timestamp: bigint): TimestampOffset {
    return this.#entry(this.floor((index) => this.view.getBigInt64(this.at(index)) <= timestamp))
  }

  /** Keeps the entries below `offset`. */
  truncateTo(offset: number): void {
    this.cutTo(this.floor((index) => this.#entry(index).offset < offset) + 1)
  }

  #entry(index: number): TimestampOffset {
    if (index < 0) return { timestamp: -1n, offset: this.#baseOffset }
    const at = this.at(index)
    return { timestamp: this.view.getBigInt64(at), offset: this.#baseOffset + this.view.getInt32(at + 8) }
  }
}
