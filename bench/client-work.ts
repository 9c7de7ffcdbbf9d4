/**
 * The clients that `clients.ts` compares, each in a process of its own so that its CPU is its own: `fork`ed with a job, it answers
 * with one message per figure, and ends.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'

import { Consumer, Producer } from '../src/client/index.ts'
import { nodePlatform } from '../src/platform/node/index.ts'
import { NODE_CLIENTS } from '../test/peers/places.ts'

export const SIZES = [100, 1024] as const
export type Size = (typeof SIZES)[number]
export const FORMS = ['single sends', 'batches of 100', 'by record', 'by batch'] as const
export type Form = (typeof FORMS)[number]

export interface Job {
  readonly client: 'samsa' | 'kafkajs' | 'platformatic'
  readonly bootstrapServers: string
  /** To send to. */
  readonly topic: string
  /** To read from, by size, and how many records lie there. */
  readonly filled: Readonly<Record<Size, { readonly topic: string; readonly records: number }>>
  /** How long a figure is measured, after half as long to warm up. */
  readonly seconds: number
}

export interface Measured {
  readonly form: Form
  readonly size: Size
  readonly records: number
  readonly seconds: number
  readonly cpuSeconds: number
}

interface Sender {
  single(value: Buffer): Promise<unknown>
  batch(values: readonly Buffer[]): Promise<unknown>
  close(): Promise<unknown>
}

/** Reads the topic from its beginning until `done` says so, which it tells of each record or of each batch. */
type Reader = (topic: string, take: (count: number, bytes: number) => boolean) => Promise<void>

interface Client {
  sender(): Promise<Sender>
  /** Null: the client has no such form. */
  readonly readers: Readonly<Record<'by record' | 'by batch', Reader | null>>
}

const OUTSTANDING = 1000
const BATCH_RECORDS = 100
const BATCHES_UNDER_WAY = 10
const READ_ROUNDS = 2

let groupCount = 0
const groupName = (): string => `bench-${process.pid}-${groupCount++}`

const CLIENTS: Record<Job['client'], (bootstrapServers: string) => Client> = {
  samsa(bootstrapServers) {
    const platform = nodePlatform({ logLevel: 'error' })
    const reading = (topic: string): Consumer => {
      const options = {
        bootstrapServers,
        groupId: groupName(),
        autoOffsetReset: 'earliest',
        enableAutoCommit: false,
      } as const
      const consumer = new Consumer(platform, options)
      consumer.subscribe(topic)
      return consumer
    }
    return {
      sender() {
        const producer = new Producer(platform, { bootstrapServers })
        return Promise.resolve({
          single: (value) => producer.send('bench', { value }),
          batch: (values) =>
            producer.sendBatch(
              'bench',
              values.map((value) => ({ value })),
            ),
          close: () => producer.close(),
        })
      },
      readers: {
        async 'by record'(topic, take) {
          await using consumer = reading(topic)
          for await (const record of consumer) if (take(1, record.value!.length)) break
        },
        async 'by batch'(topic, take) {
          await using consumer = reading(topic)
          for await (const { records } of consumer.batches()) {
            let bytes = 0
            for (const record of records) bytes += record.value!.length
            if (take(records.length, bytes)) break
          }
        },
      },
    }
  },

  kafkajs(bootstrapServers) {
    const library = createRequire(join(NODE_CLIENTS, 'package.json'))('kafkajs') as typeof KafkaJs
    const kafka = new library.Kafka({ brokers: [bootstrapServers], logLevel: 0 })
    const reading = (handlers: (take: Parameters<Reader>[1], stop: () => void) => object): Reader => {
      return async (topic, take) => {
        const consumer = kafka.consumer({ groupId: groupName() })
        await consumer.connect()
        await consumer.subscribe({ topics: [topic], fromBeginning: true })
        const { promise, resolve } = Promise.withResolvers<void>()
        await consumer.run({ autoCommit: false, ...handlers(take, resolve) })
        await promise
        await consumer.disconnect()
      }
    }
    return {
      async sender() {
        const producer = kafka.producer()
        await producer.connect()
        const send = (messages: object[]): Promise<unknown> => producer.send({ topic: 'bench', acks: -1, messages })
        return {
          single: (value) => send([{ value }]),
          batch: (values) => send(values.map((value) => ({ value }))),
          close: () => producer.disconnect(),
        }
      },
      readers: {
        'by record': reading((take, stop) => ({
          eachMessage({ message }: { message: { value: Buffer } }) {
            if (take(1, message.value.length)) stop()
            return Promise.resolve()
          },
        })),
        'by batch': reading((take, stop) => ({
          eachBatch({ batch }: { batch: { messages: { value: Buffer }[] } }) {
            let bytes = 0
            for (const { value } of batch.messages) bytes += value.length
            if (take(batch.messages.length, bytes)) stop()
            return Promise.resolve()
          },
        })),
      },
    }
  },

  platformatic(bootstrapServers) {
    const library = createRequire(join(NODE_CLIENTS, 'package.json'))('@platformatic/kafka') as typeof Platformatic
    const common = { clientId: 'bench', bootstrapBrokers: [bootstrapServers] }
    return {
      sender() {
        const producer = new library.Producer(common)
        return Promise.resolve({
          single: (value) => producer.send({ acks: -1, messages: [{ topic: 'bench', value }] }),
          batch: (values) => producer.send({ acks: -1, messages: values.map((value) => ({ topic: 'bench', value })) }),
          close: () => producer.close(),
        })
      },
      readers: {
        async 'by record'(topic, take) {
          const consumer = new library.Consumer({ ...common, groupId: groupName(), maxBytes: 4 << 20 })
          const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: false })
          for await (const { value } of stream) if (take(1, value.length)) break
          await consumer.close(true)
        },
        'by batch': null,
      },
    }
  },
}

