/**
 * Java's `Utils.murmur2` (MurmurHash2 of Austin Appleby, 32 bits, with Kafka's seed): what puts a key on the same partition
 * whichever client sends it.
 */
export function murmur2(data: Uint8Array): number {
  const length = data.length
  let hash = SEED ^ length
  const wholeWords = length & ~3
  for (let at = 0; at < wholeWords; at += 4) {
    let word = data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24)
    word = Math.imul(word, M)
    word ^= word >>> R
    hash = Math.imul(hash, M) ^ Math.imul(word, M)
  }
  const rest = length & 3
  if (rest === 3) hash ^= data[wholeWords + 2]! << 16
  if (rest >= 2) hash ^= data[wholeWords + 1]! << 8
  if (rest >= 1) hash = Math.imul(hash ^ data[wholeWords]!, M)
  hash = Math.imul(hash ^ (hash >>> 13), M)
  return hash ^ (hash >>> 15)
}

const SEED = 0x9747_b28c | 0
const M = 0x5bd1_e995
const R = 24

/** The partition of a key, among all partitions of the topic, whether or not they have a leader. */
export function partitionOfKey(key: Uint8Array, partitionCount: number): number {
  return (murmur2(key) & 0x7fff_ffff) % partitionCount
}
