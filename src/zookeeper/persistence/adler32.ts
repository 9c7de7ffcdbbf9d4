/** The checksum of ZooKeeper's files (RFC 1950): two sums modulo the largest prime below 2^16. */
const PRIME = 65521
/** Bytes after which the sums must be reduced, or they would leave 32 bits. */
const RUN_BYTES = 5552

export const ADLER32_START = 1

export function adler32(bytes: Uint8Array, start = 0, end = bytes.length, adler = ADLER32_START): number {
  let a = adler & 0xffff
  let b = adler >>> 16
  for (let at = start; at < end;) {
    const runEnd = Math.min(at + RUN_BYTES, end)
    for (; at < runEnd; at++) {
      a += bytes[at]!
      b += a
    }
    a %= PRIME
    b %= PRIME
  }
  return ((b << 16) | a) >>> 0
}
