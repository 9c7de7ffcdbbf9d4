/**
 * Members, restarts, failing appends, failovers and time in random order, by seed. Whatever happens, no generation has
 * two owners of one partition, no acknowledged offset is lost or goes back, and generations that were stored never go back.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode } from '#protocol'
import type { JoinGroupResponse } from '#protocol/messages/join-group'
import type { OffsetCommitResponse } from '#protocol/messages/offset-commit'
import type { SyncGroupResponse } from '#protocol/messages/sync-group'

import { Bench, SESSION_MS, sequence, type Answer } from './testing.ts'

const PARTITIONS = 6
const CONSUMERS = 5
const STEPS = 400

class Consumer {
  readonly name: string
  readonly groupInstanceId: string | null
  memberId = ''
  generationId = -1
  /** What it may consume, as long as nothing tells it otherwise. */
  owned: readonly number[] = []
  joining: Answer<JoinGroupResponse> | null = null
  syncing: Answer<SyncGroupResponse> | null = null
  committing: { answer: Answer<OffsetCommitResponse>; offset: number } | null = null
  joined: JoinGroupResponse | null = null

  constructor(name: string, groupInstanceId: string | null) {
    this.name = name
    this.groupInstanceId = groupInstanceId
  }

  /** Dies without a word; what it awaited nobody hears. */
  restart(): void {
    this.memberId = ''
    this.generationId = -1
    this.owned = []
    this.joining = this.syncing = this.committing = this.joined = null
  }
}

class Schedule {
  readonly bench: Bench
  readonly next: (bound: number) => number
  readonly consumers = Array.from(
    { length: CONSUMERS },
    (_, index) => new Consumer(`c${index}`, index % 2 ? `i${index}` : null),
  )
  /** By generation: which owner each partition has been given to. Incarnations of a static member are one owner. */
  readonly owners = new Map<number, Map<number, string>>()
  acknowledged = -1
  nextOffset = 0
  stored = 0
  readonly seen = { generations: 0, commits: 0, failovers: 0, failures: 0, fenced: 0 }

  constructor(seed: number) {
    this.next = sequence(seed)
    this.bench = new Bench({ initialRebalanceDelayMs: this.next(2) * 500 })
  }

  run(): void {
    for (let step = 0; step < STEPS; step++) {
      this.act(this.consumers[this.next(CONSUMERS)]!)
      this.world()
      for (const consumer of this.consumers) this.listen(consumer)
      this.check()
    }
  }

  act(consumer: Consumer): void {
    const { bench } = this
    if (consumer.joining !== null || consumer.syncing !== null) return
    if (consumer.joined !== null) return this.sync(consumer, consumer.joined)
    const roll = this.next(20)
    if (roll === 0) return consumer.restart()
    if (roll === 1 && consumer.memberId !== '') {
      bench.leave(consumer.memberId, consumer.groupInstanceId)
      return consumer.restart()
    }
    if (consumer.generationId < 0 || roll === 2) return this.join(consumer)
    if (roll < 9) return this.commit(consumer)
    const errorCode = bench.heartbeat(consumer, consumer.groupInstanceId)
    if (errorCode === ErrorCode.REBALANCE_IN_PROGRESS) this.join(consumer)
    else if (errorCode !== ErrorCode.NONE) this.lose(consumer, errorCode)
  }

  join(consumer: Consumer): void {
    // Eager: whoever joins gives up what it has.
    consumer.owned = []
    consumer.joining = this.bench.join({
      memberId: consumer.memberId,
      groupInstanceId: consumer.groupInstanceId,
      clientId: consumer.name,
      apiVersion: 9,
      rebalanceTimeoutMs: 4000,
    })
  }

  sync(consumer: Consumer, joined: JoinGroupResponse): void {
    consumer.joined = null
    const assignments: Record<string, Uint8Array> = {}
    const isLeader = joined.leader === joined.memberId && !joined.skipAssignment
    if (isLeader)
      for (const [index, { memberId }] of joined.members.entries()) {
        const share = Array.from({ length: PARTITIONS }, (_, partition) => partition)
        assignments[memberId] = Uint8Array.from(
          share.filter((partition) => partition % joined.members.length === index),
        )
      }
    consumer.syncing = this.bench.sync(joined, assignments, consumer.groupInstanceId)
  }

  commit(consumer: Consumer): void {
    if (consumer.committing !== null || !consumer.owned.includes(0)) return
    const offset = this.nextOffset++
    consumer.committing = { offset, answer: this.bench.commit({ t: offset }, consumer) }
  }

