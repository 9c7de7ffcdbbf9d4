/**
 * Which members can read a partition within their own rack (KIP-881). Balance comes first: racks decide only between assignments that
 * are equally even. All replicas count, whether or not they are in step at the moment.
 */
import type { TopicPartition } from '../topic-partition.ts'
import type { AssignableMember } from './assignor.ts'

/** By topic and number: the racks that have a replica; of brokers without a rack none is told. */
export type PartitionRacks = ReadonlyMap<string, readonly ReadonlySet<string>[]>

const NOWHERE: ReadonlySet<string> = new Set()

export class Racks {
  static readonly NONE = new Racks([], [], new Map())
  /** Whether they matter at all: some members have one, and not every partition is in every rack. */
  readonly areUsed: boolean
  readonly #ofMembers: ReadonlyMap<string, string>
  readonly #ofPartitions: PartitionRacks

  /** `topics`: those that are shared out. */
  constructor(
    members: readonly Pick<AssignableMember, 'memberId' | 'rackId'>[],
    topics: Iterable<string>,
    partitionRacks: PartitionRacks,
  ) {
    this.#ofMembers = new Map(
      members.flatMap(({ memberId, rackId }) => (rackId === null || rackId === '' ? [] : [[memberId, rackId]])),
    )
    this.#ofPartitions = partitionRacks
    const ofTheirs = Array.from(topics).flatMap((topic) => partitionRacks.get(topic) ?? [])
    this.areUsed = tellApart(new Set(this.#ofMembers.values()), ofTheirs)
  }

  /** The member has a rack, and the partition is not there. */
  isElsewhere(memberId: string, partition: TopicPartition): boolean {
    const rack = this.#ofMembers.get(memberId)
    return rack !== undefined && !this.#racksOf(partition).has(rack)
  }

  /** The place of the first member, from that place on and round, that has the partition in its rack; -1: none has. */
  nextNear(partition: TopicPartition, memberIds: readonly string[], from: number): number {
    const racks = this.#racksOf(partition)
    for (let step = 0; step < memberIds.length; step++) {
      const index = (from + step) % memberIds.length
      const rack = this.#ofMembers.get(memberIds[index]!)
      if (rack !== undefined && racks.has(rack)) return index
    }
    return -1
  }

  /** Those with the fewest members nearby first, since they have the least choice. */
  scarceFirst(partitions: readonly TopicPartition[]): TopicPartition[] {
    const counts = new Map<string, number>()
    for (const rack of this.#ofMembers.values()) counts.set(rack, (counts.get(rack) ?? 0) + 1)
    const membersNear = (partition: TopicPartition): number => {
      let near = 0
      for (const rack of this.#racksOf(partition)) near += counts.get(rack) ?? 0
      return near
    }
    return partitions
      .map((partition) => ({ partition, near: membersNear(partition) }))
      .sort((a, b) => a.near - b.near)
      .map(({ partition }) => partition)
  }

  #racksOf({ topic, partition }: TopicPartition): ReadonlySet<string> {
    return this.#ofPartitions.get(topic)?.[partition] ?? NOWHERE
  }
}

function tellApart(memberRacks: ReadonlySet<string>, ofPartitions: readonly ReadonlySet<string>[]): boolean {
  const all = new Set(ofPartitions.flatMap((racks) => [...racks]))
  return !memberRacks.isDisjointFrom(all) && ofPartitions.some((racks) => racks.size < all.size)
}
