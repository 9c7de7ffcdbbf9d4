/**
 * The controller tells every broker what clients may ask it for: the living brokers (always all of them) and the
 * partitions that have changed.
 */
import {
  api,
  array,
  bool,
  int16,
  int32,
  int64,
  int8,
  string,
  uuid,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

const updateMetadataPartitionState = {
  topicName: string.until(4).ignorable,
  partitionIndex: int32,
  /** Epoch of the controller that wrote this state, not necessarily the sender's. */
  controllerEpoch: int32,
  /** -1 if there is none, -2 if the topic is being deleted. */
  leader: int32,
  leaderEpoch: int32,
  isr: array(int32),
  /** Version of the partition's `state` znode. */
  zkVersion: int32,
  replicas: array(int32),
  /** Replicas whose broker, or whose disk there, is gone. */
  offlineReplicas: array(int32).since(4).ignorable,
}

export const UpdateMetadata = api({
  key: 6,
  name: 'UpdateMetadata',
  versions: [0, 8],
  flexibleSince: 6,
  request: {
    controllerId: int32,
    /** True only while a cluster moves from ZooKeeper to KRaft (KIP-866). */
    isKRaftController: bool.since(8).default(false),
    /** 0 in ZooKeeper mode. */
    type: int8.default(0).tagged(0, 8),
    controllerEpoch: int32,
    /** Czxid of the receiver's registration; -1 skips the check. */
    brokerEpoch: int64.since(5).default(-1).ignorable,
    ungroupedPartitionStates: array(updateMetadataPartitionState).until(4),
    /** Only what has changed. */
    topicStates: array({
      topicName: string,
      topicId: uuid.since(7).ignorable,
      partitionStates: array(updateMetadataPartitionState),
    }).since(5),
    /** All of them, each time. */
    liveBrokers: array({
      id: int32,
      v0Host: string.until(0).ignorable,
      v0Port: int32.until(0).ignorable,
      endpoints: array({
        port: int32,
        host: string,
        listener: string.since(3).ignorable,
        /** 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL. */
        securityProtocol: int16,
      }).since(1).ignorable,
      /** Null if the broker has none. */
      rack: string.since(2).nullable().ignorable,
    }),
  },
  response: {
    errorCode: int16,
  },
})

export type UpdateMetadataRequest = RequestOf<typeof UpdateMetadata>
export type UpdateMetadataRequestInput = RequestInputOf<typeof UpdateMetadata>
export type UpdateMetadataResponse = ResponseOf<typeof UpdateMetadata>
export type UpdateMetadataResponseInput = ResponseInputOf<typeof UpdateMetadata>
