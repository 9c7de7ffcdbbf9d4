/**
 * The bytes of a record batch of magic 2 (KIP-98), big-endian:
 *
 *      0  baseOffset            8   offset of the first record; the leader writes it
 *      8  batchLength           4   bytes behind this field
 *     12  partitionLeaderEpoch  4   the leader writes it; -1 from clients
 *     16  magic                 1   2 (older formats have theirs at the same place)
 *     17  crc                   4   CRC-32C of everything from `attributes` on
 *     21  attributes            2   codec 0-2, log append time 3, transactional 4, control 5, delete horizon 6
 *     23  lastOffsetDelta       4
 *     27  baseTimestamp         8   what the records' deltas count from
 *     35  maxTimestamp          8
 *     43  producerId            8   -1: none
 *     51  producerEpoch         2
 *     53  baseSequence          4
 *     57  recordCount           4
 *     61  records                   one block if compressed
 *
 * `baseOffset` and `partitionLeaderEpoch` lie before the checksum's range, so the leader patches them in place.
 */
export const BASE_OFFSET_AT = 0
export const BATCH_LENGTH_AT = 8
export const PARTITION_LEADER_EPOCH_AT = 12
export const MAGIC_AT = 16
export const CRC_AT = 17
export const ATTRIBUTES_AT = 21
export const LAST_OFFSET_DELTA_AT = 23
export const BASE_TIMESTAMP_AT = 27
export const MAX_TIMESTAMP_AT = 35
export const PRODUCER_ID_AT = 43
export const PRODUCER_EPOCH_AT = 51
export const BASE_SEQUENCE_AT = 53
export const RECORD_COUNT_AT = 57
/** Bytes of a batch before its records. */
export const BATCH_HEADER_BYTES = 61

/** Offset and length, which precede an entry of any format; the length counts what follows them. */
export const ENTRY_PREFIX_BYTES = 12
/** The smallest length that an entry of any format may state: a message of magic 0 without key and value (crc, magic, attributes, two lengths). */
export const ENTRY_LENGTH_MIN = 14

export const CODEC_MASK = 0x07
export const LOG_APPEND_TIME_BIT = 0x08
export const TRANSACTIONAL_BIT = 0x10
export const CONTROL_BIT = 0x20
export const DELETE_HORIZON_BIT = 0x40

/** Stands for "no timestamp", "no producer" and "no sequence" alike. */
export const NONE = -1

const HIGH_WORD = 0x1_0000_0000

export function getInt16(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) >> 16) | bytes[at + 1]!
}

export function getInt32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}

/** The nearest double: exact within ±2^53. */
export function getInt64(bytes: Uint8Array, at: number): number {
  return getInt32(bytes, at) * HIGH_WORD + (getInt32(bytes, at + 4) >>> 0)
}

export function getBigInt64(bytes: Uint8Array, at: number): bigint {
  return (BigInt(getInt32(bytes, at)) << 32n) | BigInt(getInt32(bytes, at + 4) >>> 0)
}

export function setInt16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8
  bytes[at + 1] = value
}

export function setInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 24
  bytes[at + 1] = value >> 16
  bytes[at + 2] = value >> 8
  bytes[at + 3] = value
}

export function setInt64(bytes: Uint8Array, at: number, value: number | bigint): void {
  if (typeof value === 'bigint') {
    setInt32(bytes, at, Number(BigInt.asIntN(32, value >> 32n)))
    setInt32(bytes, at + 4, Number(BigInt.asIntN(32, value)))
  } else if (Number.isSafeInteger(value)) {
    setInt32(bytes, at, Math.floor(value / HIGH_WORD))
    setInt32(bytes, at + 4, value >>> 0)
  } else setInt64(bytes, at, BigInt.asIntN(64, BigInt(value)))
}
