/** A real Apache Kafka 3.9 broker runs on our server: it elects itself controller, keeps topics, survives the server's restart. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { type Cluster, until } from '../../peers/index.ts'
import { ApacheKafka } from '../ensemble/apache-kafka.ts'

let kafka: ApacheKafka
let cluster: Cluster

before(async () => {
  kafka = await ApacheKafka.start({ brokers: 2 })
  cluster = kafka.cluster
})

after(() => kafka?.close())

test('topics are created, written and read', async () => {
  await kafka.createTopic('first', 3)
  await kafka.roundTrip('first')
})

test('the cluster goes on after the death and return of its ZooKeeper server', async () => {
  const { controllerId } = await cluster.metadata()
  await cluster.zookeeper!.kill()
  cluster.zookeeper!.start()
  await cluster.zookeeper!.accepting()
  await until('a topic can be created again', async () => {
    await kafka.createTopic('second', 2)
    return true
  })
  await kafka.roundTrip('second')
  assert.equal((await cluster.metadata()).controllerId, controllerId, 'its session survived, and so did its office')
})

test('a killed broker is missed, and another one leads', async () => {
  const leader = await cluster.leaderOf('first', 0)
  await leader.kill()
  await until('the other broker leads', async () => (await cluster.leaderOf('first', 0)) !== leader, 20_000)
})
