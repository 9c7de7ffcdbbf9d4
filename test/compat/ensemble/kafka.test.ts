/** Three brokers of Apache Kafka 3.9 on three ZooKeeper servers of ours, which lose their leader. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { CLIENTS, Cluster, Ensemble, until } from '../../peers/index.ts'

const RECORDS = 1000

let ensemble: Ensemble
let cluster: Cluster
let directory: string

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'samsa-ensemble-kafka-'))
  ensemble = await Ensemble.start()
  const zookeeper = `${ensemble.connect}/kafka`
  cluster = await Cluster.start({ brokers: 3, implementation: 'apache', zookeeper, heap: '256M' })
})

after(async () => {
  await cluster?.close()
  await ensemble?.close()
  rmSync(directory, { recursive: true, force: true })
})

test('topics are created, written and read', async () => {
  await cluster.createTopic({ name: 'first', partitions: 3, replicationFactor: 3 })
  await roundTrip('first')
})

test('nothing of that needs the leader of the ensemble: it is killed, brokers and controller stay', async () => {
  const { controllerId } = await cluster.metadata()
  const killed = await ensemble.killLeader()
  await until('a topic can be created again', async () => {
    await cluster.createTopic({ name: 'second', partitions: 2, replicationFactor: 3 })
    return true
  })
  await roundTrip('second')
  const { brokers, controllerId: afterwards } = await cluster.metadata()
  assert.equal(brokers.length, 3)
  assert.equal(afterwards, controllerId, 'its session survived, and so did its office')
  killed.start()
  await ensemble.ready()
})

test('the controller is killed, and the leader of the ensemble with it: another one is elected and leads go over', async () => {
  const { controllerId } = await cluster.metadata()
  const controller = cluster.byId(controllerId)
  await controller.kill()
  const killed = await ensemble.killLeader()
  await until(
    'another controller',
    async () => {
      const { controllerId: next, brokers } = await cluster.metadata()
      return next > 0 && next !== controllerId && brokers.length === 2
    },
    40_000,
  )
  await until('the other two lead', async () => {
    const { topics } = await cluster.metadata(['first', 'second'])
    return topics.every(({ partitions }) =>
      partitions.every(({ leader, isr }) => leader > 0 && leader !== controllerId && isr.length === 2),
    )
  })
  killed.start()
  await ensemble.ready()
  await cluster.createTopic({ name: 'third', partitions: 2, replicationFactor: 2 })
  await roundTrip('third')
  await controller.startAgain()
  await cluster.ready()
  await until('it is in step again', async () => {
    const { topics } = await cluster.metadata(['first', 'second'])
    return topics.every(({ partitions }) => partitions.every(({ isr }) => isr.length === 3))
  })
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
