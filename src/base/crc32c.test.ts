import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Arena, arenaUsage, crc32c, encodeUtf8 } from '#base'

import { BINARY_BASE64, DATA_START } from './crc32c-binary.ts'
import { makeCrc32cModule } from './crc32c-module.ts'
import { crc32cByTables } from './crc32c-tables.ts'

/** RFC 3720, appendix B.4, and the check value of the algorithm. */
const KNOWN: [string, Uint8Array, number][] = [
  ['the digits 1 to 9', encodeUtf8('123456789'), 0xe306_9283],
  ['32 zero bytes', new Uint8Array(32), 0x8a91_36aa],
  ['32 bytes of ones', new Uint8Array(32).fill(0xff), 0x62a8_ab43],
  ['32 ascending bytes', Uint8Array.from({ length: 32 }, (_, index) => index), 0x46dd_794e],
  ['nothing', new Uint8Array(0), 0],
]

for (const [what, bytes, crc] of KNOWN)
  test(`the checksum of ${what}`, () => {
    assert.equal(crc32c(bytes), crc)
    assert.equal(crc32cByTables(bytes, 0, bytes.length, 0), crc)
    const chunk = Arena.allocate(bytes.length)
    chunk.set(bytes)
    assert.equal(crc32c(chunk), crc)
    Arena.release(chunk)
  })

/** A small generator (xorshift32), so that a failure names its seed. */
function sequence(seed: number): (bound: number) => number {
  let state = seed
  return (bound) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % bound
  }
}

test('folding agrees with division by table for lengths, places and seeds at random', () => {
  const next = sequence(0x5a_3a)
  const chunk = Arena.allocate(400_000)
  assert.ok(Arena.owns(chunk))
  for (let at = 0; at < chunk.length; at++) chunk[at] = next(256)
  const outside = chunk.slice()
  const lengthsMax = [64, 600, 3000, 20_000, 140_000, 300_000]
  for (let round = 0; round < 1500; round++) {
    const length = next(lengthsMax[round % lengthsMax.length]!)
    const start = next(chunk.length - length)
    const seed = round % 2 ? next(2 ** 32) : 0
    const expected = crc32cByTables(outside, start, start + length, seed)
    assert.equal(crc32c(chunk, start, start + length, seed), expected, `in place: ${start} ${length} ${seed}`)
    assert.equal(crc32c(outside, start, start + length, seed), expected, `outside: ${start} ${length} ${seed}`)
  }
  Arena.release(chunk)
})

test('a checksum over pieces is that of the whole', () => {
  const bytes = Uint8Array.from({ length: 200_001 }, (_, index) => (index * 31) >> 3)
  for (const cut of [0, 1, 447, 448, 65_536, 131_072, 200_001])
    assert.equal(crc32c(bytes, cut, bytes.length, crc32c(bytes, 0, cut)), crc32c(bytes))
})

test('chunks do not overlap, come back, and join again', () => {
  const before = arenaUsage()
  const next = sequence(77)
  const chunks: { bytes: Uint8Array; mark: number }[] = []
  for (let round = 0; round < 4000; round++) {
    if (chunks.length > 40 || (chunks.length > 0 && next(3) === 0)) {
      const [{ bytes, mark }] = chunks.splice(next(chunks.length), 1) as [(typeof chunks)[number]]
      assert.ok(bytes.every((byte) => byte === mark))
      Arena.release(bytes)
    } else {
      const bytes = Arena.allocate(1 + next(round % 10 === 0 ? 300_000 : 10_000))
      const mark = round & 0xff
      bytes.fill(mark)
      chunks.push({ bytes, mark })
    }
  }
  for (const { bytes } of chunks) Arena.release(bytes)
  assert.deepEqual(arenaUsage(), { ...before, fallbacks: before.fallbacks })
  const whole = Arena.allocate(16 * 1024 * 1024)
  assert.ok(Arena.owns(whole))
  Arena.release(whole)
})

test('what the arena cannot give is plain memory with the same checksum', () => {
  const large = Arena.allocate(17 * 1024 * 1024)
  assert.equal(Arena.owns(large), false)
  assert.equal(crc32c(large.subarray(0, 32)), 0x8a91_36aa)
  Arena.release(large)
})

test('a chunk is given back once', () => {
  const chunk = Arena.allocate(100)
  Arena.release(chunk)
  assert.throws(() => Arena.release(chunk), /not taken/)
})

test('a full arena falls back, and recovers', () => {
  const chunks: Uint8Array[] = []
  while (chunks.length === 0 || Arena.owns(chunks.at(-1)!)) chunks.push(Arena.allocate(16 * 1024 * 1024))
  assert.ok(arenaUsage().fallbacks > 0)
  for (const chunk of chunks) Arena.release(chunk)
  const again = Arena.allocate(16 * 1024 * 1024)
  assert.ok(Arena.owns(again))
  Arena.release(again)
})

test('the embedded module is what the generator makes (else run tools/make-crc32c.ts)', () => {
  const { bytes, dataStart } = makeCrc32cModule()
  assert.equal(Buffer.from(bytes).toString('base64'), BINARY_BASE64)
  assert.equal(dataStart, DATA_START)
})
