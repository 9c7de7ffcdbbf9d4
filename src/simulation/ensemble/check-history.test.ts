import assert from 'node:assert/strict'
import { test } from 'node:test'

import { OpCode, Perms, WatchEventType, ZkErrorCode } from '#zookeeper/protocol'

import { checkHistory, type CheckOptions } from './check-history.ts'
import {
  isWrite,
  type Answer,
  type Committed,
  type Operation,
  type Person,
  type Request,
  type Session,
  type Step,
} from './history.ts'
import { aclText, childrenText, createdText, dataText, statText, type StatView } from './outcome.ts'
import { limitsText, quotaPaths } from './quota-model.ts'

const STAT: StatView = {
  czxid: 0n,
  mzxid: 0n,
  pzxid: 0n,
  version: 0,
  cversion: 0,
  aversion: 0,
  ephemeralOwner: 0n,
  dataLength: 0,
  numChildren: 0,
}

/** Writes histories by hand. Time is a count of what is written down. */
class Story {
  readonly sessions = new Map<bigint, Session>()
  readonly operations: Operation[] = []
  readonly committed: Committed[] = []
  /** The leader's clock. */
  wallMs = 1000
  #atMs = 0
  #acknowledged = 0n
  readonly #xids = new Map<bigint, number>()

  begin(id: bigint, zxid: bigint, person: Person | null = null): this {
    this.sessions.set(id, { id, client: `client ${id}`, person, timeoutMs: 1000, events: [] })
    return this.commits(zxid, id, 0, OpCode.createSession)
  }

  commits(zxid: bigint, session: bigint, cxid: number, type: number, err = 0): this {
    this.committed.push({
      zxid,
      session,
      cxid,
      type,
      err,
      errAt: 0,
      wallMs: this.wallMs,
      reaped: null,
      atMs: this.#atMs,
    })
    this.committed.sort((a, b) => (a.zxid < b.zxid ? -1 : 1))
    return this
  }

  at(wallMs: number): this {
    this.wallMs = wallMs
    return this
  }

  /** The ensemble deletes a znode by itself. */
  reaps(zxid: bigint, path: string): this {
    this.commits(zxid, 0n, 0, OpCode.deleteContainer)
    Object.assign(this.committed.at(-1)!, { reaped: path })
    return this
  }

