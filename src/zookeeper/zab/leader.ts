/**
 * The leader's side of ZAB, from being elected until it is in office no longer.
 *
 *     discovery      FOLLOWERINFO of a quorum: the new epoch is after every epoch that one of it has accepted;
 *                    LEADERINFO to each, ACKEPOCH of a quorum; a follower that is ahead of the leader ends it
 *     synchronise    DIFF, TRUNC or SNAP to each, what it lacks, what is proposed meanwhile, NEWLEADER; ACK of a quorum
 *     broadcast      UPTODATE; PROPOSAL to all while the own log is written, COMMIT in order once a quorum's disks have it
 *
 * What must hold:
 * - The leader counts as one of the quorum only with what its own disk has: accepted epoch, current epoch, transactions.
 * - A learner counts with what it acknowledged on this connection. One that comes again may have cut off what it had
 *   acknowledged before, until it gets it again.
 * - A learner is proposed to from its synchronisation on, so that nothing is missing between that and the rest.
 * - Every tick the living must be a quorum; a learner that is silent, or does not acknowledge, for syncLimit ticks is
 *   not among them.
 *
 * A pure machine: `on…` says what happened, `takeEffects` what must be done, in order. Learners are known by the number
 * of their link. Source: Leader, LearnerHandler.
 */
import { assert, MalformedBytesError } from '#base'
import { type LoggedTxn, epochOf, hexLong, zxidOf } from '#zookeeper/protocol'

import { NO_ENSEMBLE_FAULTS, type EnsembleFaults } from './faults.ts'
import {
  LearnerList,
  type LearnerListOptions,
  type LearnerState,
  type LearnerStatus,
  type LinkNumber,
} from './learner-list.ts'
import type { Proposal } from './learner.ts'
import {
  EPOCH_ACKNOWLEDGED_BEFORE,
  LearnerInfo,
  NO_ZXID,
  PROTOCOL_VERSION,
  PacketType,
  ackEpochOf,
  leaderInfoPacket,
  packet,
  requestOf,
  revalidateOf,
  touchedOf,
  type LearnerRequest,
  type QuorumPacket,
} from './packets.ts'
import { Queue } from './queue.ts'

export interface LeaderOptions extends LearnerListOptions {
  readonly acceptedEpoch: number
  readonly currentEpoch: number
  /** The last transaction in the own log. All of it is on disk and has been applied. */
  readonly lastZxid: bigint
  /** Of the own list of servers; 0 where it never changed. */
  readonly configVersion: bigint
  /** Goes with NEWLEADER. */
  readonly configText: Uint8Array
  readonly tickMs: number
  readonly faults?: EnsembleFaults
}

export type LeaderEffect =
  | { readonly type: 'send'; readonly link: LinkNumber; readonly packet: QuorumPacket }
  /** The same packet to several. */
  | { readonly type: 'forward'; readonly links: readonly LinkNumber[]; readonly packet: QuorumPacket }
  /** DIFF, TRUNC or SNAP, and what the learner lacks of everything that is committed now; what is sent later comes after it. */
  | { readonly type: 'synchronise'; readonly link: LinkNumber; readonly zxid: bigint }
  /** Answered by `onAcceptedEpochWritten` when it is on disk. */
  | { readonly type: 'writeAcceptedEpoch'; readonly epoch: number }
  /** Answered by `onCurrentEpochWritten` when it is on disk. */
  | { readonly type: 'writeCurrentEpoch'; readonly epoch: number }
  /** In office: clients may be served from here on. */
  | { readonly type: 'serve'; readonly epoch: number }
  /** Answered by `onLogged` when it is on disk. */
  | { readonly type: 'append'; readonly proposal: Proposal }
  | { readonly type: 'commit'; readonly proposal: Proposal }
  | { readonly type: 'synced'; readonly ready: () => void }
  | { readonly type: 'request'; readonly link: LinkNumber; readonly request: LearnerRequest }
  | { readonly type: 'touched'; readonly link: LinkNumber; readonly sessions: readonly (readonly [bigint, number])[] }
  | {
      readonly type: 'revalidate'
      readonly link: LinkNumber
      readonly sessionId: bigint
      readonly timeoutMs: number
    }
  | { readonly type: 'disconnect'; readonly link: LinkNumber; readonly reason: string }
  /** The last effect: out of office. */
  | { readonly type: 'over'; readonly reason: string }

interface PendingSync {
  readonly zxid: bigint
  readonly ready: () => void
}

const COUNTER_MAX = 0xffff_ffffn
/** A zxid has 31 bits for it, and a sign. */
const EPOCH_MAX = 0x7fff_ffff

