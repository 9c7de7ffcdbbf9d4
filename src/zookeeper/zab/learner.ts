/**
 * The learner's side of ZAB: a follower or an observer, from its first word to its leader until the two part.
 *
 *     discovery      FOLLOWERINFO ->  <- LEADERINFO   accepted epoch on disk   ACKEPOCH ->
 *     synchronise    <- DIFF | TRUNC | SNAP, PROPOSAL and COMMIT of each missing transaction, NEWLEADER
 *                    everything on disk, then the current epoch on disk        ACK ->
 *     broadcast      <- UPTODATE   ACK ->   serve;   <- PROPOSAL   on disk   ACK ->   <- COMMIT   apply
 *
 * What must hold:
 * - An epoch is on disk before it is acknowledged, and the current epoch comes after everything that it stands for
 *   (ZOOKEEPER-3911, 4643, 4646, 4685, 4785): whoever has acknowledged NEWLEADER can lead with that history.
 * - A proposal is acknowledged once the disk has it; observers acknowledge none.
 * - There is no gap: a transaction follows the one before it, or begins a later epoch. What is not so is not taken.
 * - Commits come in the order of the proposals; one that does not match the head says that two servers have come to
 *   different histories, and this one stops.
 *
 * A pure machine: `on…` says what happened, `takeEffects` what must be done, in order.
 * Source: Learner.registerWithLeader and syncWithLeader, Follower.processPacket, Observer.processPacket.
 */
import { assert, MalformedBytesError } from '#base'
import { LoggedTxn, counterOf, epochOf, follows, hexLong, zxidOf, type LoggedBytes } from '#zookeeper/protocol'

import { NO_ENSEMBLE_FAULTS, type EnsembleFaults } from './faults.ts'
import {
  EPOCH_ACKNOWLEDGED_BEFORE,
  PacketType,
  ackEpochPacket,
  informedBytes,
  learnerInfoPacket,
  packet,
  revalidatedOf,
  type QuorumPacket,
} from './packets.ts'
import { Queue } from './queue.ts'

export type LearnerRole = 'follower' | 'observer'

export interface LearnerOptions {
  readonly sid: number
  readonly role: LearnerRole
  readonly acceptedEpoch: number
  readonly currentEpoch: number
  /** The last transaction in the own log. All of it is on disk and has been applied. */
  readonly lastZxid: bigint
  /** Of the own list of servers; 0 where it never changed. */
  readonly configVersion: bigint
  /** ms of silence that are too many until NEWLEADER is acknowledged, and from then on. */
  readonly initLimitMs: number
  readonly syncLimitMs: number
  /**
   * In this epoch the leader is asked for everything it has: it builds upon a transaction that the own data cannot be taken back to
   * (another leader's snapshot, which that one could never commit, holds later ones). null: in none.
   */
  readonly snapshotWantedIn?: number | null
  readonly faults?: EnsembleFaults
}

/** A transaction, and how it is logged. */
export interface Proposal extends LoggedBytes {
  readonly logged: LoggedTxn
}

export type LearnerEffect =
  | { readonly type: 'send'; readonly packet: QuorumPacket }
  /** Answered by `onAcceptedEpochWritten` when it is on disk. */
  | { readonly type: 'writeAcceptedEpoch'; readonly epoch: number }
  /** Cuts the own log after this transaction. Answered by `onSynchronised` when that is durable. */
  | { readonly type: 'truncate'; readonly zxid: bigint }
  /** A snapshot as of this transaction follows on the connection. Answered by `onSynchronised` when it is durable and in memory. */
  | { readonly type: 'loadSnapshot'; readonly zxid: bigint }
  /** Answered by `onLogged` when it is on disk. */
  | { readonly type: 'append'; readonly proposal: Proposal }
  | { readonly type: 'commit'; readonly proposal: Proposal }
  /** Answered by `onCurrentEpochWritten` when it is on disk. */
  | { readonly type: 'writeCurrentEpoch'; readonly epoch: number }
  /** Clients may be served from here on. */
  | { readonly type: 'serve'; readonly epoch: number }
  /** The sessions that were heard of go into the answer. */
  | { readonly type: 'answerPing'; readonly zxid: bigint }
  | { readonly type: 'revalidated'; readonly sessionId: bigint; readonly valid: boolean }
  /** Answers the oldest sync that waits. */
  | { readonly type: 'synced' }
  /** The last effect. `fatal`: this server must not go on. */
  | { readonly type: 'over'; readonly reason: string; readonly fatal: boolean }

