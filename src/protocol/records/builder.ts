import { assert, crc32c, encodeUtf8, utf8Length } from '#base'

import type { TimestampType } from './batch.ts'
import { Codec } from './codec.ts'
import { compress } from './compression.ts'
import * as layout from './layout.ts'
import type { RecordHeader } from './record.ts'

const { setInt16, setInt32, setInt64 } = layout

export interface NewRecord {
  /** In ms since the epoch; a bigint where it may lie beyond 2^53. -1: none. */
  timestamp: number | bigint
  key?: Uint8Array | null
  value: Uint8Array | null
  headers?: readonly RecordHeader[]
}

/** Values that lie in one piece of memory, as the lines of a file do. */
export interface PackedValues {
  readonly bytes: Uint8Array
  /** Two numbers for each value: where it begins in `bytes`, and where it ends. */
  readonly bounds: Int32Array
  readonly count: number
}

/** Who wrote a batch, for idempotence and transactions; -1 each: nobody says. */
export interface ProducerStamp {
  producerId?: number
  producerEpoch?: number
  baseSequence?: number
}

export interface BatchOptions extends ProducerStamp {
  codec?: Codec
  /** See `compress`. */
  compressionLevel?: number | undefined
  /** Offset of the first record; 0 as clients send it. */
  baseOffset?: number
  partitionLeaderEpoch?: number
  isTransactional?: boolean
  isControl?: boolean
  timestampType?: TimestampType
  /** What every record's timestamp becomes when the type is `LogAppendTime`, in ms. */
  logAppendTimeMs?: number
  /** Bytes to begin with; the buffer grows as needed. */
  capacity?: number
}

const NO_HEADERS: readonly RecordHeader[] = []
/** Up to here a loop is faster than `set`. */
const SHORT_BYTES_MAX = 32
/** Up to here words are. */
const WORDS_BYTES_MAX = 160
/** Of a key that is null: the varint of -1. */
const NULL_LENGTH = 1

/** Builds one batch of magic 2, record by record. */
export class RecordBatchBuilder {
  readonly #options: BatchOptions
  #bytes: Uint8Array
  #position = layout.BATCH_HEADER_BYTES
  #count = 0
  #lastOffsetDelta = -1
  #baseTimestamp: number | bigint = layout.NONE
  #maxTimestamp: number | bigint = layout.NONE

  constructor(options: BatchOptions = {}) {
    this.#options = options
    this.#bytes = new Uint8Array(options.capacity ?? 1024)
  }

  get recordCount(): number {
    return this.#count
  }

  /** Size of the batch so far, before compression. */
  get sizeInBytes(): number {
    return this.#position
  }

