export { AppendErrorCode } from './append-errors.ts'
export { FollowerAppendError } from './append-checks.ts'
export { Log, type AppendedBatch, type LeaderAppend, type RefusedAppend } from './log.ts'
export {
  DEFAULT_LOG_CONFIG,
  UNLIMITED,
  isCompacted,
  logConfig,
  type CleanupPolicy,
  type CompressionType,
  type LogConfig,
  type TimestampType,
} from './log-config.ts'
export type { LogDirectory } from './log-directory.ts'
export type { LogPosition, LogRead, ReadRequest } from './log-reader.ts'
export { LogManager, OfflineLogError, type LogManagerOptions } from './log-manager.ts'
export { readMetaProperties, writeMetaProperties, type MetaProperties } from './meta-properties.ts'
export { partitionName, parsePartitionName, type TopicPartition } from './names.ts'
export type { ProducerState } from './producer-states.ts'
export type { FoundTimestamp } from './timestamp-search.ts'
export type { AbortedTransaction } from './transaction-index.ts'
export type { RecordError } from '#protocol/records'
