/**
 * DescribeConfigs, AlterConfigs and IncrementalAlterConfigs: configurations of topics and brokers as ZooKeeper and this broker
 * have them. Source: `kafka.server.ConfigHelper`, `ConfigAdminManager`, `ZkAdminManager`.
 */
import { topicNameFault, type Outcome } from '#controller'
import {
  DEFAULT_ENTITY,
  SequencePrefix,
  ZnodePath,
  decodeConfig,
  desanitizeEntity,
  encodeConfig,
  encodeConfigChange,
  type ConfigEntityType,
} from '#metadata/znodes'
import type { Logger } from '#platform'
import { ErrorCode } from '#protocol'
import { CreateMode, ZkMultiError, isZkError, type RetryingZooKeeper } from '#zookeeper/client'

import {
  BROKER_SETTINGS,
  ConfigError,
  ConfigSource,
  LISTENER_PREFIX,
  SettingType,
  TOPIC_SETTINGS,
  brokerConfig,
  brokerSetting,
  effectiveTopicText,
  layersOf,
  listenerChangeFault,
  splitList,
  threadCountFault,
  topicSetting,
  topicSynonymLayers,
  validateTopicTexts,
  type BrokerConfig,
  type BrokerSettingName,
  type Setting,
  type SourcedText,
  type TopicSettingName,
  type TopicTexts,
} from './config/index.ts'
import { ROOT_LOGGER, checkLoggerLevel, loggerLevels, setLoggerLevel } from './logger-levels.ts'
import type { MetadataCache } from './metadata-cache.ts'

/** Ids of the protocol. */
export const ResourceType = { TOPIC: 2, BROKER: 4, BROKER_LOGGER: 8, CLIENT_METRICS: 16, GROUP: 32 } as const

export interface DescribedConfig {
  name: string
  value: string | null
  readOnly: boolean
  isDefault: boolean
  configSource: number
  isSensitive: boolean
  synonyms: { name: string; value: string | null; source: number }[]
  configType: number
  documentation: string | null
}

export interface DescribeOptions {
  /** Null = all. */
  readonly keys: readonly string[] | null
  readonly includeSynonyms: boolean
  readonly includeDocumentation: boolean
}

export type Described = Outcome & { readonly configs: DescribedConfig[] }

/** SET replaces, DELETE goes back to the default, APPEND and SUBTRACT change a list. */
export const AlterOperation = { SET: 0, DELETE: 1, APPEND: 2, SUBTRACT: 3 } as const

export interface ConfigChange {
  readonly name: string
  readonly operation: number
  readonly value: string | null
}

/** Of DescribeConfigs' `configSource`: the level of a logger, which nobody stores. */
const BROKER_LOGGER_SOURCE = 6

/** What Apache's broker shows where it is set and not otherwise: quotas that are dynamic only, the authorizer's, and its internal ones. */
const WITHOUT_DEFAULT: ReadonlySet<string> = new Set<BrokerSettingName>([
  'leader.replication.throttled.rate',
  'follower.replication.throttled.rate',
  'replica.alter.log.dirs.io.max.bytes.per.second',
  'allow.everyone.if.no.acl.found',
  'super.users',
  'group.consumer.migration.policy',
  'group.coordinator.new.enable',
  'group.share.enable',
  'log.initial.task.delay.ms',
  'metadata.log.segment.min.bytes',
  'producer.id.expiration.check.interval.ms',
  'remote.log.manager.task.retry.backoff.ms',
  'remote.log.manager.task.retry.backoff.max.ms',
  'remote.log.manager.task.retry.jitter',
  'server.max.startup.time.ms',
  'unclean.leader.election.interval.ms',
  'unstable.api.versions.enable',
  'unstable.feature.versions.enable',
  'zookeeper.metadata.migration.min.batch.size',
])

const DONE: Outcome = { errorCode: ErrorCode.NONE, errorMessage: null }

