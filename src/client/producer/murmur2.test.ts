import assert from 'node:assert/strict'
import { test } from 'node:test'

import { encodeUtf8 } from '#base'

import { murmur2, partitionOfKey } from './murmur2.ts'

test('hashes are those that Java’s client computes', () => {
  // Source: the expectations of Kafka's UtilsTest.testMurmur2.
  const expected: Record<string, number> = {
    '21': -973932308,
    foobar: -790332482,
    'a-little-bit-long-string': -985981536,
    'a-little-bit-longer-string': -1486304829,
    lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
    abc: 479470107,
  }
  for (const [key, hash] of Object.entries(expected)) assert.equal(murmur2(encodeUtf8(key)), hash, key)
})

test('a partition is never negative', () => {
  assert.equal(partitionOfKey(encodeUtf8('foobar'), 7), (-790332482 & 0x7fff_ffff) % 7)
})
