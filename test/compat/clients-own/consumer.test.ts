/** Our consumer (mission M5) against three brokers that are processes of their own. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { after, before, test } from 'node:test'

import { Admin, Consumer, NoOffsetError, Producer, type ConsumerOptions } from '#client'

import { Cluster, Process, Wire, coordinatorOf, until } from '../../peers/index.ts'
import { Member, platform, sharedEvenly, textOf, upTo } from './own.ts'

const PARTITIONS = 6
const KILLED_CONSUMER = path.join(import.meta.dirname, '../../client/killed-consumer.ts')

let cluster: Cluster
let admin: Admin
let producer: Producer
let topics = 0
/** Every member that a test has started, so that a failed one leaves none behind. */
const joined: Member[] = []

before(async () => {
  // A member that is killed is missed soon.
  cluster = await Cluster.start({ brokers: 3, properties: { 'group.min.session.timeout.ms': 200 } })
  admin = new Admin(platform, { bootstrapServers: cluster.bootstrap })
  producer = new Producer(platform, { bootstrapServers: cluster.bootstrap })
})

after(async () => {
  await Promise.all(joined.map((member) => member.close().catch(() => {})))
  await producer?.close()
  await admin?.close()
  await cluster?.close()
})

/** A topic whose partitions have the texts `0`, `1`, …, stamped with the times 1000, 2000, … */
async function topicWith(partitions: number, recordsPerPartition: number): Promise<string> {
  const topic = `read-${topics++}`
  await cluster.createTopic({ name: topic, partitions, replicationFactor: 3 })
  for (const partition of upTo(partitions)) await append(topic, partition, recordsPerPartition)
  return topic
}

async function append(topic: string, partition: number, count: number): Promise<void> {
  const records = upTo(count).map((index) => ({ value: `${index}`, partition, timestamp: (index + 1) * 1000 }))
  await producer.sendBatch(topic, records)
}

function optionsOf(options: Partial<ConsumerOptions> = {}): ConsumerOptions {
  return {
    bootstrapServers: cluster.bootstrap,
    autoOffsetReset: 'earliest',
    heartbeatIntervalMs: 100,
    sessionTimeoutMs: 6000,
    fetchMaxWaitMs: 100,
    autoCommitIntervalMs: 100,
    ...options,
  }
}

function join(topic: string, options: ConsumerOptions): Member {
  const member = new Member(topic, options)
  joined.push(member)
  return member
}

function consumerOf(options: Partial<ConsumerOptions> = {}): Consumer {
  return new Consumer(platform, optionsOf(options))
}

async function textsToEnd(consumer: Consumer): Promise<string[]> {
  const texts: string[] = []
  for await (const { value } of consumer.records({ toEnd: true })) texts.push(textOf(value)!)
  return texts
}

for (const strategy of ['range', 'roundrobin', 'cooperative-sticky'])
  test(`M5.2 to M5.5: members come and go, by ${strategy}: each partition has one of them, and nothing comes twice`, async () => {
    const topic = await topicWith(PARTITIONS, 50)
    const options = optionsOf({ groupId: topic, partitionAssignmentStrategy: [strategy] })
    const members = [join(topic, options), join(topic, options)]
    await sharedEvenly(members, PARTITIONS)
    members.push(join(topic, options))
    await sharedEvenly(members, PARTITIONS)
    for (const partition of upTo(PARTITIONS)) await append(topic, partition, 50)
    const seen = (): string[] => members.flatMap((member) => member.seen)
    await until('all is read', () => new Set(seen()).size === PARTITIONS * 100)
    const [group] = await admin.groups.describe([topic])
    assert.deepEqual([group!.state, group!.protocol, group!.members.length], ['Stable', strategy, 3])
    assert.deepEqual(
      group!.members.map(({ assignment }) => assignment!.length),
      [2, 2, 2],
    )
    await members[0]!.close()
    await sharedEvenly(members.slice(1), PARTITIONS)
    await append(topic, 0, 10)
    await until('what comes later is read', () => new Set(seen()).size === PARTITIONS * 100 + 10)
    for (const member of members.slice(1)) await member.close()
    assert.equal(seen().length, PARTITIONS * 100 + 10, 'who leaves has committed')
    assert.deepEqual(await cluster.committed(topic, topic, [0, 1]), [110, 100])
  })

