/** Faults that Kafka's controller had, by their tickets, and relatives that the simulation found here. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode } from '#protocol'
import { ZnodePath, decodeTopic, encodeReassignments, encodeTopic } from '#metadata/znodes'
import { RetryingZooKeeper } from '#zookeeper/client'

import { FakeCluster } from './fake-cluster.ts'

const replicasText = (cluster: FakeCluster): string => cluster.ensemble.text(ZnodePath.topic('T'))!

async function reassign(cluster: FakeCluster, replicas: readonly number[] | null): Promise<number> {
  const outcome = await cluster.controller.alterPartitionReassignments([{ topic: 'T', partition: 0, replicas }])
  await cluster.settle()
  return outcome.results[0]!.errorCode
}

/** The leader's request for another ISR; members in the lives given, -1: not told. Returns the partition's error. */
async function changeIsr(
  cluster: FakeCluster,
  isr: readonly (readonly [id: number, epoch: number])[],
): Promise<number> {
  const { leader, leaderEpoch } = cluster.state('T', 0)!
  const { topicId } = cluster.broker(leader).metadata.topic('T')!
  const partition = {
    partitionIndex: 0,
    leaderEpoch,
    newIsr: [],
    newIsrWithEpochs: isr.map(([brokerId, brokerEpoch]) => ({ brokerId, brokerEpoch })),
    leaderRecoveryState: 0,
    partitionEpoch: cluster.ensemble.version(ZnodePath.partitionState('T', 0))!,
  }
  const topics = [{ topicName: '', topicId, partitions: [partition] }]
  const brokerEpoch = cluster.broker(leader).epoch
  const answer = await cluster.controller.alterPartition({ brokerId: leader, brokerEpoch, topics }, 3)
  await cluster.settle()
  return answer.topics[0]!.partitions[0]!.errorCode
}

test('the controller lets nobody into the ISR in a life that is over (KAFKA-15221)', async () => {
  const cluster = await FakeCluster.start(3)
  await cluster.createTopic('T', [[1, 2, 3]])
  const before = cluster.broker(3).epoch
  await cluster.bounce(3)
  assert.equal(cluster.stateText('T', 0), '1/1/1,2')
  assert.equal(
    await changeIsr(cluster, [
      [1, -1],
      [2, -1],
      [3, before],
    ]),
    ErrorCode.INELIGIBLE_REPLICA,
  )
  assert.equal(
    await changeIsr(cluster, [
      [1, -1],
      [2, -1],
      [3, cluster.broker(3).epoch],
    ]),
    ErrorCode.NONE,
  )
})

test('nobody who is shutting down, or is gone, comes back into the ISR (KAFKA-14140)', async () => {
  const cluster = await FakeCluster.start(4)
  await cluster.createTopic('T', [[1, 2, 3]])
  await cluster.controller.controlledShutdown({ brokerId: 3, brokerEpoch: cluster.broker(3).epoch })
  await cluster.settle()
  for (const step of ['shutting down', 'gone']) {
    if (step === 'gone') await cluster.kill(3)
    assert.deepEqual(cluster.state('T', 0)!.isr, [1, 2])
    assert.equal(
      await changeIsr(cluster, [
        [1, -1],
        [2, -1],
        [3, -1],
      ]),
      ErrorCode.INELIGIBLE_REPLICA,
      step,
    )
  }
})

test('a change of the ISR that comes with the epoch of before a reassignment is refused (KAFKA-12686, KAFKA-13254)', async () => {
  const cluster = await FakeCluster.start(3)
  await cluster.createTopic('T', [[1, 2]])
  const { topicId } = cluster.broker(1).metadata.topic('T')!
  const stale = {
    partitionIndex: 0,
    leaderEpoch: cluster.state('T', 0)!.leaderEpoch,
    newIsr: [],
    newIsrWithEpochs: [{ brokerId: 1, brokerEpoch: -1 }],
    leaderRecoveryState: 0,
    partitionEpoch: cluster.ensemble.version(ZnodePath.partitionState('T', 0))!,
  }
  assert.equal(await reassign(cluster, [1, 3]), ErrorCode.NONE)
  const request = {
    brokerId: 1,
    brokerEpoch: cluster.broker(1).epoch,
    topics: [{ topicName: '', topicId, partitions: [stale] }],
  }
  const answer = await cluster.controller.alterPartition(request, 3)
  assert.equal(answer.topics[0]!.partitions[0]!.errorCode, ErrorCode.FENCED_LEADER_EPOCH)
  assert.deepEqual(cluster.state('T', 0)!.isr, [1, 2])
})

