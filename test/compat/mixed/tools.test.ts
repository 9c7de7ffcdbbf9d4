/**
 * Apache's tools against clusters of both kinds of brokers: a broker of each kind is asked alone and must answer what the other one
 * answers, refuse what it refuses, and do what the other one was told.
 */
import assert from 'node:assert/strict'
import { describe, after, before, test } from 'node:test'

import {
  ToolServer,
  Wire,
  batchOf,
  freePorts,
  metadata,
  produce,
  sleep,
  startJavaTool,
  until,
} from '../../peers/index.ts'
import { MIXES, assigned } from './mixed.ts'
import { SIDES, Sides } from './sides.ts'

/** What is each broker's own. */
const OWN = ['broker.id', 'node.id', 'listeners', 'listener.security.protocol.map', 'log.dirs']
const MESSAGE_TOO_LARGE = 10
const RECORDS = 50
const MOVED_RECORDS = 3000
const MOVED_RECORD_BYTES = 1000

const tools = new ToolServer()
after(() => tools.close())

for (const kinds of MIXES)
  describe(kinds.join(', '), () => {
    let sides: Sides

    before(async () => {
      sides = await Sides.start(kinds, tools)
    })

    after(() => sides?.close())

    test('kafka-configs: topics', () => configuresTopics(sides))
    test('kafka-configs: one broker, and all', () => configuresBrokers(sides))
    test('kafka-configs: levels of loggers', () => configuresLoggers(sides))
    test('kafka-configs: listeners', () => changesListeners(sides))
    test('kafka-log-dirs and kafka-replica-verification', () => compares(sides))
    test('kafka-get-offsets and kafka-delete-records', () => trims(sides))
    test('kafka-reassign-partitions: slowed, hurried, verified', () => moves(sides))
  })

function other(id: number): number {
  return SIDES[0] === id ? SIDES[1] : SIDES[0]
}

async function configuresTopics(sides: Sides): Promise<void> {
  const topic = 'configured'
  await sides.createTopic(topic, [
    [1, 3],
    [3, 1],
  ])
  const configs = (id: number, args: readonly string[]): Promise<string> =>
    sides.ask(id, 'kafka-configs', [...args, '--entity-type', 'topics', '--entity-name', topic])
  await sides.same((id) => configs(id, ['--describe', '--all']))
  for (const id of SIDES) {
    await configs(id, ['--alter', '--add-config', `max.message.bytes=200${id},cleanup.policy=[compact,delete]`])
    assert.match(
      await sides.same((asked) => configs(asked, ['--describe', '--all'])),
      new RegExp(`max\\.message\\.bytes=200${id} sensitive=false synonyms=\\{DYNAMIC_TOPIC_CONFIG:`),
    )
    await until('both leaders refuse what is larger', async () => (await answers(sides, topic)) === MESSAGE_TOO_LARGE)
    await configs(other(id), ['--alter', '--delete-config', 'max.message.bytes,cleanup.policy'])
    assert.doesNotMatch(await sides.same((asked) => configs(asked, ['--describe'])), /=/)
    await until('both leaders take it', async () => (await answers(sides, topic)) === 0)
  }
  const refusal = (config: string, name = topic): Promise<string> =>
    sides.same((id) => {
      const change = ['--alter', '--entity-type', 'topics', '--entity-name', name, '--add-config', config]
      return sides.refusal(id, 'kafka-configs', change)
    })
  for (const bad of ['max.message.bytes=-5', 'max.message.bytes=many', 'cleanup.policy=none', 'no.such=1'])
    assert.equal(await refusal(bad), 'InvalidConfigurationException')
  for (const bad of ['preallocate=maybe', 'min.cleanable.dirty.ratio=2', 'leader.replication.throttled.replicas=x'])
    assert.equal(await refusal(bad), 'InvalidConfigurationException')
  assert.equal(await refusal('segment.bytes=1000000', 'nowhere'), 'UnknownTopicOrPartitionException')
}

