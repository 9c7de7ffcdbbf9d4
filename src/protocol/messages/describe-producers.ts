/** The producers that a partition remembers, with their open transactions (KIP-664). */
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

export const DescribeProducers = api({
  key: 61,
  name: 'DescribeProducers',
  versions: [0, 0],
  flexibleSince: 0,
  request: {
    topics: array({
      name: string,
      partitionIndexes: array(int32),
    }),
  },
  response: {
    throttleTimeMs: int32,
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        errorMessage: string.nullable().default(null),
        activeProducers: array({
          producerId: int64,
          producerEpoch: int32,
          lastSequence: int32.default(-1),
          /** In ms since 1970; -1 if not known. */
          lastTimestamp: int64.default(-1),
          /** Fences a transaction coordinator that has been replaced. */
          coordinatorEpoch: int32,
          /** -1 if no transaction is open. */
          currentTxnStartOffset: int64.default(-1),
        }),
      }),
    }),
  },
})

export type DescribeProducersRequest = RequestOf<typeof DescribeProducers>
export type DescribeProducersRequestInput = RequestInputOf<typeof DescribeProducers>
export type DescribeProducersResponse = ResponseOf<typeof DescribeProducers>
export type DescribeProducersResponseInput = ResponseInputOf<typeof DescribeProducers>
