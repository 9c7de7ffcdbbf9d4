/**
 * `node bench/clients.ts`: the clients side by side, against Apache's broker and ours, in one run: kafkajs, @platformatic/kafka, Java's
 * client and ours. Single sends with a thousand under way, and batches of a hundred; acks=all; 100 B and 1 KiB; consumed record by
 * record and by batch. A process per client and one broker, so that each one's CPU is its own.
 *
 *     --seconds 2        how long each figure is measured, after half as long to warm up
 *     --only samsa       one client
 *     --broker samsa     one broker
 *
 * The sketch that it confirms: to encode a record of 100 B takes 0.1 us and a promise as long; what it costs beyond that is its
 * share of a request, so batches decide, and a client that sends each record by itself pays a request for each. On a machine with
 * other work the CPU per record counts, not the rate.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

import { Producer } from '../src/client/index.ts'
import { nodePlatform } from '../src/platform/node/index.ts'
import {
  Cluster,
  IMPLEMENTATIONS,
  KAFKA_TOOLS,
  type Implementation,
  type JavaTool,
  javaArguments,
  run,
} from '../test/peers/index.ts'
import { build } from '../tools/build.ts'
import { scriptOptions } from '../tools/options.ts'
import { FORMS, SIZES, type Form, type Job, type Measured, type Size } from './client-work.ts'

const NAMES = ['samsa', 'java', 'kafkajs', 'platformatic'] as const
type Name = (typeof NAMES)[number]

const PARTITIONS = 6
const FILLED: Readonly<Record<Size, number>> = { 100: 1_500_000, 1024: 200_000 }
const JAVA_RECORDS: Readonly<Record<Size, number>> = { 100: 1_000_000, 1024: 200_000 }
const CLIENT_JVM = { heap: '1G', jvm: ['-XX:+UseG1GC'] }
const FILL_BATCH = 1000

const options = scriptOptions({ seconds: 2, only: NAMES, broker: IMPLEMENTATIONS })

type Figures = Map<string, Measured>

async function main(): Promise<void> {
  process.env['SAMSA_BUILT'] = '1'
  await build()
  const names = NAMES.filter((name) => options.only === undefined || options.only === name)
  for (const implementation of IMPLEMENTATIONS) {
    if (options.broker !== undefined && options.broker !== implementation) continue
    const figures = await side(implementation, names)
    console.log(`\nagainst ${implementation === 'apache' ? "Apache's" : 'our'} broker\n${table(names, figures)}`)
  }
}

/** All clients against one broker. */
async function side(implementation: Implementation, names: readonly Name[]): Promise<Figures> {
  const cluster = await Cluster.start({ brokers: 1, implementation, heap: '1G' })
  try {
    for (const name of ['bench', ...SIZES.map(filledTopic)])
      await cluster.createTopic({ name, partitions: PARTITIONS, replicationFactor: 1 })
    for (const size of SIZES) await fill(cluster.bootstrap, size)
    const figures: Figures = new Map()
    for (const name of names) {
      const measured = name === 'java' ? await java(cluster.bootstrap) : await nodeClient(name, cluster.bootstrap)
      for (const one of measured) figures.set(keyOf(name, one.form, one.size), one)
    }
    return figures
  } finally {
    await cluster.close()
  }
}

function filledTopic(size: Size): string {
  return `filled-${size}`
}

async function fill(bootstrapServers: string, size: Size): Promise<void> {
  await using producer = new Producer(nodePlatform({ logLevel: 'error' }), { bootstrapServers, lingerMs: 5 })
  const bytes = Buffer.alloc(size, 'x')
  const bounds = Int32Array.from({ length: FILL_BATCH * 2 }, (_, index) => (index % 2) * size)
  for (let left = FILLED[size]; left > 0;) {
    const taken = producer.pushValues(filledTopic(size), { bytes, bounds, count: Math.min(left, FILL_BATCH) })
    left -= taken
    if (taken < FILL_BATCH && left > 0) await producer.ready(filledTopic(size))
  }
  await producer.flush()
}

