import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'

import { ByteReader, ByteWriter, concatBytes } from '#base'
import { silentLogger, type Logger, type Platform } from '#platform'
import { nodePlatform } from '#platform/node'
import { ErrorCode, decodeResponseHeader, encodeRequestHeader, type AnyApi } from '#protocol'
import { ApiVersions } from '#protocol/messages/api-versions'
import { Fetch } from '#protocol/messages/fetch'
import { Heartbeat } from '#protocol/messages/heartbeat'
import { Produce } from '#protocol/messages/produce'
import {
  BrokerConnection,
  CLOSE_CONNECTION,
  Deferred,
  Reply,
  RpcError,
  RpcServer,
  type Answer,
  type RpcHandler,
  type RpcLimits,
  type RpcRequest,
} from '#rpc'

interface LoggedPlatform extends Platform {
  readonly lines: string[]
}

function platform(): LoggedPlatform {
  const lines: string[] = []
  const logger: Logger = {
    ...silentLogger,
    warn: (line: string) => void lines.push(line),
    error: (line: string, error?: unknown) => void lines.push(`${line} ${String(error)}`),
    named: () => logger,
  }
  return { ...nodePlatform({ logLevel: 'error' }), logger, lines }
}

const LIMITS: RpcLimits = {
  socketRequestMaxBytes: 1 << 20,
  maxConnections: 100,
  maxConnectionsPerIp: 100,
  maxConnectionsPerIpByAddress: new Map(),
  queuedMaxRequests: 500,
  connectionsMaxIdleMs: -1,
}

function handler(api: unknown, handle: (request: RpcRequest) => Answer<unknown>, pipelined = true): RpcHandler {
  const typed = api as AnyApi
  return { api: typed, minVersion: typed.versions[0], maxVersion: typed.versions[1], pipelined, handle }
}

const versions = handler(ApiVersions, () => ({
  errorCode: 0,
  apiKeys: [ApiVersions, Heartbeat, Produce, Fetch].map((api) => ({
    apiKey: api.key,
    minVersion: api.versions[0],
    maxVersion: api.versions[1],
  })),
}))

async function serve(t: TestContext, handlers: RpcHandler[], limits: Partial<RpcLimits> = {}) {
  const world = platform()
  const server = new RpcServer(world, [versions, ...handlers], { ...LIMITS, ...limits })
  const port = await server.listen('PLAINTEXT', '127.0.0.1', 0)
  server.open()
  t.after(() => server.close())
  const client = new BrokerConnection(world, { host: '127.0.0.1', port, clientId: 'test' })
  t.after(() => client.close())
  return { server, port, client, lines: world.lines }
}

/** A connection by hand, to send what no client of ours would. */
async function rawConnection(t: TestContext, port: number) {
  const socket: Socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  let received: Uint8Array = new Uint8Array(0)
  let wake = (): void => {}
  const state = { ended: false }
  socket.on('data', (data: Buffer) => {
    received = concatBytes([received, data])
    wake()
  })
  socket.on('close', () => {
    state.ended = true
    wake()
  })
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('connect', resolve))
  return {
    socket,
    send: (bytes: Uint8Array) => socket.write(bytes),
    async frame(): Promise<Uint8Array> {
      for (;;) {
        if (received.length >= 4) {
          const length = new ByteReader(received).int32()
          if (received.length >= 4 + length) {
            const frame = received.slice(4, 4 + length)
            received = received.slice(4 + length)
            return frame
          }
        }
        assert.ok(!state.ended, 'the server closed the connection')
        await new Promise<void>((resolve) => (wake = resolve))
      }
    },
    async closed(): Promise<void> {
      while (!state.ended) await new Promise<void>((resolve) => (wake = resolve))
    },
  }
}

function frameOf(
  api: { key: number; request: unknown },
  version: number,
  correlationId: number,
  message: unknown,
): Uint8Array {
  const writer = new ByteWriter()
  encodeRequestHeader(writer, { apiKey: api.key, apiVersion: version, correlationId, clientId: 'raw' })
  ;(api as AnyApi).request.encode(writer, message, Math.min(version, (api as AnyApi).versions[1]))
  const body = writer.toBytes()
  const length = new ByteWriter()
  length.int32(body.length)
  return concatBytes([length.toBytes(), body])
}

const HEARTBEAT = { groupId: 'g', generationId: 1, memberId: 'm' }

test('a request is answered, in the highest version that both sides have', async (t) => {
  const seen: RpcRequest[] = []
  const beat = handler(Heartbeat, (request) => {
    seen.push(request)
    return { errorCode: ErrorCode.REBALANCE_IN_PROGRESS }
  })
  const { client } = await serve(t, [beat])
  assert.equal((await client.send(Heartbeat, HEARTBEAT)).errorCode, ErrorCode.REBALANCE_IN_PROGRESS)
  assert.deepEqual(client.versionsOf(Heartbeat), [0, 4])
  const [{ apiVersion, clientId, connection, message }] = seen as [RpcRequest<{ groupId: string }>]
  assert.deepEqual([apiVersion, clientId, connection.listenerName, message.groupId], [4, 'test', 'PLAINTEXT', 'g'])
})