export class ConfigAdministration {
  readonly #zk: RetryingZooKeeper
  readonly #logger: Logger
  readonly #brokerId: number
  readonly #metadata: MetadataCache
  readonly #config: () => BrokerConfig
  readonly #readTopic: (topic: string) => Promise<TopicTexts>

  constructor(
    zk: RetryingZooKeeper,
    logger: Logger,
    broker: {
      readonly brokerId: number
      readonly metadata: MetadataCache
      readonly config: () => BrokerConfig
      readonly readTopic: (topic: string) => Promise<TopicTexts>
    },
  ) {
    this.#zk = zk
    this.#logger = logger
    this.#brokerId = broker.brokerId
    this.#metadata = broker.metadata
    this.#config = broker.config
    this.#readTopic = broker.readTopic
  }

  async describe(resourceType: number, resourceName: string, options: DescribeOptions): Promise<Described> {
    switch (resourceType) {
      case ResourceType.TOPIC:
        return await this.#describeTopic(resourceName, options)
      case ResourceType.BROKER:
        return this.#describeBroker(resourceName, options)
      case ResourceType.BROKER_LOGGER:
        return this.#describeLoggers(resourceName, options)
      default:
        return { ...invalid(`configurations of resource type ${resourceType} are not served`), configs: [] }
    }
  }

  /** A topic's configuration as CreateTopics answers it. */
  configsOfTopic(texts: TopicTexts, options: DescribeOptions): DescribedConfig[] {
    const brokerTexts = this.#config().texts
    const names = Object.keys(TOPIC_SETTINGS) as TopicSettingName[]
    return names
      .filter((name) => options.keys === null || options.keys.includes(name))
      .map((name) => {
        const { text } = effectiveTopicText(name, texts, brokerTexts)
        const layers = topicSynonymLayers(name, texts, brokerTexts)
        return described(name, TOPIC_SETTINGS[name], text, layers, false, options)
      })
  }

