/** Encrypted connections over real sockets: who gets in, who does not, and that the others do not notice. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import {
  NetworkError,
  silentLogger,
  type Listener,
  type Socket,
  type TlsConnectOptions,
  type TlsIdentity,
  type TlsListenOptions,
} from '#platform'

import { NodeNetwork } from './network.ts'

const network = new NodeNetwork(silentLogger)
const pem = (name: string): string =>
  readFileSync(new URL(`../../security/tls/testdata/${name}`, import.meta.url), 'utf8')
const identity = (name: string): TlsIdentity => ({
  key: pem(name),
  certificates: pem(name).replace(/.*END PRIVATE KEY-----/s, ''),
})

const BASE = {
  authorities: [pem('authority.pem')],
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  ciphers: null,
} as const
const AS_SERVER: TlsConnectOptions = { ...BASE, identity: identity('server.pem'), verifyHost: true }
const AS_STRANGER: TlsConnectOptions = { ...AS_SERVER, identity: identity('stranger.pem') }
const AS_NOBODY: TlsConnectOptions = { ...AS_SERVER, identity: null }

/** Echoes, and counts whom it let in. */
async function echo(overrides: Partial<TlsListenOptions>): Promise<{ listener: Listener; letIn: Socket[] }> {
  const letIn: Socket[] = []
  const tls: TlsListenOptions = {
    ...BASE,
    identity: identity('server.pem'),
    clientCertificate: 'required',
    verifyClientHost: false,
    orPlain: false,
    handshakeTimeoutMs: 10_000,
    ...overrides,
  }
  const listener = await network.listen({
    host: '127.0.0.1',
    port: 0,
    tls,
    onConnection(socket) {
      letIn.push(socket)
      socket.start({ onBytes: (bytes) => socket.write([bytes.slice()]), onDrain() {}, onClose() {} })
    },
  })
  return { listener, letIn }
}

/** `length` bytes there and back; or the code of what went wrong. */
async function roundTrip(
  listener: Listener,
  tls: TlsConnectOptions | undefined,
  { host = 'localhost', length = 1000 } = {},
): Promise<string> {
  let socket: Socket
  try {
    socket = await network.connect({
      host,
      port: listener.port,
      timeoutMs: 10_000,
      ...(tls === undefined ? {} : { tls }),
    })
  } catch (error) {
    return (error as NetworkError).code
  }
  const sent = Uint8Array.from({ length }, (_, at) => at % 251)
  const received: Uint8Array[] = []
  let count = 0
  return new Promise((resolve) => {
    socket.start({
      onBytes(bytes) {
        received.push(bytes.slice())
        count += bytes.length
        if (count === length) socket.end()
      },
      onDrain() {},
      onClose: (error) =>
        resolve(Buffer.concat(received).equals(sent) ? 'echoed' : ((error as NetworkError)?.code ?? 'closed')),
    })
    socket.write([sent.subarray(0, 10), sent.subarray(10)])
  })
}

test('certificates decide who gets in', async () => {
  const rows: [Partial<TlsListenOptions>, [TlsConnectOptions | undefined, boolean][]][] = [
    [
      { clientCertificate: 'required' },
      [
        [AS_SERVER, true],
        [AS_NOBODY, false],
        [AS_STRANGER, false],
        [undefined, false],
      ],
    ],
    [
      { clientCertificate: 'wanted' },
      [
        [AS_SERVER, true],
        [AS_NOBODY, true],
        [AS_STRANGER, false],
        [undefined, false],
      ],
    ],
    [
      { clientCertificate: 'none' },
      [
        [AS_SERVER, true],
        [AS_NOBODY, true],
        [AS_STRANGER, true],
        [undefined, false],
      ],
    ],
    [
      { orPlain: true },
      [
        [AS_SERVER, true],
        [AS_NOBODY, false],
        [undefined, true],
      ],
    ],
    [{ verifyClientHost: true }, [[AS_SERVER, true]]],
  ]
  for (const [overrides, clients] of rows) {
    const { listener, letIn } = await echo(overrides)
    let expected = 0
    for (const [tls, fine] of clients) {
      const outcome = await roundTrip(listener, tls)
      const about = JSON.stringify([overrides, clients.findIndex(([each]) => each === tls), outcome])
      assert.equal(outcome === 'echoed', fine, about)
      if (fine) expected++
      assert.equal(letIn.length, expected, `nobody hears of a connection that is refused: ${about}`)
    }
    await listener.close()
  }
})

