/**
 * The controller tells a broker which partitions it leads or follows. Version 2 groups partitions by topic and
 * fences by broker epoch (KIP-380), 5 carries topic ids (KIP-516), 6 the state after an unclean election
 * (KIP-704). A controller of `inter.broker.protocol.version` 3.9 sends 7.
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

const leaderAndIsrPartitionState = {
  topicName: string.until(1).ignorable,
  partitionIndex: int32,
  /** Epoch of the controller that wrote this state, not necessarily the sender's. */
  controllerEpoch: int32,
  /** -1 if there is none. */
  leader: int32,
  leaderEpoch: int32,
  isr: array(int32),
  /** Version of the partition's `state` znode. */
  partitionEpoch: int32,
  replicas: array(int32),
  /** Replicas that a reassignment adds. */
  addingReplicas: array(int32).since(3).ignorable,
  /** Replicas that a reassignment takes away. */
  removingReplicas: array(int32).since(3).ignorable,
  /** The partition was just created, so that missing logs are no loss. */
  isNew: bool.since(1).default(false).ignorable,
  /** 0 recovered; 1 recovering: elected uncleanly, and not yet through with it (KIP-704). */
  leaderRecoveryState: int8.since(6).default(0),
}

const leaderAndIsrPartitionError = {
  topicName: string.until(4).ignorable,
  partitionIndex: int32,
  errorCode: int16,
}

export const LeaderAndIsr = api({
  key: 4,
  name: 'LeaderAndIsr',
  versions: [0, 7],
  flexibleSince: 4,
  request: {
    controllerId: int32,
    /** True only while a cluster moves from ZooKeeper to KRaft (KIP-866). */
    isKRaftController: bool.since(7).default(false),
    controllerEpoch: int32,
    /** Czxid of the receiver's registration; -1 skips the check. */
    brokerEpoch: int64.since(2).default(-1).ignorable,
    /** 0 in ZooKeeper mode. */
    type: int8.since(5),
    ungroupedPartitionStates: array(leaderAndIsrPartitionState).until(1),
    topicStates: array({
      topicName: string,
      topicId: uuid.since(5).ignorable,
      partitionStates: array(leaderAndIsrPartitionState),
    }).since(2),
    /** Addresses, on the inter-broker listener, of living brokers that lead some of these partitions. */
    liveLeaders: array({
      brokerId: int32,
      hostName: string,
      port: int32,
    }),
  },
  response: {
    errorCode: int16,
    partitionErrors: array(leaderAndIsrPartitionError).until(4),
    topics: array({
      topicId: uuid,
      partitionErrors: array(leaderAndIsrPartitionError),
    }).since(5),
  },
})

export type LeaderAndIsrRequest = RequestOf<typeof LeaderAndIsr>
export type LeaderAndIsrRequestInput = RequestInputOf<typeof LeaderAndIsr>
export type LeaderAndIsrResponse = ResponseOf<typeof LeaderAndIsr>
export type LeaderAndIsrResponseInput = ResponseInputOf<typeof LeaderAndIsr>
