/** The producer's bounds (mission M2.1 to M2.8), in virtual time against brokers that a test bends as it likes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { silentLogger, sleep, type Platform } from '#platform'
import { ErrorCode } from '#protocol'
import { World, type SimulatedProcess } from '#simulation'

import type { ProducerOptions } from '../config.ts'
import {
  BufferExhaustedError,
  ClosedError,
  ConfigError,
  KafkaError,
  RecordTooLargeError,
  TimeoutError,
} from '../errors.ts'
import type { Delivery } from './delivery.ts'
import { Producer } from './producer.ts'
import { FakeCluster, hostOf } from './testing.ts'

interface Scene {
  readonly fake: FakeCluster
  readonly world: World
  readonly platform: Platform
  readonly brokers: readonly SimulatedProcess[]
  readonly producer: (options?: Partial<ProducerOptions>) => Producer
}

/** Runs the test as the program of a client machine. Whatever it leaves open is closed, and nothing may go wrong unseen. */
async function scene(run: (scene: Scene) => Promise<void>, fake = new FakeCluster(), seed = 1): Promise<void> {
  const world = new World(seed)
  const brokers = fake.brokerIds.map((id) => {
    const process = world.process(hostOf(id))
    process.start((platform) => fake.run(platform, id))
    return process
  })
  let failure: unknown = null
  let isDone = false
  world.process('client').start(async (platform) => {
    const quiet = { ...platform, logger: silentLogger }
    const producers: Producer[] = []
    try {
      await run({
        fake,
        world,
        platform: quiet,
        brokers,
        producer(options = {}) {
          const producer = new Producer(quiet, { bootstrapServers: fake.bootstrapServers, ...options })
          producers.push(producer)
          return producer
        },
      })
    } catch (error) {
      failure = error
    }
    await Promise.all(producers.map((producer) => producer.close({ timeoutMs: 0 })))
    isDone = true
  })
  await world.runUntil(() => isDone, 1_000_000, 100)
  if (failure !== null) throw failure
  assert.ok(isDone, 'the test did not end')
  assert.deepEqual(world.findings, [])
}

function kilobyte(name: string): string {
  return name.padEnd(1000, '.')
}

function nameOf(value: string): string {
  return value.replace(/\.+$/, '')
}

test('a record arrives, and its promise tells where', () =>
  scene(async ({ fake, producer }) => {
    const [partition] = fake.createTopic('t', 1)
    const metadata = await producer().send('t', { value: 'hello', timestamp: 7 })
    assert.deepEqual(metadata, { topic: 't', partition: 0, offset: 0, timestamp: 7 })
    assert.deepEqual(partition!.values, ['hello'])
  }))

test('M2.1: what is not acknowledged stays within buffer.memory, and all of it is given back', () =>
  scene(async ({ fake, producer, brokers }) => {
    fake.createTopic('t', 3)
    const client = producer({ bufferMemory: 8 * 4096, batchSize: 4096, lingerMs: 100 })
    await client.ready('t')
    for (const broker of brokers) broker.pause()
    let taken = 0
    while (client.push('t', { value: kilobyte(`${taken}`) })) taken += 1
    // Three records of a kilobyte have room in a batch, and eight batches in the buffer.
    assert.equal(taken, 24)
    assert.equal(client.load.bufferedBytes, 8 * 4096)
    for (const broker of brokers) broker.resume()
    await client.ready('t')
    await client.flush()
    assert.equal(client.load.bufferedBytes, 0)
    assert.equal(
      fake.topics.get('t')!.reduce((sum, { values }) => sum + values.length, 0),
      24,
    )
  }))

test('M2.2: a full buffer blocks a send for max.block.ms, and then it fails; with room it goes on, in order', () =>
  scene(async ({ fake, platform, producer, brokers }) => {
    const [partition] = fake.createTopic('t', 1)
    const client = producer({ bufferMemory: 2048, batchSize: 1024, maxBlockMs: 5000 })
    await client.send('t', { value: 'first' })
    for (const broker of brokers) broker.pause()
    const begunMs = platform.clock.monotonic()
    const fitting = [0, 1].map((index) => client.send('t', { value: `${index}`.padEnd(800, '.') }))
    const late = await client.send('t', { value: 'late'.padEnd(800, '.') }).catch((error: unknown) => error)
    assert.ok(late instanceof BufferExhaustedError)
    assert.match(late.message, /max\.block\.ms \(5000\): 2048 of 2048 bytes/)
    assert.ok(late.retriable)
    const waitedMs = platform.clock.monotonic() - begunMs
    assert.ok(waitedMs >= 5000 && waitedMs < 5100, `${waitedMs}`)

    const blocked = [2, 3, 4].map((index) => client.send('t', { value: `${index}`.padEnd(800, '.') }))
    assert.equal(client.load.waitingSends, 3)
    for (const broker of brokers) broker.resume()
    await Promise.all([...fitting, ...blocked])
    assert.deepEqual(partition!.values.map(nameOf), ['first', '0', '1', '2', '3', '4'])
  }))

