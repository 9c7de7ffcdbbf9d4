/**
 * What the Metadata API answers out of an image. Source: `ZkMetadataCache.getPartitionMetadata`.
 */
import { ErrorCode } from '#protocol'

import type { EndpointMetadata, MetadataImage, PartitionMetadata } from './image.ts'

/** One partition as Metadata describes it; fields as in the schema. */
export interface PartitionDescription {
  errorCode: number
  partitionIndex: number
  leaderId: number
  leaderEpoch: number
  replicaNodes: number[]
  isrNodes: number[]
  offlineReplicas: number[]
}

export interface BrokerDescription {
  nodeId: number
  host: string
  port: number
  rack: string | null
}

/** Through which door the client came, and how new its request is: both decide what it may be told. */
export interface Asker {
  listenerName: string
  /** Version of the Metadata request. */
  version: number
}

/** The partitions of a topic in order; undefined when there is no such topic. */
export function describePartitions(
  image: MetadataImage,
  topic: string,
  asker: Asker,
): PartitionDescription[] | undefined {
  const partitions = image.topic(topic)?.partitions
  if (partitions === undefined) return undefined
  return [...partitions.values()]
    .sort((a, b) => a.partition - b.partition)
    .map((partition) => describePartition(image, partition, asker))
}

function describePartition(image: MetadataImage, partition: PartitionMetadata, asker: Asker): PartitionDescription {
  const replicaNodes = reachable(image, partition.replicas, asker)
  const isrNodes = reachable(image, partition.isr, asker)
  const described = {
    partitionIndex: partition.partition,
    leaderEpoch: partition.leaderEpoch,
    replicaNodes,
    isrNodes,
    offlineReplicas: [...partition.offlineReplicas],
  }
  if (image.endpoint(partition.leader, asker.listenerName) === undefined)
    return { errorCode: leaderError(image, partition.leader, asker), leaderId: -1, ...described }
  const complete = replicaNodes.length === partition.replicas.length && isrNodes.length === partition.isr.length
  return {
    errorCode: complete ? ErrorCode.NONE : ErrorCode.REPLICA_NOT_AVAILABLE,
    leaderId: partition.leader,
    ...described,
  }
}

/** Version 0 lists only replicas that the client can reach, and says so by an error; later ones list all. */
function reachable(image: MetadataImage, replicas: readonly number[], asker: Asker): number[] {
  if (asker.version > 0) return [...replicas]
  return replicas.filter((id) => image.endpoint(id, asker.listenerName) !== undefined)
}

/** The leader lives, but not on the client's listener: a configuration fault, which clients before version 6 cannot be told. */
function leaderError(image: MetadataImage, leader: number, asker: Asker): number {
  return image.isAlive(leader) && asker.version >= 6 ? ErrorCode.LISTENER_NOT_FOUND : ErrorCode.LEADER_NOT_AVAILABLE
}

/** The live brokers that the client can reach through its own listener. */
export function describeBrokers(image: MetadataImage, listenerName: string): BrokerDescription[] {
  const described: BrokerDescription[] = []
  for (const broker of image.brokers.values()) {
    const endpoint: EndpointMetadata | undefined = broker.endpoints.get(listenerName)
    if (endpoint !== undefined)
      described.push({ nodeId: broker.id, host: endpoint.host, port: endpoint.port, rack: broker.rack })
  }
  return described
}
