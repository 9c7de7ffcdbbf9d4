/**
 * Reading and writing of big-endian bytes, as Kafka and jute have them on the wire and in files.
 *
 * Nothing that is read is trusted: a length is checked against what is left before anything is made of
 * it, and a read past the end throws `MalformedBytesError`, which the connection or the file's owner catches.
 */

/** The bytes are not what the format says. The message tells what was wrong and where. */
export class MalformedBytesError extends Error {
  override name = 'MalformedBytesError'
}

const utf8Decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const utf8StrictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** 2^32, the weight of the upper half of an int64. */
const HIGH_WORD = 0x1_0000_0000

export class ByteReader {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Position of the next byte to read. Invariant: 0 ≤ position ≤ end. */
  position: number
  /** One past the last byte that may be read. */
  readonly end: number

  constructor(bytes: Uint8Array, position = 0, end = bytes.length) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.position = position
    this.end = end
  }

  get remaining(): number {
    return this.end - this.position
  }

  /** Moves past `length` bytes and returns where they began. */
  take(length: number): number {
    const start = this.position
    if (length < 0 || length > this.end - start) this.#refuse(length)
    this.position = start + length
    return start
  }

  int8(): number {
    return this.view.getInt8(this.take(1))
  }

  uint8(): number {
    return this.view.getUint8(this.take(1))
  }

  int16(): number {
    return this.view.getInt16(this.take(2))
  }

  uint16(): number {
    return this.view.getUint16(this.take(2))
  }

  int32(): number {
    return this.view.getInt32(this.take(4))
  }

  uint32(): number {
    return this.view.getUint32(this.take(4))
  }

  /** An int64 as the nearest double: exact within ±2^53. */
  int64(): number {
    const at = this.take(8)
    return this.view.getInt32(at) * HIGH_WORD + this.view.getUint32(at + 4)
  }

  /** An int64 of which all 64 bits carry meaning (zxid, session id). */
  bigint64(): bigint {
    return this.view.getBigInt64(this.take(8))
  }

  float64(): number {
    return this.view.getFloat64(this.take(8))
  }

  /** Unsigned LEB128 of at most 32 bits. */
  unsignedVarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.uint8()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
    throw new MalformedBytesError('a varint is longer than five bytes')
  }

  /** Zig-zag varint of at most 32 bits. */
  varint(): number {
    const raw = this.unsignedVarint()
    return (raw >>> 1) ^ -(raw & 1)
  }

  /** Zig-zag varint of at most 64 bits, as the nearest double: exact within ±2^53. */
  varlong(): number {
    const raw = this.#unsignedVarlong()
    const value = (raw >> 1n) ^ -(raw & 1n)
    return Number(value)
  }

  #unsignedVarlong(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.uint8()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    throw new MalformedBytesError('a varlong is longer than ten bytes')
  }

  /** A view, not a copy: it lives as long as the bytes that this reader was given. */
  slice(length: number): Uint8Array {
    const start = this.take(length)
    return this.bytes.subarray(start, start + length)
  }

  /** UTF-8 text of `length` bytes; malformed sequences become U+FFFD, as in Java. */
  utf8(length: number): string {
    const start = this.take(length)
    return decodeUtf8(this.bytes, start, start + length)
  }

  #refuse(length: number): never {
    if (length < 0) throw new MalformedBytesError(`length ${length} is negative (at byte ${this.position})`)
    throw new MalformedBytesError(
      `${length} bytes wanted, but only ${this.remaining} remain (at byte ${this.position})`,
    )
  }
}

/** Short ASCII text is decoded faster by hand than through the decoder. */
const SHORT_TEXT_BYTES_MAX = 24

export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > SHORT_TEXT_BYTES_MAX) return utf8Decoder.decode(bytes.subarray(start, end))
  let text = ''
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    if (byte > 0x7f) return utf8Decoder.decode(bytes.subarray(start, end))
    text += String.fromCharCode(byte)
  }
  return text
}

/** As `decodeUtf8`, but malformed sequences throw `MalformedBytesError`. */
export function decodeUtf8Strictly(bytes: Uint8Array): string {
  try {
    return utf8StrictDecoder.decode(bytes)
  } catch (cause) {
    throw new MalformedBytesError('text is not valid UTF-8', { cause })
  }
}

