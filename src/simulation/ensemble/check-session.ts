/**
 * What is wrong with what one client saw of its session: an older state after a newer one, a sync that came too early, data before the
 * event that announces it, an event that nobody asked for.
 */
import { Perms, WatchEventType, ZkErrorCode } from '#zookeeper/protocol'

import {
  describe,
  isOfWatches,
  isRead,
  isSessionError,
  type AnomalyKind,
  type Operation,
  type Session,
  type SessionEvent,
  type WatchRequest,
} from './history.ts'
import { firstAfter, type Change, type ModelEvent, type ZnodeModel } from './model.ts'
import { OK, hex } from './outcome.ts'
import { permits, type Acl } from './permissions.ts'
import { PersistentWatches } from './persistent-watches.ts'

export interface CheckOptions {
  /**
   * Whether the server that answered may have been under a leader that was replaced: ZooKeeper does not promise
   * that a sync there sees what the next leader has acknowledged.
   */
  readonly mayBeDeposed?: (sync: Operation, acknowledged: bigint) => boolean
}

type Notified = Extract<SessionEvent, { kind: 'notified' }>
type OneShotWatches = Map<string, OneShotWatch>
type ChangesByPath = ReadonlyMap<string, readonly Change[]>

interface OneShotWatch {
  /** The state that it was set in. */
  readonly since: bigint
  /** It fired where the client may not read, who does not know that it is gone. */
  isSpent: boolean
}