test('M2.2: ready waits for as much room as the record that push refused needs, and for its partition', () =>
  scene(async ({ fake, platform, producer, brokers }) => {
    const [partition] = fake.createTopic('t', 1)
    const client = producer({ bufferMemory: 8192, batchSize: 1024 })
    await client.ready('t')
    for (const broker of brokers) broker.pause()
    for (let index = 0; index < 4; index++) client.push('t', { value: 'x'.repeat(900) })
    const large = { value: 'y'.repeat(6000) }
    assert.equal(client.push('t', large), false)
    assert.ok(client.load.bufferedBytes + 1024 <= 8192, 'a batch would have room')
    let isReady = false
    const ready = client.ready('t').then(() => (isReady = true))
    await sleep(platform.clock, 1000)
    assert.equal(isReady, false)
    for (const broker of brokers) broker.resume()
    await ready
    assert.equal(client.push('t', large), true)
    await client.flush()
    assert.equal(partition!.values.at(-1)!.length, 6000)

    assert.equal(client.push('t', { value: 'z', partition: 1 }), false)
    const grown = client.ready('t')
    await sleep(platform.clock, 300)
    fake.createTopic('t', 2)
    await grown
    assert.equal(client.push('t', { value: 'z', partition: 1 }), true)
    assert.equal(client.push('t', { value: 'z', partition: 2 }), false)
    await assert.rejects(client.ready('t'), /fewer partitions/)
    await client.ready('t')
  }))

test('values that lie packed are sent as records one by one are, each once and in order', () =>
  scene(async ({ fake, producer }) => {
    const text = Array.from({ length: 3000 }, (_, index) => `value ${index} ${'x'.repeat(index % 50)}`)
    const bytes = Buffer.from(text.join(''))
    const bounds = new Int32Array(text.length * 2)
    let at = 0
    text.forEach((value, index) => {
      bounds[2 * index] = at
      bounds[2 * index + 1] = at += value.length
    })
    const pushAll = async (client: ReturnType<typeof producer>, topic: string, partition?: number): Promise<void> => {
      const values = { bytes, bounds, count: text.length }
      for (let from = 0; from < text.length;) {
        from += client.pushValues(topic, values, { from, partition })
        if (from < text.length) await client.ready(topic)
      }
      await client.flush()
    }
    const [pinned] = fake.createTopic('pinned', 2).slice(1)
    const client = producer({ batchSize: 2048, bufferMemory: 8192 })
    await pushAll(client, 'pinned', 1)
    assert.deepEqual(pinned!.values.map(nameOf), text)

    const shared = fake.createTopic('shared', 3)
    await pushAll(client, 'shared')
    const byPartition = shared.map(({ values }) => values.map(nameOf))
    assert.deepEqual(byPartition.flat().sort(), text.toSorted())
    const place = new Map(text.map((value, index) => [value, index]))
    for (const values of byPartition) {
      const places = values.map((value) => place.get(value)!)
      assert.deepEqual(
        places,
        places.toSorted((a, b) => a - b),
      )
      assert.ok(values.length > 0, 'each partition has its share')
    }

    const turns = fake.createTopic('turns', 3)
    await pushAll(producer({ partitioner: 'roundRobin' }), 'turns')
    assert.deepEqual(
      turns.map(({ values }) => values.length),
      [1000, 1000, 1000],
    )

    fake.createTopic('large', 1)
    const narrow = producer({ maxRequestSize: 1000 })
    const large = { bytes: Buffer.alloc(1100), bounds: Int32Array.of(0, 10, 0, 1100), count: 2 }
    await narrow.ready('large')
    assert.equal(narrow.pushValues('large', large), 1)
    assert.throws(() => narrow.pushValues('large', large, { from: 1 }), /max.request.size/)
  }))

test('the records of one turn have one time, those of a later turn a later one', () =>
  scene(async ({ fake, platform, producer }) => {
    fake.createTopic('t', 1)
    const client = producer()
    await client.ready('t')
    const first = await Promise.all([client.send('t', { value: '1' }), client.send('t', { value: '2' })])
    await sleep(platform.clock, 100)
    const later = await client.send('t', { value: '3' })
    assert.equal(first[0].timestamp, first[1].timestamp)
    assert.ok(later.timestamp >= first[0].timestamp + 100)
  }))

test('M2.2: whoever waits for memory hurries what lingers', () =>
  scene(async ({ fake, platform, producer }) => {
    fake.createTopic('t', 1)
    const client = producer({ bufferMemory: 1024, batchSize: 1024, lingerMs: 20_000, maxBlockMs: 5000 })
    await client.ready('t')
    const begunMs = platform.clock.monotonic()
    client.push('t', { value: 'x'.repeat(800) })
    const blocked = client.send('t', { value: 'y'.repeat(800) })
    await client.ready('t').catch(() => {})
    assert.ok(fake.arrivals[0]!.atMs - begunMs < 100)
    await client.flush()
    assert.equal((await blocked).offset, 1)
  }))

