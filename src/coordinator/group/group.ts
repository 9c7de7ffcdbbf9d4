import { ByteReader, MalformedBytesError, assert } from '#base'
import type { ReplyTo } from '#coordinator'
import type { GroupMetadataValue } from '#protocol/messages/consumer-offsets'
import { ConsumerProtocolSubscription } from '#protocol/messages/consumer-protocol'
import type { JoinGroupResponse } from '#protocol/messages/join-group'
import type { SyncGroupResponse } from '#protocol/messages/sync-group'

import { GroupOffsets } from './group-offsets.ts'

/**
 * `Empty`: no members; perhaps offsets. `PreparingRebalance`: members join. `CompletingRebalance`: the generation exists,
 * its leader's assignment is awaited or being made durable. `Stable`: every member may have its assignment. `Dead`: being removed,
 * or led elsewhere.
 */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'

export const NO_BYTES = new Uint8Array(0)
/** The protocol type of consumers, of whose subscriptions the coordinator knows the format. */
const CONSUMER_PROTOCOL_TYPE = 'consumer'

export interface Protocol {
  name: string
  metadata: Uint8Array
}

export interface Member {
  /** Changes only when a static member is replaced by its next incarnation. */
  memberId: string
  /** `group.instance.id` of a static member, who keeps its place while it restarts. */
  readonly groupInstanceId: string | null
  readonly clientId: string
  /** "/" and the address. */
  readonly clientHost: string
  rebalanceTimeoutMs: number
  sessionTimeoutMs: number
  /** What it can do, most liked first. */
  protocols: readonly Protocol[]
  assignment: Uint8Array
  /** Has not yet been in a generation, so that nobody knows its id: its session is not judged. */
  isNew: boolean
  /** Its JoinGroup is not answered yet. */
  awaitingJoin: ReplyTo<JoinGroupResponse> | null
  /** Its SyncGroup is not answered yet. */
  awaitingSync: ReplyTo<SyncGroupResponse> | null
  /** Monotonic ms after which the member is gone, unless it waits for an answer; Infinity while it does. */
  sessionDeadline: number
}

/** When joining ends. The first generation waits for more members; others only until all that are known have joined again. */
export type JoinDeadline =
  | { kind: 'initial'; at: number; delayMs: number; remainingMs: number }
  | { kind: 'rebalance'; at: number }

/**
 * One group. The offsets, and of the rest what `toValue` gives, are in the log; who waits, deadlines and the generation that is
 * just forming live with the sessions of the moment and die with the coordinator, whose successor begins with the last stored generation.
 */
export class Group {
  readonly groupId: string
  state: GroupState = 'Empty'
  /** Wall clock of the last change of state, in ms; -1 unknown (groups stored by old brokers). */
  stateTimestamp: number
  /** Null for a group that only stores offsets. */
  protocolType: string | null = null
  /** The protocol that the generation uses; null without members. */
  protocolName: string | null = null
  generationId = 0
  leaderId: string | null = null
  readonly members = new Map<string, Member>()
  /** How many members know the protocol. */
  readonly #protocolCounts = new Map<string, number>()
  /** Member id by group instance id. */
  readonly staticMembers = new Map<string, string>()
  /** Ids that were given out and not yet used, with the monotonic ms at which they lapse. */
  readonly pendingMembers = new Map<string, number>()
  /** Members of this generation that have not sent SyncGroup. */
  readonly pendingSyncMembers = new Set<string>()
  /** While the first generation forms: someone came since the delay began. */
  isNewMemberAdded = false
  joinDeadline: JoinDeadline | null = null
  /** Monotonic ms; Infinity for none. */
  syncDeadline = Infinity
  /** No deadline of the group is before this one; it may be stale, but never late. */
  nextDeadline = Infinity
  /** What consumers of this generation subscribe to; null when that is not known. */
  subscribedTopics: ReadonlySet<string> | null = null
  /** The log holds a generation of this group, which needs a tombstone. */
  isStored = false
  readonly offsets: GroupOffsets

  constructor(groupId: string, nowMs: number, offsets = new GroupOffsets()) {
    this.groupId = groupId
    this.stateTimestamp = nowMs
    this.offsets = offsets
  }

  get isConsumerGroup(): boolean {
    return this.protocolType === CONSUMER_PROTOCOL_TYPE
  }

