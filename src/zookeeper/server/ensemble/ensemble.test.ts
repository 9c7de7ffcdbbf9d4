/** Three servers in a simulated world: they elect, write, lose their leader, and come back with DIFF, TRUNC and SNAP. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Platform, Socket } from '#platform'
import { World, type SimulatedProcess } from '#simulation'
import { CreateMode, type Acl, hexLong } from '#zookeeper/protocol'

import { parseZooCfg } from '../config.ts'
import { PlainClient } from '../plain-client.ts'
import { ZooKeeperServer } from '../server.ts'
import type { QuorumPeer } from './peer.ts'

const PORT = 2181
const OPEN: Acl[] = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]

class Server {
  readonly sid: number
  readonly machine: SimulatedProcess
  server: ZooKeeperServer | null = null
  stopped: Error | null | undefined
  refused: unknown
  readonly #config: string

  constructor(world: World, sid: number, config: string) {
    this.sid = sid
    this.machine = world.process(`zoo${sid}`)
    this.#config = config
  }

  get peer(): QuorumPeer | null {
    return this.machine.isRunning ? ((this.server?.peer ?? null) as QuorumPeer | null) : null
  }

  get isServing(): boolean {
    return this.peer?.isServing ?? false
  }

  start(): void {
    this.server = null
    this.stopped = undefined
    this.machine.start(
      async (platform) => {
        this.server = await ZooKeeperServer.start(platform, parseZooCfg(this.#config, { sid: this.sid }).config)
        this.stopped = await this.server.stopped
      },
      (error) => (this.refused = error),
    )
  }
}

class Ensemble {
  readonly world: World
  readonly servers: Server[]
  /** What the servers said. */
  readonly log: string[] = []
  #platform: Platform | null = null

  constructor(seed: number, { voters = 3, observers = 0, more = '' } = {}) {
    this.world = new World(seed)
    this.world.logSink = (level, line) => this.log.push(`${level} ${line}`)
    const sids = Array.from({ length: voters + observers }, (_, index) => index + 1)
    const lines = sids.map((sid) => `server.${sid}=zoo${sid}:2888:3888${sid > voters ? ':observer' : ''}`)
    const config = `dataDir=/data\nadmin.enableServer=false\nclientPort=${PORT}\ntickTime=1000\ninitLimit=10\nsyncLimit=5\npreAllocSize=64\n${lines.join('\n')}\n${more}`
    this.servers = sids.map((sid) => new Server(this.world, sid, config))
    this.world.process('clients').start((platform) => {
      this.#platform = platform
      return new Promise(() => {})
    })
  }

  static async open(seed: number, options: ConstructorParameters<typeof Ensemble>[1] = {}): Promise<Ensemble> {
    const ensemble = new Ensemble(seed, options)
    for (const server of ensemble.servers) server.start()
    await ensemble.until('all serve', () => ensemble.servers.every(({ isServing }) => isServing))
    return ensemble
  }

  get leader(): Server {
    const leaders = this.servers.filter(({ peer, isServing }) => peer?.state === 'leading' && isServing)
    assert.equal(leaders.length, 1)
    return leaders[0]!
  }

  get followers(): Server[] {
    return this.servers.filter(({ peer, isServing }) => peer?.state === 'following' && isServing)
  }

  async until(what: string, done: () => boolean, durationMs = 60_000): Promise<void> {
    const isDone = await this.world.runUntil(done, durationMs)
    assert.deepEqual(this.world.findings, [], this.log.slice(-60).join('\n'))
    assert.ok(isDone, `${what}: not within ${durationMs} ms\n${this.log.slice(-60).join('\n')}`)
  }

  /** Runs a client's story to its end. */
  async play<T>(story: (platform: Platform) => Promise<T>): Promise<T> {
    let outcome: { value: T } | { error: unknown } | null = null
    this.begin((platform) =>
      story(platform).then(
        (value) => (outcome = { value }),
        (error: unknown) => (outcome = { error }),
      ),
    )
    await this.until('the story', () => outcome !== null)
    const ended = outcome as unknown as { value: T } | { error: unknown }
    if ('error' in ended) throw ended.error
    return ended.value
  }

  /** Begins a client's story; it goes on while the world does. */
  begin(story: (platform: Platform) => Promise<unknown>): void {
    this.world.process('clients').signal(() => {
      story(this.#platform!).catch(() => null)
    })
  }

  connect(platform: Platform, server: Server): Promise<PlainClient> {
    return PlainClient.connect(platform, PORT, { host: server.machine.name })
  }

  /** Creates znodes `/prefix0`, … through a server, all at once. */
  async write(server: Server, prefix: string, count: number): Promise<void> {
    await this.play(async (platform) => {
      const client = await this.connect(platform, server)
      const answers = await Promise.all(
        Array.from({ length: count }, (_, index) => client.ask('create', znode(`/${prefix}${index}`))),
      )
      assert.ok(answers.every(({ err }) => err === 'OK'))
      client.leave()
    })
  }

  /** All servers that run have come to the same. */
  async settle(): Promise<void> {
    const running = this.servers.filter(({ machine }) => machine.isRunning)
    await this.until('all are at the same transaction', () => {
      const zxids = running.map(({ server, isServing }) => (isServing ? server!.replica.lastAppliedZxid : null))
      return zxids[0] !== null && zxids.every((zxid) => zxid === zxids[0])
    })
    const [first, ...others] = running.map(({ server }) => contentOf(server!))
    for (const other of others) assert.deepEqual(other, first)
  }
}

