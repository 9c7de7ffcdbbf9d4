/**
 * The leader of a partition asks the controller to change its ISR (KIP-497). Version 2 names topics by id
 * (KIP-841), 3 gives the epoch of each replica (KIP-903).
 */
import {
  api,
  array,
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

export const AlterPartition = api({
  key: 56,
  name: 'AlterPartition',
  versions: [0, 3],
  flexibleSince: 0,
  request: {
    brokerId: int32,
    /** Czxid of the broker's registration; -1 if not known. */
    brokerEpoch: int64.default(-1),
    topics: array({
      topicName: string.until(1).ignorable,
      topicId: uuid.since(2).ignorable,
      partitions: array({
        partitionIndex: int32,
        leaderEpoch: int32,
        newIsr: array(int32).until(2),
        newIsrWithEpochs: array({
          brokerId: int32,
          /** Epoch of the replica as the leader knows it; -1 if not known. */
          brokerEpoch: int64.default(-1),
        }).since(3),
        /** 0 recovered; 1 recovering: elected uncleanly, and not yet through with it (KIP-704). */
        leaderRecoveryState: int8.since(1).default(0),
        /** The version of the state that the leader has; the change is made only on top of it. */
        partitionEpoch: int32,
      }),
    }),
  },
  response: {
    throttleTimeMs: int32,
    errorCode: int16,
    topics: array({
      topicName: string.until(1).ignorable,
      topicId: uuid.since(2).ignorable,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        leaderId: int32,
        leaderEpoch: int32,
        isr: array(int32),
        /** 0 recovered; 1 recovering: elected uncleanly, and not yet through with it (KIP-704). */
        leaderRecoveryState: int8.since(1).default(0).ignorable,
        partitionEpoch: int32,
      }),
    }),
  },
})

export type AlterPartitionRequest = RequestOf<typeof AlterPartition>
export type AlterPartitionRequestInput = RequestInputOf<typeof AlterPartition>
export type AlterPartitionResponse = ResponseOf<typeof AlterPartition>
export type AlterPartitionResponseInput = ResponseInputOf<typeof AlterPartition>
