/** Decide and apply together: what a client may and may not, the stats that follow, and that deciding ahead changes nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'

import { CreateMode, OpCode, Perms, ZkErrorCode, zkErrorName, type Acl, type LoggedTxn } from '#zookeeper/protocol'

import { Decider, type WriteBody } from './decide.ts'
import { SessionTracker } from './sessions.ts'
import { ZnodeTree, type Applied } from './tree.ts'
import { digestOf } from './znode.ts'

const OPEN: Acl[] = [{ perms: Perms.ALL, id: { scheme: 'world', id: 'anyone' } }]
const SESSION = 7n
const OTHER = 8n

/** A tree and a decider, with two sessions, and transactions that are decided and not yet applied. */
class Machine {
  readonly tree = ZnodeTree.fresh({ extendedTypes: true })
  readonly sessions = new SessionTracker(1000, 0)
  readonly decider = new Decider(this.tree, this.sessions, { skipAcl: false })
  readonly log: LoggedTxn[] = []
  #applied = 0
  wallMs = 1000

  constructor() {
    for (const id of [SESSION, OTHER]) this.write({ type: OpCode.createSession, timeOut: 10_000 }, id)
  }

  decide(body: WriteBody, sessionId = SESSION): LoggedTxn {
    const moment = { wallMs: this.wallMs++, sessionMs: 0 }
    const logged = this.decider.decide({ sessionId, cxid: 1, ids: [], owner: 'me', body }, moment)
    this.log.push(logged)
    return logged
  }

