/** Our client shows who it is, by SASL and by certificate, and makes the server show it, too. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { silentLogger, type TlsConnectOptions } from '#platform'
import { nodePlatform } from '#platform/node'
import { World } from '#simulation'
import { readAuthorities, readIdentity } from '#security/tls'
import { ZooKeeperServer, parseZooCfg } from '#zookeeper/server'

import { ZooKeeperClient } from './client.ts'
import { ScriptedServer } from './scripted-server.ts'
import type { ZooKeeperOptions } from './session.ts'

const STORES = join(import.meta.dirname, '../../security/tls/testdata')
const platform = { ...nodePlatform({ logLevel: 'error' }), logger: silentLogger }
const folder = mkdtempSync(join(tmpdir(), 'samsa-'))
let server: ZooKeeperServer

before(async () => {
  const jaas = join(folder, 'jaas.conf')
  writeFileSync(jaas, 'Server { a.DigestLoginModule required user_alice="wonderland"; };')
  const { config } = parseZooCfg(`dataDir=${folder}/data
    clientPort=0
    clientPortAddress=127.0.0.1
    secureClientPort=0
    secureClientPortAddress=127.0.0.1
    admin.enableServer=false
    preAllocSize=64
    authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider
    java.security.auth.login.config=${jaas}
    ssl.keyStore.location=${STORES}/server.p12
    ssl.keyStore.password=secret
    ssl.trustStore.location=${STORES}/authority.pem`)
  server = await ZooKeeperServer.start(platform, config)
})

after(async () => {
  await server.close()
  rmSync(folder, { recursive: true })
})

function tls(identity: string): TlsConnectOptions {
  const store = (name: string): Parameters<typeof readIdentity>[1] => ({
    location: join(STORES, name),
    password: 'secret',
    type: null,
  })
  return {
    identity: readIdentity(platform.files, store(identity)),
    authorities: readAuthorities(platform.files, store('trust.p12')),
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: null,
    verifyHost: true,
  }
}

/** Besides the address. */
async function idsOf(options: Partial<ZooKeeperOptions>): Promise<string[]> {
  const port = options.tls === undefined ? server.port : server.securePort
  const connect = `localhost:${port}`
  const client = await ZooKeeperClient.connect(platform, { connect, sessionTimeoutMs: 6000, ...options })
  try {
    const ids = (await client.whoAmI()).map(({ authScheme, user }) => `${authScheme}:${user}`)
    return ids.filter((id) => !id.startsWith('ip:')).sort()
  } finally {
    await client.close()
  }
}

test('the client is who it shows to be', async () => {
  const sasl = { user: 'alice', password: 'wonderland' }
  assert.deepEqual(await idsOf({ sasl }), ['sasl:alice'])
  assert.deepEqual(await idsOf({ tls: tls('server.pem') }), ['x509:CN=server,O=Samsa,C=CH'])
  assert.deepEqual(await idsOf({ tls: tls('server.pem'), sasl }), ['sasl:alice', 'x509:CN=server,O=Samsa,C=CH'])
})

test('a wrong password ends the session, a wrong certificate gets none', async () => {
  await assert.rejects(idsOf({ sasl: { user: 'alice', password: 'x' } }), /AUTHFAILED/)
  await assert.rejects(idsOf({ tls: tls('stranger.pem'), connectionTimeoutMs: 500 }), /no ZooKeeper server/)
})

test('nothing is sent before the server has shown that it knows the password', async () => {
  const world = new World(1)
  const scripted = new ScriptedServer('zk')
  const challenge = 'realm="zk-sasl-md5",nonce="N",charset=utf-8,algorithm=md5-sess'
  scripted.onRequest = ({ name }) => {
    const token = scripted.requests('sasl').length === 1 ? challenge : 'rspauth=00000000000000000000000000000000'
    return name === 'sasl' ? { body: { token: new TextEncoder().encode(token) } } : {}
  }
  world.process('zk').start(scripted.run)
  await world.run(10)
  let failure = ''
  world.process('client').start(async (platform) => {
    const options = {
      connect: 'zk:2181',
      sessionTimeoutMs: 6000,
      auth: [{ scheme: 'digest', auth: new Uint8Array(1) }],
    }
    await ZooKeeperClient.connect(platform, { ...options, sasl: { user: 'a', password: 'b' } }).catch(
      (error: Error) => (failure = error.message),
    )
  })
  await world.run(1000)
  assert.equal(failure, 'AUTHFAILED (/)')
  assert.deepEqual(
    scripted.received.map(({ name }) => name),
    ['sasl', 'sasl'],
  )
})
