/** Who may come in, and as whom, over real sockets: SASL, certificates, schemes that are enforced. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import type { Platform, TlsConnectOptions } from '#platform'
import { nodePlatform } from '#platform/node'
import { DigestMd5Client } from '#security/sasl'
import { TlsNetwork, readAuthorities, readIdentity } from '#security/tls'
import { Perms, type Acl } from '#zookeeper/protocol'

import { parseZooCfg } from './config.ts'
import { PlainClient } from './plain-client.ts'
import { ZooKeeperServer } from './server.ts'

const STORES = join(import.meta.dirname, '../../security/tls/testdata')
const SUBJECT =
  '1.2.840.113549.1.9.1=#16056140622e63,CN=zk client,OU=a\\, b+UID=x,O=A\\=B \\#1\\;\\<x\\>\\",ST=Zürich,C=CH'
const JAAS = `
Server {
  org.apache.zookeeper.server.auth.DigestLoginModule required
  user_alice="wonderland" user_bob="builder" user_root="beer";
};`
const SASL = `authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider
java.security.auth.login.config=JAAS
`
const TLS = `secureClientPort=0
secureClientPortAddress=127.0.0.1
ssl.keyStore.location=${STORES}/server.pem
ssl.trustStore.location=${STORES}/trust.p12
ssl.trustStore.password=secret
`

const platform = nodePlatform({ logLevel: 'error' })
const servers: ZooKeeperServer[] = []
const folder = mkdtempSync(join(tmpdir(), 'samsa-'))
writeFileSync(join(folder, 'jaas.conf'), JAAS)

after(async () => {
  for (const server of servers) await server.close()
  rmSync(folder, { recursive: true })
})

async function start(lines: string, clientPort = 'clientPort=0'): Promise<ZooKeeperServer> {
  const data = mkdtempSync(join(folder, 'data-'))
  const text = `dataDir=${data}\n${clientPort}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\npreAllocSize=64\n4lw.commands.whitelist=*\n${lines}`
  const { config } = parseZooCfg(text.replaceAll('JAAS', join(folder, 'jaas.conf')))
  const server = await ZooKeeperServer.start(platform, config)
  servers.push(server)
  return server
}

function connect(port: number, over: Platform = platform): Promise<PlainClient> {
  return PlainClient.connect(over, port, { host: 'localhost' })
}

/** The error of the last answer. */
async function login(client: PlainClient, user: string, password: string): Promise<string> {
  const sasl = new DigestMd5Client({ user, password, service: 'zookeeper', host: 'zk-sasl-md5', cnonce: 'C' })
  const first = await client.ask('sasl', { token: new Uint8Array(0) })
  if (first.body?.token == null) return first.err === 'OK' ? 'no SASL' : first.err
  const second = await client.ask('sasl', { token: sasl.evaluate(first.body.token) })
  if (second.err === 'OK') sasl.evaluate(second.body!.token!)
  return second.err
}

function tls(identity: string | null): Platform {
  const connectOptions: TlsConnectOptions = {
    identity:
      identity === null
        ? null
        : readIdentity(platform.files, { location: join(STORES, identity), password: 'secret', type: null }),
    authorities: readAuthorities(platform.files, { location: join(STORES, 'authority.pem'), password: '', type: null }),
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: null,
    verifyHost: true,
  }
  return { ...platform, network: new TlsNetwork(platform.network, { listen: null, connect: connectOptions }) }
}

const acl = (scheme: string, id: string): Acl[] => [{ perms: Perms.ALL, id: { scheme, id } }]
const node = (path: string, list: Acl[]) => ({ path, data: null, acl: list, flags: 0 })

async function whoIs(client: PlainClient): Promise<string[]> {
  const { body } = await client.ask('whoAmI', null)
  return body!.clientInfo.map(({ authScheme, user }) => `${authScheme}:${user}`).filter((id) => !id.startsWith('ip:'))
}

test('a client that proves its password by SASL is who it says, and ACLs know it', async () => {
  const server = await start(`${SASL}superUser=root\nletAnySaslUserDoX=anyone\n`)
  const alice = await connect(server.port)
  assert.equal(await login(alice, 'alice', 'wonderland'), 'OK')
  assert.deepEqual(await whoIs(alice), ['sasl:alice'])
  for (const [path, list] of [
    ['/alice', acl('sasl', 'alice')],
    ['/all', acl('sasl', 'anyone')],
    ['/own', acl('auth', '')],
  ] as const)
    assert.equal((await alice.ask('create', node(path, list))).err, 'OK', path)
  assert.deepEqual((await alice.ask('getACL', { path: '/own' })).body!.acl, acl('sasl', 'alice'))
  assert.equal((await alice.ask('create', node('/bad', acl('sasl', 'a@b@c')))).err, 'INVALIDACL')

  const [bob, nobody, root] = [await connect(server.port), await connect(server.port), await connect(server.port)]
  assert.equal(await login(bob, 'bob', 'builder'), 'OK')
  assert.equal(await login(root, 'root', 'beer'), 'OK')
  assert.deepEqual(await whoIs(root), ['sasl:root', 'super:'])
  const read = async (client: PlainClient): Promise<string[]> =>
    Promise.all(
      ['/alice', '/all', '/own'].map(async (path) => (await client.ask('getData', { path, watch: false })).err),
    )
  assert.deepEqual(await read(bob), ['NOAUTH', 'OK', 'NOAUTH'])
  assert.deepEqual(await read(nobody), ['NOAUTH', 'NOAUTH', 'NOAUTH'])
  assert.deepEqual(await read(root), ['OK', 'OK', 'OK'])
})

