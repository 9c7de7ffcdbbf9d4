import assert from 'node:assert/strict'
import { test } from 'node:test'

import { World } from '#simulation'
import { CreateMode, WatchEventType, WatcherType, ZkErrorCode } from '#zookeeper/protocol'

import { ZooKeeperClient } from './client.ts'
import { ScriptedServer } from './scripted-server.ts'
import type { SessionEvent } from './retrying.ts'
import type { ZooKeeperOptions } from './session.ts'
import { ZkError, type WatchEvent } from './zookeeper.ts'

const STAT = {
  czxid: 1n,
  mzxid: 1n,
  ctime: 0,
  mtime: 0,
  version: 0,
  cversion: 0,
  aversion: 0,
  ephemeralOwner: 0n,
  dataLength: 0,
  numChildren: 0,
  pzxid: 1n,
}

interface Fixture {
  world: World
  servers: ScriptedServer[]
  client: ZooKeeperClient
  events: SessionEvent[]
}

/** Servers zk1, zk2, …, and a client that is connected to one of them. */
async function connect(seed: number, options: Partial<ZooKeeperOptions> = {}, serverCount = 1): Promise<Fixture> {
  const world = new World(seed)
  const servers = Array.from({ length: serverCount }, (_, index) => new ScriptedServer(`zk${index + 1}`))
  for (const server of servers) world.process(server.name).start(server.run)
  await world.run(10)
  const connected: ZooKeeperClient[] = []
  const hosts = servers.map(({ name }) => `${name}:2181`).join()
  world.process('client').start(async (platform) => {
    connected.push(await ZooKeeperClient.connect(platform, { connect: hosts, sessionTimeoutMs: 6000, ...options }))
  })
  assert.ok(await world.runUntil(() => connected.length > 0, 10_000))
  const client = connected[0]!
  const events: SessionEvent[] = []
  client.onSession((event) => events.push(event))
  return { world, servers, client, events }
}

/** What became of a promise, by name. */
function outcome(promise: Promise<unknown>): { state: string } {
  const seen = { state: 'waiting' }
  promise.then(
    () => (seen.state = 'done'),
    (error: unknown) => (seen.state = error instanceof ZkError ? error.message.split(' ')[0]! : String(error)),
  )
  return seen
}

test('the handshake asks for a new session, and takes what is granted', async () => {
  const { servers, client } = await connect(1, { sessionTimeoutMs: 60_000 })
  const [handshake] = servers[0]!.handshakes
  assert.deepEqual(
    [handshake?.sessionId, handshake?.timeOut, handshake?.lastZxidSeen, handshake?.readOnly],
    [0n, 60_000, 0n, false],
  )
  assert.equal(client.sessionId, 501n)
  assert.equal(client.sessionTimeoutMs, 6000)
})

test('requests go out in their order, no more at once than allowed, and are answered each by its own', async () => {
  const { world, servers, client } = await connect(2, { requestsInFlightMax: 3 })
  const server = servers[0]!
  server.onRequest = () => undefined
  const paths = ['/a', '/b', '/c', '/d', '/e']
  const created: string[] = []
  for (const path of paths) void client.create(path, null).then((done) => created.push(done))
  await world.run(100)
  assert.deepEqual(
    server.received.map(({ request }) => request['path']),
    ['/a', '/b', '/c'],
  )
  server.answer(server.received[0]!, 0, { path: '/a0' })
  await world.run(100)
  assert.deepEqual(
    server.received.map(({ request }) => request['path']),
    ['/a', '/b', '/c', '/d'],
  )
  assert.deepEqual(created, ['/a0'])
})

test('an answer to another request than the next one ends the connection', async () => {
  const { world, servers, client, events } = await connect(3)
  const server = servers[0]!
  server.onRequest = () => undefined
  const first = outcome(client.exists('/a'))
  const second = outcome(client.exists('/b'))
  await world.run(100)
  server.answer(server.received[1]!, 0, { stat: STAT })
  await world.run(100)
  assert.deepEqual([first.state, second.state, events[0]], ['CONNECTIONLOSS', 'CONNECTIONLOSS', 'disconnected'])
})

