/**
 * Raw snappy blocks (google/snappy, format_description.txt) in plain JavaScript, for machines without the addon.
 *
 *     length uvarint | elements: tag (low two bits: 0 literal, 1 copy with 11-bit distance, 2 with 16, 3 with 32) …
 */
import { MalformedBytesError } from '#base'

const HASH_BITS = 13
const MATCH_BYTES_MIN = 4
const COPY_BYTES_MAX = 64
const LITERAL_LENGTH_INLINE_MAX = 60

/** At most 64 KiB, so that distances fit into 16 bits. */
export function snappyBlockCompress(bytes: Uint8Array): Uint8Array {
  const out: number[] = []
  for (let rest = bytes.length; ; rest >>>= 7) {
    out.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest)
    if (rest <= 0x7f) break
  }
  const table = new Int32Array(1 << HASH_BITS).fill(-1)
  let literalStart = 0
  let at = 0
  while (at + MATCH_BYTES_MIN <= bytes.length) {
    const hash = hashAt(bytes, at)
    const candidate = table[hash]!
    table[hash] = at
    const length = candidate < 0 ? 0 : matchLength(bytes, candidate, at)
    if (length < MATCH_BYTES_MIN) {
      at += 1
      continue
    }
    pushLiteral(out, bytes, literalStart, at)
    pushCopies(out, at - candidate, length)
    at += length
    literalStart = at
  }
  pushLiteral(out, bytes, literalStart, bytes.length)
  return Uint8Array.from(out)
}

function hashAt(bytes: Uint8Array, at: number): number {
  const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
  return Math.imul(word, 0x1e35_a7bd) >>> (32 - HASH_BITS)
}

function matchLength(bytes: Uint8Array, candidate: number, at: number): number {
  let length = 0
  while (at + length < bytes.length && bytes[candidate + length] === bytes[at + length]) length += 1
  return length
}

function pushLiteral(out: number[], bytes: Uint8Array, start: number, end: number): void {
  const length = end - start
  if (length === 0) return
  if (length <= LITERAL_LENGTH_INLINE_MAX) out.push((length - 1) << 2)
  else if (length <= 256) out.push(60 << 2, length - 1)
  else out.push(61 << 2, (length - 1) & 0xff, (length - 1) >> 8)
  for (let at = start; at < end; at++) out.push(bytes[at]!)
}

function pushCopies(out: number[], distance: number, length: number): void {
  for (let rest = length; rest > 0;) {
    const piece = Math.min(rest, COPY_BYTES_MAX)
    out.push(((piece - 1) << 2) | 2, distance & 0xff, distance >> 8)
    rest -= piece
  }
}

/** Throws `MalformedBytesError`. The caller has judged the stated length. */
export function snappyBlockDecompress(bytes: Uint8Array): Uint8Array {
  let position = 0
  let length = 0
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[position++]!
    length += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) break
    if (shift > 21 + 7) refuse('its length is malformed')
  }
  const out = new Uint8Array(length)
  let at = 0
  while (position < bytes.length) {
    const tag = bytes[position++]!
    if ((tag & 3) === 0) {
      let literal = tag >> 2
      if (literal >= LITERAL_LENGTH_INLINE_MAX) {
        const width = literal - LITERAL_LENGTH_INLINE_MAX + 1
        literal = littleEndian(bytes, position, width)
        position += width
      }
      literal += 1
      if (literal > bytes.length - position || literal > length - at) refuse('a literal does not fit')
      out.set(bytes.subarray(position, position + literal), at)
      position += literal
      at += literal
      continue
    }
    const width = (tag & 3) === 3 ? 4 : tag & 3
    const short = width === 1
    const copy = short ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
    const distance = littleEndian(bytes, position, width) + (short ? (tag >> 5) << 8 : 0)
    position += width
    if (distance === 0 || distance > at || copy > length - at) refuse('a copy does not fit')
    // Byte by byte: a copy may overlap what it writes.
    for (const end = at + copy; at < end; at++) out[at] = out[at - distance]!
  }
  if (at !== length) refuse(`it states ${length} bytes and has ${at}`)
  return out
}

function littleEndian(bytes: Uint8Array, position: number, width: number): number {
  if (bytes.length - position < width) refuse('it ends inside an element')
  let value = 0
  for (let index = 0; index < width; index++) value += bytes[position + index]! * 2 ** (8 * index)
  return value
}

function refuse(reason: string): never {
  throw new MalformedBytesError(`malformed snappy block: ${reason}`)
}
