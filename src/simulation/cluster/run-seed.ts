import { sleep, type LogLevel, type Platform } from '#platform'

import { checkHistory } from '../checker/checker.ts'
import { checkGroups } from '../checker/group-checks.ts'
import type { Anomaly } from '../checker/history.ts'
import { PlainConsumer } from '../workload/consumer.ts'
import { PlainMember } from '../workload/member.ts'
import { PlainCluster, type TopicPartition } from '../workload/plain-cluster.ts'
import { PlainProducer } from '../workload/producer.ts'
import { Recorder } from '../workload/recorder.ts'
import { World } from '../world.ts'
import { SimulatedCluster, type BrokerFaults } from './cluster.ts'
import { ControlTap } from './control-tap.ts'
import { Faults } from './faults.ts'
import { Observer } from './observer.ts'

export interface SeedOptions {
  /** Switches that break a rule, to show that the break is found. */
  readonly brokerFaults?: BrokerFaults
  readonly zookeeperAnswersEarly?: boolean
  readonly onTrace?: (line: string) => void
  readonly onLog?: (level: LogLevel, line: string) => void
}

export interface SeedReport {
  readonly seed: number
  readonly mode: string
  /** What must never happen, and did. */
  readonly findings: readonly string[]
  /** Records that were acknowledged and are gone, where that is the price of not syncing. */
  readonly lostToPower: number
  readonly acknowledgedRecords: number
  /** Virtual ms that the run took. */
  readonly durationMs: number
  readonly events: number
  readonly digest: string
  readonly counters: Readonly<Record<string, number>>
  /** Errors that the clients were answered with, faults by kind. For people. */
  readonly notes: Readonly<Record<string, number>>
}

const TOPICS = [
  { name: 't0', partitions: 2 },
  { name: 't1', partitions: 2 },
]
const PARTITIONS: readonly TopicPartition[] = TOPICS.flatMap(({ name, partitions }) =>
  Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition })),
)
const PRODUCERS = 2
const MEMBERS = 3
/** Until the topics exist. */
const SETUP_MS_MAX = 20_000
const FAULTS_MS = 52_000
const FAULT_EVERY_MS = 2500
/** After the faults everything must have found back within this. */
const RECOVERY_MS_MAX = 60_000
/** Then the replicas catch up. */
const QUIET_MS = 7000
const PAUSE_MS = 400

/** Which faults the brokers' disks face, and what they promise there; by turns. */
const MODES = [
  { name: 'crashes', brokersLosePower: false, brokersSync: false },
  { name: 'crashes', brokersLosePower: false, brokersSync: false },
  { name: 'power failures, synced', brokersLosePower: true, brokersSync: true },
  { name: 'power failures, unsynced', brokersLosePower: true, brokersSync: false },
] as const

/** One cluster, its clients and its faults, from the first start to the last read; everything follows from the seed. */
export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedReport> {
  const mode = MODES[seed % MODES.length]!
  const world = new World(seed)
  world.trace.sink = options.onTrace ?? null
  world.logSink = options.onLog ?? null
  const cluster = new SimulatedCluster(world, {
    brokerFaults: options.brokerFaults ?? {},
    zookeeperAnswersEarly: options.zookeeperAnswersEarly ?? false,
    brokersSync: mode.brokersSync,
  })
  const recorder = new Recorder()
  const workload = new Workload(world, cluster, recorder)
  const observer = new Observer(cluster, (partition) => recorder.highestAcknowledged(partition))
  const tap = new ControlTap(cluster)
  const findings: string[] = []
  const isLossAllowed = mode.brokersLosePower && !mode.brokersSync

  cluster.startAll()
  observer.start()
  if (!(await workload.setUp())) findings.push(`the topics did not come about within ${SETUP_MS_MAX} ms`)
  else {
    const faults = new Faults(cluster, workload.machines, {
      brokersLosePower: mode.brokersLosePower,
      everyMs: FAULT_EVERY_MS,
    })
    workload.start(world.nowMs + FAULTS_MS)
    faults.start()
    await world.run(FAULTS_MS)
    faults.stop()
    findings.push(...(await workload.finish(isLossAllowed)))
    for (const [kind, count] of faults.counts) recorder.notes.set(`fault: ${kind}`, count)
  }
  await world.run(QUIET_MS)
  // A leader that came back in its own epoch without what a power failure took from it has written other batches in their place, and
  // no follower can tell: such a replica is mended by hand, with Apache's brokers too.
  if (!isLossAllowed && !(await world.runUntil(() => observer.outOfSync().length === 0, RECOVERY_MS_MAX)))
    findings.push(...observer.outOfSync())
  recorder.closeOpenSends(world.nowMs)

  const anomalies = [...checkHistory(recorder.operations), ...checkGroups(recorder.groupEvents)]
  const replicaFaults = observer.finish()
  if (!isLossAllowed) findings.push(...anomalies.map(told), ...replicaFaults)
  findings.push(...tap.faults)
  findings.push(...world.findings.map(({ atMs, what }) => `${atMs.toFixed(0)}: ${what}`))
  return {
    seed,
    mode: mode.name,
    findings,
    lostToPower: isLossAllowed ? anomalies.filter(isLoss).length : 0,
    acknowledgedRecords: recorder.acknowledgedRecords,
    durationMs: world.nowMs,
    events: world.scheduler.eventCount,
    digest: world.trace.digest,
    counters: { ...cluster.counters, refusedDuplicates: recorder.refusedDuplicates, refusedControl: tap.refused },
    notes: Object.fromEntries([...recorder.notes].sort(([a], [b]) => (a < b ? -1 : 1))),
  }
}

