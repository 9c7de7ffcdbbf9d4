import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Perms, type Acl, type Id } from '#zookeeper/protocol'

import {
  AclCache,
  digestIdOf,
  isDigestAlgorithm,
  permits,
  resolveAcl,
  unsharedAcl,
  withoutHashes,
  type AclRules,
} from './acl.ts'
import { addressMatches, isAddressExpression } from './addresses.ts'

const acl = (perms: number, scheme: string, id: string): Acl => ({ perms, id: { scheme, id } })
const id = (scheme: string, name: string): Id => ({ scheme, id: name })

test('a digest id is the SHA-1 of user and password', () => {
  assert.equal(digestIdOf('u:p'), 'u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=')
  assert.equal(digestIdOf('super:admin'), 'super:xQJmxLMiHGwaqBvst5y6rkB6HQs=')
})

test('the digest may be another, by Java’s names', () => {
  assert.equal(digestIdOf('super:admin', 'SHA-256'), 'super:wtZw1Um4mq1rRKbXqxHs8ueodBP35/JhtBP/nwJ62WY=')
  assert.equal(digestIdOf('u:p', 'sha-1'), digestIdOf('u:p'))
  for (const name of ['MD5', 'SHA', 'SHA-224', 'SHA-512/256', 'SHA3-384']) assert.ok(digestIdOf('u:p', name), name)
  assert.ok(isDigestAlgorithm('SHA-512') && !isDigestAlgorithm('CRC32'))
})

test('who is permitted what', () => {
  const { READ, WRITE, ADMIN } = Perms
  const rows: [Acl[], number, Id[], boolean][] = [
    [[acl(READ, 'world', 'anyone')], READ, [], true],
    [[acl(READ, 'world', 'anyone')], WRITE, [], false],
    [[acl(READ, 'world', 'anyone')], READ | ADMIN, [], true],
    [[acl(WRITE, 'digest', 'u:h')], WRITE, [id('digest', 'u:h')], true],
    [[acl(WRITE, 'digest', 'u:h')], WRITE, [id('digest', 'u:other')], false],
    [[acl(WRITE, 'digest', 'u:h')], READ, [id('digest', 'u:h')], false],
    [[acl(WRITE, 'ip', '10.0.0.0/8')], WRITE, [id('ip', '10.9.8.7')], true],
    [[acl(WRITE, 'ip', '10.0.0.0/8')], WRITE, [id('digest', '10.9.8.7')], false],
    [[acl(0, 'world', 'anyone')], READ, [id('super', '')], true],
    [[], WRITE, [], true],
  ]
  for (const [list, perms, ids, expected] of rows)
    assert.equal(permits(unsharedAcl(list), perms, ids), expected, JSON.stringify([list, perms, ids]))
})

test('what a client asks for becomes what a znode gets, or nothing', () => {
  const alice = [id('ip', '1.2.3.4'), id('digest', 'alice:h')]
  assert.deepEqual(resolveAcl([acl(3, 'auth', '')], alice), [acl(3, 'digest', 'alice:h')])
  assert.deepEqual(resolveAcl([acl(3, 'digest', 'a:b'), acl(3, 'digest', 'a:b')], []), [acl(3, 'digest', 'a:b')])
  for (const refused of [
    [],
    [acl(3, 'auth', '')],
    [acl(3, 'nobody', 'x')],
    [acl(3, '', '')],
    [acl(3, 'world', 'everyone')],
    [acl(3, 'digest', 'nocolon')],
    [acl(3, 'digest', 'a:b:c')],
    [acl(3, 'ip', '1.2.3')],
  ])
    assert.equal(resolveAcl(refused, [id('ip', '1.2.3.4')]), null, JSON.stringify(refused))
})

const ALL_SCHEMES: AclRules = { schemes: new Set(['digest', 'ip', 'sasl', 'x509']), anySaslUser: 'anyone' }

test('sasl and x509 are there where the rules have them, and match nobody elsewhere', () => {
  const list = [acl(1, 'sasl', 'alice'), acl(1, 'x509', 'CN=a,O=b')]
  const alice = [id('sasl', 'alice'), id('x509', 'CN=a,O=b')]
  assert.equal(permits(unsharedAcl(list), 1, alice), false)
  for (const one of alice) assert.equal(permits(unsharedAcl(list), 1, [one], ALL_SCHEMES), true, one.scheme)
  assert.equal(resolveAcl(list, []), null)
  assert.deepEqual(resolveAcl(list, [], ALL_SCHEMES), list)
  assert.equal(resolveAcl([acl(1, 'auth', '')], alice), null)
  assert.deepEqual(resolveAcl([acl(1, 'auth', '')], alice, ALL_SCHEMES), list)
})

