/** Our producer's bounds (mission M2.1 to M2.8), each once against three brokers that are processes of their own. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import {
  BufferExhaustedError,
  ClosedError,
  KafkaError,
  Producer,
  TimeoutError,
  type Delivery,
  type ProducerOptions,
} from '#client'
import { ErrorCode } from '#protocol'

import { CODECS, Cluster, type Server, sleep, until } from '../../peers/index.ts'
import { platform, readAll, storedBatches, textOf, upTo } from './own.ts'

const PARTITIONS = 6
/** A batch on disk: where the producer's id and the count of records lie. */
const PRODUCER_ID_POSITION = 43
const RECORD_COUNT_POSITION = 57
/** Back-off is drawn from 0.8 to 1.2 times its length. */
const JITTER_MIN = 0.8

let cluster: Cluster
let topics = 0

before(async () => {
  cluster = await Cluster.start({ brokers: 3, properties: { 'auto.create.topics.enable': false } })
})

after(async () => {
  await cluster?.close()
})

function newProducer(options: Partial<ProducerOptions> = {}): Producer {
  return new Producer(platform, { bootstrapServers: cluster.bootstrap, ...options })
}

async function newTopic(partitions = PARTITIONS, configs: Record<string, string> = {}): Promise<string> {
  const name = `own-${topics++}`
  // Known to all brokers, with all replicas in sync, before one of the brokers is held up.
  await cluster.createTopic({ name, partitions, replicationFactor: 3, configs })
  await until(`${name} has its replicas`, async () => {
    const seen = await cluster.metadata([name])
    return seen.topics[0]!.partitions.every(({ isr }) => isr.length === 3)
  })
  return name
}

/** The work is done while these are stopped with SIGSTOP; far shorter than their session with ZooKeeper. */
async function whilePaused(servers: readonly Server[], work: () => Promise<void>): Promise<void> {
  for (const server of servers) server.pause()
  try {
    await work()
  } finally {
    for (const server of servers) server.resume()
  }
}

async function textsOf(topic: string, partitions = PARTITIONS): Promise<(string | null)[][]> {
  const found = await readAll(cluster.bootstrap, topic, partitions)
  return found.map((records) => records.map(({ value }) => textOf(value)))
}

test('M2.1, M2.2: a full buffer holds send up for max.block.ms, and then it fails', async () => {
  const topic = await newTopic(1)
  const bufferMemory = 65_536
  await using producer = newProducer({ bufferMemory, maxBlockMs: 700 })
  await producer.ready(topic)
  let pushed = 0
  await whilePaused([await cluster.leaderOf(topic)], async () => {
    while (producer.push(topic, { value: `${pushed}`.padEnd(1000, '.') })) pushed += 1
    assert.ok(producer.load.bufferedBytes <= bufferMemory && producer.load.bufferedBytes > bufferMemory / 2)
    const started = performance.now()
    await assert.rejects(producer.send(topic, { value: 'x'.repeat(1000) }), (error: unknown) => {
      assert.ok(error instanceof BufferExhaustedError)
      assert.match(error.message, /max\.block\.ms/)
      return true
    })
    assert.ok(performance.now() - started >= 690, 'not before')
  })
  await producer.flush()
  assert.equal((await textsOf(topic, 1))[0]!.length, pushed, 'what was in the buffer arrives')
})

test('M2.2: send that waits for memory goes on when there is some again', async () => {
  const topic = await newTopic(1)
  await using producer = newProducer({ bufferMemory: 32_768 })
  await producer.ready(topic)
  let pushed = 0
  let held!: Promise<{ offset: number }>
  await whilePaused([await cluster.leaderOf(topic)], async () => {
    while (producer.push(topic, { value: 'x'.repeat(1000) })) pushed += 1
    held = producer.send(topic, { value: 'last' })
    await sleep(100)
    assert.equal(producer.load.waitingSends, 1)
  })
  assert.equal((await held).offset, pushed)
})

test('M2.2: the same bound holds for metadata', async () => {
  await using producer = newProducer({ maxBlockMs: 600 })
  await assert.rejects(producer.send('there-is-none', { value: 'x' }), (error: unknown) => {
    assert.ok(error instanceof TimeoutError && !(error instanceof BufferExhaustedError))
    assert.match(error.message, /max\.block\.ms/)
    return true
  })
})

