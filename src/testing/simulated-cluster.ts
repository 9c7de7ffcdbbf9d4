/** A cluster in a simulated world: a machine for each of its members and one for the clients, virtual time, and chance from a seed. */
import type { Broker } from '#broker'
import { startBroker, startZooKeeper } from '#embedded'
import type { Platform } from '#platform'
import { World, type SimulatedProcess } from '#simulation'

import { Clients } from './clients.ts'
import { ClusterClosedError, brokerOf, type TestClients } from './cluster.ts'
import {
  ZOOKEEPER_SETTINGS,
  readSimulationOptions,
  readTopic,
  type Layout,
  type SimulationOptions,
  type TopicOptions,
} from './options.ts'
import { createTopics, untilKnown } from './readiness.ts'
import { SimulatedTime } from './simulated-time.ts'
import type { SimulatedBroker, SimulatedCluster, WithinOptions } from './simulated.ts'

const ZOOKEEPER_PORT = 2181
const BROKER_PORT = 9092
const DATA = '/data'
/** The machine of the clients. */
const CLIENT = 'client'
/** Each its own: a promise that never settles keeps alive all who wait for it. */
const forever = (): Promise<never> => new Promise(() => {})

/**
 * Resolves when all brokers serve, know each other and have the topics, some virtual time after the world began. Rejects with
 * `ClusterOptionsError`.
 */
export async function simulateCluster(options: SimulationOptions = {}): Promise<SimulatedCluster> {
  const { seed, onLog, ...layout } = readSimulationOptions(options)
  const world = new World(seed)
  world.logSink = onLog ?? null
  const cluster = new ClusterInWorld(world, await platformOf(world.process(CLIENT)), layout)
  try {
    await cluster.start()
    return cluster
  } catch (error) {
    cluster.end()
    throw error
  }
}

class ClusterInWorld implements SimulatedCluster {
  readonly seed: number
  readonly platform: Platform
  readonly bootstrapServers: string
  readonly zookeeperConnect: string
  readonly brokers: readonly BrokerMachine[]
  readonly #world: World
  readonly #time: SimulatedTime
  readonly #layout: Layout
  readonly #zookeeper: SimulatedProcess
  readonly #clients: Clients
  #hasEnded = false
  #closing: Promise<void> | null = null

  constructor(world: World, platform: Platform, layout: Layout) {
    this.seed = world.seed
    this.platform = platform
    this.#world = world
    this.#time = new SimulatedTime(world)
    this.#layout = layout
    this.#zookeeper = world.process('zookeeper')
    this.zookeeperConnect = `${this.#zookeeper.name}:${ZOOKEEPER_PORT}`
    const surroundings: Surroundings = {
      time: this.#time,
      clusterSize: layout.brokerIds.length,
      settings: layout.settings,
      zookeeperConnect: this.zookeeperConnect,
      hasEnded: () => this.#hasEnded,
      untilKnown: (leftId) => untilKnown(platform.clock, () => this.#reachable, leftId),
    }
    this.brokers = layout.brokerIds.map((id) => new BrokerMachine(id, world.process(`broker-${id}`), surroundings))
    this.bootstrapServers = this.brokers.map(({ host, port }) => `${host}:${port}`).join(',')
    this.#clients = new Clients(platform, this.bootstrapServers, (closing) => this.#time.until(closing))
  }

  async start(): Promise<void> {
    await this.#time.run(async () => {
      await this.#startZooKeeper()
      await Promise.all(this.brokers.map((broker) => broker.begin()))
      await untilKnown(this.platform.clock, () => this.#reachable)
      await this.#createTopics(this.#layout.topics)
    })
  }

