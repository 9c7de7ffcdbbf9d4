import { assert } from '#base'

import { compareNames, keyOf, type TopicPartition } from '../topic-partition.ts'
import { partitionsOf, type Assignments } from './assignor.ts'
import type { FormerOwner, StickyMember } from './cooperative-sticky.ts'
import type { Racks } from './racks.ts'

/**
 * The sticky assignment where members want different topics: what is held stays, what is free goes to whoever has least of those
 * that want it, and then partitions move one by one for as long as that makes the load more even.
 */
export function assignUnevenly(
  partitionCounts: ReadonlyMap<string, number>,
  members: readonly StickyMember[],
  formerOwners: ReadonlyMap<string, FormerOwner>,
  racks: Racks,
): Assignments {
  return new UnevenAssignment(partitionCounts, members, formerOwners, racks).build()
}

interface Owned {
  readonly partition: TopicPartition
  owner: string
}

class UnevenAssignment {
  readonly #counts: ReadonlyMap<string, number>
  readonly #members: readonly StickyMember[]
  readonly #formerOwners: ReadonlyMap<string, FormerOwner>
  readonly #racks: Racks
  /** Members by topic. */
  readonly #subscribers: Map<string, string[]>
  readonly #topicsOf: Map<string, ReadonlySet<string>>
  readonly #load = new Map<string, number>()
  readonly #owned = new Map<string, Owned>()
  /** Members whose load can change; the others have all they can get, and nobody else wants it. */
  #movable: string[] = []
  readonly #moves = new Moves()

  constructor(
    counts: ReadonlyMap<string, number>,
    members: readonly StickyMember[],
    formerOwners: ReadonlyMap<string, FormerOwner>,
    racks: Racks,
  ) {
    this.#racks = racks
    this.#counts = counts
    this.#members = members
    this.#formerOwners = formerOwners
    this.#topicsOf = new Map(
      members.map(({ memberId, topics }) => [memberId, new Set(topics.filter((topic) => counts.has(topic)))]),
    )
    this.#subscribers = new Map(
      Array.from(counts.keys(), (topic) => [topic, this.#memberIds.filter((id) => this.#wants(id, topic))]),
    )
  }

