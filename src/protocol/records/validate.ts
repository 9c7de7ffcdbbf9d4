/**
 * What a leader checks of records before it appends them (upstream: `ProduceRequest.validateRecords`,
 * `UnifiedLog.analyzeAndValidateRecords`, `LogValidator`). Everything that a client may get wrong is answered by a
 * value; nothing here throws for what is in the bytes.
 */
import { MalformedBytesError } from '#base'

import { RecordBatchView, batchesOf, type TimestampType } from './batch.ts'
import { RecordBatchBuilder, type NewRecord } from './builder.ts'
import { Codec, isCodec } from './codec.ts'
import { DecompressedTooLargeError, RecordErrorCode } from './errors.ts'
import * as layout from './layout.ts'
import { CorruptMessageError, legacyMessagesOf, type LegacyMessage } from './legacy.ts'
import type { RecordCursor } from './record.ts'

export interface ValidationRules {
  /** Clients may write neither control batches nor anything but offsets from 0 on; coordinators may. */
  origin: 'client' | 'coordinator'
  /** `cleanup.policy` has `compact`: every record needs a key. */
  isCompacted: boolean
  /** `message.timestamp.type`. */
  timestampType: TimestampType
  /** `message.timestamp.before.max.ms` and `after.max.ms`; beyond 2^53: no bound. */
  timestampBeforeMaxMs: number
  timestampAfterMaxMs: number
  /** `compression.type`: a codec to bring batches into, or whatever the producer chose. */
  compression: Codec | 'producer'
  compressionLevel?: number | undefined
  /** `max.message.bytes`, for the batch as a whole, as it arrives and as it is written. */
  batchBytesMax: number
  /** Wall clock, in ms. */
  nowMs: number
}

export type Validation = ValidBatch | RefusedRecords

export interface ValidBatch {
  kind: 'valid'
  /** Exactly one batch of magic 2. Its base offset and leader epoch are for the caller to write. */
  batch: RecordBatchView
  /** The batch lies in new memory, since the records had to be encoded anew; else it is the one given, patched in place. */
  isRewritten: boolean
}

export interface RefusedRecords {
  kind: 'refused'
  errorCode: RecordErrorCode
  message: string
  /** The records at fault, where single ones are (KIP-467); fields as in Produce's answer. */
  recordErrors: RecordError[]
}

export interface RecordError {
  batchIndex: number
  batchIndexErrorMessage: string
}

/** Enough to see what is wrong; an answer that names each of 100,000 records helps nobody. */
const RECORD_ERRORS_MAX = 1000

/** What a compressed batch may become: far above what clients make, and far below what hurts. */
const DECOMPRESSED_BYTES_MAX = 32 * 1024 * 1024
/** Large batches (a topic may allow 100 MiB) may grow in proportion. */
const DECOMPRESSED_RATIO_MAX = 16

export function decompressedBytesMax(compressedBytes: number): number {
  return Math.max(DECOMPRESSED_BYTES_MAX, compressedBytes * DECOMPRESSED_RATIO_MAX)
}

/**
 * What the version of a Produce request promises about the `records` of one partition: from 3 on exactly one batch of
 * magic 2, and zstd only from 7 on. Null when it is kept.
 */
export function checkProducedRecords(bytes: Uint8Array | null, produceVersion: number): RefusedRecords | null {
  if (produceVersion < 3) return null
  const count = countEntries(bytes ?? new Uint8Array(0), 2)
  if (typeof count === 'string') return refuse(RecordErrorCode.INVALID_RECORD, count)
  if (count !== 1) return refuse(RecordErrorCode.INVALID_RECORD, 'a partition needs exactly one whole batch')
  const batch = new RecordBatchView(bytes!)
  if (batch.magic !== 2) return refuse(RecordErrorCode.INVALID_RECORD, `magic ${batch.magic} instead of 2`)
  if (produceVersion < 7 && batch.codec === Codec.zstd)
    return refuse(RecordErrorCode.UNSUPPORTED_COMPRESSION_TYPE, 'zstd needs version 7 of Produce')
  return null
}

/** How many whole entries there are, not counting beyond `max`; or what is wrong with one of them. */
function countEntries(bytes: Uint8Array, max: number): number | string {
  try {
    let count = 0
    for (const _ of batchesOf(bytes)) if (++count === max) break
    return count
  } catch (error) {
    if (error instanceof MalformedBytesError) return error.message
    throw error
  }
}

/**
 * Checks the records of one partition, of any format, and makes them the one batch that the leader appends: patched
 * in place as a rule; encoded anew where their format is old, the topic has a codec of its own, or a compressed batch
 * counts its offsets wrongly.
 */