function told({ kind, key, detail }: Anomaly): string {
  return `${kind} in ${key}: ${detail}`
}

function isLoss({ kind }: Anomaly): boolean {
  return kind === 'lost-write' || kind === 'unseen'
}

/** The clients' machines. Each client that ends is replaced by another. */
class Workload {
  readonly #world: World
  readonly #cluster: SimulatedCluster
  readonly #recorder: Recorder
  readonly #names = ['admin', 'reader', ...numbered('producer', PRODUCERS), 'consumer', ...numbered('member', MEMBERS)]
  readonly #lives = new Map<string, number>()
  #producersDone = 0

  constructor(world: World, cluster: SimulatedCluster, recorder: Recorder) {
    this.#world = world
    this.#cluster = cluster
    this.#recorder = recorder
    for (const name of this.#names) world.process(name)
  }

  get machines(): ReturnType<World['process']>[] {
    return this.#names.map((name) => this.#world.process(name))
  }

  /** Creates the topics; false when that took too long. */
  async setUp(): Promise<boolean> {
    let done = false
    this.#world.process('admin').start(async (platform) => {
      await new PlainCluster(platform, 'admin', this.#cluster.bootstrap).createTopics(TOPICS, {})
      done = true
    })
    return await this.#world.runUntil(() => done, SETUP_MS_MAX)
  }

  start(untilMs: number): void {
    const { bootstrap } = this.#cluster
    const common = { bootstrap, partitions: PARTITIONS, pauseMs: PAUSE_MS }
    for (const name of numbered('producer', PRODUCERS)) {
      this.#keepRunning(name, async (platform, process) => {
        await new PlainProducer(platform, { ...common, process, untilMs }, this.#recorder).run()
        this.#producersDone += 1
        await sleep(platform.clock, Infinity)
      })
    }
    this.#keepRunning('consumer', (platform, process) =>
      new PlainConsumer(platform, { ...common, process }, this.#recorder).run(),
    )
    for (const name of numbered('member', MEMBERS)) {
      this.#keepRunning(name, (platform, process) =>
        new PlainMember(platform, { ...common, process, group: 'g0' }, this.#recorder).run(),
      )
    }
  }

  /** Waits for all acknowledgements and reads everything once more. Returns what did not come about. */
  async finish(mayBeLost: boolean): Promise<string[]> {
    if (!(await this.#world.runUntil(() => this.#producersDone === PRODUCERS, RECOVERY_MS_MAX)))
      return [`not everything was acknowledged ${RECOVERY_MS_MAX} ms after the last fault`]
    let read = false
    this.#world.process('reader').start(async (platform) => {
      const options = {
        process: 'reader',
        bootstrap: this.#cluster.bootstrap,
        partitions: PARTITIONS,
        pauseMs: PAUSE_MS,
      }
      await new PlainConsumer(platform, options, this.#recorder).readAll(mayBeLost)
      read = true
    })
    if (await this.#world.runUntil(() => read, RECOVERY_MS_MAX)) return []
    return [`not everything could be read ${RECOVERY_MS_MAX} ms after the last acknowledgement`]
  }

  /** A client that fails leaves its doubts in the history; the one after it is another process. */
  #keepRunning(name: string, run: (platform: Platform, process: string) => Promise<unknown>): void {
    const life = (this.#lives.get(name) ?? 0) + 1
    this.#lives.set(name, life)
    this.#world.process(name).start(
      (platform) => run(platform, `${name}#${life}`),
      (error) => {
        const { message } = error as Error
        this.#recorder.note(`client ended: ${message.replace(/^t\d-\d: /, '')}`)
        this.#world.logSink?.('warn', `${this.#world.nowMs.toFixed(3)} ${name} ended: ${message}`)
        this.#world.after(100, () => this.#keepRunning(name, run))
      },
    )
  }
}

function numbered(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${name}-${index + 1}`)
}
