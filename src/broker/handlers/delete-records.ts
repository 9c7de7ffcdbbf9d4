/** DeleteRecords: the starts of logs move forward, on this leader and then on its followers. */
import { DeleteRecords } from '#protocol/messages/delete-records'
import type { DeleteRecordsResult } from '#replication'

import { groupedByTopic, handler } from './handler.ts'

export const deleteRecords = handler(DeleteRecords, (broker, { topics, timeoutMs }) => {
  const partitions = topics.flatMap(({ name, partitions: of }) =>
    of.map(({ partitionIndex, offset }) => ({ topic: name, partition: partitionIndex, offset })),
  )
  const answer = (results: readonly DeleteRecordsResult[]) => ({
    topics: groupedByTopic(results, (name, of) => ({
      name,
      partitions: of.map(({ partition, lowWatermark, errorCode }) => ({
        partitionIndex: partition,
        lowWatermark,
        errorCode,
      })),
    })),
  })
  const deleted = broker.replicas.deleteRecords({ timeoutMs, partitions })
  return deleted instanceof Promise ? deleted.then(answer) : answer(deleted)
})
