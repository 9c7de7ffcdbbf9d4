import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode } from '#protocol'
import {
  SequencePrefix,
  ZnodePath,
  encodeConfig,
  encodeController,
  encodeControllerEpoch,
  encodeLogDirEvent,
  encodePartitionList,
  encodeReassignments,
} from '#metadata/znodes'
import { CreateMode, RetryingZooKeeper } from '#zookeeper/client'

import { FakeCluster } from './fake-cluster.ts'
import { ElectionType } from './leader-elections.ts'

// ---- election ----

test('the first broker that asks is the controller, with epoch 1; the others know it', async () => {
  const cluster = await FakeCluster.start(3)
  assert.deepEqual(
    [...cluster.brokers.values()].map(({ controller }) => [controller.isActive, controller.activeControllerId]),
    [
      [true, 1],
      [false, 1],
      [false, 1],
    ],
  )
  assert.equal(cluster.ensemble.text(ZnodePath.controllerEpoch), '1')
  assert.equal(cluster.broker(3).metadata.controllerId, 1)
  assert.equal(cluster.ensemble.text(ZnodePath.features), '{"features":{},"version":2,"status":1}')
  await cluster.kill(1)
  assert.equal([...cluster.brokers.values()].filter(({ controller }) => controller.isActive).length, 1)
  assert.equal(cluster.controller.epoch, 2)
  assert.equal(cluster.broker(2).metadata.controllerId, cluster.controller.activeControllerId)
})

test('an election whose answer was lost is recognised as won', async () => {
  const cluster = await FakeCluster.start(0)
  const joining = cluster.join(1)
  cluster.broker(1).zk.beforeWrite = (steps) => {
    if (!steps.some(({ path }) => path === ZnodePath.controller)) return
    cluster.broker(1).zk.beforeWrite = null
    cluster.broker(1).zk.loseNextWrite(true)
  }
  await joining
  assert.equal(cluster.broker(1).controller.isActive, true)
  assert.equal(cluster.ensemble.text(ZnodePath.controllerEpoch), '1')
})

test('/controller of an earlier session of the same broker is no office, and is waited out (KAFKA-1029)', async () => {
  const cluster = await FakeCluster.start(0)
  const earlier = cluster.ensemble.connect()
  await earlier.create(ZnodePath.controller, encodeController(1, 0), { mode: CreateMode.ephemeral })
  const broker = await cluster.join(1)
  assert.equal(broker.controller.isActive, false)
  cluster.ensemble.expire(earlier)
  await cluster.settle()
  assert.equal(broker.controller.isActive, true)
  assert.equal(cluster.ensemble.stat(ZnodePath.controller)!.ephemeralOwner, broker.zk.sessionId)
})

test('a controller that cannot take over makes way for another', async () => {
  const cluster = await FakeCluster.start(2)
  await cluster.createTopic('T', [[1, 2]])
  const { zk } = cluster.broker(2)
  zk.beforeWrite = (steps) => {
    if (steps[0]?.op !== 'check') return
    zk.beforeWrite = null
    throw new Error('ZooKeeper does something unheard of')
  }
  await cluster.kill(1)
  assert.equal(cluster.broker(2).controller.isActive, true)
  assert.equal(cluster.controller.epoch, 3)
})

test('who is elected again in the same session still hears of brokers: watches of the former office stand in nobody’s way', async () => {
  const cluster = await FakeCluster.start(2)
  await cluster.createTopic('T', [[2, 1]])
  const { zk } = cluster.broker(2)
  // The first office ends when it takes the dead replica out of the ISR, after it has set its watches.
  zk.beforeWrite = (steps) => {
    if (!steps.some(({ path }) => path === ZnodePath.partitionState('T', 0))) return
    zk.beforeWrite = null
    throw new Error('ZooKeeper does something unheard of')
  }
  await cluster.kill(1)
  assert.equal(cluster.controller.epoch, 3)
  await cluster.join(3)
  assert.deepEqual([...cluster.broker(2).metadata.brokers.keys()], [2, 3])
})

