/**
 * The keys of `zoo.cfg` that are carried out, under the names of the fields that they fill. The documentation's reference is
 * generated from these tables. Source: QuorumPeerConfig, the administrator's guide.
 */
import { JUTE_MAXBUFFER_DEFAULT } from '#zookeeper/protocol'

import { choice, decimal, flag, integer, kibibytes, requiredText, text, words } from './setting.ts'

/** What people have in their files for metrics that Prometheus reads. */
export const PROMETHEUS_PROVIDER = 'org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider'

export const SERVER_SETTINGS = {
  dataDir: requiredText('dataDir', 'The folder of the data. Snapshots are in its folder `version-2`.'),
  dataLogDir: text(
    'dataLogDir',
    'The folder of the transaction logs, if another disk is to carry them.',
    null,
    'dataDir',
  ),
  clientPortAddress: text('clientPortAddress', 'The address to listen on for clients.', '0.0.0.0'),
  clientPort: integer('clientPort', 'The port for clients; 0 picks a free one.', {
    default: null,
    min: 0,
    max: 65535,
    follows: 'required',
  }),
  tickTimeMs: integer(
    'tickTime',
    'Unit of all other times, in ms; sessions expire with a twentieth of it as precision.',
    { default: 3000, min: 1 },
  ),
  minSessionTimeoutMs: integer('minSessionTimeout', 'The shortest session that a client gets, in ms.', {
    default: -1,
    min: -1,
    follows: '2 * tickTime',
  }),
  maxSessionTimeoutMs: integer('maxSessionTimeout', 'The longest session that a client gets, in ms.', {
    default: -1,
    min: -1,
    follows: '20 * tickTime',
  }),
  maxClientCnxns: integer('maxClientCnxns', 'Connections from one address; 0 for no bound.', { default: 60, min: 0 }),
  maxCnxns: integer('maxCnxns', 'Connections together; 0 for no bound.', { default: 0, min: 0 }),
  globalOutstandingLimit: integer(
    'globalOutstandingLimit',
    'Requests in process beyond which busy connections are no longer read from.',
    { default: 1000, min: 1 },
  ),
  snapCount: integer(
    'snapCount',
    'A snapshot is taken after so many transactions, or half to all of it: servers of an ensemble take turns.',
    { default: 100_000, min: 2 },
  ),
  snapBytesMax: kibibytes(
    'snapSizeLimitInKb',
    'A snapshot is taken after so many KiB of the log, or half to all of it; 0 for no bound.',
    4_194_304,
    true,
  ),
  preAllocBytes: kibibytes('preAllocSize', 'By how much a log file grows at once, in KiB.', 65_536),
  txnLogBytesMax: kibibytes(
    'txnLogSizeLimitInKb',
    'A new log file begins after so many KiB; -1: with each snapshot only.',
    -1,
    true,
  ),
  forceSync: flag('forceSync', 'Whether a transaction is on the disk before it is answered.', true),
  fsyncWarningMs: integer('fsync.warningthresholdms', 'A sync that takes longer (ms) is named in the log.', {
    default: 1000,
    min: 0,
  }),
  juteMaxBuffer: integer('jute.maxbuffer', 'Bytes of a request or an answer, at most.', {
    default: JUTE_MAXBUFFER_DEFAULT,
    min: 1024,
  }),
  commands: words('4lw.commands.whitelist', 'Admin words that are answered; `*` for all.', ['srvr']),
  extendedTypes: flag('extendedTypesEnabled', 'Whether TTL nodes are allowed.', false),
  skipAcl: flag('skipACL', 'Whether ACLs are not looked at.', false),
  superDigest: text(
    'DigestAuthenticationProvider.superDigest',
    '`super:` and the hash of the password of who may do everything; none for nobody.',
    null,
  ),
  enforceQuota: flag('enforceQuota', 'Whether a write that goes beyond a hard quota is refused.', false),
  trustEmptySnapshot: flag(
    'snapshot.trust.empty',
    'Whether a data folder with logs and without a snapshot is accepted.',
    false,
  ),
  purgeIntervalHours: integer('autopurge.purgeInterval', 'Hours between two purges; 0 for never.', {
    default: 0,
    min: 0,
  }),
  snapRetainCount: integer('autopurge.snapRetainCount', 'Snapshots that a purge keeps; at least 3.', {
    default: 3,
    min: 0,
  }),
  containerCheckMs: integer(
    'znode.container.checkIntervalMs',
    'ms between two searches for containers and TTL nodes that are due.',
    { default: 60_000, min: 1 },
  ),
  containersPerMinute: integer('znode.container.maxPerMinute', 'Containers that are deleted in one minute, at most.', {
    default: 10_000,
    min: 1,
  }),
  containerNeverUsedMs: integer(
    'znode.container.maxNeverUsedIntervalMs',
    'A container that never had a child goes after so many ms; 0 for never.',
    { default: 0, min: 0 },
  ),
  adminServer: flag('admin.enableServer', 'Whether there is the HTTP admin server.', true),
  adminServerAddress: text('admin.serverAddress', 'The address that the HTTP admin server listens on.', '0.0.0.0'),
  adminServerPort: integer(
    'admin.serverPort',
    'The port of the HTTP admin server; 0 picks a free one. Where it is taken, the server goes on without.',
    { default: 8080, min: 0, max: 65535 },
  ),
  adminCommandUrl: text('admin.commandURL', 'Where on the HTTP admin server its commands are.', '/commands'),
  adminIdleTimeoutMs: integer('admin.idleTimeout', 'ms after which a silent connection to it is closed.', {
    default: 30_000,
    min: 1,
  }),
  adminSnapshot: flag('admin.snapshot.enabled', 'Whether the command `snapshot` is carried out.', true),
  adminRateLimiterIntervalMs: integer(
    'admin.rateLimiterIntervalInMS',
    'ms in which the command `snapshot` is carried out once at most.',
    { default: 300_000, min: 0 },
  ),
  metricsProvider: text(
    'metricsProvider.className',
    `\`${PROMETHEUS_PROVIDER}\` opens the metrics for Prometheus.`,
    null,
  ),
  metricsHost: text('metricsProvider.httpHost', 'The address that the metrics for Prometheus are at.', '0.0.0.0'),
  metricsPort: integer('metricsProvider.httpPort', 'The port that they are at, under `/metrics`; 0 picks a free one.', {
    default: 7000,
    min: 0,
    max: 65535,
  }),
  audit: flag('audit.enable', 'Whether the log tells of each change: by whom, of what.', false),
  readOnlyMode: flag(
    'readonlymode.enabled',
    'Whether a server that is cut off from its ensemble answers reads of clients that allow it.',
    false,
  ),
} as const

