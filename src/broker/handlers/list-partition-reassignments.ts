/** ListPartitionReassignments: which replicas are being moved (KIP-455). */
import { ListPartitionReassignments } from '#protocol/messages/list-partition-reassignments'

import { groupedByTopic, handler } from './handler.ts'

export const listPartitionReassignments = handler(ListPartitionReassignments, async (broker, { topics }) => {
  const wanted = topics?.flatMap(({ name: topic, partitionIndexes }) =>
    partitionIndexes.map((partition) => ({ topic, partition })),
  )
  const { errorCode, errorMessage, reassignments } = await broker.controller.listPartitionReassignments(wanted ?? null)
  return {
    throttleTimeMs: 0,
    errorCode,
    errorMessage,
    topics: groupedByTopic(reassignments, (name, of) => ({
      name,
      partitions: of.map(({ partition, replicas, addingReplicas, removingReplicas }) => ({
        partitionIndex: partition,
        replicas: [...replicas],
        addingReplicas: [...addingReplicas],
        removingReplicas: [...removingReplicas],
      })),
    })),
  }
})
