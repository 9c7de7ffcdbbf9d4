/**
 * Follows the partitions that one broker leads: fetches from it, appends what comes, cuts the log where it leaves
 * the leader's (facts 1.4; upstream `AbstractFetcherThread`). One request at a time, with all partitions that are ready;
 * everything that an answer says of a partition is carried out synchronously, and dropped when the partition
 * has changed its epoch meanwhile.
 */
import type { Clock, Logger, Timer } from '#platform'
import { ErrorCode } from '#protocol'
import type { FetchRequestInput, FetchResponse } from '#protocol/messages/fetch'
import { FollowerAppendError, type Log } from '#storage'

import type { Faults } from './faults.ts'
import { FetchSession, type FetchTarget } from './fetch-session.ts'
import { overlapStart } from './overlap.ts'
import type { Partition } from './partition.ts'
import type { LeaderEndpoint } from './ports.ts'
import type { ReplicationConfig } from './replication-config.ts'
import type { ReplicationQuota } from './replication-quota.ts'
import { ListOffsetsTimestamp } from './requests.ts'

export interface ReplicaFetcherOptions {
  readonly brokerId: number
  readonly leaderId: number
  readonly endpoint: LeaderEndpoint
  readonly config: ReplicationConfig
  readonly clock: Clock
  readonly logger: Logger
  readonly faults: Faults
  /** For partitions that are throttled and not in sync. */
  readonly quota: ReplicationQuota
  brokerEpoch(): number
}

interface Followed {
  readonly partition: Partition
  readonly leaderEpoch: number
  /** Not asked for before this, in monotonic ms: something was wrong with it. */
  readyMs: number
  /** Failures in a row: each doubles the pause before the next try. */
  failures: number
  /** Had all that the leader had committed, as of the last answer. */
  isInSync: boolean
  /** Nothing was fetched in this epoch yet. */
  isNew: boolean
  /** The leader does not know our epoch, or fenced it: wait for the controller. */
  isFenced: boolean
  /** Seeded faults: the epoch of our last record is kept from the leader. */
  hidesEpoch: boolean
}

type FetchedPartition = FetchResponse['responses'][number]['partitions'][number]

/** Pause after a first failure, in ms. */
const FIRST_BACKOFF_MS = 50
/** Before a partition is looked at again whose quota is used up. */
const HELD_BACK_MS = 100

export class ReplicaFetcher {
  readonly #options: ReplicaFetcherOptions
  readonly #followed = new Map<string, Followed>()
  readonly #session = new FetchSession()
  #isClosed = false
  #isRunning = false
  /** Failures of the connection in a row. */
  #failures = 0
  #wake: (() => void) | null = null

  constructor(options: ReplicaFetcherOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#followed.size
  }

  get leaderId(): number {
    return this.#options.leaderId
  }

  follows(key: string): boolean {
    return this.#followed.has(key)
  }

