import type { LogLevel } from '#platform'

import { checkHistory } from '../checker/checker.ts'
import { checkGroups } from '../checker/group-checks.ts'
import type { Anomaly } from '../checker/history.ts'
import type { TopicPartition } from '../workload/plain-cluster.ts'
import type { SimulatedProcess } from '../process.ts'
import { RealRecorder, type ClientFaults } from '../workload/real-recorder.ts'
import { Recorder } from '../workload/recorder.ts'
import { World } from '../world.ts'
import { Auditor } from './auditor.ts'
import { SimulatedCluster, type BrokerFaults } from './cluster.ts'
import { ControlTap } from './control-tap.ts'
import { Faults } from './faults.ts'
import { Observer } from './observer.ts'
import { ACKS_1_TOPIC, Operator } from './operator.ts'
import { PlainWorkload } from './plain-workload.ts'
import { RealWorkload } from './real-workload.ts'

export interface SeedOptions {
  /** `plain`: clients that share no code with ours, and load the brokers; `real`: ours, which face faults themselves. */
  readonly clients?: 'plain' | 'real'
  readonly clientFaults?: ClientFaults
  /** Switches that break a rule, to show that the break is found. */
  readonly brokerFaults?: BrokerFaults
  readonly zookeeperAnswersEarly?: boolean
  /** Whether somebody administers the cluster meanwhile, and disks fail. By default where the clients are plain. */
  readonly administration?: boolean
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
  /** The same of those that only their leader acknowledged, which is their price in every mode. */
  readonly lostWithAcks1: number
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
/** Until the topics exist. */
const SETUP_MS_MAX = 20_000
const FAULTS_MS = 52_000
const FAULT_EVERY_MS = 2500
const ACTION_EVERY_MS = 1000
/** After the faults everything must have found back within this. */
const RECOVERY_MS_MAX = 60_000
/** Then the replicas catch up. */
const QUIET_MS = 7000

/** Which faults the brokers' disks face, and what they promise there; by turns. */
const MODES = [
  { name: 'crashes', brokersLosePower: false, brokersSync: false },
  { name: 'crashes', brokersLosePower: false, brokersSync: false },
  { name: 'power failures, synced', brokersLosePower: true, brokersSync: true },
  { name: 'power failures, unsynced', brokersLosePower: true, brokersSync: false },
] as const

/** By broker: one has its replicas on one disk, the others on two. */
const LOG_DIRECTORIES = [2, 2, 1, 2]

/** One cluster, its clients and its faults, from the first start to the last read; everything follows from the seed. */
export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedReport> {
  const mode = MODES[seed % MODES.length]!
  const isAdministered = options.administration ?? options.clients !== 'real'
  const world = new World(seed)
  world.trace.sink = options.onTrace ?? null
  world.logSink = options.onLog ?? null
  const cluster = new SimulatedCluster(world, {
    brokerFaults: options.brokerFaults ?? {},
    zookeeperAnswersEarly: options.zookeeperAnswersEarly ?? false,
    brokersSync: mode.brokersSync,
    logDirectories: isAdministered ? LOG_DIRECTORIES : [],
  })
  const tap = new ControlTap(cluster)
  const recorder = options.clients === 'real' ? new RealRecorder() : new Recorder()
  const setting = {
    topics: isAdministered ? [...TOPICS, { name: ACKS_1_TOPIC, partitions: 1 }] : TOPICS,
    partitions: PARTITIONS,
    setupMsMax: SETUP_MS_MAX,
    recoveryMsMax: RECOVERY_MS_MAX,
    clientFaults: options.clientFaults ?? {},
  }
  const workload =
    recorder instanceof RealRecorder
      ? new RealWorkload(world, cluster, recorder, setting)
      : new PlainWorkload(world, cluster, recorder, setting)
  const observer = new Observer(cluster, (partition) => recorder.highestAcknowledged(partition))
  const operator = isAdministered
    ? new Operator(world, cluster, {
        topics: [...TOPICS.map(({ name }) => name), '__consumer_offsets'],
        everyMs: ACTION_EVERY_MS,
      })
    : null
  const findings: string[] = []
  const isLossAllowed = mode.brokersLosePower && !mode.brokersSync

  cluster.startAll()
  observer.start()
  if (!(await workload.setUp())) findings.push(`the topics did not come about within ${SETUP_MS_MAX} ms`)
  else {
    const faults = new Faults(cluster, workload.machines, {
      brokersLosePower: mode.brokersLosePower,
      everyMs: FAULT_EVERY_MS,
      disksFail: isAdministered,
      ...(workload instanceof RealWorkload
        ? { startClient: (machine: SimulatedProcess) => workload.startClient(machine) }
        : {}),
    })
    workload.start(world.nowMs + FAULTS_MS, isLossAllowed)
    faults.start()
    operator?.start()
    await world.run(FAULTS_MS)
    operator?.stop()
    faults.stop()
    findings.push(...(await workload.finish(isLossAllowed)))
    for (const [kind, count] of faults.counts) recorder.notes.set(`fault: ${kind}`, count)
  }
  await world.run(QUIET_MS)
  // A leader that came back in its own epoch without what a power failure took from it has written other batches in their place, and
  // no follower can tell: such a replica is mended by hand, with Apache's brokers too.
  if (operator !== null && !(await world.runUntil(() => operator.isSettled, RECOVERY_MS_MAX)))
    findings.push('the operator is not answered')
  if (operator !== null && !isLossAllowed) findings.push(...(await new Auditor(world, cluster).settle(RECOVERY_MS_MAX)))
  else if (!isLossAllowed && !(await world.runUntil(() => observer.outOfSync().length === 0, RECOVERY_MS_MAX)))
    findings.push(...observer.outOfSync())
  recorder.closeOpenSends(world.nowMs)

  const anomalies = [
    ...checkHistory(recorder.operations),
    ...checkGroups(recorder.groupEvents),
    ...workload.anomalies(),
  ]
  const lost = operator === null ? [] : observer.lostOf(operator.records)
  const replicaFaults = observer.finish()
  for (const [what, count] of operator?.notes ?? []) recorder.notes.set(`operator: ${what}`, count)
  if (!isLossAllowed)
    findings.push(
      ...anomalies.map(told),
      ...replicaFaults,
      ...lost.filter(({ acks }) => acks !== 1).map(({ what }) => what),
    )
  findings.push(...tap.faults)
  if (recorder instanceof RealRecorder) findings.push(...recorder.faults)
  findings.push(...world.findings.map(({ atMs, what }) => `${atMs.toFixed(0)}: ${what}`))
  return {
    seed,
    mode: mode.name,
    findings,
    lostWithAcks1: lost.filter(({ acks }) => acks === 1).length,
    lostToPower: isLossAllowed ? anomalies.filter(isLoss).length : 0,
    acknowledgedRecords: recorder.acknowledgedRecords,
    durationMs: world.nowMs,
    events: world.scheduler.eventCount,
    digest: world.trace.digest,
    counters: {
      ...cluster.counters,
      ...(recorder instanceof RealRecorder ? {} : { refusedDuplicates: recorder.refusedDuplicates }),
      refusedControl: tap.refused,
    },
    notes: Object.fromEntries([...recorder.notes].sort(([a], [b]) => (a < b ? -1 : 1))),
  }
}

function told({ kind, key, detail }: Anomaly): string {
  return `${kind} in ${key}: ${detail}`
}

function isLoss({ kind }: Anomaly): boolean {
  return kind === 'lost-write' || kind === 'unseen'
}