test('M5.2: of more members than partitions the surplus waits, and takes over', async () => {
  const topic = await topicWith(2, 1)
  const members = upTo(3).map(() => join(topic, optionsOf({ groupId: topic })))
  const idle = (): number => members.filter((member) => member.owned.length === 0).length
  await until(
    'two have one each, one has none',
    () => idle() === 1 && members.every((member) => member.owned.length <= 1),
  )
  const holder = members.find((member) => member.owned.length === 1)!
  await holder.close()
  await sharedEvenly(
    members.filter((member) => member !== holder),
    2,
  )
  for (const member of members) await member.close()
})

test('M5.5: new partitions are shared out, and topics that match a pattern as they come', async () => {
  const topic = await topicWith(1, 1)
  const consumer = consumerOf({ groupId: topic, metadataMaxAgeMs: 200 })
  consumer.subscribe(new RegExp(`^${topic}(-later)?$`))
  const seen = new Set<string>()
  const running = consumer.run({ eachMessage: (record) => void seen.add(`${record.topic}:${record.partition}`) })
  await until('the first is read', () => seen.has(`${topic}:0`))
  await admin.createPartitions(new Map([[topic, 2]]))
  await cluster.createTopic({ name: `${topic}-later`, partitions: 1, replicationFactor: 3 })
  // Producers that learn of the partition when they start.
  for (const [name, partition] of [
    [`${topic}-later`, 0],
    [topic, 1],
  ] as const) {
    await using fresh = new Producer(platform, { bootstrapServers: cluster.bootstrap })
    await fresh.send(name, { value: 'new', partition })
  }
  await until('both are read', () => seen.has(`${topic}-later:0`) && seen.has(`${topic}:1`))
  await consumer.close()
  await running
})

test('M5.1, M5.6: two groups, each with its offsets; a commit is where the next member begins', async () => {
  const topic = await topicWith(1, 10)
  const place = { topic, partition: 0 }
  for (const group of ['one', 'two']) {
    await using consumer = consumerOf({ groupId: `${topic}-${group}`, enableAutoCommit: false })
    consumer.subscribe(topic)
    assert.equal((await textsToEnd(consumer)).length, 10)
    if (group === 'one') await consumer.commit()
    else await consumer.commit([{ ...place, offset: 4, leaderEpoch: -1, metadata: 'four' }])
  }
  assert.deepEqual(await cluster.committed(`${topic}-one`, topic, [0]), [10])
  await using again = consumerOf({ groupId: `${topic}-two` })
  again.subscribe(topic)
  assert.deepEqual(await textsToEnd(again), ['4', '5', '6', '7', '8', '9'])
  const [lag] = await admin.groups.lag(`${topic}-one`)
  assert.deepEqual([lag!.committed, lag!.logEnd, lag!.lag], [10, 10, 0])
})

test('seek, pause and resume; positions and ends', async () => {
  const topic = await topicWith(1, 10)
  const place = { topic, partition: 0 }
  await using consumer = consumerOf()
  consumer.assign([place])
  const records = consumer.records()
  const next = async (): Promise<number> => (await records.next()).value!.offset
  assert.equal(await next(), 0)
  consumer.seek(place, 7)
  assert.equal(await next(), 7)
  consumer.pause([place])
  const waiting = next()
  consumer.seek(place, 2)
  consumer.resume([place])
  assert.equal(await waiting, 2)
  consumer.seekToBeginning()
  assert.equal(await next(), 0)
  consumer.seekToEnd()
  assert.equal(await consumer.position(place), 10)
  assert.deepEqual([await consumer.beginningOffsets([place]), await consumer.endOffsets([place])], [[0], [10]])
})

test('offsets for times', async () => {
  const topic = await topicWith(2, 10)
  await using consumer = consumerOf()
  const found = await consumer.offsetsForTimes([
    { topic, partition: 0, timestamp: 0 },
    { topic, partition: 1, timestamp: 3500 },
  ])
  assert.deepEqual(
    found.map((at) => [at.partition, at.found?.offset, at.found?.timestamp]),
    [
      [0, 0, 1000],
      [1, 3, 4000],
    ],
  )
  const [none] = await consumer.offsetsForTimes([{ topic, partition: 0, timestamp: 10_001 }])
  assert.equal(none!.found, null)
})

