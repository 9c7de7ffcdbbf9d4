import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { Broker, ConfigError, parseServerProperties } from '#broker'
import { silentLogger, type Platform } from '#platform'
import { nodePlatform } from '#platform/node'
import { ErrorCode, ZERO_UUID, type Api } from '#protocol'
import { AlterPartition } from '#protocol/messages/alter-partition'
import { CreatePartitions } from '#protocol/messages/create-partitions'
import { CreateTopics } from '#protocol/messages/create-topics'
import { DeleteTopics } from '#protocol/messages/delete-topics'
import { DescribeConfigs } from '#protocol/messages/describe-configs'
import { DescribeLogDirs } from '#protocol/messages/describe-log-dirs'
import { Fetch } from '#protocol/messages/fetch'
import { FindCoordinator } from '#protocol/messages/find-coordinator'
import { ApiVersions } from '#protocol/messages/api-versions'
import { IncrementalAlterConfigs } from '#protocol/messages/incremental-alter-configs'
import { InitProducerId } from '#protocol/messages/init-producer-id'
import { ListOffsets } from '#protocol/messages/list-offsets'
import { Metadata } from '#protocol/messages/metadata'
import { OffsetCommit } from '#protocol/messages/offset-commit'
import { OffsetFetch } from '#protocol/messages/offset-fetch'
import { Produce } from '#protocol/messages/produce'
import { RecordBatchBuilder } from '#protocol/records'
import { BrokerConnection, type SendOptions } from '#rpc'
import { ZooKeeperClient } from '#zookeeper/client'
import { ZooKeeperServer, parseZooCfg } from '#zookeeper/server'

import { HANDLERS } from './handlers/index.ts'

interface Cluster {
  readonly directory: string
  readonly zookeeperPort: number
  readonly lines: string[]
  readonly platform: Platform
  start(id: number, overrides?: Record<string, string>): Promise<Broker>
  connect(broker: Broker): BrokerConnection
}

/** A ZooKeeper server; brokers on free ports as asked for. All are gone when the test is over. */
async function cluster(t: TestContext): Promise<Cluster> {
  const directory = mkdtempSync(join(tmpdir(), 'samsa-broker-'))
  const lines: string[] = []
  const note = (line: string): void => void lines.push(line)
  const logger = { ...silentLogger, warn: note, error: note, named: () => logger }
  const platform: Platform = { ...nodePlatform({ logLevel: 'error' }), logger }
  const { config } = parseZooCfg(
    `dataDir=${join(directory, 'zookeeper')}\nclientPort=0\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\ntickTime=100`,
  )
  const zookeeper = await ZooKeeperServer.start(platform, config)
  const brokers: Broker[] = []
  const connections: BrokerConnection[] = []
  t.after(async () => {
    for (const connection of connections) connection.close()
    await Promise.all(brokers.map((broker) => broker.close()))
    await zookeeper.close()
    rmSync(directory, { recursive: true })
  })
  return {
    directory,
    zookeeperPort: zookeeper.port,
    lines,
    platform,
    async start(id, overrides = {}) {
      const settings = {
        'broker.id': String(id),
        listeners: 'PLAINTEXT://127.0.0.1:0',
        'log.dirs': join(directory, `broker-${id}`),
        'zookeeper.connect': `127.0.0.1:${zookeeper.port}/chroot`,
        'zookeeper.session.timeout.ms': '1000',
        'offsets.topic.replication.factor': '1',
        'offsets.topic.num.partitions': '2',
        'controlled.shutdown.retry.backoff.ms': '100',
        ...overrides,
      }
      const broker = await Broker.start(platform, parseServerProperties('', {}, settings))
      brokers.push(broker)
      return broker
    },
    connect(broker) {
      const connection = new BrokerConnection(platform, { host: '127.0.0.1', port: broker.boundPort, clientId: 'test' })
      connections.push(connection)
      return connection
    },
  }
}

