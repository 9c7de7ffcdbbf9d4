import type { Logger, Random } from '#platform'
import type { Watcher } from '#zookeeper/client'

import type { BrokerChannels } from './channels.ts'
import type { ControlBatch } from './control-batch.ts'
import type { ControlledPartition, ControllerContext } from './context.ts'
import type { ControllerConfig } from './ports.ts'
import type { StateMachines } from './state-machines.ts'
import type { ControllerStore } from './store.ts'

/** What the parts of the active controller share. */
export interface Control {
  readonly config: ControllerConfig
  readonly context: ControllerContext
  readonly store: ControllerStore
  readonly machines: StateMachines
  readonly channels: BrokerChannels
  readonly logger: Logger
  readonly random: Random
  /** Queues the batch's requests at their brokers. */
  readonly send: (batch: ControlBatch) => void
  /** UpdateMetadata with these partitions to those brokers, to all unless said. */
  readonly announce: (partitions: Iterable<ControlledPartition>, brokerIds?: Iterable<number>) => void
  /** Runs as an event of the controller's queue, unless the controller has stood down by then. */
  readonly enqueue: (name: string, run: () => Promise<void>) => void
  /** A watcher that says "look again": `run` becomes an event, once, however often it fires meanwhile. */
  readonly watcher: (name: string, run: () => Promise<void>) => Watcher
}
