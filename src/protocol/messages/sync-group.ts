/** The leader of a group hands in what each member shall consume; every member gets its part. */
import {
  api,
  array,
  bytes,
  int16,
  int32,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const SyncGroup = api({
  key: 14,
  name: 'SyncGroup',
  versions: [0, 5],
  flexibleSince: 4,
  request: {
    groupId: string,
    generationId: int32,
    memberId: string,
    /** Names a static member across its restarts (KIP-345); null for a dynamic one. */
    groupInstanceId: string.since(3).nullable().default(null),
    protocolType: string.since(5).nullable().default(null).ignorable,
    protocolName: string.since(5).nullable().default(null).ignorable,
    /** Only the leader sends them. */
    assignments: array({
      memberId: string,
      assignment: bytes,
    }),
  },
  response: {
    throttleTimeMs: int32.since(1).ignorable,
    errorCode: int16,
    protocolType: string.since(5).nullable().default(null).ignorable,
    protocolName: string.since(5).nullable().default(null).ignorable,
    assignment: bytes,
  },
})

export type SyncGroupRequest = RequestOf<typeof SyncGroup>
export type SyncGroupRequestInput = RequestInputOf<typeof SyncGroup>
export type SyncGroupResponse = ResponseOf<typeof SyncGroup>
export type SyncGroupResponseInput = ResponseInputOf<typeof SyncGroup>
