/** The broker as its handlers see it: what the rooms offer, joined. */
import type { Controller } from '#controller'
import type { GroupCoordinator } from '#coordinator/group'
import type { Platform } from '#platform'
import type { ReplicaManager } from '#replication'
import type { LogManager } from '#storage'
import type { RetryingZooKeeper } from '#zookeeper/client'

import type { BrokerConfig } from './config/index.ts'
import type { ConfigAdministration } from './config-administration.ts'
import type { FetchSessionCache } from './handlers/fetch-sessions.ts'
import type { InternalTopics } from './internal-topics.ts'
import type { MetadataCache } from './metadata-cache.ts'
import type { ProducerIds } from './producer-ids.ts'
import type { TopicAdministration } from './topic-administration.ts'
import type { TopicConfigStore } from './topic-configs.ts'

export interface AdvertisedApi {
  readonly apiKey: number
  readonly minVersion: number
  readonly maxVersion: number
}

export interface BrokerServices {
  readonly platform: Platform
  readonly brokerId: number
  readonly clusterId: string
  /** In force now: it changes when a dynamic configuration does. */
  readonly config: BrokerConfig
  /** Of the last registration: the czxid of its znode. */
  readonly brokerEpoch: number
  readonly advertisedApis: readonly AdvertisedApi[]
  /** Version of the znode `/feature`; −1 when it is absent or disabled. */
  readonly finalizedFeaturesEpoch: number
  readonly zk: RetryingZooKeeper
  readonly metadata: MetadataCache
  readonly topicConfigs: TopicConfigStore
  readonly configAdministration: ConfigAdministration
  readonly topicAdministration: TopicAdministration
  readonly internalTopics: InternalTopics
  readonly producerIds: ProducerIds
  readonly fetchSessions: FetchSessionCache
  readonly logs: LogManager
  readonly replicas: ReplicaManager
  readonly groups: GroupCoordinator
  readonly controller: Controller
}
