/**
 * All replicas of a broker: carries out what the controller says of them, and serves those who write to them and read
 * from them. What each partition does is in `partition.ts`; here is who is asked, and what else happens then.
 */
import type { Clock, Logger, Platform, Timer } from '#platform'
import { ErrorCode, ZERO_UUID } from '#protocol'
import type { LeaderAndIsrRequest, LeaderAndIsrResponse } from '#protocol/messages/leader-and-isr'
import type { StopReplicaRequest, StopReplicaResponse } from '#protocol/messages/stop-replica'
import { OfflineLogError, partitionName, type Log, type LogManager } from '#storage'

import { Deadlines } from './deadlines.ts'
import { ExpectedFollowers } from './expected-followers.ts'
import { NO_FAULTS, type Faults } from './faults.ts'
import { fetchPartitions } from './fetching.ts'
import { FetcherPool } from './fetcher-pool.ts'
import { IsrChanges } from './isr-changes.ts'
import { listOffset } from './list-offsets.ts'
import { LogMoves } from './log-moves.ts'
import { Partition, type PartitionContext, type ReplicationQuotas } from './partition.ts'
import { PartitionsWait } from './partitions-wait.ts'
import type { AlterPartitionSender, LeaderConnector, MetadataView, ReplicationEvents, TopicConfigs } from './ports.ts'
import { DEFAULT_REPLICATION_CONFIG, type ReplicationConfig } from './replication-config.ts'
import { ReplicationQuota } from './replication-quota.ts'
import type {
  AppendEntry,
  AppendRequest,
  AppendResult,
  CurrentLeader,
  DeleteRecordsParameters,
  DeleteRecordsResult,
  EpochEndParameters,
  EpochEndResult,
  FetchPartitionParameters,
  FetchRequestParameters,
  FetchResult,
  ListOffsetsParameters,
  ListOffsetsResult,
  MoveReplica,
} from './requests.ts'

export interface ReplicaManagerOptions {
  readonly platform: Pick<Platform, 'clock' | 'logger'>
  readonly brokerId: number
  readonly config?: ReplicationConfig
  readonly logs: LogManager
  readonly topicConfigs: TopicConfigs
  readonly metadata: MetadataView
  readonly leaders: LeaderConnector
  readonly alterPartitions: AlterPartitionSender
  /** Internal topics take records of coordinators and the administration only. */
  isInternalTopic(topic: string): boolean
  /** czxid of this broker's registration: requests meant for an earlier life of it are refused (KIP-380). */
  brokerEpoch(): number
  readonly events?: ReplicationEvents
  readonly faults?: Partial<Faults>
}

type LeaderAndIsrPartition = LeaderAndIsrRequest['topicStates'][number]['partitionStates'][number]

const DEBUG_CONSUMER = -2
/** Leader epochs of a partition whose topic is being deleted, and of one without: both are always obeyed. */
const EPOCH_DURING_DELETE = -2
const NO_EPOCH = -1

/** What one log may be ahead of its file before those who produce to it wait. */
const UNWRITTEN_BYTES_MAX = 16 * 1024 * 1024

/** Bytes per second; `Infinity`: no bound. */
export interface Throttles {
  /** Sent to throttled followers. */
  readonly leader: number
  /** Fetched for throttled replicas. */
  readonly follower: number
  /** Copied from one log directory to another. */
  readonly moves: number
}

export class ReplicaManager {
  readonly #options: ReplicaManagerOptions
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #config: ReplicationConfig
  readonly #faults: Faults
  readonly #logs: LogManager
  readonly #partitions = new Map<string, Partition>()
  readonly #deadlines: Deadlines
  readonly #expectedFollowers: ExpectedFollowers
  readonly #isrChanges: IsrChanges
  readonly #fetchers: FetcherPool
  readonly #moves: LogMoves
  readonly #quotas: ReplicationQuotas
  readonly #moveQuota: ReplicationQuota
  readonly #context: PartitionContext
  /** Highest controller epoch seen; requests of earlier ones come from the dead. */
  #controllerEpoch = 0
  #timers: Timer[] = []
  #checkpointsRun = false
  #isClosed = false

