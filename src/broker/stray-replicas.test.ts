import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { MetadataDelta, PartitionMetadata } from '#metadata'
import { ZnodePath, encodeTopic, type ReplicaAssignment } from '#metadata/znodes'
import { sleep, type Platform } from '#platform'
import { RecordBatchBuilder } from '#protocol/records'
import type { LeaderAndIsrRequest } from '#protocol/messages/leader-and-isr'
import type { StopReplicaRequest } from '#protocol/messages/stop-replica'
import { ReplicaManager } from '#replication'
import { World } from '#simulation'
import { LogManager, logConfig } from '#storage'
import { ZooKeeperClient, type RetryingZooKeeper } from '#zookeeper/client'
import { ZooKeeperServer, parseZooCfg } from '#zookeeper/server'

import { StrayReplicas } from './stray-replicas.ts'

const BROKER = 1
const ID = 'AAECAwQFBgcICQoLDA0ODw'
const OTHER_ID = 'EBESExQVFhcYGRobHB0eHw'
/** Longer than the word to delete a replica is waited for. */
const PATIENCE_IS_OVER_MS = 6000

interface Fixture {
  readonly platform: Platform
  readonly zk: RetryingZooKeeper
  readonly logs: LogManager
  readonly replicas: ReplicaManager
  readonly strays: StrayReplicas
  /** Writes, or writes anew, what ZooKeeper says of the topic. */
  readonly assign: (topic: string, topicId: string | null, ...replicas: (readonly number[])[]) => Promise<void>
  /** A replica with one record, as an earlier life of the broker left it. */
  readonly fill: (topic: string, partition: number, topicId?: string | null) => Promise<void>
  /** What lies in the log directory, without the digits that make names unique. */
  readonly folders: () => string[]
}

/** Runs the program in the process of a broker, beside a ZooKeeper server; whatever fails, fails the test. */
async function inBroker(world: World, program: (fixture: Fixture) => Promise<void>): Promise<void> {
  const zookeeper = world.process('zookeeper')
  const { config } = parseZooCfg('dataDir=/data\nclientPort=2181\nadmin.enableServer=false\ntickTime=500')
  if (!zookeeper.isRunning)
    zookeeper.start(
      async (platform) => (await ZooKeeperServer.start(platform, config)).stopped,
      (error) => world.report('ZooKeeper ended', error),
    )
  let outcome: { error: unknown } | null = null
  const process = world.process('broker')
  process.start(
    async (platform) => {
      await program(await fixtureOn(platform))
      outcome = { error: null }
    },
    (error) => (outcome = { error }),
  )
  await world.runUntil(() => outcome !== null, 600_000, 100)
  process.crash()
  const { error } = outcome as unknown as { error: unknown }
  if (error !== null) throw error
  assert.deepEqual(world.findings, [])
}

async function fixtureOn(platform: Platform): Promise<Fixture> {
  const client = await ZooKeeperClient.connect(platform, { connect: 'zookeeper:2181', sessionTimeoutMs: 3000 })
  const zk = client.retrying
  const topicConfig = () => logConfig({ fileDeleteDelayMs: 50 })
  const logs = await LogManager.open({ platform, directories: ['/data'], topicConfig })
  const replicas = new ReplicaManager({
    platform,
    brokerId: BROKER,
    logs,
    topicConfigs: { of: topicConfig },
    metadata: { aliveBroker: () => null, rackOf: () => null, hasPartition: () => true },
    leaders: { endpoint: () => assert.fail('no leader is known') },
    alterPartitions: { send: () => new Promise(() => {}) },
    isInternalTopic: () => false,
    brokerEpoch: () => 1,
  })
  const strays = new StrayReplicas({ platform, brokerId: BROKER, zk, logs, replicas })
  return {
    platform,
    zk,
    logs,
    replicas,
    strays,
    async assign(topic, topicId, ...assignment) {
      const fixed = (members: readonly number[]): ReplicaAssignment => ({
        replicas: members,
        addingReplicas: [],
        removingReplicas: [],
      })
      const partitions = new Map(assignment.map((members, index) => [index, fixed(members)]))
      const data = encodeTopic({ topicId, partitions })
      if (!(await zk.ensurePath(ZnodePath.topic(topic), data))) await zk.setData(ZnodePath.topic(topic), data)
    },
    async fill(topic, partition, topicId = ID) {
      const log = logs.getOrCreate({ topic, partition })
      if (topicId !== null) log.assignTopicId(topicId)
      const batch = new RecordBatchBuilder()
      batch.append({ timestamp: 1000, key: null, value: new Uint8Array(10) })
      assert.equal(log.appendAsLeader(batch.build(), 0, 'client').kind, 'appended')
      await log.settle()
    },
    folders: () =>
      platform.files
        .list('/data')
        .filter((name) => platform.files.stat(`/data/${name}`).kind === 'directory')
        .map((name) => name.replace(/\.[0-9a-f]{32}-/, '.*-'))
        .sort(),
  }
}

