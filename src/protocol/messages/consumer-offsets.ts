/**
 * Keys and values of the records in `__consumer_offsets`. Each has its version before it, as int16, which is not
 * part of it here.
 */
import { array, bytes, int32, int64, message, string, type MessageInputOf, type MessageOf } from '#protocol'

/** Versions 0 and 1 look the same; brokers write 1. */
export const OffsetCommitKey = message({
  name: 'OffsetCommitKey',
  versions: [0, 1],
  fields: {
    group: string,
    topic: string,
    partition: int32,
  },
})
export type OffsetCommitKey = MessageOf<typeof OffsetCommitKey>
export type OffsetCommitKeyInput = MessageInputOf<typeof OffsetCommitKey>

/**
 * Brokers of 3.9 write version 3, or 1 if the commit brought a retention of its own. An empty value (a tombstone)
 * deletes the offset.
 */
export const OffsetCommitValue = message({
  name: 'OffsetCommitValue',
  versions: [0, 4],
  flexibleSince: 4,
  fields: {
    offset: int64,
    /** Epoch of the last consumed record; -1 if not known. */
    leaderEpoch: int32.since(3).default(-1).ignorable,
    /** Free text beside the offset. */
    metadata: string,
    /** In ms since 1970. */
    commitTimestamp: int64,
    /** In ms since 1970; -1 if the broker decides. */
    expireTimestamp: int64.since(1).until(1).default(-1).ignorable,
  },
})
export type OffsetCommitValue = MessageOf<typeof OffsetCommitValue>
export type OffsetCommitValueInput = MessageInputOf<typeof OffsetCommitValue>

/** The version tells the two kinds of keys apart: 0 and 1 are offsets, 2 is a group. */
export const GroupMetadataKey = message({
  name: 'GroupMetadataKey',
  versions: [2, 2],
  fields: {
    group: string,
  },
})
export type GroupMetadataKey = MessageOf<typeof GroupMetadataKey>
export type GroupMetadataKeyInput = MessageInputOf<typeof GroupMetadataKey>

const memberMetadata = {
  memberId: string,
  /** Names a static member across its restarts (KIP-345); null for a dynamic one. */
  groupInstanceId: string.since(3).nullable().default(null).ignorable,
  clientId: string,
  clientHost: string,
  /** In ms; -1 takes the session timeout. */
  rebalanceTimeout: int32.since(1).default(-1).ignorable,
  /** In ms. */
  sessionTimeout: int32,
  /** The metadata of its JoinGroup for the chosen protocol. */
  subscription: bytes,
  assignment: bytes,
}

/**
 * The whole state of a group, once per generation. Brokers of 3.9 write version 3. An empty value (a tombstone)
 * deletes the group.
 */
export const GroupMetadataValue = message({
  name: 'GroupMetadataValue',
  versions: [0, 4],
  flexibleSince: 4,
  fields: {
    protocolType: string,
    generation: int32,
    /** Null, as is the leader, while the group has no members. */
    protocol: string.nullable(),
    leader: string.nullable(),
    /** When the group came into its state, in ms since 1970; -1 if not known. */
    currentStateTimestamp: int64.since(2).default(-1).ignorable,
    members: array(memberMetadata),
  },
})
export type GroupMetadataValue = MessageOf<typeof GroupMetadataValue>
export type GroupMetadataValueInput = MessageInputOf<typeof GroupMetadataValue>
