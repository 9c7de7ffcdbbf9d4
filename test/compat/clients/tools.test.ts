/** Apache's own command-line tools, unmodified, against three brokers. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Cluster, type JavaTool, ToolServer, javaTool } from '../../peers/index.ts'

let cluster: Cluster
let tools: ToolServer

before(async () => {
  tools = new ToolServer()
  cluster = await Cluster.start({ brokers: 3 })
})

after(async () => {
  await tools?.close()
  await cluster?.close()
})

/** Runs a tool against the cluster and gives what it printed. */
async function run(tool: JavaTool, args: string[], input = ''): Promise<string> {
  return (await tools.run(tool, ['--bootstrap-server', cluster.bootstrap, ...args], { input })).stdout
}

async function refused(tool: JavaTool, args: string[]): Promise<string> {
  const { code, stdout, stderr } = await tools.run(tool, ['--bootstrap-server', cluster.bootstrap, ...args], {
    mayFail: true,
  })
  assert.notEqual(code, 0, `${tool} ${args.join(' ')} was not refused: ${stdout}`)
  return stdout + stderr
}

test('kafka-topics creates, lists, describes, grows and deletes', async () => {
  const create = ['--create', '--topic', 'tools', '--partitions', '4', '--replication-factor', '3']
  assert.match(await run('kafka-topics', [...create, '--config', 'segment.bytes=1048576']), /Created topic tools/)
  assert.match(await refused('kafka-topics', create), /already exists/)
  assert.match(await run('kafka-topics', ['--list']), /^tools$/m)

  const described = await run('kafka-topics', ['--describe', '--topic', 'tools'])
  assert.match(
    described,
    /^Topic: tools\tTopicId: \S{22}\tPartitionCount: 4\tReplicationFactor: 3\tConfigs: .*segment.bytes=1048576/m,
  )
  const rows = [...described.matchAll(/Partition: (\d)\tLeader: (\d)\tReplicas: ([\d,]+)\tIsr: ([\d,]+)/g)]
  assert.deepEqual(
    rows.map(([, partition]) => partition),
    ['0', '1', '2', '3'],
  )
  assert.equal(new Set(rows.map(([, , leader]) => leader)).size, 3, 'the leaders are spread over all brokers')
  for (const [, , leader, replicas, isr] of rows) {
    assert.equal(replicas!.split(',')[0], leader, 'the preferred replica leads')
    assert.deepEqual(sorted(isr!), ['1', '2', '3'])
  }

  await run('kafka-topics', ['--alter', '--topic', 'tools', '--partitions', '6'])
  assert.match(await run('kafka-topics', ['--describe', '--topic', 'tools']), /PartitionCount: 6/)
  assert.match(
    await refused('kafka-topics', ['--alter', '--topic', 'tools', '--partitions', '2']),
    /InvalidPartitionsException/,
  )
  assert.equal(await run('kafka-topics', ['--describe', '--under-replicated-partitions']), '')

  await run('kafka-topics', ['--delete', '--topic', 'tools'])
  assert.doesNotMatch(await run('kafka-topics', ['--list']), /^tools$/m)
  assert.match(await refused('kafka-topics', ['--describe', '--topic', 'tools']), /does not exist/)
})

test('kafka-topics names what is wrong with a topic', async () => {
  const create = ['--create', '--partitions', '1', '--topic']
  assert.match(
    await refused('kafka-topics', [...create, 'few', '--replication-factor', '4']),
    /InvalidReplicationFactor/,
  )
  assert.match(await refused('kafka-topics', [...create, 'a/b']), /InvalidTopicException/)
  assert.match(
    await refused('kafka-topics', [...create, 'odd', '--config', 'segment.bytes=none']),
    /InvalidConfigurationException|Invalid value/,
  )
})

test('kafka-console-producer and kafka-console-consumer', async () => {
  await run('kafka-topics', ['--create', '--topic', 'console', '--partitions', '3', '--replication-factor', '3'])
  const lines = Array.from({ length: 100 }, (_, index) => `key${index % 10}:value ${index}`)
  const keyed = ['--property', 'parse.key=true', '--property', 'key.separator=:']
  await run('kafka-console-producer', ['--topic', 'console', ...keyed], lines.join('\n'))
  const options = '--property print.key=true --property key.separator=: --property print.partition=true'
  const all = '--topic console --from-beginning --max-messages 100'
  const printed = await run('kafka-console-consumer', `${all} ${options}`.split(' '))
  const read = printed.trimEnd().split('\n')
  assert.deepEqual(sorted(read.map((line) => line.slice('Partition:0:'.length))), sorted(lines))
  const partitionsOf = new Map<string, Set<string>>()
  for (const line of read) {
    const [, partition, key] = line.split(':')
    partitionsOf.set(key!, (partitionsOf.get(key!) ?? new Set()).add(partition!))
  }
  for (const [key, partitions] of partitionsOf) assert.equal(partitions.size, 1, `${key} lies in one partition`)
  const first = read.filter((line) => line.includes(':key3:')).map((line) => Number(line.split(' ')[1]))
  assert.deepEqual(
    first,
    first.toSorted((a, b) => a - b),
    'records of a key keep their order',
  )
})