  /** Follows the partition in its present epoch, from where its log ends. */
  add(key: string, partition: Partition): void {
    this.#followed.set(key, {
      partition,
      leaderEpoch: partition.leaderEpoch,
      readyMs: -Infinity,
      failures: 0,
      isInSync: false,
      isNew: true,
      isFenced: false,
      hidesEpoch: false,
    })
    if (this.#isRunning) this.#wakeUp()
    else void this.#run()
  }

  remove(key: string): void {
    this.#followed.delete(key)
  }

  close(): void {
    this.#isClosed = true
    this.#options.endpoint.close()
    this.#wakeUp()
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    // The first request goes out at the end of the turn, with all partitions of a LeaderAndIsr.
    await new Promise<void>((resolve) => this.#options.clock.endOfTurn(resolve))
    while (!this.#isClosed) {
      try {
        await this.#round()
      } catch (error) {
        const what = `fetching from broker ${this.leaderId} failed`
        if (error instanceof LeaderError) this.#options.logger.debug(`${what}: ${String(error.cause)}`)
        else this.#options.logger.error(what, error)
        this.#session.reset()
        await this.#sleep(this.#pauseAfter(this.#failures++))
      }
    }
  }

  async #round(): Promise<void> {
    const targets = await this.#targets()
    if (this.#isClosed) return
    if (targets.size === 0) return await this.#sleep(this.#msToNextReady())
    const response = await fromLeader(this.#options.endpoint.fetch(this.#request(targets)))
    if (this.#isClosed) return
    this.#failures = 0
    if (!this.#session.answered(response)) return await this.#sleep(this.#backoffAfter(response.errorCode))
    await this.#takeIn(response, targets)
  }

  /** A lost session is begun anew at once; anything else that ails a whole answer may last. */
  #backoffAfter(errorCode: number): number {
    const isSession =
      errorCode === ErrorCode.FETCH_SESSION_ID_NOT_FOUND || errorCode === ErrorCode.INVALID_FETCH_SESSION_EPOCH
    return isSession ? 0 : this.#options.config.replicaFetchBackoffMs
  }

  // ---------------------------------------------------------------- asking

  /** The partitions that are ready, with where to go on. */
  async #targets(): Promise<Map<string, FetchTarget>> {
    const targets = new Map<string, FetchTarget>()
    const nowMs = this.#options.clock.monotonic()
    for (const [key, followed] of this.#followed) {
      if (followed.isFenced || followed.readyMs > nowMs) continue
      if (this.#isHeldBack(followed)) {
        followed.readyMs = nowMs + HELD_BACK_MS
        continue
      }
      const log = this.#logOf(key, followed)
      if (log === null) continue
      // What this broker appended when it led, or fetched just now, must count before the leader is told that it is here.
      if (log.countedEndOffset < log.nextOffset) await whenCounted(followed.partition, log)
      if (this.#logOf(key, followed) === null) continue
      if (followed.isNew) this.#begin(followed, log)
      targets.set(key, this.#targetOf(followed, log))
    }
    return targets
  }

  #isHeldBack({ partition, isInSync }: Followed): boolean {
    const { quota } = this.#options
    return !isInSync && quota.isExceeded && partition.isFollowerThrottled
  }

  /** A log without any epoch can only go by its high watermark; others are compared with the leader's by epoch. */
  #begin(followed: Followed, log: Log): void {
    followed.isNew = false
    const { truncateToHighWatermark } = this.#options.faults
    if (log.latestEpoch >= 0 && !truncateToHighWatermark) return
    followed.hidesEpoch = truncateToHighWatermark
    this.#truncate(followed, log, log.highWatermark)
  }

  #targetOf(followed: Followed, log: Log): FetchTarget {
    const { partition } = followed
    return {
      topic: partition.topic,
      topicId: partition.topicId,
      partition: partition.partition,
      fetchOffset: log.countedEndOffset,
      logStartOffset: log.logStartOffset,
      currentLeaderEpoch: followed.leaderEpoch,
      lastFetchedEpoch: followed.hidesEpoch ? -1 : log.latestEpoch,
      maxBytes: this.#options.config.replicaFetchMaxBytes,
    }
  }

  #request(targets: ReadonlyMap<string, FetchTarget>): FetchRequestInput {
    const { brokerId, config } = this.#options
    const session = this.#session.next(targets)
    return {
      ...(this.#session.usesTopicIds
        ? { replicaState: { replicaId: brokerId, replicaEpoch: this.#options.brokerEpoch() } }
        : { replicaId: brokerId }),
      maxWaitMs: config.replicaFetchWaitMaxMs,
      minBytes: config.replicaFetchMinBytes,
      maxBytes: config.replicaFetchResponseMaxBytes,
      ...session,
    }
  }

  /** The log, if the partition still follows in the epoch that it was added with; else it is dropped. */
  #logOf(key: string, followed: Followed): Log | null {
    const { partition, leaderEpoch } = followed
    if (this.#followed.get(key) !== followed) return null
    const isCurrent = partition.role.kind === 'follower' && partition.leaderEpoch === leaderEpoch
    if (isCurrent && partition.log !== null && !partition.log.isOffline) return partition.log
    this.#followed.delete(key)
    return null
  }

  // ---------------------------------------------------------------- taking in

  async #takeIn(response: FetchResponse, targets: ReadonlyMap<string, FetchTarget>): Promise<void> {
    const appended: { key: string; followed: Followed; log: Log; answer: FetchedPartition }[] = []
    const outOfRange: { key: string; followed: Followed }[] = []
    const names = topicNames(targets)
    for (const { topic, topicId, partitions } of response.responses)
      for (const answer of partitions) {
        const key = `${names.get(topicId) ?? topic}-${answer.partitionIndex}`
        const target = targets.get(key)
        const followed = this.#followed.get(key)
        if (target === undefined || followed === undefined) continue
        const log = this.#logOf(key, followed)
        // Epoch or end may have moved since the request left; then the answer is about something else.
        if (log === null || target.currentLeaderEpoch !== followed.leaderEpoch) continue
        if (log.nextOffset !== target.fetchOffset) continue
        if (answer.errorCode === ErrorCode.OFFSET_OUT_OF_RANGE) outOfRange.push({ key, followed })
        else if (answer.errorCode !== ErrorCode.NONE) this.#onError(key, followed, answer.errorCode)
        else if (answer.divergingEpoch.epoch >= 0) this.#onDiverging(followed, log, answer.divergingEpoch)
        else if (this.#append(followed, log, answer.records)) {
          followed.failures = 0
          appended.push({ key, followed, log, answer })
        }
      }
    // The log is written, and cut, before the high watermark of the same answer is believed (KAFKA-14704).
    for (const { log } of appended) log.writePending()
    for (const { key, followed, log, answer } of appended) {
      if (!log.isSettled) await log.settle()
      if (this.#logOf(key, followed) !== log) continue
      followLeaderBounds(log, answer)
      followed.isInSync = log.logEndOffset >= answer.highWatermark
    }
    for (const { key, followed } of outOfRange) await this.#onOutOfRange(key, followed)
  }

  #append(followed: Followed, log: Log, records: Uint8Array | null): boolean {
    if (records === null || records.length === 0) return true
    try {
      log.appendAsFollower(records)
      if (followed.partition.isFollowerThrottled) this.#options.quota.record(records.length)
      return true
    } catch (error) {
      if (!(error instanceof FollowerAppendError)) throw error
      this.#options.logger.warn(`what broker ${this.leaderId} sent is refused`, error)
      const start = overlapStart(records, log.nextOffset)
      if (start === null || start < log.logStartOffset || this.#options.faults.skipTruncation) this.#backOff(followed)
      else this.#truncate(followed, log, start)
      return false
    }
  }

  /** KIP-595's answer to KIP-101: the leader told where its log leaves ours. */
  #onDiverging(followed: Followed, log: Log, leaders: { epoch: number; endOffset: number }): void {
    if (this.#options.faults.skipTruncation) {
      followed.hidesEpoch = true
      return
    }
    const end = log.logEndOffset
    const own = log.endOffsetForEpoch(leaders.epoch)
    if (own === null) this.#truncate(followed, log, Math.min(leaders.endOffset, end))
    else if (own.epoch === leaders.epoch) this.#truncate(followed, log, Math.min(own.endOffset, leaders.endOffset, end))
    // We know only an earlier epoch: cut to its end, and the leader is asked again with that epoch.
    else this.#truncate(followed, log, Math.min(own.endOffset, end))
  }

  #truncate(followed: Followed, log: Log, offset: number): void {
    const { topic, partition } = followed.partition
    if (offset < log.highWatermark)
      this.#options.logger.warn(
        `${topic}-${partition} is cut to ${offset}, below its high watermark ${log.highWatermark}`,
      )
    else if (offset < log.logEndOffset)
      this.#options.logger.info(`${topic}-${partition} is cut from ${log.logEndOffset} to ${offset}`)
    log.truncateTo(offset)
  }

  #onError(key: string, followed: Followed, errorCode: number): void {
    switch (errorCode) {
      // The leader is ahead of what we heard: the controller will tell us, and until then there is nothing to ask.
      case ErrorCode.FENCED_LEADER_EPOCH:
        followed.isFenced = true
        return
      case ErrorCode.UNKNOWN_TOPIC_ID:
      case ErrorCode.INCONSISTENT_TOPIC_ID:
      case ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR:
        this.#session.reset()
        return this.#backOff(followed)
      default:
        this.#options.logger.debug(`broker ${this.leaderId} answers ${errorCode} for ${key}`)
        this.#backOff(followed)
    }
  }

  /**
   * After an election a follower may ask the new leader before that one has heard of its election: the first tries come soon, and
   * only what lasts waits `replica.fetch.backoff.ms`.
   */
  #pauseAfter(failures: number): number {
    return Math.min(FIRST_BACKOFF_MS * 2 ** failures, this.#options.config.replicaFetchBackoffMs)
  }

  #backOff(followed: Followed): void {
    followed.readyMs = this.#options.clock.monotonic() + this.#pauseAfter(followed.failures++)
  }

  /**
   * Our end lies outside the leader's log. Behind it: an unclean election gave us a leader that has less, and its end
   * is ours. Before it: the leader has deleted what we lack, and we begin where it begins.
   */
  async #onOutOfRange(key: string, followed: Followed): Promise<void> {
    const latest = await this.#leaderOffset(followed, ListOffsetsTimestamp.latest)
    const log = this.#logOf(key, followed)
    if (log === null) return
    if (latest === null) return this.#backOff(followed)
    if (latest < log.logEndOffset) {
      if (this.#options.faults.skipTruncation) return this.#backOff(followed)
      return this.#truncate(followed, log, latest)
    }
    const earliest = await this.#leaderOffset(followed, ListOffsetsTimestamp.earliestLocal)
    if (this.#logOf(key, followed) !== log) return
    if (earliest === null) return this.#backOff(followed)
    if (earliest > log.logEndOffset) {
      this.#options.logger.warn(`${key} begins anew at ${earliest}, where the leader's log begins`)
      log.truncateFullyAndStartAt(earliest)
    } else this.#backOff(followed)
  }

  /** Null: the leader would not say. */
  async #leaderOffset(followed: Followed, timestamp: number): Promise<number | null> {
    const { partition, leaderEpoch } = followed
    const request = {
      replicaId: this.#options.brokerId,
      isolationLevel: 0,
      topics: [
        {
          name: partition.topic,
          partitions: [{ partitionIndex: partition.partition, currentLeaderEpoch: leaderEpoch, timestamp }],
        },
      ],
    }
    const response = await fromLeader(this.#options.endpoint.listOffsets(request))
    const answer = response.topics[0]?.partitions[0]
    return answer === undefined || answer.errorCode !== ErrorCode.NONE ? null : answer.offset
  }

  // ---------------------------------------------------------------- waiting

  #msToNextReady(): number {
    let next = Infinity
    for (const { isFenced, readyMs } of this.#followed.values()) if (!isFenced) next = Math.min(next, readyMs)
    return Math.max(0, next - this.#options.clock.monotonic())
  }

  /** Returns after `delayMs` (`Infinity`: only then), or when a partition is added. */
  async #sleep(delayMs: number): Promise<void> {
    if (this.#isClosed) return
    await new Promise<void>((resolve) => {
      let timer: Timer | null = null
      this.#wake = () => {
        timer?.cancel()
        this.#wake = null
        resolve()
      }
      if (delayMs !== Infinity) timer = this.#options.clock.setTimer(delayMs, this.#wake)
    })
  }

  #wakeUp(): void {
    this.#wake?.()
  }
}

