/**
 * What is wrong with a history. The order of the zxids is the witness: whatever clients were answered must be
 * what a sequential execution in that order gives, and that order must respect what was over before something else began.
 * An operation without an answer may have happened once, at any time after it began, or never.
 */
import { OpCode, ZkErrorCode } from '#zookeeper/protocol'

import { SessionCheck, type CheckOptions } from './check-session.ts'
import {
  describe,
  isRead,
  isSessionError,
  isWrite,
  type Anomaly,
  type AnomalyKind,
  type Committed,
  type History,
  type Operation,
  type ReadRequest,
  type Session,
  type WriteRequest,
} from './history.ts'
import { ZnodeModel, type Outcome } from './model.ts'
import { hex } from './outcome.ts'

export type { CheckOptions } from './check-session.ts'

export interface CheckedHistory {
  readonly anomalies: readonly Anomaly[]
  /** The znodes after all that was committed. */
  readonly model: ZnodeModel
  /** Sessions that were ended by a transaction that nobody had asked for, with it. */
  readonly expired: ReadonlyMap<bigint, Committed>
}

export function checkHistory(history: History, options: CheckOptions = {}): CheckedHistory {
  return new HistoryCheck(history, options).run()
}

class HistoryCheck {
  readonly #history: History
  readonly #options: CheckOptions
  readonly #anomalies: Anomaly[] = []
  readonly #model: ZnodeModel
  readonly #expired = new Map<bigint, Committed>()
  readonly #ended = new Set<bigint>()
  /** Writes that have no transaction yet, by session and xid. */
  readonly #writes = new Map<string, Operation>()
  /** The highest xid that was carried out, by session. */
  readonly #lastXids = new Map<bigint, number>()

  constructor(history: History, options: CheckOptions) {
    this.#history = history
    const people = new Map(history.sessions.map(({ id, person }) => [id, person]))
    this.#model = new ZnodeModel((session) => people.get(session) ?? null)
    this.#options = options
  }

