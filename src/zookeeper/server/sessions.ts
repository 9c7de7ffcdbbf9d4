/**
 * Sessions as this server's connections need them. Whoever decides writes (a server of its own, a leader) keeps their time and ends
 * those that are silent; a learner tells its leader of whom it heard.
 * Source: SessionTrackerImpl, LeaderSessionTracker, LearnerSessionTracker.
 */
import { ZkErrorCode } from '#zookeeper/protocol'
import { SessionTracker, type ZnodeTree } from '#zookeeper/tree'
import type { Clock, Timer } from '#platform'

import type { LeaderOffice, LearnerOffice } from './ensemble/office.ts'

export interface Sessions {
  /** A sign of life. */
  touch(id: bigint, timeoutMs: number): void
  /** Whether a read may be answered: `OK`, `SESSIONEXPIRED`, or `SESSIONMOVED` when the client is at another server now. */
  check(id: bigint): number
  /** The client has come here with the right password. Whether the session lives; a promise where the leader must be asked. */
  reopen(id: bigint, timeoutMs: number): boolean | Promise<boolean>
  /** The session's end has taken effect. */
  forget(id: bigint): void
}

/** Stands for this server where it is asked whose client a session's is; learners stand for themselves. */
export const OWN = 'this server'

/** Sessions expire with a twentieth of a tick as precision. */
const EXPIRIES_PER_TICK = 20

/** Keeps the time of all sessions, on a clock that stands still while the process does. */
export class TrackedSessions implements Sessions {
  readonly tracker: SessionTracker
  readonly #clock: Clock
  readonly #onExpired: (id: bigint) => void
  #timer: Timer | null = null
  #ended = false
  /** ms that the process stood still: time that no session is blamed for. */
  #stalledMs = 0

  /** Every session of the tree begins with its full timeout: nobody knows when it was heard of last. */
  constructor(clock: Clock, tickTimeMs: number, tree: Pick<ZnodeTree, 'sessions'>, onExpired: (id: bigint) => void) {
    this.#clock = clock
    this.#onExpired = onExpired
    this.tracker = new SessionTracker(Math.ceil(tickTimeMs / EXPIRIES_PER_TICK), this.nowMs)
    for (const [id, timeoutMs] of tree.sessions) this.tracker.track(id, timeoutMs, this.nowMs)
    this.#watch()
  }

  /** On the clock that sessions expire by. */
  get nowMs(): number {
    return this.#clock.monotonic() - this.#stalledMs
  }

  touch(id: bigint, timeoutMs: number): void {
    this.tracker.touch(id, timeoutMs, this.nowMs)
  }

  check(id: bigint): number {
    return this.tracker.check(id, OWN)
  }

  reopen(id: bigint, timeoutMs: number): boolean {
    return this.takeOver(id, timeoutMs, OWN)
  }

  /** The session is another owner's from now on, if it lives. */
  takeOver(id: bigint, timeoutMs: number, owner: unknown): boolean {
    const isAlive = this.tracker.touch(id, timeoutMs, this.nowMs)
    if (isAlive) this.tracker.setOwner(id, owner)
    return isAlive
  }

  forget(id: bigint): void {
    this.tracker.remove(id)
  }

  /** What learners tell of their clients comes here. */
  serveLearners(office: LeaderOffice): void {
    office.onTouched = (_, id, timeoutMs) => this.touch(id, timeoutMs)
    office.onRevalidate = (from, id, timeoutMs) => this.takeOver(id, timeoutMs, from)
  }

  end(): void {
    this.#ended = true
    this.#timer?.cancel()
  }

  /**
   * Expiry is judged after a poll: what clients sent while the process stood still has been read when the timer
   * fires, and the clock of the sessions did not go on meanwhile.
   */
  #watch(): void {
    this.#timer = this.#clock.setTimer(this.tracker.dueInMs(this.nowMs), (lateMs) => {
      this.#stalledMs += lateMs
      for (const id of this.tracker.takeExpired(this.nowMs)) this.#onExpired(id)
      if (!this.#ended) this.#watch()
    })
  }
}

/** Asks the leader, and tells it of signs of life with each answer to its pings. */
export class ForwardedSessions implements Sessions {
  readonly #office: LearnerOffice
  /** Timeouts in ms of the sessions that were heard of since the last ping. */
  #touched = new Map<bigint, number>()

  constructor(office: LearnerOffice) {
    this.#office = office
    office.takeTouched = () => this.#takeTouched()
  }

  touch(id: bigint, timeoutMs: number): void {
    this.#touched.set(id, timeoutMs)
  }

  /** A client that has gone to another server may still read here what it could read before. */
  check(): number {
    return ZkErrorCode.OK
  }

  reopen(id: bigint, timeoutMs: number): Promise<boolean> {
    return this.#office.revalidate(id, timeoutMs)
  }

  forget(id: bigint): void {
    this.#touched.delete(id)
  }

  #takeTouched(): readonly (readonly [bigint, number])[] {
    const touched = [...this.#touched]
    this.#touched = new Map()
    return touched
  }
}