function contentOf({ tree }: ZooKeeperServer): string[] {
  const lines = [hexLong(tree.lastZxid), ...Array.from(tree.sessions, ([id, timeoutMs]) => `${id} ${timeoutMs}`)]
  const frozen = tree.freeze()
  for (const [path, { data, czxid, mzxid, pzxid, cversion, ephemeralOwner }] of frozen.nodes())
    if (!path.startsWith('/zookeeper'))
      lines.push(`${path} ${data?.join()} ${[czxid, mzxid, pzxid, cversion, ephemeralOwner].join(' ')}`)
  tree.thaw(frozen)
  return lines.sort()
}

const znode = (path: string): { path: string; data: Uint8Array; acl: Acl[]; flags: number } => ({
  path,
  data: new Uint8Array(100),
  acl: OPEN,
  flags: CreateMode.persistent,
})

test('three servers elect, and a client of each writes and sees what the others wrote', async () => {
  const ensemble = await Ensemble.open(1)
  assert.equal(ensemble.followers.length, 2)
  for (const server of ensemble.servers) await ensemble.write(server, `from${server.sid}-`, 20)
  await ensemble.settle()
  await ensemble.play(async (platform) => {
    const client = await ensemble.connect(platform, ensemble.followers[0]!)
    await client.ask('sync', { path: '/' })
    const { body } = await client.ask('getChildren', { path: '/', watch: false })
    assert.equal(body!.children.length, 61)
  })
})

test('a leader dies: the others go on at once, and it comes back with DIFF', async () => {
  const ensemble = await Ensemble.open(2)
  const { leader } = ensemble
  await ensemble.write(leader, 'before', 10)
  leader.machine.crash()
  const lostMs = ensemble.world.nowMs
  const [survivor] = ensemble.servers.filter((server) => server !== leader)
  await ensemble.until(
    'the survivors serve',
    () => ensemble.servers.filter(({ isServing, peer }) => isServing && peer!.epoch === 2).length === 2,
  )
  assert.ok(ensemble.world.nowMs - lostMs < 100, 'of virtual time')
  await ensemble.write(survivor!, 'after', 10)
  ensemble.log.length = 0
  leader.start()
  await ensemble.settle()
  assert.match(ensemble.log.join('\n'), /gets DIFF 0x[\da-f]+ and 11 transactions/)
  assert.equal(ensemble.leader.peer!.epoch, 2)
})

test('a follower that has what nobody else has gets TRUNC', async () => {
  const ensemble = await Ensemble.open(3)
  const { leader } = ensemble
  await ensemble.write(leader, 'before', 5)
  await ensemble.settle()
  const [one, other] = ensemble.followers
  // What the leader logs now reaches nobody.
  ensemble.world.partition([leader.machine], [one!.machine, other!.machine])
  const logged = leader.server!.replica.lastLoggedZxid
  ensemble.begin((platform) => ensemble.connect(platform, leader))
  await ensemble.until('the leader has logged it', () => leader.server!.replica.lastLoggedZxid > logged)
  await ensemble.until('the others have a leader', () =>
    [one!, other!].every(({ peer, isServing }) => isServing && peer!.epoch === 2),
  )
  await ensemble.world.run(20)
  leader.machine.crash()
  ensemble.world.heal()
  const lost = leader.server!.replica.lastLoggedZxid
  ensemble.log.length = 0
  leader.start()
  await ensemble.settle()
  assert.match(ensemble.log.join('\n'), new RegExp(`is at ${hexLong(lost)} and gets TRUNC ${hexLong(logged)} and 0`))
  await ensemble.write(leader, 'after', 5)
  await ensemble.settle()
})

