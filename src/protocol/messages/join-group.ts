/**
 * A consumer enters a group of the classic protocol; the answer comes when all members have joined. From version 4
 * on a new member is first sent away with its id (KIP-394); 5 has static members (KIP-345), 9 `skipAssignment`
 * (KIP-814).
 */
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

export const JoinGroup = api({
  key: 11,
  name: 'JoinGroup',
  versions: [0, 9],
  flexibleSince: 6,
  request: {
    groupId: string,
    /** After so long without a heartbeat the member is thrown out, in ms. */
    sessionTimeoutMs: int32,
    /** How long members have to join again, in ms; -1 takes the session timeout. */
    rebalanceTimeoutMs: int32.since(1).default(-1).ignorable,
    /** Empty the first time. */
    memberId: string,
    /** Names a static member across its restarts (KIP-345); null for a dynamic one. */
    groupInstanceId: string.since(5).nullable().default(null),
    /** `consumer` for consumers; all members have the same. */
    protocolType: string,
    /** Assignors that the member knows, the best first, with what it tells each. */
    protocols: array({
      name: string,
      metadata: bytes,
    }),
    /** Why it joins, for the log (KIP-800). */
    reason: string.since(8).nullable().default(null).ignorable,
  },
  response: {
    throttleTimeMs: int32.since(2).ignorable,
    errorCode: int16,
    /** -1 with an error. */
    generationId: int32.default(-1),
    protocolType: string.since(7).nullable().default(null).ignorable,
    /** The protocol that all members share. */
    protocolName: string.nullable(7),
    /** Id of the member that computes the assignment. */
    leader: string,
    /** The leader keeps the present assignment: a static leader has only come back. */
    skipAssignment: bool.since(9).default(false),
    memberId: string,
    /** Only the leader gets them. */
    members: array({
      memberId: string,
      /** Names a static member across its restarts (KIP-345); null for a dynamic one. */
      groupInstanceId: string.since(5).nullable().default(null).ignorable,
      metadata: bytes,
    }),
  },
})

export type JoinGroupRequest = RequestOf<typeof JoinGroup>
export type JoinGroupRequestInput = RequestInputOf<typeof JoinGroup>
export type JoinGroupResponse = ResponseOf<typeof JoinGroup>
export type JoinGroupResponseInput = ResponseInputOf<typeof JoinGroup>
