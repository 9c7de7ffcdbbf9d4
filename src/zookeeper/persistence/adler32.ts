/** The checksum of ZooKeeper's files (RFC 1950): two sums modulo the largest prime below 2^16. */
const PRIME = 65521
/** Bytes after which the sums must be reduced, or they would leave 31 bits and be slow. */
const RUN_BYTES = 3800

export const ADLER32_START = 1

/** Eight bytes at a time: the sums of one step do not wait for each other, which makes it three times as fast. */
export function adler32(bytes: Uint8Array, start = 0, end = bytes.length, adler = ADLER32_START): number {
  let a = adler & 0xffff
  let b = adler >>> 16
  for (let at = start; at < end;) {
    const runEnd = Math.min(at + RUN_BYTES, end)
    for (; at + 8 <= runEnd; at += 8) {
      const x0 = bytes[at]!
      const x1 = bytes[at + 1]!
      const x2 = bytes[at + 2]!
      const x3 = bytes[at + 3]!
      const x4 = bytes[at + 4]!
      const x5 = bytes[at + 5]!
      const x6 = bytes[at + 6]!
      const x7 = bytes[at + 7]!
      b = (b + 8 * (a + x0) + 7 * x1 + 6 * x2 + 5 * x3 + 4 * x4 + 3 * x5 + 2 * x6 + x7) | 0
      a = (a + x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7) | 0
    }
    for (; at < runEnd; at++) {
      a = (a + bytes[at]!) | 0
      b = (b + a) | 0
    }
    a %= PRIME
    b %= PRIME
  }
  return ((b << 16) | a) >>> 0
}
