/** The server in a simulated world, through its protocol: order, watches, sessions, limits, faults. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Platform } from '#platform'
import { World, type SimulatedProcess } from '#simulation'
import { CreateMode, OpCode, operations, type Acl } from '#zookeeper/protocol'

import { parseZooCfg, type ZooKeeperConfig } from './config.ts'
import { PlainClient } from './plain-client.ts'
import { ZooKeeperServer } from './server.ts'

const PORT = 2181
const OPEN: Acl[] = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]
const BASE = `dataDir=/data\nadmin.enableServer=false\nclientPort=${PORT}\ntickTime=1000\npreAllocSize=64\nmaxClientCnxns=0\n`

/** A server and a machine with clients. */
class Stage {
  readonly world: World
  readonly machine: SimulatedProcess
  readonly #clients: Platform[] = []
  readonly #config: ZooKeeperConfig
  server: ZooKeeperServer | null = null
  stopped: Error | null | undefined
  refused: unknown

  private constructor(seed: number, config: ZooKeeperConfig) {
    this.world = new World(seed)
    this.machine = this.world.process('server')
    this.#config = config
    this.world.process('clients').start((platform) => {
      this.#clients.push(platform)
      return new Promise(() => {})
    })
  }

  static async open(seed: number, more = '', overrides: Partial<ZooKeeperConfig> = {}): Promise<Stage> {
    const stage = new Stage(seed, { ...parseZooCfg(BASE + more).config, ...overrides })
    await stage.start()
    return stage
  }

