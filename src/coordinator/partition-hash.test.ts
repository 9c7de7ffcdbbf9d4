import assert from 'node:assert/strict'
import { test } from 'node:test'

import { partitionFor } from '#coordinator'

test('a group lies where Java puts it', () => {
  // Values of `Math.abs("…".hashCode()) % 50`.
  assert.equal(partitionFor('', 50), 0)
  assert.equal(partitionFor('a', 50), 97 % 50)
  assert.equal(partitionFor('test', 50), 3_556_498 % 50)
  assert.equal(partitionFor('console-consumer-12345', 50), partitionFor('console-consumer-12345', 50))
  assert.equal(partitionFor('größe-😀', 1), 0)
})

test('the smallest int has no absolute value, and counts as 0', () => {
  // "polygenelubricants" is known for it.
  assert.equal(partitionFor('polygenelubricants', 50), 0)
  assert.equal(partitionFor('polygenelubricants', 7), 0)
})
