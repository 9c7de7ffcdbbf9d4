/** The members of a cluster that is set up for its user: a ZooKeeper server, and brokers that find each other through it. */
import { Broker, parseServerProperties } from '#broker'
import type { Platform } from '#platform'
import { ZooKeeperServer, parseZooCfg } from '#zookeeper/server'

export interface ZooKeeperSite {
  /** Address that it listens on. */
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  readonly dataDirectory: string
  /** Lines of `zoo.cfg` that win over those of this file. */
  readonly overrides?: Readonly<Record<string, string>>
}

export interface BrokerSite {
  readonly id: number
  /** Brokers of the cluster, this one among them. */
  readonly clusterSize: number
  /** Address that it listens on, and by which clients and brokers reach it. */
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  readonly dataDirectory: string
  /** `host:port` */
  readonly zookeeperConnect: string
  /** Settings that win over those of this file, as in `server.properties`. */
  readonly overrides: Readonly<Record<string, string>>
}

/** Internal topics are as safe as the cluster allows, and no safer than Kafka's own default. */
const INTERNAL_REPLICATION_FACTOR_MAX = 3

/** Resolves when it serves clients. */
export function startZooKeeper(platform: Platform, site: ZooKeeperSite): Promise<ZooKeeperServer> {
  const settings = {
    dataDir: site.dataDirectory,
    clientPortAddress: site.host,
    clientPort: site.port,
    maxClientCnxns: 0,
    '4lw.commands.whitelist': '*',
    'admin.enableServer': false,
    ...site.overrides,
  }
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}`)
  const { config } = parseZooCfg(lines.join('\n'))
  const logged = { ...platform, logger: platform.logger.named('zookeeper') }
  // Sessions that lived in a process which was killed would hold the brokers' ids until they expire.
  return ZooKeeperServer.start(logged, { ...config, closeStaleSessions: true })
}

/** Resolves when the broker is registered and serves requests. */
export async function startBroker(platform: Platform, site: BrokerSite): Promise<Broker> {
  const internalReplicas = String(Math.min(INTERNAL_REPLICATION_FACTOR_MAX, site.clusterSize))
  const settings = {
    'broker.id': String(site.id),
    listeners: `PLAINTEXT://${site.host}:${site.port}`,
    'log.dirs': site.dataDirectory,
    'zookeeper.connect': site.zookeeperConnect,
    'offsets.topic.replication.factor': internalReplicas,
    'transaction.state.log.replication.factor': internalReplicas,
    'transaction.state.log.min.isr': String(Math.min(2, site.clusterSize)),
    'default.replication.factor': internalReplicas,
    'group.initial.rebalance.delay.ms': '0',
    ...site.overrides,
  }
  const logged = { ...platform, logger: platform.logger.named(`broker ${site.id}`) }
  return Broker.start(logged, parseServerProperties('', {}, settings))
}
