/**
 * The families of Kafka 3.9's configuration that are known and not carried out: TLS, SASL, authorisation, delegation
 * tokens, KRaft, migration, tiering, the new group protocols. Left at their defaults they do no harm; set to something
 * else, what they ask for would be silently missing, so the start is refused.
 */
import {
  boolean,
  double,
  int,
  javaClass,
  list,
  long,
  password,
  short,
  string,
  type Setting,
  type SettingOptions,
} from './setting.ts'

const refused: SettingOptions = { effect: 'refused' }
const perBroker: SettingOptions = { effect: 'refused', dynamic: 'perBroker' }
const moot: SettingOptions = { effect: 'moot' }

const authorization = {
  'authorizer.class.name': string('', 'Java class of the authorizer; none is carried out yet.', refused),
  'super.users': string('', 'Principals that may do everything, for the authorizer.', refused),
  'allow.everyone.if.no.acl.found': string(
    'false',
    'Whether what no ACL speaks of is allowed, for the authorizer.',
    refused,
  ),
  'principal.builder.class': javaClass(
    'org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder',
    'Java class that names the principal of a connection.',
    perBroker,
  ),
  'client.quota.callback.class': javaClass(null, 'Java class that decides about quotas.', refused),
  'security.providers': string(null, 'Java classes that provide algorithms.', refused),
  'connection.failed.authentication.delay.ms': int('100', 'Pause before a failed authentication is answered, in ms.', {
    min: 0,
    effect: 'moot',
  }),
  'connections.max.reauth.ms': long(
    '0',
    'How long an authentication holds, in ms; 0 = as long as the connection.',
    refused,
  ),
}

const tls = {
  'ssl.protocol': string('TLSv1.3', 'Version of TLS.', perBroker),
  'ssl.provider': string(null, 'Java provider of TLS.', perBroker),
  'ssl.enabled.protocols': list('TLSv1.2,TLSv1.3', 'Versions of TLS that are accepted.', perBroker),
  'ssl.cipher.suites': list('', 'Ciphers that are accepted.', perBroker),
  'ssl.keystore.type': string('JKS', 'Format of the key store.', perBroker),
  'ssl.keystore.location': string(null, 'File of the key store.', perBroker),
  'ssl.keystore.password': password('Password of the key store.', perBroker),
  'ssl.keystore.key': password('Private key in PEM.', perBroker),
  'ssl.keystore.certificate.chain': password('Certificate chain in PEM.', perBroker),
  'ssl.key.password': password('Password of the private key.', perBroker),
  'ssl.truststore.type': string('JKS', 'Format of the trust store.', perBroker),
  'ssl.truststore.location': string(null, 'File of the trust store.', perBroker),
  'ssl.truststore.password': password('Password of the trust store.', perBroker),
  'ssl.truststore.certificates': password('Trusted certificates in PEM.', perBroker),
  'ssl.keymanager.algorithm': string('SunX509', 'Java algorithm for keys.', perBroker),
  'ssl.trustmanager.algorithm': string('PKIX', 'Java algorithm for trust.', perBroker),
  'ssl.endpoint.identification.algorithm': string(
    'https',
    "How a server's name is checked against its certificate.",
    perBroker,
  ),
  'ssl.secure.random.implementation': string(null, 'Java source of random numbers.', perBroker),
  'ssl.client.auth': string('none', 'Whether clients must show a certificate.', {
    oneOf: ['required', 'requested', 'none'],
    ...perBroker,
  }),
  'ssl.engine.factory.class': javaClass(null, 'Java class that makes TLS engines.', perBroker),
  'ssl.principal.mapping.rules': string('DEFAULT', 'How the name in a certificate becomes a principal.', refused),
  'ssl.allow.dn.changes': boolean('false', 'Whether a new certificate may carry another name.', refused),
  'ssl.allow.san.changes': boolean('false', 'Whether a new certificate may carry other host names.', refused),
}

