/**
 * Our servers and Apache's in one ensemble: whoever leads, all are written to through every change of the leader, and
 * have the same tree afterwards, node by node, zxids and sessions included.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { nodePlatform } from '../../../src/platform/node/index.ts'
import { Ensemble, type Implementation, TARGET, until } from '../../peers/index.ts'
import { Load } from './load.ts'
import { assertSameTrees } from './tree.ts'

const OURS = TARGET
const MIXTURES: readonly (readonly Implementation[])[] =
  OURS === 'apache'
    ? [['apache', 'apache', 'apache']]
    : [
        ['samsa', 'apache', 'apache'],
        ['apache', 'samsa', 'apache'],
        ['apache', 'apache', 'samsa'],
        ['samsa', 'samsa', 'apache'],
        ['apache', 'samsa', 'samsa'],
      ]
const WRITES = 60

const platform = nodePlatform({ logLevel: 'error' })

for (const servers of MIXTURES)
  test(`${servers.join(', ')}: each leads once, all are written to, the trees are equal`, { timeout: 120_000 }, () =>
    withLoad(servers, async (ensemble, load) => {
      const first = await ensemble.ready()
      // The first leader, the two others, and the first one again.
      const others = ensemble.servers.filter((server) => server !== first).map(({ id }) => id)
      for (const id of [...others, first.id]) {
        await ensemble.lead(id, () => goesOn(load, 20))
        await goesOn(load, WRITES)
      }
      await allIsThere(ensemble, load)
    }),
  )

for (const before of OURS === 'apache'
  ? [['apache', 'apache', 'apache'] as const]
  : [[OURS, OURS, OURS] as const, ['apache', 'apache', 'apache'] as const])
  test(
    `the data folders of three servers of ${before[0]}, gone on with by the other side, one by one and all`,
    { timeout: 120_000 },
    () =>
      withLoad(before, async (ensemble, load) => {
        const other: Implementation = before[0] === 'apache' ? OURS : 'apache'
        for (const server of ensemble.servers) {
          await goesOn(load, WRITES)
          await server.kill()
          server.implementation = other
          server.start()
          await ensemble.ready()
        }
        await goesOn(load, WRITES)
        await load.stop()
        for (const server of ensemble.servers) await server.kill()
        for (const [index, server] of ensemble.servers.entries()) {
          server.implementation = before[index]!
          server.start()
        }
        await ensemble.ready()
        await allIsThere(ensemble, load)
      }),
  )

/** A writer at each server, which stays with it, and one that goes from server to server. */
async function withLoad(
  servers: readonly Implementation[],
  use: (ensemble: Ensemble, load: Load) => Promise<void>,
): Promise<void> {
  // So few between two snapshots that each server takes some, and that one who was away may be too far behind for a log.
  const ensemble = await Ensemble.start({ servers, properties: { snapCount: 400 }, heap: '192M' })
  try {
    const connects = [...ensemble.servers.map(({ address }) => address), ensemble.connect]
    const load = new Load({ platform, connects, root: '/load', sessionTimeoutMs: 15_000, pauseMs: 5 })
    try {
      await load.start()
      await use(ensemble, load)
    } finally {
      await load.close()
    }
  } finally {
    await ensemble.close()
  }
}

/** Two writers at least have so many more writes acknowledged: there may be one whose server does not run. */
async function goesOn(load: Load, writes: number): Promise<void> {
  const before = load.acknowledgedByEach
  await until(
    'it is written on',
    () => load.acknowledgedByEach.filter((count, index) => count >= before[index]! + writes).length >= 2,
    60_000,
  )
}

async function allIsThere(ensemble: Ensemble, load: Load): Promise<void> {
  await load.stop()
  await ensemble.ready()
  await load.verify()
  assert.deepEqual(load.faults, [])
  assert.ok((await assertSameTrees(platform, ensemble)) > 100)
  assert.ok(load.acknowledged > 300, `only ${load.acknowledged} writes`)
  for (const server of ensemble.servers)
    assert.match(await server.word('mntr'), /zk_digest_mismatches_count\t0\n/, server.name)
}
