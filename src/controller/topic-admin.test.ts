import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Random } from '#platform'
import { ErrorCode } from '#protocol'
import { PERSISTENT_PATHS, ZnodePath, encodeConfig, encodeTopic } from '#metadata/znodes'
import { RetryingZooKeeper, type MultiStep } from '#zookeeper/client'

import type { AssignableBroker } from './assignment.ts'
import { FakeEnsemble, type FakeZooKeeper } from './fake-zookeeper.ts'
import { TopicAdmin, type NewTopic } from './topic-admin.ts'

const CREATE = { validateOnly: false }
const GROW = { validateOnly: false, isQueuedForDeletion: (topic: string) => topic === 'doomed' }

interface Fixture {
  ensemble: FakeEnsemble
  zk: RetryingZooKeeper
  admin: TopicAdmin
}

async function setUp(brokers: readonly AssignableBroker[] = plain(3)): Promise<Fixture> {
  const ensemble = new FakeEnsemble()
  const zk = new RetryingZooKeeper(ensemble.connect())
  for (const path of PERSISTENT_PATHS) await zk.ensurePath(path)
  let drawn = 0
  const random: Random = {
    next: () => 0,
    below: (bound) => drawn++ % bound,
    bytes: (length) => new Uint8Array(length).fill((drawn += 1)),
  }
  const admin = new TopicAdmin(zk, random, {
    aliveBrokers: () => brokers,
    defaults: { numPartitions: 4, replicationFactor: 2 },
    configFault: (configs) => ('nonsense' in configs ? 'Unknown topic config name: nonsense' : null),
    policyFault: (topic) => (topic.name === 'forbidden' ? 'not here' : null),
  })
  return { ensemble, zk, admin }
}

function plain(count: number): AssignableBroker[] {
  return Array.from({ length: count }, (_, index) => ({ id: index + 1, rack: null }))
}

function topic(name: string, parts: Partial<NewTopic> = {}): NewTopic {
  return { name, numPartitions: -1, replicationFactor: -1, assignments: new Map(), configs: {}, ...parts }
}

test('a topic is written with its configuration, a random id and the defaults', async () => {
  const { ensemble, admin } = await setUp()
  const configs = { 'segment.bytes': '1048576' }
  const created = await admin.createTopic(topic('T', { configs }), CREATE)
  assert.deepEqual([created.errorCode, created.numPartitions, created.replicationFactor], [0, 4, 2])
  assert.equal(ensemble.text('/config/topics/T'), '{"version":1,"config":{"segment.bytes":"1048576"}}')
  const stored = JSON.parse(ensemble.text(ZnodePath.topic('T'))!) as { topic_id: string; partitions: object }
  assert.equal(stored.topic_id, created.topicId)
  assert.deepEqual(Object.keys(stored.partitions), ['0', '1', '2', '3'])
})

test('validation alone writes nothing', async () => {
  const { ensemble, admin } = await setUp()
  const created = await admin.createTopic(topic('T', { numPartitions: 1 }), { validateOnly: true })
  assert.deepEqual([created.errorCode, created.numPartitions], [0, 1])
  assert.equal(ensemble.text(ZnodePath.topic('T')), null)
})

const REFUSALS: readonly [string, NewTopic, number, RegExp][] = [
  ['no name', topic(''), ErrorCode.INVALID_TOPIC_EXCEPTION, /empty/],
  ['a bad character', topic('a/b'), ErrorCode.INVALID_TOPIC_EXCEPTION, /'a\/b'/],
  ['two dots', topic('..'), ErrorCode.INVALID_TOPIC_EXCEPTION, /not allowed/],
  ['a long name', topic('x'.repeat(250)), ErrorCode.INVALID_TOPIC_EXCEPTION, /249/],
  ['a name that exists', topic('there.is'), ErrorCode.TOPIC_ALREADY_EXISTS, /already exists/],
  ['a name that collides', topic('there_is'), ErrorCode.INVALID_TOPIC_EXCEPTION, /collides.*there\.is/],
  ['no partitions', topic('T', { numPartitions: 0 }), ErrorCode.INVALID_PARTITIONS, /larger than 0/],
  ['no replicas', topic('T', { replicationFactor: 0 }), ErrorCode.INVALID_REPLICATION_FACTOR, /larger than 0/],
  [
    'too many replicas',
    topic('T', { replicationFactor: 4 }),
    ErrorCode.INVALID_REPLICATION_FACTOR,
    /available brokers: 3/,
  ],
  ['a bad configuration', topic('T', { configs: { nonsense: '1' } }), ErrorCode.INVALID_CONFIG, /nonsense/],
  ['a policy', topic('forbidden'), ErrorCode.POLICY_VIOLATION, /not here/],
  [
    'both ways at once',
    topic('T', { numPartitions: 1, assignments: new Map([[0, [1]]]) }),
    ErrorCode.INVALID_REQUEST,
    /Both/,
  ],
  ['a gap', topic('T', { assignments: new Map([[1, [1]]]) }), ErrorCode.INVALID_REPLICA_ASSIGNMENT, /consecutive/],
  [
    'a broker twice',
    topic('T', { assignments: new Map([[0, [1, 1]]]) }),
    ErrorCode.INVALID_REPLICA_ASSIGNMENT,
    /Duplicate/,
  ],
  ['nobody', topic('T', { assignments: new Map([[0, []]]) }), ErrorCode.INVALID_REPLICA_ASSIGNMENT, /empty/],
  [
    'uneven lists',
    topic('T', {
      assignments: new Map([
        [0, [1]],
        [1, [1, 2]],
      ]),
    }),
    ErrorCode.INVALID_REPLICA_ASSIGNMENT,
    /same number/,
  ],
]

