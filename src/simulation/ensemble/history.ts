/**
 * What the clients of an ensemble did and saw, and what the servers committed. A history is plain data: the
 * checks read it, and tests write it by hand.
 *
 * An answer's text says everything that the client could see of it (`outcome.ts`), so that answers are compared as texts.
 */
import { ZkErrorCode } from '#zookeeper/protocol'

import { hex } from './outcome.ts'

/** What ends a znode by itself: nothing, the end of its session, that of its last child, or so many ms without children and without a write. */
export type Life = 'persistent' | 'ephemeral' | 'container' | { readonly ttlMs: number }

/** What a client shows to be, by a password. */
export type Person = 'ann' | 'bob'

/** Whom an entry is for; `asker`: whoever asks for it, if that is somebody. `perms` is a sum of `Perms`. */
export interface AclEntry {
  readonly who: Person | 'anyone' | 'asker'
  readonly perms: number
}

/** One step of a multi, or a write of its own. */
export type Step =
  | {
      readonly kind: 'create'
      readonly path: string
      readonly data: string
      readonly life: Life
      readonly sequential: boolean
      /** Absent: anyone may do everything. */
      readonly acl?: readonly AclEntry[]
    }
  | { readonly kind: 'delete'; readonly path: string; readonly version: number }
  | { readonly kind: 'set'; readonly path: string; readonly data: string; readonly version: number }
  | { readonly kind: 'check'; readonly path: string; readonly version: number }

export type WriteRequest =
  | Step
  /** `version` is compared with that of the list. */
  | { readonly kind: 'setAcl'; readonly path: string; readonly acl: readonly AclEntry[]; readonly version: number }
  | { readonly kind: 'multi'; readonly steps: readonly Step[] }
  | { readonly kind: 'close' }

export type ReadRequest = {
  readonly kind: 'get' | 'exists' | 'children' | 'acl'
  readonly path: string
  /** Not with `acl`. */
  readonly watch: boolean
}

/** Sets or takes back watches of the connection; the znode needs not be there. */
export type WatchRequest =
  | { readonly kind: 'addWatch'; readonly path: string; readonly recursive: boolean }
  | { readonly kind: 'removeWatches'; readonly path: string; readonly of: WatchKind }

export type WatchKind = 'data' | 'children' | 'any' | 'persistent' | 'recursive'

export type Request = WriteRequest | ReadRequest | WatchRequest | { readonly kind: 'sync' }

export interface Answer {
  /** Of a write its transaction; of a read the last one that was applied where it was answered. */
  readonly zxid: bigint
  readonly err: number
  readonly text: string
}

export interface Operation {
  readonly session: bigint
  /** Of the request; the cxid of its transaction. Grows within a session, over all of its connections. */
  readonly xid: number
  readonly request: Request
  /** Which server was asked. */
  readonly server: string
  readonly invokedMs: number
  /** The highest zxid of all writes that any client had been told of when this one was sent. */
  readonly acknowledgedBefore: bigint
  /** Infinity: never answered. */
  completedMs: number
  /** null: nobody knows whether it happened. */
  answer: Answer | null
}

/** What a client saw of its session, in the order in which it saw it. */
export type SessionEvent =
  | { readonly kind: 'connected'; readonly atMs: number; readonly server: string }
  | { readonly kind: 'disconnected'; readonly atMs: number }
  | { readonly kind: 'answered'; readonly operation: Operation }
  /** A ping was answered. */
  | { readonly kind: 'pong'; readonly zxid: bigint }
  /** A watch fired. `zxid` -1: told at the reconnection. */
  | { readonly kind: 'notified'; readonly type: number; readonly path: string; readonly zxid: bigint }
  /** The watches were set again after a reconnection. `existing`: those on znodes that were missing. */
  | {
      readonly kind: 'rewatched'
      readonly zxid: bigint
      readonly existing: readonly string[]
      readonly persistent: readonly string[]
      readonly recursive: readonly string[]
    }
  | { readonly kind: 'ended'; readonly atMs: number; readonly how: 'expired' | 'closed' }

export interface Session {
  readonly id: bigint
  readonly client: string
  /** null: nobody. */
  readonly person: Person | null
  readonly timeoutMs: number
  readonly events: SessionEvent[]
}

/** A transaction that the ensemble committed. */
export interface Committed {
  readonly zxid: bigint
  readonly session: bigint
  readonly cxid: number
  readonly type: number
  /** 0: it was carried out. Of a multi the code of the operation that was refused. */
  readonly err: number
  /** Which operation of a multi has that code; 0 of a write of its own. */
  readonly errAt: number
  /** Clock of the server that decided it, ms. */
  readonly wallMs: number
  /** Of a znode that the ensemble deleted by itself; null for all other transactions. */
  readonly reaped: string | null
  /** Virtual ms when it was first seen to be committed. */
  readonly atMs: number
}

export interface History {
  readonly sessions: readonly Session[]
  readonly operations: readonly Operation[]
  /** In the order of their zxids. */
  readonly committed: readonly Committed[]
}

export interface Anomaly {
  readonly kind: AnomalyKind
  readonly detail: string
}

export type AnomalyKind =
  /** A transaction that no client asked for, or one request that became two. */
  | 'integrity'
  /** An acknowledged write that is not committed, or elsewhere than it was said. */
  | 'lost-write'
  /** A write behind one that was acknowledged before it began, or against the order of its session. */
  | 'order'
  /** An answer that a sequential execution in the order of the zxids does not give. */
  | 'wrong-answer'
  /** A client saw an older state after a newer one. */
  | 'went-back'
  /** A sync that did not see what had been acknowledged before it. */
  | 'stale-sync'
  /** Data seen, or another event told, before the event that announces a change. */
  | 'watch-late'
  /** An event that nothing had happened for, or that nobody had asked for. */
  | 'watch-false'
  /** A container or TTL node that was deleted before it was due. */
  | 'reaped-early'
  /** A session did something after its end, or was refused before it. */
  | 'session'

export function isWrite(request: Request): request is WriteRequest {
  return !isRead(request) && request.kind !== 'sync' && !isOfWatches(request)
}

export function isOfWatches(request: Request): request is WatchRequest {
  return request.kind === 'addWatch' || request.kind === 'removeWatches'
}

export function isRead(request: Request): request is ReadRequest {
  return ['get', 'exists', 'children', 'acl'].includes(request.kind)
}

/** Refused with the session, whatever was asked. */
export function isSessionError(err: number): boolean {
  return err === ZkErrorCode.SESSIONEXPIRED || err === ZkErrorCode.SESSIONMOVED
}

/** For people. */
export function describe({ session, xid, request, server }: Operation): string {
  const what =
    request.kind === 'multi'
      ? `multi of ${request.steps.length}`
      : `${request.kind}${'path' in request ? ` ${request.path}` : ''}`
  return `${what} (session ${hex(session)}, request ${xid}, asked of ${server})`
}
