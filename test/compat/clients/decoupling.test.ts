/** A slow or absent consumer never holds a producer back, and a dead producer leaves consumers undisturbed. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import {
  API,
  Cluster,
  type Process,
  Wire,
  batchOf,
  fetchBody,
  javaTool,
  produce,
  sleep,
  startKcatGroup,
  startPython,
  until,
  usageOf,
} from '../../peers/index.ts'

const TOPIC = 'decoupled'
const RECORDS = 500_000
/** The part of its undisturbed rate that a producer keeps. */
const RATE_KEPT = 0.9
const PAIRS_MAX = 10

let cluster: Cluster

before(async () => {
  cluster = await Cluster.start({ brokers: 3 })
  await cluster.createTopic({ name: TOPIC, partitions: 3, replicationFactor: 3 })
})

after(() => cluster?.close())

test('a stopped consumer, and one that never reads its answers, leave the producer its rate', async (context) => {
  await producerRate()
  // The better of several runs each, in turn, since others use this machine too.
  let alone = 0
  let disturbed = 0
  for (let pair = 1; pair <= PAIRS_MAX; pair++) {
    const consumers = await badConsumers()
    try {
      disturbed = Math.max(disturbed, await producerRate())
    } finally {
      await consumers.close()
    }
    alone = Math.max(alone, await producerRate())
    if (pair >= 2 && disturbed >= RATE_KEPT * alone) break
  }
  context.diagnostic(`records a second: ${alone} alone, ${disturbed} beside consumers that do not read`)
  assert.ok(disturbed >= RATE_KEPT * alone, `${disturbed} of ${alone} records a second`)
})

test('what a client does not read is bounded in the broker', async () => {
  const leader = await cluster.leaderOf(TOPIC)
  const before_ = usageOf(leader.pid).residentBytes
  const consumers = await badConsumers()
  await sleep(1500)
  const grown = usageOf(leader.pid).residentBytes - before_
  await consumers.close()
  assert.ok(grown < 128 << 20, `${grown >> 20} MiB`)
})

test('a producer that dies in the middle of a request leaves consumers undisturbed', async () => {
  const topic = 'orphaned'
  await cluster.createTopic({ name: topic, partitions: 1, replicationFactor: 3 })
  const consumer = startKcatGroup(cluster.bootstrap, topic, 'undisturbed', [], {})
  let read = ''
  consumer.child.stdout!.on('data', (chunk: Buffer) => (read += chunk.toString()))
  try {
    const leader = await cluster.leaderOf(topic)
    const steady = startPython('steady', [cluster.bootstrap, topic, '1000'])
    let acknowledged = 0
    steady.child.stdout!.on('data', (chunk: Buffer) => (acknowledged += chunk.toString().split('\n').length - 1))
    await until('both run', () => acknowledged > 1000 && read.length > 1000)

    const half = Wire.frame(API.produce, 3, 7, Buffer.alloc(1 << 20)).subarray(0, 4000)
    const wires = await Promise.all(Array.from({ length: 20 }, () => Wire.connect(leader.address)))
    for (const wire of wires) wire.socket.write(half)
    await steady.stop('SIGKILL')
    for (const wire of wires) wire.close()

    const answer = await Wire.ask(leader.address, (wire) => produce(wire, topic, batchOf(['the last one'])))
    assert.equal(answer.error, 0)
    await until('the consumer reads on to the end', () => read.includes('\tthe last one\n'), 10_000)
    const offsets = read
      .trimEnd()
      .split('\n')
      .map((line) => Number(line.split('\t')[1]))
    assert.deepEqual(
      offsets,
      Array.from({ length: answer.baseOffset + 1 }, (_, offset) => offset),
    )
  } finally {
    await consumer.stop()
  }
})

/** Records a second of Apache's producer, acks=all, as it reports itself. */
async function producerRate(): Promise<number> {
  const { stdout } = await javaTool(
    'kafka-producer-perf-test',
    [
      ...`--topic ${TOPIC} --num-records ${RECORDS} --record-size 100 --throughput -1 --producer-props`.split(' '),
      ...`bootstrap.servers=${cluster.bootstrap} acks=all batch.size=65536 linger.ms=5`.split(' '),
    ],
    { jvm: ['-XX:+UseSerialGC'] },
  )
  const rates = [...stdout.matchAll(/records sent, ([\d.]+) records\/sec/g)]
  return Math.round(Number(rates.at(-1)![1]))
}

/** One consumer that is stopped while its fetch is open, and per broker one that asks and never reads. */
async function badConsumers(): Promise<{ close(): Promise<void> }> {
  const stopped: Process = startKcatGroup(cluster.bootstrap, TOPIC, `stopped-${Date.now()}`, [], {})
  await until(
    'it has begun to read',
    () =>
      new Promise<boolean>((resolve) => {
        stopped.child.stdout!.once('data', () => resolve(true))
      }),
  )
  stopped.signal('SIGSTOP')
  const deaf: Wire[] = []
  const { topics } = await cluster.metadata([TOPIC])
  for (const { partition, leader } of topics[0]!.partitions) {
    const wire = await Wire.connect(cluster.byId(leader).address)
    wire.socket.pause()
    for (let request = 0; request < 50; request++)
      wire.socket.write(Wire.frame(API.fetch, 4, request, fetchBody(TOPIC, 0, { partition, maxBytes: 10 << 20 })))
    deaf.push(wire)
  }
  return {
    close: async () => {
      for (const wire of deaf) wire.close()
      await stopped.stop('SIGKILL')
    },
  }
}
