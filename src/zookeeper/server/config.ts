/**
 * `zoo.cfg`: the keys that people know, with ZooKeeper's defaults. A key that asks for security which is not
 * carried out stops the start; what is merely not there yet is named in a warning.
 * Source: QuorumPeerConfig, the administrator's guide.
 */
import { joinPath } from '#platform'
import { JUTE_MAXBUFFER_DEFAULT } from '#zookeeper/protocol'

import { parseProperties } from './properties.ts'

export interface ZooKeeperConfig {
  /** Snapshots are in its folder `version-2`. */
  dataDir: string
  /** Transaction logs; `dataDir` unless another disk is to carry them. */
  dataLogDir: string
  clientPortAddress: string
  /** 0 picks a free one. */
  clientPort: number
  /** Unit of all other times, in ms; sessions expire with a twentieth of it as precision. */
  tickTimeMs: number
  minSessionTimeoutMs: number
  maxSessionTimeoutMs: number
  /** Connections from one address; 0 for no bound. */
  maxClientCnxns: number
  /** Connections together; 0 for no bound. */
  maxCnxns: number
  /** Requests in process beyond which busy connections are no longer read from. */
  globalOutstandingLimit: number
  /** A snapshot is taken after so many transactions, or half to all of it: servers of an ensemble take turns. */
  snapCount: number
  /** The same for bytes of the log; 0 for no bound. */
  snapBytesMax: number
  preAllocBytes: number
  txnLogBytesMax: number
  forceSync: boolean
  fsyncWarningMs: number
  juteMaxBuffer: number
  /** Admin words that are answered; `*` for all. */
  commands: ReadonlySet<string>
  /** TTL nodes are allowed. */
  extendedTypes: boolean
  skipAcl: boolean
  /** `super:` and the hash of the password of who may do everything; null for nobody. */
  superDigest: string | null
  trustEmptySnapshot: boolean
  /** Hours between two purges; 0 for never. */
  purgeIntervalHours: number
  snapRetainCount: number
  /** ms between two searches for containers and TTL nodes that are due. */
  containerCheckMs: number
  /** Containers that are deleted in one minute at most. */
  containersPerMinute: number
  /** A container that never had a child goes after so many ms; 0 for never. */
  containerNeverUsedMs: number
  /** Ends all sessions of a former process at the start: for an embedded server, whose clients died with it. */
  closeStaleSessions: boolean
}

export interface ParsedZooCfg {
  config: ZooKeeperConfig
  warnings: string[]
}

/** The file cannot be used; the message says which key and what would be right. */
export class ZooCfgError extends Error {
  override name = 'ZooCfgError'
}

const TICK_TIME_MS = 3000

/** Throws `ZooCfgError` for a missing or bad value. */
export function parseZooCfg(text: string): ParsedZooCfg {
  const values = new Values(parseProperties(text))
  values.refuse()
  const dataDir = values.text('dataDir') ?? fail('dataDir is missing: name the folder of the data')
  const tickTimeMs = values.integer('tickTime', TICK_TIME_MS, 1)
  const config: ZooKeeperConfig = {
    dataDir,
    dataLogDir: values.text('dataLogDir') ?? dataDir,
    clientPortAddress: values.text('clientPortAddress') ?? '0.0.0.0',
    clientPort: values.integer('clientPort', null, 0, 65535),
    tickTimeMs,
    minSessionTimeoutMs: values.orDefault('minSessionTimeout', 2 * tickTimeMs),
    maxSessionTimeoutMs: values.orDefault('maxSessionTimeout', 20 * tickTimeMs),
    maxClientCnxns: values.integer('maxClientCnxns', 60, 0),
    maxCnxns: values.integer('maxCnxns', 0, 0),
    globalOutstandingLimit: values.integer('globalOutstandingLimit', 1000, 1),
    snapCount: values.integer('snapCount', 100_000, 2),
    snapBytesMax: Math.max(0, values.integer('snapSizeLimitInKb', 4_194_304, -1)) * 1024,
    preAllocBytes: values.integer('preAllocSize', 65_536, 0) * 1024,
    txnLogBytesMax: Math.max(0, values.integer('txnLogSizeLimitInKb', -1, -1)) * 1024,
    forceSync: values.flag('forceSync', true),
    fsyncWarningMs: values.integer('fsync.warningthresholdms', 1000, 0),
    juteMaxBuffer: values.integer('jute.maxbuffer', JUTE_MAXBUFFER_DEFAULT, 1024),
    commands: new Set((values.text('4lw.commands.whitelist') ?? 'srvr').split(',').map((word) => word.trim())),
    extendedTypes: values.flag('extendedTypesEnabled', false),
    skipAcl: values.flag('skipACL', false),
    superDigest: values.text('DigestAuthenticationProvider.superDigest'),
    trustEmptySnapshot: values.flag('snapshot.trust.empty', false),
    purgeIntervalHours: values.integer('autopurge.purgeInterval', 0, 0),
    snapRetainCount: values.integer('autopurge.snapRetainCount', 3, 0),
    containerCheckMs: values.integer('znode.container.checkIntervalMs', 60_000, 1),
    containersPerMinute: values.integer('znode.container.maxPerMinute', 10_000, 1),
    containerNeverUsedMs: values.integer('znode.container.maxNeverUsedIntervalMs', 0, 0),
    closeStaleSessions: false,
  }
  if (config.minSessionTimeoutMs > config.maxSessionTimeoutMs)
    fail(
      `minSessionTimeout (${config.minSessionTimeoutMs}) is more than maxSessionTimeout (${config.maxSessionTimeoutMs})`,
    )
  return { config, warnings: values.warnings() }
}