const sasl = {
  'sasl.mechanism.inter.broker.protocol': string('GSSAPI', 'Mechanism among brokers.', perBroker),
  'sasl.mechanism.controller.protocol': string('GSSAPI', 'KRaft: mechanism towards controllers.', refused),
  'sasl.jaas.config': password('Login of the listener.', perBroker),
  'sasl.enabled.mechanisms': list('GSSAPI', 'Mechanisms that clients may use.', perBroker),
  'sasl.server.callback.handler.class': javaClass(null, 'Java class that checks credentials.', refused),
  'sasl.client.callback.handler.class': javaClass(null, 'Java class that gives credentials.', refused),
  'sasl.login.class': javaClass(null, 'Java class of the login.', refused),
  'sasl.login.callback.handler.class': javaClass(null, 'Java class that the login asks.', refused),
  'sasl.server.max.receive.size': int('524288', 'Largest message before authentication, in bytes.', moot),
  'sasl.kerberos.service.name': string(null, 'Kerberos name of the brokers.', perBroker),
  'sasl.kerberos.kinit.cmd': string('/usr/bin/kinit', 'Path of kinit.', perBroker),
  'sasl.kerberos.ticket.renew.window.factor': double(
    '0.8',
    'When a ticket is renewed, as a share of its life.',
    perBroker,
  ),
  'sasl.kerberos.ticket.renew.jitter': double('0.05', 'What is added to that at random.', perBroker),
  'sasl.kerberos.min.time.before.relogin': long('60000', 'Least pause between logins, in ms.', perBroker),
  'sasl.kerberos.principal.to.local.rules': list('DEFAULT', 'How a Kerberos name becomes a principal.', perBroker),
  'sasl.login.refresh.window.factor': double('0.8', 'When a token is renewed, as a share of its life.', perBroker),
  'sasl.login.refresh.window.jitter': double('0.05', 'What is added to that at random.', perBroker),
  'sasl.login.refresh.min.period.seconds': short('60', 'Least pause between renewals, in s.', perBroker),
  'sasl.login.refresh.buffer.seconds': short('300', 'How long before its end a token is renewed, in s.', perBroker),
  'sasl.login.connect.timeout.ms': int(null, 'How long connecting to the token server may take, in ms.', refused),
  'sasl.login.read.timeout.ms': int(null, 'How long the token server may take, in ms.', refused),
  'sasl.login.retry.backoff.ms': long('100', 'Pause after a failed login, in ms.', refused),
  'sasl.login.retry.backoff.max.ms': long('10000', 'Longest such pause, in ms.', refused),
  'sasl.oauthbearer.scope.claim.name': string('scope', 'Claim with the scope.', refused),
  'sasl.oauthbearer.sub.claim.name': string('sub', 'Claim with the subject.', refused),
  'sasl.oauthbearer.token.endpoint.url': string(null, 'Where tokens come from.', refused),
  'sasl.oauthbearer.jwks.endpoint.url': string(null, 'Where the keys of the issuer are.', refused),
  'sasl.oauthbearer.jwks.endpoint.refresh.ms': long('3600000', 'How often these are read, in ms.', refused),
  'sasl.oauthbearer.jwks.endpoint.retry.backoff.ms': long('100', 'Pause after a failed read, in ms.', refused),
  'sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms': long('10000', 'Longest such pause, in ms.', refused),
  'sasl.oauthbearer.clock.skew.seconds': int('30', 'Difference of clocks that is let pass, in s.', refused),
  'sasl.oauthbearer.expected.audience': list(null, 'Audiences of which a token must name one.', refused),
  'sasl.oauthbearer.expected.issuer': string(null, 'Issuer that a token must name.', refused),
}

const delegationTokens = {
  'delegation.token.master.key': password('Older name of delegation.token.secret.key.', refused),
  'delegation.token.secret.key': password('Key that delegation tokens are made with.', refused),
  'delegation.token.max.lifetime.ms': long('604800000', 'Longest life of a delegation token, in ms.', {
    min: 1,
    ...refused,
  }),
  'delegation.token.expiry.time.ms': long('86400000', 'Life of a delegation token until it is renewed, in ms.', {
    min: 1,
    ...refused,
  }),
  'delegation.token.expiry.check.interval.ms': long('3600000', 'How often expired tokens are dropped, in ms.', {
    min: 1,
    ...refused,
  }),
}

