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

/** Several faults may be in force at once; `stop` ends them all, and the cluster has to find back on its own from there. */
export class Faults extends FaultSchedule {
  readonly cluster: SimulatedCluster
  readonly clients: readonly SimulatedProcess[]
  readonly options: FaultOptions
  readonly restMs = [500, 3000] as const

  constructor(cluster: SimulatedCluster, clients: readonly SimulatedProcess[], options: FaultOptions) {
    super(cluster.world, options.everyMs)
    this.cluster = cluster
    this.clients = clients
    this.options = options
  }

  get machines(): readonly SimulatedProcess[] {
    return this.cluster.machines
  }

  /** Long enough for sessions to expire and replicas to leave the ISR, or not, about as often. */
  durationMs(): number {
    return this.random.pick([300, 1500, 4000, 8000]) * this.random.between(0.5, 1.5)
  }

  protected next(): [string, Fault] {
    const [name, kind] = this.random.pick(this.options.startClient === undefined ? WEIGHTED : WEIGHTED_WITH_CLIENTS)
    return [name, kind(this)]
  }

  /** Everything is repaired, and nothing breaks any more. */
  override stop(): void {
    super.stop()
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

  /** Brokers that run; all of them if none does. */
  broker(): BrokerMachine {
    const running = this.cluster.brokers.filter(({ process }) => process.isRunning)
    return this.random.pick(running.length > 0 ? running : this.cluster.brokers)
  }

  /** The one that is the controller, if one is. */
  controller(): BrokerMachine {
    return this.cluster.brokers.find(({ broker }) => broker?.isController === true) ?? this.broker()
  }
}

function down(faults: Faults, machines: readonly SimulatedProcess[], losePower: boolean): Fault {
  for (const machine of machines) {
    if (losePower) faults.cluster.powerFail(machine)
    else faults.cluster.crash(machine)
  }
  return {
    what: namesOf(machines),
    lastsMs: faults.durationMs(),
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
    lastsMs: faults.durationMs(),
    end: () => {
      world.mend(one, other)
      world.mend(other, one)
    },
  }
}

const KINDS: FaultKinds<Faults> = {
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
  'clock jump': [2, (faults) => clockJump(faults, faults.machines)],
  'laggard comes back': [2, laggardComesBack],
  'deposed controller': [2, deposedController],
  'bounced broker': [2, bouncedBroker],
}

const CLIENT_KINDS: FaultKinds<Faults> = {
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
  'slow client link': [4, (faults) => slowDown(faults, client(faults), faults.broker().process, SLOWNESS)],
  'client connections lost': [4, (faults) => connectionsLost(faults, client(faults))],
}

const WEIGHTED = weighted(KINDS)
const WEIGHTED_WITH_CLIENTS = [...WEIGHTED, ...weighted(CLIENT_KINDS)]

function client(faults: Faults): SimulatedProcess {
  return faults.random.pick(faults.clients)
}

/** SIGKILL: what it had not sent or committed is gone, and its successor knows nothing. */
function clientCrash(faults: Faults): Fault {
  const process = client(faults)
  process.crash()
  return { what: process.name, lastsMs: faults.durationMs(), end: () => faults.options.startClient!(process) }
}

/** Nothing gets out of the broker, or nothing gets in. */
function halfPartition(faults: Faults): Fault {
  const { process } = faults.broker()
  const rest = others(faults, process)
  return faults.random.chance(0.5) ? cut(faults, [process], rest, false) : cut(faults, rest, [process], false)
}

function cleanStop(faults: Faults): Fault {
  const machine = faults.broker()
  faults.cluster.stopCleanly(machine)
  return { what: machine.process.name, lastsMs: faults.durationMs(), end: () => faults.cluster.startBroker(machine) }
}

/** How many times slower a link becomes. */
const SLOWNESS = [20, 200, 2000]

function slowLink(faults: Faults): Fault {
  const [one, other] = faults.random.shuffled(faults.cluster.machines) as [SimulatedProcess, SimulatedProcess]
  return slowDown(faults, one, other, SLOWNESS)
}

function slowDisk(faults: Faults): Fault {
  const machine = faults.random.pick(faults.cluster.machines)
  machine.diskConditions.slowness = faults.random.pick([8, 50, 500])
  return {
    what: `${machine.name}, ${machine.diskConditions.slowness} times`,
    lastsMs: faults.durationMs(),
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
    lastsMs: faults.durationMs(),
    end: () => {
      diskConditions.clearFaults()
      restartWithoutDirectories(cluster, machine)
    },
  }
}

/** Starts a broker again that has given up a directory, or may have: one that is still starting does not say so. */
function restartWithoutDirectories(cluster: SimulatedCluster, machine: BrokerMachine): void {
  const { broker, process } = machine
  const isWhole =
    broker === null ? !process.isRunning : broker.services.logs.directories.every(({ isOffline }) => !isOffline)
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
