/** The parts of a broker and how they are joined: each room gets what it needs, and hears of what concerns it. */
import { Controller } from '#controller'
import type { GroupCoordinator } from '#coordinator/group'
import { PERSISTENT_PATHS, SequencePrefix, encodeLogDirEvent } from '#metadata/znodes'
import type { Platform } from '#platform'
import { AllocateProducerIds } from '#protocol/messages/allocate-producer-ids'
import { NO_FAULTS, type Faults, type ReplicaManager } from '#replication'
import { RpcServer } from '#rpc'
import { LogManager } from '#storage'
import { CreateMode, ZooKeeperClient } from '#zookeeper/client'

import { controlChannel, leaderEndpoint, type ChannelOptions } from './channels.ts'
import { ConfigAdministration } from './config-administration.ts'
import { ConfigChanges } from './config-changes.ts'
import { ConfigError, type BrokerConfig } from './config/index.ts'
import { ControllerClient } from './controller-client.ts'
import { DynamicConfig } from './dynamic-config.ts'
import { FinalizedFeatures } from './features.ts'
import { joinGroupCoordinator } from './group-join.ts'
import { FetchSessionCache } from './handlers/fetch-sessions.ts'
import { ADVERTISED_APIS, HANDLERS } from './handlers/index.ts'
import { establishIdentity, type Identity } from './identity.ts'
import { InternalTopics } from './internal-topics.ts'
import { MetadataCache } from './metadata-cache.ts'
import { OpenListeners } from './open-listeners.ts'
import { ProducerIds } from './producer-ids.ts'
import { Registration } from './registration.ts'
import { joinReplicaManager } from './replication-join.ts'
import type { BrokerServices } from './services.ts'
import { StrayReplicas } from './stray-replicas.ts'
import { TopicAdministration } from './topic-administration.ts'
import { TopicConfigStore } from './topic-configs.ts'
import { zooKeeperLoginOf, zooKeeperTlsOf } from './zookeeper-security.ts'

export interface BrokerOptions {
  /** Seeded faults, for the simulation. */
  readonly faults?: Partial<Faults>
  /** Ends a start that waits (for an earlier life's session to run out). */
  readonly signal?: AbortSignal
}

/** What the parts reach only after they have been joined. */
export interface Bound {
  services: BrokerServices | null
  /** The broker can do nothing any more. */
  halt(): void
}

export interface Parts {
  readonly bound: Bound
  readonly identity: Identity
  /** As it was at the start. */
  readonly config: BrokerConfig
  readonly listeners: OpenListeners
  readonly zk: ZooKeeperClient
  readonly registration: Registration
  readonly changes: ConfigChanges
  readonly features: FinalizedFeatures
  readonly logs: LogManager
  readonly replicas: ReplicaManager
  readonly strays: StrayReplicas
  readonly groups: GroupCoordinator
  readonly controller: Controller
  readonly controllerClient: ControllerClient
  readonly rpc: RpcServer
  readonly services: BrokerServices
}

type OnOpened = (close: () => Promise<void> | void) => void

/**
 * Opens and connects everything, and registers nothing: ZooKeeper, the listeners, the data, and what works on them. `onOpened` is
 * told how to undo each step.
 */
export async function joinParts(
  platform: Platform,
  given: BrokerConfig,
  options: BrokerOptions,
  onOpened: OnOpened,
): Promise<Parts> {
  const bound: Bound = { services: null, halt() {} }
  const zk = await onBehalfOf('zookeeper.connect', connectZooKeeper(platform, given))
  onOpened(() => zk.close())
  await Promise.all(PERSISTENT_PATHS.map((path) => zk.retrying.ensurePath(path)))
  const { identity, unreadable } = await establishIdentity(platform, zk.retrying, given)
  const dynamic = new DynamicConfig(zk.retrying, platform.logger, identity.brokerId, given)
  await dynamic.reload()
  const { config } = dynamic

  const rpc = new RpcServer(
    platform,
    HANDLERS.map((handler) => ({ ...handler, handle: (request) => handler.handle(bound.services!, request) })),
    config,
  )
  onOpened(() => rpc.close())
  const listeners = new OpenListeners(platform, rpc)
  await listeners.open(config.endpoints)

  const topicConfigs = new TopicConfigStore(zk.retrying, platform.logger, config.texts)
  await topicConfigs.load()
  const opening = LogManager.open({
    platform,
    directories: config.logDirectories,
    unusable: unreadable,
    topicConfig: (topic) => topicConfigs.of(topic),
    producerIdExpirationMs: config.producerIdExpirationMs,
  })
  const logs = await onBehalfOf('log.dirs', opening)
  onOpened(() => logs.close())

  const base = { bound, platform, options, identity, dynamic, config, listeners, zk, rpc, topicConfigs, logs }
  const working = joinWorkingParts(base, onOpened)
  listenToEachOther(base, working)
  const services = servicesOf(base, working)
  bound.services = services
  return { ...base, ...working, services }
}

