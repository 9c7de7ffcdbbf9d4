/**
 * Reads records, as a member of a group or from partitions that are assigned by hand.
 *
 *     await using consumer = new Consumer(platform, { bootstrapServers: '127.0.0.1:9092', groupId: 'billing' })
 *     consumer.subscribe(['orders'])
 *     for await (const record of consumer) await charge(record)
 *
 * Delivery. Asking for the next record says that the one before is done. Automatic commits take in what is done, and no more: after
 * a crash what was given and not committed comes again (at least once). Who calls `commit` before working on a record has it
 * at most once. Both hold for batches and for `run` as well.
 */
import type { Platform } from '#platform'
import { ErrorCode } from '#protocol'

import { Cluster, type CallOptions } from '../cluster/index.ts'
import { consumerSettings, type ConsumerConfig, type ConsumerOptions } from '../config.ts'
import { resolveConfig } from '../config-table.ts'
import { ConfigError, KafkaError, checkTopicName, described, kafkaError } from '../errors.ts'
import { NO_CLIENT_FAULTS, type ClientFaults } from '../faults.ts'
import {
  EARLIEST_TIMESTAMP,
  LATEST_TIMESTAMP,
  fetchCommitted,
  listOffsets,
  type CommittedOffset,
  type FoundOffset,
} from '../offsets.ts'
import type { OffsetToCommit } from './committer.ts'
import { EndWatch } from './end-watch.ts'
import { iterateBatches, iterateRecords, type ConsumerBatch, type IteratorOptions } from './iterators.ts'
import type { PartitionState } from './partition-state.ts'
import { PollCore } from './poll-core.ts'
import type { ConsumerRecord } from './record.ts'
import { runHandlers, type RunOptions } from './run.ts'
import { Subscription } from './subscription.ts'
import { checkPartitions, keyOf, type TopicPartition } from './topic-partition.ts'

export interface IterationOptions {
  /** Ends the loop with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /**
   * Ends the loop when every assigned partition has been read up to the end that it had when the loop came upon it, however much is
   * written meanwhile: nothing behind that end is given, and the position stays there. Holds for every loop of the consumer.
   */
  readonly toEnd?: boolean
}

export interface CloseOptions {
  /** How long to wait for handlers and for the last commit; 30 s if left out. */
  readonly timeoutMs?: number
}

/** What other consumers' transactions need to commit this one's offsets. */
export interface GroupMetadata {
  readonly groupId: string
  /** -1 while it is no member. */
  readonly generation: number
  /** Empty while it is no member. */
  readonly memberId: string
  readonly groupInstanceId: string | null
}

const CLOSE_TIMEOUT_MS = 30_000

export class Consumer implements AsyncDisposable, AsyncIterable<ConsumerRecord> {
  readonly config: ConsumerConfig
  readonly #cluster: Cluster
  readonly #core: PollCore
  #closing: Promise<void> | null = null

