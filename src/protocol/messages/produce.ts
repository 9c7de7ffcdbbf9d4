/**
 * Appends record batches to partitions. From version 3 on each partition carries exactly one batch of format 2
 * (KIP-98); 9 is flexible; 10 tells a client that went wrong who leads (KIP-951).
 */
import {
  api,
  array,
  int16,
  int32,
  int64,
  records,
  string,
  struct,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const Produce = api({
  key: 0,
  name: 'Produce',
  versions: [0, 11],
  flexibleSince: 9,
  request: {
    /** Null outside transactions. */
    transactionalId: string.since(3).nullable().default(null),
    /** 0: no answer at all; 1: answered when the leader has appended; -1: when every replica in sync has. */
    acks: int16,
    /** How long to wait for the replicas, in ms. */
    timeoutMs: int32,
    topicData: array({
      name: string,
      partitionData: array({
        index: int32,
        records: records.nullable(),
      }),
    }),
  },
  response: {
    responses: array({
      name: string,
      partitionResponses: array({
        index: int32,
        errorCode: int16,
        /** Offset of the first record of the batch; -1 with an error. */
        baseOffset: int64,
        /** The leader's time if the topic stamps records with it; otherwise -1. */
        logAppendTimeMs: int64.since(2).default(-1).ignorable,
        /** First offset of the log; -1 if not known. */
        logStartOffset: int64.since(5).default(-1).ignorable,
        /** The records that made the batch fail (KIP-467). */
        recordErrors: array({
          /** Place of the record in its batch. */
          batchIndex: int32,
          batchIndexErrorMessage: string.nullable().default(null),
        }).since(8).ignorable,
        errorMessage: string.since(8).nullable().default(null).ignorable,
        /** The leader as this broker knows it, given with NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH. */
        currentLeader: struct({
          leaderId: int32.default(-1),
          leaderEpoch: int32.default(-1),
        }).tagged(0, 10),
      }),
    }),
    throttleTimeMs: int32.since(1).default(0).ignorable,
    /** Addresses of the leaders that the partitions name. */
    nodeEndpoints: array({
      nodeId: int32,
      host: string,
      port: int32,
      /** Null if the broker has none. */
      rack: string.nullable().default(null),
    }).tagged(0, 10),
  },
})

export type ProduceRequest = RequestOf<typeof Produce>
export type ProduceRequestInput = RequestInputOf<typeof Produce>
export type ProduceResponse = ResponseOf<typeof Produce>
export type ProduceResponseInput = ResponseInputOf<typeof Produce>
