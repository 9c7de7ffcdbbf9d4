import { compareNames, compareTopicPartitions, type TopicPartition } from '../topic-partition.ts'
import { inAssignmentOrder, partitionsOf, type Assignments, type Assignor } from './assignor.ts'
import { Racks } from './racks.ts'

/**
 * Topic by topic: its partitions are cut into as many ranges as it has subscribers, the first ones a partition longer where it
 * does not divide. Topics with as many partitions and the same subscribers are cut alike, so that they can be joined. Where racks
 * matter, members first get partitions that are near, as many as they are due, and what is left is cut into ranges (KIP-881).
 */
export const rangeAssignor: Assignor = {
  name: 'range',
  protocols: ['eager'],
  userData: () => null,
  assign(partitionCounts, members, partitionRacks = new Map()) {
    const ordered = inAssignmentOrder(members)
    const assignments: Assignments = new Map(ordered.map(({ memberId }) => [memberId, []]))
    const shares = [...partitionCounts]
      .sort(([a], [b]) => compareNames(a, b))
      .flatMap(([topic, count]) => {
        const subscribers = ordered.filter(({ topics }) => topics.includes(topic))
        if (subscribers.length === 0) return []
        const racks = new Racks(subscribers, [topic], partitionRacks)
        const memberIds = subscribers.map(({ memberId }) => memberId)
        return [new TopicShare(topic, count, memberIds, racks, assignments)]
      })
    const usesRacks = shares.some(({ racks }) => racks.areUsed)
    if (usesRacks) for (const alike of cutAlike(shares)) assignNear(alike)
    for (const share of shares) share.assignRanges(() => true)
    if (usesRacks) for (const partitions of assignments.values()) partitions.sort(compareTopicPartitions)
    return assignments
  },
}

/** One topic: what is left of it, and how much of it each subscriber may still get. */
class TopicShare {
  readonly topic: string
  readonly count: number
  /** In the order in which they are served. */
  readonly memberIds: readonly string[]
  readonly racks: Racks
  readonly #assignments: Assignments
  readonly #left: Set<number>
  readonly #given: Map<string, number>
  readonly #quota: number
  /** How many may still get one above the quota. */
  #longerLeft: number

  constructor(topic: string, count: number, memberIds: readonly string[], racks: Racks, assignments: Assignments) {
    this.topic = topic
    this.count = count
    this.memberIds = memberIds
    this.racks = racks
    this.#assignments = assignments
    this.#left = new Set(partitionsOf(topic, count).map(({ partition }) => partition))
    this.#given = new Map(memberIds.map((memberId) => [memberId, 0]))
    this.#quota = Math.floor(count / memberIds.length)
    this.#longerLeft = count % memberIds.length
  }

  dueTo(memberId: string): number {
    return Math.max(0, this.#quota + (this.#longerLeft > 0 ? 1 : 0) - this.#given.get(memberId)!)
  }

  place(partition: number): TopicPartition {
    return { topic: this.topic, partition }
  }

  /** To each member in turn what it may have of what is left, as much as it is due. */
  assignRanges(mayHave: (memberId: string, partition: TopicPartition) => boolean): void {
    for (const memberId of this.memberIds) {
      const range = [...this.#left]
        .filter((partition) => mayHave(memberId, this.place(partition)))
        .slice(0, this.dueTo(memberId))
      if (range.length > 0) this.give(memberId, range)
    }
  }

  give(memberId: string, partitions: readonly number[]): void {
    const given = this.#given.get(memberId)! + partitions.length
    this.#given.set(memberId, given)
    if (given > this.#quota) this.#longerLeft -= 1
    for (const partition of partitions) {
      this.#left.delete(partition)
      this.#assignments.get(memberId)!.push(this.place(partition))
    }
  }
}

/** Topics with the same subscribers and as many partitions belong together. */
function cutAlike(shares: readonly TopicShare[]): TopicShare[][] {
  return [...Map.groupBy(shares, ({ memberIds, count }) => JSON.stringify([memberIds, count])).values()]
}

function assignNear(alike: readonly TopicShare[]): void {
  const [first] = alike
  if (alike.length === 1) {
    if (first!.racks.areUsed) first!.assignRanges((memberId, place) => !first!.racks.isElsewhere(memberId, place))
    return
  }
  // Cut alike also here: a partition of all of them goes to a member only if it is near in each.
  for (let partition = 0; partition < first!.count; partition++) {
    const memberId = first!.memberIds.find((candidate) =>
      alike.every((share) => share.dueTo(candidate) > 0 && !share.racks.isElsewhere(candidate, share.place(partition))),
    )
    if (memberId !== undefined) for (const share of alike) share.give(memberId, [partition])
  }
}