export function validateBatch(bytes: Uint8Array, rules: ValidationRules): Validation {
  try {
    const count = countEntries(bytes, 2)
    if (typeof count === 'string') return refuse(RecordErrorCode.CORRUPT_MESSAGE, count)
    if (count === 0) return refuse(RecordErrorCode.INVALID_RECORD, 'there is no whole batch')
    const first = new RecordBatchView(bytes)
    if (first.magic < 0 || first.magic > 2)
      return refuse(RecordErrorCode.INVALID_RECORD, `magic ${first.magic} is not known`)
    if (first.magic < 2) return validateMessageSet(bytes, rules)
    if (count > 1) return refuse(RecordErrorCode.INVALID_RECORD, 'there is more than one batch')
    return validateOneBatch(first, rules)
  } catch (error) {
    return refusalOf(error)
  }
}

function refusalOf(error: unknown): RefusedRecords {
  // Smaller batches may pass, and clients answer this code by splitting theirs.
  if (error instanceof DecompressedTooLargeError) return refuse(RecordErrorCode.MESSAGE_TOO_LARGE, error.message)
  if (error instanceof CorruptMessageError) return refuse(RecordErrorCode.CORRUPT_MESSAGE, error.message)
  if (error instanceof MalformedBytesError) return refuse(RecordErrorCode.INVALID_RECORD, error.message)
  throw error
}

function refuse(errorCode: RecordErrorCode, message: string, recordErrors: RecordError[] = []): RefusedRecords {
  return { kind: 'refused', errorCode, message, recordErrors }
}

function validateOneBatch(batch: RecordBatchView, rules: ValidationRules): Validation {
  const refused = checkHeader(batch, rules)
  if (refused !== null) return refused
  const cursor = batch.cursor(decompressedBytesMax(batch.sizeInBytes))
  const recordErrors = new RecordErrors()
  const { maxDelta, offsetsAscend } = walk(batch, cursor, rules, recordErrors)
  if (!recordErrors.isEmpty) return recordErrors.refusal()
  if (!offsetsAscend && batch.codec === Codec.none)
    return refuse(RecordErrorCode.INVALID_RECORD, 'the offsets of the records are not 0, 1, 2, …')
  const codec = rules.compression === 'producer' ? batch.codec : rules.compression
  if (!offsetsAscend || codec !== batch.codec) return encodeAnew(batch, codec, rules)
  stamp(batch, maxDelta, rules)
  return { kind: 'valid', batch, isRewritten: false }
}

function checkHeader(batch: RecordBatchView, { origin, batchBytesMax }: ValidationRules): RefusedRecords | null {
  const { INVALID_RECORD, MESSAGE_TOO_LARGE, CORRUPT_MESSAGE } = RecordErrorCode
  const isClient = origin === 'client'
  if (isClient && batch.baseOffset !== 0) return refuse(INVALID_RECORD, `base offset ${batch.baseOffset} instead of 0`)
  if (batch.sizeInBytes > batchBytesMax)
    return refuse(MESSAGE_TOO_LARGE, `a batch of ${batch.sizeInBytes} bytes, where ${batchBytesMax} are allowed`)
  if (!batch.hasValidCrc()) return refuse(CORRUPT_MESSAGE, 'the checksum of the batch is wrong')
  if (!isCodec(batch.codec)) return refuse(INVALID_RECORD, `codec ${batch.codec as number} does not exist`)
  const { recordCount, lastOffsetDelta } = batch
  if (recordCount <= 0 || lastOffsetDelta !== recordCount - 1)
    return refuse(INVALID_RECORD, `${recordCount} records, and the last has the number ${lastOffsetDelta}`)
  if (isClient && batch.isControl) return refuse(INVALID_RECORD, 'clients may not write control records')
  return isClient ? checkProducer(batch) : null
}

function checkProducer(batch: RecordBatchView): RefusedRecords | null {
  const { producerId, producerEpoch, baseSequence } = batch
  if (producerId < layout.NONE) return refuse(RecordErrorCode.INVALID_RECORD, `producer id ${producerId} is negative`)
  if (!batch.hasProducerId)
    return batch.isTransactional
      ? refuse(RecordErrorCode.INVALID_RECORD, 'a transactional batch without producer id')
      : null
  if (producerEpoch < 0 || baseSequence < 0)
    return refuse(
      RecordErrorCode.INVALID_RECORD,
      `producer ${producerId} with epoch ${producerEpoch}, sequence ${baseSequence}`,
    )
  return null
}

