/**
 * Brokers for tests of the running consumer in virtual time: logs that can be truncated and have transactions, followers, and a
 * coordinator of one group with one member at a time. What a test wants to bend it sets.
 */
import { sleep, type Platform } from '#platform'
import { ErrorCode } from '#protocol'
import { Fetch, type FetchRequest, type FetchResponseInput } from '#protocol/messages/fetch'
import { FindCoordinator, type FindCoordinatorRequest } from '#protocol/messages/find-coordinator'
import { Heartbeat, type HeartbeatRequest } from '#protocol/messages/heartbeat'
import { JoinGroup, type JoinGroupRequest } from '#protocol/messages/join-group'
import { LeaveGroup } from '#protocol/messages/leave-group'
import { ListOffsets, type ListOffsetsRequest } from '#protocol/messages/list-offsets'
import { OffsetCommit, type OffsetCommitRequest } from '#protocol/messages/offset-commit'
import { OffsetFetch, type OffsetFetchRequest } from '#protocol/messages/offset-fetch'
import { OffsetForLeaderEpoch, type OffsetForLeaderEpochRequest } from '#protocol/messages/offset-for-leader-epoch'
import { SyncGroup, type SyncGroupRequest } from '#protocol/messages/sync-group'
import { RecordBatchBuilder, endTransactionBatch, type BatchOptions } from '#protocol/records'

import { FakeCluster, hostOf, type FakePartition } from '../producer/testing.ts'
import { keyOf, type TopicPartition } from './topic-partition.ts'

const encoder = new TextEncoder()
const LATEST = -1

interface StoredBatch {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly epoch: number
  readonly bytes: Uint8Array
}

type FetchedPartition = NonNullable<FetchResponseInput['responses'][number]['partitions']>[number]

export class FakeLog {
  readonly partition: FakePartition
  /** First offset of the open transaction, or where the log ends. */
  lastStableOffset = Infinity
  readonly aborted: { producerId: number; firstOffset: number; markerOffset: number }[] = []
  #batches: StoredBatch[] = []

  constructor(partition: FakePartition) {
    this.partition = partition
  }

  get endOffset(): number {
    return this.#batches.at(-1)?.nextOffset ?? 0
  }

  stableOffset(readsCommitted: boolean): number {
    return readsCommitted ? Math.min(this.endOffset, this.lastStableOffset) : this.endOffset
  }

  /** One batch of texts, under the leader's present epoch. */
  append(values: readonly string[], options: Partial<BatchOptions> = {}): void {
    const builder = new RecordBatchBuilder({
      baseOffset: this.endOffset,
      partitionLeaderEpoch: this.partition.leaderEpoch,
      ...options,
    })
    for (const value of values) builder.append({ timestamp: 1, key: null, value: encoder.encode(value) })
    this.#add(builder.build(), values.length)
  }

  /** Of a transaction that goes on. */
  appendOpen(producerId: number, values: readonly string[]): void {
    this.lastStableOffset = Math.min(this.lastStableOffset, this.endOffset)
    this.append(values, { producerId, producerEpoch: 0, baseSequence: 0, isTransactional: true })
  }

  /** Ends the transaction that began there, the only one that is open. */
  endTransaction(type: 'commit' | 'abort', producerId: number, firstOffset: number): void {
    const markerOffset = this.endOffset
    if (type === 'abort') this.aborted.push({ producerId, firstOffset, markerOffset })
    const marker = { type, coordinatorEpoch: 0, producerId, producerEpoch: 0, timestamp: 1, baseOffset: markerOffset }
    this.#add(endTransactionBatch({ ...marker, partitionLeaderEpoch: this.partition.leaderEpoch }), 1)
    this.lastStableOffset = Infinity
  }

  truncate(offset: number): void {
    this.#batches = this.#batches.filter(({ nextOffset }) => nextOffset <= offset)
  }

