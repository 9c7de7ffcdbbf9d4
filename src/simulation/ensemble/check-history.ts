/**
 * What is wrong with a history. The order of the zxids is the witness: whatever clients were answered must be
 * what a sequential execution in that order gives, and that order must respect what was over before something else began.
 * An operation without an answer may have happened once, at any time after it began, or never.
 */
import { OpCode, WatchEventType, ZkErrorCode } from '#zookeeper/protocol'

import {
  isRead,
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
import { ZnodeModel, firstAfter, type Outcome } from './model.ts'
import { OK, hex } from './outcome.ts'

export interface CheckedHistory {
  readonly anomalies: readonly Anomaly[]
  /** The znodes after all that was committed. */
  readonly model: ZnodeModel
  /** Sessions that were ended by a transaction that nobody had asked for, with it. */
  readonly expired: ReadonlyMap<bigint, Committed>
}

export interface CheckOptions {
  /**
   * Whether the server that answered may have been under a leader that was replaced: ZooKeeper does not promise
   * that a sync there sees what the next leader has acknowledged.
   */
  readonly mayBeDeposed?: (sync: Operation, acknowledged: bigint) => boolean
}

export function checkHistory(history: History, options: CheckOptions = {}): CheckedHistory {
  return new HistoryCheck(history, options).run()
}

class HistoryCheck {
  readonly #history: History
  readonly #options: CheckOptions
  readonly #anomalies: Anomaly[] = []
  readonly #model = new ZnodeModel()
  readonly #expired = new Map<bigint, Committed>()
  readonly #ended = new Set<bigint>()
  /** Writes that have no transaction yet, by session and xid. */
  readonly #writes = new Map<string, Operation>()
  /** The highest xid that was carried out, by session. */
  readonly #lastXids = new Map<bigint, number>()

  constructor(history: History, options: CheckOptions) {
    this.#history = history
    this.#options = options
  }

  run(): CheckedHistory {
    for (const operation of this.#history.operations)
      if (isWrite(operation.request)) this.#writes.set(keyOf(operation.session, operation.xid), operation)
    this.#execute()
    for (const operation of this.#writes.values())
      if (operation.answer !== null && operation.answer.zxid > 0n)
        this.#add('lost-write', `${told(operation)} was answered and is not committed`)
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
        `${told(operation)} is answered at ${hex(operation.answer!.zxid)}, after the end of its session`,
      )
    this.#compare(operation, this.#model.read(operation.request as ReadRequest))
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
      this.#add('session', `${hex(zxid)}: ${told(operation)} is carried out after the end of its session`)
    const outcome = this.#model.write(operation.request as WriteRequest, session, zxid)
    if (operation.request.kind === 'close') this.#ended.add(session)
    if (operation.answer === null) {
      // The code of a multi that was refused stands in its text.
      if (operation.request.kind !== 'multi' && outcome.err !== err)
        this.#add('wrong-answer', `${hex(zxid)}: ${told(operation)} is ${err}, and ${outcome.err} in sequence`)
      return
    }
    if (operation.answer.zxid !== zxid)
      this.#add('lost-write', `${told(operation)} was said to be ${hex(operation.answer.zxid)} and is ${hex(zxid)}`)
    this.#compare(operation, outcome)
  }

  #expire(committed: Committed): void {
    const { session, zxid } = committed
    // Who asks twice for the end of a session gets it twice: the second changes nothing.
    if (this.#model.sessions.has(session)) this.#expired.set(session, committed)
    this.#ended.add(session)
    this.#model.endSession(session, zxid)
  }

  #checkOrder({ zxid, err }: Committed, operation: Operation): void {
    const { session, xid, acknowledgedBefore } = operation
    if (zxid <= acknowledgedBefore)
      this.#add(
        'order',
        `${told(operation)} is ${hex(zxid)} and began after ${hex(acknowledgedBefore)} had been acknowledged`,
      )
    // Nor does ZooKeeper ask where the end of a session comes from: it may overtake, late, what a client did elsewhere meanwhile.
    if (isSessionError(err) || operation.request.kind === 'close') return
    const last = this.#lastXids.get(session) ?? -1
    if (xid < last) this.#add('order', `${hex(zxid)}: ${told(operation)} comes after request ${last} of its session`)
    this.#lastXids.set(session, Math.max(last, xid))
  }

  /** SESSIONMOVED: the client asked on a connection that it has left. SESSIONEXPIRED: only what has ended, or is about to, is refused. */
  #checkRefusedSession({ zxid, err, session }: Committed, operation: Operation): void {
    if (err === ZkErrorCode.SESSIONEXPIRED && !this.#ended.has(session))
      this.#add(
        'session',
        `${hex(zxid)}: ${told(operation)} is refused as one of an expired session, which has not ended`,
      )
    const isSaid = operation.answer === null || operation.answer.err === err || operation.request.kind === 'multi'
    if (!isSaid) this.#compare(operation, { err, text: '' })
  }

  #compare(operation: Operation, expected: Outcome): void {
    const { err, text, zxid } = operation.answer!
    if (err === expected.err && text === expected.text) return
    this.#add(
      'wrong-answer',
      `${told(operation)} at ${hex(zxid)}: ${err} ${text}, and in sequence ${expected.err} ${expected.text}`,
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

