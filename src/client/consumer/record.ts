import { Record, RecordCursor, type LegacyMessage, type RecordHeader } from '#protocol/records'

/** One record as the user of a consumer sees it. Key, value and headers are views, made when they are asked for; their memory is never used again. */
export interface ConsumerRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** In ms since the epoch as a rule; -1 when there is none. The nearest double; see `timestampExact`. */
  readonly timestamp: number
  /** All 64 bits of the timestamp. */
  readonly timestampExact: bigint
  readonly key: Uint8Array | null
  /** Null: a tombstone. */
  readonly value: Uint8Array | null
  /** Bytes of the value, without a view of it; -1: null. */
  readonly valueBytes: number
  /** In the order in which they were sent; a key may occur more than once. */
  readonly headers: readonly RecordHeader[]
  /** Copies the value to `at` in `target`, which must have room for it: cheaper than the view `value`. Null copies nothing. */
  copyValue(target: Uint8Array, at: number): void
  /** Epoch of the leader that appended the record; -1 if not known. */
  readonly leaderEpoch: number
}

/** Where records come from; shared by those of a batch. */
export interface RecordSource {
  readonly topic: string
  readonly partition: number
  readonly leaderEpoch: number
}

type TimestampBase = ConstructorParameters<typeof Record>[3]

/** A record of the present format. One object per record, nothing else. */
export class BatchedRecord extends Record implements ConsumerRecord {
  readonly #source: RecordSource

  constructor(cursor: RecordCursor, offset: number, timestamp: number, base: TimestampBase, source: RecordSource) {
    super(cursor, offset, timestamp, base)
    this.#source = source
  }

  get topic(): string {
    return this.#source.topic
  }

  get partition(): number {
    return this.#source.partition
  }

  get leaderEpoch(): number {
    return this.#source.leaderEpoch
  }
}

/** A message of the formats before 0.11, which a log may still hold. */
export class LegacyRecord implements ConsumerRecord {
  readonly offset: number
  readonly timestampExact: bigint
  readonly headers: readonly RecordHeader[] = []
  readonly leaderEpoch = -1
  readonly #message: LegacyMessage
  readonly #source: RecordSource

  /** An inner message of a wrapper is stamped by the wrapper, and counts its offset from the wrapper's first. */
  constructor(message: LegacyMessage, offset: number, timestamp: bigint, source: RecordSource) {
    this.#message = message
    this.#source = source
    this.offset = offset
    this.timestampExact = timestamp
  }

  get topic(): string {
    return this.#source.topic
  }

  get partition(): number {
    return this.#source.partition
  }

  get timestamp(): number {
    return Number(this.timestampExact)
  }

  get key(): Uint8Array | null {
    return this.#message.key
  }

  get value(): Uint8Array | null {
    return this.#message.value
  }

  get valueBytes(): number {
    return this.value?.length ?? -1
  }

  copyValue(target: Uint8Array, at: number): void {
    const { value } = this
    if (value !== null) target.set(value, at)
  }
}
