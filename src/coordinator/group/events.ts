/**
 * What the group coordinator makes durable, and how it lies in `__consumer_offsets`: key and value each begin with a version
 * as int16. The key's version tells the kind (0 and 1 an offset, 2 a group); a null value takes back what the key names.
 */
import { ByteReader, ByteWriter, MalformedBytesError } from '#base'
import type { Message } from '#protocol'
import {
  GroupMetadataKey,
  GroupMetadataValue,
  OffsetCommitKey,
  OffsetCommitValue,
} from '#protocol/messages/consumer-offsets'

import type { EventCodec } from '#coordinator'

export type GroupEvent = OffsetEvent | GroupStoredEvent

export interface OffsetEvent {
  kind: 'offset'
  groupId: string
  topic: string
  partition: number
  /** Null: the offset is gone. */
  value: CommittedOffset | null
}

export interface CommittedOffset {
  offset: number
  /** Of the last record that was consumed; -1 unknown. */
  leaderEpoch: number
  metadata: string
  /** Wall clock, in ms. */
  commitTimestamp: number
  /** Wall clock, in ms, for clients that asked for a retention of their own; -1: the coordinator's. */
  expireTimestamp: number
}

/** A generation with its members and their assignments. */
export interface GroupStoredEvent {
  kind: 'group'
  groupId: string
  /** Null: the group is gone. */
  value: GroupMetadataValue | null
}

const OFFSET_KEY_VERSION = 1
const GROUP_KEY_VERSION = 2
/** The newest that is not flexible: what Kafka 3.9 writes. */
const OFFSET_VALUE_VERSION = 3
/** The only one that has room for an expiry of its own. */
const OFFSET_VALUE_VERSION_WITH_EXPIRY = 1
const GROUP_VALUE_VERSION = 3
/** As upstream: groups of this version were written before members had a rebalance timeout. */
const GROUP_VALUE_VERSION_WITHOUT_REBALANCE_TIMEOUT = 0

export const groupEventCodec: EventCodec<GroupEvent> = {
  encode(event) {
    return event.kind === 'offset' ? encodeOffset(event) : encodeGroup(event)
  },

  decode(key, value) {
    const reader = new ByteReader(key)
    const version = reader.int16()
    if (OffsetCommitKey.hasVersion(version)) {
      const { group, topic, partition } = OffsetCommitKey.decode(reader, version)
      return { kind: 'offset', groupId: group, topic, partition, value: value && decodeOffsetValue(value) }
    }
    if (version !== GROUP_KEY_VERSION) return null
    const { group } = GroupMetadataKey.decode(reader, version)
    return { kind: 'group', groupId: group, value: value && decodeGroupValue(value) }
  },
}

function encodeOffset({ groupId, topic, partition, value }: OffsetEvent): {
  key: Uint8Array
  value: Uint8Array | null
} {
  const key = versioned(OffsetCommitKey, OFFSET_KEY_VERSION, { group: groupId, topic, partition })
  if (value === null) return { key, value }
  const version = value.expireTimestamp === -1 ? OFFSET_VALUE_VERSION : OFFSET_VALUE_VERSION_WITH_EXPIRY
  return { key, value: versioned(OffsetCommitValue, version, value) }
}

function encodeGroup({ groupId, value }: GroupStoredEvent): { key: Uint8Array; value: Uint8Array | null } {
  const key = versioned(GroupMetadataKey, GROUP_KEY_VERSION, { group: groupId })
  return { key, value: value && versioned(GroupMetadataValue, GROUP_VALUE_VERSION, value) }
}

function versioned<In>(message: Message<unknown, In>, version: number, content: In): Uint8Array {
  const writer = new ByteWriter()
  writer.int16(version)
  message.encode(writer, content, version)
  return writer.toBytes()
}

function decodeOffsetValue(bytes: Uint8Array): CommittedOffset {
  const reader = new ByteReader(bytes)
  return OffsetCommitValue.decode(reader, knownVersion(reader, OffsetCommitValue))
}

function decodeGroupValue(bytes: Uint8Array): GroupMetadataValue {
  const reader = new ByteReader(bytes)
  const version = knownVersion(reader, GroupMetadataValue)
  const value = GroupMetadataValue.decode(reader, version)
  if (version === GROUP_VALUE_VERSION_WITHOUT_REBALANCE_TIMEOUT)
    for (const member of value.members) member.rebalanceTimeout = member.sessionTimeout
  return value
}

function knownVersion(reader: ByteReader, message: { name: string; hasVersion(version: number): boolean }): number {
  const version = reader.int16()
  if (!message.hasVersion(version)) throw new MalformedBytesError(`version ${version} of ${message.name} is not known`)
  return version
}
