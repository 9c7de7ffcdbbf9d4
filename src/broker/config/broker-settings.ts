/**
 * Every name that a `server.properties` of Kafka 3.9 may hold, with the type, default and bounds that it has there,
 * and what Samsa makes of it. This file has what a broker in ZooKeeper mode works with; the large families that are
 * not carried out (TLS, SASL, KRaft, tiering, share groups, …) stand in `refused-settings.ts`.
 * Source: the running ConfigDef of Kafka 3.9.1.
 */
import { boolean, double, int, javaClass, list, long, password, short, string, type SettingOptions } from './setting.ts'

const MAX_LONG = '9223372036854775807'
const MAX_INT = '2147483647'
const cluster: SettingOptions = { dynamic: 'cluster' }
const clusterLater: SettingOptions = { dynamic: 'cluster', effect: 'later' }
const moot: SettingOptions = { effect: 'moot' }
const later: SettingOptions = { effect: 'later' }

/** What `replica.selector.class` may name. */
export const REPLICA_SELECTORS: ReadonlyMap<string, 'leader' | 'rack-aware'> = new Map([
  ['org.apache.kafka.common.replica.RackAwareReplicaSelector', 'rack-aware'],
  ['org.apache.kafka.common.replica.LeaderSelector', 'leader'],
])

const identity = {
  'broker.id': int('-1', 'Id of this broker in the cluster; -1 takes the next free one above reserved.broker.max.id.'),
  'node.id': int('-1', 'Another name for broker.id.'),
  'broker.id.generation.enable': boolean('true', 'Whether a broker without an id may have one made through ZooKeeper.'),
  'reserved.broker.max.id': int('1000', 'Highest broker.id that people may choose; made ids lie above it.', { min: 0 }),
  'broker.rack': string(null, 'Rack that this broker stands in; replicas are spread over racks.'),
  'inter.broker.protocol.version': string(
    '3.9-IV0',
    'Rules that the brokers of the cluster follow among themselves; only those of 3.9 are carried out.',
    {
      check: (text) => (/^3\.9(?:-IV0)?$/.test(text) ? null : 'only 3.9 is carried out'),
    },
  ),
}

const TLS_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']

const zookeeper = {
  'zookeeper.connect': string(
    null,
    'ZooKeeper servers as host:port,host:port, and behind them the path under which the cluster lives.',
  ),
  'zookeeper.session.timeout.ms': int(
    '18000',
    'How long ZooKeeper hears nothing from a broker before it counts as dead, in ms.',
  ),
  'zookeeper.connection.timeout.ms': int(
    null,
    'How long to wait for ZooKeeper at the start, in ms; if not set, zookeeper.session.timeout.ms.',
  ),
  'zookeeper.max.in.flight.requests': int('10', 'Requests to ZooKeeper that may be unanswered at once.', {
    min: 1,
  }),
  'zookeeper.ssl.client.enable': boolean('false', 'Whether ZooKeeper is reached through TLS.'),
  'zookeeper.clientCnxnSocket': string(
    null,
    'Java class of the connection to ZooKeeper; nothing depends on it here, with TLS or without.',
    moot,
  ),
  'zookeeper.ssl.keystore.location': string(
    null,
    'File with the own key and certificate towards ZooKeeper, in PEM or PKCS #12.',
  ),
  'zookeeper.ssl.keystore.password': password('Its password.'),
  'zookeeper.ssl.keystore.type': string(null, 'PEM or PKCS12; if not set, the ending of the file tells.'),
  'zookeeper.ssl.truststore.location': string(
    null,
    "File with the certificates that ZooKeeper's must lead up to, in PEM or PKCS #12; if not set, those of the system.",
  ),
  'zookeeper.ssl.truststore.password': password('Its password.'),
  'zookeeper.ssl.truststore.type': string(null, 'PEM or PKCS12; if not set, the ending of the file tells.'),
  'zookeeper.ssl.protocol': string('TLSv1.2', 'Version of TLS towards ZooKeeper.', { oneOf: TLS_VERSIONS }),
  'zookeeper.ssl.enabled.protocols': list(
    null,
    'Versions of TLS towards ZooKeeper; if not set, zookeeper.ssl.protocol only.',
    { oneOf: TLS_VERSIONS },
  ),
  'zookeeper.ssl.cipher.suites': list(null, "Ciphers towards ZooKeeper, by Java's names; if not set, the system's."),
  'zookeeper.ssl.endpoint.identification.algorithm': string(
    'HTTPS',
    "HTTPS: ZooKeeper's certificate must name its host. Empty: it need not.",
  ),
}

