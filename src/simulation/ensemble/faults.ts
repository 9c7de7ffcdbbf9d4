/** What goes wrong in an ensemble and between it and its clients, at random times, until it is stopped. */
import type { SimulatedProcess } from '../process.ts'
import type { SimulatedRandom } from '../random.ts'
import type { World } from '../world.ts'
import { ELECTION_PORT, QUORUM_PORT, type ServerMachine, type SimulatedEnsemble } from './ensemble.ts'
import { viewOf } from './server-view.ts'

export interface FaultOptions {
  /** Usual time from one fault to the next, ms. */
  readonly everyMs: number
  /** Brings a client back. Does nothing where it runs. */
  readonly startClient: (process: SimulatedProcess) => void
}

/** What a fault did, and how to end it. */
interface Fault {
  readonly what: string
  /** Whose silence it may be the cause of. */
  readonly machines: readonly SimulatedProcess[]
  readonly lastsMs: number
  end(): void
}

/** A time in which a machine could not do what it should. */
export interface Disturbance {
  readonly machines: readonly SimulatedProcess[]
  readonly fromMs: number
  toMs: number
  readonly isForGood: boolean
}

type FaultKind = (faults: EnsembleFaulter) => Fault

export class EnsembleFaulter {
  readonly ensemble: SimulatedEnsemble
  readonly world: World
  readonly random: SimulatedRandom
  readonly clients: readonly SimulatedProcess[]
  readonly options: FaultOptions
  /** How often each kind happened. */
  readonly counts = new Map<string, number>()
  readonly disturbances: Disturbance[] = []
  #stopped = false

  constructor(ensemble: SimulatedEnsemble, clients: readonly SimulatedProcess[], options: FaultOptions) {
    this.ensemble = ensemble
    this.world = ensemble.world
    this.random = ensemble.world.random.fork('faults')
    this.clients = clients
    this.options = options
  }

