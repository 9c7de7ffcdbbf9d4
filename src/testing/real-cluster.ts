/** A cluster within the test's process: real time, real sockets on free ports of this machine, data in memory or in a folder. */
import type { Broker } from '#broker'
import { freePorts, isPortTaken, startBroker, startZooKeeper, type EnsemblePlace } from '#embedded'
import { joinPath, type Platform } from '#platform'
import { memoryFiles } from '#platform/memory'
import { nodePlatform } from '#platform/node'
import type { ZooKeeperServer } from '#zookeeper/server'

import { Clients } from './clients.ts'
import { ClusterClosedError, brokerOf, type TestBroker, type TestClients, type TestCluster } from './cluster.ts'
import { Life } from './life.ts'
import {
  ZOOKEEPER_SETTINGS,
  readClusterOptions,
  readTopic,
  type ClusterOptions,
  type Layout,
  type TopicOptions,
} from './options.ts'
import { createTopics, untilKnown } from './readiness.ts'

const HOST = '127.0.0.1'
/** For clients, and in an ensemble for its learners and for elections. */
const PORTS_OF_ZOOKEEPER = 3
/** Between the choice of a port and its use another process may take it. */
const STARTS_MAX = 5

/**
 * Resolves when all brokers serve, know each other and have the topics. Rejects with `ClusterOptionsError`, or with what stood in the way;
 * nothing is left open then.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<TestCluster> {
  const { zookeepers, dataDirectory, logLevel, ...layout } = readClusterOptions(options)
  const platform = nodePlatform({ logLevel })
  const world: Platform = dataDirectory === null ? { ...platform, files: memoryFiles(platform.clock) } : platform
  for (let attempt = 1; ; attempt++) {
    const ports = await freePorts(platform, HOST, layout.brokerIds.length + zookeepers * PORTS_OF_ZOOKEEPER)
    const cluster = new RealCluster(platform, world, dataDirectory ?? 'memory', layout, zookeepers, ports)
    try {
      await cluster.start()
      return cluster
    } catch (error) {
      await cluster.close()
      if (!isPortTaken(error) || attempt === STARTS_MAX) throw error
    }
  }
}

/** A broker's place, with what cannot be known before the cluster starts. */
interface Surroundings {
  readonly world: Platform
  readonly dataDirectory: string
  readonly clusterSize: number
  readonly settings: Readonly<Record<string, string>>
  readonly zookeeperConnect: string
  /** Resolves when the running brokers know who is running, and that the one that has left is gone. */
  untilKnown(leftId?: number): Promise<void>
}

class RealCluster implements TestCluster {
  readonly platform: Platform
  readonly bootstrapServers: string
  readonly zookeeperConnect: string
  readonly brokers: readonly RealBroker[]
  readonly #layout: Layout
  readonly #zookeeperLives: readonly Life[]
  readonly #zookeeperMembers: EnsemblePlace['members']
  readonly #dataDirectory: string
  #zookeepers: ZooKeeperServer[] = []
  readonly #clients: Clients
  #closing: Promise<void> | null = null