/** Passes every record, and collects what is wrong with single ones. Throws `MalformedBytesError`. */
function walk(
  batch: RecordBatchView,
  cursor: RecordCursor,
  rules: ValidationRules,
  recordErrors: RecordErrors,
): { maxDelta: bigint | number; offsetsAscend: boolean } {
  const count = batch.recordCount
  const check = recordCheck(batch, rules)
  const { baseTimestamp } = batch
  let maxDelta: bigint | number = 0
  let offsetsAscend = true
  for (let index = 0; index < count; index++) {
    cursor.next()
    if (cursor.offsetDelta !== index) offsetsAscend = false
    const delta = cursor.timestampDelta
    if (index === 0 || delta > maxDelta) maxDelta = Number.isSafeInteger(delta) ? delta : cursor.timestampDeltaExact()
    if (check !== null) {
      const error = check(cursor.keyLength >= 0, baseTimestamp + delta)
      if (error !== null) recordErrors.add(index, error)
    }
  }
  if (cursor.remaining !== 0)
    throw new MalformedBytesError(`${cursor.remaining} bytes follow the ${count} records that the batch states`)
  return { maxDelta, offsetsAscend }
}

interface RecordFault {
  errorCode: RecordErrorCode
  message: string
}
type RecordCheck = (hasKey: boolean, timestamp: number) => RecordFault | null

/** What each record of the batch must keep; null when there is nothing that one could break. */
function recordCheck(
  batch: { timestampType: TimestampType; maxTimestamp: number },
  rules: ValidationRules,
): RecordCheck | null {
  const isStamped = batch.timestampType === 'LogAppendTime'
  const isCreateTime = rules.timestampType === 'CreateTime'
  const earliest = rules.nowMs - rules.timestampBeforeMaxMs
  const latest = rules.nowMs + rules.timestampAfterMaxMs
  const isBounded = isCreateTime && (earliest >= Number.MIN_SAFE_INTEGER || latest <= Number.MAX_SAFE_INTEGER)
  if (!rules.isCompacted && !isStamped && !isBounded) return null
  return (hasKey, createTimestamp) => {
    if (rules.isCompacted && !hasKey)
      return { errorCode: RecordErrorCode.INVALID_RECORD, message: 'a record of a compacted topic needs a key' }
    const timestamp = isStamped ? batch.maxTimestamp : createTimestamp
    if (isCreateTime && timestamp !== layout.NONE) {
      if (timestamp >= earliest && timestamp <= latest) return null
      const message = `timestamp ${timestamp} lies outside [${earliest}, ${latest}]`
      return { errorCode: RecordErrorCode.INVALID_TIMESTAMP, message }
    }
    if (!isStamped) return null
    return { errorCode: RecordErrorCode.INVALID_TIMESTAMP, message: 'a producer may not set log append time' }
  }
}

class RecordErrors {
  readonly #errors: RecordError[] = []
  #isTimestamp = false

  get isEmpty(): boolean {
    return this.#errors.length === 0
  }