/** What both leaders answer to a record of 3,000 bytes; null if it is not the same. */
async function answers(sides: Sides, topic: string): Promise<number | null> {
  const records = batchOf(['x'.repeat(3000)])
  const errors = await Promise.all(
    SIDES.map((id, partition) =>
      Wire.ask(sides.cluster.byId(id).address, (wire) => produce(wire, topic, records, { partition })),
    ),
  )
  return errors[0]!.error === errors[1]!.error ? errors[0]!.error : null
}

async function configuresBrokers(sides: Sides): Promise<void> {
  const ofBroker = (id: number, args: readonly string[]): Promise<string> =>
    sides.ask(id, 'kafka-configs', [...args, '--entity-type', 'brokers', '--entity-name', String(id)])
  const ofAll = (id: number, args: readonly string[]): Promise<string> =>
    sides.ask(id, 'kafka-configs', [...args, '--entity-type', 'brokers', '--entity-default'])
  const described = async (id: number): Promise<string[]> =>
    (await ofBroker(id, ['--describe', '--all']))
      .split('\n')
      .filter((line) => line.startsWith(' ') && !OWN.includes(line.trim().split('=')[0]!))
  assert.ok((await sides.same(described)).length > 200)

  const rate = 'leader.replication.throttled.rate'
  const shown = async (id: number): Promise<string> => (await ofBroker(id, ['--describe'])).replace(/^.*\n/, '')
  for (const id of SIDES) await ofBroker(id, ['--alter', '--add-config', `${rate}=1000000`])
  for (const id of SIDES) await until('it is in force', async () => (await shown(id)).includes(rate))
  assert.equal(
    (await sides.same(shown)).trim(),
    `${rate}=1000000 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:${rate}=1000000}`,
  )
  for (const id of SIDES) await ofBroker(id, ['--alter', '--delete-config', rate])
  for (const id of SIDES) await until('it is no more', async () => !(await shown(id)).includes(rate))

  for (const id of SIDES) {
    await ofAll(id, ['--alter', '--add-config', `message.max.bytes=500000${id}`])
    const layer = `{DYNAMIC_DEFAULT_BROKER_CONFIG:message.max.bytes=500000${id}, DEFAULT_CONFIG:message.max.bytes=1048588}`
    for (const each of SIDES)
      await until(`broker ${each} obeys what ${id} was told`, async () =>
        (await described(each)).includes(`  message.max.bytes=500000${id} sensitive=false synonyms=${layer}`),
      )
    await ofAll(other(id), ['--alter', '--delete-config', 'message.max.bytes'])
    for (const each of SIDES)
      await until(
        `broker ${each} obeys no more`,
        async () => !(await described(each)).some((line) => line.includes('DYNAMIC_DEFAULT_BROKER_CONFIG')),
      )
  }
  // What nobody knows may be a plugin's: taken, and shown, so that the tool does not drop it unseen.
  const unknown = '  no.such.thing=null sensitive=true synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:no.such.thing=null}'
  for (const id of SIDES) {
    await ofAll(id, ['--alter', '--add-config', 'no.such.thing=1'])
    for (const each of SIDES)
      await until('every broker shows it', async () => (await described(each)).includes(unknown))
    await sides.same((each) => ofAll(each, ['--describe']))
    await ofAll(other(id), ['--alter', '--delete-config', 'no.such.thing'])
    for (const each of SIDES)
      await until('no broker shows it any more', async () => !(await described(each)).includes(unknown))
  }

  const refusal = (change: readonly string[]): Promise<string> =>
    sides.same((id) =>
      sides.refusal(id, 'kafka-configs', [
        '--alter',
        '--entity-type',
        'brokers',
        ...change.map((word) => (word === 'ITSELF' ? String(id) : word)),
      ]),
    )
  for (const bad of ['broker.rack=elsewhere', `${rate}=-7`, 'message.max.bytes=-1', 'num.io.threads=100'])
    assert.equal(await refusal(['--entity-name', 'ITSELF', '--add-config', bad]), 'InvalidRequestException')
  for (const bad of ['broker.rack=elsewhere', 'advertised.listeners=PLAINTEXT://127.0.0.1:1', 'message.max.bytes=-1'])
    assert.equal(await refusal(['--entity-default', '--add-config', bad]), 'InvalidRequestException')
}