type Phase =
  /** FOLLOWERINFO is sent. */
  | 'discovery'
  /** The accepted epoch is on its way to the disk. */
  | 'accepting'
  /** ACKEPOCH is sent. */
  | 'accepted'
  /** A TRUNC or SNAP is being carried out: the driver hands no packet in. */
  | 'replacing'
  /** Missing transactions arrive. */
  | 'synchronising'
  /** NEWLEADER has come; log and current epoch are on their way to the disk. */
  | 'establishing'
  /** NEWLEADER is acknowledged. */
  | 'established'
  | 'broadcast'
  | 'over'

export class Learner {
  readonly #options: LearnerOptions
  readonly #faults: EnsembleFaults
  #phase: Phase = 'discovery'
  #effects: LearnerEffect[] = []
  #epoch = 0
  /** The leader has been told of an empty history, to get a snapshot. */
  #wantsSnapshot = false
  /** The last transaction that was received, and the last that was committed. Invariant: committed ≤ last. */
  #lastZxid: bigint
  #committedZxid: bigint
  /** The last transaction that was handed to the log, and the last that the disk has. */
  #appendedZxid: bigint
  #loggedZxid: bigint
  /** Received and not committed, in order. */
  readonly #pending = new Queue<Proposal>()
  /** Proposed since NEWLEADER was acknowledged, or uncommitted then, and not acknowledged. */
  readonly #unacknowledged = new Queue<bigint>()
  /** The disk must have this before NEWLEADER is acknowledged. */
  #barrierZxid = 0n
  #heardMs: number

  constructor(options: LearnerOptions, nowMs: number) {
    this.#options = options
    this.#faults = options.faults ?? NO_ENSEMBLE_FAULTS
    this.#lastZxid = options.lastZxid
    this.#committedZxid = options.lastZxid
    this.#appendedZxid = options.lastZxid
    this.#loggedZxid = options.lastZxid
    this.#heardMs = nowMs
    this.#send(learnerInfoPacket(options.role, options))
  }

  /** 0 until the leader has named it. */
  get epoch(): number {
    return this.#epoch
  }

  get isServing(): boolean {
    return this.#phase === 'broadcast'
  }