test('answers leave in the order of the requests, whenever they are ready', async (t) => {
  const pending: (() => void)[] = []
  const beat = handler(Heartbeat, () => new Promise((resolve) => pending.push(() => resolve({ errorCode: 0 }))))
  const { port } = await serve(t, [beat])
  const raw = await rawConnection(t, port)
  raw.send(concatBytes([1, 2, 3].map((id) => frameOf(Heartbeat, 4, id, HEARTBEAT))))
  while (pending.length < 3) await new Promise((resolve) => setImmediate(resolve))
  for (const answer of pending.toReversed()) answer()
  const ids: number[] = []
  for (let count = 0; count < 3; count++)
    ids.push(decodeResponseHeader(new ByteReader(await raw.frame()), Heartbeat.key, 4).correlationId)
  assert.deepEqual(ids, [1, 2, 3])
})

test('a request waits for the effect of the former one, and for its answer unless both are pipelined', async (t) => {
  const log: string[] = []
  const effect = Promise.withResolvers<void>()
  const produced = handler(Produce, () => {
    log.push('produce')
    const response = effect.promise.then(() => ({ responses: [] }))
    return new Deferred(effect.promise, response)
  })
  const fetched = Promise.withResolvers<unknown>()
  const fetch = handler(
    Fetch,
    () => {
      log.push('fetch')
      return fetched.promise
    },
    false,
  )
  const beat = handler(Heartbeat, () => {
    log.push('heartbeat')
    return { errorCode: 0 }
  })
  const { port } = await serve(t, [produced, fetch, beat])
  const raw = await rawConnection(t, port)
  raw.send(
    concatBytes([
      frameOf(Produce, 9, 1, { acks: 1, timeoutMs: 1000, topicData: [] }),
      frameOf(Fetch, 12, 2, { maxWaitMs: 1, minBytes: 1, topics: [] }),
      frameOf(Heartbeat, 4, 3, HEARTBEAT),
    ]),
  )
  while (log.length < 1) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(log, ['produce'])
  effect.resolve()
  await raw.frame()
  while (log.length < 2) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(log, ['produce', 'fetch'])
  fetched.resolve({ responses: [] })
  await raw.frame()
  await raw.frame()
  assert.deepEqual(log, ['produce', 'fetch', 'heartbeat'])
})

test('beyond queued.max.requests other connections wait too', async (t) => {
  const effects: (() => void)[] = []
  const beat = handler(Heartbeat, () => {
    const effect = new Promise<void>((resolve) => effects.push(resolve))
    return new Deferred(
      effect,
      effect.then(() => ({ errorCode: 0 })),
    )
  })
  const { port } = await serve(t, [beat], { queuedMaxRequests: 2 })
  const connections = await Promise.all([1, 2, 3].map(() => rawConnection(t, port)))
  for (const raw of connections) raw.send(frameOf(Heartbeat, 4, 1, HEARTBEAT))
  while (effects.length < 2) await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(effects.length, 2)
  effects[0]!()
  while (effects.length < 3) await new Promise((resolve) => setImmediate(resolve))
  for (const finish of effects) finish()
  await Promise.all(connections.map((raw) => raw.frame()))
})

test('ApiVersions of an unknown version is answered in version 0 with the range that is served', async (t) => {
  const { port } = await serve(t, [])
  const raw = await rawConnection(t, port)
  raw.send(frameOf(ApiVersions, 99, 7, { clientSoftwareName: 'x', clientSoftwareVersion: '1' }))
  const reader = new ByteReader(await raw.frame())
  assert.equal(decodeResponseHeader(reader, ApiVersions.key, 0).correlationId, 7)
  const answer = ApiVersions.response.decode(reader, 0)
  assert.equal(answer.errorCode, ErrorCode.UNSUPPORTED_VERSION)
  assert.deepEqual(answer.apiKeys, [{ apiKey: 18, minVersion: 0, maxVersion: 4 }])
})

test('what is no request closes its connection with one line, and leaves others alone', async (t) => {
  const beat = handler(Heartbeat, () => ({ errorCode: 0 }))
  const { port, client, lines } = await serve(t, [beat])
  const bad: Record<string, Uint8Array> = {
    'frame of 2 GiB': new Uint8Array([0x7f, 0xff, 0xff, 0xff]),
    'negative frame': new Uint8Array([0xff, 0xff, 0xff, 0xff]),
    'empty frame': new Uint8Array(4),
    'unknown API': new Uint8Array([0, 0, 0, 10, 0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff]),
    'unknown version': frameOf(Heartbeat, 99, 1, HEARTBEAT),
    'lying length': new Uint8Array([0, 0, 0, 12, 0, 12, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff]),
  }
  for (const [name, bytes] of Object.entries(bad)) {
    const before = lines.length
    const raw = await rawConnection(t, port)
    raw.send(bytes)
    await raw.closed()
    assert.equal(lines.length, before + 1, `${name}: ${lines.slice(before).join(' | ')}`)
    assert.equal((await client.send(Heartbeat, HEARTBEAT)).errorCode, 0)
  }
})