test('a megabyte goes through, and its drain is told', async () => {
  const { listener } = await echo({})
  const socket = await network.connect({ host: 'localhost', port: listener.port, timeoutMs: 10_000, tls: AS_SERVER })
  assert.ok(socket.encrypted && socket.peerCertificate!.length > 100)
  const length = 8 << 20
  await new Promise<void>((resolve) => {
    let count = 0
    let drained = false
    const check = (): void => void (drained && count === length && resolve())
    socket.start({
      onBytes(bytes) {
        count += bytes.length
        check()
      },
      onDrain() {
        assert.equal(socket.pendingBytes, 0)
        drained = true
        check()
      },
      onClose() {},
    })
    socket.write([new Uint8Array(length)])
  })
  socket.destroy()
  await listener.close()
})

test('a client does not speak to a server that is someone else', async () => {
  const stranger = await echo({ identity: identity('stranger.pem') })
  assert.equal(await roundTrip(stranger.listener, AS_SERVER), 'DEPTH_ZERO_SELF_SIGNED_CERT')
  const { listener } = await echo({})
  // The certificate names localhost and its addresses, and not this one.
  assert.equal(await roundTrip(listener, AS_SERVER, { host: '127.0.0.1' }), 'echoed')
  const elsewhere = await network.listen({
    host: '127.0.0.2',
    port: 0,
    tls: {
      ...BASE,
      identity: identity('server.pem'),
      clientCertificate: 'none',
      verifyClientHost: false,
      orPlain: false,
      handshakeTimeoutMs: 10_000,
    },
    onConnection: (socket) =>
      socket.start({ onBytes: (bytes) => socket.write([bytes.slice()]), onDrain() {}, onClose() {} }),
  })
  assert.equal(await roundTrip(elsewhere, AS_SERVER, { host: '127.0.0.2' }), 'ERR_TLS_CERT_ALTNAME_INVALID')
  assert.equal(await roundTrip(elsewhere, { ...AS_SERVER, verifyHost: false }, { host: '127.0.0.2' }), 'echoed')
  for (const each of [stranger.listener, listener, elsewhere]) await each.close()
})

test('versions and ciphers are what both sides allow, by Java’s names, too', async () => {
  const tls12 = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const
  const { listener } = await echo({ ...tls12, ciphers: ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'] })
  assert.equal(await roundTrip(listener, AS_SERVER), 'echoed')
  assert.equal(await roundTrip(listener, { ...AS_SERVER, ciphers: ['ECDHE-ECDSA-AES256-GCM-SHA384'] }), 'echoed')
  assert.notEqual(
    await roundTrip(listener, { ...AS_SERVER, ciphers: ['TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256'] }),
    'echoed',
  )
  assert.notEqual(await roundTrip(listener, { ...AS_SERVER, minVersion: 'TLSv1.3' }), 'echoed')
  await assert.rejects(echo({ ciphers: ['TLS_RSA_WITH_NULL_MD4'] }), /there is no cipher TLS_RSA_WITH_NULL_MD4/)
  await listener.close()
})

test('who begins no handshake is let go', async () => {
  for (const orPlain of [false, true]) {
    const { listener, letIn } = await echo({ orPlain, handshakeTimeoutMs: 50 })
    const socket = await network.connect({ host: '127.0.0.1', port: listener.port, timeoutMs: 10_000 })
    await new Promise<void>((resolve) => socket.start({ onBytes() {}, onDrain() {}, onClose: () => resolve() }))
    assert.equal(letIn.length, 0)
    await listener.close()
  }
})

test('a connection that is refused in time can be tried again', async () => {
  const refused = network.connect({ host: '127.0.0.1', port: 1, timeoutMs: 10_000, tls: AS_SERVER })
  await assert.rejects(refused, (error) => error instanceof NetworkError && error.code === 'ECONNREFUSED')
  const signal = AbortSignal.abort(new Error('enough'))
  await assert.rejects(
    network.connect({ host: '127.0.0.1', port: 1, timeoutMs: 10_000, signal, tls: AS_SERVER }),
    /enough/,
  )
})
