import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { FileError, NetworkError, replaceFile, type Listener, type Socket } from '#platform'
import { nodePlatform } from '#platform/node'

import { PoolShare } from './files.ts'

const platform = nodePlatform({ logLevel: 'error' })
const { clock, files, network, random } = platform
const directory = mkdtempSync(join(tmpdir(), 'samsa-node-'))
after(() => rmSync(directory, { recursive: true }))
const at = (name: string): string => join(directory, name)

test('a file has what was written, gathered, at its position', async () => {
  const file = files.open(at('a'), 'write')
  await file.write([Uint8Array.of(1, 2), Uint8Array.of(3)], 0)
  await file.write([Uint8Array.of(9)], 1)
  await Promise.all([file.sync(), file.sync(), file.sync()])
  const into = new Uint8Array(8)
  assert.equal(file.read(into, 0), 3)
  assert.deepEqual([...into.subarray(0, 3)], [1, 9, 3])
  assert.equal(await file.readBehind(into, 1), 2)
  assert.equal(file.size(), 3)
  file.truncate(1)
  assert.equal(files.stat(at('a')).size, 1)
  file.close()
  assert.throws(() => file.size(), FileError)
})

test('a thousand chunks and more go in one write', async () => {
  const file = files.open(at('many'), 'truncate')
  const chunks = Array.from({ length: 3000 }, (_, index) => Uint8Array.of(index & 0xff, 7))
  await file.write(chunks, 0)
  assert.equal(file.size(), 6000)
  const tail = new Uint8Array(2)
  file.read(tail, 5998)
  assert.deepEqual([...tail], [2999 & 0xff, 7])
  file.close()
})

test('the pool is used up to its share, and no further', async () => {
  const share = new PoolShare(2)
  const finish: (() => void)[] = []
  const work = [1, 2, 3].map((value) => share.run<number>((done) => finish.push(() => done(null, value)), 'x'))
  assert.equal(finish.length, 2)
  finish[0]!()
  assert.equal(await work[0], 1)
  assert.equal(finish.length, 3)
  finish[1]!()
  finish[2]!()
  assert.deepEqual(await Promise.all(work), [1, 2, 3])
})

