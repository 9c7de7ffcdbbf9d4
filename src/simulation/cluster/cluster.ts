import { Broker, parseServerProperties, type BrokerOptions } from '#broker'
import { joinPath, type Platform } from '#platform'
import { ZooKeeperServer, parseZooCfg } from '#zookeeper/server'

import type { SimulatedProcess } from '../process.ts'
import type { Address } from '../workload/plain-cluster.ts'
import type { World } from '../world.ts'

/** Brokers from the beginning on; clients are told these addresses. */
export const BROKER_COUNT = 3
/** One more may join. */
const MACHINES = 4
const ZOOKEEPER_PORT = 2181
const BROKER_PORT = 9092
const DATA = '/data'
/** A process that ended by itself is started again after this, as a supervisor does. */
const RESTART_MS = 1000
/** Each its own: a promise that never settles keeps alive all who wait for it. */
const forever = (): Promise<never> => new Promise(() => {})

export type BrokerFaults = NonNullable<BrokerOptions['faults']>

export interface ClusterOptions {
  /** Switches that break a rule of the brokers, to show that it is found. */
  readonly brokerFaults: BrokerFaults
  /** ZooKeeper answers before its log is on disk: the same for ZooKeeper. */
  readonly zookeeperAnswersEarly: boolean
  /** Brokers sync each append before it counts. */
  readonly brokersSync: boolean
  /** By broker, from the first on: in how many log directories each keeps its replicas. */
  readonly logDirectories: readonly number[]
}

/** How often what the simulation is for has happened. */
export interface ClusterCounters {
  crashes: number
  powerFailures: number
  elections: number
  controllerChanges: number
  truncations: number
  isrChanges: number
  sessionExpiries: number
  directoryFailures: number
}

/** A broker's machine, and the broker that runs there now. */
export interface BrokerMachine {
  readonly id: number
  readonly process: SimulatedProcess
  broker: Broker | null
  lives: number
  readonly logDirectories: readonly string[]
  /** Whether it belongs to the cluster. */
  hasJoined: boolean
  /** Was told to stop. */
  isLeaving: boolean
}

/** A ZooKeeper server and three brokers in a world, and how to make them go and come back. */
export class SimulatedCluster {
  readonly world: World
  readonly zookeeper: SimulatedProcess
  readonly #brokers: readonly BrokerMachine[]
  readonly counters: ClusterCounters = {
    crashes: 0,
    powerFailures: 0,
    elections: 0,
    controllerChanges: 0,
    truncations: 0,
    isrChanges: 0,
    sessionExpiries: 0,
    directoryFailures: 0,
  }
  readonly #options: ClusterOptions
  #staysUp = false

