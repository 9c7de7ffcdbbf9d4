import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import type { Platform } from '#platform'
import { nodePlatform } from '#platform/node'
import type { ZooKeeperServer } from '#zookeeper/server'

import { EmbeddedCluster } from './embedded-cluster.ts'

const HOST = '127.0.0.1'

async function withCluster(
  zookeepers: number,
  use: (cluster: EmbeddedCluster, platform: Platform, directory: string) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'samsa-embedded-'))
  const platform = nodePlatform({ logLevel: 'error' })
  const cluster = await EmbeddedCluster.start(platform, {
    brokers: 1,
    zookeepers,
    dataDirectory: directory,
    host: HOST,
    brokerPorts: [0],
    zookeeperPort: 0,
    overrides: {},
  })
  try {
    await use(cluster, platform, directory)
  } finally {
    await cluster.close()
    await rm(directory, { recursive: true, force: true })
  }
}

async function until(platform: Platform, holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => platform.clock.setTimer(5, () => resolve()))
}

function hasBroker(server: ZooKeeperServer): boolean {
  return server.tree.find('/brokers/ids/1') !== undefined
}

test('three ZooKeeper servers hold the same, and go on without their leader; without two of them it is over', () =>
  withCluster(3, async ({ zookeepers, zookeeperConnect, zookeeperLost }, platform, directory) => {
    assert.deepEqual((await readdir(directory)).sort(), ['broker-1', 'zookeeper-1', 'zookeeper-2', 'zookeeper-3'])
    assert.deepEqual(
      zookeeperConnect.split(','),
      zookeepers.map(({ port }) => `${HOST}:${port}`),
    )
    await until(platform, () => zookeepers.every(hasBroker))
    let isLost = false
    void zookeeperLost.then(() => (isLost = true))

    const leader = zookeepers.find(({ term }) => term?.role === 'leader')!
    const others = zookeepers.filter((server) => server !== leader)
    await leader.close()
    await until(platform, () => others.some(({ term }) => term?.role === 'leader'))
    await until(platform, () => others.every(({ term }) => term !== null))
    assert.ok(others.every(hasBroker))
    assert.equal(isLost, false)

    await others[0]!.close()
    assert.equal(await zookeeperLost, null)
  }))

test('a server of its own keeps its folder, and is missed at once', () =>
  withCluster(1, async ({ zookeeper, zookeeperConnect, zookeeperLost }, _, directory) => {
    assert.deepEqual((await readdir(directory)).sort(), ['broker-1', 'zookeeper'])
    assert.equal(zookeeperConnect, `${HOST}:${zookeeper.port}`)
    assert.ok(hasBroker(zookeeper))
    await zookeeper.close()
    assert.equal(await zookeeperLost, null)
  }))

test('brokers that have closed by themselves are missed', () =>
  withCluster(1, async ({ brokers, brokersGone }) => {
    await brokers[0]!.close({ handOver: false })
    await brokersGone
  }))
