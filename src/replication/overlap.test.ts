import assert from 'node:assert/strict'
import { test } from 'node:test'

import { RecordBatchBuilder, RecordBatchView } from '#protocol/records'

import { overlapStart } from './overlap.ts'

/** Offsets 36 to 39. */
function batch(): Uint8Array {
  const builder = new RecordBatchBuilder()
  for (let index = 0; index < 4; index++)
    builder.append({ timestamp: 1000, key: null, value: Uint8Array.of(index), headers: [] })
  const bytes = builder.build().slice()
  new RecordBatchView(bytes).baseOffset = 36
  return bytes
}

test('a batch that our end lies inside of tells where the leader left our log', () => {
  assert.equal(overlapStart(batch(), 38), 36)
  assert.equal(overlapStart(batch(), 39), 36)
})

test('a batch that continues our log, lies elsewhere, is cut or damaged tells nothing', () => {
  assert.equal(overlapStart(batch(), 36), null)
  assert.equal(overlapStart(batch(), 40), null)
  assert.equal(overlapStart(batch().subarray(0, 70), 38), null)
  assert.equal(overlapStart(new Uint8Array(0), 38), null)
  const damaged = batch()
  damaged[damaged.length - 1]! ^= 1
  assert.equal(overlapStart(damaged, 38), null)
})
