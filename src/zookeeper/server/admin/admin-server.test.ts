/** The HTTP commands and the metrics of a server on real sockets. What Apache's answer with is compared in `test/compat/zookeeper`. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { silentLogger } from '#platform'
import { nodePlatform } from '#platform/node'

import { parseZooCfg } from '../config.ts'
import { ZooKeeperServer } from '../server.ts'

const PROMETHEUS = 'metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider'
const platform = { ...nodePlatform(), logger: silentLogger }

let directory: string
let server: ZooKeeperServer

async function start(name: string, lines: string): Promise<ZooKeeperServer> {
  const text = `dataDir=${join(directory, name)}\nclientPort=0\nclientPortAddress=127.0.0.1\npreAllocSize=64
admin.serverAddress=127.0.0.1\nmetricsProvider.httpHost=127.0.0.1\n${lines}`
  return ZooKeeperServer.start(platform, parseZooCfg(text).config)
}

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'samsa-admin-'))
  const superDigest = 'DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU='
  server = await start('data', `admin.serverPort=0\n${PROMETHEUS}\nmetricsProvider.httpPort=0\n${superDigest}`)
})

after(async () => {
  await server.close()
  rmSync(directory, { recursive: true, force: true })
})

const at = (path: string): string => `http://127.0.0.1:${server.adminPort}${path}`

async function command(name: string, init: RequestInit = {}): Promise<{ status: number; text: string; json: unknown }> {
  const answer = await fetch(at(`/commands/${name}`), init)
  const text = await answer.text()
  return { status: answer.status, text, json: JSON.parse(text) as unknown }
}

test('the list leads to every command, and each answers with its name', async () => {
  const list = await (await fetch(at('/commands'))).text()
  const names = Array.from(list.matchAll(/<a href="\/commands\/(\w+)">/g), ([, name]) => name!)
  assert.equal(names.length, 28)
  assert.deepEqual(names, [...names].sort())
  for (const name of names.filter((each) => each !== 'snapshot' && each !== 'restore')) {
    const { status, json } = await command(name)
    assert.equal(status, 200, name)
    assert.equal((json as { command: string }).command, name)
  }
})

test('an answer is laid out as Apache’s', async () => {
  assert.equal((await command('ruok')).text, '{\n  "command" : "ruok",\n  "error" : null\n}')
  assert.match((await command('mntr')).text, /\n {2}"avg_latency" : 0\.0,\n/)
  assert.match((await command('stat')).text, /\n {2}"connections" : \[ \],\n {2}"secure_connections" : \[ \],\n/)
  assert.match((await command('nosuch')).text, /"error" : "Unknown command: nosuch"/)
  assert.match((await command('lead')).text, /"error" : "server is not initialized"/)
  assert.match((await command('stmk?traceMask=5')).text, /"tracemask" : 5,/)
  assert.match(
    (await command('stmk?traceMask=x')).text,
    /"error" : "setTraceMask requires long traceMask argument, got x"/,
  )
})

test('what is no command is refused', async () => {
  assert.equal((await fetch(at('/'))).status, 404)
  assert.equal((await fetch(at('/commandsx'))).status, 404)
  assert.equal((await fetch(at('/commands/ruok'), { method: 'PUT' })).status, 405)
  assert.equal((await fetch(at('/commands/ruok'), { method: 'POST' })).status, 405)
  const head = await fetch(at('/commands/ruok'), { method: 'HEAD' })
  assert.deepEqual([head.status, await head.text()], [200, ''])
})

test('a snapshot is for who may do everything, one at a time', async () => {
  const ask = (authorization: string, query = ''): Promise<Response> =>
    fetch(at(`/commands/snapshot${query}`), { headers: { authorization } })
  assert.equal((await command('snapshot')).status, 401)
  assert.equal((await ask('nosuch a:b')).status, 401)
  assert.equal((await ask('digest a:b c')).status, 401)
  const answer = await ask('digest super:test')
  const bytes = new Uint8Array(await answer.arrayBuffer())
  assert.deepEqual([answer.status, answer.headers.get('last_zxid')], [200, '0x0'])
  assert.equal(answer.headers.get('snapshot_size'), String(bytes.length))
  const folder = join(directory, 'data/version-2')
  assert.deepEqual(bytes, new Uint8Array(readFileSync(join(folder, 'snapshot.0'))))
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith('.tmp')),
    [],
  )
  assert.equal((await ask('digest super:test')).status, 429)
  assert.equal(
    (await fetch(at('/commands/restore'), { method: 'POST', headers: { authorization: 'digest super:test' } })).status,
    503,
  )
})

test('metrics are where Prometheus looks for them', async () => {
  const base = `http://127.0.0.1:${server.metricsPort}`
  const answer = await fetch(`${base}/metrics`)
  assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  assert.match(await answer.text(), /\n# TYPE znode_count gauge\nznode_count 5\.0\n/)
  assert.equal((await fetch(`${base}/`)).status, 404)
  assert.equal((await fetch(`${base}/metrics`, { method: 'POST' })).status, 405)
})

test('a server goes on without what it cannot open, and opens nothing that it was not asked for', async () => {
  const taken = await start('taken', `admin.serverPort=${server.adminPort}`)
  assert.equal(taken.adminPort, null)
  assert.equal(taken.metricsPort, null)
  assert.equal(taken.adminWord('srvr').includes('Mode: standalone'), true)
  await taken.close()
  const silent = await start('silent', 'admin.enableServer=false')
  assert.equal(silent.adminPort, null)
  await silent.close()
})
