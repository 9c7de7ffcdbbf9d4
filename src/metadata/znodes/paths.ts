/**
 * Where Kafka keeps what in ZooKeeper, relative to the chroot. Source: `kafka.zk.ZkData`.
 */
export const ZnodePath = {
  clusterId: '/cluster/id',
  controller: '/controller',
  controllerEpoch: '/controller_epoch',
  brokerIds: '/brokers/ids',
  brokerSequenceId: '/brokers/seqid',
  topics: '/brokers/topics',
  configChanges: '/config/changes',
  isrChangeNotifications: '/isr_change_notification',
  logDirEventNotifications: '/log_dir_event_notification',
  deleteTopics: '/admin/delete_topics',
  reassignPartitions: '/admin/reassign_partitions',
  preferredReplicaElection: '/admin/preferred_replica_election',
  producerIdBlock: '/latest_producer_id_block',
  features: '/feature',

  broker: (id: number): string => `/brokers/ids/${id}`,
  topic: (topic: string): string => `/brokers/topics/${topic}`,
  partitions: (topic: string): string => `/brokers/topics/${topic}/partitions`,
  partition: (topic: string, partition: number): string => `/brokers/topics/${topic}/partitions/${partition}`,
  partitionState: (topic: string, partition: number): string =>
    `/brokers/topics/${topic}/partitions/${partition}/state`,
  deleteTopic: (topic: string): string => `/admin/delete_topics/${topic}`,
  /** `entity` is the sanitized name or `<default>`. */
  config: (type: ConfigEntityType, entity: string): string => `/config/${type}/${entity}`,
  configType: (type: ConfigEntityType): string => `/config/${type}`,
  consumerOffset: (group: string, topic: string, partition: number): string =>
    `/consumers/${group}/offsets/${topic}/${partition}`,
} as const

export type ConfigEntityType = 'topics' | 'clients' | 'users' | 'brokers' | 'ips'

/** The entity that holds the defaults of its type; never sanitized. */
export const DEFAULT_ENTITY = '<default>'

/** Made at the start of every broker, parents included, empty; that they are there already is no error. */
export const PERSISTENT_PATHS: readonly string[] = [
  '/consumers',
  ZnodePath.brokerIds,
  ZnodePath.topics,
  ZnodePath.configChanges,
  ZnodePath.deleteTopics,
  ZnodePath.brokerSequenceId,
  ZnodePath.isrChangeNotifications,
  ZnodePath.producerIdBlock,
  ZnodePath.logDirEventNotifications,
  '/config/topics',
  '/config/clients',
  '/config/users',
  '/config/brokers',
  '/config/ips',
]

/** Begins of the names of sequential znodes; ZooKeeper appends ten digits. */
export const SequencePrefix = {
  configChange: `${ZnodePath.configChanges}/config_change_`,
  isrChange: `${ZnodePath.isrChangeNotifications}/isr_change_`,
  logDirEvent: `${ZnodePath.logDirEventNotifications}/log_dir_event_`,
} as const

/** The number at the end of a sequential znode's name: notifications are ordered by it. NaN when there is none. */
export function sequenceNumberOf(name: string): number {
  return Number.parseInt(name.slice(name.lastIndexOf('_') + 1), 10)
}

/**
 * A user's or client's name as a znode's: what `java.net.URLEncoder` makes of it, with `+` as `%20` and `*` as `%2A`.
 * Source: `org.apache.kafka.common.utils.Sanitizer`.
 */
export function sanitizeEntity(name: string): string {
  return encodeURIComponent(name).replace(/[!'()~*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

export function desanitizeEntity(name: string): string {
  return decodeURIComponent(name)
}
