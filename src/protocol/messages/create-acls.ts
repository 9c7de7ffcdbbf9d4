/** Adds access rules. */
import {
  api,
  array,
  int16,
  int32,
  int8,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const CreateAcls = api({
  key: 30,
  name: 'CreateAcls',
  versions: [0, 3],
  flexibleSince: 2,
  request: {
    creations: array({
      /** 1 any, 2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user. */
      resourceType: int8,
      resourceName: string,
      /** 3 literal, 4 prefixed. */
      resourcePatternType: int8.since(1).default(3),
      principal: string,
      host: string,
      /**
       * 1 any, 2 all, 3 read, 4 write, 5 create, 6 delete, 7 alter, 8 describe, 9 cluster action, 10 describe
       * configs, 11 alter configs, 12 idempotent write, 13 create tokens, 14 describe tokens.
       */
      operation: int8,
      /** 1 any, 2 deny, 3 allow. */
      permissionType: int8,
    }),
  },
  response: {
    throttleTimeMs: int32,
    results: array({
      errorCode: int16,
      errorMessage: string.nullable(),
    }),
  },
})

export type CreateAclsRequest = RequestOf<typeof CreateAcls>
export type CreateAclsRequestInput = RequestInputOf<typeof CreateAcls>
export type CreateAclsResponse = ResponseOf<typeof CreateAcls>
export type CreateAclsResponseInput = ResponseInputOf<typeof CreateAcls>
