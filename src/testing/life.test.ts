/** What is killed stops at once, and leaves to others what was its own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sleep, type Platform, type Socket } from '#platform'
import { memoryFiles } from '#platform/memory'
import { nodePlatform } from '#platform/node'
import { World } from '#simulation'

import { Life } from './life.ts'

const HOST = '127.0.0.1'

function world(): Platform {
  const platform = nodePlatform({ logLevel: 'error' })
  return { ...platform, files: memoryFiles(platform.clock) }
}

/** Runs the program on a machine of a simulated world. */
async function inVirtualTime(run: (platform: Platform) => Promise<void>): Promise<void> {
  const world = new World(1)
  const ran = Promise.withResolvers<void>()
  world.process('machine').start((platform) => run(platform).then(ran.resolve, ran.reject))
  await world.run(60_000)
  await ran.promise
}

/** A peer outside of the life: when it hears something, and when the connection is gone. */
function listen(socket: Socket): { arrived: Promise<void>; closed: Promise<void> } {
  const arrived = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  socket.start({
    onBytes: () => arrived.resolve(),
    onDrain() {},
    onClose: () => closed.resolve(),
  })
  return { arrived: arrived.promise, closed: closed.promise }
}

test('timers, turns and promises of a life end with it', async () => {
  const happened: string[] = []
  await inVirtualTime(async (outside) => {
    const life = new Life(outside)
    const { clock } = life.platform
    clock.setTimer(1, () => happened.push('early'))
    clock.setTimer(2, () => happened.push('cancelled')).cancel()
    clock.setTimer(20, () => happened.push('timer'))
    void sleep(clock, 20).then(() => happened.push('sleep'))
    await sleep(outside.clock, 10)
    await life.end()
    clock.endOfTurn(() => happened.push('end of turn'))
    clock.nextTurn(() => happened.push('next turn'))
    await sleep(outside.clock, 50)
    assert.throws(() => clock.setTimer(1, () => {}), /killed/)
  })
  assert.deepEqual(happened, ['early'])
})

test('connections of both directions break, the port is free, and nothing is heard any more', async () => {
  const outside = world()
  const life = new Life(outside)
  const { network } = life.platform
  const inside: string[] = []
  const silent = (name: string) => ({
    onBytes: (bytes: Uint8Array) => void inside.push(`${name} ${bytes.length} bytes`),
    onDrain() {},
    onClose: () => void inside.push(`${name} closed`),
  })
  const listener = await network.listen({
    host: HOST,
    port: 0,
    onConnection: (socket) => socket.start(silent('accepted')),
  })
  const client = await outside.network.connect({ host: HOST, port: listener.port, timeoutMs: 5000 })
  const atClient = listen(client)
  const accepted = Promise.withResolvers<ReturnType<typeof listen>>()
  const server = await outside.network.listen({
    host: HOST,
    port: 0,
    onConnection: (socket) => accepted.resolve(listen(socket)),
  })
  const connected = await network.connect({ host: HOST, port: server.port, timeoutMs: 5000 })
  connected.start(silent('connected'))
  connected.write([Uint8Array.of(1, 2, 3)])
  const atServer = await accepted.promise
  await atServer.arrived

  await life.end()
  await Promise.all([atClient.closed, atServer.closed])
  assert.deepEqual(inside, [])
  const next = await outside.network.listen({ host: HOST, port: listener.port, onConnection() {} })
  await Promise.all([next.close(), server.close()])
})

test('what was written stays, files can no longer be written, and locks are free', async () => {
  const outside = world()
  const life = new Life(outside)
  const { files } = life.platform
  files.makeDirectory('d')
  files.lock('d/.lock')
  const file = files.open('d/f', 'write')
  file.write([Uint8Array.of(1, 2)], 0)
  await file.sync()
  await files.syncDirectory('d')
  await life.end()
  assert.equal(life.isOver, true)
  assert.throws(() => file.write([Uint8Array.of(3)], 2), /killed/)
  assert.throws(() => files.open('d/g', 'write'), /killed/)
  assert.deepEqual([...outside.files.readFile('d/f')], [1, 2])
  outside.files.lock('d/.lock').release()
})

test('an end waits for what the pool still does, and nobody hears of it', async () => {
  const writing = Promise.withResolvers<void>()
  const outside = world()
  const memory = outside.files.open('f', 'write')
  const slow = {
    ...outside,
    files: { ...outside.files, open: () => ({ ...memory, path: 'f', close() {}, write: () => writing.promise }) },
  }
  const life = new Life(slow)
  let isHeard = false
  void life.platform.files
    .open('f', 'write')
    .write([Uint8Array.of(1)], 0)
    ?.then(() => (isHeard = true))
  let hasEnded = false
  const ending = life.end().then(() => (hasEnded = true))
  await new Promise<void>((resolve) => outside.clock.nextTurn(resolve))
  assert.equal(hasEnded, false)
  writing.resolve()
  await ending
  assert.equal(isHeard, false)
})
