/**
 * A whole cluster in one process: a ZooKeeper server or an ensemble of them, and the brokers that coordinate through it, over the
 * same sockets and protocols as on real machines. What `samsa up` and the test kit start.
 */
import type { Broker } from '#broker'
import { joinPath, type Platform } from '#platform'
import type { ZooKeeperServer } from '#zookeeper/server'

import { startBroker, startZooKeeper, type EnsemblePlace } from './members.ts'
import { freePorts } from './ports.ts'

export interface EmbeddedClusterOptions {
  brokers: number
  /** ZooKeeper servers; 1 unless given: a server of its own. More are an ensemble, which goes on while more than half of it does. */
  zookeepers?: number
  /** Folder of the cluster's data: `zookeeper/`, or `zookeeper-N/` of an ensemble, and `broker-N/` below it. */
  dataDirectory: string
  host: string
  /** Ports of the brokers, one each; 0 picks a free one. */
  brokerPorts: readonly number[]
  /** Of the first ZooKeeper server; the next ones follow. 0 picks free ones. */
  zookeeperPort: number
  /** Broker settings that win over those of this file, as in `server.properties`. */
  overrides: Readonly<Record<string, string>>
}

export class EmbeddedCluster {
  readonly host: string
  readonly zookeepers: readonly ZooKeeperServer[]
  readonly brokers: readonly Broker[]
  /**
   * Resolves when so many ZooKeeper servers have stopped that the others cannot go on: with the reason of the last of them, with null
   * if they were asked to stop.
   */
  readonly zookeeperLost: Promise<Error | null>
  /** Resolves when every broker has closed; by itself one does so when no log directory is left to it. */
  readonly brokersGone: Promise<void>

  private constructor(host: string, zookeepers: readonly ZooKeeperServer[], brokers: readonly Broker[]) {
    this.host = host
    this.zookeepers = zookeepers
    this.brokers = brokers
    this.zookeeperLost = lossOf(zookeepers)
    this.brokersGone = Promise.all(brokers.map(({ stopped }) => stopped)).then(() => {})
  }

  /**
   * Resolves when every broker serves requests. What was started is stopped again when one fails. A platform of its own gives
   * ZooKeeper's log a share of the pool that no broker's flushes can take.
   */
  static async start(
    platform: Platform,
    options: EmbeddedClusterOptions,
    zookeeperPlatform = platform,
  ): Promise<EmbeddedCluster> {
    const { host, dataDirectory, overrides } = options
    const zookeepers = await startZooKeepers(zookeeperPlatform, options)
    const zookeeperConnect = connectString(host, zookeepers)
    const brokers = options.brokerPorts.map((port, index) =>
      startBroker(platform, {
        id: index + 1,
        clusterSize: options.brokers,
        host,
        port,
        dataDirectory: joinPath(dataDirectory, `broker-${index + 1}`),
        zookeeperConnect,
        overrides,
      }),
    )
    const started = await startedOf(brokers)
    const cluster = new EmbeddedCluster(host, zookeepers, started.members)
    if (started.failure === null) return cluster
    await cluster.close()
    throw started.failure
  }

  /** The only ZooKeeper server, or the first of the ensemble. */
  get zookeeper(): ZooKeeperServer {
    return this.zookeepers[0]!
  }

  /** `host:port` of every ZooKeeper server, separated by commas. */
  get zookeeperConnect(): string {
    return connectString(this.host, this.zookeepers)
  }

  /** `host:port` of every broker, separated by commas. */
  get bootstrapServers(): string {
    return this.brokers.map((broker) => `${this.host}:${broker.boundPort}`).join(',')
  }

  /** Brokers first, all at once, so that there is nobody to hand leaderships to; then ZooKeeper: a broker cannot leave cleanly without it. */
  async close(): Promise<void> {
    await Promise.all(this.brokers.map((broker) => broker.close({ handOver: false })))
    await Promise.all(this.zookeepers.map((server) => server.close()))
  }
}

async function startZooKeepers(platform: Platform, options: EmbeddedClusterOptions): Promise<ZooKeeperServer[]> {
  const { host, dataDirectory, zookeeperPort, zookeepers: count = 1 } = options
  if (count === 1)
    return [
      await startZooKeeper(platform, {
        host,
        port: zookeeperPort,
        dataDirectory: joinPath(dataDirectory, 'zookeeper'),
      }),
    ]
  const members = await membersOf(platform, options, count)
  const servers = members.map(({ ports }, index) =>
    startZooKeeper(platform, {
      host,
      port: ports.client,
      dataDirectory: joinPath(dataDirectory, `zookeeper-${index + 1}`),
      ensemble: { sid: index + 1, members },
    }),
  )
  const started = await startedOf(servers)
  if (started.failure === null) return started.members
  await Promise.all(started.members.map((server) => server.close()))
  throw started.failure
}

/** Nobody but the members themselves needs to know the ports that they use among each other: any free ones do. */
async function membersOf(
  platform: Platform,
  { host, zookeeperPort, brokerPorts }: EmbeddedClusterOptions,
  count: number,
): Promise<EnsemblePlace['members']> {
  const clientPorts = zookeeperPort === 0 ? [] : Array.from({ length: count }, (_, index) => zookeeperPort + index)
  const free = await freePorts(platform, host, 3 * count, [...clientPorts, ...brokerPorts])
  return Array.from({ length: count }, (_, index) => ({
    host,
    ports: {
      quorum: free[3 * index]!,
      election: free[3 * index + 1]!,
      client: clientPorts[index] ?? free[3 * index + 2]!,
    },
  }))
}

/** Those that started, and the reason of the first that did not. */
async function startedOf<Member>(
  starting: readonly Promise<Member>[],
): Promise<{ members: Member[]; failure: Error | null }> {
  const results = await Promise.allSettled(starting)
  const failed = results.find((result) => result.status === 'rejected')
  return {
    members: results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])),
    failure: failed === undefined ? null : (failed.reason as Error),
  }
}

function lossOf(servers: readonly ZooKeeperServer[]): Promise<Error | null> {
  const borneMax = Math.floor((servers.length - 1) / 2)
  let stopped = 0
  return new Promise((resolve) => {
    for (const server of servers)
      void server.stopped.then((reason) => {
        stopped += 1
        if (stopped === borneMax + 1) resolve(reason)
      })
  })
}

function connectString(host: string, servers: readonly ZooKeeperServer[]): string {
  return servers.map(({ port }) => `${host}:${port}`).join(',')
}
