/** What an administrator does, against three brokers of ours over real sockets. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { KafkaError, Producer } from '#client'

import { eventually, platform, startTestCluster, type TestCluster } from './consumer-cluster.ts'

let cluster: TestCluster

before(async () => {
  cluster = await startTestCluster(3)
})
after(() => cluster[Symbol.asyncDispose]())

function codeNameOf(error: unknown): string | null {
  assert.ok(error instanceof KafkaError)
  return error.codeName
}

test('topics are checked before they are made, laid out as one wishes, grown and deleted, each with its own outcome', async () => {
  const { admin } = cluster
  const wanted = [
    {
      name: 'topic-a',
      assignments: [
        [2, 3],
        [3, 1],
      ],
    },
    { name: 'topic-b', partitions: 2, replicationFactor: 9 },
  ]
  const checked = await admin.createTopics(wanted, { validateOnly: true })
  assert.equal(checked.get('topic-a'), null)
  assert.equal(codeNameOf(checked.get('topic-b')), 'INVALID_REPLICATION_FACTOR')
  await assert.rejects(admin.describeTopics(['topic-a']), /UNKNOWN_TOPIC_OR_PARTITION/)

  assert.equal((await admin.createTopics(wanted)).get('topic-a'), null)
  const [described] = await admin.describeTopics(['topic-a'])
  assert.deepEqual(
    described!.partitions.map(({ replicas }) => replicas),
    [
      [2, 3],
      [3, 1],
    ],
  )
  const shrunk = await admin.createPartitions(new Map([['topic-a', 1]]))
  assert.equal(codeNameOf(shrunk.get('topic-a')), 'INVALID_PARTITIONS')
  assert.deepEqual(await admin.createPartitions(new Map([['topic-a', 3]])), new Map([['topic-a', null]]))
  assert.equal((await admin.listTopics()).find(({ name }) => name === 'topic-a')!.partitionCount, 3)
  const deleted = await admin.deleteTopics(['topic-a', 'topic-x'])
  assert.equal(deleted.get('topic-a'), null)
  assert.equal(codeNameOf(deleted.get('topic-x')), 'UNKNOWN_TOPIC_OR_PARTITION')
})

test('a call ends with its signal, or with its time', async () => {
  const { admin } = cluster
  const signal = AbortSignal.abort(new Error('enough'))
  for (const call of [
    () => admin.describeCluster({ signal }),
    () => admin.describeTopics(null, { signal }),
    () => admin.listTopics({ signal }),
    () => admin.createTopics([{ name: 'never' }], { signal }),
    () => admin.deleteTopics(['never'], { signal }),
    () => admin.configs.describe({ topic: 'never' }, { signal }),
    () => admin.groups.list({ signal }),
  ])
    await assert.rejects(call(), /enough/)
  assert.equal((await admin.describeCluster({ timeoutMs: 20_000 })).brokers.length, 3)
})

test('configurations of topics and brokers tell where they come from, and change one by one', async () => {
  const { admin } = cluster
  await admin.createTopics([{ name: 'configured', partitions: 1, configs: { 'retention.ms': '1000' } }])
  const topic = { topic: 'configured' }
  const entryOf = async (name: string) => (await admin.configs.describe(topic, { names: [name] }))[0]!
  const retention = await entryOf('retention.ms')
  assert.deepEqual([retention.value, retention.source, retention.isDefault], ['1000', 'topic', false])
  assert.equal((await entryOf('cleanup.policy')).source, 'default')

  await admin.configs.alter(topic, new Map([['retention.ms', '2000']]), { validateOnly: true })
  assert.equal((await entryOf('retention.ms')).value, '1000')
  await admin.configs.alter(
    topic,
    new Map([
      ['retention.ms', null],
      ['cleanup.policy', { append: 'compact' }],
    ]),
  )
  assert.notEqual((await entryOf('retention.ms')).source, 'topic')
  assert.equal((await entryOf('cleanup.policy')).value, 'delete,compact')
  await admin.configs.alter(topic, new Map([['cleanup.policy', { subtract: 'delete' }]]))
  assert.equal((await entryOf('cleanup.policy')).value, 'compact')
  await assert.rejects(admin.configs.alter(topic, new Map([['retention.ms', 'soon']])), /INVALID_CONFIG/)
  await assert.rejects(admin.configs.describe({ topic: 'missing' }), /UNKNOWN_TOPIC_OR_PARTITION/)

  for (const broker of [1, 2, 3]) {
    const entries = await admin.configs.describe({ broker })
    const id = entries.find(({ name }) => name === 'broker.id')
    assert.deepEqual([id?.value, id?.isReadOnly], [String(broker), true])
  }
})

test('offsets, leaders and replicas of partitions', async () => {
  const { admin } = cluster
  const topic = 'moved'
  const place = { topic, partition: 0 }
  await admin.createTopics([{ name: topic, assignments: [[1, 2]] }])
  await using producer = new Producer(platform, { bootstrapServers: cluster.bootstrapServers })
  for (const timestamp of [1000, 2000, 3000]) await producer.send(topic, { value: 'x', timestamp })
  const offsetAt = async (at: Parameters<typeof admin.partitions.offsets>[1]) =>
    (await admin.partitions.offsets([place], at))[0]!.found?.offset ?? null
  assert.equal(await offsetAt('earliest'), 0)
  assert.equal(await offsetAt('latest'), 3)
  assert.equal(await offsetAt({ timestamp: 1500 }), 1)
  assert.equal(await offsetAt({ timestamp: 4000 }), null)

  assert.deepEqual(await admin.partitions.reassign([{ ...place, replicas: [3, 2] }]), new Map([['moved-0', null]]))
  await eventually('the partition has moved', async () => {
    if ((await admin.partitions.reassignments()).length > 0) return false
    const [described] = await admin.describeTopics([topic])
    return described!.partitions[0]!.replicas.join() === '3,2'
  })
  const leaderOf = async () => (await admin.describeTopics([topic]))[0]!.partitions[0]!.leader
  const elected = await admin.partitions.electLeaders('preferred', [place])
  const error = elected.get('moved-0') ?? null
  assert.ok(error === null || error.codeName === 'ELECTION_NOT_NEEDED')
  await eventually('the preferred one leads', async () => (await leaderOf()) === 3)
  assert.equal((await producer.send(topic, { value: 'after' })).offset, 3)
  const nothing = await admin.partitions.reassign([{ ...place, replicas: null }])
  assert.equal(codeNameOf(nothing.get('moved-0')), 'NO_REASSIGNMENT_IN_PROGRESS')

  assert.deepEqual(await admin.partitions.deleteRecords([{ ...place, before: 2 }]), new Map([['moved-0', 2]]))
  assert.equal(await offsetAt('earliest'), 2)
  const beyond = await admin.partitions.deleteRecords([{ ...place, before: 100 }])
  assert.equal(codeNameOf(beyond.get('moved-0')), 'OFFSET_OUT_OF_RANGE')
  assert.deepEqual(await admin.partitions.deleteRecords([{ ...place, before: 'end' }]), new Map([['moved-0', 4]]))
})
