/** Stores how far a group has consumed. Version 0 keeps the offsets in ZooKeeper, under `/consumers`. */
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

export const OffsetCommit = api({
  key: 8,
  name: 'OffsetCommit',
  versions: [0, 9],
  flexibleSince: 8,
  request: {
    groupId: string,
    /** Generation of the group, or epoch of the member (KIP-848); -1 for a consumer that assigns partitions itself. */
    generationIdOrMemberEpoch: int32.since(1).default(-1).ignorable,
    /** Empty for a consumer that assigns partitions itself. */
    memberId: string.since(1).ignorable,
    /** Names a static member across its restarts (KIP-345); null for a dynamic one. */
    groupInstanceId: string.since(7).nullable().default(null),
    /** How long to keep the offsets, in ms; -1 for what the broker is configured to. */
    retentionTimeMs: int64.since(2).until(4).default(-1).ignorable,
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        /** Offset of the next record to consume. */
        committedOffset: int64,
        /** Epoch of the last consumed record; -1 if not known. */
        committedLeaderEpoch: int32.since(6).default(-1).ignorable,
        /** In ms since 1970; -1 for the broker's time. */
        commitTimestamp: int64.since(1).until(1).default(-1),
        /** Free text beside the offset. */
        committedMetadata: string.nullable(),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32.since(3).ignorable,
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
      }),
    }),
  },
})

export type OffsetCommitRequest = RequestOf<typeof OffsetCommit>
export type OffsetCommitRequestInput = RequestInputOf<typeof OffsetCommit>
export type OffsetCommitResponse = ResponseOf<typeof OffsetCommit>
export type OffsetCommitResponseInput = ResponseInputOf<typeof OffsetCommit>
