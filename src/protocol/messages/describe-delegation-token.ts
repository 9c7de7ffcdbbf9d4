/** Lists delegation tokens (KIP-48). */
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

export const DescribeDelegationToken = api({
  key: 41,
  name: 'DescribeDelegationToken',
  versions: [0, 3],
  flexibleSince: 2,
  request: {
    /** Null asks for all. */
    owners: array({
      principalType: string,
      principalName: string,
    }).nullable(),
  },
  response: {
    errorCode: int16,
    tokens: array({
      principalType: string,
      principalName: string,
      tokenRequesterPrincipalType: string.since(3),
      tokenRequesterPrincipalName: string.since(3),
      /** In ms since 1970. */
      issueTimestamp: int64,
      /** In ms since 1970. */
      expiryTimestamp: int64,
      /** No renewal leads beyond it; in ms since 1970. */
      maxTimestamp: int64,
      tokenId: string,
      /** The secret that stands for the token. */
      hmac: bytes,
      renewers: array({
        principalType: string,
        principalName: string,
      }),
    }),
    throttleTimeMs: int32,
  },
})

export type DescribeDelegationTokenRequest = RequestOf<typeof DescribeDelegationToken>
export type DescribeDelegationTokenRequestInput = RequestInputOf<typeof DescribeDelegationToken>
export type DescribeDelegationTokenResponse = ResponseOf<typeof DescribeDelegationToken>
export type DescribeDelegationTokenResponseInput = ResponseInputOf<typeof DescribeDelegationToken>