  /** Changes single keys. */
  alterIncrementally(
    resourceType: number,
    resourceName: string,
    changes: readonly ConfigChange[],
    validateOnly: boolean,
  ): Promise<Outcome> {
    if (resourceType === ResourceType.BROKER_LOGGER)
      return Promise.resolve(this.#alterLoggers(resourceName, changes, validateOnly))
    return this.#alter(resourceType, resourceName, validateOnly, (present) => {
      const names = changes.map((change) => change.name)
      if (new Set(names).size !== names.length) throw new InvalidRequestError('A configuration is changed twice')
      const texts = new Map(present)
      for (const change of changes) this.#apply(resourceType, texts, change)
      return texts
    })
  }

  /** Replaces all that is set. */
  replace(
    resourceType: number,
    resourceName: string,
    configs: readonly { readonly name: string; readonly value: string | null }[],
    validateOnly: boolean,
  ): Promise<Outcome> {
    return this.#alter(resourceType, resourceName, validateOnly, () => {
      const texts = new Map<string, string>()
      for (const { name, value } of configs) {
        if (value === null) throw new InvalidRequestError(`Null value not supported for : ${name}`)
        texts.set(name, value)
      }
      return texts
    })
  }

  /** From ZooKeeper: this broker need not hold a replica of the topic. */
  async #describeTopic(topic: string, options: DescribeOptions): Promise<Described> {
    const fault = topicNameFault(topic)
    if (fault !== null) return { errorCode: ErrorCode.INVALID_TOPIC_EXCEPTION, errorMessage: fault, configs: [] }
    if (this.#metadata.image.topic(topic) === undefined)
      return { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, errorMessage: null, configs: [] }
    return { ...DONE, configs: this.configsOfTopic(await this.#readTopic(topic), options) }
  }

  #describeBroker(name: string, options: DescribeOptions): Described {
    const { texts } = this.#config()
    if (name === '') {
      const configs = [...texts.clusterDefault]
        .filter(([key]) => options.keys === null || options.keys.includes(key))
        .map(([key, text]) => {
          const layer: SourcedText = { name: key, text, source: ConfigSource.DYNAMIC_DEFAULT_BROKER }
          return describedOfBroker(key, [layer], options)
        })
      return { ...DONE, configs }
    }
    const fault = this.#brokerFault(name)
    if (fault !== null) return { ...fault, configs: [] }
    const { given, clusterDefault, perBroker } = texts
    const names = new Set([
      ...Object.keys(BROKER_SETTINGS),
      ...[given, clusterDefault, perBroker].flatMap((layer) => [...layer.keys()]),
    ])
    const configs = [...names]
      .filter((key) => options.keys === null || options.keys.includes(key))
      .flatMap((key) => {
        const layers = layersOf(texts, key)
        if (!WITHOUT_DEFAULT.has(key)) return [describedOfBroker(key, layers, options)]
        const set = layers.filter(({ source }) => source !== ConfigSource.DEFAULT)
        return set.length === 0 ? [] : [describedOfBroker(key, set, options)]
      })
    return { ...DONE, configs }
  }

  #describeLoggers(name: string, { keys }: DescribeOptions): Described {
    const fault = this.#loggersFault(name)
    if (fault !== null) return { ...fault, configs: [] }
    const levels = [...loggerLevels(this.#logger)].filter(([logger]) => keys === null || keys.includes(logger))
    const configs = levels.map(([logger, value]): DescribedConfig => ({
      name: logger,
      value,
      readOnly: false,
      isDefault: false,
      configSource: BROKER_LOGGER_SOURCE,
      isSensitive: false,
      synonyms: [],
      configType: SettingType.UNKNOWN,
      documentation: null,
    }))
    return { ...DONE, configs }
  }

  /** All of the changes or none. */
  #alterLoggers(name: string, changes: readonly ConfigChange[], validateOnly: boolean): Outcome {
    const fault = this.#loggersFault(name)
    if (fault !== null) return fault
    const levels: [string, string | null][] = []
    for (const { name: logger, operation, value } of changes) {
      if (operation !== AlterOperation.SET && operation !== AlterOperation.DELETE)
        return invalid('the level of a logger is set or deleted, not appended to')
      const level = operation === AlterOperation.SET ? value : null
      if (level === null && logger === ROOT_LOGGER) return invalid('The level of the root logger cannot be removed')
      try {
        checkLoggerLevel(this.#logger, logger, level)
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        return { errorCode: ErrorCode.INVALID_CONFIG, errorMessage: error.message }
      }
      levels.push([logger, level])
    }
    if (!validateOnly) for (const [logger, level] of levels) setLoggerLevel(this.#logger, logger, level)
    return DONE
  }

  #loggersFault(name: string): Outcome | null {
    return name === '' ? invalid('Broker id must not be empty') : this.#brokerFault(name)
  }

  /** A broker answers for itself only; "" is the default of all brokers. */
  #brokerFault(name: string): Outcome | null {
    if (!/^\d+$/.test(name)) return invalid(`Broker id must be an integer, but it is: ${name}`)
    if (Number(name) === this.#brokerId) return null
    return invalid(`Unexpected broker id, expected ${this.#brokerId} or empty string, but received ${name}`)
  }

  async #alter(
    resourceType: number,
    resourceName: string,
    validateOnly: boolean,
    change: (present: ReadonlyMap<string, string>) => Map<string, string>,
  ): Promise<Outcome> {
    const target = this.#targetOf(resourceType, resourceName)
    if ('errorCode' in target) return target
    const { type, entity } = target
    try {
      const path = ZnodePath.config(type, entity)
      const present = new Map(Object.entries(decodeConfig((await this.#zk.find(path))?.data ?? null)))
      const texts = change(present)
      if (type === 'topics') this.#validateTopic(entity, texts)
      else this.#validateBroker(entity, texts, present)
      if (!validateOnly) await this.#write(type, entity, texts)
      return DONE
    } catch (error) {
      if (error instanceof UnknownTopicError)
        return { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, errorMessage: error.message }
      if (error instanceof InvalidRequestError) return invalid(error.message)
      if (error instanceof ConfigError) return { errorCode: ErrorCode.INVALID_CONFIG, errorMessage: error.message }
      this.#logger.error(`change of the configuration of ${type}/${entity} failed`, error)
      return { errorCode: ErrorCode.UNKNOWN_SERVER_ERROR, errorMessage: null }
    }
  }

  #targetOf(resourceType: number, name: string): Outcome | { type: ConfigEntityType; entity: string } {
    if (resourceType === ResourceType.TOPIC) {
      const fault = topicNameFault(name)
      if (fault !== null) return { errorCode: ErrorCode.INVALID_TOPIC_EXCEPTION, errorMessage: fault }
      if (this.#metadata.image.topic(name) === undefined)
        return { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, errorMessage: `The topic '${name}' does not exist.` }
      return { type: 'topics', entity: name }
    }
    if (resourceType === ResourceType.BROKER)
      return name === ''
        ? { type: 'brokers', entity: DEFAULT_ENTITY }
        : (this.#brokerFault(name) ?? { type: 'brokers', entity: name })
    return invalid(`configurations of resource type ${resourceType} cannot be changed here`)
  }

  #apply(resourceType: number, texts: Map<string, string>, { name, operation, value }: ConfigChange): void {
    if (operation === AlterOperation.DELETE) {
      texts.delete(name)
      return
    }
    if (value === null) throw new InvalidRequestError(`Null value not supported for : ${name}`)
    if (operation === AlterOperation.SET) {
      texts.set(name, value)
      return
    }
    if (operation !== AlterOperation.APPEND && operation !== AlterOperation.SUBTRACT)
      throw new InvalidRequestError(`Unknown operation ${operation} on ${name}`)
    const setting = resourceType === ResourceType.TOPIC ? topicSetting(name) : brokerSetting(name)
    if (setting?.type !== SettingType.LIST)
      throw new ConfigError(`Config value append is not allowed for config key: ${name}`)
    const present = splitList(texts.get(name) ?? this.#inForce(resourceType, name))
    const items = splitList(value)
    const kept =
      operation === AlterOperation.APPEND
        ? [...present, ...items.filter((item) => !present.includes(item))]
        : present.filter((item) => !items.includes(item))
    texts.set(name, kept.join(','))
  }

  #inForce(resourceType: number, name: string): string {
    const { texts } = this.#config()
    if (resourceType === ResourceType.TOPIC)
      return effectiveTopicText(name as TopicSettingName, new Map(), texts).text ?? ''
    return layersOf(texts, name)[0]?.text ?? ''
  }

  #validateTopic(topic: string, texts: ReadonlyMap<string, string>): void {
    const waiting = validateTopicTexts(texts, this.#config().texts)
    if (waiting.length > 0)
      this.#logger.warn(`topic ${topic}: configurations that are not carried out yet: ${waiting.join(', ')}`)
  }

  /** As Apache's broker does it accepts what nobody knows, which may be a plugin's; what stands there already is no reason to refuse another change. */
  #validateBroker(entity: string, texts: ReadonlyMap<string, string>, present: ReadonlyMap<string, string>): void {
    for (const [name, text] of texts) {
      if (text === present.get(name)) continue
      const setting = brokerSetting(name.replace(LISTENER_PREFIX, ''))
      if (setting === undefined) {
        this.#logger.warn(`brokers/${entity}: ${name} is unknown, and kept for whoever knows it`)
        continue
      }
      if (setting.dynamic === 'no' || LISTENER_PREFIX.test(name))
        throw new InvalidRequestError(`Cannot update these configs dynamically: ${name}`)
      if (setting.dynamic === 'perBroker' && entity === DEFAULT_ENTITY)
        throw new InvalidRequestError(`Cannot update per-broker config for all brokers: ${name}`)
      if (setting.dynamic === 'perBroker' && setting.effect !== 'carried')
        throw new InvalidRequestError(`${name} is not carried out yet`)
    }
    const layer = entity === DEFAULT_ENTITY ? { clusterDefault: texts } : { perBroker: texts }
    try {
      // Reads all of it: throws where a value does not fit.
      const [now, next] = [this.#config(), brokerConfig({ ...this.#config().texts, ...layer })]
      const fault = listenerChangeFault(now, next) ?? threadCountFault(now.texts, next.texts)
      if (fault !== null) throw new ConfigError(fault)
    } catch (error) {
      throw error instanceof ConfigError ? new InvalidRequestError(error.message) : error
    }
  }

  /** Only while the topic is there: one that was just deleted leaves no configuration behind for the next one of its name. */
  async #writeOfTopic(path: string, topic: string, data: Uint8Array): Promise<void> {
    for (;;) {
      const isThere = (await this.#zk.exists(path)) !== null
      try {
        await this.#zk.multi([
          { op: 'check', path: ZnodePath.topic(topic), version: -1 },
          isThere ? { op: 'setData', path, data, version: -1 } : { op: 'create', path, data },
        ])
        return
      } catch (error) {
        if (!(error instanceof ZkMultiError) || !isZkError(error, 'NODEEXISTS', 'NONODE')) throw error
        if (error.index === 0) throw new UnknownTopicError(`The topic '${topic}' does not exist.`)
      }
    }
  }

  /** The node, then the notification that makes all brokers read it. */
  async #write(type: ConfigEntityType, entity: string, texts: ReadonlyMap<string, string>): Promise<void> {
    const path = ZnodePath.config(type, entity)
    const data = encodeConfig(Object.fromEntries(texts))
    if (type === 'topics') await this.#writeOfTopic(path, desanitizeEntity(entity), data)
    else if (!(await this.#zk.ensurePath(path, data))) await this.#zk.setData(path, data)
    await this.#zk.create(SequencePrefix.configChange, encodeConfigChange(`${type}/${entity}`), {
      mode: CreateMode.persistentSequential,
    })
  }
}

/** Apache's broker answers so where a change of a broker's configuration is refused, not only where the request is malformed (KAFKA-13609). */
class InvalidRequestError extends Error {
  override name = 'InvalidRequestError'
}

class UnknownTopicError extends Error {
  override name = 'UnknownTopicError'
}

function invalid(errorMessage: string): Outcome {
  return { errorCode: ErrorCode.INVALID_REQUEST, errorMessage }
}

/** A name that is unknown here is shown too, or who replaces all that is set would lose it; what it holds may be a secret. */
function describedOfBroker(name: string, layers: readonly SourcedText[], options: DescribeOptions): DescribedConfig {
  const setting = brokerSetting(name.replace(LISTENER_PREFIX, ''))
  const readOnly = setting === undefined || setting.dynamic === 'no'
  return described(name, setting, layers[0]?.text ?? null, layers, readOnly, options)
}

/** Of the layers that speak of it the highest says where it is from. */
function described(
  name: string,
  setting: Setting | undefined,
  text: string | null,
  layers: readonly SourcedText[],
  readOnly: boolean,
  { includeSynonyms, includeDocumentation }: DescribeOptions,
): DescribedConfig {
  const isSensitive = setting === undefined || setting.type === SettingType.PASSWORD
  const source = layers[0]?.source ?? ConfigSource.DEFAULT
  return {
    name,
    value: isSensitive ? null : text,
    readOnly,
    isDefault: source === ConfigSource.DEFAULT,
    configSource: source,
    isSensitive,
    synonyms: (includeSynonyms ? layers : []).map((layer) => ({
      name: layer.name,
      value: isSensitive ? null : layer.text,
      source: layer.source,
    })),
    configType: setting?.type ?? SettingType.UNKNOWN,
    documentation: includeDocumentation ? (setting?.doc ?? null) : null,
  }
}
