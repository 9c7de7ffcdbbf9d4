/**
 * Replaces the whole configuration of resources: what is not named goes back to its default.
 * IncrementalAlterConfigs is what tools use today.
 */
import {
  api,
  array,
  bool,
  int16,
  int32,
  int8,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const AlterConfigs = api({
  key: 33,
  name: 'AlterConfigs',
  versions: [0, 2],
  flexibleSince: 2,
  request: {
    resources: array({
      /** 2 topic, 4 broker, 8 logger of a broker. */
      resourceType: int8,
      resourceName: string,
      configs: array({
        name: string,
        value: string.nullable(),
      }),
    }),
    /** Checks all and changes nothing. */
    validateOnly: bool,
  },
  response: {
    throttleTimeMs: int32,
    responses: array({
      errorCode: int16,
      errorMessage: string.nullable(),
      /** 2 topic, 4 broker, 8 logger of a broker. */
      resourceType: int8,
      resourceName: string,
    }),
  },
})

export type AlterConfigsRequest = RequestOf<typeof AlterConfigs>
export type AlterConfigsRequestInput = RequestInputOf<typeof AlterConfigs>
export type AlterConfigsResponse = ResponseOf<typeof AlterConfigs>
export type AlterConfigsResponseInput = ResponseInputOf<typeof AlterConfigs>
