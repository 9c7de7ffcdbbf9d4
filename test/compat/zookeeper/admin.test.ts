/**
 * What a server shows of itself, beside what Apache's shows in the same place: the lines of the admin words, the fields of the HTTP
 * commands, the names of the metrics. Values are each server's own.
 */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'

import {
  Ensemble,
  ZOOKEEPER_ADMIN_JARS,
  freePorts,
  type EnsembleServer,
  type Implementation,
  until,
} from '../../peers/index.ts'
import { nodePlatform } from '../../../src/platform/node/index.ts'
import { CreateMode, ZooKeeperClient } from '../../../src/zookeeper/client/index.ts'

const PROMETHEUS = 'org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider'

const WORDS = 'ruok srvr stat cons conf mntr envi dump wchs wchc wchp dirs isro gtmk hash srst crst orst'.split(' ')

/** Without `initial_configuration`, which ours does not tell: the file may carry passwords. */
const COMMANDS = [
  'configuration connections dirs dump environment get_trace_mask hash is_read_only last_snapshot leader monitor observers ruok',
  'server_stats set_trace_mask?traceMask=306 set_trace_mask set_trace_mask?traceMask=x stats voting_view watch_summary watches',
  'watches_by_path zabstate nosuch stat_reset connection_stat_reset observer_connection_stat_reset snapshot',
  'conf cons envi mntr obsr srvr stat wchs wchc wchp lead lsnp isro',
].flatMap((line) => line.split(' '))

/** What one server says to everything. */
type Shown = Readonly<Record<string, string>>

describe('a server of its own', () => {
  const shown = shownBySides(1)
  for (const word of WORDS) test(`the word ${word}`, () => same(shown, 1, word))
  for (const command of COMMANDS) test(`the command ${command}`, () => same(shown, 1, `/commands/${command}`))
  test('the list of commands', () => {
    assert.equal(shown.samsa()[1]!['/commands'], shown.apache()[1]!['/commands'])
  })
})

describe('three servers, one of them an observer', () => {
  const shown = shownBySides(3)
  for (const role of ['leader', 'follower', 'observer'])
    for (const what of [...WORDS, ...COMMANDS.map((command) => `/commands/${command}`)])
      test(`${role}: ${what}`, () => same(shown, roleOf(role), what))
})

