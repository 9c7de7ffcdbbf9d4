/**
 * What a consumer knows of one partition that is assigned to it. Pure.
 *
 *     consumed ≤ position ≤ (what is buffered) ≤ fetchOffset
 *
 * `consumed` is what the user is done with, `position` what the user was given: it moves at no other time, except past what no user
 * ever gets, and by `seek`. Whatever is under way while the position is set anew is recognised by `version` and dropped.
 */
import { assert } from '#base'

import type { KafkaError } from '../errors.ts'
import type { FetchedData } from './fetched-data.ts'
import { keyOf, type TopicPartition } from './topic-partition.ts'

export interface OffsetAndEpoch {
  /** Of the next record. */
  readonly offset: number
  /** Leader epoch of the record before it; -1 if not known. */
  readonly leaderEpoch: number
}

/**
 * How a position is looked for. `committed`: the group's offset is asked for. `timestamp`: as ListOffsets has it, with -1 for the
 * end and -2 for the beginning.
 */
export type PositionSearch = { readonly kind: 'committed' } | { readonly kind: 'timestamp'; readonly timestamp: number }

/** Answers that wait for the user, per partition: one being read, one fetched meanwhile. */
const CHUNKS_MAX = 2
const NONE = -1

export class PartitionState implements TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly key: string
  /** -1 while there is none: then `search` or `error` says why. */
  #position = NONE
  #positionEpoch = NONE
  #consumed = NONE
  #consumedEpoch = NONE
  /** As this consumer last committed it, or found it; null before, and when the position was set anew since. */
  committed: number | null = null
  /** Null while there is a position. */
  search: PositionSearch | null = { kind: 'committed' }
  /** The leader has changed since the position was set: it must say first whether its log reaches so far (KIP-320). */
  mustValidate = false
  /** The leader epoch under which the position is known to be sound; -1 before. */
  validatedEpoch = NONE
  /** Told to the user with the next take; nothing is fetched before. */
  error: KafkaError | null = null
  /** Since when the leader that the metadata names is older than the position; null where it is not. */
  leaderDoubtedSinceMs: number | null = null
  isPaused = false
  /** A rebalance is about to take it away: the user gets nothing more of it. */
  isHeld = false
  /** No longer assigned. */
  isGone = false
  /** A part of its records is with the user. */
  isLeased = false
  /** Nothing from this offset on is given; null: not even known yet where that is, and nothing is given before. */
  readLimit: number | null = Infinity
  /** Part of a fetch that is under way. */
  isInFlight = false
  /** A replica nearer than the leader (KIP-392). */
  preferredReplica: { readonly nodeId: number; readonly untilMs: number } | null = null
  /** Nothing is asked for before this time, after an error. */
  retryAtMs = 0
  /** As the last answer told; -1 before. */
  highWatermark = NONE
  lastStableOffset = NONE
  logStartOffset = NONE
  /** Grows whenever what is under way for this partition has lost its meaning. */
  version = 0
  /** Where the next fetch begins; -1 without a position. */
  fetchOffset = NONE
  #chunks: FetchedData[] = []

  constructor({ topic, partition }: TopicPartition) {
    this.topic = topic
    this.partition = partition
    this.key = keyOf(this)
  }

  /** Null while it is looked for. */
  get position(): OffsetAndEpoch | null {
    return this.#position === NONE ? null : { offset: this.#position, leaderEpoch: this.#positionEpoch }
  }

  /** Null while there is no position. */
  get consumed(): OffsetAndEpoch | null {
    return this.#consumed === NONE ? null : { offset: this.#consumed, leaderEpoch: this.#consumedEpoch }
  }

  get bufferedBytes(): number {
    let bytes = 0
    for (const chunk of this.#chunks) bytes += chunk.sizeInBytes
    return bytes
  }

  /** What the user reads at present. */
  get firstChunk(): FetchedData | undefined {
    return this.#chunks[0]
  }

  /** Whether the user may get something now. */
  get isReady(): boolean {
    const hasRecords = this.#chunks.length > 0 && this.readLimit !== null && this.#position < this.readLimit
    return (hasRecords || this.error !== null) && !this.isLeased && !this.isPaused && !this.isHeld
  }

  /** The user was given all that there is up to the limit. */
  get isReadToLimit(): boolean {
    return this.readLimit !== null && this.#position >= this.readLimit
  }

  /** Whether a fetch should name it now. */
  isFetchable(nowMs: number): boolean {
    return (
      this.fetchOffset !== NONE &&
      this.fetchOffset < (this.readLimit ?? Infinity) &&
      this.#chunks.length < CHUNKS_MAX &&
      !this.isPaused &&
      !this.isHeld &&
      !this.isInFlight &&
      !this.mustValidate &&
      this.error === null &&
      nowMs >= this.retryAtMs
    )
  }

  /** Sets the position; what was buffered is dropped. */
  seek({ offset, leaderEpoch }: OffsetAndEpoch): void {
    assert(offset >= 0, 'a position is an offset')
    this.#restart()
    this.#position = this.#consumed = this.fetchOffset = offset
    this.#positionEpoch = this.#consumedEpoch = leaderEpoch
    this.search = null
  }

  /** The position is to be found. */
  lookFor(search: PositionSearch): void {
    this.#restart()
    this.#position = this.#consumed = this.fetchOffset = NONE
    this.#positionEpoch = this.#consumedEpoch = NONE
    this.search = search
  }

  addChunk(chunk: FetchedData): void {
    this.fetchOffset = chunk.endOffset
    this.#chunks.push(chunk)
  }

  /** Drops answers that have been read to their end. */
  dropExhausted(): void {
    while (this.#chunks[0]?.isExhausted === true) this.#chunks.shift()
  }

  /** Goes back to the position; what is buffered is fetched again. */
  dropBuffered(): void {
    if (this.#position === NONE) return
    this.#chunks = []
    this.fetchOffset = this.#position
    this.version += 1
  }

  /** The user was given everything before this offset. */
  give(offset: number, leaderEpoch: number): void {
    this.#position = offset
    this.#positionEpoch = leaderEpoch
  }

  /** The user is done with everything before this offset. */
  finish(offset: number, leaderEpoch: number): void {
    if (offset <= this.#consumed) return
    this.#consumed = offset
    this.#consumedEpoch = leaderEpoch
  }

  /** Moves past what no user gets. */
  pass(offset: number, leaderEpoch: number): void {
    if (offset <= this.#position) return
    const isDone = this.#consumed === this.#position
    this.give(offset, leaderEpoch)
    if (isDone) this.finish(offset, leaderEpoch)
  }

  /** The user did not get through what was given: it is given again. */
  rewind(): void {
    if (this.#position === NONE) return
    this.#position = this.#consumed
    this.#positionEpoch = this.#consumedEpoch
    this.dropBuffered()
  }

  /** Records between the position and the end that the isolation level allows; null while one of them is not known. */
  lag(readsCommitted: boolean): number | null {
    const end = readsCommitted ? this.lastStableOffset : this.highWatermark
    return this.#position === NONE || end === NONE ? null : Math.max(0, end - this.#position)
  }

  #restart(): void {
    this.version += 1
    this.committed = null
    this.#chunks = []
    this.error = null
    this.mustValidate = false
    this.validatedEpoch = NONE
    this.leaderDoubtedSinceMs = null
    this.retryAtMs = 0
    this.preferredReplica = null
  }
}
