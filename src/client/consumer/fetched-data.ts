/**
 * What one answer brought of one partition, taken out piece by piece: batches are checked and opened as the user gets to them.
 * What the user never gets is passed over: what lies before the position, markers of transactions, and, where only what is
 * committed is read, the records of aborted transactions.
 */
import { MalformedBytesError } from '#base'
import { Codec, LegacyMessage, RecordBatchView, RecordCursor, batchesOf, readControlRecord } from '#protocol/records'

import { KafkaError } from '../errors.ts'
import { BatchedRecord, LegacyRecord, type ConsumerRecord, type RecordSource } from './record.ts'
import { keyOf, type TopicPartition } from './topic-partition.ts'

export interface AbortedTransaction {
  readonly producerId: number
  /** Of its first record in this partition. */
  readonly firstOffset: number
}

export interface FetchedDataOptions extends TopicPartition {
  readonly bytes: Uint8Array
  /** What was asked for; a batch may begin before it. */
  readonly fetchOffset: number
  /** Null: everything is read. */
  readonly abortedTransactions: readonly AbortedTransaction[] | null
  /** `check.crcs` */
  readonly checkCrcs: boolean
}

/** Decompressed bytes of one batch at most: beyond a gigabyte it is a bomb rather than a batch. */
const DECOMPRESSED_BYTES_MAX = 2 ** 30

/** A record that cannot be read. The consumer stays before it, and `seek` goes past it. */
export class RecordCorruptedError extends KafkaError implements TopicPartition {
  override name = 'RecordCorruptedError'
  readonly topic: string
  readonly partition: number
  /** Where the batch begins that cannot be read. */
  readonly offset: number

  constructor({ topic, partition }: TopicPartition, offset: number, reason: string, cause?: unknown) {
    super(`${topic}-${partition} cannot be read at offset ${offset}: ${reason}`, { cause })
    this.topic = topic
    this.partition = partition
    this.offset = offset
  }
}

export class FetchedData {
  readonly sizeInBytes: number
  /** Where the next take begins. After all has been taken it lies behind the last batch. */
  nextOffset: number
  /** Leader epoch of the last batch that was opened or passed; -1 if not known. */
  epoch = -1
  /** Where the next fetch begins. */
  readonly endOffset: number
  readonly #options: FetchedDataOptions
  readonly #batches: Iterator<RecordBatchView>
  #open: OpenBatch | null = null
  #isExhausted = false
  #failure: RecordCorruptedError | null = null
  /** The next batch, already looked at. */
  #pending: RecordBatchView | null = null
  /** Sorted by first offset; from the front those go into `#aborted` that the batches have reached. */
  readonly #abortedToCome: AbortedTransaction[]
  readonly #aborted = new Set<number>()

  constructor(options: FetchedDataOptions) {
    this.#options = options
    this.sizeInBytes = options.bytes.length
    this.nextOffset = options.fetchOffset
    this.#batches = batchesOf(options.bytes)
    this.#abortedToCome = [...(options.abortedTransactions ?? [])].sort((a, b) => a.firstOffset - b.firstOffset)
    this.endOffset = this.#findEnd()
  }

  /** Nothing is left to take. */
  get isExhausted(): boolean {
    return this.#isExhausted
  }

  /** At most so many records; fewer at the end, and before one that cannot be read. Throws `RecordCorruptedError` there, at each call. */
  take(countMax: number): ConsumerRecord[] {
    if (this.#failure !== null) throw this.#failure
    const records: ConsumerRecord[] = []
    try {
      while (records.length < countMax) {
        this.#open ??= this.#openNext()
        if (this.#open === null) break
        const open = this.#open
        this.#guard(open, () => this.#takeFrom(open, records, countMax))
      }
    } catch (error) {
      if (!(error instanceof RecordCorruptedError)) throw error
      this.#failure = error
      // What lies before it is sound, and goes out first.
      if (records.length === 0) throw error
    }
    return records
  }

  #takeFrom(open: OpenBatch, records: ConsumerRecord[], countMax: number): void {
    while (records.length < countMax) {
      const record = open.next()
      if (record === null) {
        this.nextOffset = Math.max(this.nextOffset, open.nextOffset)
        this.#open = null
        return
      }
      if (record.offset < this.nextOffset) continue
      records.push(record)
      this.nextOffset = record.offset + 1
    }
    // The last record of a batch is followed by what compaction or the batch's own end leaves empty.
    if (open.isAtEnd) {
      this.nextOffset = Math.max(this.nextOffset, open.nextOffset)
      this.#open = null
      this.#pending ??= this.#advance()
    }
  }

  #advance(): RecordBatchView | null {
    const step = this.#guard({ baseOffset: this.nextOffset }, () => this.#batches.next())
    if (step.done === true) this.#isExhausted = true
    return step.done === true ? null : step.value
  }

  #openNext(): OpenBatch | null {
    for (;;) {
      const batch = (this.#pending ??= this.#advance())
      if (batch === null) return null
      const open = this.#openBatch(batch)
      this.#pending = null
      if (open !== null) return open
    }
  }