  constructor(options: ReplicaManagerOptions) {
    const { clock, logger } = options.platform
    this.#options = options
    this.#clock = clock
    this.#logger = logger
    this.#config = options.config ?? DEFAULT_REPLICATION_CONFIG
    this.#faults = { ...NO_FAULTS, ...options.faults }
    this.#logs = options.logs
    this.#deadlines = new Deadlines(clock)
    this.#expectedFollowers = new ExpectedFollowers(clock)
    const { brokerId, leaders, metadata } = options
    const brokerEpoch = (): number => options.brokerEpoch()
    this.#isrChanges = new IsrChanges({ brokerId, clock, logger, sender: options.alterPartitions, brokerEpoch })
    const shared = { brokerId, clock, logger, config: this.#config, faults: this.#faults }
    const { replicationQuotaWindowNum: samples, replicationQuotaWindowSizeSeconds: seconds } = this.#config
    const quota = (): ReplicationQuota => new ReplicationQuota(clock, { samples, sampleMs: seconds * 1000 })
    this.#quotas = { leader: quota(), follower: quota() }
    this.#moveQuota = quota()
    const bytesMax = this.#config.replicaFetchMaxBytes
    this.#moves = new LogMoves({ clock, logger, logs: options.logs, quota: this.#moveQuota, bytesMax })
    this.#fetchers = new FetcherPool({ ...shared, leaders, metadata, brokerEpoch, quota: this.#quotas.follower })
    this.#context = {
      ...shared,
      metadata,
      isrChanges: this.#isrChanges,
      quotas: this.#quotas,
      highWatermarkMoved: (partition) =>
        this.#tell((events) => events.onHighWatermark?.(partition.topic, partition.partition, partition.highWatermark)),
    }
    options.logs.onDirectoryFailure = (directory, logs) => this.#directoryFailed(directory.path, logs)
  }

