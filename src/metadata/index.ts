export {
  describeBrokers,
  describePartitions,
  type Asker,
  type BrokerDescription,
  type PartitionDescription,
} from './answers.ts'
export {
  MetadataImage,
  type BrokerMetadata,
  type EndpointMetadata,
  type PartitionMetadata,
  type TopicMetadata,
} from './image.ts'
export { LEADER_DURING_DELETE, applyUpdateMetadata, type MetadataDelta, type TopicPartition } from './update.ts'
