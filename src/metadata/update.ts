import { ZERO_UUID } from '#protocol'
import type { UpdateMetadataRequest } from '#protocol/messages/update-metadata'

import {
  MetadataImage,
  type BrokerMetadata,
  type EndpointMetadata,
  type PartitionMetadata,
  type TopicMetadata,
} from './image.ts'

/** Leader of a partition that is being deleted: those who hear of it drop the partition. */
export const LEADER_DURING_DELETE = -2

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** What an UpdateMetadata request changed. */
export interface MetadataDelta {
  /** Partitions that are new or were stated again, with their state now. */
  readonly updated: readonly PartitionMetadata[]
  /** Partitions that are no more. */
  readonly removed: readonly TopicPartition[]
  readonly newBrokers: readonly number[]
  readonly lostBrokers: readonly number[]
  readonly controllerChanged: boolean
}

/**
 * Folds a request in. It always lists all live brokers, but only the partitions that changed.
 * Whether the sender is still the controller is judged before (`STALE_CONTROLLER_EPOCH`, `STALE_BROKER_EPOCH`).
 * Source: `ZkMetadataCache.updateMetadata`.
 */
export function applyUpdateMetadata(
  image: MetadataImage,
  request: UpdateMetadataRequest,
): { image: MetadataImage; delta: MetadataDelta } {
  const brokers = liveBrokers(request)
  const { topics, topicNames, updated, removed } = foldTopics(image, statesByTopic(request))
  const controllerId = Math.max(-1, request.controllerId)
  return {
    image: new MetadataImage({ controllerId, brokers, topics, topicNames }),
    delta: {
      updated,
      removed,
      newBrokers: [...brokers.keys()].filter((id) => !image.brokers.has(id)),
      lostBrokers: [...image.brokers.keys()].filter((id) => !brokers.has(id)),
      controllerChanged: controllerId !== image.controllerId,
    },
  }
}

type PartitionStateInput = UpdateMetadataRequest['topicStates'][number]['partitionStates'][number]

interface TopicStates {
  topic: string
  topicId: string
  states: readonly PartitionStateInput[]
}

/** Before version 5 the partitions were not grouped by topic. */
function statesByTopic(request: UpdateMetadataRequest): TopicStates[] {
  if (request.ungroupedPartitionStates.length === 0)
    return request.topicStates.map((topic) => ({
      topic: topic.topicName,
      topicId: topic.topicId,
      states: topic.partitionStates,
    }))
  const byTopic = Map.groupBy(request.ungroupedPartitionStates, (state) => state.topicName)
  return [...byTopic].map(([topic, states]) => ({ topic, topicId: ZERO_UUID, states }))
}

function liveBrokers(request: UpdateMetadataRequest): Map<number, BrokerMetadata> {
  const brokers = new Map<number, BrokerMetadata>()
  for (const broker of request.liveBrokers) {
    const endpoints = new Map<string, EndpointMetadata>()
    for (const { listener, host, port, securityProtocol } of broker.endpoints)
      endpoints.set(listener, { listenerName: listener, host, port, securityProtocol })
    brokers.set(broker.id, { id: broker.id, rack: broker.rack, endpoints })
  }
  return brokers
}

function foldTopics(image: MetadataImage, changes: readonly TopicStates[]) {
  const updated: PartitionMetadata[] = []
  const removed: TopicPartition[] = []
  if (changes.length === 0) return { topics: image.topics, topicNames: image.topicNames, updated, removed }

  const topics = new Map(image.topics)
  const topicNames = new Map(image.topicNames)
  for (const { topic, topicId, states } of changes) {
    const before = topics.get(topic)
    const partitions = new Map(before?.partitions)
    for (const state of states) {
      const partition = state.partitionIndex
      if (state.leader === LEADER_DURING_DELETE) {
        partitions.delete(partition)
        removed.push({ topic, partition })
      } else {
        const metadata = partitionMetadata(topic, state)
        partitions.set(partition, metadata)
        updated.push(metadata)
      }
    }
    if (before !== undefined) topicNames.delete(before.topicId)
    if (partitions.size === 0) topics.delete(topic)
    else {
      topics.set(topic, { name: topic, topicId, partitions } satisfies TopicMetadata)
      if (topicId !== ZERO_UUID) topicNames.set(topicId, topic)
    }
  }
  return { topics, topicNames, updated, removed }
}

function partitionMetadata(topic: string, state: PartitionStateInput): PartitionMetadata {
  const { controllerEpoch, leader, leaderEpoch, isr, zkVersion, replicas, offlineReplicas } = state
  const partition = state.partitionIndex
  return { topic, partition, controllerEpoch, leader, leaderEpoch, isr, zkVersion, replicas, offlineReplicas }
}
