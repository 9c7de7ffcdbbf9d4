/**
 * Who leads: fast leader election, as a value. Servers tell each other their votes, go over to any better one, and are done
 * when a quorum has the same. The zxids that votes carry are logged, not committed, so the winner has everything that a
 * quorum may have acknowledged.
 *
 * The election need not be right: whatever it says, discovery lets one leader begin an epoch. It has to end, soon, and with
 * one who knows most.
 *
 * Source: FastLeaderElection.lookForLeader. What is ours:
 * - It waits for a better vote for 50 ms instead of 200, and not at all when every voter has been heard. What arrives meanwhile
 *   counts, where Apache's server lets it fall.
 * - Whoever is new in the round, or votes for a worse server, is told the own vote at once, where Apache's server asks again
 *   after 200 ms and more: those who notice the loss of a leader a moment later do not wait for that.
 * - It looks for connections every second, however long it waits to ask again: a server that was cut off comes back soon.
 */
import { NOTIFICATION_VERSION, type Notification } from './notification.ts'
import type { Quorum } from './quorum.ts'
import { blankVote, isBetter, isSame, isSameOffice, type CastVote, type PeerState, type Vote } from './vote.ts'

export interface ElectionOptions {
  readonly sid: number
  readonly role: 'participant' | 'observer'
  readonly quorum: Quorum
  /** Goes with every notification: how the servers know of a newer list. */
  readonly configText: string
  readonly finalizeWaitMs: number
  readonly notificationIntervalMinMs: number
  readonly notificationIntervalMaxMs: number
}

/** What the own log and files say at the start of an election. */
export interface Position {
  /** Of the last logged transaction. -1: this server knows that its data is gone, and has no say. */
  readonly zxid: bigint
  /** `currentEpoch`. */
  readonly peerEpoch: number
}

export type Office = Exclude<PeerState, 'looking'>

export type ElectionEffect =
  | { readonly type: 'send'; readonly to: number; readonly notification: Notification }
  /** Whoever is not connected should be, and gets the last message then. */
  | { readonly type: 'connectAll' }
  | { readonly type: 'decided'; readonly role: Office; readonly vote: Vote }

/** However long it waits to ask again: whoever can be reached anew gets the last message at once. */
const CONNECT_INTERVAL_MS = 1000
/** Of a server that has no data and may not pretend that an empty tree is all there was. */
const NO_DATA = -1n

export class Election {
  readonly #options: ElectionOptions
  #state: PeerState = 'looking'
  /** Null before the first start: then nothing is known, nothing is said. */
  #position: Position | null = null
  /** The number of this election. Invariant: never goes down but to join servers in office. */
  #round = 0
  /** What it votes for; in office, the vote that brought it there. */
  #vote: Vote = blankVote(0)
  /** The newest vote of each voter in this round, its own among them. */
  readonly #cast = new Map<number, CastVote>()
  /** Of servers that are in office already, whatever their round. */
  readonly #inOffice = new Map<number, CastVote>()
  /** Votes of later rounds that came when this one was all but decided: answered from office, or counted after all. */
  readonly #late = new Map<number, Notification>()
  /** A quorum agrees; decided then, unless something better comes. */
  #finalAtMs: number | null = null
  #resendAtMs = 0
  #connectAtMs = 0
  #intervalMs = 0
  #effects: ElectionEffect[] = []

  constructor(options: ElectionOptions) {
    this.#options = options
  }

  get state(): PeerState {
    return this.#state
  }

  get currentVote(): Vote {
    return this.#vote
  }