test('a lock dies with its process, however that dies', async () => {
  const program = `import { nodePlatform } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))}
    nodePlatform().files.lock(${JSON.stringify(at('.held'))})
    process.stdout.write('held')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  assert.throws(() => files.lock(at('.held')), FileError)
  child.kill('SIGKILL')
  await once(child, 'exit')
  files.lock(at('.held')).release()
})

test('a failure carries the code of the system', () => {
  assert.throws(
    () => files.open(at('missing'), 'read'),
    (error) => error instanceof FileError && error.code === 'ENOENT',
  )
})

test('names: listing, renaming, replacing, removing', async () => {
  files.makeDirectory(at('d/e'))
  await replaceFile(files, at('d/x'), Uint8Array.of(1))
  await replaceFile(files, at('d/x'), Uint8Array.of(2))
  assert.deepEqual([...files.readFile(at('d/x'))], [2])
  assert.deepEqual(files.list(at('d')), ['e', 'x'])
  files.rename(at('d/x'), at('d/y'))
  files.remove(at('d/y'))
  files.remove(at('d/y'))
  await files.removeTree(at('d'))
  assert.equal(files.exists(at('d')), false)
})

test('a lock has one holder', () => {
  const lock = files.lock(at('.lock'))
  assert.throws(
    () => files.lock(at('.lock')),
    (error) => error instanceof FileError && error.code === 'EWOULDBLOCK',
  )
  lock.release()
  files.lock(at('.lock')).release()
})

test('a timer fires after the sockets were read, and what they cancel does not fire', async () => {
  const listener = await network.listen({ host: '127.0.0.1', port: 0, onConnection: (socket) => socket.start(silent) })
  const peer = await network.connect({ host: '127.0.0.1', port: listener.port, timeoutMs: 1000 })
  const fired: string[] = []
  const server = await network.listen({
    host: '127.0.0.1',
    port: 0,
    onConnection: (socket) =>
      socket.start({
        ...silent,
        onBytes() {
          fired.push('heartbeat')
          expiry.cancel()
        },
      }),
  })
  const client = await network.connect({ host: '127.0.0.1', port: server.port, timeoutMs: 1000 })
  client.start(silent)
  peer.start(silent)
  await new Promise((resolve) => setTimeout(resolve, 20))
  client.write([Uint8Array.of(1)])
  const expiry = clock.setTimer(5, () => fired.push('expired'))
  const stalledUntil = performance.now() + 30
  while (performance.now() < stalledUntil);
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.deepEqual(fired, ['heartbeat'])
  for (const socket of [client, peer]) socket.destroy()
  await Promise.all([server.close(), listener.close()])
})

test('turns: promises first, then what was gathered, then the next turn', async () => {
  const order: string[] = []
  await new Promise<void>((resolve) => {
    clock.nextTurn(() => resolve(void order.push('next')))
    clock.endOfTurn(() => order.push('end'))
    void Promise.resolve().then(() => order.push('promise'))
  })
  assert.deepEqual(order, ['promise', 'end', 'next'])
})

test('random numbers lie in their range', () => {
  for (let round = 0; round < 2000; round++) {
    const value = random.next()
    assert.ok(value >= 0 && value < 1)
    assert.ok(random.below(3) < 3)
  }
  assert.equal(random.bytes(5).length, 5)
})

const silent = { onBytes(): void {}, onDrain(): void {}, onClose(): void {} }

/** A listener whose first connection is handed to the test. */
async function listening(): Promise<{ listener: Listener; accepted: Promise<Socket> }> {
  let hand: (socket: Socket) => void = () => {}
  const accepted = new Promise<Socket>((resolve) => (hand = resolve))
  const listener = await network.listen({ host: '127.0.0.1', port: 0, onConnection: (socket) => hand(socket) })
  return { listener, accepted }
}

/** Collects what arrives, and how the connection ends. */
class Collector {
  readonly chunks: number[] = []
  bytes = 0
  drains = 0
  readonly arrived: Promise<void>
  readonly closed: Promise<Error | null>
  onClose!: (error: Error | null) => void
  #onArrival!: () => void
  constructor() {
    this.arrived = new Promise((resolve) => (this.#onArrival = resolve))
    this.closed = new Promise((resolve) => (this.onClose = resolve))
  }
  onBytes(bytes: Uint8Array): void {
    this.bytes += bytes.length
    this.#onArrival()
    if (bytes.length < 100) this.chunks.push(...bytes)
  }
  onDrain(): void {
    this.drains += 1
  }
}

test('bytes go both ways, what was written leaves before the end', async () => {
  const { listener, accepted } = await listening()
  const client = await network.connect({ host: '127.0.0.1', port: listener.port, timeoutMs: 1000 })
  const server = await accepted
  const atServer = new Collector()
  const atClient = new Collector()
  client.write([Uint8Array.of(1), Uint8Array.of(2), new Uint8Array(5_000_000), Uint8Array.of(3)])
  assert.ok(client.pendingBytes > 0)
  client.end()
  server.start(atServer)
  client.start(atClient)
  assert.equal(await atServer.closed, null)
  assert.equal(await atClient.closed, null)
  assert.equal(atServer.bytes, 5_000_003)
  assert.equal(atClient.drains, 1)
  await listener.close()
})

test('a peer that has ended still gets its answer where the handler asks for it', async () => {
  const { listener, accepted } = await listening()
  const peer = connect({ port: listener.port, host: '127.0.0.1', allowHalfOpen: true })
  peer.end('ruok')
  const server = await accepted
  const collected = Object.assign(new Collector(), {
    onEnd() {
      setTimeout(() => {
        server.write([Uint8Array.of(105, 109, 111, 107)])
        server.end()
      }, 5)
    },
  })
  server.start(collected)
  const answer: Buffer[] = []
  for await (const chunk of peer) answer.push(chunk as Buffer)
  assert.equal(Buffer.concat(answer).toString(), 'imok')
  assert.equal(await collected.closed, null)
  await listener.close()
})

test('a paused socket delivers nothing until it goes on', async () => {
  const { listener, accepted } = await listening()
  const client = await network.connect({ host: '127.0.0.1', port: listener.port, timeoutMs: 1000 })
  const server = await accepted
  const collected = new Collector()
  server.start(collected)
  server.pause()
  client.start(new Collector())
  client.write([new Uint8Array(20_000_000)])
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.equal(collected.bytes, 0)
  assert.ok(client.pendingBytes > 0)
  server.resume()
  client.end()
  await collected.closed
  assert.equal(collected.bytes, 20_000_000)
  await listener.close()
})

test('a handler that throws loses its own connection only', async () => {
  const quiet = nodePlatform({ logLevel: 'error' })
  const said: string[] = []
  const write = process.stderr.write.bind(process.stderr)
  process.stderr.write = (text) => said.push(String(text)) > 0
  let count = 0
  const listener = await quiet.network.listen({
    host: '127.0.0.1',
    port: 0,
    onConnection(socket) {
      const fails = count++ === 0
      const onBytes = (bytes: Uint8Array): void => {
        if (fails) throw new Error('a mistake of ours')
        socket.write([bytes.slice()])
      }
      socket.start({ ...silent, onBytes })
    },
  })
  const first = await network.connect({ host: '127.0.0.1', port: listener.port, timeoutMs: 1000 })
  const second = await network.connect({ host: '127.0.0.1', port: listener.port, timeoutMs: 1000 })
  const atFirst = new Collector()
  const atSecond = new Collector()
  first.start(atFirst)
  second.start(atSecond)
  first.write([Uint8Array.of(1)])
  await atFirst.closed
  process.stderr.write = write
  assert.match(
    said.join(''),
    /ERROR the connection with 127\.0\.0\.1:\d+ failed and is closed: a mistake of ours\n {4}at /,
  )
  second.write([Uint8Array.of(42)])
  await atSecond.arrived
  assert.deepEqual(atSecond.chunks, [42])
  second.destroy()
  await listener.close()
})

test('connecting fails with a code, a time limit or the reason of its signal', async () => {
  const { listener } = await listening()
  const { port } = listener
  await listener.close()
  const refused = network.connect({ host: '127.0.0.1', port, timeoutMs: 1000 })
  await assert.rejects(refused, (error) => error instanceof NetworkError && error.code === 'ECONNREFUSED')
  const reason = new Error('no longer wanted')
  const aborted = network.connect({ host: '127.0.0.1', port, timeoutMs: 1000, signal: AbortSignal.abort(reason) })
  await assert.rejects(aborted, reason)
  const taken = await network.listen({ host: '127.0.0.1', port: 0, onConnection() {} })
  const second = network.listen({ host: '127.0.0.1', port: taken.port, onConnection() {} })
  await assert.rejects(second, (error) => error instanceof NetworkError && error.code === 'EADDRINUSE')
  await taken.close()
})

test('a listener closes while connections are open, also where their handles cannot be wrapped anew', async () => {
  const { listener, accepted } = await listening()
  const probe = connect(listener.port, '127.0.0.1')
  let prototype = Object.getPrototypeOf((probe as unknown as { _handle: object })._handle) as object
  while (!Object.hasOwn(prototype, 'useUserBuffer')) prototype = Object.getPrototypeOf(prototype) as object
  const wrapped = Object.getOwnPropertyDescriptor(prototype, 'useUserBuffer')!
  Object.defineProperty(prototype, 'useUserBuffer', { ...wrapped, value: undefined })
  try {
    const server = await accepted
    const collected = new Collector()
    server.start(collected)
    await listener.close()
    probe.write(Uint8Array.of(1, 2))
    await collected.arrived
    assert.deepEqual(collected.chunks, [1, 2])
    const again = await network.listen({ host: '127.0.0.1', port: listener.port, onConnection() {} })
    await again.close()
    server.destroy()
    await collected.closed
  } finally {
    Object.defineProperty(prototype, 'useUserBuffer', wrapped)
    probe.destroy()
  }
})

test('onClose comes once, after the owner destroyed it, with its reason', async () => {
  const { listener, accepted } = await listening()
  const client = await network.connect({ host: '127.0.0.1', port: listener.port, timeoutMs: 1000 })
  const server = await accepted
  const collected = new Collector()
  server.start(collected)
  const reason = new Error('idle')
  server.destroy(reason)
  server.destroy()
  assert.equal(await collected.closed, reason)
  client.destroy()
  await listener.close()
})

test('a directory that the system will not make is refused, and a deep one is made with its parents', () => {
  const { files } = nodePlatform()
  assert.throws(() => files.makeDirectory('/proc/nope/deeper'), { name: 'FileError', code: 'ENOENT' })
  const root = mkdtempSync(join(tmpdir(), 'samsa-directory-'))
  files.makeDirectory(`${root}/a/b/c`)
  files.makeDirectory(`${root}/a/b/c`)
  assert.equal(files.stat(`${root}/a/b/c`).kind, 'directory')
  rmSync(root, { recursive: true })
})

test('reads behind the tail go at once as soon as the device has answered some of them as fast as memory', async () => {
  const root = mkdtempSync(join(tmpdir(), 'samsa-behind-'))
  const file = nodePlatform().files.open(`${root}/log`, 'write')
  await file.write([Uint8Array.of(1, 2, 3)], 0)
  const into = new Uint8Array(2)
  assert.equal(await file.readBehind(into, 1), 2)
  assert.deepEqual([...into], [2, 3])
  // A machine with much else to do may take longer for one of them.
  let atOnce = false
  for (let reads = 0; reads < 200 && !atOnce; reads++) {
    const reading = file.readBehind(into, 0)
    atOnce = typeof reading === 'number'
    assert.equal(await reading, 2)
  }
  assert(atOnce, 'the page cache counts as memory')
  file.close()
  rmSync(root, { recursive: true })
})
