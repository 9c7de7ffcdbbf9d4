/** OffsetFetch: version 0 reads what OffsetCommit 0 wrote to ZooKeeper; later ones ask the group coordinator. */
import { ErrorCode } from '#protocol'
import { OffsetFetch, type OffsetFetchRequest, type OffsetFetchResponseInput } from '#protocol/messages/offset-fetch'

import type { BrokerServices } from '../services.ts'
import { readConsumerOffset } from './consumer-offsets-znodes.ts'
import { requestContext } from './groups.ts'
import { handler } from './handler.ts'

export const offsetFetch = handler(OffsetFetch, (broker, message, request) =>
  request.apiVersion === 0
    ? fetchFromZooKeeper(broker, message)
    : broker.groups.fetchOffsets(message, requestContext(request)),
)

async function fetchFromZooKeeper(
  broker: BrokerServices,
  { groupId, topics }: OffsetFetchRequest,
): Promise<OffsetFetchResponseInput> {
  const answers = (topics ?? []).map(async ({ name, partitionIndexes }) => ({
    name,
    partitions: await Promise.all(partitionIndexes.map((partition) => fetchOne(broker, groupId, name, partition))),
  }))
  return { topics: await Promise.all(answers) }
}

async function fetchOne(broker: BrokerServices, groupId: string, topic: string, partitionIndex: number) {
  const isKnown = broker.metadata.image.partition(topic, partitionIndex) !== undefined
  const offset = isKnown ? await readConsumerOffset(broker.zk, groupId, topic, partitionIndex) : null
  return {
    partitionIndex,
    committedOffset: offset ?? -1,
    metadata: '',
    errorCode: offset === null ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION : ErrorCode.NONE,
  }
}
