/**
 * Records of one partition that are on their way to the user, given one by one or all at once. Pure.
 *
 * While a lease is out nobody else gets records of the partition. It ends by `release`; it loses its worth when the position is set
 * anew or the partition goes away; and a rebalance or a pause stops it. What was not given by then is fetched again.
 */
import type { PartitionState } from './partition-state.ts'
import type { ConsumerRecord } from './record.ts'

export class Lease {
  readonly state: PartitionState
  /** At least one. */
  readonly records: readonly ConsumerRecord[]
  /** Behind the last record, and behind what follows it and is for nobody. */
  readonly #endOffset: number
  /** More was taken out of the buffer than it has. */
  readonly #isCut: boolean
  readonly #version: number
  /** How many records the user was given. */
  #givenCount = 0
  #isReleased = false

  private constructor(state: PartitionState, records: readonly ConsumerRecord[], endOffset: number, isCut = false) {
    this.state = state
    this.records = records
    this.#endOffset = endOffset
    this.#isCut = isCut
    this.#version = state.version
    state.isLeased = true
  }

  /**
   * Takes at most so many records from what is buffered, or null when there are none after all: the position then stands
   * behind what was passed. Throws the partition's error.
   */
  static take(state: PartitionState, countMax: number): Lease | null {
    if (state.error !== null) {
      const { error } = state
      // The next take tries again: the user may have done something about it.
      state.error = null
      throw error
    }
    for (let chunk = state.firstChunk; chunk !== undefined; chunk = state.firstChunk) {
      const records = chunk.take(countMax)
      const endOffset = chunk.nextOffset
      if (chunk.isExhausted) state.dropExhausted()
      const limit = state.readLimit ?? Infinity
      const last = records.at(-1)
      if (last !== undefined && last.offset >= limit) return Lease.#takeUpTo(state, records, limit, chunk.epoch)
      if (last !== undefined) return new Lease(state, records, endOffset)
      state.pass(endOffset, chunk.epoch)
    }
    return null
  }

  /** What lies beyond the limit is fetched again when it is wanted. */
  static #takeUpTo(
    state: PartitionState,
    taken: readonly ConsumerRecord[],
    limit: number,
    epoch: number,
  ): Lease | null {
    const records = taken.filter(({ offset }) => offset < limit)
    if (records.length > 0) return new Lease(state, records, limit, true)
    state.pass(limit, epoch)
    state.dropBuffered()
    return null
  }

  /** Whether the user was given all of it. */
  get isGiven(): boolean {
    return this.#givenCount === this.records.length
  }

  get isValid(): boolean {
    const { state } = this
    return !this.#isReleased && state.version === this.#version && !state.isGone
  }

  /** Whether the user may be given one more. */
  get hasNext(): boolean {
    return this.#givenCount < this.records.length && this.isValid && !this.state.isHeld && !this.state.isPaused
  }

  /** Gives one record. `hasNext` must hold. */
  giveNext(): ConsumerRecord {
    const record = this.records[this.#givenCount++]!
    this.state.give(this.#givenEnd(record), record.leaderEpoch)
    return record
  }

  /** Gives all that was not given yet. */
  giveAll(): readonly ConsumerRecord[] {
    const given = this.#givenCount === 0 ? this.records : this.records.slice(this.#givenCount)
    this.#givenCount = this.records.length
    if (this.isValid) this.state.give(this.#endOffset, this.records.at(-1)!.leaderEpoch)
    return given
  }

  /** The user is done with all that was given. */
  finishGiven(): void {
    if (this.#givenCount === 0 || !this.isValid) return
    const record = this.records[this.#givenCount - 1]!
    this.state.finish(this.#givenEnd(record), record.leaderEpoch)
  }

  /** The user is done with the records up to the one at this offset, and with that one. */
  finishThrough(offset: number): void {
    if (!this.isValid) return
    const last = this.records.at(-1)!
    this.state.finish(offset >= last.offset ? this.#endOffset : offset + 1, last.leaderEpoch)
  }

  /** Ends it. With `rewind` what was given and not finished is given again. */
  release({ rewind = false } = {}): void {
    if (this.#isReleased) return
    const wasValid = this.isValid
    this.#isReleased = true
    this.state.isLeased = false
    if (!wasValid) return
    if (rewind) this.state.rewind()
    else if (this.#isCut || !this.isGiven) this.state.dropBuffered()
  }

  #givenEnd(last: ConsumerRecord): number {
    return this.isGiven ? this.#endOffset : last.offset + 1
  }
}