test('a session that expires takes the office with it; after a new one the broker may be elected again', async () => {
  const cluster = await FakeCluster.start(2)
  const { controller, zk } = cluster.broker(1)
  await cluster.createTopic('T', [[1, 2]])
  const asked = controller.electLeaders(ElectionType.preferred, null)
  cluster.ensemble.expire(zk)
  await controller.onSessionExpired()
  assert.equal(controller.isActive, false)
  assert.equal((await asked).errorCode, ErrorCode.NOT_CONTROLLER)
  await cluster.settle()
  assert.equal(cluster.broker(2).controller.isActive, true)
  zk.renew()
  await cluster.broker(1).register()
  controller.onSessionRenewed()
  await cluster.settle()
  assert.equal(controller.activeControllerId, 2)
  // The new controller takes the dead replica out of the ISR, and then elects.
  assert.equal(cluster.stateText('T', 0), '2/2/2')
  await cluster.kill(2)
  assert.equal(controller.isActive, true)
})

test('a deposed controller that has not noticed writes nothing, and is refused by brokers', async () => {
  const cluster = await FakeCluster.start(3)
  await cluster.createTopic('T', [[1, 2, 3]])
  const before = cluster.stateText('T', 0)
  // Broker 1 stands still: its session is over and another was elected, but it hears nothing of it.
  const { controller } = cluster.broker(1)
  const usurper = new RetryingZooKeeper(cluster.ensemble.connect())
  const epoch = encodeControllerEpoch(7)
  await usurper.setData(ZnodePath.controllerEpoch, epoch)
  for (const broker of cluster.brokers.values()) broker.controllerEpoch = 7

  const answer = await controller.controlledShutdown({ brokerId: 1, brokerEpoch: cluster.broker(1).epoch })
  assert.equal(answer.errorCode, ErrorCode.STALE_CONTROLLER_EPOCH)
  assert.equal(cluster.stateText('T', 0), before)
  await cluster.settle()
  assert.equal(controller.isActive, false)
})

test('requests of a controller whose epoch is over are refused by the brokers', async () => {
  const cluster = await FakeCluster.start(2)
  cluster.broker(2).controllerEpoch = 9
  await cluster.createTopic('T', [[1, 2]])
  assert.deepEqual(cluster.broker(2).take(), [
    'LeaderAndIsr refused: controller epoch 1 is stale',
    'UpdateMetadata refused: controller epoch 1 is stale',
  ])
})

test('when another stands in /controller, the old one stands down', async () => {
  const cluster = await FakeCluster.start(2)
  const zk = new RetryingZooKeeper(cluster.ensemble.connect())
  await zk.setData(ZnodePath.controller, encodeController(2, 0))
  await cluster.settle()
  assert.equal(cluster.broker(1).controller.isActive, false)
  assert.equal(cluster.broker(1).controller.activeControllerId, 2)
})

// ---- topics ----

test('a new topic gets its first leaders, replicas are told first and brokers then', async () => {
  const cluster = await FakeCluster.start(3)
  await cluster.createTopic('T', [
    [1, 2],
    [2, 3],
  ])
  assert.equal(cluster.stateText('T', 0), '1/0/1,2')
  assert.equal(cluster.stateText('T', 1), '2/0/2,3')
  assert.deepEqual(cluster.broker(1).take(), [
    'LeaderAndIsr T-0 leader=1 epoch=0 isr=1,2 new',
    'UpdateMetadata brokers=1,2,3 T-0=1 T-1=2',
  ])
  assert.deepEqual(cluster.broker(2).take(), [
    'LeaderAndIsr T-0 leader=1 epoch=0 isr=1,2 new',
    'LeaderAndIsr T-1 leader=2 epoch=0 isr=2,3 new',
    'UpdateMetadata brokers=1,2,3 T-0=1 T-1=2',
  ])
  const partition = cluster.broker(3).metadata.partition('T', 1)
  assert.deepEqual([partition?.leader, partition?.zkVersion, partition?.offlineReplicas], [2, 0, []])
})

test('replicas that are not alive are not in the first ISR; without any the partition waits', async () => {
  const cluster = await FakeCluster.start(1)
  await cluster.createTopic('T', [[2, 1], [2]])
  assert.equal(cluster.stateText('T', 0), '1/0/1')
  assert.equal(cluster.stateText('T', 1), 'none')
  await cluster.join(2)
  assert.equal(cluster.stateText('T', 1), '2/0/2')
  assert.ok(cluster.broker(2).received.includes('LeaderAndIsr T-0 leader=1 epoch=0 isr=1'))
  assert.ok(cluster.broker(2).received.includes('LeaderAndIsr T-1 leader=2 epoch=0 isr=2 new'))
})

