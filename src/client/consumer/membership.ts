/**
 * Membership in a group of the classic protocol. One loop joins and syncs whenever there is a reason to; heartbeats have a timer of their
 * own, so that they go out whatever the user's code waits for.
 *
 *     join     what is held is given up (eager), or only what is no longer wanted (cooperative); then JoinGroup, which waits for the others
 *     assign   on the member that leads: who gets what
 *     sync     SyncGroup brings this member's part
 *     settle   cooperative: what was taken away is given up now, and the member joins again, so that it can go to its new owner
 */
import { assert } from '#base'
import type { Platform, Timer } from '#platform'
import type { Api } from '#protocol'
import { Heartbeat } from '#protocol/messages/heartbeat'
import { JoinGroup, type JoinGroupResponse } from '#protocol/messages/join-group'
import { LeaveGroup } from '#protocol/messages/leave-group'
import { SyncGroup } from '#protocol/messages/sync-group'

import { Backoff, type Cluster } from '../cluster/index.ts'
import type { ConsumerConfig } from '../config.ts'
import { ConfigError, KafkaError, kafkaError } from '../errors.ts'
import { ASSIGNORS, type Assignor, type PartitionRacks, type RebalanceProtocol } from './assignors/index.ts'
import { verdictOn } from './group-errors.ts'
import {
  CONSUMER_PROTOCOL_TYPE,
  assignableMembers,
  decodeAssignment,
  encodeAssignment,
  encodeSubscription,
} from './group-messages.ts'
import { keyOf, type TopicPartition } from './topic-partition.ts'

/** What the consumer does for its membership. */
export interface MembershipPort {
  /** What it subscribes to at present. */
  topics(): Promise<readonly string[]>
  ownedPartitions(): readonly TopicPartition[]
  /** Partitions of the topics that exist, as fresh metadata tells them. From then on changes are told by `rejoin`. */
  partitionCounts(topics: ReadonlySet<string>): Promise<ReadonlyMap<string, number>>
  /** Of the same topics, as known by then. */
  partitionRacks(topics: ReadonlySet<string>): PartitionRacks
  /** Stops giving them to the user, waits until the user is done, commits, tells, and gives them up. */
  revoke(partitions: readonly TopicPartition[]): Promise<void>
  /** Drops all: somebody else may have them already. */
  lose(): Promise<void>
  /** Takes these in beside those it has. */
  takeIn(added: readonly TopicPartition[]): Promise<void>
  fail(error: unknown): void
}

/** A member's place in its group; generation -1 and an empty id stand for none. */
export interface Generation {
  readonly generation: number
  readonly memberId: string
}

const NO_GENERATION: Generation = { generation: -1, memberId: '' }
/** A join is answered within the rebalance timeout; a request waits a little longer than that. */
const JOIN_MARGIN_MS = 5000
const LEAVE_TIMEOUT_MS = 5000
/** From this version on LeaveGroup names several members. */
const LEAVE_SEVERAL_VERSION_MIN = 3

export class Membership {
  readonly #platform: Platform
  readonly #cluster: Cluster
  readonly #config: ConsumerConfig
  readonly #groupId: string
  readonly #port: MembershipPort
  readonly #assignors: readonly Assignor[]
  readonly #protocol: RebalanceProtocol
  readonly #backoff: Backoff
  #place: Generation = NO_GENERATION
  /** The last generation that this member was in, for the assignors. */
  #lastGeneration = -1
  /**
   * The generation in which it gave partitions up for others, who get them when it joins again. A static member that leaves before
   * that, since its user is late, comes back into the same generation without a rebalance: then it still has to join.
   */
  #gaveUpIn = NO_GENERATION.generation
  /** Why to join, or null. */
  #joinReason: string | null = null
  /** The coordinator has thrown this member out, or it has left. */
  #isLost = false
  /** It is a member, or wants to be one. */
  #isRunning = false
  /** The loop of an earlier `start` may still wait for an answer after `leave`; a new one takes its place over. */
  #isLoopAlive = false
  #isClosed = false
  /** Only heartbeats of the present place count. */
  #heartbeatTimer: Timer | null = null
  #heartbeatSetMs = 0
  #wake: () => void = () => {}

