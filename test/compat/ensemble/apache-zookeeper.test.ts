/** Brokers on Apache's ZooKeeper: they run unchanged, and two chroots of one server keep two clusters apart. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import {
  Cluster,
  type Implementation,
  type Server,
  TARGET,
  ToolServer,
  Wire,
  batchOf,
  fetch,
  produce,
  runPython,
  startZooKeeper,
  until,
  valuesOf,
} from '../../peers/index.ts'

let tools: ToolServer
let directory: string

before(() => {
  tools = new ToolServer()
  directory = mkdtempSync(join(tmpdir(), 'samsa-ensemble-'))
})

after(async () => {
  await tools?.close()
  rmSync(directory, { recursive: true, force: true })
})

test('three brokers on Apache ZooKeeper: topics, records, groups, and a killed broker', async () => {
  const cluster = await Cluster.start({ brokers: 3, zookeeperImplementation: 'apache' })
  try {
    await cluster.createTopic({ name: 'topic', partitions: 3, replicationFactor: 3 })
    const bootstrap = ['--bootstrap-server', cluster.bootstrap]
    const input = Array.from({ length: 300 }, (_, index) => `${index}:${index}\n`).join('')
    const keyed = ['--property', 'parse.key=true', '--property', 'key.separator=:']
    await tools.run('kafka-console-producer', [...bootstrap, '--topic', 'topic', ...keyed], { input })
    const consume = [...bootstrap, '--topic', 'topic', '--group', 'group', '--from-beginning', '--max-messages']
    const first = (await tools.run('kafka-console-consumer', [...consume, '200'])).stdout
    const victim = await cluster.leaderOf('topic', 1)
    await victim.kill()
    await until('others lead', async () => {
      const { topics } = await cluster.metadata(['topic'])
      return topics[0]!.partitions.every(
        ({ leader, isr }) => leader > 0 && cluster.byId(leader).running && isr.length === 2,
      )
    })
    const rest = (await tools.run('kafka-console-consumer', [...consume, '100'])).stdout
    const values = `${first}${rest}`.trimEnd().split('\n').map(Number)
    assert.deepEqual(
      values.sort((a, b) => a - b),
      Array.from({ length: 300 }, (_, index) => index),
    )
    await victim.startAgain()
    await cluster.ready()
    const znode = await runPython('znode', [cluster.zookeeper!.address, `/brokers/ids/${victim.name.slice(-1)}`])
    assert.equal((JSON.parse(znode.stdout) as { port: number }).port, victim.port)
  } finally {
    await cluster.close()
  }
})

for (const implementation of TARGET === 'apache' ? (['apache'] as const) : (['apache', 'samsa'] as const))
  test(`two clusters under two chroots of one server of ${implementation}`, () => chroots(implementation))

async function chroots(implementation: Implementation): Promise<void> {
  const home = mkdtempSync(join(directory, 'chroots-'))
  const zookeeper: Server = await startZooKeeper({ implementation, directory: home })
  const clusters: Cluster[] = []
  try {
    for (const chroot of ['/red', '/deep/blue'])
      clusters.push(await Cluster.start({ brokers: 2, zookeeper: `${zookeeper.address}${chroot}` }))
    for (const [index, cluster] of clusters.entries()) {
      await cluster.createTopic({ name: 'topic', partitions: 1, replicationFactor: 2 })
      const leader = await cluster.leaderOf('topic')
      const { error } = await Wire.ask(leader.address, (wire) => produce(wire, 'topic', batchOf([`cluster ${index}`])))
      assert.equal(error, 0)
    }
    for (const [index, cluster] of clusters.entries()) {
      const { brokers, topics } = await cluster.metadata(null)
      const ports = (all: readonly { port: number }[]): Set<number> => new Set(all.map(({ port }) => port))
      assert.deepEqual(ports(brokers), ports(cluster.brokers))
      assert.equal(topics.length, 1)
      const leader = await cluster.leaderOf('topic')
      const { records } = await Wire.ask(leader.address, (wire) => fetch(wire, 'topic', 0))
      assert.deepEqual(valuesOf(records), [{ offset: 0, value: `cluster ${index}` }])
    }
    const ids = []
    for (const chroot of ['/red', '/deep/blue'])
      ids.push((await runPython('znode', [`${zookeeper.address}${chroot}`, '/cluster/id'])).stdout)
    assert.notEqual(ids[0], ids[1], 'each cluster has its own identity')
  } finally {
    for (const cluster of clusters) await cluster.close()
    await zookeeper.kill()
  }
}