  /** Whether the batch, before compression, stays within `bytesMax` with this record in it. */
  hasRoomFor(record: NewRecord, bytesMax: number): boolean {
    const delta = this.#count === 0 ? 0 : deltaOf(record.timestamp, this.#baseTimestamp)
    const bodyBytes = bodySize(record, delta, this.#lastOffsetDelta + 1)
    return this.#position + varintSize(bodyBytes) + bodyBytes <= bytesMax
  }

  /** Adds a record, behind the former one or, where compaction left gaps, further on. */
  append(record: NewRecord, offsetDelta = this.#lastOffsetDelta + 1): void {
    assert(offsetDelta > this.#lastOffsetDelta, 'records of a batch ascend by offset')
    if (this.#count === 0) this.#baseTimestamp = record.timestamp
    const delta = deltaOf(record.timestamp, this.#baseTimestamp)
    const bodyBytes = bodySize(record, delta, offsetDelta)
    this.#makeRoom(varintSize(bodyBytes) + bodyBytes)
    this.#varint(bodyBytes)
    this.#writeBody(record, delta, offsetDelta)
    this.#count += 1
    this.#lastOffsetDelta = offsetDelta
    if (record.timestamp > this.#maxTimestamp) this.#maxTimestamp = record.timestamp
  }

  /**
   * Adds values as records without key and headers, from the `from`-th on, as long as the batch, before compression, stays within
   * `bytesMax`. Returns how many. It does what `append` does for each, and makes nothing per record.
   */
  appendValues(values: PackedValues, from: number, timestamp: number, bytesMax: number): number {
    if (this.#count === 0) this.#baseTimestamp = timestamp
    const delta = deltaOf(timestamp, this.#baseTimestamp)
    // Months apart: that is for another batch.
    if (delta !== Number(delta) >> 0) return 0
    this.#makeRoom(bytesMax - this.#position)
    const { bounds, count } = values
    const copy = copierOf(values.bytes, this.#bytes)
    const bytes = this.#bytes
    // Attributes, the key that is none, and the number of headers take a byte each.
    const fixedBytes = 3 + varintSize(delta)
    const firstDelta = this.#lastOffsetDelta + 1 - from
    let at = this.#position
    let next = from
    for (; next < count; next++) {
      const start = bounds[2 * next]!
      const valueBytes = bounds[2 * next + 1]! - start
      const offsetDelta = firstDelta + next
      const bodyBytes = fixedBytes + varintSize(offsetDelta) + varintSize(valueBytes) + valueBytes
      if (at + varintSize(bodyBytes) + bodyBytes > bytesMax) break
      at = putVarint(bytes, at, bodyBytes)
      bytes[at++] = 0
      at = putVarint(bytes, at, delta)
      at = putVarint(bytes, at, offsetDelta)
      bytes[at++] = NULL_LENGTH
      at = putVarint(bytes, at, valueBytes)
      copy(start, valueBytes, at)
      at += valueBytes
      bytes[at++] = 0
    }
    if (next === from) return 0
    this.#position = at
    this.#count += next - from
    this.#lastOffsetDelta = firstDelta + next - 1
    if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp
    return next - from
  }

  /** The finished batch. A producer that learns its sequence last gives it here. The builder must not be used afterwards. */
  build(producer: Readonly<ProducerStamp> = this.#options): Uint8Array {
    const options = this.#options
    const batch = this.#withCompressedRecords(options.codec ?? Codec.none)
    setInt64(batch, layout.BASE_OFFSET_AT, options.baseOffset ?? 0)
    setInt32(batch, layout.BATCH_LENGTH_AT, batch.length - layout.ENTRY_PREFIX_BYTES)
    setInt32(batch, layout.PARTITION_LEADER_EPOCH_AT, options.partitionLeaderEpoch ?? layout.NONE)
    batch[layout.MAGIC_AT] = 2
    setInt16(batch, layout.ATTRIBUTES_AT, this.#attributes())
    setInt32(batch, layout.LAST_OFFSET_DELTA_AT, this.#lastOffsetDelta)
    setInt64(batch, layout.BASE_TIMESTAMP_AT, this.#baseTimestamp)
    const isLogAppendTime = options.timestampType === 'LogAppendTime'
    const maxTimestamp = isLogAppendTime ? (options.logAppendTimeMs ?? layout.NONE) : this.#maxTimestamp
    setInt64(batch, layout.MAX_TIMESTAMP_AT, maxTimestamp)
    setInt64(batch, layout.PRODUCER_ID_AT, producer.producerId ?? layout.NONE)
    setInt16(batch, layout.PRODUCER_EPOCH_AT, producer.producerEpoch ?? layout.NONE)
    setInt32(batch, layout.BASE_SEQUENCE_AT, producer.baseSequence ?? layout.NONE)
    setInt32(batch, layout.RECORD_COUNT_AT, this.#count)
    setInt32(batch, layout.CRC_AT, crc32c(batch, layout.ATTRIBUTES_AT))
    return batch
  }

  #attributes(): number {
    const { codec = Codec.none, timestampType, isTransactional, isControl } = this.#options
    return (
      codec |
      (timestampType === 'LogAppendTime' ? layout.LOG_APPEND_TIME_BIT : 0) |
      (isTransactional ? layout.TRANSACTIONAL_BIT : 0) |
      (isControl ? layout.CONTROL_BIT : 0)
    )
  }

  #withCompressedRecords(codec: Codec): Uint8Array {
    const plain = this.#bytes.subarray(0, this.#position)
    if (codec === Codec.none) return plain
    const records = compress(codec, plain.subarray(layout.BATCH_HEADER_BYTES), {
      level: this.#options.compressionLevel,
    })
    const batch = new Uint8Array(layout.BATCH_HEADER_BYTES + records.length)
    batch.set(records, layout.BATCH_HEADER_BYTES)
    return batch
  }

  #writeBody(
    { key = null, value, headers = NO_HEADERS }: NewRecord,
    delta: number | bigint,
    offsetDelta: number,
  ): void {
    this.#bytes[this.#position++] = 0
    this.#varlong(delta)
    this.#varint(offsetDelta)
    this.#nullableBytes(key)
    this.#nullableBytes(value)
    this.#varint(headers.length)
    for (const header of headers) {
      this.#nullableBytes(encodeUtf8(header.key))
      this.#nullableBytes(header.value)
    }
  }

  #nullableBytes(bytes: Uint8Array | null): void {
    if (bytes === null) return this.#varint(-1)
    this.#varint(bytes.length)
    const at = this.#position
    if (bytes.length <= SHORT_BYTES_MAX)
      for (let index = 0; index < bytes.length; index++) this.#bytes[at + index] = bytes[index]!
    else this.#bytes.set(bytes, at)
    this.#position = at + bytes.length
  }

  #varint(value: number): void {
    this.#position = putVarint(this.#bytes, this.#position, value)
  }

  #varlong(value: number | bigint): void {
    // Within 31 bits the two encodings are the same.
    if (typeof value === 'number' && value === value >> 0) return this.#varint(value)
    const wide = BigInt(value)
    let rest = BigInt.asUintN(64, (wide << 1n) ^ (wide >> 63n))
    for (; rest > 0x7fn; rest >>= 7n) this.#bytes[this.#position++] = Number(rest & 0x7fn) | 0x80
    this.#bytes[this.#position++] = Number(rest)
  }

  #makeRoom(length: number): void {
    const needed = this.#position + length
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    grown.set(this.#bytes.subarray(0, this.#position))
    this.#bytes = grown
  }
}

/** Where the varint ends. */
function putVarint(bytes: Uint8Array, position: number, value: number): number {
  let at = position
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  for (; rest > 0x7f; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80
  bytes[at++] = rest
  return at
}

/** Copies short stretches in words of eight bytes: a third of what `set` and the view that it needs cost at 50 bytes. */
function copierOf(source: Uint8Array, target: Uint8Array): (start: number, length: number, at: number) => void {
  const from = new DataView(source.buffer, source.byteOffset, source.length)
  const to = new DataView(target.buffer, target.byteOffset, target.length)
  return (start, length, at) => {
    if (length > WORDS_BYTES_MAX) return target.set(source.subarray(start, start + length), at)
    let done = 0
    for (; done + 8 <= length; done += 8) to.setBigInt64(at + done, from.getBigInt64(start + done))
    for (; done < length; done++) target[at + done] = source[start + done]!
  }
}

/** A copy of a batch under another producer's stamp: the original may still be on its way. */
export function withProducer(batch: Uint8Array, producer: Readonly<Required<ProducerStamp>>): Uint8Array {
  const copy = batch.slice()
  setInt64(copy, layout.PRODUCER_ID_AT, producer.producerId)
  setInt16(copy, layout.PRODUCER_EPOCH_AT, producer.producerEpoch)
  setInt32(copy, layout.BASE_SEQUENCE_AT, producer.baseSequence)
  setInt32(copy, layout.CRC_AT, crc32c(copy, layout.ATTRIBUTES_AT))
  return copy
}

function deltaOf(timestamp: number | bigint, base: number | bigint): number | bigint {
  if (Number.isSafeInteger(timestamp) && Number.isSafeInteger(base)) {
    const delta = (timestamp as number) - (base as number)
    if (Number.isSafeInteger(delta)) return delta
  }
  return BigInt.asIntN(64, BigInt(timestamp) - BigInt(base))
}

/** Bytes of a record behind its length. */
function bodySize(
  { key = null, value, headers = NO_HEADERS }: NewRecord,
  delta: number | bigint,
  offsetDelta: number,
): number {
  let size = 1 + varlongSize(delta) + varintSize(offsetDelta) + nullableSize(key) + nullableSize(value)
  size += varintSize(headers.length)
  for (const header of headers) {
    const keyBytes = utf8Length(header.key)
    size += varintSize(keyBytes) + keyBytes + nullableSize(header.value)
  }
  return size
}

function nullableSize(bytes: Uint8Array | null): number {
  return bytes === null ? 1 : varintSize(bytes.length) + bytes.length
}

function varintSize(value: number): number {
  const raw = ((value << 1) ^ (value >> 31)) >>> 0
  return raw < 0x80 ? 1 : raw < 0x4000 ? 2 : raw < 0x20_0000 ? 3 : raw < 0x1000_0000 ? 4 : 5
}

function varlongSize(value: number | bigint): number {
  if (typeof value === 'number' && value === value >> 0) return varintSize(value)
  const wide = BigInt(value)
  let size = 1
  for (let rest = BigInt.asUintN(64, (wide << 1n) ^ (wide >> 63n)); rest > 0x7fn; rest >>= 7n) size += 1
  return size
}
