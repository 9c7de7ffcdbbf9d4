/**
 * Finds the positions of partitions that have none: what the group has committed, or else what `auto.offset.reset` says; and asks the
 * leader, where it has changed, whether its log still reaches the position (KIP-320). One search at a time, again while something is missing.
 */
import type { Platform } from '#platform'
import { ErrorCode } from '#protocol'
import { OffsetForLeaderEpoch } from '#protocol/messages/offset-for-leader-epoch'

import { Backoff, type Cluster } from '../cluster/index.ts'
import type { ConsumerConfig } from '../config.ts'
import { KafkaError, isRetriable, isStaleMetadata, kafkaError } from '../errors.ts'
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, fetchCommitted, listOffsetsOnce } from '../offsets.ts'
import type { Assignment } from './assignment.ts'
import type { OffsetAndEpoch, PartitionState, PositionSearch } from './partition-state.ts'
import { byTopic } from './topic-partition.ts'

/** There is no position to begin at, and `auto.offset.reset` is none. */
export class NoOffsetError extends KafkaError {
  override name = 'NoOffsetError'
}

/** The log was truncated behind the position: records that the user was given are not in it any more. */
export class LogTruncatedError extends KafkaError {
  override name = 'LogTruncatedError'
  /** Where the logs part; null if not known. */
  readonly divergenceOffset: number | null
  constructor(message: string, divergenceOffset: number | null) {
    super(message)
    this.divergenceOffset = divergenceOffset
  }
}

const CONSUMER_REPLICA_ID = -1
/** First version in which a consumer may ask, and names the leader epoch that it knows. */
const VALIDATE_VERSION_MIN = 3

export class PositionFinder {
  readonly #platform: Platform
  readonly #cluster: Cluster
  readonly #config: ConsumerConfig
  readonly #assignment: Assignment
  readonly #onFound: () => void
  readonly #backoff: Backoff
  #isRunning = false
  #isWanted = false

  constructor(
    platform: Platform,
    cluster: Cluster,
    config: ConsumerConfig,
    assignment: Assignment,
    onFound: () => void,
  ) {
    this.#platform = platform
    this.#cluster = cluster
    this.#config = config
    this.#assignment = assignment
    this.#onFound = onFound
    this.#backoff = new Backoff(platform.random, config.retryBackoffMs, config.retryBackoffMaxMs)
  }

