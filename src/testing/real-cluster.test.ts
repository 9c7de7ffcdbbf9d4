/** Clusters within the test's process. Real time passes here, and nothing depends on how much. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { KafkaError, type Consumer } from '#client'
import { ClusterOptionsError, startCluster, type ClusterOptions, type TestCluster } from '#testing'

/** The next so many values that the consumer gives. */
async function values(consumer: Consumer, count: number): Promise<string[]> {
  const found: string[] = []
  for await (const record of consumer) if (found.push(Buffer.from(record.value ?? []).toString()) === count) break
  return found
}

function reader(cluster: TestCluster): Consumer {
  const consumer = cluster.consumer({ autoOffsetReset: 'earliest' })
  consumer.assign([{ topic: 'orders', partition: 0 }])
  return consumer
}

/** Where the partition is led from, as the cluster's clients hear it. */
async function leaderOf(cluster: TestCluster): Promise<number> {
  await using admin = cluster.admin()
  const [topic] = await admin.describeTopics(['orders'])
  return topic!.partitions[0]!.leader
}

test('three brokers know each other and the topics; records go through a group', async () => {
  await using cluster = await startCluster({ topics: ['orders', { name: 'payments', partitions: 4 }] })
  assert.deepEqual(
    cluster.brokers.map(({ id, isRunning }) => [id, isRunning]),
    [1, 2, 3].map((id) => [id, true]),
  )
  assert.ok(cluster.controller)
  await using admin = cluster.admin()
  const topics = await admin.describeTopics(['orders', 'payments'])
  assert.deepEqual(
    topics.map(({ name, partitions }) => [name, partitions.length, partitions[0]!.isr.length]),
    [
      ['orders', 1, 3],
      ['payments', 4, 3],
    ],
  )
  await using producer = cluster.producer()
  await producer.sendBatch('orders', [{ value: 'a' }, { value: 'b' }])
  await using consumer = cluster.consumer({ groupId: 'shop', autoOffsetReset: 'earliest' })
  consumer.subscribe('orders')
  assert.deepEqual(await values(consumer, 2), ['a', 'b'])
})

test('an ensemble of ZooKeeper servers serves the brokers', async () => {
  await using cluster = await startCluster({ brokers: 1, zookeepers: 3, topics: ['orders'] })
  assert.equal(cluster.zookeeperConnect.split(',').length, 3)
  await cluster.createTopics('payments')
  await cluster.producer().send('orders', { value: 'one' })
  assert.deepEqual(await values(reader(cluster), 1), ['one'])
})

test('several clusters at once know nothing of each other', async () => {
  await using one = await startCluster({ brokers: 1, topics: ['orders'] })
  await using other = await startCluster({ brokers: 2, topics: ['orders'] })
  await one.producer().send('orders', { value: 'one' })
  await other.producer().send('orders', { value: 'other' })
  assert.deepEqual(await values(reader(one), 1), ['one'])
  assert.deepEqual(await values(reader(other), 1), ['other'])
})

test('a broker that stops hands over, and comes back at its address with its data', async () => {
  await using cluster = await startCluster({ topics: ['orders'] })
  const producer = cluster.producer()
  await producer.send('orders', { value: 'before' })
  const leader = cluster.broker(await leaderOf(cluster))
  const { port } = leader
  await leader.stop()
  assert.equal(leader.isRunning, false)
  assert.notEqual(await leaderOf(cluster), leader.id)
  await producer.send('orders', { value: 'meanwhile' })
  await leader.start()
  assert.equal(leader.isRunning, true)
  assert.equal(leader.port, port)
  assert.deepEqual(await values(reader(cluster), 2), ['before', 'meanwhile'])
})

test('a killed broker is replaced when its session has ended, and what was acknowledged is still there', async () => {
  await using cluster = await startCluster({ topics: ['orders'], settings: { 'min.insync.replicas': 2 } })
  const producer = cluster.producer()
  await producer.send('orders', { value: 'before' })
  const leader = cluster.broker(await leaderOf(cluster))
  await leader.kill()
  assert.equal(leader.isRunning, false)
  await producer.send('orders', { value: 'after' })
  assert.deepEqual(await values(reader(cluster), 2), ['before', 'after'])
  await leader.start()
  await Promise.all([leader.start(), cluster.broker(1).start()])
  assert.deepEqual(await values(reader(cluster), 2), ['before', 'after'])
})

