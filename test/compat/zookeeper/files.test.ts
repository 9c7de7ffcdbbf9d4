/** Files: Apache's tools read ours, and either server goes on where the other one stopped, in both directions. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import {
  PYTHON,
  adminWord,
  javaTool,
  run,
  startZooKeeper,
  until,
  type Implementation,
  type Server,
} from '../../peers/index.ts'

/** So small that one populating takes several snapshots. */
const PROPERTIES = { snapCount: 500 }

let directory: string

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'samsa-files-'))
})

after(() => rmSync(directory, { recursive: true, force: true }))

const version2 = (): string => join(directory, 'zookeeper', 'version-2')

test('Apache’s TxnLogToolkit and SnapshotFormatter read our files after a SIGKILL', async () => {
  await withServer('samsa', async (server) => {
    await checks(server, 'populate', 'samsa-1')
    await until('a snapshot is written', () => filesOf('snapshot').length >= 3)
  })
  const logs = filesOf('log')
  assert.ok(logs.length >= 3, `only ${logs.length} logs`)
  let transactions = 0
  for (const log of logs) {
    const { stdout, stderr } = await javaTool('zookeeper-txn-log', ['--dump', join(version2(), log)])
    const end = /EOF reached after (\d+) txns/.exec(stdout)
    assert.ok(end, `${log}: ${stdout.slice(-500)}${stderr}`)
    transactions += Number(end[1])
  }
  assert.ok(transactions > 1500, `${transactions} transactions`)
  for (const snapshot of filesOf('snapshot')) {
    const { stdout } = await javaTool('zookeeper-snapshot', [join(version2(), snapshot)])
    assert.match(stdout, /ZNode Details \(count=\d+\)/, snapshot)
    assert.match(stdout, new RegExp(`Last zxid: 0x${snapshot.slice('snapshot.'.length)}`, 'i'))
  }
})

test('Apache’s server goes on with our data, and ours with Apache’s', async () => {
  let known = await tree('samsa')
  for (const [round, implementation] of (['apache', 'samsa'] as const).entries()) {
    assertSame(await tree(implementation), known, `${implementation}, round ${round}`)
    await withServer(implementation, async (server) => {
      await checks(server, 'populate', `${implementation}-${round + 2}`)
      assert.match(await adminWord('127.0.0.1', server.port, 'mntr'), /zk_digest_mismatches_count\t0\n/)
    })
    known = await tree(implementation)
  }
  assert.ok(known.split('\n').length > 1800)
})

test('a torn end of the newest log is cut, and both servers go on from the same place', async () => {
  const before = await tree('samsa')
  const newest = join(version2(), filesOf('log').at(-1)!)
  const bytes = readFileSync(newest)
  // The last transaction, the end of the session that looked at the tree, loses its last byte.
  const end = bytes.findLastIndex((byte) => byte !== 0)
  writeFileSync(newest, bytes.subarray(0, end))
  assertSame(await tree('samsa'), before, 'after a torn end')
  assertSame(await tree('apache'), before, 'after we cut it')
})

/** Without the quadratic time that a difference of megabytes takes to be shown. */
function assertSame(actual: string, expected: string, what: string): void {
  if (actual === expected) return
  const lines = expected.split('\n')
  assert.fail(`${what}: first difference: ${actual.split('\n').find((line, index) => line !== lines[index])}`)
}

/** The server is killed at the end: whatever it acknowledged must be in its files. */
async function withServer(implementation: Implementation, use: (server: Server) => Promise<void>): Promise<void> {
  const server = await startZooKeeper({ implementation, directory, properties: PROPERTIES })
  try {
    await until('the server serves', async () =>
      (await adminWord('127.0.0.1', server.port, 'srvr')).includes('Mode: standalone'),
    )
    await use(server)
  } finally {
    await server.kill()
  }
}

/** Every node with its data, stat and ACL. */
async function tree(implementation: Implementation): Promise<string> {
  let text = ''
  await withServer(implementation, async (server) => {
    text = await checks(server, 'dump_tree')
  })
  return text
}

function filesOf(kind: 'log' | 'snapshot'): string[] {
  const zxidOf = (name: string): number => Number.parseInt(name.slice(kind.length + 1), 16)
  return readdirSync(version2())
    .filter((name) => new RegExp(`^${kind}\\.[\\da-f]+$`).test(name))
    .sort((a, b) => zxidOf(a) - zxidOf(b))
}

async function checks(server: Server, name: string, ...args: string[]): Promise<string> {
  const program = join(import.meta.dirname, 'kazoo_checks.py')
  return (await run(PYTHON, ['-u', program, String(server.port), name, ...args], { timeoutMs: 60_000 })).stdout
}