  add(index: number, { errorCode, message }: RecordFault): void {
    if (errorCode === RecordErrorCode.INVALID_TIMESTAMP) this.#isTimestamp = true
    if (this.#errors.length < RECORD_ERRORS_MAX)
      this.#errors.push({ batchIndex: index, batchIndexErrorMessage: message })
  }

  refusal(): RefusedRecords {
    const [errorCode, message] = this.#isTimestamp
      ? ([RecordErrorCode.INVALID_TIMESTAMP, 'the timestamps of some records are not allowed'] as const)
      : ([RecordErrorCode.INVALID_RECORD, 'some records are not valid'] as const)
    return refuse(errorCode, `${message}: ${this.#errors[0]!.batchIndexErrorMessage}`, this.#errors)
  }
}

/** Writes log append time, or the maximum of the records' timestamps where the producer states another. */
function stamp(batch: RecordBatchView, maxDelta: bigint | number, { timestampType, nowMs }: ValidationRules): void {
  if (timestampType === 'LogAppendTime') return batch.setLogAppendTime(nowMs)
  if (batch.timestampType === 'LogAppendTime') return batch.setMaxTimestamp(batch.maxTimestampExact)
  const sum = typeof maxDelta === 'number' ? batch.baseTimestamp + maxDelta : Number.NaN
  if (Number.isSafeInteger(sum)) {
    const max = Math.max(sum, layout.NONE)
    if (batch.maxTimestamp !== max) batch.setMaxTimestamp(max)
    return
  }
  const exact = BigInt.asIntN(64, batch.baseTimestampExact + BigInt(maxDelta))
  const max = exact > layout.NONE ? exact : BigInt(layout.NONE)
  if (batch.maxTimestampExact !== max) batch.setMaxTimestamp(max)
}

function encodeAnew(batch: RecordBatchView, codec: Codec, rules: ValidationRules): Validation {
  const builder = new RecordBatchBuilder({
    codec,
    compressionLevel: rules.compressionLevel,
    producerId: batch.producerId,
    producerEpoch: batch.producerEpoch,
    baseSequence: batch.baseSequence,
    isTransactional: batch.isTransactional,
    isControl: batch.isControl,
    timestampType: rules.timestampType,
    logAppendTimeMs: rules.nowMs,
    capacity: batch.sizeInBytes,
  })
  for (const record of batch.records(decompressedBytesMax(batch.sizeInBytes)))
    builder.append({
      timestamp: Number.isSafeInteger(record.timestamp) ? record.timestamp : record.timestampExact,
      key: record.key,
      value: record.value,
      headers: record.headers,
    })
  return rewritten(builder, rules)
}

function rewritten(builder: RecordBatchBuilder, { batchBytesMax }: ValidationRules): Validation {
  const bytes = builder.build()
  if (bytes.length > batchBytesMax)
    return refuse(
      RecordErrorCode.MESSAGE_TOO_LARGE,
      `encoded anew, a batch has ${bytes.length} bytes, where ${batchBytesMax} are allowed`,
    )
  return { kind: 'valid', batch: new RecordBatchView(bytes), isRewritten: true }
}

/** Messages of magic 0 or 1: checked, and brought into one batch of magic 2. */
function validateMessageSet(bytes: Uint8Array, rules: ValidationRules): Validation {
  const shallow = legacyMessagesOf(bytes)
  const first = shallow[0]!
  for (const message of shallow) {
    if (message.sizeInBytes > rules.batchBytesMax)
      return refuse(
        RecordErrorCode.MESSAGE_TOO_LARGE,
        `a message of ${message.sizeInBytes} bytes, where ${rules.batchBytesMax} are allowed`,
      )
    if (message.magic !== first.magic) return refuse(RecordErrorCode.INVALID_RECORD, 'messages of different magic')
  }
  const wrapper = shallow.find(({ codec }) => codec !== Codec.none)
  if (wrapper === undefined) return convert(shallow, first, Codec.none, rules)
  if (shallow.length > 1) return refuse(RecordErrorCode.INVALID_RECORD, 'more than one message beside a compressed one')
  return convert(wrapper.inner(decompressedBytesMax(wrapper.sizeInBytes)), wrapper, wrapper.codec, rules)
}

/** `outer` has the timestamp of log append time, where messages are wrapped. */
function convert(
  messages: readonly LegacyMessage[],
  outer: LegacyMessage,
  codec: Codec,
  rules: ValidationRules,
): Validation {
  if (messages.length === 0) return refuse(RecordErrorCode.INVALID_RECORD, 'a message set without messages')
  const builder = new RecordBatchBuilder({
    codec: rules.compression === 'producer' ? codec : rules.compression,
    compressionLevel: rules.compressionLevel,
    timestampType: rules.timestampType,
    logAppendTimeMs: rules.nowMs,
  })
  const recordErrors = new RecordErrors()
  const isStamped = outer.timestampType === 'LogAppendTime'
  const check = recordCheck({ timestampType: outer.timestampType, maxTimestamp: outer.timestamp }, rules)
  for (const [index, message] of messages.entries()) {
    const fault = messageFault(message, outer) ?? check?.(message.key !== null, message.timestamp) ?? null
    if (fault !== null) recordErrors.add(index, fault)
    if (recordErrors.isEmpty) builder.append(recordOf(isStamped ? outer : message, message))
  }
  return recordErrors.isEmpty ? rewritten(builder, rules) : recordErrors.refusal()
}

function messageFault(message: LegacyMessage, outer: LegacyMessage): RecordFault | null {
  if (message !== outer && message.codec !== Codec.none)
    return { errorCode: RecordErrorCode.INVALID_RECORD, message: 'a compressed message inside a compressed message' }
  if (message.magic !== outer.magic)
    return { errorCode: RecordErrorCode.INVALID_RECORD, message: `magic ${message.magic} inside magic ${outer.magic}` }
  return null
}

function recordOf(stamp: LegacyMessage, { key, value }: LegacyMessage): NewRecord {
  const timestamp = Number.isSafeInteger(stamp.timestamp) ? stamp.timestamp : stamp.timestampExact
  return { timestamp, key, value }
}
