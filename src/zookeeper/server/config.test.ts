import assert from 'node:assert/strict'
import { test } from 'node:test'

import { encodeUtf8 } from '#base'
import { replaceFile } from '#platform'
import { World } from '#simulation'

import { parseZooCfg, readZooCfg, type ParsedZooCfg } from './config.ts'
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
  assert.deepEqual([config.adminServer, config.metricsPort, warnings], [false, 7000, []])
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
    [`${MINIMAL}ssl.crl=true`, /ssl\.crl asks for security/],
    [`${MINIMAL}requireClientAuthScheme=sasl`, /asks for security/],
  ]
  for (const [text, message] of rows) assert.throws(() => parseZooCfg(text), { name: 'ZooCfgError', message }, text)
})

test('what is unknown or not there yet is named, what has its default is not', () => {
  const warnings = (line: string): string[] => parseZooCfg(MINIMAL + line).warnings
  assert.match(warnings('tikTime=2000')[0]!, /tikTime is no key/)
  assert.match(warnings('serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory')[0]!, /Java class/)
  assert.match(warnings('server.1=a:2888:3888')[0]!, /one server only/)
  for (const line of ['standaloneEnabled=true', 'zookeeper.snapCount=500', 'sslQuorum=false', 'commitLogCount=5'])
    assert.deepEqual(warnings(line), [], line)
})

test('a key may be written as the Java property that it becomes', () => {
  assert.equal(parseZooCfg(`${MINIMAL}zookeeper.snapCount=500`).config.snapCount, 500)
  assert.equal(
    parseZooCfg(`${MINIMAL}zookeeper.DigestAuthenticationProvider.superDigest=super\\:x`).config.superDigest,
    'super:x',
  )
})

const THREE = `${MINIMAL}initLimit=10
syncLimit=5
server.1=zoo1:2888:3888
server.2=zoo2:2888:3888:participant;0.0.0.0:2181
server.10=[2001:db8::10]:2888:3888
`

test('an ensemble', () => {
  const { config, warnings } = parseZooCfg(THREE, { sid: 10 })
  const { ensemble } = config
  assert.deepEqual(warnings, [])
  assert.deepEqual(ensemble!.members, [
    { sid: 1, host: 'zoo1', quorumPort: 2888, electionPort: 3888, role: 'participant', clientAddress: null },
    { sid: 2, host: 'zoo2', quorumPort: 2888, electionPort: 3888, role: 'participant', clientAddress: '0.0.0.0:2181' },
    { sid: 10, host: '2001:db8::10', quorumPort: 2888, electionPort: 3888, role: 'participant', clientAddress: null },
  ])
  assert.deepEqual(
    [ensemble!.sid, ensemble!.role, ensemble!.initLimit, ensemble!.syncLimit],
    [10, 'participant', 10, 5],
  )
  assert.deepEqual(
    [ensemble!.cnxTimeoutMs, ensemble!.commitLogCount, ensemble!.snapshotSizeFactor, ensemble!.finalizeWaitMs],
    [5000, 500, 0.33, 50],
  )
  assert.ok(ensemble!.quorum.containsQuorum(new Set([1, 10])) && !ensemble!.quorum.containsQuorum(new Set([2])))
  assert.equal(
    ensemble!.configText,
    'server.1=zoo1:2888:3888:participant\nserver.2=zoo2:2888:3888:participant;0.0.0.0:2181\n' +
      'server.10=[2001:db8::10]:2888:3888:participant\nversion=0',
  )
})

test('observers, groups and weights', () => {
  const text = `${THREE}server.3=zoo3:2888:3888:observer\npeerType=observer\ngroup.1=1:2\ngroup.2=10\nweight.10=2\n`
  const { config, warnings } = parseZooCfg(text, { sid: 3 })
  assert.deepEqual([config.ensemble!.role, config.ensemble!.quorum.voters], ['observer', [1, 2, 10]])
  assert.equal(config.ensemble!.quorum.weightOf(10), 2)
  assert.ok(!config.ensemble!.quorum.containsQuorum(new Set([1, 2])))
  assert.match(
    config.ensemble!.configText,
    /\ngroup.1=1:2\ngroup.2=10\nweight.1=1\nweight.2=1\nweight.10=2\nversion=0$/,
  )
  assert.deepEqual(warnings, [])
  assert.match(parseZooCfg(text, { sid: 1 }).warnings[0]!, /peerType is observer, and server.1 says participant/)
})

test('one server.N is a server of its own, unless standaloneEnabled says otherwise', () => {
  const one = `${MINIMAL}initLimit=10\nsyncLimit=5\nserver.1=zoo1:2888:3888\n`
  assert.equal(parseZooCfg(one).config.ensemble, null)
  const { ensemble } = parseZooCfg(`${one}standaloneEnabled=false`, { sid: 1 }).config
  assert.ok(ensemble!.quorum.containsQuorum(new Set([1])))
})

test('the client port may stand in server.N', () => {
  const text = THREE.replace('clientPort=2181\n', '').replace('zoo1:2888:3888', 'zoo1:2888:3888;127.0.0.1:2191')
  const { config } = parseZooCfg(text, { sid: 1 })
  assert.deepEqual([config.clientPortAddress, config.clientPort], ['127.0.0.1', 2191])
  assert.throws(() => parseZooCfg(text, { sid: 10 }), /clientPort is missing/)
  assert.throws(() => parseZooCfg(`${text}clientPort=2181`, { sid: 1 }), /clientPort says 0.0.0.0:2181, and server.1/)
})

