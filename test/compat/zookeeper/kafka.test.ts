/** A real Apache Kafka 3.9 broker runs on our server: it elects itself controller, keeps topics, survives the server's restart. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { CLIENTS, Cluster, until } from '../../peers/index.ts'

const RECORDS = 1000

let cluster: Cluster
let directory: string

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'samsa-zookeeper-kafka-'))
  cluster = await Cluster.start({ brokers: 2, implementation: 'apache', zookeeperImplementation: 'samsa' })
})

after(async () => {
  await cluster?.close()
  rmSync(directory, { recursive: true, force: true })
})

test('topics are created, written and read', async () => {
  await cluster.createTopic({ name: 'first', partitions: 3, replicationFactor: 2 })
  await roundTrip('first')
})

test('the cluster goes on after the death and return of its ZooKeeper server', async () => {
  const { controllerId } = await cluster.metadata()
  await cluster.zookeeper!.kill()
  cluster.zookeeper!.start()
  await cluster.zookeeper!.accepting()
  await until('a topic can be created again', async () => {
    await cluster.createTopic({ name: 'second', partitions: 2, replicationFactor: 2 })
    return true
  })
  await roundTrip('second')
  assert.equal((await cluster.metadata()).controllerId, controllerId, 'its session survived, and so did its office')
})

test('a killed broker is missed, and another one leads', async () => {
  const leader = await cluster.leaderOf('first', 0)
  await leader.kill()
  await until('the other broker leads', async () => (await cluster.leaderOf('first', 0)) !== leader, 20_000)
})

async function roundTrip(topic: string): Promise<void> {
  const [sent, received] = [join(directory, `${topic}-sent`), join(directory, `${topic}-received`)]
  const lines = Array.from({ length: RECORDS }, (_, index) => `record ${index}`)
  writeFileSync(sent, `${lines.join('\n')}\n`)
  await CLIENTS.kcat.produce(cluster.bootstrap, topic, 'none', sent)
  await CLIENTS.kcat.consume(cluster.bootstrap, topic, RECORDS, received)
  const values = readFileSync(received, 'utf8').trimEnd().split('\n')
  assert.equal(values.length, RECORDS)
  assert.deepEqual(new Set(values.map((line) => line.split('\t')[1])), new Set(lines))
}
