import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CommittedLog } from './committed-log.ts'

const bytes = new Uint8Array(10)
const zxid = (epoch: number, counter: number): bigint => (BigInt(epoch) << 32n) | BigInt(counter)

test('the newest transactions stay, and what came right before them is known', () => {
  const log = new CommittedLog(3)
  log.startsAfter(zxid(1, 4))
  assert.equal(log.before, zxid(1, 4))
  for (const id of [zxid(1, 5), zxid(1, 6), zxid(2, 1)]) log.add(id, bytes)
  assert.equal(log.before, zxid(1, 4))
  log.add(zxid(2, 2), bytes)
  assert.deepEqual(
    Array.from(log, (each) => each.zxid),
    [zxid(1, 6), zxid(2, 1), zxid(2, 2)],
  )
  assert.equal(log.before, zxid(1, 5))
})

test('a hole is never in it: what was before is forgotten (ZOOKEEPER-4925)', () => {
  const log = new CommittedLog(10)
  log.add(zxid(1, 5), bytes)
  log.add(zxid(1, 7), bytes)
  assert.deepEqual(
    Array.from(log, (each) => each.zxid),
    [zxid(1, 7)],
  )
  assert.equal(log.before, null)
})

test('a snapshot that is not followed by what is here says nothing', () => {
  const read = new CommittedLog(10)
  read.add(zxid(1, 5), bytes)
  read.startsAfter(zxid(1, 3))
  assert.equal(read.before, null)
  read.startsAfter(zxid(1, 4))
  assert.equal(read.before, zxid(1, 4))
  const loaded = new CommittedLog(10)
  loaded.startsAfter(zxid(1, 3))
  loaded.add(zxid(1, 5), bytes)
  assert.equal(loaded.before, null)
})