  constructor(platform: Platform, cluster: Cluster, config: ConsumerConfig, groupId: string, port: MembershipPort) {
    this.#platform = platform
    this.#cluster = cluster
    this.#config = config
    this.#groupId = groupId
    this.#port = port
    if (config.heartbeatIntervalMs * 3 > config.sessionTimeoutMs)
      throw new ConfigError(
        `consumer setting heartbeatIntervalMs is ${config.heartbeatIntervalMs}, and must be at most a third of sessionTimeoutMs (${config.sessionTimeoutMs})`,
      )
    this.#assignors = assignorsOf(config)
    this.#protocol = commonProtocol(this.#assignors)
    this.#backoff = new Backoff(platform.random, config.retryBackoffMs, config.retryBackoffMaxMs)
  }

  /** As commits name it. */
  get place(): Generation {
    return this.#place
  }

  get isMember(): boolean {
    return this.#place.generation >= 0
  }

  /** Joins, unless it is a member or about to be one. */
  start(): void {
    if (this.#isRunning || this.#isClosed) return
    this.#isRunning = true
    this.#joinReason ??= 'the consumer begins'
    if (this.#isLoopAlive) return
    this.#isLoopAlive = true
    void this.#run().finally(() => {
      this.#isLoopAlive = false
    })
  }

  /** There is a reason to share the partitions anew. */
  rejoin(reason: string): void {
    this.#joinReason ??= reason
    this.#wake()
  }