  applyAll(): Applied[] {
    const results = this.log.slice(this.#applied).map((logged) => this.tree.apply(logged))
    this.#applied = this.log.length
    this.decider.applied(this.decider.lastZxid)
    return results
  }

  applySome(count: number): void {
    for (const logged of this.log.slice(this.#applied, this.#applied + count)) {
      this.tree.apply(logged)
      this.#applied++
      this.decider.applied(logged.header.zxid)
    }
  }

  /** The name of the error, or OK. */
  write(body: WriteBody, sessionId = SESSION): string {
    const { txn } = this.decide(body, sessionId)
    this.applyAll()
    return txn.type === OpCode.error ? zkErrorName(txn.err) : 'OK'
  }

  paths(): string[] {
    const found: string[] = []
    const walk = (path: string): void => {
      found.push(path)
      for (const name of [...(this.tree.find(path)!.children?.keys() ?? [])].sort()) walk(`${path}/${name}`)
    }
    walk('')
    return found.filter((path) => !path.startsWith('/zookeeper'))
  }

  stat(path: string): Record<string, unknown> {
    const { version, cversion, aversion, numChildren, dataLength, czxid, mzxid, pzxid } = this.tree.statOf(
      this.tree.find(path)!,
    )
    return { version, cversion, aversion, numChildren, dataLength, zxids: [czxid, mzxid, pzxid].map(Number) }
  }
}

const create = (
  path: string,
  flags: number = CreateMode.persistent,
  acl = OPEN,
): WriteBody & { type: typeof OpCode.create } => ({
  type: OpCode.create,
  path,
  data: Uint8Array.of(1, 2),
  acl,
  flags,
})
const remove = (path: string, version = -1): WriteBody & { type: typeof OpCode.delete } => ({
  type: OpCode.delete,
  path,
  version,
})
const set = (path: string, version = -1): WriteBody & { type: typeof OpCode.setData } => ({
  type: OpCode.setData,
  path,
  data: Uint8Array.of(3),
  version,
})
const check = (path: string, version: number): WriteBody & { type: typeof OpCode.check } => ({
  type: OpCode.check,
  path,
  version,
})

test('stats follow the transactions', () => {
  const machine = new Machine()
  assert.deepEqual(machine.tree.statOf(machine.tree.find('/')!).cversion, -1)
  machine.write(create('/a'))
  machine.write(create('/a/b'))
  machine.write(create('/a/c'))
  machine.write(remove('/a/b'))
  machine.write(set('/a'))
  machine.write({ type: OpCode.setACL, path: '/a', acl: OPEN, version: 0 })
  assert.deepEqual(machine.stat('/a'), {
    version: 1,
    cversion: 3,
    aversion: 1,
    numChildren: 1,
    dataLength: 1,
    zxids: [3, 7, 6],
  })
  assert.equal(machine.tree.find('/a')!.mtime, machine.log[6]!.header.time)
})

test('each refusal has its code, and the first reason counts', () => {
  const machine = new Machine()
  const closed: Acl[] = [{ perms: Perms.ALL, id: { scheme: 'digest', id: 'a:b' } }]
  machine.write(create('/a'))
  machine.write(create('/a/child'))
  machine.write(create('/closed', 0, closed))
  machine.write(create('/e', CreateMode.ephemeral))
  const rows: [WriteBody, string][] = [
    [create('/a'), 'NODEEXISTS'],
    [create('/missing/b'), 'NONODE'],
    [create('/closed/b'), 'NOAUTH'],
    [create('/e/b'), 'NOCHILDRENFOREPHEMERALS'],
    [create('relative'), 'BADARGUMENTS'],
    [create('/a//b'), 'NONODE'],
    [create('/a/../b'), 'NONODE'],
    [create('/a/.'), 'BADARGUMENTS'],
    [create('/a/\u0000'), 'BADARGUMENTS'],
    [create('/a/'), 'BADARGUMENTS'],
    [create('/b', 9), 'BADARGUMENTS'],
    [create('/b', -1), 'BADARGUMENTS'],
    [create('/b', CreateMode.persistentTtl), 'BADARGUMENTS'],
    [create('/b', 0, []), 'INVALIDACL'],
    [{ type: OpCode.createTTL, path: '/b', data: null, acl: OPEN, flags: 5, ttl: 0 }, 'BADARGUMENTS'],
    [{ type: OpCode.createTTL, path: '/b', data: null, acl: OPEN, flags: 5, ttl: 2 ** 41 }, 'BADARGUMENTS'],
    [{ type: OpCode.createTTL, path: '/b', data: null, acl: OPEN, flags: 0, ttl: 5 }, 'BADARGUMENTS'],
    [remove('/'), 'BADARGUMENTS'],
    [remove('/zookeeper/config'), 'BADARGUMENTS'],
    [remove('/missing'), 'NONODE'],
    [remove('/a', 3), 'BADVERSION'],
    [remove('/a'), 'NOTEMPTY'],
    [set('/a', 1), 'BADVERSION'],
    [set('/a', -2), 'BADVERSION'],
    [set('/closed'), 'NOAUTH'],
    [set('/missing'), 'NONODE'],
    [set('/a/'), 'BADARGUMENTS'],
    [{ type: OpCode.setACL, path: '/a', acl: OPEN, version: 5 }, 'BADVERSION'],
    [{ type: OpCode.setACL, path: '/closed', acl: OPEN, version: -1 }, 'NOAUTH'],
    [{ type: OpCode.reconfig }, 'RECONFIGDISABLED'],
    [{ type: OpCode.deleteContainer, path: '/a' }, 'NOTEMPTY'],
    [{ type: OpCode.deleteContainer, path: '/closed' }, 'BADVERSION'],
  ]
  for (const [body, expected] of rows) {
    const before = machine.tree.lastZxid
    assert.equal(
      machine.write(body),
      expected,
      JSON.stringify(body, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
    )
    assert.equal(machine.tree.lastZxid, before + 1n, 'a refusal has a transaction of its own')
  }
  assert.deepEqual(machine.paths(), ['', '/a', '/a/child', '/closed', '/e'])
  assert.equal(machine.write(create('/b'), 99n), 'SESSIONEXPIRED')
})

test('sequence numbers count creations, deletions do not take them back, and they wrap as Java’s', () => {
  const machine = new Machine()
  machine.write(create('/q'))
  const next = (flags: number = CreateMode.persistentSequential): string => {
    const { txn } = machine.decide(create('/q/n-', flags))
    machine.applyAll()
    return txn.type === OpCode.create ? txn.path : String(txn.type)
  }
  assert.equal(next(), '/q/n-0000000000')
  assert.equal(next(CreateMode.ephemeralSequential), '/q/n-0000000001')
  machine.write(remove('/q/n-0000000000'))
  assert.equal(next(), '/q/n-0000000002')
  machine.tree.find('/q')!.cversion = 2 ** 31 - 1
  assert.equal(next(), '/q/n-2147483647')
  assert.equal(next(), '/q/n--2147483648')
})

test('a multi happens as a whole or not at all', () => {
  const machine = new Machine()
  machine.write(create('/a'))
  const fine = machine.decide({
    type: OpCode.multi,
    ops: [create('/a/b'), check('/a/b', 0), set('/a/b'), check('/a/b', 1), remove('/a/b')],
  })
  const failing = machine.decide({ type: OpCode.multi, ops: [create('/a/c'), set('/a'), check('/a', 0), remove('/a')] })
  // Decided while the multi that failed was on its way: it must not see anything of it.
  machine.decide(create('/a/c'))
  const [first, second, third] = machine.applyAll()
  assert.deepEqual(
    first!.results!.map(({ err }) => err),
    [0, 0, 0, 0, 0],
  )
  assert.deepEqual(
    second!.results!.map(({ err }) => err),
    [0, 0, ZkErrorCode.BADVERSION, ZkErrorCode.RUNTIMEINCONSISTENCY],
  )
  assert.equal(second!.err, ZkErrorCode.BADVERSION)
  assert.equal(third!.err, 0)
  assert.equal(failing.header.zxid, fine.header.zxid + 1n)
  assert.equal(machine.stat('/a')['version'], 0)
  assert.deepEqual(machine.paths(), ['', '/a', '/a/c'])
})

test('what is decided is seen by what is decided next, before anything is applied', () => {
  const machine = new Machine()
  const types = [
    create('/a'),
    create('/a/s-', 2),
    create('/a/s-', 2),
    set('/a', 0),
    set('/a', 0),
    remove('/a'),
    remove('/a/s-0000000000'),
  ]
    .map((body) => machine.decide(body).txn)
    .map((txn) => (txn.type === OpCode.error ? zkErrorName(txn.err) : 'path' in txn ? txn.path : ''))
  assert.deepEqual(types, [
    '/a',
    '/a/s-0000000000',
    '/a/s-0000000001',
    '/a',
    'BADVERSION',
    'NOTEMPTY',
    '/a/s-0000000000',
  ])
  machine.applyAll()
  assert.equal(machine.decider.outstanding, 0)
  assert.equal(machine.tree.digestMismatches, 0)
})

test('a session takes its ephemerals along, decided ones too, and is refused from then on', () => {
  const machine = new Machine()
  machine.write(create('/p'))
  machine.write(create('/p/applied', CreateMode.ephemeral))
  machine.decide(create('/p/decided', CreateMode.ephemeral))
  machine.decide(create('/p/gone', CreateMode.ephemeral))
  machine.decide(remove('/p/gone'))
  machine.decide(create('/p/others', CreateMode.ephemeral), OTHER)
  const close = machine.decide({ type: OpCode.closeSession })
  assert.equal(zkErrorName(errorOf(machine.decide(create('/p/late')))), 'SESSIONEXPIRED')
  // The parent is free at once, also before anything is applied.
  machine.decide(remove('/p/others'), OTHER)
  assert.equal(errorOf(machine.decide(remove('/p'), OTHER)), 0)
  machine.applyAll()
  assert.deepEqual(close.txn.type === OpCode.closeSession && close.txn.paths2Delete!.sort(), [
    '/p/applied',
    '/p/decided',
  ])
  assert.deepEqual(machine.paths(), [''])
  assert.deepEqual([...machine.tree.sessions.keys()], [OTHER])
  assert.equal(machine.tree.digestMismatches, 0)
})

test("a session does not take along what somebody made anew in its ephemeral's place", () => {
  const machine = new Machine()
  machine.write(create('/lock', CreateMode.ephemeral))
  machine.write(create('/kept', CreateMode.ephemeral))
  // Decided one behind the other, none of it applied.
  machine.decide(remove('/lock'), OTHER)
  machine.decide(create('/lock', CreateMode.ephemeral), OTHER)
  machine.decide(remove('/kept'), OTHER)
  machine.decide(create('/kept'), OTHER)
  const close = machine.decide({ type: OpCode.closeSession })
  machine.applyAll()
  assert.deepEqual(close.txn.type === OpCode.closeSession && close.txn.paths2Delete, [])
  assert.deepEqual(machine.paths(), ['', '/kept', '/lock'])
})

test('containers and TTL nodes are told apart by their owner, which nobody sees', () => {
  const machine = new Machine()
  machine.write({ ...create('/c', CreateMode.container), type: OpCode.createContainer })
  machine.write({
    type: OpCode.createTTL,
    path: '/t',
    data: null,
    acl: OPEN,
    flags: CreateMode.persistentTtl,
    ttl: 5000,
  })
  assert.deepEqual([...machine.tree.containers()], ['/c'])
  assert.deepEqual([...machine.tree.ttls()], ['/t'])
  assert.equal(machine.tree.statOf(machine.tree.find('/c')!).ephemeralOwner, 0n)
  assert.equal(machine.tree.statOf(machine.tree.find('/t')!).ephemeralOwner, 0n)
  assert.equal(machine.write(create('/c/child')), 'OK')
  machine.write(remove('/c/child'))
  assert.equal(machine.write({ type: OpCode.deleteContainer, path: '/c' }), 'OK')
  assert.deepEqual([...machine.tree.containers()], [])
})

test('a container or TTL node is not reaped while a write of it is on its way', () => {
  const machine = new Machine()
  const reap = (path: string): WriteBody => ({ type: OpCode.deleteContainer, path })
  machine.write({ ...create('/c', CreateMode.container), type: OpCode.createContainer })
  machine.write({ ...create('/t', CreateMode.persistentTtl), type: OpCode.createTTL, ttl: 5000 })
  machine.write(create('/c/child'))
  machine.write(remove('/c/child'))
  // Both are due by what is applied. One is written, the other made anew, and so without a child yet.
  machine.decide(set('/t'))
  machine.decide(remove('/c'))
  machine.decide({ ...create('/c', CreateMode.container), type: OpCode.createContainer })
  for (const path of ['/t', '/c']) {
    const { txn } = machine.decide(reap(path))
    assert.equal(txn.type === OpCode.error && txn.err, ZkErrorCode.BADVERSION)
  }
  machine.applyAll()
  assert.deepEqual(machine.paths(), ['', '/c', '/t'])
  assert.equal(machine.write(reap('/t')), 'OK')
})

test('random histories: decided ahead or one by one, replayed once or twice, the tree is the same', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = generator(seed)
    const ahead = new Machine()
    const oneByOne = new Machine()
    for (let step = 0; step < 200; step++) {
      const [body, session] = randomWrite(random)
      const logged = ahead.decide(body, session)
      const same = oneByOne.decide(body, session)
      oneByOne.applyAll()
      assert.deepEqual(logged, same, `seed ${seed}, step ${step}`)
      if (random(4) === 0) ahead.applySome(random(8))
    }
    ahead.applyAll()
    assert.equal(ahead.tree.digestMismatches, 0)
    assert.equal(ahead.tree.digest, recomputed(ahead), `seed ${seed}: the digest is not the sum of its nodes`)

    // As after a snapshot that was taken on the fly: everything comes again from somewhere in the middle.
    const replayed = ZnodeTree.fresh({ extendedTypes: true })
    const until = random(ahead.log.length)
    for (const logged of ahead.log.slice(0, until)) replayed.apply(logged)
    for (const logged of ahead.log.slice(Math.max(0, until - random(40)))) replayed.apply({ ...logged, digest: null })
    assert.equal(replayed.nodeCount, ahead.tree.nodeCount, `seed ${seed}: applied twice`)
  }
})

function errorOf({ txn }: LoggedTxn): number {
  return txn.type === OpCode.error ? txn.err : 0
}

function recomputed(machine: Machine): bigint {
  const paths = machine.paths()
  const sum = paths.reduce((total, path) => total + BigInt(digestOf(path, machine.tree.find(path)!)), 0n)
  return sum + BigInt(digestOf('/zookeeper', machine.tree.find('/zookeeper')!))
}

function randomWrite(random: (below: number) => number): [WriteBody, bigint] {
  const path = ['/a', '/b', '/a/x', '/a/y', '/b/x', '/a/x/deep'][random(6)]!
  const simple = (): WriteBody & {
    type: typeof OpCode.create | typeof OpCode.delete | typeof OpCode.setData | typeof OpCode.check
  } => {
    const kind = random(8)
    if (kind < 4) return create(path, random(4))
    if (kind < 6) return remove(path, random(3) - 1)
    return kind < 7 ? set(path, random(3) - 1) : check(path, random(2))
  }
  const session = random(2) === 0 ? SESSION : OTHER
  const kind = random(20)
  if (kind === 0) return [{ type: OpCode.closeSession }, session]
  if (kind === 1) return [{ type: OpCode.createSession, timeOut: 1000 }, session]
  if (kind === 2) return [{ type: OpCode.setACL, path, acl: OPEN, version: -1 }, session]
  if (kind < 7) return [{ type: OpCode.multi, ops: Array.from({ length: random(5) }, simple) }, session]
  const body = simple()
  return [body.type === OpCode.check ? set(path) : body, session]
}

/** A small linear congruence: the same numbers on every machine. */
function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return Math.floor((state / 0x8000_0000) * below)
  }
}