test('added partitions get leaders; other changes of the znode mean nothing', async () => {
  const cluster = await FakeCluster.start(2)
  await cluster.createTopic('T', [[1, 2]])
  for (const broker of cluster.brokers.values()) broker.take()
  const grown = '{"version":3,"partitions":{"0":[2,1],"1":[2,1]},"topic_id":"TAAAAAAAAAAAAAAAAAAAAA"}'
  await cluster.broker(1).retrying.setData(ZnodePath.topic('T'), new TextEncoder().encode(grown))
  await cluster.settle()
  assert.equal(cluster.stateText('T', 1), '2/0/2,1')
  assert.equal(cluster.broker(1).metadata.partition('T', 0)?.replicas.join(), '1,2')
  assert.deepEqual(cluster.broker(2).take(), [
    'LeaderAndIsr T-1 leader=2 epoch=0 isr=2,1 new',
    'UpdateMetadata brokers=1,2 T-1=2',
  ])
})

test('a topic without an id gets one', async () => {
  const cluster = await FakeCluster.start(1)
  const old = new TextEncoder().encode('{"version":1,"partitions":{"0":[1]}}')
  await cluster.broker(1).retrying.create(ZnodePath.topic('old'), old)
  await cluster.settle()
  const { topic_id: topicId } = JSON.parse(cluster.ensemble.text(ZnodePath.topic('old'))!) as { topic_id: string }
  assert.equal(topicId.length, 22)
  assert.equal(cluster.broker(1).metadata.topicId('old'), topicId)
})

// ---- brokers ----

test('a dead leader is replaced from the ISR, a dead follower leaves it', async () => {
  const cluster = await FakeCluster.start(3)
  await cluster.createTopic('T', [
    [3, 1, 2],
    [1, 3],
  ])
  await cluster.kill(3)
  assert.equal(cluster.stateText('T', 0), '1/1/1,2')
  assert.equal(cluster.stateText('T', 1), '1/1/1')
  assert.deepEqual([...cluster.broker(2).metadata.brokers.keys()], [1, 2])
  assert.deepEqual(cluster.broker(2).metadata.partition('T', 0)?.offlineReplicas, [3])
})

test('the last member stays in the ISR; nobody else may lead; when it is back it does', async () => {
  const cluster = await FakeCluster.start(3)
  await cluster.createTopic('T', [[3, 2]])
  await cluster.kill(2)
  assert.equal(cluster.stateText('T', 0), '3/1/3')
  await cluster.kill(3)
  assert.equal(cluster.stateText('T', 0), '-1/2/3')
  await cluster.join(2)
  assert.equal(cluster.stateText('T', 0), '-1/2/3')
  const back = await cluster.join(3)
  assert.equal(cluster.stateText('T', 0), '3/3/3')
  assert.ok(back.received.includes('LeaderAndIsr T-0 leader=3 epoch=3 isr=3'))
})

test('an unclean leader only where the topic allows it, and it says so', async () => {
  const cluster = await FakeCluster.start(3)
  const allowed = encodeConfig({ 'unclean.leader.election.enable': 'true' })
  await cluster.broker(1).retrying.create(ZnodePath.config('topics', 'U'), allowed)
  for (const topic of ['T', 'U']) {
    await cluster.createTopic(topic, [[3, 2]])
  }
  await cluster.kill(2)
  await cluster.join(2)
  await cluster.kill(3)
  assert.equal(cluster.stateText('T', 0), '-1/2/3')
  assert.equal(cluster.state('U', 0)?.leader, 2)
  assert.deepEqual(cluster.state('U', 0)?.isr, [2])
  assert.equal(cluster.state('U', 0)?.leaderRecoveryState, 1)
})

test('a broker that comes is told of the others, of all partitions and of its own, in this order', async () => {
  const cluster = await FakeCluster.start(2)
  await cluster.createTopic('T', [
    [1, 3],
    [2, 1],
  ])
  cluster.broker(1).take()
  const broker = await cluster.join(3)
  assert.deepEqual(broker.take(), [
    'UpdateMetadata brokers=1,2,3 T-0=1 T-1=2',
    'LeaderAndIsr T-0 leader=1 epoch=0 isr=1',
    'UpdateMetadata brokers=1,2,3 T-0=1',
  ])
  assert.deepEqual(cluster.broker(1).take(), ['UpdateMetadata brokers=1,2,3', 'UpdateMetadata brokers=1,2,3 T-0=1'])
})

