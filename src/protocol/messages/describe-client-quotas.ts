/** Lists quotas of users, client ids and addresses (KIP-546). */
import {
  api,
  array,
  bool,
  float64,
  int16,
  int32,
  int8,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const DescribeClientQuotas = api({
  key: 48,
  name: 'DescribeClientQuotas',
  versions: [0, 1],
  flexibleSince: 1,
  request: {
    components: array({
      /** `user`, `client-id` or `ip`. */
      entityType: string,
      /** 0 the name in `match`, 1 the default, 2 every name. */
      matchType: int8,
      match: string.nullable(),
    }),
    /** Leaves out entities that have further parts. */
    strict: bool,
  },
  response: {
    throttleTimeMs: int32,
    errorCode: int16,
    errorMessage: string.nullable(),
    entries: array({
      entity: array({
        /** `user`, `client-id` or `ip`. */
        entityType: string,
        /** Null for the default of its type. */
        entityName: string.nullable(),
      }),
      values: array({
        /** Such as `producer_byte_rate`. */
        key: string,
        value: float64,
      }),
    }).nullable(),
  },
})

export type DescribeClientQuotasRequest = RequestOf<typeof DescribeClientQuotas>
export type DescribeClientQuotasRequestInput = RequestInputOf<typeof DescribeClientQuotas>
export type DescribeClientQuotasResponse = ResponseOf<typeof DescribeClientQuotas>
export type DescribeClientQuotasResponseInput = ResponseInputOf<typeof DescribeClientQuotas>
