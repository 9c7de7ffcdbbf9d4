/** Faults that Kafka's replication had, by their tickets. Others are in `replication.test.ts` and in `src/storage`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode } from '#protocol'
import { batchesOf } from '#protocol/records'
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

/** What a consumer gets from there on: an error, or records. */
async function consumedFrom(
  cluster: TestCluster,
  fetchOffset: number,
): Promise<{ errorCode: number; offsets: number[] }> {
  const fetched = cluster.manager(cluster.state.leader).fetch({
    replicaId: -1,
    maxWaitMs: 0,
    minBytes: 1,
    maxBytes: 100_000,
    isolation: 'highWatermark',
    mayReadFromFollower: false,
    rackId: '',
    partitions: [
      {
        topic: TOPIC,
        topicId: TOPIC_ID,
        partition: 0,
        fetchOffset,
        logStartOffset: -1,
        maxBytes: 100_000,
        currentLeaderEpoch: -1,
        lastFetchedEpoch: -1,
      },
    ],
  })
  const result = fetched instanceof Promise ? await fetched : fetched
  const { errorCode, records } = result.partitions[0]!
  const offsets = [...batchesOf(records)].map(({ baseOffset }) => baseOffset)
  result.release()
  return { errorCode, offsets }
}

test('consumers read up to the high watermark, wherever segments and logs begin (KAFKA-9196, KAFKA-9491)', async () => {
  // A batch is a segment of its own: the high watermark lies where one ends and the next one, with more, begins.
  const cluster = await TestCluster.started(new World(40), { log: { segmentBytes: 80 } })
  const upTo = (from: number, to: number) => ({
    errorCode: ErrorCode.NONE,
    offsets: Array.from({ length: to - from }, (_, index) => from + index),
  })
  const all = async (from: number): Promise<number> => {
    let offset = from
    for (;;) {
      const { errorCode, offsets } = await consumedFrom(cluster, offset)
      assert.equal(errorCode, ErrorCode.NONE)
      if (offsets.length === 0) return offset
      offset = offsets.at(-1)! + 1
    }
  }
  for (let value = 0; value < 3; value++) await cluster.produced(1, { value })
  for (const id of [2, 3]) cluster.broker(id).isCutOff = true
  for (let value = 3; value < 6; value++) await cluster.produced(1, { value, acks: 1 })
  assert.ok(cluster.log(1).segmentBaseOffsets.includes(3) && cluster.log(1).segmentBaseOffsets.length > 4)
  assert.equal(await all(0), 3)
  assert.deepEqual(await consumedFrom(cluster, 3), upTo(3, 3))
  // Where a replica begins anew its high watermark does, too; as a leader it is read from there.
  for (const id of [2, 3]) {
    await cluster.log(id).settle()
    cluster.log(id).truncateFullyAndStartAt(20)
    cluster.broker(id).isCutOff = false
  }
  cluster.broker(1).isCutOff = true
  cluster.elect(2, [2, 3])
  assert.deepEqual(await consumedFrom(cluster, 20), upTo(20, 20))
  assert.equal((await consumedFrom(cluster, 5)).errorCode, ErrorCode.OFFSET_OUT_OF_RANGE)
  assert.equal((await cluster.produced(2, { value: 6, timeoutMs: 10_000 })).baseOffset, 20)
  assert.deepEqual(await consumedFrom(cluster, 20), upTo(20, 21))
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

test('a consumer that waits is answered as soon as what it waits for is committed', async () => {
  const world = new World(42)
  const cluster = await TestCluster.started(world)
  await cluster.produced(1, { value: 0 })
  for (const isolation of ['highWatermark', 'lastStableOffset'] as const) {
    const { highWatermark } = cluster.log(1)
    let answeredMs: number | null = null
    const wanted = { topic: TOPIC, topicId: TOPIC_ID, partition: 0, logStartOffset: -1, maxBytes: 10_000 }
    const fetched = cluster.manager(1).fetch({
      replicaId: -1,
      maxWaitMs: 30_000,
      minBytes: 1,
      maxBytes: 10_000,
      isolation,
      mayReadFromFollower: false,
      rackId: '',
      partitions: [{ ...wanted, fetchOffset: highWatermark, currentLeaderEpoch: -1, lastFetchedEpoch: -1 }],
    })
    void Promise.resolve(fetched).then((answer) => {
      assert.ok(answer.partitions[0]!.records.length > 0)
      answer.release()
      answeredMs = world.nowMs
    })
    await world.run(1000)
    assert.equal(answeredMs, null)
    const producedMs = world.nowMs
    await cluster.produced(1, { value: 1 })
    assert.ok(await world.runUntil(() => answeredMs !== null, 100), 'it does not wait for a timer')
    assert.ok(answeredMs! >= producedMs)
  }
})

test('a replica that is stopped, and kept, does not come back into the ISR by itself (KAFKA-14140)', async () => {
  const cluster = await TestCluster.started(new World(36))
  await cluster.produced(1, { value: 0 })
  await cluster.world.run(500)
  // As to a broker that is shutting down.
  assert.equal(cluster.stopReplica(3, { deletes: false }).errorCode, ErrorCode.NONE)
  await cluster.produced(1, { value: 1, timeoutMs: 10_000 })
  assert.deepEqual(cluster.isr(), [1, 2])
  await cluster.world.run(10_000)
  assert.deepEqual(cluster.isr(), [1, 2])
  assert.equal(cluster.log(3).logEndOffset, 1)
  // The next word of the controller gives it its role again.
  cluster.elect(1, [1, 2])
  assert.ok(await cluster.world.runUntil(() => cluster.isr().length === 3, 20_000))
})

test('a replica that goes and comes back in the middle of fetches is filled anew (KAFKA-10371)', async () => {
  const cluster = await TestCluster.started(new World(36))
  for (let value = 0; value < 5; value++) await cluster.produced(1, { value })
  for (let round = 0; round < 5; round++) {
    await cluster.produced(1, { acks: 1, value: 10 + round })
    // As with a reassignment that is cancelled and asked for again. What each step of a fetcher must bear: `replica-fetcher.test.ts`.
    cluster.stopReplica(2, { deletes: true })
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
  assert.deepEqual(cluster.isr(), [1, 2, 3], 'it was acknowledged by all, and nobody was thrown out for it')
  for (const id of [2, 3]) assert.deepEqual(await cluster.values(id), [0, 1])
})

test('a role that cannot be taken leaves no epoch behind: the same word is obeyed later (KAFKA-9769)', async () => {
  const world = new World(41)
  const cluster = new TestCluster(world)
  for (const { id } of cluster.brokers) await cluster.start(id)
  const { diskConditions } = world.process('b2')
  diskConditions.inject({ operation: 'open', code: 'EIO', path: '/t-0/', times: Infinity })
  for (let attempt = 0; attempt < 2; attempt++) {
    const answer = cluster.manager(2).becomeLeaderOrFollower(cluster.leaderAndIsr(2))
    assert.equal(answer.topics[0]!.partitionErrors[0]!.errorCode, ErrorCode.KAFKA_STORAGE_ERROR)
    assert.equal(cluster.manager(2).partition(TOPIC, 0)?.leaderEpoch ?? -1, -1)
  }
  diskConditions.clearFaults()
  cluster.crash(2)
  await cluster.start(2)
  cluster.announce()
  assert.equal((await cluster.produced(1, { value: 1, timeoutMs: 10_000 })).errorCode, ErrorCode.NONE)
  assert.deepEqual(cluster.isr(), [1, 2, 3])
  assert.deepEqual(await cluster.values(2), [1])
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
