/** The commands that work on a cluster, as a user meets them, on one cluster that `samsa up` has started. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { freePorts, run as runCommand, start as startCommand } from './testing.ts'

let data: string
let up: ReturnType<typeof startCommand>
let at: string[]

const run = (...args: string[]) => runCommand([...args, ...at])
const runWith = (input: string, ...args: string[]) => runCommand([...args, ...at], input)

before(async () => {
  data = await mkdtemp(join(tmpdir(), 'samsa-cli-'))
  const port = (await freePorts(2)) + 1
  at = ['-b', `127.0.0.1:${port}`]
  up = startCommand(['up', '--brokers', '1', '--data', data, '--port', String(port)])
  await up.printed('Ctrl-C stops')
})

after(async () => {
  up.child.kill('SIGINT')
  await up.done
  await rm(data, { recursive: true, force: true })
})

test('what is produced is consumed: keys, headers, tombstones, partition and format', { timeout: 30_000 }, async () => {
  await run('topics', 'create', 'keyed', '--partitions', '2')
  const sent = await runWith('a:1\nb:\n\nplain', 'produce', 'keyed', '-K', ':', '-Z', '-H', 'h=x', '-p', '1', '--json')
  assert.equal(sent.code, 0, sent.stderr)
  const { durationMs: _, ...summary } = JSON.parse(sent.stdout) as { durationMs: number }
  assert.deepEqual(summary, { topic: 'keyed', delivered: 4, failed: 0, bytes: 13 })
  assert.equal(sent.stderr, '', 'nothing is said in a pipe')
  const [formatted, json, last] = await Promise.all([
    run('consume', 'keyed', '-e', '-f', '%t-%p@%o %k=%s %K/%S %h;'),
    run('consume', 'keyed', '-e', '--json'),
    run('consume', 'keyed', '-p', '1', '-o', '-2', '-c', '1', '-Z', '-K', '|'),
  ])
  assert.equal(
    formatted.stdout,
    'keyed-1@0 a=1 1/1 h=x;keyed-1@1 b= 1/-1 h=x;keyed-1@2 = -1/-1 h=x;keyed-1@3 =plain -1/5 h=x;',
  )
  assert.equal(formatted.code, 0, formatted.stderr)
  const records = json.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { key: unknown; value: unknown })
  assert.deepEqual(
    records.map(({ key, value }) => [key, value]),
    [
      ['a', '1'],
      ['b', null],
      [null, null],
      [null, 'plain'],
    ],
  )
  assert.equal(last.stdout, 'NULL|NULL\n')
})

test('a file comes back as it was, compressed on its way', { timeout: 30_000 }, async () => {
  const file = join(data, 'lines.txt')
  const lines = Array.from({ length: 20_000 }, (_, index) => `${index} ${'~'.repeat(index % 90)}`)
  await writeFile(file, `${lines.join('\n')}\n`)
  const hash = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex')
  const expected = hash(await readFile(file))
  const produced = await run('produce', 'lines', '--file', file, '--codec', 'zstd')
  assert.equal(produced.code, 0, produced.stderr)
  assert.equal(hash((await run('consume', 'lines', '-e')).stdout), expected)
})

test(
  'a group shares a topic, commits when it is stopped, and is described, moved and deleted',
  { timeout: 30_000 },
  async () => {
    await run('topics', 'create', 'work', '--partitions', '2')
    await Promise.all([
      runWith('1\n2\n3\n', 'produce', 'work', '-p', '0'),
      runWith('4\n5\n', 'produce', 'work', '-p', '1'),
    ])
    const member = startCommand(['consume', 'work', '--group', 'team', '--from-beginning', '-f', '<%s>', ...at])
    for (const value of [1, 2, 3, 4, 5]) await member.printed(`<${value}>`)
    const [busy, refused] = await Promise.all([
      run('groups', 'describe', 'team', '--members'),
      run('groups', 'reset-offsets', 'team', '--to', 'earliest', '--execute'),
    ])
    assert.match(busy.stdout, /^team: Stable, range, 1 member,/)
    assert.match(busy.stdout, /work:0-1$/m)
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /has members/)
    member.child.kill('SIGINT')
    assert.deepEqual(await member.done.then(({ code, stderr }) => ({ code, stderr })), { code: 0, stderr: '' })

    assert.match((await run('groups', 'describe', 'team')).stdout, /^team: Empty, 0 members, .*lag 0$/m)
    const plan = await run('groups', 'reset-offsets', 'team', '--to', '-2')
    assert.match(plan.stdout, /^work +0 +3 +1$/m)
    assert.match(plan.stderr, /--execute/)
    await run('groups', 'reset-offsets', 'team', '--to', 'earliest', '--topic', 'work:0', '--execute')
    // Two of three: the third is not lost, although it came with them.
    assert.equal((await run('consume', 'work', '--group', 'team', '-c', '2')).stdout, '1\n2\n')
    const [described] = JSON.parse((await run('groups', 'describe', 'team', '--json')).stdout) as [
      { state: string; partitions: { partition: number; committed: number; lag: number }[] },
    ]
    assert.equal(described.state, 'Empty')
    assert.deepEqual(
      described.partitions.map(({ partition, committed, lag }) => [partition, committed, lag]),
      [
        [0, 2, 1],
        [1, 2, 0],
      ],
    )
    assert.equal((await run('groups', 'list', '--json')).stdout.includes('"team"'), true)
    const deleted = await run('groups', 'delete', 'team', 'nobody')
    assert.equal(deleted.stdout, 'deleted team\n')
    assert.equal(deleted.code, 1)
    assert.match(deleted.stderr, /nobody: GROUP_ID_NOT_FOUND/)
  },
)

test('exit codes and messages tell a script what happened', { timeout: 30_000 }, async () => {
  await run('topics', 'create', 'quiet')
  const cut = startCommand(['produce', 'quiet', '--json', ...at], null)
  cut.child.stdin!.write('one\ntwo\nthr')
  const waiting = startCommand(['consume', 'quiet', '-o', 'beginning', '-c', '3', ...at])
  await waiting.printed('two\n')
  cut.child.kill('SIGTERM')
  const stopped = await cut.done
  assert.equal(stopped.code, 143, 'the input was not at its end')
  assert.equal((JSON.parse(stopped.stdout) as { delivered: number }).delivered, 2)
  waiting.child.kill('SIGINT')
  assert.equal((await waiting.done).code, 130, 'the count was not reached')

  const rows: [args: string[], expected: RegExp][] = [
    [['consume', 'nowhere'], /UNKNOWN_TOPIC_OR_PARTITION: topic nowhere/],
    [['consume', 'quiet', '-p', '7'], /has the partitions 0 to/],
    [['consume', 'quiet', '-f', '%y'], /--format: %y/],
    [['consume', 'quiet', '-o', '0', '-g', 'g'], /reset-offsets/],
    [['produce', 'quiet', '--codec', 'rar'], /Allowed choices/],
    [['produce', 'quiet', '--config', 'linger.mss=1'], /unknown producer setting/],
    [['groups', 'describe', 'nobody'], /group nobody does not exist/],
  ]
  const outcomes = await Promise.all(rows.map(([args]) => run(...args)))
  for (const [index, { code, stderr }] of outcomes.entries()) {
    assert.equal(code, 1, stderr)
    assert.match(stderr, rows[index]![1])
    assert.doesNotMatch(stderr, /\n\s+at /)
  }
})

test('the cluster is described', { timeout: 30_000 }, async () => {
  const described = await run('cluster', 'describe', '--check')
  assert.equal(described.code, 0, described.stderr)
  assert.match(described.stdout, /^Controller  1$/m)
  assert.match(described.stdout, /^1 \* +127\.0\.0\.1:\d+ /m)
})

test('configurations are shown with where they come from, changed, and checked', { timeout: 30_000 }, async () => {
  await run('topics', 'create', 'settings')
  const untouched = await run('configs', 'describe', 'topic', 'settings')
  assert.match(untouched.stdout, /nothing is set for topic settings/)
  const changed = await run(
    'configs',
    'alter',
    'topic',
    'settings',
    '--set',
    'segment.bytes=1048576',
    '--set',
    'flush.ms=5',
  )
  assert.equal(changed.stdout, 'changed segment.bytes, flush.ms of topic settings\n')
  const wrong = await run('configs', 'alter', 'topic', 'settings', '--set', 'segment.bytes=x', '--dry-run')
  assert.equal(wrong.code, 1)
  assert.match(wrong.stderr, /segment\.bytes/)
  assert.match((await run('configs', 'describe', 'topic', 'settings')).stdout, /segment\.bytes\s+1048576\s+topic/)
  assert.match((await run('configs', 'describe', 'logger', '1')).stdout, /root\s+\w+\s+logger/)
  assert.match(
    (await run('configs', 'describe', 'broker', 'one')).stderr,
    /broker one: name a broker by its id, or default/,
  )
  assert.match((await run('configs', 'alter', 'topic', 'settings')).stderr, /nothing to change/)
})

test('moves are planned and listed; a broker that is alone is not to be restarted', { timeout: 30_000 }, async () => {
  await run('topics', 'create', 'alone')
  assert.equal((await run('reassign', 'start', 'alone', '--to', '1')).stdout, 'nothing has to move\n')
  const tooMany = await run('reassign', 'start', 'alone', '--to', '1', '--replication-factor', '2')
  assert.match(tooMany.stderr, /alone-0 is to have 2 replicas, and --to names 1 brokers/)
  assert.equal((await run('reassign', 'list', '--check')).stdout, 'no partition is moving\n')
  const unsafe = await run('cluster', 'safe-to-restart', '1')
  assert.equal(unsafe.code, 1)
  assert.match(unsafe.stderr, /broker 1 should not be restarted now: nobody else has a replica of .*alone:0/)
  assert.equal(
    (JSON.parse((await run('cluster', 'safe-to-restart', '1', '--json')).stdout) as { safe: boolean }).safe,
    false,
  )
})