async function nodeClient(client: Job['client'], bootstrapServers: string): Promise<Measured[]> {
  const measured: Measured[] = []
  const child = fork(join(import.meta.dirname, 'client-work.ts'))
  child.on('message', (one) => measured.push(one as Measured))
  const filled = Object.fromEntries(SIZES.map((size) => [size, { topic: filledTopic(size), records: FILLED[size] }]))
  const job = { client, bootstrapServers, topic: 'bench', filled, seconds: options.seconds }
  child.send(job)
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) console.log(`${client} failed; is it installed? (npm run test:compat installs it)`)
  return measured
}

/** Its own measuring programs: they send without waiting, and read what a poll gives. Their CPU contains the start of a JVM. */
async function java(bootstrap: string): Promise<Measured[]> {
  const measured: Measured[] = []
  for (const size of SIZES) {
    const records = JAVA_RECORDS[size]
    const sent = await timed('kafka-producer-perf-test', [
      ...`--topic bench --num-records ${records} --record-size ${size} --throughput -1`.split(' '),
      ...`--producer-props bootstrap.servers=${bootstrap} acks=all`.split(' '),
    ])
    const rate = Number(
      /, ([\d.]+) records\/sec/.exec(
        sent.stdout
          .trimEnd()
          .split('\n')
          .findLast((line) => line.includes('records sent'))!,
      )![1],
    )
    measured.push({ form: 'single sends', size, records, seconds: records / rate, cpuSeconds: sent.cpuSeconds })
    const reading = `--bootstrap-server ${bootstrap} --topic ${filledTopic(size)} --messages ${FILLED[size]} --timeout 20000`
    const read = await timed('kafka-consumer-perf-test', reading.split(' '))
    const row = read.stdout
      .split('\n')
      .findLast((line) => /^\d{4}-/.test(line))!
      .split(',')
    const count = Number(row[4])
    measured.push({
      form: 'by record',
      size,
      records: count,
      seconds: count / Number(row[9]),
      cpuSeconds: read.cpuSeconds,
    })
  }
  return measured
}

/** The shell's `times` says what its children used: `0m1.230s 0m0.120s` in its second line. */
async function timed(tool: JavaTool, args: readonly string[]): Promise<{ stdout: string; cpuSeconds: number }> {
  const command = ['java', ...javaArguments(KAFKA_TOOLS[tool], args, CLIENT_JVM)]
  const { stdout } = await run('sh', ['-c', '"$@"; times', 'sh', ...command], { timeoutMs: 120_000 })
  const lines = stdout.trimEnd().split('\n')
  const parts = [...lines.at(-1)!.matchAll(/(\d+)m([\d.]+)s/g)]
  return {
    stdout,
    cpuSeconds: parts.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0),
  }
}

function keyOf(name: Name, form: Form, size: Size): string {
  return `${name} ${form} ${size}`
}

/** Of each client records a second and CPU seconds per million records; and how many times that our client gives. */
function table(names: readonly Name[], figures: Figures): string {
  const others = names.filter((name) => name !== 'samsa')
  const head = [
    '',
    ...names.map((name) => `${name} rec/s`),
    ...names.map((name) => `${name} s/M`),
    ...others.map((name) => `ours/${name}`),
  ]
  const rows = FORMS.flatMap((form) =>
    SIZES.map((size) => {
      const of = (name: Name): Measured | undefined => figures.get(keyOf(name, form, size))
      const rate = (name: Name): number | undefined => {
        const one = of(name)
        return one && one.records / one.seconds
      }
      const ours = rate('samsa')
      return [
        `${form}, ${size} B`,
        ...names.map((name) => whole(rate(name))),
        ...names.map((name) => of(name)).map((one) => fixed(one && (one.cpuSeconds / one.records) * 1e6)),
        ...others.map((name) => fixed(ours && rate(name) && ours / rate(name)!)),
      ]
    }),
  )
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]!.length)))
  return [head, ...rows]
    .map((row) =>
      row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  '),
    )
    .join('\n')
}

function whole(value: number | undefined): string {
  return value === undefined ? '-' : Math.round(value).toLocaleString('en')
}

function fixed(value: number | undefined): string {
  return value === undefined ? '-' : value.toFixed(2)
}

await main()
