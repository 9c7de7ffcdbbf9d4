import assert from 'node:assert/strict'
import { test } from 'node:test'

import { silentLogger } from '#platform'
import { nodePlatform } from '#platform/node'

import { ConfigChanges } from './config-changes.ts'

test('a reading that failed with its session does not keep the next session from reading', async () => {
  const { clock } = nodePlatform({ logLevel: 'error' })
  let readings = 0
  const zk = {
    childrenOf: () => (++readings === 1 ? Promise.reject(new Error('session expired')) : Promise.resolve([])),
    find: () => Promise.resolve(null),
    deleteIfPresent: () => Promise.resolve(false),
  }
  const changes = new ConfigChanges({ clock, logger: silentLogger }, zk, () => Promise.resolve())
  await assert.rejects(changes.follow(), /session expired/)
  await changes.follow()
  assert.equal(readings, 2)
})