test('a broker that restarted unseen is known by its epoch: it is treated as gone and come', async () => {
  const cluster = await FakeCluster.start(3)
  await cluster.createTopic('T', [[3, 1]])
  await cluster.bounce(3)
  assert.equal(cluster.stateText('T', 0), '1/1/1')
  const { received } = cluster.broker(3)
  assert.ok(received.includes('LeaderAndIsr T-0 leader=1 epoch=1 isr=1'), received.join('\n'))
})

test('a broker that asks to leave leads nothing afterwards, and is in no ISR', async () => {
  const cluster = await FakeCluster.start(3)
  await cluster.createTopic('T', [[3, 1, 2], [1, 3], [3]])
  const { epoch } = cluster.broker(3)
  assert.deepEqual(await cluster.controller.controlledShutdown({ brokerId: 3, brokerEpoch: epoch }), {
    errorCode: ErrorCode.NONE,
    remainingPartitions: [],
  })
  assert.equal(cluster.stateText('T', 0), '1/1/1,2')
  assert.equal(cluster.stateText('T', 1), '1/1/1')
  assert.equal(cluster.stateText('T', 2), '3/0/3')
  await cluster.settle()
  assert.ok(cluster.broker(3).received.includes('StopReplica T-1 stop epoch=1'))
  const refusals = [
    [{ brokerId: 3, brokerEpoch: epoch - 1 }, ErrorCode.STALE_BROKER_EPOCH],
    [{ brokerId: 9, brokerEpoch: 1 }, ErrorCode.BROKER_NOT_AVAILABLE],
  ] as const
  for (const [request, errorCode] of refusals)
    assert.equal((await cluster.controller.controlledShutdown(request)).errorCode, errorCode)
})

test('what a leaving broker cannot hand over remains', async () => {
  const cluster = await FakeCluster.start(2)
  await cluster.createTopic('T', [[2, 1]])
  await cluster.kill(1)
  await cluster.join(1)
  const answer = await cluster.controller.controlledShutdown({ brokerId: 2, brokerEpoch: -1 })
  assert.deepEqual(answer.remainingPartitions, [{ topicName: 'T', partitionIndex: 0 }])
})

test('new endpoints of a broker are passed on', async () => {
  const cluster = await FakeCluster.start(2)
  const moved = cluster.ensemble.text(ZnodePath.broker(2))!.replaceAll('host2', 'elsewhere')
  await cluster.broker(2).retrying.setData(ZnodePath.broker(2), new TextEncoder().encode(moved))
  await cluster.settle()
  assert.equal(cluster.broker(1).metadata.endpoint(2, 'PLAINTEXT')?.host, 'elsewhere')
})

test('what a broker was to be told before its endpoints changed is told there', async () => {
  const cluster = await FakeCluster.start(2)
  cluster.broker(2).hanging = true
  await cluster.createTopic('T', [[2, 1]])
  cluster.broker(2).hanging = false
  const moved = cluster.ensemble.text(ZnodePath.broker(2))!.replaceAll('host2', 'elsewhere')
  await cluster.broker(2).retrying.setData(ZnodePath.broker(2), new TextEncoder().encode(moved))
  await cluster.settle()
  assert.ok(cluster.broker(2).take().includes('LeaderAndIsr T-0 leader=2 epoch=0 isr=2,1 new'))
})

test('replicas on a failed log directory lose their leadership, and come back', async () => {
  const cluster = await FakeCluster.start(2)
  await cluster.createTopic('T', [
    [2, 1],
    [2, 1],
  ])
  cluster.broker(2).brokenReplicas.add('T-0')
  const notify = async (): Promise<void> => {
    const mode = CreateMode.persistentSequential
    await cluster.broker(2).retrying.create(SequencePrefix.logDirEvent, encodeLogDirEvent(2), { mode })
    await cluster.settle()
  }
  await notify()
  assert.equal(cluster.stateText('T', 0), '1/1/1')
  assert.equal(cluster.stateText('T', 1), '2/0/2,1')
  assert.deepEqual(cluster.ensemble.children(ZnodePath.logDirEventNotifications), [])
  assert.deepEqual(cluster.broker(1).metadata.partition('T', 0)?.offlineReplicas, [2])
})

