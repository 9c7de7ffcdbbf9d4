/** What handlers ask of the replica manager and what they get, free of any API's version. */
import type { AbortedTransaction, RecordError } from '#storage'

/** Producing: one entry per partition, answered in the same order. */
export interface AppendRequest {
  /** 0: nobody waits. 1: the leader has written it. −1: every replica in sync has it. */
  readonly acks: number
  /** ms that acks=−1 may take before it is answered with REQUEST_TIMED_OUT; what was appended stays. */
  readonly timeoutMs: number
  readonly origin: AppendOrigin
  /** Only coordinators and the administration write to internal topics. */
  readonly internalTopicsAllowed: boolean
  readonly entries: readonly AppendEntry[]
}

/** Sequences of `coordinator` writes are not checked. */
export type AppendOrigin = 'client' | 'coordinator'

export interface AppendEntry {
  readonly topic: string
  readonly partition: number
  /** Borrowed for the call only: the log copies it. */
  readonly records: Uint8Array
}

export interface AppendResult {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  readonly errorMessage: string | null
  /** −1 when refused. */
  readonly baseOffset: number
  /** −1 unless the topic stamps records itself. */
  readonly logAppendTimeMs: number
  readonly logStartOffset: number
  readonly recordErrors: readonly RecordError[]
  /** Where the leader is now, when the error says that it is not here. */
  readonly currentLeader: CurrentLeader | null
}

export interface CurrentLeader {
  /** −1: not known. */
  readonly leaderId: number
  readonly leaderEpoch: number
}

export interface FetchRequestParameters {
  /** The follower's id; −1 for a consumer, −2 for a debugging one. */
  readonly replicaId: number
  /** The follower's broker epoch (Fetch 15 and later): a fetch of an earlier life of it says nothing. −1: not told. */
  readonly replicaEpoch?: number
  readonly maxWaitMs: number
  readonly minBytes: number
  readonly maxBytes: number
  /** Up to where it may read: followers to the log end, consumers to the high watermark or the last stable offset. */
  readonly isolation: FetchIsolation
  /** When given, a consumer may read from a follower too (Fetch 11 and later). */
  readonly mayReadFromFollower: boolean
  /** The consumer's rack, for the choice of a replica near it; '' where there is none. */
  readonly rackId: string
  readonly partitions: readonly FetchPartitionParameters[]
}

export type FetchIsolation = 'logEnd' | 'highWatermark' | 'lastStableOffset'

export interface FetchPartitionParameters {
  readonly topic: string
  /** The id that the request named, or null when it went by name only. */
  readonly topicId: string | null
  readonly partition: number
  readonly fetchOffset: number
  /** The follower's own log start; −1 from consumers. */
  readonly logStartOffset: number
  readonly maxBytes: number
  /** −1: not checked. */
  readonly currentLeaderEpoch: number
  /** The epoch of the last record that the fetcher has; −1: not checked. */
  readonly lastFetchedEpoch: number
}

export interface FetchResult {
  /** In the order of the request's partitions. */
  readonly partitions: readonly FetchPartitionResult[]
  /**
   * Gives back the memory that `records` lie in. To be called once, when the answer has left the socket or the
   * connection is gone; from then on the bytes may change.
   */
  release(): void
}

export interface FetchPartitionResult {
  readonly topic: string
  readonly topicId: string | null
  readonly partition: number
  readonly errorCode: number
  /** −1 with an error. */
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
  /** Null unless the isolation is `lastStableOffset`. */
  readonly abortedTransactions: readonly AbortedTransaction[] | null
  readonly records: Uint8Array
  readonly divergingEpoch: EpochEndOffset | null
  readonly currentLeader: CurrentLeader | null
  /** −1: none. */
  readonly preferredReadReplica: number
}

export interface EpochEndOffset {
  readonly epoch: number
  readonly endOffset: number
}

export interface ListOffsetsParameters {
  readonly replicaId: number
  /** `logEnd` for followers. */
  readonly isolation: FetchIsolation
  readonly partitions: readonly ListOffsetsPartition[]
}

export interface ListOffsetsPartition {
  readonly topic: string
  readonly partition: number
  readonly currentLeaderEpoch: number
  /** ms, or one of `ListOffsetsTimestamp`. */
  readonly timestamp: number
}

export const ListOffsetsTimestamp = {
  latest: -1,
  earliest: -2,
  maxTimestamp: -3,
  earliestLocal: -4,
  latestTiered: -5,
} as const

export interface ListOffsetsResult {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** −1: none found, or an error. */
  readonly timestamp: number
  readonly offset: number
  readonly leaderEpoch: number
}

export interface EpochEndParameters {
  /** −1 a consumer, −2 debugging, else a follower. */
  readonly replicaId: number
  readonly partitions: readonly {
    readonly topic: string
    readonly partition: number
    readonly currentLeaderEpoch: number
    readonly leaderEpoch: number
  }[]
}

export interface EpochEndResult {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** −1 when the epoch is not known. */
  readonly leaderEpoch: number
  readonly endOffset: number
}

export interface MoveReplica {
  readonly topic: string
  readonly partition: number
  /** A log directory of this broker. */
  readonly directory: string
}

export interface DeleteRecordsParameters {
  /** ms that followers may take before the answer is REQUEST_TIMED_OUT; what was moved stays. */
  readonly timeoutMs: number
  readonly partitions: readonly {
    readonly topic: string
    readonly partition: number
    /** The first one to keep; −1: the high watermark. */
    readonly offset: number
  }[]
}

export interface DeleteRecordsResult {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** Smallest log start among the living replicas; −1 when not known. */
  readonly lowWatermark: number
}