test('M2.2: records of one call that are more than the buffer go in as it empties, in order; a signal ends the wait', () =>
  scene(async ({ fake, platform, producer, brokers }) => {
    const [partition] = fake.createTopic('t', 1)
    const client = producer({ bufferMemory: 4096, batchSize: 1024, maxBlockMs: 60_000 })
    const records = Array.from({ length: 100 }, (_, index) => ({ value: `${index}`.padEnd(300, '.') }))
    assert.equal((await client.sendBatch('t', records)).recordCount, 100)
    assert.deepEqual(
      partition!.values.map(nameOf),
      records.map((_, index) => `${index}`),
    )
    for (const broker of brokers) broker.pause()
    const abort = new AbortController()
    const aborted = client.sendBatch('t', records, { signal: abort.signal })
    await sleep(platform.clock, 1000)
    assert.equal(client.load.waitingSends, 1)
    abort.abort(new Error('enough'))
    assert.equal(client.load.waitingSends, 0)
    for (const broker of brokers) broker.resume()
    await assert.rejects(aborted, /enough/)
    await client.flush()
    // What was in its batch by then was sent, in order, and the rest was not.
    const sent = partition!.values.slice(100)
    assert.ok(sent.length > 0 && sent.length < 100)
    assert.deepEqual(
      sent.map(nameOf),
      sent.map((_, index) => `${index}`),
    )
  }))

test('M2.2: the same bound covers metadata; a topic that comes into being meanwhile is sent to', () =>
  scene(async ({ fake, platform, producer }) => {
    const client = producer({ maxBlockMs: 3000 })
    const begunMs = platform.clock.monotonic()
    const error = await client.send('missing', { value: 'x' }).catch((error: unknown) => error)
    assert.ok(error instanceof TimeoutError)
    assert.match(error.message, /topic missing .* max\.block\.ms \(3000\): UNKNOWN_TOPIC_OR_PARTITION/)
    assert.ok(platform.clock.monotonic() - begunMs < 3100)
    assert.ok(fake.metadataCount < 60, 'metadata is asked for with pauses')

    const sent = [client.send('later', { value: '1' }), client.send('later', { value: '2' })]
    await sleep(platform.clock, 1000)
    const [partition] = fake.createTopic('later', 1)
    await Promise.all(sent)
    assert.deepEqual(partition!.values, ['1', '2'])
  }))

test('M2.2: a signal ends the wait, and a pinned partition that does not exist is waited for', () =>
  scene(async ({ fake, platform, producer }) => {
    const client = producer({ maxBlockMs: 1000 })
    const abort = new AbortController()
    const aborted = client.send('missing', { value: 'x' }, { signal: abort.signal })
    abort.abort(new Error('enough'))
    await assert.rejects(aborted, /enough/)

    fake.createTopic('t', 2)
    const beyond = client.send('t', { value: 'x', partition: 2 })
    await client.send('t', { value: 'not held up', partition: 1 })
    await assert.rejects(beyond, /fewer partitions/)
    await assert.rejects(client.send('t', { value: 'x', partition: -1 }), /partition/)
    const grown = client.send('t', { value: 'x', partition: 2 })
    await sleep(platform.clock, 300)
    fake.createTopic('t', 3)
    assert.equal((await grown).partition, 2)
  }))

test('M2.3: batches hold up to batch.size, and those of one broker go in one request', () =>
  scene(async ({ fake, producer }) => {
    fake.createTopic('t', 6)
    const client = producer({ lingerMs: 5 })
    await client.ready('t')
    const records = Array.from({ length: 6 }, (_, partition) => ({ value: `${partition}`, partition }))
    await client.sendBatch('t', records)
    assert.equal(fake.arrivals.length, 6)
    assert.equal(fake.requestCount, 3, 'three brokers, two partitions each')

    fake.arrivals.length = 0
    await client.sendBatch(
      't',
      Array.from({ length: 100 }, (_, index) => ({ value: kilobyte(`${index}`), partition: 0 })),
    )
    assert.ok(fake.arrivals.every(({ sizeInBytes }) => sizeInBytes <= 16_384))
    assert.deepEqual(
      fake.arrivals.map(({ values }) => values.length),
      [16, 16, 16, 16, 16, 16, 4],
    )
  }))

test('M2.3: a request carries no more than max.request.size, and no partition is left behind', () =>
  scene(async ({ fake, producer }) => {
    fake.createTopic('t', 9)
    const client = producer({ maxRequestSize: 4096, batchSize: 2048, maxInFlightRequestsPerConnection: 1 })
    await client.ready('t')
    const records = Array.from({ length: 90 }, (_, index) => ({ value: kilobyte(`${index}`), partition: index % 9 }))
    await client.sendBatch('t', records)
    const bytesOf = new Map<number, number>()
    for (const { request, sizeInBytes } of fake.arrivals)
      bytesOf.set(request, (bytesOf.get(request) ?? 0) + sizeInBytes)
    assert.ok([...bytesOf.values()].every((bytes) => bytes <= 4096))
    assert.ok(fake.topics.get('t')!.every(({ values }) => values.length === 10))
  }))