/** Follows a session through all that its client saw. */
export class SessionCheck {
  readonly #session: Session
  readonly #model: ZnodeModel
  readonly #options: CheckOptions
  readonly #add: (kind: AnomalyKind, detail: string) => void
  /** Watches that the client has not been told of, by path. */
  readonly #dataWatches = new Map<string, OneShotWatch>()
  readonly #childWatches = new Map<string, OneShotWatch>()
  readonly #persistentWatches: PersistentWatches
  /** At a reconnection the end of a znode is told to its data watch and to its child watch. */
  readonly #toldTwice = new Set<string>()
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
    this.#persistentWatches = new PersistentWatches(model.events, (acl) => this.#mayRead(acl))
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
      case 'rewatched':
        return this.#onRewatched(event)
      case 'ended':
        this.#dataWatches.clear()
        this.#childWatches.clear()
        return this.#persistentWatches.clear()
      case 'disconnected':
        this.#toldTwice.clear()
        return this.#persistentWatches.clear()
      case 'connected':
    }
  }

  #onAnswer(operation: Operation): void {
    const { request, answer, xid } = operation
    const { zxid, err } = answer!
    if (xid <= this.#lastXid)
      this.#add('order', `${describe(operation)} is answered after request ${this.#lastXid} of its session`)
    this.#lastXid = xid
    this.#sees(zxid, describe(operation))
    if (request.kind === 'sync') return this.#checkSync(operation)
    if (isOfWatches(request)) return this.#checkWatchRequest(operation, request)
    if (!isRead(request) || !request.watch || isSessionError(err)) return
    const watches = request.kind === 'children' ? this.#childWatches : this.#dataWatches
    const isSet = err === OK || (request.kind === 'exists' && err === ZkErrorCode.NONODE)
    if (isSet && !this.#isSet(watches, request.path)) watches.set(request.path, { since: zxid, isSpent: false })
  }

  /** Of what had changed the client has been told by now, unless it may not read it; the rest is watched again. */
  #onRewatched({ zxid, existing, persistent, recursive }: Extract<SessionEvent, { kind: 'rewatched' }>): void {
    for (const [watches, changes] of this.#oneShot)
      for (const [path, { since }] of watches) {
        const acl = this.#model.aclAt(path, zxid)
        const change = firstAfter(changes.get(path), max(since, this.#seen))
        // A watch for a creation does not hear of a znode that came and went while nobody was connected.
        const isForCreation = watches === this.#dataWatches && existing.includes(path)
        const isChanged = isForCreation ? acl !== null : change !== null && change.zxid <= zxid
        const isHidden = acl !== null && !this.#mayRead(acl)
        if (!isChanged || isHidden) watches.set(path, { since: zxid, isSpent: isChanged })
        else this.#isLate(watches, path, `the watches set again show ${hex(zxid)}`)
      }
    this.#toldTwice.clear()
    this.#sees(zxid, 'the watches set again')
    for (const path of persistent) this.#persistentWatches.add(path, false, zxid)
    for (const path of recursive) this.#persistentWatches.add(path, true, zxid)
  }

  get #oneShot(): readonly (readonly [OneShotWatches, ChangesByPath])[] {
    return [
      [this.#dataWatches, this.#model.dataChanges],
      [this.#childWatches, this.#model.childChanges],
    ]
  }

  #isSet(watches: OneShotWatches, path: string): boolean {
    return watches.get(path)?.isSpent === false
  }

  #mayRead(acl: Acl): boolean {
    return permits(acl, Perms.READ, this.#session.person)
  }

  #checkWatchRequest(operation: Operation, request: WatchRequest): void {
    const { err, text, zxid } = operation.answer!
    if (isSessionError(err)) return
    let expected: number = OK
    if (request.kind === 'addWatch') this.#persistentWatches.add(request.path, request.recursive, zxid)
    else if (!this.#removeWatches(request, err)) expected = ZkErrorCode.NOWATCHER
    if (err !== expected || text !== '')
      this.#add('wrong-answer', `${describe(operation)} at ${hex(zxid)}: ${err} ${text}, and must be ${expected}`)
  }

  /** Whether there were any. A client that is told that there were none keeps those that it knows of. */
  #removeWatches({ path, of }: Extract<WatchRequest, { kind: 'removeWatches' }>, err: number): boolean {
    const removed = [
      ...(of === 'data' || of === 'any' ? [this.#dataWatches] : []),
      ...(of === 'children' || of === 'any' ? [this.#childWatches] : []),
    ]
    const hadOneShot = removed.some((watches) => this.#isSet(watches, path))
    if (err === OK) for (const watches of removed) watches.delete(path)
    const hadPersistent = of !== 'data' && of !== 'children' && this.#persistentWatches.remove(path, of)
    return hadOneShot || hadPersistent
  }

  #checkSync(operation: Operation): void {
    const { acknowledgedBefore, answer } = operation
    if (answer!.err !== OK || answer!.zxid >= acknowledgedBefore) return
    if (this.#options.mayBeDeposed?.(operation, acknowledgedBefore)) return
    this.#add(
      'stale-sync',
      `${describe(operation)} is at ${hex(answer!.zxid)}, and ${hex(acknowledgedBefore)} had been acknowledged`,
    )
  }

  /** The client sees the state after this transaction: nothing older may follow, and what it watches it has been told of. */
  #sees(zxid: bigint, what: string): void {
    if (zxid < this.#seen) this.#add('went-back', `${this.#who}: ${what} shows ${hex(zxid)} after ${hex(this.#seen)}`)
    this.#seen = zxid > this.#seen ? zxid : this.#seen
    this.#checkNothingDue(this.#persistentWatches.takeDue(zxid), `${what} shows ${hex(zxid)}`)
    for (const [watches, changes] of this.#oneShot)
      for (const [path, watch] of watches) {
        if (watch.isSpent) continue
        const change = firstAfter(changes.get(path), watch.since)
        if (change === null || change.zxid > zxid) continue
        if (!this.#mayRead(change.acl)) {
          watch.isSpent = true
          continue
        }
        this.#isLate(watches, path, `${what} shows ${hex(zxid)}`, change)
      }
  }

  #isLate(watches: OneShotWatches, path: string, what: string, change: Change | null = null): void {
    const of = change === null ? '' : ` of ${hex(change.zxid)}`
    this.#add('watch-late', `${this.#who}: ${what}, and the watch on ${path} was not told${of}`)
    watches.delete(path)
  }

  #checkNothingDue(due: readonly ModelEvent[], what: string): void {
    for (const { type, path, zxid } of due)
      this.#add(
        'watch-late',
        `${this.#who}: ${what}, and the persistent watches were not told ${type} of ${path} at ${hex(zxid)}`,
      )
  }

  #onNotified(event: Notified): void {
    const { type, path, zxid } = event
    const [data, children] = this.#oneShot
    const watched =
      type === WatchEventType.nodeChildrenChanged
        ? [children!]
        : type === WatchEventType.nodeDeleted
          ? [data!, children!]
          : [data!]
    // What is told at a reconnection has no transaction of its own.
    const isForGood = zxid > 0n && this.#isDue(event)
    const isToldAgain = zxid <= 0n && this.#toldTwice.delete(path)
    if (zxid <= 0n && watched.length === 2 && watched.every(([watches]) => watches.has(path))) this.#toldTwice.add(path)
    const fired = watched.filter(([watches, changes]) => this.#fires(watches, changes, event))
    if (!isForGood && !isToldAgain && fired.length === 0)
      this.#add('watch-false', `${this.#who}: event ${type} on ${path} at ${hex(zxid)}, which nothing asked for`)
  }

  /** Whether a persistent watch asked for it. All that is due before it must have been told. */
  #isDue(event: Notified): boolean {
    this.#checkNothingDue(this.#persistentWatches.takeDue(event.zxid - 1n), `an event tells of ${hex(event.zxid)}`)
    return this.#persistentWatches.told(event)
  }

  /** Whether a one-shot watch asked for it; it is gone in any case. */
  #fires(watches: OneShotWatches, changes: ChangesByPath, { type, path, zxid }: Notified): boolean {
    const watch = watches.get(path)
    if (watch === undefined) return false
    watches.delete(path)
    const { since, isSpent } = watch
    const change = firstAfter(changes.get(path), since)
    const isAtReconnection = zxid <= 0n
    const wasSilent = isSpent || (change !== null && change.zxid <= zxid && !this.#mayRead(change.acl))
    // At a reconnection the client, who does not know that it is gone, sets it again.
    if (wasSilent && !isAtReconnection) return false
    const isTrue = isAtReconnection ? isSpent || change !== null : change?.zxid === zxid && change.type === type
    if (!isTrue)
      this.#add('watch-false', `${this.#who}: event ${type} on ${path} at ${hex(zxid)}, watched since ${hex(since)}`)
    return true
  }

  get #who(): string {
    return `session ${hex(this.#session.id)}`
  }
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