test('a lost connection fails what is in flight; the session goes on at another server, with its watches', async () => {
  const { world, servers, client, events } = await connect(4, {}, 2)
  const at = servers.find((server) => server.isConnected)!
  const other = servers.find((server) => server !== at)!
  for (const server of servers)
    server.onRequest = ({ name, request }) => {
      if (request['path'] === '/slow' || (name === 'setData' && server === at)) return undefined
      if (name === 'exists' && request['path'] === '/missing') return { err: ZkErrorCode.NONODE }
      return { body: { stat: STAT, data: null, children: [] } }
    }
  const seen: WatchEvent[] = []
  const watcher = (event: WatchEvent): void => void seen.push(event)
  const reads = [
    client.getData('/data', watcher),
    client.exists('/there', watcher),
    client.exists('/missing', watcher),
    client.getChildren('/parent', watcher),
  ]
  await world.run(100)
  await Promise.all(reads)
  const slow = outcome(client.getData('/slow'))
  const retried = outcome(client.retrying.setData('/retried', null))
  await world.run(1)
  at.disconnect()
  await world.run(3000)
  assert.equal(slow.state, 'CONNECTIONLOSS')
  assert.equal(retried.state, 'done')
  assert.deepEqual(events, ['disconnected', 'connected'])
  const handshake = other.handshakes[0]!
  assert.deepEqual([handshake.sessionId, [...handshake.passwd!]], [501n, Array.from({ length: 16 }, () => 7)])
  assert.equal(handshake.lastZxidSeen, at.zxid)
  const [set] = other.requests('setWatches')
  assert.deepEqual(set?.request, {
    relativeZxid: at.zxid,
    dataWatches: ['/data', '/there'],
    existWatches: ['/missing'],
    childWatches: ['/parent'],
  })
  other.event(WatchEventType.nodeCreated, '/missing')
  other.event(WatchEventType.nodeDeleted, '/data')
  await world.run(100)
  assert.deepEqual(seen, [
    { kind: 'created', path: '/missing' },
    { kind: 'deleted', path: '/data' },
  ])
  // Once is all: the same events again are for nobody.
  other.event(WatchEventType.nodeCreated, '/missing')
  await world.run(100)
  assert.equal(seen.length, 2)
})

test('an event is told before the answer that shows the change', async () => {
  const { world, servers, client } = await connect(5)
  const server = servers[0]!
  server.onRequest = ({ name }) => (name === 'setData' ? undefined : { body: { stat: STAT, data: null } })
  const order: string[] = []
  void client.getData('/a', () => order.push('event'))
  void client.setData('/a', null).then(() => order.push('answer'))
  await world.run(100)
  server.event(WatchEventType.nodeDataChanged, '/a')
  server.answer(server.requests('setData')[0]!, 0, { stat: STAT })
  await world.run(100)
  assert.deepEqual(order, ['event', 'answer'])
})

test('an expired session ends everything of it; the owner begins a new one', async () => {
  const { world, servers, client, events } = await connect(6)
  const server = servers[0]!
  server.onRequest = ({ name }) => (name === 'getData' ? { body: { stat: STAT, data: null } } : undefined)
  let fired = false
  void client.getData('/a', () => (fired = true))
  await world.run(100)
  const retried = outcome(client.retrying.create('/b', null))
  await world.run(100)
  server.onHandshake = ({ sessionId }) => (sessionId === 0n ? 'granted' : 'expired')
  server.disconnect()
  await world.run(5000)
  assert.deepEqual(events, ['disconnected', 'expired'])
  assert.equal(retried.state, 'SESSIONEXPIRED')
  assert.equal(outcome(client.exists('/a')).state, 'waiting')
  const late = outcome(client.exists('/a'))
  const renewed = outcome(client.renew())
  await world.run(1000)
  assert.deepEqual([late.state, renewed.state], ['SESSIONEXPIRED', 'done'])
  assert.equal(client.sessionId, 502n)
  assert.ok(client.isFormerSession(501n))
  assert.deepEqual(server.requests('setWatches'), [])
  assert.equal(fired, false)
  assert.equal(events.at(-1), 'connected')
})

test('a new session may begin as soon as the old one is known to be gone', async () => {
  const { world, servers, client, events } = await connect(13)
  const server = servers[0]!
  server.onHandshake = ({ sessionId }) => (sessionId === 0n ? 'granted' : 'expired')
  client.onSession((event) => {
    if (event === 'expired') void client.renew()
  })
  for (let times = 1; times <= 3; times++) {
    server.disconnect()
    await world.run(5000)
    assert.equal(client.sessionId, 501n + BigInt(times))
  }
  assert.equal(server.handshakes.length, 1 + 3 * 2)
  assert.equal(events.filter((event) => event === 'connected').length, 3)
})

test('a server that says nothing is left after two thirds of the session timeout', async () => {
  const { world, servers, client, events } = await connect(7, {}, 2)
  const at = servers.find((server) => server.isConnected)!
  const startedMs = world.nowMs
  await world.run(30_000)
  assert.ok(at.pings >= 14, `${at.pings} pings in 30 s`)
  assert.equal(events.length, 0)
  at.answersPings = false
  at.onHandshake = () => 'silence'
  assert.ok(await world.runUntil(() => events.includes('disconnected'), 4100))
  assert.ok(world.nowMs - startedMs >= 30_000)
  await world.run(5000)
  assert.deepEqual(events, ['disconnected', 'connected'])
  assert.equal(client.sessionId, 501n)
})

