import { compareNames } from '../topic-partition.ts'
import { inAssignmentOrder, partitionsOf, type Assignor } from './assignor.ts'

/**
 * Topic by topic: its partitions are cut into as many ranges as it has subscribers, the first ones a partition longer where it
 * does not divide. Topics with as many partitions and the same subscribers are cut alike, so that they can be joined.
 */
export const rangeAssignor: Assignor = {
  name: 'range',
  protocols: ['eager'],
  userData: () => null,
  assign(partitionCounts, members) {
    const ordered = inAssignmentOrder(members)
    const assignments = new Map(ordered.map(({ memberId }) => [memberId, [] as ReturnType<typeof partitionsOf>]))
    for (const [topic, count] of [...partitionCounts].sort(([a], [b]) => compareNames(a, b))) {
      const subscribers = ordered.filter(({ topics }) => topics.includes(topic))
      if (subscribers.length === 0) continue
      const length = Math.floor(count / subscribers.length)
      const longer = count % subscribers.length
      const partitions = partitionsOf(topic, count)
      subscribers.forEach(({ memberId }, index) => {
        const start = index * length + Math.min(index, longer)
        assignments.get(memberId)!.push(...partitions.slice(start, start + length + (index < longer ? 1 : 0)))
      })
    }
    return assignments
  },
}