test('a digest covers path, data and stat, however large the node and whatever its name', () => {
  const stat = {
    czxid: 1n,
    mzxid: 2n,
    pzxid: 3n,
    ctime: 4e12,
    mtime: 5,
    version: 6,
    cversion: 7,
    aversion: 8,
    ephemeralOwner: -9n,
  }
  const statBytes = new DataView(new ArrayBuffer(60))
  for (const [at, value] of [
    [0, 1n],
    [8, 2n],
    [16, 3n],
    [24, 4_000_000_000_000n],
    [32, 5n],
    [52, -9n],
  ] as const)
    statBytes.setBigInt64(at, value)
  for (const [at, value] of [
    [40, 6],
    [44, 7],
    [48, 8],
  ] as const)
    statBytes.setInt32(at, value)
  for (const path of ['', '/a', '/zookeeper', '/gr\u00fc\u00dfe', `/${'x'.repeat(5000)}`])
    for (const data of [null, new Uint8Array(0), new Uint8Array(100).fill(1), new Uint8Array(5000).fill(2)])
      assert.equal(
        digestOf(path, { ...stat, data }),
        crc32(Buffer.concat([Buffer.from(path), data ?? new Uint8Array(0), new Uint8Array(statBytes.buffer)])),
      )
  assert.equal(digestOf('/zookeeper/quota', { ...stat, data: null }), 0)
})