test('who stood still himself does not take the silence for the server’s', async () => {
  const { world, servers, events } = await connect(8)
  await world.run(1000)
  world.process('client').pause()
  await world.run(5900)
  world.process('client').resume()
  await world.run(10_000)
  assert.deepEqual(events, [])
  assert.equal(servers[0]!.handshakes.length, 1)
})

test('paths lie under the chroot, which is made if asked for; events are told without it', async () => {
  const world = new World(9)
  const server = new ScriptedServer('zk1')
  server.onRequest = ({ name, request }) => {
    if (name === 'create' && request['path'] === '/deep') return { err: ZkErrorCode.NODEEXISTS }
    return { body: { path: request['path'], stat: STAT, children: [] } }
  }
  world.process('zk1').start(server.run)
  const seen: unknown[] = []
  world.process('client').start(async (platform) => {
    const connectString = 'zk1:2181/deep/root'
    const client = await ZooKeeperClient.connect(platform, {
      connect: connectString,
      sessionTimeoutMs: 6000,
      createChroot: true,
    })
    await client.getChildren('/', (event) => seen.push(event))
    seen.push(await client.create('/x', null))
  })
  await world.run(1000)
  assert.deepEqual(
    server.received.map(({ name, request }) => `${name} ${String(request['path'])}`),
    ['create /deep', 'create /deep/root', 'getChildren2 /deep/root', 'create /deep/root/x'],
  )
  server.event(WatchEventType.nodeChildrenChanged, '/deep/root')
  await world.run(100)
  assert.deepEqual(seen, ['/x', { kind: 'childrenChanged', path: '/' }])
})

test('identities come before everything else, on every connection; a refused one ends the client', async () => {
  const auth = [{ scheme: 'digest', auth: new TextEncoder().encode('user:secret') }]
  const { world, servers, client, events } = await connect(10, { auth })
  const server = servers[0]!
  server.onRequest = ({ name }) => (name === 'auth' ? {} : { body: { stat: STAT } })
  void client.exists('/a')
  await world.run(100)
  assert.deepEqual(
    server.received.map(({ name }) => name),
    ['auth', 'exists'],
  )
  assert.equal(new TextDecoder().decode(server.received[0]?.request['auth'] as Uint8Array), 'user:secret')
  server.onRequest = ({ name }) => (name === 'auth' ? { err: ZkErrorCode.AUTHFAILED } : undefined)
  server.disconnect()
  await world.run(3000)
  assert.equal(events.at(-1), 'authFailed')
  const refused = outcome(client.exists('/a'))
  await world.run(10)
  assert.equal(refused.state, 'AUTHFAILED')
})

test('closing tells the server, and waits for its word', async () => {
  const { world, servers, client, events } = await connect(11)
  const closed = outcome(client.close())
  await world.run(100)
  assert.equal(closed.state, 'done')
  assert.deepEqual(
    servers[0]!.received.map(({ name }) => name),
    ['closeSession'],
  )
  await world.run(5000)
  assert.deepEqual(events, ['closed'])
  assert.equal(servers[0]!.handshakes.length, 1)
})

test('no server in time is an error with the servers’ names', async () => {
  const world = new World(12)
  world.process('nobody')
  let failure = ''
  world.process('client').start(async (platform) => {
    const options = { connect: 'nobody:2181', sessionTimeoutMs: 6000, connectionTimeoutMs: 3000 }
    await ZooKeeperClient.connect(platform, options).catch((error: Error) => (failure = error.message))
  })
  await world.run(10_000)
  assert.equal(failure, 'no ZooKeeper server of nobody:2181 answered within 3000 ms')
})

