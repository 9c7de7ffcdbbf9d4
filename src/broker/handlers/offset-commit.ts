/** OffsetCommit: version 0 keeps offsets in ZooKeeper, as consumers before 0.9 have them; later ones go to the group coordinator. */
import { ErrorCode } from '#protocol'
import {
  OffsetCommit,
  type OffsetCommitRequest,
  type OffsetCommitResponseInput,
} from '#protocol/messages/offset-commit'
import { Deferred } from '#rpc'

import type { BrokerServices } from '../services.ts'
import { writeConsumerOffset } from './consumer-offsets-znodes.ts'
import { handler } from './handler.ts'

type Topic = OffsetCommitRequest['topics'][number]
type TopicAnswer = OffsetCommitResponseInput['topics'][number]

export const offsetCommit = handler(
  OffsetCommit,
  (broker, message, { apiVersion }) => {
    const isKnown = ({ name }: Topic): boolean => broker.metadata.image.topic(name) !== undefined
    const unknown = message.topics.filter((topic) => !isKnown(topic)).map(unknownTopic)
    const topics = message.topics.filter(isKnown)
    if (apiVersion === 0) {
      // The coordinator keeps the order of what it is given. ZooKeeper is asked in several steps, between which a later commit could overtake.
      const committed = commitToZooKeeper(broker, message.groupId, topics, unknown)
      return new Deferred(committed, committed)
    }
    if (topics.length === 0 && unknown.length > 0) return { topics: unknown }
    return broker.groups
      .commitOffsets({ ...message, topics })
      .then((response) => ({ ...response, topics: [...unknown, ...response.topics] }))
  },
  { pipelined: true },
)

function unknownTopic({ name, partitions }: Topic): TopicAnswer {
  const errorCode = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
  return { name, partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })) }
}

async function commitToZooKeeper(
  broker: BrokerServices,
  groupId: string,
  topics: readonly Topic[],
  unknown: readonly TopicAnswer[],
): Promise<OffsetCommitResponseInput> {
  const answers = topics.map(async ({ name, partitions }) => ({
    name,
    partitions: await Promise.all(
      partitions.map(async ({ partitionIndex, committedOffset, committedMetadata }) => {
        const tooLarge = (committedMetadata?.length ?? 0) > broker.config.offsetMetadataMaxBytes
        if (!tooLarge) await writeConsumerOffset(broker.zk, groupId, name, partitionIndex, committedOffset)
        return { partitionIndex, errorCode: tooLarge ? ErrorCode.OFFSET_METADATA_TOO_LARGE : ErrorCode.NONE }
      }),
    ),
  }))
  return { topics: [...unknown, ...(await Promise.all(answers))] }
}