const passwordEncoder = {
  'password.encoder.secret': password('Secret that encrypts passwords kept in ZooKeeper.', refused),
  'password.encoder.old.secret': password('The secret before that.', refused),
  'password.encoder.keyfactory.algorithm': string(null, 'Java algorithm of the key.', refused),
  'password.encoder.cipher.algorithm': string('AES/CBC/PKCS5Padding', 'Java algorithm of the cipher.', refused),
  'password.encoder.key.length': int('128', 'Length of the key, in bits.', { min: 8, ...refused }),
  'password.encoder.iterations': int('4096', 'Rounds of the key derivation.', { min: 1024, ...refused }),
}

const zookeeperSecurity = {
  'zookeeper.set.acl': boolean('false', "Whether the broker's znodes are closed to others.", refused),
  'zookeeper.ssl.crl.enable': boolean('false', 'Whether revocation lists are looked at.', refused),
  'zookeeper.ssl.ocsp.enable': boolean('false', 'Whether revocation is asked for.', refused),
}

const kraft = {
  'process.roles': list('', 'KRaft: what this process is. Empty = a broker with ZooKeeper.', refused),
  'controller.listener.names': string(null, 'KRaft: listeners of the controllers.', refused),
  'controller.quorum.voters': list('', 'KRaft: the controllers.', refused),
  'controller.quorum.bootstrap.servers': list('', 'KRaft: where controllers are found.', refused),
  'controller.quorum.election.timeout.ms': int('1000', 'KRaft: time before an election, in ms.', refused),
  'controller.quorum.election.backoff.max.ms': int('1000', 'KRaft: longest pause between elections, in ms.', refused),
  'controller.quorum.fetch.timeout.ms': int('2000', 'KRaft: silence of the leader before an election, in ms.', refused),
  'controller.quorum.append.linger.ms': int('25', 'KRaft: how long writes are gathered, in ms.', refused),
  'controller.quorum.request.timeout.ms': int('2000', 'KRaft: time for an answer, in ms.', refused),
  'controller.quorum.retry.backoff.ms': int('20', 'KRaft: pause before a retry, in ms.', refused),
  'early.start.listeners': string(null, 'KRaft: listeners that open before the authorizer is ready.', refused),
  'initial.broker.registration.timeout.ms': int('60000', 'KRaft: time for the first registration, in ms.', refused),
  'broker.heartbeat.interval.ms': int('2000', 'KRaft: pause between heartbeats, in ms.', refused),
  'broker.session.timeout.ms': int('9000', 'KRaft: silence before a broker is fenced, in ms.', refused),
  'metadata.log.dir': string(null, 'KRaft: directory of the metadata log.', refused),
  'metadata.log.max.record.bytes.between.snapshots': long('20971520', 'KRaft: bytes between snapshots.', {
    min: 1,
    ...refused,
  }),
  'metadata.log.max.snapshot.interval.ms': long('3600000', 'KRaft: time between snapshots, in ms.', {
    min: 0,
    ...refused,
  }),
  'metadata.log.segment.bytes': int('1073741824', 'KRaft: segments of the metadata log, in bytes.', {
    min: 12,
    ...refused,
  }),
  'metadata.log.segment.min.bytes': int('8388608', 'KRaft: smallest segment of the metadata log, in bytes.', {
    min: 12,
    ...refused,
  }),
  'metadata.log.segment.ms': long('604800000', 'KRaft: age at which a segment is rolled, in ms.', refused),
  'metadata.max.idle.interval.ms': int('500', 'KRaft: pause between empty records, in ms.', { min: 0, ...refused }),
  'metadata.max.retention.bytes': long('104857600', 'KRaft: bytes of metadata that are kept.', refused),
  'metadata.max.retention.ms': long('604800000', 'KRaft: how long metadata is kept, in ms.', refused),
  'server.max.startup.time.ms': long('9223372036854775807', 'KRaft: time for the start, in ms.', {
    min: 0,
    ...refused,
  }),
  'eligible.leader.replicas.enable': boolean('false', 'KRaft: KIP-966.', refused),
  'unstable.api.versions.enable': boolean('false', 'Whether unfinished versions of APIs are offered.', refused),
  'unstable.feature.versions.enable': boolean('false', 'Whether unfinished features are offered.', refused),
  'zookeeper.metadata.migration.enable': boolean('false', 'Whether the cluster is being moved to KRaft.', refused),
  'zookeeper.metadata.migration.min.batch.size': int('200', 'Records per batch of that move.', { min: 1, ...refused }),
}