const network = {
  listeners: string('PLAINTEXT://:9092', 'Where to listen, as NAME://host:port, comma-separated.', {
    dynamic: 'perBroker',
  }),
  'advertised.listeners': string(null, 'Where others reach the listeners, if that is not where they listen.', {
    dynamic: 'perBroker',
  }),
  'listener.security.protocol.map': string(
    'SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT',
    'Security protocol of each listener name.',
    { dynamic: 'perBroker' },
  ),
  'inter.broker.listener.name': string(null, 'Name of the listener that brokers use among themselves.'),
  'security.inter.broker.protocol': string(
    'PLAINTEXT',
    'Security protocol among brokers, where no listener is named for it.',
    {
      oneOf: ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'],
    },
  ),
  'socket.request.max.bytes': int('104857600', 'Largest request that is accepted, in bytes.', { min: 1 }),
  'socket.send.buffer.bytes': int('102400', "Size of a connection's send buffer in the system, in bytes.", moot),
  'socket.receive.buffer.bytes': int('102400', "Size of a connection's receive buffer in the system, in bytes.", moot),
  'socket.listen.backlog.size': int('50', 'Connections that the system queues until they are accepted.', {
    min: 1,
    effect: 'moot',
  }),
  'max.connections': int(MAX_INT, 'Connections that the broker holds at once.', { min: 0, dynamic: 'cluster' }),
  'max.connections.per.ip': int(MAX_INT, 'Connections from one address.', { min: 0, dynamic: 'cluster' }),
  'max.connections.per.ip.overrides': string(
    '',
    'Connections from given addresses, as address:count, comma-separated.',
    cluster,
  ),
  'max.connection.creation.rate': int(MAX_INT, 'Connections that are accepted per second.', {
    min: 0,
    ...clusterLater,
  }),
  'connections.max.idle.ms': long(
    '600000',
    'A connection that was silent this long is closed, in ms; negative = never.',
  ),
  'queued.max.requests': int('500', 'Requests that may be in work; beyond that nothing is read.', { min: 1 }),
  'queued.max.request.bytes': long('-1', 'Bytes of requests that may be in work; -1 = unbounded.', later),
  'request.timeout.ms': int('30000', "How long this broker waits for another one's answer, in ms."),
  'socket.connection.setup.timeout.ms': long(
    '10000',
    'How long a connection to another broker may take to open, in ms.',
  ),
  'socket.connection.setup.timeout.max.ms': long(
    '30000',
    'Upper end of the growing time for opening a connection, in ms.',
    moot,
  ),
  'max.request.partition.size.limit': int('2000', 'Partitions that one answer to DescribeTopicPartitions may hold.', {
    min: 1,
    effect: 'moot',
  }),
  'num.network.threads': int('3', 'Threads that read and write connections; one event loop does it here.', {
    min: 1,
    dynamic: 'cluster',
    effect: 'moot',
  }),
  'num.io.threads': int('8', 'Threads that carry out requests; one event loop does it here.', {
    min: 1,
    dynamic: 'cluster',
    effect: 'moot',
  }),
  'background.threads': int('10', 'Threads for chores; one event loop does it here.', {
    min: 1,
    dynamic: 'cluster',
    effect: 'moot',
  }),
}