  get #memberIds(): string[] {
    return this.#members.map(({ memberId }) => memberId)
  }

  build(): Assignments {
    const hasLostSome = this.#keepOwned()
    const isFirst = [...this.#load.values()].every((load) => load === 0)
    const all = this.#allPartitions()
    const free = all.filter((partition) => !this.#owned.has(keyOf(partition)))
    const far = this.#racks.areUsed ? free.filter((partition) => !this.#giveToLeastLoaded(partition, true)) : free
    for (const partition of far) this.#giveToLeastLoaded(partition, false)

    this.#movable = this.#memberIds.filter((memberId) => this.#canChange(memberId))
    const isContested = ({ topic }: TopicPartition): boolean => this.#subscribers.get(topic)!.length >= 2
    const before = { owners: this.#owners(), score: this.#balanceScore() }
    if (!hasLostSome) this.#balance(free.filter(isContested))
    const hasMoved = this.#balance(all.filter(isContested))
    if (!isFirst && hasMoved && this.#balanceScore() >= before.score) this.#restore(before.owners)
    return this.#result()
  }

  /** Returns whether a member had to give up what it no longer subscribes to, or has in another rack. */
  #keepOwned(): boolean {
    let hasLostSome = false
    for (const { memberId, owned } of this.#members) {
      this.#load.set(memberId, 0)
      for (const partition of owned)
        if (!this.#wants(memberId, partition.topic) || this.#racks.isElsewhere(memberId, partition)) hasLostSome = true
        else if (partition.partition < this.#counts.get(partition.topic)!) this.#give(partition, memberId)
    }
    return hasLostSome
  }

  /** Those with the fewest possible owners first. */
  #allPartitions(): TopicPartition[] {
    return [...this.#counts]
      .sort(([a], [b]) => this.#subscribers.get(a)!.length - this.#subscribers.get(b)!.length || compareNames(a, b))
      .flatMap(([topic, count]) => partitionsOf(topic, count))
  }

  /** False when nobody may have it. */
  #giveToLeastLoaded(partition: TopicPartition, onlyNear: boolean): boolean {
    const mayHave = (memberId: string): boolean => !onlyNear || !this.#racks.isElsewhere(memberId, partition)
    const memberId = this.#leastLoaded(this.#subscribers.get(partition.topic)!.filter(mayHave))
    if (memberId !== null) this.#give(partition, memberId)
    return memberId !== null
  }

  #give(partition: TopicPartition, memberId: string): void {
    this.#owned.set(keyOf(partition), { partition, owner: memberId })
    this.#load.set(memberId, this.#load.get(memberId)! + 1)
  }

  #canChange(memberId: string): boolean {
    if (this.#load.get(memberId)! < this.#mostOf(memberId)) return true
    return [...this.#owned.values()].some(
      ({ owner, partition }) => owner === memberId && this.#subscribers.get(partition.topic)!.length >= 2,
    )
  }

  /** Moves partitions until the load is even or nothing helps; returns whether one moved. */
  #balance(partitions: readonly TopicPartition[]): boolean {
    let hasMoved = false
    for (let hasMovedNow = true; hasMovedNow;) {
      hasMovedNow = false
      for (const partition of partitions) {
        if (this.#isBalanced()) break
        const owner = this.#owned.get(keyOf(partition))!.owner
        const target = this.#betterOwner(partition, owner)
        if (target === null) continue
        this.#move(this.#moves.partitionInsteadOf(partition, owner, target), target)
        hasMovedNow = hasMoved = true
      }
    }
    return hasMoved
  }

  /** The former owner where it has clearly less, else whoever has least; null when nobody has clearly less. */
  #betterOwner(partition: TopicPartition, owner: string): string | null {
    const isClearlyLess = (memberId: string): boolean => this.#load.get(owner)! > this.#load.get(memberId)! + 1
    const former = this.#formerOwners.get(keyOf(partition))?.memberId
    if (former !== undefined && this.#movable.includes(former) && isClearlyLess(former)) return former
    const subscribers = this.#subscribers.get(partition.topic)!
    if (!subscribers.some(isClearlyLess)) return null
    return this.#leastLoaded(subscribers.filter((memberId) => this.#movable.includes(memberId)))
  }

  #move(partition: TopicPartition, target: string): void {
    const owned = this.#owned.get(keyOf(partition))!
    this.#moves.note(partition, owned.owner, target)
    this.#load.set(owned.owner, this.#load.get(owned.owner)! - 1)
    owned.owner = target
    this.#load.set(target, this.#load.get(target)! + 1)
  }

  /** Nobody could get a partition from somebody who has clearly more. */
  #isBalanced(): boolean {
    const loads = this.#movable.map((memberId) => this.#load.get(memberId)!)
    if (loads.length === 0 || Math.min(...loads) >= Math.max(...loads) - 1) return true
    const greatest = new Map<string, number>()
    for (const { partition, owner } of this.#owned.values())
      greatest.set(partition.topic, Math.max(greatest.get(partition.topic) ?? 0, this.#load.get(owner)!))
    return this.#movable.every((memberId) => {
      const load = this.#load.get(memberId)!
      if (load === this.#mostOf(memberId)) return true
      return [...this.#topicsOf.get(memberId)!].every((topic) => load + 1 >= (greatest.get(topic) ?? 0))
    })
  }

  /** Sum of the differences of all pairs: 0 is perfect. */
  #balanceScore(): number {
    const loads = this.#movable.map((memberId) => this.#load.get(memberId)!)
    let score = 0
    loads.forEach((load, index) => {
      for (const other of loads.slice(index + 1)) score += Math.abs(load - other)
    })
    return score
  }

  #owners(): Map<string, string> {
    return new Map(Array.from(this.#owned, ([key, { owner }]) => [key, owner]))
  }

  #restore(owners: ReadonlyMap<string, string>): void {
    for (const memberId of this.#load.keys()) this.#load.set(memberId, 0)
    for (const [key, owned] of this.#owned) {
      owned.owner = owners.get(key)!
      this.#load.set(owned.owner, this.#load.get(owned.owner)! + 1)
    }
  }

  #result(): Assignments {
    const assignments: Assignments = new Map(this.#memberIds.map((memberId) => [memberId, []]))
    for (const { partition, owner } of this.#owned.values()) assignments.get(owner)!.push(partition)
    return assignments
  }

  #leastLoaded(memberIds: readonly string[]): string | null {
    let least: string | null = null
    for (const memberId of memberIds)
      if (least === null || this.#load.get(memberId)! < this.#load.get(least)!) least = memberId
    return least
  }

  #mostOf(memberId: string): number {
    let most = 0
    for (const topic of this.#topicsOf.get(memberId)!) most += this.#counts.get(topic)!
    return most
  }

  #wants(memberId: string, topic: string): boolean {
    return this.#topicsOf.get(memberId)!.has(topic)
  }
}

/** Who gave what to whom in this round: rather than that two partitions of a topic cross, one goes back. */
class Moves {
  readonly #byPartition = new Map<string, { partition: TopicPartition; from: string; to: string }>()

  note(partition: TopicPartition, from: string, to: string): void {
    const key = keyOf(partition)
    const earlier = this.#byPartition.get(key)
    this.#byPartition.delete(key)
    if (earlier === undefined) this.#byPartition.set(key, { partition, from, to })
    else {
      assert(earlier.to === from, 'a partition moves on from where it is')
      if (earlier.from !== to) this.#byPartition.set(key, { partition, from: earlier.from, to })
    }
  }

  /** A partition of the same topic that has come the opposite way, if there is one. */
  partitionInsteadOf(partition: TopicPartition, from: string, to: string): TopicPartition {
    const origin = this.#byPartition.get(keyOf(partition))?.from ?? from
    for (const move of this.#byPartition.values())
      if (move.partition.topic === partition.topic && move.from === to && move.to === origin) return move.partition
    return partition
  }
}
