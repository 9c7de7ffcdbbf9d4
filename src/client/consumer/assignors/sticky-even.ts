import { assert } from '#base'

import { compareNames, keyOf, type TopicPartition } from '../topic-partition.ts'
import { partitionsOf, type Assignments } from './assignor.ts'
import type { StickyMember } from './cooperative-sticky.ts'
import type { Racks } from './racks.ts'

/**
 * The sticky assignment where all members want the same topics: everyone gets the quota, some one more, and keeps what it has
 * up to that. Members come in the order of their ids.
 */
export function assignEvenly(
  partitionCounts: ReadonlyMap<string, number>,
  members: readonly StickyMember[],
  racks: Racks,
): Assignments {
  const total = [...partitionCounts.values()].reduce((sum, count) => sum + count, 0)
  const quota = Math.floor(total / members.length)
  const quotaMax = Math.ceil(total / members.length)
  /** How many members get `quotaMax` where it is above `quota`. */
  const longerMax = total % members.length
  let longer = 0
  const exists = ({ topic, partition }: TopicPartition): boolean => partition < (partitionCounts.get(topic) ?? 0)

  const assignments: Assignments = new Map()
  const underQuota: string[] = []
  const atQuota: string[] = []
  for (const { memberId, owned } of members) {
    const keepable = owned
      .filter((partition) => exists(partition) && !racks.isElsewhere(memberId, partition))
      .sort(byPartitionThenTopic)
    const mayBeLonger = keepable.length >= quotaMax && longer < longerMax
    const kept = keepable.slice(0, mayBeLonger ? quotaMax : quota)
    assignments.set(memberId, kept)
    if (mayBeLonger) longer++
    else if (kept.length < quota) underQuota.push(memberId)
    else atQuota.push(memberId)
  }

  /** Gives a partition to a member that has it in its rack; false when none of those who may get more has. */
  let turnNear = 0
  const assignNear = (partition: TopicPartition): boolean => {
    const under = racks.nextNear(partition, underQuota, turnNear)
    const list = under < 0 ? null : assignments.get(underQuota[under]!)!
    if (list !== null) {
      list.push(partition)
      turnNear = under
      if (list.length < quota) turnNear++
      else if (list.length < quotaMax) atQuota.push(...underQuota.splice(under, 1))
      else underQuota.splice(under, 1)
      if (turnNear >= underQuota.length) turnNear = 0
      return true
    }
    const at = longer < longerMax ? racks.nextNear(partition, atQuota, 0) : -1
    if (at < 0) return false
    assignments.get(atQuota.splice(at, 1)[0]!)!.push(partition)
    longer++
    return true
  }

  const unassigned = withoutAssigned(partitionCounts, assignments)
  const left = racks.areUsed ? racks.scarceFirst(unassigned).filter((partition) => !assignNear(partition)) : unassigned
  let turn = 0
  for (const partition of left) {
    const isUnder = underQuota.length > 0
    const memberId = isUnder ? underQuota[turn % underQuota.length] : atQuota.shift()
    assert(memberId !== undefined, 'quotas of all members are as many as there are partitions')
    const list = assignments.get(memberId)!
    list.push(partition)
    if (!isUnder) continue
    if (list.length < quota) {
      turn = (turn + 1) % underQuota.length
      continue
    }
    underQuota.splice(turn % underQuota.length, 1)
    if (turn >= underQuota.length) turn = 0
    atQuota.push(memberId)
  }
  return assignments
}

/** Which ones a member keeps when it has too many: those with the lowest numbers, over all topics. */
function byPartitionThenTopic(a: TopicPartition, b: TopicPartition): number {
  return a.partition - b.partition || compareNames(a.topic, b.topic)
}

function withoutAssigned(partitionCounts: ReadonlyMap<string, number>, assignments: Assignments): TopicPartition[] {
  const assigned = new Set([...assignments.values()].flat().map(keyOf))
  return [...partitionCounts]
    .sort(([a], [b]) => compareNames(a, b))
    .flatMap(([topic, count]) => partitionsOf(topic, count))
    .filter((partition) => !assigned.has(keyOf(partition)))
}
