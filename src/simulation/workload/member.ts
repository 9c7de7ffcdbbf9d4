import { sleep, type Platform } from '#platform'
import { ErrorCode, errorOf } from '#protocol'
import { ConsumerProtocolAssignment, ConsumerProtocolSubscription } from '#protocol/messages/consumer-protocol'
import { Heartbeat } from '#protocol/messages/heartbeat'
import { JoinGroup, type JoinGroupResponse } from '#protocol/messages/join-group'
import { LeaveGroup } from '#protocol/messages/leave-group'
import { OffsetCommit } from '#protocol/messages/offset-commit'
import { OffsetFetch } from '#protocol/messages/offset-fetch'
import { SyncGroup } from '#protocol/messages/sync-group'

import { byLeader, fetchFrom, pollsOf } from './fetching.ts'
import { PlainCluster, RETRY_MS, isNoAnswer, keyOf, type Address, type TopicPartition } from './plain-cluster.ts'
import type { Recorder } from './recorder.ts'

export interface MemberOptions {
  readonly process: string
  readonly group: string
  readonly bootstrap: readonly Address[]
  readonly partitions: readonly TopicPartition[]
  readonly pauseMs: number
  /** `group.instance.id` of a static member (KIP-345). */
  readonly instanceId?: string
}

const SESSION_TIMEOUT_MS = 6000
const REBALANCE_TIMEOUT_MS = 5000
const HEARTBEAT_INTERVAL_MS = 500
const JOIN_TIMEOUT_MS = 12_000
const FETCH_VERSION = 11
const POLLS_PER_COMMIT = 3
/** One turn in so many a member leaves its group and comes back. */
const LEAVE_PROBABILITY = 0.003
const PROTOCOL_TYPE = 'consumer'
const PROTOCOL_NAME = 'range'

/** The group is no longer as the member knows it. `forget`: it is not even a member. */
class RebalanceNeeded extends Error {
  override name = 'RebalanceNeeded'
  readonly forget: boolean
  constructor(forget: boolean) {
    super('the group rebalances')
    this.forget = forget
  }
}

/** A member of a classic consumer group: joins, is assigned, reads from what was committed, commits what it read. */
export class PlainMember {
  readonly #platform: Platform
  readonly #options: MemberOptions
  readonly #recorder: Recorder
  readonly #cluster: PlainCluster
  #coordinator = -1
  #memberId = ''
  #generation = -1
  #positions = new Map<TopicPartition, number>()
  #lastHeartbeatMs = 0

  constructor(platform: Platform, options: MemberOptions, recorder: Recorder) {
    this.#platform = platform
    this.#options = options
    this.#recorder = recorder
    this.#cluster = new PlainCluster(platform, options.process, options.bootstrap)
  }

  /** Takes part until its process ends. */
  async run(): Promise<void> {
    const { clock } = this.#platform
    for (;;) {
      try {
        if (this.#coordinator < 0) this.#coordinator = await this.#cluster.coordinatorOf(this.#options.group)
        await this.#join()
        await this.#consume()
      } catch (error) {
        if (error instanceof RebalanceNeeded) {
          if (error.forget) this.#memberId = ''
        } else if (isNoAnswer(error)) this.#coordinator = -1
        else throw error
      }
      await sleep(clock, RETRY_MS)
    }
  }

  get #instanceId(): string | null {
    return this.#options.instanceId ?? null
  }

