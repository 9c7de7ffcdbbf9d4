/** What the tests of this room share: groups without a network, a log that is a list, and time that stands until it is moved. */
import type { AppendOutcome, Effect, Moment } from '#coordinator'
import { ErrorCode } from '#protocol'
import type { JoinGroupResponse } from '#protocol/messages/join-group'
import type { OffsetCommitResponse } from '#protocol/messages/offset-commit'
import type { SyncGroupResponse } from '#protocol/messages/sync-group'

import { groupConfigDefaults, type GroupConfig } from './config.ts'
import { groupEventCodec, type GroupEvent } from './events.ts'
import { GroupMachine } from './machine.ts'

type Append = Extract<Effect<GroupEvent>, { kind: 'append' }>

/** An answer that may still be awaited. */
export class Answer<Response> {
  #response: Response | null = null

  readonly resolve = (response: Response): void => {
    if (this.#response !== null) throw new Error('a request is answered twice')
    this.#response = response
  }

  get isAwaited(): boolean {
    return this.#response === null
  }

  get response(): Response {
    if (this.#response === null) throw new Error('the answer is still awaited')
    return this.#response
  }
}

export interface JoinOptions {
  memberId?: string
  groupInstanceId?: string | null
  sessionTimeoutMs?: number
  rebalanceTimeoutMs?: number
  protocolType?: string
  protocols?: Record<string, Uint8Array>
  clientId?: string
  /** 3 by default: before members are first given an id. */
  apiVersion?: number
}

export interface Committer {
  memberId?: string
  generationId?: number
  groupInstanceId?: string | null
}

export interface CommitOptions {
  metadata?: string | null
  retentionTimeMs?: number
  commitTimestamp?: number
}

export const SESSION_MS = 10_000
export const REBALANCE_MS = 60_000

export class Bench {
  machine: GroupMachine
  readonly config: GroupConfig
  /** What is durable, as bytes: the log of the partition. */
  readonly log: { key: Uint8Array; value: Uint8Array | null }[] = []
  /** Handed to the log, not durable; filled while `holdsAppends`. */
  readonly held: Append[] = []
  holdsAppends = false
  readonly groupId: string
  #now: Moment = { wallMs: 1_700_000_000_000, ms: 0 }
  #memberIds = 0

  constructor(config: Partial<GroupConfig> = {}, groupId = 'g') {
    this.config = { ...groupConfigDefaults, initialRebalanceDelayMs: 0, ...config }
    this.groupId = groupId
    this.machine = this.#newMachine()
    this.machine.resume(this.#now)
  }

  get now(): Moment {
    return this.#now
  }

  #newMachine(): GroupMachine {
    return new GroupMachine(this.config, (prefix) => `${prefix}-${++this.#memberIds}`)
  }

  join(options: JoinOptions = {}): Answer<JoinGroupResponse> {
    const answer = new Answer<JoinGroupResponse>()
    const protocols = options.protocols ?? { range: Uint8Array.of(1) }
    this.machine.joinGroup(
      {
        groupId: this.groupId,
        sessionTimeoutMs: options.sessionTimeoutMs ?? SESSION_MS,
        rebalanceTimeoutMs: options.rebalanceTimeoutMs ?? REBALANCE_MS,
        memberId: options.memberId ?? '',
        groupInstanceId: options.groupInstanceId ?? null,
        protocolType: options.protocolType ?? 'consumer',
        protocols: Object.entries(protocols).map(([name, metadata]) => ({ name, metadata })),
        reason: null,
      },
      { apiVersion: options.apiVersion ?? 3, clientId: options.clientId ?? 'c', clientHost: '/127.0.0.1' },
      answer.resolve,
      this.#now,
    )
    this.carryOut()
    return answer
  }

  sync(
    { memberId, generationId }: Pick<JoinGroupResponse, 'memberId' | 'generationId'>,
    assignments: Record<string, Uint8Array> = {},
    groupInstanceId: string | null = null,
    protocol: { type: string | null; name: string | null } = { type: null, name: null },
  ): Answer<SyncGroupResponse> {
    const answer = new Answer<SyncGroupResponse>()
    this.machine.syncGroup(
      {
        groupId: this.groupId,
        generationId,
        memberId,
        groupInstanceId,
        protocolType: protocol.type,
        protocolName: protocol.name,
        assignments: Object.entries(assignments).map(([id, assignment]) => ({ memberId: id, assignment })),
      },
      answer.resolve,
      this.#now,
    )
    this.carryOut()
    return answer
  }

  heartbeat(
    { memberId, generationId }: Pick<JoinGroupResponse, 'memberId' | 'generationId'>,
    groupInstanceId: string | null = null,
  ): number {
    const errorCode = this.machine.heartbeat(
      { groupId: this.groupId, generationId, memberId, groupInstanceId },
      this.#now,
    )
    this.carryOut()
    return errorCode
  }

  leave(memberId: string, groupInstanceId: string | null = null): number {
    const errors = this.machine.leaveGroup(this.groupId, [{ memberId, groupInstanceId }], this.#now)
    this.carryOut()
    return typeof errors === 'number' ? errors : errors[0]!
  }

  commit(
    offsets: Record<string, number>,
    { memberId = '', generationId = -1, groupInstanceId = null }: Committer = {},
    { metadata = '', retentionTimeMs = -1, commitTimestamp = -1 }: CommitOptions = {},
  ): Answer<OffsetCommitResponse> {
    const answer = new Answer<OffsetCommitResponse>()
    this.machine.commitOffsets(
      {
        groupId: this.groupId,
        generationIdOrMemberEpoch: generationId,
        memberId,
        groupInstanceId,
        retentionTimeMs,
        topics: Object.entries(offsets).map(([name, committedOffset]) => ({
          name,
          partitions: [
            {
              partitionIndex: 0,
              committedOffset,
              committedLeaderEpoch: 4,
              commitTimestamp,
              committedMetadata: metadata,
            },
          ],
        })),
      },
      answer.resolve,
      this.#now,
    )
    this.carryOut()
    return answer
  }

  /** -1: none. */
  committed(topic: string): number {
    return this.machine.fetchOffset(this.groupId, topic, 0, false).committedOffset
  }

  get state(): string {
    return this.machine.describeGroup(this.groupId).groupState
  }

  /** Moves time on, tick by tick. */
  advance(ms: number, lateMs = 0): void {
    const end = this.#now.ms + ms
    for (;;) {
      const next = Math.max(this.machine.nextDeadline(), this.#now.ms)
      if (next > end) break
      this.#moveTo(next)
      this.machine.tick(this.#now, lateMs)
      this.carryOut()
    }
    this.#moveTo(end)
  }

  /** Time passes and nobody ticks: the process was stalled. The next tick is late by what it missed. */
  stall(ms: number): void {
    const due = this.machine.nextDeadline()
    this.#moveTo(this.#now.ms + ms)
    this.machine.tick(this.#now, Math.max(0, this.#now.ms - due))
    this.carryOut()
  }

  #moveTo(ms: number): void {
    this.#now = { wallMs: this.#now.wallMs + ms - this.#now.ms, ms }
  }

  carryOut(): void {
    for (let effects = this.machine.takeEffects(); effects.length > 0; effects = this.machine.takeEffects())
      for (const effect of effects)
        if (effect.kind === 'reply') effect.deliver()
        else if (this.holdsAppends) this.held.push(effect)
        else this.#settle(effect, { errorCode: ErrorCode.NONE, baseOffset: this.log.length })
  }

  /** Lets the appends that are held go in their order. An error leaves nothing in the log. */
  releaseAppends(errorCode: number = ErrorCode.NONE): void {
    for (const append of this.held.splice(0)) this.#settle(append, { errorCode, baseOffset: this.log.length })
    this.carryOut()
  }

  #settle({ events, settle }: Append, outcome: AppendOutcome): void {
    if (outcome.errorCode === ErrorCode.NONE)
      for (const event of events) {
        this.log.push(groupEventCodec.encode(event))
        this.machine.apply(event, outcome.baseOffset)
      }
    settle(outcome, this.#now)
  }

  /** The coordinator moves: the old one resigns, and a new one begins with what the log holds. */
  failover(): void {
    this.machine.resign()
    for (const append of this.held.splice(0))
      append.settle({ errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER, baseOffset: -1 }, this.#now)
    this.carryOut()
    this.machine = this.#newMachine()
    for (const [offset, { key, value }] of this.log.entries()) {
      const event = groupEventCodec.decode(key, value)
      if (event !== null) this.machine.apply(event, offset)
    }
    this.machine.resume(this.#now)
    this.carryOut()
  }

  /** Joins as many members as asked for, one after the other, and gives each its number as its assignment. */
  stableGroup(count: number, options: (index: number) => JoinOptions = () => ({})): JoinGroupResponse[] {
    const joins = Array.from({ length: count }, (_, index) => this.join(options(index)))
    this.advance(0)
    const members = joins.map(({ response }) => response)
    const assignments = Object.fromEntries(members.map(({ memberId }, index) => [memberId, Uint8Array.of(index)]))
    for (const [index, member] of members.entries())
      this.sync(member, member.leader === member.memberId ? assignments : {}, options(index).groupInstanceId ?? null)
    return members
  }
}

/** A small generator (xorshift32), so that a failure names its seed. */
export function sequence(seed: number): (bound: number) => number {
  let state = Math.imul(seed, 0x9e37_79b1) | 1
  return (bound) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % bound
  }
}