  async start(): Promise<void> {
    this.server = null
    this.refused = undefined
    this.machine.start(
      async (platform) => {
        this.server = await ZooKeeperServer.start(platform, this.#config)
        this.stopped = await this.server.stopped
      },
      (error) => (this.refused = error),
    )
    assert.ok(await this.world.runUntil(() => this.server !== null || this.refused !== undefined, 10_000))
  }

  /** Runs a client's story to its end. */
  async play<T>(story: (client: () => Promise<PlainClient>, platform: Platform) => Promise<T>): Promise<T> {
    await this.world.runUntil(() => this.#clients.length > 0, 1000)
    const platform = this.#clients[0]!
    let outcome: { value: T } | { error: unknown } | null = null
    this.world.process('clients').signal(() => {
      story(() => PlainClient.connect(platform, PORT), platform).then(
        (value) => (outcome = { value }),
        (error: unknown) => (outcome = { error }),
      )
    })
    assert.ok(await this.world.runUntil(() => outcome !== null, 120_000), 'the story does not end')
    assert.deepEqual(this.world.findings, [])
    const ended = outcome as unknown as { value: T } | { error: unknown }
    if ('error' in ended) throw ended.error
    return ended.value
  }
}

const node = (
  path: string,
  flags: number = CreateMode.persistent,
  acl = OPEN,
): { path: string; data: Uint8Array; acl: Acl[]; flags: number } => ({
  path,
  data: Uint8Array.of(1),
  acl,
  flags,
})

const pause = (platform: Platform, ms: number): Promise<void> =>
  new Promise((resolve) => platform.clock.setTimer(ms, () => resolve()))

test('a client sees its own writes, in the order of its requests', async () => {
  const stage = await Stage.open(1)
  await stage.play(async (connect) => {
    const client = await connect()
    const answers = await Promise.all([
      client.ask('create', node('/a')),
      client.ask('exists', { path: '/a', watch: false }),
      client.ask('setData', { path: '/a', data: Uint8Array.of(2, 3), version: 0 }),
      client.ask('getData', { path: '/a', watch: false }),
      client.ask('ping', null, -2),
      client.ask('delete', { path: '/a', version: 1 }),
      client.ask('getData', { path: '/a', watch: false }),
      client.ask('sync', { path: '/a' }),
    ])
    assert.deepEqual(
      answers.map(({ err }) => err),
      ['OK', 'OK', 'OK', 'OK', 'OK', 'OK', 'NONODE', 'OK'],
    )
    assert.deepEqual(answers[3].body, { data: Uint8Array.of(2, 3), stat: answers[2].body?.stat })
  })
})

test('many clients’ writes share syncs', async () => {
  const stage = await Stage.open(2)
  const syncs = await stage.play(async (connect) => {
    const clients = await Promise.all(Array.from({ length: 10 }, connect))
    const writes = clients.flatMap((client, number) =>
      Array.from({ length: 20 }, (_, index) => client.ask('create', node(`/n-${number}-${index}`))),
    )
    for (const answer of await Promise.all(writes)) assert.equal(answer.err, 'OK')
    return stage.server!.adminWord('mntr')
  })
  assert.match(syncs, /not in the whitelist/)
  assert.equal(stage.server!.tree.nodeCount, 205)
  assert.equal(stage.server!.tree.digestMismatches, 0)
})

test('an event comes before the answer that shows the change', async () => {
  const stage = await Stage.open(3)
  await stage.play(async (connect, platform) => {
    const [one, other] = [await connect(), await connect()]
    await one.ask('exists', { path: '/a', watch: true })
    await one.ask('getChildren2', { path: '/', watch: true })
    await one.ask('create', node('/a'))
    assert.deepEqual(one.events, ['1 /a', '4 /'])
    await one.ask('getData', { path: '/a', watch: true })
    await other.ask('setData', { path: '/a', data: null, version: -1 })
    await other.ask('setData', { path: '/a', data: null, version: -1 })
    await pause(platform, 100)
    assert.deepEqual(one.events.slice(2), ['3 /a'])
  })
})

test('watches that are set again fire for what was missed', async () => {
  const stage = await Stage.open(4)
  await stage.play(async (connect) => {
    const client = await connect()
    await client.ask('create', node('/old'))
    const { zxid } = await client.ask('create', node('/gone'))
    await client.ask('setData', { path: '/old', data: null, version: -1 })
    await client.ask('create', node('/old/child'))
    await client.ask('delete', { path: '/gone', version: -1 })
    const later = await connect()
    const request = {
      relativeZxid: zxid,
      dataWatches: ['/old', '/gone', '/old/child'],
      existWatches: ['/old', '/never'],
      childWatches: ['/old', '/gone', '/zookeeper'],
    }
    assert.equal((await later.ask('setWatches', request, -8)).err, 'OK')
    assert.deepEqual(later.events, ['3 /old', '2 /gone', '3 /old/child', '1 /old', '4 /old', '2 /gone'])
    await client.ask('create', node('/never'))
    await later.ask('sync', { path: '/' })
    assert.deepEqual(later.events.slice(6), ['1 /never'])
  })
})

test('who may not read a node is not told of it', async () => {
  const stage = await Stage.open(5)
  await stage.play(async (connect) => {
    const [owner, spy] = [await connect(), await connect()]
    await owner.ask('auth', { type: 0, scheme: 'digest', auth: new TextEncoder().encode('a:b') }, -4)
    await owner.ask('create', node('/secret', 0, [{ perms: 31, id: { scheme: 'auth', id: '' } }]))
    assert.equal((await spy.ask('exists', { path: '/secret', watch: true })).err, 'NOAUTH')
    await spy.ask('addWatch', { path: '/secret', mode: 1 })
    await spy.ask('addWatch', { path: '/secret', mode: 0 })
    await owner.ask('create', node('/secret/child', 0, [{ perms: 31, id: { scheme: 'auth', id: '' } }]))
    await owner.ask('setData', { path: '/secret', data: null, version: -1 })
    await owner.ask('delete', { path: '/secret/child', version: -1 })
    await spy.ask('sync', { path: '/' })
    assert.deepEqual(spy.events, [])
  })
})

test('a session that falls silent ends with its ephemerals, one that pings lives', async () => {
  const stage = await Stage.open(6)
  await stage.play(async (connect, platform) => {
    const [silent, alive] = [await connect(), await connect()]
    await silent.ask('create', node('/silent', CreateMode.ephemeral))
    await alive.ask('create', node('/alive', CreateMode.ephemeral))
    for (let beat = 0; beat < 5; beat++) {
      await pause(platform, 2000)
      await alive.ask('ping', null, -2)
    }
    assert.ok(silent.closed)
    assert.equal((await alive.ask('exists', { path: '/silent', watch: false })).err, 'NONODE')
    assert.equal((await alive.ask('exists', { path: '/alive', watch: false })).err, 'OK')
  })
})

test('a stall of the server is not held against its sessions', async () => {
  const stage = await Stage.open(7)
  await stage.play(async (connect, platform) => {
    const client = await connect()
    await client.ask('create', node('/e', CreateMode.ephemeral))
    stage.machine.pause()
    await pause(platform, 20_000)
    stage.machine.resume()
    assert.equal((await client.ask('exists', { path: '/e', watch: false })).err, 'OK')
    for (let beat = 0; beat < 10; beat++) {
      await pause(platform, 1000)
      await client.ask('ping', null, -2)
    }
    assert.equal((await client.ask('exists', { path: '/e', watch: false })).err, 'OK')
  })
})

test('a client comes back to its session, after a lost connection and after a restart', async () => {
  const stage = await Stage.open(8)
  const welcome = await stage.play(async (connect, platform) => {
    const first = await connect()
    await first.ask('create', node('/e', CreateMode.ephemeral))
    first.leave()
    const { sessionId, passwd } = first.welcome!
    const again = await PlainClient.connect(platform, PORT, { sessionId, passwd })
    assert.deepEqual(again.welcome, first.welcome)
    return first.welcome!
  })
  stage.machine.powerFail()
  await stage.start()
  await stage.play(async (_, platform) => {
    const { sessionId, passwd } = welcome
    const again = await PlainClient.connect(platform, PORT, { sessionId, passwd })
    assert.equal(again.welcome!.sessionId, sessionId)
    assert.equal((await again.ask('exists', { path: '/e', watch: false })).err, 'OK')
    assert.equal((await again.ask('closeSession', null)).err, 'OK')
    const late = await PlainClient.connect(platform, PORT, { sessionId, passwd })
    assert.deepEqual([late.welcome!.timeOut, late.welcome!.sessionId], [0, 0n])
  })
})

test('a wrong password, an unknown session and a client from the future are refused', async () => {
  const stage = await Stage.open(9)
  await stage.play(async (connect, platform) => {
    const { sessionId, passwd } = (await connect()).welcome!
    const wrong = await PlainClient.connect(platform, PORT, { sessionId, passwd: new Uint8Array(16) })
    assert.deepEqual([wrong.welcome!.timeOut, wrong.welcome!.sessionId], [0, 0n])
    const unknown = await PlainClient.connect(platform, PORT, { sessionId: sessionId + 1n, passwd })
    assert.equal(unknown.welcome!.timeOut, 0)
    const ahead = await PlainClient.connect(platform, PORT, { lastZxidSeen: 1n << 40n })
    assert.deepEqual([ahead.welcome, ahead.closed], [null, true])
    const old = await PlainClient.connect(platform, PORT, { readOnly: null })
    assert.equal(old.welcome!.readOnly, null)
    for (const [asked, given] of [
      [1, 2000],
      [5000, 5000],
      [1_000_000, 20_000],
    ] as const)
      assert.equal((await PlainClient.connect(platform, PORT, { timeOut: asked })).welcome!.timeOut, given)
  })
})

test('the second connection of a session closes the first', async () => {
  const stage = await Stage.open(10)
  await stage.play(async (connect, platform) => {
    const first = await connect()
    const { sessionId, passwd } = first.welcome!
    const second = await PlainClient.connect(platform, PORT, { sessionId, passwd })
    await pause(platform, 100)
    assert.deepEqual([first.closed, second.closed], [true, false])
  })
})

test('what is no request is answered or closed, and others do not notice', async () => {
  const stage = await Stage.open(11)
  await stage.play(async (connect, platform) => {
    const witness = await connect()
    const frames: [number[], 'closed' | 'open'][] = [
      [[], 'closed'],
      [[0, 0, 0], 'closed'],
      [[0, 0, 0, 1, 0, 0, 0, 99], 'closed'],
      [[0, 0, 0, 1, 0, 0, 0, 13, 0, 0, 0, 1, 47, 0, 0, 0, 0], 'closed'],
      [[0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0, 1, 47], 'closed'],
      [[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xf6, 0, 0, 0, 1], 'closed'],
      [[0, 0, 0, 1, 0, 0, 0, 4], 'open'],
      [[0, 0, 0, 1, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff], 'open'],
      [[0, 0, 0, 1, 0, 0, 0, 14, 0, 0, 0, 4, 0, 0xff, 0xff, 0xff, 0xff], 'open'],
    ]
    for (const [bytes, expected] of frames) {
      const hostile = await connect()
      const ignored = hostile.ask('ping', null, -2)
      await ignored
      hostile.sendFrame(Uint8Array.from(bytes))
      hostile.ask('exists', { path: '/', watch: false }, 1).catch(() => {})
      await pause(platform, 200)
      assert.equal(hostile.closed ? 'closed' : 'open', expected, JSON.stringify(bytes))
      assert.equal((await witness.ask('exists', { path: '/', watch: false })).err, 'OK')
    }
  })
})

test('a connection without a handshake is closed after a while', async () => {
  const stage = await Stage.open(12)
  await stage.play(async (_, platform) => {
    let closed = false
    const socket = await platform.network.connect({ host: 'server', port: PORT, timeoutMs: 1000 })
    socket.start({ onBytes() {}, onDrain() {}, onClose: () => void (closed = true) })
    await pause(platform, 9000)
    assert.ok(!closed)
    await pause(platform, 15_000)
    assert.ok(closed)
  })
})

test('beyond the limit of outstanding requests nothing is lost', async () => {
  const stage = await Stage.open(13, 'globalOutstandingLimit=5\n')
  await stage.play(async (connect) => {
    const clients = await Promise.all(Array.from({ length: 4 }, connect))
    const writes = clients.flatMap((client, number) =>
      Array.from({ length: 50 }, (_, index) => client.ask('create', node(`/n-${number}-${index}`))),
    )
    for (const { err } of await Promise.all(writes)) assert.equal(err, 'OK')
  })
  assert.equal(stage.server!.outstanding, 0)
})

test('one address has its bound', async () => {
  const stage = await Stage.open(14, 'maxClientCnxns=2\n')
  await stage.play(async (connect) => {
    const clients = [await connect(), await connect(), await connect()]
    assert.deepEqual(
      clients.map(({ closed }) => closed),
      [false, false, true],
    )
  })
})

test('sessions of a former process are ended at the start, where that is asked for', async () => {
  const stage = await Stage.open(15, '', { closeStaleSessions: true })
  await stage.play(async (connect) => {
    await (await connect()).ask('create', node('/e', CreateMode.ephemeral))
  })
  stage.machine.crash()
  await stage.start()
  await stage.play(async (connect) => {
    assert.equal((await (await connect()).ask('exists', { path: '/e', watch: false })).err, 'NONODE')
  })
})

test('when the log cannot be written the server stops, and has promised nothing', async () => {
  for (const operation of ['write', 'sync'] as const) {
    const stage = await Stage.open(16)
    await stage.play(async (connect, platform) => {
      const client = await connect()
      await client.ask('create', node('/before'))
      stage.machine.diskConditions.inject({ operation, code: operation === 'write' ? 'ENOSPC' : 'EIO', path: 'log.' })
      await assert.rejects(client.ask('create', node('/after')), /closed the connection/)
      await pause(platform, 1000)
    })
    assert.ok(stage.stopped instanceof Error, `after a failed ${operation}`)
    stage.machine.powerFail()
    stage.machine.diskConditions.clearFaults()
    await stage.start()
    assert.ok(stage.server!.tree.find('/before'))
  }
})

test('whenever the power fails, what was acknowledged is there', async () => {
  for (let seed = 100; seed < 112; seed++) {
    const stage = await Stage.open(seed, 'snapCount=40\n')
    const acknowledged: string[] = []
    const power = { isOn: true }
    const story = stage.play(async (connect, platform) => {
      const clients = await Promise.all(Array.from({ length: 5 }, connect))
      const write = async (client: PlainClient, number: number): Promise<void> => {
        for (let index = 0; power.isOn; index++) {
          const path = `/n-${number}-${index}`
          const outcome = await Promise.race([
            client.ask('create', node(path)).then(
              ({ err }) => err,
              () => 'lost',
            ),
            pause(platform, 3000),
          ])
          if (outcome === 'OK') acknowledged.push(path)
          else return
        }
      }
      await Promise.all(clients.map(write))
    })
    stage.world.after(40 + seed * 3, () => {
      power.isOn = false
      stage.machine.powerFail()
    })
    await story
    assert.ok(acknowledged.length > 20, `seed ${seed}: only ${acknowledged.length} acknowledged`)
    await stage.start()
    for (const path of acknowledged)
      assert.ok(stage.server!.tree.find(path), `seed ${seed}: ${path} was acknowledged and is lost`)
    assert.equal(stage.server!.tree.digestMismatches, 0)
  }
})

test('data that is damaged, or in use, is refused with the reason', async () => {
  const stage = await Stage.open(17)
  const second = stage.world.process('server')
  assert.ok(second.isRunning)
  await stage.play(async (connect) => {
    for (let index = 0; index < 5; index++) await (await connect()).ask('create', node(`/${index}`))
  })
  stage.machine.crash()
  stage.machine.start(async ({ files }) => {
    const file = files.open('/data/version-2/snapshot.0', 'write')
    await file.write([Uint8Array.of(1, 2, 3)], 100)
    file.syncNow()
  })
  await stage.world.run(100)
  stage.machine.crash()
  await stage.start()
  assert.match(String(stage.refused), /none of the snapshots/)
})

test('requests of types that only servers use are refused', async () => {
  const stage = await Stage.open(18)
  await stage.play(async (connect, platform) => {
    for (const type of [OpCode.createSession, OpCode.deleteContainer, OpCode.error, OpCode.check]) {
      const client = await connect()
      client.sendFrame(Uint8Array.of(0, 0, 0, 9, type >> 24, type >> 16, type >> 8, type))
      await pause(platform, 100)
      assert.ok(client.closed, String(type))
    }
  })
})

test('requests with flipped, cut and added bytes leave the server whole', async () => {
  const stage = await Stage.open(19)
  await stage.play(async (connect, platform) => {
    const { random } = platform
    const witness = await connect()
    const requests = [
      operations.create.request.encode(node('/fuzz')),
      operations.multi.request.encode([
        { type: OpCode.create, ...node('/m') },
        { type: OpCode.check, path: '/m', version: 0 },
      ]),
      operations.setWatches2.request.encode({
        relativeZxid: 0n,
        dataWatches: ['/a'],
        existWatches: ['/'],
        childWatches: ['/'],
        persistentWatches: ['/b'],
        persistentRecursiveWatches: ['/'],
      }),
      operations.setACL.request.encode({ path: '/fuzz', acl: OPEN, version: -1 }),
      operations.auth.request.encode({ type: 0, scheme: 'digest', auth: Uint8Array.of(1, 2, 3) }),
    ]
    const types = Object.values(OpCode)
    for (let round = 0; round < 300; round++) {
      const body = requests[random.below(requests.length)]!
      const type = types[random.below(types.length)]!
      const bytes = Uint8Array.of(0, 0, 0, 1, type >> 24, type >> 16, type >> 8, type, ...body)
      for (let flips = random.below(4); flips > 0; flips--)
        bytes[8 + random.below(body.length)]! ^= 1 << random.below(8)
      const hostile = await connect()
      hostile.sendFrame(bytes.subarray(0, random.below(3) === 0 ? random.below(bytes.length + 1) : bytes.length))
      if (round % 10 === 0) assert.equal((await witness.ask('exists', { path: '/', watch: false })).err, 'OK')
      hostile.leave()
    }
  })
  assert.equal(stage.server!.tree.digestMismatches, 0)
  stage.machine.powerFail()
  await stage.start()
  assert.equal(stage.refused, undefined)
})
