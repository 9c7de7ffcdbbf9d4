/** CreatePartitions: a topic can grow, and not shrink. Only the controller takes it. */
import { ErrorCode } from '#protocol'
import { CreatePartitions, type CreatePartitionsRequest } from '#protocol/messages/create-partitions'
import type { Outcome } from '#controller'

import type { BrokerServices } from '../services.ts'
import { handler } from './handler.ts'

export const createPartitions = handler(CreatePartitions, async (broker, { topics, timeoutMs, validateOnly }) => {
  const byName = Map.groupBy(topics, (topic) => topic.name)
  const results = [...byName].map(async ([name, requests]) => {
    const { errorCode, errorMessage } = await grow(broker, requests, validateOnly, timeoutMs)
    return { name, errorCode, errorMessage }
  })
  return { throttleTimeMs: 0, results: await Promise.all(results) }
})

async function grow(
  broker: BrokerServices,
  requests: CreatePartitionsRequest['topics'],
  validateOnly: boolean,
  timeoutMs: number,
): Promise<Outcome> {
  const { name, count, assignments } = requests[0]!
  if (!broker.controller.isActive) return { errorCode: ErrorCode.NOT_CONTROLLER, errorMessage: null }
  if (requests.length > 1) return { errorCode: ErrorCode.INVALID_REQUEST, errorMessage: 'Duplicate topic in request.' }
  const replicas = assignments?.map((assignment) => assignment.brokerIds) ?? null
  const isQueuedForDeletion = (topic: string): boolean => broker.controller.isTopicQueuedForDeletion(topic)
  const options = { validateOnly, isQueuedForDeletion }
  return await broker.topicAdministration.grow({ name, count, assignments: replicas }, options, timeoutMs)
}
