/**
 * Samsa's ZooKeeper server, built, against Apache ZooKeeper 3.9: one server and three, each a process of its own, both
 * sides in turn in one run, with fsync. Clients on raw sockets keep so many operations under way, creating, setting and
 * getting nodes. A point is taken twice, cold and warm; the warm one counts, since a JVM needs the first.
 *
 *   node bench/zookeeper.ts                                     everything, about ten minutes; writes docs/performance.md
 *   node bench/zookeeper.ts --servers 3 --loads 16x1 --bytes 100   a part of it; the document keeps the rest as it was
 *   node bench/zookeeper.ts --only samsa                        one side alone; writes nothing
 *   node bench/zookeeper.ts --quick                             a fifth of the operations; writes nothing
 *   node bench/zookeeper.ts --report                            the document again, from the last figures
 *   --ungated, --source                                         on a busy machine; without building
 *
 * The sketch that it confirms: a create is about 300 bytes in the log and a third of a microsecond of checksum. With one
 * client, a write is one sync (three servers: a round trip and one sync, for they sync side by side). With 1,600 under
 * way one sync of 1 ms carries hundreds of them, so the limit is the processor, not the disk.
 */
import {
  Ensemble,
  IMPLEMENTATIONS,
  type Implementation,
  ZooKeeperWire,
  createRequest,
  deleteRequest,
  getRequest,
} from '../test/peers/index.ts'
import { setRequest, until, usageOf } from '../test/peers/index.ts'
import { install } from '../test/peers/install.ts'
import { build } from '../tools/build.ts'
import { scriptOptions } from '../tools/options.ts'
import { gated } from './gate.ts'
import { median } from './points.ts'
import { type Figure, type Point, remember, summary, writeZooKeeper } from './zookeeper-report.ts'

interface Load {
  name: string
  clients: number
  outstanding: number
  operations: number
}

/** So many operations that a point takes a few seconds on the slower side. */
const LOADS: readonly Load[] = [
  { name: '1x1', clients: 1, outstanding: 1, operations: 2000 },
  { name: '16x1', clients: 16, outstanding: 1, operations: 10_000 },
  { name: '128x1', clients: 128, outstanding: 1, operations: 24_000 },
  { name: '16x100', clients: 16, outstanding: 100, operations: 60_000 },
]
const START_REPEATS = 3
const HEAP = '512M'
const MIB = 2 ** 20

const options = scriptOptions({
  servers: '1,3',
  loads: LOADS.map(({ name }) => name).join(','),
  bytes: '100,1024',
  only: IMPLEMENTATIONS,
  quick: false,
  report: false,
  ungated: false,
  source: false,
})
const sides: readonly Implementation[] = options.only === undefined ? IMPLEMENTATIONS : [options.only]
const loads = LOADS.filter(({ name }) => options.loads.split(',').includes(name))

if (options.report) writeZooKeeper()
else await main()

async function main(): Promise<void> {
  await install(['zookeeper'])
  if (!options.source) {
    process.env['SAMSA_BUILT'] = '1'
    await build()
  }
  const points: Point[] = []
  for (const servers of options.servers.split(',').map(Number)) points.push(...(await configuration(servers)))
  console.log(`\n${summary(points)}`)
  if (options.quick || options.only !== undefined) return
  remember(points)
  writeZooKeeper()
}

async function configuration(servers: number): Promise<Point[]> {
  const name = servers === 1 ? 'one server' : `${servers} servers`
  console.log(`\n${name}`)
  const points: Point[] = [await startUp(name, servers)]
  const ensembles = new Map<Implementation, Ensemble>()
  try {
    for (const side of sides) ensembles.set(side, await started(side, servers))
    points.push(memory(name, 'idle', ensembles))
    for (const round of ['cold', 'warm'] as const)
      for (const bytes of options.bytes.split(',').map(Number))
        for (const [index, load] of loads.entries()) {
          const figures = new Map<Implementation, Figure[]>()
          // The order turns at each point, so that neither side always follows the other.
          for (const side of index % 2 === 0 ? sides : sides.toReversed()) {
            const { value, foreign } = await gated(() => measure(ensembles.get(side)!, load, bytes), options.ungated)
            figures.set(side, value)
            const told = value.map(
              ({ operation, rate, p50, p99, cpu }) =>
                `${operation} ${rate.toFixed(0)}/s ${p50.toFixed(2)}/${p99.toFixed(1)} ms ${cpu.toFixed(0)} us`,
            )
            console.log(
              `  ${round} ${load.name} ${bytes} B: ${side}: ${told.join(', ')} (others ${foreign.toFixed(2)})`,
            )
          }
          if (round === 'warm') points.push(...joined(name, load.name, bytes, figures))
        }
    points.push(memory(name, 'after all', ensembles))
  } finally {
    for (const ensemble of ensembles.values()) await ensemble.close()
  }
  return points
}

