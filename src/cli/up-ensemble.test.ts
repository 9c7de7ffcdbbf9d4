/** `samsa up --zookeepers 3` as its user meets it. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { freePorts, run, start } from './testing.ts'

test('an ensemble comes up in one process, and keeps what it knows over SIGKILL', { timeout: 120_000 }, async () => {
  const data = await mkdtemp(join(tmpdir(), 'samsa-up-'))
  const first = await freePorts(3)
  const port = first + 3
  const zookeepers = [first, first + 1, first + 2].map((each) => `127.0.0.1:${each}`).join()
  const up = ['up', '--zookeepers', '3', '--brokers', '1', '--data', data, '--port', String(port)]
  try {
    const living = start(up)
    await living.printed('Ctrl-C stops')
    assert.equal((await run(['topics', 'create', 'orders', '-b', `127.0.0.1:${port}`])).stdout, 'created orders\n')
    const config = await run(['zk', '-s', zookeepers, 'config', '-c'])
    assert.equal(config.stdout, `0 ${zookeepers}\n`)
    living.child.kill('SIGKILL')
    await living.done

    const again = start(up)
    await again.printed('Ctrl-C stops')
    assert.equal((await run(['zk', '-s', zookeepers, 'ls', '/brokers/topics'])).stdout, '[orders]\n')
    again.child.kill('SIGINT')
    assert.equal((await again.done).code, 0)

    const other = await run(['up', '--brokers', '1', '--data', data, '--port', String(port)])
    assert.equal(other.code, 1)
    assert.match(other.stderr, /has the data of 3 ZooKeeper servers: start it with --zookeepers 3/)
  } finally {
    await rm(data, { recursive: true, force: true })
  }
})
