import { assert } from '#base'

import { compareNames, keyOf, type TopicPartition } from '../topic-partition.ts'
import { partitionsOf, type Assignments } from './assignor.ts'
import type { StickyMember } from './cooperative-sticky.ts'

/**
 * The sticky assignment where all members want the same topics: everyone gets the quota, some one more, and keeps what it has
 * up to that. Members come in the order of their ids.
 */
export function assignEvenly(
  partitionCounts: ReadonlyMap<string, number>,
  members: readonly StickyMember[],
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
  let atQuota: string[] = []
  for (const { memberId, owned } of members) {
    const keepable = owned.filter(exists).sort(byPartitionThenTopic)
    const mayBeLonger = keepable.length >= quotaMax && longer < longerMax
    const kept = keepable.slice(0, mayBeLonger ? quotaMax : quota)
    assignments.set(memberId, kept)
    if (mayBeLonger) longer++
    else if (kept.length < quota) underQuota.push(memberId)
    else atQuota.push(memberId)
  }

  const unassigned = withoutAssigned(partitionCounts, assignments)
  let turn = 0
  for (const partition of unassigned) {
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
