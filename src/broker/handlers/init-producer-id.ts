/** InitProducerId: an identity by which a partition tells a producer's retry from a new batch. */
import { ErrorCode } from '#protocol'
import { InitProducerId, type InitProducerIdResponseInput } from '#protocol/messages/init-producer-id'

import { handler } from './handler.ts'

export const initProducerId = handler(InitProducerId, async (broker, { transactionalId }, { clientId }) => {
  if (transactionalId === '') return refusal(ErrorCode.INVALID_REQUEST)
  if (transactionalId !== null) {
    // The answer has no room for a reason: FindCoordinator, which clients ask first, gives it.
    broker.platform.logger.warn(
      `producer ${clientId ?? ''} wants transactional.id=${transactionalId}: transactions are not served yet`,
    )
    return refusal(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
  }
  const producerId = await broker.producerIds.next()
  if (producerId === null) return refusal(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
  return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, producerId, producerEpoch: 0 }
})

function refusal(errorCode: number): InitProducerIdResponseInput {
  return { throttleTimeMs: 0, errorCode, producerId: -1, producerEpoch: -1 }
}
