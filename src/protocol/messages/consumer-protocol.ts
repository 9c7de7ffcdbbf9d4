/**
 * What the consumers of a group tell each other through the coordinator, which does not look into it. Each message
 * has its version before it, as int16, which is not part of it here.
 */
import { array, bytes, int32, message, string, type MessageInputOf, type MessageOf } from '#protocol'

/**
 * What a member wants, in the metadata of its JoinGroup. A reader takes a version above its own for its own
 * highest and leaves the rest of the bytes.
 */
export const ConsumerProtocolSubscription = message({
  name: 'ConsumerProtocolSubscription',
  versions: [0, 3],
  fields: {
    topics: array(string),
    /** Belongs to the assignor. */
    userData: bytes.nullable().default(null),
    /** What the member holds at present, for assignors that move little (KIP-429). */
    ownedPartitions: array({
      topic: string,
      partitions: array(int32),
    }).since(1).ignorable,
    /** The generation in which it got them; -1 if not told. */
    generationId: int32.since(2).default(-1).ignorable,
    rackId: string.since(3).nullable().default(null).ignorable,
  },
})
export type ConsumerProtocolSubscription = MessageOf<typeof ConsumerProtocolSubscription>
export type ConsumerProtocolSubscriptionInput = MessageInputOf<typeof ConsumerProtocolSubscription>

/** What a member gets, in its SyncGroup. */
export const ConsumerProtocolAssignment = message({
  name: 'ConsumerProtocolAssignment',
  versions: [0, 3],
  fields: {
    assignedPartitions: array({
      topic: string,
      partitions: array(int32),
    }),
    /** Belongs to the assignor. */
    userData: bytes.nullable().default(null),
  },
})
export type ConsumerProtocolAssignment = MessageOf<typeof ConsumerProtocolAssignment>
export type ConsumerProtocolAssignmentInput = MessageInputOf<typeof ConsumerProtocolAssignment>
