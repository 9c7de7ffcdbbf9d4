import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode, errorOf } from '#protocol'

test('codes have names, and names codes', () => {
  assert.equal(ErrorCode.NOT_LEADER_OR_FOLLOWER, 6)
  assert.equal(errorOf(6).name, 'NOT_LEADER_OR_FOLLOWER')
  assert.equal(errorOf(ErrorCode.NONE).retriable, false)
  assert.equal(errorOf(ErrorCode.NOT_LEADER_OR_FOLLOWER).retriable, true)
})

test('the table has no gap from -1 to 127', () => {
  assert.deepEqual(
    Object.values(ErrorCode),
    Array.from({ length: 129 }, (_, index) => index - 1),
  )
})

test('a code of a later Kafka counts as an unknown error of the server', () => {
  assert.equal(errorOf(999).code, ErrorCode.UNKNOWN_SERVER_ERROR)
})
