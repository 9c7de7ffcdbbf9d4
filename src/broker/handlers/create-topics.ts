/** CreateTopics: only the controller takes it; answered when the topics have leaders, or the time is up. */
import type { NewTopic } from '#controller'
import { ErrorCode, ZERO_UUID } from '#protocol'
import {
  CreateTopics,
  type CreateTopicsRequest,
  type CreateTopicsResponseInput,
} from '#protocol/messages/create-topics'

import type { BrokerServices } from '../services.ts'
import { handler } from './handler.ts'

type TopicRequest = CreateTopicsRequest['topics'][number]
type TopicResult = CreateTopicsResponseInput['topics'][number]

export const createTopics = handler(
  CreateTopics,
  async (broker, { topics, timeoutMs, validateOnly }, { apiVersion }) => {
    const names = new Set<string>()
    const twice = new Set<string>()
    for (const { name } of topics) (names.has(name) ? twice : names).add(name)
    const results = [...names].map(async (name) => {
      if (!broker.controller.isActive) return refusal(name, ErrorCode.NOT_CONTROLLER, null)
      if (twice.has(name))
        return refusal(name, ErrorCode.INVALID_REQUEST, 'Create topics request has multiple entries for the topic.')
      const topic = topics.find((each) => each.name === name)!
      return await create(broker, topic, validateOnly, timeoutMs, apiVersion)
    })
    return { throttleTimeMs: 0, topics: await Promise.all(results) }
  },
)

function refusal(name: string, errorCode: number, errorMessage: string | null): TopicResult {
  return { name, topicId: ZERO_UUID, errorCode, errorMessage, configs: null }
}

async function create(
  broker: BrokerServices,
  request: TopicRequest,
  validateOnly: boolean,
  timeoutMs: number,
  apiVersion: number,
): Promise<TopicResult> {
  const { name, numPartitions, replicationFactor, assignments } = request
  if (apiVersion < 4 && assignments.length === 0 && (numPartitions === -1 || replicationFactor === -1))
    return refusal(
      name,
      ErrorCode.INVALID_REQUEST,
      'Defaults for partitions and replication factor need CreateTopics 4.',
    )
  const missing = request.configs.filter((config) => config.value === null).map((config) => config.name)
  if (missing.length > 0)
    return refusal(name, ErrorCode.INVALID_CONFIG, `Null value not supported for topic configs: ${missing.join(',')}`)
  const topic = newTopic(request)
  const created = await broker.topicAdministration.create(topic, validateOnly, timeoutMs)
  if (created.errorCode !== ErrorCode.NONE) return refusal(name, created.errorCode, created.errorMessage)
  const options = { keys: null, includeSynonyms: false, includeDocumentation: false }
  return {
    name,
    topicId: created.topicId,
    errorCode: ErrorCode.NONE,
    errorMessage: null,
    numPartitions: created.numPartitions,
    replicationFactor: created.replicationFactor,
    configs: broker.configAdministration
      .configsOfTopic(new Map(Object.entries(topic.configs)), options)
      .map((config) => ({
        name: config.name,
        value: config.value,
        readOnly: config.readOnly,
        configSource: config.configSource,
        isSensitive: config.isSensitive,
      })),
  }
}

function newTopic({ name, numPartitions, replicationFactor, assignments, configs }: TopicRequest): NewTopic {
  return {
    name,
    numPartitions,
    replicationFactor,
    assignments: new Map(assignments.map((each) => [each.partitionIndex, each.brokerIds])),
    configs: Object.fromEntries(configs.map((config) => [config.name, config.value!])),
  }
}