for (const [what, wanted, errorCode, message] of REFUSALS)
  test(`a topic with ${what} is refused with the reason`, async () => {
    const { ensemble, admin } = await setUp()
    await admin.createTopic(topic('there.is'), CREATE)
    const created = await admin.createTopic(wanted, CREATE)
    assert.equal(created.errorCode, errorCode)
    assert.match(created.errorMessage!, message)
    assert.deepEqual(ensemble.children(ZnodePath.topics), ['there.is'])
  })

test('brokers given by hand are taken as they are, alive or not', async () => {
  const { admin } = await setUp()
  const assignments = new Map([
    [0, [3, 9]],
    [1, [1, 2]],
  ])
  const created = await admin.createTopic(topic('T', { assignments }), CREATE)
  assert.deepEqual([created.errorCode, created.numPartitions, created.replicationFactor], [0, 2, 2])
})

test('a name that stands twice in a request is refused both times, the others are created', async () => {
  const { admin } = await setUp()
  const created = await admin.createTopics([topic('A'), topic('B'), topic('A')], CREATE)
  assert.deepEqual(
    created.map(({ errorCode }) => errorCode),
    [ErrorCode.INVALID_REQUEST, ErrorCode.NONE, ErrorCode.INVALID_REQUEST],
  )
})

/** Another broker's admin, whose client lets things happen between its reads and its writes. */
function racing({ ensemble }: Fixture): { admin: TopicAdmin; client: FakeZooKeeper } {
  const client = ensemble.connect()
  const random: Random = { next: () => 0, below: () => 0, bytes: (length) => new Uint8Array(length).fill(77) }
  const admin = new TopicAdmin(new RetryingZooKeeper(client), random, {
    aliveBrokers: () => plain(3),
    defaults: { numPartitions: 1, replicationFactor: 1 },
    configFault: () => null,
  })
  return { admin, client }
}

/** Lets this happen once, before the client's next write. */
function beforeNextWrite(client: FakeZooKeeper, happen: (steps: readonly MultiStep[]) => void): void {
  client.beforeWrite = (steps) => {
    client.beforeWrite = null
    happen(steps)
  }
}

const OTHER_TOPIC = encodeTopic({ topicId: 'otherAAAAAAAAAAAAAAAAA', partitions: new Map() })
const CONFIGS = { 'segment.bytes': '1048576' }
const CONFIG_TEXT = '{"version":1,"config":{"segment.bytes":"1048576"}}'

for (const hadConfig of [false, true])
  test(`a creation whose answer was lost is recognised${hadConfig ? ', over what an earlier topic left' : ''}`, async () => {
    const fixture = await setUp()
    if (hadConfig) await fixture.zk.create(ZnodePath.config('topics', 'T'), encodeConfig({ 'segment.bytes': '1' }))
    const { admin, client } = racing(fixture)
    beforeNextWrite(client, () => client.loseNextWrite(true))
    const created = await admin.createTopic(topic('T', { configs: CONFIGS }), CREATE)
    assert.equal(created.errorCode, ErrorCode.NONE)
    assert.match(fixture.ensemble.text(ZnodePath.topic('T'))!, new RegExp(created.topicId))
    assert.equal(fixture.ensemble.text(ZnodePath.config('topics', 'T')), CONFIG_TEXT)
  })

test('a topic and its configuration come in one step: nobody ever sees one without the other', async () => {
  const fixture = await setUp()
  const { admin, client } = racing(fixture)
  const written: string[][] = []
  client.beforeWrite = (steps) => void written.push(steps.map(({ op, path }) => `${op} ${path}`))
  await admin.createTopic(topic('T', { configs: CONFIGS }), CREATE)
  assert.deepEqual(written, [['create /config/topics/T', 'create /brokers/topics/T']])
})

