/** The command as a user meets it: a process of its own, its output and its exit code. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { freePorts, run as runCommand, start } from './testing.ts'

const run = (...args: string[]) => runCommand(args)

test('help names the commands and shows examples', async () => {
  const help = await run('--help')
  assert.equal(help.code, 0)
  for (const command of [
    'up',
    'broker',
    'zookeeper',
    'zk',
    'topics',
    'produce',
    'consume',
    'groups',
    'cluster',
    'completion',
  ])
    assert.match(help.stdout, new RegExp(`^  ${command}\\b`, 'm'))
  assert.match(help.stdout, /Examples:/)
})

test("a user's mistake is one line that says what would be right, and no stack trace", async () => {
  const mistakes: [string[], RegExp][] = [
    [['up', '--brokers', 'many'], /whole number from 1 on/],
    [['broker', '/nonexistent.properties'], /cannot be read \(ENOENT\)/],
    [['zookeeper', '/nonexistent.cfg'], /cannot be read \(ENOENT\)/],
    [['topics', 'create', 't', '--config', 'retention.ms'], /key=value/],
    [['topics', 'list', '-b', 'localhost'], /not of the form host:port/],
    [['topics', 'alter', 't'], /nothing to alter/],
    [['nonsense'], /unknown command/],
  ]
  const outcomes = await Promise.all(mistakes.map(([args]) => run(...args)))
  for (const [index, outcome] of outcomes.entries()) {
    assert.equal(outcome.code, 1, outcome.stderr)
    assert.match(outcome.stderr, mistakes[index]![1])
    assert.doesNotMatch(outcome.stderr, /\n\s+at /)
  }
})

test('a cluster comes up, keeps its topics over SIGKILL, and stops cleanly', { timeout: 60_000 }, async () => {
  const data = await mkdtemp(join(tmpdir(), 'samsa-cli-'))
  const zookeeperPort = await freePorts(3)
  const port = zookeeperPort + 1
  const at = ['-b', `127.0.0.1:${port}`]
  const up = ['up', '--data', data, '--port', String(port)]
  try {
    const first = start(up)
    await first.printed('Ctrl-C stops')
    assert.equal((await run('topics', 'create', 'orders', '--partitions', '3', ...at)).stdout, 'created orders\n')
    const again = await run('topics', 'create', 'orders', ...at)
    assert.equal(again.code, 1)
    assert.match(again.stderr, /TOPIC_ALREADY_EXISTS/)
    const fewer = await run('topics', 'alter', 'orders', '--partitions', '2', ...at)
    assert.equal(fewer.code, 1)
    assert.match(fewer.stderr, /INVALID_PARTITIONS/)
    assert.equal((await run('topics', 'alter', 'orders', '--partitions', '4', ...at)).code, 0)
    first.child.kill('SIGKILL')
    await first.done

    const second = start(up)
    await second.printed('Ctrl-C stops')
    const described = JSON.parse((await run('topics', 'describe', 'orders', '--json', ...at)).stdout) as [
      { partitions: { replicas: number[] }[] },
    ]
    assert.equal(described[0].partitions.length, 4)
    for (const partition of described[0].partitions) assert.equal(partition.replicas.length, 3)
    assert.equal((await run('topics', 'delete', 'orders', ...at)).code, 0)
    assert.deepEqual(JSON.parse((await run('topics', 'list', '--json', ...at)).stdout), [])
    second.child.kill('SIGINT')
    const stopped = await second.done
    assert.equal(stopped.code, 0, stopped.stderr)
    assert.equal(stopped.stderr, '')
  } finally {
    await rm(data, { recursive: true, force: true })
  }
})
