/** What administrators do to a running cluster, with Apache's tools: configurations, replicas, leaders, log directories, records. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { Cluster, type JavaTool, ToolServer, startJavaTool, until } from '../../peers/index.ts'

const BROKERS = [1, 2, 3]

let cluster: Cluster
let tools: ToolServer
let folder: string

before(async () => {
  tools = new ToolServer()
  folder = mkdtempSync(join(tmpdir(), 'samsa-admin-'))
  cluster = await Cluster.start({
    brokers: 3,
    properties: { 'log.dirs': 'data,more', 'auto.leader.rebalance.enable': false, 'replica.lag.time.max.ms': 5000 },
  })
})

after(async () => {
  await tools?.close()
  await cluster?.close()
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
})

async function run(tool: JavaTool, args: string[], input = ''): Promise<string> {
  return (await tools.run(tool, ['--bootstrap-server', cluster.bootstrap, ...args], { input })).stdout
}

async function refused(tool: JavaTool, args: string[]): Promise<string> {
  const options = { mayFail: true }
  const { code, stdout, stderr } = await tools.run(tool, ['--bootstrap-server', cluster.bootstrap, ...args], options)
  assert.notEqual(code, 0, `${tool} ${args.join(' ')} was not refused: ${stdout}`)
  return stdout + stderr
}

function file(name: string, content: object): string {
  const path = join(folder, name)
  writeFileSync(path, JSON.stringify(content))
  return path
}

async function topic(name: string, assignment: string): Promise<void> {
  await run('kafka-topics', ['--create', '--topic', name, '--replica-assignment', assignment])
  await until(`${name} is known`, async () => {
    const { topics } = await cluster.metadata([name])
    return topics[0]!.partitions.length > 0 && topics[0]!.partitions.every(({ leader }) => leader > 0)
  })
}

async function filled(name: string, count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, index) => `${index} ${'x'.repeat(500)}\n`)
  await run('kafka-console-producer', ['--topic', name], lines.join(''))
}

test('kafka-configs: topics and brokers, each broker and all of them, while they run', async () => {
  await topic('configured', '1:2:3')
  const ofTopic = ['--entity-type', 'topics', '--entity-name', 'configured']
  await run('kafka-configs', ['--alter', ...ofTopic, '--add-config', 'max.message.bytes=20000,segment.bytes=1000000'])
  assert.match(
    await run('kafka-configs', ['--describe', ...ofTopic]),
    /max\.message\.bytes=20000 sensitive=false synonyms=\{DYNAMIC_TOPIC_CONFIG:max\.message\.bytes=20000/,
  )
  await run('kafka-configs', ['--alter', ...ofTopic, '--delete-config', 'segment.bytes'])
  assert.doesNotMatch(await run('kafka-configs', ['--describe', ...ofTopic]), /segment\.bytes/)
  assert.match(
    await refused('kafka-configs', ['--alter', ...ofTopic, '--add-config', 'max.message.bytes=-5']),
    /InvalidConfigurationException|InvalidRequestException/,
  )

  const ofBroker = ['--entity-type', 'brokers', '--entity-name', '2']
  await run('kafka-configs', ['--alter', ...ofBroker, '--add-config', 'leader.replication.throttled.rate=1000000'])
  assert.match(await run('kafka-configs', ['--describe', ...ofBroker]), /leader\.replication\.throttled\.rate=1000000/)
  const ofAll = ['--entity-type', 'brokers', '--entity-default']
  await run('kafka-configs', ['--alter', ...ofAll, '--add-config', 'message.max.bytes=5000000'])
  await until('every broker obeys', async () => {
    for (const id of BROKERS) {
      const all = ['--describe', '--all', '--entity-type', 'brokers', '--entity-name', String(id)]
      if (!/ message\.max\.bytes=5000000 /.test(await run('kafka-configs', all))) return false
    }
    return true
  })
  await run('kafka-configs', ['--alter', ...ofBroker, '--delete-config', 'leader.replication.throttled.rate'])
  await run('kafka-configs', ['--alter', ...ofAll, '--delete-config', 'message.max.bytes'])
  assert.match(
    await refused('kafka-configs', ['--alter', ...ofBroker, '--add-config', 'broker.rack=elsewhere']),
    /Cannot update these configs dynamically/,
  )
})

test('kafka-configs: levels of loggers', async () => {
  const loggers = ['--entity-type', 'broker-loggers', '--entity-name', '1']
  assert.match(await run('kafka-configs', ['--describe', ...loggers]), /root=\w+ sensitive=false/)
  await run('kafka-configs', ['--alter', ...loggers, '--add-config', 'root=WARN'])
  assert.match(await run('kafka-configs', ['--describe', ...loggers]), /root=WARN/)
  assert.match(
    await refused('kafka-configs', ['--alter', ...loggers, '--add-config', 'no.such.logger=WARN']),
    /no\.such\.logger/,
  )
  await run('kafka-configs', ['--alter', ...loggers, '--add-config', 'root=INFO'])
})

test('kafka-reassign-partitions: moved with a throttle, verified, and called off half-way', async () => {
  await topic('moved', '1,1')
  await filled('moved', 2000)
  const plan = file('plan.json', {
    version: 1,
    partitions: [0, 1].map((partition) => ({ topic: 'moved', partition, replicas: [2, 3] })),
  })
  const planned = ['--reassignment-json-file', plan]
  // So slow that it cannot end by itself.
  const started = await run('kafka-reassign-partitions', [...planned, '--execute', '--throttle', '1000'])
  assert.match(started, /Successfully started partition reassignments/)
  assert.match(await run('kafka-reassign-partitions', [...planned, '--verify']), /still in progress/)
  assert.match(
    await run('kafka-reassign-partitions', ['--list']),
    /moved-0: replicas: 2,3,1\. adding: 2,3\. removing: 1\./,
  )
  assert.match(await run('kafka-reassign-partitions', [...planned, '--cancel']), /Successfully cancelled/)
  assert.match(await run('kafka-reassign-partitions', ['--list']), /No partition reassignments found/)
  const { topics } = await cluster.metadata(['moved'])
  assert.deepEqual(
    topics[0]!.partitions.map(({ replicas }) => replicas.join()),
    ['1', '1'],
  )

  await run('kafka-reassign-partitions', [...planned, '--execute', '--throttle', '100000000'])
  await until('they have moved', async () =>
    /No partition reassignments/.test(await run('kafka-reassign-partitions', ['--list'])),
  )
  const verified = await run('kafka-reassign-partitions', [...planned, '--verify'])
  assert.match(verified, /Reassignment of partition moved-1 is completed/)
  assert.match(verified, /Clearing topic-level throttles/)
  const configs = await run('kafka-configs', ['--describe', '--entity-type', 'topics', '--entity-name', 'moved'])
  assert.doesNotMatch(configs, /throttled/)
})

test('kafka-log-dirs and moves between log directories', async () => {
  await topic('shelved', '1,1')
  await filled('shelved', 100)
  const where = async (): Promise<Map<number, string>> => {
    const args = ['--describe', '--broker-list', '1', '--topic-list', 'shelved']
    const output = await run('kafka-log-dirs', args)
    const { brokers } = JSON.parse(output.slice(output.indexOf('{"'))) as {
      brokers: {
        logDirs: { logDir: string; error: null; partitions: { partition: string; size: number; isFuture: boolean }[] }[]
      }[]
    }
    const found = new Map<number, string>()
    for (const { logDir, partitions } of brokers[0]!.logDirs)
      for (const { partition, isFuture, size } of partitions) {
        assert.ok(size >= 0)
        if (!isFuture) found.set(Number(partition.split('-').at(-1)), logDir)
      }
    return found
  }
  const before = await where()
  assert.deepEqual(
    [...before.keys()].sort((a, b) => a - b),
    [0, 1],
  )
  const directories = [...new Set(before.values())]
  assert.equal(directories.length, 2, 'new logs are spread over the directories')
  const target = before.get(0) === directories[0] ? directories[1]! : directories[0]!
  const plan = file('shelves.json', {
    version: 1,
    partitions: [{ topic: 'shelved', partition: 0, replicas: [1], log_dirs: [target] }],
  })
  await run('kafka-reassign-partitions', ['--reassignment-json-file', plan, '--execute'])
  await until('it has moved', async () => (await where()).get(0) === target)
  assert.match(
    await run('kafka-reassign-partitions', ['--reassignment-json-file', plan, '--verify']),
    /Reassignment of replica shelved-0-1 completed successfully/,
  )
  const read = ['--topic', 'shelved', '--from-beginning', '--max-messages', '100']
  assert.equal((await run('kafka-console-consumer', read)).trim().split('\n').length, 100)
})

test('kafka-leader-election: preferred, and unclean where nobody in sync is left', async () => {
  await topic('led', '1:2')
  await run('kafka-reassign-partitions', [
    '--reassignment-json-file',
    file('led.json', { version: 1, partitions: [{ topic: 'led', partition: 0, replicas: [2, 1] }] }),
    '--execute',
  ])
  await until(
    'it is reassigned',
    async () => (await cluster.metadata(['led'])).topics[0]!.partitions[0]!.replicas[0] === 2,
  )
  const place = ['--topic', 'led', '--partition', '0']
  await run('kafka-leader-election', ['--election-type', 'preferred', ...place])
  await until('the preferred one leads', async () => (await cluster.leaderOf('led')) === cluster.byId(2))

  await cluster.byId(1).kill()
  await until('the dead one has left the ISR', async () => {
    const { isr } = (await cluster.metadata(['led'])).topics[0]!.partitions[0]!
    return isr.join() === '2'
  })
  await filled('led', 5)
  await cluster.byId(2).kill()
  await until('nobody leads', async () => (await cluster.metadata(['led'])).topics[0]!.partitions[0]!.leader < 0)
  await cluster.byId(1).startAgain()
  await cluster.ready()
  await run('kafka-leader-election', ['--election-type', 'unclean', ...place])
  await until('the one that lags leads', async () => (await cluster.leaderOf('led')) === cluster.byId(1))
  await cluster.byId(2).startAgain()
  await cluster.ready()
  await until(
    'both are in sync',
    async () => (await cluster.metadata(['led'])).topics[0]!.partitions[0]!.isr.length === 2,
  )
})

test('kafka-delete-records and kafka-get-offsets', async () => {
  await topic('trimmed', '1:2:3')
  await filled('trimmed', 50)
  const offsets = file('offsets.json', { version: 1, partitions: [{ topic: 'trimmed', partition: 0, offset: 20 }] })
  assert.match(
    await run('kafka-delete-records', ['--offset-json-file', offsets]),
    /partition: trimmed-0\tlow_watermark: 20/,
  )
  const at = async (time: string): Promise<string> =>
    (await run('kafka-get-offsets', ['--topic', 'trimmed', '--time', time])).trim()
  assert.equal(await at('earliest'), 'trimmed:0:20')
  assert.equal(await at('latest'), 'trimmed:0:50')
})

test('kafka-replica-verification finds no difference', async () => {
  await topic('verified', '1:2:3,2:3:1,3:1:2')
  await filled('verified', 500)
  // From the beginning: by default it compares only what comes after its start.
  const what = ['--topics-include', 'verified', '--time', '-2', '--report-interval-ms', '1000']
  const tool = startJavaTool('kafka-replica-verification', ['--broker-list', cluster.bootstrap, ...what])
  let output = ''
  tool.child.stdout!.on('data', (chunk: Buffer) => (output += chunk.toString()))
  try {
    await until('it has reported', () => /max lag is \d+ for partition \S+ at offset/.test(output))
    await until('all replicas are equal', () => /max lag is 0 for partition/.test(output))
  } finally {
    await tool.stop('SIGKILL')
  }
  assert.doesNotMatch(output, /doesn't match|different/)
})
