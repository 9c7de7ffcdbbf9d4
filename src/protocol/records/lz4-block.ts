/**
 * LZ4 blocks (lz4/doc/lz4_Block_format.md) in plain JavaScript: for machines without the addon, and for frames
 * whose blocks refer to the ones before them.
 *
 *     sequences: token (literal length << 4 | match length - 4) | more literal length | literals | distance uint16 LE | more match length
 */
import { MalformedBytesError } from '#base'

const HASH_BITS = 13
const MATCH_BYTES_MIN = 4
/** The last bytes of a block are literals, and no match begins in the last twelve: rules of the format. */
const TAIL_BYTES = 5
const MATCH_START_TAIL_BYTES = 12

/** At most 64 KiB, so that distances fit into 16 bits. */
export function lz4BlockCompress(bytes: Uint8Array): Uint8Array {
  const out: number[] = []
  const table = new Int32Array(1 << HASH_BITS).fill(-1)
  const matchStartEnd = bytes.length - MATCH_START_TAIL_BYTES
  let literalStart = 0
  let at = 0
  while (at <= matchStartEnd) {
    const hash = hashAt(bytes, at)
    const candidate = table[hash]!
    table[hash] = at
    const length = candidate < 0 ? 0 : matchLength(bytes, candidate, at, bytes.length - TAIL_BYTES)
    if (length < MATCH_BYTES_MIN) {
      at += 1
      continue
    }
    pushSequence(out, bytes, literalStart, at, at - candidate, length)
    at += length
    literalStart = at
  }
  pushSequence(out, bytes, literalStart, bytes.length, 0, 0)
  return Uint8Array.from(out)
}

function hashAt(bytes: Uint8Array, at: number): number {
  const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
  return Math.imul(word, 0x9e37_79b1) >>> (32 - HASH_BITS)
}

function matchLength(bytes: Uint8Array, candidate: number, at: number, end: number): number {
  let length = 0
  while (at + length < end && bytes[candidate + length] === bytes[at + length]) length += 1
  return length
}

/** A distance of 0 stands for the last sequence, which has literals only. */
function pushSequence(
  out: number[],
  bytes: Uint8Array,
  start: number,
  end: number,
  distance: number,
  length: number,
): void {
  const literals = end - start
  const matched = distance === 0 ? 0 : length - MATCH_BYTES_MIN
  out.push((Math.min(literals, 15) << 4) | Math.min(matched, 15))
  pushLength(out, literals)
  for (let at = start; at < end; at++) out.push(bytes[at]!)
  if (distance === 0) return
  out.push(distance & 0xff, distance >> 8)
  pushLength(out, matched)
}

function pushLength(out: number[], length: number): void {
  if (length < 15) return
  let rest = length - 15
  for (; rest >= 255; rest -= 255) out.push(255)
  out.push(rest)
}

/**
 * Decompresses a block into `out` from `outStart` on, and returns where it ended there. Matches may reach back before
 * `outStart`, as far as `historyStart`. Throws `MalformedBytesError`, also when `out` is too small.
 */
export function lz4BlockDecompress(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  outStart: number,
  historyStart = outStart,
): number {
  let position = start
  let at = outStart
  const moreLength = (): number => {
    for (let length = 0; ;) {
      if (position >= end) refuse('it ends inside a length')
      const byte = bytes[position++]!
      length += byte
      if (byte !== 255) return length
    }
  }
  while (position < end) {
    const token = bytes[position++]!
    let literals = token >> 4
    if (literals === 15) literals += moreLength()
    if (literals > end - position || literals > out.length - at) refuse('literals do not fit')
    out.set(bytes.subarray(position, position + literals), at)
    position += literals
    at += literals
    if (position === end) return at
    if (end - position < 2) refuse('it ends inside a distance')
    const distance = bytes[position]! | (bytes[position + 1]! << 8)
    position += 2
    let length = (token & 15) + MATCH_BYTES_MIN
    if (length === 15 + MATCH_BYTES_MIN) length += moreLength()
    if (distance === 0 || distance > at - historyStart || length > out.length - at) refuse('a match does not fit')
    // Byte by byte: a match may overlap what it writes.
    for (const matchEnd = at + length; at < matchEnd; at++) out[at] = out[at - distance]!
  }
  return refuse('it ends with a match')
}

function refuse(reason: string): never {
  throw new MalformedBytesError(`malformed LZ4 block: ${reason}`)
}