  /** Whole batches from the one with this offset, at most so many bytes, except that the first one may be larger where that is allowed. */
  read(fetchOffset: number, limit: number, bytesMax: number, isFirstWhole: boolean): Uint8Array {
    const wanted: Uint8Array[] = []
    let size = 0
    for (const { nextOffset, bytes } of this.#batches) {
      if (nextOffset <= fetchOffset) continue
      const isWhole = isFirstWhole && wanted.length === 0
      if (nextOffset > limit || (!isWhole && size + bytes.length > bytesMax)) break
      wanted.push(bytes)
      size += bytes.length
    }
    return Buffer.concat(wanted)
  }

  /** The largest epoch up to the one asked for, and where it ends. */
  endOf(epoch: number): { leaderEpoch: number; endOffset: number } {
    const below = this.#batches.filter((batch) => batch.epoch <= epoch)
    const last = below.at(-1)
    if (last === undefined) return { leaderEpoch: -1, endOffset: -1 }
    return { leaderEpoch: last.epoch, endOffset: last.nextOffset }
  }

  #add(bytes: Uint8Array, count: number): void {
    const baseOffset = this.endOffset
    this.#batches.push({ baseOffset, nextOffset: baseOffset + count, epoch: this.partition.leaderEpoch, bytes })
  }
}

/** One fetch that arrives. */
export interface FetchArrival {
  readonly atMs: number
  readonly broker: number
  readonly rackId: string
  readonly partitions: readonly string[]
}

export class FakeConsumerCluster {
  readonly cluster = new FakeCluster()
  readonly logs = new Map<string, FakeLog>()
  readonly fetches: FetchArrival[] = []
  bytesServed = 0
  /** Instead of what the log says; null: nothing. */
  onFetch: (log: FakeLog, broker: number) => Partial<FetchedPartition> | null = () => null
  /** Before the answer to ListOffsets. */
  listDelayMs = 0
  epochQuestions = 0
  /** Before the answer to OffsetForLeaderEpoch. */
  epochDelayMs = 0

  coordinator = 1
  memberId = ''
  generation = 0
  /** Answered to the next heartbeats and commits, if not the usual. */
  heartbeatCode: number = ErrorCode.NONE
  commitCode: number = ErrorCode.NONE
  /** Answered to the next joins, one each. */
  readonly joinCodes: number[] = []
  readonly heartbeats: number[] = []
  readonly joins: number[] = []
  readonly leaves: number[] = []
  readonly commits: (TopicPartition & { atMs: number; offset: number })[] = []
  readonly committed = new Map<string, number>()
  /** Of the records before the committed offsets. */
  committedLeaderEpoch = -1
  /** Requests of every kind. */
  requests = 0
  #members = 0