// ---- ISR ----

test('the leader changes its ISR: the leader epoch stays, the partition epoch moves, all hear of it', async () => {
  const cluster = await FakeCluster.start(3)
  await cluster.createTopic('T', [[1, 2, 3]])
  const { topicId } = cluster.broker(1).metadata.topic('T')!
  const ask = async (
    isr: readonly number[],
    partitionEpoch: number,
    leaderEpoch = 0,
    brokerEpoch = cluster.broker(1).epoch,
  ) => {
    const partition = {
      partitionIndex: 0,
      leaderEpoch,
      newIsr: [],
      newIsrWithEpochs: isr.map((brokerId) => ({ brokerId, brokerEpoch: -1 })),
      leaderRecoveryState: 0,
      partitionEpoch,
    }
    const request = { brokerId: 1, brokerEpoch, topics: [{ topicName: '', topicId, partitions: [partition] }] }
    const response = await cluster.controller.alterPartition(request, 3)
    const answered = response.topics[0]?.partitions[0]
    return [response.errorCode, answered?.errorCode, answered?.isr.join(), answered?.partitionEpoch]
  }
  assert.deepEqual(await ask([1, 2], 0), [0, ErrorCode.NONE, '1,2', 1])
  assert.equal(cluster.stateText('T', 0), '1/0/1,2')
  await cluster.settle()
  assert.deepEqual(cluster.broker(3).metadata.partition('T', 0)?.isr, [1, 2])
  // Asked again, since the answer was lost.
  assert.deepEqual(await ask([1, 2], 0), [0, ErrorCode.NONE, '1,2', 1])
  // The write's own answer was lost, so that it meets itself.
  cluster.broker(1).zk.loseNextWrite(true)
  assert.deepEqual(await ask([1, 2, 3], 1), [0, ErrorCode.NONE, '1,2,3', 2])
  assert.deepEqual(await ask([1, 2], 2), [0, ErrorCode.NONE, '1,2', 3])
  assert.deepEqual((await ask([1], 2)).slice(0, 2), [0, ErrorCode.INVALID_UPDATE_VERSION])
  assert.deepEqual((await ask([1], 4)).slice(0, 2), [0, ErrorCode.NOT_CONTROLLER])
  assert.deepEqual((await ask([1], 3, 1)).slice(0, 2), [0, ErrorCode.NOT_CONTROLLER])
  assert.deepEqual((await ask([1], 3, -1)).slice(0, 2), [0, ErrorCode.FENCED_LEADER_EPOCH])
  assert.deepEqual((await ask([1, 9], 3)).slice(0, 2), [0, ErrorCode.INELIGIBLE_REPLICA])
  assert.deepEqual((await ask([1], 3, 0, 1))[0], ErrorCode.STALE_BROKER_EPOCH)
  assert.equal(
    (await cluster.broker(2).controller.alterPartition({ brokerId: 1, brokerEpoch: 1, topics: [] }, 3)).errorCode,
    ErrorCode.NOT_CONTROLLER,
  )
})

// ---- preferred leaders ----