test('a follower that lags behind what is in memory and on disk gets SNAP, and one with an empty disk does', async () => {
  const ensemble = await Ensemble.open(4, { more: 'commitLogCount=5\nsnapshotSizeFactor=-1\n' })
  const [one, other] = ensemble.followers
  one!.machine.crash()
  await ensemble.write(other!, 'a', 20)
  ensemble.log.length = 0
  one!.start()
  await ensemble.settle()
  assert.match(ensemble.log.join('\n'), /gets a snapshot/)
  // Survives its own restart, and goes on from there.
  one!.machine.crash()
  await ensemble.write(other!, 'b', 3)
  one!.start()
  await ensemble.settle()
})

test('a follower that lags behind what is in memory gets DIFF from disk', async () => {
  const ensemble = await Ensemble.open(5, { more: 'commitLogCount=5\nsnapshotSizeFactor=1000\n' })
  const [one, other] = ensemble.followers
  await ensemble.write(other!, 'before', 3)
  await ensemble.settle()
  one!.machine.crash()
  await ensemble.write(other!, 'a', 20)
  ensemble.log.length = 0
  one!.start()
  await ensemble.settle()
  assert.match(ensemble.log.join('\n'), /gets DIFF 0x[\da-f]+ and 21 transactions/)
})

test('an observer has everything and decides nothing', async () => {
  const ensemble = await Ensemble.open(6, { voters: 3, observers: 1 })
  const observer = ensemble.servers[3]!
  assert.equal(observer.peer!.state, 'observing')
  await ensemble.write(observer, 'o', 10)
  await ensemble.settle()
  observer.machine.crash()
  await ensemble.write(ensemble.leader, 'l', 10)
  observer.start()
  await ensemble.settle()
  const [one, other] = ensemble.followers
  one!.machine.crash()
  other!.machine.crash()
  await ensemble.until('the leader is none any more', () =>
    ensemble.servers.every(({ peer, isServing }) => peer === null || (peer.state !== 'leading' && !isServing)),
  )
})

test('writes go on while one server after the other loses its power, five servers', async () => {
  const ensemble = await Ensemble.open(7, { voters: 5 })
  for (let round = 0; round < 6; round++) {
    const victim = ensemble.servers[round % 5]!
    victim.machine.powerFail()
    await ensemble.until('a leader', () =>
      ensemble.servers.some(({ peer, isServing }) => peer?.state === 'leading' && isServing),
    )
    const writer = ensemble.servers.find(({ isServing }) => isServing)!
    await ensemble.write(writer, `round${round}-`, 10)
    victim.start()
    await ensemble.settle()
  }
})

test('a server that is cut off answers reads of clients that can do with them, until there is a leader again', async () => {
  const ensemble = await Ensemble.open(31, { more: 'readonlymode.enabled=true\n4lw.commands.whitelist=*' })
  const [lonely, ...others] = ensemble.servers
  await ensemble.write(ensemble.leader, 'a', 3)
  await ensemble.settle()
  const global = await ensemble.play((platform) => ensemble.connect(platform, lonely!))
  const { sessionId, passwd } = global.welcome!
  for (const { machine } of others) machine.crash()
  await ensemble.until('it serves reads', () => lonely!.server!.term?.role === 'read-only')
  assert.equal(lonely!.server!.adminWord('isro'), 'ro')
  assert.match(lonely!.server!.adminWord('mntr'), /^zk_server_state\tread-only$/m)
  const local = await ensemble.play(async (platform) => {
    const { name: host } = lonely!.machine
    // Who wants to write is sent away, and so is a session that a quorum may still know.
    assert.equal((await PlainClient.connect(platform, PORT, { host })).welcome, null)
    const reconnecting = { host, readOnly: true, sessionId, passwd }
    assert.equal((await PlainClient.connect(platform, PORT, reconnecting)).welcome, null)
    const client = await PlainClient.connect(platform, PORT, { host, readOnly: true })
    assert.equal(client.welcome!.readOnly, true)
    assert.deepEqual((await client.ask('getData', { path: '/a1', watch: false })).err, 'OK')
    assert.equal((await client.ask('create', znode('/b'))).err, 'NOTREADONLY')
    assert.equal((await client.ask('sync', { path: '/' })).err, 'NOTREADONLY')
    assert.equal((await client.ask('setData', { path: '/a1', data: null, version: -1 })).err, 'NOTREADONLY')
    return client
  })
  others[0]!.start()
  await ensemble.until('two serve', () => lonely!.isServing && others[0]!.isServing)
  await ensemble.until('the client is sent away', () => local.closed)
  assert.equal(lonely!.server!.adminWord('isro'), 'rw')
  await ensemble.write(lonely!, 'c', 1)
  await ensemble.settle()
})

