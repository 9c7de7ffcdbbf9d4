import { toHex } from '#base'
import { CoordinatorRuntime, partitionFor, type CoordinatorLog, type Moment, type ReplyTo } from '#coordinator'
import type { Clock, Logger, Random, Timer } from '#platform'
import { ErrorCode } from '#protocol'
import type { DeleteGroupsRequest, DeleteGroupsResponse } from '#protocol/messages/delete-groups'
import type { DescribeGroupsRequest, DescribeGroupsResponse } from '#protocol/messages/describe-groups'
import type { HeartbeatRequest, HeartbeatResponse } from '#protocol/messages/heartbeat'
import type { JoinGroupRequest, JoinGroupResponse } from '#protocol/messages/join-group'
import type { LeaveGroupRequest, LeaveGroupResponse } from '#protocol/messages/leave-group'
import type { ListGroupsRequest, ListGroupsResponse } from '#protocol/messages/list-groups'
import type { OffsetCommitRequest, OffsetCommitResponse } from '#protocol/messages/offset-commit'
import type { OffsetDeleteRequest, OffsetDeleteResponse } from '#protocol/messages/offset-delete'
import type { OffsetFetchRequest, OffsetFetchResponse } from '#protocol/messages/offset-fetch'
import type { SyncGroupRequest, SyncGroupResponse } from '#protocol/messages/sync-group'

import { joinError, syncError, type RequestContext } from './answers.ts'
import type { GroupConfig } from './config.ts'
import { groupEventCodec, type GroupEvent } from './events.ts'
import type { Group } from './group.ts'
import { GroupMachine, type GroupDescription, type TopicPartition } from './machine.ts'

export interface GroupCoordinatorOptions {
  clock: Clock
  random: Random
  logger: Logger
  log: CoordinatorLog
  config: GroupConfig
  /** Partitions of `__consumer_offsets`: of the topic once it exists, before that as configured. It never changes. */
  partitionCount: () => number
}

/** From this version of LeaveGroup on, several members leave at once. */
const LEAVE_MANY_SINCE = 3
/** From this version of OffsetFetch on, the answer as a whole may have an error; before, each partition has it. */
const FETCH_ERROR_SINCE = 2
/** From this version of OffsetFetch on, several groups are asked for. */
const FETCH_GROUPS_SINCE = 8
/** From this version of JoinGroup on, the protocol's name may be null. */
const JOIN_NULL_PROTOCOL_SINCE = 7
/** In DescribeGroups: not asked for. */
const NO_AUTHORIZED_OPERATIONS = -(2 ** 31)

/**
 * The classic group coordinator: answers the group APIs for the partitions of `__consumer_offsets` that this broker leads. Each method decides before it
 * returns, so that requests of a connection take effect in their order; the promise is the answer, and never rejects. What an answer
 * promises is durable.
 */
export class GroupCoordinator {
  readonly #options: GroupCoordinatorOptions
  readonly #runtime: CoordinatorRuntime<GroupMachine, GroupEvent>
  #retentionTimer: Timer | null = null
  #isActive = true

