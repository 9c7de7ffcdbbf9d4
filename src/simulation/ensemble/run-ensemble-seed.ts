import type { LogLevel, Platform } from '#platform'
import { OpCode, ZkErrorCode } from '#zookeeper/protocol'
import type { EnsembleFaults } from '#zookeeper/zab'

import { WORLD_EPOCH_MS } from '../clock.ts'
import { World } from '../world.ts'
import { checkHistory } from './check-history.ts'
import { BEGINNING, TRANSIENT, TTL_NODE } from './choices.ts'
import { runClient, type ClientOptions, type Plan } from './client.ts'
import { CLIENT_PORT, SimulatedEnsemble, TICK_MS, type EnsembleOptions, type ServerMachine } from './ensemble.ts'
import { EnsembleFaulter } from './faults.ts'
import type { Committed, Operation } from './history.ts'
import { Invariants } from './invariants.ts'
import { checkExpiries } from './expiry-check.ts'
import { committedOnDisk } from './log-files.ts'
import type { ZnodeModel } from './model.ts'
import { hex } from './outcome.ts'
import { PlainSession } from './plain-session.ts'
import { QuorumTap } from './quorum-tap.ts'
import { Recorder } from './recorder.ts'
import { viewOf } from './server-view.ts'

export interface EnsembleSeedOptions {
  /** 1: a server of its own, in which the workload and its checks are tested. */
  readonly voters: 1 | 3 | 5
  /** Switches that break a rule, to show that the break is found. */
  readonly faults?: Partial<EnsembleFaults>
  /** The same, by lines of `zoo.cfg`. */
  readonly settings?: readonly string[]
  readonly onTrace?: (line: string) => void
  readonly onLog?: (level: LogLevel, line: string) => void
}

export interface EnsembleSeedReport {
  readonly seed: number
  readonly mode: string
  /** What must never happen, and did. */
  readonly findings: readonly string[]
  readonly acknowledgedWrites: number
  /** Virtual ms that the run took. */
  readonly durationMs: number
  readonly events: number
  readonly digest: string
  readonly counters: Readonly<Record<string, number>>
  /** Faults by kind and the like. For people. */
  readonly notes: Readonly<Record<string, number>>
}

const CLIENTS = 4
/** Few requests, many at a time, and values that make snapshots take their time. */
const LOADS = [
  { pauseMs: 120, burstMax: 5, bytesMax: 0 },
  { pauseMs: 120, burstMax: 5, bytesMax: 0 },
  { pauseMs: 40, burstMax: 15, bytesMax: 0 },
  { pauseMs: 150, burstMax: 4, bytesMax: 60_000 },
]
/** Hierarchical quorums. */
const GROUPS = [
  [[1], [2, 3], [4, 5]],
  [
    [1, 2, 3],
    [4, 5],
  ],
]
const SETUP_MS_MAX = 15_000
const FAULTS_MS = 12_000
const FAULT_EVERY_MS = [900, 900, 350]
/** After the last fault everything must have found back within this: restarts, an election, synchronisation, reconnections. */
const RECOVERY_MS_MAX = 15_000
/** How late the last server may be started. */
const LATE_MS = [500, 3000, 8000]

/** One ensemble, its clients and its faults, from the first start to the last look; everything follows from the seed. */
export async function runEnsembleSeed(seed: number, options: EnsembleSeedOptions): Promise<EnsembleSeedReport> {
  return await new EnsembleRun(seed, options).run()
}

class EnsembleRun {
  readonly #seed: number
  readonly #world: World
  readonly #ensemble: SimulatedEnsemble
  readonly #invariants: Invariants
  readonly #tap: QuorumTap
  readonly #recorder = new Recorder()
  readonly #plan: Plan = { phase: 'work', finished: new Set() }
  readonly #findings: string[] = []
  readonly #clientNames = Array.from({ length: CLIENTS }, (_, index) => `client-${index + 1}`)
  #faulter: EnsembleFaulter | null = null
  readonly #load: Pick<ClientOptions, 'pauseMs' | 'burstMax' | 'bytesMax'>
  /** Client that is gone for good in the end. */
  #leaver = ''