  start(): void {
    this.world.after(this.random.exponential(this.options.everyMs), () => {
      if (this.#stopped) return
      const [name, kind] = this.random.pick(this.ensemble.options.voters === 1 ? WEIGHTED_ALONE : WEIGHTED)
      this.#happen(name, kind(this))
      this.start()
    })
  }

  #happen(name: string, fault: Fault): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
    this.#tell(`${name}: ${fault.what} for ${fault.lastsMs.toFixed(0)} ms`)
    const disturbance = { machines: fault.machines, fromMs: this.world.nowMs, toMs: Infinity, isForGood: false }
    this.disturbances.push(disturbance)
    this.world.after(fault.lastsMs, () => {
      if (this.#stopped) return
      this.#tell(`${name} ends: ${fault.what}`)
      disturbance.toMs = this.world.nowMs
      fault.end()
    })
  }

  /** Everything is repaired, and nothing breaks any more. */
  stop(): void {
    this.#stopped = true
    this.#tell('all faults end')
    this.world.heal()
    for (const { process } of this.ensemble.machines) repair(process)
    for (const disturbance of this.disturbances)
      if (!disturbance.isForGood) disturbance.toMs = Math.min(disturbance.toMs, this.world.nowMs)
    this.ensemble.stayUp()
    for (const client of this.clients) {
      client.resume()
      this.options.startClient(client)
    }
  }

  /** A learner is being brought to its leader's history: a good moment to fail. */
  onSynchronisation(learner: string, leader: string): void {
    if (this.#stopped || !this.random.chance(SYNCHRONISATION_FAILS)) return
    this.world.after(this.random.pick([0, 0.3, 1, 5]) * this.random.next(), () => {
      if (this.#stopped) return
      const machine = this.ensemble.machineNamed(this.random.pick([learner, learner, leader]))
      this.#happen('failure while synchronising', failsAtOnce(this, machine))
    })
  }

  /** A client dies and does not come back. */
  leaves(client: SimulatedProcess): void {
    client.crash()
    this.disturbances.push({ machines: [client], fromMs: this.world.nowMs, toMs: Infinity, isForGood: true })
  }

  get isStopped(): boolean {
    return this.#stopped
  }

  /** One that runs; any if none does. */
  server(): ServerMachine {
    const running = this.ensemble.machines.filter(({ process }) => process.isRunning)
    return this.random.pick(running.length > 0 ? running : this.ensemble.machines)
  }

  /** The one that leads, if one does; of two the one of the later epoch. */
  leader(): ServerMachine {
    let found: { machine: ServerMachine; epoch: number } | null = null
    for (const machine of this.ensemble.machines) {
      const view = viewOf(machine)
      if (view?.role !== 'leader' || (found !== null && found.epoch >= view.epoch)) continue
      found = { machine, epoch: view.epoch }
    }
    return found?.machine ?? this.server()
  }

  client(): SimulatedProcess {
    return this.random.pick(this.clients)
  }

  /** Voters in any order, so many of them. */
  voters(count: number): ServerMachine[] {
    return this.random.shuffled(this.ensemble.voters).slice(0, count)
  }

  #tell(what: string): void {
    this.world.logSink?.('info', `${this.world.nowMs.toFixed(3)} faults: ${what}`)
  }
}

/** Some syncs take so many times as long, and not more: a server must be back soon after the last fault. */
const HICCUP_FACTOR = 50

/** So many synchronisations are disturbed. */
const SYNCHRONISATION_FAILS = 0.1

/** Below and above sync limits and session timeouts, about as often. */
function while_({ random }: EnsembleFaulter): number {
  return random.pick([100, 500, 1500, 3000]) * random.between(0.5, 1.5)
}

function repair(process: SimulatedProcess): void {
  process.resume()
  process.disk.capacityBytes = Infinity
  process.diskConditions.clearFaults()
  beFast(process)
}

function beFast({ diskConditions }: SimulatedProcess): void {
  diskConditions.slowness = 1
  diskConditions.hiccupFactor = HICCUP_FACTOR
}

function down(faults: EnsembleFaulter, machines: readonly ServerMachine[], losePower: boolean): Fault {
  for (const machine of machines) {
    if (losePower) faults.ensemble.powerFail(machine)
    else faults.ensemble.crash(machine)
  }
  return {
    what: namesOf(machines),
    machines: processesOf(machines),
    lastsMs: while_(faults),
    end: () => machines.forEach((machine) => faults.ensemble.start(machine)),
  }
}

function cut(
  faults: EnsembleFaulter,
  one: readonly SimulatedProcess[],
  other: readonly SimulatedProcess[],
  port: number | null = null,
): Fault {
  const { world, random } = faults
  const bothWays = random.chance(0.6)
  world.cut(one, other, port)
  if (bothWays) world.cut(other, one, port)
  const names = (machines: readonly SimulatedProcess[]): string => machines.map(({ name }) => name).join()
  return {
    what: `${names(one)} from ${names(other)}${bothWays ? '' : ', one way'}${port === null ? '' : `, port ${port}`}`,
    machines: [...one, ...other],
    lastsMs: while_(faults),
    end: () => {
      world.mend(one, other)
      world.mend(other, one)
    },
  }
}

const KINDS: Record<string, [weight: number, kind: FaultKind]> = {
  'server crash': [5, (faults) => down(faults, [faults.server()], false)],
  'leader crash': [6, (faults) => down(faults, [faults.leader()], false)],
  'minority crash': [2, (faults) => down(faults, faults.voters(minority(faults)), false)],
  'majority crash': [2, (faults) => down(faults, faults.voters(faults.ensemble.quorumSize), false)],
  'server power failure': [4, (faults) => down(faults, [faults.server()], true)],
  'leader power failure': [4, (faults) => down(faults, [faults.leader()], true)],
  'majority power failure': [2, (faults) => down(faults, faults.voters(faults.ensemble.quorumSize), true)],
  'power failure of all': [1, (faults) => down(faults, faults.ensemble.machines, true)],
  'clean stop': [2, cleanStop],
  'server pause': [3, (faults) => pause(faults, faults.server().process)],
  'leader pause': [4, (faults) => pause(faults, faults.leader().process)],
  'client crash': [4, clientCrash],
  'client pause': [2, (faults) => pause(faults, faults.client())],
  'client cut from server': [3, (faults) => cut(faults, [faults.client()], [faults.server().process])],
  'client cut from all': [2, (faults) => cut(faults, [faults.client()], faults.ensemble.processes)],
  'slow link': [4, slowLink],
  'slow client link': [2, (faults) => slowDown(faults, faults.client(), faults.server().process)],
  'connections lost': [4, connectionsLost],
  'slow disk': [3, slowDisk],
  'disk full': [2, diskFull],
  'disk error': [3, diskError],
  'clock jump': [2, clockJump],
}

const ENSEMBLE_KINDS: typeof KINDS = {
  'leader partition': [
    4,
    (faults) => {
      const { process } = faults.leader()
      return cut(faults, [process], others(faults, process))
    },
  ],
  'server partition': [
    3,
    (faults) => {
      const { process } = faults.server()
      return cut(faults, [process], others(faults, process))
    },
  ],
  halves: [
    2,
    (faults) => {
      const minor = processesOf(faults.voters(minority(faults)))
      return cut(
        faults,
        minor,
        faults.ensemble.processes.filter((process) => !minor.includes(process)),
      )
    },
  ],
  'two servers apart': [4, (faults) => cutOfTwo(faults, null)],
  'quorum port cut': [3, (faults) => cutOfTwo(faults, QUORUM_PORT)],
  'election port cut': [3, (faults) => cutOfTwo(faults, ELECTION_PORT)],
  'rolling majority': [4, rollingMajority],
  'leader left alone': [5, leaderLeftAlone],
  'power failure after election': [3, powerFailureAfterElection],
}

const WEIGHTED_ALONE = weighted(KINDS)
const WEIGHTED = [...WEIGHTED_ALONE, ...weighted(ENSEMBLE_KINDS)]

function weighted(kinds: typeof KINDS): [string, FaultKind][] {
  return Object.entries(kinds).flatMap(([name, [weight, kind]]) =>
    Array.from({ length: weight }, (): [string, FaultKind] => [name, kind]),
  )
}

function minority(faults: EnsembleFaulter): number {
  return faults.ensemble.options.voters - faults.ensemble.quorumSize
}

function others(faults: EnsembleFaulter, process: SimulatedProcess): SimulatedProcess[] {
  return faults.ensemble.processes.filter((machine) => machine !== process)
}

function cutOfTwo(faults: EnsembleFaulter, port: number | null): Fault {
  const [one, other] = faults.random.shuffled(faults.ensemble.processes)
  return cut(faults, [one!], [other!], port)
}

function pause(faults: EnsembleFaulter, process: SimulatedProcess): Fault {
  process.pause()
  return { what: process.name, machines: [process], lastsMs: while_(faults), end: () => process.resume() }
}

function cleanStop(faults: EnsembleFaulter): Fault {
  const machine = faults.server()
  faults.ensemble.stopCleanly(machine)
  return {
    what: machine.process.name,
    machines: [machine.process],
    lastsMs: while_(faults),
    end: () => faults.ensemble.start(machine),
  }
}

function failsAtOnce(faults: EnsembleFaulter, machine: ServerMachine): Fault {
  const roll = faults.random.below(3)
  if (roll < 2) return down(faults, [machine], roll === 1)
  const { process } = machine
  faults.world.fabric.resetConnections(process.address, null, 1)
  return { what: `connections of ${process.name}`, machines: [process], lastsMs: 0, end: () => {} }
}

function clientCrash(faults: EnsembleFaulter): Fault {
  const process = faults.client()
  process.crash()
  return {
    what: process.name,
    machines: [process],
    lastsMs: while_(faults),
    end: () => faults.options.startClient(process),
  }
}

function slowLink(faults: EnsembleFaulter): Fault {
  const [one, other] = faults.random.shuffled(faults.ensemble.processes)
  return other === undefined ? connectionsLost(faults) : slowDown(faults, one!, other)
}

function slowDown(faults: EnsembleFaulter, one: SimulatedProcess, other: SimulatedProcess): Fault {
  const slowness = faults.random.pick([20, 100, 1000])
  faults.world.slowDown(one, other, slowness)
  return {
    what: `${one.name} and ${other.name}, ${slowness} times`,
    machines: [one, other],
    lastsMs: while_(faults),
    end: () => faults.world.slowDown(one, other, 1),
  }
}

function connectionsLost(faults: EnsembleFaulter): Fault {
  const machine = faults.server().process
  const count = faults.world.fabric.resetConnections(machine.address, null, faults.random.pick([0.3, 1]))
  return { what: `${count} of ${machine.name}`, machines: [machine], lastsMs: 0, end: () => {} }
}

function slowDisk(faults: EnsembleFaulter): Fault {
  const { process } = faults.server()
  process.diskConditions.slowness = faults.random.pick([8, 50, 500])
  process.diskConditions.hiccupFactor = 1
  return {
    what: `${process.name}, ${process.diskConditions.slowness} times`,
    machines: [process],
    lastsMs: while_(faults),
    end: () => beFast(process),
  }
}

/** ENOSPC in the middle of a write, for the log, a snapshot or an epoch. With room again it is started anew. */
function diskFull(faults: EnsembleFaulter): Fault {
  const machine = faults.random.pick([faults.server(), faults.leader()])
  const { process } = machine
  process.disk.capacityBytes = process.disk.usedBytes + faults.random.below(2000)
  return diskFails(faults, machine, 'no room')
}

/** One write or sync fails, as does everything after it until it is repaired, or nothing. */
function diskError(faults: EnsembleFaulter): Fault {
  const machine = faults.random.pick([faults.server(), faults.leader()])
  const { random } = faults
  const operation = random.pick(['write', 'sync', 'sync', 'syncDirectory', 'rename'] as const)
  const code = random.pick(['EIO', 'ENOSPC'] as const)
  const times = random.pick([1, Infinity])
  machine.process.diskConditions.inject({ operation, code, after: random.below(6), times })
  return diskFails(faults, machine, `${code} on ${operation}`)
}

function diskFails(faults: EnsembleFaulter, machine: ServerMachine, why: string): Fault {
  const { process } = machine
  return {
    what: `${process.name}, ${why}`,
    machines: [process],
    lastsMs: while_(faults),
    end: () => {
      repair(process)
      faults.ensemble.start(machine)
    },
  }
}

function clockJump(faults: EnsembleFaulter): Fault {
  const machine = faults.random.pick([...faults.ensemble.processes, ...faults.clients])
  const jumpMs = faults.random.pick([-60_000, -1000, 1000, 60_000])
  machine.wallOffsetMs += jumpMs
  return { what: `${machine.name} by ${jumpMs} ms`, machines: [], lastsMs: 0, end: () => {} }
}

/** Steps of a story that takes several faults in order; each may look how things stand. */
function story(
  faults: EnsembleFaulter,
  what: string,
  steps: readonly [afterMs: number, step: () => void][],
  end: () => void,
): Fault {
  let atMs = 0
  for (const [afterMs, step] of steps) {
    atMs += afterMs
    faults.world.after(atMs, () => faults.isStopped || step())
  }
  const machines = [...faults.ensemble.processes]
  return { what, machines, lastsMs: atMs + faults.random.between(200, 1500), end }
}

/**
 * The stale ones are made to form the majority: a minority is away while writes go on; then another part dies, with its
 * power or without, and the first comes back.
 */
function rollingMajority(faults: EnsembleFaulter): Fault {
  const { ensemble, random } = faults
  const order = random.shuffled(ensemble.voters)
  const away = order.slice(0, minority(faults))
  const next = order.slice(minority(faults), 2 * minority(faults))
  const leaves = (machine: ServerMachine): void => {
    const roll = random.below(3)
    if (roll === 0) ensemble.crash(machine)
    else if (roll === 1) ensemble.powerFail(machine)
    else machine.process.pause()
  }
  const returns = (machine: ServerMachine): void => {
    machine.process.resume()
    ensemble.start(machine)
  }
  away.forEach(leaves)
  return story(
    faults,
    `${namesOf(away)}, then ${namesOf(next)}`,
    [
      [
        random.between(300, 2500),
        () => {
          next.forEach(leaves)
          if (random.chance(0.5)) away.forEach(returns)
        },
      ],
      [random.between(0, 300), () => away.forEach(returns)],
    ],
    () => order.forEach(returns),
  )
}

/**
 * Proposals that only their leader has: whoever comes after it must not know them, and it must forget them: by TRUNC if it is back
 * before the next epoch has transactions of its own, by SNAP later.
 *
 * 1. nothing gets from the leader to the other servers, while its clients go on
 * 2. the leader dies; the others are heard again, elect one of them, and go on
 * 3. the former leader comes back
 */
function leaderLeftAlone(faults: EnsembleFaulter): Fault {
  const { ensemble, world, random } = faults
  const leader = faults.leader()
  const rest = others(faults, leader.process)
  world.cut([leader.process], rest, random.chance(0.5) ? QUORUM_PORT : null)
  const returnAfterAnother = (): void => {
    if (faults.isStopped || leader.process.isRunning) return
    const isLed = ensemble.machines.some((machine) => viewOf(machine)?.role === 'leader')
    if (isLed) world.after(random.pick([0, 0, 10, 500]), () => faults.isStopped || ensemble.start(leader))
    else world.after(5, returnAfterAnother)
  }
  return story(
    faults,
    leader.process.name,
    [
      [
        random.between(50, 700),
        () => {
          // What its kernel still holds is lost with the connections.
          world.fabric.resetConnections(leader.process.address, null, 1)
          if (random.chance(0.5)) ensemble.crash(leader)
          else ensemble.powerFail(leader)
          world.mend([leader.process], rest)
          for (const machine of ensemble.machines) if (machine !== leader) ensemble.start(machine)
          returnAfterAnother()
        },
      ],
      [random.between(1500, 2500), () => {}],
    ],
    () => {
      world.mend([leader.process], rest)
      ensemble.start(leader)
    },
  )
}

/**
 * Whoever acknowledges the history of a new leader must have it on its disk (ZOOKEEPER-3911, 4646).
 *
 * 1. the leader's last proposals are on its own disk only; then all servers die, and come back
 * 2. as soon as one leads, which gave the others what they lacked, a majority loses its power
 * 3. the leader stays away for longer than the others
 */
function powerFailureAfterElection(faults: EnsembleFaulter): Fault {
  const { ensemble, world, random } = faults
  const former = faults.leader()
  const rest = others(faults, former.process)
  world.cut([former.process], rest, QUORUM_PORT)
  let isOver = false
  const failWhenLed = (): void => {
    if (faults.isStopped || isOver) return
    const leader = ensemble.machines.find((machine) => viewOf(machine)?.role === 'leader')
    if (leader === undefined) return world.after(0.1, failWhenLed)
    const followers = random.shuffled(ensemble.voters).filter((machine) => machine !== leader)
    world.after(random.pick([0, 0, 0.5, 3]), () => {
      if (faults.isStopped) return
      for (const machine of [leader, ...followers.slice(0, ensemble.quorumSize - 1)]) ensemble.powerFail(machine)
      world.after(random.between(5, 50), () => {
        if (!faults.isStopped) for (const machine of followers) ensemble.start(machine)
      })
    })
  }
  return story(
    faults,
    `after ${former.process.name}`,
    [
      [
        random.between(20, 150),
        () => {
          for (const machine of ensemble.machines) ensemble.crash(machine)
          world.mend([former.process], rest)
        },
      ],
      [
        1,
        () => {
          ensemble.startAll()
          failWhenLed()
        },
      ],
      [random.between(1000, 2000), () => (isOver = true)],
    ],
    () => {
      world.mend([former.process], rest)
      ensemble.startAll()
    },
  )
}

function processesOf(machines: readonly ServerMachine[]): SimulatedProcess[] {
  return machines.map(({ process }) => process)
}

function namesOf(machines: readonly ServerMachine[]): string {
  return machines.map(({ process }) => process.name).join()
}