  constructor(options: GroupCoordinatorOptions) {
    this.#options = options
    const { clock, logger, log, config } = options
    this.#runtime = new CoordinatorRuntime({
      clock,
      logger,
      log,
      codec: groupEventCodec,
      createMachine: () => new GroupMachine(config, (prefix) => `${prefix}-${this.#uuid()}`),
    })
    this.#scheduleRetention()
  }

  /** This broker leads a partition of `__consumer_offsets` in this epoch. Resolves when its groups are loaded. */
  becomeLeader(partition: number, leaderEpoch: number): Promise<void> {
    return this.#runtime.becomeLeader(partition, leaderEpoch)
  }

  /** Another broker leads the partition from `leaderEpoch` on; null when the replica is gone. */
  resign(partition: number, leaderEpoch: number | null): void {
    this.#runtime.resign(partition, leaderEpoch)
  }

  /** Topics or their partitions are deleted: their offsets go. */
  onPartitionsDeleted(partitions: readonly TopicPartition[]): void {
    this.#runtime.decideAll((machine) => machine.forgetPartitions(partitions))
  }

  close(): void {
    this.#isActive = false
    this.#retentionTimer?.cancel()
    this.#runtime.close()
  }

  partitionFor(groupId: string): number {
    return partitionFor(groupId, this.#options.partitionCount())
  }

  joinGroup(request: JoinGroupRequest, context: RequestContext): Promise<JoinGroupResponse> {
    const withName = (response: JoinGroupResponse): JoinGroupResponse =>
      context.apiVersion >= JOIN_NULL_PROTOCOL_SINCE || response.protocolName !== null
        ? response
        : { ...response, protocolName: '' }
    return this.#decide<JoinGroupResponse>(
      request.groupId,
      (machine, now, to) => machine.joinGroup(request, context, (response) => to(withName(response)), now),
      (errorCode) => withName(joinError(request.memberId, errorCode)),
    )
  }

  syncGroup(request: SyncGroupRequest): Promise<SyncGroupResponse> {
    return this.#decide<SyncGroupResponse>(
      request.groupId,
      (machine, now, to) => machine.syncGroup(request, to, now),
      // While it loads, nobody knows of a generation under way; old clients do not know the error that says so.
      (errorCode) =>
        syncError(errorCode === ErrorCode.COORDINATOR_LOAD_IN_PROGRESS ? ErrorCode.REBALANCE_IN_PROGRESS : errorCode),
    )
  }

  heartbeat(request: HeartbeatRequest): Promise<HeartbeatResponse> {
    return this.#decide<HeartbeatResponse>(
      request.groupId,
      (machine, now, to) => to({ throttleTimeMs: 0, errorCode: machine.heartbeat(request, now) }),
      // While it loads, the member may well be there.
      (errorCode) => ({
        throttleTimeMs: 0,
        errorCode: errorCode === ErrorCode.COORDINATOR_LOAD_IN_PROGRESS ? ErrorCode.NONE : errorCode,
      }),
    )
  }

  leaveGroup(request: LeaveGroupRequest, { apiVersion }: RequestContext): Promise<LeaveGroupResponse> {
    const isMany = apiVersion >= LEAVE_MANY_SINCE
    const members = isMany ? request.members : [{ memberId: request.memberId, groupInstanceId: null }]
    return this.#decide<LeaveGroupResponse>(
      request.groupId,
      (machine, now, to) => {
        const errors = machine.leaveGroup(request.groupId, members, now)
        if (typeof errors === 'number') return to({ throttleTimeMs: 0, errorCode: errors, members: [] })
        if (!isMany) return to({ throttleTimeMs: 0, errorCode: errors[0]!, members: [] })
        const answers = members.map(({ memberId, groupInstanceId }, index) => ({
          memberId,
          groupInstanceId,
          errorCode: errors[index]!,
        }))
        to({ throttleTimeMs: 0, errorCode: ErrorCode.NONE, members: answers })
      },
      (errorCode) => ({ throttleTimeMs: 0, errorCode, members: [] }),
    )
  }

  /** Of version 1 and later; version 0 belongs to ZooKeeper. */
  commitOffsets(request: OffsetCommitRequest): Promise<OffsetCommitResponse> {
    return this.#decide<OffsetCommitResponse>(
      request.groupId,
      (machine, now, to) => machine.commitOffsets(request, to, now),
      (errorCode) => ({
        throttleTimeMs: 0,
        topics: request.topics.map(({ name, partitions }) => ({
          name,
          partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
        })),
      }),
      'allow empty id',
    )
  }

  /** Of version 1 and later; version 0 belongs to ZooKeeper. */
  async fetchOffsets(request: OffsetFetchRequest, { apiVersion }: RequestContext): Promise<OffsetFetchResponse> {
    const { requireStable } = request
    if (apiVersion >= FETCH_GROUPS_SINCE) {
      const groups = await Promise.all(
        request.groups.map(({ groupId, topics }) => this.#fetchGroup(groupId, topics, requireStable)),
      )
      return { throttleTimeMs: 0, topics: [], errorCode: ErrorCode.NONE, groups }
    }
    const { topics, errorCode } = await this.#fetchGroup(request.groupId, request.topics, requireStable)
    if (errorCode === ErrorCode.NONE || apiVersion >= FETCH_ERROR_SINCE)
      return { throttleTimeMs: 0, topics, errorCode, groups: [] }
    const failed = (request.topics ?? []).map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => ({
        partitionIndex,
        committedOffset: -1,
        committedLeaderEpoch: -1,
        metadata: '',
        errorCode,
      })),
    }))
    return { throttleTimeMs: 0, topics: failed, errorCode, groups: [] }
  }

  /** A coordinator that was deposed without knowing it would answer offsets that the new one has moved on: it must be certain. */
  async #fetchGroup(
    groupId: string,
    topics: OffsetFetchRequest['topics'],
    requireStable: boolean,
  ): Promise<OffsetFetchResponse['groups'][number]> {
    const errorCode = this.#errorFor(groupId, 'allow empty id')
    const answer: OffsetFetchResponse['groups'][number] = { groupId, topics: [], errorCode }
    if (errorCode !== ErrorCode.NONE) return answer
    const partition = this.partitionFor(groupId)
    if (!(await this.#runtime.confirm(partition))) return { ...answer, errorCode: ErrorCode.NOT_COORDINATOR }
    this.#runtime.decide(partition, (machine) => {
      const wanted = topics ?? machine.committedPartitions(groupId).map(wholeTopic)
      answer.topics = wanted.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((index) => machine.fetchOffset(groupId, name, index, requireStable)),
      }))
    })
    return answer
  }

  deleteOffsets(request: OffsetDeleteRequest): Promise<OffsetDeleteResponse> {
    return this.#decide<OffsetDeleteResponse>(
      request.groupId,
      (machine, _now, to) => machine.deleteOffsets(request, to),
      (errorCode) => ({ errorCode, throttleTimeMs: 0, topics: [] }),
    )
  }

  /** Groups of the partitions that this broker leads; COORDINATOR_LOAD_IN_PROGRESS says that some are missing yet. */
  async listGroups({ statesFilter, typesFilter }: ListGroupsRequest): Promise<ListGroupsResponse> {
    if (!this.#isActive) return { throttleTimeMs: 0, errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE, groups: [] }
    const states = new Set(statesFilter.map((state) => state.toLowerCase()))
    const isTypeWanted = typesFilter.length === 0 || typesFilter.some((type) => type.toLowerCase() === 'classic')
    const groups: ListGroupsResponse['groups'] = []
    this.#runtime.decideAll((machine) => {
      for (const overview of machine.listGroups())
        if (isTypeWanted && (states.size === 0 || states.has(overview.groupState.toLowerCase())))
          groups.push({ ...overview, groupType: 'classic' })
    })
    const errorCode = this.#runtime.isLoading ? ErrorCode.COORDINATOR_LOAD_IN_PROGRESS : ErrorCode.NONE
    return { throttleTimeMs: 0, errorCode, groups }
  }

  async describeGroups(request: DescribeGroupsRequest): Promise<DescribeGroupsResponse> {
    const groups = request.groups.map((groupId) => ({
      groupId,
      ...this.#describe(groupId),
      authorizedOperations: NO_AUTHORIZED_OPERATIONS,
    }))
    return { throttleTimeMs: 0, groups }
  }

  #describe(groupId: string): Omit<GroupDescription, 'groupState'> & { groupState: string; errorCode: number } {
    const errorCode = this.#errorFor(groupId, 'allow empty id')
    if (errorCode !== ErrorCode.NONE)
      return { errorCode, groupState: '', protocolType: '', protocolData: '', members: [] }
    let description: GroupDescription | null = null
    this.#runtime.decide(this.partitionFor(groupId), (machine) => {
      description = machine.describeGroup(groupId)
    })
    return { errorCode, ...description! }
  }

  async deleteGroups({ groupsNames }: DeleteGroupsRequest): Promise<DeleteGroupsResponse> {
    const deleted = [...new Set(groupsNames)].map(async (groupId) => ({
      groupId,
      errorCode: await this.#decide<number>(
        groupId,
        (machine, _now, to) => machine.deleteGroup(groupId, to),
        (errorCode) => errorCode,
        'allow empty id',
      ),
    }))
    return { throttleTimeMs: 0, results: await Promise.all(deleted) }
  }

  /** What of each group's state this broker holds, for metrics. */
  countGroups(): Record<Group['state'], number> {
    const counts = { Empty: 0, PreparingRebalance: 0, CompletingRebalance: 0, Stable: 0, Dead: 0 }
    this.#runtime.decideAll((machine) => {
      for (const { groupState } of machine.listGroups()) counts[groupState] += 1
    })
    return counts
  }

  #decide<Response>(
    groupId: string,
    decision: (machine: GroupMachine, now: Moment, to: ReplyTo<Response>) => void,
    refusal: (errorCode: number) => Response,
    emptyId: 'allow empty id' | 'refuse empty id' = 'refuse empty id',
  ): Promise<Response> {
    const errorCode = this.#errorFor(groupId, emptyId)
    if (errorCode !== ErrorCode.NONE) return Promise.resolve(refusal(errorCode))
    return new Promise((resolve) => {
      this.#runtime.decide(this.partitionFor(groupId), (machine, now) => decision(machine, now, resolve))
    })
  }

  /** Simple consumers of old may store offsets for a group without name, so that it can be seen and deleted too. */
  #errorFor(groupId: string, emptyId: 'allow empty id' | 'refuse empty id'): number {
    if (groupId === '' && emptyId === 'refuse empty id') return ErrorCode.INVALID_GROUP_ID
    if (!this.#isActive) return ErrorCode.COORDINATOR_NOT_AVAILABLE
    switch (this.#runtime.stateOf(this.partitionFor(groupId))) {
      case 'absent':
        return ErrorCode.NOT_COORDINATOR
      case 'loading':
        return ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
      case 'active':
        return ErrorCode.NONE
    }
  }

  #scheduleRetention(): void {
    this.#retentionTimer = this.#options.clock.setTimer(this.#options.config.offsetsRetentionCheckIntervalMs, () => {
      this.#runtime.decideAll((machine, now) => machine.expireOffsets(now))
      this.#scheduleRetention()
    })
  }

  /** Version 4 (RFC 9562). */
  #uuid(): string {
    const bytes = this.#options.random.bytes(16)
    bytes[6] = (bytes[6]! & 0x0f) | 0x40
    bytes[8] = (bytes[8]! & 0x3f) | 0x80
    return toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  }
}

function wholeTopic({ topic, partitions }: { topic: string; partitions: number[] }): {
  name: string
  partitionIndexes: number[]
} {
  return { name: topic, partitionIndexes: partitions }
}
