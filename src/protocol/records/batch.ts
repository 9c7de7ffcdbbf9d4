import { MalformedBytesError, crc32c } from '#base'

import { isCodec, type Codec } from './codec.ts'
import { decompress } from './compression.ts'
import * as layout from './layout.ts'
import { Record, RecordCursor } from './record.ts'

const { getInt16, getInt32, getInt64, getBigInt64, setInt16, setInt32, setInt64 } = layout

export type TimestampType = 'CreateTime' | 'LogAppendTime'

/**
 * A record batch of magic 2 as a view over the bytes that hold it (`layout.ts` draws them). Fields are read where they lie and
 * setters write there; the view is valid as long as those bytes are. Nothing is checked on the way: what comes from outside goes through `validateBatch` first.
 */
export class RecordBatchView {
  readonly bytes: Uint8Array
  /** Where in `bytes` the batch begins. */
  readonly position: number

  constructor(bytes: Uint8Array, position = 0) {
    this.bytes = bytes
    this.position = position
  }

  /** Offset of the first record, kept when compaction removes it. Setting it leaves the checksum valid. */
  get baseOffset(): number {
    return getInt64(this.bytes, this.position + layout.BASE_OFFSET_AT)
  }
  set baseOffset(offset: number) {
    setInt64(this.bytes, this.position + layout.BASE_OFFSET_AT, offset)
  }

  /** The whole batch, prefix included. */
  get sizeInBytes(): number {
    return layout.ENTRY_PREFIX_BYTES + getInt32(this.bytes, this.position + layout.BATCH_LENGTH_AT)
  }

  /** Epoch of the leader that appended the batch; -1 before that. Setting it leaves the checksum valid. */
  get partitionLeaderEpoch(): number {
    return getInt32(this.bytes, this.position + layout.PARTITION_LEADER_EPOCH_AT)
  }
  set partitionLeaderEpoch(epoch: number) {
    setInt32(this.bytes, this.position + layout.PARTITION_LEADER_EPOCH_AT, epoch)
  }

  get magic(): number {
    return (this.bytes[this.position + layout.MAGIC_AT]! << 24) >> 24
  }

  /** The stated checksum, unsigned. */
  get crc(): number {
    return getInt32(this.bytes, this.position + layout.CRC_AT) >>> 0
  }

  get attributes(): number {
    return getInt16(this.bytes, this.position + layout.ATTRIBUTES_AT)
  }

  /** How the records are compressed; 5 to 7 are no codec. */
  get codec(): Codec {
    return (this.attributes & layout.CODEC_MASK) as Codec
  }

  get timestampType(): TimestampType {
    return this.attributes & layout.LOG_APPEND_TIME_BIT ? 'LogAppendTime' : 'CreateTime'
  }

  get isTransactional(): boolean {
    return (this.attributes & layout.TRANSACTIONAL_BIT) !== 0
  }

  /** Holds markers of transactions instead of records of people. */
  get isControl(): boolean {
    return (this.attributes & layout.CONTROL_BIT) !== 0
  }

  /** When compaction may drop the batch's tombstones, in ms; null when the horizon is not set. It lies in the place of the base timestamp. */
  get deleteHorizonMs(): number | null {
    return this.attributes & layout.DELETE_HORIZON_BIT ? this.baseTimestamp : null
  }

  get lastOffsetDelta(): number {
    return getInt32(this.bytes, this.position + layout.LAST_OFFSET_DELTA_AT)
  }

  get lastOffset(): number {
    return this.baseOffset + this.lastOffsetDelta
  }

  /** The offset behind the batch. */
  get nextOffset(): number {
    return this.lastOffset + 1
  }

  /** The nearest double; -1 without timestamp. */
  get baseTimestamp(): number {
    return getInt64(this.bytes, this.position + layout.BASE_TIMESTAMP_AT)
  }
  get baseTimestampExact(): bigint {
    return getBigInt64(this.bytes, this.position + layout.BASE_TIMESTAMP_AT)
  }

  /** The nearest double; -1 without timestamp. */
  get maxTimestamp(): number {
    return getInt64(this.bytes, this.position + layout.MAX_TIMESTAMP_AT)
  }
  get maxTimestampExact(): bigint {
    return getBigInt64(this.bytes, this.position + layout.MAX_TIMESTAMP_AT)
  }

  /** -1: none. */
  get producerId(): number {
    return getInt64(this.bytes, this.position + layout.PRODUCER_ID_AT)
  }

  get hasProducerId(): boolean {
    return this.producerId > layout.NONE
  }

  get producerEpoch(): number {
    return getInt16(this.bytes, this.position + layout.PRODUCER_EPOCH_AT)
  }

  /** The producer's number of the first record; -1: none. */
  get baseSequence(): number {
    return getInt32(this.bytes, this.position + layout.BASE_SEQUENCE_AT)
  }

  /** The producer's number of the last record, wrapped; -1: none. */
  get lastSequence(): number {
    const base = this.baseSequence
    return base === layout.NONE ? layout.NONE : sequenceAfter(base, this.lastOffsetDelta)
  }

