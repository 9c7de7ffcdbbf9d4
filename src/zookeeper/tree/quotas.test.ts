/** What a subtree holds, as every server counts it, and what its quota allows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { OpCode, Perms, ZkErrorCode, zkErrorName, type Acl } from '#zookeeper/protocol'

import { Decider, type WriteBody } from './decide.ts'
import { QuotaPaths, QuotaText, type QuotaExceeded } from './quotas.ts'
import { SessionTracker } from './sessions.ts'
import { ZnodeTree } from './tree.ts'

const OPEN: Acl[] = [{ perms: Perms.ALL, id: { scheme: 'world', id: 'anyone' } }]

class Server {
  readonly tree: ZnodeTree
  readonly exceeded: string[] = []
  readonly #decider: Decider

  constructor(enforceQuota: boolean, tree = ZnodeTree.fresh({ extendedTypes: false })) {
    this.tree = tree
    const sessions = new SessionTracker(1000, 0)
    const onQuotaExceeded = ({ path, hard, what, value, limit }: QuotaExceeded): void =>
      void this.exceeded.push(`${path} ${hard ? 'hard' : 'soft'} ${what} ${value}>${limit}`)
    this.#decider = new Decider(tree, sessions, { skipAcl: false, enforceQuota, onQuotaExceeded })
    this.#write({ type: OpCode.createSession, timeOut: 10_000 })
  }

  create(path: string, data = ''): string {
    return this.#write({ type: OpCode.create, path, data: Buffer.from(data), acl: OPEN, flags: 0 })
  }

  set(path: string, data: string, version = -1): string {
    return this.#write({ type: OpCode.setData, path, data: Buffer.from(data), version })
  }

  delete(path: string): string {
    return this.#write({ type: OpCode.delete, path, version: -1 })
  }

  /** As `setquota` of Apache's shell does it. */
  quota(path: string, limits: string): void {
    let folder = '/zookeeper/quota'
    for (const part of path.split('/').slice(1)) {
      folder += `/${part}`
      this.create(folder)
    }
    this.create(`${folder}/zookeeper_limits`, limits)
    this.create(`${folder}/zookeeper_stats`, 'count=-1,bytes=-1')
  }

  stats(path: string): string {
    return String(Buffer.from(this.tree.find(`/zookeeper/quota${path}/zookeeper_stats`)!.data!))
  }

  #write(body: WriteBody): string {
    const moment = { wallMs: 1, sessionMs: 0 }
    const logged = this.#decider.decide({ sessionId: 7n, cxid: 1, ids: [], owner: 'me', body }, moment)
    this.tree.apply(logged)
    this.#decider.applied(logged.header.zxid)
    assert.equal(this.tree.digestMismatches, 0)
    return logged.txn.type === OpCode.error ? zkErrorName(logged.txn.err) : 'OK'
  }
}

test('texts are read and written as ZooKeeper 3.4 up to 3.9 do', () => {
  const rows: [string, string][] = [
    ['', 'count=-1,bytes=-1'],
    ['count=4,bytes=5', 'count=4,bytes=5'],
    ['bytes=5,count=4', 'count=4,bytes=5'],
    ['count=4,bytes=5=;countHardLimit=10;byteHardLimit=10', 'count=4,bytes=5=;byteHardLimit=10;countHardLimit=10'],
    ['count=4', 'count=4,bytes=-1'],
    ['count=,bytes=x,,nonsense', 'count=-1,bytes=-1'],
  ]
  for (const [text, expected] of rows) assert.equal(String(QuotaText.parse(Buffer.from(text))), expected, text)
  assert.equal(String(QuotaText.parse(null)), 'count=-1,bytes=-1')
})

test('the nearest quota above a path is the one that counts', () => {
  const quotas = new QuotaPaths()
  assert.equal(quotas.over('/a/b'), null)
  quotas.add('/a')
  quotas.add('/a/b/c')
  const rows: [string, string | null][] = [
    ['/a', '/a'],
    ['/a/b', '/a'],
    ['/a/b/c', '/a/b/c'],
    ['/a/b/c/d', '/a/b/c'],
    ['/ab', null],
    ['/', null],
    ['', null],
  ]
  for (const [path, expected] of rows) assert.equal(quotas.over(path), expected, path)
})

