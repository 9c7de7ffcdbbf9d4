/** What is measured, each with Apache's own tools, the same for both sides. */
import {
  Cluster,
  EARLIEST,
  type Implementation,
  LATEST,
  type NewTopic,
  ToolServer,
  Wire,
  javaTool,
  listOffset,
  usageOf,
} from '../test/peers/index.ts'

/** One measured value and what is better. */
export interface Figure {
  value: number
  unit: string
  better: 'more' | 'less'
}

export type Figures = Record<string, Figure>

/** One side of the comparison: a cluster, and a JVM for the tools that need no measuring. */
export interface Side {
  implementation: Implementation
  cluster: Cluster
  tools: ToolServer
}

export interface Point {
  name: string
  measure(side: Side, topic: string): Promise<Figures>
}

export interface Sizes {
  /** Records of 100 B, and of 1 KiB. */
  records: { 100: number; 1024: number }
  pacedRecords: number
  endToEndRecords: number
}

const PACED_RATE = 5000
const PARTITIONS = 6
/** The consumer's rate is the median of so many runs: one is over in a second or two. */
const CONSUMER_RUNS = 3
const PRODUCERS = {
  tuned: ['batch.size=65536', 'linger.ms=5'],
  defaults: ['batch.size=16384', 'linger.ms=0'],
} as const
/** The tools get what they need to not be the bottleneck. */
const CLIENT_JVM = { heap: '1G', jvm: ['-XX:+UseG1GC'] }
const TOOL_TIMEOUT_MS = 240_000

export function pointsOf(sizes: Sizes, brokers: number): Point[] {
  const replicationFactor = Math.min(3, brokers)
  const points: Point[] = []
  for (const [setting, properties] of Object.entries(PRODUCERS))
    for (const size of [100, 1024] as const)
      points.push({
        name: `${label(size)}, acks all, ${setting}`,
        measure: (side, topic) =>
          produceAndConsume(side, topic, replicationFactor, size, sizes.records[size], properties),
      })
  points.push({
    name: `${PACED_RATE} records/s of 1 KiB, acks all, linger 0`,
    measure: async (side, topic) => {
      await create(side, topic, replicationFactor)
      const { latencies } = await produce(side, topic, 1024, sizes.pacedRecords, PACED_RATE, PRODUCERS.defaults)
      return { 'paced p50': ms(latencies.p50), 'paced p99': ms(latencies.p99), 'paced mean': ms(latencies.mean) }
    },
  })
  points.push({
    name: 'one at a time, acks all',
    measure: async (side, topic) => {
      await create(side, topic, replicationFactor, 1)
      const { stdout } = await javaTool(
        'kafka-e2e-latency',
        [side.cluster.bootstrap, topic, String(sizes.endToEndRecords), 'all', '100'],
        { ...CLIENT_JVM, timeoutMs: TOOL_TIMEOUT_MS },
      )
      const mean = Number(/Avg latency: ([\d.]+) ms/.exec(stdout)![1])
      const percentiles = /50th = (\d+), 99th = (\d+)/.exec(stdout)!
      return {
        'end to end mean': ms(mean),
        'end to end p50': ms(Number(percentiles[1])),
        'end to end p99': ms(Number(percentiles[2])),
      }
    },
  })
  return points
}

/** Produces, then reads it all from its beginning. */
async function produceAndConsume(
  side: Side,
  topic: string,
  replicationFactor: number,
  size: 100 | 1024,
  records: number,
  properties: readonly string[],
): Promise<Figures> {
  await create(side, topic, replicationFactor)
  const cpuBefore = brokerCpuSeconds(side)
  const produced = await produce(side, topic, size, records, -1, properties)
  const cpuProduced = brokerCpuSeconds(side)
  await assertAllThere(side, topic, records)
  const consumed: number[] = []
  for (let run = 0; run < CONSUMER_RUNS; run++) consumed.push(await consume(side, topic, records))
  const cpuConsumed = brokerCpuSeconds(side)
  return {
    'produce rate': { value: produced.rate, unit: 'records/s', better: 'more' },
    'produce p99': ms(produced.latencies.p99),
    'produce CPU': micros((cpuProduced - cpuBefore) / records),
    'consume rate': { value: median(consumed), unit: 'records/s', better: 'more' },
    'consume CPU': micros((cpuConsumed - cpuProduced) / records / CONSUMER_RUNS),
  }
}

