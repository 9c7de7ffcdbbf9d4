/**
 * A leader and a follower, joined by a wire that the test holds: what crosses it, whose commit is whose, and what a client
 * sees that goes from one to the other. Elections and ZAB are elsewhere.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Platform } from '#platform'
import { World } from '#simulation'
import { CreateMode, LoggedTxn, OpCode, operations, type Acl, type ConnectRequest } from '#zookeeper/protocol'

import { parseZooCfg, type ZooKeeperConfig } from './config.ts'
import type { EnsembleServer, LeaderOffice, LearnerOffice, LearnerPort } from './ensemble/office.ts'
import { PlainClient } from './plain-client.ts'
import type { Replica } from './replica.ts'
import { ZooKeeperServer } from './server.ts'

const OPEN: Acl[] = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]
const MEMBERS = 'server.1=server:2888:3888\nserver.2=server:2889:3889\ninitLimit=10\nsyncLimit=5\n'
/** What a packet takes from one to the other. */
const WIRE_MS = 2

function configOf(sid: number, more: string): ZooKeeperConfig {
  const text = `dataDir=/data-${sid}\nadmin.enableServer=false\nclientPort=${2180 + sid}\ntickTime=1000\npreAllocSize=64\nmaxClientCnxns=0\n${MEMBERS}${more}`
  return parseZooCfg(`${text}4lw.commands.whitelist=*\n`, { sid }).config
}

interface Member {
  readonly server: ZooKeeperServer
  readonly replica: Replica
  readonly told: EnsembleServer
}

/** Server 1 leads, server 2 follows. A quorum is both. */
class Pair {
  readonly members: readonly Member[]
  readonly #platform: Platform
  readonly #proposed: { logged: LoggedTxn; bytes: Uint8Array; acks: number }[] = []
  readonly #syncs: { after: bigint; ready: () => void }[] = []
  /** Every request that crossed the wire, by type and body. */
  readonly requests: { type: number; cxid: number; body: Uint8Array }[] = []
  readonly steppedDown: string[] = []
  epoch = 0
  leader: LeaderOffice | null = null
  learner: LearnerOffice | null = null
  #lastZxid = 0n

  constructor(platform: Platform, members: readonly Member[]) {
    this.#platform = platform
    this.members = members
    for (const { replica } of members) replica.onSynced = (zxid) => this.#acknowledge(zxid)
  }