/** Rates and latencies of creates, sets and gets; the nodes are gone afterwards. */
async function measure(ensemble: Ensemble, load: Load, bytes: number): Promise<Figure[]> {
  const { clients, outstanding } = load
  // Spread over the servers.
  const targets = Array.from({ length: clients }, (_, index) => ensemble.servers[index % ensemble.servers.length]!)
  const sessions = await Promise.all(targets.map(({ host, port }) => ZooKeeperWire.open(host, port)))
  const count = Math.floor((load.operations * (options.quick ? 0.2 : 1)) / clients)
  const all = (window: number, request: (path: string) => Buffer, latencies: number[] = []): Promise<unknown> =>
    Promise.all(
      sessions.map((session, number) =>
        session.run(count, window, (index) => request(`/bench/n-${number}-${index}`), latencies),
      ),
    )
  await sessions[0]!.run(1, 1, () => createRequest('/bench', 0))
  const figures: Figure[] = []
  const operations = {
    create: (path: string) => createRequest(path, bytes),
    set: (path: string) => setRequest(path, bytes),
    get: (path: string) => getRequest(path),
  }
  for (const [operation, request] of Object.entries(operations)) {
    const latencies: number[] = []
    const cpuBefore = cpuSeconds(ensemble)
    const startMs = performance.now()
    await all(outstanding, request, latencies)
    const rate = (count * clients * 1000) / (performance.now() - startMs)
    const cpu = ((cpuSeconds(ensemble) - cpuBefore) * 1e6) / (count * clients)
    latencies.sort((a, b) => a - b)
    const at = (share: number): number => latencies[Math.floor(latencies.length * share)]!
    figures.push({ operation, rate, p50: at(0.5), p99: at(0.99), cpu })
  }
  await all(100, deleteRequest)
  await sessions[0]!.run(1, 1, () => deleteRequest('/bench'))
  await Promise.all(sessions.map((session) => session.close()))
  return figures
}

function cpuSeconds({ servers }: Ensemble): number {
  return servers.reduce((sum, { pid }) => sum + usageOf(pid).cpuSeconds, 0)
}

function joined(configurationName: string, load: string, bytes: number, of: Map<Implementation, Figure[]>): Point[] {
  return of.get(sides[0]!)!.map(({ operation }, index) => ({
    kind: 'load',
    configuration: configurationName,
    load,
    bytes,
    operation,
    samsa: of.get('samsa')?.[index] ?? null,
    apache: of.get('apache')?.[index] ?? null,
  }))
}

/** From the start of the processes, on empty directories, to the first session; for several servers there must be a leader. */
async function startUp(configurationName: string, servers: number): Promise<Point> {
  const times = new Map<Implementation, number>()
  for (const side of sides) {
    const all: number[] = []
    for (let repeat = 0; repeat < START_REPEATS; repeat++)
      all.push((await gated(() => startOnce(side, servers), options.ungated)).value)
    times.set(side, median(all))
    console.log(`  start: ${side}: ${all.map((time) => time.toFixed(0)).join(', ')} ms`)
  }
  return single(configurationName, 'start to first session', 'ms', times)
}

async function startOnce(side: Implementation, servers: number): Promise<number> {
  const ensemble = await Ensemble.prepare(sized(side, servers))
  try {
    const startMs = performance.now()
    for (const server of ensemble.servers) server.start()
    const { host, port } = ensemble.byId(1)
    const session = await until('it gives a session', () => ZooKeeperWire.open(host, port), 30_000, 5)
    const tookMs = performance.now() - startMs
    session.destroy()
    return tookMs
  } finally {
    await ensemble.close()
  }
}

function started(side: Implementation, servers: number): Promise<Ensemble> {
  return Ensemble.start(sized(side, servers))
}

function sized(side: Implementation, servers: number): { servers: Implementation[]; heap: string } {
  return { servers: Array<Implementation>(servers).fill(side), heap: HEAP }
}

/** Of one server, on average; the most so far, since systems take back what is not used for a while. */
function memory(configurationName: string, when: string, ensembles: Map<Implementation, Ensemble>): Point {
  const resident = new Map<Implementation, number>()
  for (const [side, { servers }] of ensembles)
    resident.set(side, servers.reduce((sum, { pid }) => sum + usageOf(pid).residentBytesMax, 0) / servers.length / MIB)
  return single(configurationName, `resident, ${when}`, 'MiB', resident)
}

function single(configurationName: string, what: string, unit: string, of: Map<Implementation, number>): Point {
  const [samsa, apache] = [of.get('samsa') ?? null, of.get('apache') ?? null]
  return { kind: 'single', configuration: configurationName, what, unit, samsa, apache }
}