test('M2.3: batches are filled to batch.size; those of one broker go in one request', async () => {
  const topic = await newTopic(12)
  const batchSize = 4096
  await using producer = newProducer({ batchSize, lingerMs: 50 })
  await producer.sendBatch(
    topic,
    upTo(1200).map((index) => ({ value: `${index}`.padEnd(300, '.'), partition: index % 12 })),
  )
  for (const partition of [0, 11]) {
    const sizes = (await storedBatches(cluster, topic, partition)).map(({ bytes }) => bytes.length)
    assert.ok(
      sizes.every((size) => size <= batchSize),
      sizes.join(),
    )
    assert.ok(sizes.filter((size) => size > batchSize * 0.8).length >= sizes.length - 1, sizes.join())
  }
  await whilePaused(cluster.brokers, async () => {
    const sent = producer.sendBatch(
      topic,
      upTo(12).map((partition) => ({ value: 'x', partition })),
    )
    void sent.catch(() => {})
    await until('all is sent', () => producer.load.requestsInFlight === 3, 3000)
    assert.equal(producer.load.batches, 12)
  })
  await producer.flush()
})

test('M2.4: a batch that is not full goes when linger.ms has passed, a full one at once', async () => {
  const topic = await newTopic(1)
  const deliveries: Delivery[] = []
  const lingerMs = 1500
  {
    await using producer = newProducer({ lingerMs, onDelivery: (delivery) => void deliveries.push(delivery) })
    await producer.ready(topic)
    const started = performance.now()
    const first = producer.send(topic, { value: 'first' })
    await sleep(10)
    await Promise.all([first, producer.send(topic, { value: 'second' })])
    assert.ok(performance.now() - started >= lingerMs - 10)
    assert.deepEqual(
      deliveries.map(({ recordCount }) => recordCount),
      [2],
    )
  }
  await using patient = newProducer({ lingerMs: 80_000, batchSize: 1000, deliveryTimeoutMs: 120_000 })
  const full = upTo(3).map(() => patient.send(topic, { value: 'x'.repeat(400) }))
  // The first two fill a batch; the third would wait for longer than the test may take.
  await Promise.all(full.slice(0, 2))
  await patient.flush()
  await full[2]
})

test('M2.5: a refused batch is sent again `retries` times, retry.backoff.ms apart and more', async () => {
  const topic = await newTopic(1, { 'min.insync.replicas': '3' })
  const leader = await cluster.leaderOf(topic)
  const follower = cluster.brokers.find((server) => server !== leader)!
  await follower.stop()
  await until(
    'the ISR has shrunk',
    async () => (await cluster.metadata([topic])).topics[0]!.partitions[0]!.isr.length === 2,
  )
  await using hasty = newProducer({ retries: 2, retryBackoffMs: 200 })
  const started = performance.now()
  await assert.rejects(hasty.send(topic, { value: 'x' }), (error: unknown) => {
    assert.ok(error instanceof KafkaError)
    assert.equal(error.code, ErrorCode.NOT_ENOUGH_REPLICAS)
    return true
  })
  assert.ok(performance.now() - started >= (200 + 400) * JITTER_MIN, 'two pauses, the second twice the first')
  await using stubborn = newProducer()
  const sent = stubborn.send(topic, { value: 'in the end' })
  await follower.startAgain()
  assert.equal((await sent).offset, 0)
  await cluster.ready()
})

test('M2.6: what is not acknowledged within delivery.timeout.ms fails, whatever retries says', async () => {
  const topic = await newTopic(1)
  const deliveryTimeoutMs = 1500
  await using producer = newProducer({ deliveryTimeoutMs, requestTimeoutMs: 1000 })
  await producer.ready(topic)
  await producer.send(topic, { value: 'before' })
  await whilePaused([await cluster.leaderOf(topic)], async () => {
    const started = performance.now()
    await assert.rejects(producer.send(topic, { value: 'late' }), (error: unknown) => {
      assert.ok(error instanceof TimeoutError)
      assert.match(error.message, /delivery\.timeout\.ms/)
      return true
    })
    assert.ok(performance.now() - started >= deliveryTimeoutMs - 10)
  })
  await producer.send(topic, { value: 'after' })
  // The broker has the late one in its socket, and may take it: then as the second, never behind the third.
  const [values] = await textsOf(topic, 1)
  assert.deepEqual(
    values!.filter((value) => value !== 'late'),
    ['before', 'after'],
  )
  assert.ok(values!.lastIndexOf('late') <= 1)
})

test('M2.5, M2.8: order survives retries with five requests in flight, and nothing is doubled', async () => {
  const topic = await newTopic()
  const total = 6000
  await using producer = newProducer({ batchSize: 1000, retryBackoffMs: 20, requestTimeoutMs: 300 })
  assert.equal(producer.config.maxInFlightRequestsPerConnection, 5)
  // Longer than a request may take: the leader has what was sent to it, and gets it again over a new connection.
  const sent: Promise<unknown>[] = []
  let disturbance = Promise.resolve()
  // And then a broker hands its leaderships over and goes.
  const left = await cluster.leaderOf(topic, 1)
  for (const index of upTo(total)) {
    sent.push(producer.send(topic, { value: `${index}`.padEnd(50, '.'), partition: index % PARTITIONS }))
    if (index % 50 === 0) await sleep(5)
    if (index === total / 4) disturbance = whilePaused([await cluster.leaderOf(topic)], () => sleep(1000))
    if (index === total / 2) disturbance = disturbance.then(() => left.stop())
  }
  await disturbance
  await Promise.all(sent)
  await left.startAgain()
  await cluster.ready()
  for (const [partition, values] of (await textsOf(topic)).entries())
    assert.deepEqual(
      values.map((value) => Number.parseInt(value!, 10)),
      upTo(total / PARTITIONS).map((index) => index * PARTITIONS + partition),
    )
})