  /** When `onTick` has something to do; null: not before something else happens. */
  get nextTickMs(): number | null {
    if (this.#state !== 'looking' || this.#position === null) return null
    return Math.min(this.#finalAtMs ?? Infinity, this.#resendAtMs, this.#connectAtMs)
  }

  takeEffects(): ElectionEffect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  /** Out of office, or the first time: a new round. */
  start(position: Position, nowMs: number): void {
    this.#state = 'looking'
    this.#position = position
    this.#inOffice.clear()
    this.#late.clear()
    this.#intervalMs = this.#options.notificationIntervalMinMs
    this.#beginRound(this.#round + 1)
    this.#propose(this.#ownVote(), nowMs)
    this.#connectAll(nowMs)
    this.#decideIfAgreed(nowMs)
  }

  /** The leader of the present office has begun its epoch: what it and its learners report from now on. */
  epochEstablished(epoch: number): void {
    if (this.#state !== 'looking') this.#vote = { ...this.#vote, peerEpoch: epoch }
  }

  onNotification(from: number, notification: Notification, nowMs: number): void {
    const { quorum } = this.#options
    if (this.#position === null) return
    if (this.#state !== 'looking' || !quorum.isVoter(from)) {
      if (notification.state === 'looking') this.#answer(from)
      return
    }
    if (!quorum.isVoter(notification.leader)) return
    switch (notification.state) {
      case 'looking':
        return this.#onVote(from, notification, nowMs)
      case 'following':
      case 'leading':
        return this.#onOffice(from, notification)
      case 'observing':
        return
    }
  }

  onTick(nowMs: number): void {
    if (this.#state !== 'looking' || this.#position === null) return
    if (this.#finalAtMs !== null && nowMs >= this.#finalAtMs) return this.#takeOffice(this.#vote)
    if (nowMs >= this.#connectAtMs) this.#connectAll(nowMs)
    if (nowMs < this.#resendAtMs) return
    this.#intervalMs = Math.min(this.#intervalMs * 2, this.#options.notificationIntervalMaxMs)
    this.#broadcast(nowMs)
  }

  #onVote(from: number, notification: Notification, nowMs: number): void {
    if (notification.electionEpoch < this.#round) return this.#answer(from)
    if (this.#position!.zxid === NO_DATA || notification.zxid === NO_DATA) return
    const { quorum } = this.#options
    const better = isBetter(notification, this.#vote, quorum)
    if (notification.electionEpoch > this.#round) {
      if (this.#finalAtMs !== null && !better) return void this.#late.set(from, notification)
      this.#beginRound(notification.electionEpoch)
      const own = this.#ownVote()
      this.#propose(isBetter(notification, own, quorum) ? notification : own, nowMs)
    } else if (better) this.#propose(notification, nowMs)
    else if (!this.#cast.has(from) || isBetter(this.#vote, notification, quorum)) this.#answer(from)
    this.#cast.set(from, notification)
    this.#decideIfAgreed(nowMs)
    this.#countLate(nowMs)
  }

  /** A leader is believed when a quorum follows it and it says so itself; oneself, when it is for this round. */
  #onOffice(from: number, notification: Notification): void {
    const { leader, electionEpoch } = notification
    const isThisRound = electionEpoch === this.#round
    const leads = (votes: ReadonlyMap<number, CastVote>): boolean =>
      leader === this.#options.sid ? isThisRound : votes.get(leader)?.state === 'leading'
    if (isThisRound) {
      this.#cast.set(from, notification)
      const agrees = (vote: CastVote): boolean =>
        vote.state === 'looking' ? isSame(vote, notification) : vote.leader === leader
      if (this.#isQuorum(this.#cast, agrees) && leads(this.#cast)) return this.#takeOffice(notification)
    }
    this.#inOffice.set(from, notification)
    if (!this.#isQuorum(this.#inOffice, (vote) => isSameOffice(vote, notification)) || !leads(this.#inOffice)) return
    this.#round = electionEpoch
    this.#takeOffice(notification)
  }

  #decideIfAgreed(nowMs: number): void {
    const { quorum, finalizeWaitMs } = this.#options
    if (!this.#isQuorum(this.#cast, (vote) => isSame(vote, this.#vote))) this.#finalAtMs = null
    else if (quorum.voters.every((sid) => this.#cast.has(sid))) this.#takeOffice(this.#vote)
    else this.#finalAtMs ??= nowMs + finalizeWaitMs
  }

  /** The round was not decided after all. */
  #countLate(nowMs: number): void {
    if (this.#finalAtMs !== null || this.#state !== 'looking') return
    const late = [...this.#late]
    this.#late.clear()
    for (const [from, notification] of late) this.onNotification(from, notification, nowMs)
  }

  #isQuorum(votes: ReadonlyMap<number, CastVote>, agrees: (vote: CastVote) => boolean): boolean {
    const sids = new Set<number>()
    for (const [sid, vote] of votes) if (agrees(vote)) sids.add(sid)
    return this.#options.quorum.containsQuorum(sids)
  }

  #takeOffice({ leader, zxid, electionEpoch, peerEpoch }: Vote): void {
    const { sid, role } = this.#options
    const office = leader === sid ? 'leading' : role === 'participant' ? 'following' : 'observing'
    this.#state = office
    this.#vote = { leader, zxid, electionEpoch, peerEpoch }
    this.#finalAtMs = null
    this.#effects.push({ type: 'decided', role: office, vote: this.#vote })
    for (const from of this.#late.keys()) this.#answer(from)
    this.#late.clear()
  }

  #beginRound(round: number): void {
    this.#round = round
    this.#cast.clear()
    this.#finalAtMs = null
  }

  #ownVote(): Vote {
    const { sid, quorum } = this.#options
    if (!quorum.isVoter(sid)) return blankVote(this.#round)
    return { leader: sid, ...this.#position!, electionEpoch: this.#round }
  }

  #propose({ leader, zxid, peerEpoch }: Vote, nowMs: number): void {
    const { sid, quorum } = this.#options
    this.#vote = { leader, zxid, peerEpoch, electionEpoch: this.#round }
    this.#finalAtMs = null
    if (quorum.isVoter(sid)) this.#cast.set(sid, this.#notification())
    this.#broadcast(nowMs)
  }

  #connectAll(nowMs: number): void {
    this.#effects.push({ type: 'connectAll' })
    this.#connectAtMs = nowMs + CONNECT_INTERVAL_MS
  }

  #broadcast(nowMs: number): void {
    const { sid, quorum } = this.#options
    for (const to of quorum.voters) if (to !== sid) this.#answer(to)
    this.#resendAtMs = nowMs + this.#intervalMs
  }

  #answer(to: number): void {
    this.#effects.push({ type: 'send', to, notification: this.#notification() })
  }

  #notification(): Notification {
    return { ...this.#vote, state: this.#state, version: NOTIFICATION_VERSION, config: this.#options.configText }
  }
}