  asks(session: bigint, request: Request): Operation {
    const xid = (this.#xids.get(session) ?? 0) + 1
    this.#xids.set(session, xid)
    const operation: Operation = {
      session,
      xid,
      request,
      server: 'zk-1',
      invokedMs: this.#atMs++,
      acknowledgedBefore: this.#acknowledged,
      completedMs: Infinity,
      answer: null,
    }
    this.operations.push(operation)
    return operation
  }

  answers(operation: Operation, answer: Answer): this {
    operation.answer = answer
    operation.completedMs = this.#atMs++
    this.sessions.get(operation.session)!.events.push({ kind: 'answered', operation })
    if (isWrite(operation.request) && answer.zxid > this.#acknowledged) this.#acknowledged = answer.zxid
    return this
  }

  /** A write that is asked for, committed and acknowledged. */
  writes(session: bigint, request: Request, zxid: bigint, text: string, err = 0): this {
    const operation = this.asks(session, request)
    return this.commits(zxid, session, operation.xid, OpCode.create, err).answers(operation, { zxid, err, text })
  }

  reads(session: bigint, request: Request, zxid: bigint, text: string, err = 0): this {
    return this.answers(this.asks(session, request), { zxid, err, text })
  }

  notified(session: bigint, type: number, path: string, zxid: bigint): this {
    return this.sees(session, { kind: 'notified', type, path, zxid })
  }

  sees(session: bigint, event: Session['events'][number]): this {
    this.sessions.get(session)!.events.push(event)
    return this
  }

  kinds(options: CheckOptions = {}): string[] {
    const { sessions, operations, committed } = this
    return checkHistory({ sessions: [...sessions.values()], operations, committed }, options).anomalies.map(
      ({ kind }) => kind,
    )
  }
}

function create(path: string, data = ''): Extract<Step, { kind: 'create' }> {
  return { kind: 'create', path, data, life: 'persistent', sequential: false }
}

function set(path: string, data: string, version = -1): Request {
  return { kind: 'set', path, data, version }
}

function get(path: string, watch = false): Request {
  return { kind: 'get', path, watch }
}

/** A session, and a znode /a that holds `x`. */
function started(): Story {
  return new Story().begin(7n, 1n).writes(7n, create('/a', 'x'), 2n, '/a')
}

const created = (zxid: bigint): StatView => ({ ...STAT, czxid: zxid, mzxid: zxid, pzxid: zxid, dataLength: 1 })

test('a history that is as it must be', () => {
  const story = started()
    .reads(7n, get('/a'), 2n, dataText('x', created(2n)))
    .writes(7n, set('/a', 'y'), 3n, statText({ ...created(2n), mzxid: 3n, version: 1 }))
    .writes(7n, create('/a'), 4n, '', ZkErrorCode.NODEEXISTS)
    .writes(7n, { kind: 'create', path: '/a/n-', data: '', life: 'ephemeral', sequential: true }, 5n, '/a/n-0000000000')
    .reads(
      7n,
      { kind: 'children', path: '/a', watch: false },
      5n,
      childrenText(['n-0000000000'], { ...created(2n), mzxid: 3n, version: 1, pzxid: 5n, cversion: 1, numChildren: 1 }),
    )
    .begin(8n, 6n)
    .commits(7n, 7n, 0, OpCode.closeSession)
    .reads(
      8n,
      { kind: 'children', path: '/a', watch: false },
      7n,
      childrenText([], { ...created(2n), mzxid: 3n, version: 1, pzxid: 7n, cversion: 2 }),
    )
  assert.deepEqual(story.kinds(), [])
})

test('multis take effect as a whole or not at all', () => {
  const steps = [
    { kind: 'create', path: '/b', data: '', life: 'persistent', sequential: false },
    { kind: 'check', path: '/a', version: 5 },
    { kind: 'delete', path: '/a', version: -1 },
  ] as const
  const refusal = `error 0; error ${ZkErrorCode.BADVERSION}; error ${ZkErrorCode.RUNTIMEINCONSISTENCY}`
  const refused = started().writes(7n, { kind: 'multi', steps }, 3n, refusal)
  refused.reads(7n, { kind: 'exists', path: '/b', watch: false }, 3n, '', ZkErrorCode.NONODE)
  refused.reads(7n, get('/a'), 3n, dataText('x', created(2n)))
  assert.deepEqual(refused.kinds(), [])
  const fine = started().writes(7n, { kind: 'multi', steps: [steps[0], steps[2]] }, 3n, '/b; ')
  assert.deepEqual(fine.kinds(), [])
  assert.deepEqual(fine.reads(7n, get('/a'), 3n, dataText('x', created(2n))).kinds(), ['wrong-answer'])
})

test('an unknown outcome is once or never', () => {
  const never = started()
  never.asks(7n, set('/a', 'z'))
  assert.deepEqual(never.kinds(), [])
  const once = started()
  const unknown = once.asks(7n, set('/a', 'z'))
  once.commits(3n, 7n, unknown.xid, OpCode.setData)
  once.reads(7n, get('/a'), 3n, dataText('z', { ...created(2n), mzxid: 3n, version: 1 }))
  assert.deepEqual(once.kinds(), [])
  assert.deepEqual(once.commits(4n, 7n, unknown.xid, OpCode.setData).kinds(), ['integrity'])
})

test('what nobody asked for is none of the history', () => {
  assert.deepEqual(started().commits(3n, 7n, 99, OpCode.setData).kinds(), ['integrity'])
})

test('an acknowledged write must be committed where it was said to be', () => {
  const lost = started()
  lost.answers(lost.asks(7n, set('/a', 'z')), { zxid: 3n, err: 0, text: '' })
  assert.deepEqual(lost.kinds(), ['lost-write'])
  const moved = started()
  const write = moved.asks(7n, create('/b'))
  moved.commits(4n, 7n, write.xid, OpCode.create).answers(write, { zxid: 3n, err: 0, text: '/b' })
  assert.deepEqual(moved.kinds(), ['lost-write'])
})

test('what was over before another began comes before it', () => {
  const story = new Story().begin(7n, 1n).begin(8n, 2n).writes(7n, create('/a', 'x'), 9n, '/a')
  story.writes(8n, create('/b'), 8n, '/b')
  assert.deepEqual(story.kinds(), ['order'])
})

test('the writes of a session are carried out in their order', () => {
  const story = started()
  const [first, second] = [story.asks(7n, create('/b')), story.asks(7n, create('/c'))]
  story.commits(3n, 7n, second.xid, OpCode.create).commits(4n, 7n, first.xid, OpCode.create)
  assert.deepEqual(story.kinds(), ['order'])
  const refused = started()
  const [late, early] = [refused.asks(7n, create('/b')), refused.asks(7n, create('/c'))]
  refused.commits(3n, 7n, early.xid, OpCode.create)
  refused.commits(4n, 7n, late.xid, OpCode.error, ZkErrorCode.SESSIONMOVED)
  assert.deepEqual(refused.kinds(), [], 'a request on a connection that was left may come late, and is refused')
})

test('a wrong answer is told', () => {
  const stale = started()
    .writes(7n, set('/a', 'y'), 3n, statText({ ...created(2n), mzxid: 3n, version: 1 }))
    .reads(7n, get('/a'), 3n, dataText('x', created(2n)))
  assert.deepEqual(stale.kinds(), ['wrong-answer'])
  assert.deepEqual(started().writes(7n, create('/a'), 3n, '/a').kinds(), ['wrong-answer'])
  assert.deepEqual(
    started()
      .writes(7n, set('/a', 'y', 4), 3n, '', ZkErrorCode.BADVERSION)
      .kinds(),
    [],
  )
})

test('a client never sees an older state after a newer one', () => {
  const story = started()
    .writes(7n, create('/b'), 3n, '/b')
    .reads(7n, get('/a'), 2n, dataText('x', created(2n)))
  assert.deepEqual(story.kinds(), ['went-back'])
})

test('a sync sees what was acknowledged before it', () => {
  const story = (): Story => {
    const written = new Story().begin(7n, 1n).begin(8n, 2n).writes(7n, create('/a', 'x'), 0x1_0000_0003n, '/a')
    return written.reads(8n, { kind: 'sync' }, 2n, '')
  }
  assert.deepEqual(story().kinds(), ['stale-sync'])
  assert.deepEqual(story().kinds({ mayBeDeposed: () => true }), [])
})

test('an event comes before the data that it announces', () => {
  const watched = (): Story =>
    started()
      .begin(8n, 3n)
      .reads(8n, get('/a', true), 3n, dataText('x', created(2n)))
      .writes(7n, set('/a', 'y'), 4n, statText({ ...created(2n), mzxid: 4n, version: 1 }))
  const event = { kind: 'notified', type: WatchEventType.nodeDataChanged, path: '/a', zxid: 4n } as const
  const newer = dataText('y', { ...created(2n), mzxid: 4n, version: 1 })
  assert.deepEqual(watched().sees(8n, event).reads(8n, get('/a'), 4n, newer).kinds(), [])
  assert.deepEqual(watched().reads(8n, get('/a'), 4n, newer).kinds(), ['watch-late'])
  assert.deepEqual(watched().sees(8n, { kind: 'pong', zxid: 4n }).kinds(), ['watch-late'])
  assert.deepEqual(watched().sees(8n, event).sees(8n, event).kinds(), ['watch-false'], 'a watch fires once')
  assert.deepEqual(
    watched()
      .sees(8n, { ...event, zxid: 3n })
      .kinds(),
    ['watch-false'],
  )
  assert.deepEqual(
    watched()
      .sees(8n, { ...event, path: '/b' })
      .kinds(),
    ['watch-false'],
  )
})

test('a watch on a missing znode, and one on children', () => {
  const story = started()
    .begin(8n, 3n)
    .reads(8n, { kind: 'exists', path: '/b', watch: true }, 3n, '', ZkErrorCode.NONODE)
    .reads(8n, { kind: 'children', path: '/a', watch: true }, 3n, childrenText([], created(2n)))
    .writes(7n, create('/b'), 4n, '/b')
    .writes(7n, create('/a/c'), 5n, '/a/c')
    .sees(8n, { kind: 'notified', type: WatchEventType.nodeCreated, path: '/b', zxid: 4n })
    .sees(8n, { kind: 'notified', type: WatchEventType.nodeChildrenChanged, path: '/a', zxid: 5n })
    .sees(8n, { kind: 'pong', zxid: 5n })
  assert.deepEqual(story.kinds(), [])
})

test('watches set again after a reconnection tell what was missed, but for a znode that came and went', () => {
  const story = started()
    .begin(8n, 3n)
    .reads(8n, { kind: 'exists', path: '/b', watch: true }, 3n, '', ZkErrorCode.NONODE)
    .reads(8n, get('/a', true), 3n, dataText('x', created(2n)))
    .writes(7n, create('/b'), 4n, '/b')
    .writes(7n, { kind: 'delete', path: '/b', version: -1 }, 5n, '')
    .writes(7n, { kind: 'delete', path: '/a', version: -1 }, 6n, '')
  const again = { kind: 'rewatched', zxid: 6n, existing: ['/b'], persistent: [], recursive: [] } as const
  story.sees(8n, { kind: 'notified', type: WatchEventType.nodeDeleted, path: '/a', zxid: -1n }).sees(8n, again)
  assert.deepEqual(story.kinds(), [])
})

/** Session 8 watches /a from transaction 3 on; 4 makes /a/b, 5 changes it, 6 deletes it. */
function watchedForGood(recursive: boolean): Story {
  return started()
    .begin(8n, 3n)
    .reads(8n, { kind: 'addWatch', path: '/a', recursive }, 3n, '')
    .writes(7n, create('/a/b', 'x'), 4n, '/a/b')
    .writes(7n, set('/a/b', 'y'), 5n, statText({ ...created(4n), mzxid: 5n, version: 1 }))
    .writes(7n, { kind: 'delete', path: '/a/b', version: -1 }, 6n, '')
}

const { nodeCreated, nodeDeleted, nodeDataChanged, nodeChildrenChanged } = WatchEventType

test('at a reconnection data watch and child watch are told of the end each, and no more', () => {
  const gone = { kind: 'notified', type: WatchEventType.nodeDeleted, path: '/a', zxid: -1n } as const
  const story = (): Story =>
    started()
      .begin(8n, 3n)
      .reads(8n, get('/a', true), 3n, dataText('x', created(2n)))
      .reads(8n, { kind: 'children', path: '/a', watch: true }, 3n, childrenText([], created(2n)))
      .writes(7n, { kind: 'delete', path: '/a', version: -1 }, 4n, '')
  assert.deepEqual(story().sees(8n, gone).sees(8n, gone).kinds(), [])
  assert.deepEqual(story().sees(8n, gone).sees(8n, gone).sees(8n, gone).kinds(), ['watch-false'])
})

test('a persistent watch is told of each change, a recursive one of those below it', () => {
  const persistent = (): Story => watchedForGood(false).notified(8n, nodeChildrenChanged, '/a', 4n)
  assert.deepEqual(persistent().notified(8n, nodeChildrenChanged, '/a', 6n).kinds(), [])
  assert.deepEqual(persistent().sees(8n, { kind: 'pong', zxid: 5n }).kinds(), [], 'the others are not due yet')
  assert.deepEqual(persistent().sees(8n, { kind: 'pong', zxid: 6n }).kinds(), ['watch-late'])
  assert.deepEqual(persistent().notified(8n, nodeChildrenChanged, '/a', 4n).kinds(), ['watch-false'], 'told twice')
  assert.deepEqual(persistent().notified(8n, nodeDataChanged, '/a/b', 5n).kinds(), ['watch-false'], 'of a child')
  const recursive = (): Story => watchedForGood(true).notified(8n, nodeCreated, '/a/b', 4n)
  const whole = recursive().notified(8n, nodeDataChanged, '/a/b', 5n).notified(8n, nodeDeleted, '/a/b', 6n)
  assert.deepEqual(whole.sees(8n, { kind: 'pong', zxid: 6n }).kinds(), [])
  assert.deepEqual(recursive().notified(8n, nodeDeleted, '/a/b', 6n).kinds(), ['watch-late'], 'one is left out')
  assert.deepEqual(recursive().notified(8n, nodeChildrenChanged, '/a', 4n).kinds(), ['watch-false'])
})

test('an event that several watches ask for comes once', () => {
  const story = (): Story =>
    started()
      .begin(8n, 3n)
      .reads(8n, { kind: 'addWatch', path: '/', recursive: true }, 3n, '')
      .reads(8n, { kind: 'addWatch', path: '/a', recursive: false }, 3n, '')
      .reads(8n, get('/a', true), 3n, dataText('x', created(2n)))
      .writes(7n, set('/a', 'y'), 4n, statText({ ...created(2n), mzxid: 4n, version: 1 }))
      .notified(8n, nodeDataChanged, '/a', 4n)
  assert.deepEqual(story().sees(8n, { kind: 'pong', zxid: 4n }).kinds(), [])
  assert.deepEqual(story().notified(8n, nodeDataChanged, '/a', 4n).kinds(), ['watch-false'])
})

test('a multi tells of each of its changes', () => {
  const steps = [create('/a/b'), create('/a/c'), { kind: 'delete', path: '/a/b', version: -1 }] as const
  const story = (): Story =>
    started()
      .begin(8n, 3n)
      .reads(8n, { kind: 'addWatch', path: '/a', recursive: false }, 3n, '')
      .writes(7n, { kind: 'multi', steps }, 4n, '/a/b; /a/c; ')
      .notified(8n, nodeChildrenChanged, '/a', 4n)
      .notified(8n, nodeChildrenChanged, '/a', 4n)
  assert.deepEqual(story().sees(8n, { kind: 'pong', zxid: 4n }).kinds(), ['watch-late'])
  assert.deepEqual(story().notified(8n, nodeChildrenChanged, '/a', 4n).sees(8n, { kind: 'pong', zxid: 4n }).kinds(), [])
})

test('persistent watches end with their connection, begin again without what was missed, and are taken back', () => {
  const again = { kind: 'rewatched', zxid: 5n, existing: [], persistent: [], recursive: ['/a'] } as const
  const away = (): Story => watchedForGood(true).sees(8n, { kind: 'disconnected', atMs: 0 })
  assert.deepEqual(away().sees(8n, { kind: 'pong', zxid: 6n }).kinds(), [])
  assert.deepEqual(away().sees(8n, again).sees(8n, { kind: 'pong', zxid: 5n }).kinds(), [])
  assert.deepEqual(away().sees(8n, again).sees(8n, { kind: 'pong', zxid: 6n }).kinds(), ['watch-late'])
  const remove = { kind: 'removeWatches', path: '/a', of: 'recursive' } as const
  const removed = (): Story => started().reads(7n, { kind: 'addWatch', path: '/a', recursive: true }, 2n, '')
  assert.deepEqual(removed().reads(7n, remove, 2n, '').writes(7n, create('/a/b'), 3n, '/a/b').kinds(), [])
  assert.deepEqual(
    removed()
      .reads(7n, { ...remove, of: 'any' }, 2n, '')
      .kinds(),
    [],
  )
  assert.deepEqual(removed().reads(7n, remove, 2n, '', ZkErrorCode.NOWATCHER).kinds(), ['wrong-answer'])
  assert.deepEqual(
    removed()
      .reads(7n, { ...remove, of: 'persistent' }, 2n, '')
      .kinds(),
    ['wrong-answer'],
  )
  const once = started().reads(7n, get('/a', true), 2n, dataText('x', created(2n)))
  assert.deepEqual(once.reads(7n, { ...remove, of: 'data' }, 2n, '').kinds(), [])
})

/** At 1000 ms a container /c with a child, and a TTL node /d that lives for 500 ms. */
function transient(): Story {
  const story = new Story().begin(7n, 1n)
  const [container, ttl] = [created(2n), created(4n)].map((stat) => ({ ...stat, dataLength: 0 }))
  return story
    .writes(7n, { ...create('/c'), life: 'container' }, 2n, createdText('/c', container!))
    .writes(7n, create('/c/x'), 3n, '/c/x')
    .writes(7n, { ...create('/d'), life: { ttlMs: 500 } }, 4n, createdText('/d', ttl!))
}

test('a container ends after its last child, and not before it had one', () => {
  const emptied = (): Story => transient().writes(7n, { kind: 'delete', path: '/c/x', version: -1 }, 5n, '')
  const gone = emptied().reaps(6n, '/c')
  assert.deepEqual(gone.reads(7n, get('/c'), 6n, '', ZkErrorCode.NONODE).kinds(), [])
  assert.deepEqual(transient().reaps(5n, '/c').kinds(), ['reaped-early'], 'it has a child')
  assert.deepEqual(emptied().reaps(6n, '/c').reaps(7n, '/c').kinds(), ['reaped-early'], 'it is gone')
  const anew = emptied().reaps(6n, '/c')
  anew.writes(7n, { ...create('/c'), life: 'container' }, 7n, createdText('/c', { ...created(7n), dataLength: 0 }))
  assert.deepEqual(anew.reaps(8n, '/c').kinds(), ['reaped-early'], 'it is another one')
  assert.deepEqual(transient().writes(7n, create('/e'), 5n, '/e').reaps(6n, '/e').kinds(), ['reaped-early'])
})

test('a TTL node ends when it has not been written for its time and has no children', () => {
  assert.deepEqual(transient().at(1500).reaps(5n, '/d').kinds(), ['reaped-early'])
  assert.deepEqual(transient().at(1501).reaps(5n, '/d').kinds(), [])
  const written = transient().at(1300)
  written.writes(7n, set('/d', 'x'), 5n, statText({ ...created(4n), mzxid: 5n, version: 1 }))
  assert.deepEqual(written.at(1800).reaps(6n, '/d').kinds(), ['reaped-early'])
  const used = transient().writes(7n, create('/d/x'), 5n, '/d/x')
  assert.deepEqual(used.at(2000).reaps(6n, '/d').kinds(), ['reaped-early'])
})

test('of what the ensemble wants to delete by itself it may find that it may not, and nothing else', () => {
  assert.deepEqual(transient().commits(5n, 0n, 0, OpCode.error, ZkErrorCode.NOTEMPTY).kinds(), [])
  assert.deepEqual(transient().commits(5n, 0n, 0, OpCode.error, ZkErrorCode.NOAUTH).kinds(), ['integrity'])
  assert.deepEqual(transient().commits(5n, 0n, 0, OpCode.setData).kinds(), ['integrity'])
})

const READ_BY_ALL = { who: 'anyone', perms: Perms.READ } as const
const ASKERS = { who: 'asker', perms: Perms.ALL } as const
const ANN_HASH = 'dq1xrSAnHoh99/rhGZabRfnXApk='

/** Session 7 is nobody's, 8 is Ann's: she has made /a, which others may read if `isOpen`. */
function ofAnn(isOpen: boolean): Story {
  const acl = isOpen ? [READ_BY_ALL, ASKERS] : [ASKERS]
  return new Story()
    .begin(7n, 1n)
    .begin(8n, 2n, 'ann')
    .writes(8n, { ...create('/a', 'x'), acl }, 3n, '/a')
}

test('who may not is refused, and nobody else', () => {
  const { NOAUTH, NONODE, INVALIDACL } = ZkErrorCode
  const refusals: [Request, number][] = [
    [set('/a', 'y'), NOAUTH],
    [create('/a/b'), NOAUTH],
    [{ kind: 'delete', path: '/a/b', version: -1 }, NOAUTH],
    [{ kind: 'setAcl', path: '/a', acl: [READ_BY_ALL], version: -1 }, NOAUTH],
    [{ kind: 'setAcl', path: '/b', acl: [READ_BY_ALL], version: -1 }, NONODE],
    [{ ...create('/b'), acl: [ASKERS] }, INVALIDACL],
  ]
  for (const [request, err] of refusals) {
    assert.deepEqual(ofAnn(true).writes(7n, request, 4n, '', err).kinds(), [], JSON.stringify(request))
    assert.deepEqual(ofAnn(true).writes(8n, request, 4n, '', err).kinds().length, err === NONODE ? 0 : 1)
  }
  const done = ofAnn(true).writes(7n, set('/a', 'y'), 4n, statText({ ...created(3n), mzxid: 4n, version: 1 }))
  assert.deepEqual(done.kinds(), ['wrong-answer'], 'nobody has written')
  assert.deepEqual(ofAnn(false).reads(7n, get('/a'), 3n, '', NOAUTH).kinds(), [])
  assert.deepEqual(
    ofAnn(false)
      .reads(7n, get('/a'), 3n, dataText('x', created(3n)))
      .kinds(),
    ['wrong-answer'],
  )
})

test('the hashes of a list are for who may change it, and a new list holds from its transaction on', () => {
  const list = { kind: 'acl', path: '/a', watch: false } as const
  const whole = [
    { id: `digest:ann:${ANN_HASH}`, perms: Perms.ALL },
    { id: 'world:anyone', perms: Perms.READ },
  ]
  const hidden = [{ id: 'digest:ann:x', perms: Perms.ALL }, whole[1]!]
  const [wholeText, hiddenText] = [aclText(whole, created(3n)), aclText(hidden, created(3n))]
  const story = ofAnn(true).reads(8n, list, 3n, wholeText).reads(7n, list, 3n, hiddenText)
  assert.deepEqual(story.kinds(), [])
  assert.deepEqual(ofAnn(true).reads(7n, list, 3n, wholeText).kinds(), ['wrong-answer'])
  const changed = { ...created(3n), aversion: 1 }
  story.writes(8n, { kind: 'setAcl', path: '/a', acl: [ASKERS], version: 0 }, 4n, statText(changed))
  assert.deepEqual(story.reads(7n, list, 4n, '', ZkErrorCode.NOAUTH).kinds(), [])
})

test('of what it may not read a client is not told, and its watch is gone without its knowing', () => {
  const watch = { kind: 'exists', path: '/a', watch: true } as const
  const hidden = statText({ ...created(3n), aversion: 1 })
  const written = statText({ ...created(3n), aversion: 1, mzxid: 5n, version: 1 })
  const story = (): Story =>
    ofAnn(true)
      .reads(7n, watch, 3n, statText(created(3n)))
      .reads(7n, { kind: 'addWatch', path: '/', recursive: true }, 3n, '')
      .writes(8n, { kind: 'setAcl', path: '/a', acl: [ASKERS], version: -1 }, 4n, hidden)
      .writes(8n, set('/a', 'y'), 5n, written)
  assert.deepEqual(story().sees(7n, { kind: 'pong', zxid: 5n }).kinds(), [])
  assert.deepEqual(story().notified(7n, nodeDataChanged, '/a', 5n).kinds(), ['watch-false'])
  const remove = { kind: 'removeWatches', path: '/a', of: 'data' } as const
  assert.deepEqual(story().reads(7n, remove, 5n, '', ZkErrorCode.NOWATCHER).kinds(), [])
  const again = { kind: 'rewatched', zxid: 6n, existing: [], persistent: [], recursive: [] } as const
  const back = (): Story =>
    story()
      .sees(7n, { kind: 'pong', zxid: 5n })
      .sees(7n, { kind: 'disconnected', atMs: 0 })
      .writes(8n, { kind: 'delete', path: '/a', version: -1 }, 6n, '')
  assert.deepEqual(back().notified(7n, nodeDeleted, '/a', -1n).sees(7n, again).kinds(), [])
  assert.deepEqual(back().sees(7n, again).kinds(), ['watch-late'])
})

const QUOTA = quotaPaths('/a')

/** /a, which holds `x`, may hold three znodes and eight bytes. */
function bounded(): Story {
  return started()
    .writes(7n, create(QUOTA.folder), 3n, QUOTA.folder)
    .writes(7n, create(QUOTA.limits, limitsText(3, 8)), 4n, QUOTA.limits)
    .writes(7n, create(QUOTA.stats), 5n, QUOTA.stats)
    .writes(7n, create('/a/b', '12345'), 6n, '/a/b')
}

const statsStat = (text: string): StatView => ({ ...created(5n), dataLength: text.length })

test('statistics follow what a subtree holds, a multi that fails leaves them', () => {
  const read = (text: string): string => dataText(text, statsStat(text))
  assert.deepEqual(bounded().reads(7n, get(QUOTA.stats), 6n, read('count=2,bytes=6')).kinds(), [])
  assert.deepEqual(bounded().reads(7n, get(QUOTA.stats), 6n, read('count=2,bytes=5')).kinds(), ['wrong-answer'])
  const steps = [
    { kind: 'delete', path: '/a/b', version: -1 },
    { kind: 'check', path: '/a', version: 3 },
  ] as const
  const failed = bounded().writes(7n, { kind: 'multi', steps }, 7n, `error 0; error ${ZkErrorCode.BADVERSION}`)
  assert.deepEqual(failed.reads(7n, get(QUOTA.stats), 7n, read('count=2,bytes=6')).kinds(), [])
  const gone = bounded().writes(7n, { kind: 'delete', path: '/a/b', version: -1 }, 7n, '')
  assert.deepEqual(gone.reads(7n, get(QUOTA.stats), 7n, read('count=1,bytes=1')).kinds(), [])
})

test('a write goes beyond a quota or not, by the numbers', () => {
  const { QUOTAEXCEEDED, NONODE } = ZkErrorCode
  const refusals: [Request, number][] = [
    [create('/a/c', '123'), QUOTAEXCEEDED],
    [set('/a', '1234'), QUOTAEXCEEDED],
    [set('/a', '1234', 5), QUOTAEXCEEDED],
    [set('/a/c', '1234'), NONODE],
  ]
  for (const [request, err] of refusals) {
    assert.deepEqual(bounded().writes(7n, request, 7n, '', err).kinds(), [], JSON.stringify(request))
    if (err === QUOTAEXCEEDED)
      assert.deepEqual(bounded().writes(7n, request, 7n, '').kinds(), ['wrong-answer'], JSON.stringify(request))
  }
  assert.deepEqual(bounded().writes(7n, create('/a/c', '12'), 7n, '/a/c').kinds(), [])
  assert.deepEqual(bounded().writes(7n, create('/a/c', '12'), 7n, '', QUOTAEXCEEDED).kinds(), ['wrong-answer'])
  const full = bounded().writes(7n, create('/a/c'), 7n, '/a/c')
  assert.deepEqual(full.writes(7n, create('/a/d'), 8n, '', QUOTAEXCEEDED).kinds(), [])
})

test('a quota is judged by a state between what was acknowledged before and the write itself', () => {
  const { QUOTAEXCEEDED } = ZkErrorCode
  const atOnce = (errs: readonly [number, number]): string[] => {
    const story = bounded()
    const writes = ['/a/c', '/a/d'].map((path) => ({ path, write: story.asks(7n, create(path)) }))
    for (const [index, { path, write }] of writes.entries()) {
      const [zxid, err] = [7n + BigInt(index), errs[index]!]
      story.commits(zxid, 7n, write.xid, OpCode.create, err).answers(write, { zxid, err, text: err === 0 ? path : '' })
    }
    return story.kinds()
  }
  assert.deepEqual(atOnce([0, 0]), [], 'the second was decided before the first took effect')
  assert.deepEqual(atOnce([0, QUOTAEXCEEDED]), [], 'or afterwards')
  assert.deepEqual(atOnce([QUOTAEXCEEDED, 0]), ['wrong-answer'])
})

test('nothing of a session outlives it, and nothing is refused before its end', () => {
  const late = started().commits(3n, 7n, 0, OpCode.closeSession).writes(7n, create('/b'), 4n, '/b')
  assert.deepEqual(late.kinds(), ['session'])
  const read = started()
    .commits(3n, 7n, 0, OpCode.closeSession)
    .reads(7n, get('/a'), 3n, dataText('x', created(2n)))
  assert.deepEqual(read.kinds(), ['session'])
  const refused = started().writes(7n, create('/b'), 3n, '', ZkErrorCode.SESSIONEXPIRED)
  assert.deepEqual(refused.kinds(), ['session'])
  const ended = started()
    .commits(3n, 7n, 0, OpCode.closeSession)
    .writes(7n, create('/b'), 4n, '', ZkErrorCode.SESSIONEXPIRED)
  assert.deepEqual(ended.kinds(), [])
})
