import { assert } from '#base'
import type { FileSystem } from '#platform'

import { IndexEntries } from './index-entries.ts'

/** int32 offset − base offset, int32 file position. */
const ENTRY_BYTES = 8

export interface OffsetPosition {
  readonly offset: number
  readonly position: number
}

/**
 * `%020d.index`: where in the segment's file batches lie, one entry about every `index.interval.bytes`. An entry names
 * the last offset of a batch and the position where that batch begins.
 */
export class OffsetIndex extends IndexEntries {
  readonly #baseOffset: number

  constructor(files: FileSystem, path: string, baseOffset: number, fresh: boolean) {
    super(files, path, ENTRY_BYTES, fresh)
    this.#baseOffset = baseOffset
  }

  isFull(indexBytesMax: number): boolean {
    return this.count >= Math.floor(indexBytesMax / ENTRY_BYTES)
  }

  append(offset: number, position: number): void {
    assert(offset > this.lastOffset || this.count === 0, 'offsets in an index grow')
    const at = this.grow()
    this.view.setInt32(at, offset - this.#baseOffset)
    this.view.setInt32(at + 4, position)
  }

  /** The last entry at or below `offset`; the segment's beginning when there is none. */
  lookup(offset: number): OffsetPosition {
    return this.entry(this.floor((index) => this.#offsetAt(index) <= offset))
  }

  /** The entry, or the segment's beginning for −1. */
  entry(index: number): OffsetPosition {
    if (index < 0) return { offset: this.#baseOffset, position: 0 }
    return { offset: this.#offsetAt(index), position: this.view.getInt32(this.at(index) + 4) }
  }

  /** The position of the first entry at or behind `position`; `otherwise` when there is none. */
  positionFrom(position: number, otherwise: number): number {
    const index = this.floor((each) => this.entry(each).position < position) + 1
    return index < this.count ? this.entry(index).position : otherwise
  }

  /** The segment's base offset when there is no entry. */
  get lastOffset(): number {
    return this.entry(this.count - 1).offset
  }

  /** Keeps the entries below `offset`. */
  truncateTo(offset: number): void {
    this.cutTo(this.floor((index) => this.#offsetAt(index) < offset) + 1)
  }

  #offsetAt(index: number): number {
    return this.#baseOffset + this.view.getInt32(this.at(index))
  }
}
