/** The cluster's metadata and connections, in virtual time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sleep, type Platform } from '#platform'
import { ErrorCode, ZERO_UUID } from '#protocol'
import { FindCoordinator, type FindCoordinatorRequest } from '#protocol/messages/find-coordinator'
import { Heartbeat } from '#protocol/messages/heartbeat'
import type { MetadataResponse } from '#protocol/messages/metadata'
import { World } from '#simulation'

import { resolveConfig, type ConfigInput } from '../config-table.ts'
import { clusterSettings } from '../config.ts'
import { KafkaError, TimeoutError } from '../errors.ts'
import { FakeCluster, hostOf, type FakeHandler } from '../producer/testing.ts'
import { Cluster } from './cluster.ts'
import { ClusterImage } from './image.ts'

async function inWorld(
  fake: FakeCluster,
  run: (cluster: Cluster, platform: Platform, world: World) => Promise<void>,
  options: Partial<ConfigInput<typeof clusterSettings>> = {},
): Promise<void> {
  const world = new World(1)
  for (const id of fake.brokerIds) world.process(hostOf(id)).start((platform) => fake.run(platform, id))
  let failure: unknown = null
  let isDone = false
  world.process('client').start(async (platform) => {
    const config = resolveConfig(clusterSettings, { bootstrapServers: fake.bootstrapServers, ...options }, 'client')
    const cluster = new Cluster(platform, config)
    try {
      await run(cluster, platform, world)
    } catch (error) {
      failure = error
    }
    await cluster.close()
    isDone = true
  })
  await world.runUntil(() => isDone, 1_000_000, 100)
  if (failure !== null) throw failure
  assert.ok(isDone, 'the test did not end')
}

test('metadata is asked for when a topic is new, when it is stale, and by age', () => {
  const fake = new FakeCluster()
  return inWorld(fake, async (cluster, platform) => {
    const [partition] = fake.createTopic('t', 1)
    assert.equal(cluster.leaderOf('t', 0), null)
    await cluster.metadata.waitForTopic('t', { timeoutMs: 1000 })
    assert.deepEqual(cluster.leaderOf('t', 0), { nodeId: 1, leaderEpoch: 0 })
    assert.equal(fake.metadataCount, 1)

    partition!.leader = 2
    partition!.leaderEpoch = 1
    for (let index = 0; index < 10; index++) cluster.metadata.requestUpdate()
    await sleep(platform.clock, 1000)
    assert.equal(fake.metadataCount, 2)
    assert.deepEqual(cluster.leaderOf('t', 0), { nodeId: 2, leaderEpoch: 1 })

    await sleep(platform.clock, 299_500)
    assert.equal(fake.metadataCount, 3)
  })
})

test('a wait ends with its time and its reason, or with its signal', () =>
  inWorld(new FakeCluster(), async (cluster) => {
    const late = await cluster.metadata.waitForTopic('t', { timeoutMs: 500 }).catch((error: unknown) => error)
    assert.ok(late instanceof TimeoutError)
    assert.match(late.message, /topic t .*UNKNOWN_TOPIC_OR_PARTITION.* 500 ms/)
    const signal = AbortSignal.abort(new Error('enough'))
    await assert.rejects(cluster.metadata.waitForTopic('t', { timeoutMs: 500, signal }), /enough/)
    await assert.rejects(cluster.sendTo(9, Heartbeat, HEARTBEAT, { timeoutMs: 500 }), /broker 9 is not in the cluster/)
  }))

test('metadata.max.age.ms=0 asks again and again, with pauses', () => {
  const fake = new FakeCluster()
  return inWorld(
    fake,
    async (cluster, platform) => {
      fake.createTopic('t', 1)
      await cluster.metadata.waitForTopic('t', { timeoutMs: 1000 })
      const { metadataCount } = fake
      await sleep(platform.clock, 10_000)
      const asked = fake.metadataCount - metadataCount
      assert.ok(asked > 50 && asked < 150, `${asked}`)
    },
    { metadataMaxAgeMs: 0 },
  )
})

test('a connection in the making outlives an answer that does not name its broker', () => {
  const fake = new FakeCluster()
  return inWorld(
    fake,
    async (cluster, _platform, world) => {
      await cluster.describe()
      const broker = world.process(hostOf(3))
      broker.pause()
      const connecting = cluster.node(3)!.connect()
      fake.hidden.add(3)
      await cluster.describe()
      assert.equal(cluster.node(3), null)
      broker.resume()
      await connecting
    },
    { bootstrapServers: `${hostOf(1)}:9092` },
  )
})

test('a broker that stops answering holds nobody up: another one is asked', () =>
  inWorld(new FakeCluster(), async (cluster, platform, world) => {
    // Only the first is connected to, and it hangs.
    await cluster.describe()
    const connected = [1, 2, 3].filter((id) => cluster.node(id)!.isConnected)
    assert.equal(connected.length, 1)
    world.process(hostOf(connected[0]!)).pause()
    for (let call = 0; call < 3; call++) {
      const begunMs = platform.clock.monotonic()
      await cluster.describe()
      // The first call finds out.
      assert.ok(platform.clock.monotonic() - begunMs < (call === 0 ? 2500 : 500))
    }
  }))

test('a call ends with its time, in the middle of an attempt as well', () =>
  inWorld(new FakeCluster(), async (cluster, platform, world) => {
    await cluster.describe()
    for (const process of world.processes) if (process.name !== 'client') process.pause()
    const begunMs = platform.clock.monotonic()
    await assert.rejects(
      cluster.describe([], { timeoutMs: 2000 }),
      /Metadata did not succeed within 2000 ms: no answer came/,
    )
    assert.ok(platform.clock.monotonic() - begunMs < 2100)
  }))

test('no broker at all: a call fails with its time, and says why', () =>
  inWorld(new FakeCluster(), async (cluster, _platform, world) => {
    for (const process of world.processes) if (process.name !== 'client') process.crash()
    await assert.rejects(cluster.describe([], { timeoutMs: 2000 }), (error: KafkaError) => {
      assert.ok(error instanceof TimeoutError)
      assert.match(error.message, /Metadata did not succeed within 2000 ms: no broker can be reached: /)
      return true
    })
  }))

test('a coordinator is found once, and looked for again when it says that it is not', async () => {
  for (const severalFrom of [4, 7]) {
    const fake = new FakeCluster()
    let coordinator = 2
    let searches = 0
    let loading = 2
    const find: FakeHandler = {
      api: FindCoordinator,
      maxVersion: severalFrom === 4 ? 6 : 3,
      handle: ({ message }) => {
        searches += 1
        const { key, coordinatorKeys } = message as FindCoordinatorRequest
        const node = { nodeId: coordinator, host: hostOf(coordinator), port: 9092, errorCode: 0, errorMessage: null }
        return severalFrom === 4
          ? { coordinators: coordinatorKeys.map((key) => ({ ...node, key })) }
          : { ...node, host: key === 'g' ? node.host : 'nobody' }
      },
    }
    const heartbeat: FakeHandler = {
      api: Heartbeat,
      handle: (_request, broker) => ({
        errorCode:
          broker !== coordinator
            ? ErrorCode.NOT_COORDINATOR
            : loading-- > 0
              ? ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
              : ErrorCode.NONE,
      }),
    }
    fake.handlers.push(find, heartbeat)
    await inWorld(fake, async (cluster) => {
      await Promise.all([cluster.coordinatorOf('group', 'g'), cluster.coordinatorOf('group', 'g')])
      assert.equal(searches, 1)
      coordinator = 3
      const answer = await cluster.sendToCoordinator('group', 'g', Heartbeat, HEARTBEAT, ({ errorCode }) => [errorCode])
      assert.equal(answer.errorCode, ErrorCode.NONE)
      assert.equal(searches, 2)
      assert.equal(loading, -1)
    })
  }
})

test('a broker that lags behind does not bring an old leader back, and a topic created anew begins anew', () => {
  const image = new ClusterImage()
  const answer = (leaderId: number, leaderEpoch: number, topicId = ZERO_UUID): MetadataResponse => ({
    throttleTimeMs: 0,
    brokers: [{ nodeId: 1, host: 'a', port: 1, rack: null }],
    clusterId: 'c',
    controllerId: 1,
    clusterAuthorizedOperations: 0,
    topics: [
      {
        errorCode: 0,
        name: 't',
        topicId,
        isInternal: false,
        topicAuthorizedOperations: 0,
        partitions: [
          {
            errorCode: 0,
            partitionIndex: 0,
            leaderId,
            leaderEpoch,
            replicaNodes: [],
            isrNodes: [],
            offlineReplicas: [],
          },
        ],
      },
    ],
  })
  const leader = (): number => image.topics.get('t')!.partitions[0]!.leader
  image.apply(answer(1, 5), false)
  image.apply(answer(2, 4), false)
  assert.equal(leader(), 1)
  assert.equal(image.applyLeader('t', 0, 3, 5), false)
  assert.equal(image.applyLeader('t', 0, 3, 6), true)
  assert.equal(leader(), 3)
  image.apply(answer(2, 0, 'AAAAAAAAAAAAAAAAAAAAAQ'), false)
  assert.equal(leader(), 2)
})

const HEARTBEAT = { groupId: 'g', generationId: 1, memberId: 'm' }

test('a tracked topic that a broker does not know is asked for until one does', () => {
  const fake = new FakeCluster()
  return inWorld(fake, async (cluster, platform) => {
    cluster.metadata.track('t')
    await sleep(platform.clock, 5000)
    assert.ok(fake.metadataCount > 3 && fake.metadataCount < 20, `it was asked for ${fake.metadataCount} times`)
    fake.createTopic('t', 1)
    await sleep(platform.clock, 2000)
    assert.deepEqual(cluster.leaderOf('t', 0), { nodeId: 1, leaderEpoch: 0 })
  })
})
