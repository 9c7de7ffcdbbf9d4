import type { SimulatedProcess } from '../process.ts'
import type { SimulatedRandom } from '../random.ts'
import type { World } from '../world.ts'
import type { BrokerMachine, SimulatedCluster } from './cluster.ts'

export interface FaultOptions {
  /** Brokers lose their power too; ZooKeeper always may. */
  readonly brokersLosePower: boolean
  /** Usual time from one fault to the next, ms. */
  readonly everyMs: number
  /** Brokers may find their disks full or broken. */
  readonly disksFail: boolean
  /** Clients have faults of their own too; this brings one back. Does nothing where it runs. */
  readonly startClient?: (process: SimulatedProcess) => void
}

/** What a fault did, and how to end it. */
interface Fault {
  readonly what: string
  readonly lastsMs: number
  end(): void
}

type FaultKind = (faults: Faults) => Fault

/**
 * Makes faults at random times until it is stopped. Several may be in force at once; `stop` ends them all, and
 * the cluster has to find back on its own from there.
 */
export class Faults {
  readonly cluster: SimulatedCluster
  readonly world: World
  readonly random: SimulatedRandom
  readonly clients: readonly SimulatedProcess[]
  readonly options: FaultOptions
  /** How often each kind happened. */
  readonly counts = new Map<string, number>()
  #stopped = false

  constructor(cluster: SimulatedCluster, clients: readonly SimulatedProcess[], options: FaultOptions) {
    this.cluster = cluster
    this.world = cluster.world
    this.random = cluster.world.random.fork('faults')
    this.clients = clients
    this.options = options
  }

