/** OffsetForLeaderEpoch: where a leader epoch ended, so that followers and consumers notice that their log diverged. */
import { OffsetForLeaderEpoch } from '#protocol/messages/offset-for-leader-epoch'

import { groupedByTopic, handler } from './handler.ts'

export const offsetForLeaderEpoch = handler(OffsetForLeaderEpoch, (broker, message, { apiVersion }) => {
  const results = broker.replicas.offsetsForLeaderEpoch({
    // Before version 3 only followers and tools asked.
    replicaId: apiVersion >= 3 ? message.replicaId : -2,
    partitions: message.topics.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, currentLeaderEpoch, leaderEpoch }) => ({
        topic,
        partition,
        currentLeaderEpoch,
        leaderEpoch,
      })),
    ),
  })
  return {
    topics: groupedByTopic(results, (topic, of) => ({
      topic,
      partitions: of.map(({ partition, errorCode, leaderEpoch, endOffset }) => ({
        partition,
        errorCode,
        leaderEpoch,
        endOffset,
      })),
    })),
  }
})
