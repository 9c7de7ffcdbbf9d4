/**
 * A follower's or observer's: writes go to the leader as the client sent them, and come back as commits among everyone else's. Which
 * of them are this server's shows their session, cxid and type: a client's writes are committed in the order in which it sent them.
 * A cxid alone does not tell: a client may count anew on each connection, and what the leader does by itself has 0.
 * Source: FollowerRequestProcessor, CommitProcessor.
 */
import { OpCode, operations, type LoggedTxn } from '#zookeeper/protocol'
import type { Write } from '#zookeeper/tree'
import type { EnsembleFaults } from '#zookeeper/zab'

import type { Commit, CommitLog, Sync, Waiter } from './commit-log.ts'
import type { LearnerOffice } from './ensemble/office.ts'

interface Forwarded {
  readonly cxid: number
  readonly type: number
  readonly waiter: Waiter
}

export class LearnerCommitLog implements CommitLog {
  readonly forwards = true
  readonly #office: LearnerOffice
  readonly #faults: EnsembleFaults
  readonly #commit: Commit
  /** Sent and not committed, by session, in the order in which they were sent. No list is empty. */
  readonly #forwarded = new Map<bigint, Forwarded[]>()
  /** In the order in which they were sent: SYNC does not say which it answers. */
  readonly #syncs: (() => void)[] = []

  constructor(office: LearnerOffice, faults: EnsembleFaults, commit: Commit) {
    this.#office = office
    this.#faults = faults
    this.#commit = commit
    office.onSynced = () => this.#syncs.shift()?.()
  }

  submit({ sessionId, cxid, ids, body }: Write, waiter: Waiter | null, request: Uint8Array | null): void {
    if (waiter !== null) {
      const entry = { cxid, type: body.type, waiter }
      const forwarded = this.#forwarded.get(sessionId)
      if (forwarded === undefined) this.#forwarded.set(sessionId, [entry])
      else forwarded.push(entry)
    }
    const bytes = body.type === OpCode.createSession ? timeoutBytes(body.timeOut) : (request ?? NOTHING)
    this.#office.request({ sessionId, cxid, type: body.type, body: bytes, ids })
  }

  sync({ sessionId, cxid, ids, path }: Sync, ready: () => void): void {
    if (this.#faults.syncAlone) return ready()
    this.#syncs.push(ready)
    const body = operations.sync.request.encode({ path })
    this.#office.request({ sessionId, cxid, type: OpCode.sync, body, ids })
  }

  /** The next transaction is committed. */
  onCommitted(logged: LoggedTxn): void {
    this.#commit(logged, this.#takeWaiter(logged))
  }

  /** null where another server sent it, or nobody. */
  #takeWaiter({ header, txn }: LoggedTxn): Waiter | null {
    const forwarded = this.#forwarded.get(header.clientId)
    const first = forwarded?.[0]
    if (forwarded === undefined || first?.cxid !== header.cxid) return null
    if (txn.type !== first.type && txn.type !== OpCode.error) return null
    forwarded.shift()
    if (forwarded.length === 0) this.#forwarded.delete(header.clientId)
    return first.waiter
  }
}

const NOTHING = new Uint8Array(0)

function timeoutBytes(timeoutMs: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setInt32(0, timeoutMs)
  return bytes
}
