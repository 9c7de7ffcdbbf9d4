/**
 * The producers of the JavaScript world side by side against one broker of ours, which runs in a process of its own: single sends
 * with a thousand under way, and batches of a hundred; acks=all, records of 100 B and 1 KiB.
 *
 *     node bench/producer.ts [--records 100000] [--rounds 2] [--only samsa|kafkajs|platformatic]
 *
 * The sketch that it confirms: encoding takes about 0.1 us of a record of 100 B and a promise 0.1 us; what a record costs beyond
 * that is its share of a request, so batches decide. On a machine with other work the CPU per record counts, not the rate.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { Admin, Producer } from '../src/client/index.ts'
import { EmbeddedCluster } from '../src/embedded/index.ts'
import { nodePlatform } from '../src/platform/node/index.ts'
import { NODE_CLIENTS } from '../test/peers/places.ts'

interface Client {
  single(value: Buffer): Promise<unknown>
  batch(values: readonly Buffer[]): Promise<unknown>
  close(): Promise<unknown>
}

const TOPIC = 'bench'
const PARTITIONS = 6
const OUTSTANDING = 1000
const BATCH_RECORDS = 100
const BATCHES_UNDER_WAY = 10
const SIZES = [100, 1024]

const { values: options } = parseArgs({
  options: {
    records: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '2' },
    only: { type: 'string' },
    serve: { type: 'boolean', default: false },
  },
})

async function main(records: number, rounds: number): Promise<void> {
  const broker = fork(import.meta.filename, ['--serve'])
  try {
    const bootstrapServers = await new Promise<string>((resolve) =>
      broker.once('message', (text) => resolve(text as string)),
    )
    await using admin = new Admin(nodePlatform({ logLevel: 'error' }), { bootstrapServers })
    await admin.createTopics([{ name: TOPIC, partitions: PARTITIONS, replicationFactor: 1 }])
    for (const [name, connect] of Object.entries(CLIENTS)) {
      if (options.only !== undefined && options.only !== name) continue
      const client = await connect(bootstrapServers)
      if (client === null) console.log(`${name}: not installed (npm run test:compat installs it)`)
      else await measure(name, client, records, rounds)
      await client?.close()
    }
  } finally {
    await stop(broker)
  }
}

async function measure(name: string, client: Client, records: number, rounds: number): Promise<void> {
  for (const size of SIZES) {
    const value = Buffer.alloc(size, 'x')
    const batch = Array.from({ length: BATCH_RECORDS }, () => value)
    const forms: Record<string, () => Promise<void>> = {
      'single sends': () => underWay(records, OUTSTANDING, () => client.single(value)),
      'batches of 100': () => underWay(records / BATCH_RECORDS, BATCHES_UNDER_WAY, () => client.batch(batch)),
    }
    for (const [form, run] of Object.entries(forms)) {
      // The last round counts: the ones before warm it up.
      for (let round = 1; round <= rounds; round++) {
        const cpu = process.cpuUsage()
        const begunMs = performance.now()
        await run()
        const seconds = (performance.now() - begunMs) / 1000
        const { user, system } = process.cpuUsage(cpu)
        if (round === rounds)
          console.log(
            `${name.padEnd(12)} ${String(size).padStart(4)} B ${form.padEnd(14)} ${Math.round(records / seconds)
              .toLocaleString('en')
              .padStart(10)} records/s ${((user + system) / records).toFixed(2).padStart(7)} us of CPU each`,
          )
      }
    }
  }
}

/** Calls `send` so many times, with at most so many of its promises open. */
async function underWay(count: number, max: number, send: () => Promise<unknown>): Promise<void> {
  let left = count
  const worker = async (): Promise<void> => {
    while (left-- > 0) await send()
  }
  await Promise.all(Array.from({ length: max }, worker))
}

const CLIENTS: Record<string, (bootstrapServers: string) => Promise<Client | null>> = {
  samsa(bootstrapServers) {
    const producer = new Producer(nodePlatform({ logLevel: 'error' }), { bootstrapServers })
    return Promise.resolve({
      single: (value) => producer.send(TOPIC, { value }),
      batch: (values) =>
        producer.sendBatch(
          TOPIC,
          values.map((value) => ({ value })),
        ),
      close: () => producer.close(),
    })
  },

  async kafkajs(bootstrapServers) {
    const library = load('kafkajs') as typeof KafkaJs | null
    if (library === null) return null
    const producer = new library.Kafka({ brokers: [bootstrapServers], logLevel: 0 }).producer()
    await producer.connect()
    return {
      single: (value) => producer.send({ topic: TOPIC, acks: -1, messages: [{ value }] }),
      batch: (values) => producer.send({ topic: TOPIC, acks: -1, messages: values.map((value) => ({ value })) }),
      close: () => producer.disconnect(),
    }
  },

  platformatic(bootstrapServers) {
    const library = load('@platformatic/kafka') as typeof Platformatic | null
    if (library === null) return Promise.resolve(null)
    const producer = new library.Producer({ clientId: 'bench', bootstrapBrokers: [bootstrapServers] })
    return Promise.resolve({
      single: (value) => producer.send({ acks: -1, messages: [{ topic: TOPIC, value }] }),
      batch: (values) => producer.send({ acks: -1, messages: values.map((value) => ({ topic: TOPIC, value })) }),
      close: () => producer.close(),
    })
  },
}

/** What is used of the other clients; their packages are not among ours. */
declare const KafkaJs: {
  Kafka: new (options: object) => {
    producer(): { connect(): Promise<void>; disconnect(): Promise<void>; send(batch: object): Promise<unknown> }
  }
}
declare const Platformatic: {
  Producer: new (options: object) => { send(batch: object): Promise<unknown>; close(): Promise<void> }
}

function load(name: string): unknown {
  try {
    return createRequire(join(NODE_CLIENTS, 'package.json'))(name)
  } catch {
    return null
  }
}

async function serve(): Promise<void> {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'samsa-bench-'))
  const cluster = await EmbeddedCluster.start(nodePlatform({ logLevel: 'error' }), {
    brokers: 1,
    dataDirectory,
    host: '127.0.0.1',
    brokerPorts: [0],
    zookeeperPort: 0,
    overrides: {},
  })
  process.once('message', () => {
    void cluster.close().then(() => {
      rmSync(dataDirectory, { recursive: true, force: true })
      process.disconnect?.()
    })
  })
  process.send!(cluster.bootstrapServers)
}

function stop(broker: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    broker.once('exit', () => resolve())
    broker.send('stop')
  })
}

if (options.serve) await serve()
else await main(Number(options.records), Number(options.rounds))
