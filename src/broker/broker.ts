/**
 * A broker's life: the order in which the rooms are joined at the start, what happens when ZooKeeper's session ends, and the way
 * out. Source: `kafka.server.KafkaServer`.
 */
import { Controller } from '#controller'
import type { GroupCoordinator } from '#coordinator/group'
import { PERSISTENT_PATHS, SequencePrefix, encodeLogDirEvent } from '#metadata/znodes'
import { NetworkError, sleep, type Platform } from '#platform'
import { AllocateProducerIds } from '#protocol/messages/allocate-producer-ids'
import { NO_FAULTS, ReplicaManager, type Faults } from '#replication'
import { RpcServer } from '#rpc'
import { LogManager } from '#storage'
import { CreateMode, ZooKeeperClient, isZkError, type RetryingZooKeeper, type SessionEvent } from '#zookeeper/client'

import { controlChannel, leaderEndpoint } from './channels.ts'
import { ConfigAdministration } from './config-administration.ts'
import { ConfigChanges } from './config-changes.ts'
import { ConfigError, type BrokerConfig, type ListenerEndpoint } from './config/index.ts'
import { ControllerClient } from './controller-client.ts'
import { controlledShutdown } from './controlled-shutdown.ts'
import { DynamicConfig } from './dynamic-config.ts'
import { FinalizedFeatures } from './features.ts'
import { joinGroupCoordinator } from './group-join.ts'
import { FetchSessionCache } from './handlers/fetch-sessions.ts'
import { ADVERTISED_APIS, HANDLERS } from './handlers/index.ts'
import { establishIdentity, recordIdentity, type Identity } from './identity.ts'
import { InternalTopics } from './internal-topics.ts'
import { MetadataCache } from './metadata-cache.ts'
import { ProducerIds } from './producer-ids.ts'
import { Registration } from './registration.ts'
import { joinReplicaManager } from './replication-join.ts'
import type { BrokerServices } from './services.ts'
import { TopicAdministration } from './topic-administration.ts'
import { TopicConfigStore } from './topic-configs.ts'

export interface BrokerOptions {
  /** Seeded faults, for the simulation. */
  readonly faults?: Partial<Faults>
  /** Ends a start that waits (for an earlier life's session to run out). */
  readonly signal?: AbortSignal
}

/** After a session's end ZooKeeper may be away for long. */
const RENEWAL_PAUSE_MS = 1000

export class Broker {
  readonly #platform: Platform
  readonly #parts: Parts
  #closed: Promise<void> | null = null
  /** Follows the sessions one after the other. */
  #sessions: Promise<void> = Promise.resolve()

  /**
   * Resolves when the broker is registered and serves requests. Rejects with `ConfigError` when the configuration contradicts the
   * data, the cluster or the machine, else with what the machine says; nothing is left behind then.
   */
  static async start(platform: Platform, config: BrokerConfig, options: BrokerOptions = {}): Promise<Broker> {
    for (const warning of config.warnings) platform.logger.warn(warning)
    const opened: (() => Promise<void> | void)[] = []
    try {
      const parts = await join(platform, config, options, (close) => opened.unshift(close))
      const broker = new Broker(platform, parts)
      await broker.#enter(options.signal)
      return broker
    } catch (error) {
      for (const close of opened) await Promise.resolve(close()).catch(() => {})
      throw error
    }
  }

  private constructor(platform: Platform, parts: Parts) {
    this.#platform = platform
    this.#parts = parts
  }

  get brokerId(): number {
    return this.#parts.identity.brokerId
  }

  get clusterId(): string {
    return this.#parts.identity.clusterId
  }

  /** Of the listener between brokers. */
  get boundPort(): number {
    return this.#parts.ports.get(this.#parts.config.interBrokerListener)!
  }

  /** By listener name. */
  get boundPorts(): ReadonlyMap<string, number> {
    return this.#parts.ports
  }

