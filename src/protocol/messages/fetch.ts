/**
 * Reads record batches from partitions, for consumers and follower replicas alike. Sessions name only what has
 * changed (KIP-227, version 7); 12 finds diverging logs by epoch (KIP-595), 13 names topics by id (KIP-516), 15
 * moves the follower into `replicaState` (KIP-903), 16 tells a client that went wrong who leads (KIP-951).
 */
import {
  api,
  array,
  int16,
  int32,
  int64,
  int8,
  records,
  string,
  struct,
  uuid,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const Fetch = api({
  key: 1,
  name: 'Fetch',
  versions: [0, 17],
  flexibleSince: 12,
  request: {
    /** Only replicas of KRaft send it. */
    clusterId: string.nullable().default(null).tagged(0, 12).ignorable,
    /** Id of the follower; -1 for a consumer, -2 for a debugging one that reads to the log end. */
    replicaId: int32.until(14).default(-1),
    replicaState: struct({
      /** Id of the follower; -1 for a consumer. */
      replicaId: int32.default(-1),
      /** The follower's broker epoch; -1 if not known. */
      replicaEpoch: int64.default(-1),
    }).tagged(1, 15),
    /** How long the broker may wait for `minBytes`, in ms. */
    maxWaitMs: int32,
    /** The broker waits until the answer has so many bytes; 0 answers at once. */
    minBytes: int32,
    /** Bound of the whole answer, except that the first batch comes whole (KIP-74). */
    maxBytes: int32.since(3).default(0x7fff_ffff).ignorable,
    /** 0 read uncommitted; 1 read committed: nothing beyond the last stable offset. */
    isolationLevel: int8.since(4).default(0).ignorable,
    /** 0 stands for no session. */
    sessionId: int32.since(7).default(0).ignorable,
    /** -1: no session, or the end of one; 0: a new one; from 1 on: the next request of it. */
    sessionEpoch: int32.since(7).default(-1).ignorable,
    topics: array({
      topic: string.until(12).ignorable,
      topicId: uuid.since(13).ignorable,
      partitions: array({
        partition: int32,
        /**
         * The leader epoch that the sender knows, so that either side notices that it is behind; -1 skips the check.
         */
        currentLeaderEpoch: int32.since(9).default(-1).ignorable,
        fetchOffset: int64,
        /** Leader epoch of the last record that a follower has; -1 for none, and for consumers. */
        lastFetchedEpoch: int32.since(12).default(-1),
        /** The follower's first offset; -1 for consumers. */
        logStartOffset: int64.since(5).default(-1).ignorable,
        /** Bound for this partition, except that the first batch of the answer comes whole (KIP-74). */
        partitionMaxBytes: int32,
        /** Only replicas of KRaft send it (KIP-853). */
        replicaDirectoryId: uuid.tagged(0, 17).ignorable,
      }),
    }),
    /** What leaves the session. */
    forgottenTopicsData: array({
      topic: string.until(12).ignorable,
      topicId: uuid.since(13).ignorable,
      partitions: array(int32),
    }).since(7),
    /** Where the consumer is, so that it may be sent to a replica near it (KIP-392). */
    rackId: string.since(11).default('').ignorable,
  },
  response: {
    throttleTimeMs: int32.since(1).ignorable,
    /** Of the session; what fails in a partition is told there. */
    errorCode: int16.since(7).ignorable,
    /** 0 if there is no session. */
    sessionId: int32.since(7).default(0),
    /** In a session only the partitions that have something new. */
    responses: array({
      topic: string.until(12).ignorable,
      topicId: uuid.since(13).ignorable,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        /** First offset that is not yet on every replica in sync. */
        highWatermark: int64,
        /** First offset of the oldest open transaction, or the high watermark; -1 if not known. */
        lastStableOffset: int64.since(4).default(-1).ignorable,
        /** First offset of the log; -1 if not known. */
        logStartOffset: int64.since(5).default(-1).ignorable,
        /**
         * Set when the follower's log has parted from the leader's: the end of the largest epoch that both can have.
         */
        divergingEpoch: struct({
          epoch: int32.default(-1),
          endOffset: int64.default(-1),
        }).tagged(0, 12),
        /** The leader as this broker knows it, given with NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH. */
        currentLeader: struct({
          leaderId: int32.default(-1),
          leaderEpoch: int32.default(-1),
        }).tagged(1, 12),
        /** Only KRaft sends it. */
        snapshotId: struct({
          endOffset: int64.default(-1),
          epoch: int32.default(-1),
        }).tagged(2, 12),
        /** For read committed only: transactions whose records the consumer must leave out. */
        abortedTransactions: array({
          producerId: int64,
          firstOffset: int64,
        })
          .since(4)
          .nullable().ignorable,
        /** The replica that the consumer shall read from instead; -1 for none. */
        preferredReadReplica: int32.since(11).default(-1),
        /** Whole batches; the last one may be cut off. */
        records: records.nullable(),
      }),
    }),
    /** Addresses of the leaders that the partitions name. */
    nodeEndpoints: array({
      nodeId: int32,
      host: string,
      port: int32,
      /** Null if the broker has none. */
      rack: string.nullable().default(null),
    }).tagged(0, 16),
  },
})

export type FetchRequest = RequestOf<typeof Fetch>
export type FetchRequestInput = RequestInputOf<typeof Fetch>
export type FetchResponse = ResponseOf<typeof Fetch>
export type FetchResponseInput = ResponseInputOf<typeof Fetch>