const newGroups = {
  'group.coordinator.new.enable': boolean('false', 'Whether the new coordinator runs.', refused),
  'group.coordinator.rebalance.protocols': list('classic', 'Rebalance protocols that groups may use.', {
    oneOf: ['consumer', 'classic', 'share', 'unknown'],
    ...refused,
  }),
  'group.consumer.assignors': list(
    'org.apache.kafka.coordinator.group.assignor.UniformAssignor,org.apache.kafka.coordinator.group.assignor.RangeAssignor',
    'KIP-848: assignors on the server.',
    moot,
  ),
  'group.consumer.session.timeout.ms': int('45000', 'KIP-848: session timeout, in ms.', { min: 1, effect: 'moot' }),
  'group.consumer.min.session.timeout.ms': int('45000', 'KIP-848: shortest session timeout, in ms.', {
    min: 1,
    effect: 'moot',
  }),
  'group.consumer.max.session.timeout.ms': int('60000', 'KIP-848: longest session timeout, in ms.', {
    min: 1,
    effect: 'moot',
  }),
  'group.consumer.heartbeat.interval.ms': int('5000', 'KIP-848: pause between heartbeats, in ms.', {
    min: 1,
    effect: 'moot',
  }),
  'group.consumer.min.heartbeat.interval.ms': int('5000', 'KIP-848: shortest such pause, in ms.', {
    min: 1,
    effect: 'moot',
  }),
  'group.consumer.max.heartbeat.interval.ms': int('15000', 'KIP-848: longest such pause, in ms.', {
    min: 1,
    effect: 'moot',
  }),
  'group.consumer.max.size': int('2147483647', 'KIP-848: members of a group.', { min: 1, effect: 'moot' }),
  'group.consumer.migration.policy': string('disabled', 'KIP-848: whether groups may change their protocol.', refused),
  'group.share.enable': boolean('false', 'KIP-932: whether share groups are offered.', refused),
  'group.share.delivery.count.limit': int('5', 'KIP-932: deliveries of a record.', { min: 2, max: 10, effect: 'moot' }),
  'group.share.max.groups': short('10', 'KIP-932: share groups.', { min: 1, max: 100, effect: 'moot' }),
  'group.share.max.size': short('200', 'KIP-932: members of a share group.', { min: 10, max: 1000, effect: 'moot' }),
  'group.share.session.timeout.ms': int('45000', 'KIP-932: session timeout, in ms.', { min: 1, effect: 'moot' }),
  'group.share.min.session.timeout.ms': int('45000', 'KIP-932: shortest session timeout, in ms.', {
    min: 1,
    effect: 'moot',
  }),
  'group.share.max.session.timeout.ms': int('60000', 'KIP-932: longest session timeout, in ms.', {
    min: 1,
    effect: 'moot',
  }),
  'group.share.heartbeat.interval.ms': int('5000', 'KIP-932: pause between heartbeats, in ms.', {
    min: 1,
    effect: 'moot',
  }),
  'group.share.min.heartbeat.interval.ms': int('5000', 'KIP-932: shortest such pause, in ms.', {
    min: 1,
    effect: 'moot',
  }),
  'group.share.max.heartbeat.interval.ms': int('15000', 'KIP-932: longest such pause, in ms.', {
    min: 1,
    effect: 'moot',
  }),
  'group.share.record.lock.duration.ms': int('30000', 'KIP-932: how long a record is lent, in ms.', {
    min: 1000,
    max: 60000,
    effect: 'moot',
  }),
  'group.share.min.record.lock.duration.ms': int('15000', 'KIP-932: shortest loan, in ms.', {
    min: 1000,
    max: 30000,
    effect: 'moot',
  }),
  'group.share.max.record.lock.duration.ms': int('60000', 'KIP-932: longest loan, in ms.', {
    min: 30000,
    max: 3600000,
    effect: 'moot',
  }),
  'group.share.partition.max.record.locks': int('200', 'KIP-932: records of a partition that are lent at once.', {
    min: 100,
    max: 10000,
    effect: 'moot',
  }),
}

