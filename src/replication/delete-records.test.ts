/** The starts of logs, moved by DeleteRecords. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode } from '#protocol'
import { World } from '#simulation'

import type { DeleteRecordsResult } from './requests.ts'
import { TOPIC, TestCluster, type TestClusterOptions } from './test-cluster.ts'

const FEW_BYTES = { segmentBytes: 400 }

async function deleted(cluster: TestCluster, offset: number, timeoutMs = 5000): Promise<DeleteRecordsResult> {
  let result: DeleteRecordsResult | null = null
  const answer = cluster.manager(1).deleteRecords({ timeoutMs, partitions: [{ topic: TOPIC, partition: 0, offset }] })
  void Promise.resolve(answer).then(([only]) => (result = only!))
  assert.ok(await cluster.world.runUntil(() => result !== null, 60_000))
  return result!
}

async function filled(seed: number, log: TestClusterOptions['log'] = FEW_BYTES) {
  const cluster = await TestCluster.started(new World(seed), { log })
  for (let value = 0; value < 20; value++) await cluster.produced(1, { value })
  return cluster
}

test('records are deleted on every replica when it is acknowledged, and whole segments with them', async () => {
  const cluster = await filled(1)
  const segments = cluster.log(1).segmentBaseOffsets.length
  assert.deepEqual(await deleted(cluster, 12), {
    topic: TOPIC,
    partition: 0,
    errorCode: ErrorCode.NONE,
    lowWatermark: 12,
  })
  for (const id of [1, 2, 3]) assert.equal(cluster.log(id).logStartOffset, 12)
  assert.ok(cluster.log(2).segmentBaseOffsets.length < segments)
  assert.deepEqual(await cluster.values(3), [12, 13, 14, 15, 16, 17, 18, 19])
})

test('-1 stands for the high watermark; beyond it nothing is deleted, nor twice', async () => {
  const cluster = await filled(2)
  assert.equal((await deleted(cluster, 21)).errorCode, ErrorCode.OFFSET_OUT_OF_RANGE)
  assert.equal((await deleted(cluster, -2)).errorCode, ErrorCode.OFFSET_OUT_OF_RANGE)
  assert.equal(cluster.log(1).logStartOffset, 0)
  assert.equal((await deleted(cluster, -1)).lowWatermark, 20)
  assert.equal((await deleted(cluster, 5)).lowWatermark, 20)
})

test('a follower that does not answer is waited for until the time is over; one that is dead is not', async () => {
  const cluster = await filled(3)
  cluster.broker(3).isCutOff = true
  const late = await deleted(cluster, 8, 1000)
  assert.deepEqual([late.errorCode, late.lowWatermark], [ErrorCode.REQUEST_TIMED_OUT, 0])
  assert.equal(cluster.log(1).logStartOffset, 8, 'what was moved stays')
  cluster.crash(3)
  assert.deepEqual((await deleted(cluster, 9)).lowWatermark, 9)
})

test('a topic that is only compacted keeps its records, and only the leader deletes', async () => {
  const compacted = await filled(4, { ...FEW_BYTES, cleanupPolicy: ['compact'] })
  assert.equal((await deleted(compacted, 5)).errorCode, ErrorCode.POLICY_VIOLATION)
  const cluster = await filled(5)
  cluster.elect(2)
  assert.equal((await deleted(cluster, 5)).errorCode, ErrorCode.NOT_LEADER_OR_FOLLOWER)
})