test('M2.4: a batch that is not full goes after linger.ms, a full one and a flush at once', () =>
  scene(async ({ fake, platform, producer }) => {
    const [partition] = fake.createTopic('t', 1)
    const client = producer({ lingerMs: 500 })
    await client.ready('t')
    const begunMs = platform.clock.monotonic()
    const first = client.send('t', { value: 'a' })
    await sleep(platform.clock, 300)
    const second = client.send('t', { value: 'b' })
    await Promise.all([first, second])
    const waitedMs = fake.arrivals[0]!.atMs - begunMs
    assert.ok(waitedMs >= 500 && waitedMs < 510, `${waitedMs}`)
    assert.deepEqual(fake.arrivals[0]!.values, ['a', 'b'])

    const flushedMs = platform.clock.monotonic()
    client.push('t', { value: 'c' })
    await client.flush()
    assert.ok(platform.clock.monotonic() - flushedMs < 100)
    for (let index = 0; index < 17; index++) client.push('t', { value: kilobyte(`${index}`) })
    await sleep(platform.clock, 100)
    assert.equal(partition!.values.length, 3 + 16)
  }))

test('M2.5: retries pause retry.backoff.ms, then twice as long, up to retry.backoff.max.ms', () =>
  scene(async ({ fake, producer }) => {
    fake.createTopic('t', 1)
    fake.onBatch = () => (fake.arrivals.length <= 6 ? { errorCode: ErrorCode.NOT_ENOUGH_REPLICAS } : null)
    await producer().send('t', { value: 'x' })
    const pauses = fake.arrivals.slice(1).map(({ atMs }, index) => atMs - fake.arrivals[index]!.atMs)
    for (const [index, expected] of [100, 200, 400, 800, 1000, 1000].entries()) {
      const pause = pauses[index]!
      assert.ok(pause >= expected * 0.8 && pause < expected * 1.2 + 10, `pause ${index}: ${pause}`)
    }
  }))

test('M2.5: a new leader is sent to at once, without the pause', () =>
  scene(async ({ fake, platform, producer }) => {
    const [partition] = fake.createTopic('t', 1)
    const client = producer({ retryBackoffMs: 5000, retryBackoffMaxMs: 5000 })
    await client.send('t', { value: 'x' })
    // Metadata may be asked for again by then.
    await sleep(platform.clock, 7000)
    fake.onBatch = ({ broker }) => {
      if (broker !== 1) return null
      partition!.leader = 2
      partition!.leaderEpoch = 1
      return { errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER }
    }
    await client.send('t', { value: 'y' })
    const [refused, taken] = fake.arrivals.slice(-2)
    assert.deepEqual([refused!.broker, taken!.broker], [1, 2])
    assert.ok(taken!.atMs - refused!.atMs < 1000)
  }))

test('M2.5: without retries one attempt is all', () =>
  scene(async ({ fake, producer, brokers }) => {
    fake.createTopic('t', 1)
    const client = producer({ retries: 0, requestTimeoutMs: 1000, deliveryTimeoutMs: 60_000 })
    fake.onBatch = () => ({ errorCode: ErrorCode.NOT_ENOUGH_REPLICAS })
    await assert.rejects(client.send('t', { value: 'x' }), /NOT_ENOUGH_REPLICAS/)
    assert.equal(fake.arrivals.length, 1)
    fake.onBatch = () => null
    for (const broker of brokers) broker.pause()
    const error = await client.send('t', { value: 'x' }).catch((error: unknown) => error)
    assert.ok(error instanceof TimeoutError, 'no answer within request.timeout.ms')
    assert.doesNotMatch(error.message, /delivery\.timeout\.ms/)
  }))

test('M2.5: a connection that breaks is a reason to send again, with and without idempotence', async () => {
  for (const enableIdempotence of [true, false])
    await scene(async ({ fake, world, producer, brokers }) => {
      const [partition] = fake.createTopic('t', 1)
      const client = producer({ enableIdempotence })
      await client.send('t', { value: 'a' })
      fake.onBatch = () => ({ delayMs: 10_000 })
      const sent = client.send('t', { value: 'b' })
      world.after(100, () => brokers[0]!.crash())
      world.after(200, () => {
        fake.onBatch = () => null
        brokers[0]!.start((platform) => fake.run(platform, 1))
      })
      await sent
      assert.deepEqual(partition!.values, enableIdempotence ? ['a', 'b'] : ['a', 'b', 'b'])
    })
})

test('M2.5: after so many retries the error of the broker comes; what is not retriable comes at once', () =>
  scene(async ({ fake, producer }) => {
    fake.createTopic('t', 1)
    fake.onBatch = ({ values }) => ({
      errorCode: values[0] === 'bad' ? ErrorCode.INVALID_RECORD : ErrorCode.NOT_ENOUGH_REPLICAS,
      recordErrors: values[0] === 'bad' ? [{ batchIndex: 0, batchIndexErrorMessage: 'no key' }] : [],
    })
    const client = producer({ retries: 2 })
    const error = await client.send('t', { value: 'x' }).catch((error: unknown) => error)
    assert.ok(error instanceof KafkaError)
    assert.equal(error.codeName, 'NOT_ENOUGH_REPLICAS')
    assert.equal(fake.arrivals.length, 3)
    const results = await Promise.allSettled([client.send('t', { value: 'bad' }), client.send('t', { value: 'good' })])
    assert.equal(fake.arrivals.length, 4)
    const messages = results.map((result) => (result.status === 'rejected' ? (result.reason as Error).message : ''))
    assert.match(messages[0]!, /INVALID_RECORD: no key/)
    assert.match(messages[1]!, /INVALID_RECORD: (?!no key)/)
  }))

