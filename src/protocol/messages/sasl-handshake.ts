/**
 * Chooses the SASL mechanism of a connection. After version 0 the tokens follow without Kafka headers, after
 * version 1 in SaslAuthenticate (KIP-152).
 */
import {
  api,
  array,
  int16,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const SaslHandshake = api({
  key: 17,
  name: 'SaslHandshake',
  versions: [0, 1],
  request: {
    mechanism: string,
  },
  response: {
    errorCode: int16,
    mechanisms: array(string),
  },
})

export type SaslHandshakeRequest = RequestOf<typeof SaslHandshake>
export type SaslHandshakeRequestInput = RequestInputOf<typeof SaslHandshake>
export type SaslHandshakeResponse = ResponseOf<typeof SaslHandshake>
export type SaslHandshakeResponseInput = ResponseInputOf<typeof SaslHandshake>
