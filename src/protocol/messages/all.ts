/** Every API, for tables over all of them. Code that needs one imports that one. */
import type { AnyApi } from '#protocol'

import { Produce } from './produce.ts'
import { Fetch } from './fetch.ts'
import { ListOffsets } from './list-offsets.ts'
import { Metadata } from './metadata.ts'
import { LeaderAndIsr } from './leader-and-isr.ts'
import { StopReplica } from './stop-replica.ts'
import { UpdateMetadata } from './update-metadata.ts'
import { ControlledShutdown } from './controlled-shutdown.ts'
import { OffsetCommit } from './offset-commit.ts'
import { OffsetFetch } from './offset-fetch.ts'
import { FindCoordinator } from './find-coordinator.ts'
import { JoinGroup } from './join-group.ts'
import { Heartbeat } from './heartbeat.ts'
import { LeaveGroup } from './leave-group.ts'
import { SyncGroup } from './sync-group.ts'
import { DescribeGroups } from './describe-groups.ts'
import { ListGroups } from './list-groups.ts'
import { SaslHandshake } from './sasl-handshake.ts'
import { ApiVersions } from './api-versions.ts'
import { CreateTopics } from './create-topics.ts'
import { DeleteTopics } from './delete-topics.ts'
import { DeleteRecords } from './delete-records.ts'
import { InitProducerId } from './init-producer-id.ts'
import { OffsetForLeaderEpoch } from './offset-for-leader-epoch.ts'
import { AddPartitionsToTxn } from './add-partitions-to-txn.ts'
import { AddOffsetsToTxn } from './add-offsets-to-txn.ts'
import { EndTxn } from './end-txn.ts'
import { WriteTxnMarkers } from './write-txn-markers.ts'
import { TxnOffsetCommit } from './txn-offset-commit.ts'
import { DescribeAcls } from './describe-acls.ts'
import { CreateAcls } from './create-acls.ts'
import { DeleteAcls } from './delete-acls.ts'
import { DescribeConfigs } from './describe-configs.ts'
import { AlterConfigs } from './alter-configs.ts'
import { AlterReplicaLogDirs } from './alter-replica-log-dirs.ts'
import { DescribeLogDirs } from './describe-log-dirs.ts'
import { SaslAuthenticate } from './sasl-authenticate.ts'
import { CreatePartitions } from './create-partitions.ts'
import { CreateDelegationToken } from './create-delegation-token.ts'
import { RenewDelegationToken } from './renew-delegation-token.ts'
import { ExpireDelegationToken } from './expire-delegation-token.ts'
import { DescribeDelegationToken } from './describe-delegation-token.ts'
import { DeleteGroups } from './delete-groups.ts'
import { ElectLeaders } from './elect-leaders.ts'
import { IncrementalAlterConfigs } from './incremental-alter-configs.ts'
import { AlterPartitionReassignments } from './alter-partition-reassignments.ts'
import { ListPartitionReassignments } from './list-partition-reassignments.ts'
import { OffsetDelete } from './offset-delete.ts'
import { DescribeClientQuotas } from './describe-client-quotas.ts'
import { AlterClientQuotas } from './alter-client-quotas.ts'
import { DescribeUserScramCredentials } from './describe-user-scram-credentials.ts'
import { AlterUserScramCredentials } from './alter-user-scram-credentials.ts'
import { AlterPartition } from './alter-partition.ts'
import { UpdateFeatures } from './update-features.ts'
import { Envelope } from './envelope.ts'
import { DescribeCluster } from './describe-cluster.ts'
import { DescribeProducers } from './describe-producers.ts'
import { DescribeTransactions } from './describe-transactions.ts'
import { ListTransactions } from './list-transactions.ts'
import { AllocateProducerIds } from './allocate-producer-ids.ts'
import { ConsumerGroupHeartbeat } from './consumer-group-heartbeat.ts'
import { ConsumerGroupDescribe } from './consumer-group-describe.ts'

export const apis: readonly AnyApi[] = [
  Produce,
  Fetch,
  ListOffsets,
  Metadata,
  LeaderAndIsr,
  StopReplica,
  UpdateMetadata,
  ControlledShutdown,
  OffsetCommit,
  OffsetFetch,
  FindCoordinator,
  JoinGroup,
  Heartbeat,
  LeaveGroup,
  SyncGroup,
  DescribeGroups,
  ListGroups,
  SaslHandshake,
  ApiVersions,
  CreateTopics,
  DeleteTopics,
  DeleteRecords,
  InitProducerId,
  OffsetForLeaderEpoch,
  AddPartitionsToTxn,
  AddOffsetsToTxn,
  EndTxn,
  WriteTxnMarkers,
  TxnOffsetCommit,
  DescribeAcls,
  CreateAcls,
  DeleteAcls,
  DescribeConfigs,
  AlterConfigs,
  AlterReplicaLogDirs,
  DescribeLogDirs,
  SaslAuthenticate,
  CreatePartitions,
  CreateDelegationToken,
  RenewDelegationToken,
  ExpireDelegationToken,
  DescribeDelegationToken,
  DeleteGroups,
  ElectLeaders,
  IncrementalAlterConfigs,
  AlterPartitionReassignments,
  ListPartitionReassignments,
  OffsetDelete,
  DescribeClientQuotas,
  AlterClientQuotas,
  DescribeUserScramCredentials,
  AlterUserScramCredentials,
  AlterPartition,
  UpdateFeatures,
  Envelope,
  DescribeCluster,
  DescribeProducers,
  DescribeTransactions,
  ListTransactions,
  AllocateProducerIds,
  ConsumerGroupHeartbeat,
  ConsumerGroupDescribe,
]