/** Where the files are. */
export function foldersOf(config: ZooKeeperConfig, versionFolder: string): { snapshots: string; logs: string } {
  return { snapshots: joinPath(config.dataDir, versionFolder), logs: joinPath(config.dataLogDir, versionFolder) }
}

/** Without them a connection would be less protected than the file asks for. */
const SECURITY: readonly RegExp[] = [
  /^secureClientPort/,
  /^ssl\./,
  /^sslQuorum$/,
  /^client\.portUnification$/,
  /^authProvider\b/,
  /^enforce\.auth\./,
  /^sessionRequireClientSASLAuth$/,
  /^requireClientAuthScheme$/,
  /^quorum\.auth\.enableSasl$/,
  /^quorum\.auth\.(?:server|learner)RequireSasl$/,
  /^DigestAuthenticationProvider\.(?:enabled|digestAlg)$/,
  /^X509AuthenticationProvider\./,
]

/** Means nothing to a server of its own, or only to how Java goes about its work. */
const WITHOUT_EFFECT: readonly RegExp[] = [
  /^(?:initLimit|syncLimit|connectToLearnerMasterLimit|electionAlg|cnxTimeout|quorumCnxnTimeoutMs|leaderServes)$/,
  /^(?:quorumListenOnAllIPs|standaloneEnabled|peerType|syncEnabled|observerMasterPort|electionPortBindRetry)$/,
  /^(?:group|weight)\./,
  /^(?:observer|learner|leader|fastleader|multiAddress|quorum|netty|nio|commitProcessor|messageTracker)\./,
  /^(?:commitLogCount|maxConcurrentSnapSyncs|maxConcurrentDiffSyncs|maxTimeToWaitForEpoch)$/,
  /^(?:jvm\.|audit\.|kerberos\.|tcpKeepAlive$|clientTcpKeepAlive$|clientPortListenBacklog$|fips-mode$)/,
  /^(?:maxResponseCacheSize|maxGetChildrenResponseCacheSize|flushDelay|maxBatchSize|maxWriteQueuePollTime)$/,
  /^(?:watchManagerName|watcherClean\w+|maxInProcessingDeadWatchers|bitHashCacheSize|closeSessionTxn\.enabled)$/,
  /^(?:connection\w+|connection_throttle\w+|requestThrottle\w+|requestStale\w+|request_throttler\.\w+|throttledOpWaitTime)$/,
  /^(?:advancedFlowControlEnabled|enableEagerACLCheck|digest\.enabled|serializeLastProcessedZxid\.enabled)$/,
  /^(?:largeRequest\w+|outstandingHandshake\.limit|jute\.maxbuffer\.extrasize|db\.autocreate)$/,
  /^(?:forward_learner_requests_to_commit_processor_disabled|follower\.skipLearnerRequestToNextProcessor)$/,
  /^(?:localSessionsEnabled|localSessionsUpgradingEnabled|emulate353TTLNodes|reconfigEnabled|dynamicConfigFile)$/,
  /^(?:IPAuthenticationProvider\.usexforwardedfor|superUser|ensembleAuthName|oraclePath|sslQuorumReloadCertFiles)$/,
  /^(?:metricsProvider|admin)\.(?!className$|enableServer$)/,
]

