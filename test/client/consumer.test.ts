import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'

import { CommitFailedError, Consumer, NoOffsetError, type ConsumerOptions } from '#client'

import {
  createTopic,
  eventually,
  platform,
  produce,
  startTestCluster,
  textOf,
  type TestCluster,
} from './consumer-cluster.ts'

let cluster: TestCluster
let names = 0

before(async () => {
  cluster = await startTestCluster(1, { 'group.min.session.timeout.ms': '200' })
})
after(() => cluster[Symbol.asyncDispose]())

/** A topic of its own for each test, with texts `0`, `1`, … in each partition. */
async function topicWith(partitions: number, recordsPerPartition: number): Promise<string> {
  const topic = `topic-${names++}`
  await createTopic(cluster, topic, partitions)
  for (let partition = 0; partition < partitions; partition++)
    if (recordsPerPartition > 0) await produce(cluster, topic, partition, textsTo(recordsPerPartition))
  return topic
}

function textsTo(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index))
}

function consumerOf(options: Partial<ConsumerOptions> = {}): Consumer {
  return new Consumer(platform, {
    bootstrapServers: cluster.bootstrapServers,
    autoOffsetReset: 'earliest',
    fetchMaxWaitMs: 50,
    heartbeatIntervalMs: 50,
    sessionTimeoutMs: 6000,
    ...options,
  })
}

async function readToEnd(consumer: Consumer): Promise<string[]> {
  const texts: string[] = []
  for await (const { topic: _, partition, value } of consumer.records({ toEnd: true }))
    texts.push(`${partition}:${textOf(value)}`)
  return texts
}

test('partitions assigned by hand are read from the beginning to the end, in order', async () => {
  const topic = await topicWith(2, 3)
  await using consumer = consumerOf()
  consumer.assign([
    { topic, partition: 0 },
    { topic, partition: 1 },
  ])
  const texts = await readToEnd(consumer)
  assert.deepEqual(
    texts.filter((text) => text.startsWith('0:')),
    ['0:0', '0:1', '0:2'],
  )
  assert.equal(texts.length, 6)
  assert.equal(await consumer.position({ topic, partition: 1 }), 3)
  assert.equal(consumer.lag({ topic, partition: 1 }), 0)
})

test('seek, pause and resume act between two records', async () => {
  const topic = await topicWith(1, 10)
  const place = { topic, partition: 0 }
  await using consumer = consumerOf()
  consumer.assign([place])
  const records = consumer.records()
  assert.equal((await records.next()).value!.offset, 0)
  consumer.seek(place, 7)
  assert.equal((await records.next()).value!.offset, 7)
  consumer.pause([place])
  const waiting = records.next()
  assert.equal(await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 100, 'nothing'))]), 'nothing')
  assert.equal(await consumer.position(place), 8)
  consumer.resume([place])
  assert.equal((await waiting).value!.offset, 8)
  consumer.seekToBeginning()
  assert.equal((await records.next()).value!.offset, 0)
  consumer.seekToEnd()
  assert.equal(await consumer.position(place), 10)
})

test('offsets are found by time, at the beginning and at the end', async () => {
  const topic = await topicWith(1, 3)
  const place = { topic, partition: 0 }
  await using consumer = consumerOf()
  assert.deepEqual(await consumer.beginningOffsets([place]), [0])
  assert.deepEqual(await consumer.endOffsets([place]), [3])
  const [byTime] = await consumer.offsetsForTimes([{ ...place, timestamp: 0 }])
  assert.equal(byTime!.found!.offset, 0)
  const [tooLate] = await consumer.offsetsForTimes([{ ...place, timestamp: Date.now() + 1e6 }])
  assert.equal(tooLate!.found, null)
})

test('without a position and a reset policy the user gets an error, and can seek', async () => {
  const topic = await topicWith(1, 3)
  await using consumer = consumerOf({ autoOffsetReset: 'none' })
  const place = { topic, partition: 0 }
  consumer.assign([place])
  await assert.rejects(consumer.records().next(), NoOffsetError)
  await assert.rejects(consumer.records().next(), NoOffsetError, 'as often as they ask')
  consumer.seek(place, 2)
  for await (const { offset } of consumer) {
    assert.equal(offset, 2)
    break
  }
  consumer.seek(place, 1000)
  await assert.rejects(consumer.records().next(), NoOffsetError)
})

test('a position out of range goes where auto.offset.reset says', async () => {
  const topic = await topicWith(1, 3)
  await using consumer = consumerOf()
  consumer.assign([{ topic, partition: 0 }])
  consumer.seek({ topic, partition: 0 }, 1000)
  assert.equal((await consumer.records().next()).value!.offset, 0)
})