test('some users of sasl are more than themselves', () => {
  const rows: [string, string, boolean][] = [
    ['bob', 'alice', false],
    ['super', 'alice', true],
    ['bob', 'anyone', true],
    ['anyone', 'bob', false],
  ]
  for (const [user, wanted, expected] of rows)
    assert.equal(permits(unsharedAcl([acl(1, 'sasl', wanted)]), 1, [id('sasl', user)], ALL_SCHEMES), expected, user)
})

test('what is no name of its scheme is no ACL', () => {
  const rows: [string, string, boolean][] = [
    ['sasl', 'alice', true],
    ['sasl', 'zookeeper/host.example@REALM', true],
    ['sasl', 'a@b@c', false],
    ['x509', 'CN=a\\, b+UID=x,1.2.3=#0401ff', true],
    ['x509', 'alice', false],
    ['x509', 'CN=a,alice', false],
  ]
  for (const [scheme, name, expected] of rows)
    assert.equal(resolveAcl([acl(1, scheme, name)], [], ALL_SCHEMES) !== null, expected, name)
})

test('hashes are hidden, other ids are not', () => {
  assert.deepEqual(withoutHashes([acl(1, 'digest', 'a:hash'), acl(1, 'ip', '::1')]), [
    acl(1, 'digest', 'a:x'),
    acl(1, 'ip', '::1'),
  ])
})

test('znodes share equal lists, and a list goes with its last znode', () => {
  const cache = new AclCache()
  const one = cache.use([acl(1, 'digest', 'a:b')])
  assert.equal(cache.use([acl(1, 'digest', 'a:b')]), one)
  // Neither of these may be taken for the other, whatever their texts hold.
  assert.notEqual(
    cache.use([acl(1, 'digest', 'a:b1,6,1:digestc')]),
    cache.use([acl(1, 'digest', 'a:b'), acl(1, 'digest', 'c')]),
  )
  assert.equal(cache.size, 3)
  cache.release(one)
  assert.equal(cache.size, 3)
  cache.release(one)
  assert.equal(cache.size, 2)
})

test('a list that a snapshot named and no znode has is forgotten', () => {
  const cache = new AclCache()
  cache.load(7n, [acl(1, 'digest', 'a:b')])
  cache.load(9n, [acl(2, 'digest', 'a:b')])
  assert.equal(cache.useById(7n)!.id, 7n)
  assert.equal(cache.useById(8n), undefined)
  cache.forgetUnused()
  assert.deepEqual(
    cache.entries().map(([number]) => number),
    [7n],
  )
  assert.equal(cache.use([acl(4, 'digest', 'a:b')]).id, 10n)
})

test('addresses and networks', () => {
  const rows: [string, string, boolean][] = [
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['10.1.2.3', '10.0.0.0/8', true],
    ['10.1.2.3', '10.1.2.0/31', false],
    ['10.1.2.3', '10.1.2.2/31', true],
    ['11.1.2.3', '0.0.0.0/0', true],
    ['fe80::1', 'fe80::/10', true],
    ['fec0::1', 'fe80::/10', false],
    ['::1', '0:0:0:0:0:0:0:1', true],
    ['::1', '10.0.0.0/8', false],
  ]
  for (const [address, expression, expected] of rows)
    assert.equal(addressMatches(address, expression), expected, `${address} in ${expression}`)
  for (const expression of ['1.2.3.4', '1.2.3.4/32', '::/0', '1:2:3:4:5:6:7:8', '1::8'])
    assert.ok(isAddressExpression(expression), expression)
  for (const expression of [
    '',
    '1.2.3',
    '1.2.3.256',
    '1.2.3.4/33',
    '1.2.3.4/',
    '1.2.3.4/x',
    ':::',
    '1::2::3',
    '12345::',
    '1:2:3:4:5:6:7:8:9',
    'host',
  ])
    assert.ok(!isAddressExpression(expression), expression)
})