export const ENSEMBLE_SETTINGS = {
  initLimit: integer(
    'initLimit',
    'Ticks that reaching the leader, agreeing on an epoch and synchronising may take. Required in an ensemble.',
    { default: 0, min: 0, follows: 'required' },
  ),
  syncLimit: integer('syncLimit', 'Ticks of silence between leader and learner. Required in an ensemble.', {
    default: 0,
    min: 0,
    follows: 'required',
  }),
  connectToLearnerMasterLimit: integer(
    'connectToLearnerMasterLimit',
    'Ticks for which a learner tries to reach its leader; 0: as initLimit.',
    { default: 0, min: 0 },
  ),
  cnxTimeoutMs: integer('cnxTimeout', "ms for a connection to another server's election port.", {
    default: 5000,
    min: 1,
  }),
  quorumCnxnTimeoutMs: integer(
    'quorumCnxnTimeoutMs',
    'ms in which a server that connects to the election port must say who it is; -1: syncLimit ticks.',
    { default: -1, min: -1 },
  ),
  listenOnAllIps: flag(
    'quorumListenOnAllIPs',
    'Whether quorum and election port listen on every address, and not on that of the own server.N only.',
    false,
  ),
  electionPortBindRetry: integer(
    'electionPortBindRetry',
    'How often binding the election port is tried; 0: for ever.',
    { default: 3, min: 0 },
  ),
  leaderServes: flag('leaderServes', 'Whether the leader answers clients, too.', true),
  commitLogCount: integer(
    'commitLogCount',
    'Committed transactions that are kept in memory for learners that lag behind.',
    { default: 500, min: 1 },
  ),
  snapshotSizeFactor: decimal(
    'snapshotSizeFactor',
    "A learner that lags behind gets the log from disk while that is less than this share of a snapshot's size; negative: never.",
    0.33,
  ),
  notificationIntervalMinMs: integer(
    'fastleader.minNotificationInterval',
    'ms after which a server that looks for a leader and hears nothing asks again, at first.',
    { default: 200, min: 1 },
  ),
  notificationIntervalMaxMs: integer(
    'fastleader.maxNotificationInterval',
    'ms after which a server that looks for a leader and hears nothing asks again, at most.',
    { default: 60_000, min: 1 },
  ),
  observerReconnectDelayMs: integer(
    'observer.reconnectDelayMs',
    'ms that an observer waits after it has lost its leader before it looks for one.',
    { default: 0, min: 0 },
  ),
} as const

/** What decides whether there is an ensemble, and is of no use afterwards. */
export const MEMBERSHIP_SETTINGS = {
  standaloneEnabled: flag('standaloneEnabled', 'Whether a single server.N is a server of its own.', true),
  electionAlg: integer('electionAlg', 'How a leader is elected; there is one way.', { default: 3, min: 3, max: 3 }),
  peerType: choice(
    'peerType',
    'Whether this server votes. The role in server.N counts where they differ.',
    ['participant', 'observer'],
    'participant',
  ),
  dynamicConfigFile: text('dynamicConfigFile', 'A file with the server.N, group.N and weight.N lines.', null),
} as const
