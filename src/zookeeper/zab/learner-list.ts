/**
 * The learners as their leader knows them: how far each has come on its present connection, who of them counts as a voter, who is
 * alive, and what the disks of a quorum have. Source: LearnerHandler, Leader.
 */
import { hexLong } from '#zookeeper/protocol'

import type { LearnerRole } from './learner.ts'
import { NO_ZXID } from './packets.ts'
import type { Quorum } from './quorum.ts'

/** Number of a connection; never used again. */
export type LinkNumber = number

export type LearnerPhase =
  /** Connected; its first word is awaited. */
  | 'greeting'
  /** Known; the epoch is not decided. */
  | 'known'
  /** LEADERINFO is sent. */
  | 'invited'
  /** ACKEPOCH has come; a quorum of them is awaited. */
  | 'promised'
  /** Gets what it lacks, and NEWLEADER. */
  | 'synchronising'
  /** NEWLEADER is acknowledged. */
  | 'following'

export interface LearnerState {
  readonly link: LinkNumber
  readonly connectedMs: number
  sid: number
  role: LearnerRole
  phase: LearnerPhase
  acceptedEpoch: number
  /** Its last transaction, as of ACKEPOCH. */
  lastZxid: bigint
  /** ACKEPOCH counted as a promise. */
  hasPromised: boolean
  /** On its disk up to here. Counts from NEWLEADER on. */
  ackedZxid: bigint
  heardMs: number
  /** A proposal that it has not acknowledged and the latest one, with the times they went out. */
  awaited: { zxid: bigint; sinceMs: number } | null
  awaitedNext: { zxid: bigint; sinceMs: number } | null
}

/** As admin words and metrics show it. */
export interface LearnerStatus {
  readonly link: LinkNumber
  readonly sid: number
  readonly role: LearnerRole
  readonly isSynced: boolean
  readonly ackedZxid: bigint
}

export interface LearnerListOptions {
  /** The leader's own number. */
  readonly sid: number
  readonly quorum: Quorum
  /** For each of discovery, acknowledging the epoch and synchronising. */
  readonly initLimitMs: number
  readonly syncLimitMs: number
}

export class LearnerList implements Iterable<LearnerState> {
  readonly #options: LearnerListOptions
  readonly #proposedToFrom: LearnerPhase
  readonly #states = new Map<LinkNumber, LearnerState>()
  #followers: readonly LinkNumber[] = []
  #observers: readonly LinkNumber[] = []

  /** `proposedToFrom`: the phase from which on a learner hears of proposals and commits. */
  constructor(options: LearnerListOptions, proposedToFrom: 'synchronising' | 'following') {
    this.#options = options
    this.#proposedToFrom = proposedToFrom
  }

  /** Links that proposals go to. */
  get followers(): readonly LinkNumber[] {
    return this.#followers
  }

  /** Links that are informed of commits. */
  get observers(): readonly LinkNumber[] {
    return this.#observers
  }

  get(link: LinkNumber): LearnerState | undefined {
    return this.#states.get(link)
  }

  [Symbol.iterator](): IterableIterator<LearnerState> {
    return this.#states.values()
  }