/** What is used of the other clients; their packages are not among ours. */
declare const KafkaJs: {
  Kafka: new (options: object) => {
    producer(): { connect(): Promise<void>; disconnect(): Promise<void>; send(batch: object): Promise<unknown> }
    consumer(options: object): {
      connect(): Promise<void>
      subscribe(options: object): Promise<void>
      run(options: object): Promise<void>
      disconnect(): Promise<void>
    }
  }
}
declare const Platformatic: {
  Producer: new (options: object) => { send(batch: object): Promise<unknown>; close(): Promise<void> }
  Consumer: new (options: object) => {
    consume(options: object): Promise<AsyncIterable<{ value: Buffer }>>
    close(force: boolean): Promise<void>
  }
}

async function work(job: Job): Promise<void> {
  const client = CLIENTS[job.client](job.bootstrapServers)
  const tell = (measured: Measured): unknown => process.send!(measured)
  for (const size of SIZES) {
    const sender = await client.sender()
    const value = Buffer.alloc(size, 'x')
    const values = Array.from({ length: BATCH_RECORDS }, () => value)
    const single = (seconds: number): Promise<Cost> => sendFor(seconds, OUTSTANDING, 1, () => sender.single(value))
    const batch = (seconds: number): Promise<Cost> =>
      sendFor(seconds, BATCHES_UNDER_WAY, BATCH_RECORDS, () => sender.batch(values))
    for (const [form, send] of [
      ['single sends', single],
      ['batches of 100', batch],
    ] as const) {
      await send(job.seconds / 2)
      tell({ form, size, ...(await send(job.seconds)) })
    }
    await sender.close()
    for (const [form, reader] of Object.entries(client.readers) as ['by record' | 'by batch', Reader | null][]) {
      if (reader === null) continue
      const { topic, records } = job.filled[size]
      let cost: Cost | null = null
      for (let round = 1; round <= READ_ROUNDS; round++) cost = await read(reader, topic, records, job.seconds)
      tell({ form, size, ...cost! })
    }
  }
}

type Cost = Pick<Measured, 'records' | 'seconds' | 'cpuSeconds'>

/** Sends for so long, with at most so many promises open. */
async function sendFor(seconds: number, max: number, each: number, send: () => Promise<unknown>): Promise<Cost> {
  const end = costSince()
  const deadlineMs = performance.now() + seconds * 1000
  let calls = 0
  const worker = async (): Promise<void> => {
    while (performance.now() < deadlineMs) {
      await send()
      calls += 1
    }
  }
  await Promise.all(Array.from({ length: max }, worker))
  return end(calls * each)
}

/** From the first record on, so that the time to join the group is left out. */
async function read(reader: Reader, topic: string, records: number, seconds: number): Promise<Cost> {
  let end: ((records: number) => Cost) | null = null
  let deadlineMs = Infinity
  let seen = 0
  let cost: Cost | null = null
  await reader(topic, (count) => {
    if (end === null) {
      end = costSince()
      deadlineMs = performance.now() + seconds * 1000
      return false
    }
    if (cost !== null) return true
    seen += count
    // What came with the first call is not counted.
    if (seen < records * 0.9 && performance.now() < deadlineMs) return false
    cost = end(seen)
    return true
  })
  return cost!
}

function costSince(): (records: number) => Cost {
  const cpu = process.cpuUsage()
  const begunMs = performance.now()
  return (records) => {
    const { user, system } = process.cpuUsage(cpu)
    return { records, seconds: (performance.now() - begunMs) / 1000, cpuSeconds: (user + system) / 1e6 }
  }
}

if (process.send !== undefined) {
  process.once('message', (job) => {
    void work(job as Job).then(
      () => process.exit(),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  })
}
