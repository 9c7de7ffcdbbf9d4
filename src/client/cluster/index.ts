export {
  Cluster,
  type CallOptions,
  type ClusterTraits,
  type CoordinatorKind,
  type ErrorsOf,
  type Leader,
  type RequestOptions,
} from './cluster.ts'
export type { Purpose } from './connections.ts'
export type { Node, PartitionInfo, TopicInfo } from './image.ts'
export type { MetadataCache, WaitOptions } from './metadata-cache.ts'
export type { NodeConnection } from './node-connection.ts'
export { KafkaError } from '../errors.ts'
export { Backoff } from './backoff.ts'
export { abortable } from './abortable.ts'
