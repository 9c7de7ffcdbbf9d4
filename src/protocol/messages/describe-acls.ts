/** Lists access rules that match a filter. */
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

export const DescribeAcls = api({
  key: 29,
  name: 'DescribeAcls',
  versions: [0, 3],
  flexibleSince: 2,
  request: {
    /** 1 any, 2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user. */
    resourceTypeFilter: int8,
    /** Null matches every name. */
    resourceNameFilter: string.nullable(),
    /** 1 any, 2 all that apply to the name, 3 literal, 4 prefixed. */
    patternTypeFilter: int8.since(1).default(3),
    /** Null matches every principal. */
    principalFilter: string.nullable(),
    /** Null matches every host. */
    hostFilter: string.nullable(),
    /**
     * 1 any, 2 all, 3 read, 4 write, 5 create, 6 delete, 7 alter, 8 describe, 9 cluster action, 10 describe configs,
     * 11 alter configs, 12 idempotent write, 13 create tokens, 14 describe tokens.
     */
    operation: int8,
    /** 1 any, 2 deny, 3 allow. */
    permissionType: int8,
  },
  response: {
    throttleTimeMs: int32,
    errorCode: int16,
    errorMessage: string.nullable(),
    resources: array({
      /** 1 any, 2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user. */
      resourceType: int8,
      resourceName: string,
      /** 3 literal, 4 prefixed. */
      patternType: int8.since(1).default(3),
      acls: array({
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
    }),
  },
})

export type DescribeAclsRequest = RequestOf<typeof DescribeAcls>
export type DescribeAclsRequestInput = RequestInputOf<typeof DescribeAcls>
export type DescribeAclsResponse = ResponseOf<typeof DescribeAcls>
export type DescribeAclsResponseInput = ResponseInputOf<typeof DescribeAcls>
