/** Replicas that agree, lose their leaders, lag and come back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode } from '#protocol'
import type { LeaderAndIsrRequest } from '#protocol/messages/leader-and-isr'
import { batchesOf } from '#protocol/records'
import { World } from '#simulation'

import type { Faults } from './faults.ts'
import type { AppendResult } from './requests.ts'
import { TOPIC, TOPIC_ID, TestCluster, byId } from './test-cluster.ts'

test('what is produced with acks=all is on every replica when it is acknowledged', async () => {
  const cluster = await TestCluster.started(new World(1))
  for (let value = 0; value < 5; value++) {
    const result = await cluster.produced(1, { value })
    assert.equal(result.errorCode, ErrorCode.NONE)
    assert.equal(result.baseOffset, value)
    for (const id of [1, 2, 3]) assert.ok(cluster.log(id).logEndOffset > value)
  }
  assert.equal(cluster.log(1).highWatermark, 5)
  await cluster.world.run(1000)
  for (const id of [2, 3]) {
    assert.equal(cluster.log(id).highWatermark, 5)
    assert.deepEqual(await cluster.values(id), [0, 1, 2, 3, 4])
  }
  assert.deepEqual(cluster.world.findings, [])
})

test('acks=1 waits for the leader, acks=0 for nobody, and acks=all gives up after its time', async () => {
  const cluster = await TestCluster.started(new World(2))
  cluster.broker(2).isCutOff = true
  assert.equal((await cluster.produced(1, { acks: 1 })).errorCode, ErrorCode.NONE)
  assert.equal((await cluster.produced(1, { acks: 0 })).errorCode, ErrorCode.NONE)
  assert.equal((await cluster.produced(1, { acks: -1, timeoutMs: 500 })).errorCode, ErrorCode.REQUEST_TIMED_OUT)
  assert.equal((await cluster.produced(2)).errorCode, ErrorCode.NOT_LEADER_OR_FOLLOWER)
  assert.equal(cluster.log(1).logEndOffset, 3)
})

test('a follower that lags leaves the ISR, the high watermark goes on, and it comes back when it has caught up', async () => {
  const cluster = await TestCluster.started(new World(3))
  cluster.broker(3).isCutOff = true
  const result = await cluster.produced(1, { timeoutMs: 10_000 })
  assert.equal(result.errorCode, ErrorCode.NONE)
  assert.deepEqual(cluster.isr(), [1, 2])
  assert.equal(cluster.log(1).highWatermark, 1)
  cluster.broker(3).isCutOff = false
  assert.ok(await cluster.world.runUntil(() => cluster.isr().length === 3, 10_000))
  assert.deepEqual([...cluster.manager(1).partition(TOPIC, 0)!.isr].sort(byId), [1, 2, 3])
})

test('a follower outside the ISR that had caught up is waited for until it is gone', async () => {
  const cluster = await TestCluster.started(new World(3))
  // As in a controlled shutdown: it has left the ISR, is not let in again, and stops fetching while it is still alive.
  cluster.alterError = ErrorCode.INELIGIBLE_REPLICA
  cluster.elect(1, [1, 2])
  await cluster.world.run(100)
  cluster.broker(3).isCutOff = true
  let result: AppendResult | null = null
  void cluster.produce(1, { timeoutMs: 10_000 }).then((answer) => (result = answer))
  await cluster.world.run(500)
  assert.equal(result, null)
  cluster.crash(3)
  cluster.manager(1).metadataChanged()
  await cluster.world.run(1)
  assert.equal((result as AppendResult | null)?.errorCode, ErrorCode.NONE)
})

test('min.insync.replicas: refused before the append, and told when the ISR shrank after it', async () => {
  const cluster = await TestCluster.started(new World(4), { log: { minInsyncReplicas: 2 } })
  for (const id of [2, 3]) cluster.broker(id).isCutOff = true
  // Both leave the ISR while this one waits: the high watermark does not move with too few replicas.
  const late = await cluster.produced(1, { timeoutMs: 8000 })
  assert.equal(late.errorCode, ErrorCode.REQUEST_TIMED_OUT)
  assert.deepEqual(cluster.isr(), [1])
  assert.equal((await cluster.produced(1)).errorCode, ErrorCode.NOT_ENOUGH_REPLICAS)
  assert.equal((await cluster.produced(1, { acks: 1 })).errorCode, ErrorCode.NONE)
  assert.equal(cluster.log(1).highWatermark, 0)
  cluster.broker(2).isCutOff = false
  assert.ok(await cluster.world.runUntil(() => cluster.log(1).highWatermark === 2, 10_000))
})

test('a deposed leader cuts what only it had, by epoch, and nothing acknowledged is lost (KAFKA-1211)', async () => {
  const cluster = await TestCluster.started(new World(5))
  for (let value = 0; value < 3; value++) await cluster.produced(1, { value })
  cluster.broker(1).isCutOff = true
  await cluster.produced(1, { acks: 1, value: 77, records: 2 })
  cluster.elect(2, [2, 3])
  await cluster.produced(2, { value: 3 })
  cluster.broker(1).isCutOff = false
  assert.ok(await cluster.world.runUntil(() => cluster.isr().length === 3, 10_000))
  for (const id of [1, 2, 3]) assert.deepEqual(await cluster.values(id), [0, 1, 2, 3])
  assert.deepEqual(cluster.log(1).epochs.entries, cluster.log(2).epochs.entries)
  assert.deepEqual(cluster.world.findings, [])
})

test('two quick failovers leave three equal logs (KAFKA-6361)', async () => {
  const cluster = await TestCluster.started(new World(6))
  await cluster.produced(1, { value: 0 })
  // Each leader in turn writes something that nobody fetches.
  for (const id of [1, 2, 3]) cluster.broker(id).isCutOff = true
  await cluster.produced(1, { acks: 1, value: 81, records: 3 })
  cluster.elect(2, [2])
  await cluster.produced(2, { acks: 1, value: 82 })
  cluster.elect(3, [3])
  await cluster.produced(3, { acks: 1, value: 83, records: 2 })
  for (const id of [1, 2, 3]) cluster.broker(id).isCutOff = false
  assert.ok(await cluster.world.runUntil(() => cluster.isr().length === 3, 20_000))
  for (const id of [1, 2, 3]) assert.deepEqual(await cluster.values(id), [0, 83, 83])
  assert.deepEqual(cluster.log(1).epochs.entries, cluster.log(3).epochs.entries)
})

test('the same leader in a new epoch: followers compare again (KAFKA-7164)', async () => {
  const cluster = await TestCluster.started(new World(7))
  await cluster.produced(1, { value: 0 })
  cluster.elect(1)
  await cluster.produced(1, { value: 1 })
  cluster.elect(1)
  await cluster.produced(1, { value: 2 })
  for (const id of [1, 2, 3]) {
    assert.deepEqual(await cluster.values(id), [0, 1, 2])
    assert.deepEqual(cluster.log(id).epochs.entries, [
      { epoch: 0, startOffset: 0 },
      { epoch: 1, startOffset: 1 },
      { epoch: 2, startOffset: 2 },
    ])
  }
})

test('waiting producers hear of a change of leader', async () => {
  const cluster = await TestCluster.started(new World(8))
  cluster.broker(1).isCutOff = true
  let answer: AppendResult | null = null
  void cluster.produce(1, { timeoutMs: 30_000 }).then((result) => (answer = result))
  await cluster.world.run(50)
  assert.equal(answer, null)
  cluster.elect(2)
  await cluster.world.run(50)
  assert.equal(answer!.errorCode, ErrorCode.NOT_LEADER_OR_FOLLOWER)
})

test('a crashed follower recovers and follows on; a crashed leader comes back as a follower', async () => {
  const cluster = await TestCluster.started(new World(9))
  for (let value = 0; value < 4; value++) await cluster.produced(1, { value })
  cluster.crash(3)
  assert.equal((await cluster.produced(1, { value: 4, timeoutMs: 10_000 })).errorCode, ErrorCode.NONE)
  assert.deepEqual(cluster.isr(), [1, 2])
  await cluster.start(3)
  cluster.announce()
  assert.ok(await cluster.world.runUntil(() => cluster.isr().length === 3, 10_000))
  cluster.crash(1)
  cluster.elect(2)
  assert.equal((await cluster.produced(2, { value: 5, timeoutMs: 10_000 })).errorCode, ErrorCode.NONE)
  await cluster.start(1)
  cluster.announce()
  assert.ok(await cluster.world.runUntil(() => cluster.isr().length === 3, 10_000))
  for (const id of [1, 2, 3]) assert.deepEqual(await cluster.values(id), [0, 1, 2, 3, 4, 5])
  assert.deepEqual(cluster.world.findings, [])
})

test('with flush.messages=1 all three may lose their power at once', async () => {
  const cluster = await TestCluster.started(new World(10), { log: { flushMessages: 1 } })
  for (let value = 0; value < 6; value++) assert.equal((await cluster.produced(1, { value })).errorCode, ErrorCode.NONE)
  for (const id of [1, 2, 3]) cluster.crash(id, true)
  for (const id of [1, 2, 3]) await cluster.start(id)
  cluster.elect(3, [1, 2, 3])
  await cluster.produced(3, { value: 6, timeoutMs: 10_000 })
  for (const id of [1, 2, 3]) assert.deepEqual(await cluster.values(id), [0, 1, 2, 3, 4, 5, 6])
})

test('a retried batch is a duplicate on the new leader too, and waits for the high watermark (KAFKA-5494)', async () => {
  const cluster = await TestCluster.started(new World(11))
  await cluster.produced(1, { sequence: 0, records: 2 })
  await cluster.produced(1, { sequence: 2, records: 2 })
  cluster.elect(2)
  const retried = await cluster.produced(2, { sequence: 0, records: 2 })
  assert.deepEqual([retried.errorCode, retried.baseOffset], [ErrorCode.NONE, 0])
  assert.equal((await cluster.produced(2, { sequence: 9 })).errorCode, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
  assert.equal(cluster.log(2).logEndOffset, 4)
})

test('stale controllers, stale brokers and wrong topics are refused', async () => {
  const cluster = await TestCluster.started(new World(12))
  const manager = cluster.manager(1)
  const code = (change: Partial<LeaderAndIsrRequest>): number =>
    manager.becomeLeaderOrFollower({ ...cluster.leaderAndIsr(1), ...change }).errorCode
  assert.equal(code({ controllerEpoch: 0 }), ErrorCode.STALE_CONTROLLER_EPOCH)
  assert.equal(code({ brokerEpoch: 0 }), ErrorCode.STALE_BROKER_EPOCH)
  assert.equal(code({ brokerEpoch: -1 }), ErrorCode.NONE)
  assert.equal(code({ brokerEpoch: 99 }), ErrorCode.NONE)
  const partitionCode = (change: object, topicId = TOPIC_ID): number => {
    const request = cluster.leaderAndIsr(1)
    const [topic] = request.topicStates
    const response = manager.becomeLeaderOrFollower({
      ...request,
      topicStates: [{ ...topic!, topicId, partitionStates: [{ ...topic!.partitionStates[0]!, ...change }] }],
    })
    return response.topics[0]!.partitionErrors[0]!.errorCode
  }
  assert.equal(partitionCode({}), ErrorCode.STALE_CONTROLLER_EPOCH, 'the same epoch again')
  assert.equal(partitionCode({ leaderEpoch: -1 }), ErrorCode.STALE_CONTROLLER_EPOCH)
  assert.equal(partitionCode({ leaderEpoch: 5 }, 'BBECAwQFBgcICQoLDA0ODw'), ErrorCode.INCONSISTENT_TOPIC_ID)
  assert.equal(partitionCode({ leaderEpoch: 5, replicas: [2, 3] }), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  const stop = (leaderEpoch: number, deletePartition: boolean): number => {
    const partitionStates = [{ partitionIndex: 0, leaderEpoch, deletePartition }]
    const request = { ...cluster.leaderAndIsr(1), deletePartitions: false, ungroupedPartitions: [], topics: [] }
    return manager.stopReplicas({ ...request, topicStates: [{ topicName: TOPIC, partitionStates }] })
      .partitionErrors[0]!.errorCode
  }
  assert.equal(partitionCode({ leaderEpoch: 6 }), ErrorCode.NONE)
  assert.equal(stop(5, true), ErrorCode.FENCED_LEADER_EPOCH, 'a replica that lives again is not stopped (KIP-570)')
  assert.equal(stop(-2, true), ErrorCode.NONE)
  assert.equal(manager.partition(TOPIC, 0), null)
  assert.equal(cluster.broker(1).logs!.log(TOPIC, 0), null)
})

test('fetches are checked: epochs, offsets, who asks', async () => {
  const cluster = await TestCluster.started(new World(13))
  for (let value = 0; value < 3; value++) await cluster.produced(1, { value })
  cluster.elect(1)
  await cluster.produced(1, { value: 3 })
  const fetch = async (change: object, replicaId = -1) => {
    const wanted = {
      topic: TOPIC,
      topicId: TOPIC_ID,
      partition: 0,
      fetchOffset: 0,
      logStartOffset: -1,
      maxBytes: 10_000,
    }
    const result = await cluster.manager(1).fetch({
      replicaId,
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: 10_000,
      isolation: replicaId < 0 ? 'highWatermark' : 'logEnd',
      mayReadFromFollower: false,
      rackId: '',
      partitions: [{ ...wanted, currentLeaderEpoch: -1, lastFetchedEpoch: -1, ...change }],
    })
    result.release()
    return result.partitions[0]!
  }
  assert.equal([...batchesOf((await fetch({})).records)].length, 4)
  assert.equal((await fetch({ currentLeaderEpoch: 0 })).errorCode, ErrorCode.FENCED_LEADER_EPOCH)
  assert.equal((await fetch({ currentLeaderEpoch: 2 })).errorCode, ErrorCode.UNKNOWN_LEADER_EPOCH)
  assert.equal((await fetch({ fetchOffset: 5 })).errorCode, ErrorCode.OFFSET_OUT_OF_RANGE)
  assert.equal((await fetch({ topicId: 'BBECAwQFBgcICQoLDA0ODw' })).errorCode, ErrorCode.INCONSISTENT_TOPIC_ID)
  assert.equal((await fetch({ partition: 1 })).errorCode, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  assert.deepEqual((await fetch({ fetchOffset: 4, lastFetchedEpoch: 0 })).divergingEpoch, { epoch: 0, endOffset: 3 })
  assert.equal((await fetch({ fetchOffset: 4, lastFetchedEpoch: 1 })).divergingEpoch, null)
  assert.equal((await fetch({}, 9)).errorCode, ErrorCode.NOT_LEADER_OR_FOLLOWER)
  // A fetch that diverges says nothing of where the follower is (KAFKA-13141).
  const before = cluster.log(1).highWatermark
  assert.notEqual((await fetch({ fetchOffset: 4, lastFetchedEpoch: 0, currentLeaderEpoch: 1 }, 2)).divergingEpoch, null)
  assert.equal(cluster.log(1).highWatermark, before)
})

test('a change of the ISR that the controller refuses is taken back, or stays open until it says more', async () => {
  const cluster = await TestCluster.started(new World(14))
  cluster.broker(3).isCutOff = true
  cluster.alterError = ErrorCode.INELIGIBLE_REPLICA
  await cluster.produced(1, { acks: 1 })
  await cluster.world.run(6000)
  const isr = (): number => cluster.manager(1).partition(TOPIC, 0)!.isr.size
  assert.equal(isr(), 3)
  assert.ok(cluster.alterations > 1, 'it is tried again')
  cluster.alterError = ErrorCode.INVALID_UPDATE_VERSION
  await cluster.world.run(3000)
  const tried = cluster.alterations
  await cluster.world.run(6000)
  assert.equal(cluster.alterations, tried)
  cluster.alterError = ErrorCode.NONE
  cluster.elect(1, [1, 2, 3])
  assert.ok(await cluster.world.runUntil(() => isr() === 2, 6000))
})

test('whom the controller does not let in is not proposed again without a pause', async () => {
  const cluster = await TestCluster.started(new World(22))
  cluster.broker(3).isCutOff = true
  await cluster.produced(1, { timeoutMs: 10_000 })
  assert.deepEqual(cluster.isr(), [1, 2])
  // Broker 3 fetches again and again.
  const leader = cluster.manager(1).partition(TOPIC, 0)!
  cluster.alterError = ErrorCode.INELIGIBLE_REPLICA
  const before = cluster.alterations
  for (let fetch = 0; fetch < 100; fetch++) {
    leader.followerFetched(3, cluster.log(1).logEndOffset, 0)
    await cluster.world.run(1)
  }
  assert.ok(cluster.alterations - before <= 4, `${cluster.alterations - before} proposals in 100 ms`)
})

test('a follower joins the ISR only inside the present epoch (KAFKA-7128)', async () => {
  for (const joinIsrBeforeEpochStart of [false, true]) {
    const cluster = await TestCluster.started(new World(15), { faults: { joinIsrBeforeEpochStart } })
    await cluster.produced(1, { value: 0 })
    cluster.broker(3).isCutOff = true
    await cluster.produced(1, { value: 1, timeoutMs: 10_000 })
    assert.deepEqual(cluster.isr(), [1, 2])
    // A follower with all below the high watermark, while records 2 and 3 are in doubt when the leader's epoch begins.
    cluster.broker(2).isCutOff = true
    await cluster.produced(1, { acks: 1, value: 2, records: 2 })
    cluster.elect(1, [1, 2])
    const leader = cluster.manager(1).partition(TOPIC, 0)!
    leader.followerFetched(3, 2, 0)
    await cluster.world.run(20)
    assert.equal(cluster.isr().includes(3), joinIsrBeforeEpochStart)
  }
})

test('each seeded fault does what its name says', async () => {
  const early = await TestCluster.started(new World(16), { faults: { acknowledgeBeforeFollowers: true } })
  for (const id of [2, 3]) early.broker(id).isCutOff = true
  assert.equal((await early.produced(1)).errorCode, ErrorCode.NONE)

  const twice = await TestCluster.started(new World(17), { faults: { forgetProducersOnLeaderChange: true } })
  await twice.produced(1, { sequence: 0 })
  twice.elect(2)
  assert.equal((await twice.produced(2, { sequence: 0 })).baseOffset, 1)

  for (const faults of [{ skipTruncation: true }, { truncateToHighWatermark: true }]) {
    const diverged = await TestCluster.started(new World(18), { faults })
    await diverged.produced(1, { value: 0 })
    diverged.broker(1).isCutOff = true
    await diverged.produced(1, { acks: 1, value: 66 })
    diverged.elect(2, [2, 3])
    await diverged.produced(2, { value: 1 })
    await diverged.produced(2, { value: 2 })
    diverged.broker(1).isCutOff = false
    await diverged.world.run(10_000)
    const kept = (await diverged.values(1)).includes(66)
    assert.equal(kept, faults.skipTruncation === true)
  }

  const stale = await TestCluster.started(new World(19), {
    faults: {
      acceptStaleControllerEpoch: true,
      acceptStaleBrokerEpoch: true,
    },
  })
  assert.equal(stale.manager(1).admitController(0, 0), ErrorCode.NONE)
})

test('an epoch and its start are on disk before the new leader appends (KAFKA-7415)', async () => {
  const cluster = await TestCluster.started(new World(20))
  await cluster.produced(1, { value: 0 })
  for (const id of [1, 3]) cluster.broker(id).isCutOff = true
  cluster.elect(2, [1, 2, 3])
  // A process that died now would leave this. (A start drops entries behind the end, as any truncation to it does.)
  cluster.crash(2)
  let checkpoint = ''
  cluster.world.process('b2').start(async ({ files }) => {
    checkpoint = new TextDecoder().decode(files.readFile(`/data/${TOPIC}-0/leader-epoch-checkpoint`))
  })
  await cluster.world.run(10)
  assert.equal(checkpoint, '0\n2\n0 0\n1 1\n')
})

test('a LeaderAndIsr that comes while a change of the ISR is under way wins (KAFKA-9672, KAFKA-13091)', async () => {
  const cluster = await TestCluster.started(new World(21))
  const leader = cluster.manager(1).partition(TOPIC, 0)!
  cluster.broker(3).isCutOff = true
  cluster.broker(1).isCutOff = true
  await cluster.produced(1, { acks: 1 })
  // The leader wants to shrink, cannot reach the controller, and tries again and again.
  await cluster.world.run(5000)
  assert.equal(leader.role.kind === 'leader' && leader.role.isr.kind, 'pending')
  cluster.elect(1, [1, 2, 3])
  assert.deepEqual([...leader.isr].sort(byId), [1, 2, 3])
  assert.equal(leader.role.kind === 'leader' && leader.role.isr.kind, 'committed')
  cluster.broker(1).isCutOff = false
  await cluster.world.run(200)
  // What was asked for in the old epoch is refused by the controller, and changes nothing here.
  assert.equal(cluster.state.isr.length, 3)
  assert.deepEqual([...leader.isr].sort(byId), [1, 2, 3])
})

/** One seed of chaos: brokers cut off, crashed, restarted, leaders changed at random among the ISR, while one producer sends. */
async function chaos(seed: number, faults: Partial<Faults> = {}): Promise<void> {
  const world = new World(seed)
  const cluster = await TestCluster.started(world, { faults, log: { segmentBytes: 2000 } })
  const random = world.random.fork('chaos')
  const acknowledged: number[] = []
  let value = 0
  const steps = 60 + random.below(40)
  for (let step = 0; step < steps; step++) {
    const { leader } = cluster.state
    const id = 1 + random.below(3)
    const choice = random.below(20)
    if (choice < 9 && cluster.isAlive(leader)) {
      const sent = (value += 1)
      void cluster.produce(leader, { value: sent, timeoutMs: 30_000 }).then(({ errorCode }) => {
        if (errorCode === ErrorCode.NONE) acknowledged.push(sent)
      })
    } else if (choice < 12) cluster.broker(id).isCutOff = !cluster.broker(id).isCutOff
    else if (choice < 14 && cluster.isAlive(id)) cluster.crash(id)
    else if (choice < 17 && !cluster.isAlive(id)) {
      await cluster.start(id)
      cluster.announce([id])
    } else if (choice < 19) electFromIsr(cluster, random.below(3))
    await cluster.world.run(random.below(1500))
    if (!cluster.isAlive(cluster.state.leader)) electFromIsr(cluster, 0)
  }
  await settleAll(cluster)
  const final = await cluster.values(cluster.state.leader)
  for (const other of [1, 2, 3]) assert.deepEqual(await cluster.values(other), final, `seed ${seed}: replica ${other}`)
  const lost = acknowledged.filter((acked) => !final.includes(acked))
  assert.deepEqual(lost, [], `seed ${seed}: acknowledged and lost`)
  assert.equal(new Set(final).size, final.length, `seed ${seed}: nothing twice`)
  assert.deepEqual(cluster.world.findings, [], `seed ${seed}`)
  const epochsOf = (id: number): object[] =>
    cluster.log(id).epochs.entries.filter(({ startOffset }) => startOffset < cluster.log(id).logEndOffset)
  for (const other of [2, 3]) assert.deepEqual(epochsOf(other), epochsOf(1), `seed ${seed}: epochs of replica ${other}`)
}

/** Elections are clean: only a living member of the ISR leads. */
function electFromIsr(cluster: TestCluster, preference: number): void {
  const alive = cluster.state.isr.filter((id) => cluster.isAlive(id))
  if (alive.length > 0) cluster.elect(alive[preference % alive.length]!, alive)
}

async function settleAll(cluster: TestCluster): Promise<void> {
  for (const { id } of cluster.brokers) {
    cluster.broker(id).isCutOff = false
    if (!cluster.isAlive(id)) {
      await cluster.start(id)
      cluster.announce([id])
    }
  }
  electFromIsr(cluster, 0)
  assert.ok(await cluster.world.runUntil(() => cluster.isr().length === 3, 60_000), 'everyone is back in sync')
  const leader = cluster.log(cluster.state.leader)
  assert.ok(await cluster.world.runUntil(() => leader.highWatermark === leader.logEndOffset, 60_000))
  // Those that the controller never missed may still have to cut what they wrote as leaders.
  await cluster.world.run(3000)
}

test('whatever fails, nothing acknowledged is lost and the replicas agree', async () => {
  for (let seed = 1000; seed < 1030; seed++) await chaos(seed)
})