/** What stands on the ground when the rest is joined. */
interface Base {
  readonly bound: Bound
  readonly platform: Platform
  readonly options: BrokerOptions
  readonly identity: Identity
  readonly dynamic: DynamicConfig
  readonly config: BrokerConfig
  readonly listeners: OpenListeners
  readonly zk: ZooKeeperClient
  readonly rpc: RpcServer
  readonly topicConfigs: TopicConfigStore
  readonly logs: LogManager
}

interface WorkingParts {
  readonly metadata: MetadataCache
  readonly registration: Registration
  readonly controllerClient: ControllerClient
  readonly replicas: ReplicaManager
  readonly groups: GroupCoordinator
  readonly controller: Controller
  readonly features: FinalizedFeatures
  readonly changes: ConfigChanges
  readonly strays: StrayReplicas
}

function joinWorkingParts(base: Base, onOpened: OnOpened): WorkingParts {
  const { platform, identity, config, listeners, zk, topicConfigs, logs, dynamic } = base
  const { brokerId } = identity
  const metadata = new MetadataCache(platform.clock)
  const registration = new Registration(platform, zk.retrying, {
    id: brokerId,
    endpoints: listeners.advertised(config),
    rack: config.brokerRack === '' ? null : config.brokerRack,
  })
  const controllerClient = new ControllerClient(platform, metadata, {
    listenerName: config.interBrokerListener,
    ...channelOptions(config, String(brokerId)),
  })
  onOpened(() => controllerClient.close())

  const replicas = joinReplicaManager({
    platform,
    brokerId,
    config,
    logs,
    metadata,
    topicConfigs,
    controllerClient,
    registration,
    faults: { ...NO_FAULTS, ...base.options.faults },
    groups: () => groups,
    onDirectoryFailure: (path, remaining) => onDirectoryFailure(base, path, remaining),
    leader: (leader, fetcherId) =>
      leaderEndpoint(platform, leader, {
        ...channelOptions(config, `broker-${brokerId}-fetcher-${fetcherId}`),
        timeoutMs: config.replicaSocketTimeoutMs,
      }),
  })
  onOpened(() => replicas.close())
  const groups: GroupCoordinator = joinGroupCoordinator(platform, config, metadata, replicas)
  onOpened(() => groups.close())
  const controller = new Controller(
    platform,
    zk.retrying,
    {
      ...config,
      brokerId,
      interBrokerListenerName: config.interBrokerListener,
      get uncleanLeaderElectionEnable() {
        return dynamic.config.uncleanLeaderElectionEnable
      },
    },
    { controlChannel: (target) => controlChannel(platform, target, channelOptions(config, String(brokerId))) },
  )
  onOpened(() => controller.close())

  const features = new FinalizedFeatures(zk.retrying, platform.logger)
  const changes = new ConfigChanges(platform, zk.retrying, (entityPath) =>
    applyChange(entityPath, brokerId, dynamic, topicConfigs),
  )
  onOpened(() => changes.close())
  const strays = new StrayReplicas({ platform, brokerId, zk: zk.retrying, logs, replicas })
  onOpened(() => strays.close())
  return { metadata, registration, controllerClient, replicas, groups, controller, features, changes, strays }
}

/** What may change while the broker runs reaches those who obey it. */
function listenToEachOther({ dynamic, topicConfigs, logs, rpc, listeners }: Base, working: WorkingParts): void {
  const { metadata, replicas, groups, controller, strays, registration } = working
  dynamic.prepare = (next) => listeners.change(dynamic.config, next, registration)
  throttle(replicas, dynamic.config)
  dynamic.onChange((changed) => {
    topicConfigs.setBrokerTexts(changed.texts)
    throttle(replicas, changed)
    replicas.setFetcherCount(changed.numReplicaFetchers)
    logs.setProducerIdExpiration(changed.producerIdExpirationMs)
    rpc.setConnectionLimits(changed)
    if (changed.uncleanLeaderElectionEnable) controller.onUncleanLeaderElectionEnabled(null)
  })
  topicConfigs.onChange((topic, topicConfig) => {
    replicas.topicConfigChanged(topic)
    if (topicConfig.uncleanLeaderElectionEnable) controller.onUncleanLeaderElectionEnabled(topic)
  })
  metadata.onChange((image, delta) => {
    const { removed } = delta
    strays.metadataChanged(delta)
    for (const { topic } of removed) if (image.topic(topic) === undefined) topicConfigs.forget(topic)
    if (removed.length > 0) groups.onPartitionsDeleted(removed)
    replicas.metadataChanged()
  })
}

