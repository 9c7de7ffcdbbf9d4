/**
 * All groups of one partition of `__consumer_offsets`. Membership is decided in `membership.ts`; here are the offsets, the
 * administrator's requests, and the events' way back from the log.
 */
import { Effects, type CoordinatorMachine, type Effect, type Moment, type ReplyTo } from '#coordinator'
import { ErrorCode } from '#protocol'
import type { JoinGroupRequest, JoinGroupResponse } from '#protocol/messages/join-group'
import type { OffsetCommitRequest, OffsetCommitResponse } from '#protocol/messages/offset-commit'
import type { OffsetDeleteRequest, OffsetDeleteResponse } from '#protocol/messages/offset-delete'
import type { SyncGroupRequest, SyncGroupResponse } from '#protocol/messages/sync-group'

import { UNKNOWN_MEMBER_ID, joinError, offsetErrorOf, syncError, type RequestContext } from './answers.ts'
import type { GroupConfig } from './config.ts'
import type { CommittedOffset, GroupEvent, OffsetEvent } from './events.ts'
import { Group, NO_BYTES, type GroupState } from './group.ts'
import { Membership, type LeavingMember } from './membership.ts'

/** A tick this late means that the process was stalled, and its clients' heartbeats with it. */
const STALL_MS_MIN = 500
/** After a stall deadlines move on by its length, at most by this: enough for every client to send a heartbeat. */
const GRACE_MS_MAX = 10_000
/** Grace is given once in this time, so that a machine that is always late still judges. */
const GRACE_SPACING_MS = 60_000

export interface TopicPartition {
  topic: string
  partition: number
}

export interface GroupOverview {
  groupId: string
  protocolType: string
  groupState: GroupState
}

export interface GroupDescription {
  groupState: GroupState
  protocolType: string
  protocolData: string
  members: {
    memberId: string
    groupInstanceId: string | null
    clientId: string
    clientHost: string
    memberMetadata: Uint8Array
    memberAssignment: Uint8Array
  }[]
}

export interface FetchedOffset {
  partitionIndex: number
  committedOffset: number
  committedLeaderEpoch: number
  metadata: string
  errorCode: number
}

export class GroupMachine implements CoordinatorMachine<GroupEvent> {
  readonly #config: GroupConfig
  readonly #effects = new Effects<GroupEvent>()
  readonly #membership: Membership
  readonly #groups = new Map<string, Group>()
  #isResumed = false
  #nextDeadline = Infinity
  #graceEndsAt = -Infinity

  constructor(config: GroupConfig, newMemberId: (prefix: string) => string) {
    this.#config = config
    const wake = (group: Group, at: number): void => {
      if (at < group.nextDeadline) group.nextDeadline = at
      if (at < this.#nextDeadline) this.#nextDeadline = at
    }
    this.#membership = new Membership({ config, effects: this.#effects, newMemberId, wake })
  }

  // The log's side.

  apply(event: GroupEvent, offset: number): void {
    if (event.kind === 'offset') return this.#applyOffset(event, offset)
    const { groupId, value } = event
    if (value === null) return this.#applyRemoval(groupId)
    const group = this.#groupOrNew(groupId, value.currentStateTimestamp)
    group.isStored = true
    // Afterwards the members that are here know more than what comes back from the log.
    if (!this.#isResumed) group.restore(value)
  }

  #applyOffset({ groupId, topic, partition, value }: OffsetEvent, offset: number): void {
    if (value !== null) {
      this.#groupOrNew(groupId, value.commitTimestamp).offsets.set(topic, partition, value, offset)
      return
    }
    this.#groups.get(groupId)?.offsets.delete(topic, partition)
  }

  /** Offsets without members may remain, of consumers that do without a group. */
  #applyRemoval(groupId: string): void {
    const removed = this.#groups.get(groupId)
    if (removed === undefined) return
    this.#groups.delete(groupId)
    if (removed.offsets.isEmpty) return
    const group = new Group(groupId, removed.stateTimestamp, removed.offsets)
    this.#groups.set(groupId, group)
  }

  applyInTransaction(producerId: number, event: GroupEvent, offset: number): void {
    if (event.kind !== 'offset' || event.value === null) return
    const { groupId, topic, partition, value } = event
    const group = this.#groupOrNew(groupId, value.commitTimestamp)
    group.offsets.setInTransaction(producerId, { topic, partition, value }, offset)
  }