const logs = {
  'log.dir': string('/tmp/kafka-logs', 'Directory of the data, where log.dirs is not set.'),
  'log.dirs': string(null, 'Directories of the data, comma-separated.'),
  'num.recovery.threads.per.data.dir': int('1', 'Threads per directory for recovery at the start.', {
    min: 1,
    dynamic: 'cluster',
    effect: 'moot',
  }),
  'log.dir.failure.timeout.ms': long('30000', 'KRaft: how long a failed directory may stay unreported, in ms.', {
    min: 1,
    effect: 'moot',
  }),
  'log.segment.bytes': int('1073741824', 'A segment larger than this is rolled, in bytes.', { min: 14, ...cluster }),
  'log.roll.ms': long(null, 'A segment older than this is rolled, in ms.', cluster),
  'log.roll.hours': int('168', 'A segment older than this is rolled, where log.roll.ms is not set, in hours.', {
    min: 1,
  }),
  'log.roll.jitter.ms': long(null, 'Upper end of what is taken at random from log.roll.ms, in ms.', cluster),
  'log.roll.jitter.hours': int('0', 'As log.roll.jitter.ms, in hours.', { min: 0 }),
  'log.retention.ms': long(null, 'Records older than this may be deleted, in ms; -1 = kept for ever.', clusterLater),
  'log.retention.minutes': int(null, 'As log.retention.ms, in minutes.', later),
  'log.retention.hours': int('168', 'As log.retention.ms, in hours.', later),
  'log.retention.bytes': long(
    '-1',
    'A partition larger than this loses its oldest segments; -1 = unbounded.',
    clusterLater,
  ),
  'log.retention.check.interval.ms': long('300000', 'How often retention looks for segments to delete, in ms.', {
    min: 1,
    effect: 'later',
  }),
  'log.cleanup.policy': list('delete', 'What becomes of old records: delete, compact, or both.', {
    oneOf: ['compact', 'delete'],
    ...clusterLater,
  }),
  'log.cleaner.enable': boolean('true', 'Whether compacted topics are compacted.', later),
  'log.cleaner.threads': int('1', 'Threads that compact.', { min: 0, ...clusterLater }),
  'log.cleaner.io.max.bytes.per.second': double(
    '1.7976931348623157E308',
    'Bytes that compaction may read and write per second.',
    clusterLater,
  ),
  'log.cleaner.dedupe.buffer.size': long('134217728', 'Memory for the keys while compacting, in bytes.', clusterLater),
  'log.cleaner.io.buffer.size': int('524288', 'Memory for reading and writing while compacting, in bytes.', {
    min: 0,
    ...clusterLater,
  }),
  'log.cleaner.io.buffer.load.factor': double('0.9', 'How full the table of keys may become.', clusterLater),
  'log.cleaner.backoff.ms': long('15000', 'Pause when there is nothing to compact, in ms.', {
    min: 0,
    ...clusterLater,
  }),
  'log.cleaner.min.cleanable.ratio': double('0.5', 'Share of uncompacted bytes from which a log is compacted.', {
    min: 0,
    max: 1,
    ...clusterLater,
  }),
  'log.cleaner.delete.retention.ms': long('86400000', 'How long a tombstone is kept after compaction, in ms.', {
    min: 0,
    ...clusterLater,
  }),
  'log.cleaner.min.compaction.lag.ms': long('0', 'Least age of a record before it may be compacted, in ms.', {
    min: 0,
    ...clusterLater,
  }),
  'log.cleaner.max.compaction.lag.ms': long(MAX_LONG, 'Age from which a record must be compacted, in ms.', {
    min: 1,
    ...clusterLater,
  }),
  'log.index.size.max.bytes': int('10485760', 'Largest index of a segment, in bytes.', { min: 4, ...cluster }),
  'log.index.interval.bytes': int('4096', 'Bytes of records per entry of the offset index.', { min: 0, ...cluster }),
  'log.flush.interval.messages': long(MAX_LONG, 'Records after which a log is synced to disk.', { min: 1, ...cluster }),
  'log.flush.interval.ms': long(null, 'Age of an unsynced record after which a log is synced to disk, in ms.', cluster),
  'log.flush.scheduler.interval.ms': long(MAX_LONG, 'How often it is looked for logs to sync, in ms.'),
  'log.flush.offset.checkpoint.interval.ms': int('60000', 'How often the recovery points are written, in ms.', {
    min: 0,
    effect: 'later',
  }),
  'log.flush.start.offset.checkpoint.interval.ms': int('60000', 'How often the log start offsets are written, in ms.', {
    min: 0,
    effect: 'later',
  }),
  'log.segment.delete.delay.ms': long('60000', 'How long a deleted segment stays on the disk, in ms.', {
    min: 0,
    ...cluster,
  }),
  'log.initial.task.delay.ms': long('30000', 'First run of the chores of the logs after the start, in ms.', {
    min: 0,
    effect: 'moot',
  }),
  'log.preallocate': boolean('false', 'Whether the file of a new segment is allocated at once.', clusterLater),
  'log.message.format.version': string('3.0-IV1', 'Ignored since 3.0: the format is always version 2.', moot),
  'log.message.timestamp.type': string('CreateTime', 'Whose time a record carries: CreateTime or LogAppendTime.', {
    oneOf: ['CreateTime', 'LogAppendTime'],
    ...cluster,
  }),
  'log.message.timestamp.before.max.ms': long(MAX_LONG, "How far a record's time may lie before the broker's, in ms.", {
    min: 0,
    ...cluster,
  }),
  'log.message.timestamp.after.max.ms': long(MAX_LONG, "How far a record's time may lie after the broker's, in ms.", {
    min: 0,
    ...cluster,
  }),
  'log.message.timestamp.difference.max.ms': long(MAX_LONG, 'Older name for both bounds of the time.', {
    min: 0,
    ...cluster,
  }),
  'log.message.downconversion.enable': boolean('true', 'Whether batches are converted for consumers of old.', cluster),
  'log.local.retention.ms': long('-2', 'Tiering: how long local segments stay, in ms.', {
    min: -2,
    dynamic: 'cluster',
    effect: 'moot',
  }),
  'log.local.retention.bytes': long('-2', 'Tiering: bytes of local segments that stay.', {
    min: -2,
    dynamic: 'cluster',
    effect: 'moot',
  }),
  'message.max.bytes': int('1048588', 'Largest batch that a topic takes, in bytes.', { min: 0, ...cluster }),
  'compression.type': string('producer', 'Codec of stored batches; producer = as they came.', {
    oneOf: ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'],
    ...cluster,
  }),
  'compression.gzip.level': int('-1', 'Level of gzip, 1 to 9, or -1 for its own default.', {
    ...cluster,
    check: (text) => (text === '-1' || /^\+?[1-9]$/.test(text) ? null : `${text} is neither 1 … 9 nor -1`),
  }),
  'compression.lz4.level': int('9', 'Level of LZ4, 1 to 17.', { min: 1, max: 17, ...cluster }),
  'compression.zstd.level': int('3', 'Level of zstd, -131072 to 22.', { min: -131072, max: 22, ...cluster }),
}