  world(): void {
    const { bench } = this
    const roll = this.next(100)
    if (roll < 15) bench.holdsAppends = true
    else if (roll < 50) this.release(ErrorCode.NONE)
    else if (roll < 53) this.release(ErrorCode.NOT_ENOUGH_REPLICAS)
    else if (roll < 55) this.failover()
    else if (roll < 80) bench.advance(this.next(1500))
    else if (roll < 82) bench.advance(SESSION_MS)
    else if (roll < 83) bench.stall(this.next(30_000))
  }

  release(errorCode: number): void {
    if (errorCode !== ErrorCode.NONE && this.bench.held.length > 0) this.seen.failures += 1
    this.bench.holdsAppends = false
    this.bench.releaseAppends(errorCode)
  }

  failover(): void {
    this.seen.failovers += 1
    this.bench.holdsAppends = false
    this.bench.failover()
  }

  listen(consumer: Consumer): void {
    if (consumer.joining?.isAwaited === false) this.hearJoin(consumer, consumer.joining.response)
    if (consumer.syncing?.isAwaited === false) this.hearSync(consumer, consumer.syncing.response)
    const { committing } = consumer
    if (committing?.answer.isAwaited === false) {
      consumer.committing = null
      const { errorCode } = committing.answer.response.topics[0]!.partitions[0]!
      if (errorCode === ErrorCode.NONE) {
        this.seen.commits += 1
        this.acknowledged = Math.max(this.acknowledged, committing.offset)
      }
    }
  }

  hearJoin(consumer: Consumer, response: JoinGroupResponse): void {
    consumer.joining = null
    if (response.errorCode === ErrorCode.MEMBER_ID_REQUIRED) {
      consumer.memberId = response.memberId
      return this.join(consumer)
    }
    if (response.errorCode !== ErrorCode.NONE) return this.lose(consumer, response.errorCode)
    consumer.memberId = response.memberId
    consumer.generationId = response.generationId
    consumer.joined = response
  }

  hearSync(consumer: Consumer, response: SyncGroupResponse): void {
    consumer.syncing = null
    if (response.errorCode === ErrorCode.REBALANCE_IN_PROGRESS) return this.join(consumer)
    if (response.errorCode !== ErrorCode.NONE) return this.lose(consumer, response.errorCode)
    consumer.owned = [...response.assignment]
    this.claim(consumer)
  }

  /** Unknown: it must begin anew. A generation that is over: it may join again. Another coordinator: the same. */
  lose(consumer: Consumer, errorCode: number): void {
    const { UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, NOT_COORDINATOR } = ErrorCode
    if (errorCode === FENCED_INSTANCE_ID) this.seen.fenced += 1
    if (errorCode === UNKNOWN_MEMBER_ID || errorCode === FENCED_INSTANCE_ID) consumer.memberId = ''
    if (errorCode !== NOT_COORDINATOR) consumer.owned = []
    consumer.generationId = -1
  }

  claim(consumer: Consumer): void {
    const owner = consumer.groupInstanceId ?? consumer.memberId
    let owners = this.owners.get(consumer.generationId)
    if (owners === undefined) {
      this.owners.set(consumer.generationId, (owners = new Map()))
      this.seen.generations += 1
    }
    for (const partition of consumer.owned) {
      const present: string = owners.get(partition) ?? owner
      assert.equal(owner, present, `partition ${partition} of generation ${consumer.generationId} has two owners`)
      owners.set(partition, owner)
    }
  }

  check(): void {
    const committed = this.bench.committed('t')
    assert.ok(committed >= this.acknowledged, `${committed} is committed, and ${this.acknowledged} was acknowledged`)
    assert.ok(committed < this.nextOffset)
    const generations = [...this.owners.keys()]
    const newest = generations.reduce((a, b) => Math.max(a, b), 0)
    assert.ok(newest >= this.stored)
    this.stored = newest
  }
}

test('no schedule gives a partition two owners in a generation, or loses a commit', () => {
  const total = { generations: 0, commits: 0, failovers: 0, failures: 0, fenced: 0 }
  for (let seed = 1; seed <= 300; seed++) {
    const schedule = new Schedule(seed)
    try {
      schedule.run()
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
    for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += schedule.seen[key]
  }
  // A run in which nothing happens proves nothing.
  for (const [what, count] of Object.entries(total)) assert.ok(count > 0, what)
  assert.ok(total.generations > 1000 && total.commits > 1000, JSON.stringify(total))
})
