/**
 * Serving fetches: one pass over the partitions; where that gives too little, a wait for news of them, and a second pass.
 * Followers and consumers come through the same door and get the same bytes.
 */
import { ErrorCode } from '#protocol'
import type { Log, LogRead } from '#storage'

import type { Deadlines, Expiring } from './deadlines.ts'
import type { ExpectedFollowers } from './expected-followers.ts'
import type { Partition, PartitionWaiter } from './partition.ts'
import { readErrorCode } from './read-errors.ts'
import type {
  CurrentLeader,
  EpochEndOffset,
  FetchIsolation,
  FetchPartitionParameters,
  FetchPartitionResult,
  FetchRequestParameters,
  FetchResult,
} from './requests.ts'

/** Finds partitions for a fetch. */
export interface FetchSource {
  /** The partition, or the error that the fetcher gets instead. */
  lookUp(request: FetchPartitionParameters): Partition | number
  readonly deadlines: Deadlines
  readonly expectedFollowers: ExpectedFollowers
  /** `fetch.max.bytes`. */
  readonly bytesMax: number
}

/** Kafka's ids of fetchers that are no brokers. */
const DEBUG_CONSUMER = -2

export function fetchPartitions(
  source: FetchSource,
  request: FetchRequestParameters,
): FetchResult | Promise<FetchResult> {
  const first = new FetchPass(source, request, true)
  const done = first.run()
  return done instanceof Promise ? done.then(() => orWait(source, request, first)) : orWait(source, request, first)
}

function orWait(
  source: FetchSource,
  request: FetchRequestParameters,
  pass: FetchPass,
): FetchResult | Promise<FetchResult> {
  const isEnough = request.maxWaitMs <= 0 || request.partitions.length === 0 || pass.bytes >= request.minBytes
  if (isEnough || pass.mustAnswer) return pass.result()
  pass.release()
  const wait = new FetchWait(source, request, pass.partitions)
  return wait.done.then(async () => {
    // The follower's progress was noted when its request came, and is not noted again now.
    const second = new FetchPass(source, request, false)
    await second.run()
    return second.result()
  })
}

/** One pass over the partitions, in order, within the request's bytes. */
class FetchPass {
  /** Bytes of records read. */
  bytes = 0
  /** An error, or an epoch that diverges: the fetcher should hear of it now. */
  mustAnswer = false
  /** Those that were found, by index. */
  readonly partitions: (Partition | null)[] = []
  readonly #source: FetchSource
  readonly #request: FetchRequestParameters
  readonly #notesProgress: boolean
  readonly #results: FetchPartitionResult[] = []
  readonly #holds: { release(): void }[] = []
  #bytesLeft: number

  constructor(source: FetchSource, request: FetchRequestParameters, notesProgress: boolean) {
    this.#source = source
    this.#request = request
    this.#notesProgress = notesProgress
    this.#bytesLeft = Math.min(request.maxBytes, source.bytesMax)
  }

  /** Synchronous unless something must be read from far behind. */
  run(): void | Promise<void> {
    return this.#runFrom(0)
  }

  #runFrom(start: number): void | Promise<void> {
    for (let index = start; index < this.#request.partitions.length; index++) {
      const one = this.#readOne(this.#request.partitions[index]!)
      if (one instanceof Promise) return one.then(() => this.#runFrom(index + 1))
    }
  }

  #readOne(wanted: FetchPartitionParameters): void | Promise<void> {
    const found = this.#source.lookUp(wanted)
    this.partitions.push(typeof found === 'number' ? null : found)
    if (typeof found === 'number') return this.#refuse(wanted, found, null)
    const errorCode = this.#check(found, wanted)
    if (errorCode !== ErrorCode.NONE) return this.#refuse(wanted, errorCode, leaderOf(found))
    const log = found.log!
    const preferred = this.#preferredReplica(found, wanted)
    if (preferred !== null) return this.#sendElsewhere(wanted, log, preferred)
    const diverging = divergingEpoch(log, wanted)
    if (diverging === 'unknown') return this.#refuse(wanted, ErrorCode.OFFSET_OUT_OF_RANGE, null)
    if (diverging !== null) return this.#diverge(wanted, log, diverging)
    if (wanted.fetchOffset < log.logStartOffset || wanted.fetchOffset > log.logEndOffset)
      return this.#refuse(wanted, ErrorCode.OFFSET_OUT_OF_RANGE, null)
    if (this.#notesProgress && this.#request.replicaId >= 0)
      found.followerFetched(this.#request.replicaId, wanted.fetchOffset, wanted.logStartOffset)
    return this.#read(wanted, found, log)
  }

  #preferredReplica(partition: Partition, { fetchOffset }: FetchPartitionParameters): number | null {
    const { replicaId, rackId, mayReadFromFollower } = this.#request
    return replicaId >= 0 || !mayReadFromFollower ? null : partition.readReplicaFor(rackId, fetchOffset)
  }