const topics = {
  'auto.create.topics.enable': boolean('true', 'Whether a topic is created when a client asks for its metadata.'),
  'num.partitions': int('1', 'Partitions of a topic that does not say how many it wants.', { min: 1 }),
  'default.replication.factor': int('1', 'Replicas of a topic that does not say how many it wants.'),
  'min.insync.replicas': int('1', 'In-sync replicas below which acks=all is refused.', { min: 1, ...cluster }),
  'delete.topic.enable': boolean('true', 'Whether topics may be deleted.'),
  'create.topic.policy.class.name': javaClass(null, 'A Java class that judges new topics.', { effect: 'refused' }),
  'alter.config.policy.class.name': javaClass(null, 'A Java class that judges changes of configuration.', {
    effect: 'refused',
  }),
}

const replication = {
  'replica.lag.time.max.ms': long('30000', 'A follower that lags this long leaves the in-sync replicas, in ms.'),
  'replica.socket.timeout.ms': int('30000', "How long a follower waits for the leader's answer, in ms."),
  'replica.socket.receive.buffer.bytes': int(
    '65536',
    "Size of a follower's receive buffer in the system, in bytes.",
    moot,
  ),
  'replica.fetch.max.bytes': int('1048576', 'Bytes of one partition that a follower asks for at once.', { min: 0 }),
  'replica.fetch.wait.max.ms': int('500', "How long a leader may hold a follower's fetch, in ms."),
  'replica.fetch.min.bytes': int('1', "Bytes for which a leader holds a follower's fetch."),
  'replica.fetch.response.max.bytes': int('10485760', 'Bytes that a follower asks for at once in all.', { min: 0 }),
  'replica.fetch.backoff.ms': int('1000', "A follower's pause after an error, in ms.", { min: 0 }),
  'replica.high.watermark.checkpoint.interval.ms': long('5000', 'How often the high watermarks are written, in ms.'),
  'num.replica.fetchers': int('1', 'Fetchers per leader broker.', cluster),
  'num.replica.alter.log.dirs.threads': int(null, 'Threads that move replicas between directories.', moot),
  'replica.selector.class': string(
    null,
    "Who chooses the replica that a consumer reads from: Kafka's RackAwareReplicaSelector prefers one in its rack, LeaderSelector takes the leader.",
    {
      check: (text) =>
        REPLICA_SELECTORS.has(text) ? null : `there are ${[...REPLICA_SELECTORS.keys()].join(' and ')}`,
    },
  ),
  'fetch.max.bytes': int('57671680', 'Bytes that one answer to a fetch holds at most.', { min: 1024 }),
  'max.incremental.fetch.session.cache.slots': int('1000', 'Incremental fetch sessions that the broker keeps.', {
    min: 0,
  }),
  'fetch.purgatory.purge.interval.requests': int(
    '1000',
    'Waiting fetches after which finished ones are swept out.',
    moot,
  ),
  'producer.purgatory.purge.interval.requests': int(
    '1000',
    'Waiting produce requests after which finished ones are swept out.',
    moot,
  ),
  'delete.records.purgatory.purge.interval.requests': int(
    '1',
    'Waiting deletions after which finished ones are swept out.',
    moot,
  ),
}

