/**
 * A record inside a batch of magic 2; all numbers are zig-zag varints except `attributes`:
 *
 *     length | attributes int8 (0) | timestampDelta | offsetDelta | key length (-1 null) | key
 *            | value length (-1 null) | value | header count | per header: key length, key, value length (-1 null), value
 */
import { MalformedBytesError, decodeUtf8 } from '#base'

export interface RecordHeader {
  key: string
  value: Uint8Array | null
}

/** Where a record's timestamp comes from: its batch. */
export interface TimestampBase {
  /** True: every record's timestamp is `exact`, whatever its delta. */
  readonly isLogAppendTime: boolean
  readonly exact: bigint
}

/** Up to here a loop costs no more than a view and `set`. */
const SHORT_BYTES_MAX = 64

/** One record as a view: key, value and headers are made when they are asked for, and share the batch's memory. */
export class Record {
  readonly offset: number
  /** In ms since the epoch as a rule; -1 when there is none. The nearest double; see `timestampExact`. */
  readonly timestamp: number
  readonly #bytes: Uint8Array
  /** Where the record's length field begins. */
  readonly #start: number
  readonly #base: TimestampBase
  readonly #keyAt: number
  readonly #keyLength: number
  readonly #valueAt: number
  readonly #valueLength: number
  readonly #headerCount: number

  constructor(cursor: RecordCursor, offset: number, timestamp: number, base: TimestampBase) {
    this.offset = offset
    this.timestamp = timestamp
    this.#bytes = cursor.bytes
    this.#start = cursor.start
    this.#base = base
    this.#keyAt = cursor.keyAt
    this.#keyLength = cursor.keyLength
    this.#valueAt = cursor.valueAt
    this.#valueLength = cursor.valueLength
    this.#headerCount = cursor.headerCount
  }

  get key(): Uint8Array | null {
    return this.#keyLength < 0 ? null : this.#bytes.subarray(this.#keyAt, this.#keyAt + this.#keyLength)
  }

  get value(): Uint8Array | null {
    return this.#valueLength < 0 ? null : this.#bytes.subarray(this.#valueAt, this.#valueAt + this.#valueLength)
  }

  /** Bytes of the value; -1: null. */
  get valueBytes(): number {
    return this.#valueLength
  }

  /** Puts the value into memory that has room for it, without a view of it in between. Null puts nothing. */
  copyValue(target: Uint8Array, at: number): void {
    const length = this.#valueLength
    if (length > SHORT_BYTES_MAX) return target.set(this.value!, at)
    const bytes = this.#bytes
    const from = this.#valueAt
    for (let index = 0; index < length; index++) target[at + index] = bytes[from + index]!
  }