  /** A new term; `firstCounter` where the numbering of the epoch is to begin late. */
  begin(firstCounter = 0): void {
    this.epoch += 1
    this.#proposed.length = 0
    for (const { replica } of this.members) replica.fastForward()
    const firstZxid = (BigInt(this.epoch) << 32n) | BigInt(firstCounter)
    this.leader = {
      epoch: this.epoch,
      firstZxid,
      propose: (logged) => this.#propose(logged),
      sync: (ready) => {
        if (this.#proposed.length === 0) ready()
        else this.#syncs.push({ after: this.#lastZxid, ready })
      },
      stepDown: (reason) => {
        this.steppedDown.push(reason)
        this.end()
      },
      learners: () => [],
      onRequest() {},
      onTouched() {},
      onRevalidate: () => false,
    }
    this.learner = {
      epoch: this.epoch,
      leaderSid: 1,
      request: (request) => {
        this.requests.push(request)
        this.#later(() => this.leader?.onRequest(this.port, request))
      },
      revalidate: (sessionId, timeoutMs) =>
        new Promise((resolve, reject) =>
          this.#later(() => {
            if (this.leader === null) return reject(new Error('the leader is lost'))
            const isAlive = this.leader.onRevalidate(this.port, sessionId, timeoutMs)
            this.#later(() => resolve(isAlive))
          }),
        ),
      takeTouched: () => [],
      onSynced() {},
    }
    this.members[0]!.told.lead(this.leader)
    this.members[1]!.told.follow(this.learner)
  }

  /** What a ping and its answer carry. */
  ping(): readonly (readonly [bigint, number])[] {
    const touched = this.learner!.takeTouched()
    for (const [id, timeoutMs] of touched) this.leader!.onTouched(this.port, id, timeoutMs)
    return touched
  }

  end(): void {
    this.leader = null
    this.learner = null
    for (const { told } of this.members) told.retire('the test says so')
  }

  /** The follower, as the leader sees it. */
  readonly port: LearnerPort = { sid: 2, synced: () => this.#later(() => this.learner?.onSynced()) }

  #propose(logged: LoggedTxn): void {
    const bytes = LoggedTxn.encode(logged)
    this.#lastZxid = logged.header.zxid
    this.#proposed.push({ logged, bytes, acks: 0 })
    this.members[0]!.replica.append(logged.header.zxid, bytes)
    this.#later(() => this.members[1]!.replica.append(logged.header.zxid, bytes))
  }

  #acknowledge(zxid: bigint): void {
    for (const proposal of this.#proposed) if (proposal.logged.header.zxid <= zxid) proposal.acks++
    while (this.#proposed[0] !== undefined && this.#proposed[0].acks >= 2) {
      const { logged, bytes } = this.#proposed.shift()!
      const { zxid: committed } = logged.header
      this.#later(() => this.members[1]!.told.commit(LoggedTxn.decode(bytes)))
      this.members[0]!.told.commit(logged)
      while (this.#syncs[0] !== undefined && this.#syncs[0].after <= committed) this.#syncs.shift()!.ready()
    }
  }

  readonly #wire: { epoch: number; run: () => void }[] = []

  /** What is sent first arrives first. */
  #later(run: () => void): void {
    this.#wire.push({ epoch: this.epoch, run })
    this.#platform.clock.setTimer(WIRE_MS, () => {
      const arrived = this.#wire.shift()!
      if (arrived.epoch === this.epoch && this.leader !== null) arrived.run()
    })
  }
}

type Connect = (sid: number, options?: Partial<ConnectRequest>) => Promise<PlainClient>

/** Runs a client's story against a pair that is in office. */
async function play(
  seed: number,
  story: (pair: Pair, connect: Connect, platform: Platform) => Promise<void>,
  more = '',
): Promise<void> {
  const world = new World(seed)
  let pair: Pair | null = null
  world.process('server').start(async (platform) => {
    const members: Member[] = []
    for (const sid of [1, 2]) {
      let told: EnsembleServer | null = null
      const startPeer = async (_: Platform, __: ZooKeeperConfig, ___: Replica, server: EnsembleServer) => {
        told = server
        return { close: async () => {} }
      }
      const server = await ZooKeeperServer.start(platform, configOf(sid, more), { startPeer })
      members.push({ server, replica: server.replica, told: told! })
    }
    pair = new Pair(platform, members)
    pair.begin()
    await new Promise(() => {})
  })
  assert.ok(await world.runUntil(() => pair !== null, 10_000))
  let outcome: { error: unknown } | 'well' | null = null
  world.process('clients').start(async (platform) => {
    const connect: Connect = (sid, options = {}) => PlainClient.connect(platform, 2180 + sid, options)
    try {
      await story(pair!, connect, platform)
      outcome = 'well'
    } catch (error) {
      outcome = { error }
    }
  })
  assert.ok(await world.runUntil(() => outcome !== null, 120_000), 'the story does not end')
  assert.deepEqual(world.findings, [])
  const ended = outcome as unknown as { error: unknown } | 'well'
  if (ended !== 'well') throw ended.error
  for (const { server } of pair!.members) assert.equal(server.tree.digestMismatches, 0)
}

const node = (path: string, flags: number = CreateMode.persistent) => ({
  path,
  data: Uint8Array.of(1),
  acl: OPEN,
  flags,
})

const pause = (platform: Platform, ms: number): Promise<void> =>
  new Promise((resolve) => platform.clock.setTimer(ms, () => resolve()))

const again = (client: PlainClient): Partial<ConnectRequest> => ({
  sessionId: client.welcome!.sessionId,
  passwd: client.welcome!.passwd,
})