describe('metrics for Prometheus', () => {
  const shown = shownBySides(1, { 'metricsProvider.className': PROMETHEUS, 'metricsProvider.httpHost': '127.0.0.1' })
  test('families and their types', () => {
    const families = (text: string): string[] =>
      Array.from(text.matchAll(/^# TYPE (\S+ \w+)$/gm), ([, family]) => family!).filter(
        (family) => !family.startsWith('jvm_'),
      )
    const ours = new Set(families(shown.samsa()[1]!['metrics']!))
    const lacking = families(shown.apache()[1]!['metrics']!).filter((family) => !ours.has(family))
    assert.deepEqual(new Set(lacking.map((family) => family.split(' ')[0])), new Set(NOT_MEASURED))
  })
  test('the word mntr then', () => {
    const names = (text: string): Set<string> =>
      new Set(Array.from(text.matchAll(/^zk_(\S+)\t/gm), ([, name]) => name!))
    const ours = names(shown.samsa()[1]!['mntr']!)
    for (const name of ['znode_count', 'updatelatency{quantile="0.99"}', 'fsynctime_count', 'fsynctime_sum', 'version'])
      assert.ok(ours.has(name) && names(shown.apache()[1]!['mntr']!).has(name), name)
  })
})

describe('a snapshot that is asked for', () => {
  for (const [from, to] of [
    ['samsa', 'apache'],
    ['apache', 'samsa'],
  ] as const)
    test(`${from} streams it, ${to} starts from it`, async () => {
      const [port] = await freePorts(1)
      const zxidOf = async (server: EnsembleServer): Promise<string> =>
        /^Zxid: (0x[\da-f]+)$/m.exec(await server.word('srvr'))![1]!
      const source = await Ensemble.start({
        servers: [from],
        properties: { 'admin.enableServer': true, 'admin.serverAddress': '127.0.0.1', 'admin.serverPort': port! },
        classPath: [`${ZOOKEEPER_ADMIN_JARS}/*`],
      })
      const target = await Ensemble.prepare({ servers: [to] })
      try {
        const client = await clientOf(source.byId(1))
        for (let index = 0; index < 50; index++) await client.create(`/a${index}`, new Uint8Array(index))
        await client.close()
        const answer = await fetch(`http://127.0.0.1:${port}/commands/snapshot`, {
          headers: { authorization: 'digest root:root' },
        })
        const bytes = new Uint8Array(await answer.arrayBuffer())
        const zxid = await zxidOf(source.byId(1))
        const { headers } = answer
        assert.deepEqual(
          [answer.status, headers.get('last_zxid'), headers.get('snapshot_size')],
          [200, zxid, String(bytes.length)],
        )
        const server = target.byId(1)
        mkdirSync(server.dataDirectory, { recursive: true })
        writeFileSync(join(server.dataDirectory, `snapshot.${zxid.slice(2)}`), bytes)
        server.start()
        await target.ready()
        assert.equal(await zxidOf(server), zxid)
        const reader = await clientOf(server)
        assert.equal((await reader.getData('/a49')).data?.length, 49)
        await reader.close()
      } finally {
        await Promise.all([source.close(), target.close()])
      }
    })
})

/** Queues to learners. */
const NOT_MEASURED = ['learner_handler_qp_size', 'learner_handler_qp_time_ms']

type BySid = Readonly<Record<number, Shown>>

interface Sides {
  samsa(): BySid
  apache(): BySid
}

/** Leader, follower and observer have the same numbers on both sides. */
const LEADER = 2

function roleOf(role: string): number {
  return { leader: LEADER, follower: 1, observer: 3 }[role]!
}

function shownBySides(servers: 1 | 3, properties: Record<string, string> = {}): Sides {
  const shown: Partial<Record<Implementation, BySid>> = {}
  before(async () => {
    for (const side of ['samsa', 'apache'] as const) shown[side] = await shownBy(side, servers, properties)
  })
  return { samsa: () => shown.samsa!, apache: () => shown.apache! }
}

async function shownBy(side: Implementation, count: 1 | 3, properties: Record<string, string>): Promise<BySid> {
  const ports = await freePorts(2 * count)
  const ensemble = await Ensemble.prepare({
    servers: Array.from({ length: count }, () => side),
    observers: [3],
    properties,
    propertiesOf: (id) => ({
      'admin.enableServer': true,
      'admin.serverAddress': '127.0.0.1',
      'admin.serverPort': ports[2 * (id - 1)]!,
      'metricsProvider.httpPort': ports[2 * (id - 1) + 1]!,
    }),
    classPath: [`${ZOOKEEPER_ADMIN_JARS}/*`],
  })
  try {
    for (const server of ensemble.servers) server.start()
    const leader = await ensemble.ready()
    assert.ok(count === 1 || leader.id === LEADER)
    const shown: Record<number, Shown> = {}
    for (const server of ensemble.servers) {
      const [admin, metrics] = [ports[2 * (server.id - 1)]!, ports[2 * (server.id - 1) + 1]!]
      await busy(server, async () => {
        shown[server.id] = await everything(
          server,
          admin,
          properties['metricsProvider.className'] === PROMETHEUS ? metrics : null,
        )
      })
    }
    return shown
  } finally {
    await ensemble.close()
  }
}

/** With a client that has an ephemeral znode and a watch. */
async function busy(server: EnsembleServer, use: () => Promise<void>): Promise<void> {
  const client = await clientOf(server)
  try {
    await client.create('/ephemeral', new Uint8Array(3), { mode: CreateMode.ephemeral })
    await client.exists('/watched', () => {})
    await use()
  } finally {
    await client.close()
  }
}

function clientOf(server: EnsembleServer): Promise<ZooKeeperClient> {
  return ZooKeeperClient.connect(nodePlatform({ logLevel: 'error' }), {
    connect: server.address,
    sessionTimeoutMs: 10_000,
  })
}

async function everything(server: EnsembleServer, admin: number, metrics: number | null): Promise<Shown> {
  const shown: Record<string, string> = {}
  for (const word of WORDS) shown[word] = await answerTo(server.port, word)
  const page = (port: number, path: string): Promise<string> =>
    until(`${server.name} answers on ${port}`, async () => (await fetch(`http://127.0.0.1:${port}${path}`)).text())
  shown['/commands'] = await page(admin, '/commands')
  for (const command of COMMANDS) shown[`/commands/${command}`] = await page(admin, `/commands/${command}`)
  if (metrics !== null) shown['metrics'] = await page(metrics, '/metrics')
  return shown
}

function answerTo(port: number, word: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(word))
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
    socket.once('close', () => resolve(text)).once('error', reject)
  })
}

function same(shown: Sides, sid: number, what: string): void {
  assert.deepEqual(shapeOf(what, shown.samsa()[sid]![what]!), shapeOf(what, shown.apache()[sid]![what]!))
}

/** What a script looks at: the lines without their values, or the fields of the JSON with the kinds of theirs. */
function shapeOf(what: string, text: string): unknown {
  if (what.startsWith('/')) return kindOf(JSON.parse(text))
  if (what === 'mntr') return names(text, /^zk_(\w+)\t/gm)
  if (what === 'conf' || what === 'envi') return names(text, /^([^\s=]+)=/gm)
  return text
    .replaceAll(/0x[\da-f]+/g, '0x…')
    .replaceAll(/expire at \w{3} \w{3} \d\d [\d:]{8} \w+ \d{4}/g, 'expire at …')
    .replaceAll(/3\.9\.4-\S+ built on \S+ \S+ UTC/g, 'VERSION')
    .replaceAll(/lop=\w+/g, 'lop=…')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'ADDRESS')
    .replaceAll(/-?\d+(?:\.\d+)?/g, 'N')
    .split('\n')
    .filter((line, index, all) => all.indexOf(line) === index)
    .sort()
}

function names(text: string, pattern: RegExp): string[] {
  return Array.from(text.matchAll(pattern), ([, name]) => name!)
    .filter((name) => !NOT_ALWAYS_THERE.test(name))
    .sort()
}

/** Ids, times and sizes that are keys are all the same. */
function kindOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(kindOf)
  if (typeof value !== 'object' || value === null) return typeof value
  const entries = Object.entries(value)
    .filter(([key]) => !NOT_ALWAYS_THERE.test(key))
    .map(([key, item]) => [/^\d+$/.test(key) ? 'N' : key, kindOf(item)] as const)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** By server or by part of the tree: from the first value on, or not with ours. */
const NOT_ALWAYS_THERE = /_zookeeper_write_per_namespace$|_learner_handler_qp_\w+$|_\d_ack_latency$/