async function configuresLoggers(sides: Sides): Promise<void> {
  const ofLoggers = (id: number): string[] => ['--entity-type', 'broker-loggers', '--entity-name', String(id)]
  const root = async (id: number): Promise<string> => {
    const all = await sides.ask(id, 'kafka-configs', ['--describe', ...ofLoggers(id)])
    return all.split('\n').find((line) => line.startsWith('  root='))!
  }
  for (const level of ['ERROR', 'WARN']) {
    for (const id of SIDES)
      await sides.ask(id, 'kafka-configs', ['--alter', ...ofLoggers(id), '--add-config', `root=${level}`])
    assert.equal(await sides.same(root), `  root=${level} sensitive=false synonyms={}`)
  }
  const refusal = (...change: readonly string[]): Promise<string> =>
    sides.same((id) => sides.refusal(id, 'kafka-configs', ['--alter', ...ofLoggers(id), ...change]))
  assert.equal(await refusal('--add-config', 'root=LOUD'), 'InvalidConfigurationException')
  assert.equal(await refusal('--delete-config', 'root'), 'InvalidRequestException')
}

interface LogDirs {
  readonly brokers: readonly {
    readonly broker: number
    readonly logDirs: readonly {
      readonly error: null
      readonly partitions: readonly { readonly partition: string; readonly size: number; readonly offsetLag: number }[]
    }[]
  }[]
}

/** One more listener, and none again, while the broker runs. */
async function changesListeners(sides: Sides): Promise<void> {
  const ports = await freePorts(SIDES.length)
  for (const [index, id] of SIDES.entries()) {
    const address = `127.0.0.1:${ports[index]!}`
    const ofBroker = ['--alter', '--entity-type', 'brokers', '--entity-name', String(id)]
    const settings = sides.listeningAlso(id, 'EXTRA', address)
    const added = Object.entries(settings).map(([name, text]) => `${name}=[${text}]`)
    await sides.ask(id, 'kafka-configs', [...ofBroker, '--add-config', added.join(',')])
    const told = await until('a client of the new listener is told of it', async () => {
      const { brokers } = await Wire.ask(address, (wire) => metadata(wire, []))
      return brokers.length > 0 && brokers.map((broker) => `${broker.id} ${broker.host}:${broker.port}`)
    })
    assert.deepEqual(told, [`${id} ${address}`])
    const versions = await tools.run('kafka-broker-api-versions', ['--bootstrap-server', address])
    assert.match(versions.stdout, new RegExp(`^${address} \\(id: ${id} `, 'm'))
    await sides.ask(id, 'kafka-configs', [...ofBroker, '--delete-config', Object.keys(settings).join(',')])
    await until('nobody listens there any more', () =>
      Wire.ask(address, (wire) => metadata(wire, [])).then(
        () => false,
        () => true,
      ),
    )
    assert.match(await sides.ask(id, 'kafka-log-dirs', ['--describe']), /"broker":/)
  }
}

async function compares(sides: Sides): Promise<void> {
  const topic = 'compared'
  await sides.createTopic(topic, [
    [1, 2, 3],
    [3, 1, 2],
  ])
  for (const [partition, id] of SIDES.entries())
    await Wire.ask(sides.cluster.byId(id).address, (wire) =>
      produce(wire, topic, batchOf(numbered(RECORDS)), { partition }),
    )
  const sizes = async (text: Promise<string>): Promise<Map<number, string>> => {
    const { brokers } = JSON.parse(/^\{.*\}$/m.exec(await text)![0]) as LogDirs
    return new Map(
      brokers.map(({ broker, logDirs }) => [broker, JSON.stringify(sorted(logDirs.flatMap((dir) => dir.partitions)))]),
    )
  }
  const described = ['--describe', '--topic-list', topic]
  const whole = await sizes(sides.run('kafka-log-dirs', described))
  assert.deepEqual([...whole.keys()], [1, 2, 3])
  assert.equal(new Set(whole.values()).size, 1, 'every broker tells of the same bytes')
  assert.match(whole.get(1)!, /"partition":"compared-1","size":\d{3,},"offsetLag":0/)
  for (const id of SIDES)
    assert.deepEqual(await sizes(sides.ask(id, 'kafka-log-dirs', described)), new Map([[id, whole.get(id)]]))
  await verifies(sides, topic)
}