/** Follows a session through all that its client saw. */
class SessionCheck {
  readonly #session: Session
  readonly #model: ZnodeModel
  readonly #options: CheckOptions
  readonly #add: (kind: AnomalyKind, detail: string) => void
  /** Watches that have not fired, and the state that they were set in, by path. */
  readonly #dataWatches = new Map<string, bigint>()
  readonly #childWatches = new Map<string, bigint>()
  #seen = 0n
  #lastXid = -1

  constructor(
    session: Session,
    model: ZnodeModel,
    options: CheckOptions,
    add: (kind: AnomalyKind, detail: string) => void,
  ) {
    this.#session = session
    this.#model = model
    this.#options = options
    this.#add = add
  }

  on(event: Session['events'][number]): void {
    switch (event.kind) {
      case 'answered':
        return this.#onAnswer(event.operation)
      case 'pong':
        return this.#sees(event.zxid, 'a ping')
      case 'notified':
        return this.#onNotified(event)
      case 'rewatched': {
        // A watch for a creation does not hear of a znode that came and went while nobody was connected.
        for (const path of event.existing) if (this.#dataWatches.has(path)) this.#dataWatches.set(path, event.zxid)
        return this.#sees(event.zxid, 'the watches set again')
      }
      case 'ended':
        this.#dataWatches.clear()
        return this.#childWatches.clear()
      case 'connected':
      case 'disconnected':
    }
  }

  #onAnswer(operation: Operation): void {
    const { request, answer, xid } = operation
    const { zxid, err } = answer!
    if (xid <= this.#lastXid)
      this.#add('order', `${told(operation)} is answered after request ${this.#lastXid} of its session`)
    this.#lastXid = xid
    this.#sees(zxid, told(operation))
    if (request.kind === 'sync') return this.#checkSync(operation)
    if (!isRead(request) || !request.watch || isSessionError(err)) return
    const watches = request.kind === 'children' ? this.#childWatches : this.#dataWatches
    const isSet = err === OK || (request.kind === 'exists' && err === ZkErrorCode.NONODE)
    if (isSet && !watches.has(request.path)) watches.set(request.path, zxid)
  }

  #checkSync(operation: Operation): void {
    const { acknowledgedBefore, answer } = operation
    if (answer!.err !== OK || answer!.zxid >= acknowledgedBefore) return
    if (this.#options.mayBeDeposed?.(operation, acknowledgedBefore)) return
    this.#add(
      'stale-sync',
      `${told(operation)} is at ${hex(answer!.zxid)}, and ${hex(acknowledgedBefore)} had been acknowledged`,
    )
  }

  /** The client sees the state after this transaction: nothing older may follow, and what it watches it has been told of. */
  #sees(zxid: bigint, what: string): void {
    if (zxid < this.#seen) this.#add('went-back', `${this.#who}: ${what} shows ${hex(zxid)} after ${hex(this.#seen)}`)
    this.#seen = zxid > this.#seen ? zxid : this.#seen
    for (const [watches, changes] of [
      [this.#dataWatches, this.#model.dataChanges],
      [this.#childWatches, this.#model.childChanges],
    ] as const)
      for (const [path, since] of watches) {
        const change = firstAfter(changes.get(path), since)
        if (change === null || change.zxid > zxid) continue
        this.#add(
          'watch-late',
          `${this.#who}: ${what} shows ${hex(zxid)}, and the watch on ${path} was not told of ${hex(change.zxid)}`,
        )
        watches.delete(path)
      }
  }

  #onNotified({ type, path, zxid }: { type: number; path: string; zxid: bigint }): void {
    const isOfChildren = type === WatchEventType.nodeChildrenChanged
    const watched = [
      ...(isOfChildren ? [] : ([[this.#dataWatches, this.#model.dataChanges]] as const)),
      ...(isOfChildren || type === WatchEventType.nodeDeleted
        ? ([[this.#childWatches, this.#model.childChanges]] as const)
        : []),
    ]
    let wasAsked = false
    for (const [watches, changes] of watched) {
      const since = watches.get(path)
      if (since === undefined) continue
      wasAsked = true
      watches.delete(path)
      const change = firstAfter(changes.get(path), since)
      const isTrue = change !== null && (zxid <= 0n || (change.zxid === zxid && change.type === type))
      if (!isTrue)
        this.#add('watch-false', `${this.#who}: event ${type} on ${path} at ${hex(zxid)}, watched since ${hex(since)}`)
    }
    if (!wasAsked) this.#add('watch-false', `${this.#who}: event ${type} on ${path}, which is not watched`)
  }

  get #who(): string {
    return `session ${hex(this.#session.id)}`
  }
}

function isSessionError(err: number): boolean {
  return err === ZkErrorCode.SESSIONEXPIRED || err === ZkErrorCode.SESSIONMOVED
}

function keyOf(session: bigint, xid: number): string {
  return `${session} ${xid}`
}

function told({ session, xid, request, server }: Operation): string {
  const what =
    request.kind === 'multi'
      ? `multi of ${request.steps.length}`
      : `${request.kind}${'path' in request ? ` ${request.path}` : ''}`
  return `${what} (session ${hex(session)}, request ${xid}, asked of ${server})`
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}