const controller = {
  'unclean.leader.election.enable': boolean(
    'false',
    'Whether a replica that lags may lead when no other is left; it loses records.',
    cluster,
  ),
  'unclean.leader.election.interval.ms': long('300000', 'KRaft: how often unclean elections are looked for, in ms.', {
    min: 1,
    effect: 'moot',
  }),
  'auto.leader.rebalance.enable': boolean('true', 'Whether preferred leaders get their partitions back by themselves.'),
  'leader.imbalance.check.interval.seconds': long('300', 'How often the balance of leaders is looked at, in s.', {
    min: 1,
  }),
  'leader.imbalance.per.broker.percentage': int(
    '10',
    "Share of a broker's preferred partitions led elsewhere from which they are moved back, in percent.",
  ),
  'controller.socket.timeout.ms': int('30000', "How long the controller waits for a broker's answer, in ms."),
  'controlled.shutdown.enable': boolean('true', 'Whether a broker that stops hands its leaderships over first.'),
  'controlled.shutdown.max.retries': int('3', 'How often handing over is tried.'),
  'controlled.shutdown.retry.backoff.ms': long('5000', 'Pause between these tries, in ms.'),
  'control.plane.listener.name': string(null, "A listener for the controller's requests alone.", { effect: 'refused' }),
}

const groups = {
  'group.min.session.timeout.ms': int('6000', 'Shortest session timeout that a group member may ask for, in ms.'),
  'group.max.session.timeout.ms': int('1800000', 'Longest session timeout that a group member may ask for, in ms.'),
  'group.initial.rebalance.delay.ms': int('3000', 'How long a new group waits for more members, in ms.'),
  'group.max.size': int(MAX_INT, 'Members that a group may have.', { min: 1 }),
  'offset.metadata.max.bytes': int('4096', 'Bytes of text that a committed offset may carry.'),
  'offsets.load.buffer.size': int('5242880', 'Bytes read at once while a coordinator loads.', { min: 1 }),
  'offsets.topic.replication.factor': short(
    '3',
    'Replicas of __consumer_offsets; it is not created before there are as many brokers.',
    { min: 1 },
  ),
  'offsets.topic.num.partitions': int('50', 'Partitions of __consumer_offsets; must not change afterwards.', {
    min: 1,
  }),
  'offsets.topic.segment.bytes': int('104857600', 'Segments of __consumer_offsets, in bytes.', { min: 1 }),
  'offsets.topic.compression.codec': int('0', 'Codec in __consumer_offsets: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.', {
    min: 0,
    max: 4,
    effect: 'later',
  }),
  'offsets.retention.minutes': int('10080', 'How long the offsets of an empty group are kept, in minutes.', { min: 1 }),
  'offsets.retention.check.interval.ms': long('600000', 'How often it is looked for offsets to drop, in ms.', {
    min: 1,
  }),
  'offsets.commit.timeout.ms': int('5000', 'How long a commit waits for its replicas, in ms.', { min: 1 }),
  'offsets.commit.required.acks': short('-1', 'Acknowledgements that a commit needs; only -1 (all) is carried out.', {
    check: (text) => (text === '-1' ? null : 'only -1 is carried out'),
  }),
  'group.coordinator.threads': int('1', 'Threads of the new coordinator.', { min: 1, effect: 'moot' }),
  'group.coordinator.append.linger.ms': int('10', 'How long the new coordinator gathers writes, in ms.', {
    min: 0,
    effect: 'moot',
  }),
}

