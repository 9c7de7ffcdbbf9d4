/** Lets a delegation token end earlier (KIP-48). */
import {
  api,
  bytes,
  int16,
  int32,
  int64,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const ExpireDelegationToken = api({
  key: 40,
  name: 'ExpireDelegationToken',
  versions: [0, 2],
  flexibleSince: 2,
  request: {
    /** The secret that stands for the token. */
    hmac: bytes,
    /** A negative one ends the token at once. */
    expiryTimePeriodMs: int64,
  },
  response: {
    errorCode: int16,
    /** In ms since 1970. */
    expiryTimestampMs: int64,
    throttleTimeMs: int32,
  },
})

export type ExpireDelegationTokenRequest = RequestOf<typeof ExpireDelegationToken>
export type ExpireDelegationTokenRequestInput = RequestInputOf<typeof ExpireDelegationToken>
export type ExpireDelegationTokenResponse = ResponseOf<typeof ExpireDelegationToken>
export type ExpireDelegationTokenResponseInput = ResponseInputOf<typeof ExpireDelegationToken>
