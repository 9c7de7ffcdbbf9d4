/** The groups that this broker coordinates. */
import {
  api,
  array,
  int16,
  int32,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const ListGroups = api({
  key: 16,
  name: 'ListGroups',
  versions: [0, 5],
  flexibleSince: 3,
  request: {
    /** Empty for all states. */
    statesFilter: array(string).since(4),
    /** Empty for all types. */
    typesFilter: array(string).since(5),
  },
  response: {
    throttleTimeMs: int32.since(1).ignorable,
    errorCode: int16,
    groups: array({
      groupId: string,
      protocolType: string,
      groupState: string.since(4).ignorable,
      /** `classic` or `consumer`. */
      groupType: string.since(5).ignorable,
    }),
  },
})

export type ListGroupsRequest = RequestOf<typeof ListGroups>
export type ListGroupsRequestInput = RequestInputOf<typeof ListGroups>
export type ListGroupsResponse = ResponseOf<typeof ListGroups>
export type ListGroupsResponseInput = ResponseInputOf<typeof ListGroups>
