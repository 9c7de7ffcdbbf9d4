/** The brokers and the controller, for tools (KIP-700). */
import {
  api,
  array,
  bool,
  int16,
  int32,
  int8,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const DescribeCluster = api({
  key: 60,
  name: 'DescribeCluster',
  versions: [0, 1],
  flexibleSince: 0,
  request: {
    includeClusterAuthorizedOperations: bool,
    /** 1 brokers, 2 controllers. */
    endpointType: int8.since(1).default(1),
  },
  response: {
    throttleTimeMs: int32,
    errorCode: int16,
    errorMessage: string.nullable().default(null),
    /** 1 brokers, 2 controllers. */
    endpointType: int8.since(1).default(1),
    clusterId: string,
    controllerId: int32.default(-1),
    brokers: array({
      brokerId: int32,
      host: string,
      port: int32,
      /** Null if the broker has none. */
      rack: string.nullable().default(null),
    }),
    /** One bit for each operation that the client may carry out, by its number in ACLs; -2³¹ if not asked for. */
    clusterAuthorizedOperations: int32.default(-(2 ** 31)),
  },
})

export type DescribeClusterRequest = RequestOf<typeof DescribeCluster>
export type DescribeClusterRequestInput = RequestInputOf<typeof DescribeCluster>
export type DescribeClusterResponse = ResponseOf<typeof DescribeCluster>
export type DescribeClusterResponseInput = ResponseInputOf<typeof DescribeCluster>
