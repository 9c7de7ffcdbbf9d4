/** What Apache's broker left, served by ours: transactions, compacted topics, old offsets; and transactions that ours cannot do yet. */
import assert from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { Cluster, ToolServer, runPython, until } from '../../peers/index.ts'

let cluster: Cluster
let tools: ToolServer

async function run(tool: Parameters<ToolServer['run']>[0], args: readonly string[], input?: string): Promise<string> {
  const options = input === undefined ? {} : { input }
  return (await tools.run(tool, ['--bootstrap-server', cluster.bootstrap, ...args], options)).stdout
}

function read(topic: string, isolation: string, count: number, ...rest: string[]): Promise<string> {
  const wanted = ['--topic', topic, '--from-beginning', '--max-messages', String(count), '--timeout-ms', '20000']
  return run('kafka-console-consumer', [...wanted, '--isolation-level', isolation, ...rest])
}

function sizeOf(topic: string): number {
  const folder = join(cluster.byId(1).directory, 'data', `${topic}-0`)
  const logs = readdirSync(folder).filter((name) => name.endsWith('.log'))
  return logs.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
}

before(async () => {
  tools = new ToolServer()
  const properties = { 'log.cleaner.backoff.ms': 200, 'log.cleaner.min.compaction.lag.ms': 0 }
  cluster = await Cluster.start({ implementations: ['apache'], properties })
  await cluster.createTopic({ name: 'bank', partitions: 1, replicationFactor: 1 })
  await runPython('transactions', [cluster.bootstrap, 'bank', 'commit:a,b', 'abort:c', 'commit:d', 'abort:e,f'])
  const compact = [
    '--config',
    'cleanup.policy=compact',
    '--config',
    'segment.ms=500',
    '--config',
    'min.cleanable.dirty.ratio=0.01',
  ]
  await run('kafka-topics', ['--create', '--topic', 'table', '--partitions', '1', ...compact])
  const keyed = ['--topic', 'table', '--property', 'parse.key=true', '--property', 'key.separator=:']
  const rows = Array.from({ length: 2000 }, (_, index) => `k${index % 5}:${index} ${'x'.repeat(100)}\n`)
  await run('kafka-console-producer', keyed, rows.join(''))
  const full = sizeOf('table')
  // The segment that is written to is never compacted: later records close it.
  await until(
    'the cleaner has been there',
    async () => {
      await run('kafka-console-producer', keyed, `last:${Date.now()}\n`)
      return sizeOf('table') < full / 2
    },
    60_000,
    500,
  )
  await read('bank', 'read_committed', 2, '--group', 'tellers')
  await cluster.byId(1).stop(60_000)
  cluster.become(1, 'samsa')
  await cluster.byId(1).startAgain()
  await cluster.ready()
})

after(async () => {
  await tools?.close()
  await cluster?.close()
})

test('committed records are told from aborted ones, and a group goes on where it was', async () => {
  assert.equal(await read('bank', 'read_committed', 3), 'a\nb\nd\n')
  assert.equal(await read('bank', 'read_uncommitted', 6), 'a\nb\nc\nd\ne\nf\n')
  assert.equal(await read('bank', 'read_committed', 1, '--group', 'tellers'), 'd\n')
  assert.equal((await run('kafka-get-offsets', ['--topic', 'bank', '--time', 'latest'])).trim(), 'bank:0:10')
})

test('a compacted topic is served with its gaps, and takes more', async () => {
  const keyed = ['--property', 'print.key=true', '--property', 'print.offset=true']
  const { stdout } = await tools.run(
    'kafka-console-consumer',
    ['--bootstrap-server', cluster.bootstrap, '--topic', 'table', '--from-beginning', '--timeout-ms', '5000', ...keyed],
    { mayFail: true },
  )
  const records = stdout
    .trim()
    .split('\n')
    .map((line) => line.split('\t'))
  const offsets = records.map(([offset]) => Number(offset!.replace('Offset:', '')))
  assert.deepEqual(
    offsets,
    offsets.toSorted((a, b) => a - b),
  )
  assert.ok(offsets.at(-1)! + 1 > records.length, 'compaction has left gaps')
  for (let key = 0; key < 5; key++)
    assert.ok(
      records.some(([, name, value]) => name === `k${key}` && value!.startsWith(`${1995 + key} `)),
      `k${key} has its last value`,
    )
  await run(
    'kafka-console-producer',
    ['--topic', 'table', '--property', 'parse.key=true', '--property', 'key.separator=:'],
    'new:1\n',
  )
  const [, end] = /table:0:(\d+)/.exec(await run('kafka-get-offsets', ['--topic', 'table', '--time', 'latest']))!
  assert.equal(Number(end), offsets.at(-1)! + 2)
})

test('a transactional client is refused at once, with an error that it does not retry', async () => {
  const { code, stderr, ms } = await runPython('transactions', [cluster.bootstrap, 'bank', 'commit:g'], 60_000).catch(
    (error: Error) => ({ code: 1, stderr: error.message, ms: 0 }),
  )
  assert.equal(code, 1)
  assert.match(stderr, /refused after [0-4]\.\d s: TRANSACTIONAL_ID_AUTHORIZATION_FAILED/)
  assert.ok(ms < 30_000)
  assert.match(cluster.byId(1).log, /transactions are not served yet/)
})