test('the list of servers in a file of its own', () => {
  const main = `${MINIMAL}initLimit=10\nsyncLimit=5\ndynamicConfigFile=/etc/zoo.cfg.dynamic.100000000\n`
  const servers = 'server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n'
  const { ensemble } = parseZooCfg(main, { sid: 2, dynamicConfig: servers }).config
  assert.deepEqual([ensemble!.configVersion, ensemble!.members.length], [0x1_0000_0000n, 3])
  assert.match(ensemble!.configText, /\nversion=100000000$/)
  const bad = (text: string, dynamicConfig: string): void => void parseZooCfg(text, { sid: 2, dynamicConfig })
  assert.throws(() => bad(`${main}server.1=a:1:2`, servers), /server.1 must be in \/etc\/zoo.cfg.dynamic.100000000/)
  assert.throws(() => bad(main, `${servers}tickTime=1`), /has tickTime: it may have/)
})

test('a list of servers is checked', () => {
  const rows: [string, RegExp, number?][] = [
    [THREE.replace('initLimit=10', ''), /initLimit is missing/],
    [THREE.replace('syncLimit=5', ''), /syncLimit is missing/],
    [THREE, /myid says 7, and there is no server.7/, 7],
    [`${THREE}electionAlg=1`, /electionAlg=1 is no number from 3 to 3/],
    [`${THREE}peerType=leader`, /peerType=leader is not participant or observer/],
    [`${THREE}server.4=zoo4`, /server.4=zoo4 is not host:quorumPort:electionPort/],
    [`${THREE}server.4=zoo4:x:3888`, /"x" is no port/],
    [`${THREE}server.4=zoo4:2888:2888`, /the same port twice/],
    [`${THREE}server.4=zoo1:2888:3889`, /server.1 and server.4 both have zoo1:2888/],
    [`${THREE}server.4=zoo4:2888:3888:boss`, /"boss" is neither participant nor observer/],
    [`${THREE}server.4=a:1:2|b:1:2`, /several addresses/],
    [`${THREE}server.256=zoo4:2888:3888`, /ids are from 0 to 255/],
    [`${THREE}server.x=zoo4:2888:3888`, /server.x: "x" is no id/],
    [`${THREE}group.1=1:2`, /server.10 is in 0 groups/],
    [`${THREE}group.1=1:2:10\ngroup.2=2`, /server.2 is in 2 groups/],
    [`${THREE}group.1=1:2:10:11`, /"11" is the id of no participant/],
    [`${THREE}group.1=1:2:10\nweight.1=0\nweight.2=0\nweight.10=0`, /every weight is 0/],
    [`${MINIMAL}server.1=a:1:2\nserver.2=b:1:2:observer`, /observers and no quorum/],
    [`${THREE}extendedTypesEnabled=true\nserver.255=d:1:2`, /server ids below 255/, 255],
  ]
  for (const [text, message, sid = 1] of rows)
    assert.throws(() => parseZooCfg(text, { sid }), { name: 'ZooCfgError', message }, text)
  assert.throws(() => parseZooCfg(THREE), /3 servers are named, and myid is missing/)
  const even = parseZooCfg(`${THREE}server.4=zoo4:2888:3888`, { sid: 1 }).warnings
  assert.deepEqual(even, ['4 servers bear no more failures than 3'])
})

test("settings in Java's command line count where the file says nothing", () => {
  const jvmFlags = `-Xmx512M -Dzookeeper.snapCount=700 "-Dzookeeper.cnxTimeout=900" -Djute.maxbuffer=4194304 -Dzookeeper.skipACL=yes -Duser.home=/x`
  const { config, warnings } = parseZooCfg(`${THREE}skipACL=no`, { sid: 1, jvmFlags })
  assert.deepEqual([config.snapCount, config.juteMaxBuffer, config.skipAcl], [700, 4_194_304, false])
  assert.equal(config.ensemble!.cnxTimeoutMs, 900)
  assert.deepEqual(warnings, [])
})

test('what lies beside the file', async () => {
  const machine = new World(1).process('zoo2')
  const read = new Promise<ParsedZooCfg[]>((resolve, reject) => {
    machine.start(async ({ files }) => {
      files.makeDirectory('/data')
      await replaceFile(files, '/data/myid', encodeUtf8('2\n'))
      await replaceFile(files, '/dynamic', encodeUtf8(THREE.split('\n').slice(4).join('\n')))
      const dynamic = `${MINIMAL}initLimit=10\nsyncLimit=5\ndynamicConfigFile=/dynamic`
      resolve([readZooCfg(files, THREE), readZooCfg(files, dynamic)])
      assert.throws(() => readZooCfg(files, `${dynamic}/none`), /\/dynamic\/none cannot be read \(ENO/)
      await replaceFile(files, '/data/myid', encodeUtf8('two'))
      assert.throws(() => readZooCfg(files, THREE), /myid has "two"/)
    }, reject)
  })
  await machine.world.run(1000)
  for (const { config } of await read) assert.deepEqual([config.ensemble!.sid, config.ensemble!.members.length], [2, 3])
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
