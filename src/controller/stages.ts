/** Which stage may follow which. Source: `kafka.controller.PartitionState`, `ReplicaState`. */
import type { PartitionStage, ReplicaStage } from './context.ts'

const PARTITION_STAGE_BEFORE: Readonly<Record<PartitionStage, readonly PartitionStage[]>> = {
  new: ['nonExistent'],
  online: ['new', 'online', 'offline'],
  offline: ['new', 'online', 'offline'],
  nonExistent: ['offline'],
}

const REPLICA_STAGE_BEFORE: Readonly<Record<ReplicaStage, readonly ReplicaStage[]>> = {
  new: ['nonExistent'],
  online: ['new', 'online', 'offline', 'deletionIneligible'],
  offline: ['new', 'online', 'offline', 'deletionIneligible'],
  deletionStarted: ['offline'],
  deletionSuccessful: ['deletionStarted'],
  deletionIneligible: ['offline', 'deletionStarted'],
  nonExistent: ['deletionSuccessful'],
}

export function mayPartitionBecome(stage: PartitionStage, next: PartitionStage): boolean {
  return PARTITION_STAGE_BEFORE[next].includes(stage)
}

export function mayReplicaBecome(stage: ReplicaStage, next: ReplicaStage): boolean {
  return REPLICA_STAGE_BEFORE[next].includes(stage)
}