test('M2.6: without an acknowledgement a record fails after delivery.timeout.ms, whatever retries says', () =>
  scene(async ({ fake, platform, producer, brokers }) => {
    const [partition] = fake.createTopic('t', 1)
    const client = producer({ requestTimeoutMs: 1000, deliveryTimeoutMs: 5000 })
    await client.send('t', { value: 'before' })
    brokers[0]!.pause()
    const begunMs = platform.clock.monotonic()
    const error = await client.send('t', { value: 'lost' }).catch((error: unknown) => error)
    assert.ok(error instanceof TimeoutError)
    assert.match(error.message, /1 records for t-0 were not acknowledged within delivery\.timeout\.ms \(5000\)/)
    const waitedMs = platform.clock.monotonic() - begunMs
    assert.ok(waitedMs >= 5000 && waitedMs < 5100, `${waitedMs}`)
    brokers[0]!.resume()
    await client.send('t', { value: 'after' })
    assert.equal(client.load.bufferedBytes, 0)
    assert.equal(partition!.values[0], 'before')
    assert.equal(partition!.values.filter((value) => value === 'after').length, 1)
  }))

test('M2.6: an error that would pass, and a partition without a leader, fail after delivery.timeout.ms as well', () =>
  scene(async ({ fake, platform, producer }) => {
    const [refusing, leaderless] = fake.createTopic('t', 2)
    const client = producer({ requestTimeoutMs: 1000, deliveryTimeoutMs: 5000 })
    await client.send('t', { value: 'before', partition: 0 })
    leaderless!.leader = -1
    leaderless!.leaderEpoch = 1
    fake.onBatch = () => ({ errorCode: ErrorCode.NOT_ENOUGH_REPLICAS })
    const begunMs = platform.clock.monotonic()
    const results = await Promise.allSettled([
      client.send('t', { value: 'x', partition: 0 }),
      client.send('t', { value: 'y', partition: 1 }),
    ])
    const waitedMs = platform.clock.monotonic() - begunMs
    assert.ok(waitedMs >= 5000 && waitedMs < 5100, `${waitedMs}`)
    for (const [index, result] of results.entries()) {
      assert.ok(result.status === 'rejected' && result.reason instanceof TimeoutError)
      const reason =
        index === 0 ? /delivery\.timeout\.ms \(5000\): NOT_ENOUGH_REPLICAS/ : /delivery\.timeout\.ms \(5000\)/
      assert.match(result.reason.message, reason)
    }
    assert.equal(client.load.bufferedBytes, 0)
    assert.deepEqual(refusing!.values, ['before'])
  }))

test('M2.6: the memory of a record that has failed is free when no request carries it any more', () =>
  scene(async ({ fake, platform, producer, brokers }) => {
    fake.createTopic('t', 1)
    const client = producer({ batchSize: 1024, requestTimeoutMs: 4000, deliveryTimeoutMs: 5000 })
    await client.send('t', { value: 'before' })
    brokers[0]!.pause()
    const lost = client.send('t', { value: 'x' })
    await sleep(platform.clock, 3000)
    const later = client.send('t', { value: 'y' })
    await assert.rejects(lost, TimeoutError)
    assert.ok(client.load.bufferedBytes > 0)
    await assert.rejects(later, TimeoutError)
    await sleep(platform.clock, 10_000)
    assert.deepEqual(client.load, { bufferedBytes: 0, waitingSends: 0, batches: 0, requestsInFlight: 0 })
  }))

test('M2.7: without keys every partition gets its share; with keys each key has its partition', () =>
  scene(async ({ fake, producer }) => {
    fake.createTopic('sticky', 6)
    fake.createTopic('turns', 6)
    fake.createTopic('keys', 6)
    fake.createTopic('own', 6)
    const sticky = producer()
    await sticky.ready('sticky')
    for (let round = 0; round < 30; round++)
      await sticky.sendBatch(
        'sticky',
        Array.from({ length: 200 }, (_, index) => ({ value: kilobyte(`${index}`) })),
      )
    for (const { values } of fake.topics.get('sticky')!)
      assert.ok(values.length > 700 && values.length < 1300, `${values.length}`)

    await producer({ partitioner: 'roundRobin' }).sendBatch(
      'turns',
      Array.from({ length: 60 }, () => ({ value: 'x' })),
    )
    for (const { values } of fake.topics.get('turns')!) assert.equal(values.length, 10)

    const records = Array.from({ length: 100 }, (_, index) => ({ key: `key ${index % 20}`, value: `${index % 20}` }))
    await sticky.sendBatch('keys', records)
    for (let key = 0; key < 20; key++) {
      const holders = fake.topics.get('keys')!.filter(({ values }) => values.includes(`${key}`))
      assert.equal(holders.length, 1)
    }
    const own = producer({ partitioner: ({ key }, { partitionCount }) => key!.length % partitionCount })
    assert.equal((await own.send('own', { key: 'four', value: 'x' })).partition, 4)
    await assert.rejects(producer({ partitioner: () => 6 }).send('own', { value: 'x' }), /partitions 0 to 5/)
  }))

