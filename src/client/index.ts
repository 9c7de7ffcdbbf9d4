export {
  Admin,
  type ClusterDescription,
  type NewTopic,
  type PartitionDescription,
  type TopicDescription,
  type TopicListing,
  type TopicResults,
} from './admin/admin.ts'
export { Cluster, parseBootstrapServers, type ClusterOptions } from './cluster.ts'
export { KafkaError, kafkaError } from './errors.ts'
