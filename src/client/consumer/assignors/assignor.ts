/**
 * What decides who of a group reads what. An assignor runs on the member that leads the group and is pure: the same
 * members and partitions give the same result, and the result that Java's assignor of the same name gives, as far as that one
 * is determined (where Java walks a hash map, here the members are walked in the order of their ids).
 */
import { compareNames, type TopicPartition } from '../topic-partition.ts'
import type { PartitionRacks } from './racks.ts'

/** `eager`: a member gives up everything before it joins again. `cooperative`: only what has to move (KIP-429). */
export type RebalanceProtocol = 'eager' | 'cooperative'

/** A member as the leader of its group sees it. */
export interface AssignableMember {
  readonly memberId: string
  /** `group.instance.id` of a static member; null for a dynamic one. */
  readonly groupInstanceId: string | null
  /** What it subscribes to. */
  readonly topics: readonly string[]
  /** What it holds as it joins; empty from an eager member, and from one that does not tell. */
  readonly ownedPartitions: readonly TopicPartition[]
  /** The generation in which it got them; -1 when not told. */
  readonly generation: number
  /** Belongs to the assignor; null if there is none. */
  readonly userData: Uint8Array | null
  /** Its `client.rack`; null if it has none. */
  readonly rackId: string | null
}

/** Partitions by member; a member that gets nothing has an empty list. */
export type Assignments = Map<string, TopicPartition[]>

export interface Assignor {
  /** Its name in `partition.assignment.strategy` of the group's protocols. */
  readonly name: string
  /** What it allows, the best first. */
  readonly protocols: readonly RebalanceProtocol[]
  /** Goes with each subscription. `generation` is the member's last one, -1 before the first. */
  userData(generation: number): Uint8Array | null
  /** `partitionCounts` has the topics that exist and that somebody subscribes to; `partitionRacks` is there if a member has a rack. */
  assign(
    partitionCounts: ReadonlyMap<string, number>,
    members: readonly AssignableMember[],
    partitionRacks?: PartitionRacks,
  ): Assignments
}

/** Static members by their instance id first, then the dynamic ones by member id, so that a restart changes nothing (KIP-345). */
export function inAssignmentOrder<T extends Pick<AssignableMember, 'memberId' | 'groupInstanceId'>>(
  members: readonly T[],
): T[] {
  return [...members].sort((a, b) => {
    if (a.groupInstanceId !== null && b.groupInstanceId !== null)
      return compareNames(a.groupInstanceId, b.groupInstanceId)
    if (a.groupInstanceId !== null) return -1
    if (b.groupInstanceId !== null) return 1
    return compareNames(a.memberId, b.memberId)
  })
}

export function partitionsOf(topic: string, count: number): TopicPartition[] {
  return Array.from({ length: count }, (_, partition) => ({ topic, partition }))
}