test('an aborted signal ends a wait with its reason, and the consumer goes on', async () => {
  const topic = await topicWith(1, 1)
  await using consumer = consumerOf()
  consumer.assign([{ topic, partition: 0 }])
  const stop = new AbortController()
  const records = consumer.records({ signal: stop.signal })
  await records.next()
  const waiting = records.next()
  stop.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
  await produce(cluster, topic, 0, ['more'])
  assert.equal(textOf((await consumer.records().next()).value!.value), 'more')
})

test('two groups read one topic, each with offsets of its own', async () => {
  const topic = await topicWith(1, 5)
  for (const groupId of [`${topic}-one`, `${topic}-two`]) {
    await using consumer = consumerOf({ groupId })
    consumer.subscribe(topic)
    assert.equal((await readToEnd(consumer)).length, 5)
  }
  await using again = consumerOf({ groupId: `${topic}-one` })
  again.subscribe(topic)
  assert.deepEqual(await readToEnd(again), [])
  const [lag] = await cluster.admin.groups.lag(`${topic}-two`)
  assert.deepEqual([lag!.committed, lag!.logEnd, lag!.lag], [5, 5, 0])
})

/** A consumer in a process of its own that is killed once it has worked on so many records. Resolves with their offsets. */
async function killedAfter(
  count: number,
  topic: string,
  groupId: string,
  commits: 'before' | 'after',
): Promise<number[]> {
  const script = join(import.meta.dirname, 'killed-consumer.ts')
  const child = spawn(process.execPath, [script, cluster.bootstrapServers, topic, groupId, commits], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const offsets: number[] = []
  for await (const line of createInterface(child.stdout)) {
    offsets.push(Number(line))
    if (offsets.length === count) child.kill('SIGKILL')
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return offsets
}

test('M5.3, M5.7: a member is killed; another goes on from the last commit, and what was processed since is processed again', async () => {
  const topic = await topicWith(1, 12)
  const groupId = `${topic}-group`
  const processed = await killedAfter(7, topic, groupId, 'after')
  const [{ offset: committed } = { offset: 0 }] = await cluster.admin.groups.offsets(groupId)
  assert.equal(committed, 5, 'it commits after every fifth record')
  await using other = consumerOf({ groupId })
  other.subscribe(topic)
  const texts = await readToEnd(other)
  assert.deepEqual(
    texts,
    textsTo(12)
      .slice(5)
      .map((text) => `0:${text}`),
  )
  assert.ok(processed.includes(5) && processed.includes(6), 'processed by both')
})

test('M5.3, M5.7: a member is killed; what it had committed and not processed is skipped', async () => {
  const topic = await topicWith(1, 12)
  const groupId = `${topic}-group`
  const processed = await killedAfter(2, topic, groupId, 'before')
  await using other = consumerOf({ groupId })
  other.subscribe(topic)
  const texts = await readToEnd(other)
  assert.deepEqual(
    texts,
    textsTo(12)
      .slice(5)
      .map((text) => `0:${text}`),
  )
  assert.deepEqual(processed.slice(0, 2), [0, 1])
  assert.ok(!processed.includes(4), 'processed by none')
})

test('automatic commits take in what the user is done with, and not what they were given last', async () => {
  const topic = await topicWith(1, 10)
  const groupId = `${topic}-group`
  await using consumer = consumerOf({ groupId, autoCommitIntervalMs: 20 })
  consumer.subscribe(topic)
  const records = consumer.records()
  for (let index = 0; index < 4; index++) await records.next()
  const place = { topic, partition: 0 }
  const committed = async (): Promise<number | undefined> => (await consumer.committed([place]))[0]?.offset
  await eventually('three records are committed', async () => (await committed()) === 3)
  await new Promise((resolve) => setTimeout(resolve, 60))
  assert.equal(await committed(), 3)
  assert.equal(await consumer.position(place), 4)
})

test('run hands out messages; what a handler throws ends it, and its record comes again', async () => {
  const topic = await topicWith(1, 5)
  await using consumer = consumerOf({ groupId: `${topic}-group` })
  consumer.subscribe(topic)
  const seen: number[] = []
  const failing = consumer.run({
    eachMessage: ({ offset }) => {
      seen.push(offset)
      if (offset === 2 && seen.length === 3) throw new Error('cannot do it')
    },
  })
  await assert.rejects(failing, /cannot do it/)
  const rest = consumer.run({ eachMessage: ({ offset }) => void seen.push(offset) })
  await eventually('all were handled', () => seen.length === 6)
  await consumer.close()
  await rest
  assert.deepEqual(seen, [0, 1, 2, 2, 3, 4])
})

test('run works on several partitions at a time, and keeps the order of each', async () => {
  const topic = await topicWith(3, 4)
  await using consumer = consumerOf({ groupId: `${topic}-group`, maxPollRecords: 2 })
  consumer.subscribe(topic)
  const seen = new Map<number, number[]>([0, 1, 2].map((partition) => [partition, []]))
  let atOnce = 0
  let atOnceMax = 0
  const running = consumer.run({
    partitionsConsumedConcurrently: 3,
    async eachBatch({ partition, records }) {
      atOnceMax = Math.max(atOnceMax, ++atOnce)
      await new Promise((resolve) => setTimeout(resolve, 20))
      seen.get(partition)!.push(...records.map(({ offset }) => offset))
      atOnce -= 1
    },
  })
  await eventually('all were handled', () => [...seen.values()].flat().length === 12)
  await consumer.close()
  await running
  for (const offsets of seen.values()) assert.deepEqual(offsets, [0, 1, 2, 3])
  assert.ok(atOnceMax > 1)
})

test('partitions move when members come and go, and each has one owner', async () => {
  const topic = await topicWith(4, 2)
  const groupId = `${topic}-group`
  const seen: string[] = []
  const members = [0, 1, 2].map(() => consumerOf({ groupId, autoCommitIntervalMs: 20 }))
  const runs = members.map((member) => {
    member.subscribe(topic)
    return member.run({ eachMessage: ({ partition, offset }) => void seen.push(`${partition}@${offset}`) })
  })
  const owned = (): number[] => members.map((member) => member.assignment().length).sort((a, b) => a - b)
  await eventually('three members share four partitions', () => owned().join() === '1,1,2')
  await eventually('all is read', () => new Set(seen).size === 8)
  await members[0]!.close()
  await eventually('two members share four partitions', () => owned().join() === '0,2,2')
  await produce(cluster, topic, 0, ['after'])
  await eventually('the new record is read', () => seen.includes('0@2'))
  await Promise.all(members.map((member) => member.close()))
  await Promise.all(runs)
})

test('a cooperative rebalance takes only what moves, and the rest is read on meanwhile', async () => {
  const topic = await topicWith(4, 0)
  const groupId = `${topic}-group`
  const revoked: number[] = []
  const options = { groupId, partitionAssignmentStrategy: ['cooperative-sticky'] }
  const first = consumerOf({
    ...options,
    listener: { partitionsRevoked: (partitions) => void revoked.push(...partitions.map(({ partition }) => partition)) },
  })
  const second = consumerOf(options)
  const seen: string[] = []
  first.subscribe(topic)
  const firstRun = first.run({ eachMessage: ({ value }) => void seen.push(textOf(value)) })
  await eventually('the first has all', () => first.assignment().length === 4)
  const epoch = first.groupMetadata().generation
  second.subscribe(topic)
  const secondRun = second.run({ eachMessage: ({ value }) => void seen.push(textOf(value)) })
  await eventually('both have two', () => first.assignment().length === 2 && second.assignment().length === 2)
  assert.equal(revoked.length, 2)
  assert.ok(first.groupMetadata().generation >= epoch + 2, 'one round to give up, one to hand out')
  const kept = first.assignment().map(({ partition }) => partition)
  assert.deepEqual(new Set([...kept, ...revoked]), new Set([0, 1, 2, 3]))
  for (const partition of [0, 1, 2, 3]) await produce(cluster, topic, partition, [`p${partition}`])
  await eventually('all is read', () => seen.length === 4)
  await Promise.all([first.close(), second.close()])
  await Promise.all([firstRun, secondRun])
})

test('a static member that comes back gets its partitions without a rebalance', async () => {
  const topic = await topicWith(2, 1)
  const groupId = `${topic}-group`
  const one = consumerOf({ groupId, groupInstanceId: 'one' })
  const two = consumerOf({ groupId, groupInstanceId: 'two' })
  one.subscribe(topic)
  two.subscribe(topic)
  const run = one.run({ eachMessage: () => {} })
  const otherRun = two.run({ eachMessage: () => {} })
  await eventually('each has one', () => one.assignment().length === 1 && two.assignment().length === 1)
  const { generation } = one.groupMetadata()
  const held = two.assignment()
  await two.close()
  await otherRun
  const again = consumerOf({ groupId, groupInstanceId: 'two' })
  again.subscribe(topic)
  const thirdRun = again.run({ eachMessage: () => {} })
  await eventually('it has it again', () => again.assignment().length === 1)
  assert.deepEqual(again.assignment(), held)
  assert.equal(again.groupMetadata().generation, generation)
  assert.equal(one.groupMetadata().generation, generation)
  await Promise.all([one.close(), again.close()])
  await Promise.all([run, thirdRun])
})

test('heartbeats go out while a handler waits, beyond the session timeout', async () => {
  const topic = await topicWith(1, 1)
  const groupId = `${topic}-group`
  await using slow = consumerOf({ groupId, sessionTimeoutMs: 600 })
  slow.subscribe(topic)
  const records = slow.records()
  await records.next()
  const { generation } = slow.groupMetadata()
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const [group] = await cluster.admin.groups.describe([groupId])
  assert.deepEqual([group!.state, group!.members.length], ['Stable', 1])
  await slow.commit()
  assert.equal(slow.groupMetadata().generation, generation)
})

test('a member that asks for nothing within max.poll.interval.ms leaves, cannot commit, and joins again when it asks', async () => {
  const topic = await topicWith(1, 3)
  const groupId = `${topic}-group`
  const events: string[] = []
  await using consumer = consumerOf({
    groupId,
    maxPollIntervalMs: 200,
    enableAutoCommit: false,
    listener: {
      pollIntervalExceeded: () => void events.push('exceeded'),
      partitionsLost: () => void events.push('lost'),
    },
  })
  consumer.subscribe(topic)
  const records = consumer.records()
  assert.equal((await records.next()).value!.offset, 0)
  await eventually('it has left', () => events.length === 2)
  await eventually(
    'the group is empty',
    async () => (await cluster.admin.groups.describe([groupId]))[0]!.state === 'Empty',
  )
  await assert.rejects(consumer.commit([{ topic, partition: 0, offset: 1, leaderEpoch: -1 }]), CommitFailedError)
  assert.equal((await records.next()).value!.offset, 0)
  assert.deepEqual(events, ['exceeded', 'lost'])
})

test('a handler that blocks the loop past half the session timeout is told of', async () => {
  const topic = await topicWith(1, 1)
  const blocked: number[] = []
  await using consumer = consumerOf({
    groupId: `${topic}-group`,
    sessionTimeoutMs: 1000,
    listener: { loopBlocked: ({ blockedMs }) => void blocked.push(blockedMs) },
  })
  consumer.subscribe(topic)
  await consumer.records().next()
  const until = Date.now() + 700
  while (Date.now() < until);
  await eventually('it was told', () => blocked.length > 0)
  assert.ok(blocked[0]! > 500)
})

test('a pattern finds topics that come later, and new partitions are shared out', async () => {
  const topic = await topicWith(1, 1)
  await using consumer = consumerOf({ groupId: `${topic}-group`, metadataMaxAgeMs: 100 })
  consumer.subscribe(new RegExp(`^${topic}(-later)?$`))
  const seen = new Set<string>()
  const running = consumer.run({ eachMessage: (record) => void seen.add(`${record.topic}:${record.partition}`) })
  await eventually('the first is read', () => seen.has(`${topic}:0`))
  await createTopic(cluster, `${topic}-later`, 1)
  await produce(cluster, `${topic}-later`, 0, ['x'])
  await eventually('the second is read', () => seen.has(`${topic}-later:0`))
  await cluster.admin.createPartitions(new Map([[topic, 2]]))
  await produce(cluster, topic, 1, ['y'])
  await eventually('the new partition is read', () => seen.has(`${topic}:1`))
  await consumer.close()
  await running
})

test('offsets of a group are reset while it has no members, and not while it has', async () => {
  const topic = await topicWith(1, 10)
  const groupId = `${topic}-group`
  const { groups } = cluster.admin
  {
    await using consumer = consumerOf({ groupId })
    consumer.subscribe(topic)
    await readToEnd(consumer)
    await assert.rejects(groups.resetOffsets(groupId, { to: 'earliest', topics: [topic] }), /UNKNOWN_MEMBER_ID/)
  }
  assert.deepEqual(await groups.resetOffsets(groupId, { to: { shiftBy: -3 } }), [
    { topic, partition: 0, before: 10, offset: 7 },
  ])
  assert.deepEqual(await groups.resetOffsets(groupId, { to: { offset: 99 }, dryRun: true }), [
    { topic, partition: 0, before: 7, offset: 10 },
  ])
  assert.equal((await groups.offsets(groupId))[0]!.offset, 7)
  assert.deepEqual(await groups.delete([groupId]), new Map([[groupId, null]]))
  assert.equal((await groups.describe([groupId]))[0]!.state, 'Dead')
})
