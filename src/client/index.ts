export {
  Admin,
  type ClusterDescription,
  type NewTopic,
  type PartitionDescription,
  type TopicDescription,
  type TopicListing,
  type TopicResults,
} from './admin/admin.ts'
export type {
  ChangeOptions,
  ConfigAdmin,
  ConfigChange,
  ConfigEntry,
  ConfigResource,
  ConfigSource,
  DescribeConfigOptions,
} from './admin/configs.ts'
export type {
  ElectionKind,
  OffsetPlace,
  PartitionAdmin,
  PartitionOffset,
  PartitionResults,
  Reassignment,
} from './admin/partitions.ts'
export type {
  GroupAdmin,
  GroupDescription,
  GroupListing,
  GroupMemberDescription,
  GroupResults,
  PartitionLag,
  ResetOptions,
} from './admin/groups.ts'
export type { OffsetChange, ResetTarget } from './admin/offsets.ts'
export {
  adminSettings,
  consumerSettings,
  producerSettings,
  type AdminOptions,
  type ConsumerOptions,
  type ProducerOptions,
} from './config.ts'
export { dottedName, type Setting, type SettingTable } from './config-table.ts'
export {
  BufferExhaustedError,
  ClosedError,
  ConfigError,
  KafkaError,
  RecordTooLargeError,
  TimeoutError,
  kafkaError,
} from './errors.ts'
export { Producer, type CloseOptions, type SendOptions } from './producer/producer.ts'
export type { PackedValues } from '#protocol/records'
export type { DeliveredRun, Delivery, DeliveryListener, RecordMetadata, SentBatch } from './producer/delivery.ts'
export type { Content, ProducerHeaders, ProducerRecord } from './producer/record.ts'
export type { Partitioner, PartitionerView } from './producer/partitioner.ts'
export {
  CommitFailedError,
  Consumer,
  LogTruncatedError,
  NoOffsetError,
  RecordCorruptedError,
  cooperativeStickyAssignor,
  rangeAssignor,
  roundRobinAssignor,
  type AssignableMember,
  type Assignments,
  type Assignor,
  type BatchContext,
  type CloseOptions as ConsumerCloseOptions,
  type ConsumerBatch,
  type ConsumerListener,
  type ConsumerRecord,
  type GroupMetadata,
  type IterationOptions,
  type MessageContext,
  type OffsetToCommit,
  type PartitionRacks,
  type RunOptions,
  type TopicPartition,
} from './consumer/index.ts'