test('a client of the follower sees its own writes in their order, and the leader has them', () =>
  play(1, async (pair, connect) => {
    const client = await connect(2)
    assert.equal(BigInt.asUintN(64, client.welcome!.sessionId) >> 56n, 2n, 'the server is in the session id')
    const answers = await Promise.all([
      client.ask('create', node('/a')),
      client.ask('exists', { path: '/a', watch: false }),
      client.ask('setData', { path: '/a', data: Uint8Array.of(2, 3), version: 0 }),
      client.ask('create', node('/a')),
      client.ask('getData', { path: '/a', watch: false }),
      client.ask('sync', { path: '/a' }),
      client.ask('ping', null, -2),
    ])
    assert.deepEqual(
      answers.map(({ err }) => err),
      ['OK', 'OK', 'OK', 'NODEEXISTS', 'OK', 'OK', 'OK'],
    )
    assert.deepEqual(answers[4].body, { data: Uint8Array.of(2, 3), stat: answers[2].body?.stat })
    assert.equal(answers[3].zxid, (1n << 32n) + 4n, 'a refusal is a transaction, too')
    assert.ok(pair.members[0]!.server.tree.find('/a'))
  }))

test('requests cross the wire as the client sent them, a new session with its timeout', () =>
  play(2, async (pair, connect) => {
    const client = await connect(2)
    const request = node('/a')
    await client.ask('create', request)
    await client.ask('sync', { path: '/a' })
    await client.ask('closeSession', null)
    assert.deepEqual(
      pair.requests.map(({ type, cxid }) => [type, cxid]),
      [
        [OpCode.createSession, 0],
        [OpCode.create, 1],
        [OpCode.sync, 2],
        [OpCode.closeSession, 3],
      ],
    )
    assert.deepEqual(Buffer.from(pair.requests[0]!.body).toString('hex'), '00001770')
    assert.deepEqual(pair.requests[1]!.body, operations.create.request.encode(request))
    assert.deepEqual(pair.requests[2]!.body, operations.sync.request.encode({ path: '/a' }))
    assert.equal(pair.requests[3]!.body.length, 0)
  }))

test('each commit finds who waits for it, among many writes of many clients at both servers', () =>
  play(3, async (pair, connect) => {
    const clients = await Promise.all([1, 2, 2, 1, 2, 2].map((sid) => connect(sid)))
    const writes = clients.flatMap((client, number) =>
      Array.from({ length: 20 }, (_, index) => client.ask('create', node(`/n-${number}-${index}`))),
    )
    for (const [index, { err, body }] of (await Promise.all(writes)).entries()) {
      assert.equal(err, 'OK')
      assert.equal(body!.path, `/n-${Math.floor(index / 20)}-${index % 20}`)
    }
    const [one, two] = pair.members.map(({ server }) => server)
    await clients[1]!.ask('sync', { path: '/' })
    assert.deepEqual([two!.tree.lastZxid, two!.tree.digest], [one!.tree.lastZxid, one!.tree.digest])
  }))

test('sync shows what the leader has committed', () =>
  play(4, async (_, connect) => {
    const [atLeader, atFollower] = [await connect(1), await connect(2)]
    await atLeader.ask('create', node('/a'))
    const [before, , after] = await Promise.all([
      atFollower.ask('exists', { path: '/a', watch: false }),
      atFollower.ask('sync', { path: '/a' }),
      atFollower.ask('exists', { path: '/a', watch: false }),
    ])
    assert.deepEqual([before.err, after.err], ['NONODE', 'OK'])
  }))

test('a client takes its session and ephemerals along; what it left behind at a follower may read, and not write', () =>
  play(5, async (_, connect) => {
    const first = await connect(1)
    await first.ask('create', node('/mine', CreateMode.ephemeral))
    await first.ask('sync', { path: '/' })
    const second = await connect(2, again(first))
    assert.deepEqual(second.welcome!.sessionId, first.welcome!.sessionId)
    assert.equal((await second.ask('setData', { path: '/mine', data: null, version: -1 })).err, 'OK')
    await assert.rejects(first.ask('setData', { path: '/mine', data: null, version: -1 }), /closed the connection/)

    const third = await connect(1, again(first))
    assert.equal((await third.ask('exists', { path: '/mine', watch: false })).err, 'OK')
    assert.equal((await second.ask('exists', { path: '/mine', watch: false })).err, 'OK')
    await assert.rejects(second.ask('delete', { path: '/mine', version: -1 }), /closed the connection/)
    assert.equal((await third.ask('exists', { path: '/mine', watch: false })).err, 'OK')
    await third.ask('closeSession', null)
    const other = await connect(2)
    await other.ask('sync', { path: '/' })
    assert.equal((await other.ask('exists', { path: '/mine', watch: false })).err, 'NONODE')
  }))

