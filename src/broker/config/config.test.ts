import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ConfigSource, layersOf, parseServerProperties } from './broker-config.ts'
import { configurationsOfEnvironment, decodePropertiesFile, parseProperties } from './properties.ts'
import { ConfigError } from './setting.ts'
import { effectiveTopicText, topicLogConfig, topicSynonymLayers, validateTopicTexts } from './topic-config.ts'

const MINIMAL = 'broker.id=1\nzookeeper.connect=127.0.0.1:2181\n'

function refusal(text: string, env = {}, overrides = {}): string {
  try {
    parseServerProperties(MINIMAL + text, env, overrides)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    assert.ok(!error.message.includes('\n'))
    return error.message
  }
  return assert.fail('accepted')
}

test('properties files are read as Java reads them', () => {
  const text = [
    '# comment',
    '! comment too',
    'plain=value  ',
    'colon : value',
    'white space follows',
    'bare',
    'long = a,\\',
    '    b,\\',
    '    c',
    'path=C:\\\\logs',
    'uni=\\u00e4\\t|',
    'esc\\=aped\\ key=x',
    'twice=1',
    'twice=2',
    '  indented=yes',
  ].join('\r\n')
  assert.deepEqual(Object.fromEntries(parseProperties(text)), {
    plain: 'value',
    colon: 'value',
    white: 'space follows',
    bare: '',
    long: 'a,b,c',
    path: 'C:\\logs',
    uni: 'ä\t|',
    'esc=aped key': 'x',
    twice: '2',
    indented: 'yes',
  })
})

test('a file that is no UTF-8 is ISO-8859-1', () => {
  assert.equal(decodePropertiesFile(new Uint8Array([0xe4, 0x3d, 0x31])), 'ä=1')
  assert.equal(decodePropertiesFile(new TextEncoder().encode('ä=1')), 'ä=1')
})

test('KAFKA_ variables become configurations, apart from those of the JVM', () => {
  const env = {
    KAFKA_BROKER_ID: '3',
    KAFKA_A__B___C_D: 'x',
    KAFKA_OPTS: '-X',
    KAFKA_HEAP_OPTS: '-Xmx1G',
    KAFKA_JMX_PORT: '1',
    KAFKA_LOG4J_ROOT_LOGLEVEL: 'INFO',
    PATH: '/bin',
  }
  assert.deepEqual(Object.fromEntries(configurationsOfEnvironment(env)), { 'broker.id': '3', 'a_b-c.d': 'x' })
})

test('overrides win over the environment, which wins over the file', () => {
  const file = MINIMAL + 'num.partitions=2\ndefault.replication.factor=2\nlog.roll.hours=2'
  const env = { KAFKA_NUM_PARTITIONS: '3', KAFKA_LOG_ROLL_HOURS: '3' }
  const config = parseServerProperties(file, env, { 'log.roll.hours': '4' })
  assert.deepEqual([config.defaultReplicationFactor, config.numPartitions, config.logRollHours], [2, 3, 4])
  assert.equal(layersOf(config.texts, 'log.roll.hours')[0]!.source, ConfigSource.STATIC_BROKER)
  assert.deepEqual(config.warnings, [])
})

test('defaults hold where nothing is said', () => {
  const config = parseServerProperties(MINIMAL)
  assert.equal(config.zookeeperSessionTimeoutMs, 18000)
  assert.equal(config.logRollMs, null)
  assert.deepEqual(config.logDirectories, ['/tmp/kafka-logs'])
  assert.deepEqual(config.logCleanupPolicy, ['delete'])
  const plain = { listenerName: 'PLAINTEXT', host: '', port: 9092, securityProtocol: 'PLAINTEXT' }
  assert.deepEqual(config.endpoints, [plain])
  assert.equal(config.interBrokerListener, 'PLAINTEXT')
})

test('unknown keys are named in one warning, and what is not carried out in another', () => {
  const config = parseServerProperties(MINIMAL + 'no.such.key=1\nlog.cleaner.threads=2\nother=2\nnum.io.threads=4')
  assert.deepEqual(config.warnings, [
    'unknown configurations, ignored: no.such.key, other',
    'configurations that are not carried out yet: log.cleaner.threads',
  ])
})

test('bad values are all named in one line', () => {
  assert.equal(
    refusal('num.partitions=0\nauto.create.topics.enable=yes\nlog.segment.bytes=9999999999'),
    'auto.create.topics.enable: expected true or false, not "yes"; ' +
      'log.segment.bytes: 9999999999 is outside -2147483648 … 2147483647; num.partitions: 0 is less than 1',
  )
  assert.match(refusal('compression.type=brotli'), /"brotli" is none of/)
  assert.match(refusal('broker.id=2000'), /above reserved\.broker\.max\.id/)
  assert.match(refusal('', {}, { 'zookeeper.connect': '' }), /zookeeper\.connect: not set/)
})

test('security and KRaft that is not carried out stops the start', () => {
  for (const line of [
    'process.roles=broker',
    'controller.quorum.voters=1@h:9093',
    'authorizer.class.name=kafka.security.authorizer.AclAuthorizer',
    'ssl.keystore.location=/k.jks',
    'listener.name.internal.ssl.keystore.location=/k.jks',
    'zookeeper.set.acl=true',
    'super.users=User:a',
    'sasl.enabled.mechanisms=PLAIN',
    'inter.broker.protocol.version=2.8',
    'remote.log.storage.system.enable=true',
  ])
    assert.match(refusal(line), /carried out/, line)
  const secret = refusal('ssl.keystore.password=hunter2')
  assert.ok(!secret.includes('hunter2'))
})

