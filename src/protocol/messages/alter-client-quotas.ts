/** Sets and removes quotas (KIP-546). */
import {
  api,
  array,
  bool,
  float64,
  int16,
  int32,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const AlterClientQuotas = api({
  key: 49,
  name: 'AlterClientQuotas',
  versions: [0, 1],
  flexibleSince: 1,
  request: {
    entries: array({
      entity: array({
        /** `user`, `client-id` or `ip`. */
        entityType: string,
        /** Null for the default of its type. */
        entityName: string.nullable(),
      }),
      ops: array({
        /** Such as `producer_byte_rate`. */
        key: string,
        value: float64,
        remove: bool,
      }),
    }),
    /** Checks all and changes nothing. */
    validateOnly: bool,
  },
  response: {
    throttleTimeMs: int32,
    entries: array({
      errorCode: int16,
      errorMessage: string.nullable(),
      entity: array({
        /** `user`, `client-id` or `ip`. */
        entityType: string,
        /** Null for the default of its type. */
        entityName: string.nullable(),
      }),
    }),
  },
})

export type AlterClientQuotasRequest = RequestOf<typeof AlterClientQuotas>
export type AlterClientQuotasRequestInput = RequestInputOf<typeof AlterClientQuotas>
export type AlterClientQuotasResponse = ResponseOf<typeof AlterClientQuotas>
export type AlterClientQuotasResponseInput = ResponseInputOf<typeof AlterClientQuotas>
