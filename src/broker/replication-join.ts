/** Joins the replica manager to the broker: where leaders are reached, who is told of ISR changes, who hears of leaderships. */
import type { GroupCoordinator } from '#coordinator/group'
import type { Platform } from '#platform'
import { ZERO_UUID } from '#protocol'
import { AlterPartition } from '#protocol/messages/alter-partition'
import { ReplicaManager, type BrokerEndpoint, type Faults, type LeaderEndpoint } from '#replication'
import type { LogManager } from '#storage'

import { REPLICA_SELECTORS, type BrokerConfig } from './config/index.ts'
import type { ControllerClient } from './controller-client.ts'
import { GROUP_METADATA_TOPIC, isInternalTopic } from './internal-topics.ts'
import type { MetadataCache } from './metadata-cache.ts'
import type { Registration } from './registration.ts'
import type { TopicConfigStore } from './topic-configs.ts'

export interface ReplicationParts {
  readonly platform: Platform
  readonly brokerId: number
  readonly config: BrokerConfig
  readonly logs: LogManager
  readonly metadata: MetadataCache
  readonly topicConfigs: TopicConfigStore
  readonly controllerClient: ControllerClient
  readonly registration: Registration
  readonly faults: Faults
  /** Made after the replica manager, which it needs. */
  groups(): GroupCoordinator
  onDirectoryFailure(path: string, remaining: number): void
  leader(leader: BrokerEndpoint, fetcherId: number): LeaderEndpoint
}

/** Before topic ids. */
const ALTER_PARTITION_BY_NAME_VERSION = 1

export function joinReplicaManager(parts: ReplicationParts): ReplicaManager {
  const { platform, brokerId, config, logs, metadata, topicConfigs, controllerClient, registration, faults } = parts
  return new ReplicaManager({
    platform,
    brokerId,
    config: { ...config, replicaSelector: REPLICA_SELECTORS.get(config.replicaSelectorClass ?? '') ?? 'leader' },
    logs,
    topicConfigs,
    faults,
    isInternalTopic,
    brokerEpoch: () => registration.epoch,
    metadata: {
      aliveBroker(id) {
        const endpoint = metadata.image.endpoint(id, config.interBrokerListener)
        return endpoint === undefined ? null : { id, host: endpoint.host, port: endpoint.port }
      },
      rackOf: (id) => metadata.image.brokers.get(id)?.rack ?? null,
      hasPartition: (topic, partition) => metadata.image.partition(topic, partition) !== undefined,
    },
    leaders: { endpoint: (leader, fetcherId) => parts.leader(leader, fetcherId) },
    alterPartitions: {
      send(request) {
        const byName = request.topics.some(({ topicId = ZERO_UUID }) => topicId === ZERO_UUID)
        return controllerClient.send(AlterPartition, request, {
          timeoutMs: config.requestTimeoutMs,
          ...(byName ? { maxVersion: ALTER_PARTITION_BY_NAME_VERSION } : {}),
        })
      },
    },
    events: {
      onLeader(topic, partition, leaderEpoch) {
        if (topic === GROUP_METADATA_TOPIC) void parts.groups().becomeLeader(partition, leaderEpoch)
      },
      onFollower(topic, partition, leaderEpoch) {
        if (topic === GROUP_METADATA_TOPIC) parts.groups().resign(partition, leaderEpoch)
      },
      onDirectoryFailure: (path, remaining) => parts.onDirectoryFailure(path, remaining),
    },
  })
}