  constructor(
    platform: Platform,
    world: Platform,
    dataDirectory: string,
    layout: Layout,
    zookeepers: number,
    ports: readonly number[],
  ) {
    this.platform = platform
    this.#layout = layout
    this.#dataDirectory = dataDirectory
    this.#zookeeperLives = Array.from({ length: zookeepers }, () => new Life(world))
    this.#zookeeperMembers = this.#zookeeperLives.map((_, index) => {
      const [client, quorum, election] = ports.slice(index * PORTS_OF_ZOOKEEPER) as [number, number, number]
      return { host: HOST, ports: { client, quorum, election } }
    })
    this.zookeeperConnect = this.#zookeeperMembers.map((member) => `${HOST}:${member.ports.client}`).join(',')
    const brokerPorts = ports.slice(zookeepers * PORTS_OF_ZOOKEEPER)
    const surroundings: Surroundings = {
      world,
      dataDirectory,
      clusterSize: layout.brokerIds.length,
      settings: layout.settings,
      zookeeperConnect: this.zookeeperConnect,
      untilKnown: (leftId) => untilKnown(platform.clock, () => this.#running, leftId),
    }
    this.brokers = layout.brokerIds.map((id, index) => new RealBroker(id, brokerPorts[index]!, surroundings))
    this.bootstrapServers = this.brokers.map(({ host, port }) => `${host}:${port}`).join(',')
    this.#clients = new Clients(platform, this.bootstrapServers)
  }

  async start(): Promise<void> {
    await this.#startZooKeepers()
    const started = await Promise.allSettled(this.brokers.map((broker) => broker.begin()))
    const failure = started.find((result) => result.status === 'rejected')
    if (failure !== undefined) throw failure.reason as Error
    await untilKnown(this.platform.clock, () => this.#running)
    await this.#createTopics(this.#layout.topics)
  }

  async #startZooKeepers(): Promise<void> {
    const members = this.#zookeeperMembers
    const isAlone = members.length === 1
    const starting = members.map(async ({ ports }, index) => {
      const server = await startZooKeeper(this.#zookeeperLives[index]!.platform, {
        host: HOST,
        port: ports.client,
        dataDirectory: joinPath(this.#dataDirectory, isAlone ? 'zookeeper' : `zookeeper-${index + 1}`),
        ...(!isAlone && { ensemble: { sid: index + 1, members } }),
        overrides: ZOOKEEPER_SETTINGS,
      })
      this.#zookeepers.push(server)
    })
    const failure = (await Promise.allSettled(starting)).find((result) => result.status === 'rejected')
    if (failure !== undefined) throw failure.reason as Error
  }

  get controller(): TestBroker | null {
    return this.brokers.find(({ isController }) => isController) ?? null
  }

  get #running(): Broker[] {
    return this.brokers.flatMap(({ broker }) => broker ?? [])
  }

  broker(id: number): TestBroker {
    return brokerOf(this.brokers, id)
  }

  async createTopics(...topics: readonly (string | TopicOptions)[]): Promise<void> {
    await this.#createTopics(topics.map(readTopic))
  }

  #createTopics(topics: Layout['topics']): Promise<void> {
    return createTopics(this.platform.clock, () => this.#running, this.#clients, topics)
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

  /** ZooKeeper last: a broker cannot leave cleanly without it. */
  async #close(): Promise<void> {
    await this.#clients.close()
    await Promise.all(this.brokers.map((broker) => broker.leave()))
    await Promise.all(this.#zookeepers.map((server) => server.close()))
    await Promise.all(this.#zookeeperLives.map((life) => life.end()))
  }
}

class RealBroker implements TestBroker {
  readonly id: number
  readonly host = HOST
  readonly port: number
  readonly #surroundings: Surroundings
  #broker: Broker | null = null
  #life: Life | null = null
  #hasLeft = false
  /** What is under way: one thing after the other. */
  #last: Promise<void> = Promise.resolve()

  constructor(id: number, port: number, surroundings: Surroundings) {
    this.id = id
    this.port = port
    this.#surroundings = surroundings
  }

  /** Null while none runs. */
  get broker(): Broker | null {
    return this.#broker
  }

  get isRunning(): boolean {
    return this.#broker !== null
  }

  get isController(): boolean {
    return this.#broker?.isController ?? false
  }

  kill(): Promise<void> {
    return this.#next(async () => {
      this.#broker = null
      await this.#life?.end()
    })
  }

  stop(): Promise<void> {
    return this.#next(async () => {
      if (this.#broker === null) return
      await this.#end({ handOver: true })
      await this.#surroundings.untilKnown(this.id)
    })
  }

  start(): Promise<void> {
    return this.#next(async () => {
      if (this.#hasLeft) throw new ClusterClosedError()
      if (this.#broker !== null) return
      await this.#begin()
      await this.#surroundings.untilKnown()
    })
  }

  /** As `start`, and the others need not know yet. */
  begin(): Promise<void> {
    return this.#next(() => this.#begin())
  }

  /** As `stop`, and for good; nobody takes over: all leave. */
  leave(): Promise<void> {
    this.#hasLeft = true
    return this.#next(() => this.#end({ handOver: false }))
  }

  #next(run: () => Promise<void>): Promise<void> {
    const next = this.#last.then(run)
    this.#last = next.catch(() => {})
    return next
  }

  async #begin(): Promise<void> {
    const { world, dataDirectory, clusterSize, settings, zookeeperConnect } = this.#surroundings
    const life = new Life(world)
    this.#life = life
    this.#broker = await startBroker(life.platform, {
      id: this.id,
      clusterSize,
      host: HOST,
      port: this.port,
      dataDirectory: joinPath(dataDirectory, `broker-${this.id}`),
      zookeeperConnect,
      overrides: settings,
    })
  }

  async #end(options: { handOver: boolean }): Promise<void> {
    const broker = this.#broker
    this.#broker = null
    await broker?.close(options)
    await this.#life?.end()
  }
}
