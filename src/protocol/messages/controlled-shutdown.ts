/**
 * A broker that is about to stop asks the controller to move its leaders away. Version 0 has a request header of
 * its own kind (see header.ts).
 */
import {
  api,
  array,
  int16,
  int32,
  int64,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const ControlledShutdown = api({
  key: 7,
  name: 'ControlledShutdown',
  versions: [0, 3],
  flexibleSince: 3,
  request: {
    brokerId: int32,
    /** Czxid of the broker's registration; -1 if not known. */
    brokerEpoch: int64.since(2).default(-1).ignorable,
  },
  response: {
    errorCode: int16,
    /** Partitions that the broker still leads. */
    remainingPartitions: array({
      topicName: string,
      partitionIndex: int32,
    }),
  },
})

export type ControlledShutdownRequest = RequestOf<typeof ControlledShutdown>
export type ControlledShutdownRequestInput = RequestInputOf<typeof ControlledShutdown>
export type ControlledShutdownResponse = ResponseOf<typeof ControlledShutdown>
export type ControlledShutdownResponseInput = ResponseInputOf<typeof ControlledShutdown>
