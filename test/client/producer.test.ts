/** The producer against three brokers of ours over real sockets: each of its bounds once more, where time is real. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Admin, BufferExhaustedError, Producer, TimeoutError, type ProducerOptions } from '../../src/client/index.ts'
import { ErrorCode } from '../../src/protocol/index.ts'
import { Fetch } from '../../src/protocol/messages/fetch.ts'
import { batchesOf } from '../../src/protocol/records/index.ts'
import { BrokerConnection } from '../../src/rpc/index.ts'
import { startTestCluster, type TestCluster } from './cluster.ts'

const PARTITIONS = 6
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

test('a producer against a cluster over real sockets', async (t) => {
  await using cluster = await startTestCluster()
  const { bootstrapServers, platform } = cluster
  await using admin = new Admin(platform, { bootstrapServers })
  const newProducer = (options: Partial<ProducerOptions> = {}): Producer =>
    new Producer(platform, { bootstrapServers, ...options })

  const newTopic = async (name: string, configs: Record<string, string> = {}): Promise<string> => {
    await admin.createTopics([{ name, partitions: PARTITIONS, replicationFactor: 3, configs }])
    return name
  }

  for (const compressionType of CODECS)
    await t.test(`${compressionType}: what was sent is there, in order, at the offsets that were told`, async () => {
      const topic = await newTopic(`codec-${compressionType}`)
      await using producer = newProducer({ compressionType })
      const sent = await Promise.all(
        Array.from({ length: 2000 }, (_, index) =>
          producer.send(topic, {
            key: `key ${index % 50}`,
            value: `${index} `.padEnd(100, 'abc'),
            headers: { n: `${index}` },
          }),
        ),
      )
      const values = await readAll(cluster, topic)
      for (const [index, { partition, offset }] of sent.entries())
        assert.equal(values[partition]![offset], `${index} `.padEnd(100, 'abc'))
      assert.equal(values.flat().length, 2000)
    })

  for (const acks of [0, 1, 'all'] as const)
    await t.test(`acks=${acks}`, async () => {
      const topic = await newTopic(`acks-${acks}`)
      await using producer = newProducer({ acks })
      const { offset } = await producer.send(topic, { value: 'x', partition: 2 })
      assert.equal(offset, acks === 0 ? -1 : 0)
      await producer.flush()
    })

  await t.test('records without a key reach every partition evenly', async () => {
    const topic = await newTopic('spread')
    await using producer = newProducer()
    await producer.ready(topic)
    for (let round = 0; round < 20; round++)
      await producer.sendBatch(
        topic,
        Array.from({ length: 300 }, () => ({ value: 'x'.repeat(1000) })),
      )
    for (const values of await readAll(cluster, topic))
      assert.ok(values.length > 600 && values.length < 1400, `${values.length}`)
  })

  await t.test('a batch larger than the topic allows is split', async () => {
    const topic = await newTopic('small', { 'max.message.bytes': '2000' })
    await using producer = newProducer()
    const { runs } = await producer.sendBatch(
      topic,
      Array.from({ length: 50 }, (_, index) => ({ value: `${index}`.padEnd(300, '.'), partition: 0 })),
    )
    assert.ok(runs.length > 1)
    const [values] = await readAll(cluster, topic)
    assert.deepEqual(
      values!.map((value) => Number.parseInt(value, 10)),
      Array.from({ length: 50 }, (_, index) => index),
    )
  })

  await t.test('a full buffer blocks for max.block.ms, and a topic that cannot be had as well', async () => {
    const topic = await newTopic('blocked')
    await using producer = newProducer({ bufferMemory: 4096, batchSize: 4096, lingerMs: 20_000, maxBlockMs: 10_000 })
    await producer.ready(topic)
    assert.ok(producer.push(topic, { value: 'x'.repeat(3000), partition: 0 }))
    // The second waits for the memory of the first, and the flush for both.
    const blocked = producer.send(topic, { value: 'x'.repeat(3000), partition: 0 })
    await producer.flush()
    assert.equal((await blocked).offset, 1)
    await using unreachable = new Producer(platform, { bootstrapServers: '127.0.0.1:1', maxBlockMs: 300 })
    await assert.rejects(unreachable.send(topic, { value: 'x' }), (error: unknown) => {
      assert.ok(error instanceof TimeoutError && !(error instanceof BufferExhaustedError))
      assert.match(error.message, /no broker can be reached/)
      return true
    })
  })

  await t.test('a leader that goes away: nothing is lost, doubled or reordered', async () => {
    const topic = await newTopic('moving')
    await using producer = newProducer({ batchSize: 2000 })
    const sent: Promise<unknown>[] = []
    for (let index = 0; index < 3000; index++) {
      sent.push(producer.send(topic, { value: `${index}`.padEnd(50, '.'), partition: index % PARTITIONS }))
      if (index % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
      if (index === 1000) sent.push(cluster.cluster.brokers[0]!.close())
    }
    await Promise.all(sent)
    const values = await readAll(cluster, topic)
    for (const [partition, inPartition] of values.entries())
      assert.deepEqual(
        inPartition.map((value) => Number.parseInt(value, 10)),
        Array.from({ length: 3000 / PARTITIONS }, (_, index) => index * PARTITIONS + partition),
      )
  })
})

/** The values of each partition from its leader, in order. */
async function readAll({ platform, bootstrapServers }: TestCluster, topic: string): Promise<string[][]> {
  await using admin = new Admin(platform, { bootstrapServers })
  const [description] = await admin.describeTopics([topic])
  const { brokers } = await admin.describeCluster()
  const values: string[][] = []
  for (const { partition, leader } of description!.partitions) {
    const { host, port } = brokers.find(({ nodeId }) => nodeId === leader)!
    const connection = new BrokerConnection(platform, { host, port, clientId: 'reader' })
    const inPartition: string[] = (values[partition] = [])
    for (;;) {
      const fetchOffset = inPartition.length
      const answer = await connection.send(
        Fetch,
        {
          maxWaitMs: 0,
          minBytes: 0,
          maxBytes: 10 << 20,
          topics: [{ topic, partitions: [{ partition, fetchOffset, partitionMaxBytes: 10 << 20 }] }],
        },
        { maxVersion: 11 },
      )
      const [data] = answer.responses[0]!.partitions
      assert.equal(data!.errorCode, ErrorCode.NONE)
      for (const batch of batchesOf(data!.records ?? new Uint8Array()))
        for (const record of batch.records())
          if (record.offset >= fetchOffset) inPartition[record.offset] = new TextDecoder().decode(record.value!)
      if (inPartition.length === data!.highWatermark) break
    }
    connection.close()
  }
  return values
}