  start(): void {
    this.world.after(this.random.exponential(this.options.everyMs), () => {
      if (this.#stopped) return
      const [name, kind] = this.random.pick(this.options.startClient === undefined ? WEIGHTED : WEIGHTED_WITH_CLIENTS)
      const fault = kind(this)
      this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
      this.#tell(`${name}: ${fault.what} for ${fault.lastsMs.toFixed(0)} ms`)
      this.world.after(fault.lastsMs, () => {
        if (this.#stopped) return
        this.#tell(`${name} ends: ${fault.what}`)
        fault.end()
      })
      this.start()
    })
  }

  /** Everything is repaired, and nothing breaks any more. */
  stop(): void {
    this.#stopped = true
    this.#tell('all faults end')
    this.world.heal()
    for (const machine of this.cluster.machines) {
      machine.resume()
      machine.diskConditions.slowness = 1
      machine.diskConditions.clearFaults()
    }
    for (const machine of this.cluster.brokers) restartWithoutDirectories(this.cluster, machine)
    this.cluster.stayUp()
    for (const client of this.options.startClient === undefined ? [] : this.clients) {
      client.resume()
      this.options.startClient!(client)
    }
  }

  get isStopped(): boolean {
    return this.#stopped
  }

  /** Brokers that run; all of them if none does. */
  broker(): BrokerMachine {
    const running = this.cluster.brokers.filter(({ process }) => process.isRunning)
    return this.random.pick(running.length > 0 ? running : this.cluster.brokers)
  }

  /** The one that is the controller, if one is. */
  controller(): BrokerMachine {
    return this.cluster.brokers.find(({ broker }) => broker?.isController === true) ?? this.broker()
  }

  #tell(what: string): void {
    this.world.logSink?.('info', `${this.world.nowMs.toFixed(3)} faults: ${what}`)
  }
}

/** Long enough for sessions to expire and replicas to leave the ISR, or not, about as often. */
function while_(faults: Faults): number {
  return faults.random.pick([300, 1500, 4000, 8000]) * faults.random.between(0.5, 1.5)
}

function down(faults: Faults, machines: readonly SimulatedProcess[], losePower: boolean): Fault {
  for (const machine of machines) {
    if (losePower) faults.cluster.powerFail(machine)
    else faults.cluster.crash(machine)
  }
  return {
    what: namesOf(machines),
    lastsMs: while_(faults),
    end: () => machines.forEach((machine) => faults.cluster.start(machine)),
  }
}

function cut(
  faults: Faults,
  one: readonly SimulatedProcess[],
  other: readonly SimulatedProcess[],
  bothWays: boolean,
): Fault {
  const { world } = faults
  world.cut(one, other)
  if (bothWays) world.cut(other, one)
  return {
    what: `${namesOf(one)} from ${namesOf(other)}`,
    lastsMs: while_(faults),
    end: () => {
      world.mend(one, other)
      world.mend(other, one)
    },
  }
}

const KINDS: Record<string, [weight: number, kind: FaultKind]> = {
  'broker crash': [6, (faults) => down(faults, [faults.broker().process], false)],
  'controller crash': [3, (faults) => down(faults, [faults.controller().process], false)],
  'two brokers crash': [
    2,
    (faults) =>
      down(
        faults,
        faults.random
          .shuffled(faults.cluster.brokers)
          .slice(1)
          .map(({ process }) => process),
        false,
      ),
  ],
  'all brokers crash': [
    1,
    (faults) =>
      down(
        faults,
        faults.cluster.brokers.map(({ process }) => process),
        false,
      ),
  ],
  'broker power failure': [4, (faults) => down(faults, [faults.broker().process], faults.options.brokersLosePower)],
  'all brokers power failure': [
    1,
    (faults) =>
      down(
        faults,
        faults.cluster.brokers.map(({ process }) => process),
        faults.options.brokersLosePower,
      ),
  ],
  'zookeeper crash': [2, (faults) => down(faults, [faults.cluster.zookeeper], false)],
  'zookeeper power failure': [2, (faults) => down(faults, [faults.cluster.zookeeper], true)],
  'clean stop': [2, cleanStop],
  'broker pause': [5, (faults) => pause(faults, faults.broker().process)],
  'controller pause': [3, (faults) => pause(faults, faults.controller().process)],
  'zookeeper pause': [1, (faults) => pause(faults, faults.cluster.zookeeper)],
  'broker partition': [
    4,
    (faults) => {
      const { process } = faults.broker()
      return cut(faults, [process], others(faults, process), true)
    },
  ],
  'broker half partition': [3, halfPartition],
  'broker cut from zookeeper': [
    4,
    (faults) =>
      cut(
        faults,
        [faults.random.pick([faults.broker(), faults.controller()]).process],
        [faults.cluster.zookeeper],
        true,
      ),
  ],
  'broker cut from broker': [
    4,
    (faults) => {
      const [one, other] = faults.random.shuffled(faults.cluster.brokers)
      return cut(faults, [one!.process], [other!.process], faults.random.chance(0.7))
    },
  ],
  'broker cut from clients': [
    2,
    (faults) => cut(faults, [faults.broker().process], faults.clients, faults.random.chance(0.5)),
  ],
  'slow link': [3, slowLink],
  'connections lost': [3, (faults) => connectionsLost(faults, faults.random.pick(faults.cluster.machines))],
  'slow disk': [3, slowDisk],
  'disk error': [4, diskError],
  'sessions expire in a row': [3, sessionsExpire],
  'clock jump': [2, clockJump],
  'laggard comes back': [2, laggardComesBack],
  'deposed controller': [2, deposedController],
  'bounced broker': [2, bouncedBroker],
}

const CLIENT_KINDS: Record<string, [weight: number, kind: FaultKind]> = {
  'client crash': [5, clientCrash],
  'client pause': [6, (faults) => pause(faults, client(faults))],
  'client cut from broker': [
    5,
    (faults) => {
      const ends = faults.random.shuffled([client(faults), faults.broker().process])
      return cut(faults, [ends[0]!], [ends[1]!], faults.random.chance(0.5))
    },
  ],
  'client cut from all': [3, (faults) => cut(faults, [client(faults)], faults.cluster.machines, true)],
  'slow client link': [4, (faults) => slowDown(faults, client(faults), faults.broker().process)],
  'client connections lost': [4, (faults) => connectionsLost(faults, client(faults))],
}

const WEIGHTED = weighted(KINDS)
const WEIGHTED_WITH_CLIENTS = [...WEIGHTED, ...weighted(CLIENT_KINDS)]

function weighted(kinds: typeof KINDS): [string, FaultKind][] {
  return Object.entries(kinds).flatMap(([name, [weight, kind]]) =>
    Array.from({ length: weight }, (): [string, FaultKind] => [name, kind]),
  )
}

function client(faults: Faults): SimulatedProcess {
  return faults.random.pick(faults.clients)
}

/** SIGKILL: what it had not sent or committed is gone, and its successor knows nothing. */
function clientCrash(faults: Faults): Fault {
  const process = client(faults)
  process.crash()
  return { what: process.name, lastsMs: while_(faults), end: () => faults.options.startClient!(process) }
}

function others(faults: Faults, process: SimulatedProcess): SimulatedProcess[] {
  return faults.cluster.machines.filter((machine) => machine !== process)
}

/** Nothing gets out of the broker, or nothing gets in. */
function halfPartition(faults: Faults): Fault {
  const { process } = faults.broker()
  const rest = others(faults, process)
  return faults.random.chance(0.5) ? cut(faults, [process], rest, false) : cut(faults, rest, [process], false)
}

function pause(faults: Faults, process: SimulatedProcess): Fault {
  process.pause()
  return { what: process.name, lastsMs: while_(faults), end: () => process.resume() }
}

function cleanStop(faults: Faults): Fault {
  const machine = faults.broker()
  faults.cluster.stopCleanly(machine)
  return { what: machine.process.name, lastsMs: while_(faults), end: () => faults.cluster.startBroker(machine) }
}

function slowLink(faults: Faults): Fault {
  const [one, other] = faults.random.shuffled(faults.cluster.machines) as [SimulatedProcess, SimulatedProcess]
  return slowDown(faults, one, other)
}

function slowDown(faults: Faults, one: SimulatedProcess, other: SimulatedProcess): Fault {
  const slowness = faults.random.pick([20, 200, 2000])
  faults.world.slowDown(one, other, slowness)
  return {
    what: `${one.name} and ${other.name}, ${slowness} times`,
    lastsMs: while_(faults),
    end: () => faults.world.slowDown(one, other, 1),
  }
}

function connectionsLost(faults: Faults, machine: SimulatedProcess): Fault {
  const count = faults.world.fabric.resetConnections(machine.address, null, faults.random.pick([0.3, 1]))
  return { what: `${count} of ${machine.name}`, lastsMs: 0, end: () => {} }
}

function slowDisk(faults: Faults): Fault {
  const machine = faults.random.pick(faults.cluster.machines)
  machine.diskConditions.slowness = faults.random.pick([8, 50, 500])
  return {
    what: `${machine.name}, ${machine.diskConditions.slowness} times`,
    lastsMs: while_(faults),
    end: () => (machine.diskConditions.slowness = 1),
  }
}

/**
 * A directory of a broker fails, or its disk is full, for once or for as long as it lasts. What the broker has given up comes back with its next
 * start.
 */
function diskError(faults: Faults): Fault {
  const { random, cluster } = faults
  if (!faults.options.disksFail) return slowDisk(faults)
  const machine = faults.broker()
  const directory = random.pick(machine.logDirectories)
  const { diskConditions } = machine.process
  const operation = random.pick(['write', 'write', 'sync', 'open', 'read', 'rename', 'truncate'] as const)
  const code = operation === 'write' || operation === 'open' ? random.pick(['EIO', 'ENOSPC'] as const) : 'EIO'
  const times = random.pick([1, Infinity])
  diskConditions.inject({ operation, code, path: `${directory}/`, after: random.below(4), times })
  return {
    what: `${machine.process.name}, ${directory}: ${code} at ${operation} ${times === 1 ? 'once' : 'always'}`,
    lastsMs: while_(faults),
    end: () => {
      diskConditions.clearFaults()
      restartWithoutDirectories(cluster, machine)
    },
  }
}

/** Starts a broker again that has given up a directory. */
function restartWithoutDirectories(cluster: SimulatedCluster, machine: BrokerMachine): void {
  const isWhole = machine.broker?.services.logs.directories.every(({ isOffline }) => !isOffline) ?? true
  if (isWhole) return
  cluster.crash(machine.process)
  cluster.startBroker(machine)
}

/** A broker, or the controller, loses one session after the other. */
function sessionsExpire(faults: Faults): Fault {
  const { world, cluster, random } = faults
  const { process } = random.pick([faults.broker(), faults.controller()])
  const cutOff = (): void => world.partition([process], [cluster.zookeeper])
  const mend = (): void => {
    world.mend([process], [cluster.zookeeper])
    world.mend([cluster.zookeeper], [process])
  }
  cutOff()
  const steps = Array.from({ length: 2 }, (): [number, () => void][] => [
    [random.between(3200, 4500), mend],
    [random.pick([20, 100, 500, 2000]) * random.between(0.5, 1.5), cutOff],
  ]).flat()
  return story(faults, `those of ${process.name}`, [...steps, [random.between(3200, 4500), mend]], mend)
}

function clockJump(faults: Faults): Fault {
  const machine = faults.random.pick(faults.cluster.machines)
  const jumpMs = faults.random.pick([-60_000, -1000, 1000, 60_000])
  machine.wallOffsetMs += jumpMs
  return { what: `${machine.name} by ${jumpMs} ms`, lastsMs: 0, end: () => {} }
}

/** Steps of a story that takes several faults in order; each may look how things stand. */
function story(
  faults: Faults,
  what: string,
  steps: readonly [afterMs: number, step: () => void][],
  end: () => void,
): Fault {
  let atMs = 0
  for (const [afterMs, step] of steps) {
    atMs += afterMs
    faults.world.after(atMs, () => faults.isStopped || step())
  }
  return { what, lastsMs: atMs + faults.random.between(500, 3000), end }
}

/**
 * KAFKA-7128: a follower that fell behind comes back while the leader has just changed.
 *
 * 1. the third replica cannot fetch, and leaves the ISR; the second fetches slowly, so that its high watermark lags
 * 2. the leader dies; the second leads, with a high watermark below its log's end
 * 3. the third fetches slowly, and has reached that high watermark, but not the start of the epoch
 */
function laggardComesBack(faults: Faults): Fault {
  const { world, cluster } = faults
  const [first, second, third] = faults.random.shuffled(cluster.brokers).map(({ process }) => process) as [
    SimulatedProcess,
    SimulatedProcess,
    SimulatedProcess,
  ]
  const mendThird = (): void => {
    world.mend([third], [first, second])
    world.mend([first, second], [third])
  }
  world.partition([third], [first, second])
  world.slowDown(first, second, 200)
  return story(
    faults,
    `${third.name} behind ${first.name} and ${second.name}`,
    [
      [faults.random.between(4000, 5500), () => cluster.crash(first)],
      [
        faults.random.between(0, 3000),
        () => {
          mendThird()
          world.slowDown(second, third, faults.random.pick([20, 200, 1000]))
        },
      ],
    ],
    () => {
      mendThird()
      world.slowDown(first, second, 1)
      world.slowDown(second, third, 1)
      cluster.start(first)
    },
  )
}

/**
 * A controller that was replaced goes on sending what it had decided before.
 *
 * 1. the controller cannot reach one broker; another dies, and the controller's word about it waits for the first
 * 2. the controller loses ZooKeeper for longer than its session lasts, and another is elected
 * 3. the way to the broker is open again, while the controller still does not know
 */
function deposedController(faults: Faults): Fault {
  const { world, cluster } = faults
  const controller = faults.controller().process
  const [target, victim] = faults.random
    .shuffled(cluster.brokers)
    .map(({ process }) => process)
    .filter((process) => process !== controller) as [SimulatedProcess, SimulatedProcess]
  world.partition([controller], [target])
  cluster.crash(victim)
  return story(
    faults,
    `${controller.name}, towards ${target.name}`,
    [
      [faults.random.between(3200, 4500), () => world.partition([controller], [cluster.zookeeper])],
      [faults.random.between(500, 2000), () => cluster.start(victim)],
      [
        faults.random.between(3500, 5000),
        () => {
          world.mend([controller], [target])
          world.mend([target], [controller])
        },
      ],
    ],
    () => {
      world.mend([controller], [target, cluster.zookeeper])
      world.mend([target, cluster.zookeeper], [controller])
      cluster.start(victim)
    },
  )
}

/**
 * KIP-380: a broker comes back before the controller has noticed that it was gone.
 *
 * 1. the controller's word about a leaving broker does not reach it
 * 2. the controller hears nothing from ZooKeeper while the broker ends and registers anew
 * 3. the way is open again: what was meant for the broker's earlier life arrives in its new one
 */
function bouncedBroker(faults: Faults): Fault {
  const { world, cluster } = faults
  const controller = faults.controller()
  const machine = faults.random.pick(cluster.brokers.filter((broker) => broker !== controller))
  const { process } = machine
  world.cut([controller.process], [process])
  cluster.stopCleanly(machine)
  const whenGone = (): void => {
    if (faults.isStopped) return
    if (process.isRunning) return world.after(5, whenGone)
    cluster.startBroker(machine)
    world.after(faults.random.between(200, 1200), () => world.mend([controller.process], [process]))
    world.after(faults.random.between(1200, 2500), () => world.mend([cluster.zookeeper], [controller.process]))
  }
  return story(
    faults,
    `${process.name}, not noticed by ${controller.process.name}`,
    [
      [
        faults.random.between(20, 800),
        () => {
          world.cut([cluster.zookeeper], [controller.process])
          whenGone()
        },
      ],
      [6000, () => {}],
    ],
    () => {
      world.mend([controller.process], [process])
      world.mend([cluster.zookeeper], [controller.process])
      cluster.startBroker(machine)
    },
  )
}

function namesOf(machines: readonly SimulatedProcess[]): string {
  return machines.map(({ name }) => name).join(', ')
}