  #startZooKeeper(): Promise<void> {
    const site = {
      host: '0.0.0.0',
      port: ZOOKEEPER_PORT,
      dataDirectory: DATA,
      overrides: ZOOKEEPER_SETTINGS,
    }
    return new Promise((resolve, reject) => {
      const ended = (error: unknown): void => {
        this.#world.report('ZooKeeper ended by itself', error)
        reject(error)
      }
      this.#zookeeper.start(async (platform) => {
        const server = await startZooKeeper(platform, site)
        resolve()
        throw (await server.stopped) ?? new Error('the server has stopped')
      }, ended)
    })
  }

  get nowMs(): number {
    return this.#world.nowMs
  }

  get controller(): SimulatedBroker | null {
    return this.brokers.find(({ isController }) => isController) ?? null
  }

  /** The brokers that can know of each other. */
  get #reachable(): Broker[] {
    return this.brokers.flatMap(({ broker, isReachable }) => (isReachable ? (broker ?? []) : []))
  }

  broker(id: number): SimulatedBroker {
    return brokerOf(this.brokers, id)
  }

  advance(durationMs: number): Promise<void> {
    return this.#time.advance(durationMs)
  }

  until<T>(awaited: PromiseLike<T>, options?: WithinOptions): Promise<T>
  until(condition: () => boolean, options?: WithinOptions): Promise<void>
  until(awaited: PromiseLike<unknown> | (() => boolean), options?: WithinOptions): Promise<unknown> {
    return typeof awaited === 'function' ? this.#time.untilTrue(awaited, options) : this.#time.until(awaited, options)
  }

  run<T>(program: () => Promise<T>, options?: WithinOptions): Promise<T> {
    return this.#time.run(program, options)
  }

  heal(): void {
    for (const broker of this.brokers) broker.isIsolated = false
    this.#world.heal()
  }

  createTopics(...topics: readonly (string | TopicOptions)[]): Promise<void> {
    return this.#time.run(async () => this.#createTopics(topics.map(readTopic)))
  }

  #createTopics(topics: Layout['topics']): Promise<void> {
    return createTopics(this.platform.clock, () => this.#reachable, this.#clients, topics)
  }

  producer(...options: Parameters<TestClients['producer']>): ReturnType<TestClients['producer']> {
    return this.#clients.producer(...options)
  }

  consumer(...options: Parameters<TestClients['consumer']>): ReturnType<TestClients['consumer']> {
    return this.#clients.consumer(...options)
  }

  admin(...options: Parameters<TestClients['admin']>): ReturnType<TestClients['admin']> {
    return this.#clients.admin(...options)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    try {
      // A machine on which something was thrown that nobody caught has lost its clients.
      if (this.#world.process(CLIENT).isRunning) await this.#time.run(() => this.#clients.close())
    } finally {
      this.end()
    }
  }

  /** Nothing happens in this world any more. */
  end(): void {
    this.#hasEnded = true
    for (const process of this.#world.processes) process.crash()
  }
}

/** A broker's machine, with what cannot be known before the cluster starts. */
interface Surroundings {
  readonly time: SimulatedTime
  readonly clusterSize: number
  readonly settings: Readonly<Record<string, string>>
  readonly zookeeperConnect: string
  readonly hasEnded: () => boolean
  /** Resolves when the reachable brokers know who is running, and that the one that has left is gone. */
  untilKnown(leftId?: number): Promise<void>
}

class BrokerMachine implements SimulatedBroker {
  readonly id: number
  readonly host: string
  readonly port = BROKER_PORT
  isIsolated = false
  readonly #process: SimulatedProcess
  readonly #surroundings: Surroundings
  #broker: Broker | null = null
  /** What is under way: one thing after the other. */
  #last: Promise<void> = Promise.resolve()

  constructor(id: number, process: SimulatedProcess, surroundings: Surroundings) {
    this.id = id
    this.host = process.name
    this.#process = process
    this.#surroundings = surroundings
  }

  /** Null while none runs. */
  get broker(): Broker | null {
    return this.#process.isRunning ? this.#broker : null
  }

  get isRunning(): boolean {
    return this.broker !== null
  }

  get isController(): boolean {
    return this.broker?.isController ?? false
  }

  get isReachable(): boolean {
    return this.isRunning && !this.#process.isPaused && !this.isIsolated
  }

  kill(): Promise<void> {
    return this.#next(async () => void this.#process.crash())
  }

  powerFail(): Promise<void> {
    return this.#next(async () => this.#process.powerFail())
  }

  stop(): Promise<void> {
    return this.#next(async () => {
      const { broker } = this
      if (broker === null) return
      await new Promise<void>((resolve, reject) => {
        this.#process.signal(() => void broker.close().then(resolve, reject))
      })
      this.#process.crash()
      await this.#surroundings.untilKnown(this.id)
    })
  }

  start(): Promise<void> {
    return this.#next(async () => {
      if (this.#surroundings.hasEnded()) throw new ClusterClosedError()
      if (this.isRunning) return
      await this.#begin()
      await this.#surroundings.untilKnown()
    })
  }

  /** As `start`, and the others need not know yet. */
  begin(): Promise<void> {
    return this.#next(() => this.#begin())
  }

  pause(): void {
    this.#process.pause()
  }

  resume(): void {
    this.#process.resume()
  }

  isolate(): void {
    const { world } = this.#process
    this.isIsolated = true
    world.partition([this.#process], world.processes)
  }

  #next(run: () => Promise<void>): Promise<void> {
    const next = this.#last.then(run)
    this.#last = next.catch(() => {})
    return this.#surroundings.time.until(next)
  }

  #begin(): Promise<void> {
    const { clusterSize, settings, zookeeperConnect } = this.#surroundings
    const site = {
      id: this.id,
      clusterSize,
      host: this.host,
      port: BROKER_PORT,
      dataDirectory: DATA,
      zookeeperConnect,
      overrides: settings,
    }
    this.#broker = null
    return new Promise((resolve, reject) => {
      this.#process.start(async (platform) => {
        this.#broker = await startBroker(platform, site)
        resolve()
        await forever()
      }, reject)
    })
  }
}

/** The world as a machine sees it whose programs are called from outside. */
async function platformOf(process: SimulatedProcess): Promise<Platform> {
  const started = Promise.withResolvers<Platform>()
  process.start((platform) => {
    started.resolve(platform)
    return forever()
  })
  await process.world.run(0)
  return started.promise
}
