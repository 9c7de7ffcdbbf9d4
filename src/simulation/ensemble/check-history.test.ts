import assert from 'node:assert/strict'
import { test } from 'node:test'

import { OpCode, WatchEventType, ZkErrorCode } from '#zookeeper/protocol'

import { checkHistory, type CheckOptions } from './check-history.ts'
import type { Answer, Committed, Operation, Request, Session } from './history.ts'
import { childrenText, dataText, statText, type StatView } from './outcome.ts'

const STAT: StatView = {
  czxid: 0n,
  mzxid: 0n,
  pzxid: 0n,
  version: 0,
  cversion: 0,
  ephemeralOwner: 0n,
  dataLength: 0,
  numChildren: 0,
}

/** Writes histories by hand. Time is a count of what is written down. */
class Story {
  readonly sessions = new Map<bigint, Session>()
  readonly operations: Operation[] = []
  readonly committed: Committed[] = []
  #atMs = 0
  #acknowledged = 0n
  readonly #xids = new Map<bigint, number>()

  begin(id: bigint, zxid: bigint): this {
    this.sessions.set(id, { id, client: `client ${id}`, timeoutMs: 1000, events: [] })
    return this.commits(zxid, id, 0, OpCode.createSession)
  }

  commits(zxid: bigint, session: bigint, cxid: number, type: number, err = 0): this {
    this.committed.push({ zxid, session, cxid, type, err, atMs: this.#atMs })
    this.committed.sort((a, b) => (a.zxid < b.zxid ? -1 : 1))
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
    const { kind } = operation.request
    if (!['get', 'exists', 'children', 'sync'].includes(kind) && answer.zxid > this.#acknowledged)
      this.#acknowledged = answer.zxid
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

function create(path: string, data = ''): Request {
  return { kind: 'create', path, data, ephemeral: false, sequential: false }
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
    .writes(7n, { kind: 'create', path: '/a/n-', data: '', ephemeral: true, sequential: true }, 5n, '/a/n-0000000000')
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
    { kind: 'create', path: '/b', data: '', ephemeral: false, sequential: false },
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
  const again = { kind: 'rewatched', zxid: 6n, existing: ['/b'] } as const
  story.sees(8n, { kind: 'notified', type: WatchEventType.nodeDeleted, path: '/a', zxid: -1n }).sees(8n, again)
  assert.deepEqual(story.kinds(), [])
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
