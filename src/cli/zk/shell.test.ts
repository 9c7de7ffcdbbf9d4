/** The shell on a server: what it prints, line by line. Scripts read these formats, which are those of Apache's zkCli. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { nodePlatform } from '#platform/node'
import { ZooKeeperServer, parseZooCfg } from '#zookeeper/server'

import { complete } from './complete.ts'
import { Shell, type ShellOptions } from './shell.ts'

interface Fixture {
  readonly shell: Shell
  /** What one line prints: its outcome, then its errors behind `! `. */
  readonly say: (line: string) => Promise<string[]>
  /** Resolves when a text has been printed; events come when they come. */
  readonly printed: (text: string) => Promise<void>
}

async function withShell(options: Partial<ShellOptions>, use: (fixture: Fixture) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'samsa-zk-'))
  const platform = nodePlatform({ logLevel: 'error' })
  const { config } = parseZooCfg(
    `dataDir=${directory}\nclientPortAddress=127.0.0.1\nclientPort=0\nadmin.enableServer=false`,
  )
  const server = await ZooKeeperServer.start(platform, config)
  let lines: string[] = []
  let everything = ''
  let wake = (): void => {}
  const note = (text: string): void => {
    lines.push(text)
    everything += `${text}\n`
    wake()
  }
  const shell = new Shell(
    platform,
    {
      session: { connect: `127.0.0.1:${server.port}`, sessionTimeoutMs: 10_000 },
      json: false,
      tellsSession: true,
      ...options,
    },
    {
      out: (text) => note(typeof text === 'string' ? text : new TextDecoder().decode(text)),
      err: (text) => note(`! ${text}`),
    },
  )
  const say = async (line: string): Promise<string[]> => {
    lines = []
    await shell.executeLine(line)
    return lines
  }
  const printed = async (text: string): Promise<void> => {
    while (!everything.includes(text)) await new Promise<void>((resolve) => (wake = resolve))
  }
  try {
    await shell.connect()
    await use({ shell, say, printed })
  } finally {
    await shell.close()
    await server.close()
    await rm(directory, { recursive: true, force: true })
  }
}

test('znodes are made, read, written and deleted', () =>
  withShell({}, async ({ say }) => {
    assert.deepEqual(await say('create /a one'), ['Created /a'])
    assert.deepEqual(await say('create /a'), ['! Node already exists: /a'])
    assert.deepEqual(await say('get /a'), ['one'])
    assert.deepEqual(await say('set /a "b c"'), [])
    assert.deepEqual(await say('get -b /a'), ['YiBj'])
    assert.deepEqual(await say('set -b /a AQI='), [])
    assert.match((await say('get -x /a'))[0]!, /\|00000000\| 01 02 {43}\|\.\. {14}\|/)
    assert.deepEqual(await say('set -v 9 /a x'), ['! version No is not valid : /a'])
    assert.deepEqual(await say('create -s /a/s- x'), ['Created /a/s-0000000000'])
    assert.deepEqual(await say('create -s /a/'), ['Created /a/0000000001'])
    assert.deepEqual(await say('create -e /a/e'), ['Created /a/e'])
    assert.deepEqual(await say('create /a/e/child'), ['! Ephemerals cannot have children: /a/e/child'])
    assert.deepEqual(await say('get /a/e'), ['null'])
    assert.deepEqual(await say('ls /'), ['[a, zookeeper]'])
    assert.deepEqual(await say('ls -R /a'), ['/a', '/a/0000000001', '/a/e', '/a/s-0000000000'])
    assert.match((await say('ls -s /a'))[1]!, /^cZxid = 0x2\n[^]*numChildren = 3$/)
    assert.deepEqual(await say('getEphemerals'), ['[/a/e]'])
    assert.deepEqual(await say('getAllChildrenNumber /a'), ['3'])
    assert.deepEqual(await say('delete /a'), ['! Node not empty: /a'])
    assert.deepEqual(await say('deleteall /a -b 2'), [])
    assert.deepEqual(await say('stat /a'), ['! Node does not exist: /a'])
    assert.deepEqual(await say('deleteall /'), ['! the root cannot be deleted'])
    assert.deepEqual(await say('create -c /container'), ['Created /container'])
    assert.deepEqual(await say('create -c -e /x'), [
      '! -c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.',
    ])
    assert.deepEqual(await say('create /x//y'), ['! "/x//y" is no path: a path has no empty component'])
    assert.deepEqual(await say('sync /'), ['Sync is OK'])
    assert.deepEqual(await say('nonsense'), ['! Command not found nonsense: help lists the commands'])
  }))

test('ACLs and identities', () =>
  withShell({}, async ({ say }) => {
    await say('addauth digest alice:secret')
    assert.deepEqual(await say('create /mine x auth:any:cdrwa'), ['Created /mine'])
    assert.match((await say('getAcl /mine'))[0]!, /^'digest,'alice:.+=\n: cdrwa$/)
    assert.match((await say('whoami')).join('\n'), /^Auth scheme: User\n[^]*digest: alice/)
    assert.deepEqual(await say('setAcl /mine digest:bob:hash:cdrwa'), [])
    assert.deepEqual(await say('get /mine'), ['! Insufficient permission : /mine'])
    assert.deepEqual(await say('create /open x'), ['Created /open'])
    assert.deepEqual(await say('create /open/below x'), ['Created /open/below'])
    assert.deepEqual(await say('setAcl -R /open world:anyone:r'), [])
    assert.deepEqual(await say('getAcl /open/below'), ["'world,'anyone\n: r"])
  }))

