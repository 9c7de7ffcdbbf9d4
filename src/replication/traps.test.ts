/** Faults that Kafka's replication had, by their tickets. Others are in `replication.test.ts` and in `src/storage`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode } from '#protocol'
import { World } from '#simulation'

import { TOPIC, TOPIC_ID, TestCluster } from './test-cluster.ts'

async function fetchAs(cluster: TestCluster, replicaId: number, change: object, replicaEpoch = -1) {
  const wanted = { topic: TOPIC, topicId: TOPIC_ID, partition: 0, fetchOffset: 0, logStartOffset: 0, maxBytes: 10_000 }
  const result = await cluster.manager(cluster.state.leader).fetch({
    replicaId,
    replicaEpoch,
    maxWaitMs: 0,
    minBytes: 1,
    maxBytes: 10_000,
    isolation: 'logEnd',
    mayReadFromFollower: false,
    rackId: '',
    partitions: [{ ...wanted, currentLeaderEpoch: cluster.state.leaderEpoch, lastFetchedEpoch: -1, ...change }],
  })
  result.release()
  return result.partitions[0]!
}

test("a fetch of a follower's earlier life says nothing of where it is now (KAFKA-15221)", async () => {
  const cluster = await TestCluster.started(new World(31))
  for (let value = 0; value < 3; value++) await cluster.produced(1, { value })
  cluster.crash(3)
  await cluster.produced(1, { value: 3, timeoutMs: 10_000 })
  assert.deepEqual(cluster.isr(), [1, 2])
  // In its new life it has lost its tail; a fetch that it sent before arrives late.
  assert.equal((await fetchAs(cluster, 3, { fetchOffset: 1, lastFetchedEpoch: 0 }, 2)).errorCode, ErrorCode.NONE)
  const late = await fetchAs(cluster, 3, { fetchOffset: 4, lastFetchedEpoch: 0 }, 1)
  assert.equal(late.errorCode, ErrorCode.NOT_LEADER_OR_FOLLOWER)
  await cluster.world.run(500)
  assert.deepEqual(cluster.isr(), [1, 2])
})

test('a follower that parts from the leader is cut before it believes the high watermark (KAFKA-14704)', async () => {
  const cluster = await TestCluster.started(new World(32))
  await cluster.produced(1, { value: 0 })
  // Broker 3 led nobody knew, and wrote what nobody else has; the new leader has committed other records at those offsets.
  for (const id of [1, 2]) cluster.broker(id).isCutOff = true
  cluster.elect(3, [1, 2, 3])
  await cluster.produced(3, { acks: 1, value: 100, records: 3 })
  cluster.broker(3).isCutOff = true
  for (const id of [1, 2]) cluster.broker(id).isCutOff = false
  cluster.elect(1, [1, 2])
  for (let value = 1; value < 6; value++) await cluster.produced(1, { value, timeoutMs: 10_000 })
  cluster.broker(3).isCutOff = false
  cluster.announce([3])
  const log = cluster.log(3)
  const raise = log.raiseHighWatermark.bind(log)
  log.raiseHighWatermark = (offset) => {
    assert.equal(
      log.epochs.entries.some(({ epoch }) => epoch === 1),
      false,
      'none of its own records is left',
    )
    return raise(offset)
  }
  assert.ok(await cluster.world.runUntil(() => cluster.isr().length === 3, 20_000))
  assert.deepEqual(cluster.world.findings, [])
  assert.deepEqual(await cluster.values(3), await cluster.values(1))
})

test('a follower names the epoch of its last record, also when it has just been cut or is empty (KAFKA-15510)', async () => {
  const cluster = await TestCluster.started(new World(33))
  await cluster.produced(1, { value: 0 })
  cluster.elect(1, [1, 2, 3])
  await cluster.produced(1, { value: 1 })
  await cluster.world.run(1000)
  assert.equal(cluster.log(2).latestEpoch, 1)
  cluster.log(2).truncateTo(1)
  assert.equal(cluster.log(2).latestEpoch, 0)
  // It fetches on from there without being told that it parts.
  await cluster.produced(1, { value: 2 })
  await cluster.world.run(2000)
  assert.deepEqual(await cluster.values(2), [0, 1, 2])
  assert.equal(cluster.log(2).latestEpoch, 1)
})

test('a change of leaders cuts no follower to nothing, though the new leader may not know it yet (KAFKA-2143)', async () => {
  const cluster = await TestCluster.started(new World(34))
  for (let value = 0; value < 10; value++) await cluster.produced(1, { value })
  await cluster.world.run(1000)
  const logs = [1, 2, 3].map((id) => cluster.log(id))
  let lowest = Infinity
  for (const leader of [2, 3, 1, 3, 2]) {
    // The followers hear of it before the leader does.
    const followers = [1, 2, 3].filter((id) => id !== leader)
    Object.assign(cluster.state, { leader, leaderEpoch: cluster.state.leaderEpoch + 1 })
    cluster.announce(followers)
    await cluster.world.run(700)
    cluster.announce([leader])
    await cluster.world.run(700)
    lowest = Math.min(lowest, ...logs.map(({ logEndOffset }) => logEndOffset))
  }
  assert.equal(lowest, 10)
})

test('acks=all is answered as soon as the replicas have it, with nobody else writing or reading (KAFKA-14334)', async () => {
  const world = new World(35)
  const cluster = await TestCluster.started(world)
  await cluster.produced(1, { value: 0 })
  const startedMs = world.nowMs
  assert.equal((await cluster.produced(1, { value: 1, timeoutMs: 30_000 })).errorCode, ErrorCode.NONE)
  assert.ok(world.nowMs - startedMs < 1000, 'it does not wait for the next timer')
})

test('fetching goes on after a partition was stopped in the middle of an answer (KAFKA-10371)', async () => {
  const cluster = await TestCluster.started(new World(36))
  for (let value = 0; value < 5; value++) await cluster.produced(1, { value })
  for (let round = 0; round < 5; round++) {
    await cluster.produced(1, { acks: 1, value: 10 + round })
    // The replica goes and comes back while its fetch is under way, as with a reassignment that is cancelled and asked for again.
    const topicStates = [
      { topicName: TOPIC, partitionStates: [{ partitionIndex: 0, leaderEpoch: -2, deletePartition: true }] },
    ]
    const stop = {
      ...cluster.leaderAndIsr(2),
      deletePartitions: false,
      ungroupedPartitions: [],
      topics: [],
      topicStates,
    }
    cluster.manager(2).stopReplicas(stop)
    cluster.elect(1, [1, 3])
    await cluster.world.run(100)
  }
  assert.ok(await cluster.world.runUntil(() => cluster.isr().length === 3, 20_000))
  assert.deepEqual(await cluster.values(2), await cluster.values(1))
  assert.deepEqual(cluster.world.findings, [])
})

test('a follower whose leader is not reachable only waits: its own log stays as it is (KAFKA-9769)', async () => {
  const cluster = await TestCluster.started(new World(37))
  await cluster.produced(1, { value: 0 })
  await cluster.world.run(500)
  cluster.crash(1)
  Object.assign(cluster.state, { leaderEpoch: cluster.state.leaderEpoch + 1 })
  cluster.announce([2, 3])
  // The same leader in a new epoch, and nobody knows its address: the role is taken nevertheless, and it follows when it can.
  assert.equal(cluster.manager(2).partition(TOPIC, 0)!.leaderEpoch, 1)
  assert.equal(cluster.log(2).logEndOffset, 1)
  await cluster.start(1)
  cluster.announce()
  assert.equal((await cluster.produced(1, { value: 1, timeoutMs: 10_000 })).errorCode, ErrorCode.NONE)
})

test('a fetch that parts moves nothing in the books of the leader (KAFKA-13141)', async () => {
  const cluster = await TestCluster.started(new World(38))
  for (let value = 0; value < 3; value++) await cluster.produced(1, { value })
  for (const id of [2, 3]) cluster.broker(id).isCutOff = true
  cluster.elect(1, [1, 2, 3])
  await cluster.produced(1, { acks: 1, value: 3, records: 2 })
  const before = cluster.log(1).highWatermark
  // One that really has everything, and one that says so of records of the epoch before.
  assert.equal((await fetchAs(cluster, 3, { fetchOffset: 5, lastFetchedEpoch: 1 })).divergingEpoch, null)
  assert.notEqual((await fetchAs(cluster, 2, { fetchOffset: 5, lastFetchedEpoch: 0 })).divergingEpoch, null)
  assert.equal(cluster.log(1).highWatermark, before)
})
