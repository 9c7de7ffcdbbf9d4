/**
 * One group whose members are our consumer, Java's, librdkafka's and kafka-python's; and one topic whose keys come from the four
 * producers. Members come and go while records arrive.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'

import { Admin, Consumer, Producer } from '#client'

import {
  Cluster,
  KAFKA_JARS,
  PYTHON,
  type Process,
  javaTool,
  run,
  PEERS,
  startJavaTool,
  startPython,
  until,
} from '../../peers/index.ts'
import { platform, readAll, textOf, upTo } from './own.ts'

const PARTITIONS = 12
const KINDS = ['samsa', 'java', 'confluent-kafka', 'kafka-python'] as const
type Kind = (typeof KINDS)[number]

const skip = existsSync(KAFKA_JARS) && existsSync(PYTHON) ? false : 'Java or Python clients are not installed'

let cluster: Cluster
let admin: Admin

before(async () => {
  if (skip !== false) return
  cluster = await Cluster.start({ brokers: 3 })
  admin = new Admin(platform, { bootstrapServers: cluster.bootstrap })
})

after(async () => {
  await admin?.close()
  await cluster?.close()
})

/** What a member tells of itself, in the order in which it happened. */
class Diary {
  readonly kind: Kind
  readonly owned = new Set<number>()
  /** `PARTITION@OFFSET` → value. */
  readonly seen = new Map<string, string>()
  /** Records that came of a partition that was not the member's at that time. */
  readonly strays: string[] = []
  /** Records that it had seen before. */
  repeated = 0

  constructor(kind: Kind) {
    this.kind = kind
  }

  assigned(partitions: readonly number[]): void {
    for (const partition of partitions) this.owned.add(partition)
  }

  revoked(partitions: readonly number[]): void {
    for (const partition of partitions) this.owned.delete(partition)
  }

  record(partition: number, offset: number, value: string): void {
    const at = `${partition}@${offset}`
    if (!this.owned.has(partition)) this.strays.push(at)
    if (this.seen.has(at)) this.repeated += 1
    this.seen.set(at, value)
  }
}

interface GroupMember {
  readonly diary: Diary
  leave(): Promise<void>
}

function join(kind: Kind, topic: string, group: string): GroupMember {
  const diary = new Diary(kind)
  if (kind === 'samsa') return joinOurs(diary, topic, group)
  if (kind === 'java') return joinJava(diary, topic, group)
  const process = startPython('group_member', [kind, cluster.bootstrap, topic, group])
  return memberOf(
    process,
    diary,
    (line: { assigned?: number[]; revoked?: number[]; record?: [number, number, string] }) => {
      if (line.assigned !== undefined) diary.assigned(line.assigned)
      if (line.revoked !== undefined) diary.revoked(line.revoked)
      if (line.record !== undefined) diary.record(...line.record)
    },
  )
}

function joinOurs(diary: Diary, topic: string, group: string): GroupMember {
  const numbers = (partitions: readonly { partition: number }[]): number[] =>
    partitions.map(({ partition }) => partition)
  const consumer = new Consumer(platform, {
    bootstrapServers: cluster.bootstrap,
    groupId: group,
    autoOffsetReset: 'earliest',
    sessionTimeoutMs: 6000,
    heartbeatIntervalMs: 500,
    autoCommitIntervalMs: 200,
    listener: {
      partitionsAssigned: (partitions) => diary.assigned(numbers(partitions)),
      partitionsRevoked: (partitions) => diary.revoked(numbers(partitions)),
      partitionsLost: (partitions) => diary.revoked(numbers(partitions)),
    },
  })
  consumer.subscribe(topic)
  const running = consumer.run({
    eachMessage: ({ partition, offset, value }) => diary.record(partition, offset, textOf(value)!),
  })
  running.catch(() => {})
  return {
    diary,
    async leave() {
      await consumer.close()
      await running
    },
  }
}

interface JavaEvent {
  name: string
  partitions?: { partition: number }[]
  partition: number
  offset: number
  value: string
}

function joinJava(diary: Diary, topic: string, group: string): GroupMember {
  const strategy = 'org.apache.kafka.clients.consumer.RangeAssignor'
  const process = startJavaTool('kafka-verifiable-consumer', [
    '--bootstrap-server',
    cluster.bootstrap,
    '--topic',
    topic,
    '--group-id',
    group,
    '--session-timeout',
    '6000',
    '--reset-policy',
    'earliest',
    '--assignment-strategy',
    strategy,
    '--verbose',
  ])
  return memberOf(process, diary, (event: JavaEvent) => {
    const partitions = event.partitions?.map(({ partition }) => partition) ?? []
    if (event.name === 'partitions_assigned') diary.assigned(partitions)
    if (event.name === 'partitions_revoked') diary.revoked(partitions)
    if (event.name === 'record_data') diary.record(event.partition, event.offset, event.value)
  })
}

/** A program that prints a JSON object per line, and leaves the group when it is asked to end. */
function memberOf<Line>(process: Process, diary: Diary, onLine: (line: Line) => void): GroupMember {
  process.child.stderr?.resume()
  createInterface(process.child.stdout!).on('line', (text) => {
    if (text.startsWith('{')) onLine(JSON.parse(text) as Line)
  })
  return { diary, leave: async () => void (await process.stop()) }
}