test('a topic is created by the first who asks for it', async () => {
  await run('kafka-console-producer', ['--topic', 'auto-created'], 'one\ntwo\n')
  const read = await run('kafka-console-consumer', [
    '--topic',
    'auto-created',
    '--from-beginning',
    '--max-messages',
    '2',
  ])
  assert.equal(read, 'one\ntwo\n')
})

test('kafka-consumer-groups lists, describes, resets and deletes', async () => {
  await run('kafka-topics', ['--create', '--topic', 'grouped', '--partitions', '2', '--replication-factor', '3'])
  const records = Array.from({ length: 50 }, (_, index) => `${index}:${index}`).join('\n')
  const keyed = ['--property', 'parse.key=true', '--property', 'key.separator=:']
  await run('kafka-console-producer', ['--topic', 'grouped', ...keyed], records)
  const consume = ['--topic', 'grouped', '--group', 'readers', '--from-beginning', '--max-messages']
  await run('kafka-console-consumer', [...consume, '50'])

  assert.match(await run('kafka-consumer-groups', ['--list']), /^readers$/m)
  const described = await run('kafka-consumer-groups', ['--describe', '--group', 'readers'])
  const rows = [...described.matchAll(/^readers +grouped +(\d) +(\d+) +(\d+) +0 +-/gm)]
  assert.equal(rows.length, 2, described)
  assert.equal(
    rows.reduce((sum, [, , offset]) => sum + Number(offset), 0),
    50,
  )
  assert.match(await run('kafka-consumer-groups', ['--describe', '--group', 'readers', '--state']), /Empty +0/)

  const reset = ['--reset-offsets', '--group', 'readers', '--topic', 'grouped', '--to-earliest', '--execute']
  await run('kafka-consumer-groups', reset)
  assert.match(
    await run('kafka-consumer-groups', ['--describe', '--group', 'readers']),
    /^readers +grouped +0 +0 +\d+/m,
  )
  await run('kafka-consumer-groups', ['--delete-offsets', '--group', 'readers', '--topic', 'grouped:1'])
  const left = await run('kafka-consumer-groups', ['--describe', '--group', 'readers', '--offsets'])
  assert.match(left, /^readers +grouped +0/m)
  assert.doesNotMatch(left, /^readers +grouped +1 +\d/m)
  assert.match(await run('kafka-consumer-groups', ['--delete', '--group', 'readers']), /successful/)
  assert.doesNotMatch(await run('kafka-consumer-groups', ['--list']), /^readers$/m)
})

test('kafka-verifiable-producer and kafka-verifiable-consumer', async () => {
  await run('kafka-topics', ['--create', '--topic', 'verifiable', '--partitions', '3', '--replication-factor', '3'])
  const bootstrap = ['--bootstrap-server', cluster.bootstrap, '--topic', 'verifiable', '--max-messages', '2000']
  const produced = (await javaTool('kafka-verifiable-producer', [...bootstrap, '--acks', '-1'])).stdout
  assert.equal(eventsOf(produced).filter(({ name }) => name === 'producer_send_success').length, 2000)
  const consumed = (
    await javaTool('kafka-verifiable-consumer', [...bootstrap, '--group-id', 'verifiers', '--reset-policy', 'earliest'])
  ).stdout
  const counts = eventsOf(consumed).filter(({ name }) => name === 'records_consumed')
  assert.equal(
    counts.reduce((sum, { count }) => sum + (count ?? 0), 0),
    2000,
  )
  assert.ok(eventsOf(consumed).some(({ name, success }) => name === 'offsets_committed' && success === true))
})

test('kafka-broker-api-versions finds the APIs of 3.9', async () => {
  const printed = await run('kafka-broker-api-versions', [])
  assert.equal(printed.match(/-> \(/g)?.length, 3, 'all three brokers answer')
  for (const row of ['Produce(0): 0 to 11', 'Fetch(1):', 'Metadata(3): 0 to 12', 'CreateTopics(19): 0 to 7'])
    assert.ok(printed.includes(row), `${row} in\n${printed.slice(0, 3000)}`)
  assert.match(printed, /Fetch\(1\): \d to 17/)
  assert.match(printed, /OffsetCommit\(8\): 0 to 9/)
})

test('kafka-get-offsets asks by time', async () => {
  await run('kafka-topics', ['--create', '--topic', 'timed', '--partitions', '1', '--replication-factor', '3'])
  await run('kafka-console-producer', ['--topic', 'timed'], 'a\nb\nc\n')
  assert.equal(await run('kafka-get-offsets', ['--topic', 'timed', '--time', 'latest']), 'timed:0:3\n')
  assert.equal(await run('kafka-get-offsets', ['--topic', 'timed', '--time', 'earliest']), 'timed:0:0\n')
  assert.match(await run('kafka-get-offsets', ['--topic', 'timed', '--time', 'max-timestamp']), /^timed:0:[0-2]\n$/)
})

interface ToolEvent {
  name: string
  count?: number
  success?: boolean
}

function eventsOf(printed: string): ToolEvent[] {
  const lines = printed.split('\n').filter((line) => line.startsWith('{'))
  return lines.map((line) => JSON.parse(line) as ToolEvent)
}

function sorted(items: string | readonly string[]): string[] {
  return (typeof items === 'string' ? items.split(',') : [...items]).sort()
}
