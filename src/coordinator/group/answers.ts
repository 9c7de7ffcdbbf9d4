/** Answers of the coordinator, and the errors that clients know for what may happen to an append. */
import type { ReplyTo } from '#coordinator'
import { ErrorCode } from '#protocol'
import type { JoinGroupResponse } from '#protocol/messages/join-group'
import type { SyncGroupResponse } from '#protocol/messages/sync-group'

import { NO_BYTES, type Group, type Member } from './group.ts'

/** What a request brings beside its message. */
export interface RequestContext {
  apiVersion: number
  clientId: string
  /** "/" and the address, as Java prints one. */
  clientHost: string
}

/** Client members are told that their id is unknown by an answer without one. */
export const UNKNOWN_MEMBER_ID = ''

export function joinError(memberId: string, errorCode: number): JoinGroupResponse {
  return {
    throttleTimeMs: 0,
    errorCode,
    generationId: -1,
    protocolType: null,
    protocolName: null,
    leader: '',
    skipAssignment: false,
    memberId,
    members: [],
  }
}

/** The present generation; its leader gets the members, whom it has to assign. */
export function joinAnswer(group: Group, member: Member): JoinGroupResponse {
  const isLeader = group.leaderId === member.memberId
  return {
    throttleTimeMs: 0,
    errorCode: ErrorCode.NONE,
    generationId: group.generationId,
    protocolType: group.protocolType,
    protocolName: group.protocolName,
    leader: group.leaderId ?? '',
    skipAssignment: false,
    memberId: member.memberId,
    members: isLeader ? membersOf(group) : [],
  }
}

function membersOf(group: Group): JoinGroupResponse['members'] {
  return [...group.members.values()].map((member) => ({
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    metadata: group.metadataOf(member),
  }))
}

export function syncError(errorCode: number): SyncGroupResponse {
  return { throttleTimeMs: 0, errorCode, protocolType: null, protocolName: null, assignment: NO_BYTES }
}

export function syncAnswer(group: Group, member: Member): SyncGroupResponse {
  const { protocolType, protocolName } = group
  return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, protocolType, protocolName, assignment: member.assignment }
}

/** What members see when a generation could not be stored (upstream: `GroupMetadataManager.storeGroup`). */
export function groupErrorOf(appendError: number): number {
  switch (appendError) {
    case ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
    case ErrorCode.NOT_ENOUGH_REPLICAS:
    case ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND:
      return ErrorCode.COORDINATOR_NOT_AVAILABLE
    case ErrorCode.NOT_LEADER_OR_FOLLOWER:
    case ErrorCode.KAFKA_STORAGE_ERROR:
      return ErrorCode.NOT_COORDINATOR
    case ErrorCode.REQUEST_TIMED_OUT:
      return ErrorCode.REBALANCE_IN_PROGRESS
    case ErrorCode.MESSAGE_TOO_LARGE:
    case ErrorCode.RECORD_LIST_TOO_LARGE:
    case ErrorCode.INVALID_FETCH_SIZE:
      return ErrorCode.UNKNOWN_SERVER_ERROR
    default:
      return appendError
  }
}

/** What a commit sees when it could not be stored (upstream: `maybeConvertOffsetCommitError`). */
export function offsetErrorOf(appendError: number): number {
  switch (appendError) {
    case ErrorCode.NETWORK_EXCEPTION:
      return ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    case ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
    case ErrorCode.NOT_ENOUGH_REPLICAS:
    case ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND:
      return ErrorCode.COORDINATOR_NOT_AVAILABLE
    case ErrorCode.NOT_LEADER_OR_FOLLOWER:
    case ErrorCode.KAFKA_STORAGE_ERROR:
      return ErrorCode.NOT_COORDINATOR
    case ErrorCode.MESSAGE_TOO_LARGE:
    case ErrorCode.RECORD_LIST_TOO_LARGE:
    case ErrorCode.INVALID_FETCH_SIZE:
      return ErrorCode.INVALID_COMMIT_OFFSET_SIZE
    default:
      return appendError
  }
}

/** Whoever waits for an answer of the member's gets this error instead. True when somebody did. */
export function refuseWaiting(
  member: Member,
  errorCode: number,
  reply: <Response>(to: ReplyTo<Response>, response: Response) => void,
  memberId = member.memberId,
): void {
  if (member.awaitingJoin !== null) reply(member.awaitingJoin, joinError(memberId, errorCode))
  if (member.awaitingSync !== null) reply(member.awaitingSync, syncError(errorCode))
  member.awaitingJoin = null
  member.awaitingSync = null
}
