import assert from 'node:assert/strict'
import { test } from 'node:test'

import { DigestMd5Client, DigestMd5Server, SaslError, parseDirectives } from './digest-md5.ts'
import { JaasError, loginOf, parseJaas, usersOf } from './jaas.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (token: Uint8Array | null): string => new TextDecoder().decode(token ?? new Uint8Array(0))

/** RFC 2831, section 4; and an exchange of Apache ZooKeeper's, computed by Java 17. */
const EXCHANGES = [
  {
    user: 'chris',
    password: 'secret',
    service: 'imap',
    realm: 'elwood.innosoft.com',
    nonce: 'OA6MG9tEQGm2hh',
    cnonce: 'OA6MHXh6VqTrRk',
    response: 'd388dad90d4bbd760a152321f2143af7',
    rspauth: 'ea40f60335c427b5527b84dbabcdfffd',
  },
  {
    user: 'chris',
    password: 'secret',
    service: 'acap',
    realm: 'elwood.innosoft.com',
    nonce: 'OA9BSXrbuRhWay',
    cnonce: 'OA9BSuZWMSpW8m',
    response: '6084c6db3fede7352c551284490fd0fc',
    rspauth: '2f0b3d7c3c2e486600ef710726aa2eae',
  },
]

function serverOf(overrides: Partial<ConstructorParameters<typeof DigestMd5Server>[0]> = {}): DigestMd5Server {
  const passwordOf = (user: string): string | null => (user === 'alice' ? 'pä"ß\\' : user === 'łu' ? 'x' : null)
  return new DigestMd5Server({ realm: 'zk-sasl-md5', service: 'zookeeper', nonce: 'N', passwordOf, ...overrides })
}

function clientOf(user: string, password: string): DigestMd5Client {
  return new DigestMd5Client({ user, password, service: 'zookeeper', host: 'zk-sasl-md5', cnonce: 'C' })
}

test('the examples of the RFC', () => {
  for (const { user, password, service, realm, nonce, cnonce, response, rspauth } of EXCHANGES) {
    const passwordOf = (name: string): string | null => (name === user ? password : null)
    const server = new DigestMd5Server({ realm, service, nonce, passwordOf })
    server.evaluate(new Uint8Array(0))
    const said =
      `charset=utf-8,username="${user}",realm="${realm}",nonce="${nonce}",nc=00000001,cnonce="${cnonce}",` +
      `digest-uri="${service}/${realm}",response=${response},qop=auth`
    assert.equal(text(server.evaluate(bytes(said))), `rspauth=${rspauth}`)
    assert.deepEqual(server.authenticated, { user, authorizationId: user })

    const client = new DigestMd5Client({ user, password, service, host: realm, cnonce })
    const challenge = `realm="${realm}",nonce="${nonce}",qop="auth",algorithm=md5-sess,charset=utf-8`
    assert.match(text(client.evaluate(bytes(challenge))), new RegExp(`,response=${response},`))
    assert.equal(client.evaluate(bytes(`rspauth=${rspauth}`)), null)
    assert.ok(client.complete)
  }
})

test('both sides speak as ZooKeeper’s do, whatever characters names and passwords have', () => {
  for (const [user, password] of [
    ['alice', 'pä"ß\\'],
    ['łu', 'x'],
  ] as const) {
    const server = serverOf()
    const client = clientOf(user, password)
    const challenge = server.evaluate(new Uint8Array(0))
    assert.equal(text(challenge), 'realm="zk-sasl-md5",nonce="N",charset=utf-8,algorithm=md5-sess')
    const response = client.evaluate(challenge)!
    assert.match(
      text(response),
      /^charset=utf-8,username=".+",realm="zk-sasl-md5",nonce="N",nc=00000001,cnonce="C",digest-uri="zookeeper\/zk-sasl-md5",maxbuf=65536,response=[\da-f]{32},qop=auth$/,
    )
    assert.equal(client.evaluate(server.evaluate(response)), null)
    assert.equal(server.authenticated!.user, user)
  }
})