test('preferred leaders come back by request, by znode and by the timer', async () => {
  const cluster = await FakeCluster.start(3, {
    autoLeaderRebalanceEnable: true,
    leaderImbalanceCheckIntervalSeconds: 10,
  })
  const { topicId } = await displaced(cluster)
  assert.equal(cluster.stateText('T', 0), '2/1/2,3')

  const [outcome] = (await cluster.controller.electLeaders(ElectionType.preferred, [{ topic: 'T', partition: 0 }]))
    .results
  assert.deepEqual(outcome, { topic: 'T', partition: 0, errorCode: ErrorCode.NONE, errorMessage: null })
  assert.equal(cluster.stateText('T', 0), '3/2/2,3')

  assert.ok(topicId)
  const again = await cluster.controller.electLeaders(ElectionType.preferred, null)
  assert.deepEqual(
    again.results.map(({ errorCode }) => errorCode),
    [ErrorCode.ELECTION_NOT_NEEDED],
  )
  const unknown = await cluster.controller.electLeaders(ElectionType.unclean, [{ topic: 'X', partition: 0 }])
  assert.equal(unknown.results[0]?.errorCode, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
})

test('the timer gives partitions back to who should lead them', async () => {
  const cluster = await FakeCluster.start(3, {
    autoLeaderRebalanceEnable: true,
    leaderImbalanceCheckIntervalSeconds: 10,
  })
  await displaced(cluster)
  await cluster.advance(5000)
  assert.equal(cluster.stateText('T', 0), '3/2/2,3')
})

test('the znode of preferred elections is obeyed and removed', async () => {
  const cluster = await FakeCluster.start(3)
  await displaced(cluster)
  const wanted = encodePartitionList([{ topic: 'T', partition: 0 }])
  await cluster.broker(2).retrying.create(ZnodePath.preferredReplicaElection, wanted)
  await cluster.settle()
  assert.equal(cluster.stateText('T', 0), '3/2/2,3')
  assert.equal(cluster.ensemble.text(ZnodePath.preferredReplicaElection), null)
})

/** Topic T prefers broker 3, which was away and is in the ISR again. */
async function displaced(cluster: FakeCluster): Promise<{ topicId: string }> {
  await cluster.createTopic('T', [[3, 2]])
  await cluster.kill(3)
  await cluster.join(3)
  const { topicId } = cluster.broker(1).metadata.topic('T')!
  const state = cluster.state('T', 0)!
  const { epoch } = cluster.broker(2)
  const partition = {
    partitionIndex: 0,
    leaderEpoch: state.leaderEpoch,
    newIsr: [],
    newIsrWithEpochs: [2, 3].map((brokerId) => ({ brokerId, brokerEpoch: -1 })),
    leaderRecoveryState: 0,
    partitionEpoch: cluster.ensemble.version(ZnodePath.partitionState('T', 0))!,
  }
  const topics = [{ topicName: '', topicId, partitions: [partition] }]
  const response = await cluster.controller.alterPartition({ brokerId: 2, brokerEpoch: epoch, topics }, 3)
  assert.equal(response.topics[0]?.partitions[0]?.errorCode, ErrorCode.NONE)
  await cluster.settle()
  return { topicId }
}

// ---- deletion ----

test('a topic is deleted: brokers forget it, replicas stop and go, then the znodes', async () => {
  const cluster = await FakeCluster.start(2)
  await cluster.createTopic('T', [[1, 2]])
  for (const broker of cluster.brokers.values()) broker.take()
  await cluster.broker(2).retrying.create(ZnodePath.deleteTopic('T'), null)
  await cluster.settle()
  assert.deepEqual(cluster.broker(2).take(), [
    'UpdateMetadata brokers=1,2 T-0=-2',
    'StopReplica T-0 stop epoch=-2',
    'StopReplica T-0 delete epoch=-2',
  ])
  assert.equal(cluster.ensemble.text(ZnodePath.topic('T')), null)
  assert.deepEqual(cluster.ensemble.children(ZnodePath.deleteTopics), [])
  assert.equal(cluster.broker(1).metadata.topic('T'), undefined)
  // The name is free again.
  await cluster.createTopic('T', [[2, 1]])
  assert.equal(cluster.stateText('T', 0), '2/0/2,1')
})

test('a topic and its configuration go in one step, and only then the request: what comes under the name later is kept', async () => {
  for (const configVanishes of [false, true]) {
    const cluster = await FakeCluster.start(2)
    const { zk, retrying } = cluster.broker(1)
    const config = ZnodePath.config('topics', 'T')
    await retrying.ensurePath(config, encodeConfig({ 'retention.ms': '1' }))
    await cluster.createTopic('T', [[1, 2]])
    const deletions: string[][] = []
    zk.beforeWrite = (steps) => {
      const paths = steps.flatMap(({ op, path }) => (op === 'delete' ? [path] : []))
      if (configVanishes && paths.includes(config)) cluster.ensemble.remove(config)
      if (paths.length > 0) deletions.push(paths)
      // The name is free: somebody makes the next topic of it before the controller writes again.
      if (paths.includes(ZnodePath.deleteTopic('T')))
        for (const path of [config, ZnodePath.topic('T')])
          cluster.ensemble.transact([{ op: 'create', path, data: null }], 1n)
    }
    await cluster.broker(2).retrying.create(ZnodePath.deleteTopic('T'), null)
    await cluster.settle()
    const atOnce = deletions.find((paths) => paths.includes(ZnodePath.topic('T')))
    assert.deepEqual(atOnce, [ZnodePath.topic('T'), config])
    assert.equal(deletions.at(-1)![0], ZnodePath.deleteTopic('T'))
    for (const path of [config, ZnodePath.topic('T')]) assert.notEqual(cluster.ensemble.text(path), null, path)
    assert.deepEqual(cluster.ensemble.children(ZnodePath.deleteTopics), [])
  }
})

test('a deletion waits for a broker that is away, and for one that could not delete', async () => {
  const cluster = await FakeCluster.start(3)
  await cluster.createTopic('T', [[1, 3]])
  await cluster.kill(3)
  await cluster.broker(2).retrying.create(ZnodePath.deleteTopic('T'), null)
  await cluster.settle()
  assert.notEqual(cluster.ensemble.text(ZnodePath.topic('T')), null)
  assert.equal(cluster.controller.isTopicQueuedForDeletion('T'), true)
  const broker = await cluster.join(3)
  assert.ok(broker.received.includes('StopReplica T-0 delete epoch=-2'))
  assert.equal(cluster.ensemble.text(ZnodePath.topic('T')), null)

  await cluster.createTopic('U', [[1, 3]])
  broker.refusesDeletion = true
  await cluster.broker(2).retrying.create(ZnodePath.deleteTopic('U'), null)
  await cluster.settle()
  assert.notEqual(cluster.ensemble.text(ZnodePath.topic('U')), null)
  broker.refusesDeletion = false
  await cluster.bounce(3)
  assert.equal(cluster.ensemble.text(ZnodePath.topic('U')), null)
})

test('a new controller goes on with the deletions that it finds', async () => {
  const cluster = await FakeCluster.start(3)
  await cluster.createTopic('T', [[2, 3]])
  cluster.broker(3).hanging = true
  await cluster.broker(2).retrying.create(ZnodePath.deleteTopic('T'), null)
  await cluster.settle()
  assert.notEqual(cluster.ensemble.text(ZnodePath.topic('T')), null)
  cluster.broker(3).hanging = false
  await cluster.kill(1)
  assert.equal(cluster.ensemble.text(ZnodePath.topic('T')), null)
})

test('requests for topics that do not exist, or while deletion is forbidden, are removed', async () => {
  const cluster = await FakeCluster.start(1, { deleteTopicEnable: false })
  await cluster.createTopic('T', [[1]])
  for (const topic of ['T', 'unknown']) await cluster.broker(1).retrying.create(ZnodePath.deleteTopic(topic), null)
  await cluster.settle()
  assert.deepEqual(cluster.ensemble.children(ZnodePath.deleteTopics), [])
  assert.notEqual(cluster.ensemble.text(ZnodePath.topic('T')), null)
})

// ---- reassignment ----

test('a reassignment adds replicas, waits for them, and lets the others go', async () => {
  const cluster = await FakeCluster.start(4)
  await cluster.createTopic('T', [[1, 2]])
  for (const broker of cluster.brokers.values()) broker.take()
  const { controller } = cluster
  const wanted = [{ topic: 'T', partition: 0, replicas: [3, 4] }]
  assert.deepEqual((await controller.alterPartitionReassignments(wanted)).results, [
    { errorCode: 0, errorMessage: null },
  ])
  assert.deepEqual((await controller.listPartitionReassignments(null)).reassignments, [
    { topic: 'T', partition: 0, replicas: [3, 4, 1, 2], addingReplicas: [3, 4], removingReplicas: [1, 2] },
  ])
  await cluster.settle()
  assert.equal(cluster.broker(3).take()[0], 'LeaderAndIsr T-0 leader=1 epoch=1 isr=1,2 new')

  const { topicId } = cluster.broker(1).metadata.topic('T')!
  const partition = {
    partitionIndex: 0,
    leaderEpoch: 1,
    newIsr: [],
    newIsrWithEpochs: [1, 2, 3, 4].map((brokerId) => ({ brokerId, brokerEpoch: -1 })),
    leaderRecoveryState: 0,
    partitionEpoch: cluster.ensemble.version(ZnodePath.partitionState('T', 0))!,
  }
  const topics = [{ topicName: '', topicId, partitions: [partition] }]
  await controller.alterPartition({ brokerId: 1, brokerEpoch: cluster.broker(1).epoch, topics }, 3)
  await cluster.settle()
  const state = cluster.state('T', 0)!
  assert.equal(state.leader, 3)
  assert.deepEqual(state.isr, [3, 4])
  assert.ok(cluster.broker(2).received.some((line) => line.startsWith('StopReplica T-0 delete')))
  assert.deepEqual((await controller.listPartitionReassignments(null)).reassignments, [])
  assert.match(cluster.ensemble.text(ZnodePath.topic('T'))!, /"partitions":\{"0":\[3,4\]\}.*"adding_replicas":\{\}/)
  assert.deepEqual(cluster.broker(2).metadata.partition('T', 0)?.replicas, [3, 4])
})

test('a reassignment can be cancelled, and nonsense is refused', async () => {
  const cluster = await FakeCluster.start(3)
  await cluster.createTopic('T', [[1, 2]])
  const { controller } = cluster
  const ask = async (replicas: readonly number[] | null, topic = 'T'): Promise<number> =>
    (await controller.alterPartitionReassignments([{ topic, partition: 0, replicas }])).results[0]!.errorCode
  assert.equal(await ask(null), ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
  assert.equal(await ask([]), ErrorCode.INVALID_REPLICA_ASSIGNMENT)
  assert.equal(await ask([1, 1]), ErrorCode.INVALID_REPLICA_ASSIGNMENT)
  assert.equal(await ask([1, 9]), ErrorCode.INVALID_REPLICA_ASSIGNMENT)
  assert.equal(await ask([1], 'X'), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  assert.equal(await ask([1, 3]), ErrorCode.NONE)
  assert.equal(await ask(null), ErrorCode.NONE)
  await cluster.settle()
  assert.match(cluster.ensemble.text(ZnodePath.topic('T'))!, /"partitions":\{"0":\[1,2\]\}/)
  assert.ok(cluster.broker(3).received.some((line) => line.startsWith('StopReplica T-0 delete')))
})

test('the znode of reassignments is obeyed, and goes when it is done', async () => {
  const cluster = await FakeCluster.start(2)
  await cluster.createTopic('T', [[1, 2]])
  const wanted = encodeReassignments([
    { topic: 'T', partition: 0, replicas: [2, 1] },
    { topic: 'X', partition: 0, replicas: [2] },
  ])
  await cluster.broker(1).retrying.create(ZnodePath.reassignPartitions, wanted)
  await cluster.settle()
  assert.match(cluster.ensemble.text(ZnodePath.topic('T'))!, /"partitions":\{"0":\[2,1\]\}/)
  assert.equal(cluster.ensemble.text(ZnodePath.reassignPartitions), null)
  await cluster
    .broker(1)
    .retrying.create(
      ZnodePath.reassignPartitions,
      encodeReassignments([{ topic: 'T', partition: 0, replicas: [1, 2] }]),
    )
  await cluster.settle()
  assert.match(cluster.ensemble.text(ZnodePath.topic('T'))!, /"partitions":\{"0":\[1,2\]\}/)
})

// ---- producer ids ----

test('producer ids come in blocks of a thousand, none twice, to registered brokers', async () => {
  const cluster = await FakeCluster.start(2)
  const { controller } = cluster
  const ask = async (brokerId: number, brokerEpoch: number): Promise<[number, number, number]> => {
    const answer = await controller.allocateProducerIds({ brokerId, brokerEpoch })
    return [answer.errorCode, answer.producerIdStart, answer.producerIdLen]
  }
  assert.deepEqual(await ask(2, cluster.broker(2).epoch), [0, 0, 1000])
  cluster.broker(1).zk.loseNextWrite(true)
  assert.deepEqual(await ask(2, cluster.broker(2).epoch), [0, 1000, 1000])
  assert.deepEqual(await ask(1, cluster.broker(1).epoch), [0, 2000, 1000])
  assert.equal((await ask(2, 0))[0], ErrorCode.STALE_BROKER_EPOCH)
  assert.equal((await ask(7, 0))[0], ErrorCode.BROKER_ID_NOT_REGISTERED)
})
