/**
 * The control requests of one event: gathered per broker, so that each gets one request of a kind with all partitions in it, and
 * made from the context as it is when they go out. Order at each broker: LeaderAndIsr, UpdateMetadata, StopReplica.
 * Source: `kafka.controller.AbstractControllerBrokerRequestBatch`.
 */
import { ZERO_UUID } from '#protocol'
import type { LeaderAndIsrRequestInput } from '#protocol/messages/leader-and-isr'
import type { StopReplicaRequestInput } from '#protocol/messages/stop-replica'
import type { UpdateMetadataRequestInput } from '#protocol/messages/update-metadata'
import { LEADER_DURING_DELETE } from '#metadata'
import { SECURITY_PROTOCOL_ID } from '#metadata/znodes'

import type { ControlledPartition, ControlledTopic, ControllerContext, LiveBroker } from './context.ts'

/** Versions at inter.broker.protocol.version=3.9. */
export const CONTROL_VERSION = { leaderAndIsr: 7, updateMetadata: 8, stopReplica: 4 } as const

export type ControlRequest =
  | { readonly kind: 'leaderAndIsr'; readonly brokerId: number; readonly request: LeaderAndIsrRequestInput }
  | { readonly kind: 'updateMetadata'; readonly brokerId: number; readonly request: UpdateMetadataRequestInput }
  | { readonly kind: 'stopReplica'; readonly brokerId: number; readonly request: StopReplicaRequestInput }

/** Who sends. */
export interface Sender {
  readonly brokerId: number
  readonly interBrokerListenerName: string
}

export class ControlBatch {
  /** By broker: partitions, and whether the replica there is new. */
  readonly #leaderAndIsr = new Map<number, Map<ControlledPartition, boolean>>()
  /** By broker: partitions, and whether the replica's log goes too. */
  readonly #stopReplica = new Map<number, Map<ControlledPartition, boolean>>()
  readonly #metadataBrokers = new Set<number>()
  readonly #metadataPartitions = new Set<ControlledPartition>()
  readonly #context: ControllerContext

  constructor(context: ControllerContext) {
    this.#context = context
  }