  /** Something may be missing. */
  start(): void {
    this.#isWanted = true
    if (this.#isRunning) return
    this.#isRunning = true
    void this.#run().finally(() => {
      this.#isRunning = false
    })
  }

  /** Where to look after this error or lack: by `auto.offset.reset`, or the error for the user. */
  reset(state: PartitionState, reason: string): void {
    const { autoOffsetReset } = this.#config
    if (autoOffsetReset === 'none') {
      state.error = new NoOffsetError(`${state.key}: ${reason}, and auto.offset.reset is none`)
      return
    }
    state.lookFor({
      kind: 'timestamp',
      timestamp: autoOffsetReset === 'earliest' ? EARLIEST_TIMESTAMP : LATEST_TIMESTAMP,
    })
    this.start()
  }

  async #run(): Promise<void> {
    let failures = 0
    while (this.#isWanted && !this.#cluster.isClosed) {
      this.#isWanted = false
      const hasFailed = !(await this.#round())
      this.#onFound()
      failures = hasFailed ? failures + 1 : 0
      if (hasFailed) {
        this.#isWanted = true
        await this.#cluster.pause(this.#backoff.afterFailures(failures))
      }
    }
  }

  /** False when something is missing that may be found later. */
  async #round(): Promise<boolean> {
    const committedFound = await this.#findCommitted()
    const [offsetsFound, validated] = await Promise.all([this.#findByTime(), this.#validate()])
    return committedFound && offsetsFound && validated
  }

  async #findCommitted(): Promise<boolean> {
    const states = this.#searching('committed')
    if (states.length === 0) return true
    const { groupId } = this.#config
    if (groupId === null) {
      for (const state of states) this.reset(state, 'it has no position')
      return true
    }
    const versions = states.map(({ version }) => version)
    try {
      const committed = await fetchCommitted(this.#cluster, groupId, states)
      states.forEach((state, index) => {
        if (state.isGone || state.version !== versions[index]) return
        const found = committed.get(state.key)
        if (found === undefined) return this.reset(state, `group ${groupId} has committed no offset`)
        state.seek(found)
        state.committed = found.offset
        this.#validateAgainstLeader(state)
      })
      return true
    } catch (error) {
      return this.#failed(states, error)
    }
  }

  async #findByTime(): Promise<boolean> {
    const states = this.#searching('timestamp')
    if (states.length === 0) return true
    await this.#firstMetadata(states)
    const searches = states.map((state) => ({ state, version: state.version, timestamp: timestampOf(state.search!) }))
    const queries = searches.map(({ state, timestamp }) => ({
      topic: state.topic,
      partition: state.partition,
      timestamp,
    }))
    const answers = await listOffsetsOnce(this.#cluster, queries, this.#config.isolationLevel)
    let isComplete = true
    for (const { state, version } of searches) {
      const answer = answers.get(state.key)
      if (state.isGone || state.version !== version) continue
      if (answer === undefined) isComplete = false
      else if (answer instanceof KafkaError) isComplete = this.#failed([state], answer) && isComplete
      else {
        state.seek({ offset: Math.max(0, answer.offset), leaderEpoch: -1 })
        state.validatedEpoch = this.#leaderEpoch(state)
      }
    }
    return isComplete
  }

  /** Of topics that nothing is known of yet the first answer comes soon: to go without it would only mean to fail, and to pause as long. */
  async #firstMetadata(states: readonly PartitionState[]): Promise<void> {
    const { metadata } = this.#cluster
    const topics = new Set(states.map(({ topic }) => topic).filter((topic) => metadata.topic(topic) === undefined))
    const options = { timeoutMs: this.#config.retryBackoffMs, timeoutName: 'retry.backoff.ms' }
    await Promise.allSettled(Array.from(topics, (topic) => metadata.waitForTopic(topic, options)))
  }

  #searching(kind: PositionSearch['kind']): PartitionState[] {
    return [...this.#assignment].filter((state) => state.search?.kind === kind && state.error === null)
  }

  /** Marks a position whose leader has changed; to be called when metadata has. */
  noteLeaders(): void {
    for (const state of this.#assignment) if (state.search === null) this.#validateAgainstLeader(state)
  }

  #validateAgainstLeader(state: PartitionState): void {
    const epoch = this.#leaderEpoch(state)
    const known = state.position?.leaderEpoch ?? -1
    if (epoch < 0 || (epoch <= state.validatedEpoch && epoch >= known)) return
    // The new leader says anew who is near.
    state.preferredReplica = null
    if (known < 0 || known === epoch) accept(state, epoch)
    else {
      state.mustValidate = true
      this.start()
    }
  }

  async #validate(): Promise<boolean> {
    const states = [...this.#assignment].filter(({ mustValidate, error }) => mustValidate && error === null)
    const byLeader = new Map<number, PartitionState[]>()
    let isComplete = true
    for (const state of states) {
      const leader = this.#cluster.leaderOf(state.topic, state.partition)
      if (leader === null) isComplete = false
      else if ((state.position?.leaderEpoch ?? -1) > leader.leaderEpoch)
        isComplete = this.#doubtLeader(state) && isComplete
      else byLeader.set(leader.nodeId, [...(byLeader.get(leader.nodeId) ?? []), state])
    }
    if (!isComplete) this.#cluster.metadata.requestUpdate()
    const results = await Promise.all(Array.from(byLeader, ([leader, list]) => this.#askLeader(leader, list)))
    return isComplete && results.every(Boolean)
  }

  /**
   * A record of a later leader is known: whoever still takes this one for the leader knows too little, and its log may end before the
   * position. A topic that was made anew begins at epoch 0 again, though; after `default.api.timeout.ms` that is what it must be.
   * Source: Metadata.updateLastSeenEpochIfNewer. Returns false while newer metadata is waited for.
   */
  #doubtLeader(state: PartitionState): boolean {
    const nowMs = this.#platform.clock.monotonic()
    state.leaderDoubtedSinceMs ??= nowMs
    if (nowMs - state.leaderDoubtedSinceMs < this.#config.defaultApiTimeoutMs) return false
    this.reset(state, 'its records are of leaders that are unknown now: the topic must have been made anew')
    return true
  }

  async #askLeader(leader: number, states: readonly PartitionState[]): Promise<boolean> {
    const asked = new Map(
      states.map((state) => [
        state.key,
        { state, version: state.version, epoch: this.#leaderEpoch(state), position: state.position },
      ]),
    )
    try {
      if (!(await this.#canValidate(leader))) {
        for (const { state, epoch } of asked.values()) accept(state, epoch)
        return true
      }
      const request = {
        replicaId: CONSUMER_REPLICA_ID,
        topics: Array.from(byTopic(states), ([topic, list]) => ({
          topic,
          partitions: list.map((state) => ({
            partition: state.partition,
            currentLeaderEpoch: asked.get(state.key)!.epoch,
            leaderEpoch: asked.get(state.key)!.position?.leaderEpoch ?? -1,
          })),
        })),
      }
      const response = await this.#cluster.send(leader, OffsetForLeaderEpoch, request)
      let isComplete = true
      for (const { topic, partitions } of response.topics)
        for (const { partition, errorCode, leaderEpoch, endOffset } of partitions) {
          const entry = asked.get(`${topic}-${partition}`)
          if (entry === undefined || entry.state.isGone || entry.state.version !== entry.version) continue
          if (errorCode === ErrorCode.NONE)
            isComplete = this.#judge(entry, { foundEpoch: leaderEpoch, endOffset }) && isComplete
          else {
            if (isStaleMetadata(errorCode)) this.#cluster.metadata.requestUpdate()
            isComplete = this.#failed([entry.state], kafkaError(errorCode, entry.state.key)) && isComplete
          }
        }
      return isComplete
    } catch (error) {
      return this.#failed(states, error)
    }
  }

  /** Older brokers cannot be asked; the position is then taken for sound, as clients did before KIP-320. */
  async #canValidate(leader: number): Promise<boolean> {
    const connection = this.#cluster.node(leader)
    if (connection === null) throw kafkaError(ErrorCode.LEADER_NOT_AVAILABLE)
    await connection.connect()
    return (connection.versionsOf(OffsetForLeaderEpoch)?.[1] ?? 0) >= VALIDATE_VERSION_MIN
  }

  /**
   * `endOffset`: where the leader's log ends in the epoch of our last record, or in the largest before it. The answer is about the
   * position that was asked about: the user may have been given more since, of a later epoch. False: it must be asked again.
   */
  #judge(
    { state, epoch, position }: { state: PartitionState; epoch: number; position: OffsetAndEpoch | null },
    { foundEpoch, endOffset }: { foundEpoch: number; endOffset: number },
  ): boolean {
    if (position === null || state.position === null) return true
    const isKnown = endOffset >= 0 && foundEpoch >= 0
    if (isKnown && endOffset >= position.offset) {
      accept(state, epoch)
      return true
    }
    if (state.position.offset !== position.offset) return false
    const what = `the log of ${state.key} was truncated: it ends ${isKnown ? `at ${endOffset} ` : ''}before the position ${position.offset}`
    this.#platform.logger.warn(what)
    // It stays in doubt: nothing is read from here before the user has said where to go on.
    if (this.#config.autoOffsetReset === 'none') state.error = new LogTruncatedError(what, isKnown ? endOffset : null)
    else if (isKnown) {
      state.seek({ offset: endOffset, leaderEpoch: foundEpoch })
      state.validatedEpoch = epoch
    } else this.reset(state, what)
    return true
  }

  #leaderEpoch({ topic, partition }: PartitionState): number {
    return this.#cluster.leaderOf(topic, partition)?.leaderEpoch ?? -1
  }

  /** Returns false for what may pass; anything else is the user's. */
  #failed(states: readonly PartitionState[], error: unknown): boolean {
    if (isRetriable(error)) return false
    if (!(error instanceof KafkaError)) throw error
    if (!this.#cluster.isClosed) for (const state of states) state.error = error
    return true
  }
}

function timestampOf(search: PositionSearch): number {
  return search.kind === 'timestamp' ? search.timestamp : LATEST_TIMESTAMP
}

function accept(state: PartitionState, epoch: number): void {
  state.mustValidate = false
  state.validatedEpoch = epoch
  state.leaderDoubtedSinceMs = null
}