test('M2.7: the sticky partitioner leaves out partitions without a leader, and a slow broker gets less', () =>
  scene(async ({ fake, platform, producer }) => {
    const partitions = fake.createTopic('t', 3)
    fake.onBatch = ({ broker }) => (broker === 1 ? { delayMs: 200 } : null)
    const client = producer()
    for (let round = 0; round < 300; round++) {
      await client.ready('t')
      for (let index = 0; index < 34; index++) client.push('t', { value: kilobyte(`${index}`) })
      await sleep(platform.clock, 10)
    }
    await client.flush()
    const [slow, fast, other] = partitions.map(({ values }) => values.length)
    assert.ok(slow! < fast! * 0.8 && slow! < other! * 0.8, `${slow} ${fast} ${other}`)
    partitions[1]!.leader = -1
    const before = partitions[1]!.values.length
    const fresh = producer()
    for (let round = 0; round < 20; round++) await fresh.send('t', { value: kilobyte('x').repeat(17) })
    assert.equal(partitions[1]!.values.length, before)
  }))

test('M2.8: acks 0, 1 and all, each codec', () =>
  scene(async ({ fake, producer }) => {
    const [partition] = fake.createTopic('t', 1)
    assert.equal((await producer({ acks: 0 }).send('t', { value: '0' })).offset, -1)
    assert.ok((await producer({ acks: 1 }).send('t', { value: '1' })).offset >= 0)
    for (const compressionType of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
      const client = producer({ compressionType })
      await client.sendBatch(
        't',
        Array.from({ length: 100 }, (_, index) => ({ value: kilobyte(`${compressionType} ${index}`) })),
      )
      assert.equal(client.load.bufferedBytes, 0)
      const values = partition!.values.slice(-100)
      assert.deepEqual(
        values.map(nameOf),
        Array.from({ length: 100 }, (_, index) => `${compressionType} ${index}`),
      )
    }
  }))

test('M2.8: with five requests in flight, lost answers, refusals and moving leaders, every record is there once and in order', async () => {
  for (let seed = 1; seed <= 10; seed++)
    await scene(
      async ({ fake, platform, producer, world, brokers }) => {
        const partitions = fake.createTopic('t', 2)
        const { random } = platform
        fake.onBatch = () => {
          const dice = random.below(20)
          if (dice === 0) return { errorCode: ErrorCode.NOT_ENOUGH_REPLICAS }
          if (dice === 1) return { answerCode: ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND, delayMs: random.below(50) }
          if (dice === 2) return { delayMs: random.below(300) }
          return null
        }
        const client = producer({ batchSize: 512, requestTimeoutMs: 400, deliveryTimeoutMs: 120_000 })
        const sent: Promise<unknown>[] = []
        for (let index = 0; index < 600; index++) {
          sent.push(client.send('t', { value: `${index}`.padEnd(100, '.'), partition: index % 2 }))
          if (index % 20 === 0) await sleep(platform.clock, 10)
          if (index % 100 === 50) {
            partitions[0]!.leader = 1 + random.below(3)
            partitions[0]!.leaderEpoch += 1
          }
          if (index % 150 === 75) {
            const id = 1 + random.below(3)
            const broker = brokers[id - 1]!
            if (random.below(2) === 0) {
              broker.pause()
              world.after(600, () => broker.resume())
            } else if (broker.crash()) world.after(600, () => broker.start((platform) => fake.run(platform, id)))
          }
        }
        await Promise.all(sent)
        for (const [partition, { values }] of partitions.entries())
          assert.deepEqual(
            values.map((value) => Number(nameOf(value))),
            Array.from({ length: 300 }, (_, index) => 2 * index + partition),
          )
        assert.equal(client.load.bufferedBytes, 0)
      },
      new FakeCluster(),
      seed,
    )
})

test('M2.8: no more requests than max.in.flight.requests.per.connection wait at a broker', async () => {
  for (const maxInFlightRequestsPerConnection of [1, 2, 5])
    await scene(async ({ fake, producer }) => {
      fake.createTopic('t', 1)
      const client = producer({ maxInFlightRequestsPerConnection, batchSize: 0 })
      await client.send('t', { value: 'first' })
      fake.arrivals.length = 0
      fake.onBatch = () => ({ delayMs: 100 })
      await Promise.all(Array.from({ length: 30 }, (_, index) => client.send('t', { value: `${index}` })))
      const { arrivals } = fake
      const atOnce = arrivals.map(({ atMs }) =>
        arrivals.filter((other) => other.atMs <= atMs && other.atMs > atMs - 100),
      )
      assert.equal(Math.max(...atOnce.map(({ length }) => length)), maxInFlightRequestsPerConnection)
      assert.ok(
        arrivals.every(({ values }) => values.length === 1),
        'batch.size=0: every record is a batch',
      )
    })
})