  /** Whether this broker is the controller at the moment. */
  get isController(): boolean {
    return this.#parts.controller.isActive
  }

  /** What the rooms offer, for the simulation and for tests. */
  get services(): BrokerServices {
    return this.#parts.services
  }

  /** Hands leaderships over, closes the logs cleanly and leaves the cluster. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /** From here on the cluster knows the broker. */
  async #enter(signal?: AbortSignal): Promise<void> {
    const { zk, registration, identity, config, controller, changes, features, rpc, replicas } = this.#parts
    zk.onSession((event) => this.#onSession(event))
    await registration.register(signal)
    await recordIdentity(this.#platform.files, config.logDirectories, identity)
    // What was changed since the configurations were read has left a note.
    await Promise.all([changes.follow(), features.follow()])
    replicas.start()
    rpc.open()
    controller.start()
    this.#platform.logger.info(
      `broker ${identity.brokerId} of cluster ${identity.clusterId} is registered with epoch ${registration.epoch}`,
    )
  }

  #onSession(event: SessionEvent): void {
    if (event === 'disconnected') this.#platform.logger.warn('the connection with ZooKeeper is lost')
    if (event === 'connected') this.#platform.logger.info('connected with ZooKeeper')
    if (event === 'authFailed') this.#platform.logger.error('ZooKeeper refused the identity of this broker')
    if (event !== 'expired' || this.#closed !== null) return
    this.#platform.logger.warn('the session with ZooKeeper has expired: beginning a new one')
    this.#sessions = this.#sessions
      .then(() => this.#beginSession())
      .catch((error: unknown) => {
        this.#platform.logger.error('no new session with ZooKeeper', error)
      })
  }

  /** As a broker that starts, only that its logs and connections are still there. */
  async #beginSession(): Promise<void> {
    const { zk, registration, controller, changes, features } = this.#parts
    registration.forget()
    await controller.onSessionExpired()
    for (;;) {
      if (this.#closed !== null) return
      try {
        await zk.renew()
        await registration.register()
        controller.onSessionRenewed()
        await Promise.all([changes.follow(), features.follow()])
        return
      } catch (error) {
        // Expired once more: the listener has queued the next round.
        if (isZkError(error, 'SESSIONEXPIRED')) return
        this.#platform.logger.warn('the new session with ZooKeeper did not come about, trying again', error)
        await sleep(this.#platform.clock, RENEWAL_PAUSE_MS)
      }
    }
  }

  async #close(): Promise<void> {
    const { rpc, services, controllerClient, groups, replicas, logs, controller, changes, zk, registration } =
      this.#parts
    const { logger } = this.#platform
    if (services.config.controlledShutdownEnable && registration.epoch >= 0)
      await controlledShutdown(this.#platform, services, controllerClient)
    const step = async (what: string, run: () => Promise<void> | void): Promise<void> => {
      try {
        await run()
      } catch (error) {
        logger.error(`${what} did not close`, error)
      }
    }
    await step('the listeners', () => rpc.stopAccepting())
    changes.close()
    await step('the group coordinator', () => groups.close())
    await step('the replicas', () => replicas.close())
    await step('the connections', () => rpc.close())
    await step('the logs', () => logs.close())
    await step('the controller', () => controller.close())
    controllerClient.close()
    await step('the session with ZooKeeper', () => zk.close())
    logger.info(`broker ${this.brokerId} has stopped`)
  }
}

interface Parts {
  readonly identity: Identity
  readonly config: BrokerConfig
  readonly ports: ReadonlyMap<string, number>
  readonly zk: ZooKeeperClient
  readonly registration: Registration
  readonly changes: ConfigChanges
  readonly features: FinalizedFeatures
  readonly logs: LogManager
  readonly replicas: ReplicaManager
  readonly groups: GroupCoordinator
  readonly controller: Controller
  readonly controllerClient: ControllerClient
  readonly rpc: RpcServer
  readonly services: BrokerServices
}

/** Opens and connects everything, and registers nothing. `onOpened` is told how to undo each step. */
async function join(
  platform: Platform,
  given: BrokerConfig,
  options: BrokerOptions,
  onOpened: (close: () => Promise<void> | void) => void,
): Promise<Parts> {
  const zk = await connectZooKeeper(platform, given)
  onOpened(() => zk.close())
  const retrying = zk.retrying
  for (const path of PERSISTENT_PATHS) await retrying.ensurePath(path)
  const identity = await establishIdentity(platform, retrying, given)
  const { brokerId, clusterId } = identity

  const dynamic = new DynamicConfig(retrying, platform.logger, brokerId, given)
  await dynamic.reload()
  const config = dynamic.config

  const bound: { services: BrokerServices | null } = { services: null }
  const rpc = new RpcServer(
    platform,
    HANDLERS.map((handler) => ({ ...handler, handle: (request) => handler.handle(bound.services!, request) })),
    config,
  )
  onOpened(() => rpc.close())
  const ports = await listen(rpc, config)

  const topicConfigs = new TopicConfigStore(retrying, platform.logger, config.texts)
  await topicConfigs.load()
  const logs = await LogManager.open({
    platform,
    directories: config.logDirectories,
    topicConfig: (topic) => topicConfigs.of(topic),
    producerIdExpirationMs: config.producerIdExpirationMs,
  })
  onOpened(() => logs.close())

  const metadata = new MetadataCache(platform.clock)
  const listenerName = config.interBrokerListener
  const registration = new Registration(platform, retrying, {
    id: brokerId,
    endpoints: advertisedEndpoints(platform, config, ports),
    rack: config.brokerRack === '' ? null : config.brokerRack,
  })
  const controllerClient = new ControllerClient(platform, metadata, {
    listenerName,
    clientId: String(brokerId),
    connectTimeoutMs: config.socketConnectionSetupTimeoutMs,
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
    faults: { ...NO_FAULTS, ...options.faults },
    groups: () => groups,
    onDirectoryFailure: (path, remaining) => onDirectoryFailure(platform, retrying, brokerId, path, remaining),
    leader: (leader, fetcherId) =>
      leaderEndpoint(platform, leader, {
        clientId: `broker-${brokerId}-fetcher-${fetcherId}`,
        timeoutMs: config.replicaSocketTimeoutMs,
        connectTimeoutMs: config.socketConnectionSetupTimeoutMs,
      }),
  })
  onOpened(() => replicas.close())
  const groups: GroupCoordinator = joinGroupCoordinator(platform, config, metadata, replicas)
  onOpened(() => groups.close())

  const controller = new Controller(
    platform,
    retrying,
    {
      brokerId,
      interBrokerListenerName: listenerName,
      autoLeaderRebalanceEnable: config.autoLeaderRebalanceEnable,
      leaderImbalanceCheckIntervalSeconds: config.leaderImbalanceCheckIntervalSeconds,
      leaderImbalancePerBrokerPercentage: config.leaderImbalancePerBrokerPercentage,
      uncleanLeaderElectionEnable: config.uncleanLeaderElectionEnable,
      deleteTopicEnable: config.deleteTopicEnable,
    },
    {
      controlChannel: (target) =>
        controlChannel(platform, target, {
          clientId: String(brokerId),
          timeoutMs: config.controllerSocketTimeoutMs,
          connectTimeoutMs: config.socketConnectionSetupTimeoutMs,
        }),
    },
  )
  onOpened(() => controller.close())

  const currentConfig = (): BrokerConfig => dynamic.config
  const topicAdministration = new TopicAdministration(platform, retrying, metadata, currentConfig)
  const features = new FinalizedFeatures(retrying, platform.logger)
  const changes = new ConfigChanges(platform, retrying, (entityPath) =>
    applyChange(entityPath, brokerId, dynamic, topicConfigs),
  )
  onOpened(() => changes.close())

  dynamic.onChange((changed) => topicConfigs.setBrokerTexts(changed.texts))
  topicConfigs.onChange((topic, topicConfig) => {
    replicas.topicConfigChanged(topic)
    if (topicConfig.uncleanLeaderElectionEnable) controller.onUncleanLeaderElectionEnabled(topic)
  })
  metadata.onChange((image, { removed }) => {
    for (const { topic } of removed) if (image.topic(topic) === undefined) topicConfigs.forget(topic)
    if (removed.length > 0) groups.onPartitionsDeleted(removed)
    replicas.metadataChanged()
  })

  const services: BrokerServices = {
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
    zk: retrying,
    metadata,
    topicConfigs,
    configAdministration: new ConfigAdministration(retrying, platform.logger, {
      brokerId,
      metadata,
      config: currentConfig,
      readTopic: (topic) => topicConfigs.read(topic),
    }),
    topicAdministration,
    internalTopics: new InternalTopics(topicAdministration, config),
    producerIds: new ProducerIds(platform, () =>
      controllerClient.send(
        AllocateProducerIds,
        { brokerId, brokerEpoch: registration.epoch },
        { timeoutMs: config.requestTimeoutMs },
      ),
    ),
    fetchSessions: new FetchSessionCache(platform.random, config.maxIncrementalFetchSessionCacheSlots),
    logs,
    replicas,
    groups,
    controller,
  }
  bound.services = services
  return {
    identity,
    config,
    ports,
    zk,
    registration,
    changes,
    features,
    logs,
    replicas,
    groups,
    controller,
    controllerClient,
    rpc,
    services,
  }
}

async function connectZooKeeper(platform: Platform, config: BrokerConfig): Promise<ZooKeeperClient> {
  return await ZooKeeperClient.connect(platform, {
    connect: config.zookeeperConnect,
    sessionTimeoutMs: config.zookeeperSessionTimeoutMs,
    connectionTimeoutMs: config.zookeeperConnectionTimeoutMs ?? config.zookeeperSessionTimeoutMs,
    requestsInFlightMax: config.zookeeperMaxInFlightRequests,
    createChroot: true,
  })
}

async function listen(rpc: RpcServer, { endpoints }: BrokerConfig): Promise<Map<string, number>> {
  const ports = new Map<string, number>()
  for (const { listenerName, host, port } of endpoints) {
    try {
      ports.set(listenerName, await rpc.listen(listenerName, host === '' ? '0.0.0.0' : host, port))
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error
      throw new ConfigError(`listeners: ${listenerName} cannot listen on ${host}:${port}: ${error.message}`, {
        cause: error,
      })
    }
  }
  return ports
}

/** With the ports that were free, and the machine's name where none was given. */
function advertisedEndpoints(
  platform: Platform,
  { advertisedEndpoints: endpoints }: BrokerConfig,
  ports: ReadonlyMap<string, number>,
): ListenerEndpoint[] {
  return endpoints.map((endpoint) => ({
    ...endpoint,
    host: endpoint.host === '' ? (platform.network.hostName ?? 'localhost') : endpoint.host,
    port: endpoint.port === 0 ? ports.get(endpoint.listenerName)! : endpoint.port,
  }))
}

/** The controller learns from this note that it must ask which replicas are gone. */
function onDirectoryFailure(
  platform: Platform,
  zk: RetryingZooKeeper,
  brokerId: number,
  path: string,
  remaining: number,
): void {
  if (remaining === 0) platform.logger.error('no log directory is left: this broker can do nothing any more')
  zk.create(SequencePrefix.logDirEvent, encodeLogDirEvent(brokerId), { mode: CreateMode.persistentSequential }).catch(
    (error: unknown) => platform.logger.error(`the failure of ${path} could not be told`, error),
  )
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
