/**
 * A batch on its way: open for records, then built, sent, perhaps sent again, and done. It is encoded record by record as it
 * fills, so that the user's bytes are free again when `send` returns.
 */
import { assert } from '#base'
import {
  RecordBatchBuilder,
  RecordBatchView,
  withProducer,
  type Codec,
  type NewRecord,
  type PackedValues,
  type ProducerStamp,
} from '#protocol/records'

import type { KafkaError } from '../errors.ts'
import type { DeliverySink } from './delivery.ts'
import type { PartitionQueue } from './partition-queue.ts'

export interface BatchFormat {
  readonly codec: Codec
  readonly compressionLevel: number | undefined
}

/** How a batch ended. */
export type Outcome =
  | { readonly error: null; readonly baseOffset: number; readonly logAppendTimeMs: number }
  | {
      readonly error: KafkaError
      /** Where the broker names the records at fault: what each of them did, by its place in the batch; the others fail with `error`. */
      readonly recordErrors?: ReadonlyMap<number, KafkaError>
    }

/** One after the other in the batch: how many records belong to the same sink. */
interface SinkRun {
  readonly sink: DeliverySink | null
  count: number
}

export class ProducerBatch {
  readonly queue: PartitionQueue
  /** Place among all batches of the producer; parts of a split batch lie within its span. */
  readonly ordinal: number
  /** Distance to the next batch's ordinal, at least. */
  readonly ordinalSpan: number
  /** When its first record came, on the monotonic clock: linger and delivery timeout count from here. */
  readonly createdMs: number
  /** Bytes of `buffer.memory` that it holds. */
  reservedBytes: number
  isFull = false
  isInFlight = false
  isDone = false
  /** Requests that carried it. */
  attempts = 0
  /** Answers that its sequence makes a gap, although the one before it was the last that was acknowledged. */
  gapAnswers = 0
  /** Not sent again before this time. */
  retryAtMs = 0
  /** Of the leader that it was last sent to. */
  leaderEpoch = -1
  lastError: KafkaError | null = null
  /** Who it is sent as; null until it is drained, and without idempotence. */
  stamp: Required<ProducerStamp> | null = null
  /** Its place among the batches of its partition that were given a sequence. */
  stampedAs = -1
  #builder: RecordBatchBuilder | null
  #bytes: Uint8Array | null = null
  #recordCount = 0
  readonly #runs: SinkRun[] = []

  constructor(
    queue: PartitionQueue,
    format: BatchFormat,
    at: { ordinal: number; ordinalSpan?: number; createdMs: number; reservedBytes: number },
  ) {
    this.queue = queue
    this.ordinal = at.ordinal
    this.ordinalSpan = at.ordinalSpan ?? 1
    this.createdMs = at.createdMs
    this.reservedBytes = at.reservedBytes
    this.#builder = new RecordBatchBuilder({ ...format, capacity: at.reservedBytes })
  }

  get recordCount(): number {
    return this.#recordCount
  }

  /** Bytes as they are or, while it is open, before compression. */
  get sizeInBytes(): number {
    return this.#bytes?.length ?? this.#builder!.sizeInBytes
  }

  get lastSequence(): number {
    assert(this.stamp !== null, 'the batch has a sequence')
    return this.stamp.baseSequence + this.recordCount - 1
  }

  /** False, and full from then on, when the record has no room within `bytesMax`. The first record always has. */
  tryAppend(record: NewRecord, sink: DeliverySink | null, bytesMax: number): boolean {
    const builder = this.#builder!
    if (this.isFull || (this.recordCount > 0 && !builder.hasRoomFor(record, bytesMax))) {
      this.isFull = true
      return false
    }
    builder.append(record)
    if (builder.sizeInBytes >= bytesMax) this.isFull = true
    this.#counted(1, sink)
    return true
  }

  /** Values without key and headers that nobody waits for, as many as there is room for behind what is there. Returns how many. */
  appendValues(values: PackedValues, from: number, timestamp: number, bytesMax: number): number {
    const count = this.#builder!.appendValues(values, from, timestamp, bytesMax)
    if (from + count < values.count) this.isFull = true
    if (count > 0) this.#counted(count, null)
    return count
  }

  /** The bytes to send. No record comes in afterwards. */
  bytes(): Uint8Array {
    if (this.#bytes === null) {
      this.isFull = true
      this.#bytes = this.#builder!.build(this.stamp ?? {})
      this.#builder = null
    }
    return this.#bytes
  }

  /** Gives it another sequence. What was sent under the former one may still be on its way, so the bytes are copied. */
  restamp(stamp: Required<ProducerStamp>): void {
    this.stamp = stamp
    if (this.#bytes !== null) this.#bytes = withProducer(this.#bytes, stamp)
  }

  /** Its records in order, each with its sink, to be put into smaller batches. */
  *takeApart(): Generator<{ record: NewRecord; sink: DeliverySink | null }> {
    const sinks = this.#sinks()
    for (const record of new RecordBatchView(this.bytes()).records()) {
      const { key, value, headers } = record
      yield { record: { timestamp: record.timestampExact, key, value, headers }, sink: sinks.next().value ?? null }
    }
  }

  /** Tells the sinks. Returns how many records nobody was told of. */
  settle(outcome: Outcome): number {
    assert(!this.isDone, 'a batch ends once')
    this.isDone = true
    let first = 0
    let untold = 0
    for (const { sink, count } of this.#runs) {
      if (sink === null) untold += count
      else if (outcome.error === null) {
        const baseOffset = outcome.baseOffset < 0 ? -1 : outcome.baseOffset + first
        sink.delivered(this.queue.partition, baseOffset, count, outcome.logAppendTimeMs)
      } else if (outcome.recordErrors === undefined) sink.failed(count, outcome.error)
      else
        for (let index = first; index < first + count; index++)
          sink.failed(1, outcome.recordErrors.get(index) ?? outcome.error)
      first += count
    }
    return untold
  }

  #counted(count: number, sink: DeliverySink | null): void {
    this.#recordCount += count
    const last = this.#runs.at(-1)
    if (last !== undefined && last.sink === sink) last.count += count
    else this.#runs.push({ sink, count })
  }

  *#sinks(): Generator<DeliverySink | null, undefined> {
    for (const { sink, count } of this.#runs) for (let index = 0; index < count; index++) yield sink
    return undefined
  }
}