/** A role for this broker, as follower of broker 2. */
function roleIn(topic: string, topicId: string, leaderEpoch = 0): LeaderAndIsrRequest {
  const state = {
    topicName: topic,
    partitionIndex: 0,
    controllerEpoch: 1,
    leader: 2,
    leaderEpoch,
    isr: [2],
    partitionEpoch: 0,
    replicas: [BROKER, 2],
    addingReplicas: [],
    removingReplicas: [],
    isNew: true,
    leaderRecoveryState: 0,
  }
  return {
    controllerId: 2,
    isKRaftController: false,
    controllerEpoch: 1,
    brokerEpoch: 1,
    type: 0,
    ungroupedPartitionStates: [],
    liveLeaders: [],
    topicStates: [{ topicName: topic, topicId, partitionStates: [state] }],
  }
}

function deletionOf(topic: string): StopReplicaRequest {
  const partitionStates = [{ partitionIndex: 0, leaderEpoch: 0, deletePartition: true }]
  return {
    controllerId: 2,
    isKRaftController: false,
    controllerEpoch: 1,
    brokerEpoch: 1,
    deletePartitions: false,
    ungroupedPartitions: [],
    topics: [],
    topicStates: [{ topicName: topic, partitionStates }],
  }
}

/** News that the topic's first partition lies on these brokers; none: it is no more. */
function newsOf(topic: string, replicas: readonly number[]): MetadataDelta {
  const none = { newBrokers: [], lostBrokers: [], controllerChanged: false }
  if (replicas.length === 0) return { ...none, updated: [], removed: [{ topic, partition: 0 }] }
  return { ...none, updated: [{ topic, partition: 0, replicas } as unknown as PartitionMetadata], removed: [] }
}

test('replicas that were assigned elsewhere while the broker was away are put aside, for good; all others stay', async () => {
  const world = new World(61)
  await inBroker(world, async ({ fill }) => {
    for (const topic of ['deleted', 'moved', 'regrown', 'kept', 'taken', 'unreadable']) await fill(topic, 0)
    await fill('moved', 1)
    await fill('without-id', 0, null)
    await fill('without-id-there', 0)
  })
  // Meanwhile: a topic is deleted, one is moved in part, one is deleted and made again under its name.
  await inBroker(world, async ({ assign, zk, strays, logs, folders, fill }) => {
    await assign('moved', ID, [2, 3], [3, BROKER])
    await assign('regrown', OTHER_ID, [BROKER, 2])
    await assign('kept', ID, [2, BROKER])
    await assign('taken', ID)
    await assign('without-id', OTHER_ID, [BROKER])
    await assign('without-id-there', null, [BROKER])
    await zk.ensurePath(ZnodePath.topic('unreadable'), new Uint8Array([1, 2, 3]))
    await strays.putAside()
    assert.deepEqual(folders(), [
      'deleted-0.*-stray',
      'kept-0',
      'moved-0.*-stray',
      'moved-1',
      'regrown-0.*-stray',
      'taken-0.*-stray',
      'unreadable-0',
      'without-id-0',
      'without-id-there-0',
    ])
    assert.equal(logs.log('kept', 0)!.logEndOffset, 1)
    assert.equal(logs.log('moved', 0), null)
    // The place is free for the next topic of the name.
    await fill('regrown', 0, OTHER_ID)
  })
  // Nothing of it comes back with the next start, nor is it looked at again.
  await inBroker(world, async ({ strays, logs, folders, platform }) => {
    assert.equal(logs.log('deleted', 0), null)
    assert.equal(logs.log('regrown', 0)!.topicId, OTHER_ID)
    const before = folders()
    await strays.putAside()
    assert.deepEqual(folders(), before)
    // What they held is still there to be looked at.
    const aside = platform.files.list('/data').find((name) => /^deleted-0\.[0-9a-f]{32}-stray$/.test(name))!
    assert.ok(platform.files.stat(`/data/${aside}/00000000000000000000.log`).size > 0)
  })
})

