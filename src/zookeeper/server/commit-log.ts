/**
 * Where writes get their order and their durability. A server of its own decides and logs by itself; in an ensemble its leader does,
 * and nothing else of the server changes: see leader-commit-log.ts and learner-commit-log.ts.
 */
import { LoggedTxn, type Id } from '#zookeeper/protocol'
import type { Applied, Decider, Moment, Write } from '#zookeeper/tree'

import type { Replica } from './replica.ts'

/** Who waits for the outcome of a write. */
export interface Waiter {
  onCommitted(logged: LoggedTxn, applied: Applied): void
}

/** A client's `sync`. */
export interface Sync {
  readonly sessionId: bigint
  readonly cxid: number
  readonly ids: readonly Id[]
  readonly path: string
}

export interface CommitLog {
  /** Requests go to another server: `submit` wants their bytes. */
  readonly forwards: boolean
  /**
   * Hands a write in; it is committed later, in the order of all writes. `request` is its body as the client sent it, where the log
   * `forwards` and a client sent one.
   */
  submit(write: Write, waiter: Waiter | null, request: Uint8Array | null): void
  /** Calls `ready` when everything that was handed in before, by anyone, is committed here. */
  sync(sync: Sync, ready: () => void): void
}

/** What a commit log calls, transaction after transaction. */
export type Commit = (logged: LoggedTxn, waiter: Waiter | null) => void

interface Entry {
  readonly zxid: bigint
  /** null for a sync, which comes after the transaction of this zxid. */
  readonly logged: LoggedTxn | null
  readonly waiter: Waiter | null
  readonly ready: (() => void) | null
}

/** Decides at once, logs in groups, and commits what the disk has. */
export class StandaloneCommitLog implements CommitLog {
  readonly forwards = false
  readonly #decider: Decider
  readonly #replica: Replica
  readonly #moment: () => Moment
  readonly #commit: Commit
  /** In order of their zxids. */
  #entries: Entry[] = []

  constructor(decider: Decider, replica: Replica, moment: () => Moment, commit: Commit) {
    this.#decider = decider
    this.#replica = replica
    this.#moment = moment
    this.#commit = commit
    replica.onSynced = (zxid) => this.#onSynced(zxid)
  }

  submit(write: Write, waiter: Waiter | null): void {
    const logged = this.#decider.decide(write, this.#moment())
    const { zxid } = logged.header
    this.#replica.append(zxid, LoggedTxn.encode(logged))
    this.#entries.push({ zxid, logged, waiter, ready: null })
  }

  sync(_: Sync, ready: () => void): void {
    if (this.#entries.length === 0) ready()
    else this.#entries.push({ zxid: this.#decider.lastZxid, logged: null, waiter: null, ready })
  }

  /** The log has everything up to here on stable storage. */
  #onSynced(zxid: bigint): void {
    let count = this.#entries.findIndex((entry) => entry.zxid > zxid)
    if (count < 0) count = this.#entries.length
    const synced = this.#entries.slice(0, count)
    this.#entries = this.#entries.slice(count)
    for (const { logged, waiter, ready } of synced) {
      if (logged !== null) this.#commit(logged, waiter)
      ready?.()
    }
    this.#decider.applied(zxid)
  }
}