  get headers(): RecordHeader[] {
    if (this.#headerCount === 0) return []
    const cursor = new RecordCursor(this.#bytes, this.#start, this.#bytes.length)
    cursor.next()
    return cursor.headers()
  }

  /** All 64 bits, for timestamps beyond 2^53 (nanoseconds, or a client's own count). */
  get timestampExact(): bigint {
    if (this.#base.isLogAppendTime) return this.#base.exact
    const cursor = new RecordCursor(this.#bytes, this.#start, this.#bytes.length)
    cursor.next()
    return BigInt.asIntN(64, this.#base.exact + cursor.timestampDeltaExact())
  }

  /** Bytes that the record takes inside its batch, uncompressed. */
  get sizeInBytes(): number {
    const cursor = new RecordCursor(this.#bytes, this.#start, this.#bytes.length)
    cursor.next()
    return cursor.position - this.#start
  }
}

/**
 * Walks over encoded records without making anything of them. After `next()` the fields describe the record
 * that was passed. Nothing is trusted: a length that leads outside its record throws `MalformedBytesError`.
 */
export class RecordCursor {
  readonly bytes: Uint8Array
  /** Where the next record begins. */
  position: number
  readonly end: number

  /** Where the present record begins. */
  start = 0
  /** The nearest double. */
  timestampDelta = 0
  offsetDelta = 0
  keyAt = 0
  /** -1: null. */
  keyLength = -1
  valueAt = 0
  /** -1: null. */
  valueLength = -1
  headerCount = 0
  #headersAt = 0

  constructor(bytes: Uint8Array, position: number, end: number) {
    this.bytes = bytes
    this.position = position
    this.end = end
  }

  get remaining(): number {
    return this.end - this.position
  }

  next(): void {
    this.start = this.position
    const length = this.#varint()
    const recordEnd = this.position + length
    if (length < 0 || recordEnd > this.end)
      this.#refuse(`a record of ${length} bytes, where ${this.end - this.position} remain`)
    this.position += 1 // attributes: unused
    this.timestampDelta = this.#varlong()
    this.offsetDelta = this.#varint()
    const keyLength = this.#varint()
    const keyAt = this.position
    if (keyLength < -1 || keyLength > recordEnd - keyAt) this.#refuse(`a key of ${keyLength} bytes does not fit`)
    if (keyLength > 0) this.position = keyAt + keyLength
    const valueLength = this.#varint()
    const valueAt = this.position
    if (valueLength < -1 || valueLength > recordEnd - valueAt)
      this.#refuse(`a value of ${valueLength} bytes does not fit`)
    if (valueLength > 0) this.position = valueAt + valueLength
    const headerCount = this.#varint()
    this.keyLength = keyLength
    this.keyAt = keyAt
    this.valueLength = valueLength
    this.valueAt = valueAt
    this.headerCount = headerCount
    this.#headersAt = this.position
    if (headerCount !== 0) this.#passHeaders(headerCount, recordEnd)
    if (this.position !== recordEnd)
      this.#refuse(`a record states ${length} bytes and has ${length + this.position - recordEnd}`)
  }

  /** The present record's headers. */
  headers(): RecordHeader[] {
    const after = this.position
    const headers: RecordHeader[] = []
    this.position = this.#headersAt
    for (let index = 0; index < this.headerCount; index++) {
      const keyLength = this.#varint()
      const key = decodeUtf8(this.bytes, this.position, this.position + keyLength)
      this.position += keyLength
      const valueLength = this.#varint()
      const value = valueLength < 0 ? null : this.bytes.subarray(this.position, this.position + valueLength)
      if (valueLength > 0) this.position += valueLength
      headers.push({ key, value })
    }
    this.position = after
    return headers
  }

  /** The present record's timestamp delta with all its bits. */
  timestampDeltaExact(): bigint {
    if (Number.isSafeInteger(this.timestampDelta)) return BigInt(this.timestampDelta)
    let at = this.start
    while (this.bytes[at]! > 0x7f) at += 1
    at += 2 // the length's last byte, and the attributes
    let raw = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.bytes[at++]!
      raw |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    raw = BigInt.asUintN(64, raw)
    return (raw >> 1n) ^ -(raw & 1n)
  }

  #passHeaders(count: number, recordEnd: number): void {
    // A header takes two bytes at least, so that a count that lies ends the loop early.
    if (count < 0 || count * 2 > recordEnd - this.position) this.#refuse(`${count} headers do not fit`)
    for (let index = 0; index < count; index++) {
      const keyLength = this.#lengthWithin(recordEnd, 'header key')
      if (keyLength < 0) this.#refuse('a header key is null')
      this.position += keyLength
      const valueLength = this.#lengthWithin(recordEnd, 'header value')
      if (valueLength > 0) this.position += valueLength
    }
  }

  #lengthWithin(recordEnd: number, what: string): number {
    const length = this.#varint()
    if (length < -1 || length > recordEnd - this.position) this.#refuse(`a ${what} of ${length} bytes does not fit`)
    return length
  }

  #varint(): number {
    const bytes = this.bytes
    const at = this.position
    const first = bytes[at]!
    if (first < 0x80) {
      this.position = at + 1
      return (first >>> 1) ^ -(first & 1)
    }
    const second = bytes[at + 1]!
    if (second < 0x80) {
      this.position = at + 2
      return (((first & 0x7f) >>> 1) | (second << 6)) ^ -(first & 1)
    }
    return this.#longVarint()
  }

  #longVarint(): number {
    const bytes = this.bytes
    let at = this.position
    let byte = bytes[at++]!
    let raw = byte & 0x7f
    // Past the end of the array a byte is undefined, never below 0x80: the loop ends by its bound.
    for (let shift = 7; !(byte < 0x80); shift += 7) {
      if (shift > 28) this.#refuse('a varint is longer than five bytes')
      byte = bytes[at++]!
      raw |= (byte & 0x7f) << shift
    }
    this.position = at
    return (raw >>> 1) ^ -(raw & 1)
  }

  #varlong(): number {
    const byte = this.bytes[this.position]!
    if (byte < 0x80) {
      this.position += 1
      return (byte >>> 1) ^ -(byte & 1)
    }
    return this.#longVarlong()
  }

  /** In three parts of 28, 28 and 14 bits, since doubles hold 53. */
  #longVarlong(): number {
    const low = this.#varlongPart(4)
    const middle = this.#continues ? this.#varlongPart(4) : 0
    const high = this.#continues ? this.#varlongPart(2) : 0
    if (this.#continues) this.#refuse('a varlong is longer than ten bytes')
    const negative = (low & 1) === 1
    // Half of the raw value; halving first keeps every 53-bit result exact.
    const half = (low >>> 1) + middle * 2 ** 27 + (high & 0xff) * 2 ** 55
    return negative ? -half - 1 : half
  }

  #continues = false

  #varlongPart(bytesMax: number): number {
    let part = 0
    for (let index = 0; index < bytesMax; index++) {
      const byte = this.bytes[this.position++]!
      part |= (byte & 0x7f) << (7 * index)
      this.#continues = !(byte < 0x80)
      if (!this.#continues) break
    }
    return part
  }

  #refuse(reason: string): never {
    throw new MalformedBytesError(`${reason} (record at byte ${this.start})`)
  }
}
