/**
 * Brokers and ZooKeeper servers of either kind, each a process of its own. Both kinds read the same `server.properties`
 * and `zoo.cfg`, so a test says nothing about which it runs against: `SAMSA_TARGET=apache` shows that the test is
 * right, `samsa` (the default) that Samsa is.
 */
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { javaArguments } from './java.ts'
import { SAMSA_BUILT, SAMSA_SOURCE } from './places.ts'
import { Process, freePort, freePorts, removeFolder, temporaryFolder, until } from './processes.ts'
import { Wire, coordinatorOf, createTopics, fetchOffsets, metadata, type Metadata, type NewTopic } from './wire.ts'

const REQUEST_TIMED_OUT = 7
/** Of a broker of either kind, on a machine that is busy with others. */
const START_MS_MAX = 60_000

export const IMPLEMENTATIONS = ['apache', 'samsa'] as const
export type Implementation = (typeof IMPLEMENTATIONS)[number]

/** What the tests run against. */
export const TARGET: Implementation = process.env['SAMSA_TARGET'] === 'apache' ? 'apache' : 'samsa'

const APACHE_SERVER_JVM = ['-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20', '-Xshare:auto']

/** Where a server runs: with all others on this machine, or in a network of its own. */
export interface Place {
  host: string
  /** Put before the command, e.g. to run it in a network namespace. */
  prefix: readonly string[]
}

export const HERE: Place = { host: '127.0.0.1', prefix: [] }

export type Properties = Record<string, string | number | boolean>

/** One process that can be started, ended in every way, and started again on the same data. */
export class Server {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly directory: string
  #program: string
  #arguments: string[]
  #process: Process | null = null

