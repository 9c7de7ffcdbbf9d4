/**
 * A server that is cut off from its ensemble and answers reads all the same, of clients that said in their handshake that they can do
 * with it. It knows no leader, so nothing is written, and sessions live here only: no other server ever hears of them.
 * Source: ReadOnlyZooKeeperServer, ReadOnlyRequestProcessor.
 */
import type { Clock } from '#platform'
import { OpCode, ZkErrorCode, type LoggedTxn } from '#zookeeper/protocol'
import type { Applied, Write, ZnodeTree } from '#zookeeper/tree'

import type { CommitLog, Sync, Waiter } from './commit-log.ts'
import { TrackedSessions, type Sessions } from './sessions.ts'

/** A server looks for a leader for so long, or for a tick where that is longer, before it serves like this. Source: QuorumPeer. */
export const READ_ONLY_AFTER_MS = 2000

export class ReadOnlySessions implements Sessions {
  readonly #tracked: TrackedSessions

  constructor(clock: Clock, tickTimeMs: number, onExpired: (id: bigint) => void) {
    this.#tracked = new TrackedSessions(clock, tickTimeMs, NO_SESSIONS, onExpired)
  }

  open(id: bigint, timeoutMs: number): void {
    this.#tracked.tracker.track(id, timeoutMs, this.#tracked.nowMs)
  }

  touch(id: bigint, timeoutMs: number): void {
    this.#tracked.touch(id, timeoutMs)
  }

  check(id: bigint): number {
    return this.#tracked.check(id)
  }

  /** A session of the ensemble may be alive there, and must not hear that it has expired: its client is only closed. */
  reopen(id: bigint, timeoutMs: number): boolean | Promise<boolean> {
    return this.#tracked.tracker.has(id)
      ? this.#tracked.reopen(id, timeoutMs)
      : Promise.reject(new Error('only a quorum knows this session'))
  }

  forget(id: bigint): void {
    this.#tracked.forget(id)
  }

  end(): void {
    this.#tracked.end()
  }
}

const NO_SESSIONS: Pick<ZnodeTree, 'sessions'> = { sessions: new Map<bigint, number>() }

/** Begins and ends local sessions, and refuses every other write. */
export class ReadOnlyCommitLog implements CommitLog {
  readonly forwards = false
  readonly #tree: ZnodeTree
  readonly #sessions: ReadOnlySessions

  constructor(tree: ZnodeTree, sessions: ReadOnlySessions) {
    this.#tree = tree
    this.#sessions = sessions
  }

  submit({ sessionId, cxid, body }: Write, waiter: Waiter | null): void {
    if (body.type === OpCode.createSession) this.#sessions.open(sessionId, body.timeOut)
    const txn = outcomeOf(body)
    const header = { clientId: sessionId, cxid, zxid: this.#tree.lastZxid, time: 0, type: txn.type }
    const err = txn.type === OpCode.error ? txn.err : ZkErrorCode.OK
    const applied: Applied = { type: txn.type, err, path: '', stat: null, results: null }
    waiter?.onCommitted({ header, txn, digest: null }, applied)
    if (body.type === OpCode.closeSession) this.#sessions.forget(sessionId)
  }

  /** Never called: a sync is refused where it arrives, as there is nothing to be in step with. */
  sync(_: Sync, ready: () => void): void {
    ready()
  }
}

function outcomeOf(body: Write['body']): LoggedTxn['txn'] {
  switch (body.type) {
    case OpCode.createSession:
      return { type: body.type, timeOut: body.timeOut }
    case OpCode.closeSession:
      return { type: body.type, paths2Delete: [] }
    default:
      return { type: OpCode.error, err: ZkErrorCode.NOTREADONLY }
  }
}
