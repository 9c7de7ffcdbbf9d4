import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { nodePlatform } from '#platform/node'

import { UserError } from '../user-error.ts'
import { clientSecurityOf, type ClientSecurity } from './client-configuration.ts'

const directory = mkdtempSync(join(tmpdir(), 'samsa-zk-client-'))
after(() => rmSync(directory, { recursive: true, force: true }))

const { files } = nodePlatform({ logLevel: 'error' })
const STORES = join(import.meta.dirname, '../../security/tls/testdata')

function read(lines: readonly string[] | null, env: NodeJS.ProcessEnv = {}): ClientSecurity {
  const file = join(directory, 'client.properties')
  if (lines !== null) writeFileSync(file, lines.join('\n'))
  return clientSecurityOf(files, lines === null ? null : file, env)
}

test('nothing is asked for unless it is said', () => {
  assert.deepEqual(read(null), {})
  assert.deepEqual(read(['# zookeeper.client.secure=true', 'zookeeper.ssl.trustStore.location=/nowhere']), {})
})

test('TLS is read from stores, versions and the host check', () => {
  const { tls } = read([
    'zookeeper.client.secure = true',
    `zookeeper.ssl.trustStore.location=${STORES}/authority.pem`,
    'zookeeper.ssl.protocol=TLSv1.3',
    'zookeeper.ssl.hostnameVerification=false',
  ])
  assert.equal(tls?.authorities?.length, 1)
  assert.deepEqual(
    [tls?.identity, tls?.minVersion, tls?.maxVersion, tls?.verifyHost],
    [null, 'TLSv1.3', 'TLSv1.3', false],
  )
})

test("a login is the Client section of a JAAS file, named in the file or in Java's flags", () => {
  const jaas = join(directory, 'jaas.conf')
  writeFileSync(
    jaas,
    'Client {\n  org.apache.zookeeper.server.auth.DigestLoginModule required username="kim" password="secret";\n};\n',
  )
  const login = { sasl: { user: 'kim', password: 'secret' } }
  assert.deepEqual(read([`java.security.auth.login.config=${jaas}`]), login)
  assert.deepEqual(read(null, { CLIENT_JVMFLAGS: `-Xmx64m -Djava.security.auth.login.config=${jaas}` }), login)
  assert.deepEqual(read([`java.security.auth.login.config=${jaas}`, 'zookeeper.sasl.clientconfig=Other']), {})
  assert.deepEqual(read([`java.security.auth.login.config=${jaas}`, 'zookeeper.sasl.client=false']), {})
})

test('what cannot be used is told', () => {
  const secure = 'zookeeper.client.secure=true'
  for (const lines of [
    [secure, 'zookeeper.ssl.trustStore.location=/nowhere.pem'],
    [secure, 'zookeeper.ssl.protocol=SSLv3'],
    ['java.security.auth.login.config=/nowhere'],
  ])
    assert.throws(
      () => read(lines),
      (error) => error instanceof UserError,
      lines.join(),
    )
})