  #check(partition: Partition, wanted: FetchPartitionParameters): number {
    const { replicaId, replicaEpoch = -1, mayReadFromFollower } = this.#request
    const errorCode = partition.checkAccess(
      wanted.currentLeaderEpoch,
      replicaId !== DEBUG_CONSUMER && !mayReadFromFollower,
    )
    if (errorCode !== ErrorCode.NONE || replicaId < 0) return errorCode
    if (partition.isFromEarlierLife(replicaId, replicaEpoch)) return ErrorCode.NOT_LEADER_OR_FOLLOWER
    if (partition.hasFollower(replicaId)) return errorCode
    // Not one of ours: its broker has heard of a newer assignment, or an older one.
    return wanted.currentLeaderEpoch >= 0 ? ErrorCode.UNKNOWN_LEADER_EPOCH : ErrorCode.NOT_LEADER_OR_FOLLOWER
  }

  #read(wanted: FetchPartitionParameters, partition: Partition, log: Log): void | Promise<void> {
    // What is said of the log is read before the bytes, so that no record lies behind the bounds that go with it.
    const bounds = boundsOf(log)
    const upTo = readableEnd(log, this.#request.isolation)
    if (partition.holdsBack(this.#request.replicaId)) return this.#add(wanted, log, bounds, upTo, NOTHING_READ)
    const maxBytes = Math.max(0, Math.min(wanted.maxBytes, this.#bytesLeft))
    const request = { offset: wanted.fetchOffset, maxBytes, upTo, minOneBatch: this.bytes === 0 }
    const add = (read: LogRead): void => {
      if (this.#request.replicaId >= 0) partition.fed(read.records.length)
      this.#add(wanted, log, bounds, upTo, read)
    }
    const failed = (error: unknown): void => this.#readFailed(wanted, log, error)
    try {
      const read = log.read(request)
      if (read instanceof Promise) return read.then(add).catch(failed)
      add(read)
    } catch (error) {
      failed(error)
    }
  }

  /** The disk failed under the read, what lies there is no batch, or the log was let go of meanwhile. */
  #readFailed(wanted: FetchPartitionParameters, log: Log, error: unknown): void {
    const errorCode = readErrorCode(log, error)
    if (errorCode !== null) return this.#refuse(wanted, errorCode, null)
    this.release()
    throw error
  }

  #add(wanted: FetchPartitionParameters, log: Log, bounds: LogBounds, upTo: number, { records, hold }: LogRead): void {
    if (hold !== null) this.#holds.push(hold)
    const aborted =
      this.#request.isolation === 'lastStableOffset' ? log.abortedTransactions(wanted.fetchOffset, upTo) : null
    this.bytes += records.length
    this.#bytesLeft -= records.length
    this.#results.push({ ...answer(wanted), ...bounds, records, abortedTransactions: aborted })
  }

  /** Nothing is read here: the consumer is to ask that replica. */
  #sendElsewhere(wanted: FetchPartitionParameters, log: Log, preferredReadReplica: number): void {
    this.mustAnswer = true
    this.#results.push({ ...answer(wanted), ...boundsOf(log), preferredReadReplica })
  }

  #diverge(wanted: FetchPartitionParameters, log: Log, divergingEpoch: EpochEndOffset): void {
    this.mustAnswer = true
    this.#results.push({ ...answer(wanted), ...boundsOf(log), divergingEpoch })
  }

  #refuse(wanted: FetchPartitionParameters, errorCode: number, currentLeader: CurrentLeader | null): void {
    this.mustAnswer = true
    this.#results.push({ ...answer(wanted), errorCode, currentLeader })
  }

  result(): FetchResult {
    return { partitions: this.#results, release: () => this.release() }
  }

  release(): void {
    for (const hold of this.#holds.splice(0)) hold.release()
  }
}

/** Waits until there is enough to read, or something that the fetcher must hear, or its time is over. */
class FetchWait implements PartitionWaiter, Expiring {
  readonly followerId: number
  readonly done: Promise<void>
  readonly #source: FetchSource
  readonly #request: FetchRequestParameters
  readonly #partitions: readonly (Partition | null)[]
  readonly #ticket: number
  #resolve!: () => void
  #isDone = false

  constructor(source: FetchSource, request: FetchRequestParameters, partitions: readonly (Partition | null)[]) {
    this.followerId = request.replicaId
    this.#source = source
    this.#request = request
    this.#partitions = partitions
    this.done = new Promise((resolve) => (this.#resolve = resolve))
    const maxWaitMs = Math.min(request.maxWaitMs, source.expectedFollowers.patienceMs(request.replicaId))
    this.#ticket = source.deadlines.add(this, maxWaitMs)
    source.expectedFollowers.park(request.replicaId, this)
    for (const partition of partitions) partition?.addWaiter(this)
    this.wake()
  }

  wake(): void {
    if (!this.#isDone && this.#isWorthAnswering()) this.#finish()
  }

  expire(): void {
    this.#finish()
  }

  #finish(): void {
    if (this.#isDone) return
    this.#isDone = true
    this.#source.deadlines.cancel(this, this.#ticket)
    this.#source.expectedFollowers.unpark(this.followerId, this)
    for (const partition of this.#partitions) partition?.removeWaiter(this)
    this.#resolve()
  }

  #isWorthAnswering(): boolean {
    let bytes = 0
    for (const [index, partition] of this.#partitions.entries()) {
      if (partition === null) continue
      const wanted = this.#request.partitions[index]!
      const log = partition.log
      const errorCode = partition.checkAccess(wanted.currentLeaderEpoch, !this.#request.mayReadFromFollower)
      if (log === null || (errorCode !== ErrorCode.NONE && this.#request.replicaId !== DEBUG_CONSUMER)) return true
      if (partition.awaitsFetchOf(this.followerId)) return true
      // A follower deletes what its leader has deleted (DeleteRecords).
      if (this.followerId >= 0 && wanted.logStartOffset < log.logStartOffset) return true
      const end = readableEnd(log, this.#request.isolation)
      if (end === wanted.fetchOffset) continue
      if (end < wanted.fetchOffset) {
        // Consumers wait for the high watermark; but a log that was cut below the offset has to be told of.
        if (log.logEndOffset < wanted.fetchOffset) return true
        continue
      }
      if (partition.holdsBack(this.followerId)) continue
      bytes += bytesBetween(log, wanted.fetchOffset, end, wanted.maxBytes)
      if (bytes >= this.#request.minBytes) return true
    }
    return false
  }
}

/** Roughly: where the places are not at hand or lie in different segments, as much as one may fetch. */
function bytesBetween(log: Log, from: number, to: number, maxBytes: number): number {
  const start = log.locate(from)
  const end = log.locate(to)
  if (start === null || end === null || start.segmentBase !== end.segmentBase) return maxBytes
  return Math.min(maxBytes, Math.max(1, end.position - start.position))
}

function readableEnd(log: Log, isolation: FetchIsolation): number {
  if (isolation === 'logEnd') return log.logEndOffset
  return isolation === 'highWatermark' ? log.highWatermark : log.lastStableOffset
}

/**
 * Where this log leaves the one that the fetcher has, judged by the epoch of its last record (KIP-595). Null: it does not,
 * as far as one can see; `unknown`: this log cannot tell.
 */
function divergingEpoch(log: Log, wanted: FetchPartitionParameters): EpochEndOffset | 'unknown' | null {
  if (wanted.lastFetchedEpoch < 0) return null
  const end = log.endOffsetForEpoch(wanted.lastFetchedEpoch)
  if (end === null) return 'unknown'
  return end.epoch < wanted.lastFetchedEpoch || end.endOffset < wanted.fetchOffset ? end : null
}

interface LogBounds {
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
}

function boundsOf({ highWatermark, lastStableOffset, logStartOffset }: Log): LogBounds {
  return { highWatermark, lastStableOffset, logStartOffset }
}

const NO_RECORDS = new Uint8Array(0)
const NOTHING_READ: LogRead = { records: NO_RECORDS, hold: null }

function answer({ topic, topicId, partition }: FetchPartitionParameters): FetchPartitionResult {
  return {
    topic,
    topicId,
    partition,
    errorCode: ErrorCode.NONE,
    highWatermark: -1,
    lastStableOffset: -1,
    logStartOffset: -1,
    abortedTransactions: null,
    records: NO_RECORDS,
    divergingEpoch: null,
    currentLeader: null,
    preferredReadReplica: -1,
  }
}

function leaderOf(partition: Partition): CurrentLeader | null {
  return partition.leaderEpoch < 0 ? null : { leaderId: partition.leader, leaderEpoch: partition.leaderEpoch }
}
