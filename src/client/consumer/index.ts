export {
  ASSIGNORS,
  cooperativeStickyAssignor,
  rangeAssignor,
  roundRobinAssignor,
  type AssignableMember,
  type Assignments,
  type Assignor,
  type PartitionRacks,
  type RebalanceProtocol,
} from './assignors/index.ts'
export { CommitFailedError, type OffsetToCommit } from './committer.ts'
export { Consumer, type CloseOptions, type GroupMetadata, type IterationOptions } from './consumer.ts'
export type { ConsumerListener } from './events.ts'
export { RecordCorruptedError } from './fetched-data.ts'
export type { ConsumerBatch } from './iterators.ts'
export { LogTruncatedError, NoOffsetError } from './position-finder.ts'
export type { ConsumerRecord } from './record.ts'
export type { BatchContext, MessageContext, RunOptions } from './run.ts'
export type { TopicPartition } from './topic-partition.ts'
export type { ConsumerOptions } from '../config.ts'