  constructor(world: World, options: ClusterOptions) {
    this.world = world
    this.#options = options
    this.zookeeper = world.process('zookeeper')
    this.#brokers = Array.from({ length: MACHINES }, (_, index) => ({
      id: index + 1,
      process: world.process(`broker-${index + 1}`),
      broker: null,
      lives: 0,
      logDirectories: Array.from({ length: options.logDirectories[index] ?? 1 }, (_, at) =>
        joinPath(DATA, `broker-${at + 1}`),
      ),
      hasJoined: index < BROKER_COUNT,
      isLeaving: false,
    }))
    const next = world.logSink
    world.logSink = (level, line) => {
      this.#count(line)
      next?.(level, line)
    }
  }

  /** Those that belong to the cluster. */
  get brokers(): readonly BrokerMachine[] {
    return this.#brokers.filter(({ hasJoined }) => hasJoined)
  }

  /** A broker more, from now on. */
  join(): void {
    const machine = this.#brokers.find(({ hasJoined }) => !hasJoined)
    if (machine === undefined) return
    machine.hasJoined = true
    this.startBroker(machine)
  }

  get zookeeperAddress(): string {
    return `${this.zookeeper.name}:${ZOOKEEPER_PORT}`
  }

  get bootstrap(): readonly Address[] {
    return this.#brokers.slice(0, BROKER_COUNT).map(({ process }) => ({ host: process.name, port: BROKER_PORT }))
  }

  get machines(): SimulatedProcess[] {
    return [this.zookeeper, ...this.brokers.map(({ process }) => process)]
  }

  /** Starts whatever does not run, and whatever is still about to stop. */
  stayUp(): void {
    this.#staysUp = true
    this.startAll()
  }

  startAll(): void {
    this.startZooKeeper()
    for (const machine of this.brokers) this.startBroker(machine)
  }

  startZooKeeper(): void {
    if (this.zookeeper.isRunning) return
    const { config } = parseZooCfg(this.#zooCfg())
    this.zookeeper.start(
      async (platform) => {
        const server = await ZooKeeperServer.start(platform, config)
        const failure = await server.stopped
        throw failure ?? new Error('the server has stopped')
      },
      (error) => this.#restartLater(ending(this.zookeeper, error), () => this.startZooKeeper()),
    )
  }

  startBroker(machine: BrokerMachine): void {
    const { process } = machine
    if (process.isRunning) return
    machine.lives += 1
    machine.isLeaving = false
    const config = parseServerProperties('', {}, this.#serverProperties(machine))
    process.start(
      async (platform: Platform) => {
        machine.broker = await Broker.start(platform, config, { faults: this.#options.brokerFaults })
        await machine.broker.stopped
        if (machine.isLeaving) await forever()
        throw new Error('the broker has stopped')
      },
      (error) => {
        machine.broker = null
        this.#restartLater(ending(process, error), () => this.startBroker(machine))
      },
    )
  }

  crash(process: SimulatedProcess): void {
    if (!process.crash()) return
    this.counters.crashes += 1
    this.#forget(process)
  }

  powerFail(process: SimulatedProcess): void {
    process.powerFail()
    this.counters.powerFailures += 1
    this.#forget(process)
  }

  start(process: SimulatedProcess): void {
    if (process === this.zookeeper) this.startZooKeeper()
    for (const machine of this.brokers) if (machine.process === process) this.startBroker(machine)
  }

  /** SIGTERM: the broker hands its leaderships over and leaves; its process then ends. */
  stopCleanly(machine: BrokerMachine): void {
    const { broker, process } = machine
    if (broker === null) return
    machine.isLeaving = true
    process.signal(() => {
      void broker.close().then(() => {
        this.#forget(process)
        process.crash()
        if (this.#staysUp) this.startBroker(machine)
      })
    })
  }

  #forget(process: SimulatedProcess): void {
    for (const machine of this.brokers) if (machine.process === process) machine.broker = null
  }

  #restartLater(why: string, start: () => void): void {
    this.world.logSink?.('warn', `${this.world.nowMs.toFixed(3)} ${why}`)
    this.world.after(RESTART_MS, start)
  }

  /** Some things are told by the log only. */
  #count(line: string): void {
    if (/ is cut (?:to|from) /.test(line)) this.counters.truncations += 1
    if (/session with ZooKeeper has expired/.test(line)) this.counters.sessionExpiries += 1
    if (/ is offline until the next start/.test(line)) this.counters.directoryFailures += 1
    if (/elected as controller with epoch/.test(line)) this.counters.controllerChanges += 1
  }

  #zooCfg(): string {
    return [
      `dataDir=${joinPath(DATA, 'zookeeper')}`,
      'admin.enableServer=false',
      `clientPort=${ZOOKEEPER_PORT}`,
      'tickTime=500',
      'maxClientCnxns=0',
      'preAllocSize=64',
      'snapCount=60',
      `forceSync=${this.#options.zookeeperAnswersEarly ? 'no' : 'yes'}`,
      'admin.enableServer=false',
    ].join('\n')
  }

  #serverProperties({ id, process, logDirectories }: BrokerMachine): Record<string, string> {
    return {
      'broker.id': String(id),
      listeners: `PLAINTEXT://${process.name}:${BROKER_PORT}`,
      'log.dirs': logDirectories.join(','),
      'broker.rack': `rack-${id % 2}`,
      'replica.selector.class': 'org.apache.kafka.common.replica.RackAwareReplicaSelector',
      'zookeeper.connect': this.zookeeperAddress,
      'zookeeper.session.timeout.ms': '3000',
      'zookeeper.connection.timeout.ms': '6000',
      'replica.lag.time.max.ms': '2500',
      'replica.fetch.wait.max.ms': '300',
      'replica.socket.timeout.ms': '2000',
      'controller.socket.timeout.ms': '2000',
      'replica.high.watermark.checkpoint.interval.ms': '1000',
      'offsets.topic.num.partitions': '2',
      'offsets.topic.replication.factor': '3',
      'min.insync.replicas': '2',
      'auto.create.topics.enable': 'false',
      'unclean.leader.election.enable': 'false',
      'group.initial.rebalance.delay.ms': '100',
      'leader.imbalance.check.interval.seconds': '5',
      'controlled.shutdown.max.retries': '1',
      'controlled.shutdown.retry.backoff.ms': '500',
      'log.segment.bytes': '60000',
      'log.segment.delete.delay.ms': '1000',
      ...(this.#options.brokersSync ? { 'log.flush.interval.messages': '1' } : {}),
    }
  }
}

function ending(process: SimulatedProcess, error: unknown): string {
  return `${process.name} ended by itself: ${error instanceof Error ? `${error.name} ${error.message}` : 'without a reason'}`
}