test('quotas are set, listed, nested ones refused, and removed', () =>
  withShell({}, async ({ say }) => {
    await say('create /a x')
    assert.deepEqual(await say('setquota -n 5 -B 100 /a'), [])
    assert.deepEqual(await say('create /a/b xy'), ['Created /a/b'])
    assert.deepEqual((await say('listquota /a')).slice(1), [
      'Output quota for /a count=5,bytes=-1=;byteHardLimit=100;countHardLimit=-1',
      'Output stat for /a count=2,bytes=3',
    ])
    assert.deepEqual(await say('setquota -n 1 /a/b'), ['! /a/b has a parent /a which has a quota'])
    assert.deepEqual(await say('setquota -n 1 /a'), [
      '! [Warning]: the count quota you create is less than the existing count:2',
    ])
    assert.deepEqual(await say('delquota -n /a'), [])
    assert.match((await say('listquota /a'))[1]!, /count=-1,bytes=-1=;byteHardLimit=100/)
    assert.deepEqual(await say('delquota /a'), [])
    assert.equal((await say('listquota /a')).at(-1), '! quota for /a does not exist.')
    assert.deepEqual(await say('ls /zookeeper/quota'), ['[]'])
    assert.deepEqual(await say('setquota /a'), ['! which limit? setquota -n|-b|-N|-B val path'])
  }))

test('events are printed as they come, once or for good', () =>
  withShell({}, async ({ say, printed }) => {
    await say('create /a x')
    await say('get -w /a')
    await say('set /a y')
    await printed('WatchedEvent state:SyncConnected type:NodeDataChanged path:/a zxid: 3')
    assert.deepEqual(await say('removewatches /a'), ['! KeeperErrorCode = No such watcher for /a'])
    await say('addWatch /a')
    await say('create /a/b')
    await printed('type:NodeCreated path:/a/b zxid: 4')
    await say('delete /a/b')
    await printed('type:NodeDeleted path:/a/b zxid: 5')
    assert.match((await say('removewatches /a')).join(''), /type:PersistentWatchRemoved path:\/a zxid: -1/)
    assert.deepEqual(await say('addWatch -m sometimes /a'), [
      '! "sometimes" is no mode: PERSISTENT or PERSISTENT_RECURSIVE',
    ])
  }))

test('history, redo, and a session that is closed and begun again', () =>
  withShell({}, async ({ shell, say }) => {
    await say('create -s /s-')
    assert.deepEqual(await say('redo 0'), ['Created /s-0000000001'])
    assert.deepEqual(await say('history'), ['0 - create -s /s-', '1 - create -s /s-', '2 - history'])
    assert.deepEqual(await say('redo 99'), ['! Command index out of range'])
    await say('create -e /gone')
    await say('close')
    assert.deepEqual(await say('ls /'), ['! Not connected'])
    assert.match(shell.prompt, /\(CLOSED\) 7\] $/)
    await say('connect')
    assert.deepEqual(await say('ls /'), ['[s-0000000000, s-0000000001, zookeeper]'])
    await say('quit')
    assert.ok(shell.hasQuit)
  }))

test('with a chroot every path lies below it', () =>
  withShell({}, async ({ shell, say }) => {
    await say('create /app')
    const [servers] = shell.prompt.slice('[zk: '.length).split('(')
    await say(`connect ${servers}/app`)
    await say('create /inside x')
    await say('create -e /inside/e')
    assert.deepEqual(await say('ls -R /'), ['/', '/inside', '/inside/e'])
    assert.deepEqual(await say('getEphemerals'), ['[/inside/e]'])
    assert.deepEqual(await say('setquota -n 1 /inside'), [
      '! quotas lie at /zookeeper/quota, outside of /app: connect without it',
    ])
    await say(`connect ${servers}`)
    assert.deepEqual(await say('get /app/inside'), ['x'])
  }))

test('every outcome is one line of JSON', () =>
  withShell({ json: true }, async ({ say }) => {
    const parsed = async (line: string): Promise<unknown> => JSON.parse((await say(line))[0]!)
    assert.deepEqual(await parsed('create /a one'), { path: '/a' })
    const got = (await parsed('get /a')) as { data: string; stat: { czxid: string; ephemeralOwner: null } }
    assert.deepEqual([got.data, got.stat.czxid, got.stat.ephemeralOwner], ['one', '0x2', null])
    assert.deepEqual(await parsed('get /missing'), {
      error: { code: 'NONODE', message: 'Node does not exist: /missing', path: '/missing' },
    })
    assert.deepEqual(await parsed('getAcl /a -s').then((outcome) => (outcome as { acl: unknown }).acl), [
      { scheme: 'world', id: 'anyone', permissions: 'cdrwa' },
    ])
    assert.deepEqual(await parsed('deleteall /a'), { path: '/a', deleted: 1 })
    assert.deepEqual(await parsed('ls -R /zookeeper'), {
      path: '/zookeeper',
      paths: ['/zookeeper', '/zookeeper/config', '/zookeeper/quota'],
    })
  }))

test('Tab offers commands, options, choices and paths', () =>
  withShell({}, async ({ shell, say }) => {
    await say('create /apple')
    await say('create /apple/core')
    const rows: [line: string, offers: string[]][] = [
      ['getA', ['getAcl', 'getAllChildrenNumber']],
      ['crea', ['create ']],
      ['get /a', ['/apple']],
      ['get -s /apple/', ['/apple/core']],
      ['get /missing/', []],
      ['set -', ['-s', '-b', '-v']],
      ['printwatches o', ['on', 'off']],
      ['nonsense x', []],
    ]
    for (const [line, offers] of rows) assert.deepEqual((await complete(shell, line))[0], offers, line)
  }))