/** Keys that are true by default in ZooKeeper, or false, and ask for nothing when they say just that. */
const HARMLESS: Readonly<Record<string, readonly string[]>> = {
  'admin.enableServer': ['false'],
  reconfigEnabled: ['false'],
  localSessionsEnabled: ['false'],
  enforceQuota: ['false'],
  'readonlymode.enabled': ['false'],
  'audit.enable': ['false'],
  sslQuorum: ['false'],
  'client.portUnification': ['false'],
  sessionRequireClientSASLAuth: ['false'],
  'enforce.auth.enabled': ['false'],
  'quorum.auth.enableSasl': ['false'],
  'DigestAuthenticationProvider.enabled': ['true'],
  'DigestAuthenticationProvider.digestAlg': ['SHA1'],
  'snapshot.compression.method': ['none', ''],
}

/** Set to anything else than their harmless value, these change what the server does, and it does not. */
const NOT_THERE_YET =
  /^(?:reconfigEnabled|localSessionsEnabled|enforceQuota|readonlymode\.enabled|audit\.enable|admin\.enableServer|snapshot\.compression\.method)$/

class Values {
  readonly #values: ReadonlyMap<string, string>
  readonly #used = new Set<string>()

  constructor(properties: ReadonlyMap<string, string>) {
    // Each key may also be written as the Java property that it becomes.
    this.#values = new Map(Array.from(properties, ([key, value]) => [key.replace(/^zookeeper\./, ''), value]))
  }

  text(key: string): string | null {
    this.#used.add(key)
    const value = this.#values.get(key)
    return value === undefined || value === '' ? null : value
  }

  /** `otherwise` null: the key must be there. */
  integer(key: string, otherwise: number | null, min: number, max = 0x7fff_ffff): number {
    const text = this.text(key)
    if (text === null) return otherwise ?? fail(`${key} is missing: it wants a number from ${min} to ${max}`)
    const value = Number(text)
    if (!/^-?\d+$/.test(text) || value < min || value > max) fail(`${key}=${text} is no number from ${min} to ${max}`)
    return value
  }

  /** -1 asks for the default. */
  orDefault(key: string, otherwise: number): number {
    const value = this.integer(key, -1, -1)
    return value === -1 ? otherwise : value
  }

  flag(key: string, otherwise: boolean): boolean {
    const text = this.text(key)?.toLowerCase()
    if (text === undefined) return otherwise
    if (['yes', 'true'].includes(text)) return true
    if (['no', 'false'].includes(text)) return false
    return fail(`${key}=${text} is neither true nor false`)
  }

  refuse(): void {
    for (const [key, value] of this.#values) {
      if (HARMLESS[key]?.includes(value)) continue
      if (SECURITY.some((pattern) => pattern.test(key)))
        fail(`${key} asks for security that this server does not carry out yet: remove it to go without`)
    }
    const servers = [...this.#values.keys()].filter((key) => key.startsWith('server.'))
    if (servers.length > 1)
      fail(
        `${servers.join(', ')} name an ensemble, which this version does not form yet: remove them for a server of its own`,
      )
  }

  warnings(): string[] {
    const warnings: string[] = []
    for (const [key, value] of this.#values) {
      if (this.#used.has(key) || HARMLESS[key]?.includes(value)) continue
      if (key.startsWith('server.')) warnings.push(`${key} names one server only: it runs on its own`)
      else if (NOT_THERE_YET.test(key))
        warnings.push(`${key}=${value} has no effect: this version does not carry it out yet`)
      else if (/\w+\.\w+\.\w+/.test(value) && /class|factory|supplier/i.test(key))
        warnings.push(`${key} names a Java class and has no effect here`)
      else if (!WITHOUT_EFFECT.some((pattern) => pattern.test(key)))
        warnings.push(`${key} is no key of zoo.cfg and has no effect`)
    }
    return warnings
  }
}

function fail(message: string): never {
  throw new ZooCfgError(message)
}
