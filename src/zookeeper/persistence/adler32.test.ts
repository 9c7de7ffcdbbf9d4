import assert from 'node:assert/strict'
import { test } from 'node:test'

import { adler32 } from './adler32.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

test('known checksums', () => {
  assert.equal(adler32(bytes('')), 1)
  assert.equal(adler32(bytes('a')), 0x00620062)
  assert.equal(adler32(bytes('Wikipedia')), 0x11e60398)
  const many = new Uint8Array(1_000_000).fill(0xff)
  assert.equal(adler32(many), reference(many))
})

test('in pieces as in one', () => {
  const all = Uint8Array.from({ length: 20_000 }, (_, at) => (at * 31) & 0xff)
  let adler = 1
  for (let at = 0; at < all.length; at += 777) adler = adler32(all, at, Math.min(at + 777, all.length), adler)
  assert.equal(adler, adler32(all))
  assert.equal(adler, reference(all))
})

/** As RFC 1950 writes it. */
function reference(all: Uint8Array): number {
  let [a, b] = [1, 0]
  for (const byte of all) {
    a = (a + byte) % 65521
    b = (b + a) % 65521
  }
  return b * 65536 + a
}
