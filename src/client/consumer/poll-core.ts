/**
 * The one loop under every way to consume. Takers (iterators and workers) ask it for records; it keeps the assignment, finds
 * positions, fetches ahead, takes part in the group, and sees to it that a user who has stopped asking gives the partitions back.
 */
import type { Platform, Timer } from '#platform'

import { abortable } from '../cluster/abortable.ts'
import { type Cluster } from '../cluster/index.ts'
import type { ConsumerConfig } from '../config.ts'
import { ClosedError, KafkaError, TimeoutError } from '../errors.ts'
import { NO_CLIENT_FAULTS, type ClientFaults } from '../faults.ts'
import { Assignment } from './assignment.ts'
import type { PartitionRacks } from './assignors/index.ts'
import { Committer } from './committer.ts'
import { Fetcher } from './fetcher.ts'
import { Lease } from './lease.ts'
import { Membership, type MembershipPort } from './membership.ts'
import type { PartitionState } from './partition-state.ts'
import { PositionFinder } from './position-finder.ts'
import { Subscription } from './subscription.ts'
import type { TopicPartition } from './topic-partition.ts'

/** Somebody who asks for records: an iterator, or a worker of `run`. */
export interface Taker {
  /** When it last asked. */
  askedMs: number
  /** It waits for records, and cannot be late. */
  isWaiting: boolean
  /** Gives back what it has when the consumer is closed; null for a worker, which is waited for. */
  readonly abandon: (() => void) | null
}

export interface TakeOptions {
  readonly countMax: number
  readonly signal?: AbortSignal | undefined
  /** Asked before each look for records: true ends it. */
  readonly isDone?: () => boolean
}

export class PollCore implements MembershipPort {
  readonly assignment = new Assignment()
  readonly positions: PositionFinder
  /** Null without a group. */
  readonly committer: Committer | null
  readonly #platform: Platform
  readonly #cluster: Cluster
  readonly #config: ConsumerConfig
  readonly #fetcher: Fetcher
  #subscription: Subscription | null = null
  #membership: Membership | null = null
  readonly #takers = new Set<Taker>()
  #pollTimer: Timer | null = null
  #lastAskedMs = 0
  #failure: unknown = null
  #isClosed = false
  #waiters: (() => void)[] = []

