/**
 * Message sets of magic 0 and 1, as producers before 0.11 send them; big-endian:
 *
 *      0  offset      8   in a set on its way to the broker: arbitrary
 *      8  size        4   bytes behind this field
 *     12  crc         4   CRC-32 (IEEE) of everything from `magic` on
 *     16  magic       1
 *     17  attributes  1   codec 0-2; in magic 1 bit 3 log append time
 *     18  timestamp   8   magic 1 only
 *         key length int32 (-1 null), key; value length int32 (-1 null), value
 *
 * A compressed message is a wrapper whose value is a message set; its inner messages of magic 1 count their offsets from
 * 0, and the wrapper has the last one's offset (KIP-31).
 */
import { MalformedBytesError } from '#base'

import { entrySizeAt, type TimestampType } from './batch.ts'
import { Codec, isCodec } from './codec.ts'
import { decompress } from './compression.ts'
import * as layout from './layout.ts'
import { zlib } from './zlib.ts'

const { getBigInt64, getInt32, getInt64 } = layout

const CRC_AT = 12
const ATTRIBUTES_AT = 17
const TIMESTAMP_AT = 18
/** Where the key's length stands, by magic. */
const KEY_LENGTH_AT = [18, 26] as const

/** A checksum that does not fit its message. */
export class CorruptMessageError extends MalformedBytesError {
  override name = 'CorruptMessageError'
}

/** One message as a view over the bytes that hold it. */
export class LegacyMessage {
  readonly bytes: Uint8Array
  readonly position: number
  readonly sizeInBytes: number
  readonly #keyAt: number
  readonly #keyLength: number
  readonly #valueAt: number
  readonly #valueLength: number

  /**
   * Throws `CorruptMessageError` when the checksum is wrong, and another `MalformedBytesError` when a length leads out of the
   * message all the same. The entry must lie whole in `bytes`.
   */
  constructor(bytes: Uint8Array, position: number) {
    this.bytes = bytes
    this.position = position
    this.sizeInBytes = entrySizeAt(bytes, position)
    const end = position + this.sizeInBytes
    const magic = this.magic
    if (magic !== 0 && magic !== 1)
      throw new MalformedBytesError(`a message of magic ${magic} inside an old message set`)
    checkCrc(bytes, position, end)
    this.#keyAt = position + KEY_LENGTH_AT[magic] + 4
    this.#keyLength = lengthAt(bytes, this.#keyAt - 4, end)
    this.#valueAt = this.#keyAt + Math.max(this.#keyLength, 0) + 4
    this.#valueLength = lengthAt(bytes, this.#valueAt - 4, end)
    if (this.#valueAt + Math.max(this.#valueLength, 0) !== end)
      throw new MalformedBytesError('a message is longer than what it holds')
  }

  get offset(): number {
    return getInt64(this.bytes, this.position)
  }

  get magic(): number {
    return (this.bytes[this.position + layout.MAGIC_AT]! << 24) >> 24
  }

  /** 4 to 7 are no codec here: zstd is younger than these formats. */
  get codec(): Codec {
    return (this.bytes[this.position + ATTRIBUTES_AT]! & layout.CODEC_MASK) as Codec
  }

  get timestampType(): TimestampType {
    const hasBit = (this.bytes[this.position + ATTRIBUTES_AT]! & layout.LOG_APPEND_TIME_BIT) !== 0
    return this.magic === 1 && hasBit ? 'LogAppendTime' : 'CreateTime'
  }

  /** -1 in magic 0. */
  get timestamp(): number {
    return this.magic === 0 ? layout.NONE : getInt64(this.bytes, this.position + TIMESTAMP_AT)
  }
  get timestampExact(): bigint {
    return this.magic === 0 ? BigInt(layout.NONE) : getBigInt64(this.bytes, this.position + TIMESTAMP_AT)
  }

  get key(): Uint8Array | null {
    return this.#keyLength < 0 ? null : this.bytes.subarray(this.#keyAt, this.#keyAt + this.#keyLength)
  }

  get value(): Uint8Array | null {
    return this.#valueLength < 0 ? null : this.bytes.subarray(this.#valueAt, this.#valueAt + this.#valueLength)
  }

  /**
   * The messages that a wrapper holds. Throws `MalformedBytesError` when they are not sound, or when more than `bytesMax` bytes come out.
   */
  inner(bytesMax: number): LegacyMessage[] {
    const value = this.value
    if (value === null) throw new MalformedBytesError('a compressed message has no value')
    if (!isCodec(this.codec) || this.codec === Codec.zstd)
      throw new MalformedBytesError(`codec ${this.codec} does not exist in magic ${this.magic}`)
    const set = decompress(this.codec, value, bytesMax, { ignoreLz4HeaderChecksum: this.magic === 0 })
    return legacyMessagesOf(set)
  }
}

function checkCrc(bytes: Uint8Array, position: number, end: number): void {
  const stated = getInt32(bytes, position + CRC_AT) >>> 0
  if (zlib().crc32(bytes.subarray(position + layout.MAGIC_AT, end)) !== stated)
    throw new CorruptMessageError(`the checksum of a message is not ${stated}`)
}

function lengthAt(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 > end) throw new MalformedBytesError('a message ends before its content')
  const length = getInt32(bytes, at)
  if (length < -1 || length > end - at - 4) throw new MalformedBytesError(`a field of ${length} bytes does not fit`)
  return length
}

/** The messages that lie whole in `bytes`, wrappers not opened; a cut last one is left out. Throws `MalformedBytesError`. */
export function legacyMessagesOf(bytes: Uint8Array): LegacyMessage[] {
  const messages: LegacyMessage[] = []
  let position = 0
  while (bytes.length - position > layout.MAGIC_AT) {
    const size = entrySizeAt(bytes, position)
    if (position + size > bytes.length) break
    messages.push(new LegacyMessage(bytes, position))
    position += size
  }
  return messages
}
