/**
 * A server that was away for too long gets a snapshot from a leader of the other kind: on the wire it has no length and no
 * sum, so that only what comes of it tells whether both read the same. Then the one that got it leads, and starts again from
 * what it has on its disk.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { nodePlatform } from '../../../src/platform/node/index.ts'
import { CreateMode, Perms, ZooKeeperClient } from '../../../src/zookeeper/client/index.ts'
import { Ensemble, type EnsembleServer, type Implementation, TARGET } from '../../peers/index.ts'
import { assertSameTrees } from './tree.ts'

/** The first one is away. */
const ENSEMBLES: readonly (readonly Implementation[])[] =
  TARGET === 'apache'
    ? [['apache', 'apache', 'apache']]
    : [
        ['samsa', 'apache', 'apache'],
        ['apache', 'samsa', 'samsa'],
      ]
const NODES = 2000
const ACLS = [
  [{ perms: Perms.ALL, id: { scheme: 'world', id: 'anyone' } }],
  [{ perms: Perms.READ | Perms.ADMIN, id: { scheme: 'world', id: 'anyone' } }],
  [
    { perms: Perms.READ | Perms.ADMIN, id: { scheme: 'world', id: 'anyone' } },
    { perms: Perms.ALL, id: { scheme: 'ip', id: '127.0.0.0/8' } },
  ],
]

const platform = nodePlatform({ logLevel: 'error' })

for (const servers of ENSEMBLES)
  test(
    `${servers[1]} sends a snapshot to ${servers[0]}, which then leads and starts again`,
    { timeout: 180_000 },
    async () => {
      // Neither the transactions in memory nor the log will do.
      const properties = { commitLogCount: 500, snapshotSizeFactor: -1 }
      const ensemble = await Ensemble.start({ servers, properties, heap: '192M' })
      try {
        await away(ensemble, ensemble.byId(1))
      } finally {
        await ensemble.close()
      }
    },
  )

async function away(ensemble: Ensemble, server: EnsembleServer): Promise<void> {
  await server.kill()
  const sender = await ensemble.ready()
  const options = { connect: ensemble.connect, sessionTimeoutMs: 20_000, requestsInFlightMax: 200 }
  const client = await ZooKeeperClient.connect(platform, options)
  try {
    await fill(client)
    const before = await snapshotsOf(sender)
    const done = new AbortController()
    const changing = change(client, done.signal)
    server.start()
    await ensemble.ready()
    done.abort()
    await changing
    assert.equal(await snapshotsOf(sender), before + 1)
    assert.ok((await assertSameTrees(platform, ensemble)) > NODES / 2)

    await ensemble.lead(server.id, () => client.retrying.create('/while-it-becomes-leader', null))
    await client.retrying.create('/led', null)
    await server.kill()
    await client.retrying.create('/without-it', null)
    server.start()
    await ensemble.ready()
    await assertSameTrees(platform, ensemble)
    for (const each of ensemble.servers)
      assert.match(await each.word('mntr'), /^zk_digest_mismatches_count\t0$/m, each.name)
  } finally {
    await client.close().catch(() => {})
  }
}

/** Nodes of every kind: with children, without data, changed, deleted, with ACLs, ephemeral, containers. */
async function fill(client: ZooKeeperClient): Promise<void> {
  const parents = Array.from({ length: 20 }, (_, index) => `/p${index}`)
  for (const path of parents) await client.create(path, null)
  const paths = Array.from({ length: NODES }, (_, index) => `${parents[index % parents.length]}/n${index}`)
  await Promise.all(
    paths.map((path, index) => {
      const mode = index % 50 === 0 ? CreateMode.ephemeral : CreateMode.persistent
      const data = index % 7 === 0 ? null : new TextEncoder().encode(`${'é'.repeat(index % 300)}${index}`)
      return client.create(path, data, { mode, acl: ACLS[index % ACLS.length]! })
    }),
  )
  await client.create('/container', null, { mode: CreateMode.container })
  await client.create('/container/in', new Uint8Array(200_000))
  const changed = paths.filter((_, index) => index % (2 * ACLS.length) === 0)
  await Promise.all(changed.map((path, index) => client.setData(path, new Uint8Array(index % 90))))
  await Promise.all(paths.filter((_, index) => index % 9 === 5).map((path) => client.delete(path)))
}

/** Apache's snapshot is taken while transactions go on, and holds some of what follows it. */
async function change(client: ZooKeeperClient, done: AbortSignal): Promise<void> {
  for (let round = 0; !done.aborted; round++) {
    const path = `/changing${round}`
    await client.create(path, null)
    const steps = [0, 1, 2, 3].map(async (index) => {
      await client.create(`${path}/${index}`, null, { mode: CreateMode.persistentSequential })
      await client.setData(path, new Uint8Array(round % 100))
    })
    await Promise.all(steps)
    if (round % 3 > 0) continue
    for (const name of (await client.getChildren(path)).children) await client.delete(`${path}/${name}`)
    await client.delete(path)
  }
}

async function snapshotsOf(leader: EnsembleServer): Promise<number> {
  return Number(/^zk_snap_count\t(\d+)$/m.exec(await leader.word('mntr'))?.[1])
}
