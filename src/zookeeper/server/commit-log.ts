/**
 * Where writes get their order and their durability. A server of its own decides and logs by itself; in an
 * ensemble something else stands here, and nothing else of the server changes.
 */
import { LoggedTxn } from '#zookeeper/protocol'
import type { TxnLog } from '#zookeeper/persistence'
import type { Applied, Decider, Moment, Write } from '#zookeeper/tree'

/** Who waits for the outcome of a write. */
export interface Waiter {
  onCommitted(logged: LoggedTxn, applied: Applied): void
}

export interface CommitLog {
  /** Hands a write in; it is committed later, in the order of all writes. */
  submit(write: Write, waiter: Waiter | null): void
  /** Calls `ready` when everything that was handed in before is committed. */
  sync(ready: () => void): void
  /** The last zxid given out. */
  readonly lastZxid: bigint
  close(): Promise<void>
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
  readonly #decider: Decider
  readonly #log: TxnLog
  readonly #moment: () => Moment
  readonly #commit: Commit
  /** In order of their zxids. */
  #entries: Entry[] = []

  constructor(decider: Decider, log: TxnLog, moment: () => Moment, commit: Commit) {
    this.#decider = decider
    this.#log = log
    this.#moment = moment
    this.#commit = commit
  }

  get lastZxid(): bigint {
    return this.#decider.lastZxid
  }

  submit(write: Write, waiter: Waiter | null): void {
    const logged = this.#decider.decide(write, this.#moment())
    const { zxid } = logged.header
    this.#log.append(zxid, LoggedTxn.encode(logged))
    this.#entries.push({ zxid, logged, waiter, ready: null })
  }

  sync(ready: () => void): void {
    if (this.#entries.length === 0) ready()
    else this.#entries.push({ zxid: this.#decider.lastZxid, logged: null, waiter: null, ready })
  }

  /** The log has everything up to here on stable storage. */
  onSynced(zxid: bigint): void {
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

  close(): Promise<void> {
    return this.#log.close()
  }
}