test('watches for good stay when they have fired, follow the session, and can be removed', async () => {
  const { world, servers, client } = await connect(20, {}, 2)
  for (const server of servers) server.onRequest = () => ({ body: { err: 0 } })
  const at = servers.find((server) => server.isConnected)!
  const seen: string[] = []
  const note =
    (name: string) =>
    ({ kind, path }: WatchEvent) =>
      seen.push(`${name}: ${kind} ${path}`)
  void client.addWatch('/a', 'persistent', note('one'))
  void client.addWatch('/a/b', 'recursive', note('tree'))
  await world.run(100)
  at.event(WatchEventType.nodeDataChanged, '/a')
  at.event(WatchEventType.nodeChildrenChanged, '/a')
  at.event(WatchEventType.nodeCreated, '/a/b/c/d')
  at.event(WatchEventType.nodeCreated, '/a/bc')
  at.event(WatchEventType.nodeDataChanged, '/a')
  await world.run(100)
  assert.deepEqual(seen.splice(0), [
    'one: dataChanged /a',
    'one: childrenChanged /a',
    'tree: created /a/b/c/d',
    'one: dataChanged /a',
  ])

  at.onHandshake = () => 'silence'
  at.disconnect()
  await world.run(5000)
  const other = servers.find((server) => server.isConnected)!
  assert.deepEqual(other.requests('setWatches2')[0]?.request, {
    relativeZxid: at.zxid,
    dataWatches: [],
    existWatches: [],
    childWatches: [],
    persistentWatches: ['/a'],
    persistentRecursiveWatches: ['/a/b'],
  })
  other.event(WatchEventType.nodeDeleted, '/a/b')
  await world.run(100)
  assert.deepEqual(seen.splice(0), ['tree: deleted /a/b'])

  const none = outcome(client.removeWatches('/a', WatcherType.data))
  void client.removeWatches('/a', WatcherType.any)
  await world.run(100)
  other.event(WatchEventType.nodeDataChanged, '/a')
  await world.run(100)
  assert.equal(none.state, 'NOWATCHER')
  assert.deepEqual(other.requests('removeWatches')[0]?.request, { path: '/a', type: WatcherType.any })
  assert.deepEqual(seen, ['one: persistentWatchRemoved /a'])
})

test('each kind of znode is made with the operation that it needs', async () => {
  const { world, servers, client } = await connect(21)
  const server = servers[0]!
  server.onRequest = ({ request }) => ({ body: { path: request['path'], stat: STAT } })
  void client.create('/p', null)
  void client.create('/c', null, { mode: CreateMode.container })
  void client.create('/t', null, { mode: CreateMode.persistentTtl, ttlMs: 5000 })
  void client.createWithStat('/s', null)
  void client.createWithStat('/d', null, { mode: CreateMode.container })
  await world.run(100)
  assert.deepEqual(
    server.received.map(({ name, request }) => [name, request['flags'], request['ttl']]),
    [
      ['create', CreateMode.persistent, undefined],
      ['createContainer', CreateMode.container, undefined],
      ['createTTL', CreateMode.persistentTtl, 5000],
      ['create2', CreateMode.persistent, undefined],
      ['createContainer', CreateMode.container, undefined],
    ],
  )
})

test('reads in one request are answered one by one', async () => {
  const { world, servers, client } = await connect(22)
  servers[0]!.onRequest = () => ({
    body: [
      { type: 4, data: new Uint8Array([1]), stat: STAT },
      { type: -1, err: ZkErrorCode.NONODE },
      { type: 8, children: ['x'] },
    ] as unknown as Record<string, unknown>,
  })
  const results: unknown[] = []
  const steps = [
    { op: 'getData', path: '/a' },
    { op: 'getData', path: '/b' },
    { op: 'getChildren', path: '/c' },
  ] as const
  void client.multiRead(steps).then((read) => results.push(...read))
  await world.run(100)
  assert.deepEqual(results[0], { data: new Uint8Array([1]), stat: STAT })
  assert.equal((results[1] as ZkError).message, 'NONODE (/b)')
  assert.deepEqual(results[2], { children: ['x'] })
})

test('an identity that is added later is answered, and goes to every further server', async () => {
  const { world, servers, client } = await connect(23)
  const server = servers[0]!
  const added = outcome(client.addAuth('digest', new TextEncoder().encode('user:secret')))
  await world.run(100)
  assert.equal(added.state, 'done')
  server.disconnect()
  await world.run(3000)
  assert.equal(server.requests('auth').length, 2)
})

test('who is content with reads takes a server without a quorum, and leaves it for one that has it', async () => {
  const world = new World(24)
  const servers = [new ScriptedServer('zk1'), new ScriptedServer('zk2')]
  for (const server of servers) {
    server.readOnly = true
    world.process(server.name).start(server.run)
  }
  await world.run(10)
  const clients: ZooKeeperClient[] = []
  world.process('client').start(async (platform) => {
    const options = { connect: 'zk1:2181,zk2:2181', sessionTimeoutMs: 6000, readOnly: true }
    clients.push(await ZooKeeperClient.connect(platform, options))
  })
  await world.run(3000)
  const client = clients[0]!
  const at = servers.find((server) => server.isConnected)!
  assert.ok(client.isReadOnly && at.handshakes[0]!.readOnly)

  const other = servers.find((server) => server !== at)!
  other.readOnly = false
  await world.run(10_000)
  assert.ok(client.isConnected && !client.isReadOnly && other.isConnected)
  // What a server without a quorum made up, no other one knows.
  assert.equal(other.handshakes[0]!.sessionId, 0n)
})
