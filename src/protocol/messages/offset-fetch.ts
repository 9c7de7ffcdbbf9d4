/**
 * Asks how far a group has consumed; from version 8 on several groups at once (KIP-709). Version 0 reads from
 * ZooKeeper, under `/consumers`.
 */
import {
  api,
  array,
  bool,
  int16,
  int32,
  int64,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const OffsetFetch = api({
  key: 9,
  name: 'OffsetFetch',
  versions: [0, 9],
  flexibleSince: 6,
  request: {
    groupId: string.until(7),
    /** Null asks for all. */
    topics: array({
      name: string,
      partitionIndexes: array(int32),
    })
      .until(7)
      .nullable(2),
    groups: array({
      groupId: string,
      /** Only in the new consumer protocol (KIP-848). */
      memberId: string.since(9).nullable().default(null).ignorable,
      /** Only in the new consumer protocol (KIP-848); otherwise -1. */
      memberEpoch: int32.since(9).default(-1).ignorable,
      /** Null asks for all. */
      topics: array({
        name: string,
        partitionIndexes: array(int32),
      }).nullable(),
    }).since(8),
    /** Answer UNSTABLE_OFFSET_COMMIT while a transaction that commits offsets is open (KIP-447). */
    requireStable: bool.since(7).default(false),
  },
  response: {
    throttleTimeMs: int32.since(3).ignorable,
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        /** -1 if there is none. */
        committedOffset: int64,
        /** Epoch of the last consumed record; -1 if not known. */
        committedLeaderEpoch: int32.since(5).default(-1).ignorable,
        metadata: string.nullable(),
        errorCode: int16,
      }),
    }).until(7),
    errorCode: int16.since(2).until(7).default(0).ignorable,
    groups: array({
      groupId: string,
      topics: array({
        name: string,
        partitions: array({
          partitionIndex: int32,
          /** -1 if there is none. */
          committedOffset: int64,
          /** Epoch of the last consumed record; -1 if not known. */
          committedLeaderEpoch: int32.default(-1),
          metadata: string.nullable(),
          errorCode: int16,
        }),
      }),
      errorCode: int16.default(0),
    }).since(8),
  },
})

export type OffsetFetchRequest = RequestOf<typeof OffsetFetch>
export type OffsetFetchRequestInput = RequestInputOf<typeof OffsetFetch>
export type OffsetFetchResponse = ResponseOf<typeof OffsetFetch>
export type OffsetFetchResponseInput = ResponseInputOf<typeof OffsetFetch>