test('who does not know the password is refused and loses its connection', async () => {
  const server = await start(SASL)
  for (const [user, password] of [
    ['alice', 'wrong'],
    ['mallory', 'wonderland'],
  ] as const) {
    const client = await connect(server.port)
    assert.equal(await login(client, user, password), 'AUTHFAILED')
    await client.ended
  }
  const lenient = await start(`${SASL}allowSaslFailedClients=true`)
  const client = await connect(lenient.port)
  assert.equal((await client.ask('sasl', { token: new Uint8Array(0) })).err, 'OK')
  assert.deepEqual((await client.ask('sasl', { token: new TextEncoder().encode('nonsense') })).body, { token: null })
  assert.deepEqual(await whoIs(client), [])
})

test('without SASL a server says so, and has no ACLs of it', async () => {
  const server = await start('')
  const client = await connect(server.port)
  assert.equal(await login(client, 'alice', 'wonderland'), 'no SASL')
  assert.equal((await client.ask('create', node('/a', acl('sasl', 'alice')))).err, 'INVALIDACL')
  assert.equal((await client.ask('create', node('/a', acl('x509', 'CN=a')))).err, 'INVALIDACL')
})

test('where a scheme is enforced, nothing is answered to who has not shown it', async () => {
  const rows: [string, string][] = [
    ['sessionRequireClientSASLAuth=true\n', 'sasl'],
    [
      'enforce.auth.enabled=true\nenforce.auth.schemes=sasl, x509\nauthProvider.2=org.apache.zookeeper.server.auth.X509AuthenticationProvider\n',
      'sasl',
    ],
    ['enforce.auth.enabled=true\nenforce.auth.schemes=digest\n', 'digest'],
  ]
  for (const [lines, scheme] of rows) {
    const server = await start(SASL + lines)
    const nobody = await connect(server.port)
    assert.equal((await nobody.ask('exists', { path: '/', watch: false })).err, 'SESSIONCLOSEDREQUIRESASLAUTH')
    await nobody.ended

    const client = await connect(server.port)
    if (scheme === 'sasl') assert.equal(await login(client, 'alice', 'wonderland'), 'OK')
    else
      assert.equal((await client.ask('auth', { type: 0, scheme, auth: new TextEncoder().encode('a:b') }, -4)).err, 'OK')
    assert.equal((await client.ask('exists', { path: '/', watch: false })).err, 'OK')
  }
  const server = await start(`${SASL}sessionRequireClientSASLAuth=true`)
  const client = await connect(server.port)
  assert.equal(await login(client, 'alice', 'wrong'), 'SESSIONCLOSEDREQUIRESASLAUTH')
  await client.ended
})

test('the digest of passwords can be another, and the scheme can be left out', async () => {
  const proof = { type: 0, scheme: 'digest', auth: new TextEncoder().encode('super:admin') }
  const sha256 = 'super:wtZw1Um4mq1rRKbXqxHs8ueodBP35/JhtBP/nwJ62WY='
  const server = await start(
    `DigestAuthenticationProvider.digestAlg=SHA-256\nDigestAuthenticationProvider.superDigest=${sha256}\n`,
  )
  const client = await connect(server.port)
  assert.equal((await client.ask('auth', proof, -4)).err, 'OK')
  assert.deepEqual(await whoIs(client), ['super:', 'digest:super'])

  const without = await connect((await start('DigestAuthenticationProvider.enabled=false')).port)
  assert.equal((await without.ask('create', node('/a', acl('digest', 'a:b')))).err, 'INVALIDACL')
  assert.equal((await without.ask('auth', proof, -4)).err, 'AUTHFAILED')
  await without.ended
})

test('a certificate is an id, spelt as Java spells it', async () => {
  const server = await start(TLS)
  const client = await connect(server.securePort, tls('client.pem'))
  assert.deepEqual(await whoIs(client), [`x509:${SUBJECT}`])
  assert.equal((await client.ask('create', node('/mine', acl('x509', SUBJECT)))).err, 'OK')
  assert.equal((await client.ask('create', node('/bad', acl('x509', 'no name')))).err, 'INVALIDACL')
  const other = await connect(server.securePort, tls('server.pem'))
  assert.equal((await other.ask('getData', { path: '/mine', watch: false })).err, 'NOAUTH')
  const plain = await connect(server.port)
  assert.equal((await plain.ask('getData', { path: '/mine', watch: false })).err, 'NOAUTH')

  const superUser = await start(`${TLS}X509AuthenticationProvider.superUser=CN=server,O=Samsa,C=CH`)
  const root = await connect(superUser.securePort, tls('server.pem'))
  assert.deepEqual(await whoIs(root), ['super:CN=server,O=Samsa,C=CH', 'x509:CN=server,O=Samsa,C=CH'])
})

