/** A broker whose ZooKeeper takes only who comes through TLS and knows a password. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { silentLogger } from '#platform'
import { nodePlatform } from '#platform/node'
import { ZooKeeperServer, parseZooCfg } from '#zookeeper/server'

import { Broker } from './broker.ts'
import { parseServerProperties } from './config/index.ts'
import { zooKeeperLoginOf, zooKeeperTlsOf } from './zookeeper-security.ts'

const STORES = join(import.meta.dirname, '../security/tls/testdata')
const platform = { ...nodePlatform({ logLevel: 'error' }), logger: silentLogger }
const TLS = `zookeeper.ssl.client.enable=true
zookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty
zookeeper.ssl.keystore.location=${STORES}/server.p12
zookeeper.ssl.keystore.password=secret
zookeeper.ssl.truststore.location=${STORES}/trust.p12
zookeeper.ssl.truststore.password=secret
`

function jaasIn(directory: string, client = 'username="kafka" password="pw"'): string {
  const path = join(directory, 'kafka jaas.conf')
  const module = 'org.apache.zookeeper.server.auth.DigestLoginModule required'
  writeFileSync(path, `Server { ${module} user_kafka="pw"; }; Client { ${module} ${client}; };`)
  return path
}

test('a broker registers through TLS and with a password', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'samsa-broker-'))
  const jaas = jaasIn(directory)
  const { config } = parseZooCfg(`dataDir=${directory}/zookeeper
    secureClientPort=0
    secureClientPortAddress=127.0.0.1
    admin.enableServer=false
    tickTime=100
    sessionRequireClientSASLAuth=true
    authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider
    java.security.auth.login.config=${jaas}
    ssl.keyStore.location=${STORES}/server.pem
    ssl.trustStore.location=${STORES}/authority.pem`)
  const zookeeper = await ZooKeeperServer.start(platform, config)
  t.after(async () => {
    await zookeeper.close()
    rmSync(directory, { recursive: true })
  })
  const properties = `${TLS}broker.id=1
    listeners=PLAINTEXT://127.0.0.1:0
    log.dirs=${directory}/broker
    zookeeper.connect=localhost:${zookeeper.securePort}
    zookeeper.session.timeout.ms=2000`
  const env = { KAFKA_OPTS: `-Xmx1G "-Djava.security.auth.login.config=${jaas}"` }
  const broker = await Broker.start(platform, parseServerProperties(properties, env))
  assert.ok(zookeeper.tree.find('/brokers/ids/1') !== undefined)
  await broker.close()
})

test('who the broker is, and how it connects', () => {
  const directory = mkdtempSync(join(tmpdir(), 'samsa-broker-'))
  const jaas = jaasIn(directory)
  const config = (lines: string, options = ''): ReturnType<typeof parseServerProperties> =>
    parseServerProperties(`broker.id=1\nzookeeper.connect=localhost:2181\n${lines}`, { KAFKA_OPTS: options })
  const login = (options: string): unknown => zooKeeperLoginOf(platform.files, config('', options))
  const file = `'-Djava.security.auth.login.config=${jaas}'`
  assert.equal(login(''), null)
  assert.deepEqual(login(file), { user: 'kafka', password: 'pw' })
  assert.equal(login(`${file} -Dzookeeper.sasl.client=false`), null)
  assert.throws(() => login(`${file} -Dzookeeper.sasl.clientconfig=Other`), /there is no section Other/)
  assert.throws(() => login(`${file} -Dzookeeper.sasl.clientconfig=Server`), /no username and password/)
  assert.throws(() => login('-Djava.security.auth.login.config=/nowhere'), /\/nowhere cannot be read \(ENOENT\)/)

  const tls = (lines: string) => zooKeeperTlsOf(platform.files, config(lines))
  assert.equal(tls(''), null)
  const { minVersion, maxVersion, verifyHost, identity } = tls(TLS)!
  assert.deepEqual([minVersion, maxVersion, verifyHost], ['TLSv1.2', 'TLSv1.2', true])
  assert.match(identity!.key, /PRIVATE KEY/)
  const other = tls(
    'zookeeper.ssl.client.enable=true\nzookeeper.ssl.enabled.protocols=TLSv1.3,TLSv1.2\nzookeeper.ssl.endpoint.identification.algorithm=',
  )!
  assert.deepEqual([other.minVersion, other.maxVersion, other.verifyHost], ['TLSv1.2', 'TLSv1.3', false])
  assert.deepEqual([other.identity, other.authorities], [null, null])
  assert.throws(
    () => tls(TLS.replace('server.p12', 'trust.jks')),
    /zookeeper\.ssl: .*trust\.jks is in Java's own format/,
  )
  assert.throws(() => config('zookeeper.ssl.crl.enable=true'), /zookeeper\.ssl\.crl\.enable=true is not carried out/)
  rmSync(directory, { recursive: true })
})