export class Leader {
  readonly #options: LeaderOptions
  readonly #faults: EnsembleFaults
  readonly #learners: LearnerList
  #phase: 'discovery' | 'promising' | 'synchronising' | 'broadcast' | 'over' = 'discovery'
  #effects: LeaderEffect[] = []
  #epoch = 0
  #isAcceptedEpochWritten = false
  #isCurrentEpochWritten = false
  #phaseSinceMs: number
  readonly #startedMs: number
  /** Proposed and not committed, in order. */
  readonly #outstanding = new Queue<Proposal>()
  readonly #syncs = new Queue<PendingSync>()
  #proposedZxid: bigint
  #committedZxid: bigint
  /** The own disk has everything up to here. */
  #loggedZxid: bigint
  #isTickSkipped = true

  constructor(options: LeaderOptions, nowMs: number) {
    this.#options = options
    this.#faults = options.faults ?? NO_ENSEMBLE_FAULTS
    this.#learners = new LearnerList(options, this.#faults.forgetDuringSynchronisation ? 'following' : 'synchronising')
    this.#phaseSinceMs = nowMs
    this.#startedMs = nowMs
    this.#proposedZxid = options.lastZxid
    this.#committedZxid = options.lastZxid
    this.#loggedZxid = options.lastZxid
    this.#decideEpoch(nowMs)
  }

  /** 0 until it is decided. */
  get epoch(): number {
    return this.#epoch
  }

  get isServing(): boolean {
    return this.#phase === 'broadcast'
  }

