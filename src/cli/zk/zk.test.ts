/** `samsa zk` as scripts use it: a process of its own, its output and its exit code. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { nodePlatform } from '#platform/node'
import { ZooKeeperServer, parseZooCfg } from '#zookeeper/server'

import { run, start } from '../testing.ts'

let directory: string
let server: ZooKeeperServer
let address: string

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'samsa-zk-'))
  const text = `dataDir=${directory}\nclientPortAddress=127.0.0.1\nclientPort=0\nadmin.enableServer=false`
  server = await ZooKeeperServer.start(nodePlatform({ logLevel: 'error' }), parseZooCfg(text).config)
  address = `127.0.0.1:${server.port}`
})

after(async () => {
  await server.close()
  await rm(directory, { recursive: true, force: true })
})

test('one command: its outcome, and an exit code that says whether it worked', async () => {
  const created = await run(['zk', '-s', address, 'create', '/one', 'a b'])
  assert.deepEqual(created, { code: 0, stdout: 'Created /one\n', stderr: '' })
  const [got, missing, json, zkCli, help] = await Promise.all([
    run(['zk', '-s', address, 'get', '-b', '/one']),
    run(['zk', '-s', address, 'get', '/missing']),
    run(['zk', '-s', address, '--json', 'get', '/missing']),
    run(['zk', '-server', address, '-timeout', '5000', '-waitforconnection', 'ls', '-R', '/one']),
    run(['zk', 'help', 'ls']),
  ])
  assert.deepEqual(got, { code: 0, stdout: 'YSBi\n', stderr: '' })
  assert.deepEqual(missing, { code: 1, stdout: '', stderr: 'Node does not exist: /missing\n' })
  assert.equal(json.code, 1)
  assert.equal((JSON.parse(json.stdout) as { error: { code: string } }).error.code, 'NONODE')
  assert.deepEqual(zkCli, { code: 0, stdout: '/one\n', stderr: '' })
  assert.match(help.stdout, /usage: ls \[-s\] \[-w\] \[-R\] path/)
})

test('lines of a pipe are carried out one after another; one that fails keeps nothing from being done', async () => {
  const script = '# a comment\ncreate /piped x\ncreate /piped\n\nget /piped\nquit\nget /piped\n'
  const outcome = await run(['zk', '-s', address], script)
  assert.deepEqual(outcome, { code: 1, stdout: 'Created /piped\nx\n', stderr: 'Node already exists: /piped\n' })
})

test('watch prints events until it is stopped', async () => {
  const watching = start(['zk', '-s', address, '--json', 'watch', '/watched'], null)
  await watching.printed('"mode"')
  await run(['zk', '-s', address, 'create', '/watched'])
  await watching.printed('{"event":"created","path":"/watched"')
  watching.child.kill('SIGINT')
  const { code, stderr } = await watching.done
  assert.deepEqual([code, stderr], [130, ''])
})