const utf8Encoder = new TextEncoder()

export function encodeUtf8(text: string): Uint8Array {
  return utf8Encoder.encode(text)
}

export function utf8Length(text: string): number {
  let length = 0
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0x80) length += 1
    else if (unit < 0x800) length += 2
    else if (unit >= 0xd800 && unit < 0xdc00 && isLowSurrogate(text.charCodeAt(at + 1))) {
      length += 4
      at += 1
    } else length += 3
  }
  return length
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000
}

/** Payloads from this size on are handed on by reference instead of being copied. */
const REFERENCE_BYTES_MIN = 1024
/** A writer's next buffer is twice the last one, up to this. */
const GROWN_BYTES_MAX = 64 * 1024

/**
 * Writers take their room from a slab in common, since a buffer of its own costs a small message more than all of its
 * encoding. What a writer has claimed beyond its end goes back when it is closed, if nobody has taken room after it.
 */
const SLAB_BYTES = 64 * 1024
/** Larger writers have a buffer of their own, so that a slab serves at least eight. */
const SLAB_SHARE_BYTES_MAX = SLAB_BYTES / 8

let slab = new Uint8Array(SLAB_BYTES)
let slabView = new DataView(slab.buffer)
let slabUsed = 0

/**
 * Writes into a buffer that grows; large payloads are kept by reference, so that `chunks()` is what a
 * gathered socket write or `writev` takes.
 */
export class ByteWriter {
  #buffer: Uint8Array
  /** Over the bytes being written. It is another one after the writer has grown: read it after `claim`. */
  view: DataView
  /** Where the piece of `#buffer` that is not yet in `#chunks` begins. */
  #chunkStart: number
  #position: number
  /** One past the last byte of `#buffer` that this writer may use. */
  #limit: number
  /** Bytes that the latest buffer gave this writer. */
  #capacity: number
  #chunks: Uint8Array[] = []
  #chunkBytes = 0