test('a replica that is given a role while ZooKeeper is asked is none that was left over', async () => {
  await inBroker(new World(62), async ({ fill, assign, strays, replicas, logs, folders }) => {
    await fill('t', 0)
    await fill('again', 0)
    await assign('t', ID, [2, 3])
    await assign('again', ID, [2, 3])
    const judging = strays.putAside()
    // The controller's word is newer than what is read now; one replica is deleted and another one is in its place already.
    assert.equal(replicas.becomeLeaderOrFollower(roleIn('t', ID)).errorCode, 0)
    logs.delete('again', 0)
    await fill('again', 0, OTHER_ID)
    await judging
    assert.deepEqual(folders(), ['again-0', 'again-0.*-delete', 't-0'])
    assert.equal(replicas.partition('t', 0)!.leaderEpoch, 0)
    // In the next session it is judged anew: the role that it has is no reason to keep it.
    await strays.putAside()
    assert.deepEqual(folders(), ['again-0.*-delete', 'again-0.*-stray', 't-0.*-stray'])
    assert.equal(replicas.partition('t', 0), null)
  })
})

test('at the news of another assignment the word to delete is waited for, and what is assigned back stays', async () => {
  await inBroker(new World(63), async ({ fill, assign, strays, replicas, folders, platform: { clock } }) => {
    for (const topic of ['told', 'untold', 'back', 'gone']) {
      await fill(topic, 0)
      await assign(topic, ID, [BROKER, 2])
      assert.equal(replicas.becomeLeaderOrFollower(roleIn(topic, ID)).errorCode, 0)
    }
    for (const topic of ['told', 'untold', 'back']) {
      await assign(topic, ID, [2, 3])
      strays.metadataChanged(newsOf(topic, [2, 3]))
    }
    // ZooKeeper still has this one: its deletion is under way, and that is the controller's.
    strays.metadataChanged(newsOf('gone', []))
    // News of what this broker never had, and of what it keeps, mean nothing.
    strays.metadataChanged(newsOf('foreign', [2, 3]))
    await sleep(clock, 1000)
    assert.deepEqual(folders(), ['back-0', 'gone-0', 'told-0', 'untold-0'], 'nothing is put aside at once')
    replicas.stopReplicas(deletionOf('told'))
    await assign('back', ID, [3, BROKER])
    await sleep(clock, PATIENCE_IS_OVER_MS)
    assert.deepEqual(folders(), ['back-0', 'gone-0', 'untold-0.*-stray'], 'one is deleted, and not put aside')
  })
})

test('a broker that stops puts nothing aside any more', async () => {
  await inBroker(new World(64), async ({ fill, assign, strays, folders, platform: { clock } }) => {
    await fill('t', 0)
    await assign('t', ID, [2])
    strays.metadataChanged(newsOf('t', [2]))
    const judging = strays.putAside()
    strays.close()
    strays.metadataChanged(newsOf('t', [2]))
    await judging
    await sleep(clock, PATIENCE_IS_OVER_MS)
    assert.deepEqual(folders(), ['t-0'])
  })
})