test('M2.8: order is kept without idempotence when one request is in flight', () =>
  scene(async ({ fake, producer }) => {
    const [partition] = fake.createTopic('t', 1)
    fake.onBatch = () => (fake.arrivals.length % 3 === 0 ? { errorCode: ErrorCode.NOT_ENOUGH_REPLICAS } : null)
    const client = producer({
      enableIdempotence: false,
      maxInFlightRequestsPerConnection: 1,
      batchSize: 300,
      retryBackoffMs: 5,
    })
    await client.sendBatch(
      't',
      Array.from({ length: 100 }, (_, index) => ({ value: `${index}`.padEnd(100, '.') })),
    )
    assert.deepEqual(
      partition!.values.map(nameOf),
      Array.from({ length: 100 }, (_, index) => `${index}`),
    )
  }))

test('idempotence: a record that fails for good does not hold up those behind it; the epoch is raised', () =>
  scene(async ({ fake, producer }) => {
    const [partition] = fake.createTopic('t', 1)
    fake.onBatch = ({ values }) => (values[0]!.startsWith('bad') ? { errorCode: ErrorCode.INVALID_TIMESTAMP } : null)
    const client = producer({ batchSize: 0 })
    await client.send('t', { value: 'zero' })
    const names = ['one', 'bad', 'two', 'three', 'four']
    const results = await Promise.allSettled(names.map((value) => client.send('t', { value })))
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled'],
    )
    assert.deepEqual(partition!.values, ['zero', 'one', 'two', 'three', 'four'])
    assert.equal(fake.arrivals.at(-1)!.producerEpoch, 1)
  }))

test('idempotence: a broker that has forgotten the producer gets a new epoch, from sequence 0', () =>
  scene(async ({ fake, producer }) => {
    const [partition] = fake.createTopic('t', 1)
    const client = producer()
    await client.send('t', { value: 'a' })
    let refused = 0
    fake.onBatch = ({ producerEpoch }) =>
      producerEpoch === 0 && refused++ >= 0 ? { errorCode: ErrorCode.UNKNOWN_PRODUCER_ID, logStartOffset: 1 } : null
    await client.send('t', { value: 'b' })
    assert.deepEqual(partition!.values, ['a', 'b'])
    assert.equal(refused, 1)
    const last = fake.arrivals.at(-1)!
    assert.deepEqual([last.producerEpoch, last.baseSequence], [1, 0])
    // The same for one whose sequence makes a gap though nothing is missing here.
    fake.onBatch = ({ producerEpoch }) =>
      producerEpoch === 1 ? { errorCode: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, logStartOffset: 0 } : null
    await client.send('t', { value: 'c' })
    assert.equal(fake.arrivals.at(-1)!.producerEpoch, 2)
    // Fenced: what was sent fails, what comes later goes under the next epoch.
    fake.onBatch = ({ producerEpoch }) => (producerEpoch === 2 ? { errorCode: ErrorCode.INVALID_PRODUCER_EPOCH } : null)
    await assert.rejects(client.send('t', { value: 'd' }), /INVALID_PRODUCER_EPOCH/)
    await client.send('t', { value: 'e' })
    assert.deepEqual(partition!.values, ['a', 'b', 'c', 'e'])
  }))

test('idempotence: no id because of missing rights ends the producer; a coordinator that loads does not', () =>
  scene(async ({ fake, platform, producer }) => {
    fake.createTopic('t', 1)
    fake.initErrorCode = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    const patient = producer()
    const sent = patient.send('t', { value: 'x' })
    await sleep(platform.clock, 1000)
    fake.initErrorCode = ErrorCode.NONE
    await sent
    fake.initErrorCode = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
    const refused = producer()
    const error = await refused.send('t', { value: 'x' }).catch((error: unknown) => error)
    assert.ok(error instanceof KafkaError)
    assert.ok(error.fatal)
    await assert.rejects(refused.send('t', { value: 'y' }), /cannot go on/)
  }))

