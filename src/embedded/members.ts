/** The members of a cluster that is set up for its user: ZooKeeper servers, and brokers that find each other through them. */
import { Broker, parseServerProperties } from '#broker'
import type { Platform } from '#platform'
import { ZooKeeperServer, parseZooCfg } from '#zookeeper/server'

export interface ZooKeeperSite {
  /** Address that it listens on. */
  readonly host: string
  /** 0 picks a free one; not in an ensemble, whose members tell each other's. */
  readonly port: number
  readonly dataDirectory: string
  /** Its place in an ensemble; a server of its own unless given. */
  readonly ensemble?: EnsemblePlace
  /** Lines of `zoo.cfg` that win over those of this file. */
  readonly overrides?: Readonly<Record<string, string>>
}

export interface EnsemblePlace {
  /** Its own number: 1 for the first of the members. */
  readonly sid: number
  readonly members: readonly EnsembleMemberSite[]
}

export interface EnsembleMemberSite {
  /** Under which the others reach it. */
  readonly host: string
  /** For the learners while it leads, for elections, and for clients. */
  readonly ports: { readonly quorum: number; readonly election: number; readonly client: number }
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
  /** `host:port`, several with commas between them. */
  readonly zookeeperConnect: string
  /** Settings that win over those of this file, as in `server.properties`. */
  readonly overrides: Readonly<Record<string, string>>
}

/** Internal topics are as safe as the cluster allows, and no safer than Kafka's own default. */
const INTERNAL_REPLICATION_FACTOR_MAX = 3

/** Times of an ensemble in ticks, as in Apache's sample file. */
const ENSEMBLE_TIMES = { tickTime: 2000, initLimit: 10, syncLimit: 5 }

/** Resolves when it serves clients, or seeks its ensemble. */
export function startZooKeeper(platform: Platform, site: ZooKeeperSite): Promise<ZooKeeperServer> {
  const { ensemble } = site
  const settings = {
    dataDir: site.dataDirectory,
    clientPortAddress: site.host,
    clientPort: site.port,
    maxClientCnxns: 0,
    '4lw.commands.whitelist': '*',
    'admin.enableServer': false,
    ...(ensemble !== undefined && { ...ENSEMBLE_TIMES, ...serversOf(ensemble) }),
    ...site.overrides,
  }
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}`)
  const { config } = parseZooCfg(lines.join('\n'), ensemble === undefined ? {} : { sid: ensemble.sid })
  const name = ensemble === undefined ? 'zookeeper' : `zookeeper ${ensemble.sid}`
  const logged = { ...platform, logger: platform.logger.named(name) }
  // Sessions that lived in a process which was killed would hold the brokers' ids until they expire.
  return ZooKeeperServer.start(logged, { ...config, closeStaleSessions: true })
}

function serversOf({ members }: EnsemblePlace): Record<string, string> {
  return Object.fromEntries(
    members.map(({ host, ports }, index) => [
      `server.${index + 1}`,
      `${host}:${ports.quorum}:${ports.election}:participant;${host}:${ports.client}`,
    ]),
  )
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