/** Sends until the answer is as wanted: what brokers hear from their controller takes a moment. */
async function until<Out, In, ResponseOut, ResponseIn>(
  connection: BrokerConnection,
  api: Api<Out, In, ResponseOut, ResponseIn>,
  request: In,
  holds: (response: ResponseOut) => boolean,
  options: SendOptions = {},
): Promise<ResponseOut> {
  let last: ResponseOut | undefined
  for (let attempt = 0; attempt < 200; attempt++) {
    last = await connection.send(api, request, options)
    if (holds(last)) return last
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  return assert.fail(`${api.name} never answered as wanted, last ${JSON.stringify(last)}`)
}

function untilLed(connection: BrokerConnection, topic: string) {
  const request = { topics: [{ name: topic }], allowAutoTopicCreation: false }
  return until(connection, Metadata, request, ({ topics: [found] }) => {
    return found!.errorCode === 0 && found!.partitions.every((partition) => partition.errorCode === 0)
  })
}

function untilController(connection: BrokerConnection, brokers = 1) {
  return until(
    connection,
    Metadata,
    { topics: [] },
    (answer) => answer.controllerId >= 0 && answer.brokers.length === brokers,
  )
}

async function createTopic(
  connection: BrokerConnection,
  name: string,
  more: { numPartitions?: number; replicationFactor?: number; configs?: { name: string; value: string }[] } = {},
) {
  const topic = { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [], ...more }
  const { topics } = await connection.send(CreateTopics, { topics: [topic], timeoutMs: 5000 })
  return topics[0]!
}

function batch(...values: string[]): Uint8Array {
  const builder = new RecordBatchBuilder()
  const encoder = new TextEncoder()
  for (const value of values) builder.append({ timestamp: 1000, key: null, value: encoder.encode(value) })
  return builder.build()
}

async function produce(connection: BrokerConnection, topic: string, records: Uint8Array, acks = -1) {
  const topicData = [{ name: topic, partitionData: [{ index: 0, records }] }]
  const { responses } = await connection.send(Produce, { acks, timeoutMs: 5000, topicData })
  return responses[0]!.partitionResponses[0]!
}

async function fetchCount(connection: BrokerConnection, topic: string, topicId: string): Promise<number> {
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }]
  const request = { maxWaitMs: 0, minBytes: 0, topics: [{ topic, topicId, partitions }] }
  const { responses } = await connection.send(Fetch, request)
  return responses[0]!.partitions[0]!.highWatermark
}

