import assert from 'node:assert/strict'
import { test } from 'node:test'

import { NetworkError, sleep, type Platform, type Socket } from '#platform'
import { World } from '#simulation'

const PORT = 9000

/** Answers what it hears, byte for byte. */
async function echo(platform: Platform): Promise<void> {
  await platform.network.listen({
    host: '0.0.0.0',
    port: PORT,
    onConnection(socket) {
      socket.start({ onBytes: (bytes) => socket.write([bytes.slice()]), onDrain() {}, onClose() {} })
    },
  })
}

interface Heard {
  socket: Socket
  bytes: number[]
  closed: (Error | null)[]
  drains: number
}

async function connected(platform: Platform, host: string): Promise<Heard> {
  const socket = await platform.network.connect({ host, port: PORT, timeoutMs: 5000 })
  const heard: Heard = { socket, bytes: [], closed: [], drains: 0 }
  socket.start({
    onBytes: (bytes) => bytes.forEach((byte) => heard.bytes.push(byte)),
    onDrain: () => void (heard.drains += 1),
    onClose: (error) => heard.closed.push(error),
  })
  return heard
}

/** A server and a client of it whose connection is up. */
async function pair(seed: number): Promise<{ world: World; heard: Heard }> {
  const world = new World(seed)
  const found: Heard[] = []
  world.process('server').start(echo)
  world.process('client').start(async (platform) => void found.push(await connected(platform, 'server')))
  assert.ok(await world.runUntil(() => found.length > 0, 10_000))
  return { world, heard: found[0]! }
}

test('bytes travel in order, are copied, and take virtual time only', async () => {
  const { world, heard } = await pair(1)
  const startedMs = world.nowMs
  const message = Uint8Array.from({ length: 1000 }, (_, index) => index)
  for (let at = 0; at < message.length; at += 100) heard.socket.write([message.subarray(at, at + 100)])
  message.fill(0)
  assert.ok(await world.runUntil(() => heard.bytes.length === 1000, 1000))
  assert.deepEqual(heard.bytes.slice(250, 260), [250, 251, 252, 253, 254, 255, 0, 1, 2, 3])
  assert.ok(world.nowMs > startedMs)
})

test('what was delivered is stale memory afterwards', async () => {
  const world = new World(2)
  let kept: Uint8Array | null = null
  world.process('server').start(async (platform) => {
    await platform.network.listen({
      host: '0.0.0.0',
      port: PORT,
      onConnection: (socket) => socket.start({ onBytes: (bytes) => void (kept = bytes), onDrain() {}, onClose() {} }),
    })
  })
  world.process('client').start(async (platform) => {
    const { socket } = await connected(platform, 'server')
    socket.write([Uint8Array.of(1, 2, 3)])
  })
  await world.run(5000)
  assert.deepEqual([...kept!], [0xdd, 0xdd, 0xdd])
})

test('a receiver that does not read stops its sender', async () => {
  const { world, heard } = await pair(3)
  world.process('server').pause()
  heard.socket.pause()
  heard.socket.write([new Uint8Array(1_000_000)])
  await world.run(1000)
  assert.ok(heard.socket.pendingBytes > 0)
  assert.equal(heard.drains, 0)
  world.process('server').resume()
  await world.run(5000)
  assert.equal(heard.socket.pendingBytes, 0)
  assert.equal(heard.drains, 1)
  assert.equal(heard.bytes.length, 0)
  heard.socket.resume()
  await world.run(5000)
  assert.equal(heard.bytes.length, 1_000_000)
})

test('nothing of a crashed process runs again, and its peer sees the connection end', async () => {
  const world = new World(4)
  const ticks: number[] = []
  let settled = 0
  const server = world.process('server')
  server.start(async (platform) => {
    await echo(platform)
    const tick = (): void => {
      ticks.push(platform.clock.monotonic())
      platform.clock.setTimer(10, tick)
    }
    tick()
    const settle = (): void => void (settled += 1)
    const file = platform.files.open('f', 'write')
    platform.clock.setTimer(495, () => void file.sync().then(settle, settle))
    platform.clock.setTimer(490, () => void sleep(platform.clock, 100).then(settle, settle))
    server.diskConditions.syncMs = 1000
  })
  const found: Heard[] = []
  world.process('client').start(async (platform) => void found.push(await connected(platform, 'server')))
  await world.run(500)
  const before = ticks.length
  assert.ok(before > 30)
  assert.equal(server.crash(), true)
  await world.run(20_000)
  assert.equal(ticks.length, before)
  assert.equal(settled, 0)
  assert.equal(found[0]!.closed.length, 1)
  server.start(echo)
  await world.run(100)
  assert.equal(server.isRunning, true)
})

