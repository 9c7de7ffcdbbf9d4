/**
 * `npm run bench`: Samsa, built, one process per broker, against Apache Kafka 3.9, interleaved in one run, driven by
 * Apache's own tools. What counts is the ratio of the second, warm round.
 *
 *   npm run bench                    one broker, then three with replication factor 3; writes docs/performance.md
 *   npm run bench -- --quick         a tenth of the records, writes nothing: does it work, and roughly where are we
 *   npm run bench -- --ungated       on a machine that is never quiet (figures of no worth, only to try the bench)
 *   npm run bench -- --brokers 3     one of the two configurations
 *   npm run bench -- --samsa         Samsa alone
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import {
  CACHE,
  Cluster,
  type Implementation,
  ToolServer,
  Wire,
  broker,
  metadata,
  startZooKeeper,
  until,
} from '../test/peers/index.ts'
import { install } from '../test/peers/install.ts'
import { build } from '../tools/build.ts'
import { scriptOptions } from '../tools/options.ts'
import { gated } from './gate.ts'
import { type Figures, type Side, type Sizes, brokerResident, ms, pointsOf, median, removeTopic } from './points.ts'
import { type Result, type Row, table, writeDocument } from './report.ts'

const FULL: Sizes = { records: { 100: 1_500_000, 1024: 300_000 }, pacedRecords: 60_000, endToEndRecords: 5000 }
const QUICK: Sizes = { records: { 100: 300_000, 1024: 60_000 }, pacedRecords: 15_000, endToEndRecords: 1000 }
const RESULT_PATH = join(CACHE, 'bench/result.json')
const START_REPEATS = 3
const BROKER_HEAP = '1G'

const options = scriptOptions({
  quick: false,
  ungated: false,
  samsa: false,
  report: false,
  brokers: ['1', '3'],
})
const sizes = options.quick ? QUICK : FULL
const implementations: Implementation[] = options.samsa ? ['samsa'] : ['apache', 'samsa']

if (options.report) {
  writeDocument(JSON.parse(readFileSync(RESULT_PATH, 'utf8')) as Result)
} else {
  process.env['SAMSA_BUILT'] = '1'
  await install(['kafka', 'tool server'])
  await build()
  const rows: Row[] = []
  for (const brokers of options.brokers === undefined ? [1, 3] : [Number(options.brokers)])
    rows.push(...(await configuration(brokers)))
  const result: Result = {
    at: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} cores, ${cpus()[0]!.model.trim()}`,
    node: process.version,
    rows,
  }
  mkdirSync(dirname(RESULT_PATH), { recursive: true })
  writeFileSync(RESULT_PATH, JSON.stringify(result, null, 1))
  console.log(`\n${table(result)}`)
  if (!options.quick && !options.ungated && !options.samsa && options.brokers === undefined) writeDocument(result)
}

/** All points of a cluster of so many brokers: a cold round, then the warm one that counts. */
async function configuration(brokers: number): Promise<Row[]> {
  const name = brokers === 1 ? 'one broker' : `${brokers} brokers, replication factor ${Math.min(3, brokers)}`
  console.log(`\n${name}`)
  const rows: Row[] = []
  if (brokers === 1) rows.push(...(await startUp(name)))
  const sides: Side[] = []
  try {
    for (const implementation of implementations) sides.push(await startSide(implementation, brokers))
    rows.push(...rowsOf(name, 'idle', sides, new Map(sides.map((side) => [side, { resident: brokerResident(side) }]))))
    const points = pointsOf(sizes, brokers)
    for (const round of ['cold', 'warm'] as const)
      for (const [index, point] of points.entries()) {
        const figures = new Map<Side, Figures>()
        // The order turns at each point, so that neither side always follows the other.
        for (const side of index % 2 === 0 ? sides : sides.toReversed()) {
          let attempt = 0
          const { value, foreign } = await gated(async () => {
            const topic = `${round}-${index}-${side.implementation}-${attempt++}`
            const measured = await point.measure(side, topic)
            await removeTopic(side, topic)
            return measured
          }, options.ungated)
          figures.set(side, value)
          const text = Object.entries(value).map(([key, figure]) => `${key} ${short(figure.value)} ${figure.unit}`)
          console.log(
            `  ${round} ${point.name}: ${side.implementation}: ${text.join(', ')} (others ${foreign.toFixed(2)})`,
          )
        }
        if (round === 'warm') rows.push(...rowsOf(name, point.name, sides, figures))
      }
    rows.push(
      ...rowsOf(name, 'after all', sides, new Map(sides.map((side) => [side, { resident: brokerResident(side) }]))),
    )
  } finally {
    for (const side of sides) await stopSide(side)
  }
  return rows
}

/** From the start of a broker's process, on an empty directory, to its first answer. */
async function startUp(configurationName: string): Promise<Row[]> {
  const figures = new Map<Implementation, Figures>()
  for (const implementation of implementations) {
    const times: number[] = []
    for (let repeat = 0; repeat < START_REPEATS; repeat++)
      times.push((await gated(() => startOnce(implementation), options.ungated)).value)
    figures.set(implementation, { 'start to first answer': ms(median(times)) })
    console.log(`  start: ${implementation}: ${times.map((time) => time.toFixed(0)).join(', ')} ms`)
  }
  return compare(configurationName, 'start, empty directory', figures)
}

async function startOnce(implementation: Implementation): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'samsa-start-'))
  const zookeeper = await startZooKeeper({ implementation, directory })
  const server = await broker({ implementation, directory, id: 1, zookeeper: zookeeper.address, heap: BROKER_HEAP })
  try {
    const started = performance.now()
    server.start()
    const isAnswered = (): Promise<boolean> =>
      Wire.ask(server.address, async (wire) => (await metadata(wire)).controllerId >= 0)
    await until('it answers', isAnswered, 30_000, 5)
    return performance.now() - started
  } finally {
    await server.kill()
    await zookeeper.kill()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function startSide(implementation: Implementation, brokers: number): Promise<Side> {
  const cluster = await Cluster.start({
    implementation,
    brokers,
    heap: BROKER_HEAP,
    properties: { 'zookeeper.session.timeout.ms': 18_000 },
  })
  const tools = new ToolServer()
  return { implementation, cluster, tools }
}

async function stopSide({ cluster, tools }: Side): Promise<void> {
  await tools.close()
  await cluster.close()
}

function rowsOf(configurationName: string, point: string, sides: Side[], figures: Map<Side, Figures>): Row[] {
  return compare(configurationName, point, new Map(sides.map((side) => [side.implementation, figures.get(side)!])))
}

function compare(configurationName: string, point: string, figures: Map<Implementation, Figures>): Row[] {
  const samsa = figures.get('samsa')!
  const apache = figures.get('apache')
  return Object.entries(samsa).map(([figure, { value, unit, better }]) => ({
    configuration: configurationName,
    point,
    figure,
    unit,
    better,
    samsa: value,
    apache: apache?.[figure]?.value ?? null,
  }))
}

function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
