/** A member of a group shows that it lives, and learns whether the group rebalances. */
import {
  api,
  int16,
  int32,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const Heartbeat = api({
  key: 12,
  name: 'Heartbeat',
  versions: [0, 4],
  flexibleSince: 4,
  request: {
    groupId: string,
    generationId: int32,
    memberId: string,
    /** Names a static member across its restarts (KIP-345); null for a dynamic one. */
    groupInstanceId: string.since(3).nullable().default(null),
  },
  response: {
    throttleTimeMs: int32.since(1).ignorable,
    errorCode: int16,
  },
})

export type HeartbeatRequest = RequestOf<typeof Heartbeat>
export type HeartbeatRequestInput = RequestInputOf<typeof Heartbeat>
export type HeartbeatResponse = ResponseOf<typeof Heartbeat>
export type HeartbeatResponseInput = ResponseInputOf<typeof Heartbeat>