test('a batch that the broker finds too large is split, in order; a record that is too large alone fails', () =>
  scene(async ({ fake, producer }) => {
    const [partition] = fake.createTopic('t', 1)
    fake.onBatch = ({ sizeInBytes }) => (sizeInBytes > 3000 ? { errorCode: ErrorCode.MESSAGE_TOO_LARGE } : null)
    for (const compressionType of ['none', 'gzip'] as const) {
      partition!.values.length = 0
      partition!.batches.length = 0
      const client = producer({ compressionType })
      const noise = Array.from({ length: 900 }, (_, index) => String.fromCharCode(97 + ((index * 7919) % 26))).join('')
      const records = Array.from({ length: 50 }, (_, index) => ({ value: `${index} ${noise}` }))
      const offsets = await Promise.all(records.map((record) => client.send('t', record)))
      assert.deepEqual(
        offsets.map(({ offset }) => offset),
        records.map((_, index) => index),
      )
      assert.deepEqual(
        partition!.values,
        records.map(({ value }) => value),
      )
      assert.equal(client.load.bufferedBytes, 0)
    }
    const client = producer()
    const results = await Promise.allSettled([
      client.send('t', { value: 'small' }),
      client.send('t', { value: 'x'.repeat(4000) }),
      client.send('t', { value: 'also small' }),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.ok((results[1] as PromiseRejectedResult).reason instanceof RecordTooLargeError)
    await assert.rejects(client.send('t', { value: 'x'.repeat(2_000_000) }), RecordTooLargeError)
  }))

test('a pushed record that fails is told by flush, or by onDelivery', () =>
  scene(async ({ fake, producer }) => {
    fake.createTopic('t', 1)
    fake.onBatch = () => ({ errorCode: ErrorCode.INVALID_TIMESTAMP })
    const silent = producer()
    await silent.ready('t')
    assert.ok(silent.push('t', { value: 'x' }))
    await assert.rejects(silent.flush(), /INVALID_TIMESTAMP/)
    await silent.flush()
    const deliveries: Delivery[] = []
    const told = producer({ onDelivery: (delivery) => deliveries.push(delivery) })
    await told.ready('t')
    told.push('t', { value: 'x' })
    told.push('t', { value: 'y' })
    await told.flush()
    assert.equal(deliveries.length, 1)
    assert.equal(deliveries[0]!.recordCount, 2)
    assert.equal(deliveries[0]!.error?.codeName, 'INVALID_TIMESTAMP')
  }))

test('the bytes of a record are the user’s own again when send returns, and those of a batch are nobody else’s', () =>
  scene(async ({ fake, producer }) => {
    const [partition] = fake.createTopic('t', 1)
    const client = producer({ requestTimeoutMs: 200, retryBackoffMs: 1 })
    await client.ready('t')
    // Answers get lost, so batches are sent several times while new ones are filled and others are over.
    let arrivals = 0
    fake.onBatch = () => (arrivals++ % 2 === 0 ? { delayMs: 300 } : null)
    const value = new Uint8Array(50)
    const sent: Promise<unknown>[] = []
    for (let index = 0; index < 200; index++) {
      value.fill(97 + (index % 26))
      sent.push(client.send('t', { value }))
      if (index % 40 === 39) await Promise.race(sent.slice(-1))
    }
    value.fill(0)
    await Promise.all(sent)
    assert.deepEqual(
      partition!.values,
      Array.from({ length: 200 }, (_, index) => String.fromCharCode(97 + (index % 26)).repeat(50)),
    )
  }))

test('round-robin takes turns even when records wait for memory', () =>
  scene(async ({ fake, producer }) => {
    fake.createTopic('t', 4)
    const client = producer({ partitioner: 'roundRobin', bufferMemory: 2000, batchSize: 1000 })
    await Promise.all(Array.from({ length: 40 }, () => client.send('t', { value: 'x'.repeat(700) })))
    for (const { values } of fake.topics.get('t')!) assert.equal(values.length, 10)
  }))

test('close sends what it has; with a bound it gives up what is not acknowledged by then', () =>
  scene(async ({ fake, platform, producer, brokers }) => {
    const [partition] = fake.createTopic('t', 1)
    const lingering = producer({ lingerMs: 10_000 })
    await lingering.ready('t')
    const sent = lingering.send('t', { value: 'x' })
    await lingering.close()
    assert.equal((await sent).offset, 0)
    assert.equal(partition!.values.length, 1)
    await assert.rejects(lingering.send('t', { value: 'x' }), ClosedError)

    const stuck = producer()
    await stuck.send('t', { value: 'y' })
    for (const broker of brokers) broker.pause()
    const begunMs = platform.clock.monotonic()
    const given = stuck.send('t', { value: 'z' }).catch((error: unknown) => error)
    const waiting = stuck.send('unknown', { value: 'z' }).catch((error: unknown) => error)
    await stuck.close({ timeoutMs: 1000 })
    assert.ok((await given) instanceof ClosedError)
    assert.ok((await waiting) instanceof ClosedError)
    assert.ok(platform.clock.monotonic() - begunMs < 1100)
  }))

test('brokers that hang or refuse cost little: the others are asked, and one that is down is not called in a loop', () =>
  scene(async ({ fake, platform, producer, brokers }) => {
    const partitions = fake.createTopic('t', 3)
    brokers[0]!.pause()
    brokers[1]!.crash()
    for (const partition of partitions) partition.leader = 3
    const begunMs = platform.clock.monotonic()
    await producer().send('t', { value: 'x' })
    assert.ok(platform.clock.monotonic() - begunMs < 3000)
  }))

test('settings that are at odds are refused by name', () =>
  scene(async ({ producer }) => {
    assert.throws(() => producer({ acks: 1, enableIdempotence: true }), ConfigError)
    assert.equal(producer({ acks: 1 }).config.enableIdempotence, false)
    assert.equal(producer({ maxInFlightRequestsPerConnection: 6 }).config.enableIdempotence, false)
    assert.throws(() => producer({ deliveryTimeoutMs: 1000 }), /linger\.ms \+ request\.timeout\.ms \(30000\)/)
    assert.equal(producer({ lingerMs: 100_000 }).config.deliveryTimeoutMs, 130_000)
    assert.throws(() => producer({ lingerMs: -1 }), /lingerMs is -1, and must be a whole number of at least 0/)
    assert.throws(() => producer({ 'linger.MS': 1 } as object), /did you mean lingerMs \(linger\.ms\)/)
    assert.equal(producer({ 'linger.ms': '7', acks: '-1' } as object).config.lingerMs, 7)
    assert.throws(() => producer({ bootstrapServers: 'nowhere' }), /host:port/)
    await Promise.resolve()
  }))