  add(link: LinkNumber, nowMs: number): void {
    this.#states.set(link, {
      link,
      connectedMs: nowMs,
      sid: -1,
      role: 'follower',
      phase: 'greeting',
      acceptedEpoch: 0,
      lastZxid: 0n,
      hasPromised: false,
      ackedZxid: NO_ZXID,
      heardMs: nowMs,
      awaited: null,
      awaitedNext: null,
    })
  }

  remove({ link }: LearnerState): void {
    this.#states.delete(link)
    this.#list()
  }

  advance(learner: LearnerState, phase: LearnerPhase): void {
    learner.phase = phase
    if (phase === 'synchronising' || phase === 'following') this.#list()
  }

  isVoter({ role, sid }: LearnerState): boolean {
    return role === 'follower' && this.#options.quorum.isVoter(sid)
  }

  /** The leader and the voters among the learners of which `holds`. */
  voters(holds: (learner: LearnerState) => boolean): Set<number> {
    const sids = new Set([this.#options.sid])
    for (const learner of this) if (this.isVoter(learner) && holds(learner)) sids.add(learner.sid)
    return sids
  }

  /** Whether those are a quorum. */
  isQuorum(holds: (learner: LearnerState) => boolean): boolean {
    return this.#options.quorum.containsQuorum(this.voters(holds))
  }

  /** Everyone who has said who it is. */
  statuses(nowMs: number): LearnerStatus[] {
    return Array.from(this)
      .filter(({ phase }) => phase !== 'greeting')
      .map((learner) => ({
        link: learner.link,
        sid: learner.sid,
        role: learner.role,
        isSynced: learner.phase === 'following' && this.isAlive(learner, nowMs),
        ackedZxid: learner.ackedZxid,
      }))
  }

  /** The proposal goes out to all followers now. */
  onProposed(zxid: bigint, nowMs: number): void {
    for (const link of this.#followers) {
      const learner = this.#states.get(link)!
      if (learner.phase !== 'following') continue
      if (learner.awaited === null) learner.awaited = { zxid, sinceMs: nowMs }
      else learner.awaitedNext = { zxid, sinceMs: nowMs }
    }
  }

  /** A log has what comes before, too: one acknowledgement stands for all up to it. */
  onAcknowledged(learner: LearnerState, zxid: bigint): void {
    if (zxid > learner.ackedZxid) learner.ackedZxid = zxid
    if (learner.awaited === null || zxid < learner.awaited.zxid) return
    learner.awaited = learner.awaitedNext !== null && zxid < learner.awaitedNext.zxid ? learner.awaitedNext : null
    learner.awaitedNext = null
  }

  /** The last transaction that the disks of a quorum have; what is beyond `committedZxid` is new. */
  quorumZxid(loggedZxid: bigint, committedZxid: bigint): bigint {
    const acked: [bigint, number][] = [[loggedZxid, this.#options.sid]]
    for (const learner of this)
      if (learner.phase === 'following' && this.isVoter(learner)) acked.push([learner.ackedZxid, learner.sid])
    acked.sort(([a], [b]) => (a < b ? 1 : a > b ? -1 : 0))
    const sids = new Set<number>()
    for (const [zxid, sid] of acked) {
      sids.add(sid)
      if (zxid <= committedZxid) break
      if (this.#options.quorum.containsQuorum(sids)) return zxid
    }
    return committedZxid
  }

  /** As long as a learner is being prepared it has both limits together. */
  isAlive({ phase, heardMs, connectedMs }: LearnerState, nowMs: number): boolean {
    const { initLimitMs, syncLimitMs } = this.#options
    if (phase === 'following') return nowMs - heardMs <= syncLimitMs
    return phase !== 'greeting' && nowMs - connectedMs <= initLimitMs + syncLimitMs
  }

  /** Why the learner's connection must end; null where it need not. */
  faultOf(learner: LearnerState, nowMs: number): string | null {
    const { initLimitMs, syncLimitMs } = this.#options
    const silentMs = nowMs - learner.heardMs
    const isSilent = `nothing was heard of it for ${silentMs.toFixed(0)} ms`
    switch (learner.phase) {
      case 'known':
      case 'promised':
        // It waits for others.
        return null
      case 'greeting':
        // From a stranger not every byte is a sign of life.
        return nowMs - learner.connectedMs > initLimitMs ? 'it does not say who it is' : null
      case 'invited':
      case 'synchronising':
        return silentMs > initLimitMs ? isSilent : null
      case 'following': {
        const { awaited } = learner
        if (silentMs > syncLimitMs) return isSilent
        if (awaited === null || nowMs - awaited.sinceMs <= syncLimitMs) return null
        return `${hexLong(awaited.zxid)} is not acknowledged after ${syncLimitMs} ms`
      }
    }
  }

  #list(): void {
    const listed = Array.from(this).filter(
      ({ phase }) => phase === 'following' || (phase === 'synchronising' && this.#proposedToFrom === 'synchronising'),
    )
    this.#followers = listed.filter(({ role }) => role === 'follower').map(({ link }) => link)
    this.#observers = listed.filter(({ role }) => role === 'observer').map(({ link }) => link)
  }
}