test('a wrong password, or a session that has ended, is refused at either server', () =>
  play(6, async (pair, connect) => {
    const client = await connect(1)
    for (const sid of [1, 2]) {
      const refused = await connect(sid, { ...again(client), passwd: new Uint8Array(16) })
      assert.deepEqual([refused.welcome!.timeOut, refused.welcome!.sessionId], [0, 0n])
    }
    assert.equal(pair.requests.length, 0)
    await client.ask('closeSession', null)
    for (const sid of [1, 2]) assert.equal((await connect(sid, again(client))).welcome!.timeOut, 0)
  }))

test('requests that come before the leader has said that the session lives are answered after the greeting', () =>
  play(7, async (_, connect, platform) => {
    const first = await connect(1)
    const second = await connect(2, again(first))
    second.leave()
    await pause(platform, 10)
    const third = await connect(2, again(first))
    const answers = await Promise.all([
      third.ask('create', node('/b')),
      third.ask('exists', { path: '/b', watch: false }),
    ])
    assert.deepEqual(
      answers.map(({ err }) => err),
      ['OK', 'OK'],
    )
  }))

test('a session lives as long as its follower hears of it, and its ephemerals not an instant longer than it', () =>
  play(8, async (pair, connect, platform) => {
    const other = await connect(1)
    const client = await connect(2, { timeOut: 4000 })
    await client.ask('create', node('/mine', CreateMode.ephemeral))
    for (let passed = 0; passed < 12_000; passed += 500) {
      await pause(platform, 500)
      if (passed % 2000 === 0) await client.ask('ping', null, -2)
      await other.ask('ping', null, -2)
      pair.ping()
    }
    assert.equal((await other.ask('exists', { path: '/mine', watch: true })).err, 'OK')
    await client.ask('ping', null, -2)
    pair.ping()
    client.leave()
    for (let passed = 0; passed < 3500; passed += 500) {
      await pause(platform, 500)
      await other.ask('ping', null, -2)
      assert.deepEqual(pair.ping(), [])
    }
    assert.deepEqual(other.events, [])
    await pause(platform, 1000)
    assert.deepEqual(other.events, ['2 /mine'])
    await other.ask('sync', { path: '/' })
    for (const { server } of pair.members) {
      assert.equal(server.tree.find('/mine'), undefined)
      assert.equal(server.tree.sessions.size, 1)
    }
    assert.equal((await connect(2, again(client))).welcome!.timeOut, 0)
  }))

test('a new leader begins every session with its full timeout', () =>
  play(9, async (pair, connect, platform) => {
    const client = await connect(1, { timeOut: 4000 })
    await client.ask('create', node('/mine', CreateMode.ephemeral))
    client.leave()
    await pause(platform, 3500)
    pair.end()
    pair.begin()
    await pause(platform, 3500)
    const back = await connect(2, again(client))
    assert.equal((await back.ask('exists', { path: '/mine', watch: false })).err, 'OK')
  }))

test('out of office every connection is closed, nobody is greeted, and the words say so', () =>
  play(10, async (pair, connect, platform) => {
    const clients = [await connect(1), await connect(2)]
    const pending = clients.map((client) => client.ask('create', node(`/${client.welcome!.sessionId}`)))
    pair.end()
    for (const { status } of await Promise.allSettled(pending)) assert.equal(status, 'rejected')
    for (const sid of [1, 2]) assert.equal((await connect(sid)).welcome, null)
    for (const { server } of pair.members)
      assert.match(server.adminWord('srvr'), /^This ZooKeeper instance is not currently serving requests/)
    pair.begin()
    await pause(platform, 10)
    const back = await connect(2, again(clients[1]!))
    assert.equal((await back.ask('create', node('/after'))).zxid, (2n << 32n) + 1n)
    assert.match(pair.members[1]!.server.adminWord('srvr'), /Mode: follower/)
    assert.match(pair.members[0]!.server.adminWord('srvr'), /Mode: leader/)
  }))