  /** Begins to watch the ISRs. */
  start(): void {
    this.#every(this.#config.replicaLagTimeMaxMs / 2, (lateMs) => {
      // After a stall the followers' fetches may only just have been read; they are judged as of when the timer was due.
      const nowMs = this.#clock.monotonic() - lateMs
      for (const partition of this.#partitions.values()) {
        partition.maybeShrinkIsr(nowMs)
        partition.reconsiderFollowers()
      }
    })
  }

  setThrottles({ leader, follower, moves }: Throttles): void {
    this.#quotas.leader.limit = leader
    this.#quotas.follower.limit = follower
    this.#moveQuota.limit = moves
  }

  /** `num.replica.fetchers` has changed. */
  setFetcherCount(count: number): void {
    this.#fetchers.resize(count)
  }

  partition(topic: string, partition: number): Partition | null {
    return this.#partitions.get(partitionName(topic, partition)) ?? null
  }

  get partitions(): Iterable<Partition> {
    return this.#partitions.values()
  }

  get controllerEpoch(): number {
    return this.#controllerEpoch
  }

  // ---------------------------------------------------------------- the controller's requests

  /**
   * Whether a controller's request is to be obeyed: `NONE`, `STALE_BROKER_EPOCH` or `STALE_CONTROLLER_EPOCH`. Remembers the
   * controller epoch. UpdateMetadata asks here too, before it is applied.
   */
  admitController(controllerEpoch: number, brokerEpoch: number): number {
    const isForEarlierLife = brokerEpoch !== NO_EPOCH && brokerEpoch < this.#options.brokerEpoch()
    if (isForEarlierLife && !this.#faults.acceptStaleBrokerEpoch) return ErrorCode.STALE_BROKER_EPOCH
    if (controllerEpoch < this.#controllerEpoch && !this.#faults.acceptStaleControllerEpoch)
      return ErrorCode.STALE_CONTROLLER_EPOCH
    this.#controllerEpoch = Math.max(controllerEpoch, this.#controllerEpoch)
    return ErrorCode.NONE
  }

  /** One that is closed takes up no role any more: its logs are about to be closed too. */
  #admitRoles({ controllerEpoch, brokerEpoch }: LeaderAndIsrRequest | StopReplicaRequest): number {
    return this.#isClosed ? ErrorCode.BROKER_NOT_AVAILABLE : this.admitController(controllerEpoch, brokerEpoch)
  }

  /** LeaderAndIsr. Synchronous: when it returns, the roles have changed. */
  becomeLeaderOrFollower(request: LeaderAndIsrRequest): LeaderAndIsrResponse {
    const errorCode = this.#admitRoles(request)
    if (errorCode !== ErrorCode.NONE) return { errorCode, topics: [], partitionErrors: [] }
    const topics: LeaderAndIsrResponse['topics'] = []
    const partitionErrors: LeaderAndIsrResponse['partitionErrors'] = []
    for (const { topicName, topicId, partitionStates } of topicsOf(request)) {
      const errors = partitionStates.map((state) => ({
        topicName,
        partitionIndex: state.partitionIndex,
        errorCode: this.#applyState(topicName, topicId, state),
      }))
      topics.push({ topicId, partitionErrors: errors })
      partitionErrors.push(...errors)
    }
    this.#fetchers.closeIdle()
    this.#startCheckpoints()
    return { errorCode, topics, partitionErrors }
  }

  #applyState(topic: string, topicId: string, state: LeaderAndIsrPartition): number {
    const key = partitionName(topic, state.partitionIndex)
    if (this.#logs.isOffline(topic, state.partitionIndex)) return ErrorCode.KAFKA_STORAGE_ERROR
    const partition = this.#partitions.get(key) ?? new Partition(topic, state.partitionIndex, this.#context)
    const refusal = this.#refusalOf(partition, topicId, state)
    if (refusal !== null) return refusal
    try {
      const log = this.#logs.getOrCreate(partition, state)
      if (topicId !== ZERO_UUID && log.topicId === null) log.assignTopicId(topicId)
      partition.useLog(log)
    } catch (error) {
      if (!(error instanceof OfflineLogError)) throw error
      partition.markOffline()
      this.#partitions.set(key, partition)
      return ErrorCode.KAFKA_STORAGE_ERROR
    }
    this.#partitions.set(key, partition)
    this.#moves.resume(partition)
    if (state.leader === this.#options.brokerId) this.#lead(key, partition, state)
    else this.#follow(key, partition, state)
    return ErrorCode.NONE
  }

  /** Null when the state is to be obeyed; else the answer, which for a repeated epoch may be `NONE`. */
  #refusalOf(partition: Partition, topicId: string, state: LeaderAndIsrPartition): number | null {
    const log = partition.log ?? this.#logs.log(partition.topic, partition.partition)
    const known = log?.topicId ?? null
    if (topicId !== ZERO_UUID && known !== null && known !== topicId) return ErrorCode.INCONSISTENT_TOPIC_ID
    if (state.leaderEpoch > partition.leaderEpoch)
      return state.replicas.includes(this.#options.brokerId) ? null : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if (this.#faults.acceptStaleControllerEpoch && state.leaderEpoch < partition.leaderEpoch) return null
    const gainsId = state.leaderEpoch === partition.leaderEpoch && known === null && topicId !== ZERO_UUID
    if (!gainsId || log === null) return ErrorCode.STALE_CONTROLLER_EPOCH
    log.assignTopicId(topicId)
    return ErrorCode.NONE
  }

  #lead(key: string, partition: Partition, state: LeaderAndIsrPartition): void {
    this.#fetchers.remove(key)
    const leadsAnew = !partition.isLeader
    if (!partition.makeLeader(state)) return
    if (leadsAnew) this.#expectedFollowers.expect(state.replicas.filter((id) => id !== this.#options.brokerId))
    this.#tell((events) => events.onLeader?.(partition.topic, partition.partition, partition.leaderEpoch))
  }

  #follow(key: string, partition: Partition, state: LeaderAndIsrPartition): void {
    if (!partition.makeFollower(state)) return
    this.#fetchers.follow(key, partition)
    this.#tell((events) => events.onFollower?.(partition.topic, partition.partition, partition.leaderEpoch))
  }

  /** The cluster has changed (UpdateMetadata was applied): leaders may have become known, or moved to another address. */
  metadataChanged(): void {
    this.#fetchers.refresh()
    for (const partition of this.#partitions.values()) partition.reconsiderFollowers()
  }

  /** StopReplica. Synchronous. */
  stopReplicas(request: StopReplicaRequest): StopReplicaResponse {
    const errorCode = this.#admitRoles(request)
    if (errorCode !== ErrorCode.NONE) return { errorCode, partitionErrors: [] }
    const partitionErrors = stopsOf(request).map(({ topic, partition, leaderEpoch, deletes }) => ({
      topicName: topic,
      partitionIndex: partition,
      errorCode: this.#stop(topic, partition, leaderEpoch, deletes),
    }))
    this.#fetchers.closeIdle()
    return { errorCode, partitionErrors }
  }

  #stop(topic: string, index: number, leaderEpoch: number, deletes: boolean): number {
    const key = partitionName(topic, index)
    if (this.#logs.isOffline(topic, index)) return ErrorCode.KAFKA_STORAGE_ERROR
    const partition = this.#partitions.get(key)
    if (partition !== undefined) {
      // An older epoch is a late request about a replica that lives again (KIP-570).
      const isForced = leaderEpoch === EPOCH_DURING_DELETE || leaderEpoch === NO_EPOCH
      if (!isForced && leaderEpoch < partition.leaderEpoch) return ErrorCode.FENCED_LEADER_EPOCH
      if (deletes) this.#remove(topic, index)
      else {
        this.#fetchers.remove(key)
        this.#tell((events) => events.onFollower?.(topic, index, partition.leaderEpoch))
      }
    }
    if (deletes) this.#logs.delete(topic, index)
    return ErrorCode.NONE
  }

  /** The replica is not this broker's any more, and is kept for people to look at. Returns where; null: there was none. */
  setAside(topic: string, index: number): string | null {
    this.#remove(topic, index)
    return this.#logs.setAside(topic, index)
  }

  #remove(topic: string, index: number): void {
    const key = partitionName(topic, index)
    const partition = this.#partitions.get(key)
    if (partition === undefined) return
    this.#fetchers.remove(key)
    this.#partitions.delete(key)
    this.#moves.cancel(partition)
    partition.delete()
    this.#tell((events) => events.onFollower?.(topic, index, null))
  }

  // ---------------------------------------------------------------- writing

  /**
   * Appends, synchronously: when this returns, the offsets are given and the records will be written in this order. The
   * answer comes at once where nothing is waited for, else when acks has what it asks for.
   */
  appendRecords(request: AppendRequest): AppendResult[] | Promise<AppendResult[]> {
    const waits: { index: number; partition: Partition; offset: number }[] = []
    const results = request.entries.map((entry, index) => {
      const { result, wait } = this.#append(request, entry)
      if (wait !== null) waits.push({ index, ...wait })
      return result
    })
    if (waits.length === 0 || request.acks === 0) return results
    const indexes = waits.map(({ index }) => index)
    const waiting = new PartitionsWait(results, indexes, acknowledged, request.timeoutMs, this.#deadlines)
    for (const { index, partition, offset } of waits)
      partition.await({ offset, done: (errorCode) => waiting.complete(index, errorCode) }, request.acks)
    return waiting.done
  }

  /**
   * Null, or when the disks have caught up with what was appended to these partitions. A client that may append more before
   * that fills the memory. Never rejects.
   */
  backlogOf(entries: readonly AppendEntry[]): Promise<void> | null {
    const behind: Promise<void>[] = []
    for (const { topic, partition } of entries) {
      const log = this.partition(topic, partition)?.log
      if (log != null && log.unwrittenBytes > UNWRITTEN_BYTES_MAX) behind.push(log.settle())
    }
    return behind.length === 0 ? null : Promise.all(behind).then(() => undefined)
  }

  #append(
    request: AppendRequest,
    entry: AppendEntry,
  ): { result: AppendResult; wait: { partition: Partition; offset: number } | null } {
    const { topic, partition: index, records } = entry
    const refuse = (errorCode: number, message: string | null = null, leader: CurrentLeader | null = null) => ({
      result: refusal(entry, errorCode, message, leader),
      wait: null,
    })
    if (!request.internalTopicsAllowed && this.#options.isInternalTopic(topic))
      return refuse(ErrorCode.INVALID_TOPIC_EXCEPTION, `${topic} is internal`)
    const partition = this.#lookUp(topic, index)
    if (typeof partition === 'number') return refuse(partition)
    const errorCode = partition.checkAccess(NO_EPOCH, true)
    if (errorCode !== ErrorCode.NONE) return refuse(errorCode, null, leaderOf(partition))
    if (request.acks === -1 && !partition.hasEnoughReplicas)
      return refuse(
        ErrorCode.NOT_ENOUGH_REPLICAS,
        `the ISR has ${partition.isr.size} members, fewer than min.insync.replicas`,
      )
    const log = partition.log!
    const appended = log.appendAsLeader(records, partition.leaderEpoch, request.origin)
    if (appended.kind === 'refused') {
      const { result } = refuse(appended.errorCode, appended.message)
      return { result: { ...result, recordErrors: appended.recordErrors }, wait: null }
    }
    const result: AppendResult = {
      topic,
      partition: index,
      errorCode: ErrorCode.NONE,
      errorMessage: null,
      baseOffset: appended.firstOffset,
      logAppendTimeMs: appended.logAppendTimeMs,
      logStartOffset: log.logStartOffset,
      recordErrors: NO_RECORD_ERRORS,
      currentLeader: null,
    }
    return { result, wait: { partition, offset: appended.lastOffset + 1 } }
  }

  /**
   * Moves the starts of logs forward (KIP-107), synchronously; answered when every living replica has moved its own, or
   * the time is over. Source: ReplicaManager.deleteRecords.
   */
  deleteRecords({
    timeoutMs,
    partitions,
  }: DeleteRecordsParameters): DeleteRecordsResult[] | Promise<DeleteRecordsResult[]> {
    const waits: { index: number; partition: Partition; offset: number }[] = []
    const results = partitions.map(({ topic, partition: index, offset }, at): DeleteRecordsResult => {
      const refused = (errorCode: number) => ({ topic, partition: index, errorCode, lowWatermark: -1 })
      if (this.#options.isInternalTopic(topic)) return refused(ErrorCode.INVALID_TOPIC_EXCEPTION)
      const partition = this.#lookUp(topic, index)
      if (typeof partition === 'number') return refused(partition)
      const start = partition.deleteRecords(offset)
      if ('errorCode' in start) return refused(start.errorCode)
      waits.push({ index: at, partition, offset: start.offset })
      return { topic, partition: index, errorCode: ErrorCode.NONE, lowWatermark: start.offset }
    })
    if (waits.length === 0) return results
    const settled = (result: DeleteRecordsResult, errorCode: number): DeleteRecordsResult => ({
      ...result,
      errorCode,
      lowWatermark: this.partition(result.topic, result.partition)?.lowWatermark ?? -1,
    })
    const indexes = waits.map(({ index }) => index)
    const waiting = new PartitionsWait(results, indexes, settled, timeoutMs, this.#deadlines)
    for (const { index, partition, offset } of waits)
      partition.awaitLowWatermark({ offset, done: (errorCode) => waiting.complete(index, errorCode) })
    return waiting.done
  }

  /**
   * AlterReplicaLogDirs: begins to move replicas to other directories of this broker; returns an error code for each. One that is
   * not here yet is made there. Source: ReplicaManager.alterReplicaLogDirs.
   */
  moveReplicas(moves: readonly MoveReplica[]): number[] {
    return moves.map(({ topic, partition: index, directory: path }) => {
      const directory = this.#logs.directory(path)
      if (directory === null) return ErrorCode.LOG_DIR_NOT_FOUND
      if (directory.isOffline || this.#logs.isOffline(topic, index)) return ErrorCode.KAFKA_STORAGE_ERROR
      const partition = this.partition(topic, index)
      if (partition === null || partition.log === null) {
        this.#logs.wantIn(directory, { topic, partition: index })
        return ErrorCode.REPLICA_NOT_AVAILABLE
      }
      try {
        this.#moves.start(partition, directory)
        return ErrorCode.NONE
      } catch (error) {
        if (!(error instanceof OfflineLogError)) throw error
        return ErrorCode.KAFKA_STORAGE_ERROR
      }
    })
  }

  // ---------------------------------------------------------------- reading

  /** At once where there is enough to read or something to say, else when there is or `maxWaitMs` is over. */
  fetch(request: FetchRequestParameters): FetchResult | Promise<FetchResult> {
    return fetchPartitions(
      {
        lookUp: (wanted) => this.#lookUpForFetch(wanted),
        deadlines: this.#deadlines,
        expectedFollowers: this.#expectedFollowers,
        bytesMax: this.#config.fetchMaxBytes,
      },
      request,
    )
  }

  #lookUpForFetch({ topic, topicId, partition: index }: FetchPartitionParameters): Partition | number {
    const partition = this.#lookUp(topic, index)
    if (typeof partition === 'number') return partition
    const known = partition.topicId
    const isOther = topicId !== null && topicId !== ZERO_UUID && known !== null && known !== topicId
    return isOther ? ErrorCode.INCONSISTENT_TOPIC_ID : partition
  }

  /** The partition, or what to answer where there is none here. */
  #lookUp(topic: string, index: number): Partition | number {
    const partition = this.#partitions.get(partitionName(topic, index))
    if (partition !== undefined) return partition
    if (this.#logs.isOffline(topic, index)) return ErrorCode.KAFKA_STORAGE_ERROR
    return this.#options.metadata.hasPartition(topic, index)
      ? ErrorCode.NOT_LEADER_OR_FOLLOWER
      : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
  }

  listOffsets(request: ListOffsetsParameters): ListOffsetsResult[] {
    return request.partitions.map((wanted) => {
      const { topic, partition: index } = wanted
      const found = this.#lookUp(topic, index)
      if (typeof found === 'number')
        return { topic, partition: index, errorCode: found, timestamp: -1, offset: -1, leaderEpoch: -1 }
      return listOffset(found, wanted, request)
    })
  }

  /** Where epochs end, for followers and consumers that compare their logs with this one. */
  offsetsForLeaderEpoch({ replicaId, partitions }: EpochEndParameters): EpochEndResult[] {
    return partitions.map(({ topic, partition: index, currentLeaderEpoch, leaderEpoch }) => {
      const found = this.#lookUp(topic, index)
      const unknown = { topic, partition: index, leaderEpoch: -1, endOffset: -1 }
      if (typeof found === 'number') return { ...unknown, errorCode: found }
      const errorCode = found.checkAccess(currentLeaderEpoch, replicaId !== DEBUG_CONSUMER)
      if (errorCode !== ErrorCode.NONE) return { ...unknown, errorCode }
      const end = found.log!.endOffsetForEpoch(leaderEpoch)
      return end === null
        ? { ...unknown, errorCode }
        : { ...unknown, errorCode, leaderEpoch: end.epoch, endOffset: end.endOffset }
    })
  }

  // ---------------------------------------------------------------- the rest of life

  /** The topic's configuration has changed in ZooKeeper. */
  topicConfigChanged(topic: string): void {
    this.#logs.topicConfigChanged(topic)
  }

  #startCheckpoints(): void {
    if (this.#checkpointsRun) return
    this.#checkpointsRun = true
    this.#every(this.#config.replicaHighWatermarkCheckpointIntervalMs, () => void this.#logs.checkpointHighWatermarks())
  }

  #every(intervalMs: number, run: (lateMs: number) => void): void {
    const index = this.#timers.length
    const arm = (): Timer =>
      this.#clock.setTimer(intervalMs, (lateMs) => {
        if (this.#isClosed) return
        this.#timers[index] = arm()
        run(lateMs)
      })
    this.#timers.push(arm())
  }

  #directoryFailed(path: string, logs: readonly Log[]): void {
    for (const log of logs) {
      this.#fetchers.remove(log.name)
      this.#partitions.get(log.name)?.markOffline()
      this.#tell((events) => events.onFollower?.(log.topic, log.partition, null))
    }
    this.#tell((events) => events.onDirectoryFailure?.(path, this.#logs.liveDirectories.length))
  }

  #tell(event: (events: ReplicationEvents) => void): void {
    if (this.#options.events === undefined) return
    try {
      event(this.#options.events)
    } catch (error) {
      this.#logger.error('what listens to replication failed', error)
    }
  }

  /** Fetchers stop, waiting requests are answered, high watermarks are written down. The logs stay open for their owner to close. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const timer of this.#timers) timer.cancel()
    this.#fetchers.close()
    this.#moves.close()
    this.#isrChanges.close()
    for (const partition of this.#partitions.values()) partition.delete()
    this.#partitions.clear()
    this.#deadlines.close()
    await this.#logs.checkpointHighWatermarks()
  }
}

const NO_RECORD_ERRORS: AppendResult['recordErrors'] = []

function refusal(
  { topic, partition }: AppendEntry,
  errorCode: number,
  errorMessage: string | null,
  currentLeader: CurrentLeader | null,
): AppendResult {
  return {
    topic,
    partition,
    errorCode,
    errorMessage,
    baseOffset: -1,
    logAppendTimeMs: -1,
    logStartOffset: -1,
    recordErrors: NO_RECORD_ERRORS,
    currentLeader,
  }
}

/** A record that was not acknowledged has no place that a client may count on. */
function acknowledged(result: AppendResult, errorCode: number): AppendResult {
  if (errorCode === ErrorCode.NONE) return result
  return { ...result, errorCode, baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1 }
}

function leaderOf(partition: Partition): CurrentLeader | null {
  return partition.leaderEpoch < 0 ? null : { leaderId: partition.leader, leaderEpoch: partition.leaderEpoch }
}

/** Before version 2 partitions came one by one, with their topic's name in each. */
function topicsOf(request: LeaderAndIsrRequest): LeaderAndIsrRequest['topicStates'] {
  if (request.ungroupedPartitionStates.length === 0) return request.topicStates
  return request.ungroupedPartitionStates.map((state) => ({
    topicName: state.topicName,
    topicId: ZERO_UUID,
    partitionStates: [state],
  }))
}

interface ReplicaStop {
  readonly topic: string
  readonly partition: number
  readonly leaderEpoch: number
  readonly deletes: boolean
}

/** Before version 3 one flag stood for all partitions, and none had a leader epoch. */
function stopsOf({ topicStates, topics, ungroupedPartitions, deletePartitions }: StopReplicaRequest): ReplicaStop[] {
  const old = { leaderEpoch: NO_EPOCH, deletes: deletePartitions }
  return [
    ...topicStates.flatMap(({ topicName, partitionStates }) =>
      partitionStates.map(({ partitionIndex, leaderEpoch, deletePartition }) => ({
        topic: topicName,
        partition: partitionIndex,
        leaderEpoch,
        deletes: deletePartition,
      })),
    ),
    ...topics.flatMap(({ name, partitionIndexes }) =>
      partitionIndexes.map((partition) => ({ topic: name, partition, ...old })),
    ),
    ...ungroupedPartitions.map(({ topicName, partitionIndex }) => ({
      topic: topicName,
      partition: partitionIndex,
      ...old,
    })),
  ]
}