  transitionTo(state: GroupState, nowMs: number): void {
    assert(validPredecessors[state].includes(this.state), `group ${this.groupId} goes from ${this.state} to ${state}`)
    this.state = state
    this.stateTimestamp = nowMs
  }

  /** A rebalance may begin. */
  get canRebalance(): boolean {
    return validPredecessors.PreparingRebalance.includes(this.state)
  }

  /** Everybody who is known, ids given out included, waits for the next generation. */
  get hasEveryoneJoined(): boolean {
    if (this.pendingMembers.size > 0) return false
    for (const member of this.members.values()) if (member.awaitingJoin === null) return false
    return true
  }

  get awaitingJoinCount(): number {
    let count = 0
    for (const member of this.members.values()) if (member.awaitingJoin !== null) count += 1
    return count
  }

  /** The slowest member's. */
  get rebalanceTimeoutMs(): number {
    let timeoutMs = 0
    for (const member of this.members.values()) timeoutMs = Math.max(timeoutMs, member.rebalanceTimeoutMs)
    return timeoutMs
  }

  add(member: Member, protocolType: string): void {
    if (member.groupInstanceId !== null) {
      assert(
        !this.staticMembers.has(member.groupInstanceId),
        `static member ${member.groupInstanceId} is there already`,
      )
      this.staticMembers.set(member.groupInstanceId, member.memberId)
    }
    if (this.members.size === 0) this.protocolType = protocolType
    this.leaderId ??= member.memberId
    this.members.set(member.memberId, member)
    this.#countProtocols(member, 1)
    this.pendingMembers.delete(member.memberId)
  }

  /** Forgets a member or an id given out; the next member in line leads where the leader goes. */
  remove(memberId: string): void {
    const member = this.members.get(memberId)
    if (member !== undefined) {
      this.members.delete(memberId)
      this.#countProtocols(member, -1)
      if (member.groupInstanceId !== null) this.staticMembers.delete(member.groupInstanceId)
    }
    if (this.leaderId === memberId) this.leaderId = this.members.keys().next().value ?? null
    this.pendingMembers.delete(memberId)
    this.pendingSyncMembers.delete(memberId)
  }

  setProtocols(member: Member, protocols: readonly Protocol[]): void {
    this.#countProtocols(member, -1)
    member.protocols = protocols
    this.#countProtocols(member, 1)
  }

  #countProtocols({ protocols }: Member, change: 1 | -1): void {
    for (const name of new Set(protocols.map(({ name }) => name))) {
      const count = (this.#protocolCounts.get(name) ?? 0) + change
      if (count === 0) this.#protocolCounts.delete(name)
      else this.#protocolCounts.set(name, count)
    }
  }

  /** A static member's next incarnation takes over its place, its leadership and its assignment. */
  rename(member: Member, memberId: string): void {
    this.members.delete(member.memberId)
    if (this.leaderId === member.memberId) this.leaderId = memberId
    if (this.pendingSyncMembers.delete(member.memberId)) this.pendingSyncMembers.add(memberId)
    member.memberId = memberId
    this.members.set(memberId, member)
    if (member.groupInstanceId !== null) this.staticMembers.set(member.groupInstanceId, memberId)
  }

