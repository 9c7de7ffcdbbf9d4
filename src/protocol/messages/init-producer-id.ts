/**
 * Gives a producer its id and epoch. With a transactional id it also ends what the former producer of that id left
 * open (KIP-98, KIP-360).
 */
import {
  api,
  int16,
  int32,
  int64,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const InitProducerId = api({
  key: 22,
  name: 'InitProducerId',
  versions: [0, 5],
  flexibleSince: 2,
  request: {
    /** Null for a producer that is only idempotent. */
    transactionalId: string.nullable(),
    /** After so long an open transaction is aborted, in ms. */
    transactionTimeoutMs: int32,
    /** The one that the producer has and wants a new epoch for (KIP-360); otherwise -1. */
    producerId: int64.since(3).default(-1),
    /** Belongs to `producerId`; otherwise -1. */
    producerEpoch: int16.since(3).default(-1),
  },
  response: {
    throttleTimeMs: int32,
    errorCode: int16,
    producerId: int64.default(-1),
    producerEpoch: int16,
  },
})

export type InitProducerIdRequest = RequestOf<typeof InitProducerId>
export type InitProducerIdRequestInput = RequestInputOf<typeof InitProducerId>
export type InitProducerIdResponse = ResponseOf<typeof InitProducerId>
export type InitProducerIdResponseInput = ResponseInputOf<typeof InitProducerId>
