import assert from 'node:assert/strict'
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { nodePlatform } from '#platform/node'

import { subjectOf } from './distinguished-name.ts'
import { KeyStoreError, readAuthorities, readIdentity } from './key-stores.ts'

const { files } = nodePlatform({ logLevel: 'error' })
const path = (name: string): string => join(import.meta.dirname, 'testdata', name)
const store = (name: string, password = 'secret', type: string | null = null): Parameters<typeof readIdentity>[1] => ({
  location: path(name),
  password,
  type,
})
const subjects = (pem: string): string[] =>
  pem.match(/-----BEGIN.*?-----END CERTIFICATE-----/gs)!.map((one) => subjectOf(new X509Certificate(one).raw))

test('a key store gives a key and the certificates that lead up to an authority, whatever its format', () => {
  const server = ['CN=server,O=Samsa,C=CH', 'CN=Samsa test authority for servers']
  for (const name of ['server.pem', 'server.p12']) {
    const { key, certificates } = readIdentity(files, store(name))
    assert.deepEqual(subjects(certificates), server, name)
    assert.ok(new X509Certificate(certificates).checkPrivateKey(createPrivateKey(key)), name)
  }
  for (const name of ['client.pem', 'client-3des.p12'])
    assert.equal(subjects(readIdentity(files, store(name)).certificates).length, 1, name)
  assert.deepEqual(
    readIdentity(files, store('server.p12', 'secret', 'pkcs12')),
    readIdentity(files, store('server.pem')),
  )
})

test('a trust store gives its certificates', () => {
  const authority = ['CN=Samsa test authority']
  for (const name of ['authority.pem', 'trust.p12'])
    assert.deepEqual(readAuthorities(files, store(name)).flatMap(subjects), authority, name)
})

test('what cannot be used is told, with what would be right', () => {
  const rows: [Parameters<typeof readIdentity>[1], RegExp][] = [
    [store('trust.jks'), /trust\.jks is in Java's own format .* keytool -importkeystore -srckeystore .*trust\.p12/],
    [store('trust.jks', 'secret', 'PKCS12'), /Java's own format/],
    [store('server.p12', 'wrong'), /server\.p12 cannot be read: the password does not open/],
    [store('client-3des.p12', 'wrong'), /client-3des\.p12 cannot be read: the password does not open/],
    [store('client.pem', 'wrong'), /the password does not open its private key/],
    [store('client.pem', ''), /the password does not open its private key/],
    [store('trust-rc2.p12'), /\(1\.2\.840\.113549\.1\.12\.1\.6\) is not carried out.* keytool -importkeystore/],
    [store('trust.p12'), /holds no private key/],
    [store('authority.pem'), /holds no private key/],
    [store('README.md', '', 'PEM'), /damaged, or is no PEM file/],
    [store('README.md', '', 'PKCS12'), /damaged, or is no PKCS12 file/],
    [store('client.crt'), /its ending tells no type/],
    [store('client.crt', '', 'BCFKS'), /is of type BCFKS: PEM and PKCS12 are read/],
    [store('missing.pem'), /missing\.pem cannot be read \(ENOENT\)/],
  ]
  for (const [options, expected] of rows)
    assert.throws(
      () => readIdentity(files, options),
      (error) => error instanceof KeyStoreError && expected.test(error.message),
      `${options.location} ${String(expected)}`,
    )
})

test('a damaged store is refused, wherever the damage is', () => {
  const whole = readFileSync(path('server.p12'))
  const broken = { ...files, readFile: (): Uint8Array => damaged }
  let damaged = new Uint8Array(0)
  for (let length = 0; length < whole.length - 200; length += 7) {
    damaged = new Uint8Array(whole.subarray(0, length))
    assert.throws(() => readIdentity(broken, store('x.p12')), KeyStoreError, String(length))
  }
})

test('a name is spelt as Java spells it', () => {
  const client = new X509Certificate(readFileSync(path('client.crt'))).raw
  assert.equal(
    subjectOf(client),
    '1.2.840.113549.1.9.1=#16056140622e63,CN=zk client,OU=a\\, b+UID=x,O=A\\=B \\#1\\;\\<x\\>\\",ST=Zürich,C=CH',
  )
})
