/** DeleteTopics, by name or by id. Only the controller takes it; answered when the topics are gone, or the time is up. */
import { ErrorCode, ZERO_UUID } from '#protocol'
import { DeleteTopics, type DeleteTopicsResponseInput } from '#protocol/messages/delete-topics'

import type { BrokerServices } from '../services.ts'
import { handler } from './handler.ts'

type TopicResult = DeleteTopicsResponseInput['responses'][number]

interface Wanted {
  readonly name: string | null
  readonly topicId: string
}

export const deleteTopics = handler(DeleteTopics, async (broker, message, { apiVersion }) => {
  const wanted: Wanted[] =
    apiVersion >= 6 ? message.topics : message.topicNames.map((name) => ({ name, topicId: ZERO_UUID }))
  const responses = wanted.map((topic) => remove(broker, topic, message.timeoutMs, apiVersion))
  return { responses: await Promise.all(responses) }
})

async function remove(
  broker: BrokerServices,
  { name, topicId }: Wanted,
  timeoutMs: number,
  apiVersion: number,
): Promise<TopicResult> {
  const { image } = broker.metadata
  const answer = (errorCode: number, errorMessage: string | null = null): TopicResult => ({
    name: name ?? image.topicName(topicId) ?? null,
    topicId: topicId === ZERO_UUID && name !== null ? image.topicId(name) : topicId,
    errorCode,
    errorMessage,
  })
  if (!broker.controller.isActive) return answer(ErrorCode.NOT_CONTROLLER)
  if (!broker.config.deleteTopicEnable)
    return answer(apiVersion < 3 ? ErrorCode.INVALID_REQUEST : ErrorCode.TOPIC_DELETION_DISABLED)
  if (name !== null && topicId !== ZERO_UUID)
    return answer(ErrorCode.INVALID_REQUEST, 'A topic is named by its name or by its id, and not by both.')
  const known = name === null ? image.topicName(topicId) : image.topic(name)?.name
  if (known === undefined)
    return answer(name === null ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  const result = answer(ErrorCode.NONE)
  const { errorCode, errorMessage } = await broker.topicAdministration.delete(known, timeoutMs)
  return { ...result, errorCode, errorMessage }
}
