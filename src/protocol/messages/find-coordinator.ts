/** Asks which broker coordinates a group or a transactional id; from version 4 on several at once (KIP-699). */
import {
  api,
  array,
  int16,
  int32,
  int8,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const FindCoordinator = api({
  key: 10,
  name: 'FindCoordinator',
  versions: [0, 6],
  flexibleSince: 3,
  request: {
    key: string.until(3),
    /** 0 group, 1 transactional id, 2 share group. */
    keyType: int8.since(1).default(0),
    coordinatorKeys: array(string).since(4),
  },
  response: {
    throttleTimeMs: int32.since(1).ignorable,
    errorCode: int16.until(3),
    errorMessage: string.since(1).until(3).nullable().ignorable,
    /** -1 with an error. */
    nodeId: int32.until(3),
    host: string.until(3),
    port: int32.until(3),
    coordinators: array({
      key: string,
      /** -1 with an error. */
      nodeId: int32,
      host: string,
      port: int32,
      errorCode: int16,
      errorMessage: string.nullable(),
    }).since(4),
  },
})

export type FindCoordinatorRequest = RequestOf<typeof FindCoordinator>
export type FindCoordinatorRequestInput = RequestInputOf<typeof FindCoordinator>
export type FindCoordinatorResponse = ResponseOf<typeof FindCoordinator>
export type FindCoordinatorResponseInput = ResponseInputOf<typeof FindCoordinator>