test('statistics begin with the whole subtree and follow each change', () => {
  const server = new Server(false)
  server.create('/a', '12345')
  server.create('/a/b', '123')
  server.quota('/a', 'count=10,bytes=100')
  assert.equal(server.stats('/a'), 'count=2,bytes=8')
  server.create('/a/c', '1234')
  assert.equal(server.stats('/a'), 'count=3,bytes=12')
  server.set('/a/c', '1')
  assert.equal(server.stats('/a'), 'count=3,bytes=9')
  server.delete('/a/b')
  assert.equal(server.stats('/a'), 'count=2,bytes=6')
  server.create('/ab', '1234')
  server.set('/a', '', 7)
  assert.equal(server.stats('/a'), 'count=2,bytes=6')
  assert.equal(server.tree.find('/zookeeper/quota/a/zookeeper_stats')!.version, 0)
})

test('with a quota in a quota each change counts for the inner one only', () => {
  const server = new Server(false)
  server.create('/a')
  server.create('/a/b', '1')
  server.quota('/a', 'count=10,bytes=100')
  server.quota('/a/b', 'count=10,bytes=100')
  assert.equal(server.stats('/a'), 'count=2,bytes=1')
  assert.equal(server.stats('/a/b'), 'count=1,bytes=1')
  server.create('/a/b/c', '12')
  assert.equal(server.stats('/a'), 'count=2,bytes=1')
  assert.equal(server.stats('/a/b'), 'count=2,bytes=3')
})

test('nothing is counted any more when the limits are gone', () => {
  const server = new Server(false)
  server.create('/a')
  server.quota('/a', 'count=1,bytes=100')
  server.delete('/zookeeper/quota/a/zookeeper_limits')
  server.create('/a/b')
  assert.equal(server.stats('/a'), 'count=1,bytes=0')
  assert.deepEqual(server.exceeded, [])
})

test('what a snapshot holds is counted again', () => {
  const before = new Server(false)
  before.create('/a', '12')
  before.quota('/a', 'count=10,bytes=100')
  before.quota('/a/b', 'count=10,bytes=100')
  before.set('/zookeeper/quota/a/zookeeper_stats', 'count=99,bytes=99')
  const copy = new ZnodeTree({ extendedTypes: false })
  const frozen = before.tree.freeze()
  for (const [path, node] of frozen.nodes())
    copy.load(path, { ...node, children: null, acl: copy.acls.use(node.acl.list) })
  copy.loaded(before.tree.lastZxid)
  const after = new Server(false, copy)
  assert.equal(after.stats('/a'), 'count=1,bytes=2')
  assert.equal(after.stats('/a/b'), 'count=0,bytes=0')
  after.create('/a/b', '1')
  assert.equal(after.stats('/a/b'), 'count=1,bytes=1')
})

test('a frozen tree has the statistics of its moment', () => {
  const server = new Server(false)
  server.create('/a')
  server.quota('/a', 'count=10,bytes=100')
  const frozen = server.tree.freeze()
  server.create('/a/b', 'x')
  const kept = new Map(frozen.nodes()).get('/zookeeper/quota/a/zookeeper_stats')!
  assert.equal(String(Buffer.from(kept.data!)), 'count=1,bytes=0')
  assert.equal(server.stats('/a'), 'count=2,bytes=1')
})

test('a soft limit is told of, a hard one refuses where quotas are enforced', () => {
  const limits = 'count=1,bytes=3=;byteHardLimit=5;countHardLimit=-1'
  const rows: [boolean, string[], string[]][] = [
    [false, ['OK', 'OK', 'OK'], ['/a soft count 2>1', '/a hard bytes 6>5', '/a hard bytes 8>5']],
    [true, ['OK', 'QUOTAEXCEEDED', 'OK'], ['/a soft count 2>1', '/a hard bytes 6>5']],
  ]
  for (const [enforce, expected, told] of rows) {
    const server = new Server(enforce)
    server.create('/a')
    server.quota('/a', limits)
    const outcomes = [server.create('/a/b', '123'), server.set('/a', '123'), server.set('/a/b', '12345')]
    assert.deepEqual([outcomes, server.exceeded], [expected, told], String(enforce))
  }
})

test('a refusal for the quota comes before one for the version', () => {
  const server = new Server(true)
  server.create('/a')
  server.quota('/a', 'count=-1,bytes=-1=;byteHardLimit=1;countHardLimit=1')
  assert.equal(server.set('/a', '12', 99), 'QUOTAEXCEEDED')
  assert.equal(server.set('/a', '1', 99), zkErrorName(ZkErrorCode.BADVERSION))
  assert.equal(server.create('/a/b'), 'QUOTAEXCEEDED')
  assert.equal(server.create('/a/b/c'), 'NONODE')
})
