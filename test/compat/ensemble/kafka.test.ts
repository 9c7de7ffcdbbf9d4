/** Three brokers of Apache Kafka 3.9 on three ZooKeeper servers of ours, which lose their leader. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { type Cluster, Ensemble, until } from '../../peers/index.ts'
import { ApacheKafka } from './apache-kafka.ts'

let ensemble: Ensemble
let kafka: ApacheKafka
let cluster: Cluster

before(async () => {
  ensemble = await Ensemble.start()
  kafka = await ApacheKafka.start({ brokers: 3, zookeeper: `${ensemble.connect}/kafka`, heap: '256M' })
  cluster = kafka.cluster
})

after(async () => {
  await kafka?.close()
  await ensemble?.close()
})

test('topics are created, written and read', async () => {
  await kafka.createTopic('first', 3)
  await kafka.roundTrip('first')
})

test('nothing of that needs the leader of the ensemble: it is killed, brokers and controller stay', async () => {
  const { controllerId } = await cluster.metadata()
  const killed = await ensemble.killLeader()
  await until('a topic can be created again', async () => {
    await kafka.createTopic('second', 2)
    return true
  })
  await kafka.roundTrip('second')
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
  await kafka.createTopic('third', 2)
  await kafka.roundTrip('third')
  await controller.startAgain()
  await cluster.ready()
  await until('it is in step again', async () => {
    const { topics } = await cluster.metadata(['first', 'second'])
    return topics.every(({ partitions }) => partitions.every(({ isr }) => isr.length === 3))
  })
})
