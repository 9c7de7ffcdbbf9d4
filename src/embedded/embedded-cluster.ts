/**
 * A whole cluster in one process: a ZooKeeper server and the brokers that coordinate through it, over the
 * same sockets and protocols as on real machines. What `samsa up` and the test kit start.
 */
import { Broker, parseServerProperties } from '#broker'
import type { Platform } from '#platform'
import { joinPath } from '#platform'
import { ZooKeeperServer, parseZooCfg } from '#zookeeper/server'

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

/** Internal topics are as safe as the cluster allows, and no safer than Kafka's own default. */
const INTERNAL_REPLICATION_FACTOR_MAX = 3

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
    const zookeeper = await startZooKeeper(zookeeperPlatform, options)
    const starting = options.brokerPorts.map((port, index) =>
      startBroker(platform, options, index + 1, port, zookeeper.port),
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

  /** Brokers first, all at once, then ZooKeeper: a broker cannot leave cleanly without it. */
  async close(): Promise<void> {
    await Promise.all(this.brokers.map((broker) => broker.close()))
    await this.zookeeper.close()
  }
}

function startZooKeeper(platform: Platform, options: EmbeddedClusterOptions): Promise<ZooKeeperServer> {
  const { config } = parseZooCfg(
    [
      `dataDir=${joinPath(options.dataDirectory, 'zookeeper')}`,
      `clientPortAddress=${options.host}`,
      `clientPort=${options.zookeeperPort}`,
      'maxClientCnxns=0',
      '4lw.commands.whitelist=*',
      'admin.enableServer=false',
    ].join('\n'),
  )
  const logged = { ...platform, logger: platform.logger.named('zookeeper') }
  // Sessions that lived in a process which was killed would hold the brokers' ids until they expire.
  return ZooKeeperServer.start(logged, { ...config, closeStaleSessions: true })
}

function startBroker(
  platform: Platform,
  options: EmbeddedClusterOptions,
  id: number,
  port: number,
  zookeeperPort: number,
): Promise<Broker> {
  const internalReplicas = String(Math.min(INTERNAL_REPLICATION_FACTOR_MAX, options.brokers))
  const settings = {
    'broker.id': String(id),
    listeners: `PLAINTEXT://${options.host}:${port}`,
    'log.dirs': joinPath(options.dataDirectory, `broker-${id}`),
    'zookeeper.connect': `${options.host}:${zookeeperPort}`,
    'offsets.topic.replication.factor': internalReplicas,
    'transaction.state.log.replication.factor': internalReplicas,
    'transaction.state.log.min.isr': String(Math.min(2, options.brokers)),
    'default.replication.factor': internalReplicas,
    'group.initial.rebalance.delay.ms': '0',
    // All brokers leave together: there is nobody to hand leaderships to.
    'controlled.shutdown.enable': 'false',
    ...options.overrides,
  }
  const logged = { ...platform, logger: platform.logger.named(`broker ${id}`) }
  return Broker.start(logged, parseServerProperties('', {}, settings))
}
