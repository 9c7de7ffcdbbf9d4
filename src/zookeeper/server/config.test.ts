import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseZooCfg } from './config.ts'
import { parseProperties } from './properties.ts'

const MINIMAL = 'dataDir=/data\nclientPort=2181\n'

test('the sample file of ZooKeeper', () => {
  const { config, warnings } = parseZooCfg(`
# The number of milliseconds of each tick
tickTime=2000
initLimit=10
syncLimit=5
dataDir=/tmp/zookeeper
clientPort=2181
#maxClientCnxns=60
autopurge.snapRetainCount=5
autopurge.purgeInterval=1
metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider
metricsProvider.httpPort=7000
admin.enableServer=false
`)
  assert.deepEqual(
    [config.tickTimeMs, config.minSessionTimeoutMs, config.maxSessionTimeoutMs, config.clientPort, config.dataLogDir],
    [2000, 4000, 40_000, 2181, '/tmp/zookeeper'],
  )
  assert.deepEqual([config.snapRetainCount, config.purgeIntervalHours], [5, 1])
  assert.deepEqual(warnings, ['metricsProvider.className names a Java class and has no effect here'])
})

test('defaults', () => {
  const { config } = parseZooCfg(MINIMAL)
  assert.deepEqual([...config.commands], ['srvr'])
  assert.deepEqual(
    [
      config.maxClientCnxns,
      config.globalOutstandingLimit,
      config.snapCount,
      config.preAllocBytes,
      config.juteMaxBuffer,
    ],
    [60, 1000, 100_000, 64 * 1024 * 1024, 1_048_575],
  )
  assert.ok(config.forceSync && !config.skipAcl && !config.extendedTypes)
})

test('values are checked, with the key and what would be right', () => {
  const rows: [string, RegExp][] = [
    ['clientPort=2181', /dataDir is missing/],
    ['dataDir=/d', /clientPort is missing/],
    [`${MINIMAL}clientPort=99999`, /clientPort=99999 is no number from 0 to 65535/],
    [`${MINIMAL}tickTime=soon`, /tickTime=soon is no number/],
    [`${MINIMAL}tickTime=0`, /tickTime=0/],
    [`${MINIMAL}forceSync=perhaps`, /forceSync=perhaps is neither true nor false/],
    [`${MINIMAL}minSessionTimeout=9000\nmaxSessionTimeout=8000`, /minSessionTimeout \(9000\) is more/],
    [`${MINIMAL}server.1=a:1:2\nserver.2=b:1:2`, /ensemble, which this version does not form yet/],
    [`${MINIMAL}secureClientPort=2281`, /secureClientPort asks for security/],
    [`${MINIMAL}ssl.keyStore.location=/k`, /asks for security/],
    [`${MINIMAL}authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider`, /asks for security/],
    [`${MINIMAL}sessionRequireClientSASLAuth=true`, /asks for security/],
    [`${MINIMAL}zookeeper.enforce.auth.enabled=true`, /asks for security/],
  ]
  for (const [text, message] of rows) assert.throws(() => parseZooCfg(text), { name: 'ZooCfgError', message }, text)
})

test('what is unknown or not there yet is named, what has its default is not', () => {
  const warnings = (line: string): string[] => parseZooCfg(MINIMAL + line).warnings
  assert.match(warnings('tikTime=2000')[0]!, /tikTime is no key/)
  assert.match(warnings('serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory')[0]!, /Java class/)
  assert.match(warnings('enforceQuota=true')[0]!, /enforceQuota=true has no effect/)
  assert.match(warnings('server.1=a:2888:3888')[0]!, /one server only/)
  for (const line of [
    'enforceQuota=false',
    'standaloneEnabled=true',
    'zookeeper.snapCount=500',
    'sslQuorum=false',
    'commitLogCount=5',
  ])
    assert.deepEqual(warnings(line), [], line)
})

test('a key may be written as the Java property that it becomes', () => {
  assert.equal(parseZooCfg(`${MINIMAL}zookeeper.snapCount=500`).config.snapCount, 500)
  assert.equal(
    parseZooCfg(`${MINIMAL}zookeeper.DigestAuthenticationProvider.superDigest=super\\:x`).config.superDigest,
    'super:x',
  )
})

test('properties as Java reads them', () => {
  const text = '! comment\n a = 1 \nb:2\nc 3\nd=x\\\n   y\ne\nf=\\u0041\\t=\n  # g=1\r\nh=a\\:b\n'
  assert.deepEqual(Object.fromEntries(parseProperties(text)), {
    a: '1',
    b: '2',
    c: '3',
    d: 'xy',
    e: '',
    f: 'A\t=',
    h: 'a:b',
  })
})
