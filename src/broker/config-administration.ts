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
  SettingType,
  TOPIC_SETTINGS,
  brokerConfig,
  brokerSetting,
  effectiveTopicText,
  layersOf,
  splitList,
  topicSetting,
  topicSynonymLayers,
  validateTopicTexts,
  type BrokerConfig,
  type Setting,
  type SourcedText,
  type TopicSettingName,
  type TopicTexts,
} from './config/index.ts'
import { checkLoggerLevel, loggerLevels, setLoggerLevel } from './logger-levels.ts'
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
        const effective = effectiveTopicText(name, texts, brokerTexts)
        const layers = options.includeSynonyms ? topicSynonymLayers(name, texts, brokerTexts) : []
        return described(TOPIC_SETTINGS[name], effective, layers, false, options)
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
      if (new Set(names).size !== names.length) throw new ConfigError('a configuration is changed twice')
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
        if (value === null) throw new ConfigError(`Null value not supported for : ${name}`)
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
      const configs = [...texts.clusterDefault].flatMap(([key, text]): DescribedConfig[] => {
        const setting = brokerSetting(key)
        if (setting === undefined || (options.keys !== null && !options.keys.includes(key))) return []
        const layer: SourcedText = { name: key, text, source: ConfigSource.DYNAMIC_DEFAULT_BROKER }
        return [
          described(setting, layer, options.includeSynonyms ? layersOf(texts, key).slice(0, 1) : [], false, options),
        ]
      })
      return { ...DONE, configs }
    }
    const fault = this.#brokerFault(name)
    if (fault !== null) return { ...fault, configs: [] }
    const configs = Object.entries<Setting>(BROKER_SETTINGS)
      .filter(([key]) => options.keys === null || options.keys.includes(key))
      .map(([key, setting]) => {
        const layers = layersOf(texts, key)
        const effective = layers[0] ?? { name: key, text: null, source: ConfigSource.DEFAULT }
        return described(setting, effective, options.includeSynonyms ? layers : [], setting.dynamic === 'no', options)
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
      this.#validate(type, entity, texts)
      if (!validateOnly) await this.#write(type, entity, texts)
      return DONE
    } catch (error) {
      if (error instanceof UnknownTopicError)
        return { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, errorMessage: error.message }
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
    if (value === null) throw new ConfigError(`Null value not supported for : ${name}`)
    if (operation === AlterOperation.SET) {
      texts.set(name, value)
      return
    }
    if (operation !== AlterOperation.APPEND && operation !== AlterOperation.SUBTRACT)
      throw new ConfigError(`Unknown operation ${operation} on ${name}`)
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

  #validate(type: ConfigEntityType, entity: string, texts: ReadonlyMap<string, string>): void {
    const { texts: brokerTexts } = this.#config()
    if (type === 'topics') {
      const waiting = validateTopicTexts(texts, brokerTexts)
      if (waiting.length > 0)
        this.#logger.warn(`topic ${entity}: configurations that are not carried out yet: ${waiting.join(', ')}`)
      return
    }
    for (const name of texts.keys()) {
      const setting = brokerSetting(name)
      if (setting === undefined || setting.dynamic === 'no')
        throw new ConfigError(`Cannot update these configs dynamically: ${name}`)
      if (setting.dynamic === 'perBroker' && entity === DEFAULT_ENTITY)
        throw new ConfigError(`Cannot update per-broker config for all brokers: ${name}`)
      if (setting.dynamic === 'perBroker') throw new ConfigError(`${name} cannot be changed while the broker runs yet`)
    }
    const layer = entity === DEFAULT_ENTITY ? { clusterDefault: texts } : { perBroker: texts }
    // Reads all of it: throws where a value does not fit.
    brokerConfig({ ...brokerTexts, ...layer })
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

class UnknownTopicError extends Error {
  override name = 'UnknownTopicError'
}

function invalid(errorMessage: string): Outcome {
  return { errorCode: ErrorCode.INVALID_REQUEST, errorMessage }
}

function described(
  setting: Setting,
  effective: SourcedText,
  layers: readonly SourcedText[],
  readOnly: boolean,
  { includeDocumentation }: DescribeOptions,
): DescribedConfig {
  const isSensitive = setting.type === SettingType.PASSWORD
  return {
    name: effective.name,
    value: isSensitive ? null : effective.text,
    readOnly,
    isDefault: effective.source === ConfigSource.DEFAULT,
    configSource: effective.source,
    isSensitive,
    synonyms: layers.map(({ name, text, source }) => ({ name, value: isSensitive ? null : text, source })),
    configType: setting.type,
    documentation: includeDocumentation ? setting.doc : null,
  }
}