  run(): CheckedHistory {
    for (const operation of this.#history.operations)
      if (isWrite(operation.request)) this.#writes.set(keyOf(operation.session, operation.xid), operation)
    this.#execute()
    for (const operation of this.#writes.values())
      if (operation.answer !== null && operation.answer.zxid > 0n)
        this.#add('lost-write', `${describe(operation)} was answered and is not committed`)
    for (const session of this.#history.sessions) this.#checkSession(session)
    return { anomalies: this.#anomalies, model: this.#model, expired: this.#expired }
  }

  /** Transactions in their order, and after each the reads that were answered there. */
  #execute(): void {
    const reads = this.#history.operations
      .filter(({ request, answer }) => isRead(request) && answer !== null)
      .sort((a, b) => compare(a.answer!.zxid, b.answer!.zxid))
    let nextRead = 0
    const readBelow = (zxid: bigint): void => {
      while (nextRead < reads.length && reads[nextRead]!.answer!.zxid < zxid) this.#checkRead(reads[nextRead++]!)
    }
    for (const committed of this.#history.committed) {
      readBelow(committed.zxid)
      this.#carryOut(committed)
    }
    readBelow(ZXID_MAX)
  }

  #checkRead(operation: Operation): void {
    const { err } = operation.answer!
    if (isSessionError(err)) return
    if (!this.#model.sessions.has(operation.session))
      this.#add(
        'session',
        `${describe(operation)} is answered at ${hex(operation.answer!.zxid)}, after the end of its session`,
      )
    this.#compare(operation, this.#model.read(operation.request as ReadRequest, operation.session))
  }

  #carryOut(committed: Committed): void {
    const { session, cxid, zxid, type, err } = committed
    if (type === OpCode.createSession) {
      this.#model.sessions.add(session)
      return
    }
    const key = keyOf(session, cxid)
    const operation = this.#writes.get(key)
    if (operation === undefined) {
      if (type === OpCode.closeSession) return this.#expire(committed)
      if (session === 0n && cxid === 0) return this.#reap(committed)
      return this.#add(
        'integrity',
        `${hex(zxid)}: nobody asked for it (session ${hex(session)}, cxid ${cxid}, type ${type}), or only once`,
      )
    }
    this.#writes.delete(key)
    this.#checkOrder(committed, operation)
    if (isSessionError(err)) return this.#checkRefusedSession(committed, operation)
    // An end that has come already comes again, and changes nothing.
    if (!this.#model.sessions.has(session) && operation.request.kind !== 'close')
      this.#add('session', `${hex(zxid)}: ${describe(operation)} is carried out after the end of its session`)
    const outcome = this.#model.write(operation.request as WriteRequest, {
      ...committed,
      acknowledgedBefore: operation.acknowledgedBefore,
    })
    if (operation.request.kind === 'close') this.#ended.add(session)
    if (operation.answer === null) {
      // The code of a multi that was refused stands in its text.
      if (operation.request.kind !== 'multi' && outcome.err !== err)
        this.#add('wrong-answer', `${hex(zxid)}: ${describe(operation)} is ${err}, and ${outcome.err} in sequence`)
      return
    }
    if (operation.answer.zxid !== zxid)
      this.#add('lost-write', `${describe(operation)} was said to be ${hex(operation.answer.zxid)} and is ${hex(zxid)}`)
    this.#compare(operation, outcome)
  }

  #expire(committed: Committed): void {
    const { session } = committed
    // Who asks twice for the end of a session gets it twice: the second changes nothing.
    if (this.#model.sessions.has(session)) this.#expired.set(session, committed)
    this.#ended.add(session)
    this.#model.endSession(committed)
  }

  /** The ensemble deletes what is due by its leader's clock; what has got a child by then, or has gone, it refuses to itself. */
  #reap(committed: Committed): void {
    const { zxid, type, err, reaped } = committed
    if (reaped === null) {
      if (type !== OpCode.error || !REAPING_ERRORS.has(err))
        this.#add('integrity', `${hex(zxid)}: nobody asked for it (type ${type}, ${err})`)
      return
    }
    const fault = this.#model.reap(reaped, committed)
    if (fault !== null) this.#add('reaped-early', `${hex(zxid)}: ${reaped} is deleted, and ${fault}`)
  }

  #checkOrder({ zxid, err }: Committed, operation: Operation): void {
    const { session, xid, acknowledgedBefore } = operation
    if (zxid <= acknowledgedBefore)
      this.#add(
        'order',
        `${describe(operation)} is ${hex(zxid)} and began after ${hex(acknowledgedBefore)} had been acknowledged`,
      )
    // Nor does ZooKeeper ask where the end of a session comes from: it may overtake, late, what a client did elsewhere meanwhile.
    if (isSessionError(err) || operation.request.kind === 'close') return
    const last = this.#lastXids.get(session) ?? -1
    if (xid < last)
      this.#add('order', `${hex(zxid)}: ${describe(operation)} comes after request ${last} of its session`)
    this.#lastXids.set(session, Math.max(last, xid))
  }

  /** SESSIONMOVED: the client asked on a connection that it has left. SESSIONEXPIRED: only what has ended, or is about to, is refused. */
  #checkRefusedSession({ zxid, err, session }: Committed, operation: Operation): void {
    if (err === ZkErrorCode.SESSIONEXPIRED && !this.#ended.has(session))
      this.#add(
        'session',
        `${hex(zxid)}: ${describe(operation)} is refused as one of an expired session, which has not ended`,
      )
    const isSaid = operation.answer === null || operation.answer.err === err || operation.request.kind === 'multi'
    if (!isSaid) this.#compare(operation, { err, text: '' })
  }

  #compare(operation: Operation, expected: Outcome): void {
    const { err, text, zxid } = operation.answer!
    if (err === expected.err && text === expected.text) return
    this.#add(
      'wrong-answer',
      `${describe(operation)} at ${hex(zxid)}: ${err} ${text}, and in sequence ${expected.err} ${expected.text}`,
    )
  }

  #checkSession(session: Session): void {
    const check = new SessionCheck(session, this.#model, this.#options, (kind, detail) => this.#add(kind, detail))
    for (const event of session.events) check.on(event)
  }

  #add(kind: AnomalyKind, detail: string): void {
    this.#anomalies.push({ kind, detail })
  }
}

const ZXID_MAX = 2n ** 63n
const REAPING_ERRORS: ReadonlySet<number> = new Set([
  ZkErrorCode.NONODE,
  ZkErrorCode.NOTEMPTY,
  // In its place is one that ends otherwise.
  ZkErrorCode.BADVERSION,
])

function keyOf(session: bigint, xid: number): string {
  return `${session} ${xid}`
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}