/** The leader did not answer: it may be gone, or the way to it. Anything else that ends a round is a fault of ours. */
class LeaderError extends Error {
  override name = 'LeaderError'
}

async function fromLeader<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (cause) {
    throw new LeaderError('the leader does not answer', { cause })
  }
}

function topicNames(targets: ReadonlyMap<string, FetchTarget>): Map<string, string> {
  const names = new Map<string, string>()
  for (const { topic, topicId } of targets.values()) if (topicId !== null) names.set(topicId, topic)
  return names
}

/**
 * A follower's high watermark is the leader's, as far as its own log reaches. What was committed stays so: a new leader
 * that does not yet know how far does not take it back.
 */
function followLeaderBounds(log: Log, { highWatermark, logStartOffset }: FetchedPartition): void {
  log.raiseHighWatermark(Math.min(highWatermark, log.logEndOffset))
  if (logStartOffset > log.logStartOffset && logStartOffset <= log.logEndOffset) log.raiseLogStart(logStartOffset)
}

/** Resolves when all that was appended is written and, where the topic asks for it, synced; or when it never will be. */
async function whenCounted(partition: Partition, log: Log): Promise<void> {
  await log.settle()
  while (log.countedEndOffset < log.nextOffset && !log.isOffline && partition.log === log)
    await new Promise<void>((resolve) => {
      const waiter = {
        wake() {
          partition.removeWaiter(waiter)
          resolve()
        },
      }
      partition.addWaiter(waiter)
    })
}
