/**
 * Who is in a group and in which generation: JoinGroup, SyncGroup, Heartbeat, LeaveGroup and the deadlines between
 * them (upstream: `GroupCoordinator.scala` of 3.9; KIP-62, 134, 345, 394, 814).
 *
 *     Empty ──join──▶ PreparingRebalance ──all joined, or time is up──▶ CompletingRebalance ──leader's sync is durable──▶ Stable
 *       ▲                 │    ▲                                             │                                           │
 *       └──nobody left────┘    └───────── a member comes, goes or changes ───┴───────────────────────────────────────────┘
 */
import { equalBytes, unreachable } from '#base'
import type { AppendOutcome, Effects, Moment, ReplyTo } from '#coordinator'
import { ErrorCode } from '#protocol'
import type { GroupMetadataValue } from '#protocol/messages/consumer-offsets'
import type { JoinGroupRequest, JoinGroupResponse } from '#protocol/messages/join-group'
import type { SyncGroupRequest, SyncGroupResponse } from '#protocol/messages/sync-group'

import {
  UNKNOWN_MEMBER_ID,
  groupErrorOf,
  joinAnswer,
  joinError,
  refuseWaiting,
  syncAnswer,
  syncError,
  type RequestContext,
} from './answers.ts'
import type { GroupConfig } from './config.ts'
import type { GroupEvent } from './events.ts'
import { NO_BYTES, type Group, type Member, type Protocol } from './group.ts'

/**
 * A member that has never been in a generation does not know its id and cannot send heartbeats, and that its
 * connection is gone is not seen; so it is given up after this time, and retries if it is still there.
 */
const NEW_MEMBER_JOIN_TIMEOUT_MS = 5 * 60_000
/** From this version of JoinGroup on, a new dynamic member is first given an id, and joins with it (KIP-394). */
const MEMBER_ID_REQUIRED_SINCE = 4
/** From this version on, a static leader that comes back may be told not to assign anew (KIP-814). */
const SKIP_ASSIGNMENT_SINCE = 9

export interface MembershipOptions {
  config: GroupConfig
  effects: Effects<GroupEvent>
  /** A member id that nobody has had, beginning with the prefix. */
  newMemberId: (prefix: string) => string
  /** The group has something to do at this time, in monotonic ms. */
  wake: (group: Group, at: number) => void
}

/** Identity of who leaves. */
export interface LeavingMember {
  memberId: string
  groupInstanceId: string | null
}

export class Membership {
  readonly #config: GroupConfig
  readonly #effects: Effects<GroupEvent>
  readonly #newMemberId: (prefix: string) => string
  readonly #wake: (group: Group, at: number) => void

  constructor({ config, effects, newMemberId, wake }: MembershipOptions) {
    this.#config = config
    this.#effects = effects
    this.#newMemberId = newMemberId
    this.#wake = wake
  }

  join(
    group: Group,
    request: JoinGroupRequest,
    context: RequestContext,
    to: ReplyTo<JoinGroupResponse>,
    now: Moment,
  ): void {
    const { memberId } = request
    if (group.state === 'Dead') {
      this.#effects.reply(to, joinError(memberId, ErrorCode.COORDINATOR_NOT_AVAILABLE))
    } else if (!this.#hasRoomFor(group, memberId)) {
      group.remove(memberId)
      this.#effects.reply(to, joinError(UNKNOWN_MEMBER_ID, ErrorCode.GROUP_MAX_SIZE_REACHED))
    } else if (!group.supports(request.protocolType, request.protocols)) {
      this.#effects.reply(to, joinError(memberId, ErrorCode.INCONSISTENT_GROUP_PROTOCOL))
    } else if (memberId === UNKNOWN_MEMBER_ID) {
      this.#joinAsNew(group, request, context, to, now)
    } else if (group.pendingMembers.has(memberId)) {
      // An id that was given out belongs to a dynamic member.
      if (request.groupInstanceId !== null) this.#effects.reply(to, joinError(memberId, ErrorCode.UNKNOWN_MEMBER_ID))
      else this.#add(group, memberId, request, context, to, now)
    } else {
      this.#joinAgain(group, request, to, now)
    }
    this.#completeJoinIfAllThere(group, now)
  }