test('what breaks the rules is refused, and so is a wrong password', () => {
  const answer = (user: string, password: string): string => {
    const client = clientOf(user, password)
    return text(client.evaluate(serverOf().evaluate(new Uint8Array(0))))
  }
  const right = answer('alice', 'pä"ß\\')
  const rows: [string, RegExp][] = [
    [answer('alice', 'wrong'), /the password of "alice" is wrong, or there is no such user/],
    [answer('mallory', 'x'), /the password of "mallory" is wrong, or there is no such user/],
    [right.replace('nonce="N"', 'nonce="M"'), /nonce is "M"/],
    [right.replace('nc=00000001', 'nc=00000002'), /nc is/],
    [right.replace('qop=auth', 'qop=auth-conf'), /qop is/],
    [right.replace('realm="zk', 'realm="kz'), /realm is/],
    [right.replace('zookeeper/zk', 'zookeeper/other'), /digest-uri is/],
    [right.replace('username="alice",', ''), /username is missing/],
    [right.replace('cnonce="C"', 'cnonce="D"'), /is wrong/],
    ['', /nonce is ""/],
    ['nonsense', /no directive/],
    [`a="${'x'.repeat(5000)}"`, /too long/],
  ]
  for (const [said, expected] of rows) {
    const server = serverOf()
    server.evaluate(new Uint8Array(0))
    assert.throws(() => server.evaluate(bytes(said)), expected, said)
    assert.equal(server.authenticated, null)
  }
  assert.throws(() => serverOf().evaluate(bytes('x')), /speaks first/)
})

test('a client does not believe a server that does not know the password', () => {
  const client = clientOf('alice', 'p')
  client.evaluate(serverOf().evaluate(new Uint8Array(0)))
  assert.throws(() => client.evaluate(bytes('rspauth=00000000000000000000000000000000')), SaslError)
  assert.ok(!client.complete)
  for (const challenge of [
    'nonce="N"',
    'nonce="N",algorithm=md5',
    'algorithm=md5-sess',
    'nonce="N",algorithm=md5-sess,qop="auth-conf"',
  ])
    assert.throws(() => clientOf('a', 'b').evaluate(bytes(challenge)), SaslError, challenge)
})

test('directives', () => {
  const rows: [string, Record<string, string>][] = [
    ['a=1,b="2"', { a: '1', b: '2' }],
    [' A = 1 , , b="x,\\"y=\\\\" ', { a: '1', b: 'x,"y=\\' }],
    ['realm="one",realm="two"', { realm: 'one' }],
    ['', {}],
    ['a=', { a: '' }],
  ]
  for (const [token, expected] of rows) assert.deepEqual(Object.fromEntries(parseDirectives(bytes(token))), expected)
  for (const bad of ['a', 'a="1', 'a=1 b=2', '="x"']) assert.throws(() => parseDirectives(bytes(bad)), SaslError, bad)
})

test('a login configuration gives users and a login', () => {
  const config = parseJaas(`
    // Of the server.
    Server {
      org.apache.zookeeper.server.auth.DigestLoginModule required
      user_super="adminsecret" /* two
      lines */ user_bob='b"o\\'b'
      debug=true;
    };
    Client {
      org.apache.zookeeper.server.auth.DigestLoginModule required username="bob" password="b;o{b}=";
    };
    Krb { com.sun.security.auth.module.Krb5LoginModule required keyTab="/x"; };`)
  assert.deepEqual([...config.keys()], ['Server', 'Client', 'Krb'])
  assert.deepEqual(Object.fromEntries(usersOf(config, 'Server')), { super: 'adminsecret', bob: 'b"o\'b' })
  assert.deepEqual(loginOf(config, 'Client'), { user: 'bob', password: 'b;o{b}=' })
  assert.throws(() => usersOf(config, 'QuorumServer'), /no section QuorumServer/)
  assert.throws(() => loginOf(config, 'Server'), /no username and password/)
  assert.throws(() => usersOf(config, 'Krb'), /Krb5LoginModule: only DigestLoginModule/)
})

test('what is no login configuration is told with its line', () => {
  const rows: [string, RegExp][] = [
    ['Server', /line 1: \{ is missing after the section's name Server; found the end/],
    ['Server {\n a.B required x="1"\n}', /line 3: an option, or ; after the last one is missing; found "\}"/],
    ['Server {\n a.B always x="1";\n};', /line 2: "always" is none of required/],
    ['Server { a.B required x "1"; };', /= is missing after x; found "1"/],
    ['Server { a.B required; }', /; is missing after the \} of section Server/],
    ['S { a.B required; }; S { a.B required; };', /section S is there twice/],
    ['S { a.B required x="1; };', /quotation mark that is not closed/],
    ['= {', /the name of a section is missing; found "="/],
  ]
  for (const [jaas, expected] of rows) assert.throws(() => parseJaas(jaas), expected, jaas)
  assert.throws(() => parseJaas('x'), JaasError)
  assert.equal(parseJaas('  // nothing\n').size, 0)
})
