import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ZkErrorCode } from '#zookeeper/protocol'

import { SessionIds, SessionTracker, isPasswordOf, passwordOf } from './sessions.ts'

test('passwords are those that Apache’s server computes', () => {
  const rows: [bigint, string][] = [
    [1n, '054cc74a37327db215e702e20c73f005'],
    [117671746358870016n, '5c462f6fb9cebc419a06ab472a745a63'],
    [-5n, 'd47144b5e45e45c49c3b7fdcd66257ba'],
    [-66933498460779025n, 'f7aa663f3fadda0974ca2adbe3378a32'],
  ]
  for (const [id, password] of rows) {
    assert.equal(Buffer.from(passwordOf(id)).toString('hex'), password)
    assert.ok(isPasswordOf(id, Buffer.from(password, 'hex')))
    assert.ok(!isPasswordOf(id + 1n, Buffer.from(password, 'hex')))
  }
  assert.ok(!isPasswordOf(1n, null))
  assert.ok(!isPasswordOf(1n, new Uint8Array(15)))
})

test('numbers carry the server in their upper byte and are given once', () => {
  const ids = new SessionIds(3, 1_700_000_000_123)
  const taken = new Set([ids.take(() => false)])
  for (let count = 0; count < 100; count++) taken.add(ids.take((id) => taken.has(id)))
  assert.equal(taken.size, 101)
  for (const id of taken) assert.equal(BigInt.asUintN(64, id) >> 56n, 3n)
})

test('a session expires at the end of the bucket that its silence ends in', () => {
  const tracker = new SessionTracker(2000, 0)
  tracker.track(1n, 4000, 100)
  tracker.track(2n, 4000, 100)
  assert.deepEqual(tracker.takeExpired(5999), [])
  assert.ok(tracker.touch(2n, 4000, 5999))
  assert.deepEqual(tracker.takeExpired(6000), [1n])
  assert.deepEqual(tracker.takeExpired(6000), [])
  assert.ok(!tracker.touch(1n, 4000, 6001), 'an expired session cannot be revived')
  assert.equal(tracker.check(1n, 'me'), ZkErrorCode.SESSIONEXPIRED)
  assert.equal(tracker.dueInMs(6500), 1500)
  assert.deepEqual(tracker.takeExpired(9999), [])
  assert.deepEqual(tracker.takeExpired(20_000), [2n])
})

test('a touch never brings the end nearer', () => {
  const tracker = new SessionTracker(1000, 0)
  tracker.track(1n, 10_000, 0)
  tracker.touch(1n, 1000, 500)
  assert.deepEqual(tracker.takeExpired(10_999), [])
  assert.deepEqual(tracker.takeExpired(11_000), [1n])
})

test('a session belongs to the server that its client spoke to last', () => {
  const tracker = new SessionTracker(1000, 0)
  tracker.track(1n, 10_000, 0)
  assert.equal(tracker.check(1n, 'one'), ZkErrorCode.OK)
  assert.equal(tracker.check(1n, 'two'), ZkErrorCode.SESSIONMOVED)
  tracker.setOwner(1n, 'two')
  assert.equal(tracker.check(1n, 'one'), ZkErrorCode.SESSIONMOVED)
  tracker.remove(1n)
  assert.equal(tracker.check(1n, 'two'), ZkErrorCode.SESSIONEXPIRED)
  assert.deepEqual(tracker.takeExpired(100_000), [])
})
