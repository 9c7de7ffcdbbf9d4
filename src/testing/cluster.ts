/** What a test has of its cluster, whether it runs on this machine or in a simulated world. */
import type { Admin, AdminOptions, Consumer, ConsumerOptions, Producer, ProducerOptions } from '#client'
import type { Platform } from '#platform'

import { ClusterOptionsError, type TopicOptions } from './options.ts'

/** Clients of the cluster, which is where they connect to. They are closed with it, at the latest. */
export interface TestClients {
  producer(options?: Omit<ProducerOptions, 'bootstrapServers'>): Producer
  consumer(options?: Omit<ConsumerOptions, 'bootstrapServers'>): Consumer
  admin(options?: Omit<AdminOptions, 'bootstrapServers'>): Admin
}

export interface TestCluster extends TestClients, AsyncDisposable {
  /** `host:port` of every broker, running or not, separated by commas. */
  readonly bootstrapServers: string
  /** `host:port` of every ZooKeeper server, separated by commas. */
  readonly zookeeperConnect: string
  readonly brokers: readonly TestBroker[]
  /** The world that the cluster's clients live in, for clients that the program under test makes by itself. */
  readonly platform: Platform
  /** Throws where no broker has that id. */
  broker(id: number): TestBroker
  /** The broker that is the controller at the moment, or null. */
  readonly controller: TestBroker | null
  /** Resolves when every running broker knows them with their leaders. Rejects with `KafkaError`. */
  createTopics(...topics: readonly (string | TopicOptions)[]): Promise<void>
  /** Closes the clients, stops everything, and leaves nothing open. May be called more than once. */
  close(): Promise<void>
}

/**
 * A broker's place: id, address and data stay, whoever lives there. What is asked for while something else is still under way happens
 * after it; what is so already is left as it is.
 */
export interface TestBroker {
  readonly id: number
  readonly host: string
  readonly port: number
  readonly isRunning: boolean
  readonly isController: boolean
  /** As a SIGKILL: nothing more of it happens, what it wrote stays. The others notice when its session ends, after two seconds. */
  kill(): Promise<void>
  /** As a SIGTERM: it hands its leaderships over. Resolves when it has left and the others know. */
  stop(): Promise<void>
  /** Resolves when it serves again and the others know. After a kill that is when the killed life's session has ended. */
  start(): Promise<void>
}

/** A broker of a cluster that is closed was to start. */
export class ClusterClosedError extends Error {
  override name = 'ClusterClosedError'
  constructor() {
    super('the cluster is closed')
  }
}

export function brokerOf<Broker extends TestBroker>(brokers: readonly Broker[], id: number): Broker {
  const broker = brokers.find((candidate) => candidate.id === id)
  if (broker !== undefined) return broker
  throw new ClusterOptionsError(`there is no broker ${id}; there are ${brokers.map((other) => other.id).join(', ')}`)
}