async function create(side: Side, topic: string, replicationFactor: number, partitions = PARTITIONS): Promise<void> {
  const created: NewTopic = { name: topic, partitions, replicationFactor }
  // So that a deleted one gives its pages back before the next is written.
  created.configs = { 'file.delete.delay.ms': '100' }
  await side.cluster.createTopic(created)
}

export async function removeTopic(side: Side, topic: string): Promise<void> {
  await side.tools.run('kafka-topics', ['--bootstrap-server', side.cluster.bootstrap, '--delete', '--topic', topic], {
    mayFail: true,
  })
}

interface Produced {
  rate: number
  latencies: { mean: number; p50: number; p99: number }
}

async function produce(
  side: Side,
  topic: string,
  size: number,
  records: number,
  throughput: number,
  properties: readonly string[],
): Promise<Produced> {
  const { stdout } = await javaTool(
    'kafka-producer-perf-test',
    [
      ...`--topic ${topic} --num-records ${records} --record-size ${size} --throughput ${throughput}`.split(' '),
      ...`--producer-props bootstrap.servers=${side.cluster.bootstrap} acks=all`.split(' '),
      ...properties,
    ],
    { ...CLIENT_JVM, timeoutMs: TOOL_TIMEOUT_MS },
  )
  const last = stdout.trimEnd().split('\n').at(-1)!
  const found =
    /^(\d+) records sent, ([\d.]+) records\/sec.* ([\d.]+) ms avg latency.* (\d+) ms 50th.* (\d+) ms 99th/.exec(last)
  if (found === null || Number(found[1]) !== records)
    throw new Error(`the producer lost records: ${stdout.slice(-500)}`)
  return {
    rate: Number(found[2]),
    latencies: { mean: Number(found[3]), p50: Number(found[4]), p99: Number(found[5]) },
  }
}

/** Records a second, the time to join the group left out. */
async function consume(side: Side, topic: string, records: number): Promise<number> {
  const { stdout } = await javaTool(
    'kafka-consumer-perf-test',
    [
      '--bootstrap-server',
      side.cluster.bootstrap,
      '--topic',
      topic,
      '--messages',
      String(records),
      '--timeout',
      '20000',
    ],
    { ...CLIENT_JVM, timeoutMs: TOOL_TIMEOUT_MS },
  )
  const row = stdout.trimEnd().split('\n').at(-1)!.split(',')
  if (Number(row[4]) < records) throw new Error(`the consumer got ${row[4]} of ${records} records`)
  return Number(row[9])
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}

async function assertAllThere(side: Side, topic: string, records: number): Promise<void> {
  let there = 0
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const leader = await side.cluster.leaderOf(topic, partition)
    there += await Wire.ask(
      leader.address,
      async (wire) =>
        (await listOffset(wire, topic, partition, LATEST)) - (await listOffset(wire, topic, partition, EARLIEST)),
    )
  }
  if (there !== records) throw new Error(`${side.implementation} has ${there} of ${records} records`)
}

export function brokerCpuSeconds(side: Side): number {
  return side.cluster.brokers.reduce((sum, { pid }) => sum + usageOf(pid).cpuSeconds, 0)
}

/** Of one broker, on average, in MiB. */
export function brokerResident(side: Side): Figure {
  const bytes = side.cluster.brokers.reduce((sum, { pid }) => sum + usageOf(pid).residentBytes, 0)
  return { value: bytes / side.cluster.brokers.length / (1 << 20), unit: 'MiB', better: 'less' }
}

export function ms(value: number): Figure {
  return { value, unit: 'ms', better: 'less' }
}

function micros(seconds: number): Figure {
  return { value: seconds * 1e6, unit: 'us', better: 'less' }
}

function label(size: number): string {
  return size === 1024 ? '1 KiB' : `${size} B`
}
