/** Who waits, for what, and until when: deadlines, queues by offset, what the leader remembers of a follower. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Platform } from '#platform'
import { World } from '#simulation'

import { Deadlines } from './deadlines.ts'
import { ExpectedFollowers } from './expected-followers.ts'
import { OffsetQueue } from './offset-queue.ts'
import { RemoteReplica } from './remote-replica.ts'

test('deadlines are met in order and never early; what was taken away never fires', async () => {
  const world = new World(1)
  let platform: Platform | null = null
  world.process('p').start(async (given) => void (platform = given))
  await world.run(1)
  const { clock } = platform as unknown as Platform
  const deadlines = new Deadlines(clock)
  const fired: string[] = []
  const start = clock.monotonic()
  const add = (name: string, delayMs: number): [object, number] => {
    const waiting = {
      expire() {
        assert.ok(clock.monotonic() - start >= delayMs, `${name} is early`)
        assert.ok(clock.monotonic() - start < delayMs + 30, `${name} is late`)
        fired.push(name)
      },
    }
    return [waiting, deadlines.add(waiting, delayMs)]
  }
  add('c', 300)
  add('a', 25)
  const [gone, ticket] = add('gone', 100)
  add('b', 120)
  add('soon', 0)
  deadlines.cancel(gone as { expire(): void }, ticket)
  await world.run(1000)
  assert.deepEqual(fired, ['soon', 'a', 'b', 'c'])
  deadlines.close()
})

test('a fetch of an expected follower is not parked, and one that is parked ends', async () => {
  const world = new World(1)
  let platform: Platform | null = null
  world.process('p').start(async (given) => void (platform = given))
  await world.run(1)
  const expected = new ExpectedFollowers((platform as unknown as Platform).clock)
  const ended: string[] = []
  const wait = (name: string) => ({ expire: () => void ended.push(name) })
  const answered = wait('answered')
  expected.park(2, wait('two'))
  expected.park(2, answered)
  expected.park(3, wait('three'))
  expected.park(-1, wait('consumer'))
  expected.unpark(2, answered)
  expected.expect([2])
  assert.deepEqual(ended, ['two'])
  assert.deepEqual([expected.patienceMs(2), expected.patienceMs(3), expected.patienceMs(-1)], [20, Infinity, Infinity])
  await world.run(1001)
  assert.equal(expected.patienceMs(2), Infinity)
})

test('an offset queue serves in order of offsets, a late one that wants less included', () => {
  const queue = new OffsetQueue()
  const served: [number, number][] = []
  const add = (offset: number): void => queue.add({ offset, done: (code) => served.push([offset, code]) })
  for (const offset of [5, 10, 7, 20]) add(offset)
  queue.reached(4, 0)
  assert.deepEqual(served, [])
  queue.reached(10, 0)
  assert.deepEqual(served, [
    [5, 0],
    [7, 0],
    [10, 0],
  ])
  add(15)
  queue.failAll(6)
  assert.deepEqual(served.slice(3), [
    [15, 6],
    [20, 6],
  ])
  assert.equal(queue.size, 0)
  for (let offset = 0; offset < 5000; offset++) add(offset)
  for (let end = 0; end < 5000; end++) queue.reached(end, 0)
  assert.equal(queue.size, 0)
  assert.equal(served.length, 5005)
})

test('a follower has caught up when it reaches the end that the leader had at its previous fetch', () => {
  const replica = new RemoteReplica(2)
  const lagMs = 1000
  replica.enterEpoch(true, true, 0, 0)
  assert.equal(replica.isCaughtUp(100, 1000, lagMs), true, 'in sync at the start of the epoch')
  assert.equal(replica.isCaughtUp(100, 1001, lagMs), false)
  replica.fetched(50, 0, 100, 2000)
  assert.equal(replica.isCaughtUp(100, 2001, lagMs), false)
  // It reads as fast as the leader writes, and is always one step behind.
  replica.fetched(100, 0, 150, 3000)
  assert.equal(replica.isCaughtUp(150, 3000, lagMs), true)
  assert.equal(replica.isCaughtUp(150, 3001, lagMs), false)
  replica.fetched(150, 0, 150, 3500)
  assert.equal(replica.isCaughtUp(150, 99_999, lagMs), true, 'at the end, however long ago')
  replica.enterEpoch(true, false, 150, 4000)
  assert.equal(replica.isCaughtUp(150, 4000, lagMs), false, 'a new leader knows nothing of its followers')
})
