/** AlterPartitionReassignments: replicas are moved to other brokers, or a move is cancelled (KIP-455). */
import { AlterPartitionReassignments } from '#protocol/messages/alter-partition-reassignments'

import { groupedByTopic, handler } from './handler.ts'

export const alterPartitionReassignments = handler(AlterPartitionReassignments, async (broker, { topics }) => {
  const requests = topics.flatMap(({ name: topic, partitions }) =>
    partitions.map(({ partitionIndex: partition, replicas }) => ({ topic, partition, replicas })),
  )
  const { errorCode, errorMessage, results } = await broker.controller.alterPartitionReassignments(requests)
  const answered = requests.flatMap((request, index) => {
    const result = results[index]
    return result === undefined ? [] : [{ ...request, ...result }]
  })
  return {
    throttleTimeMs: 0,
    errorCode,
    errorMessage,
    responses: groupedByTopic(answered, (name, of) => ({
      name,
      partitions: of.map((each) => ({
        partitionIndex: each.partition,
        errorCode: each.errorCode,
        errorMessage: each.errorMessage,
      })),
    })),
  }
})
