/**
 * One partition as this broker has it: as its leader, as a follower, or with nothing heard yet. The role changes by
 * LeaderAndIsr only, synchronously and as a whole; what waits for the old role is answered then.
 *
 * Rules of the leader (facts 1.2, 1.3; upstream `Partition`): the high watermark is the least end among the
 * leader, the maximal ISR and whoever is caught up and may join; it never goes back in an epoch, and does not move while
 * the ISR is smaller than `min.insync.replicas`.
 */
import { assert } from '#base'
import type { Clock, Logger } from '#platform'
import { ErrorCode } from '#protocol'
import type { Log } from '#storage'

import type { Faults } from './faults.ts'
import type { IsrChangeOutcome, IsrChanges } from './isr-changes.ts'
import { committed, maximalIsr, pending, type IsrState, type PendingIsr } from './isr-state.ts'
import { LeadershipProofs } from './leadership-proofs.ts'
import { OffsetQueue, type OffsetWait } from './offset-queue.ts'
import type { MetadataView } from './ports.ts'
import { chooseReadReplica } from './read-replica.ts'
import { RemoteReplica } from './remote-replica.ts'
import type { ReplicationConfig } from './replication-config.ts'
import { isThrottled, type ReplicationQuota } from './replication-quota.ts'

/** What the partitions of a broker share. */
export interface PartitionContext {
  readonly brokerId: number
  readonly clock: Clock
  readonly logger: Logger
  readonly config: ReplicationConfig
  readonly metadata: MetadataView
  readonly isrChanges: IsrChanges
  readonly quotas: ReplicationQuotas
  readonly faults: Faults
  /** The high watermark of a partition that is led here has moved. */
  highWatermarkMoved(partition: Partition): void
}

/** Shared by all partitions of a broker: what it sends to throttled followers, and what it fetches as one. */
export interface ReplicationQuotas {
  readonly leader: ReplicationQuota
  readonly follower: ReplicationQuota
}

/** What a controller says of a partition. */
export interface LeadershipState {
  readonly leader: number
  readonly leaderEpoch: number
  readonly isr: readonly number[]
  readonly partitionEpoch: number
  readonly replicas: readonly number[]
  readonly addingReplicas: readonly number[]
  readonly removingReplicas: readonly number[]
}

export type Role =
  | { readonly kind: 'none' }
  | LeaderRole
  | { readonly kind: 'follower'; readonly leader: number }
  /** The replica's directory has failed; nothing helps but a new start. */
  | { readonly kind: 'offline' }

export interface LeaderRole {
  readonly kind: 'leader'
  /** Where the leader's log ended when it took over. */
  readonly epochStartOffset: number
  readonly remotes: Map<number, RemoteReplica>
  isr: IsrState
}

/** Waits for news of a partition: bytes, high watermark, a change of role. */
export interface PartitionWaiter {
  wake(): void
  /** The follower that waits; none for anybody else. */
  readonly followerId?: number
}

/**
 * Before somebody is proposed again whom the controller does not let in: a follower fetches many times in a ms, and while a
 * proposal is under way nobody else can come in or be thrown out.
 */
const INELIGIBLE_PAUSE_MS = 50

export class Partition {
  readonly topic: string
  readonly partition: number
  readonly #context: PartitionContext
  #log: Log | null = null
  #role: Role = { kind: 'none' }
  /** −1 after a start, so that the epoch in force before it is accepted again. */
  #leaderEpoch = -1
  #partitionEpoch = -1
  #replicas: readonly number[] = []
  /** Monotonic ms. */
  #noExpansionBeforeMs = -Infinity
  /** acks=1: waits for the leader's own end. */
  readonly #awaitingEnd = new OffsetQueue()
  /** acks=all: waits for the high watermark. */
  readonly #awaitingHighWatermark = new OffsetQueue()
  /** DeleteRecords: waits for the replicas' log starts. */
  readonly #awaitingLowWatermark = new OffsetQueue()
  readonly #waiters = new Set<PartitionWaiter>()
  readonly #proofs: LeadershipProofs