  constructor(seed: number, options: EnsembleSeedOptions) {
    this.#seed = seed
    this.#world = new World(seed)
    this.#world.trace.sink = options.onTrace ?? null
    this.#world.logSink = options.onLog ?? null
    this.#ensemble = new SimulatedEnsemble(this.#world, this.#settingOf(options))
    this.#load = this.#world.random.fork('load').pick(LOADS)
    this.#invariants = new Invariants(this.#ensemble)
    this.#tap = new QuorumTap(this.#world, (...packet) => this.#invariants.onPacket(...packet))
    this.#world.scheduler.afterEvent = () => this.#invariants.afterEvent()
  }

  #settingOf({ voters, faults = {}, settings = [] }: EnsembleSeedOptions): EnsembleOptions {
    const random = this.#world.random.fork('setting')
    return {
      voters,
      observers: voters > 1 && random.chance(0.3) ? 1 : 0,
      groups: voters === 5 && random.chance(0.2) ? random.pick(GROUPS) : null,
      snapCount: random.pick([12, 40, 150]),
      commitLogCount: random.pick([4, 30, 500]),
      logKb: random.pick([0, 0, 4]),
      separateLogs: random.chance(0.3),
      settings,
      faults,
    }
  }

  async run(): Promise<EnsembleSeedReport> {
    this.#startServers()
    if (!(await this.#setUp())) this.#findings.push(`no first writes were acknowledged within ${SETUP_MS_MAX} ms`)
    else {
      for (const name of this.#clientNames) this.#startClient(name)
      const processes = this.#clientNames.map((name) => this.#world.process(name))
      this.#faulter = new EnsembleFaulter(this.#ensemble, processes, {
        everyMs: this.#world.random.fork('pace').pick(FAULT_EVERY_MS),
        startClient: ({ name }) => this.#startClient(name),
      })
      this.#tap.onSynchronisation = (learner, leader) => this.#faulter!.onSynchronisation(learner, leader)
      this.#faulter.start()
      await this.#world.run(FAULTS_MS)
      await this.#finish(this.#faulter)
    }
    return this.#report()
  }

  /** In some seeds one begins late, with nothing on its disk. */
  #startServers(): void {
    const random = this.#world.random.fork('start')
    const late = this.#ensemble.options.voters > 1 && random.chance(0.3) ? random.pick(this.#ensemble.machines) : null
    for (const machine of this.#ensemble.machines) if (machine !== late) this.#ensemble.start(machine)
    if (late !== null) this.#world.after(random.pick(LATE_MS), () => this.#ensemble.start(late))
  }

  /** The parents of all that the clients write. */
  async #setUp(): Promise<boolean> {
    let isDone = false
    this.#world.process('setup').start(async (platform: Platform) => {
      while (!isDone) {
        const session = new PlainSession(
          platform,
          { ...this.#common('setup'), person: null, timeoutMs: 3000 },
          this.#recorder,
        )
        isDone = await createParents(session)
      }
    })
    return await this.#world.runUntil(() => isDone, SETUP_MS_MAX)
  }

  #common(client: string): { client: string; servers: readonly string[]; port: number } {
    return { client, servers: this.#ensemble.names, port: CLIENT_PORT }
  }

  #startClient(name: string): void {
    const process = this.#world.process(name)
    if (process.isRunning || name === this.#leaver) return
    const options = { name, servers: this.#ensemble.names, port: CLIENT_PORT, ...this.#load }
    process.start(async (platform) => await runClient(platform, options, this.#plan, this.#recorder))
  }

  async #finish(faulter: EnsembleFaulter): Promise<void> {
    this.#leaver = this.#world.random.pick(this.#clientNames)
    faulter.leaves(this.#world.process(this.#leaver))
    faulter.stop()
    const healedMs = this.#world.nowMs
    this.#plan.phase = 'finish'
    const isServed = (): boolean => this.#plan.finished.size === CLIENTS - 1
    if (!(await this.#world.runUntil(isServed, RECOVERY_MS_MAX)))
      this.#findings.push(
        `only ${[...this.#plan.finished].join()} could write and read ${RECOVERY_MS_MAX} ms after the last fault`,
      )
    this.#recorder.note(`recovered in ${Math.ceil((this.#world.nowMs - healedMs) / 500) * 500} ms`)
    if (!(await this.#world.runUntil(() => this.#unrest() === null, RECOVERY_MS_MAX)))
      this.#findings.push(`${RECOVERY_MS_MAX} ms after the last fault: ${this.#unrest()}`)
  }

  /** What is not yet as it must become when nothing happens any more. */
  #unrest(): string | null {
    const views = this.#ensemble.machines.map((machine) => ({
      machine,
      name: machine.process.name,
      view: viewOf(machine),
    }))
    for (const { name, view } of views) if ((view?.role ?? null) === null) return `${name} does not serve`
    const leaders = views.filter(({ view }) => view!.role === 'leader' || view!.role === 'standalone')
    if (leaders.length !== 1) return `${leaders.length} leaders`
    const first = leaders[0]!.view!
    for (const { name, view } of views) {
      if (view!.lastZxid !== first.lastZxid || view!.digest !== first.digest)
        return `${name} is at ${hex(view!.lastZxid)}, its leader at ${hex(first.lastZxid)}`
      if (!haveSameKeys(view!.sessions, first.sessions)) return `${name} has other sessions than its leader`
    }
    const alive = this.#recorder.sessions.filter(
      ({ client, events }) => client !== this.#leaver && events.at(-1)?.kind !== 'ended',
    )
    for (const session of first.sessions.keys())
      if (!alive.some(({ id }) => id === session)) return `session ${hex(session)} lives on without a client`
    return this.#overdue(leaders[0]!.machine)
  }

  /** A znode that must have ended by itself. */
  #overdue({ server, process }: ServerMachine): string | null {
    const { tree } = server!
    const wallMs = WORLD_EPOCH_MS + this.#world.nowMs + process.wallOffsetMs
    for (const name of tree.find(TRANSIENT)?.children?.keys() ?? []) {
      const path = `${TRANSIENT}/${name}`
      const node = tree.find(path)!
      if ((node.children?.size ?? 0) > 0) continue
      const isTtl = path.startsWith(TTL_NODE)
      if (isTtl ? wallMs - node.mtime > Number(node.ephemeralOwner & 0xff_ffff_ffffn) : node.cversion > 0)
        return `${path} is still there`
    }
    return null
  }

  #report(): EnsembleSeedReport {
    const world = this.#world
    world.scheduler.afterEvent = null
    const committed = this.#committed()
    const checked = checkHistory(this.#recorder.history(committed), {
      mayBeDeposed: (sync, acknowledged) => this.#mayBeDeposed(sync, acknowledged),
    })
    const faulter = this.#faulter
    if (faulter !== null) {
      this.#findings.push(...this.#checkTrees(checked.model))
      this.#findings.push(
        ...checkExpiries(checked.expired, this.#recorder.sessions, this.#invariants.offices, {
          slackMs: 3 * TICK_MS,
          isDisturbed: (names, fromMs, toMs) =>
            faulter.disturbances.some(
              (each) =>
                each.fromMs <= toMs && each.toMs >= fromMs && each.machines.some(({ name }) => names.includes(name)),
            ),
        }),
      )
    }
    const findings = [
      ...this.#invariants.faults,
      ...checked.anomalies.map(({ kind, detail }) => `${kind}: ${detail}`),
      ...this.#recorder.faults,
      ...this.#findings,
      ...world.findings.map(({ atMs, what }) => `${atMs.toFixed(0)}: ${what}`),
    ]
    const { voters, observers, groups } = this.#ensemble.options
    return {
      seed: this.#seed,
      mode: `${voters} voters${observers > 0 ? `, ${observers} observer` : ''}${groups === null ? '' : `, ${groups.length} groups`}`,
      findings,
      acknowledgedWrites: this.#recorder.acknowledgedWrites,
      durationMs: world.nowMs,
      events: world.scheduler.eventCount,
      digest: world.trace.digest,
      counters: this.#counters(committed),
      notes: this.#notes(),
    }
  }

  #committed(): readonly Committed[] {
    const { machines, options } = this.#ensemble
    if (options.voters > 1) return this.#invariants.committed
    const { sid, process } = machines[0]!
    return committedOnDisk(process.disk, this.#ensemble.logFolderOf(sid))
  }

  /** Whether the server of a sync may have been under a leader that had a successor already. */
  #mayBeDeposed(sync: Operation, acknowledged: bigint): boolean {
    const epoch = Number(acknowledged >> 32n)
    return this.#invariants
      .officesOf(sync.server, sync.invokedMs, sync.completedMs)
      .some((office) => office.epoch < epoch)
  }

  /** The servers' znodes are the ones that the history makes. */
  #checkTrees(model: ZnodeModel): string[] {
    const faults: string[] = []
    for (const { server, process } of this.#ensemble.machines) {
      if (server === null || !process.isRunning) continue
      for (const [path, expected] of model.nodes) {
        if (path === '') continue
        const node = server.tree.find(path)
        const data = node?.data === null || node === undefined ? '' : new TextDecoder().decode(node.data)
        if (node === undefined) faults.push(`${process.name} lacks ${path}`)
        else if (data !== expected.data || node.version !== expected.version || node.ephemeralOwner !== expected.owner)
          faults.push(`${process.name} has another ${path}`)
      }
      // The root counts twice; /zookeeper/config is the server's own.
      const own = server.tree.nodeCount - model.nodes.size - 2
      if (own !== 0) faults.push(`${process.name} has ${own} znodes more than were made`)
    }
    return faults
  }

  #counters(committed: readonly Committed[]): Record<string, number> {
    const { diff, trunc, snap } = this.#tap.counts
    const alone = this.#ensemble.options.voters === 1
    return {
      ...this.#ensemble.counters,
      ...(alone ? {} : { elections: this.#invariants.elections, diff, trunc, snap }),
      expired: committed.filter(({ type, cxid }) => type === OpCode.closeSession && cxid === 0).length,
      unanswered: this.#recorder.operations.filter(({ answer }) => answer === null).length,
      beyondQuota: committed.filter(({ err }) => err === ZkErrorCode.QUOTAEXCEEDED).length,
      unauthorized: this.#answeredWith(ZkErrorCode.NOAUTH),
      watchesAdded: this.#recorder.operations.filter(
        ({ request, answer }) => request.kind === 'addWatch' && answer !== null,
      ).length,
      reaped: committed.filter(({ reaped }) => reaped !== null).length,
      notifications: this.#eventCount('notified'),
      moves: this.#eventCount('connected') - this.#recorder.sessions.length,
    }
  }

  #answeredWith(err: number): number {
    return this.#recorder.operations.filter(({ answer }) => answer?.err === err).length
  }

  #eventCount(kind: string): number {
    return this.#recorder.sessions.reduce(
      (sum, { events }) => sum + events.filter((event) => event.kind === kind).length,
      0,
    )
  }

  #notes(): Record<string, number> {
    const { notes } = this.#recorder
    for (const [kind, count] of this.#faulter?.counts ?? []) notes.set(`fault: ${kind}`, count)
    return Object.fromEntries([...notes].sort(([a], [b]) => (a < b ? -1 : 1)))
  }
}

function haveSameKeys(one: ReadonlyMap<bigint, number>, other: ReadonlyMap<bigint, number>): boolean {
  return one.size === other.size && [...one.keys()].every((key) => other.has(key))
}

/** False when the session was over before all of them were there. */
async function createParents(session: PlainSession): Promise<boolean> {
  for (const { path, data } of BEGINNING) {
    for (;;) {
      await session.opened()
      if (session.hasEnded) return false
      const { answer } = await session.submit({ kind: 'create', path, data, life: 'persistent', sequential: false })
      if (answer !== null) break
    }
  }
  await session.opened()
  if (!session.hasEnded) await session.submit({ kind: 'close' })
  return true
}
