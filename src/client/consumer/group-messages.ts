/** Subscriptions and assignments as they stand in JoinGroup and SyncGroup: their version as int16, then the message. */
import { ByteReader, ByteWriter, MalformedBytesError } from '#base'
import { ConsumerProtocolAssignment, ConsumerProtocolSubscription } from '#protocol/messages/consumer-protocol'

import type { AssignableMember } from './assignors/index.ts'
import { byTopic, compareNames, compareTopicPartitions, type TopicPartition } from './topic-partition.ts'

/** The version that Java's consumer of 3.9 writes; readers of older ones leave the rest. */
const SUBSCRIPTION_VERSION = 3
const ASSIGNMENT_VERSION = 3
/** `protocol.type` of consumer groups. */
export const CONSUMER_PROTOCOL_TYPE = 'consumer'

export interface Subscription {
  readonly topics: readonly string[]
  readonly userData: Uint8Array | null
  readonly ownedPartitions: readonly TopicPartition[]
  /** -1 before the first. */
  readonly generation: number
  /** `client.rack`; null if there is none. */
  readonly rackId: string | null
}

export function encodeSubscription(subscription: Subscription): Uint8Array {
  const { topics, userData, ownedPartitions, generation, rackId } = subscription
  const message = {
    topics: [...topics].sort(compareNames),
    userData,
    ownedPartitions: grouped([...ownedPartitions].sort(compareTopicPartitions)),
    generationId: generation,
    rackId,
  }
  return versioned(SUBSCRIPTION_VERSION, ConsumerProtocolSubscription.encodeToBytes(message, SUBSCRIPTION_VERSION))
}

/** Throws `MalformedBytesError`. */
export function decodeSubscription(bytes: Uint8Array): Subscription {
  const { reader, version } = unversioned(bytes, SUBSCRIPTION_VERSION)
  const { topics, userData, ownedPartitions, generationId, rackId } = ConsumerProtocolSubscription.decode(
    reader,
    version,
  )
  return {
    topics,
    userData: userData === null ? null : userData.slice(),
    ownedPartitions: flat(ownedPartitions),
    generation: generationId,
    rackId: rackId === '' ? null : rackId,
  }
}

export function encodeAssignment(partitions: readonly TopicPartition[]): Uint8Array {
  const message = { assignedPartitions: grouped(partitions), userData: null }
  return versioned(ASSIGNMENT_VERSION, ConsumerProtocolAssignment.encodeToBytes(message, ASSIGNMENT_VERSION))
}

/** Throws `MalformedBytesError`. No bytes at all are no partitions: the leader of the group left the member out. */
export function decodeAssignment(bytes: Uint8Array): TopicPartition[] {
  if (bytes.length === 0) return []
  const { reader, version } = unversioned(bytes, ASSIGNMENT_VERSION)
  return flat(ConsumerProtocolAssignment.decode(reader, version).assignedPartitions)
}

/** The members of a JoinGroup's answer, as assignors want them. Throws `MalformedBytesError`. */
export function assignableMembers(
  members: readonly { memberId: string; groupInstanceId: string | null; metadata: Uint8Array }[],
): AssignableMember[] {
  return members.map(({ memberId, groupInstanceId, metadata }) => ({
    memberId,
    groupInstanceId,
    ...decodeSubscription(metadata),
  }))
}

function versioned(version: number, message: Uint8Array): Uint8Array {
  const writer = new ByteWriter(2 + message.length)
  writer.int16(version)
  writer.bytes(message)
  return writer.toBytes()
}

/** A message of a later version is read as the latest that we know; what it has more follows and is left. */
function unversioned(bytes: Uint8Array, versionMax: number): { reader: ByteReader; version: number } {
  const reader = new ByteReader(bytes)
  const version = reader.int16()
  if (version < 0) throw new MalformedBytesError(`version ${version} of the consumer protocol does not exist`)
  return { reader, version: Math.min(version, versionMax) }
}

function grouped(partitions: readonly TopicPartition[]): { topic: string; partitions: number[] }[] {
  return Array.from(byTopic(partitions), ([topic, list]) => ({
    topic,
    partitions: list.map(({ partition }) => partition),
  }))
}

function flat(topics: readonly { topic: string; partitions: readonly number[] }[]): TopicPartition[] {
  return topics.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })))
}