/** Each of them has partitions, together all of them, and the group's coordinator says the same. */
async function settled(members: readonly GroupMember[], group: string): Promise<void> {
  const words = (partitions: Iterable<number>): string => [...partitions].sort((a, b) => a - b).join()
  await until(
    `${members.map(({ diary }) => diary.kind).join(', ')} share ${PARTITIONS} partitions`,
    async () => {
      const owned = members.map(({ diary }) => words(diary.owned))
      if (owned.includes('') || words(members.flatMap(({ diary }) => [...diary.owned])) !== words(upTo(PARTITIONS)))
        return false
      const [described] = await admin.groups.describe([group])
      const told = described!.members.map(({ assignment }) =>
        words((assignment ?? []).map(({ partition }) => partition)),
      )
      return described!.state === 'Stable' && told.sort().join(';') === owned.sort().join(';')
    },
    45_000,
  )
}

/** Members of four kinds and three brokers share two processors, perhaps slow ones. */
const ALL_READ_MS_MAX = 90_000

test('members of four kinds share a topic on equal terms', { skip, timeout: 200_000 }, async (t) => {
  const topic = 'mixed'
  const group = 'mixed'
  await cluster.createTopic({ name: topic, partitions: PARTITIONS, replicationFactor: 3 })
  await using producer = new Producer(platform, { bootstrapServers: cluster.bootstrap })
  const sent = new Map<string, string>()
  const all: GroupMember[] = []
  const send = async (count: number): Promise<void> => {
    const records = upTo(count).map((index) => ({ value: `${sent.size + index}`, partition: index % PARTITIONS }))
    const acknowledged = await Promise.all(records.map((record) => producer.send(topic, record)))
    acknowledged.forEach(({ partition, offset }, index) => sent.set(`${partition}@${offset}`, records[index]!.value))
  }
  const everything = (): Map<string, string> => new Map(all.flatMap(({ diary }) => [...diary.seen]))
  const allRead = (): Promise<boolean> => until('all is read', () => everything().size === sent.size, ALL_READ_MS_MAX)
  const enter = (kind: Kind): GroupMember => {
    const member = join(kind, topic, group)
    all.push(member)
    return member
  }

  let present = KINDS.map(enter)
  try {
    await settled(present, group)
    const before_ = new Map(all.map((member) => [member, member.diary.owned.values().toArray()]))
    await send(6000)
    await allRead()
    for (const [{ diary }, partitions] of before_) {
      const read = new Set(Array.from(diary.seen.keys(), (at) => Number.parseInt(at, 10)))
      assert.deepEqual(read, new Set(partitions), `${diary.kind} read its partitions, and only those`)
    }
    const total = all.reduce((sum, { diary }) => sum + diary.seen.size + diary.repeated, 0)
    assert.equal(total, sent.size, 'while nobody comes and goes each record is seen once')

    // Each kind leaves once and comes back once, so that each kind is also the leader that assigns; records arrive all the time.
    for (const kind of KINDS) {
      const leaver = present.find(({ diary }) => diary.kind === kind)!
      const stayers = present.filter((member) => member !== leaver)
      const sending = send(1200)
      await leaver.leave()
      await settled(stayers, group)
      await sending
      present = [...stayers, enter(kind)]
      const more = send(1200)
      await settled(present, group)
      await more
      await allRead()
    }
  } finally {
    await Promise.all(present.map((member) => member.leave()))
  }
  assert.deepEqual(everything(), sent, 'nothing missed, nothing made up')
  for (const { diary } of all) assert.deepEqual(diary.strays, [], `${diary.kind} read what was not its own`)
  const seen = all.reduce((sum, { diary }) => sum + diary.seen.size + diary.repeated, 0)
  t.diagnostic(`${sent.size} records, ${seen - sent.size} seen twice across ${KINDS.length * 2} rebalances`)
  assert.deepEqual(
    (await admin.groups.lag(group)).map(({ lag }) => lag),
    upTo(PARTITIONS).map(() => 0),
    'the last commits take in everything',
  )
})

test('a key has one partition, whoever sends it', { skip, timeout: 90_000 }, async () => {
  const topic = 'keyed'
  await cluster.createTopic({ name: topic, partitions: PARTITIONS, replicationFactor: 3 })
  const keys = [
    ...upTo(300).map((index) => `key-${index}`),
    ...upTo(40).map((length) => 'long'.repeat(length + 1).slice(0, length + 1)),
    'ключ',
    'clé',
    '鍵',
    '🔑',
    ' ',
    '0',
    '-1',
    'a b',
    '"quoted"',
  ]
  const input = `${keys.join('\n')}\n`
  for (const client of ['confluent-kafka', 'kafka-python'])
    await run(PYTHON, ['-u', `${PEERS}/python/keyed.py`, client, cluster.bootstrap, topic], { input })
  await javaTool(
    'kafka-console-producer',
    [
      '--bootstrap-server',
      cluster.bootstrap,
      '--topic',
      topic,
      '--property',
      'parse.key=true',
      '--property',
      'key.separator=\t',
    ],
    { input: keys.map((key) => `${key}\tjava\n`).join('') },
  )
  await using producer = new Producer(platform, { bootstrapServers: cluster.bootstrap })
  await producer.sendBatch(
    topic,
    keys.map((key) => ({ key, value: 'samsa' })),
  )
  const placesOf = new Map(KINDS.map((kind) => [kind as string, new Map<string, number>()]))
  for (const record of (await readAll(cluster.bootstrap, topic, PARTITIONS)).flat())
    placesOf.get(textOf(record.value)!)!.set(textOf(record.key)!, record.partition)
  const java = placesOf.get('java')!
  assert.equal(java.size, keys.length)
  assert.equal(new Set(java.values()).size, PARTITIONS)
  for (const kind of KINDS) assert.deepEqual(placesOf.get(kind), java, kind)
})
