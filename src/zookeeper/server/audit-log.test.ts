/** The lines of `audit.enable`, of a server whose client does all kinds of things. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { silentLogger, type Logger } from '#platform'
import { World } from '#simulation'
import { CreateMode, OpCode, type Acl } from '#zookeeper/protocol'

import { parseZooCfg } from './config.ts'
import { PlainClient } from './plain-client.ts'
import { ZooKeeperServer } from './server.ts'

const OPEN: Acl[] = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]
const CONFIG =
  'dataDir=/data\nclientPort=2181\ntickTime=1000\npreAllocSize=64\nadmin.enableServer=false\naudit.enable=true'

test('each change is a line, with who made it and what came of it', async () => {
  const lines = await linesOf(async (client) => {
    await client.ask('auth', { type: 0, scheme: 'digest', auth: new TextEncoder().encode('alice:secret') })
    await client.ask('create', { path: '/a', data: null, acl: OPEN, flags: CreateMode.persistent })
    await client.ask('create', { path: '/a', data: null, acl: OPEN, flags: CreateMode.persistent })
    await client.ask('create', { path: '/a/s-', data: null, acl: OPEN, flags: CreateMode.ephemeralSequential })
    await client.ask('setData', { path: '/a', data: new Uint8Array(1), version: -1 })
    await client.ask('setACL', { path: '/a', acl: [{ perms: 17, id: { scheme: 'world', id: 'anyone' } }], version: -1 })
    await client.ask('getData', { path: '/a', watch: false })
    await client.ask('multi', [
      { type: OpCode.setData, path: '/a', data: null, version: 7 },
      { type: OpCode.check, path: '/a', version: 0 },
    ])
    await client.ask('multi', [
      { type: OpCode.check, path: '/a', version: 1 },
      { type: OpCode.create, path: '/b', data: null, acl: OPEN, flags: CreateMode.container },
      { type: OpCode.delete, path: '/b', version: -1 },
    ])
    await client.ask('closeSession', undefined as never)
  })
  const client = 'user=ADDRESS,alice\tip=ADDRESS'
  assert.deepEqual(lines, [
    'info user=ME\toperation=serverStart\tresult=success',
    `info session=S\t${client}\toperation=create\tznode=/a\tznode_type=persistent\tresult=success`,
    `error session=S\t${client}\toperation=create\tznode=/a\tznode_type=persistent\tresult=failure`,
    `info session=S\t${client}\toperation=create\tznode=/a/s-0000000000\tznode_type=ephemeral_sequential\tresult=success`,
    `info session=S\t${client}\toperation=setData\tznode=/a\tresult=success`,
    `info session=S\t${client}\toperation=setAcl\tznode=/a\tacl=world:anyone:ra\tresult=success`,
    `error session=S\t${client}\toperation=multiOperation\tresult=failure`,
    `info session=S\t${client}\toperation=create\tznode=/b\tznode_type=container\tresult=success`,
    `info session=S\t${client}\toperation=delete\tznode=/b\tresult=success`,
    'info session=S\tuser=ME\toperation=ephemeralZNodeDeletionOnSessionCloseOrExpire\tznode=/a/s-0000000000\tresult=success',
    'info user=ME\toperation=serverStop\tresult=invoked',
  ])
})

async function linesOf(play: (client: PlainClient) => Promise<void>): Promise<string[]> {
  const world = new World(1)
  const lines: string[] = []
  const audit: Logger = {
    ...silentLogger,
    info: (line) => void lines.push(`info ${line}`),
    error: (line) => void lines.push(`error ${line}`),
  }
  let server: ZooKeeperServer | null = null
  world.process('server').start(async (platform) => {
    const logger = { ...silentLogger, named: () => audit }
    server = await ZooKeeperServer.start({ ...platform, logger }, parseZooCfg(CONFIG).config)
    await server.stopped
  })
  await world.runUntil(() => server !== null, 10_000)
  let isDone = false
  world.process('client').start(async (platform) => {
    await play(await PlainClient.connect(platform, 2181))
    isDone = true
  })
  await world.runUntil(() => isDone, 10_000)
  let isClosed = false
  world.process('server').signal(() => void server!.close().then(() => (isClosed = true)))
  await world.runUntil(() => isClosed, 10_000)
  assert.deepEqual(world.findings, [])
  return lines.map((line) =>
    line
      .replace(/session=0x[\da-f]+/, 'session=S')
      .replaceAll(/(user|ip)=[\d.]+/g, '$1=ADDRESS')
      .replace(/user=(?!ADDRESS)[^\t]*/, 'user=ME'),
  )
}