test('all brokers can be killed at once, and what they wrote is there when they return', async () => {
  await using cluster = await startCluster({ topics: ['orders'] })
  const producer = cluster.producer()
  await producer.send('orders', { value: 'kept' })
  await Promise.all(cluster.brokers.map((broker) => broker.kill()))
  assert.equal(cluster.controller, null)
  await Promise.all(cluster.brokers.map((broker) => broker.start()))
  assert.deepEqual(await values(reader(cluster), 1), ['kept'])
})

test('in a folder the data outlives the cluster', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'samsa-testing-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  const options: ClusterOptions = { brokers: 1, dataDirectory: folder }
  {
    await using cluster = await startCluster({ ...options, topics: ['orders'] })
    await cluster.producer().send('orders', { value: 'kept' })
  }
  assert.deepEqual(readdirSync(folder).sort(), ['broker-1', 'zookeeper'])
  await using cluster = await startCluster(options)
  assert.deepEqual(await values(reader(cluster), 1), ['kept'])
})

test('topics can be added, and a topic that cannot be says why', async () => {
  await using cluster = await startCluster({ brokers: 1 })
  await cluster.createTopics('orders', { name: 'payments', partitions: 2, configs: { 'max.message.bytes': '1000' } })
  await assert.rejects(cluster.createTopics('orders'), { codeName: 'TOPIC_ALREADY_EXISTS' })
  await assert.rejects(startCluster({ brokers: 1, topics: [{ name: 't', replicationFactor: 2 }] }), KafkaError)
})

test('a close settles loops that are still waiting for records', async () => {
  const cluster = await startCluster({ brokers: 1, topics: ['orders'] })
  const consumer = cluster.consumer({ groupId: 'g' })
  consumer.subscribe('orders')
  const loop = values(consumer, 1)
  await Promise.all([cluster.close(), cluster.close()])
  assert.deepEqual(await loop, [])
  assert.deepEqual(
    cluster.brokers.map(({ isRunning }) => isRunning),
    [false],
  )
  await assert.rejects(cluster.broker(1).start(), { name: 'ClusterClosedError' })
})

test('wrong options are named', async () => {
  const table: [unknown, RegExp][] = [
    [{ broker: 3 }, /no option broker; there are brokers, topics, settings, zookeepers, dataDirectory, logLevel/],
    [{ brokers: 0 }, /brokers is 0, and must be a whole number from 1 to 100/],
    [{ brokers: '3' }, /brokers is '3'/],
    [{ zookeepers: 0 }, /zookeepers is 0, and must be a whole number from 1 to 9/],
    [{ topics: 'orders' }, /topics is 'orders', and must be a list/],
    [{ topics: [{ partitions: 3 }] }, /topics is \{ partitions: 3 \}/],
    [{ settings: { 'broker.id': 7 } }, /setting broker.id differs from broker to broker/],
    [{ settings: { 'num.partitions': null } }, /settings\["num.partitions"\] is null/],
    [{ dataDirectory: '' }, /dataDirectory is '', and must be the path of a folder/],
    [{ logLevel: 'loud' }, /logLevel is 'loud', and must be one of debug, info, warn, error/],
  ]
  for (const [options, message] of table)
    await assert.rejects(startCluster(options as ClusterOptions), (error) => {
      assert.ok(error instanceof ClusterOptionsError)
      assert.match(error.message, message)
      return true
    })
  await assert.rejects(startCluster({ brokers: 1, settings: { 'num.partitions': 'many' } }), /num.partitions/)
  await using cluster = await startCluster({ brokers: 1 })
  assert.throws(() => cluster.broker(2), /there is no broker 2; there are 1/)
})

test('the process ends by itself, with a broker killed and a client left open', () => {
  const program = `
    import { startCluster } from '#testing'
    const cluster = await startCluster({ brokers: 2, topics: ['t'] })
    await cluster.producer().send('t', { value: 'x' })
    await cluster.broker(1).kill()
    await cluster.close()
    console.log(process.getActiveResourcesInfo().filter((what) => what !== 'PipeWrap').join())
  `
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
  })
  assert.deepEqual({ stdout, stderr, status }, { stdout: '\n', stderr: '', status: 0 })
})
