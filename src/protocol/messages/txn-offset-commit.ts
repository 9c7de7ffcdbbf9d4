/** Stores offsets of a group that count once the transaction is committed. */
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

export const TxnOffsetCommit = api({
  key: 28,
  name: 'TxnOffsetCommit',
  versions: [0, 4],
  flexibleSince: 3,
  request: {
    transactionalId: string,
    groupId: string,
    producerId: int64,
    producerEpoch: int16,
    /** -1 if the producer does not tell (before KIP-447). */
    generationId: int32.since(3).default(-1),
    memberId: string.since(3).default(''),
    /** Names a static member across its restarts (KIP-345); null for a dynamic one. */
    groupInstanceId: string.since(3).nullable().default(null),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        /** Offset of the next record to consume. */
        committedOffset: int64,
        /** Epoch of the last consumed record; -1 if not known. */
        committedLeaderEpoch: int32.since(2).default(-1).ignorable,
        /** Free text beside the offset. */
        committedMetadata: string.nullable(),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32,
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
      }),
    }),
  },
})

export type TxnOffsetCommitRequest = RequestOf<typeof TxnOffsetCommit>
export type TxnOffsetCommitRequestInput = RequestInputOf<typeof TxnOffsetCommit>
export type TxnOffsetCommitResponse = ResponseOf<typeof TxnOffsetCommit>
export type TxnOffsetCommitResponseInput = ResponseInputOf<typeof TxnOffsetCommit>
