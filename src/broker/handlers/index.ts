/** Every API that the broker serves. What is not here is not advertised, and who asks for it all the same is disconnected. */
import type { AdvertisedApi } from '../services.ts'
import { alterConfigs, incrementalAlterConfigs } from './alter-configs.ts'
import { alterPartitionReassignments } from './alter-partition-reassignments.ts'
import { alterReplicaLogDirs } from './alter-replica-log-dirs.ts'
import { apiVersions } from './api-versions.ts'
import { leaderAndIsr, stopReplica, updateMetadata } from './control-requests.ts'
import { allocateProducerIds, alterPartition, controlledShutdown } from './controller-requests.ts'
import { createPartitions } from './create-partitions.ts'
import { createTopics } from './create-topics.ts'
import { deleteRecords } from './delete-records.ts'
import { deleteTopics } from './delete-topics.ts'
import { describeCluster } from './describe-cluster.ts'
import { describeConfigs } from './describe-configs.ts'
import { describeLogDirs } from './describe-log-dirs.ts'
import { electLeaders } from './elect-leaders.ts'
import { fetch } from './fetch.ts'
import { findCoordinator } from './find-coordinator.ts'
import { GROUP_HANDLERS } from './groups.ts'
import type { BrokerHandler } from './handler.ts'
import { initProducerId } from './init-producer-id.ts'
import { listOffsets } from './list-offsets.ts'
import { listPartitionReassignments } from './list-partition-reassignments.ts'
import { metadata } from './metadata.ts'
import { offsetCommit } from './offset-commit.ts'
import { offsetFetch } from './offset-fetch.ts'
import { offsetForLeaderEpoch } from './offset-for-leader-epoch.ts'
import { produce } from './produce.ts'

export const HANDLERS: readonly BrokerHandler[] = [
  produce,
  fetch,
  listOffsets,
  metadata,
  leaderAndIsr,
  stopReplica,
  updateMetadata,
  controlledShutdown,
  offsetCommit,
  offsetFetch,
  findCoordinator,
  ...GROUP_HANDLERS,
  apiVersions,
  createTopics,
  deleteTopics,
  deleteRecords,
  initProducerId,
  offsetForLeaderEpoch,
  describeConfigs,
  alterConfigs,
  alterReplicaLogDirs,
  describeLogDirs,
  createPartitions,
  electLeaders,
  incrementalAlterConfigs,
  alterPartitionReassignments,
  listPartitionReassignments,
  alterPartition,
  describeCluster,
  allocateProducerIds,
]

export const ADVERTISED_APIS: readonly AdvertisedApi[] = HANDLERS.map(({ api, minVersion, maxVersion }) => ({
  apiKey: api.key,
  minVersion,
  maxVersion,
})).sort((a, b) => a.apiKey - b.apiKey)