test('connections beyond the bounds are refused', async (t) => {
  const { port, server } = await serve(t, [], { maxConnectionsPerIp: 2 })
  const kept = [await rawConnection(t, port), await rawConnection(t, port)]
  const refused = await rawConnection(t, port)
  await refused.closed()
  assert.equal(server.connectionCount, 2)
  kept[0]!.socket.destroy()
  while (server.connectionCount > 1) await new Promise((resolve) => setImmediate(resolve))
  const again = await rawConnection(t, port)
  again.send(frameOf(ApiVersions, 0, 1, {}))
  await again.frame()
})

test('no answer for acks=0, or the end of the connection', async (t) => {
  const answers: Answer<unknown>[] = [null, CLOSE_CONNECTION]
  const produce = handler(Produce, () => answers.shift()!)
  const { port } = await serve(t, [produce])
  const raw = await rawConnection(t, port)
  const message = { acks: 0, timeoutMs: 1000, topicData: [] }
  raw.send(concatBytes([frameOf(Produce, 9, 1, message), frameOf(ApiVersions, 0, 2, {})]))
  assert.equal(new ByteReader(await raw.frame()).int32(), 2)
  raw.send(frameOf(Produce, 9, 3, message))
  await raw.closed()
})

test('memory lent for an answer comes back once, sent or not', async (t) => {
  let released = 0
  const records = new Uint8Array(100_000).fill(7)
  const partition = { partitionIndex: 0, errorCode: 0, highWatermark: 1, records }
  const message = { responses: [{ topic: 't', partitions: [partition] }] }
  const later = Promise.withResolvers<void>()
  let direct = true
  const fetch = handler(Fetch, () => {
    const reply = new Reply(message, () => void released++)
    if (direct) return reply
    return later.promise.then(() => reply)
  })
  const { client, port } = await serve(t, [fetch])
  const answer = await client.send(Fetch, { maxWaitMs: 1, minBytes: 1, topics: [] }, { version: 12 })
  assert.deepEqual(answer.responses[0]!.partitions[0]!.records, records)
  assert.equal(released, 1)
  direct = false
  const raw = await rawConnection(t, port)
  raw.send(frameOf(Fetch, 12, 1, { maxWaitMs: 1, minBytes: 1, topics: [] }))
  await new Promise((resolve) => setTimeout(resolve, 20))
  raw.socket.destroy()
  await new Promise((resolve) => setTimeout(resolve, 20))
  later.resolve()
  await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal(released, 2)
})

test('a handler that fails costs its connection only', async (t) => {
  const beat = handler(Heartbeat, () => {
    throw new Error('our fault')
  })
  const { client, lines } = await serve(t, [beat])
  await assert.rejects(
    client.send(Heartbeat, HEARTBEAT),
    (error: RpcError) => error.kind === 'disconnected' && error.retriable,
  )
  assert.match(lines[0]!, /Heartbeat 4.*our fault/)
  await client.connect()
})

test('a client says why it got no answer', async (t) => {
  const silent = handler(Heartbeat, () => new Promise<never>(() => {}))
  const { client, port, server } = await serve(t, [silent])
  const kindOf = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => 'answered',
      (error: unknown) => (error instanceof RpcError ? error.kind : String(error)),
    )
  assert.equal(await kindOf(client.send(Heartbeat, HEARTBEAT, { timeoutMs: 30 })), 'timeout')
  assert.equal(await kindOf(client.send(Produce, { acks: 1, timeoutMs: 1, topicData: [] })), 'disconnected')
  const closing = client.send(Heartbeat, HEARTBEAT)
  client.close()
  assert.equal(await kindOf(closing), 'closed')
  assert.equal(await kindOf(client.send(Heartbeat, HEARTBEAT)), 'closed')
  await server.close()
  const gone = new BrokerConnection(platform(), { host: '127.0.0.1', port, clientId: null })
  assert.equal(await kindOf(gone.send(Heartbeat, HEARTBEAT)), 'connect')
})

test('a connection reopens after it broke, and bounds what is in flight', async (t) => {
  let inWork = 0
  let most = 0
  const beat = handler(Heartbeat, async () => {
    most = Math.max(most, ++inWork)
    await new Promise((resolve) => setImmediate(resolve))
    inWork--
    return { errorCode: 0 }
  })
  const { port } = await serve(t, [beat])
  const client = new BrokerConnection(platform(), { host: '127.0.0.1', port, clientId: null, inFlightMax: 3 })
  t.after(() => client.close())
  await Promise.all(Array.from({ length: 20 }, () => client.send(Heartbeat, HEARTBEAT)))
  assert.equal(most, 3)
})
