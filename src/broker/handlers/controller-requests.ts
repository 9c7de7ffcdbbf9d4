/** What brokers ask of the controller: AlterPartition, ControlledShutdown, AllocateProducerIds; others are told that it is elsewhere. */
import { AllocateProducerIds } from '#protocol/messages/allocate-producer-ids'
import { AlterPartition } from '#protocol/messages/alter-partition'
import { ControlledShutdown } from '#protocol/messages/controlled-shutdown'

import { handler } from './handler.ts'

export const alterPartition = handler(AlterPartition, (broker, message, { apiVersion }) =>
  broker.controller.alterPartition(message, apiVersion),
)

export const controlledShutdown = handler(ControlledShutdown, (broker, message) =>
  broker.controller.controlledShutdown(message),
)

export const allocateProducerIds = handler(AllocateProducerIds, (broker, message) =>
  broker.controller.allocateProducerIds(message),
)