function throttle(replicas: ReplicaManager, config: BrokerConfig): void {
  replicas.setThrottles({
    leader: config.leaderReplicationThrottledRate,
    follower: config.followerReplicationThrottledRate,
    moves: config.replicaAlterLogDirsIoMaxBytesPerSecond,
  })
}

function servicesOf(base: Base, working: WorkingParts): BrokerServices {
  const { platform, identity, dynamic, config, zk, topicConfigs, logs } = base
  const { metadata, registration, controllerClient, replicas, groups, controller, features } = working
  const { brokerId, clusterId } = identity
  const currentConfig = (): BrokerConfig => dynamic.config
  const topicAdministration = new TopicAdministration(platform, zk.retrying, metadata, currentConfig)
  return {
    platform,
    brokerId,
    clusterId,
    get config() {
      return dynamic.config
    },
    get brokerEpoch() {
      return registration.epoch
    },
    advertisedApis: ADVERTISED_APIS,
    get finalizedFeaturesEpoch() {
      return features.epoch
    },
    zk: zk.retrying,
    metadata,
    topicConfigs,
    configAdministration: new ConfigAdministration(zk.retrying, platform.logger, {
      brokerId,
      metadata,
      config: currentConfig,
      readTopic: (topic) => topicConfigs.read(topic),
    }),
    topicAdministration,
    internalTopics: new InternalTopics(topicAdministration, config),
    producerIds: new ProducerIds(platform, () => {
      const request = { brokerId, brokerEpoch: registration.epoch }
      return controllerClient.send(AllocateProducerIds, request, { timeoutMs: config.requestTimeoutMs })
    }),
    fetchSessions: new FetchSessionCache(platform.random, config.maxIncrementalFetchSessionCacheSlots),
    logs,
    replicas,
    groups,
    controller,
  }
}

function channelOptions(config: BrokerConfig, clientId: string): ChannelOptions {
  const { controllerSocketTimeoutMs: timeoutMs, socketConnectionSetupTimeoutMs: connectTimeoutMs } = config
  return { clientId, timeoutMs, connectTimeoutMs }
}

async function connectZooKeeper(platform: Platform, config: BrokerConfig): Promise<ZooKeeperClient> {
  const tls = zooKeeperTlsOf(platform.files, config)
  const sasl = zooKeeperLoginOf(platform.files, config)
  return await ZooKeeperClient.connect(platform, {
    ...(tls !== null && { tls }),
    ...(sasl !== null && { sasl }),
    connect: config.zookeeperConnect,
    sessionTimeoutMs: config.zookeeperSessionTimeoutMs,
    connectionTimeoutMs: config.zookeeperConnectionTimeoutMs ?? config.zookeeperSessionTimeoutMs,
    requestsInFlightMax: config.zookeeperMaxInFlightRequests,
    createChroot: true,
  })
}

/** What cannot be opened is told with the key that names it. */
async function onBehalfOf<T>(key: string, opening: Promise<T>): Promise<T> {
  try {
    return await opening
  } catch (cause) {
    throw new ConfigError(`${key}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

/** The controller learns from a note in ZooKeeper that it must ask which replicas are gone. */
function onDirectoryFailure({ platform, identity, zk, bound }: Base, path: string, remaining: number): void {
  const note = encodeLogDirEvent(identity.brokerId)
  zk.retrying
    .create(SequencePrefix.logDirEvent, note, { mode: CreateMode.persistentSequential })
    .catch((error: unknown) => platform.logger.error(`the failure of ${path} could not be told`, error))
  if (remaining > 0) return
  platform.logger.error('no log directory is left: the broker leaves the cluster')
  bound.halt()
}

/** `topics/T`, `brokers/N`, `brokers/<default>`; what concerns quotas, users and addresses is not carried out yet. */
async function applyChange(
  entityPath: string,
  brokerId: number,
  dynamic: DynamicConfig,
  topicConfigs: TopicConfigStore,
): Promise<void> {
  const [type, entity = ''] = entityPath.split('/')
  if (type === 'topics') await topicConfigs.reload(entity)
  else if (type === 'brokers' && (entity === '<default>' || entity === String(brokerId))) await dynamic.reload()
}