test('reset policies: where nothing is committed, and out of range', async () => {
  const topic = await topicWith(1, 3)
  const place = { topic, partition: 0 }
  for (const [autoOffsetReset, expected] of [
    ['earliest', 0],
    ['latest', 3],
  ] as const) {
    await using consumer = consumerOf({ autoOffsetReset, groupId: `${topic}-${autoOffsetReset}` })
    consumer.assign([place])
    assert.equal(await consumer.position(place), expected)
    consumer.seek(place, 1000)
    const arriving = consumer.records().next()
    if (autoOffsetReset === 'latest') {
      await until('it has gone to the end', async () => (await consumer.position(place)) === expected)
      await append(topic, 0, 1)
    }
    assert.equal((await arriving).value!.offset, expected)
  }
  await using strict = consumerOf({ autoOffsetReset: 'none', groupId: `${topic}-none` })
  strict.assign([place])
  await assert.rejects(strict.records().next(), NoOffsetError)
  strict.seek(place, 1000)
  await assert.rejects(strict.records().next(), NoOffsetError)
})

test('a static member that comes back has its partitions again, without a rebalance', async () => {
  const topic = await topicWith(2, 1)
  const optionsFor = (groupInstanceId: string): ConsumerOptions => optionsOf({ groupId: topic, groupInstanceId })
  const [one, two] = [join(topic, optionsFor('one')), join(topic, optionsFor('two'))]
  await sharedEvenly([one, two], 2)
  const { generation } = one.consumer.groupMetadata()
  const held = two.owned
  await two.close()
  const again = join(topic, optionsFor('two'))
  await until('it has it again', () => again.owned.length === 1)
  assert.deepEqual(again.owned, held)
  assert.equal(again.consumer.groupMetadata().generation, generation)
  await one.close()
  await again.close()
  const [group] = await admin.groups.describe([topic])
  assert.equal(group!.members.length, 2, 'a static member stays until its session ends')
})

for (const [commits, repeated] of [
  ['after', true],
  ['before', false],
] as const)
  test(`M5.3, M5.7: a member that commits ${commits} its work is killed: what it had begun ${repeated ? 'comes again' : 'is skipped'}`, async () => {
    const topic = await topicWith(1, 12)
    const killed = new Process(process.execPath, [KILLED_CONSUMER, cluster.bootstrap, topic, topic, commits])
    let output = ''
    killed.child.stdout!.on('data', (chunk: Buffer) => (output += chunk.toString()))
    await until('it is in its second five, or its first', () => output.includes(repeated ? '6\n' : '1\n'), 30_000, 2)
    await killed.stop('SIGKILL')
    const [committed] = await cluster.committed(topic, topic, [0])
    const processed = output.trimEnd().split('\n').length
    await using other = consumerOf({ groupId: topic })
    other.subscribe(topic)
    const [first] = await textsToEnd(other)
    assert.equal(first, String(committed))
    assert.ok(repeated ? committed! < processed : committed! >= processed, `${committed}, ${processed} processed`)
  })

test('the coordinator of the group goes, and the leader of a partition: the group reads on', async () => {
  const topic = await topicWith(PARTITIONS, 20)
  const members = upTo(2).map(() => join(topic, optionsOf({ groupId: topic })))
  await sharedEvenly(members, PARTITIONS)
  const coordinator = await Wire.ask(cluster.anyone.address, (wire) => coordinatorOf(wire, topic))
  const server = cluster.brokers.find(({ address }) => coordinator.address === address)!
  await server.stop()
  for (const partition of upTo(PARTITIONS)) await append(topic, partition, 20)
  await until('all is read', () => new Set(members.flatMap(({ seen }) => seen)).size === PARTITIONS * 40)
  for (const member of members) await member.close()
  assert.deepEqual(
    await cluster.committed(topic, topic, upTo(PARTITIONS)),
    upTo(PARTITIONS).map(() => 40),
  )
  await server.startAgain()
})
