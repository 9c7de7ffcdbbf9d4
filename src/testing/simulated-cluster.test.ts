/** Clusters in a simulated world: virtual time, and the same again for the same seed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Producer, type Consumer } from '#client'
import {
  ClusterOptionsError,
  SimulationError,
  simulateCluster,
  type SimulatedBroker,
  type SimulatedCluster,
  type SimulationOptions,
} from '#testing'

async function values(consumer: Consumer, count: number): Promise<string[]> {
  const found: string[] = []
  for await (const record of consumer) if (found.push(Buffer.from(record.value ?? []).toString()) === count) break
  return found
}

function read(cluster: SimulatedCluster, count: number): Promise<string[]> {
  const consumer = cluster.consumer({ autoOffsetReset: 'earliest' })
  consumer.assign([{ topic: 'orders', partition: 0 }])
  return cluster.until(values(consumer, count))
}

/** Who leads the partition, as the cluster's clients hear it. */
function leaderOf(cluster: SimulatedCluster): Promise<SimulatedBroker> {
  return cluster.run(async () => {
    await using admin = cluster.admin()
    const [topic] = await admin.describeTopics(['orders'])
    return cluster.broker(topic!.partitions[0]!.leader)
  })
}

test('records go through a group, in virtual time', async () => {
  await using cluster = await simulateCluster({ topics: ['orders'] })
  await using producer = cluster.producer()
  await cluster.until(producer.sendBatch('orders', [{ value: 'a' }, { value: 'b' }]))
  await using consumer = cluster.consumer({ groupId: 'shop', autoOffsetReset: 'earliest' })
  consumer.subscribe('orders')
  assert.deepEqual(await cluster.until(values(consumer, 2)), ['a', 'b'])
})

test('time stands still but when the test lets it pass', async () => {
  await using cluster = await simulateCluster({ brokers: 1, topics: ['orders'] })
  const producer = cluster.producer({ lingerMs: 60_000 })
  await cluster.until(producer.send('orders', { value: 'now' }))
  let acknowledgedMs: number | null = null
  const sent = producer.send('orders', { value: 'later' }).then(() => (acknowledgedMs = cluster.nowMs))
  const sentMs = cluster.nowMs
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(cluster.nowMs, sentMs)
  await cluster.advance(59_000)
  assert.equal(cluster.nowMs, sentMs + 59_000)
  assert.equal(acknowledgedMs, null)
  await cluster.advance(2000)
  await sent
  assert.ok(acknowledgedMs! >= sentMs + 60_000)
})

test('several may wait at once, each for its own', async () => {
  await using cluster = await simulateCluster({ brokers: 1 })
  const startedMs = cluster.nowMs
  const order: string[] = []
  const note = (what: string) => () => void order.push(`${what} ${Math.round(cluster.nowMs - startedMs)}`)
  await Promise.all([
    cluster.advance(300).then(note('long')),
    cluster.advance(100).then(note('short')),
    cluster.until(() => cluster.nowMs >= startedMs + 200).then(note('condition')),
    cluster.run(() => cluster.advance(50)).then(note('within')),
  ])
  assert.deepEqual(order, ['within 50', 'short 100', 'condition 200', 'long 300'])
})

test('a killed leader is replaced after its session, and nothing that was acknowledged is lost', async () => {
  await using cluster = await simulateCluster({ topics: ['orders'], settings: { 'min.insync.replicas': 2 } })
  const producer = cluster.producer()
  await cluster.until(producer.send('orders', { value: 'before' }))
  const leader = await leaderOf(cluster)
  await leader.kill()
  assert.equal(leader.isRunning, false)
  const killedMs = cluster.nowMs
  await cluster.until(producer.send('orders', { value: 'after' }))
  const tookMs = cluster.nowMs - killedMs
  assert.ok(tookMs > 1000 && tookMs < 4000, `${tookMs} ms`)
  await leader.start()
  assert.deepEqual(await read(cluster, 2), ['before', 'after'])
})

test('stop, pause, isolation and loss of power', async () => {
  await using cluster = await simulateCluster({ topics: ['orders'], settings: { 'log.flush.interval.messages': 1 } })
  const producer = cluster.producer()
  const send = (value: string) => cluster.until(producer.send('orders', { value }))
  await send('first')
  const stopped = await leaderOf(cluster)
  await stopped.stop()
  await send('without one')
  await stopped.start()

  const paused = await leaderOf(cluster)
  paused.pause()
  await send('while one sleeps')
  paused.resume()

  const isolated = await leaderOf(cluster)
  isolated.isolate()
  await send('while one is alone')
  cluster.heal()

  await cluster.advance(60_000)
  await Promise.all(cluster.brokers.map((broker) => broker.powerFail()))
  assert.equal(cluster.controller, null)
  await Promise.all(cluster.brokers.map((broker) => broker.start()))
  const all = ['first', 'without one', 'while one sleeps', 'while one is alone']
  assert.deepEqual(await read(cluster, 4), all)
})

test('one seed gives one run, another seed another', async () => {
  const story = async (seed: number): Promise<string[]> => {
    const lines: string[] = []
    await using cluster = await simulateCluster({ seed, topics: ['orders'], onLog: (_, line) => lines.push(line) })
    const producer = cluster.producer()
    await cluster.until(producer.send('orders', { value: 'x' }))
    await cluster.broker(1).kill()
    await cluster.advance(5000)
    await cluster.broker(1).start()
    lines.push(String(cluster.nowMs))
    return lines
  }
  const [one, other] = [await story(7), await story(8)]
  assert.deepEqual(await story(7), one)
  assert.notDeepEqual(other, one)
  assert.ok(one.length > 10)
})

test('what does not come about is told with the seed and the time that it was given', async () => {
  await using cluster = await simulateCluster({ seed: 3, brokers: 1 })
  const error = { name: 'SimulationError', message: /^seed 3: .* within 5000 ms of virtual time$/ }
  await assert.rejects(cluster.until(new Promise(() => {}), { withinMs: 5000 }), error)
  await assert.rejects(
    cluster.until(() => false, { withinMs: 5000 }),
    error,
  )
  await assert.rejects(cluster.until(Promise.reject(new Error('its own'))), /its own/)
})

test('an error that nobody caught on the way is told where time passes', async () => {
  const cluster = await simulateCluster({ brokers: 1 })
  cluster.producer()
  cluster.platform.clock.setTimer(5, () => {
    throw new Error('lost')
  })
  await assert.rejects(cluster.advance(10), (error) => error instanceof SimulationError && /lost/.test(error.message))
  await cluster.close()
  await assert.rejects(cluster.broker(1).start(), { name: 'ClusterClosedError' })
})

test('programs make their own clients on the platform of the cluster', async () => {
  await using cluster = await simulateCluster({ brokers: 1, topics: ['orders'] })
  const own = new Producer(cluster.platform, { bootstrapServers: cluster.bootstrapServers })
  await cluster.run(async () => {
    await own.send('orders', { value: 'x' })
    await own.close()
  })
  assert.deepEqual(await read(cluster, 1), ['x'])
})

test('wrong options are named', async () => {
  const table: [unknown, RegExp][] = [
    [{ seed: 1.5 }, /seed is 1.5, and must be a whole number/],
    [{ dataDirectory: 'x' }, /no option dataDirectory/],
    [{ onLog: true }, /onLog is true, and must be a function/],
  ]
  for (const [options, message] of table)
    await assert.rejects(
      simulateCluster(options as SimulationOptions),
      (error) => error instanceof ClusterOptionsError && message.test(error.message),
    )
})
