/**
 * SASL and TLS between Apache's shell, our client, Apache's server and ours: each client hears the same from either server, and who
 * has no right gets nowhere.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { nodePlatform } from '#platform/node'
import { ZooKeeperClient, type ZooKeeperOptions } from '#zookeeper/client'

import { Ensemble, freePort, javaTool, type Implementation } from '../../peers/index.ts'
import { PASSWORD, STRANGER, USER, javaLogin, javaTls, ownTls, samsaLogin, stores, writeLogins } from './secured.ts'

const SUBJECT =
  '1.2.840.113549.1.9.1=#16056140622e63,CN=zk client,OU=a\\, b+UID=x,O=A\\=B \\#1\\;\\<x\\>\\",ST=Zürich,C=CH'
const AS_SASL = 'whoami\ncreate /sasl x auth::cdrwa\ngetAcl /sasl\nget /sasl\nget /x509\nquit\n'
const AS_X509 = 'whoami\ncreate /x509 x auth::cdrwa\ngetAcl /x509\nget /x509\nget /sasl\nquit\n'

const platform = nodePlatform({ logLevel: 'error' })

for (const implementation of ['samsa', 'apache'] as const)
  describe(`a secured server of ${implementation}`, () => {
    const directory = mkdtempSync(join(tmpdir(), 'samsa-secured-'))
    const right = writeLogins(directory)
    const wrong = writeLogins(directory, 'looking-glass')
    let ensemble: Ensemble
    let plain: string
    let secure: string

    before(async () => {
      const port = await freePort()
      ensemble = await startSecured(implementation, right, port)
      plain = ensemble.connect
      secure = `localhost:${port}`
    })

    after(async () => {
      await ensemble.close()
      rmSync(directory, { recursive: true })
    })

    test('takes Apache’s shell by its password, and by its certificate', async () => {
      const bySasl = await shell(plain, AS_SASL, javaLogin(right))
      assert.match(bySasl, new RegExp(`sasl: ${USER}\n`))
      assert.match(bySasl, /'sasl,'alice\n: cdrwa\nx\n/)
      assert.match(bySasl, /Created \/sasl\nNode does not exist: \/x509\n/)
      const byTls = await shell(secure, AS_X509, javaTls())
      assert.ok(byTls.includes(`x509: ${SUBJECT}\n`), byTls)
      assert.match(byTls, /'x509,'1\.2\.840.*\n: cdrwa\nx\n/)
      assert.match(byTls, /Created \/x509\nInsufficient permission : \/sasl\n/)
    })

    test('does not take who has the wrong password, the wrong certificate, or nothing to show', async () => {
      assert.match(await shell(plain, 'get /sasl\nquit\n', javaLogin(wrong)), /state:AuthFailed/)
      assert.match(await shell(plain, 'get /sasl\nget /x509\nquit\n', []), /Insufficient permission : \/sasl/)
      const stranger = await shell(secure, 'get /sasl\nquit\n', javaTls(STRANGER))
      assert.doesNotMatch(stranger, /SyncConnected/)
    })

    test('takes our client by both, and refuses it for the same reasons', async () => {
      const sasl = { user: USER, password: PASSWORD }
      const tls = ownTls(platform.files)
      assert.deepEqual(await idsOf({ connect: plain, sasl }), [`sasl:${USER}`])
      assert.deepEqual(await idsOf({ connect: secure, tls }), [`x509:${SUBJECT}`])
      assert.deepEqual(await idsOf({ connect: secure, tls, sasl }), [`sasl:${USER}`, `x509:${SUBJECT}`])
      await assert.rejects(idsOf({ connect: plain, sasl: { user: USER, password: 'x' } }), /AUTHFAILED/)
      const nobody = { connect: secure, tls: { ...tls, identity: null }, connectionTimeoutMs: 3000 }
      await assert.rejects(idsOf(nobody), /no ZooKeeper server/)
    })
  })

function startSecured(implementation: Implementation, logins: string, securePort: number): Promise<Ensemble> {
  return Ensemble.start({
    servers: [implementation],
    jvm: javaLogin(logins),
    properties: {
      ...(implementation === 'samsa' ? samsaLogin(logins) : {}),
      ...stores('ssl.'),
      serverCnxnFactory: 'org.apache.zookeeper.server.NettyServerCnxnFactory',
      secureClientPort: securePort,
      secureClientPortAddress: '127.0.0.1',
      'authProvider.sasl': 'org.apache.zookeeper.server.auth.SASLAuthenticationProvider',
    },
  })
}

async function shell(connect: string, input: string, jvm: string[]): Promise<string> {
  const utf8 = ['-Dfile.encoding=UTF-8', '-Dstdout.encoding=UTF-8', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
  const options = { input, timeoutMs: 60_000, mayFail: true, jvm: [...utf8, ...jvm] }
  const { stdout, stderr } = await javaTool('zookeeper-shell', ['-server', connect], options)
  return `${stdout}${stderr}`.replaceAll(/^\n/gm, '')
}

/** Besides the address. */
async function idsOf(options: Omit<ZooKeeperOptions, 'sessionTimeoutMs'>): Promise<string[]> {
  const client = await ZooKeeperClient.connect(platform, { sessionTimeoutMs: 6000, ...options })
  try {
    const ids = (await client.whoAmI()).map(({ authScheme, user }) => `${authScheme}:${user}`)
    return ids.filter((id) => !id.startsWith('ip:')).sort()
  } finally {
    await client.close()
  }
}