  /** Tells replicas their part, and all brokers what became of the partition. `isNew`: the replica has no log yet. */
  leaderAndIsr(brokerIds: readonly number[], partition: ControlledPartition, isNew: boolean): void {
    for (const brokerId of brokerIds) {
      const partitions = entry(this.#leaderAndIsr, brokerId)
      partitions.set(partition, isNew || partitions.get(partition) === true)
    }
    this.updateMetadata([partition])
  }

  stopReplica(brokerId: number, partition: ControlledPartition, deletePartition: boolean): void {
    const partitions = entry(this.#stopReplica, brokerId)
    partitions.set(partition, deletePartition || partitions.get(partition) === true)
  }

  /** Every receiver gets all partitions of the batch, and always the live brokers. */
  updateMetadata(
    partitions: Iterable<ControlledPartition>,
    brokerIds: Iterable<number> = this.#context.brokers.keys(),
  ): void {
    for (const brokerId of brokerIds) this.#metadataBrokers.add(brokerId)
    for (const partition of partitions) this.#metadataPartitions.add(partition)
  }

  /** In the order in which they are to be sent; none to a broker that is not registered. */
  requests(sender: Sender): ControlRequest[] {
    return [...this.#leaderAndIsrRequests(sender), ...this.#metadataRequests(sender), ...this.#stopRequests(sender)]
  }

  *#leaderAndIsrRequests(sender: Sender): Generator<ControlRequest> {
    for (const [brokerId, partitions] of this.#leaderAndIsr) {
      const broker = this.#context.brokers.get(brokerId)
      if (broker === undefined) continue
      const topicStates = [...byTopic(partitions.keys())].map(([topic, members]) => ({
        topicName: topic.name,
        topicId: topic.topicId ?? ZERO_UUID,
        partitionStates: members.map((partition) => leaderAndIsrState(partition, partitions.get(partition)!)),
      }))
      const liveLeaders = this.#liveLeaders(partitions.keys(), sender.interBrokerListenerName)
      const request = { ...this.#header(broker, sender), type: 0, topicStates, liveLeaders }
      yield { kind: 'leaderAndIsr', brokerId, request }
    }
  }

  *#metadataRequests(sender: Sender): Generator<ControlRequest> {
    if (this.#metadataBrokers.size === 0) return
    const topicStates = [...byTopic(this.#metadataPartitions)].map(([topic, members]) => ({
      topicName: topic.name,
      topicId: topic.topicId ?? ZERO_UUID,
      partitionStates: members
        .filter((partition) => partition.leadership !== null)
        .map((partition) => metadataState(this.#context, partition)),
    }))
    const stated = topicStates.filter((topic) => topic.partitionStates.length > 0)
    const liveBrokers = [...this.#context.brokers.values()].map((broker) => liveBrokerState(broker))
    for (const brokerId of this.#metadataBrokers) {
      const broker = this.#context.brokers.get(brokerId)
      if (broker === undefined) continue
      const request = { ...this.#header(broker, sender), topicStates: stated, liveBrokers }
      yield { kind: 'updateMetadata', brokerId, request }
    }
  }

  *#stopRequests(sender: Sender): Generator<ControlRequest> {
    for (const [brokerId, partitions] of this.#stopReplica) {
      const broker = this.#context.brokers.get(brokerId)
      if (broker === undefined) continue
      const topicStates = [...byTopic(partitions.keys())].map(([topic, members]) => ({
        topicName: topic.name,
        partitionStates: members.map((partition) => ({
          partitionIndex: partition.index,
          leaderEpoch: partition.requestLeaderEpoch,
          deletePartition: partitions.get(partition)!,
        })),
      }))
      yield { kind: 'stopReplica', brokerId, request: { ...this.#header(broker, sender), topicStates } }
    }
  }

  #header(broker: LiveBroker, sender: Sender) {
    return {
      controllerId: sender.brokerId,
      isKRaftController: false,
      controllerEpoch: this.#context.epoch,
      brokerEpoch: broker.epoch,
    }
  }

  #liveLeaders(partitions: Iterable<ControlledPartition>, listenerName: string) {
    const leaders = new Set<number>()
    for (const partition of partitions) if (partition.leadership !== null) leaders.add(partition.leadership.leader)
    const found: { brokerId: number; hostName: string; port: number }[] = []
    for (const brokerId of leaders) {
      const { endpoints = [] } = this.#context.brokers.get(brokerId)?.registration ?? {}
      const endpoint = endpoints.find((each) => each.listenerName === listenerName)
      if (endpoint !== undefined) found.push({ brokerId, hostName: endpoint.host, port: endpoint.port })
    }
    return found
  }
}

function leaderAndIsrState(partition: ControlledPartition, isNew: boolean) {
  const leadership = partition.leadership!
  return {
    partitionIndex: partition.index,
    controllerEpoch: leadership.controllerEpoch,
    leader: leadership.leader,
    leaderEpoch: leadership.leaderEpoch,
    isr: [...leadership.isr],
    partitionEpoch: leadership.partitionEpoch,
    replicas: [...partition.replicas],
    addingReplicas: [...partition.assignment.addingReplicas],
    removingReplicas: [...partition.assignment.removingReplicas],
    isNew,
    leaderRecoveryState: leadership.leaderRecoveryState,
  }
}

/** Of a topic that is to be deleted brokers hear that its partitions are led by nobody, ever again. */
function metadataState(context: ControllerContext, partition: ControlledPartition) {
  const leadership = partition.leadership!
  const deleted = partition.topic.isQueuedForDeletion
  return {
    partitionIndex: partition.index,
    controllerEpoch: leadership.controllerEpoch,
    leader: deleted ? LEADER_DURING_DELETE : leadership.leader,
    leaderEpoch: deleted ? 0 : leadership.leaderEpoch,
    isr: [...leadership.isr],
    zkVersion: deleted ? 0 : leadership.partitionEpoch,
    replicas: [...partition.replicas],
    offlineReplicas: partition.replicas.filter((replica) => !context.isReplicaOnline(partition, replica)),
  }
}

function liveBrokerState(broker: LiveBroker) {
  const { id, rack, endpoints } = broker.registration
  return {
    id,
    rack,
    endpoints: endpoints.map((endpoint) => ({
      port: endpoint.port,
      host: endpoint.host,
      listener: endpoint.listenerName,
      securityProtocol: SECURITY_PROTOCOL_ID[endpoint.securityProtocol],
    })),
  }
}

function byTopic(partitions: Iterable<ControlledPartition>): Map<ControlledTopic, ControlledPartition[]> {
  return Map.groupBy(partitions, (partition) => partition.topic)
}

function entry(
  map: Map<number, Map<ControlledPartition, boolean>>,
  brokerId: number,
): Map<ControlledPartition, boolean> {
  let partitions = map.get(brokerId)
  if (partitions === undefined) map.set(brokerId, (partitions = new Map()))
  return partitions
}
