/** Carries one token of the SASL exchange, after SaslHandshake version 1 (KIP-152). */
import {
  api,
  bytes,
  int16,
  int64,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const SaslAuthenticate = api({
  key: 36,
  name: 'SaslAuthenticate',
  versions: [0, 2],
  flexibleSince: 2,
  request: {
    authBytes: bytes,
  },
  response: {
    errorCode: int16,
    errorMessage: string.nullable(),
    authBytes: bytes,
    /** The client must authenticate again within it (KIP-368), in ms; 0 for never. */
    sessionLifetimeMs: int64.since(1).default(0).ignorable,
  },
})

export type SaslAuthenticateRequest = RequestOf<typeof SaslAuthenticate>
export type SaslAuthenticateRequestInput = RequestInputOf<typeof SaslAuthenticate>
export type SaslAuthenticateResponse = ResponseOf<typeof SaslAuthenticate>
export type SaslAuthenticateResponseInput = ResponseInputOf<typeof SaslAuthenticate>