  endTransaction(producerId: number, isCommitted: boolean): void {
    for (const group of this.#groups.values()) group.offsets.endTransaction(producerId, isCommitted)
  }

  resume(now: Moment): void {
    this.#isResumed = true
    for (const group of this.#groups.values()) {
      this.#membership.resume(group, now)
      this.#forgetIfVoid(group)
    }
  }

  resign(): void {
    for (const group of this.#groups.values()) this.#membership.resign(group)
    this.#groups.clear()
    this.#nextDeadline = Infinity
  }

  takeEffects(): Effect<GroupEvent>[] {
    return this.#effects.take()
  }

  // Time's side.

  nextDeadline(): number {
    return this.#nextDeadline
  }

  tick(now: Moment, lateMs: number): void {
    const isStalled = lateMs >= STALL_MS_MIN && now.ms - lateMs > this.#graceEndsAt + GRACE_SPACING_MS
    const until = now.ms + Math.min(lateMs, GRACE_MS_MAX)
    if (isStalled) this.#graceEndsAt = until
    this.#nextDeadline = Infinity
    for (const group of this.#groups.values()) {
      if (group.state === 'Dead') continue
      if (group.nextDeadline <= now.ms) {
        if (isStalled) this.#membership.postpone(group, now, until)
        else this.#membership.expire(group, now)
        this.#forgetIfVoid(group)
      }
      if (group.nextDeadline < this.#nextDeadline) this.#nextDeadline = group.nextDeadline
    }
  }

  /** What neither the log nor anybody here knows of need not be kept. */
  #forgetIfVoid(group: Group): void {
    const isVoid = group.state === 'Empty' && !group.isStored && group.pendingMembers.size === 0
    if (isVoid && group.offsets.isEmpty) this.#groups.delete(group.groupId)
  }

  #groupOrNew(groupId: string, stateTimestamp: number): Group {
    let group = this.#groups.get(groupId)
    if (group === undefined) this.#groups.set(groupId, (group = new Group(groupId, stateTimestamp)))
    return group
  }

  // The members' side.

  joinGroup(request: JoinGroupRequest, context: RequestContext, to: ReplyTo<JoinGroupResponse>, now: Moment): void {
    const { groupId, memberId, sessionTimeoutMs } = request
    if (sessionTimeoutMs < this.#config.minSessionTimeoutMs || sessionTimeoutMs > this.#config.maxSessionTimeoutMs)
      return this.#effects.reply(to, joinError(memberId, ErrorCode.INVALID_SESSION_TIMEOUT))
    if (memberId !== UNKNOWN_MEMBER_ID && !this.#groups.has(groupId))
      return this.#effects.reply(to, joinError(memberId, ErrorCode.UNKNOWN_MEMBER_ID))
    const group = this.#groupOrNew(groupId, now.wallMs)
    this.#membership.join(group, request, context, to, now)
    this.#forgetIfVoid(group)
  }

  syncGroup(request: SyncGroupRequest, to: ReplyTo<SyncGroupResponse>, now: Moment): void {
    const group = this.#groups.get(request.groupId)
    if (group === undefined) this.#effects.reply(to, syncError(ErrorCode.UNKNOWN_MEMBER_ID))
    else this.#membership.sync(group, request, to, now)
  }

  /** The answer's error code. */
  heartbeat(
    request: { groupId: string; generationId: number; memberId: string; groupInstanceId: string | null },
    now: Moment,
  ): number {
    const group = this.#groups.get(request.groupId)
    if (group === undefined) return ErrorCode.UNKNOWN_MEMBER_ID
    return this.#membership.heartbeat(group, request.generationId, request.memberId, request.groupInstanceId, now)
  }

  /** One error code for each member, or one for all when the group is going. */
  leaveGroup(groupId: string, members: readonly LeavingMember[], now: Moment): number[] | number {
    const group = this.#groups.get(groupId)
    if (group === undefined) return members.map(() => ErrorCode.UNKNOWN_MEMBER_ID)
    if (group.state === 'Dead') return ErrorCode.COORDINATOR_NOT_AVAILABLE
    return members.map((member) => this.#membership.leave(group, member, now))
  }

  // Offsets.

  commitOffsets(request: OffsetCommitRequest, to: ReplyTo<OffsetCommitResponse>, now: Moment): void {
    const { groupId, generationIdOrMemberEpoch: generationId } = request
    if (!this.#groups.has(groupId) && generationId >= 0)
      return this.#effects.reply(
        to,
        commitAnswer(request, () => ErrorCode.ILLEGAL_GENERATION),
      )
    const group = this.#groupOrNew(groupId, now.wallMs)
    const errorCode = this.#commitErrorOf(group, request)
    const events = errorCode === ErrorCode.NONE ? this.#offsetEvents(request, now) : []
    if (errorCode === ErrorCode.NONE) this.#renewCommitter(group, request.memberId, now)
    const codeOf = (metadata: string | null, otherwise: number): number =>
      this.#isMetadataTooLarge(metadata) ? ErrorCode.OFFSET_METADATA_TOO_LARGE : otherwise
    if (events.length === 0) {
      const isRefused = errorCode !== ErrorCode.NONE
      const answer = commitAnswer(request, (metadata) => (isRefused ? errorCode : codeOf(metadata, errorCode)))
      this.#effects.reply(to, answer)
      return this.#forgetIfVoid(group)
    }
    for (const { topic, partition } of events) group.offsets.beginCommit(topic, partition)
    this.#effects.append(events, (outcome) => {
      for (const { topic, partition } of events) group.offsets.endCommit(topic, partition)
      const code = outcome.errorCode === ErrorCode.NONE ? ErrorCode.NONE : offsetErrorOf(outcome.errorCode)
      this.#effects.reply(
        to,
        commitAnswer(request, (metadata) => codeOf(metadata, code)),
      )
      this.#forgetIfVoid(group)
    })
  }

  #isMetadataTooLarge(metadata: string | null): boolean {
    return metadata !== null && metadata.length > this.#config.offsetMetadataMaxBytes
  }

