import { ByteReader, ByteWriter } from '#base'

import { compareNames, keyOf, type TopicPartition } from '../topic-partition.ts'
import type { AssignableMember, Assignments, Assignor } from './assignor.ts'
import { Racks } from './racks.ts'
import { assignEvenly } from './sticky-even.ts'
import { assignUnevenly } from './sticky-uneven.ts'

/** A generation that is not known, and the one before the first. */
const NO_GENERATION = -1

/**
 * As balanced as can be, and with as few moves as that allows (KIP-54). What changes its owner is given to nobody in this
 * round: its old owner gives it up, joins again, and the round after that hands it out (KIP-429). What a member holds that is in
 * another rack moves for it, as far as the balance allows (KIP-881).
 *
 * User data: generation int32.
 */
export const cooperativeStickyAssignor: Assignor = {
  name: 'cooperative-sticky',
  protocols: ['cooperative', 'eager'],
  userData(generation) {
    const writer = new ByteWriter(4)
    writer.int32(generation)
    return writer.toBytes()
  },
  assign(partitionCounts, members, partitionRacks = new Map()) {
    const ordered = [...members].sort((a, b) => compareNames(a.memberId, b.memberId))
    const wanted = new Map(
      [...partitionCounts].filter(([topic]) => ordered.some(({ topics }) => topics.includes(topic))),
    )
    const claims = settleClaims(wanted, ordered)
    const racks = new Racks(ordered, wanted.keys(), partitionRacks)
    const assignments = assignSticky(wanted, ordered, claims, racks.areUsed ? racks : Racks.NONE)
    withholdMoving(assignments, claims)
    return assignments
  },
}

/** What a member brings along, after claims that cannot be true have been dropped. */
export interface StickyMember {
  readonly memberId: string
  readonly topics: readonly string[]
  readonly owned: readonly TopicPartition[]
}

/** A partition's owner in a generation before the newest. */
export interface FormerOwner {
  readonly memberId: string
  readonly generation: number
}

/** Who holds what, as the members tell it. */
interface Claims {
  /** The holder of each partition that has one. */
  readonly holders: ReadonlyMap<string, string>
  /** Partitions that two hold in the same generation. */
  readonly disputed: ReadonlySet<string>
  readonly members: readonly StickyMember[]
}

/** The goal of the rounds, as if everything could move at once. */
function assignSticky(
  partitionCounts: ReadonlyMap<string, number>,
  members: readonly AssignableMember[],
  claims: Claims,
  racks: Racks,
): Assignments {
  return haveEqualTopics(members)
    ? assignEvenly(partitionCounts, claims.members, racks)
    : assignUnevenly(partitionCounts, claims.members, formerOwners(members), racks)
}

function haveEqualTopics(members: readonly AssignableMember[]): boolean {
  const first = new Set(members[0]?.topics)
  return members.every(({ topics }) => new Set(topics).size === first.size && topics.every((topic) => first.has(topic)))
}

/** When two claim a partition, the newer generation is right; in the same generation neither is, and the partition is disputed. */
function settleClaims(partitionCounts: ReadonlyMap<string, number>, members: readonly AssignableMember[]): Claims {
  const owners = new Map<string, { partition: TopicPartition; memberId: string; generation: number }>()
  const disputed = new Set<string>()
  for (const member of members) {
    const generation = generationOf(member)
    for (const partition of member.ownedPartitions) {
      if (!partitionCounts.has(partition.topic)) continue
      const key = keyOf(partition)
      const other = owners.get(key)
      if (other !== undefined && other.generation === generation) disputed.add(key)
      if (other === undefined || generation >= other.generation)
        owners.set(key, { partition, memberId: member.memberId, generation })
    }
  }
  const owned = new Map(members.map(({ memberId }) => [memberId, [] as TopicPartition[]]))
  const holders = new Map<string, string>()
  for (const [key, { partition, memberId }] of owners) {
    if (disputed.has(key)) continue
    owned.get(memberId)!.push(partition)
    holders.set(key, memberId)
  }
  const stickyMembers = members.map(({ memberId, topics }) => ({ memberId, topics, owned: owned.get(memberId)! }))
  return { holders, disputed, members: stickyMembers }
}

/** The newest owner of each partition that a member claims from a generation before the newest. */
function formerOwners(members: readonly AssignableMember[]): Map<string, FormerOwner> {
  const newest = Math.max(...members.map(generationOf))
  const former = new Map<string, FormerOwner>()
  for (const member of members) {
    const generation = generationOf(member)
    if (generation >= newest) continue
    for (const partition of member.ownedPartitions) {
      const other = former.get(keyOf(partition))
      if (other === undefined || generation > other.generation)
        former.set(keyOf(partition), { memberId: member.memberId, generation })
    }
  }
  return former
}

/** Of the subscription itself since its version 2; of the user data before. */
function generationOf({ generation, userData }: AssignableMember): number {
  if (generation >= 0 || userData === null || userData.length < 4) return generation
  const reader = new ByteReader(userData)
  const told = reader.int32()
  return Math.max(told, NO_GENERATION)
}

/** What one member gets while another still holds it waits for the next round. */
function withholdMoving(assignments: Assignments, { holders, disputed }: Claims): void {
  for (const [memberId, partitions] of assignments) {
    const now = partitions.filter((partition) => {
      const key = keyOf(partition)
      return !disputed.has(key) && (holders.get(key) ?? memberId) === memberId
    })
    assignments.set(memberId, now)
  }
}
