import { compareNames, type TopicPartition } from '../topic-partition.ts'
import { inAssignmentOrder, partitionsOf, type Assignor } from './assignor.ts'

/** All partitions of all topics are dealt out in turn; who does not subscribe to a topic is passed over. */
export const roundRobinAssignor: Assignor = {
  name: 'roundrobin',
  protocols: ['eager'],
  userData: () => null,
  assign(partitionCounts, members) {
    const ordered = inAssignmentOrder(members)
    const assignments = new Map(ordered.map(({ memberId }) => [memberId, [] as TopicPartition[]]))
    let turn = 0
    for (const [topic, count] of [...partitionCounts].sort(([a], [b]) => compareNames(a, b))) {
      if (!ordered.some(({ topics }) => topics.includes(topic))) continue
      for (const partition of partitionsOf(topic, count)) {
        while (!ordered[turn % ordered.length]!.topics.includes(topic)) turn++
        assignments.get(ordered[turn++ % ordered.length]!.memberId)!.push(partition)
      }
    }
    return assignments
  },
}
