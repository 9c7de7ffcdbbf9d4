/** A server's whole tree as text, a line per node: what two servers of one ensemble must have in common. */
import assert from 'node:assert/strict'

import type { Platform } from '../../../src/platform/index.ts'
import { ZooKeeperClient } from '../../../src/zookeeper/client/index.ts'
import type { Ensemble, EnsembleServer } from '../../peers/index.ts'

/** Each node with its data, ACL and all fields of its stat. */
export async function treeOf(platform: Platform, server: EnsembleServer): Promise<string[]> {
  const options = { connect: server.address, sessionTimeoutMs: 10_000, requestsInFlightMax: 200 }
  const client = await ZooKeeperClient.connect(platform, options)
  try {
    await client.sync('/')
    const lines: string[] = []
    let level = ['/']
    while (level.length > 0) {
      const found = await Promise.all(
        level.map(async (path) => ({
          path,
          node: await client.getData(path),
          acl: (await client.getAcl(path)).acl,
          names: (await client.getChildren(path)).children,
        })),
      )
      for (const { path, node, acl } of found) {
        // Each server writes it for itself, from its own file.
        if (path === '/zookeeper/config') node.stat.mtime = 0
        lines.push(
          `${path} ${node.data === null ? null : Buffer.from(node.data).toString('hex')} ${json([node.stat, acl])}`,
        )
      }
      level = found.flatMap(({ path, names }) => names.map((name) => `${path === '/' ? '' : path}/${name}`))
    }
    return lines.sort()
  } finally {
    await client.close()
  }
}

/** Every running server has the same tree. Says how many nodes it has. */
export async function assertSameTrees(platform: Platform, ensemble: Ensemble): Promise<number> {
  const [first, ...others] = ensemble.running
  const expected = await treeOf(platform, first!)
  for (const other of others) {
    const actual = await treeOf(platform, other)
    const difference = expected.findIndex((line, index) => line !== actual[index])
    assert.equal(actual[difference], expected[difference], `${other.name} (${other.implementation}) and ${first!.name}`)
    assert.equal(actual.length, expected.length)
  }
  return expected.length
}

function json(value: unknown): string {
  return JSON.stringify(value, (_key, field: unknown) =>
    typeof field === 'bigint' ? `0x${BigInt.asUintN(64, field).toString(16)}` : field,
  )
}