test('who has seen more than a server is sent away, who has seen the beginning of its epoch is not', () =>
  play(11, async (pair, connect) => {
    const client = await connect(1)
    const { zxid } = await client.ask('create', node('/a'))
    assert.equal((await connect(2, { lastZxidSeen: zxid + 5n })).welcome, null)
    pair.end()
    pair.begin()
    assert.ok((await connect(2, { lastZxidSeen: 2n << 32n })).welcome)
  }))

test('a request that is none is refused in its place, wherever its client is', () =>
  play(12, async (pair, connect) => {
    const client = await connect(2)
    const answers = await Promise.all([
      client.ask('create', node('/a')),
      client.ask('reconfig', { joiningServers: '', leavingServers: '', newMembers: '', curConfigId: -1n } as never),
      client.ask('multi', [
        { type: OpCode.create, ...node('/m') },
        { type: OpCode.check, path: '/none', version: 0 },
      ]),
      client.ask('getData', { path: '/zookeeper/config', watch: false }),
    ])
    assert.deepEqual(
      answers.map(({ err }) => err),
      ['OK', 'RECONFIGDISABLED', 'OK', 'OK'],
    )
    assert.match(Buffer.from(answers[3].body!.data!).toString(), /^server\.1=.*\nserver\.2=.*\nversion=0$/)
    // From a learner of another make.
    pair.leader!.onRequest(
      { sid: 2, synced() {} },
      { sessionId: client.welcome!.sessionId, cxid: 77, type: OpCode.create, body: Uint8Array.of(1), ids: [] },
    )
    await client.ask('create', node('/b'))
    assert.ok(pair.members[1]!.server.tree.find('/b'))
  }))

test('another transaction with the cxid of a write that waits is not its outcome', () =>
  play(14, async (pair, connect, platform) => {
    const arrived = async (type: number): Promise<void> => {
      while (!pair.requests.some((request) => request.type === type)) await pause(platform, 0.2)
    }
    const client = await connect(2)
    await client.ask('create', node('/a'))
    const { sessionId } = client.welcome!
    const written = client.ask('setData', { path: '/a', data: null, version: -1 }, 0)
    await arrived(OpCode.setData)
    // The client was at another server before, and had counted there, too.
    const body = operations.create.request.encode(node('/other'))
    pair.leader!.onRequest(pair.port, { sessionId, cxid: 0, type: OpCode.create, body, ids: [] })
    assert.equal((await written).body!.stat.version, 1)

    const created = client.ask('create2', node('/b'), 0)
    await arrived(OpCode.create2)
    // What the leader does when a session expires.
    pair.leader!.onRequest(pair.port, {
      sessionId,
      cxid: 0,
      type: OpCode.closeSession,
      body: new Uint8Array(0),
      ids: [],
    })
    await assert.rejects(created, /closed the connection/)
    for (const { server } of pair.members) {
      assert.ok(server.tree.find('/other'))
      assert.equal(server.tree.sessions.size, 0)
    }
  }))

test('where the counter of the epoch ends, the leader steps down instead of beginning it again', () =>
  play(13, async (pair, connect) => {
    pair.end()
    pair.begin(0xffff_fffb)
    const client = await connect(1)
    assert.equal((await client.ask('create', node('/a'))).zxid, (2n << 32n) + 0xffff_fffdn)
    assert.equal((await client.ask('create', node('/b'))).zxid, (2n << 32n) + 0xffff_fffen)
    await assert.rejects(client.ask('create', node('/c')), /closed the connection/)
    assert.equal(pair.steppedDown.length, 1)
  }))