  /** As admin words show it. Source: QuorumPeer.ZabState. */
  get zabState(): 'discovery' | 'synchronization' | 'broadcast' {
    if (this.#phase === 'broadcast') return 'broadcast'
    return this.#phase === 'synchronising' ? 'synchronization' : 'discovery'
  }

  get proposedZxid(): bigint {
    return this.#proposedZxid
  }

  get committedZxid(): bigint {
    return this.#committedZxid
  }

  /** Syncs that wait for commits. */
  get pendingSyncs(): number {
    return this.#syncs.length
  }

  /** Everyone who has said who it is. */
  learners(nowMs: number): LearnerStatus[] {
    return this.#learners.statuses(nowMs)
  }

  /** -1 before it has said who it is. */
  sidOf(link: LinkNumber): number {
    return this.#learners.get(link)?.sid ?? -1
  }

  takeEffects(): LeaderEffect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  onConnected(link: LinkNumber, nowMs: number): void {
    if (this.#phase === 'over') return
    this.#learners.add(link, nowMs)
  }

  /** It is gone; what it acknowledged counts no longer. */
  onDisconnected(link: LinkNumber): void {
    const learner = this.#learners.get(link)
    if (learner === undefined || this.#phase === 'over') return
    this.#learners.remove(learner)
    this.#judgeLoss()
  }

  /** Part of what the learner is being sent has left: it is alive, if slow. */
  onProgress(link: LinkNumber, nowMs: number): void {
    const learner = this.#learners.get(link)
    if (learner !== undefined) learner.heardMs = nowMs
  }

  onPacket(link: LinkNumber, received: QuorumPacket, nowMs: number): void {
    const learner = this.#learners.get(link)
    if (learner === undefined || this.#phase === 'over') return
    learner.heardMs = nowMs
    try {
      this.#take(learner, received, nowMs)
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error
      this.#disconnect(learner, `a packet of type ${received.type} is not one: ${error.message}`)
    }
  }

  /**
   * A voter looks for a leader in a later round than the one that elected this leader. Nobody who follows does that: when
   * no epoch has come about a tick later, nothing will come of this election.
   */
  onVoterLooksAnew(nowMs: number): void {
    if (this.#phase !== 'discovery' || nowMs - this.#startedMs < this.#options.tickMs) return
    this.#end('voters have changed their mind')
  }

  onAcceptedEpochWritten(nowMs: number): void {
    if (this.#phase === 'over') return
    this.#isAcceptedEpochWritten = true
    this.#countPromises(nowMs)
  }

  onCurrentEpochWritten(nowMs: number): void {
    if (this.#phase === 'over') return
    this.#isCurrentEpochWritten = true
    this.#countEstablished(nowMs)
  }

  /** The own disk has everything up to here. */
  onLogged(zxid: bigint): void {
    if (zxid > this.#loggedZxid) this.#loggedZxid = zxid
    this.#commit()
  }

  /**
   * Proposes the next transaction of the epoch. `bytes` is `logged`, encoded. Out of office nothing happens. Where the
   * counter is used up it goes out of office instead: an election begins another epoch.
   */
  propose(logged: LoggedTxn, bytes: Uint8Array, nowMs: number): void {
    if (this.#phase !== 'broadcast') return
    const { zxid } = logged.header
    if ((zxid & COUNTER_MAX) === COUNTER_MAX) return this.#end('the transactions of this epoch are used up')
    assert(zxid === this.#proposedZxid + 1n, 'a proposal leaves a gap')
    const proposal: Proposal = { zxid, bytes, logged }
    this.#proposedZxid = zxid
    this.#outstanding.push(proposal)
    const { followers } = this.#learners
    if (followers.length > 0)
      this.#effects.push({ type: 'forward', links: followers, packet: packet(PacketType.proposal, zxid, bytes) })
    this.#learners.onProposed(zxid, nowMs)
    this.#effects.push({ type: 'append', proposal })
    return undefined
  }

  /** `ready` is called, as an effect, when everything that was proposed until now is committed. */
  sync(ready: () => void): void {
    if (this.#phase !== 'broadcast') return
    if (this.#outstanding.length === 0) this.#effects.push({ type: 'synced', ready })
    else this.#syncs.push({ zxid: this.#proposedZxid, ready })
  }

  /** Goes out of office. */
  stepDown(reason: string): void {
    this.#end(reason)
  }

  /** Twice in a tick. */
  onTick(nowMs: number): void {
    if (this.#phase === 'over') return
    if (this.#phase !== 'broadcast' && nowMs - this.#phaseSinceMs > this.#options.initLimitMs)
      return this.#end(WAITED_FOR[this.#phase])
    for (const learner of this.#learners) {
      const fault = this.#learners.faultOf(learner, nowMs)
      if (fault !== null) this.#disconnect(learner, fault)
    }
    this.#isTickSkipped = !this.#isTickSkipped
    if (this.#phase === 'broadcast' && !this.#isTickSkipped) {
      const living = this.#learners.voters((learner) => this.#learners.isAlive(learner, nowMs))
      if (!this.#options.quorum.containsQuorum(living))
        return this.#end(`of the voters only ${[...living].join(', ')} are alive`)
    }
    this.#ping()
    return undefined
  }

  #take(learner: LearnerState, received: QuorumPacket, nowMs: number): void {
    switch (learner.phase) {
      case 'greeting':
        return this.#onLearnerInfo(learner, received, nowMs)
      case 'invited':
        return this.#onAckEpoch(learner, received, nowMs)
      case 'synchronising':
        return this.#onFirstAck(learner, received, nowMs)
      case 'following':
        return this.#onFollowing(learner, received)
      case 'known':
      case 'promised':
        return this.#disconnect(learner, `a packet of type ${received.type} came out of turn`)
    }
  }

  #onLearnerInfo(learner: LearnerState, { type, zxid, data }: QuorumPacket, nowMs: number): void {
    if (type !== PacketType.followerInfo && type !== PacketType.observerInfo)
      return this.#disconnect(learner, `a packet of type ${type} came first`)
    const info = LearnerInfo.decode(data ?? new Uint8Array(0))
    if (info.protocolVersion < PROTOCOL_VERSION)
      return this.#disconnect(learner, `its protocol ${info.protocolVersion} is from before ZooKeeper 3.4`)
    if (info.configVersion > this.#options.configVersion)
      return this.#disconnect(learner, `its list of servers is a later one (version ${info.configVersion})`)
    const acceptedEpoch = epochOf(zxid)
    if (acceptedEpoch < 0 || acceptedEpoch >= EPOCH_MAX)
      return this.#disconnect(learner, `it claims epoch ${acceptedEpoch}, after which there is none`)
    learner.sid = Number(info.serverId)
    learner.role = type === PacketType.followerInfo ? 'follower' : 'observer'
    learner.acceptedEpoch = acceptedEpoch
    if (learner.sid === this.#options.sid)
      return this.#disconnect(learner, `it calls itself ${learner.sid}, as this server`)
    this.#learners.advance(learner, 'known')
    for (const other of this.#learners)
      if (other !== learner && other.phase !== 'greeting' && other.sid === learner.sid)
        this.#disconnect(other, 'it has connected anew')
    if (this.#phase === 'discovery') return this.#decideEpoch(nowMs)
    if (this.#learners.isVoter(learner) && learner.acceptedEpoch > this.#epoch)
      return this.#end(
        `server ${learner.sid} has accepted epoch ${learner.acceptedEpoch} and cannot follow in epoch ${this.#epoch}`,
      )
    return this.#invite(learner)
  }

  /** Once a quorum is known, the epoch is the one after all that have been accepted. */
  #decideEpoch(nowMs: number): void {
    if (!this.#learners.isQuorum(({ phase }) => phase === 'known')) return
    let accepted = this.#options.acceptedEpoch
    for (const { phase, acceptedEpoch } of this.#learners)
      if (phase === 'known') accepted = Math.max(accepted, acceptedEpoch)
    this.#epoch = accepted + 1
    this.#enter('promising', nowMs)
    this.#effects.push({ type: 'writeAcceptedEpoch', epoch: this.#epoch })
    for (const learner of this.#learners) if (learner.phase === 'known') this.#invite(learner)
  }

  #invite(learner: LearnerState): void {
    this.#learners.advance(learner, 'invited')
    this.#send(learner, leaderInfoPacket(this.#epoch))
  }

  #onAckEpoch(learner: LearnerState, received: QuorumPacket, nowMs: number): void {
    if (received.type !== PacketType.ackEpoch)
      return this.#disconnect(learner, `a packet of type ${received.type} came instead of ACKEPOCH`)
    const currentEpoch = ackEpochOf(received)
    learner.lastZxid = received.zxid
    if (this.#phase !== 'promising') return this.#synchronise(learner)
    this.#learners.advance(learner, 'promised')
    if (currentEpoch === EPOCH_ACKNOWLEDGED_BEFORE) return undefined
    if (this.#learners.isVoter(learner) && this.#isAhead(currentEpoch, learner.lastZxid))
      return this.#end(
        `server ${learner.sid} is ahead: epoch ${currentEpoch}, ${hexLong(learner.lastZxid)}, ` +
          `and here epoch ${this.#options.currentEpoch}, ${hexLong(this.#options.lastZxid)}`,
      )
    learner.hasPromised = true
    return this.#countPromises(nowMs)
  }

  #isAhead(currentEpoch: number, lastZxid: bigint): boolean {
    const own = this.#options
    return currentEpoch > own.currentEpoch || (currentEpoch === own.currentEpoch && lastZxid > own.lastZxid)
  }

  #countPromises(nowMs: number): void {
    if (this.#phase !== 'promising' || !this.#isAcceptedEpochWritten) return
    if (!this.#learners.isQuorum(({ hasPromised }) => hasPromised)) return
    this.#enter('synchronising', nowMs)
    this.#effects.push({ type: 'writeCurrentEpoch', epoch: this.#epoch })
    for (const learner of this.#learners) if (learner.phase === 'promised') this.#synchronise(learner)
  }

  /** From here on it is proposed to: what is outstanding follows what is committed, and NEWLEADER comes after both. */
  #synchronise(learner: LearnerState): void {
    this.#learners.advance(learner, 'synchronising')
    this.#effects.push({ type: 'synchronise', link: learner.link, zxid: learner.lastZxid })
    if (learner.role === 'follower')
      for (const { zxid, bytes } of this.#outstanding) this.#send(learner, packet(PacketType.proposal, zxid, bytes))
    this.#send(learner, packet(PacketType.newLeader, zxidOf(this.#epoch), this.#options.configText))
  }

  #onFirstAck(learner: LearnerState, { type, zxid }: QuorumPacket, nowMs: number): void {
    if (type !== PacketType.ack || zxid !== zxidOf(this.#epoch))
      return this.#disconnect(
        learner,
        `a packet of type ${type}, zxid ${hexLong(zxid)}, came instead of NEWLEADER's acknowledgement`,
      )
    this.#learners.advance(learner, 'following')
    learner.ackedZxid = zxid
    if (this.#phase === 'broadcast') return this.#send(learner, packet(PacketType.upToDate, NO_ZXID))
    return this.#countEstablished(nowMs)
  }

  /** A quorum has the leader's history and its epoch: it is in office. */
  #countEstablished(nowMs: number): void {
    if (this.#phase !== 'synchronising' || !this.#isCurrentEpochWritten) return
    if (!this.#learners.isQuorum(({ phase }) => phase === 'following')) return
    this.#enter('broadcast', nowMs)
    const beginning = zxidOf(this.#epoch)
    this.#proposedZxid = beginning
    this.#committedZxid = beginning
    this.#loggedZxid = beginning
    this.#effects.push({ type: 'serve', epoch: this.#epoch })
    for (const learner of this.#learners)
      if (learner.phase === 'following') this.#send(learner, packet(PacketType.upToDate, NO_ZXID))
  }

  #onFollowing(learner: LearnerState, received: QuorumPacket): void {
    const { link } = learner
    switch (received.type) {
      case PacketType.ack:
        return this.#onAck(learner, received.zxid)
      case PacketType.ping:
        this.#effects.push({ type: 'touched', link, sessions: touchedOf(received) })
        return undefined
      case PacketType.request:
        if (this.#phase === 'broadcast') this.#effects.push({ type: 'request', link, request: requestOf(received) })
        return undefined
      case PacketType.revalidate:
        if (this.#phase === 'broadcast') this.#effects.push({ type: 'revalidate', link, ...revalidateOf(received) })
        return undefined
      default:
        return this.#disconnect(learner, `a packet of type ${received.type} is not a learner's`)
    }
  }

  #onAck(learner: LearnerState, zxid: bigint): void {
    // The second acknowledgement of NEWLEADER, after UPTODATE, and any of an earlier epoch.
    if (zxid <= zxidOf(this.#epoch)) return undefined
    if (zxid > this.#proposedZxid)
      return this.#disconnect(learner, `it acknowledges ${hexLong(zxid)}, which was not proposed`)
    this.#learners.onAcknowledged(learner, zxid)
    return this.#commit()
  }

  /** Commits, in order, everything that a quorum has. */
  #commit(): void {
    if (this.#phase !== 'broadcast') return
    const upToZxid = this.#quorumZxid()
    if (this.#faults.commitOutOfOrder) return this.#commitBackwards(upToZxid)
    for (let head = this.#outstanding.first(); head !== undefined && head.zxid <= upToZxid;) {
      this.#outstanding.shift()
      this.#commitOne(head)
      head = this.#outstanding.first()
    }
  }

  /** Breaks the rule above, for the simulation. */
  #commitBackwards(upToZxid: bigint): void {
    const ready: Proposal[] = []
    for (let head = this.#outstanding.first(); head !== undefined && head.zxid <= upToZxid;) {
      ready.push(head)
      this.#outstanding.shift()
      head = this.#outstanding.first()
    }
    for (const proposal of ready.reverse()) this.#commitOne(proposal)
  }

  #commitOne(proposal: Proposal): void {
    const { zxid, bytes } = proposal
    this.#committedZxid = zxid
    const { followers, observers } = this.#learners
    if (followers.length > 0)
      this.#effects.push({ type: 'forward', links: followers, packet: packet(PacketType.commit, zxid) })
    if (observers.length > 0)
      this.#effects.push({ type: 'forward', links: observers, packet: packet(PacketType.inform, zxid, bytes) })
    this.#effects.push({ type: 'commit', proposal })
    for (let next = this.#syncs.first(); next !== undefined && next.zxid <= zxid; next = this.#syncs.first()) {
      this.#syncs.shift()
      this.#effects.push({ type: 'synced', ready: next.ready })
    }
  }

  /** The last transaction that the disks of a quorum have. */
  #quorumZxid(): bigint {
    if (this.#outstanding.length === 0) return this.#committedZxid
    if (this.#faults.commitWithoutQuorum) return this.#loggedZxid
    return this.#learners.quorumZxid(this.#loggedZxid, this.#committedZxid)
  }

  /** Those who have acknowledged NEWLEADER measure our silence from then on. */
  #ping(): void {
    const pinged: LinkNumber[] = []
    for (const { phase, link } of this.#learners) if (phase === 'following') pinged.push(link)
    if (pinged.length > 0)
      this.#effects.push({ type: 'forward', links: pinged, packet: packet(PacketType.ping, this.#proposedZxid) })
  }

  /** Before it is in office a leader whose quorum falls apart again makes way at once, rather than wait for it. */
  #judgeLoss(): void {
    if (this.#phase !== 'promising' && this.#phase !== 'synchronising') return
    if (this.#learners.isQuorum(({ phase }) => phase !== 'greeting')) return
    this.#end('its followers have left before it was in office')
  }

  #enter(phase: 'promising' | 'synchronising' | 'broadcast', nowMs: number): void {
    this.#phase = phase
    this.#phaseSinceMs = nowMs
  }

  #send({ link }: LearnerState, sent: QuorumPacket): void {
    this.#effects.push({ type: 'send', link, packet: sent })
  }

  #disconnect(learner: LearnerState, reason: string): void {
    this.#learners.remove(learner)
    this.#effects.push({ type: 'disconnect', link: learner.link, reason })
    this.#judgeLoss()
  }

  #end(reason: string): void {
    if (this.#phase === 'over') return
    this.#phase = 'over'
    this.#effects.push({ type: 'over', reason })
  }
}

const WAITED_FOR = {
  discovery: 'no quorum of followers has come',
  promising: 'no quorum has acknowledged the epoch',
  synchronising: 'no quorum has synchronised',
} as const
