/** Throttled replication (KIP-73). */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { World } from '#simulation'

import { isThrottled } from './replication-quota.ts'
import { TestCluster } from './test-cluster.ts'

test('a replica is named by partition and broker, or all are', () => {
  assert.ok(isThrottled(['0:1', '3:2'], 3, 2))
  assert.ok(!isThrottled(['0:1', '3:2'], 3, 1))
  assert.ok(isThrottled(['*'], 7, 7))
  assert.ok(!isThrottled([], 0, 1))
})

const RECORDS = 40
/** Of the batches that are appended below. */
const BYTES_OF_RECORD = 1000

/** How long broker 3 takes to come back into the ISR after it lacked `RECORDS` records, in simulated ms. */
async function catchUpMs(throttled: 'leader' | 'follower' | 'nobody', bytesPerSecond: number): Promise<number> {
  const named = throttled === 'leader' ? { leaderThrottledReplicas: ['0:1'] } : { followerThrottledReplicas: ['0:3'] }
  const cluster = await TestCluster.started(new World(4), {
    config: { replicaFetchMaxBytes: 2 * BYTES_OF_RECORD },
    log: throttled === 'nobody' ? {} : named,
  })
  for (const id of [1, 3])
    cluster.manager(id).setThrottles({ leader: bytesPerSecond, follower: bytesPerSecond, moves: Infinity })
  cluster.broker(3).isCutOff = true
  for (let value = 0; value < RECORDS; value++) await cluster.produced(1, { acks: 1, value, bytes: BYTES_OF_RECORD })
  await cluster.world.run(4000)
  assert.deepEqual(cluster.isr(), [1, 2])
  cluster.broker(3).isCutOff = false
  let ms = 0
  for (; cluster.isr().length < 3; ms += 100) {
    assert.ok(ms < 60_000, 'it comes back in the end')
    await cluster.world.run(100)
  }
  return ms
}

test('a follower that is not in sync is fed, or fetches, no faster than its quota, and comes back all the same', async () => {
  const freeMs = await catchUpMs('nobody', 2000)
  for (const throttled of ['leader', 'follower'] as const) {
    const ms = await catchUpMs(throttled, 2000)
    // 40,000 bytes at 2,000 a second; the first ten seconds' worth may come at once.
    assert.ok(ms > freeMs + 5000, `${throttled}: ${ms} ms, ${freeMs} without a quota`)
  }
})

test('without a limit nothing is held back', async () => {
  assert.ok((await catchUpMs('leader', Infinity)) < 3000)
})