test('M2.7: records without a key spread evenly over partitions and brokers', async () => {
  for (const adaptive of [true, false]) {
    const topic = await newTopic()
    await using producer = newProducer({ partitionerAdaptivePartitioningEnable: adaptive })
    const total = 12_000
    for (let sent = 0; sent < total; sent += 400)
      await producer.sendBatch(
        topic,
        upTo(400).map(() => ({ value: 'x'.repeat(1000) })),
      )
    const counts = (await textsOf(topic)).map(({ length }) => length)
    const mean = total / PARTITIONS
    assert.ok(
      counts.every((count) => count > mean * 0.6 && count < mean * 1.4),
      counts.join(),
    )
  }
})

test('M2.7: round-robin on request, a partition by its number, and a key always in one place', async () => {
  const topic = await newTopic()
  await using producer = newProducer({ partitioner: 'roundRobin' })
  await producer.sendBatch(
    topic,
    upTo(PARTITIONS * 50).map(() => ({ value: 'x' })),
  )
  assert.deepEqual(
    (await textsOf(topic)).map(({ length }) => length),
    upTo(PARTITIONS).map(() => 50),
  )
  for (const partition of upTo(PARTITIONS))
    assert.equal((await producer.send(topic, { value: 'pinned', partition })).partition, partition)
  await using keyed = newProducer()
  for (const key of ['a', 'ключ', 'third'])
    assert.equal(
      new Set((await Promise.all(upTo(20).map(() => keyed.send(topic, { key, value: 'x' })))).map((at) => at.partition))
        .size,
      1,
    )
})

test('M2.8: acks 0, 1 and all', async () => {
  const topic = await newTopic(1)
  for (const acks of [0, 1, 'all'] as const) {
    await using producer = newProducer({ acks })
    const { offset } = await producer.send(topic, { value: `acks ${acks}` })
    assert.equal(offset === -1, acks === 0)
    await until('it is there', async () => (await textsOf(topic, 1))[0]!.includes(`acks ${acks}`))
  }
})

for (const codec of CODECS)
  test(`M2.8: ${codec}, with the producer's id in each batch`, async () => {
    const topic = await newTopic(1)
    const values = upTo(2000).map((index) => `${index} `.padEnd(100, 'abc'))
    {
      await using producer = newProducer({ compressionType: codec })
      await producer.sendBatch(
        topic,
        values.map((value) => ({ value })),
      )
    }
    assert.deepEqual(await textsOf(topic, 1), [values])
    const batches = await storedBatches(cluster, topic, 0)
    assert.deepEqual(new Set(batches.map((batch) => batch.codec)), new Set([codec]))
    assert.ok(batches.every(({ bytes }) => bytes.readBigInt64BE(PRODUCER_ID_POSITION) >= 0n))
    assert.equal(
      batches.reduce((sum, { bytes }) => sum + bytes.readInt32BE(RECORD_COUNT_POSITION), 0),
      values.length,
    )
  })

test('a batch that is larger than the topic takes is split', async () => {
  const topic = await newTopic(1, { 'max.message.bytes': '2000' })
  await using producer = newProducer()
  const values = upTo(50).map((index) => `${index}`.padEnd(300, '.'))
  const { runs } = await producer.sendBatch(
    topic,
    values.map((value) => ({ value })),
  )
  assert.ok(runs.length > 1)
  assert.deepEqual(await textsOf(topic, 1), [values])
})

test('flush and close send what waits; a close that has no more time fails the rest', async () => {
  const topic = await newTopic(1)
  const lingering = { lingerMs: 80_000, deliveryTimeoutMs: 120_000 }
  const producer = newProducer(lingering)
  const flushed = producer.send(topic, { value: 'flushed' })
  await producer.flush()
  assert.equal((await flushed).offset, 0)
  const closed = producer.send(topic, { value: 'closed' })
  await producer.close()
  assert.equal((await closed).offset, 1)
  await assert.rejects(producer.send(topic, { value: 'x' }), ClosedError)
  const cut = newProducer()
  await cut.ready(topic)
  await whilePaused([await cluster.leaderOf(topic)], async () => {
    const lost = assert.rejects(cut.send(topic, { value: 'cut off' }), ClosedError)
    await cut.close({ timeoutMs: 200 })
    await lost
  })
})
