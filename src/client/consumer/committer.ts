/**
 * Commits offsets, one request after the other, so that an older one that is tried again cannot undo a newer one; and, where
 * `enable.auto.commit` is set, by itself what the user is done with.
 */
import type { Platform, Timer } from '#platform'
import { OffsetCommit } from '#protocol/messages/offset-commit'

import type { CallOptions, Cluster } from '../cluster/index.ts'
import type { ConsumerConfig } from '../config.ts'
import { KafkaError, kafkaError } from '../errors.ts'
import type { Assignment } from './assignment.ts'
import { verdictOn } from './group-errors.ts'
import type { Generation, Membership } from './membership.ts'
import type { PartitionState } from './partition-state.ts'
import { byTopic, keyOf, type TopicPartition } from './topic-partition.ts'

export interface OffsetToCommit extends TopicPartition {
  /** Of the next record to consume. */
  readonly offset: number
  /** Leader epoch of the record before it; -1 or left out if not known. */
  readonly leaderEpoch?: number
  /** Free text beside the offset. */
  readonly metadata?: string
}

/** The consumer is no longer the owner of what it wanted to commit: another member goes on from the last commit. */
export class CommitFailedError extends KafkaError {
  override name = 'CommitFailedError'
}

const NO_GENERATION: Generation = { generation: -1, memberId: '' }
/** Metadata longer than `offset.metadata.max.bytes` is the broker's to refuse. */
const NO_METADATA = ''
const NO_EPOCH = -1

export class Committer {
  readonly #platform: Platform
  readonly #cluster: Cluster
  readonly #config: ConsumerConfig
  readonly #groupId: string
  readonly #assignment: Assignment
  /** Null where partitions are assigned by hand. */
  #membership: Membership | null = null
  #last: Promise<void> = Promise.resolve()
  #isAutoCommitting = false
  #timer: Timer | null = null
  #isClosed = false

  constructor(platform: Platform, cluster: Cluster, config: ConsumerConfig, groupId: string, assignment: Assignment) {
    this.#platform = platform
    this.#cluster = cluster
    this.#config = config
    this.#groupId = groupId
    this.#assignment = assignment
    if (config.enableAutoCommit) this.#nextAutoCommit()
  }

  set membership(membership: Membership | null) {
    this.#membership = membership
  }

  /** Resolves when the offsets are safe. Rejects with `CommitFailedError` when they are another member's to commit. */
  commit(offsets: readonly OffsetToCommit[], options: CallOptions = {}): Promise<void> {
    if (offsets.length === 0) return Promise.resolve()
    const now = this.#last.then(() => this.#commit(offsets, options))
    this.#last = now.catch(() => {})
    return now
  }

  /** What the user is done with, of these partitions. */
  async commitConsumed(states: Iterable<PartitionState>, options: CallOptions = {}): Promise<void> {
    const offsets: OffsetToCommit[] = []
    for (const state of states) {
      const { topic, partition, consumed } = state
      // The user may have committed by hand what they are not done with yet.
      const isNew = consumed !== null && (state.committed === null || consumed.offset > state.committed)
      if (isNew) offsets.push({ topic, partition, ...consumed })
    }
    await this.commit(offsets, options)
  }

  /** The same, as the consumer does it by itself: what fails is told to the listener. */
  async autoCommit(states: Iterable<PartitionState>, options: CallOptions = {}): Promise<void> {
    try {
      await this.commitConsumed(states, options)
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error
      if (this.#isClosed) return
      this.#platform.logger.warn(`group ${this.#groupId}: offsets were not committed: ${error.message}`)
      try {
        this.#config.listener.commitFailed?.(error)
      } catch (thrown) {
        this.#platform.logger.warn('commitFailed threw', thrown)
      }
    }
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  #nextAutoCommit(): void {
    const { autoCommitIntervalMs } = this.#config
    this.#timer = this.#platform.clock.setTimer(Math.max(1, autoCommitIntervalMs), () => {
      this.#nextAutoCommit()
      if (this.#isAutoCommitting || (this.#membership !== null && !this.#membership.isMember)) return
      this.#isAutoCommitting = true
      void this.autoCommit(this.#assignment, { timeoutMs: this.#config.requestTimeoutMs }).finally(() => {
        this.#isAutoCommitting = false
      })
    })
  }

  #commit(offsets: readonly OffsetToCommit[], options: CallOptions): Promise<void> {
    let left = offsets
    return this.#cluster.retry(
      'OffsetCommit',
      async () => {
        left = await this.#attempt(left, options)
        if (left.length > 0) throw new KafkaError('the group rebalances', { retriable: true })
      },
      options,
    )
  }

  /** Returns what has to be tried again. */
  async #attempt(offsets: readonly OffsetToCommit[], { signal }: CallOptions): Promise<readonly OffsetToCommit[]> {
    const place = this.#membership?.place ?? NO_GENERATION
    if (this.#membership !== null && place.generation < 0)
      throw new CommitFailedError(`the consumer is no member of group ${this.#groupId} at present`)
    const response = await this.#cluster.sendToCoordinatorOnce(
      'group',
      this.#groupId,
      OffsetCommit,
      this.#request(offsets, place),
      ({ topics }) => topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode)),
      { signal },
    )
    const byKey = new Map(offsets.map((offset) => [keyOf(offset), offset]))
    const left: OffsetToCommit[] = []
    for (const { name, partitions } of response.topics)
      for (const { partitionIndex, errorCode } of partitions) {
        const offset = byKey.get(keyOf({ topic: name, partition: partitionIndex }))
        if (offset !== undefined && !this.#judge(offset, errorCode, place)) left.push(offset)
      }
    return left
  }

  #request(offsets: readonly OffsetToCommit[], { generation, memberId }: Generation) {
    return {
      groupId: this.#groupId,
      generationIdOrMemberEpoch: generation,
      memberId,
      groupInstanceId: this.#membership === null ? null : this.#config.groupInstanceId,
      topics: Array.from(byTopic(offsets), ([name, list]) => ({
        name,
        partitions: list.map(({ partition, offset, leaderEpoch, metadata }) => ({
          partitionIndex: partition,
          committedOffset: offset,
          committedLeaderEpoch: leaderEpoch ?? NO_EPOCH,
          committedMetadata: metadata ?? NO_METADATA,
        })),
      })),
    }
  }

  /** False: try again. Throws when that cannot help. */
  #judge(offset: OffsetToCommit, errorCode: number, place: Generation): boolean {
    const state = this.#assignment.get(offset)
    switch (verdictOn(errorCode)) {
      case 'done':
        if (state !== undefined) state.committed = offset.offset
        return true
      case 'retry':
        return false
      case 'rejoin':
        // The next generation can commit it, if the partition stays.
        this.#membership?.rejoin('the group rebalances')
        return this.#mustBeOwned(offset)
      case 'forget':
        if (this.#membership === null || this.#membership.place === place) {
          this.#membership?.forget(place)
          throw new CommitFailedError(
            `the consumer has been thrown out of group ${this.#groupId}: ${keyOf(offset)} may have another owner`,
            { code: errorCode },
          )
        }
        return this.#mustBeOwned(offset)
      case 'takeId':
      case 'fail':
        throw kafkaError(errorCode, `OffsetCommit of ${keyOf(offset)}`)
    }
  }

  #mustBeOwned(offset: OffsetToCommit): false {
    if (this.#assignment.get(offset) !== undefined) return false
    throw new CommitFailedError(`${keyOf(offset)} has gone to another member of group ${this.#groupId}`)
  }
}
