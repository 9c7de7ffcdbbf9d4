import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test, type TestContext } from 'node:test'

import type { HttpListenOptions, HttpListener, HttpRequest } from '#platform'

import { nodePlatform } from './index.ts'

const platform = nodePlatform({ logLevel: 'error' })

test('a request comes whole, and the answer goes back', async (t) => {
  const requests: HttpRequest[] = []
  const { port } = await listening(t, {
    onRequest(request) {
      requests.push(request)
      return { status: 201, headers: { 'x-kind': 'text' }, body: `to ${request.path}` }
    },
  })
  const answer = await fetch(`http://127.0.0.1:${port}/a%20b?x=1&x=2&y`, { method: 'POST', body: 'hello' })
  assert.equal(answer.status, 201)
  assert.equal(answer.headers.get('x-kind'), 'text')
  assert.equal(await answer.text(), 'to /a b')
  const [request] = requests
  assert.equal(request!.method, 'POST')
  assert.deepEqual(
    [...request!.query],
    [
      ['x', '1'],
      ['y', ''],
    ],
  )
  assert.equal(new TextDecoder().decode(request!.body), 'hello')
  assert.equal(request!.header('Content-Length'), '5')
  assert.equal(request!.header('authorization'), null)
  assert.equal(request!.remoteHost, '127.0.0.1')
})

test('a long answer comes in pieces, and whoever makes them hears that the client has gone', async (t) => {
  let ended: () => void = () => {}
  const end = new Promise<void>((resolve) => (ended = resolve))
  async function* pieces(count: number): AsyncGenerator<Uint8Array> {
    try {
      for (let piece = 0; piece < count; piece++) {
        await Promise.resolve()
        yield new Uint8Array(64 * 1024).fill(piece)
      }
    } finally {
      ended()
    }
  }
  const { port } = await listening(t, {
    onRequest: ({ path }) => ({ status: 200, body: pieces(path === '/endless' ? Infinity : 100) }),
  })
  const whole = await fetch(`http://127.0.0.1:${port}/`)
  assert.equal((await whole.arrayBuffer()).byteLength, 100 * 64 * 1024)
  const left = new AbortController()
  const endless = await fetch(`http://127.0.0.1:${port}/endless`, { signal: left.signal })
  left.abort()
  await end
  await assert.rejects(endless.arrayBuffer())
})

test('what is too long, malformed or fails is refused', async (t) => {
  const failing = nodePlatform({ logLevel: 'error' })
  Object.assign(failing.logger, { error: () => {} })
  const { port } = await listening(
    t,
    {
      bodyBytesMax: 10,
      onRequest: () => {
        throw new Error('on purpose')
      },
    },
    failing,
  )
  assert.equal((await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: 'x'.repeat(11) })).status, 413)
  assert.equal((await fetch(`http://127.0.0.1:${port}/%ff`)).status, 400)
  assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 500)
  const unlucky = await fetch(`http://127.0.0.1:${port}/`, { headers: { long: 'x'.repeat(20_000) } })
  assert.equal(unlucky.status, 431)
})

test('a connection that says nothing, or never ends its request, is closed', async (t) => {
  const { port } = await listening(t, { idleTimeoutMs: 200, onRequest: () => ({ status: 200, body: '' }) })
  for (const beginning of [
    '',
    'GET / HTTP/1.1\r\nHost: a\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab',
  ]) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(beginning)
    socket.resume()
    await new Promise((resolve) => socket.on('close', resolve))
  }
})

test('a port that is taken is said so, and free again after close', async (t) => {
  const onRequest = (): { status: number; body: string } => ({ status: 200, body: '' })
  const first = await listening(t, { onRequest })
  await assert.rejects(listening(t, { port: first.port, onRequest }), { name: 'NetworkError', code: 'EADDRINUSE' })
  await first.close()
  await listening(t, { port: first.port, onRequest })
})

async function listening(
  t: TestContext,
  options: Pick<HttpListenOptions, 'onRequest'> & Partial<HttpListenOptions>,
  { http } = platform,
): Promise<HttpListener> {
  const listener = await http.listen({
    host: '127.0.0.1',
    port: 0,
    idleTimeoutMs: 10_000,
    bodyBytesMax: 1000,
    connectionsMax: 10,
    ...options,
  })
  let closed = false
  const close = async (): Promise<void> => {
    if (!closed) await listener.close()
    closed = true
  }
  t.after(close)
  return { host: listener.host, port: listener.port, close }
}