  /** `group.max.size` counts those that wait while a generation forms, so that the last ones to join again are left out. */
  #hasRoomFor(group: Group, memberId: string): boolean {
    const { groupMaxSize } = this.#config
    switch (group.state) {
      case 'Empty':
      case 'Dead':
        return true
      case 'PreparingRebalance':
        return (group.members.get(memberId)?.awaitingJoin ?? null) !== null || group.awaitingJoinCount < groupMaxSize
      case 'CompletingRebalance':
      case 'Stable':
        return group.members.has(memberId) || group.members.size < groupMaxSize
      default:
        return unreachable(group.state)
    }
  }

  #joinAsNew(
    group: Group,
    request: JoinGroupRequest,
    context: RequestContext,
    to: ReplyTo<JoinGroupResponse>,
    now: Moment,
  ): void {
    const { groupInstanceId } = request
    const memberId = this.#newMemberId(groupInstanceId ?? context.clientId)
    if (groupInstanceId !== null) {
      const oldMemberId = group.staticMembers.get(groupInstanceId)
      if (oldMemberId === undefined) this.#add(group, memberId, request, context, to, now)
      else this.#replaceStatic(group, group.members.get(oldMemberId)!, memberId, request, context, to, now)
    } else if (context.apiVersion >= MEMBER_ID_REQUIRED_SINCE) {
      group.pendingMembers.set(memberId, now.ms + request.sessionTimeoutMs)
      this.#wake(group, now.ms + request.sessionTimeoutMs)
      this.#effects.reply(to, joinError(memberId, ErrorCode.MEMBER_ID_REQUIRED))
    } else this.#add(group, memberId, request, context, to, now)
  }

  #add(
    group: Group,
    memberId: string,
    request: JoinGroupRequest,
    { clientId, clientHost }: RequestContext,
    to: ReplyTo<JoinGroupResponse>,
    now: Moment,
  ): void {
    if (group.state === 'PreparingRebalance' && group.generationId === 0) group.isNewMemberAdded = true
    const member: Member = {
      memberId,
      groupInstanceId: request.groupInstanceId,
      clientId,
      clientHost,
      rebalanceTimeoutMs: rebalanceTimeoutOf(request),
      sessionTimeoutMs: request.sessionTimeoutMs,
      protocols: request.protocols,
      assignment: NO_BYTES,
      isNew: true,
      awaitingJoin: to,
      awaitingSync: null,
      sessionDeadline: now.ms + NEW_MEMBER_JOIN_TIMEOUT_MS,
    }
    group.add(member, request.protocolType)
    this.#wake(group, member.sessionDeadline)
    if (group.canRebalance) this.#prepareRebalance(group, now)
  }

  #joinAgain(group: Group, request: JoinGroupRequest, to: ReplyTo<JoinGroupResponse>, now: Moment): void {
    const errorCode = this.memberError(group, request.memberId, request.groupInstanceId)
    if (errorCode !== ErrorCode.NONE) return this.#effects.reply(to, joinError(request.memberId, errorCode))
    const member = group.members.get(request.memberId)!
    const isSame = sameProtocols(member.protocols, request.protocols)
    // A leader that joins a stable group wants to assign anew, say because topics have grown.
    const wantsRebalance = !isSame || (group.state === 'Stable' && group.leaderId === member.memberId)
    if (group.state !== 'PreparingRebalance' && !wantsRebalance) {
      // Perhaps the answer to its first attempt was lost.
      return this.#effects.reply(to, joinAnswer(group, member))
    }
    this.#update(group, member, request, to)
    if (group.canRebalance) this.#prepareRebalance(group, now)
  }

  #update(group: Group, member: Member, request: JoinGroupRequest, to: ReplyTo<JoinGroupResponse>): void {
    // A second request can only have come by a new connection; the first one's answer would be too late.
    if (member.awaitingJoin !== null)
      this.#effects.reply(member.awaitingJoin, joinError(member.memberId, ErrorCode.REBALANCE_IN_PROGRESS))
    member.awaitingJoin = to
    group.setProtocols(member, request.protocols)
    member.rebalanceTimeoutMs = rebalanceTimeoutOf(request)
    member.sessionTimeoutMs = request.sessionTimeoutMs
  }

  /**
   * A static member comes back without its id: its former incarnation is fenced. In a stable group whose protocol
   * stays the same nobody else need know; the new id is stored, since after a failover the old one must stay fenced (KAFKA-10284).
   */
  #replaceStatic(
    group: Group,
    member: Member,
    memberId: string,
    request: JoinGroupRequest,
    context: RequestContext,
    to: ReplyTo<JoinGroupResponse>,
    now: Moment,
  ): void {
    const former = { ...member, leaderId: group.leaderId }
    refuseWaiting(member, ErrorCode.FENCED_INSTANCE_ID, (waiting, response) => this.#effects.reply(waiting, response))
    group.rename(member, memberId)
    this.#update(group, member, request, to)
    this.renewSession(group, member, now)
    if (group.state === 'CompletingRebalance') return this.#prepareRebalance(group, now)
    if (group.state !== 'Stable') return
    if (group.selectProtocol() !== group.protocolName) return this.#prepareRebalance(group, now)

    const { generationId } = group
    const value = group.toValue(group.stateTimestamp, ({ assignment }) => assignment)
    this.#store(group, value, (outcome, settledAt) => {
      // It was replaced again, or waits for the generation that forms by now.
      if (member.awaitingJoin !== to || group.state !== 'Stable' || group.generationId !== generationId) return
      member.awaitingJoin = null
      if (outcome.errorCode !== ErrorCode.NONE) {
        const { protocols, rebalanceTimeoutMs, sessionTimeoutMs } = former
        group.setProtocols(member, protocols)
        Object.assign(member, { rebalanceTimeoutMs, sessionTimeoutMs })
        group.rename(member, former.memberId)
        this.#effects.reply(to, joinError(UNKNOWN_MEMBER_ID, groupErrorOf(outcome.errorCode)))
      } else {
        const answer = joinAnswer(group, member)
        if (context.apiVersion >= SKIP_ASSIGNMENT_SINCE) answer.skipAssignment = group.leaderId === memberId
        // Older clients are kept from assigning by the name of the former leader, which nobody bears.
        else Object.assign(answer, { leader: former.leaderId ?? '', members: [] })
        this.#effects.reply(to, answer)
      }
      this.renewSession(group, member, settledAt)
    })
  }

  sync(group: Group, request: SyncGroupRequest, to: ReplyTo<SyncGroupResponse>, now: Moment): void {
    const errorCode = this.#syncErrorOf(group, request)
    if (errorCode !== ErrorCode.NONE) return this.#effects.reply(to, syncError(errorCode))
    const member = group.members.get(request.memberId)!
    group.pendingSyncMembers.delete(member.memberId)
    if (group.pendingSyncMembers.size === 0) group.syncDeadline = Infinity
    if (group.state === 'Stable') {
      this.#effects.reply(to, syncAnswer(group, member))
      return this.renewSession(group, member, now)
    }
    if (member.awaitingSync !== null)
      this.#effects.reply(member.awaitingSync, syncError(ErrorCode.REBALANCE_IN_PROGRESS))
    member.awaitingSync = to
    if (group.leaderId === member.memberId) this.#storeAssignments(group, request.assignments)
  }

  #syncErrorOf(group: Group, request: SyncGroupRequest): number {
    if (group.state === 'Dead') return ErrorCode.COORDINATOR_NOT_AVAILABLE
    const memberError = this.memberError(group, request.memberId, request.groupInstanceId)
    if (memberError !== ErrorCode.NONE) return memberError
    if (request.generationId !== group.generationId) return ErrorCode.ILLEGAL_GENERATION
    const { protocolType, protocolName } = request
    if (protocolType !== null && protocolType !== group.protocolType) return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    if (protocolName !== null && protocolName !== group.protocolName) return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    if (group.state === 'Empty') return ErrorCode.UNKNOWN_MEMBER_ID
    return group.state === 'PreparingRebalance' ? ErrorCode.REBALANCE_IN_PROGRESS : ErrorCode.NONE
  }

  /** What the leader decided is stored; only then is the generation stable, and everybody is told. */
  #storeAssignments(group: Group, assignments: SyncGroupRequest['assignments']): void {
    const byMember = new Map(assignments.map(({ memberId, assignment }) => [memberId, assignment]))
    const assignmentOf = (member: Member): Uint8Array => byMember.get(member.memberId) ?? NO_BYTES
    const { generationId } = group
    const value = group.toValue(group.stateTimestamp, assignmentOf)
    this.#store(group, value, ({ errorCode }, now) => {
      // Somebody came or went meanwhile, and the next generation is forming: then this one has no effect.
      if (group.state !== 'CompletingRebalance' || group.generationId !== generationId) return
      if (errorCode !== ErrorCode.NONE) {
        this.#answerSyncs(group, groupErrorOf(errorCode), now)
        return this.#prepareRebalance(group, now)
      }
      for (const member of group.members.values()) member.assignment = assignmentOf(member)
      group.transitionTo('Stable', now.wallMs)
      this.#answerSyncs(group, ErrorCode.NONE, now)
    })
  }

  /** Sessions of those who waited begin anew, since they were not judged meanwhile. */
  #answerSyncs(group: Group, errorCode: number, now: Moment): void {
    for (const member of group.members.values()) {
      if (errorCode !== ErrorCode.NONE) member.assignment = NO_BYTES
      const to = member.awaitingSync
      if (to === null) continue
      member.awaitingSync = null
      this.#effects.reply(to, errorCode === ErrorCode.NONE ? syncAnswer(group, member) : syncError(errorCode))
      this.renewSession(group, member, now)
    }
  }

  /** The answer's error code. */
  heartbeat(group: Group, generationId: number, memberId: string, groupInstanceId: string | null, now: Moment): number {
    if (group.state === 'Dead') return ErrorCode.COORDINATOR_NOT_AVAILABLE
    const memberError = this.memberError(group, memberId, groupInstanceId)
    if (memberError !== ErrorCode.NONE) return memberError
    if (generationId !== group.generationId) return ErrorCode.ILLEGAL_GENERATION
    if (group.state === 'Empty') return ErrorCode.UNKNOWN_MEMBER_ID
    this.renewSession(group, group.members.get(memberId)!, now)
    return group.state === 'PreparingRebalance' ? ErrorCode.REBALANCE_IN_PROGRESS : ErrorCode.NONE
  }

  /** The error code for this member. A static member may be named by its instance alone, by an administrator. */
  leave(group: Group, { memberId, groupInstanceId }: LeavingMember, now: Moment): number {
    if (memberId === UNKNOWN_MEMBER_ID) {
      const current = groupInstanceId === null ? undefined : group.staticMembers.get(groupInstanceId)
      if (current === undefined) return ErrorCode.UNKNOWN_MEMBER_ID
      this.#removeMember(group, group.members.get(current)!, now)
      return ErrorCode.NONE
    }
    if (group.pendingMembers.has(memberId)) {
      group.remove(memberId)
      this.#completeJoinIfAllThere(group, now)
      return ErrorCode.NONE
    }
    const errorCode = this.memberError(group, memberId, groupInstanceId)
    if (errorCode === ErrorCode.NONE) this.#removeMember(group, group.members.get(memberId)!, now)
    return errorCode
  }

  /** Whether a request's member is who it says: fenced when its instance has another id by now, unknown when it is not there. */
  memberError(group: Group, memberId: string, groupInstanceId: string | null): number {
    if (groupInstanceId !== null) {
      const current = group.staticMembers.get(groupInstanceId)
      if (current === undefined) return ErrorCode.UNKNOWN_MEMBER_ID
      if (current !== memberId) return ErrorCode.FENCED_INSTANCE_ID
    }
    return group.members.has(memberId) ? ErrorCode.NONE : ErrorCode.UNKNOWN_MEMBER_ID
  }

  renewSession(group: Group, member: Member, now: Moment): void {
    member.sessionDeadline = now.ms + member.sessionTimeoutMs
    this.#wake(group, member.sessionDeadline)
  }

  #removeMember(group: Group, member: Member, now: Moment): void {
    refuseWaiting(
      member,
      ErrorCode.UNKNOWN_MEMBER_ID,
      (to, response) => this.#effects.reply(to, response),
      UNKNOWN_MEMBER_ID,
    )
    group.remove(member.memberId)
    if (group.canRebalance && group.state !== 'Empty') this.#prepareRebalance(group, now)
    else this.#completeJoinIfAllThere(group, now)
  }

  #prepareRebalance(group: Group, now: Moment): void {
    if (group.state === 'CompletingRebalance') this.#answerSyncs(group, ErrorCode.REBALANCE_IN_PROGRESS, now)
    group.pendingSyncMembers.clear()
    group.syncDeadline = Infinity
    const rebalanceTimeoutMs = group.rebalanceTimeoutMs
    if (group.state === 'Empty') {
      const delayMs = this.#config.initialRebalanceDelayMs
      const remainingMs = Math.max(rebalanceTimeoutMs - delayMs, 0)
      group.joinDeadline = { kind: 'initial', at: now.ms + delayMs, delayMs, remainingMs }
    } else group.joinDeadline = { kind: 'rebalance', at: now.ms + rebalanceTimeoutMs }
    group.transitionTo('PreparingRebalance', now.wallMs)
    this.#wake(group, group.joinDeadline.at)
    this.#completeJoinIfAllThere(group, now)
  }

  #completeJoinIfAllThere(group: Group, now: Moment): void {
    if (group.joinDeadline?.kind === 'rebalance' && group.hasEveryoneJoined) this.#completeJoin(group, now)
  }

  #onJoinDeadline(group: Group, now: Moment): void {
    const deadline = group.joinDeadline!
    if (deadline.kind === 'rebalance' || !group.isNewMemberAdded || deadline.remainingMs === 0)
      return this.#completeJoin(group, now)
    group.isNewMemberAdded = false
    const delayMs = Math.min(this.#config.initialRebalanceDelayMs, deadline.remainingMs)
    const remainingMs = Math.max(deadline.remainingMs - deadline.delayMs, 0)
    group.joinDeadline = { kind: 'initial', at: now.ms + delayMs, delayMs, remainingMs }
    this.#wake(group, group.joinDeadline.at)
  }

  /** Those who have not joined are out, static members excepted; the others begin the next generation. */
  #completeJoin(group: Group, now: Moment): void {
    group.joinDeadline = null
    for (const member of group.members.values())
      if (member.awaitingJoin === null && member.groupInstanceId === null) group.remove(member.memberId)
    if (group.members.size > 0 && !group.electJoinedLeader()) {
      // Only static members are left, and none of them has come: wait until one does, or their sessions end.
      group.joinDeadline = { kind: 'rebalance', at: now.ms + group.rebalanceTimeoutMs }
      return this.#wake(group, group.joinDeadline.at)
    }
    group.beginGeneration(now.wallMs)
    if (group.state === 'Empty') this.#storeEmpty(group)
    else this.#answerJoins(group, now)
  }

  /** From here on the log may hold the group, whatever the append says, so that its removal needs a tombstone. */
  #store(group: Group, value: GroupMetadataValue, settle: (outcome: AppendOutcome, now: Moment) => void): void {
    group.isStored = true
    this.#effects.append([{ kind: 'group', groupId: group.groupId, value }], settle)
  }

  /** If this fails, the former generation is what a successor finds; nobody is in it, and its sessions end there. */
  #storeEmpty(group: Group): void {
    const value = group.toValue(group.stateTimestamp, () => NO_BYTES)
    this.#store(group, value, () => {})
  }

  #answerJoins(group: Group, now: Moment): void {
    for (const member of group.members.values()) {
      const to = member.awaitingJoin
      member.awaitingJoin = null
      if (to !== null) this.#effects.reply(to, joinAnswer(group, member))
      member.isNew = false
      this.renewSession(group, member, now)
      group.pendingSyncMembers.add(member.memberId)
    }
    group.syncDeadline = now.ms + group.rebalanceTimeoutMs
    this.#wake(group, group.syncDeadline)
  }

  /** Members that have not fetched their assignment in time are out (KAFKA-12890). */
  #onSyncDeadline(group: Group, now: Moment): void {
    group.syncDeadline = Infinity
    const missing = [...group.pendingSyncMembers]
    for (const memberId of missing) group.remove(memberId)
    if (missing.length > 0 && group.canRebalance) this.#prepareRebalance(group, now)
  }

  /** Carries out what is due, and says when to come again. */
  expire(group: Group, now: Moment): void {
    for (const [memberId, at] of group.pendingMembers) if (at <= now.ms) group.pendingMembers.delete(memberId)
    this.#completeJoinIfAllThere(group, now)
    for (const member of group.members.values())
      if (member.sessionDeadline <= now.ms) this.#onSessionDeadline(group, member, now)
    if (group.joinDeadline !== null && group.joinDeadline.at <= now.ms) this.#onJoinDeadline(group, now)
    if (group.syncDeadline <= now.ms) this.#onSyncDeadline(group, now)
    this.#findNextDeadline(group)
  }

  /** Who waits for an answer of ours needs no heartbeat; the answer begins the session anew. */
  #onSessionDeadline(group: Group, member: Member, now: Moment): void {
    const isWaiting = member.awaitingJoin !== null || member.awaitingSync !== null
    if (isWaiting && !member.isNew) member.sessionDeadline = Infinity
    else this.#removeMember(group, member, now)
  }

  #findNextDeadline(group: Group): void {
    let next = Math.min(group.joinDeadline?.at ?? Infinity, group.syncDeadline)
    for (const at of group.pendingMembers.values()) next = Math.min(next, at)
    for (const { sessionDeadline } of group.members.values()) next = Math.min(next, sessionDeadline)
    group.nextDeadline = next
  }

  /** After a stall: what is due by now is due only then. */
  postpone(group: Group, now: Moment, until: number): void {
    const later = (at: number): number => (at <= now.ms ? until : at)
    for (const [memberId, at] of group.pendingMembers) group.pendingMembers.set(memberId, later(at))
    for (const member of group.members.values()) member.sessionDeadline = later(member.sessionDeadline)
    if (group.joinDeadline !== null) group.joinDeadline.at = later(group.joinDeadline.at)
    group.syncDeadline = later(group.syncDeadline)
    this.#findNextDeadline(group)
  }

  /** A group that was loaded: its members' sessions begin, and if it is too large by now, it has to form anew. */
  resume(group: Group, now: Moment): void {
    for (const member of group.members.values()) this.renewSession(group, member, now)
    if (group.members.size > this.#config.groupMaxSize) this.#prepareRebalance(group, now)
  }

  /** The group has another coordinator. */
  resign(group: Group): void {
    group.state = 'Dead'
    for (const member of group.members.values())
      refuseWaiting(member, ErrorCode.NOT_COORDINATOR, (to, response) => this.#effects.reply(to, response))
  }
}

/** Before version 1 a request had one timeout for both. */
function rebalanceTimeoutOf({ rebalanceTimeoutMs, sessionTimeoutMs }: JoinGroupRequest): number {
  return rebalanceTimeoutMs === -1 ? sessionTimeoutMs : rebalanceTimeoutMs
}

function sameProtocols(a: readonly Protocol[], b: readonly Protocol[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ name, metadata }, index) => name === b[index]!.name && equalBytes(metadata, b[index]!.metadata))
  )
}
