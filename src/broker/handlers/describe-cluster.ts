/** DescribeCluster: the brokers and the controller. */
import { describeBrokers } from '#metadata'
import { ErrorCode } from '#protocol'
import { DescribeCluster } from '#protocol/messages/describe-cluster'

import { ALL_CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED } from './authorized-operations.ts'
import { handler } from './handler.ts'

const BROKERS = 1

export const describeCluster = handler(DescribeCluster, (broker, message, { connection }) => {
  const { image } = broker.metadata
  const { includeClusterAuthorizedOperations, endpointType } = message
  const asked = endpointType === BROKERS
  return {
    throttleTimeMs: 0,
    errorCode: asked ? ErrorCode.NONE : ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
    errorMessage: asked ? null : 'A broker describes brokers only.',
    endpointType,
    clusterId: asked ? broker.clusterId : '',
    controllerId: asked ? image.liveControllerId : -1,
    brokers: asked
      ? describeBrokers(image, connection.listenerName).map(({ nodeId, host, port, rack }) => ({
          brokerId: nodeId,
          host,
          port,
          rack,
        }))
      : [],
    clusterAuthorizedOperations: includeClusterAuthorizedOperations ? ALL_CLUSTER_OPERATIONS : OPERATIONS_NOT_ASKED,
  }
})