  /** Connects to nothing yet. Throws `ConfigError`. `faults` are the simulation's. */
  constructor(platform: Platform, options: ConsumerOptions, faults: Partial<ClientFaults> = {}) {
    this.config = resolveConfig(consumerSettings, options, 'consumer')
    this.#cluster = new Cluster(platform, this.config, {
      allowAutoTopicCreation: this.config.allowAutoCreateTopics,
    })
    this.#core = new PollCore(platform, this.#cluster, this.config, { ...NO_CLIENT_FAULTS, ...faults })
  }

  /**
   * Consumes these topics, or all whose name matches, as a member of `group.id`. Replaces an earlier subscription. The member joins when
   * records are first asked for.
   */
  subscribe(topics: string | readonly string[] | RegExp): void {
    const { groupId, excludeInternalTopics, clientRack } = this.config
    this.#mustBeOpen()
    if (groupId === null) throw new ConfigError('subscribe needs a groupId; without a group, use assign')
    if (this.#core.membership === null && this.#core.assignment.size > 0)
      throw new KafkaError('partitions are assigned by hand; call unsubscribe first')
    const wanted = topics instanceof RegExp ? topics : topicNames(topics)
    if (!(wanted instanceof RegExp) && wanted.length === 0)
      throw new ConfigError('subscribe needs at least one topic; to consume nothing, use unsubscribe')
    this.#core.subscribe(groupId, new Subscription(this.#cluster, wanted, { excludeInternalTopics, clientRack }))
  }

  /** Consumes exactly these partitions, without taking part in a group; with a `group.id` its offsets are used all the same. */
  assign(partitions: readonly TopicPartition[]): void {
    this.#mustBeOpen()
    if (this.#core.membership !== null)
      throw new KafkaError('partitions are assigned by the group; call unsubscribe first')
    checkPartitions(partitions)
    this.#core.assign(partitions)
  }

  /** Gives everything up, and leaves the group. */
  async unsubscribe(): Promise<void> {
    await this.#core.unsubscribe()
  }

  /** The topics that are subscribed to. */
  subscription(): readonly string[] {
    return this.#core.subscription?.present ?? []
  }

  /** The partitions that the consumer has at present. */
  assignment(): TopicPartition[] {
    return this.#core.assignment.partitions
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<ConsumerRecord, undefined> {
    return this.records()
  }

  /** Record by record. Ends when the consumer is closed; throws what stops the consumer. */
  records(options: IterationOptions = {}): AsyncIterableIterator<ConsumerRecord, undefined> {
    return iterateRecords(this.#core, this.#iteratorOptions(options))
  }

  /** Batch by batch: the fast way. */
  batches(options: IterationOptions = {}): AsyncIterableIterator<ConsumerBatch, undefined> {
    return iterateBatches(this.#core, this.#iteratorOptions(options))
  }

  /**
   * Calls a handler for each record or batch, until the consumer is closed. Rejects with what a handler threw; its records
   * then come again in the next run. A handler must not wait for `close`, which waits for it.
   */
  run(options: RunOptions): Promise<void> {
    return runHandlers(this.#core, options, this.config.maxPollRecords)
  }

  /**
   * Commits the positions, that is everything given so far, or the offsets named. Rejects with `CommitFailedError` when a
   * partition has gone to another member.
   */
  async commit(offsets?: readonly OffsetToCommit[], options: CallOptions = {}): Promise<void> {
    const { committer } = this.#core
    if (committer === null) throw new ConfigError('commit needs a groupId')
    await committer.commit(offsets ?? this.#positions(), options)
  }

  /** What the group has committed, for each of these partitions that has an offset. */
  async committed(
    partitions: readonly TopicPartition[],
    options: CallOptions = {},
  ): Promise<(CommittedOffset & TopicPartition)[]> {
    if (this.config.groupId === null) throw new ConfigError('committed needs a groupId')
    return [...(await fetchCommitted(this.#cluster, this.config.groupId, partitions, options)).values()]
  }

  /** Offset of the next record that the user gets. Waits while it is looked for. */
  position(partition: TopicPartition, options: CallOptions = {}): Promise<number> {
    const { timeoutMs = this.config.defaultApiTimeoutMs, signal } = options
    // Whoever is told of new partitions may ask where they begin, before they are read.
    this.#core.positions.start()
    const look = (): number | null => {
      const state = this.#state(partition)
      if (state.error !== null) throw state.error
      return state.position?.offset ?? null
    }
    return this.#core.until(look, `the position of ${keyOf(partition)}`, { timeoutMs, signal })
  }

  /** The next record comes from this offset. What was fetched of the partition is dropped. */
  seek(partition: TopicPartition, offset: number, leaderEpoch = -1): void {
    if (!Number.isSafeInteger(offset) || offset < 0)
      throw new KafkaError(`offset ${offset} of ${keyOf(partition)} is none`)
    this.#state(partition).seek({ offset, leaderEpoch })
    this.#core.wake()
  }

  /** All assigned partitions if none are named. */
  seekToBeginning(partitions: readonly TopicPartition[] = this.assignment()): void {
    this.#lookFor(partitions, EARLIEST_TIMESTAMP)
  }

  /** All assigned partitions if none are named. */
  seekToEnd(partitions: readonly TopicPartition[] = this.assignment()): void {
    this.#lookFor(partitions, LATEST_TIMESTAMP)
  }

  /** Nothing more comes of these until `resume`; position and membership stay. */
  pause(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) this.#state(partition).isPaused = true
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) this.#state(partition).isPaused = false
    this.#core.wake()
  }

  paused(): TopicPartition[] {
    return [...this.#core.assignment]
      .filter(({ isPaused }) => isPaused)
      .map(({ topic, partition }) => ({ topic, partition }))
  }

  /** For each partition the first record whose timestamp is not before the one given, in ms; null where there is none. */
  async offsetsForTimes(
    times: readonly (TopicPartition & { readonly timestamp: number })[],
    options: CallOptions = {},
  ): Promise<(TopicPartition & { readonly found: FoundOffset | null })[]> {
    const found = await listOffsets(this.#cluster, times, this.config.isolationLevel, options)
    return times.map(({ topic, partition }) => {
      const offset = found.get(keyOf({ topic, partition }))
      return { topic, partition, found: offset === undefined || offset.offset < 0 ? null : offset }
    })
  }

  /** First offset of each, in the order given. */
  beginningOffsets(partitions: readonly TopicPartition[], options: CallOptions = {}): Promise<number[]> {
    return this.#ends(partitions, EARLIEST_TIMESTAMP, options)
  }

  /** Offset behind the last record that the isolation level lets be read, of each, in the order given. */
  endOffsets(partitions: readonly TopicPartition[], options: CallOptions = {}): Promise<number[]> {
    return this.#ends(partitions, LATEST_TIMESTAMP, options)
  }

  /** The topic's partitions. Rejects with the broker's error when there is no such topic. */
  async partitionsOf(topic: string, options: CallOptions = {}): Promise<TopicPartition[]> {
    const { timeoutMs = this.config.defaultApiTimeoutMs, signal } = options
    const { metadata } = this.#cluster
    const wait = { timeoutMs, timeoutName: 'default.api.timeout.ms', signal }
    metadata.track(topic)
    if (metadata.topic(topic) === undefined) await metadata.waitForUpdate(wait)
    const code = metadata.topicError(topic)
    if (code === ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) throw kafkaError(code, `topic ${topic}`)
    const { partitions } = await metadata.waitForTopic(topic, wait)
    return partitions.map(({ partition }) => ({ topic, partition }))
  }

  /** Records between the position and the end of the partition, as the last fetch told it; null before the first. Costs nothing. */
  lag(partition: TopicPartition): number | null {
    return this.#state(partition).lag(this.config.isolationLevel === 'read_committed')
  }

  /** What the consumer holds at the moment: bytes that were fetched ahead of its user. */
  get load(): { bufferedBytes: number } {
    return { bufferedBytes: this.#core.bufferedBytes }
  }

  /** The consumer's place in its group at present. */
  groupMetadata(): GroupMetadata {
    const { groupId, groupInstanceId } = this.config
    if (groupId === null) throw new ConfigError('groupMetadata needs a groupId')
    const { generation, memberId } = this.#core.membership?.place ?? { generation: -1, memberId: '' }
    return { groupId, generation, memberId, groupInstanceId }
  }

  /**
   * Ends loops and runs, waits for what is still being worked on, commits what is done where commits are automatic, and leaves the group
   * unless the member is static. May be called more than once.
   */
  close({ timeoutMs = CLOSE_TIMEOUT_MS }: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(timeoutMs)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(timeoutMs: number): Promise<void> {
    try {
      await this.#core.close(timeoutMs)
    } finally {
      await this.#cluster.close()
    }
  }

  #iteratorOptions({ signal, toEnd = false }: IterationOptions): IteratorOptions {
    const countMax = this.config.maxPollRecords
    if (!toEnd) return { countMax, signal }
    const watch = new EndWatch(this.#core, async (state) => (await this.#ends([state], LATEST_TIMESTAMP, {}))[0]!)
    return { countMax, signal, isDone: () => watch.isDone(), onEnd: () => watch.end() }
  }

  async #ends(partitions: readonly TopicPartition[], timestamp: number, options: CallOptions): Promise<number[]> {
    const queries = partitions.map(({ topic, partition }) => ({ topic, partition, timestamp }))
    const found = await listOffsets(this.#cluster, queries, this.config.isolationLevel, options)
    return partitions.map((partition) => found.get(keyOf(partition))!.offset)
  }

  #positions(): OffsetToCommit[] {
    return [...this.#core.assignment].flatMap(({ topic, partition, position }) =>
      position === null ? [] : [{ topic, partition, ...position }],
    )
  }

  #lookFor(partitions: readonly TopicPartition[], timestamp: number): void {
    for (const partition of partitions) this.#state(partition).lookFor({ kind: 'timestamp', timestamp })
    this.#core.positions.start()
  }

  #state(partition: TopicPartition): PartitionState {
    const state = this.#core.assignment.get(partition)
    if (state === undefined) throw new KafkaError(`${keyOf(partition)} is not assigned to this consumer`)
    return state
  }

  #mustBeOpen(): void {
    if (this.#closing !== null) throw this.#core.closedError
  }
}

function topicNames(topics: string | readonly string[]): string[] {
  const names = typeof topics === 'string' ? [topics] : topics
  if (!Array.isArray(names))
    throw new KafkaError(`topics are given as a name, a list of names or a RegExp, and not as ${described(names)}`)
  for (const name of names) checkTopicName(name)
  return [...new Set(names)]
}