test('who comes second changes nothing of the topic that is there, its configuration included', async () => {
  const fixture = await setUp()
  const { ensemble } = fixture
  const { admin, client } = racing(fixture)
  for (const [name, steps] of [
    ['with-config', [ZnodePath.config('topics', 'with-config'), ZnodePath.topic('with-config')]],
    ['without', [ZnodePath.topic('without')]],
  ] as const) {
    beforeNextWrite(client, () =>
      ensemble.transact(
        steps.map((path) => ({ op: 'create', path, data: OTHER_TOPIC })),
        1n,
      ),
    )
    const created = await admin.createTopic(topic(name, { configs: CONFIGS }), CREATE)
    assert.equal(created.errorCode, ErrorCode.TOPIC_ALREADY_EXISTS, name)
    assert.match(ensemble.text(ZnodePath.topic(name))!, /otherAAAAAAAAAAAAAAAAA/)
    assert.notEqual(ensemble.text(ZnodePath.config('topics', name)), CONFIG_TEXT)
  }
})

test('a configuration of an earlier topic that comes or goes meanwhile is not the one that the new topic has', async () => {
  const fixture = await setUp()
  const { ensemble } = fixture
  const { admin, client } = racing(fixture)
  const path = (name: string): string => ZnodePath.config('topics', name)
  const left = encodeConfig({ 'segment.bytes': '1' })
  beforeNextWrite(client, () => ensemble.transact([{ op: 'create', path: path('came'), data: left }], 1n))
  assert.equal((await admin.createTopic(topic('came', { configs: CONFIGS }), CREATE)).errorCode, ErrorCode.NONE)
  await fixture.zk.create(path('went'), left)
  beforeNextWrite(client, () => ensemble.transact([{ op: 'delete', path: path('went'), version: -1 }], 1n))
  assert.equal((await admin.createTopic(topic('went', { configs: CONFIGS }), CREATE)).errorCode, ErrorCode.NONE)
  for (const name of ['came', 'went']) assert.equal(ensemble.text(path(name)), CONFIG_TEXT, name)
})

test('a topic grows where its assignment left off', async () => {
  const { ensemble, admin } = await setUp()
  const assignments = new Map([
    [0, [2, 3]],
    [1, [3, 1]],
    [2, [1, 2]],
  ])
  await admin.createTopic(topic('T', { assignments }), CREATE)
  const grown = await admin.createPartitions([{ name: 'T', count: 5, assignments: null }], GROW)
  assert.deepEqual(grown, [{ name: 'T', errorCode: 0, errorMessage: null }])
  const { partitions } = JSON.parse(ensemble.text(ZnodePath.topic('T'))!) as { partitions: Record<string, number[]> }
  // Kafka 3.9 with start index 1 and start partition 3 over brokers 1, 2, 3.
  assert.deepEqual(
    [partitions['3'], partitions['4']],
    [
      [2, 3],
      [3, 1],
    ],
  )
  assert.deepEqual(partitions['0'], [2, 3])
})

test('growth that is none, or cannot be, is refused with the reason', async () => {
  const { admin, zk } = await setUp()
  await admin.createTopic(topic('T', { numPartitions: 3, replicationFactor: 2 }), CREATE)
  const moving = { replicas: [1, 2], addingReplicas: [2], removingReplicas: [] }
  await zk.create(ZnodePath.topic('moving'), encodeTopic({ topicId: null, partitions: new Map([[0, moving]]) }))
  const grow = async (name: string, count: number, assignments: number[][] | null = null) => {
    const [outcome] = await admin.createPartitions([{ name, count, assignments }], GROW)
    return [outcome!.errorCode, outcome!.errorMessage]
  }
  assert.deepEqual(await grow('T', 2), [
    ErrorCode.INVALID_PARTITIONS,
    'The topic currently has 3 partition(s); 2 would not be an increase.',
  ])
  assert.deepEqual(await grow('T', 3), [ErrorCode.INVALID_PARTITIONS, 'Topic already has 3 partition(s).'])
  assert.equal((await grow('X', 9))[0], ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  assert.equal((await grow('doomed', 9))[0], ErrorCode.INVALID_TOPIC_EXCEPTION)
  assert.equal((await grow('moving', 9))[0], ErrorCode.REASSIGNMENT_IN_PROGRESS)
  assert.equal((await grow('T', 5, [[1, 2]]))[0], ErrorCode.INVALID_REPLICA_ASSIGNMENT)
  assert.equal((await grow('T', 4, [[1]]))[0], ErrorCode.INVALID_REPLICA_ASSIGNMENT)
  assert.equal((await grow('T', 4, [[1, 9]]))[0], ErrorCode.INVALID_REPLICA_ASSIGNMENT)
  assert.equal((await grow('T', 4, [[1, 2]]))[0], ErrorCode.NONE)
})

test('deletion is asked for; what does not exist is said', async () => {
  const { ensemble, admin } = await setUp()
  await admin.createTopic(topic('T'), CREATE)
  const outcomes = await admin.deleteTopics(['T', 'X', 'T'])
  assert.deepEqual(
    outcomes.map(({ errorCode }) => errorCode),
    [ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.NONE],
  )
  assert.deepEqual(ensemble.children(ZnodePath.deleteTopics), ['T'])
})
