/** Asks where a leader epoch ends in the log, to find the point where two logs part (KIP-101, KIP-320). */
import {
  api,
  array,
  int16,
  int32,
  int64,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const OffsetForLeaderEpoch = api({
  key: 23,
  name: 'OffsetForLeaderEpoch',
  versions: [0, 4],
  flexibleSince: 4,
  request: {
    /** Id of the follower; -1 for a consumer, -2 for a debugging one. */
    replicaId: int32.since(3).default(-2).ignorable,
    topics: array({
      topic: string,
      partitions: array({
        partition: int32,
        /**
         * The leader epoch that the sender knows, so that either side notices that it is behind; -1 skips the check.
         */
        currentLeaderEpoch: int32.since(2).default(-1).ignorable,
        /** The epoch whose end is wanted. */
        leaderEpoch: int32,
      }),
    }),
  },
  response: {
    throttleTimeMs: int32.since(2).ignorable,
    topics: array({
      topic: string,
      partitions: array({
        errorCode: int16,
        partition: int32,
        /** The largest epoch that the log has up to the one asked for; -1 if there is none. */
        leaderEpoch: int32.since(1).default(-1).ignorable,
        /** Where that epoch ends; -1 if there is none. */
        endOffset: int64.default(-1),
      }),
    }),
  },
})

export type OffsetForLeaderEpochRequest = RequestOf<typeof OffsetForLeaderEpoch>
export type OffsetForLeaderEpochRequestInput = RequestInputOf<typeof OffsetForLeaderEpoch>
export type OffsetForLeaderEpochResponse = ResponseOf<typeof OffsetForLeaderEpoch>
export type OffsetForLeaderEpochResponseInput = ResponseInputOf<typeof OffsetForLeaderEpoch>