test('the ISR is never more than the replicas: who leaves with a reassignment leaves it in the same step (KAFKA-9672)', async () => {
  const cluster = await FakeCluster.start(3)
  await cluster.createTopic('T', [[1, 2]])
  assert.equal(await reassign(cluster, [1, 3]), ErrorCode.NONE)
  for (const broker of cluster.brokers.values()) broker.take()
  await changeIsr(cluster, [
    [1, -1],
    [2, -1],
    [3, -1],
  ])
  assert.deepEqual(cluster.state('T', 0)!.isr, [1, 3])
  // What the leader hears of the new assignment it hears together with the new ISR.
  const told = cluster
    .broker(1)
    .take()
    .filter((line) => line.startsWith('LeaderAndIsr'))
  assert.ok(told.length > 0)
  for (const line of told) assert.match(line, /isr=1,3/)
})

test('a cancelled reassignment leaves nothing behind, and can be asked for again (KAFKA-13972)', async () => {
  const cluster = await FakeCluster.start(3)
  await cluster.createTopic('T', [[1, 2]])
  for (let round = 0; round < 2; round++) {
    assert.equal(await reassign(cluster, [1, 3]), ErrorCode.NONE)
    cluster.broker(3).take()
    assert.equal(await reassign(cluster, null), ErrorCode.NONE)
    // It is stopped in an epoch that it cannot take for an older one.
    const epoch = cluster.state('T', 0)!.leaderEpoch
    const stops = cluster
      .broker(3)
      .take()
      .filter((line) => line.includes('delete'))
    assert.equal(stops.length, 1)
    const [stop] = stops
    assert.ok(Number(stop!.split('epoch=')[1]) >= epoch - 1, stop!)
    assert.match(replicasText(cluster), /"partitions":\{"0":\[1,2\]\}.*"adding_replicas":\{\}/)
  }
})

test('a reassignment is not cancelled where only a replica that it brought is in sync', async () => {
  const cluster = await FakeCluster.start(3)
  await cluster.createTopic('T', [[1, 2]])
  assert.equal(await reassign(cluster, [1, 2, 3]), ErrorCode.NONE)
  cluster.broker(2).hanging = true
  await changeIsr(cluster, [
    [1, -1],
    [3, -1],
  ])
  await cluster.kill(1)
  assert.deepEqual(cluster.state('T', 0)!.isr, [3])
  assert.equal(await reassign(cluster, null), ErrorCode.INVALID_REPLICA_ASSIGNMENT)
  assert.deepEqual(cluster.state('T', 0)!.isr, [3])
  assert.equal(cluster.state('T', 0)!.leader, 3)
})

test('a topic that is being reassigned is deleted, with the replicas that were to come, whoever is the controller', async () => {
  for (const controllerDies of [false, true]) {
    const cluster = await FakeCluster.start(4)
    await cluster.createTopic('T', [[2, 3]])
    const wanted = encodeReassignments([{ topic: 'T', partition: 0, replicas: [3, 4] }])
    const zk = new RetryingZooKeeper(cluster.ensemble.connect())
    await zk.create(ZnodePath.reassignPartitions, wanted)
    await cluster.settle()
    // Nobody lets broker 4 into the ISR: the reassignment never ends by itself.
    if (controllerDies) cluster.broker(3).hanging = true
    await zk.create(ZnodePath.deleteTopic('T'), null)
    await cluster.settle()
    cluster.broker(3).hanging = false
    if (controllerDies) await cluster.kill(1)
    assert.equal(cluster.ensemble.text(ZnodePath.topic('T')), null)
    assert.equal(cluster.ensemble.text(ZnodePath.reassignPartitions), null)
    assert.ok(cluster.broker(4).received.some((line) => line.startsWith('StopReplica T-0 delete')))
  }
})

test('a reassignment whose target is in sync and away does not take the partition from who serves it', async () => {
  const cluster = await FakeCluster.start(3)
  await cluster.createTopic('T', [[1, 2]])
  assert.equal(await reassign(cluster, [3]), ErrorCode.NONE)
  await cluster.kill(3)
  assert.equal(cluster.state('T', 0)!.leader, 1)
  assert.equal((await cluster.controller.listPartitionReassignments(null)).reassignments.length, 1)
  await cluster.join(3)
  await changeIsr(cluster, [
    [1, -1],
    [2, -1],
    [3, -1],
  ])
  assert.deepEqual(cluster.state('T', 0)!.isr, [3])
  assert.match(replicasText(cluster), /"partitions":\{"0":\[3\]\}/)
})

test('who is no replica any more leaves the ISR and leads no more, where a controller died in the middle of that', async () => {
  const cluster = await FakeCluster.start(4)
  await cluster.createTopic('T', [[2, 3, 4]])
  const zk = new RetryingZooKeeper(cluster.ensemble.connect())
  const topic = decodeTopic('T', (await zk.getData(ZnodePath.topic('T'))).data)
  const assignment = { replicas: [3, 4], addingReplicas: [], removingReplicas: [] }
  await zk.setData(ZnodePath.topic('T'), encodeTopic({ ...topic, partitions: new Map([[0, assignment]]) }))
  await cluster.kill(1)
  assert.deepEqual(cluster.state('T', 0)!.isr, [3, 4])
  assert.equal(cluster.state('T', 0)!.leader, 3)
})