  async #join(): Promise<void> {
    const { group, partitions } = this.#options
    const topics = [...new Set(partitions.map(({ topic }) => topic))]
    const metadata = ConsumerProtocolSubscription.encodeToBytes({ topics, ownedPartitions: [] }, 0)
    const joined = await this.#cluster.ask(
      this.#coordinator,
      JoinGroup,
      5,
      {
        groupId: group,
        groupInstanceId: this.#instanceId,
        sessionTimeoutMs: SESSION_TIMEOUT_MS,
        rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
        memberId: this.#memberId,
        protocolType: PROTOCOL_TYPE,
        protocols: [{ name: PROTOCOL_NAME, metadata: withVersion(metadata) }],
      },
      JOIN_TIMEOUT_MS,
    )
    // KIP-394: the first join only brings a member id.
    if (joined.errorCode === ErrorCode.MEMBER_ID_REQUIRED) {
      this.#memberId = joined.memberId
      return await this.#join()
    }
    this.#check('JoinGroup', joined.errorCode)
    this.#memberId = joined.memberId
    this.#generation = joined.generationId
    await this.#sync(joined)
  }

  async #sync(joined: JoinGroupResponse): Promise<void> {
    const isLeader = joined.leader === joined.memberId
    const answer = await this.#cluster.ask(
      this.#coordinator,
      SyncGroup,
      3,
      {
        groupInstanceId: this.#instanceId,
        groupId: this.#options.group,
        generationId: this.#generation,
        memberId: this.#memberId,
        assignments: isLeader ? this.#assign(joined.members.map(({ memberId }) => memberId)) : [],
      },
      JOIN_TIMEOUT_MS,
    )
    this.#check('SyncGroup', answer.errorCode)
    const { assignedPartitions } = ConsumerProtocolAssignment.decodeWhole(withoutVersion(answer.assignment), 0)
    const mine = this.#options.partitions.filter(({ topic, partition }) =>
      assignedPartitions.some((assigned) => assigned.topic === topic && assigned.partitions.includes(partition)),
    )
    this.#noteAssignment(mine)
    await this.#fetchCommitted(mine)
  }

  /** Partitions go round the members. */
  #assign(members: string[]): { memberId: string; assignment: Uint8Array }[] {
    const ordered = [...members].sort()
    return ordered.map((memberId, index) => {
      const mine = this.#options.partitions.filter((_, at) => at % ordered.length === index)
      const topics = [...new Set(mine.map(({ topic }) => topic))]
      const assignedPartitions = topics.map((topic) => ({
        topic,
        partitions: mine.filter((partition) => partition.topic === topic).map(({ partition }) => partition),
      }))
      return { memberId, assignment: withVersion(ConsumerProtocolAssignment.encodeToBytes({ assignedPartitions }, 0)) }
    })
  }

  #noteAssignment(partitions: readonly TopicPartition[]): void {
    const keys = partitions.map(keyOf)
    const nowMs = this.#platform.clock.monotonic()
    const { group, process } = this.#options
    this.#recorder.groupEvents.push({
      kind: 'assigned',
      group,
      generation: this.#generation,
      // Who takes a static member's place is the same to the group, in the same generation too.
      member: this.#instanceId ?? this.#memberId,
      keys,
    })
    this.#recorder.operations.push({
      kind: 'subscribe',
      process,
      invokedMs: nowMs,
      completedMs: nowMs,
      keys,
      seek: true,
    })
  }

  async #fetchCommitted(partitions: readonly TopicPartition[]): Promise<void> {
    const { group } = this.#options
    this.#positions = new Map()
    if (partitions.length === 0) return
    const invokedMs = this.#platform.clock.monotonic()
    const answer = await this.#cluster.ask(this.#coordinator, OffsetFetch, 3, {
      groupId: group,
      topics: topicsOf(partitions),
    })
    this.#check('OffsetFetch', answer.errorCode)
    for (const { name, partitions: answers } of answer.topics) {
      for (const { partitionIndex, committedOffset, errorCode } of answers) {
        this.#check('OffsetFetch', errorCode)
        const partition = partitions.find(({ topic, partition }) => topic === name && partition === partitionIndex)
        if (partition === undefined) throw new Error(`an offset of ${name}-${partitionIndex} that nobody asked for`)
        this.#positions.set(partition, Math.max(0, committedOffset))
        this.#recorder.groupEvents.push({
          kind: 'fetched',
          group,
          key: keyOf(partition),
          offset: committedOffset,
          invokedMs,
        })
      }
    }
  }

  /** Until the group rebalances. */
  async #consume(): Promise<void> {
    const { clock, random } = this.#platform
    for (let polls = 1; ; polls++) {
      await this.#heartbeat()
      await this.#poll()
      if (polls % POLLS_PER_COMMIT === 0) await this.#commit()
      if (random.next() < LEAVE_PROBABILITY) await this.#leave()
      await sleep(clock, this.#options.pauseMs * 2 * random.next())
    }
  }

  async #heartbeat(): Promise<void> {
    const nowMs = this.#platform.clock.monotonic()
    if (nowMs - this.#lastHeartbeatMs < HEARTBEAT_INTERVAL_MS) return
    this.#lastHeartbeatMs = nowMs
    const request = {
      groupId: this.#options.group,
      generationId: this.#generation,
      memberId: this.#memberId,
      groupInstanceId: this.#instanceId,
    }
    const { errorCode } = await this.#cluster.ask(this.#coordinator, Heartbeat, 3, request)
    this.#check('Heartbeat', errorCode)
  }

  async #poll(): Promise<void> {
    const invokedMs = this.#platform.clock.monotonic()
    const leaders = byLeader(this.#cluster, [...this.#positions.keys()])
    if (leaders.size === 0) return await this.#cluster.refresh()
    const answers = await Promise.all(
      [...leaders].map(([leader, partitions]) => {
        const positions = partitions.map((partition) => ({ partition, offset: this.#positions.get(partition)! }))
        return fetchFrom(this.#cluster, this.#recorder, leader, positions, FETCH_VERSION)
      }),
    )
    const fetched = answers.flatMap((answer) => answer ?? [])
    for (const { partition, nextOffset } of fetched) this.#positions.set(partition, nextOffset)
    const polls = pollsOf(fetched)
    const completedMs = this.#platform.clock.monotonic()
    const { process } = this.#options
    if (polls.length > 0)
      this.#recorder.operations.push({ kind: 'poll', process, outcome: 'ok', invokedMs, completedMs, polls })
  }

  async #commit(): Promise<void> {
    const { group } = this.#options
    const positions = [...this.#positions].filter(([, offset]) => offset > 0)
    if (positions.length === 0) return
    const answer = await this.#cluster.ask(this.#coordinator, OffsetCommit, 7, {
      groupId: group,
      groupInstanceId: this.#instanceId,
      generationIdOrMemberEpoch: this.#generation,
      memberId: this.#memberId,
      topics: positions.map(([{ topic, partition }, offset]) => ({
        name: topic,
        partitions: [{ partitionIndex: partition, committedOffset: offset, committedMetadata: null }],
      })),
    })
    const completedMs = this.#platform.clock.monotonic()
    let failure: number = ErrorCode.NONE
    for (const { name, partitions } of answer.topics) {
      for (const { partitionIndex, errorCode } of partitions) {
        const entry = positions.find(([{ topic, partition }]) => topic === name && partition === partitionIndex)!
        if (errorCode !== ErrorCode.NONE) failure = errorCode
        else
          this.#recorder.groupEvents.push({
            kind: 'committed',
            group,
            key: keyOf(entry[0]),
            offset: entry[1],
            completedMs,
          })
      }
    }
    this.#check('OffsetCommit', failure)
  }

  async #leave(): Promise<void> {
    // A static member only goes away for a while; its place is kept.
    if (this.#instanceId !== null) return
    const members = [{ memberId: this.#memberId }]
    await this.#cluster.ask(this.#coordinator, LeaveGroup, 3, { groupId: this.#options.group, members })
    throw new RebalanceNeeded(true)
  }

  /** Throws what the member has to do about an error. */
  #check(what: string, errorCode: number): void {
    if (errorCode === ErrorCode.NONE) return
    this.#recorder.note(`${what} ${errorOf(errorCode).name}`)
    switch (errorCode) {
      case ErrorCode.UNKNOWN_MEMBER_ID:
      case ErrorCode.ILLEGAL_GENERATION:
        throw new RebalanceNeeded(true)
      case ErrorCode.REBALANCE_IN_PROGRESS:
        throw new RebalanceNeeded(false)
      case ErrorCode.NOT_COORDINATOR:
      case ErrorCode.COORDINATOR_NOT_AVAILABLE:
        this.#coordinator = -1
        throw new RebalanceNeeded(false)
      default:
        if (errorOf(errorCode).retriable) throw new RebalanceNeeded(false)
        throw new Error(`${what} is refused with ${errorOf(errorCode).name}`)
    }
  }
}

/** Subscriptions and assignments carry their version before them. */
function withVersion(bytes: Uint8Array): Uint8Array {
  const versioned = new Uint8Array(2 + bytes.length)
  versioned.set(bytes, 2)
  return versioned
}

function withoutVersion(bytes: Uint8Array): Uint8Array {
  return bytes.length === 0 ? NO_ASSIGNMENT : bytes.subarray(2)
}

/** A member that the leader left out. */
const NO_ASSIGNMENT = ConsumerProtocolAssignment.encodeToBytes({ assignedPartitions: [] }, 0)

function topicsOf(partitions: readonly TopicPartition[]): { name: string; partitionIndexes: number[] }[] {
  const topics = [...new Set(partitions.map(({ topic }) => topic))]
  return topics.map((name) => ({
    name,
    partitionIndexes: partitions.filter(({ topic }) => topic === name).map(({ partition }) => partition),
  }))
}
