/** FindCoordinator: the leader of the partition of `__consumer_offsets` that a group's state lies in. */
import { ErrorCode } from '#protocol'
import { FindCoordinator, type FindCoordinatorResponseInput } from '#protocol/messages/find-coordinator'

import type { BrokerServices } from '../services.ts'
import { GROUP_METADATA_TOPIC } from '../internal-topics.ts'
import { handler } from './handler.ts'

const KeyType = { GROUP: 0, TRANSACTION: 1 } as const

type Coordinator = NonNullable<FindCoordinatorResponseInput['coordinators']>[number]

export const findCoordinator = handler(FindCoordinator, async (broker, message, { apiVersion, connection }) => {
  const keys = apiVersion >= 4 ? message.coordinatorKeys : [message.key]
  const coordinators: Coordinator[] = []
  for (const key of keys)
    coordinators.push({ key, ...(await find(broker, message.keyType, key, connection.listenerName)) })
  if (apiVersion >= 4) return { coordinators }
  const { errorCode, errorMessage, nodeId, host, port } = coordinators[0]!
  return { errorCode, errorMessage, nodeId, host, port }
})

type Found = Omit<Coordinator, 'key'>

async function find(broker: BrokerServices, keyType: number, key: string, listenerName: string): Promise<Found> {
  if (keyType === KeyType.TRANSACTION) {
    broker.platform.logger.warn(`a producer wants transactional.id=${key}: transactions are not served yet`)
    return refusal(
      ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
      'Transactions are not served by this broker yet: take transactional.id out of the producer.',
    )
  }
  if (keyType !== KeyType.GROUP)
    return refusal(ErrorCode.INVALID_REQUEST, `There are no coordinators of type ${keyType}.`)
  const topic = broker.metadata.image.topic(GROUP_METADATA_TOPIC)
  if (topic === undefined) {
    const problem = await broker.internalTopics.createGroupMetadataTopic()
    return refusal(ErrorCode.COORDINATOR_NOT_AVAILABLE, problem)
  }
  const leader = topic.partitions.get(broker.groups.partitionFor(key))?.leader ?? -1
  const endpoint = broker.metadata.image.endpoint(leader, listenerName)
  if (endpoint === undefined) return refusal(ErrorCode.COORDINATOR_NOT_AVAILABLE, null)
  return { nodeId: leader, host: endpoint.host, port: endpoint.port, errorCode: ErrorCode.NONE, errorMessage: null }
}

function refusal(errorCode: number, errorMessage: string | null): Found {
  return { nodeId: -1, host: '', port: -1, errorCode, errorMessage }
}