test('one broker: a topic is made, written, read, grown, configured and deleted', async (t) => {
  const world = await cluster(t)
  const broker = await world.start(1)
  const connection = world.connect(broker)
  await untilController(connection)

  const configs = [{ name: 'max.message.bytes', value: '1000' }]
  const created = await createTopic(connection, 'a', { configs })
  assert.deepEqual([created.errorCode, created.numPartitions, created.replicationFactor], [0, 1, 1])
  assert.equal(created.configs!.find((config) => config.name === 'max.message.bytes')!.value, '1000')
  assert.equal((await createTopic(connection, 'a')).errorCode, ErrorCode.TOPIC_ALREADY_EXISTS)
  assert.equal(
    (await createTopic(connection, 'b', { replicationFactor: 2 })).errorCode,
    ErrorCode.INVALID_REPLICATION_FACTOR,
  )

  const produced = await produce(connection, 'a', batch('one', 'two'))
  assert.deepEqual([produced.errorCode, produced.baseOffset], [0, 0])
  assert.equal((await produce(connection, 'a', batch('x'.repeat(2000)))).errorCode, ErrorCode.MESSAGE_TOO_LARGE)
  const flipped = batch('torn')
  flipped[flipped.length - 1]! ^= 1
  assert.equal((await produce(connection, 'a', flipped)).errorCode, ErrorCode.CORRUPT_MESSAGE)
  assert.equal(await fetchCount(connection, 'a', created.topicId), 2)
  const listed = await connection.send(
    ListOffsets,
    { replicaId: -1, topics: [{ name: 'a', partitions: [{ partitionIndex: 0, timestamp: -1, maxNumOffsets: 5 }] }] },
    { version: 0 },
  )
  assert.deepEqual(listed.topics[0]!.partitions[0]!.oldStyleOffsets, [2, 0])

  const grown = await connection.send(CreatePartitions, {
    topics: [{ name: 'a', count: 3, assignments: null }],
    timeoutMs: 5000,
    validateOnly: false,
  })
  assert.equal(grown.results[0]!.errorCode, 0)
  const shrunk = await connection.send(CreatePartitions, {
    topics: [{ name: 'a', count: 2, assignments: null }],
    timeoutMs: 5000,
    validateOnly: false,
  })
  assert.equal(shrunk.results[0]!.errorCode, ErrorCode.INVALID_PARTITIONS)

  const change = (name: string, value: string) =>
    connection.send(IncrementalAlterConfigs, {
      resources: [{ resourceType: 2, resourceName: 'a', configs: [{ name, configOperation: 0, value }] }],
      validateOnly: false,
    })
  assert.equal((await change('max.message.bytes', 'many')).responses[0]!.errorCode, ErrorCode.INVALID_CONFIG)
  assert.equal((await change('max.message.bytes', '5000')).responses[0]!.errorCode, 0)
  const keys = ['max.message.bytes']
  const described = await connection.send(DescribeConfigs, {
    resources: [{ resourceType: 2, resourceName: 'a', configurationKeys: keys }],
    includeSynonyms: true,
  })
  assert.deepEqual(
    described.results[0]!.configs.map(({ value, configSource, synonyms }) => [value, configSource, synonyms.length]),
    [['5000', 1, 2]],
  )
  await until(
    connection,
    Produce,
    {
      acks: 1,
      timeoutMs: 1000,
      topicData: [{ name: 'a', partitionData: [{ index: 0, records: batch('x'.repeat(2000)) }] }],
    },
    ({ responses }) => responses[0]!.partitionResponses[0]!.errorCode === 0,
  )

  const directories = await connection.send(DescribeLogDirs, { topics: null })
  assert.equal(directories.results[0]!.topics[0]!.partitions.length, 3)

  const deletion = { topics: [{ name: 'a', topicId: ZERO_UUID }], timeoutMs: 5000 }
  const deleted = await connection.send(DeleteTopics, deletion)
  assert.equal(deleted.responses[0]!.errorCode, 0)
  const request = { topics: [{ name: 'a' }], allowAutoTopicCreation: false }
  assert.equal((await connection.send(Metadata, request)).topics[0]!.errorCode, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
})

test('topics come into being when they are asked about, and the group coordinator with its topic', async (t) => {
  const world = await cluster(t)
  const connection = world.connect(await world.start(1, { 'num.partitions': '2' }))
  await untilController(connection)
  const ask = (name: string) => connection.send(Metadata, { topics: [{ name }] })
  assert.equal((await ask('auto')).topics[0]!.errorCode, ErrorCode.LEADER_NOT_AVAILABLE)
  assert.equal((await untilLed(connection, 'auto')).topics[0]!.partitions.length, 2)
  assert.equal((await ask('no good')).topics[0]!.errorCode, ErrorCode.INVALID_TOPIC_EXCEPTION)

  const find = { keyType: 0, coordinatorKeys: ['group', 'other'] }
  const found = await until(connection, FindCoordinator, find, ({ coordinators }) =>
    coordinators.every((each) => each.errorCode === 0),
  )
  assert.deepEqual(
    found.coordinators.map(({ key, nodeId }) => [key, nodeId]),
    [
      ['group', 1],
      ['other', 1],
    ],
  )
  const transactional = await connection.send(FindCoordinator, { keyType: 1, coordinatorKeys: ['tx'] })
  const [refused] = transactional.coordinators
  assert.equal(refused!.errorCode, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
  assert.match(refused!.errorMessage!, /not served/)
  const init = (transactionalId: string | null) =>
    connection.send(InitProducerId, { transactionalId, transactionTimeoutMs: 1000 })
  const ids = [await init(null), await init(null)]
  assert.deepEqual(
    ids.map(({ errorCode, producerId, producerEpoch }) => [errorCode, producerId, producerEpoch]),
    [
      [0, 0, 0],
      [0, 1, 0],
    ],
  )
  assert.equal((await init('tx')).errorCode, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
})

test('OffsetCommit 0 writes to ZooKeeper, and OffsetFetch 0 reads there', async (t) => {
  const world = await cluster(t)
  const connection = world.connect(await world.start(1))
  await untilController(connection)
  await createTopic(connection, 'old', { numPartitions: 2 })
  const topics = [{ name: 'old', partitions: [{ partitionIndex: 1, committedOffset: 42, committedMetadata: '' }] }]
  const committed = await connection.send(OffsetCommit, { groupId: 'g', topics }, { version: 0 })
  assert.equal(committed.topics[0]!.partitions[0]!.errorCode, 0)

  const zk = await ZooKeeperClient.connect(world.platform, {
    connect: `127.0.0.1:${world.zookeeperPort}/chroot`,
    sessionTimeoutMs: 1000,
  })
  t.after(() => zk.close())
  const { data } = await zk.getData('/consumers/g/offsets/old/1')
  assert.equal(new TextDecoder().decode(data!), '42')

  const wanted = { groupId: 'g', topics: [{ name: 'old', partitionIndexes: [1, 0] }] }
  const fetched = await connection.send(OffsetFetch, wanted, { version: 0 })
  assert.deepEqual(
    fetched.topics[0]!.partitions.map(({ committedOffset, errorCode }) => [committedOffset, errorCode]),
    [
      [42, 0],
      [-1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
    ],
  )
})

test('a broker that stops and comes back has its records, and its identity', async (t) => {
  const world = await cluster(t)
  const first = await world.start(1)
  const connection = world.connect(first)
  await untilController(connection)
  const { topicId } = await createTopic(connection, 'kept')
  await produce(connection, 'kept', batch('a', 'b', 'c'))
  await first.close()
  const meta = readFileSync(join(world.directory, 'broker-1', 'meta.properties'), 'utf8')
  assert.match(meta, /^broker\.id=1$/m)
  assert.match(meta, new RegExp(`^cluster\\.id=${first.clusterId}$`, 'm'))

  const data = join(world.directory, 'broker-1')
  await assert.rejects(
    world.start(2, { 'log.dirs': data }),
    (error) => error instanceof ConfigError && /belongs to broker 1/.test(error.message),
  )
  const elsewhere = { 'zookeeper.connect': `127.0.0.1:${world.zookeeperPort}/other` }
  await assert.rejects(
    world.start(1, elsewhere),
    (error) => error instanceof ConfigError && /belongs to the cluster/.test(error.message),
  )

  const second = await world.start(1)
  assert.equal(second.clusterId, first.clusterId)
  const again = world.connect(second)
  await untilLed(again, 'kept')
  assert.equal(await fetchCount(again, 'kept', topicId), 3)
})

test('an id that another session holds is waited for, an address that another broker has is refused', async (t) => {
  const world = await cluster(t)
  const first = await world.start(1)
  const before = first.services.brokerEpoch
  const second = world.start(1, { 'log.dirs': join(world.directory, 'again') })
  await until(world.connect(first), Metadata, { topics: [] }, () =>
    world.lines.some((line) => /still registered/.test(line)),
  )
  await first.close()
  assert.ok((await second).services.brokerEpoch > before)
  const clash = { 'advertised.listeners': `PLAINTEXT://127.0.0.1:${(await second).boundPort}` }
  await assert.rejects(
    world.start(2, clash),
    (error) => error instanceof ConfigError && /registered by broker 1 already/.test(error.message),
  )
})

test('three brokers: acks=all waits for the replicas, a leave moves the leadership, the return fills the ISR', async (t) => {
  const world = await cluster(t)
  const brokers = await Promise.all([1, 2, 3].map((id) => world.start(id, { 'min.insync.replicas': '2' })))
  const connections = brokers.map((broker) => world.connect(broker))
  const { controllerId } = await untilController(connections[0]!, 3)
  await Promise.all(connections.map((connection) => untilController(connection, 3)))
  const controller = connections[controllerId - 1]!
  const other = connections[controllerId % 3]!
  assert.equal((await createTopic(other, 'r')).errorCode, ErrorCode.NOT_CONTROLLER)
  assert.equal((await createTopic(controller, 'r', { replicationFactor: 3 })).errorCode, 0)
  const { topics } = await untilLed(controller, 'r')
  const leader = topics[0]!.partitions[0]!.leaderId
  const survivor = connections[leader % 3]!
  await untilLed(survivor, 'r')
  assert.equal((await produce(connections[leader - 1]!, 'r', batch('a', 'b'))).errorCode, 0)
  const refused = await produce(survivor, 'r', batch('c'))
  assert.deepEqual([refused.errorCode, refused.currentLeader.leaderId], [ErrorCode.NOT_LEADER_OR_FOLLOWER, leader])

  await brokers[leader - 1]!.close()
  const ask = { topics: [{ name: 'r' }], allowAutoTopicCreation: false }
  const moved = await until(survivor, Metadata, ask, ({ topics: [r] }) => {
    const { leaderId, isrNodes } = r!.partitions[0]!
    return leaderId > 0 && leaderId !== leader && isrNodes.length === 2
  })
  const successor = moved.topics[0]!.partitions[0]!.leaderId
  assert.equal((await produce(connections[successor - 1]!, 'r', batch('c'))).errorCode, 0)
  assert.equal(await fetchCount(connections[successor - 1]!, 'r', moved.topics[0]!.topicId), 3)

  await world.start(leader, { 'min.insync.replicas': '2' })
  await until(survivor, Metadata, ask, ({ topics: [r] }) => r!.partitions[0]!.isrNodes.length === 3)
})

test('controllers of the past and requests for earlier lives are refused', async (t) => {
  const world = await cluster(t)
  const broker = await world.start(1)
  const connection = world.connect(broker)
  await untilController(connection)
  const stale = await connection.send(AlterPartition, {
    brokerId: 1,
    brokerEpoch: broker.services.brokerEpoch - 1,
    topics: [],
  })
  assert.equal(stale.errorCode, ErrorCode.STALE_BROKER_EPOCH)
})

test('a configuration that nobody here knows is taken, shown and kept, as of a plugin; thread counts change by steps', async (t) => {
  const world = await cluster(t)
  const connection = world.connect(await world.start(1))
  await untilController(connection)
  const change = (name: string, value: string) =>
    connection.send(IncrementalAlterConfigs, {
      resources: [{ resourceType: 4, resourceName: '', configs: [{ name, configOperation: 0, value }] }],
      validateOnly: false,
    })
  for (const [name, value] of [
    ['no.such.thing', '1'],
    ['message.max.bytes', '2000'],
  ] as const)
    assert.equal((await change(name, value)).responses[0]!.errorCode, 0)
  const refused = (await change('num.io.threads', '100')).responses[0]!
  assert.equal(refused.errorCode, ErrorCode.INVALID_REQUEST)
  assert.match(refused.errorMessage!, /num\.io\.threads: 100 .* expected 4 to 16/)
  const ofAll = { resources: [{ resourceType: 4, resourceName: '', configurationKeys: null }], includeSynonyms: true }
  const described = await until(connection, DescribeConfigs, ofAll, ({ results }) => results[0]!.configs.length > 1)
  assert.deepEqual(
    described.results[0]!.configs.map(({ name, value, isSensitive }) => [name, value, isSensitive]),
    [
      ['no.such.thing', null, true],
      ['message.max.bytes', '2000', false],
    ],
  )
})

test('a dynamic configuration of all brokers is obeyed, and shown with its source', async (t) => {
  const world = await cluster(t)
  const broker = await world.start(1, { 'message.max.bytes': '3000' })
  const connection = world.connect(broker)
  await untilController(connection)
  await createTopic(connection, 'd')
  const change = (resourceName: string, name: string, value: string) =>
    connection.send(IncrementalAlterConfigs, {
      resources: [{ resourceType: 4, resourceName, configs: [{ name, configOperation: 0, value }] }],
      validateOnly: false,
    })
  assert.equal((await produce(connection, 'd', batch('x'.repeat(2000)))).errorCode, 0)
  assert.equal((await change('', 'message.max.bytes', '1000')).responses[0]!.errorCode, 0)
  assert.equal((await change('', 'broker.rack', 'r')).responses[0]!.errorCode, ErrorCode.INVALID_REQUEST)
  assert.equal((await change('2', 'message.max.bytes', '1')).responses[0]!.errorCode, ErrorCode.INVALID_REQUEST)
  const tooLarge = { name: 'd', partitionData: [{ index: 0, records: batch('x'.repeat(2000)) }] }
  await until(connection, Produce, { acks: 1, timeoutMs: 1000, topicData: [tooLarge] }, ({ responses }) => {
    return responses[0]!.partitionResponses[0]!.errorCode === ErrorCode.MESSAGE_TOO_LARGE
  })
  const described = await connection.send(DescribeConfigs, {
    resources: [{ resourceType: 4, resourceName: '1', configurationKeys: ['message.max.bytes', 'ssl.key.password'] }],
    includeSynonyms: true,
  })
  assert.deepEqual(
    described.results[0]!.configs.map(({ name, value, configSource, synonyms }) => [
      name,
      value,
      configSource,
      synonyms.map((each) => each.source),
    ]),
    [
      ['message.max.bytes', '1000', 3, [3, 4, 5]],
      ['ssl.key.password', null, 5, []],
    ],
  )
  // One connection is open: with this bound there is no other one.
  assert.equal((await change('', 'max.connections', '1')).responses[0]!.errorCode, 0)
  for (let attempt = 0; attempt < 200; attempt++) {
    const refused = await world
      .connect(broker)
      .send(ApiVersions, {})
      .then(
        () => false,
        () => true,
      )
    if (refused) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  assert.fail('connections are taken beyond the new bound')
})

test('every version of every API that is advertised has an answer', async (t) => {
  const world = await cluster(t)
  const broker = await world.start(1)
  const connection = world.connect(broker)
  await untilController(connection)
  const { topicId } = await createTopic(connection, 'v')
  const group = { groupId: 'g', generationId: -1, generationIdOrMemberEpoch: -1, memberId: '' }
  /** What a request needs beyond its defaults; the version decides between names and ids, one and many. */
  const requests: Record<string, (version: number) => object> = {
    Produce: () => ({
      acks: 1,
      timeoutMs: 100,
      topicData: [
        {
          name: 'v',
          partitionData: [
            { index: 0, records: batch('x') },
            { index: 9, records: batch('x') },
          ],
        },
      ],
    }),
    Fetch: (version) => ({
      maxWaitMs: 0,
      minBytes: 0,
      topics: [
        {
          ...(version < 13 ? { topic: 'v' } : { topicId }),
          partitions: [0, 9].map((partition) => ({ partition, fetchOffset: 0, partitionMaxBytes: 1000 })),
        },
      ],
    }),
    AlterReplicaLogDirs: () => ({ dirs: [{ path: '/nowhere', topics: [{ name: 'v', partitions: [0] }] }] }),
    DeleteRecords: () => ({
      timeoutMs: 1000,
      topics: [
        {
          name: 'v',
          partitions: [
            { partitionIndex: 0, offset: -1 },
            { partitionIndex: 9, offset: 0 },
          ],
        },
      ],
    }),
    ListOffsets: () => ({
      replicaId: -1,
      topics: [
        {
          name: 'v',
          partitions: [
            { partitionIndex: 0, timestamp: -1 },
            { partitionIndex: 9, timestamp: 5 },
          ],
        },
      ],
    }),
    Metadata: () => ({ topics: [{ name: 'v' }, { name: 'no such!' }] }),
    LeaderAndIsr: () => ({ controllerId: 1, controllerEpoch: 0, brokerEpoch: 0, liveLeaders: [], type: 0 }),
    StopReplica: () => ({ controllerId: 1, controllerEpoch: 0, brokerEpoch: 0, deletePartitions: false }),
    UpdateMetadata: () => ({ controllerId: 1, controllerEpoch: 0, brokerEpoch: 0, liveBrokers: [] }),
    ControlledShutdown: () => ({ brokerId: 9 }),
    OffsetCommit: () => ({
      ...group,
      topics: ['v', 'w'].map((name) => ({
        name,
        partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }],
      })),
    }),
    OffsetFetch: (version) => {
      const topics = [{ name: 'v', partitionIndexes: [0] }]
      return version < 8 ? { groupId: 'g', topics } : { groups: [{ groupId: 'g', topics }] }
    },
    FindCoordinator: (version) => (version < 4 ? { key: 'g' } : { coordinatorKeys: ['g'] }),
    JoinGroup: () => ({
      ...group,
      sessionTimeoutMs: 1,
      rebalanceTimeoutMs: 1,
      protocolType: 'consumer',
      protocols: [],
    }),
    SyncGroup: () => ({ ...group, assignments: [] }),
    Heartbeat: () => group,
    LeaveGroup: (version) => (version < 3 ? group : { groupId: 'g', members: [{ memberId: 'm' }] }),
    OffsetDelete: () => ({ groupId: 'g', topics: [] }),
    DescribeGroups: () => ({ groups: ['g'] }),
    DeleteGroups: () => ({ groupsNames: ['g'] }),
    ApiVersions: () => ({ clientSoftwareName: 'a', clientSoftwareVersion: '1' }),
    CreateTopics: () => ({
      topics: [{ name: 'no such!', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }],
    }),
    DeleteTopics: (version) =>
      version < 6 ? { topicNames: ['w'], timeoutMs: 1 } : { topics: [{ name: 'w', topicId: ZERO_UUID }], timeoutMs: 1 },
    InitProducerId: () => ({ transactionalId: null, transactionTimeoutMs: 1 }),
    OffsetForLeaderEpoch: () => ({ topics: [{ topic: 'v', partitions: [{ partition: 0, leaderEpoch: 0 }] }] }),
    DescribeConfigs: () => ({ resources: [{ resourceType: 2, resourceName: 'v', configurationKeys: null }] }),
    AlterConfigs: () => ({ resources: [{ resourceType: 2, resourceName: 'v', configs: [] }], validateOnly: true }),
    IncrementalAlterConfigs: () => ({
      resources: [{ resourceType: 2, resourceName: 'v', configs: [] }],
      validateOnly: true,
    }),
    DescribeLogDirs: () => ({ topics: null }),
    CreatePartitions: () => ({
      topics: [{ name: 'v', count: 1, assignments: null }],
      timeoutMs: 1,
      validateOnly: true,
    }),
    ElectLeaders: () => ({ topicPartitions: null, timeoutMs: 1 }),
    AlterPartitionReassignments: () => ({ topics: [] }),
    AlterPartition: () => ({ brokerId: 9, topics: [] }),
    DescribeCluster: () => ({ includeClusterAuthorizedOperations: true }),
    AllocateProducerIds: () => ({ brokerId: 9 }),
  }
  const address = { host: '127.0.0.1', port: broker.boundPort, clientId: 'versions', fixedVersions: true }
  const client = new BrokerConnection(world.platform, address)
  t.after(() => client.close())
  for (const { api, minVersion, maxVersion } of HANDLERS)
    for (let version = minVersion; version <= maxVersion; version++)
      await client.send(api, requests[api.name]?.(version) ?? {}, { version })
  assert.deepEqual(world.lines, [])
})