  get recordCount(): number {
    return getInt32(this.bytes, this.position + layout.RECORD_COUNT_AT)
  }

  /** The batch's own bytes: a view, not a copy. */
  toBytes(): Uint8Array {
    return this.bytes.subarray(this.position, this.position + this.sizeInBytes)
  }

  /** Whether the checksum fits the content. The stated size must lie within `bytes`. */
  hasValidCrc(): boolean {
    return this.crc === this.#computeCrc()
  }

  /** For log append time: all records get this timestamp, in ms. Writes the checksum anew. */
  setLogAppendTime(timestampMs: number): void {
    this.#setTimestamp(this.attributes | layout.LOG_APPEND_TIME_BIT, timestampMs)
  }

  /** The largest timestamp of the records. Writes the checksum anew. */
  setMaxTimestamp(timestamp: number | bigint): void {
    this.#setTimestamp(this.attributes & ~layout.LOG_APPEND_TIME_BIT, timestamp)
  }

  #setTimestamp(attributes: number, timestamp: number | bigint): void {
    setInt16(this.bytes, this.position + layout.ATTRIBUTES_AT, attributes)
    setInt64(this.bytes, this.position + layout.MAX_TIMESTAMP_AT, timestamp)
    this.writeCrc()
  }

  writeCrc(): void {
    setInt32(this.bytes, this.position + layout.CRC_AT, this.#computeCrc())
  }

  #computeCrc(): number {
    return crc32c(this.bytes, this.position + layout.ATTRIBUTES_AT, this.position + this.sizeInBytes)
  }

  /**
   * A cursor before the first record; what is compressed is decompressed first.
   * Throws `MalformedBytesError`, also when more than `bytesMax` would come out.
   */
  cursor(bytesMax = Infinity): RecordCursor {
    const start = this.position + layout.BATCH_HEADER_BYTES
    const end = this.position + this.sizeInBytes
    const codec = this.codec
    if (codec === 0) return new RecordCursor(this.bytes, start, end)
    if (!isCodec(codec)) throw new MalformedBytesError(`codec ${codec as number} does not exist`)
    const records = decompress(codec, this.bytes.subarray(start, end), bytesMax)
    return new RecordCursor(records, 0, records.length)
  }

  /**
   * The records, as views into the batch or into what was decompressed. Throws `MalformedBytesError` when the
   * batch is not what it says, or when more than `bytesMax` bytes would come out of it.
   */
  records(bytesMax = Infinity): Record[] {
    const cursor = this.cursor(bytesMax)
    const count = this.recordCount
    const baseOffset = this.baseOffset
    const isLogAppendTime = this.timestampType === 'LogAppendTime'
    const base = { isLogAppendTime, exact: isLogAppendTime ? this.maxTimestampExact : this.baseTimestampExact }
    const baseTimestamp = this.baseTimestamp
    const maxTimestamp = this.maxTimestamp
    const records: Record[] = []
    for (let index = 0; index < count; index++) {
      cursor.next()
      const timestamp = isLogAppendTime ? maxTimestamp : baseTimestamp + cursor.timestampDelta
      records.push(new Record(cursor, baseOffset + cursor.offsetDelta, timestamp, base))
    }
    if (count < 0 || cursor.remaining !== 0)
      throw new MalformedBytesError(`${cursor.remaining} bytes follow the ${count} records that the batch states`)
    return records
  }
}

const SEQUENCE_MAX = 2 ** 31 - 1

/** Sequences go from 0 to 2^31 - 1 and then begin again at 0. */
export function sequenceAfter(sequence: number, increment: number): number {
  const sum = sequence + increment
  return sum > SEQUENCE_MAX ? sum - SEQUENCE_MAX - 1 : sum
}

/**
 * The batches (or, in old formats, messages) that lie whole in `bytes`, in order. A cut last one, as at the end of a Fetch
 * answer, is left out. Only sizes are looked at: one that cannot be throws `MalformedBytesError`.
 */
export function* batchesOf(bytes: Uint8Array, start = 0, end = bytes.length): Generator<RecordBatchView> {
  let position = start
  while (end - position > layout.MAGIC_AT) {
    const size = entrySizeAt(bytes, position)
    if (position + size > end) return
    yield new RecordBatchView(bytes, position)
    position += size
  }
}

/** The size that the entry states; `MAGIC_AT` + 1 bytes must be there. Throws `MalformedBytesError` when it is less than its format needs. */
export function entrySizeAt(bytes: Uint8Array, position: number): number {
  const length = getInt32(bytes, position + layout.BATCH_LENGTH_AT)
  const isBatch = bytes[position + layout.MAGIC_AT]! >= 2
  const lengthMin = isBatch ? layout.BATCH_HEADER_BYTES - layout.ENTRY_PREFIX_BYTES : layout.ENTRY_LENGTH_MIN
  if (length < lengthMin) throw new MalformedBytesError(`a batch states a length of ${length} (at byte ${position})`)
  return layout.ENTRY_PREFIX_BYTES + length
}