test('a paused process goes on with what arrived before its late timers', async () => {
  const world = new World(5)
  const order: string[] = []
  const server = world.process('server')
  let lateness = 0
  server.start(async (platform) => {
    await platform.network.listen({
      host: '0.0.0.0',
      port: PORT,
      onConnection: (socket) => socket.start({ onBytes: () => order.push('bytes'), onDrain() {}, onClose() {} }),
    })
    platform.clock.setTimer(1000, (lateMs) => {
      lateness = lateMs
      order.push('timer')
    })
  })
  world.process('client').start(async (platform) => {
    const { socket } = await connected(platform, 'server')
    platform.clock.setTimer(1000, () => socket.write([Uint8Array.of(1)]))
  })
  await world.run(500)
  server.pause()
  await world.run(5000)
  assert.deepEqual(order, [])
  server.resume()
  await world.run(100)
  assert.deepEqual(order, ['bytes', 'timer'])
  assert.ok(lateness > 4000)
})

test('a partition swallows bytes in one direction until it heals', async () => {
  const { world, heard } = await pair(6)
  const [server, client] = [world.process('server'), world.process('client')]
  world.cut([server], [client])
  heard.socket.write([Uint8Array.of(7)])
  await world.run(10_000)
  assert.deepEqual(heard.bytes, [])
  world.heal()
  await world.run(1000)
  assert.deepEqual(heard.bytes, [7])
})

test('a connection through a dead link is given up at last', async () => {
  const { world, heard } = await pair(7)
  world.partition([world.process('server')], [world.process('client')])
  heard.socket.write([Uint8Array.of(7)])
  await world.run(60_000)
  assert.equal((heard.closed[0] as NetworkError | undefined)?.code, 'ETIMEDOUT')
})

test('a machine without power says nothing; when it is back it knows its connections no more', async () => {
  const { world, heard } = await pair(8)
  const server = world.process('server')
  server.powerFail()
  await world.run(10_000)
  assert.deepEqual(heard.closed, [])
  server.start(echo)
  heard.socket.write([Uint8Array.of(7)])
  await world.run(1000)
  assert.equal((heard.closed[0] as NetworkError | undefined)?.code, 'ECONNRESET')
})

test('connecting: refused, unknown, unanswered, aborted', async () => {
  const world = new World(9)
  const codes: string[] = []
  world.process('silent')
  world.process('dark').powerFail()
  world.process('client').start(async (platform) => {
    const attempt = async (host: string, signal?: AbortSignal): Promise<void> => {
      const options = { host, port: 1, timeoutMs: 3000, ...(signal === undefined ? {} : { signal }) }
      await platform.network.connect(options).catch((error: NetworkError) => codes.push(error.code ?? error.message))
    }
    await attempt('silent')
    await attempt('nowhere')
    await attempt('dark')
    const abort = new AbortController()
    platform.clock.setTimer(10, () => abort.abort(new Error('enough')))
    await attempt('dark', abort.signal)
  })
  await world.run(20_000)
  assert.deepEqual(codes, ['ECONNREFUSED', 'ENOTFOUND', 'ETIMEDOUT', 'enough'])
})

test('an uncaught error ends the process and is a finding', async () => {
  const world = new World(10)
  const process = world.process('p')
  process.start(async (platform) => {
    platform.clock.setTimer(5, () => {
      throw new TypeError('a mistake')
    })
  })
  await world.run(100)
  assert.equal(process.isRunning, false)
  assert.match(world.findings[0]!.what, /p ended by an uncaught error in timer: TypeError: a mistake/)
})

/** Three machines that talk at random under random faults; returns the trace. */
async function talk(seed: number): Promise<{ lines: string[]; digest: string }> {
  const world = new World(seed)
  const lines: string[] = []
  world.trace.sink = (line) => lines.push(line)
  const names = ['a', 'b', 'c']
  const chat = async (platform: Platform): Promise<void> => {
    await echo(platform)
    const file = platform.files.open('log', 'write')
    let size = 0
    for (;;) {
      await sleep(platform.clock, platform.random.next() * 50)
      const text = platform.random.bytes(1 + platform.random.below(2000))
      await file.write([text], size)
      size += text.length
      await file.sync()
      const host = names[platform.random.below(3)]!
      await connected(platform, host).then(
        ({ socket }) => {
          socket.write([text])
          platform.clock.setTimer(20, () => socket.end())
        },
        () => {},
      )
    }
  }
  for (const name of names) world.process(name).start(chat)
  const disturb = (): void => {
    const victim = world.process(world.random.pick(names))
    const deed = world.random.below(4)
    if (deed === 0) victim.crash()
    if (deed === 1) victim.powerFail()
    if (deed === 2) world.partition([victim], world.processes)
    if (deed === 3) world.fabric.resetConnections(victim.address, null, 0.5)
    world.after(300, () => {
      world.heal()
      if (!victim.isRunning) victim.start(chat)
      disturb()
    })
  }
  disturb()
  await world.run(5000)
  assert.deepEqual(world.findings, [])
  return { lines, digest: world.trace.digest }
}

test('the same seed gives the same trace, alone and beside others', async () => {
  const alone = await talk(42)
  assert.ok(alone.lines.length > 500)
  const [beside, other] = await Promise.all([talk(42), talk(43)])
  assert.deepEqual(beside, alone)
  assert.notEqual(other.digest, alone.digest)
})
