/** A broker passes a request on to the controller in the name of the client (KIP-590). */
import {
  api,
  bytes,
  int16,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const Envelope = api({
  key: 58,
  name: 'Envelope',
  versions: [0, 0],
  flexibleSince: 0,
  request: {
    /** The request with its header. */
    requestData: bytes,
    requestPrincipal: bytes.nullable(),
    /** Four or sixteen bytes. */
    clientHostAddress: bytes,
  },
  response: {
    /** The response with its header. */
    responseData: bytes.nullable().default(null),
    errorCode: int16,
  },
})

export type EnvelopeRequest = RequestOf<typeof Envelope>
export type EnvelopeRequestInput = RequestInputOf<typeof Envelope>
export type EnvelopeResponse = ResponseOf<typeof Envelope>
export type EnvelopeResponseInput = ResponseInputOf<typeof Envelope>
