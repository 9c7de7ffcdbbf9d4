/** Takes members out of a group; from version 3 on several at once (KIP-345). */
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

export const LeaveGroup = api({
  key: 13,
  name: 'LeaveGroup',
  versions: [0, 5],
  flexibleSince: 4,
  request: {
    groupId: string,
    memberId: string.until(2),
    members: array({
      /** Empty if a static member is named by its instance id. */
      memberId: string,
      /** Names a static member across its restarts (KIP-345); null for a dynamic one. */
      groupInstanceId: string.nullable().default(null),
      /** Why it leaves, for the log (KIP-800). */
      reason: string.since(5).nullable().default(null).ignorable,
    }).since(3),
  },
  response: {
    throttleTimeMs: int32.since(1).ignorable,
    errorCode: int16,
    members: array({
      memberId: string,
      /** Names a static member across its restarts (KIP-345); null for a dynamic one. */
      groupInstanceId: string.nullable(),
      errorCode: int16,
    }).since(3),
  },
})

export type LeaveGroupRequest = RequestOf<typeof LeaveGroup>
export type LeaveGroupRequestInput = RequestInputOf<typeof LeaveGroup>
export type LeaveGroupResponse = ResponseOf<typeof LeaveGroup>
export type LeaveGroupResponseInput = ResponseInputOf<typeof LeaveGroup>