test('a listener that should be protected never opens', () => {
  assert.match(refusal('listeners=SSL://:9093'), /SSL asks for SSL/)
  assert.match(refusal('listeners=SASL_PLAINTEXT://:9093'), /SASL_PLAINTEXT/)
  const mapped = 'listener.security.protocol.map=CLIENT:SASL_SSL,IN:PLAINTEXT\nlisteners=CLIENT://:1,IN://:2\n'
  assert.match(refusal(mapped + 'inter.broker.listener.name=IN'), /CLIENT asks for SASL_SSL/)
  assert.match(refusal('security.inter.broker.protocol=SSL'), /not among the advertised listeners/)
})

test('listeners and where they are advertised', () => {
  const config = parseServerProperties(
    MINIMAL +
      'listeners=IN://[::1]:9092, OUT://0.0.0.0:9093\nadvertised.listeners=IN://[::1]:9092,OUT://example.org:19093\n' +
      'listener.security.protocol.map=IN:PLAINTEXT,OUT:PLAINTEXT\ninter.broker.listener.name=in',
  )
  assert.equal(config.interBrokerListener, 'IN')
  assert.deepEqual(config.endpoints[0]!.host, '::1')
  assert.deepEqual(config.advertisedEndpoints[1]!.host, 'example.org')
  assert.match(refusal('listeners=PLAINTEXT//x:1'), /is not NAME:\/\/host:port/)
  assert.match(refusal('listeners=FOO://:1'), /does not say which protocol FOO speaks/)
  assert.match(refusal('listeners=PLAINTEXT://:1,PLAINTEXT://:2'), /occurs twice/)
  assert.match(refusal('advertised.listeners=PLAINTEXT://0.0.0.0:9092'), /nobody can reach/)
  assert.match(refusal('listeners=PLAINTEXT://0.0.0.0:9092'), /nobody can reach PLAINTEXT at 0\.0\.0\.0/)
})

test("a topic's configuration falls back on the broker's, in the broker's units", () => {
  const { texts } = parseServerProperties(MINIMAL + 'log.retention.hours=1\nlog.roll.ms=5000\nlog.segment.bytes=1000')
  const topic = new Map([['segment.bytes', '2000']])
  assert.deepEqual(effectiveTopicText('retention.ms', topic, texts), {
    name: 'retention.ms',
    text: '3600000',
    source: ConfigSource.STATIC_BROKER,
  })
  const config = topicLogConfig(topic, texts)
  assert.deepEqual([config.segmentBytes, config.segmentMs, config.retentionMs], [2000, 5000, 3_600_000])
  assert.equal(config.flushMessages, Infinity)
  assert.deepEqual(
    topicSynonymLayers('segment.bytes', topic, texts).map((layer) => [layer.name, layer.text, layer.source]),
    [
      ['segment.bytes', '2000', ConfigSource.TOPIC],
      ['log.segment.bytes', '1000', ConfigSource.STATIC_BROKER],
      ['log.segment.bytes', '1073741824', ConfigSource.DEFAULT],
    ],
  )
})

test('the two names of an id stand for each other', () => {
  for (const name of ['broker.id', 'node.id']) {
    const { brokerId, nodeId } = parseServerProperties(`${name}=7\nzookeeper.connect=127.0.0.1:2181`)
    assert.deepEqual([brokerId, nodeId], [7, 7])
  }
})

test('hours stand behind milliseconds, and are not shown by themselves', () => {
  const shown = (lines: string): [string, string | null, number][] =>
    topicSynonymLayers('retention.ms', new Map(), parseServerProperties(MINIMAL + lines).texts).map((layer) => [
      layer.name,
      layer.text,
      layer.source,
    ])
  assert.deepEqual(shown('log.retention.hours=1'), [])
  assert.deepEqual(shown('log.retention.hours=1\nlog.retention.ms=5'), [
    ['log.retention.ms', '5', ConfigSource.STATIC_BROKER],
    ['log.retention.hours', '1', ConfigSource.STATIC_BROKER],
    ['log.retention.hours', '168', ConfigSource.DEFAULT],
  ])
})

test('topic configurations are checked', () => {
  const { texts } = parseServerProperties(MINIMAL)
  const check = (name: string, text: string): string[] => validateTopicTexts(new Map([[name, text]]), texts)
  assert.deepEqual(check('segment.bytes', '1048576'), [])
  assert.deepEqual(check('cleanup.policy', 'compact'), ['cleanup.policy'])
  assert.throws(() => check('no.such', '1'), /Unknown topic config name: no\.such/)
  assert.throws(() => check('segment.bytes', '1'), /Invalid value 1 for configuration segment\.bytes/)
  assert.throws(() => check('remote.storage.enable', 'true'), /not carried out/)
})

test("an unreadable text in ZooKeeper gives way to the broker's", () => {
  const { texts } = parseServerProperties(MINIMAL)
  const unreadable: string[] = []
  const config = topicLogConfig(new Map([['segment.bytes', 'big']]), texts, (name) => unreadable.push(name))
  assert.equal(config.segmentBytes, 1_073_741_824)
  assert.deepEqual(unreadable, ['segment.bytes'])
})