const transactions = {
  'transactional.id.expiration.ms': int('604800000', 'How long an idle transactional id is kept, in ms.', {
    min: 1,
    effect: 'later',
  }),
  'transaction.max.timeout.ms': int('900000', 'Longest transaction that a producer may ask for, in ms.', {
    min: 1,
    effect: 'later',
  }),
  'transaction.state.log.replication.factor': short('3', 'Replicas of __transaction_state.', {
    min: 1,
    effect: 'later',
  }),
  'transaction.state.log.min.isr': int('2', 'In-sync replicas that __transaction_state needs.', {
    min: 1,
    effect: 'later',
  }),
  'transaction.state.log.num.partitions': int('50', 'Partitions of __transaction_state.', { min: 1, effect: 'later' }),
  'transaction.state.log.segment.bytes': int('104857600', 'Segments of __transaction_state, in bytes.', {
    min: 1,
    effect: 'later',
  }),
  'transaction.state.log.load.buffer.size': int('5242880', 'Bytes read at once while a coordinator loads.', {
    min: 1,
    effect: 'later',
  }),
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': int(
    '10000',
    'How often it is looked for transactions to abort, in ms.',
    { min: 1, effect: 'later' },
  ),
  'transaction.remove.expired.transaction.cleanup.interval.ms': int(
    '3600000',
    'How often it is looked for transactional ids to drop, in ms.',
    { min: 1, effect: 'later' },
  ),
  'transaction.partition.verification.enable': boolean(
    'true',
    'Whether a leader asks the coordinator about a transaction before it appends.',
    clusterLater,
  ),
  'producer.id.expiration.ms': int('86400000', "How long an idle producer's sequences are remembered, in ms.", {
    min: 1,
    ...cluster,
  }),
  'producer.id.expiration.check.interval.ms': int('600000', 'How often it is looked for idle producers, in ms.', {
    min: 1,
    effect: 'later',
  }),
}

const quotas = {
  'quota.window.num': int('11', 'Samples of a client quota.', { min: 1, effect: 'later' }),
  'quota.window.size.seconds': int('1', 'Span of a sample, in s.', { min: 1, effect: 'later' }),
  'replication.quota.window.num': int('11', 'Samples of a replication quota.', { min: 1 }),
  'replication.quota.window.size.seconds': int('1', 'Span of a sample, in s.', { min: 1 }),
  'leader.replication.throttled.rate': long(
    MAX_LONG,
    'Bytes per second that a leader sends to throttled followers that are not in sync.',
    { min: 0, ...cluster },
  ),
  'replica.alter.log.dirs.io.max.bytes.per.second': long(
    MAX_LONG,
    'Bytes per second that are copied from one log directory of the broker to another.',
    { min: 0, ...cluster },
  ),
  'follower.replication.throttled.rate': long(
    MAX_LONG,
    'Bytes per second that a follower fetches for throttled replicas that are not in sync.',
    { min: 0, ...cluster },
  ),
  'alter.log.dirs.replication.quota.window.num': int('11', 'Samples of the quota on moves between directories.', {
    min: 1,
    effect: 'later',
  }),
  'alter.log.dirs.replication.quota.window.size.seconds': int('1', 'Span of a sample, in s.', {
    min: 1,
    effect: 'later',
  }),
  'controller.quota.window.num': int('11', 'Samples of the quota on changes of topics.', { min: 1, effect: 'later' }),
  'controller.quota.window.size.seconds': int('1', 'Span of a sample, in s.', { min: 1, effect: 'later' }),
}

const metrics = {
  'metric.reporters': list('', 'Java classes that report metrics.', clusterLater),
  'metrics.num.samples': int('2', 'Samples of a metric.', { min: 1, effect: 'moot' }),
  'metrics.sample.window.ms': long('30000', 'Span of a sample, in ms.', { min: 1, effect: 'moot' }),
  'metrics.recording.level': string('INFO', 'How much is measured.', moot),
  'auto.include.jmx.reporter': boolean('true', 'Whether metrics are shown through JMX.', moot),
  'kafka.metrics.reporters': list('', 'Java classes that report metrics, older kind.', later),
  'kafka.metrics.polling.interval.secs': int('10', 'How often these are asked, in s.', { min: 1, effect: 'moot' }),
  'telemetry.max.bytes': int('1048576', 'KRaft: largest report of a client.', { min: 1, effect: 'moot' }),
}

export const WORKING_SETTINGS = {
  ...identity,
  ...zookeeper,
  ...network,
  ...logs,
  ...topics,
  ...replication,
  ...controller,
  ...groups,
  ...transactions,
  ...quotas,
  ...metrics,
}
