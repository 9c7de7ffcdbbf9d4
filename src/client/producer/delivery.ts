/** How what became of records gets back to whoever sent them. */
import type { KafkaError } from '../errors.ts'

/** Where a record came to lie. */
export interface RecordMetadata {
  readonly topic: string
  readonly partition: number
  /** -1 with acks=0, or when the broker only knew that it has had the record before. */
  readonly offset: number
  /** The record's own, or the broker's where the topic is stamped with it; ms since the epoch. */
  readonly timestamp: number
}

/** What became of one batch of a partition. */
export interface Delivery {
  readonly topic: string
  readonly partition: number
  readonly recordCount: number
  /** Of the first record; -1 with an error, with acks=0, or when the broker only knew that it has had the batch before. */
  readonly baseOffset: number
  readonly error: KafkaError | null
}

export type DeliveryListener = (delivery: Delivery) => void

/** A run of records that one call of `sendBatch` put into one partition, one behind the other. */
export interface DeliveredRun {
  readonly partition: number
  /** Of the first record of the run; -1 as in `RecordMetadata`. */
  readonly baseOffset: number
  readonly recordCount: number
}

/** What `sendBatch` resolves with. */
export interface SentBatch {
  readonly topic: string
  readonly recordCount: number
  /** In the order in which they were acknowledged. */
  readonly runs: readonly DeliveredRun[]
}

/** Hears of records that were sent together. Every record is told of exactly once. */
export interface DeliverySink {
  delivered(partition: number, baseOffset: number, count: number, logAppendTimeMs: number): void
  failed(count: number, error: unknown): void
}

/** One record, one promise. */
export class RecordSink implements DeliverySink {
  readonly #topic: string
  readonly #resolve: (metadata: RecordMetadata) => void
  readonly #reject: (error: unknown) => void
  /** Set when the record is appended. */
  timestamp = -1

  constructor(topic: string, resolve: (metadata: RecordMetadata) => void, reject: (error: unknown) => void) {
    this.#topic = topic
    this.#resolve = resolve
    this.#reject = reject
  }

  delivered(partition: number, offset: number, _count: number, logAppendTimeMs: number): void {
    const timestamp = logAppendTimeMs < 0 ? this.timestamp : logAppendTimeMs
    this.#resolve({ topic: this.#topic, partition, offset, timestamp })
  }

  failed(_count: number, error: unknown): void {
    this.#reject(error)
  }
}

/** Many records, one promise: it settles when the last of them has, and with the first error if there was one. */
export class BatchSink implements DeliverySink {
  readonly #topic: string
  readonly #recordCount: number
  readonly #resolve: (batch: SentBatch) => void
  readonly #reject: (error: unknown) => void
  readonly #runs: DeliveredRun[] = []
  #outstanding: number
  #firstError: unknown = null

  constructor(
    topic: string,
    recordCount: number,
    resolve: (batch: SentBatch) => void,
    reject: (error: unknown) => void,
  ) {
    this.#topic = topic
    this.#recordCount = recordCount
    this.#outstanding = recordCount
    this.#resolve = resolve
    this.#reject = reject
  }

  delivered(partition: number, baseOffset: number, recordCount: number): void {
    this.#runs.push({ partition, baseOffset, recordCount })
    this.#settle(recordCount)
  }

  failed(count: number, error: unknown): void {
    this.#firstError ??= error
    this.#settle(count)
  }

  #settle(count: number): void {
    this.#outstanding -= count
    if (this.#outstanding > 0) return
    if (this.#firstError !== null) this.#reject(this.#firstError)
    else this.#resolve({ topic: this.#topic, recordCount: this.#recordCount, runs: this.#runs })
  }
}