  /** The coordinator has said of this place that it does not know it. */
  forget(place: Generation): void {
    if (place !== this.#place || this.#isLost) return
    this.#isLost = true
    this.rejoin('the coordinator does not know the member any more')
  }

  /** Leaves, as far as a static member does, and stays away until `start`. */
  async leave(reason: string): Promise<void> {
    const { memberId } = this.#place
    this.#isRunning = false
    this.#stopHeartbeats()
    this.#place = NO_GENERATION
    this.#joinReason = null
    this.#wake()
    if (memberId !== '' && this.#config.groupInstanceId === null) await this.#sendLeave(memberId, reason)
  }

  async close(reason: string): Promise<void> {
    this.#isClosed = true
    await this.leave(reason)
  }

  async #run(): Promise<void> {
    let failures = 0
    while (this.#isRunning) {
      try {
        if (this.#isLost) await this.#lose()
        else if (this.#joinReason !== null) await this.#rebalance(this.#joinReason)
        else await this.#sleepUntilWoken()
        failures = 0
      } catch (error) {
        if (!this.#isRunning) continue
        if (!(error instanceof KafkaError) || !error.retriable) return this.#fail(error)
        this.#platform.logger.info(`group ${this.#groupId}: ${error.message}`)
        this.#joinReason ??= error.message
        failures += 1
        await this.#cluster.pause(this.#backoff.afterFailures(failures))
      }
    }
  }

  #fail(error: unknown): void {
    this.#isRunning = false
    this.#stopHeartbeats()
    this.#port.fail(error)
  }

  #sleepUntilWoken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = () => {}
        resolve()
      }
    })
  }

  async #lose(): Promise<void> {
    this.#stopHeartbeats()
    this.#place = NO_GENERATION
    this.#isLost = false
    this.#joinReason ??= 'the member was thrown out'
    await this.#port.lose()
  }

  async #rebalance(reason: string): Promise<void> {
    const owned = this.#port.ownedPartitions()
    const topics = await this.#port.topics()
    const unwanted = this.#protocol === 'eager' ? owned : owned.filter(({ topic }) => !topics.includes(topic))
    if (unwanted.length > 0) await this.#port.revoke(unwanted)
    if (this.#isLost || !this.#isRunning) return
    this.#joinReason = null
    const joined = await this.#join(topics, reason)
    if (joined === null) return
    const assigned = await this.#sync(joined)
    if (assigned !== null) await this.#settle(topics, assigned)
  }

  /** Null when it must be tried again, for the reason that is set. */
  async #join(topics: readonly string[], reason: string): Promise<JoinGroupResponse | null> {
    const { sessionTimeoutMs, maxPollIntervalMs, groupInstanceId, clientRack } = this.#config
    const subscription = {
      topics,
      ownedPartitions: this.#port.ownedPartitions(),
      generation: this.#lastGeneration,
      rackId: clientRack === '' ? null : clientRack,
    }
    // The coordinator waits for the others with this member's answer; it does not ask for heartbeats meanwhile.
    this.#stopHeartbeats()
    const response = await this.#send(
      JoinGroup,
      {
        groupId: this.#groupId,
        sessionTimeoutMs,
        rebalanceTimeoutMs: maxPollIntervalMs,
        memberId: this.#place.memberId,
        groupInstanceId,
        protocolType: CONSUMER_PROTOCOL_TYPE,
        protocols: this.#assignors.map((assignor) => ({
          name: assignor.name,
          metadata: encodeSubscription({ ...subscription, userData: assignor.userData(this.#lastGeneration) }),
        })),
        reason,
      },
      maxPollIntervalMs + JOIN_MARGIN_MS,
    )
    if (!this.#isRunning) {
      // Left while the coordinator was taking it in: it is told now.
      if (response.memberId !== '' && groupInstanceId === null)
        await this.#sendLeave(response.memberId, 'it has closed')
      return null
    }
    switch (verdictOn(response.errorCode)) {
      case 'done':
        this.#place = { generation: response.generationId, memberId: response.memberId }
        this.#startHeartbeats()
        return response
      case 'takeId':
        this.#place = { generation: -1, memberId: response.memberId }
        this.#joinReason = reason
        return null
      case 'forget':
        this.#isLost = true
        return null
      case 'rejoin':
        // The group has gone on without this member; it asks again, after a pause.
        throw new KafkaError('the group rebalances', { code: response.errorCode, retriable: true })
      case 'retry':
      case 'fail':
        throw kafkaError(response.errorCode, `JoinGroup of group ${this.#groupId}`)
    }
  }

  /** Null when the member must join again. */
  async #sync(joined: JoinGroupResponse): Promise<TopicPartition[] | null> {
    const protocolName = joined.protocolName ?? ''
    const isLeader = joined.leader === joined.memberId
    const assignments = isLeader ? await this.#assignments(joined, protocolName) : []
    const response = await this.#send(
      SyncGroup,
      {
        groupId: this.#groupId,
        generationId: joined.generationId,
        memberId: joined.memberId,
        groupInstanceId: this.#config.groupInstanceId,
        protocolType: CONSUMER_PROTOCOL_TYPE,
        protocolName,
        assignments,
      },
      this.#config.maxPollIntervalMs + JOIN_MARGIN_MS,
    )
    switch (verdictOn(response.errorCode)) {
      case 'done':
        this.#lastGeneration = joined.generationId
        return decodeAssignment(response.assignment)
      case 'forget':
        this.#isLost = true
        return null
      case 'rejoin':
        this.#joinReason ??= 'the group rebalances while it syncs'
        return null
      case 'takeId':
      case 'retry':
      case 'fail':
        throw kafkaError(response.errorCode, `SyncGroup of group ${this.#groupId}`)
    }
  }

  /** The leader's work. It watches the topics of the whole group, also where it has only come back (KIP-814). */
  async #assignments(
    joined: JoinGroupResponse,
    protocolName: string,
  ): Promise<{ memberId: string; assignment: Uint8Array }[]> {
    const assignor = this.#assignors.find(({ name }) => name === protocolName)
    assert(assignor !== undefined, `the group has chosen ${protocolName}, which this member did not offer`)
    const members = assignableMembers(joined.members)
    const wanted = new Set(members.flatMap(({ topics }) => topics))
    const counts = await this.#port.partitionCounts(wanted)
    if (joined.skipAssignment) return []
    const racks = members.some(({ rackId }) => rackId !== null) ? this.#port.partitionRacks(wanted) : undefined
    return Array.from(assignor.assign(counts, members, racks), ([memberId, partitions]) => ({
      memberId,
      assignment: encodeAssignment(partitions),
    }))
  }

  async #settle(topics: readonly string[], assigned: readonly TopicPartition[]): Promise<void> {
    if (!assigned.every(({ topic }) => topics.includes(topic))) {
      this.#joinReason ??= 'the assignment is not what was subscribed to'
      return
    }
    const owned = this.#port.ownedPartitions()
    const revoked = without(owned, assigned)
    const isOwed = this.#gaveUpIn === this.#lastGeneration
    this.#gaveUpIn = revoked.length > 0 ? this.#lastGeneration : NO_GENERATION.generation
    if (revoked.length > 0) await this.#port.revoke(revoked)
    if (revoked.length > 0 || isOwed) this.#joinReason ??= 'partitions were given up for other members'
    if (!this.#isLost && this.#isRunning) await this.#port.takeIn(without(assigned, owned))
  }

  #startHeartbeats(): void {
    this.#stopHeartbeats()
    this.#nextHeartbeat()
  }

  #stopHeartbeats(): void {
    this.#heartbeatTimer?.cancel()
    this.#heartbeatTimer = null
  }

  #nextHeartbeat(): void {
    const place = this.#place
    this.#heartbeatSetMs = this.#platform.clock.monotonic()
    this.#heartbeatTimer = this.#platform.clock.setTimer(this.#config.heartbeatIntervalMs, () => {
      this.#noteBlockedLoop()
      void this.#heartbeat(place).then(() => {
        if (this.#heartbeatTimer !== null && place === this.#place) this.#nextHeartbeat()
      })
    })
  }

  /** Heartbeats are due in less than a third of that time: only a turn of the loop that does not end makes one so late. */
  #noteBlockedLoop(): void {
    const { sessionTimeoutMs, listener } = this.#config
    const silentMs = this.#platform.clock.monotonic() - this.#heartbeatSetMs
    if (silentMs <= sessionTimeoutMs / 2) return
    const blockedMs = Math.round(silentMs)
    this.#platform.logger.warn(
      `group ${this.#groupId}: no heartbeat for ${blockedMs} ms, since something blocks the event loop; session.timeout.ms is ${sessionTimeoutMs}`,
    )
    try {
      listener.loopBlocked?.({ blockedMs, sessionTimeoutMs })
    } catch (error) {
      this.#platform.logger.warn('loopBlocked threw', error)
    }
  }

  async #heartbeat(place: Generation): Promise<void> {
    try {
      const { errorCode } = await this.#send(
        Heartbeat,
        {
          groupId: this.#groupId,
          generationId: place.generation,
          memberId: place.memberId,
          groupInstanceId: this.#config.groupInstanceId,
        },
        this.#config.sessionTimeoutMs,
      )
      if (place !== this.#place) return
      const verdict = verdictOn(errorCode)
      if (verdict === 'rejoin') this.rejoin('the group rebalances')
      else if (verdict === 'forget') this.forget(place)
      else if (verdict === 'fail') this.#fail(kafkaError(errorCode, `Heartbeat of group ${this.#groupId}`))
    } catch (error) {
      // The next heartbeat looks for the coordinator again.
      if (!(error instanceof KafkaError)) throw error
    }
  }

  async #sendLeave(memberId: string, reason: string): Promise<void> {
    try {
      const nodeId = await this.#cluster.coordinatorOf('group', this.#groupId, { timeoutMs: LEAVE_TIMEOUT_MS })
      const connection = this.#cluster.node(nodeId, 'coordinator')
      if (connection === null) return
      await connection.connect()
      const namesSeveral = (connection.versionsOf(LeaveGroup)?.[1] ?? 0) >= LEAVE_SEVERAL_VERSION_MIN
      const request = { groupId: this.#groupId, ...(namesSeveral ? { members: [{ memberId, reason }] } : { memberId }) }
      // Not behind a join that is still waiting for its answer.
      await connection.send(LeaveGroup, request, { timeoutMs: LEAVE_TIMEOUT_MS })
    } catch (error) {
      // The session's end does the same, only later.
      if (!(error instanceof KafkaError)) throw error
    }
  }

  #send<RequestOut, RequestIn, ResponseOut extends { errorCode: number }>(
    api: Api<RequestOut, RequestIn, ResponseOut, unknown>,
    request: RequestIn,
    timeoutMs: number,
  ): Promise<ResponseOut> {
    return this.#cluster.sendToCoordinatorOnce('group', this.#groupId, api, request, ({ errorCode }) => [errorCode], {
      purpose: 'membership',
      timeoutMs,
    })
  }
}

function assignorsOf({ partitionAssignmentStrategy, assignors }: ConsumerConfig): Assignor[] {
  return partitionAssignmentStrategy.map((name) => {
    const assignor = assignors.find((own) => own.name === name) ?? ASSIGNORS.get(name)
    if (assignor === undefined)
      throw new ConfigError(
        `consumer setting partitionAssignmentStrategy names "${name}", which is none of ${[...ASSIGNORS.keys()].join(', ')}`,
      )
    return assignor
  })
}

/** The best that every assignor allows: a group may choose any of them. */
function commonProtocol(assignors: readonly Assignor[]): RebalanceProtocol {
  return assignors.every(({ protocols }) => protocols.includes('cooperative')) ? 'cooperative' : 'eager'
}

function without(partitions: readonly TopicPartition[], others: readonly TopicPartition[]): TopicPartition[] {
  const keys = new Set(others.map(keyOf))
  return partitions.filter((partition) => !keys.has(keyOf(partition)))
}