  constructor(topic: string, partition: number, context: PartitionContext) {
    this.#proofs = new LeadershipProofs(context.clock)
    this.topic = topic
    this.partition = partition
    this.#context = context
  }

  get log(): Log | null {
    return this.#log
  }

  get role(): Role {
    return this.#role
  }

  get isLeader(): boolean {
    return this.#role.kind === 'leader'
  }

  /** The leader's id; −1: not known. */
  get leader(): number {
    if (this.#role.kind === 'leader') return this.#context.brokerId
    return this.#role.kind === 'follower' ? this.#role.leader : -1
  }

  get leaderEpoch(): number {
    return this.#leaderEpoch
  }

  get partitionEpoch(): number {
    return this.#partitionEpoch
  }

  get topicId(): string | null {
    return this.#log?.topicId ?? null
  }

  get replicas(): readonly number[] {
    return this.#replicas
  }

  /** The committed ISR; empty unless led here. */
  get isr(): ReadonlySet<number> {
    return this.#role.kind === 'leader' ? this.#role.isr.isr : new Set()
  }

  get highWatermark(): number {
    return this.#log?.highWatermark ?? 0
  }

  // ---------------------------------------------------------------- roles

  useLog(log: Log): void {
    if (this.#log === log) return
    if (this.#log !== null) this.#log.onEndMoved = () => {}
    this.#log = log
    log.onEndMoved = () => this.#endMoved()
  }

  /** Leads from now on, in `state.leaderEpoch`. Returns false when a newer partition epoch is known already. */
  makeLeader(state: LeadershipState): boolean {
    if (state.partitionEpoch < this.#partitionEpoch) return false
    const log = this.#log
    assert(log !== null, 'a leader has a log')
    const leadsAnew = this.#role.kind !== 'leader'
    if (state.leaderEpoch > this.#leaderEpoch) this.#proofs.failAll()
    const remotes = this.#role.kind === 'leader' ? this.#role.remotes : new Map<number, RemoteReplica>()
    this.#setReplicas(state, remotes)
    let epochStartOffset = this.#role.kind === 'leader' ? this.#role.epochStartOffset : 0
    if (state.leaderEpoch > this.#leaderEpoch) {
      epochStartOffset = this.#enterEpoch(log, state, remotes, leadsAnew)
    }
    this.#leaderEpoch = state.leaderEpoch
    this.#partitionEpoch = state.partitionEpoch
    this.#role = { kind: 'leader', epochStartOffset, remotes, isr: committed(state.isr) }
    this.#advanceHighWatermark()
    this.#wakeAll()
    return true
  }

  /** The epoch and where it starts are written down before anything is appended in it (KAFKA-7415). */
  #enterEpoch(log: Log, state: LeadershipState, remotes: Map<number, RemoteReplica>, leadsAnew: boolean): number {
    log.writePending()
    const epochStartOffset = log.nextOffset
    log.epochs.assign(state.leaderEpoch, epochStartOffset)
    if (this.#context.faults.forgetProducersOnLeaderChange && leadsAnew) log.producers.clear(epochStartOffset)
    const nowMs = this.#context.clock.monotonic()
    for (const remote of remotes.values())
      remote.enterEpoch(leadsAnew, state.isr.includes(remote.brokerId), log.countedEndOffset, nowMs)
    return epochStartOffset
  }

  #setReplicas({ replicas }: LeadershipState, remotes: Map<number, RemoteReplica>): void {
    this.#replicas = replicas
    for (const id of remotes.keys()) if (!replicas.includes(id)) remotes.delete(id)
    for (const id of replicas)
      if (id !== this.#context.brokerId && !remotes.has(id)) remotes.set(id, new RemoteReplica(id))
  }

  /** Follows from now on. Returns false when a newer partition epoch is known already. */
  makeFollower(state: LeadershipState): boolean {
    if (state.partitionEpoch < this.#partitionEpoch) return false
    this.#leaderEpoch = state.leaderEpoch
    this.#partitionEpoch = state.partitionEpoch
    this.#replicas = state.replicas
    this.#leave({ kind: 'follower', leader: state.leader }, ErrorCode.NOT_LEADER_OR_FOLLOWER)
    return true
  }

  markOffline(): void {
    this.#leave({ kind: 'offline' }, ErrorCode.KAFKA_STORAGE_ERROR)
    this.#log = null
  }

  /** The replica goes away. */
  delete(): void {
    this.#leave({ kind: 'none' }, ErrorCode.NOT_LEADER_OR_FOLLOWER)
    this.#log = null
  }

  #leave(role: Role, errorCode: number): void {
    this.#role = role
    this.#awaitingEnd.failAll(errorCode)
    this.#awaitingHighWatermark.failAll(errorCode)
    this.#awaitingLowWatermark.failAll(errorCode)
    this.#proofs.failAll()
    this.#wakeAll()
  }

  /**
   * Whether a request that names `currentLeaderEpoch` (−1: none) may be served, by the leader only or by any replica
   * that follows: `NONE`, or what is wrong.
   */
  checkAccess(currentLeaderEpoch: number, leaderOnly: boolean): number {
    if (this.#role.kind === 'offline') return ErrorCode.KAFKA_STORAGE_ERROR
    if (currentLeaderEpoch >= 0 && currentLeaderEpoch < this.#leaderEpoch) return ErrorCode.FENCED_LEADER_EPOCH
    if (currentLeaderEpoch > this.#leaderEpoch) return ErrorCode.UNKNOWN_LEADER_EPOCH
    if (this.#log === null || this.#role.kind === 'none') return ErrorCode.NOT_LEADER_OR_FOLLOWER
    if (leaderOnly && this.#role.kind !== 'leader') return ErrorCode.NOT_LEADER_OR_FOLLOWER
    return this.#log.isOffline ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.NONE
  }

  // ---------------------------------------------------------------- waiting

  addWaiter(waiter: PartitionWaiter): void {
    this.#waiters.add(waiter)
  }

  removeWaiter(waiter: PartitionWaiter): void {
    this.#waiters.delete(waiter)
  }

  /** A waiter that throws must not hold up the others (KAFKA-17240). */
  #wakeAll(): void {
    if (this.#waiters.size === 0) return
    for (const waiter of this.#waiters) {
      try {
        waiter.wake()
      } catch (error) {
        this.#context.logger.error(`waking a request on ${this.topic}-${this.partition} failed`, error)
      }
    }
  }

  /** `done` is called when the leader has everything below `offset` (acks=1) or every replica in sync does (acks=all). */
  await(wait: OffsetWait, acks: number): void {
    // Another append of the same request may have found that the directory has failed.
    if (this.#role.kind !== 'leader')
      return wait.done(this.#role.kind === 'offline' ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.NOT_LEADER_OR_FOLLOWER)
    if (acks === 1 || this.#context.faults.acknowledgeBeforeFollowers) {
      this.#awaitingEnd.add(wait)
      this.#serveEnd()
    } else {
      this.#awaitingHighWatermark.add(wait)
      this.#serveHighWatermark()
    }
  }

  #serveEnd(): void {
    if (this.#log !== null) this.#awaitingEnd.reached(this.#log.countedEndOffset, ErrorCode.NONE)
  }

  #serveHighWatermark(): void {
    const log = this.#log
    const role = this.#role
    if (log === null || role.kind !== 'leader' || this.#awaitingHighWatermark.size === 0) return
    // The ISR may have shrunk since the append was let in; then it is not as safe as the topic demands.
    const isEnough = maximalIsr(role.isr).size >= this.#effectiveMinIsr(log)
    this.#awaitingHighWatermark.reached(
      log.highWatermark,
      isEnough ? ErrorCode.NONE : ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    )
  }

  /** The log has written more, synced what counts, or was cut. */
  #endMoved(): void {
    if (this.#role.kind === 'leader') this.#advanceHighWatermark()
    this.#serveEnd()
    this.#wakeAll()
  }

  /**
   * Resolves with true when it is certain that this broker led the partition at the time of the call, with false when it no longer
   * does or could not find out within `timeoutMs`.
   */
  proveLeadership(timeoutMs: number): Promise<boolean> {
    if (this.#role.kind !== 'leader') return Promise.resolve(false)
    const followers = [...maximalIsr(this.#role.isr)].filter((id) => id !== this.#context.brokerId)
    const parked = new Set(Array.from(this.#waiters, ({ followerId }) => followerId))
    const proven = this.#proofs.begin(followers, (id) => parked.has(id), timeoutMs)
    this.#wakeAll()
    return proven
  }

  /** Whether a fetch of this follower is answered at once, although there is nothing new. */
  awaitsFetchOf(brokerId: number): boolean {
    return this.#proofs.awaits(brokerId)
  }

  // ---------------------------------------------------------------- the leader's books

  /** Whether acks=all may append at all. */
  get hasEnoughReplicas(): boolean {
    return (
      this.#role.kind === 'leader' && this.#log !== null && this.#role.isr.isr.size >= this.#effectiveMinIsr(this.#log)
    )
  }

  /**
   * A partition with fewer replicas than `min.insync.replicas` needs all of them, those that are being added included (upstream
   * `Partition.effectiveMinIsr`).
   */
  #effectiveMinIsr(log: Log): number {
    return Math.min(log.config.minInsyncReplicas, Math.max(1, this.#replicas.length))
  }

  hasFollower(brokerId: number): boolean {
    return this.#role.kind === 'leader' && this.#role.remotes.has(brokerId)
  }

  /**
   * Whether a fetch comes from an earlier life of the follower than one that was seen: what it had then it may have lost (KAFKA-15221).
   * Notes the later one.
   */
  isFromEarlierLife(brokerId: number, brokerEpoch: number): boolean {
    const remote = this.#role.kind === 'leader' ? this.#role.remotes.get(brokerId) : undefined
    if (remote === undefined || brokerEpoch < 0) return false
    if (brokerEpoch < remote.brokerEpoch) return true
    remote.brokerEpoch = brokerEpoch
    return false
  }

  /** A follower fetches from `fetchOffset`: it has all below. Not to be called when the fetch was refused or diverges. */
  followerFetched(brokerId: number, fetchOffset: number, logStartOffset: number): void {
    const role = this.#role
    const log = this.#log
    if (role.kind !== 'leader' || log === null) return
    const remote = role.remotes.get(brokerId)
    if (remote === undefined) return
    this.#proofs.fetched(brokerId)
    const before = remote.logEndOffset
    remote.fetched(fetchOffset, logStartOffset, log.countedEndOffset, this.#context.clock.monotonic())
    this.#maybeExpandIsr(role, log, remote)
    if (before !== fetchOffset && this.#advanceHighWatermark()) this.#wakeAll()
    this.#serveLowWatermark()
  }

  /** Returns whether it moved. */
  #advanceHighWatermark(): boolean {
    const role = this.#role
    const log = this.#log
    if (role.kind !== 'leader' || log === null) return false
    const moved = this.#raiseHighWatermark(role, log)
    this.#serveHighWatermark()
    return moved
  }

  #raiseHighWatermark(role: LeaderRole, log: Log): boolean {
    if (role.isr.isr.size < this.#effectiveMinIsr(log)) return false
    const maximal = maximalIsr(role.isr)
    const leaderEnd = log.countedEndOffset
    const nowMs = this.#context.clock.monotonic()
    let offset = leaderEnd
    for (const remote of role.remotes.values())
      if (remote.logEndOffset < offset && (maximal.has(remote.brokerId) || this.#mayJoinSoon(remote, leaderEnd, nowMs)))
        offset = remote.logEndOffset
    if (!log.raiseHighWatermark(offset)) return false
    this.#context.highWatermarkMoved(this)
    return true
  }

  /** One that has caught up is waited for, or it would never reach the high watermark that runs ahead of it. */
  #mayJoinSoon(remote: RemoteReplica, leaderEnd: number, nowMs: number): boolean {
    return (
      remote.isCaughtUp(leaderEnd, nowMs, this.#context.config.replicaLagTimeMaxMs) && this.#isAlive(remote.brokerId)
    )
  }

  #isAlive(brokerId: number): boolean {
    return this.#context.metadata.aliveBroker(brokerId) !== null
  }

  // ---------------------------------------------------------------- who reads, and how fast

  /** A replica nearer to the consumer than this leader; null: there is none, or nobody is to choose. */
  readReplicaFor(rack: string, fetchOffset: number): number | null {
    const role = this.#role
    const { brokerId, config, metadata } = this.#context
    if (role.kind !== 'leader' || config.replicaSelector === 'leader') return null
    const inSync = [...role.remotes.values()].filter((remote) => role.isr.isr.has(remote.brokerId))
    const rackOf = (id: number): string | null => metadata.rackOf(id)
    return chooseReadReplica({ rack, leaderRack: rackOf(brokerId), fetchOffset, inSync, rackOf })
  }

  /** Whether what this leader sends to followers counts against its quota. */
  get isLeaderThrottled(): boolean {
    return (
      this.#log !== null &&
      isThrottled(this.#log.config.leaderThrottledReplicas, this.partition, this.#context.brokerId)
    )
  }

  /** Whether what is fetched here counts against the follower's quota. */
  get isFollowerThrottled(): boolean {
    return (
      this.#log !== null &&
      isThrottled(this.#log.config.followerThrottledReplicas, this.partition, this.#context.brokerId)
    )
  }

  /** A follower that is not in sync gets nothing while the quota is used up. */
  holdsBack(followerId: number): boolean {
    return (
      followerId >= 0 && this.isLeaderThrottled && !this.isr.has(followerId) && this.#context.quotas.leader.isExceeded
    )
  }

  /** So many bytes went to a follower. */
  fed(bytes: number): void {
    if (this.isLeaderThrottled) this.#context.quotas.leader.record(bytes)
  }

  // ---------------------------------------------------------------- deleting records

  /** Smallest log start among this leader and its living followers; −1 where one is not known, or nothing is led here. */
  get lowWatermark(): number {
    const role = this.#role
    if (role.kind !== 'leader' || this.#log === null) return -1
    let offset = this.#log.logStartOffset
    for (const remote of role.remotes.values())
      if (this.#isAlive(remote.brokerId)) offset = Math.min(offset, remote.logStartOffset)
    return offset
  }

  /** Moves the log's start to `offset`, −1 for the high watermark. Returns where that is, or why it is refused. */
  deleteRecords(offset: number): { readonly offset: number } | { readonly errorCode: number } {
    const errorCode = this.checkAccess(-1, true)
    if (errorCode !== ErrorCode.NONE) return { errorCode }
    const log = this.#log!
    if (!log.config.cleanupPolicy.includes('delete')) return { errorCode: ErrorCode.POLICY_VIOLATION }
    const start = offset === -1 ? log.highWatermark : offset
    if (start < 0 || start > log.highWatermark) return { errorCode: ErrorCode.OFFSET_OUT_OF_RANGE }
    if (log.raiseLogStart(start)) this.#wakeAll()
    return { offset: start }
  }

  awaitLowWatermark(wait: OffsetWait): void {
    this.#awaitingLowWatermark.add(wait)
    this.#serveLowWatermark()
  }

  #serveLowWatermark(): void {
    if (this.#awaitingLowWatermark.size > 0) this.#awaitingLowWatermark.reached(this.lowWatermark, ErrorCode.NONE)
  }

  // ---------------------------------------------------------------- the ISR

  /** Lets in a follower that has reached the high watermark and the start of this epoch (KAFKA-7128). */
  #maybeExpandIsr(role: LeaderRole, log: Log, remote: RemoteReplica): void {
    if (role.isr.kind !== 'committed' || role.isr.isr.has(remote.brokerId) || !this.#isAlive(remote.brokerId)) return
    const isInsideEpoch = remote.logEndOffset >= log.highWatermark && remote.logEndOffset >= role.epochStartOffset
    if (!isInsideEpoch && !this.#context.faults.joinIsrBeforeEpochStart) return
    if (this.#context.clock.monotonic() < this.#noExpansionBeforeMs) return
    this.#propose(role, pending(role.isr.isr, [...role.isr.isr, remote.brokerId]))
  }

  /** Followers may have gone, or been away for too long, and are waited for no longer, although nothing was fetched. */
  reconsiderFollowers(): void {
    if (this.#advanceHighWatermark()) this.#wakeAll()
    this.#serveLowWatermark()
  }

  /** Throws out followers that have not caught up for `replica.lag.time.max.ms`, as of `nowMs`. */
  maybeShrinkIsr(nowMs: number): void {
    const role = this.#role
    const log = this.#log
    if (role.kind !== 'leader' || log === null || role.isr.kind !== 'committed') return
    const { brokerId, config, logger } = this.#context
    const isLagging = (id: number): boolean => {
      const remote = role.remotes.get(id)
      return id !== brokerId && remote?.isCaughtUp(log.countedEndOffset, nowMs, config.replicaLagTimeMaxMs) !== true
    }
    const lagging = [...role.isr.isr].filter(isLagging)
    if (lagging.length === 0) return
    logger.info(`${this.topic}-${this.partition}: replicas ${lagging.join(', ')} lag and leave the ISR`)
    this.#propose(
      role,
      pending(
        role.isr.isr,
        [...role.isr.isr].filter((id) => !lagging.includes(id)),
      ),
    )
  }

  #propose(role: LeaderRole, proposal: PendingIsr): void {
    const before = role.isr
    role.isr = proposal
    const accepted = this.#context.isrChanges.submit({
      topic: this.topic,
      topicId: this.topicId,
      partition: this.partition,
      leaderEpoch: this.#leaderEpoch,
      partitionEpoch: this.#partitionEpoch,
      isr: [...proposal.proposed],
      brokerEpochs: new Map([...role.remotes.values()].map((remote) => [remote.brokerId, remote.brokerEpoch])),
      done: (outcome) => this.#decided(proposal, outcome),
    })
    if (!accepted) role.isr = before
  }

  #decided(proposal: PendingIsr, outcome: IsrChangeOutcome): void {
    const role = this.#role
    // A LeaderAndIsr that came meanwhile has replaced everything.
    if (role.kind !== 'leader' || role.isr !== proposal) return
    if (outcome.kind === 'refused') return this.#refused(role, proposal, outcome.errorCode)
    if (outcome.leaderEpoch !== this.#leaderEpoch || outcome.partitionEpoch < this.#partitionEpoch) return
    role.isr = committed(outcome.isr)
    this.#partitionEpoch = outcome.partitionEpoch
    if (this.#advanceHighWatermark()) this.#wakeAll()
  }

  #refused(role: LeaderRole, proposal: PendingIsr, errorCode: number): void {
    const { INELIGIBLE_REPLICA, OPERATION_NOT_ATTEMPTED } = ErrorCode
    // In all other cases the controller knows something newer and will say so by LeaderAndIsr; until then the maximal ISR counts.
    if (errorCode !== INELIGIBLE_REPLICA && errorCode !== OPERATION_NOT_ATTEMPTED) return
    role.isr = committed(proposal.isr)
    this.#noExpansionBeforeMs = this.#context.clock.monotonic() + INELIGIBLE_PAUSE_MS
    if (this.#advanceHighWatermark()) this.#wakeAll()
  }
}