const tiering = {
  'remote.log.storage.system.enable': boolean('false', 'Whether segments move to remote storage.', refused),
  'remote.log.storage.manager.class.name': string(null, 'Tiering: Java class of the storage.', refused),
  'remote.log.storage.manager.class.path': string(null, 'Tiering: where that class is.', refused),
  'remote.log.storage.manager.impl.prefix': string('rsm.config.', 'Tiering: prefix of its configurations.', moot),
  'remote.log.metadata.manager.class.name': string(
    'org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager',
    'Tiering: Java class of its metadata.',
    refused,
  ),
  'remote.log.metadata.manager.class.path': string(null, 'Tiering: where that class is.', refused),
  'remote.log.metadata.manager.impl.prefix': string('rlmm.config.', 'Tiering: prefix of its configurations.', moot),
  'remote.log.metadata.manager.listener.name': string(null, 'Tiering: listener for its metadata.', refused),
  'remote.log.metadata.custom.metadata.max.bytes': int('128', 'Tiering: bytes of custom metadata.', {
    min: 0,
    effect: 'moot',
  }),
  'remote.log.index.file.cache.total.size.bytes': long('1073741824', 'Tiering: cache of indexes, in bytes.', {
    min: 1,
    dynamic: 'cluster',
    effect: 'moot',
  }),
  'remote.log.manager.thread.pool.size': int('10', 'Tiering: threads.', { min: 1, effect: 'moot' }),
  'remote.log.manager.copier.thread.pool.size': int('-1', 'Tiering: threads that copy.', moot),
  'remote.log.manager.expiration.thread.pool.size': int('-1', 'Tiering: threads that expire.', moot),
  'remote.log.manager.task.interval.ms': long('30000', 'Tiering: pause between tasks, in ms.', {
    min: 1,
    effect: 'moot',
  }),
  'remote.log.manager.task.retry.backoff.ms': long('500', 'Tiering: pause before a retry, in ms.', {
    min: 1,
    effect: 'moot',
  }),
  'remote.log.manager.task.retry.backoff.max.ms': long('30000', 'Tiering: longest such pause, in ms.', {
    min: 1,
    effect: 'moot',
  }),
  'remote.log.manager.task.retry.jitter': double('0.2', 'Tiering: random part of that pause.', {
    min: 0,
    max: 0.5,
    effect: 'moot',
  }),
  'remote.log.manager.copy.max.bytes.per.second': long('9223372036854775807', 'Tiering: bytes copied per second.', {
    min: 1,
    dynamic: 'cluster',
    effect: 'moot',
  }),
  'remote.log.manager.copy.quota.window.num': int('11', 'Tiering: samples of that quota.', { min: 1, effect: 'moot' }),
  'remote.log.manager.copy.quota.window.size.seconds': int('1', 'Tiering: span of a sample, in s.', {
    min: 1,
    effect: 'moot',
  }),
  'remote.log.manager.fetch.max.bytes.per.second': long('9223372036854775807', 'Tiering: bytes fetched per second.', {
    min: 1,
    dynamic: 'cluster',
    effect: 'moot',
  }),
  'remote.log.manager.fetch.quota.window.num': int('11', 'Tiering: samples of that quota.', { min: 1, effect: 'moot' }),
  'remote.log.manager.fetch.quota.window.size.seconds': int('1', 'Tiering: span of a sample, in s.', {
    min: 1,
    effect: 'moot',
  }),
  'remote.log.reader.threads': int('10', 'Tiering: threads that read.', { min: 1, effect: 'moot' }),
  'remote.log.reader.max.pending.tasks': int('100', 'Tiering: reads that wait.', { min: 1, effect: 'moot' }),
  'remote.fetch.max.wait.ms': int('500', 'Tiering: how long a fetch waits for remote storage, in ms.', {
    min: 1,
    dynamic: 'cluster',
    effect: 'moot',
  }),
}

export const REFUSED_SETTINGS = {
  ...authorization,
  ...tls,
  ...sasl,
  ...delegationTokens,
  ...passwordEncoder,
  ...zookeeperSecurity,
  ...kraft,
  ...newGroups,
  ...tiering,
} satisfies Record<string, Setting>