  /** Null: the batch has nothing for the user, and the position passes it. */
  #openBatch(batch: RecordBatchView): OpenBatch | null {
    if (batch.magic < 2) return this.#guard(batch, () => OpenLegacy.of(batch, this.#options))
    if (batch.lastOffset < this.nextOffset) return null
    if (this.#options.checkCrcs && !batch.hasValidCrc())
      throw this.#corrupted(batch.baseOffset, 'its checksum does not fit its content')
    this.epoch = batch.partitionLeaderEpoch
    if (this.#isLeftOut(batch)) {
      this.nextOffset = batch.nextOffset
      return null
    }
    return this.#guard(batch, () => new OpenBatchView(batch, this.#options))
  }

  /** As KIP-98 tells: a producer's records are aborted from the first offset given up to its abort marker. */
  #isLeftOut(batch: RecordBatchView): boolean {
    if (this.#options.abortedTransactions === null) return batch.isControl
    while (this.#abortedToCome.length > 0 && this.#abortedToCome[0]!.firstOffset <= batch.lastOffset)
      this.#aborted.add(this.#abortedToCome.shift()!.producerId)
    if (batch.isControl) {
      const [marker] = this.#guard(batch, () => batch.records(DECOMPRESSED_BYTES_MAX))
      if (marker !== undefined && readControlRecord(marker).type === 'abort') this.#aborted.delete(batch.producerId)
      return true
    }
    return batch.isTransactional && this.#aborted.has(batch.producerId)
  }

  #guard<T>(batch: { baseOffset: number }, read: () => T): T {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error
      throw this.#corrupted(batch.baseOffset, error.message, error)
    }
  }

  #corrupted(offset: number, reason: string, cause?: unknown): RecordCorruptedError {
    return new RecordCorruptedError(this.#options, Math.max(offset, this.nextOffset), reason, cause)
  }

  #findEnd(): number {
    let end = this.#options.fetchOffset
    try {
      for (const batch of batchesOf(this.#options.bytes)) {
        const next = batch.magic < 2 ? batch.baseOffset + 1 : batch.nextOffset
        end = Math.max(end, next)
      }
    } catch (error) {
      // What cannot be walked is told when the user gets there.
      if (!(error instanceof MalformedBytesError)) throw error
    }
    return end
  }

  toString(): string {
    return `${keyOf(this.#options)} from ${this.nextOffset} to ${this.endOffset}`
  }
}

/** A batch whose records are being taken. */
interface OpenBatch {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly isAtEnd: boolean
  /** Null at the end. Throws `MalformedBytesError`. */
  next(): ConsumerRecord | null
}

class OpenBatchView implements OpenBatch {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly #cursor: RecordCursor
  readonly #source: RecordSource
  readonly #base: { isLogAppendTime: boolean; exact: bigint }
  readonly #timestamp: number
  #left: number

  constructor(batch: RecordBatchView, { topic, partition }: TopicPartition) {
    this.baseOffset = batch.baseOffset
    this.nextOffset = batch.nextOffset
    this.#cursor = batch.cursor(DECOMPRESSED_BYTES_MAX)
    this.#left = batch.recordCount
    const isLogAppendTime = batch.timestampType === 'LogAppendTime'
    this.#base = { isLogAppendTime, exact: isLogAppendTime ? batch.maxTimestampExact : batch.baseTimestampExact }
    this.#timestamp = isLogAppendTime ? batch.maxTimestamp : batch.baseTimestamp
    this.#source = { topic, partition, leaderEpoch: batch.partitionLeaderEpoch }
  }

  get isAtEnd(): boolean {
    return this.#left <= 0
  }

  next(): ConsumerRecord | null {
    if (this.#left <= 0) return null
    const cursor = this.#cursor
    cursor.next()
    this.#left--
    const timestamp = this.#base.isLogAppendTime ? this.#timestamp : this.#timestamp + cursor.timestampDelta
    return new BatchedRecord(cursor, this.baseOffset + cursor.offsetDelta, timestamp, this.#base, this.#source)
  }
}

/** An old message, or the messages inside an old wrapper. */
class OpenLegacy implements OpenBatch {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly #records: readonly ConsumerRecord[]
  #index = 0

  private constructor(records: readonly ConsumerRecord[], lastOffset: number) {
    this.#records = records
    this.baseOffset = records[0]?.offset ?? lastOffset
    this.nextOffset = lastOffset + 1
  }

  static of(batch: RecordBatchView, { topic, partition }: TopicPartition): OpenLegacy {
    const source = { topic, partition, leaderEpoch: -1 }
    const message = new LegacyMessage(batch.bytes, batch.position)
    if (message.codec === Codec.none)
      return new OpenLegacy([new LegacyRecord(message, message.offset, message.timestampExact, source)], message.offset)
    const inner = message.inner(DECOMPRESSED_BYTES_MAX)
    // In magic 1 the wrapper has the last one's offset and the inner ones count from 0 (KIP-31); in magic 0 all are absolute.
    const shift = message.magic === 0 ? 0 : message.offset - (inner.at(-1)?.offset ?? 0)
    const isLogAppendTime = message.timestampType === 'LogAppendTime'
    const records = inner.map(
      (each) =>
        new LegacyRecord(
          each,
          each.offset + shift,
          isLogAppendTime ? message.timestampExact : each.timestampExact,
          source,
        ),
    )
    return new OpenLegacy(records, message.offset)
  }

  get isAtEnd(): boolean {
    return this.#index >= this.#records.length
  }

  next(): ConsumerRecord | null {
    return this.#records[this.#index++] ?? null
  }
}
