import type { ReplicaSelector } from './read-replica.ts'

/** The broker's settings that steer replication, under Kafka's names, with 3.9's defaults. */
export interface ReplicationConfig {
  readonly replicaLagTimeMaxMs: number
  readonly replicaHighWatermarkCheckpointIntervalMs: number
  readonly numReplicaFetchers: number
  readonly replicaFetchWaitMaxMs: number
  readonly replicaFetchMinBytes: number
  readonly replicaFetchMaxBytes: number
  readonly replicaFetchResponseMaxBytes: number
  readonly replicaFetchBackoffMs: number
  /** The most that any fetch may ask for. */
  readonly fetchMaxBytes: number
  readonly replicaSelector: ReplicaSelector
  readonly replicationQuotaWindowNum: number
  readonly replicationQuotaWindowSizeSeconds: number
}

export const DEFAULT_REPLICATION_CONFIG: ReplicationConfig = {
  replicaLagTimeMaxMs: 30_000,
  replicaHighWatermarkCheckpointIntervalMs: 5000,
  numReplicaFetchers: 1,
  replicaFetchWaitMaxMs: 500,
  replicaFetchMinBytes: 1,
  replicaFetchMaxBytes: 1_048_576,
  replicaFetchResponseMaxBytes: 10_485_760,
  replicaFetchBackoffMs: 1000,
  fetchMaxBytes: 57_671_680,
  replicaSelector: 'leader',
  replicationQuotaWindowNum: 11,
  replicationQuotaWindowSizeSeconds: 1,
}