  constructor(platform: Platform, cluster: Cluster, config: ConsumerConfig, faults: ClientFaults = NO_CLIENT_FAULTS) {
    this.#platform = platform
    this.#cluster = cluster
    this.#config = config
    const changed = (): void => this.#changed()
    this.positions = new PositionFinder(platform, cluster, config, this.assignment, changed)
    this.#fetcher = new Fetcher(platform, cluster, config, this.assignment, this.positions, faults, changed)
    this.committer =
      config.groupId === null ? null : new Committer(platform, cluster, config, config.groupId, this.assignment)
    cluster.metadata.onUpdate(() => this.#onMetadata())
  }

  /** Bytes that were fetched ahead of the user. */
  get bufferedBytes(): number {
    return this.#fetcher.bufferedBytes()
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  get membership(): Membership | null {
    return this.#membership
  }

  get subscription(): Subscription | null {
    return this.#subscription
  }

  /** Takes part in the group for these topics; it joins when somebody first asks for records. */
  subscribe(groupId: string, subscription: Subscription): void {
    const isFirst = this.#membership === null
    this.#subscription?.close()
    this.#subscription = subscription
    this.#membership ??= new Membership(this.#platform, this.#cluster, this.#config, groupId, this)
    if (this.committer !== null) this.committer.membership = this.#membership
    if (!isFirst) this.#membership.rejoin('the subscription has changed')
  }

  /** Has exactly these, with the positions of those that it had already. */
  assign(partitions: readonly TopicPartition[]): void {
    const wanted = new Set(partitions.map((partition) => `${partition.topic}-${partition.partition}`))
    this.assignment.remove([...this.assignment].filter(({ key }) => !wanted.has(key)))
    this.assignment.add(partitions)
    for (const { topic } of partitions) this.#cluster.metadata.track(topic)
    this.positions.start()
    this.#changed()
  }

  /** Leaves the group, or drops what was assigned by hand. */
  async unsubscribe(): Promise<void> {
    const membership = this.#membership
    // It may be the body of a loop that waits for this.
    for (const { abandon } of this.#takers) abandon?.()
    if (membership !== null) {
      await this.revoke(this.assignment.partitions)
      await membership.close('the consumer has unsubscribed')
    }
    this.assignment.remove([...this.assignment])
    this.#subscription?.close()
    this.#subscription = null
    this.#membership = null
    if (this.committer !== null) this.committer.membership = null
    this.#changed()
  }

  register(abandon: (() => void) | null): Taker {
    const taker = { askedMs: this.#platform.clock.monotonic(), isWaiting: false, abandon }
    this.#takers.add(taker)
    return taker
  }

  unregister(taker: Taker): void {
    this.#takers.delete(taker)
  }

  /** The taker is alive. */
  touch(taker: Taker): void {
    this.#lastAskedMs = taker.askedMs = this.#platform.clock.monotonic()
  }

  /** Resolves with records, or null when there will be none. Rejects with what went wrong, or the signal's reason. */
  async take(taker: Taker, options: TakeOptions): Promise<Lease | null> {
    this.touch(taker)
    taker.isWaiting = true
    this.#watchPolls()
    try {
      for (;;) {
        options.signal?.throwIfAborted()
        if (this.#failure !== null) throw this.#failure
        if (this.#isClosed) return null
        if (this.#subscription === null && this.assignment.size === 0)
          throw new KafkaError('nothing to consume: subscribe to topics, or assign partitions')
        this.#membership?.start()
        if (options.isDone?.() === true) return null
        const lease = this.#takeNow(options.countMax)
        if (lease !== null) return lease
        await abortable(this.#change(), options.signal)
      }
    } finally {
      taker.isWaiting = false
      this.touch(taker)
    }
  }

  /** The taker is through with it. */
  release(lease: Lease, options?: { rewind: boolean }): void {
    lease.release(options)
    this.#changed()
  }

  /** Something has changed that takers, a rebalance or the fetcher may wait for. */
  wake(): void {
    this.#changed()
  }

  /** Ends every taker's wait. What a handler is working on stays sound until it is through, or that time is over. */
  async close(timeoutMs: number): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#pollTimer?.cancel()
    for (const { abandon } of this.#takers) abandon?.()
    this.#changed()
    const deadlineMs = this.#platform.clock.monotonic() + timeoutMs
    const leftMs = (): number => Math.max(0, deadlineMs - this.#platform.clock.monotonic())
    const isOwner = this.#membership === null || this.#membership.isMember
    try {
      await this.#untilReleased(
        [...this.assignment].filter(({ isLeased }) => isLeased),
        timeoutMs,
      )
      if (this.#config.enableAutoCommit && isOwner && this.#failure === null)
        await this.committer?.autoCommit(this.assignment, { timeoutMs: leftMs() })
      if (this.#membership !== null && this.assignment.size > 0 && isOwner)
        await this.#inTime(this.#config.listener.partitionsRevoked?.(this.assignment.partitions), leftMs())
    } finally {
      this.committer?.close()
      await this.#inTime(
        Promise.all([this.#membership?.close('the consumer is closed'), this.#fetcher.close()]),
        leftMs(),
      )
      this.assignment.remove([...this.assignment])
    }
  }

  /** Resolves with the promise, or after that time. */
  #inTime(promise: Promise<unknown> | void, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#platform.clock.setTimer(timeoutMs, () => resolve())
      Promise.resolve(promise).then(
        () => {
          timer.cancel()
          resolve()
        },
        (error: unknown) => {
          timer.cancel()
          reject(error)
        },
      )
    })
  }

  // The group's side.

  topics(): Promise<readonly string[]> {
    return this.#subscription?.topics() ?? Promise.resolve([])
  }

  ownedPartitions(): readonly TopicPartition[] {
    return this.assignment.partitions
  }

  async partitionCounts(topics: ReadonlySet<string>): Promise<ReadonlyMap<string, number>> {
    return (await this.#subscription?.lead(topics)) ?? new Map<string, number>()
  }

  partitionRacks(topics: ReadonlySet<string>): PartitionRacks {
    return this.#subscription?.racks(topics) ?? new Map()
  }

  async revoke(partitions: readonly TopicPartition[]): Promise<void> {
    const states = partitions.flatMap((partition) => this.assignment.get(partition) ?? [])
    if (states.length === 0) return
    for (const state of states) state.isHeld = true
    this.#changed()
    await this.#untilReleased(states, this.#config.maxPollIntervalMs)
    const owned = states.filter(({ isGone }) => !isGone)
    if (owned.length === 0) return
    if (this.#config.enableAutoCommit)
      await this.committer?.autoCommit(owned, { timeoutMs: this.#config.requestTimeoutMs })
    await this.#config.listener.partitionsRevoked?.(owned.map(({ topic, partition }) => ({ topic, partition })))
    this.assignment.remove(owned)
    this.#changed()
  }

  async lose(): Promise<void> {
    const { partitions } = this.assignment
    this.assignment.remove([...this.assignment])
    this.#changed()
    if (partitions.length > 0) await this.#config.listener.partitionsLost?.(partitions)
  }

  async takeIn(added: readonly TopicPartition[]): Promise<void> {
    this.assignment.add(added)
    if (added.length > 0) await this.#config.listener.partitionsAssigned?.(added)
    this.positions.start()
    this.#changed()
  }

  fail(error: unknown): void {
    this.#failure ??= error
    this.#changed()
  }

  #takeNow(countMax: number): Lease | null {
    for (let state = this.assignment.nextReady(); state !== null; state = this.assignment.nextReady()) {
      try {
        const lease = Lease.take(state, countMax)
        if (lease !== null) return lease
      } catch (error) {
        // Whoever asks again tries again, unless they have done something about it.
        this.positions.start()
        throw error
      } finally {
        this.#fetcher.pump()
      }
    }
    return null
  }

  #onMetadata(): void {
    if (this.#isClosed) return
    const reason = this.#subscription?.changeOf() ?? null
    if (reason !== null) this.#membership?.rejoin(reason)
    this.positions.noteLeaders()
    this.#fetcher.pump()
    // Who waits for the end of a partition, or for an error of its topic, looks again.
    this.#changed()
  }

  #changed(): void {
    this.#fetcher.pump()
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  /** Until the user is done with what they were given of these, for so long at most. */
  async #untilReleased(states: readonly PartitionState[], timeoutMs: number): Promise<void> {
    const isOut = (): boolean => states.some(({ isLeased, isGone }) => isLeased && !isGone)
    if (!isOut()) return
    const { clock } = this.#platform
    const deadlineMs = clock.monotonic() + timeoutMs
    const timer = clock.setTimer(timeoutMs, () => this.#changed())
    while (isOut() && clock.monotonic() < deadlineMs) await this.#change()
    timer.cancel()
  }

  /** `max.poll.interval.ms`: a member whose user does not ask for more gives its partitions to others. */
  #watchPolls(): void {
    if (this.#pollTimer !== null || this.#membership === null) return
    const { maxPollIntervalMs } = this.#config
    const { clock } = this.#platform
    const look = (): void => {
      this.#pollTimer = null
      if (this.#isClosed || this.#membership === null) return
      const leftMs = this.#oldestAskMs() + maxPollIntervalMs - clock.monotonic()
      if (leftMs <= 0) void this.#leaveForLateness()
      else this.#pollTimer = clock.setTimer(leftMs, look)
    }
    this.#pollTimer = clock.setTimer(maxPollIntervalMs, look)
  }

  #oldestAskMs(): number {
    if (this.#takers.size === 0) return this.#lastAskedMs
    const nowMs = this.#platform.clock.monotonic()
    return Math.min(...Array.from(this.#takers, ({ isWaiting, askedMs }) => (isWaiting ? nowMs : askedMs)))
  }

  async #leaveForLateness(): Promise<void> {
    const { maxPollIntervalMs, listener, groupId } = this.#config
    this.#platform.logger.warn(
      `group ${groupId}: nothing was asked for within max.poll.interval.ms (${maxPollIntervalMs}); the member leaves until it is`,
    )
    try {
      listener.pollIntervalExceeded?.({ maxPollIntervalMs })
    } catch (error) {
      this.#platform.logger.warn('pollIntervalExceeded threw', error)
    }
    try {
      // Whoever asks meanwhile joins again: what this membership had must be gone by then, and not what the next one brings.
      const leaving = this.#membership?.leave('max.poll.interval.ms has passed')
      await Promise.all([this.lose(), leaving])
    } catch (error) {
      this.fail(error)
    }
  }

  get closedError(): ClosedError {
    return new ClosedError('the consumer is closed')
  }

  /** Resolves with what `look` finds, as soon as it finds something; rejects when time or signal say so. */
  async until<T>(
    look: () => T | null,
    what: string,
    { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal | undefined },
  ): Promise<T> {
    let isLate = false
    const timer = this.#platform.clock.setTimer(timeoutMs, () => {
      isLate = true
      this.#changed()
    })
    try {
      for (;;) {
        if (this.#failure !== null) throw this.#failure
        if (this.#isClosed) throw this.closedError
        const found = look()
        if (found !== null) return found
        if (isLate) throw new TimeoutError(`${what} is not known after ${timeoutMs} ms`)
        await abortable(this.#change(), signal)
      }
    } finally {
      timer.cancel()
    }
  }
}
