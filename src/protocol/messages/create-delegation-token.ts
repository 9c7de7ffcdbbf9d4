/** Issues a delegation token (KIP-48). */
import {
  api,
  array,
  bytes,
  int16,
  int32,
  int64,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const CreateDelegationToken = api({
  key: 38,
  name: 'CreateDelegationToken',
  versions: [0, 3],
  flexibleSince: 2,
  request: {
    /** Null for the one who asks. */
    ownerPrincipalType: string.since(3).nullable(),
    /** Null for the one who asks. */
    ownerPrincipalName: string.since(3).nullable(),
    renewers: array({
      principalType: string,
      principalName: string,
    }),
    /** -1 for the broker's own bound. */
    maxLifetimeMs: int64,
  },
  response: {
    errorCode: int16,
    principalType: string,
    principalName: string,
    tokenRequesterPrincipalType: string.since(3),
    tokenRequesterPrincipalName: string.since(3),
    /** In ms since 1970. */
    issueTimestampMs: int64,
    /** In ms since 1970. */
    expiryTimestampMs: int64,
    /** No renewal leads beyond it; in ms since 1970. */
    maxTimestampMs: int64,
    tokenId: string,
    /** The secret that stands for the token. */
    hmac: bytes,
    throttleTimeMs: int32,
  },
})

export type CreateDelegationTokenRequest = RequestOf<typeof CreateDelegationToken>
export type CreateDelegationTokenRequestInput = RequestInputOf<typeof CreateDelegationToken>
export type CreateDelegationTokenResponse = ResponseOf<typeof CreateDelegationToken>
export type CreateDelegationTokenResponseInput = ResponseInputOf<typeof CreateDelegationToken>
