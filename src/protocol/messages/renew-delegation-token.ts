/** Moves the expiry of a delegation token on (KIP-48). */
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

export const RenewDelegationToken = api({
  key: 39,
  name: 'RenewDelegationToken',
  versions: [0, 2],
  flexibleSince: 2,
  request: {
    /** The secret that stands for the token. */
    hmac: bytes,
    /** -1 for the broker's own period. */
    renewPeriodMs: int64,
  },
  response: {
    errorCode: int16,
    /** In ms since 1970. */
    expiryTimestampMs: int64,
    throttleTimeMs: int32,
  },
})

export type RenewDelegationTokenRequest = RequestOf<typeof RenewDelegationToken>
export type RenewDelegationTokenRequestInput = RequestInputOf<typeof RenewDelegationToken>
export type RenewDelegationTokenResponse = ResponseOf<typeof RenewDelegationToken>
export type RenewDelegationTokenResponseInput = ResponseInputOf<typeof RenewDelegationToken>
