import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MalformedBytesError, concatBytes } from '#base'
import {
  ConnectionLimits,
  FrameError,
  FramedConnection,
  FramedListener,
  type CloseReason,
  type FramedHandler,
} from '#net'
import type { Platform, Socket } from '#platform'
import { nodePlatform } from '#platform/node'
import { SimulatedRandom, World } from '#simulation'

const PORT = 9000
const MAX_FRAME_BYTES = 300_000

function frameOf(body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(4 + body.length)
  new DataView(frame.buffer).setInt32(0, body.length)
  frame.set(body, 4)
  return frame
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'))

/** One server in a simulated world, and a raw socket to it. */
class Bench {
  readonly world: World
  readonly frames: string[] = []
  readonly closes: CloseReason[] = []
  readonly raw: number[] = []
  rawClosed = false
  connection: FramedConnection | null = null
  socket: Socket | null = null
  server: Platform | null = null

  constructor(seed = 1) {
    this.world = new World(seed)
  }

  async open(
    options: {
      handler?: Partial<FramedHandler>
      pendingBytesMax?: number
      idleTimeoutMs?: number
      keptFrames?: { bytesMin: number; bytesMax: number }
    } = {},
  ): Promise<void> {
    const { handler, ...rest } = options
    this.world.process('server').start(async (platform) => {
      this.server = platform
      await FramedListener.listen(platform, {
        host: '0.0.0.0',
        port: PORT,
        maxFrameBytes: MAX_FRAME_BYTES,
        ...rest,
        onConnection: (connection) => {
          this.connection = connection
          return {
            onFrame: (frame) => this.frames.push(text(frame)),
            onClose: (reason) => this.closes.push(reason),
            ...handler,
          }
        },
      })
    })
    this.world.process('client').start(async (platform) => {
      const socket = await platform.network.connect({ host: 'server', port: PORT, timeoutMs: 1000 })
      socket.start({
        onBytes: (bytes) => bytes.forEach((byte) => this.raw.push(byte)),
        onDrain() {},
        onClose: () => (this.rawClosed = true),
      })
      this.socket = socket
    })
    assert.ok(await this.world.runUntil(() => this.socket !== null && this.connection !== null, 5000))
  }
}

test('frames come out of arbitrary pieces as they were sent', async () => {
  let keptCount = 0
  for (let seed = 1; seed <= 20; seed++) {
    const bench = new Bench(seed)
    const random = new SimulatedRandom(`pieces ${seed}`)
    const keptFrames: { frame: Uint8Array; bytes: string }[] = []
    const handler = {
      onFrame(frame: Uint8Array, kept: boolean): void {
        bench.frames.push(text(frame))
        if (kept) keptFrames.push({ frame, bytes: text(frame) })
        assert.ok(!kept || (seed % 2 === 0 && frame.length === 3000), 'only what was asked for is kept')
        if (random.chance(0.2)) {
          bench.connection!.pause()
          if (random.chance(0.3)) bench.connection!.resume()
          else bench.server!.clock.setTimer(random.below(20), () => bench.connection!.resume())
        }
      },
    }
    await bench.open({ handler, ...(seed % 2 === 0 ? { keptFrames: { bytesMin: 2000, bytesMax: 60_000 } } : {}) })
    const sent = Array.from({ length: 60 }, () => text(random.bytes(random.pick([0, 1, 3, 7, 100, 3000, 70_000]))))
    const stream = concatBytes(sent.map((body) => frameOf(bytesOf(body))))
    for (let at = 0; at < stream.length;) {
      const end = Math.min(stream.length, at + 1 + random.below(random.pick([2, 50, 100_000])))
      bench.socket!.write([stream.subarray(at, end)])
      at = end
      if (random.chance(0.3)) await bench.world.run(random.below(5))
    }
    assert.ok(await bench.world.runUntil(() => bench.frames.length === sent.length, 60_000, 100))
    assert.deepEqual(bench.frames, sent)
    keptCount += keptFrames.length
    for (const { frame, bytes } of keptFrames) assert.equal(text(frame), bytes, 'kept memory is not used again')
    assert.deepEqual(bench.world.findings, [])
  }
  assert.ok(keptCount > 0)
})

test('a length out of bounds closes the connection with a typed error, without waiting for its bytes', async () => {
  for (const claim of [-1, -0x8000_0000, MAX_FRAME_BYTES + 1, 0x7fff_ffff]) {
    const bench = new Bench()
    await bench.open()
    const header = new Uint8Array(6)
    new DataView(header.buffer).setInt32(0, claim)
    bench.socket!.write([frameOf(bytesOf('good')), header])
    await bench.world.run(100)
    assert.deepEqual(bench.frames, ['good'])
    assert.equal(bench.closes[0]?.kind, 'frame')
    assert.ok(bench.closes[0].error instanceof FrameError)
    assert.equal(bench.closes[0].error.claimedBytes, claim)
    assert.equal(bench.rawClosed, true)
  }
})

test('a handler that finds the bytes malformed, or fails, ends its connection with that reason', async () => {
  for (const [error, kind] of [
    [new MalformedBytesError('nonsense'), 'frame'],
    [new Error('a mistake of ours'), 'failed'],
  ] as const) {
    const bench = new Bench()
    const handler = {
      onFrame(): void {
        throw error
      },
    }
    await bench.open({ handler })
    bench.socket!.write([frameOf(bytesOf('x'))])
    await bench.world.run(100)
    assert.deepEqual(bench.closes, [{ kind, error }])
  }
})

test('what is sent in one turn leaves in order, in one write; sent tells when', async () => {
  const bench = new Bench()
  await bench.open()
  const told: string[] = []
  bench.connection!.send([bytesOf('a'), bytesOf('bc')], () => told.push('first'))
  bench.connection!.send([], () => told.push('second'))
  assert.deepEqual(told, [])
  assert.equal(bench.connection!.pendingBytes, 11)
  await bench.world.run(100)
  assert.deepEqual(told, ['first', 'second'])
  assert.deepEqual(bench.raw, [0, 0, 0, 3, 97, 98, 99, 0, 0, 0, 0])
  assert.equal(bench.connection!.pendingBytes, 0)
})

test('a peer that does not read its answers is not read from', async () => {
  const bench = new Bench()
  const handler = {
    onFrame(frame: Uint8Array): void {
      bench.frames.push(text(frame))
      bench.connection!.send([new Uint8Array(100_000)])
    },
  }
  await bench.open({ handler, pendingBytesMax: 1_000_000 })
  bench.socket!.pause()
  for (let count = 0; count < 200; count++) {
    bench.socket!.write([frameOf(bytesOf('give me more'))])
    await bench.world.run(2)
  }
  assert.ok(bench.connection!.pendingBytes < 2_000_000)
  assert.ok(bench.frames.length < 30)
  bench.socket!.resume()
  assert.ok(await bench.world.runUntil(() => bench.raw.length === 200 * 100_004, 60_000))
  assert.equal(bench.frames.length, 200)
})

test('the owner sees the first four bytes and may take them as a word', async () => {
  const bench = new Bench()
  const words: number[] = []
  const handler = {
    onFirstWord(word: number): boolean {
      words.push(word)
      if (word !== 0x72756f6b) return false
      bench.connection!.sendRaw([bytesOf('imok')])
      bench.server!.clock.setTimer(50, () => bench.connection!.close())
      return true
    },
  }
  await bench.open({ handler })
  bench.socket!.write([bytesOf('ru')])
  await bench.world.run(10)
  bench.socket!.write([bytesOf('ok\n and more')])
  await bench.world.run(1000)
  assert.deepEqual(words, [0x72756f6b])
  assert.equal(text(Uint8Array.from(bench.raw)), 'imok')
  assert.deepEqual(bench.frames, [])
  assert.deepEqual(bench.closes, [{ kind: 'owner', error: null }])

  const frames = new Bench()
  await frames.open({ handler: { onFirstWord: (word) => words.push(word) < 0 } })
  frames.socket!.write([frameOf(bytesOf('one')), frameOf(bytesOf('two'))])
  await frames.world.run(100)
  assert.deepEqual(words.slice(1), [3])
  assert.deepEqual(frames.frames, ['one', 'two'])
})

test('a silent connection is closed, a busy one stays', async () => {
  const bench = new Bench()
  await bench.open({ idleTimeoutMs: 1000 })
  for (let count = 0; count < 6; count++) {
    bench.socket!.write([frameOf(bytesOf('still here'))])
    await bench.world.run(600)
  }
  assert.deepEqual(bench.closes, [])
  await bench.world.run(1100)
  assert.deepEqual(bench.closes, [{ kind: 'idle', error: null }])
})

test('the end: by the peer, by close after what was sent, by destroy at once', async () => {
  const byPeer = new Bench()
  await byPeer.open()
  byPeer.socket!.end()
  await byPeer.world.run(1000)
  assert.deepEqual(byPeer.closes, [{ kind: 'peer', error: null }])

  const byOwner = new Bench()
  await byOwner.open()
  byOwner.connection!.send([new Uint8Array(290_000)])
  byOwner.connection!.close()
  byOwner.socket!.write([frameOf(bytesOf('too late'))])
  await byOwner.world.run(1000)
  assert.equal(byOwner.raw.length, 290_004)
  assert.deepEqual([byOwner.closes, byOwner.frames], [[{ kind: 'owner', error: null }], []])

  const destroyed = new Bench()
  await destroyed.open()
  let sent = 0
  destroyed.connection!.send([new Uint8Array(10)], () => (sent += 1))
  destroyed.connection!.destroy(new Error('enough'))
  await destroyed.world.run(1000)
  assert.equal(destroyed.closes[0]?.kind, 'owner')
  assert.equal(sent, 1)
  assert.deepEqual(destroyed.raw, [])
})

test('connections beyond the limits are closed at once and leave room when they go', async () => {
  const world = new World(1)
  const limits = new ConnectionLimits({ maxConnections: 4, maxConnectionsPerIp: 2 })
  world.process('server').start((platform) =>
    FramedListener.listen(platform, {
      host: '0.0.0.0',
      port: PORT,
      maxFrameBytes: 100,
      limits,
      onConnection: () => ({ onFrame() {}, onClose() {} }),
    }),
  )
  let open = 0
  const sockets: Socket[] = []
  const dial = async (platform: Platform): Promise<void> => {
    const socket = await platform.network.connect({ host: 'server', port: PORT, timeoutMs: 1000 })
    open += 1
    socket.start({ onBytes() {}, onDrain() {}, onClose: () => (open -= 1) })
    sockets.push(socket)
  }
  const dialThrice = async (platform: Platform): Promise<void> => {
    await Promise.all([dial(platform), dial(platform), dial(platform)])
  }
  for (const name of ['a', 'b', 'c']) {
    world.process(name).start(dialThrice)
    await world.run(1000)
  }
  assert.equal(limits.count, 4)
  assert.equal(open, 4)
  for (const socket of sockets) socket.destroy()
  await world.run(1000)
  assert.equal(limits.count, 0)
})

test('real sockets: large frames arrive, answers come back, both ends close', async () => {
  const platform = nodePlatform({ logLevel: 'error' })
  const listener = await FramedListener.listen(platform, {
    host: '127.0.0.1',
    port: 0,
    maxFrameBytes: 100 * 1024 * 1024,
    onConnection: (connection) => ({
      onFrame: (frame) => connection.send([frame.slice(0, 3), Uint8Array.of(frame.length & 0xff)]),
      onClose() {},
    }),
  })
  const socket = await platform.network.connect({ host: '127.0.0.1', port: listener.port, timeoutMs: 1000 })
  const client = new FramedConnection(platform, socket, { maxFrameBytes: 1000 })
  const answers: string[] = []
  const sizes = [10, 1_000_000, 0, 20_000_000, 5, 262_140]
  const closed = new Promise<CloseReason>((resolve) => {
    client.start({
      onFrame(frame) {
        answers.push(frame.join(' '))
        if (answers.length === sizes.length) client.close()
      },
      onClose: resolve,
    })
  })
  for (const size of sizes) client.send([new Uint8Array(size).fill(size % 251)])
  assert.equal((await closed).kind, 'owner')
  const expected = sizes.map((size) => [...new Uint8Array(Math.min(3, size)).fill(size % 251), size & 0xff].join(' '))
  assert.deepEqual(answers, expected)
  await listener.close()
})
