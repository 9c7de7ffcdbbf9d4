/**
 * The controller tells a broker to stop replicas, and perhaps to delete them. Version 3 decides about each
 * partition by itself (KIP-570).
 */
import {
  api,
  array,
  bool,
  int16,
  int32,
  int64,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const StopReplica = api({
  key: 5,
  name: 'StopReplica',
  versions: [0, 4],
  flexibleSince: 2,
  request: {
    controllerId: int32,
    /** True only while a cluster moves from ZooKeeper to KRaft (KIP-866). */
    isKRaftController: bool.since(4).default(false),
    controllerEpoch: int32,
    /** Czxid of the receiver's registration; -1 skips the check. */
    brokerEpoch: int64.since(1).default(-1).ignorable,
    deletePartitions: bool.until(2),
    ungroupedPartitions: array({
      topicName: string,
      partitionIndex: int32,
    }).until(0),
    topics: array({
      name: string,
      partitionIndexes: array(int32),
    })
      .since(1)
      .until(2),
    topicStates: array({
      topicName: string,
      partitionStates: array({
        partitionIndex: int32,
        /** -1 if not known, -2 when the topic is being deleted. */
        leaderEpoch: int32.default(-1),
        deletePartition: bool,
      }),
    }).since(3),
  },
  response: {
    errorCode: int16,
    partitionErrors: array({
      topicName: string,
      partitionIndex: int32,
      errorCode: int16,
    }),
  },
})

export type StopReplicaRequest = RequestOf<typeof StopReplica>
export type StopReplicaRequestInput = RequestInputOf<typeof StopReplica>
export type StopReplicaResponse = ResponseOf<typeof StopReplica>
export type StopReplicaResponseInput = ResponseInputOf<typeof StopReplica>