  constructor(
    name: string,
    port: number,
    directory: string,
    command: readonly [string, ...string[]],
    host = HERE.host,
  ) {
    this.name = name
    this.host = host
    this.port = port
    this.directory = directory
    ;[this.#program, ...this.#arguments] = command
  }

  get address(): string {
    return `${this.host}:${this.port}`
  }

  get pid(): number {
    return this.process.pid
  }

  get running(): boolean {
    return this.#process !== null && this.#process.ended === null
  }

  get process(): Process {
    if (this.#process === null) throw new Error(`${this.name} was not started`)
    return this.#process
  }

  get logPath(): string {
    return join(this.directory, `${this.name}.log`)
  }

  /** What it printed so far, its earlier lives included. */
  get log(): string {
    return statSync(this.logPath, { throwIfNoEntry: false }) === undefined ? '' : readFileSync(this.logPath, 'utf8')
  }

  /** What is started from now on. */
  setCommand(command: readonly [string, ...string[]]): void {
    ;[this.#program, ...this.#arguments] = command
  }

  start(): void {
    if (this.running) throw new Error(`${this.name} runs already`)
    this.#process = new Process(this.#program, this.#arguments, { log: this.logPath, cwd: this.directory })
  }

  /** Waits until it accepts connections, and fails at once with its last words if it ends instead. */
  async accepting(timeoutMs = 30_000): Promise<void> {
    const { process } = this
    await until(
      `${this.name} listens`,
      async () => {
        if (process.ended !== null) return true
        ;(await Wire.connect(this.address)).close()
        return true
      },
      timeoutMs,
      20,
    )
    if (process.ended !== null)
      throw new Error(`${this.name} ended with ${process.ended.code ?? process.ended.signal}\n${this.log.slice(-3000)}`)
  }

  /**
   * Starts it again on its data until it stays. An Apache broker that was killed refuses to start as long as its old
   * session lives.
   */
  async startAgain(timeoutMs = 60_000): Promise<void> {
    await until(
      `${this.name} starts again`,
      async () => {
        if (!this.running) this.start()
        await this.accepting(timeoutMs)
        return true
      },
      timeoutMs,
      500,
    )
  }

  async stop(timeoutMs?: number): Promise<void> {
    if (this.#process !== null) await this.#process.stop('SIGTERM', timeoutMs)
  }

  async kill(): Promise<void> {
    if (this.#process !== null) await this.#process.stop('SIGKILL')
  }

  pause(): void {
    this.process.signal('SIGSTOP')
  }

  resume(): void {
    this.process.signal('SIGCONT')
  }
}

export interface ZooKeeperOptions {
  implementation?: Implementation
  directory: string
  properties?: Properties
  place?: Place
}

export async function startZooKeeper({
  implementation = TARGET,
  directory,
  properties,
  place = HERE,
}: ZooKeeperOptions): Promise<Server> {
  const port = await freePort()
  const data = join(directory, 'zookeeper')
  mkdirSync(data, { recursive: true })
  const file = join(directory, 'zoo.cfg')
  writeProperties(file, {
    dataDir: data,
    clientPort: port,
    clientPortAddress: place.host,
    // Sessions end on a tick, so the tick decides how exactly.
    tickTime: 1000,
    maxClientCnxns: 0,
    'admin.enableServer': false,
    '4lw.commands.whitelist': '*',
    ...properties,
  })
  const command = placed(place, zooKeeperCommand(implementation, file))
  const server = new Server('zookeeper', port, directory, command, place.host)
  server.start()
  await server.accepting()
  return server
}

/** A ZooKeeper server, from its `zoo.cfg`. */
export function zooKeeperCommand(
  implementation: Implementation,
  file: string,
  { heap = '512M', jvm = [], classPath = [] }: { heap?: string; jvm?: string[]; classPath?: string[] } = {},
): [string, ...string[]] {
  if (implementation === 'samsa') return samsa('zookeeper', file)
  const options = { heap, classPath, jvm: [...APACHE_SERVER_JVM, ...jvm] }
  return ['java', ...javaArguments('org.apache.zookeeper.server.quorum.QuorumPeerMain', [file], options)]
}

export interface BrokerOptions {
  implementation?: Implementation
  directory: string
  id: number
  /** Hosts and chroot. */
  zookeeper: string
  /** Replicas of the internal topics. */
  clusterSize?: number
  heap?: string
  properties?: Properties
  /** Of this broker, whose port is given. */
  propertiesOf?: (id: number, port: number) => Properties
  place?: Place
}

/** A broker that is configured and not yet started. */
export async function broker(options: BrokerOptions): Promise<Server> {
  const { implementation = TARGET, directory, id, zookeeper, clusterSize = 1, place = HERE } = options
  const port = await freePort()
  const home = join(directory, `broker-${id}`)
  mkdirSync(home, { recursive: true })
  const file = join(home, 'server.properties')
  const internalReplicas = Math.min(3, clusterSize)
  writeProperties(file, {
    'broker.id': id,
    listeners: `PLAINTEXT://${place.host}:${port}`,
    'zookeeper.connect': zookeeper,
    'zookeeper.session.timeout.ms': SESSION_TIMEOUT_MS,
    'log.dirs': join(home, 'data'),
    'offsets.topic.replication.factor': internalReplicas,
    'offsets.topic.num.partitions': 6,
    'transaction.state.log.replication.factor': internalReplicas,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 6,
    'group.initial.rebalance.delay.ms': 0,
    ...options.properties,
    ...options.propertiesOf?.(id, port),
  })
  const command = placed(place, brokerCommand(implementation, home, options.heap))
  return new Server(`broker-${id}`, port, home, command, place.host)
}

function placed({ prefix }: Place, command: [string, ...string[]]): [string, ...string[]] {
  return [...prefix, ...command] as [string, ...string[]]
}

/** A broker, from the `server.properties` in its folder. */
function brokerCommand(implementation: Implementation, home: string, heap = '512M'): [string, ...string[]] {
  const file = join(home, 'server.properties')
  if (implementation === 'samsa') return samsa('broker', file)
  return ['java', ...javaArguments('kafka.Kafka', [file], { heap, jvm: APACHE_SERVER_JVM })]
}

/** Sessions of the brokers in the tests, so that a killed one is missed soon. */
export const SESSION_TIMEOUT_MS = 6000

export interface ClusterOptions {
  brokers?: number
  implementation?: Implementation
  /** Of each broker, in a mixed cluster. */
  implementations?: readonly Implementation[]
  zookeeperImplementation?: Implementation
  /** A server that runs already, perhaps with a chroot. Without it the cluster gets one of its own. */
  zookeeper?: string
  /** Rack of each broker. */
  racks?: string[]
  heap?: string
  properties?: Properties
  /** Of one broker, whose port is given. */
  propertiesOf?: (id: number, port: number) => Properties
  /** Of each broker, and behind them of ZooKeeper. */
  places?: readonly Place[]
}

export class Cluster {
  readonly directory: string
  readonly brokers: Server[]
  /** Null if the cluster stands on a server of others. */
  readonly zookeeper: Server | null
  readonly zookeeperConnect: string

  private constructor(directory: string, brokers: Server[], zookeeper: Server | null, zookeeperConnect: string) {
    this.directory = directory
    this.brokers = brokers
    this.zookeeper = zookeeper
    this.zookeeperConnect = zookeeperConnect
  }

  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const count = options.brokers ?? options.implementations?.length ?? 3
    const implementation = options.implementation ?? TARGET
    const directory = temporaryFolder('samsa-cluster-')
    const zookeeper =
      options.zookeeper === undefined
        ? await startZooKeeper({
            implementation: options.zookeeperImplementation ?? implementation,
            directory,
            place: options.places?.[count] ?? HERE,
          })
        : null
    const connect = options.zookeeper ?? zookeeper!.address
    const brokers: Server[] = []
    for (let id = 1; id <= count; id++) {
      const rack = options.racks?.[id - 1]
      brokers.push(
        await broker({
          implementation: options.implementations?.[id - 1] ?? implementation,
          directory,
          id,
          zookeeper: connect,
          clusterSize: count,
          place: options.places?.[id - 1] ?? HERE,
          ...(options.heap === undefined ? {} : { heap: options.heap }),
          properties: { ...(rack === undefined ? {} : { 'broker.rack': rack }), ...options.properties },
          ...(options.propertiesOf === undefined ? {} : { propertiesOf: options.propertiesOf }),
        }),
      )
    }
    const cluster = new Cluster(directory, brokers, zookeeper, connect)
    try {
      for (const server of brokers) {
        server.start()
        // Who is there first becomes the controller.
        if (options.implementations !== undefined) await server.accepting(START_MS_MAX)
      }
      await cluster.ready()
    } catch (error) {
      await cluster.close()
      throw error
    }
    return cluster
  }

  get bootstrap(): string {
    return this.brokers.map(({ address }) => address).join(',')
  }

  /** A broker that runs. */
  get anyone(): Server {
    const found = this.brokers.find(({ running }) => running)
    if (found === undefined) throw new Error('no broker runs')
    return found
  }

  byId(id: number): Server {
    return this.brokers[id - 1]!
  }

  /** Every running broker lists all running brokers and a controller. */
  async ready(timeoutMs = 60_000): Promise<void> {
    const running = this.brokers.filter((server) => server.running)
    await Promise.all(running.map((server) => server.accepting(timeoutMs)))
    await until(
      'every broker knows the cluster',
      async () => {
        for (const { address } of running) {
          const seen = await Wire.ask(address, (wire) => metadata(wire))
          if (seen.brokers.length !== running.length || seen.controllerId < 0) return false
        }
        return true
      },
      timeoutMs,
      20,
    )
  }

  metadata(topics: string[] | null = []): Promise<Metadata> {
    return Wire.ask(this.anyone.address, (wire) => metadata(wire, topics))
  }

  /** Creates a topic and waits until each running broker knows all its leaders. */
  async createTopic(topic: NewTopic): Promise<void> {
    const { controllerId } = await this.metadata()
    const errors = await Wire.ask(this.byId(controllerId).address, (wire) => createTopics(wire, [topic]))
    // Answered in time or not, it is on its way.
    if (errors[topic.name] !== 0 && errors[topic.name] !== REQUEST_TIMED_OUT)
      throw new Error(`topic ${topic.name}: error ${errors[topic.name]}`)
    for (const server of this.brokers.filter(({ running }) => running))
      await until(`${server.name} knows ${topic.name}`, async () => {
        const seen = await Wire.ask(server.address, (wire) => metadata(wire, [topic.name]))
        const partitions = seen.topics[0]?.partitions ?? []
        return (
          partitions.length === topic.partitions && partitions.every(({ error, leader }) => error === 0 && leader > 0)
        )
      })
  }

  /** A broker starts as the other kind from now on, on the same data. */
  become(id: number, implementation: Implementation): void {
    const server = this.byId(id)
    server.setCommand(brokerCommand(implementation, server.directory))
  }

  async leaderOf(topic: string, partition = 0): Promise<Server> {
    const { topics } = await this.metadata([topic])
    return this.byId(topics[0]!.partitions[partition]!.leader)
  }

  /** What a group has committed in each of the partitions, -1 for nothing. */
  async committed(group: string, topic: string, partitions: readonly number[]): Promise<number[]> {
    const coordinator = await until('the group has a coordinator', async () => {
      const found = await Wire.ask(this.anyone.address, (wire) => coordinatorOf(wire, group))
      return found.error === 0 && found
    })
    const stored = await Wire.ask(coordinator.address, (wire) => fetchOffsets(wire, 1, group, topic, partitions))
    // Partitions come in any order.
    return partitions.map((wanted) => stored.find(({ partition }) => partition === wanted)?.offset ?? -1)
  }

  /** Partitions whose replicas are not equal, byte for byte. Of brokers that were stopped: others may not have written all. */
  differing(topics: readonly string[], partitions: number): string[] {
    const names = topics.flatMap((topic) => Array.from({ length: partitions }, (_, index) => `${topic}-${index}`))
    return names.filter((name) => {
      const [first, ...others] = this.brokers.map(({ directory }) => segmentsOf(join(directory, 'data', name)))
      return !others.every((segments) => segments.equals(first!))
    })
  }

  /** Brokers first: one whose ZooKeeper is gone hangs in its shutdown. Removes the data. */
  async close(): Promise<void> {
    await Promise.all(this.brokers.map((server) => server.kill()))
    await this.zookeeper?.kill()
    removeFolder(this.directory)
  }
}

function segmentsOf(folder: string): Buffer {
  const names = readdirSync(folder).filter((name) => name.endsWith('.log'))
  return Buffer.concat(names.sort().map((name) => readFileSync(join(folder, name))))
}

/** `samsa up`: ensemble and brokers in one process. The brokers' ports follow each other, ZooKeeper's lies before. */
export async function startSamsaUp(directory: string, brokers = 3): Promise<Server> {
  const [, port] = await freePorts(brokers + 1)
  const server = new Server('up', port!, directory, [
    ...samsa('up', '--data', join(directory, 'data')),
    '--port',
    String(port),
    '--brokers',
    String(brokers),
  ])
  server.start()
  await server.accepting()
  return server
}

/** The command line of Samsa: from its sources, or built if `SAMSA_BUILT=1`. */
export function samsa(...args: string[]): [string, ...string[]] {
  return [process.execPath, process.env['SAMSA_BUILT'] === '1' ? SAMSA_BUILT : SAMSA_SOURCE, ...args]
}

export function writeProperties(path: string, properties: Properties): void {
  const lines = Object.entries(properties).map(([key, value]) => `${key}=${value}\n`)
  writeFileSync(path, lines.join(''))
}