test('no session comes of a handshake that fails, and nobody else notices (ZOOKEEPER-3905)', async () => {
  const server = await start(TLS)
  const before = await connect(server.securePort, tls('client.pem'))
  const zxid = server.tree.lastZxid
  for (const identity of [null, 'stranger.pem']) await assert.rejects(openSession(server.securePort, tls(identity)))
  await assert.rejects(openSession(server.securePort, platform))
  assert.equal((await before.ask('exists', { path: '/', watch: false })).err, 'OK')
  assert.equal(server.tree.lastZxid, zxid)
  assert.equal(server.tree.sessions.size, 1)
  assert.match(server.adminWord('mntr'), /zk_unsuccessful_handshake\t3\n/)

  const lenient = await start(`${TLS}ssl.clientAuth=want`)
  assert.deepEqual(await whoIs(await connect(lenient.securePort, tls(null))), [])
  await assert.rejects(openSession(lenient.securePort, tls('stranger.pem')))
})

async function openSession(port: number, over: Platform): Promise<void> {
  const client = await connect(port, over)
  if (client.welcome === null) throw new Error('no session')
}

test('one port for both, and a server with TLS only', async () => {
  const both = await start(`${TLS.replace(/^secure.*$/gm, '')}client.portUnification=true`)
  assert.equal(both.securePort, 0)
  assert.deepEqual(await whoIs(await connect(both.port, tls('client.pem'))), [`x509:${SUBJECT}`])
  assert.deepEqual(await whoIs(await connect(both.port)), [])

  const secure = await start(TLS, '')
  assert.equal(secure.port, 0)
  assert.deepEqual(await whoIs(await connect(secure.securePort, tls('client.pem'))), [`x509:${SUBJECT}`])
})

test('a file that cannot be used stops the start, with what would be right', async () => {
  const rows: [string, RegExp][] = [
    [SASL.replace('JAAS', '/nowhere'), /\/nowhere cannot be read \(ENOENT\)/],
    [`${SASL}sasl.serverconfig=Other\n`, /jaas\.conf: there is no section Other/],
    [TLS.replace('server.pem', 'trust.jks'), /Java's own format/],
    [TLS.replace('=secret', '=wrong'), /trust\.p12 cannot be read: the password/],
    [`${TLS}ssl.keyStore.passwordPath=/nowhere\n`, /\/nowhere cannot be read/],
    [`${TLS}ssl.ciphersuites=TLS_NULL\n`, /there is no cipher TLS_NULL/],
  ]
  for (const [lines, expected] of rows) await assert.rejects(start(lines), expected, lines)
})

test('settings that contradict each other are told', () => {
  const rows: [string, RegExp][] = [
    ['secureClientPort=1', /ssl\.keyStore\.location is missing/],
    ['client.portUnification=true', /ssl\.keyStore\.location is missing/],
    ['sslQuorum=true', /ssl\.quorum\.keyStore\.location is missing/],
    ['sessionRequireClientSASLAuth=true', /that scheme is not there: add authProvider\.sasl/],
    ['enforce.auth.enabled=true', /wants enforce\.auth\.schemes/],
    ['enforce.auth.enabled=true\nenforce.auth.schemes=x509', /add authProvider\.x509/],
    ['authProvider.1=com.example.Mine', /com\.example\.Mine is not carried out/],
    ['authProvider.sasl=a.b.SASLAuthenticationProvider\nsessionRequireClientSASLAuth=true', /names no file with users/],
    ['ssl.clientAuth=maybe', /ssl\.clientAuth=maybe is not need or want or none/],
    ['ssl.enabledProtocols=TLSv1.2,SSLv3', /SSLv3 is not TLSv1 or/],
    ['ssl.context.supplier.class=com.example.Mine', /asks for security/],
    ['DigestAuthenticationProvider.digestAlg=ROT13', /there is no such digest/],
    ['quorum.auth.serverRequireSasl=true', /want quorum\.auth\.enableSasl=true/],
    ['quorum.auth.enableSasl=true\nquorum.auth.serverRequireSasl=true', /wants quorum\.auth\.learnerRequireSasl=true/],
    ['quorum.auth.enableSasl=true', /names no file with users/],
  ]
  for (const [lines, message] of rows)
    assert.throws(() => parseZooCfg(`dataDir=/d\nclientPort=1\n${lines}`), { name: 'ZooCfgError', message }, lines)
})