  constructor(capacity = 256) {
    this.#capacity = capacity
    if (capacity <= SLAB_SHARE_BYTES_MAX) {
      if (capacity > SLAB_BYTES - slabUsed) renewSlab()
      this.#buffer = slab
      this.view = slabView
      this.#chunkStart = slabUsed
      slabUsed += capacity
      this.#limit = slabUsed
    } else {
      this.#buffer = new Uint8Array(capacity)
      this.view = new DataView(this.#buffer.buffer)
      this.#chunkStart = 0
      this.#limit = capacity
    }
    this.#position = this.#chunkStart
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#chunkBytes + this.#position - this.#chunkStart
  }

  int8(value: number): void {
    const at = this.claim(1)
    this.view.setInt8(at, value)
  }

  int16(value: number): void {
    const at = this.claim(2)
    this.view.setInt16(at, value)
  }

  uint16(value: number): void {
    const at = this.claim(2)
    this.view.setUint16(at, value)
  }

  int32(value: number): void {
    const at = this.claim(4)
    this.view.setInt32(at, value)
  }

  uint32(value: number): void {
    const at = this.claim(4)
    this.view.setUint32(at, value)
  }

  /** A double as int64; exact within ±2^53, saturating at the ends of int64. */
  int64(value: number): void {
    const at = this.claim(8)
    setInt64(this.view, at, value)
  }

  bigint64(value: bigint): void {
    const at = this.claim(8)
    this.view.setBigInt64(at, value)
  }

  float64(value: number): void {
    const at = this.claim(8)
    this.view.setFloat64(at, value)
  }

  unsignedVarint(value: number): void {
    let rest = value >>> 0
    while (rest > 0x7f) {
      this.int8((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    this.int8(rest)
  }

  varint(value: number): void {
    this.unsignedVarint((value << 1) ^ (value >> 31))
  }

  varlong(value: number): void {
    const wide = saturatedInt64(value)
    let rest = BigInt.asUintN(64, (wide << 1n) ^ (wide >> 63n))
    while (rest > 0x7fn) {
      this.int8(Number(rest & 0x7fn) | 0x80)
      rest >>= 7n
    }
    this.int8(Number(rest))
  }

  /** Copies small payloads and keeps large ones by reference: the caller must not change them before they are sent. */
  bytes(payload: Uint8Array): void {
    if (payload.length >= REFERENCE_BYTES_MIN) this.#reference(payload)
    else this.#copy(payload)
  }

  utf8(text: string): void {
    const length = utf8Length(text)
    const at = this.claim(length)
    if (length === text.length)
      for (let index = 0; index < length; index++) this.#buffer[at + index] = text.charCodeAt(index)
    else utf8Encoder.encodeInto(text, this.#buffer.subarray(at, at + length))
  }

  /**
   * Everything written, in order, for what is sent or stored soon: a small chunk keeps a slab in memory. The writer
   * must not be used afterwards.
   */
  chunks(): Uint8Array[] {
    this.#closeChunk()
    this.#giveBack()
    return this.#chunks
  }

  /** Everything written, as one array of its own, or the one large payload if it is all. The writer must not be used afterwards. */
  toBytes(): Uint8Array {
    if (this.#chunks.length === 0) {
      const all = this.#buffer.slice(this.#chunkStart, this.#position)
      this.#giveBack()
      return all
    }
    return concatBytes(this.chunks())
  }

  /**
   * Makes room for `length` bytes and returns where they begin in `view`: for code that writes several values at once.
   * All of them must be written.
   */
  claim(length: number): number {
    const at = this.#position
    if (at + length > this.#limit) return this.#grow(length)
    this.#position = at + length
    return at
  }

  /** What it claimed of the slab and did not write is the next writer's. */
  #giveBack(): void {
    if (this.#buffer === slab && this.#limit === slabUsed) slabUsed = this.#position
    this.#limit = this.#position
  }

  /** What is written moves into the new buffer where it is little, and stays a chunk where it is much. */
  #grow(length: number): number {
    if (this.#position - this.#chunkStart >= REFERENCE_BYTES_MIN) this.#closeChunk()
    const pending = this.#buffer.subarray(this.#chunkStart, this.#position)
    this.#capacity = Math.max(Math.min(2 * this.#capacity, GROWN_BYTES_MAX), pending.length + length)
    const grown = new Uint8Array(this.#capacity)
    grown.set(pending)
    this.#buffer = grown
    this.view = new DataView(grown.buffer)
    this.#chunkStart = 0
    this.#position = pending.length + length
    this.#limit = grown.length
    return pending.length
  }

  #copy(payload: Uint8Array): void {
    const at = this.claim(payload.length)
    this.#buffer.set(payload, at)
  }

  #reference(payload: Uint8Array): void {
    this.#closeChunk()
    this.#chunks.push(payload)
    this.#chunkBytes += payload.length
  }

  #closeChunk(): void {
    if (this.#position === this.#chunkStart) return
    const chunk = this.#buffer.subarray(this.#chunkStart, this.#position)
    this.#chunks.push(chunk)
    this.#chunkBytes += chunk.length
    this.#chunkStart = this.#position
  }
}

function renewSlab(): void {
  slab = new Uint8Array(SLAB_BYTES)
  slabView = new DataView(slab.buffer)
  slabUsed = 0
}

/** A double as int64; exact within ±2^53, saturating at the ends of int64. */
export function setInt64(view: DataView, at: number, value: number): void {
  if (Number.isSafeInteger(value)) {
    view.setInt32(at, Math.floor(value / HIGH_WORD))
    view.setUint32(at + 4, value >>> 0)
  } else view.setBigInt64(at, saturatedInt64(value))
}

function saturatedInt64(value: number): bigint {
  if (Number.isNaN(value)) return 0n
  if (value >= 2 ** 63) return 2n ** 63n - 1n
  if (value <= -(2 ** 63)) return -(2n ** 63n)
  return BigInt(Math.trunc(value))
}

export function concatBytes(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0]!
  let length = 0
  for (const chunk of chunks) length += chunk.length
  const joined = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    joined.set(chunk, at)
    at += chunk.length
  }
  return joined
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false
  return true
}
