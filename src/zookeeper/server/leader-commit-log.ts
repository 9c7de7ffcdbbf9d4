/**
 * The leader's: its own clients' writes and those of its learners' clients become transactions here, in the order in which they
 * arrive, and are proposed at once; the ensemble commits them in that order. Source: PrepRequestProcessor, ProposalRequestProcessor.
 */
import { ByteReader, MalformedBytesError, assert } from '#base'
import { OpCode, ZkErrorCode, type LoggedTxn } from '#zookeeper/protocol'
import type { Decider, Moment, Write, WriteBody } from '#zookeeper/tree'

import type { Commit, CommitLog, Sync, Waiter } from './commit-log.ts'
import type { LeaderOffice, LearnerPort } from './ensemble/office.ts'
import { decodeWrite } from './writes.ts'

/** The counter of an epoch ends here: the next transaction needs a new one. Source: Leader.propose. */
const COUNTER_LAST = 0xffff_fffen
const COUNTER_MASK = 0xffff_ffffn
/** Committed entries at the head are cut off when there are this many. */
const COMPACTED_FROM = 4096

type Request = Parameters<LeaderOffice['onRequest']>[1]

export class LeaderCommitLog implements CommitLog {
  readonly forwards = false
  readonly #decider: Decider
  readonly #office: LeaderOffice
  readonly #moment: () => Moment
  readonly #commit: Commit
  /** Of every transaction that is proposed and not committed, in their order; those before `#start` are. */
  #waiters: (Waiter | null)[] = []
  #start = 0

  constructor(decider: Decider, office: LeaderOffice, moment: () => Moment, commit: Commit) {
    this.#decider = decider
    this.#office = office
    this.#moment = moment
    this.#commit = commit
    office.onRequest = (from, request) => this.#onRequest(from, request)
  }

  submit(write: Write, waiter: Waiter | null): void {
    if ((this.#decider.lastZxid & COUNTER_MASK) >= COUNTER_LAST)
      return this.#office.stepDown('the transactions of this epoch are numbered up: another one must begin')
    const logged = this.#decider.decide(write, this.#moment())
    this.#waiters.push(waiter)
    this.#office.propose(logged)
  }

  sync(_: Sync, ready: () => void): void {
    this.#office.sync(ready)
  }

  /** The next transaction is committed. */
  onCommitted(logged: LoggedTxn): void {
    assert(this.#start < this.#waiters.length, 'a transaction is committed that was not proposed')
    const waiter = this.#waiters[this.#start]!
    this.#waiters[this.#start++] = null
    if (this.#start === this.#waiters.length || this.#start >= COMPACTED_FROM) {
      this.#waiters = this.#waiters.slice(this.#start)
      this.#start = 0
    }
    this.#commit(logged, waiter)
    this.#decider.applied(logged.header.zxid)
  }

  /** Its learner recognises the commit by session and cxid; nobody waits for it here. */
  #onRequest(from: LearnerPort, { sessionId, cxid, type, body, ids }: Request): void {
    if (type === OpCode.sync) return this.#office.sync(() => from.synced())
    this.submit({ sessionId, cxid, ids, owner: from, body: writeOf(type, body) }, null)
  }
}

/** What a learner cannot judge is refused in its place: the client waits for an answer. */
function writeOf(type: number, body: Uint8Array): WriteBody {
  try {
    const reader = new ByteReader(body)
    if (type === OpCode.createSession) return { type, timeOut: reader.int32() }
    return decodeWrite(type, reader) ?? { type: OpCode.error, err: ZkErrorCode.UNIMPLEMENTED }
  } catch (error) {
    if (!(error instanceof MalformedBytesError)) throw error
    return { type: OpCode.error, err: ZkErrorCode.MARSHALLINGERROR }
  }
}