  /** Members commit for their own generation; anybody may as long as nobody is in the group. */
  #commitErrorOf(group: Group, request: OffsetCommitRequest): number {
    const { generationIdOrMemberEpoch: generationId, memberId, groupInstanceId } = request
    if (group.state === 'Dead') return ErrorCode.COORDINATOR_NOT_AVAILABLE
    if (generationId < 0 && group.state === 'Empty') return ErrorCode.NONE
    if (generationId < 0 && memberId === UNKNOWN_MEMBER_ID && groupInstanceId === null)
      return ErrorCode.UNKNOWN_MEMBER_ID
    const memberError = this.#membership.memberError(group, memberId, groupInstanceId)
    if (memberError !== ErrorCode.NONE) return memberError
    if (generationId !== group.generationId) return ErrorCode.ILLEGAL_GENERATION
    // The member has the new generation already, and may have lost partitions that it commits for.
    return group.state === 'CompletingRebalance' ? ErrorCode.REBALANCE_IN_PROGRESS : ErrorCode.NONE
  }

  #renewCommitter(group: Group, memberId: string, now: Moment): void {
    const member = group.members.get(memberId)
    if (member !== undefined) this.#membership.renewSession(group, member, now)
  }

  #offsetEvents({ groupId, topics, retentionTimeMs }: OffsetCommitRequest, now: Moment): OffsetEvent[] {
    const expireTimestamp = retentionTimeMs === -1 ? -1 : now.wallMs + retentionTimeMs
    const events: OffsetEvent[] = []
    for (const { name, partitions } of topics)
      for (const partition of partitions) {
        if (this.#isMetadataTooLarge(partition.committedMetadata)) continue
        const value: CommittedOffset = {
          offset: partition.committedOffset,
          leaderEpoch: partition.committedLeaderEpoch,
          metadata: partition.committedMetadata ?? '',
          commitTimestamp: partition.commitTimestamp === -1 ? now.wallMs : partition.commitTimestamp,
          expireTimestamp,
        }
        events.push({ kind: 'offset', groupId, topic: name, partition: partition.partitionIndex, value })
      }
    return events
  }

  /**
   * What is durable. With `requireStable` a partition whose commit is under way, or inside an open transaction, answers
   * UNSTABLE_OFFSET_COMMIT instead (KIP-447).
   */
  fetchOffset(groupId: string, topic: string, partition: number, requireStable: boolean): FetchedOffset {
    const offsets = this.#groups.get(groupId)?.offsets
    const isUnstable = requireStable && offsets?.isUnstable(topic, partition) === true
    const value = isUnstable ? null : (offsets?.get(topic, partition) ?? null)
    return {
      partitionIndex: partition,
      committedOffset: value?.offset ?? -1,
      committedLeaderEpoch: value?.leaderEpoch ?? -1,
      metadata: value?.metadata ?? '',
      errorCode: isUnstable ? ErrorCode.UNSTABLE_OFFSET_COMMIT : ErrorCode.NONE,
    }
  }

  /** Every partition that the group has committed. */
  committedPartitions(groupId: string): { topic: string; partitions: number[] }[] {
    return this.#groups.get(groupId)?.offsets.byTopic() ?? []
  }

  deleteOffsets(request: OffsetDeleteRequest, to: ReplyTo<OffsetDeleteResponse>): void {
    const group = this.#groups.get(request.groupId)
    const groupError = group === undefined ? ErrorCode.GROUP_ID_NOT_FOUND : offsetDeleteErrorOf(group)
    if (group === undefined || groupError !== ErrorCode.NONE)
      return this.#effects.reply(to, { errorCode: groupError, throttleTimeMs: 0, topics: [] })
    const isInUse = (topic: string): boolean => group.state !== 'Empty' && group.isSubscribedTo(topic)
    const events = request.topics.flatMap(({ name, partitions }) =>
      isInUse(name)
        ? []
        : partitions.map(({ partitionIndex }) => tombstone(group, { topic: name, partition: partitionIndex })),
    )
    const answer = (errorCode: number): OffsetDeleteResponse => ({
      errorCode: ErrorCode.NONE,
      throttleTimeMs: 0,
      topics: request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({
          partitionIndex,
          errorCode: isInUse(name) ? ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC : errorCode,
        })),
      })),
    })
    if (events.length === 0) return this.#effects.reply(to, answer(ErrorCode.NONE))
    const done = answer(ErrorCode.NONE)
    this.#effects.append(events, ({ errorCode }) => {
      this.#effects.reply(to, errorCode === ErrorCode.NONE ? done : answer(offsetErrorOf(errorCode)))
      this.#forgetIfVoid(group)
    })
  }

  /** Topics are gone, and the offsets of their partitions with them. */
  forgetPartitions(partitions: readonly TopicPartition[]): void {
    for (const group of this.#groups.values()) {
      const events = partitions.filter((at) => isKnown(group, at)).map((at) => tombstone(group, at))
      if (events.length > 0) this.#effects.append(events, () => this.#forgetIfVoid(group))
    }
  }

  /** Offsets past their retention go (KIP-211), and with the last one a group that nobody is in. */
  expireOffsets(now: Moment): void {
    for (const group of this.#groups.values()) {
      if (group.state === 'Dead') continue
      const expired: OffsetEvent[] = []
      let remaining = 0
      for (const { topic, partition, value } of group.offsets.entries()) {
        const isExpired = this.#isExpired(group, topic, value, now) && !group.offsets.hasPendingCommit(topic, partition)
        if (isExpired) expired.push(tombstone(group, { topic, partition }))
        else remaining += 1
      }
      const isAbandoned = group.state === 'Empty' && group.pendingMembers.size === 0
      if (isAbandoned && remaining === 0 && !group.offsets.hasAnyPending) this.#remove(group, expired, () => {})
      else if (expired.length > 0) this.#effects.append(expired, () => {})
    }
  }

  #isExpired(group: Group, topic: string, value: CommittedOffset, { wallMs }: Moment): boolean {
    const since = retentionStart(group, topic, value)
    if (since === null) return false
    if (value.expireTimestamp !== -1) return wallMs >= value.expireTimestamp
    return wallMs - since >= this.#config.offsetsRetentionMs
  }

  // Administration.

  /** A group that nobody is in is taken out of the log, with its offsets. `done` is told an error code. */
  deleteGroup(groupId: string, done: ReplyTo<number>): void {
    const group = this.#groups.get(groupId)
    if (group === undefined || group.state === 'Dead') return this.#effects.reply(done, ErrorCode.GROUP_ID_NOT_FOUND)
    if (group.state !== 'Empty') return this.#effects.reply(done, ErrorCode.NON_EMPTY_GROUP)
    const partitions = [...group.offsets.entries(), ...group.offsets.pendingCommits()]
    const tombstones = partitions.map((at) => tombstone(group, at))
    this.#remove(group, tombstones, (errorCode) => this.#effects.reply(done, errorCode))
  }

  /** Until it is durable that the group is gone, it is `Dead`: whoever asks is told to try again. */
  #remove(group: Group, tombstones: readonly OffsetEvent[], done: (errorCode: number) => void): void {
    const { groupId, stateTimestamp } = group
    const events: GroupEvent[] = [...tombstones]
    if (group.isStored) events.push({ kind: 'group', groupId, value: null })
    group.state = 'Dead'
    const settle = (errorCode: number): void => {
      if (errorCode === ErrorCode.NONE) {
        if (this.#groups.get(groupId) === group) this.#groups.delete(groupId)
      } else if (this.#groups.get(groupId) === group) {
        group.state = 'Empty'
        group.stateTimestamp = stateTimestamp
        this.#nextDeadline = Math.min(this.#nextDeadline, group.nextDeadline)
      }
      done(errorCode === ErrorCode.NONE ? errorCode : offsetErrorOf(errorCode))
    }
    if (events.length === 0) settle(ErrorCode.NONE)
    else this.#effects.append(events, ({ errorCode }) => settle(errorCode))
  }

  listGroups(): GroupOverview[] {
    const overviews: GroupOverview[] = []
    for (const { groupId, protocolType, state } of this.#groups.values())
      if (state !== 'Dead') overviews.push({ groupId, protocolType: protocolType ?? '', groupState: state })
    return overviews
  }

  /** A group that is not there is described as `Dead`. */
  describeGroup(groupId: string): GroupDescription {
    const group = this.#groups.get(groupId)
    if (group === undefined || group.state === 'Dead')
      return { groupState: 'Dead', protocolType: '', protocolData: '', members: [] }
    const isStable = group.state === 'Stable'
    return {
      groupState: group.state,
      protocolType: group.protocolType ?? '',
      protocolData: isStable ? (group.protocolName ?? '') : '',
      members: [...group.members.values()].map((member) => ({
        memberId: member.memberId,
        groupInstanceId: member.groupInstanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        memberMetadata: isStable ? group.metadataOf(member) : NO_BYTES,
        memberAssignment: isStable ? member.assignment : NO_BYTES,
      })),
    }
  }
}

