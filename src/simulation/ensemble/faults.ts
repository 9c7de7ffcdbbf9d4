/** What goes wrong in an ensemble and between it and its clients, at random times, until it is stopped. */
import {
  FaultSchedule,
  clockJump,
  connectionsLost,
  namesOf,
  others,
  pause,
  slowDown,
  story,
  weighted,
  type Fault,
  type FaultKinds,
} from '../fault-schedule.ts'
import type { SimulatedProcess } from '../process.ts'
import { ELECTION_PORT, QUORUM_PORT, type ServerMachine, type SimulatedEnsemble } from './ensemble.ts'
import { viewOf } from './server-view.ts'

export interface FaultOptions {
  /** Usual time from one fault to the next, ms. */
  readonly everyMs: number
  /** Brings a client back. Does nothing where it runs. */
  readonly startClient: (process: SimulatedProcess) => void
}

/** A time in which a machine could not do what it should. */
export interface Disturbance {
  readonly machines: readonly SimulatedProcess[]
  readonly fromMs: number
  toMs: number
  readonly isForGood: boolean
}

export class EnsembleFaulter extends FaultSchedule {
  readonly ensemble: SimulatedEnsemble
  readonly clients: readonly SimulatedProcess[]
  readonly options: FaultOptions
  readonly disturbances: Disturbance[] = []
  readonly restMs = [200, 1500] as const

  constructor(ensemble: SimulatedEnsemble, clients: readonly SimulatedProcess[], options: FaultOptions) {
    super(ensemble.world, options.everyMs)
    this.ensemble = ensemble
    this.clients = clients
    this.options = options
  }

  get machines(): readonly SimulatedProcess[] {
    return this.ensemble.processes
  }

  /** Below and above sync limits and session timeouts, about as often. */
  durationMs(): number {
    return this.random.pick([100, 500, 1500, 3000]) * this.random.between(0.5, 1.5)
  }

  protected next(): [string, Fault] {
    const [name, kind] = this.random.pick(this.ensemble.options.voters === 1 ? WEIGHTED_ALONE : WEIGHTED)
    return [name, kind(this)]
  }

  protected override happen(name: string, fault: Fault): void {
    const disturbance = { machines: fault.machines ?? [], fromMs: this.world.nowMs, toMs: Infinity, isForGood: false }
    this.disturbances.push(disturbance)
    super.happen(name, {
      ...fault,
      end: () => {
        disturbance.toMs = this.world.nowMs
        fault.end()
      },
    })
  }

  /** Everything is repaired, and nothing breaks any more. */
  override stop(): void {
    super.stop()
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
    if (this.isStopped || !this.random.chance(SYNCHRONISATION_FAILS)) return
    this.world.after(this.random.pick([0, 0.3, 1, 5]) * this.random.next(), () => {
      if (this.isStopped) return
      const machine = this.ensemble.machineNamed(this.random.pick([learner, learner, leader]))
      this.happen('failure while synchronising', failsAtOnce(this, machine))
    })
  }

  /** A client dies and does not come back. */
  leaves(client: SimulatedProcess): void {
    client.crash()
    this.disturbances.push({ machines: [client], fromMs: this.world.nowMs, toMs: Infinity, isForGood: true })
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
}

/** Some syncs take so many times as long, and not more: a server must be back soon after the last fault. */
const HICCUP_FACTOR = 50

/** So many synchronisations are disturbed. */
const SYNCHRONISATION_FAILS = 0.1

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
    what: namesOf(processesOf(machines)),
    machines: processesOf(machines),
    lastsMs: faults.durationMs(),
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
  return {
    what: `${namesOf(one)} from ${namesOf(other)}${bothWays ? '' : ', one way'}${port === null ? '' : `, port ${port}`}`,
    machines: [...one, ...other],
    lastsMs: faults.durationMs(),
    end: () => {
      world.mend(one, other)
      world.mend(other, one)
    },
  }
}

const KINDS: FaultKinds<EnsembleFaulter> = {
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
  'slow client link': [2, (faults) => slowDown(faults, faults.client(), faults.server().process, SLOWNESS)],
  'connections lost': [4, (faults) => connectionsLost(faults, faults.server().process)],
  'slow disk': [3, slowDisk],
  'disk full': [2, diskFull],
  'disk error': [3, diskError],
  'clock jump': [2, (faults) => clockJump(faults, [...faults.machines, ...faults.clients])],
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

function minority(faults: EnsembleFaulter): number {
  return faults.ensemble.options.voters - faults.ensemble.quorumSize
}

function cutOfTwo(faults: EnsembleFaulter, port: number | null): Fault {
  const [one, other] = faults.random.shuffled(faults.ensemble.processes)
  return cut(faults, [one!], [other!], port)
}

function cleanStop(faults: EnsembleFaulter): Fault {
  const machine = faults.server()
  faults.ensemble.stopCleanly(machine)
  return {
    what: machine.process.name,
    machines: [machine.process],
    lastsMs: faults.durationMs(),
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
    lastsMs: faults.durationMs(),
    end: () => faults.options.startClient(process),
  }
}

/** How many times slower a link becomes. */
const SLOWNESS = [20, 100, 1000]

function slowLink(faults: EnsembleFaulter): Fault {
  const [one, other] = faults.random.shuffled(faults.ensemble.processes)
  return other === undefined
    ? connectionsLost(faults, faults.server().process)
    : slowDown(faults, one!, other, SLOWNESS)
}

function slowDisk(faults: EnsembleFaulter): Fault {
  const { process } = faults.server()
  process.diskConditions.slowness = faults.random.pick([8, 50, 500])
  process.diskConditions.hiccupFactor = 1
  return {
    what: `${process.name}, ${process.diskConditions.slowness} times`,
    machines: [process],
    lastsMs: faults.durationMs(),
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
    lastsMs: faults.durationMs(),
    end: () => {
      repair(process)
      faults.ensemble.start(machine)
    },
  }
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
    `${namesOf(processesOf(away))}, then ${namesOf(processesOf(next))}`,
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
