/** A broker asks the controller for a block of producer ids (KIP-730). */
import {
  api,
  int16,
  int32,
  int64,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const AllocateProducerIds = api({
  key: 67,
  name: 'AllocateProducerIds',
  versions: [0, 0],
  flexibleSince: 0,
  request: {
    brokerId: int32,
    /** Czxid of the broker's registration; -1 if not known. */
    brokerEpoch: int64.default(-1),
  },
  response: {
    throttleTimeMs: int32,
    errorCode: int16,
    /** First id of the block. */
    producerIdStart: int64,
    /** How many ids it has. */
    producerIdLen: int32,
  },
})

export type AllocateProducerIdsRequest = RequestOf<typeof AllocateProducerIds>
export type AllocateProducerIdsRequestInput = RequestInputOf<typeof AllocateProducerIds>
export type AllocateProducerIdsResponse = ResponseOf<typeof AllocateProducerIds>
export type AllocateProducerIdsResponseInput = ResponseInputOf<typeof AllocateProducerIds>
