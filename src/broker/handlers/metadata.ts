/** Metadata: brokers, topics and where their partitions are led. May create the topics that it is asked about. */
import { topicNameFault } from '#controller'
import { describeBrokers, describePartitions } from '#metadata'
import { ErrorCode, ZERO_UUID } from '#protocol'
import { Metadata, type MetadataRequest, type MetadataResponseInput } from '#protocol/messages/metadata'
import type { RpcRequest } from '#rpc'

import { GROUP_METADATA_TOPIC, isInternalTopic } from '../internal-topics.ts'
import type { BrokerServices } from '../services.ts'
import { ALL_CLUSTER_OPERATIONS, ALL_TOPIC_OPERATIONS, OPERATIONS_NOT_ASKED } from './authorized-operations.ts'
import { handler } from './handler.ts'

type TopicAnswer = MetadataResponseInput['topics'][number]

export const metadata = handler(Metadata, (broker, message, request) => {
  const answered = wantedTopics(broker, message, request.apiVersion).map((topic) =>
    describe(broker, topic, message, request),
  )
  const answer = (described: TopicAnswer[]): MetadataResponseInput => ({
    brokers: describeBrokers(broker.metadata.image, request.connection.listenerName),
    clusterId: broker.clusterId,
    controllerId: broker.metadata.image.liveControllerId,
    topics: described,
    clusterAuthorizedOperations: message.includeClusterAuthorizedOperations
      ? ALL_CLUSTER_OPERATIONS
      : OPERATIONS_NOT_ASKED,
  })
  const isPending = answered.some((each) => each instanceof Promise)
  return isPending
    ? Promise.all(answered.map(async (each) => await each)).then(answer)
    : answer(answered as TopicAnswer[])
})

interface WantedTopic {
  /** Null when it is wanted by an id. */
  readonly name: string | null
  readonly topicId: string
}

/** Version 0 says "all" by an empty list, later ones by null. */
function wantedTopics(
  { metadata: { image } }: BrokerServices,
  { topics }: MetadataRequest,
  version: number,
): WantedTopic[] {
  if (topics === null || (version === 0 && topics.length === 0))
    return [...image.topics.keys()].map((name) => ({ name, topicId: ZERO_UUID }))
  return topics
}

function describe(
  broker: BrokerServices,
  wanted: WantedTopic,
  message: MetadataRequest,
  request: RpcRequest,
): TopicAnswer | Promise<TopicAnswer> {
  const { image } = broker.metadata
  if (wanted.topicId !== ZERO_UUID) {
    const name = image.topicName(wanted.topicId)
    if (name === undefined) return failed(null, wanted.topicId, ErrorCode.UNKNOWN_TOPIC_ID)
    return known(broker, name, message, request)!
  }
  const name = wanted.name ?? ''
  const found = known(broker, name, message, request)
  if (found !== null) return found
  if (topicNameFault(name) !== null) return failed(name, ZERO_UUID, ErrorCode.INVALID_TOPIC_EXCEPTION)
  const mayCreate = message.allowAutoTopicCreation && broker.config.autoCreateTopicsEnable && message.topics !== null
  return mayCreate ? create(broker, name) : failed(name, ZERO_UUID, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
}

function known(
  broker: BrokerServices,
  name: string,
  message: MetadataRequest,
  request: RpcRequest,
): TopicAnswer | null {
  const { image } = broker.metadata
  const asker = { listenerName: request.connection.listenerName, version: request.apiVersion }
  const partitions = describePartitions(image, name, asker)
  if (partitions === undefined) return null
  return {
    errorCode: ErrorCode.NONE,
    name,
    topicId: image.topicId(name),
    isInternal: isInternalTopic(name),
    partitions,
    topicAuthorizedOperations: message.includeTopicAuthorizedOperations ? ALL_TOPIC_OPERATIONS : OPERATIONS_NOT_ASKED,
  }
}

/** The topic is being made when the answer says that it has no leader yet: the client comes again. */
async function create(broker: BrokerServices, name: string): Promise<TopicAnswer> {
  if (name === GROUP_METADATA_TOPIC) {
    const problem = await broker.internalTopics.createGroupMetadataTopic()
    return failed(
      name,
      ZERO_UUID,
      problem === null ? ErrorCode.LEADER_NOT_AVAILABLE : ErrorCode.INVALID_REPLICATION_FACTOR,
    )
  }
  const { errorCode, errorMessage } = await broker.topicAdministration.createUnasked({
    name,
    numPartitions: -1,
    replicationFactor: -1,
    assignments: new Map(),
    configs: {},
  })
  if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.TOPIC_ALREADY_EXISTS)
    return failed(name, ZERO_UUID, ErrorCode.LEADER_NOT_AVAILABLE)
  broker.platform.logger.warn(`topic ${name} could not be created automatically: ${errorMessage ?? errorCode}`)
  return failed(name, ZERO_UUID, errorCode)
}

function failed(name: string | null, topicId: string, errorCode: number): TopicAnswer {
  return { errorCode, name, topicId, isInternal: name !== null && isInternalTopic(name), partitions: [] }
}