  /** Whether somebody with these protocols fits in. */
  supports(protocolType: string, protocols: readonly Protocol[]): boolean {
    if (this.state === 'Empty') return protocolType !== '' && protocols.length > 0
    if (this.protocolType !== protocolType) return false
    return protocols.some(({ name }) => this.#isCommon(name))
  }

  #isCommon(protocolName: string): boolean {
    return (this.#protocolCounts.get(protocolName) ?? 0) === this.members.size
  }

  /** Each member votes for the first protocol of its list that all support; most votes win, among equals the first voted for. */
  selectProtocol(): string {
    const votes = new Map<string, number>()
    for (const { protocols } of this.members.values()) {
      const vote = protocols.find(({ name }) => this.#isCommon(name))
      assert(vote !== undefined, `the members of group ${this.groupId} have no protocol in common`)
      votes.set(vote.name, (votes.get(vote.name) ?? 0) + 1)
    }
    const [first] = [...votes].sort(([, a], [, b]) => b - a)
    return first![0]
  }

  /** The present leader stays if it has joined again; else any member that has. False when nobody has. */
  electJoinedLeader(): boolean {
    const leader = this.leaderId === null ? undefined : this.members.get(this.leaderId)
    if (leader === undefined) return false
    if (leader.awaitingJoin !== null) return true
    for (const member of this.members.values())
      if (member.awaitingJoin !== null) {
        this.leaderId = member.memberId
        return true
      }
    return false
  }

  beginGeneration(nowMs: number): void {
    this.generationId = this.generationId === 2 ** 31 - 1 ? 1 : this.generationId + 1
    this.protocolName = this.members.size > 0 ? this.selectProtocol() : null
    this.subscribedTopics = this.#computeSubscribedTopics()
    this.pendingSyncMembers.clear()
    this.transitionTo(this.members.size > 0 ? 'CompletingRebalance' : 'Empty', nowMs)
  }

  metadataOf(member: Member): Uint8Array {
    return member.protocols.find(({ name }) => name === this.protocolName)?.metadata ?? NO_BYTES
  }

  /** To be safe, a group of which this is not known counts as subscribed. */
  isSubscribedTo(topic: string): boolean {
    return this.subscribedTopics?.has(topic) ?? true
  }

  #computeSubscribedTopics(): ReadonlySet<string> | null {
    if (!this.isConsumerGroup) return null
    const topics = new Set<string>()
    try {
      for (const member of this.members.values()) {
        // Version 0 is the beginning of every later one.
        const reader = new ByteReader(this.metadataOf(member))
        reader.int16()
        for (const topic of ConsumerProtocolSubscription.decode(reader, 0).topics) topics.add(topic)
      }
    } catch (error) {
      if (error instanceof MalformedBytesError) return null
      throw error
    }
    return topics
  }

  /** The generation as it is stored; `assignmentOf` says who gets what. */
  toValue(stateTimestamp: number, assignmentOf: (member: Member) => Uint8Array): GroupMetadataValue {
    return {
      protocolType: this.protocolType ?? '',
      generation: this.generationId,
      protocol: this.protocolName,
      leader: this.leaderId,
      currentStateTimestamp: stateTimestamp,
      members: [...this.members.values()].map((member) => ({
        memberId: member.memberId,
        groupInstanceId: member.groupInstanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        rebalanceTimeout: member.rebalanceTimeoutMs,
        sessionTimeout: member.sessionTimeoutMs,
        subscription: this.metadataOf(member),
        assignment: assignmentOf(member),
      })),
    }
  }

  /** Takes over a generation from the log, as a new coordinator does. Only for a group that nobody has joined here. */
  restore(value: GroupMetadataValue): void {
    this.members.clear()
    this.staticMembers.clear()
    this.#protocolCounts.clear()
    this.state = value.members.length === 0 ? 'Empty' : 'Stable'
    this.stateTimestamp = value.currentStateTimestamp
    this.protocolType = value.protocolType
    this.generationId = value.generation
    this.protocolName = value.protocol
    this.leaderId = value.leader
    for (const stored of value.members) {
      const member: Member = {
        memberId: stored.memberId,
        groupInstanceId: stored.groupInstanceId,
        clientId: stored.clientId,
        clientHost: stored.clientHost,
        rebalanceTimeoutMs: stored.rebalanceTimeout,
        sessionTimeoutMs: stored.sessionTimeout,
        protocols: [{ name: value.protocol ?? '', metadata: stored.subscription }],
        assignment: stored.assignment,
        isNew: false,
        awaitingJoin: null,
        awaitingSync: null,
        sessionDeadline: Infinity,
      }
      this.members.set(member.memberId, member)
      this.#countProtocols(member, 1)
      if (member.groupInstanceId !== null) this.staticMembers.set(member.groupInstanceId, member.memberId)
    }
    this.subscribedTopics = this.#computeSubscribedTopics()
  }
}

const validPredecessors: Record<GroupState, readonly GroupState[]> = {
  Empty: ['PreparingRebalance'],
  PreparingRebalance: ['Stable', 'CompletingRebalance', 'Empty'],
  CompletingRebalance: ['PreparingRebalance'],
  Stable: ['CompletingRebalance'],
  Dead: ['Empty', 'PreparingRebalance', 'CompletingRebalance', 'Stable', 'Dead'],
}
