/** Two ends of one connection in a simulated world. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ByteWriter } from '#base'
import { sleep } from '#platform'
import { World } from '#simulation'
import { PacketType, SNAPSHOT_SIGNATURE, packet, writePacket, type QuorumPacket } from '#zookeeper/zab'

import { PacketSocket } from './packet-socket.ts'

const PORT = 2888

class End {
  readonly socket: PacketSocket
  readonly received: QuorumPacket[] = []
  closed: string | null = null
  progress = 0
  onPacket: (received: QuorumPacket) => void = () => {}

  constructor(socket: PacketSocket) {
    this.socket = socket
    socket.start({
      onPacket: (received) => {
        this.received.push(received)
        this.onPacket(received)
      },
      onHeard: () => {},
      onProgress: () => (this.progress += 1),
      onClose: (error) => (this.closed = error?.message ?? 'ended'),
    })
  }

  get zxids(): bigint[] {
    return this.received.map(({ zxid }) => zxid)
  }
}

/** Something happens at one end, and then the world goes on until `done`. */
class Stage {
  readonly world: World
  left!: End
  right!: End

  private constructor(seed: number) {
    this.world = new World(seed)
  }

  static async open(seed: number, queueBytesMax?: number): Promise<Stage> {
    const stage = new Stage(seed)
    stage.world.process('right').start(async (platform) => {
      await platform.network.listen({
        host: 'right',
        port: PORT,
        onConnection: (socket) => (stage.right = new End(new PacketSocket(platform, socket))),
      })
    })
    stage.world.process('left').start(async (platform) => {
      await sleep(platform.clock, 5)
      const socket = await platform.network.connect({ host: 'right', port: PORT, timeoutMs: 1000 })
      stage.left = new End(new PacketSocket(platform, socket, queueBytesMax))
    })
    await stage.until(() => stage.left !== undefined && stage.right !== undefined)
    return stage
  }

  async at(side: 'left' | 'right', run: () => void, done: () => boolean): Promise<void> {
    this.world.process(side).signal(run)
    await this.until(done)
  }

  async until(done: () => boolean): Promise<void> {
    assert.ok(await this.world.runUntil(done, 60_000))
    assert.deepEqual(this.world.findings, [])
  }
}

const ping = (zxid: bigint): QuorumPacket => packet(PacketType.ping, zxid)

test('packets arrive in order, and a stream keeps its place among them', async () => {
  const stage = await Stage.open(1)
  const { left, right } = stage
  const streamed = (first: bigint, count: number): QuorumPacket[] =>
    Array.from({ length: count }, (_, index) =>
      packet(PacketType.proposal, first + BigInt(index), new Uint8Array(50_000)),
    )
  await stage.at(
    'left',
    () => {
      left.socket.send(ping(1n))
      left.socket.stream((write) => sendAll(streamed(2n, 60), write))
      left.socket.send(ping(62n))
      left.socket.stream((write) => sendAll(streamed(63n, 60), write))
      left.socket.send(ping(123n))
      left.socket.send(ping(124n))
    },
    () => right.received.length === 124,
  )
  assert.deepEqual(
    right.zxids,
    Array.from({ length: 124 }, (_, index) => BigInt(index + 1)),
  )
  assert.ok(left.progress >= 120)
  assert.equal(left.socket.queuedBytes, 0)
})

test('a receiver that is busy gets no packet, and the sender has to wait', async () => {
  const stage = await Stage.open(2)
  const { left, right } = stage
  right.socket.hold()
  await stage.at(
    'left',
    () => {
      for (let zxid = 1n; zxid <= 200n; zxid++)
        left.socket.send(packet(PacketType.proposal, zxid, new Uint8Array(50_000)))
    },
    () => stage.world.nowMs > 5000,
  )
  assert.deepEqual(right.received, [])
  assert.ok(left.socket.queuedBytes > 1_000_000)
  await stage.at(
    'right',
    () => right.socket.release(),
    () => right.received.length === 200,
  )
  assert.deepEqual(
    right.zxids,
    Array.from({ length: 200 }, (_, index) => BigInt(index + 1)),
  )
})

test('a peer that reads nothing loses its connection before it costs too much memory', async () => {
  const stage = await Stage.open(3, 8_000_000)
  const { left, right } = stage
  right.socket.hold()
  await stage.at(
    'left',
    () => {
      for (let zxid = 1n; zxid <= 400n; zxid++)
        left.socket.send(packet(PacketType.proposal, zxid, new Uint8Array(50_000)))
    },
    () => left.closed !== null,
  )
  assert.match(left.closed!, /8000000 bytes wait/)
})

test('a snapshot is taken byte by byte, while packets wait behind it', async () => {
  const stage = await Stage.open(4)
  const { left, right } = stage
  const snapshot = Uint8Array.from({ length: 6_000_000 }, (_, index) => index % 251)
  let taken = 0
  right.onPacket = ({ type }) => {
    if (type !== PacketType.snap) return
    right.socket.hold()
    void (async () => {
      while (taken < snapshot.length) {
        const length = Math.min(70_001, snapshot.length - taken)
        assert.deepEqual(await right.socket.takeRaw(length), snapshot.subarray(taken, taken + length))
        taken += length
      }
      await right.socket.endSnapshot()
      right.socket.release()
    })()
  }
  await stage.at(
    'left',
    () => {
      left.socket.send(packet(PacketType.snap, 1n))
      left.socket.stream(async (write) => {
        for (let start = 0; start < snapshot.length; start += 100_000)
          await write(snapshot.slice(start, start + 100_000))
        await write(SNAPSHOT_SIGNATURE)
      })
      left.socket.send(ping(2n))
    },
    () => right.received.length === 2,
  )
  assert.equal(taken, snapshot.length)
})

test('a snapshot that breaks off is told to whoever waits for it', async () => {
  const stage = await Stage.open(5)
  const { left, right } = stage
  let failure: string | null = null
  right.onPacket = () => {
    right.socket.hold()
    Promise.resolve(right.socket.takeRaw(1000)).catch((error: Error) => (failure = error.message))
  }
  await stage.at(
    'left',
    () => {
      left.socket.send(packet(PacketType.snap, 1n))
      left.socket.stream(async (write) => {
        await write(new Uint8Array(10))
        throw new Error('the disk failed')
      })
    },
    () => right.closed !== null,
  )
  assert.equal(left.closed, 'the disk failed')
  assert.ok(failure !== null)
})

async function sendAll(packets: readonly QuorumPacket[], write: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  for (const each of packets) {
    const writer = new ByteWriter()
    writePacket(writer, each)
    for (const chunk of writer.chunks()) await write(chunk)
  }
}
