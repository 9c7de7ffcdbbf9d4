/** A broker that stops asks the controller to have its partitions led elsewhere first. Source: `KafkaServer.controlledShutdown`. */
import { sleep, type Platform } from '#platform'
import { ErrorCode, errorOf } from '#protocol'
import { ControlledShutdown } from '#protocol/messages/controlled-shutdown'
import { RpcError } from '#rpc'

import type { ControllerClient } from './controller-client.ts'
import type { BrokerServices } from './services.ts'

export async function controlledShutdown(
  { clock, logger }: Platform,
  broker: BrokerServices,
  controllerClient: ControllerClient,
): Promise<void> {
  const { controlledShutdownMaxRetries, controlledShutdownRetryBackoffMs, controllerSocketTimeoutMs } = broker.config
  for (let attempt = 1; attempt <= controlledShutdownMaxRetries; attempt++) {
    const problem = await attemptShutdown(broker, controllerClient, controllerSocketTimeoutMs)
    if (problem === null) return
    const isLast = attempt === controlledShutdownMaxRetries
    logger.warn(
      `the leaderships of this broker are not handed over: ${problem}${isLast ? '; stopping all the same' : ''}`,
    )
    if (!isLast) await sleep(clock, controlledShutdownRetryBackoffMs)
  }
}

/** What is in the way, or null. */
async function attemptShutdown(
  broker: BrokerServices,
  controllerClient: ControllerClient,
  timeoutMs: number,
): Promise<string | null> {
  // Alone in the cluster there is nobody to take over.
  const others = [...broker.metadata.image.brokers.keys()].filter((id) => id !== broker.brokerId)
  if (others.length === 0) return null
  try {
    const request = { brokerId: broker.brokerId, brokerEpoch: broker.brokerEpoch }
    const { errorCode, remainingPartitions } = await controllerClient.send(ControlledShutdown, request, { timeoutMs })
    if (errorCode !== ErrorCode.NONE) return errorOf(errorCode).message
    return remainingPartitions.length === 0 ? null : `${remainingPartitions.length} partitions remain`
  } catch (error) {
    if (error instanceof RpcError) return error.message
    throw error
  }
}
