import { ErrorCode, errorOf } from '#protocol'

/**
 * What a member does about a code in an answer of its coordinator, the same for JoinGroup, SyncGroup, Heartbeat and OffsetCommit:
 * - `done`: there is no error.
 * - `takeId`: join again with the id that the answer gives (KIP-394).
 * - `retry`: ask again, of the coordinator as it is then.
 * - `rejoin`: the group rebalances; the member keeps its id and generation.
 * - `forget`: the coordinator does not know this member, or not in this generation: its partitions are lost, and it joins as a new one.
 * - `fail`: nothing that the member could do helps.
 */
export type GroupVerdict = 'done' | 'takeId' | 'retry' | 'rejoin' | 'forget' | 'fail'

const VERDICTS: ReadonlyMap<number, GroupVerdict> = new Map([
  [ErrorCode.NONE, 'done'],
  [ErrorCode.MEMBER_ID_REQUIRED, 'takeId'],
  [ErrorCode.NOT_COORDINATOR, 'retry'],
  [ErrorCode.COORDINATOR_NOT_AVAILABLE, 'retry'],
  [ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, 'retry'],
  [ErrorCode.REBALANCE_IN_PROGRESS, 'rejoin'],
  [ErrorCode.UNKNOWN_MEMBER_ID, 'forget'],
  [ErrorCode.ILLEGAL_GENERATION, 'forget'],
  [ErrorCode.FENCED_INSTANCE_ID, 'fail'],
])

export function verdictOn(code: number): GroupVerdict {
  return VERDICTS.get(code) ?? (errorOf(code).retriable ? 'retry' : 'fail')
}
