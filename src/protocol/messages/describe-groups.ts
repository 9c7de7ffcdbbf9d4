/** State, members and assignments of groups, as far as this broker coordinates them. */
import {
  api,
  array,
  bool,
  bytes,
  int16,
  int32,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const DescribeGroups = api({
  key: 15,
  name: 'DescribeGroups',
  versions: [0, 5],
  flexibleSince: 5,
  request: {
    groups: array(string),
    includeAuthorizedOperations: bool.since(3),
  },
  response: {
    throttleTimeMs: int32.since(1).ignorable,
    groups: array({
      errorCode: int16,
      groupId: string,
      /**
       * `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Stable` or `Dead`, also for a group that does not
       * exist.
       */
      groupState: string,
      protocolType: string,
      /** Name of the chosen protocol; empty if there is none. */
      protocolData: string,
      members: array({
        memberId: string,
        /** Names a static member across its restarts (KIP-345); null for a dynamic one. */
        groupInstanceId: string.since(4).nullable().default(null).ignorable,
        clientId: string,
        clientHost: string,
        memberMetadata: bytes,
        memberAssignment: bytes,
      }),
      /** One bit for each operation that the client may carry out, by its number in ACLs; -2³¹ if not asked for. */
      authorizedOperations: int32.since(3).default(-(2 ** 31)),
    }),
  },
})

export type DescribeGroupsRequest = RequestOf<typeof DescribeGroups>
export type DescribeGroupsRequestInput = RequestInputOf<typeof DescribeGroups>
export type DescribeGroupsResponse = ResponseOf<typeof DescribeGroups>
export type DescribeGroupsResponseInput = ResponseInputOf<typeof DescribeGroups>