test('a leader whose disk is full stops and answers nothing, and the others go on (trap 54)', async () => {
  const ensemble = await Ensemble.open(8)
  const { leader } = ensemble
  await ensemble.write(leader, 'before', 5)
  leader.machine.diskConditions.inject({ operation: 'write', path: 'log.', code: 'ENOSPC', times: Infinity })
  let answer = 'none'
  ensemble.begin(async (platform) => {
    const client = await ensemble.connect(platform, leader)
    answer = (await client.ask('create', znode('/doubtful'))).err
  })
  await ensemble.until('the leader has stopped', () => leader.stopped !== undefined)
  assert.match(String(leader.stopped), /fails to write/)
  await ensemble.until('the others serve', () =>
    ensemble.servers.every((server) => server === leader || server.isServing),
  )
  await ensemble.write(ensemble.leader, 'after', 5)
  assert.equal(answer, 'none')
})

test('a follower on a slow link holds nobody up (trap 61)', async () => {
  const ensemble = await Ensemble.open(9)
  const { leader } = ensemble
  const [slow] = ensemble.followers
  ensemble.world.slowDown(leader.machine, slow!.machine, 300)
  const startMs = ensemble.world.nowMs
  await ensemble.write(leader, 'w', 200)
  assert.ok(ensemble.world.nowMs - startMs < 500, 'of virtual time')
  ensemble.world.heal()
  ensemble.world.slowDown(leader.machine, slow!.machine, 1)
  await ensemble.settle()
})

test('all servers lose their power at once, and everything acknowledged is there afterwards', async () => {
  const ensemble = await Ensemble.open(10)
  for (let round = 0; round < 3; round++) {
    await ensemble.write(ensemble.leader, `r${round}-`, 10)
    for (const { machine } of ensemble.servers) machine.powerFail()
    for (const server of ensemble.servers) server.start()
    await ensemble.settle()
  }
  for (const { server } of ensemble.servers)
    for (let round = 0; round < 3; round++)
      for (let index = 0; index < 10; index++) assert.ok(server!.tree.find(`/r${round}-${index}`) !== undefined)
})

test('leaderServes=no: the leader takes no clients, and those of others are served', async () => {
  const ensemble = await Ensemble.open(11, { more: 'leaderServes=no\n' })
  const refused = await ensemble.play((platform) => ensemble.connect(platform, ensemble.leader))
  assert.equal(refused.welcome, null)
  await ensemble.write(ensemble.followers[0]!, 'w', 5)
  await ensemble.settle()
})

test('strangers at every port, with whatever bytes or none, disturb nobody', async () => {
  const ensemble = await Ensemble.open(12)
  const { leader } = ensemble
  const [follower] = ensemble.followers
  const knock = async (platform: Platform, host: string, port: number, bytes: Uint8Array): Promise<Socket> => {
    const socket = await platform.network.connect({ host, port, timeoutMs: 1000 })
    socket.start({ onBytes() {}, onDrain() {}, onClose() {} })
    if (bytes.length > 0) socket.write([bytes])
    return socket
  }
  await ensemble.play(async (platform) => {
    const { random } = platform
    for (let round = 0; round < 300; round++) {
      const { name } = ensemble.servers[random.below(3)]!.machine
      const socket = await knock(platform, name, [2888, 3888, PORT][random.below(3)]!, random.bytes(random.below(3000)))
      if (random.below(2) === 0) socket.destroy()
    }
    for (let round = 0; round < 100; round++)
      for (const port of [2888, 3888]) await knock(platform, leader.machine.name, port, new Uint8Array(0))
  })
  assert.match(ensemble.log.join('\n'), /too many others came before it said who it is/)
  follower!.machine.crash()
  follower!.start()
  await ensemble.settle()
  for (const server of ensemble.servers) await ensemble.write(server, `through${server.sid}-`, 10)
  await ensemble.settle()
  assert.deepEqual([ensemble.leader, ensemble.leader.peer!.epoch], [leader, 1])
})