  /** As admin words show it. Source: QuorumPeer.ZabState. */
  get zabState(): 'discovery' | 'synchronization' | 'broadcast' {
    if (this.#phase === 'broadcast') return 'broadcast'
    return ['discovery', 'accepting'].includes(this.#phase) ? 'discovery' : 'synchronization'
  }

  takeEffects(): LearnerEffect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  /** Bytes have come, whether or not they made a packet. */
  onHeard(nowMs: number): void {
    this.#heardMs = nowMs
  }

  onPacket(received: QuorumPacket, nowMs: number): void {
    if (this.#phase === 'over') return
    this.#heardMs = nowMs
    try {
      this.#take(received)
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error
      this.#end(`the leader sent a packet of type ${received.type} that is not one: ${error.message}`)
    }
  }

  /** The connection is gone, or never came to be. */
  onDisconnected(reason: string): void {
    this.#end(reason)
  }

  onTick(nowMs: number): void {
    const limitMs = this.#silenceMaxMs()
    if (nowMs - this.#heardMs > limitMs) this.#end(`nothing was heard of the leader for ${limitMs} ms`)
  }

  onAcceptedEpochWritten(nowMs: number): void {
    if (this.#phase !== 'accepting') return
    this.#heardMs = nowMs
    this.#acknowledgeEpoch(this.#options.currentEpoch)
  }

  /** What TRUNC or SNAP asked for is durable. `lastZxid` is the last transaction of the own history now. */
  onSynchronised(lastZxid: bigint, wantedZxid: bigint, nowMs: number): void {
    if (this.#phase !== 'replacing') return
    this.#heardMs = nowMs
    if (lastZxid !== wantedZxid && !this.#faults.skipTruncation) {
      // The beginning of an epoch is in no log; everything else that the leader builds upon must be there.
      if (lastZxid > wantedZxid || counterOf(wantedZxid) !== 0)
        return this.#end(`the leader builds upon ${hexLong(wantedZxid)}, and the own log ends at ${hexLong(lastZxid)}`)
    }
    this.#lastZxid = wantedZxid
    this.#committedZxid = wantedZxid
    this.#appendedZxid = wantedZxid
    this.#loggedZxid = wantedZxid
    this.#phase = 'synchronising'
    return undefined
  }

  /** The disk has everything up to here. */
  onLogged(zxid: bigint, nowMs: number): void {
    if (zxid > this.#loggedZxid) this.#loggedZxid = zxid
    this.#establish(nowMs)
    this.#acknowledge()
  }

  onCurrentEpochWritten(nowMs: number): void {
    if (this.#phase !== 'establishing') return
    this.#heardMs = nowMs
    this.#phase = 'established'
    this.#send(packet(PacketType.ack, zxidOf(this.#epoch)))
    if (this.#options.role === 'follower') for (const { zxid } of this.#pending) this.#unacknowledged.push(zxid)
    this.#acknowledge()
    if (this.#faults.serveBeforeUpToDate) this.#effects.push({ type: 'serve', epoch: this.#epoch })
  }

  #take(received: QuorumPacket): void {
    switch (this.#phase) {
      case 'discovery':
        return this.#onLeaderInfo(received)
      case 'accepted':
        return this.#onPlan(received)
      case 'synchronising':
      case 'establishing':
      case 'established':
      case 'broadcast':
        return this.#onBroadcast(received)
      case 'accepting':
      case 'replacing':
        return this.#end(`the leader sent a packet of type ${received.type} without waiting`)
      case 'over':
        return undefined
    }
  }

  #onLeaderInfo({ type, zxid }: QuorumPacket): void {
    if (type !== PacketType.leaderInfo) return this.#end(`the leader began with a packet of type ${type}`)
    const epoch = epochOf(zxid)
    const { acceptedEpoch } = this.#options
    if (epoch < acceptedEpoch)
      return this.#end(`the leader's epoch ${epoch} is before the accepted one, ${acceptedEpoch}`)
    this.#epoch = epoch
    if (epoch === acceptedEpoch) {
      this.#wantsSnapshot = epoch === this.#options.snapshotWantedIn
      return this.#acknowledgeEpoch(EPOCH_ACKNOWLEDGED_BEFORE)
    }
    this.#phase = 'accepting'
    this.#effects.push({ type: 'writeAcceptedEpoch', epoch })
    return undefined
  }

  #acknowledgeEpoch(currentEpoch: number): void {
    this.#phase = 'accepted'
    // Who has nothing gets a snapshot, from Apache's leaders, too. The own history was judged when this epoch was acknowledged first.
    this.#send(ackEpochPacket(this.#wantsSnapshot ? 0n : this.#options.lastZxid, currentEpoch))
  }

  #onPlan({ type, zxid }: QuorumPacket): void {
    if (this.#wantsSnapshot && type !== PacketType.snap)
      return this.#end(`the leader was asked for a snapshot and sent a packet of type ${type}`, true)
    switch (type) {
      case PacketType.diff:
        this.#phase = 'synchronising'
        return
      case PacketType.trunc:
        this.#phase = 'replacing'
        this.#effects.push({ type: 'truncate', zxid })
        return
      case PacketType.snap:
        this.#phase = 'replacing'
        this.#effects.push({ type: 'loadSnapshot', zxid })
        return
      default:
        this.#end(`the leader sent a packet of type ${type} where DIFF, TRUNC or SNAP was due`)
    }
  }

  #onBroadcast(received: QuorumPacket): void {
    const { type, zxid } = received
    switch (type) {
      case PacketType.proposal:
        return this.#onProposal(proposalOf(received))
      case PacketType.commit:
      case PacketType.commitAndActivate:
        return this.#onCommit(zxid)
      case PacketType.inform:
      case PacketType.informAndActivate:
        return this.#onInform(proposalOf(received))
      case PacketType.newLeader:
        return this.#onNewLeader(zxid)
      case PacketType.upToDate:
        return this.#onUpToDate()
      case PacketType.ping:
        // Before NEWLEADER is acknowledged the leader takes no other packet than that.
        if (this.#isEstablished()) this.#effects.push({ type: 'answerPing', zxid })
        return undefined
      case PacketType.revalidate:
        if (this.#phase === 'broadcast') this.#effects.push({ type: 'revalidated', ...revalidatedOf(received) })
        return undefined
      case PacketType.sync:
        if (this.#phase === 'broadcast') this.#effects.push({ type: 'synced' })
        return undefined
      default:
        return this.#end(`the leader sent a packet of type ${type}`)
    }
  }

  #onProposal(proposal: Proposal): void {
    // A leader may propose again what its snapshot has already: it goes on while the snapshot is being written.
    if (!this.#continues(proposal)) return
    const isObserver = this.#options.role === 'observer'
    if (isObserver && this.#phase === 'broadcast') return
    this.#lastZxid = proposal.zxid
    this.#pending.push(proposal)
    if (isObserver) return
    this.#append(proposal)
    if (this.#isEstablished()) this.#unacknowledged.push(proposal.zxid)
  }

  #onCommit(zxid: bigint): void {
    const isObserver = this.#options.role === 'observer'
    if (zxid <= this.#committedZxid || (isObserver && this.#phase === 'broadcast')) return
    const head = this.#pending.first()
    if (head?.zxid !== zxid && !this.#faults.commitOutOfOrder)
      return this.#end(
        `the leader commits ${hexLong(zxid)}, and ${head === undefined ? 'nothing' : hexLong(head.zxid)} is the next proposal here`,
        true,
      )
    const proposal = this.#pending.shift()
    if (proposal === undefined) return
    if (isObserver) this.#append(proposal)
    this.#commit(proposal)
  }

  /** An observer hears of a transaction once it is committed; of some it has heard before, as proposals. */
  #onInform(proposal: Proposal): void {
    if (this.#options.role !== 'observer') return this.#end('the leader takes this follower for an observer')
    const head = this.#pending.first()
    if (head?.zxid === proposal.zxid) this.#pending.shift()
    else if (!this.#continues(proposal)) return undefined
    if (proposal.zxid > this.#lastZxid) this.#lastZxid = proposal.zxid
    this.#append(proposal)
    this.#commit(proposal)
    return undefined
  }

  /** Whether it is a transaction that comes next, rather than one that is known. Ends everything when one is missing before it. */
  #continues({ zxid }: Proposal): boolean {
    if (zxid <= this.#lastZxid) return false
    if (follows(zxid, this.#lastZxid) || this.#faults.forgetDuringSynchronisation) return true
    this.#end(`the leader goes on with ${hexLong(zxid)}, and the own history ends at ${hexLong(this.#lastZxid)}`)
    return false
  }

  #onNewLeader(zxid: bigint): void {
    if (this.#phase !== 'synchronising') return this.#end('the leader sent NEWLEADER twice')
    if (zxid !== zxidOf(this.#epoch))
      return this.#end(`NEWLEADER is about epoch ${epochOf(zxid)}, and ${this.#epoch} was proposed`)
    this.#phase = 'establishing'
    this.#barrierZxid = this.#appendedZxid
    if (this.#faults.acknowledgeNewLeaderEarly) this.#barrierZxid = 0n
    this.#establish(this.#heardMs)
    return undefined
  }

  /** First what was received, then the epoch. */
  #establish(nowMs: number): void {
    if (this.#phase !== 'establishing' || this.#loggedZxid < this.#barrierZxid) return
    // Asked for once: no zxid comes before this one.
    this.#barrierZxid = ASKED_FOR
    if (this.#epoch === this.#options.currentEpoch) this.onCurrentEpochWritten(nowMs)
    else this.#effects.push({ type: 'writeCurrentEpoch', epoch: this.#epoch })
  }

  #onUpToDate(): void {
    if (this.#phase !== 'established') return this.#end('the leader sent UPTODATE before NEWLEADER was acknowledged')
    this.#phase = 'broadcast'
    this.#send(packet(PacketType.ack, zxidOf(this.#epoch)))
    if (this.#options.role === 'observer') this.#forgetUninformed()
    if (!this.#faults.serveBeforeUpToDate) this.#effects.push({ type: 'serve', epoch: this.#epoch })
    return undefined
  }

  /** An observer that was told of proposals while it synchronised gets them again, as INFORM, once they are committed. */
  #forgetUninformed(): void {
    this.#pending.clear()
    this.#lastZxid = this.#committedZxid
  }

  #append(proposal: Proposal): void {
    assert(proposal.zxid > this.#appendedZxid, 'the log goes back')
    this.#appendedZxid = proposal.zxid
    this.#effects.push({ type: 'append', proposal })
  }

  #commit(proposal: Proposal): void {
    this.#committedZxid = proposal.zxid
    this.#effects.push({ type: 'commit', proposal })
  }

  #acknowledge(): void {
    if (!this.#isEstablished()) return
    for (let next = this.#unacknowledged.first(); next !== undefined && next <= this.#loggedZxid;) {
      this.#send(packet(PacketType.ack, next))
      this.#unacknowledged.shift()
      next = this.#unacknowledged.first()
    }
  }

  #isEstablished(): boolean {
    return this.#phase === 'established' || this.#phase === 'broadcast'
  }

  /** While the own disk is busy it is not the leader who is silent; a leader that dies closes the connection. */
  #silenceMaxMs(): number {
    switch (this.#phase) {
      case 'discovery':
      case 'accepted':
      case 'synchronising':
        return this.#options.initLimitMs
      case 'established':
      case 'broadcast':
        return this.#options.syncLimitMs
      case 'replacing':
        return this.#options.initLimitMs
      case 'accepting':
      case 'establishing':
      case 'over':
        return Infinity
    }
  }

  #send(sent: QuorumPacket): void {
    this.#effects.push({ type: 'send', packet: sent })
  }

  #end(reason: string, fatal = false): void {
    if (this.#phase === 'over') return
    this.#phase = 'over'
    this.#effects.push({ type: 'over', reason, fatal })
  }
}

const ASKED_FOR = 1n << 64n

function proposalOf(received: QuorumPacket): Proposal {
  const bytes = informedBytes(received)
  const logged = LoggedTxn.decode(bytes)
  if (logged.header.zxid !== received.zxid)
    throw new MalformedBytesError(`its zxid ${hexLong(received.zxid)} is not its transaction's`)
  return { zxid: received.zxid, bytes, logged }
}