function offsetDeleteErrorOf(group: Group): number {
  if (group.state === 'Dead') return ErrorCode.GROUP_ID_NOT_FOUND
  return group.state === 'Empty' || group.isConsumerGroup ? ErrorCode.NONE : ErrorCode.NON_EMPTY_GROUP
}

/** From when on the retention of an offset counts; null while it does not. */
function retentionStart(group: Group, topic: string, { commitTimestamp }: CommittedOffset): number | null {
  if (group.protocolType === null) return commitTimestamp
  if (group.state === 'Empty') return group.stateTimestamp === -1 ? commitTimestamp : group.stateTimestamp
  const isKnown = group.state === 'Stable' && group.isConsumerGroup && group.subscribedTopics !== null
  return isKnown && !group.isSubscribedTo(topic) ? commitTimestamp : null
}

function isKnown(group: Group, { topic, partition }: TopicPartition): boolean {
  return group.offsets.get(topic, partition) !== null || group.offsets.isUnstable(topic, partition)
}

function tombstone({ groupId }: Group, { topic, partition }: TopicPartition): OffsetEvent {
  return { kind: 'offset', groupId, topic, partition, value: null }
}

function commitAnswer(
  { topics }: OffsetCommitRequest,
  codeOf: (metadata: string | null) => number,
): OffsetCommitResponse {
  return {
    throttleTimeMs: 0,
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, committedMetadata }) => ({
        partitionIndex,
        errorCode: codeOf(committedMetadata),
      })),
    })),
  }
}
