/**
 * A whole cluster in one process: a ZooKeeper server and the brokers that coordinate through it, over the
 * same sockets and protocols as on real machines. What `samsa up` and the test kit start.
 */
import type { Broker } from '#broker'
import { joinPath, type Platform } from '#platform'
import type { ZooKeeperServer } from '#zookeeper/server'

import { startBroker, startZooKeeper } from './members.ts'

export interface EmbeddedClusterOptions {
  brokers: number
  /** Folder of the cluster's data: `zookeeper/` and `broker-N/` below it. */
  dataDirectory: string
  host: string
  /** Ports of the brokers, one each; 0 picks a free one. */
  brokerPorts: readonly number[]
  /** 0 picks a free one. */
  zookeeperPort: number
  /** Broker settings that win over those of this file, as in `server.properties`. */
  overrides: Readonly<Record<string, string>>
}

export class EmbeddedCluster {
  readonly host: string
  readonly zookeeper: ZooKeeperServer
  readonly brokers: readonly Broker[]

  private constructor(host: string, zookeeper: ZooKeeperServer, brokers: readonly Broker[]) {
    this.host = host
    this.zookeeper = zookeeper
    this.brokers = brokers
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
    const zookeeper = await startZooKeeper(zookeeperPlatform, {
      host,
      port: options.zookeeperPort,
      dataDirectory: joinPath(dataDirectory, 'zookeeper'),
    })
    const starting = options.brokerPorts.map((port, index) =>
      startBroker(platform, {
        id: index + 1,
        clusterSize: options.brokers,
        host,
        port,
        dataDirectory: joinPath(dataDirectory, `broker-${index + 1}`),
        zookeeperConnect: `${host}:${zookeeper.port}`,
        overrides,
      }),
    )
    const started = await Promise.allSettled(starting)
    const brokers = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    const cluster = new EmbeddedCluster(options.host, zookeeper, brokers)
    const failure = started.find((result) => result.status === 'rejected')
    if (failure === undefined) return cluster
    await cluster.close()
    throw failure.reason as Error
  }

  /** `host:port` of every broker, separated by commas. */
  get bootstrapServers(): string {
    return this.brokers.map((broker) => `${this.host}:${broker.boundPort}`).join(',')
  }

  /** Brokers first, all at once, so that there is nobody to hand leaderships to; then ZooKeeper: a broker cannot leave cleanly without it. */
  async close(): Promise<void> {
    await Promise.all(this.brokers.map((broker) => broker.close({ handOver: false })))
    await this.zookeeper.close()
  }
}
