/**
 * A few primitives of Kafka's wire format, written a second time and plainly, so that the compatibility tests share no
 * code with what they test.
 */
export class Bytes {
  #parts: Buffer[] = []

  int8(value: number): this {
    return this.#put(1, (buffer) => buffer.writeInt8(value))
  }

  int16(value: number): this {
    return this.#put(2, (buffer) => buffer.writeInt16BE(value))
  }

  int32(value: number): this {
    return this.#put(4, (buffer) => buffer.writeInt32BE(value))
  }

  uint32(value: number): this {
    return this.#put(4, (buffer) => buffer.writeUInt32BE(value))
  }

  int64(value: number | bigint): this {
    return this.#put(8, (buffer) => buffer.writeBigInt64BE(BigInt(value)))
  }

  /** Signed, in zigzag, seven bits a byte: what records are made of. */
  varint(value: number): this {
    let rest = ((value << 1) ^ (value >> 31)) >>> 0
    const bytes: number[] = []
    while (rest > 0x7f) {
      bytes.push((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    bytes.push(rest)
    return this.raw(Buffer.from(bytes))
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1)
    const text = Buffer.from(value)
    return this.int16(text.length).raw(text)
  }

  bytes(value: Uint8Array | null): this {
    return value === null ? this.int32(-1) : this.int32(value.length).raw(value)
  }

  array<T>(values: readonly T[] | null, each: (value: T) => void): this {
    this.int32(values?.length ?? -1)
    for (const value of values ?? []) each(value)
    return this
  }

  raw(value: Uint8Array): this {
    this.#parts.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
    return this
  }

  done(): Buffer {
    return Buffer.concat(this.#parts)
  }

  #put(size: number, write: (buffer: Buffer) => void): this {
    const buffer = Buffer.alloc(size)
    write(buffer)
    this.#parts.push(buffer)
    return this
  }
}

export class Cursor {
  readonly buffer: Buffer
  position = 0

  constructor(buffer: Buffer) {
    this.buffer = buffer
  }

  get left(): number {
    return this.buffer.length - this.position
  }

  int8(): number {
    return this.buffer.readInt8(this.#step(1))
  }

  boolean(): boolean {
    return this.int8() !== 0
  }

  int16(): number {
    return this.buffer.readInt16BE(this.#step(2))
  }

  int32(): number {
    return this.buffer.readInt32BE(this.#step(4))
  }

  int64(): number {
    return Number(this.buffer.readBigInt64BE(this.#step(8)))
  }

  varint(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.buffer[this.#step(1)]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1)
    }
  }

  string(): string {
    return this.nullableString() ?? ''
  }

  nullableString(): string | null {
    const length = this.int16()
    return length < 0 ? null : this.raw(length).toString()
  }

  bytes(): Buffer {
    const length = this.int32()
    return length < 0 ? Buffer.alloc(0) : this.raw(length)
  }

  array<T>(each: () => T): T[] {
    return Array.from({ length: Math.max(0, this.int32()) }, each)
  }

  raw(length: number): Buffer {
    const start = this.#step(length)
    return this.buffer.subarray(start, start + length)
  }

  #step(length: number): number {
    const start = this.position
    if (start + length > this.buffer.length) throw new RangeError(`${length} bytes wanted, ${this.left} left`)
    this.position += length
    return start
  }
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  return value >>> 0
})

/** CRC-32C, one byte at a time. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff]!
  return ~crc >>> 0
}
