/** AlterReplicaLogDirs: replicas move from one log directory of this broker to another. */
import { AlterReplicaLogDirs } from '#protocol/messages/alter-replica-log-dirs'

import { groupedByTopic, handler } from './handler.ts'

export const alterReplicaLogDirs = handler(AlterReplicaLogDirs, (broker, { dirs }) => {
  const moves = dirs.flatMap(({ path, topics }) =>
    topics.flatMap(({ name, partitions }) =>
      partitions.map((partition) => ({ topic: name, partition, directory: path })),
    ),
  )
  const codes = broker.replicas.moveReplicas(moves)
  const results = moves.map(({ topic, partition }, index) => ({ topic, partition, errorCode: codes[index]! }))
  return {
    throttleTimeMs: 0,
    results: groupedByTopic(results, (topicName, of) => ({
      topicName,
      partitions: of.map(({ partition, errorCode }) => ({ partitionIndex: partition, errorCode })),
    })),
  }
})