  constructor() {
    const handlers = [
      { api: Fetch, maxVersion: 12, handle: this.#fetch.bind(this) },
      { api: ListOffsets, handle: this.#listOffsets.bind(this) },
      { api: OffsetForLeaderEpoch, handle: this.#epochEnd.bind(this) },
      { api: FindCoordinator, handle: this.#findCoordinator.bind(this) },
      { api: JoinGroup, handle: this.#join.bind(this) },
      { api: SyncGroup, handle: this.#sync.bind(this) },
      { api: Heartbeat, handle: this.#heartbeat.bind(this) },
      { api: LeaveGroup, handle: this.#leave.bind(this) },
      { api: OffsetCommit, handle: this.#commit.bind(this) },
      { api: OffsetFetch, handle: this.#fetchCommitted.bind(this) },
    ]
    for (const { api, handle, ...rest } of handlers)
      this.cluster.handlers.push({
        api,
        ...rest,
        handle: ({ message }, broker, platform) => {
          this.requests += 1
          return (handle as (message: unknown, broker: number, platform: Platform) => object | Promise<object>)(
            message,
            broker,
            platform,
          )
        },
      })
  }

  createTopic(topic: string, count: number): FakeLog[] {
    return this.cluster.createTopic(topic, count).map((partition, index) => {
      const log = new FakeLog(partition)
      this.logs.set(keyOf({ topic, partition: index }), log)
      return log
    })
  }

  fetchesOf(broker: number): number {
    return this.fetches.filter((fetch) => fetch.broker === broker).length
  }

  async #fetch(request: FetchRequest, broker: number, platform: Platform): Promise<FetchResponseInput> {
    const partitions = request.topics.flatMap(({ topic, partitions: list }) =>
      list.map(({ partition }) => keyOf({ topic, partition })),
    )
    this.fetches.push({ atMs: platform.clock.monotonic(), broker, rackId: request.rackId, partitions })
    const deadlineMs = platform.clock.monotonic() + request.maxWaitMs
    for (;;) {
      let left = request.maxBytes
      let isWorthAnAnswer = false
      const responses = request.topics.map(({ topic, partitions: list }) => ({
        topic,
        partitions: list.map((asked) => {
          const answer = this.#read(topic, asked, broker, {
            left,
            isFirst: left === request.maxBytes,
            readsCommitted: request.isolationLevel === 1,
          })
          const size = answer.records?.length ?? 0
          left -= size
          isWorthAnAnswer ||= size > 0 || answer.errorCode !== 0 || (answer.preferredReadReplica ?? -1) >= 0
          return answer
        }),
      }))
      if (isWorthAnAnswer || platform.clock.monotonic() >= deadlineMs) {
        this.bytesServed += request.maxBytes - left
        return { errorCode: 0, sessionId: 0, responses, nodeEndpoints: [] }
      }
      await sleep(platform.clock, 5)
    }
  }

  #read(
    topic: string,
    asked: FetchRequest['topics'][number]['partitions'][number],
    broker: number,
    { left, isFirst, readsCommitted }: { left: number; isFirst: boolean; readsCommitted: boolean },
  ): FetchedPartition {
    const { partition, fetchOffset, currentLeaderEpoch, partitionMaxBytes } = asked
    const log = this.logs.get(keyOf({ topic, partition }))!
    const limit = log.stableOffset(readsCommitted)
    const bent = this.onFetch(log, broker)
    const errorCode = bent?.errorCode ?? this.#fetchError(log, broker, fetchOffset, currentLeaderEpoch)
    const isRead = errorCode === 0 && (bent?.preferredReadReplica ?? -1) < 0 && left > 0
    const records = isRead ? log.read(fetchOffset, limit, Math.min(partitionMaxBytes, left), isFirst) : null
    return {
      partitionIndex: partition,
      errorCode,
      highWatermark: log.endOffset,
      lastStableOffset: log.stableOffset(true),
      logStartOffset: 0,
      abortedTransactions: readsCommitted
        ? log.aborted.filter(({ markerOffset }) => markerOffset >= fetchOffset)
        : null,
      preferredReadReplica: -1,
      ...bent,
      records: bent?.records ?? records,
    }
  }

  #fetchError(log: FakeLog, broker: number, fetchOffset: number, epoch: number): number {
    const { leader, leaderEpoch } = log.partition
    if (epoch >= 0 && epoch < leaderEpoch) return ErrorCode.FENCED_LEADER_EPOCH
    if (broker !== leader && this.onFetch(log, broker) === null) return ErrorCode.NOT_LEADER_OR_FOLLOWER
    return fetchOffset > log.endOffset ? ErrorCode.OFFSET_OUT_OF_RANGE : ErrorCode.NONE
  }

  async #listOffsets({ topics, isolationLevel }: ListOffsetsRequest, _broker: number, platform: Platform) {
    const answer = {
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, timestamp }) => {
          const log = this.logs.get(keyOf({ topic: name, partition: partitionIndex }))!
          const offset = timestamp === LATEST ? log.stableOffset(isolationLevel === 1) : 0
          return { partitionIndex, errorCode: 0, oldStyleOffsets: [], timestamp: -1, offset, leaderEpoch: -1 }
        }),
      })),
    }
    if (this.listDelayMs > 0) await sleep(platform.clock, this.listDelayMs)
    return answer
  }

  async #epochEnd({ topics }: OffsetForLeaderEpochRequest, _broker: number, platform: Platform) {
    this.epochQuestions += 1
    await sleep(platform.clock, this.epochDelayMs)
    return {
      topics: topics.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map(({ partition, leaderEpoch }) => ({
          partition,
          errorCode: 0,
          ...this.logs.get(keyOf({ topic, partition }))!.endOf(leaderEpoch),
        })),
      })),
    }
  }

  #findCoordinator({ coordinatorKeys }: FindCoordinatorRequest) {
    const node = { nodeId: this.coordinator, host: hostOf(this.coordinator), port: 9092 }
    return { coordinators: coordinatorKeys.map((key) => ({ key, ...node, errorCode: 0, errorMessage: null })) }
  }

  #join({ memberId, protocols }: JoinGroupRequest, broker: number, platform: Platform) {
    const refuse = (errorCode: number) => ({ errorCode, protocolName: '', leader: '', memberId, members: [] })
    if (broker !== this.coordinator) return refuse(ErrorCode.NOT_COORDINATOR)
    if (memberId !== '' && memberId !== this.memberId) return refuse(ErrorCode.UNKNOWN_MEMBER_ID)
    const errorCode = this.joinCodes.shift()
    if (errorCode !== undefined) return refuse(errorCode)
    this.joins.push(platform.clock.monotonic())
    if (memberId === '') this.memberId = `member-${++this.#members}`
    this.generation += 1
    this.heartbeatCode = ErrorCode.NONE
    const [{ name, metadata }] = protocols as [{ name: string; metadata: Uint8Array }]
    return {
      errorCode: 0,
      generationId: this.generation,
      protocolType: 'consumer',
      protocolName: name,
      leader: this.memberId,
      memberId: this.memberId,
      members: [{ memberId: this.memberId, groupInstanceId: null, metadata }],
    }
  }

  #sync({ assignments }: SyncGroupRequest) {
    return { errorCode: 0, assignment: assignments[0]?.assignment ?? new Uint8Array() }
  }

  #heartbeat({ memberId, generationId }: HeartbeatRequest, broker: number, platform: Platform) {
    if (broker !== this.coordinator) return { errorCode: ErrorCode.NOT_COORDINATOR }
    this.heartbeats.push(platform.clock.monotonic())
    return { errorCode: this.#placeError(memberId, generationId) || this.heartbeatCode }
  }

  #leave(_message: unknown, _broker: number, platform: Platform) {
    this.leaves.push(platform.clock.monotonic())
    const { memberId } = this
    this.memberId = ''
    return { errorCode: 0, members: [{ memberId, groupInstanceId: null, errorCode: 0 }] }
  }

  #commit(message: OffsetCommitRequest, broker: number, platform: Platform) {
    const { memberId, generationIdOrMemberEpoch, topics } = message
    const placeError = memberId === '' ? ErrorCode.NONE : this.#placeError(memberId, generationIdOrMemberEpoch)
    const errorCode = broker === this.coordinator ? placeError || this.commitCode : ErrorCode.NOT_COORDINATOR
    for (const { name, partitions } of topics)
      for (const { partitionIndex, committedOffset } of partitions) {
        const place = { topic: name, partition: partitionIndex }
        if (errorCode !== 0) continue
        this.commits.push({ ...place, atMs: platform.clock.monotonic(), offset: committedOffset })
        this.committed.set(keyOf(place), committedOffset)
      }
    return {
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
      })),
    }
  }

  #fetchCommitted({ topics }: OffsetFetchRequest) {
    return {
      errorCode: 0,
      groups: [],
      topics: (topics ?? []).map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((partitionIndex) => ({
          partitionIndex,
          committedOffset: this.committed.get(keyOf({ topic: name, partition: partitionIndex })) ?? -1,
          committedLeaderEpoch: this.committedLeaderEpoch,
          metadata: '',
          errorCode: 0,
        })),
      })),
    }
  }

  #placeError(memberId: string, generation: number): number {
    if (memberId !== this.memberId) return ErrorCode.UNKNOWN_MEMBER_ID
    return generation === this.generation ? ErrorCode.NONE : ErrorCode.ILLEGAL_GENERATION
  }
}