function sorted<T extends { readonly partition: string }>(partitions: readonly T[]): T[] {
  return partitions.toSorted((a, b) => a.partition.localeCompare(b.partition))
}

/** It reads every replica from its beginning, as a replica does, and compares them. */
async function verifies({ cluster }: Sides, topic: string): Promise<void> {
  const what = ['--topics-include', topic, '--time', '-2', '--max-wait-ms', '100', '--report-interval-ms', '300']
  const tool = startJavaTool('kafka-replica-verification', ['--broker-list', cluster.bootstrap, ...what])
  let output = ''
  tool.child.stdout!.on('data', (chunk: Buffer) => (output += chunk.toString()))
  try {
    await until('all is read', () =>
      new RegExp(`max lag is 0 for partition ${topic}-\\d at offset ${RECORDS} among 2 partitions`).test(output),
    )
  } finally {
    await tool.stop('SIGKILL')
  }
  assert.doesNotMatch(output, /doesn't match|different/)
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${index} ${'x'.repeat(100)}`)
}

/** Partition 0 is led by one side, partition 1 by the other, and both have the same records. */
async function trims(sides: Sides): Promise<void> {
  const topic = 'trimmed'
  const replicas = [SIDES, SIDES.toReversed()]
  await sides.createTopic(topic, replicas)
  const append = async (records: Buffer): Promise<void> => {
    for (const [partition, id] of SIDES.entries())
      await Wire.ask(sides.cluster.byId(id).address, (wire) => produce(wire, topic, records, { partition }))
  }
  await append(batchOf(numbered(RECORDS)))
  await sleep(2)
  const between = Date.now()
  await sleep(2)
  await append(batchOf(numbered(RECORDS)))

  const offsets = async (time: string): Promise<string> => {
    const printed = await sides.run('kafka-get-offsets', ['--topic', topic, '--time', time])
    const [one, two] = [0, 1].map((partition) => new RegExp(`^${topic}:${partition}:(.*)$`, 'm').exec(printed)?.[1])
    assert.equal(one, two, `${time}: ${printed}`)
    return one ?? 'none'
  }
  const asked = async (times: readonly string[]): Promise<string[]> => {
    const found: string[] = []
    for (const time of times) found.push(await offsets(time))
    return found
  }
  const times = ['earliest', 'latest', 'max-timestamp', 'earliest-local', 'latest-tiered', '1', String(between)]
  assert.deepEqual(await asked([...times, '99999999999999']), ['0', '100', '50', '0', 'none', '0', '50', 'none'])

  const remove = async (offset: number): Promise<string[]> => {
    const partitions = [0, 1].map((partition) => ({ topic, partition, offset }))
    const printed = await sides.run('kafka-delete-records', [
      '--offset-json-file',
      sides.file('offsets.json', { version: 1, partitions }),
    ])
    return [0, 1].map((partition) => new RegExp(`^partition: ${topic}-${partition}\t(.*)$`, 'm').exec(printed)![1]!)
  }
  assert.deepEqual(await remove(20), ['low_watermark: 20', 'low_watermark: 20'])
  for (const answer of await remove(101)) assert.match(answer, /OffsetOutOfRangeException/)
  assert.deepEqual(await asked(times), ['20', '100', '50', '20', 'none', '20', '50'])

  // The followers know where the logs begin now: they lead afterwards.
  const partitions = replicas.map((before, partition) => ({ topic, partition, replicas: before.toReversed() }))
  const plan = sides.file('swapped.json', { version: 1, partitions })
  await sides.run('kafka-reassign-partitions', ['--reassignment-json-file', plan, '--execute'])
  await assigned(sides.cluster, topic, replicas.toReversed())
  await sides.run('kafka-leader-election', ['--election-type', 'preferred', '--all-topic-partitions'])
  await until('the followers lead', async () => {
    const { topics } = await sides.cluster.metadata([topic])
    return topics[0]!.partitions.every(({ leader, replicas: [first] }) => leader === first)
  })
  assert.deepEqual(await asked(times), ['20', '100', '50', '20', 'none', '20', '50'])
  assert.deepEqual(await remove(-1), ['low_watermark: 100', 'low_watermark: 100'])
  assert.deepEqual(await asked(['earliest', 'latest', '1']), ['100', '100', 'none'])
}

/** A partition goes from one side to the other, and one the other way. */
async function moves(sides: Sides): Promise<void> {
  const topic = 'moved'
  const replicas = [[SIDES[0]], [SIDES[1]]]
  await sides.createTopic(topic, replicas)
  const values = Array.from({ length: MOVED_RECORDS / 10 }, () => 'x'.repeat(MOVED_RECORD_BYTES))
  for (let count = 0; count < 10; count++)
    for (const [partition, id] of SIDES.entries())
      await Wire.ask(sides.cluster.byId(id).address, (wire) => produce(wire, topic, batchOf(values), { partition }))

  const partitions = replicas.toReversed().map((target, partition) => ({ topic, partition, replicas: target }))
  const planned = ['--reassignment-json-file', sides.file('moved.json', { version: 1, partitions })]
  const reassign = (...args: readonly string[]): Promise<string> =>
    sides.run('kafka-reassign-partitions', [...planned, ...args])
  // So slow that it cannot end by itself.
  assert.match(await reassign('--execute', '--throttle', '1000'), /Successfully started partition reassignments/)
  const ofBroker = async (id: number): Promise<string> => {
    const where = ['--describe', '--entity-type', 'brokers', '--entity-name', String(id)]
    return (await sides.ask(id, 'kafka-configs', where)).replace(/^.*\n/, '')
  }
  const ofTopic = (id: number): Promise<string> =>
    sides.ask(id, 'kafka-configs', ['--describe', '--entity-type', 'topics', '--entity-name', topic])
  for (const id of SIDES) await until(`broker ${id} is slowed`, async () => (await ofBroker(id)).includes('leader.'))
  assert.match(await sides.same(ofBroker), /follower\.\S*rate=1000 [^]*leader\.\S*rate=1000 /)
  assert.match(await sides.same(ofTopic), /follower\.replication\.throttled\.replicas=0:3,1:1 /)
  const verified = await reassign('--verify', '--preserve-throttles')
  assert.equal(verified.match(/is still in progress/g)?.length, 2, verified)
  const sizes = async (): Promise<number[]> => {
    const printed = await sides.run('kafka-log-dirs', ['--describe', '--topic-list', topic])
    const { brokers } = JSON.parse(/^\{.*\}$/m.exec(printed)![0]) as LogDirs
    return SIDES.flatMap((id) => {
      const { logDirs } = brokers.find(({ broker }) => broker === id)!
      return sorted(logDirs.flatMap((dir) => dir.partitions)).map(({ size }) => size)
    })
  }
  const [of0AtOne, of1AtOne, of0AtOther, of1AtOther] = await sizes()
  assert.ok(
    of0AtOther! < of0AtOne! / 2 && of1AtOne! < of1AtOther! / 2,
    `${(await sizes()).join(', ')} are on their way`,
  )

  await reassign('--execute', '--additional', '--throttle', '100000000')
  await assigned(sides.cluster, topic, replicas.toReversed())
  const finished = await reassign('--verify')
  assert.equal(finished.match(/is completed/g)?.length, 2, finished)
  assert.match(
    finished,
    /Clearing broker-level throttles on brokers 1,2,3\nClearing topic-level throttles on topic moved/,
  )
  for (const id of SIDES) await until('no broker is slowed', async () => !(await ofBroker(id)).includes('throttled'))
  assert.doesNotMatch(await sides.same(ofTopic), /throttled/)
  assert.equal(
    (await sides.run('kafka-get-offsets', ['--topic', topic, '--time', 'latest'])).trim(),
    `${topic}:0:${MOVED_RECORDS}\n${topic}:1:${MOVED_RECORDS}`,
  )
}
