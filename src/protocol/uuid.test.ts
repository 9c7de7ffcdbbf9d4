import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ZERO_UUID, isUuid, uuidFromBytes, uuidToBytes } from '#protocol'

import { uuidAt } from './uuid.ts'

test('a uuid is its bytes in base64url', () => {
  for (let seed = 0; seed < 200; seed++) {
    const bytes = Uint8Array.from({ length: 16 }, (_, index) => (seed * 37 + index * 101) & 0xff)
    const text = Buffer.from(bytes).toString('base64url')
    assert.equal(uuidFromBytes(bytes), text)
    assert.deepEqual(uuidToBytes(text), bytes)
    assert.ok(isUuid(text))
    const view = new DataView(Uint8Array.of(0, ...bytes).buffer)
    assert.equal(uuidAt(view, 1), text)
    assert.equal(uuidAt(view, 1), text)
  }
  assert.equal(uuidFromBytes(new Uint8Array(16)), ZERO_UUID)
})

test('a text that is no uuid is told apart', () => {
  for (const text of ['', 'AAAAAAAAAAAAAAAAAAAAAB', `${ZERO_UUID}A`, 'AAAAAAAAAAAAAAAAAAAA+A']) assert.ok(!isUuid(text))
})
