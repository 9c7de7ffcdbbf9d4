export { NO_FAULTS, type Faults } from './faults.ts'
export type {
  AlterPartitionSender,
  BrokerEndpoint,
  LeaderConnector,
  LeaderEndpoint,
  MetadataView,
  ReplicationEvents,
  TopicConfigs,
} from './ports.ts'
export { DEFAULT_REPLICATION_CONFIG, type ReplicationConfig } from './replication-config.ts'
export {
  ListOffsetsTimestamp,
  type AppendEntry,
  type AppendOrigin,
  type AppendRequest,
  type AppendResult,
  type CurrentLeader,
  type DeleteRecordsParameters,
  type DeleteRecordsResult,
  type EpochEndOffset,
  type EpochEndParameters,
  type EpochEndResult,
  type FetchIsolation,
  type FetchPartitionParameters,
  type FetchPartitionResult,
  type FetchRequestParameters,
  type FetchResult,
  type ListOffsetsParameters,
  type ListOffsetsPartition,
  type ListOffsetsResult,
  type MoveReplica,
} from './requests.ts'
export { Partition, type LeadershipState, type Role } from './partition.ts'
export { ReplicaManager, type ReplicaManagerOptions } from './replica-manager.ts'
