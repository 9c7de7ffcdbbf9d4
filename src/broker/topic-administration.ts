/**
 * Creation, growth and deletion of topics as clients ask for it: `TopicAdmin` of the controller's room checks and writes into
 * ZooKeeper, and what is added here is the waiting until this broker has heard that the controller has done it.
 */
import { TopicAdmin, type CreatedTopic, type NewTopic, type Outcome, type TopicGrowth } from '#controller'
import type { Logger, Random } from '#platform'
import { ErrorCode, ZERO_UUID } from '#protocol'
import type { RetryingZooKeeper } from '#zookeeper/client'

import { ConfigError, validateTopicTexts, type BrokerConfig } from './config/index.ts'
import type { MetadataCache } from './metadata-cache.ts'

const DONE: Outcome = { errorCode: ErrorCode.NONE, errorMessage: null }
const TIMED_OUT: Outcome = { errorCode: ErrorCode.REQUEST_TIMED_OUT, errorMessage: null }

export class TopicAdministration {
  readonly #admin: TopicAdmin
  readonly #metadata: MetadataCache
  readonly #logger: Logger
  readonly #config: () => BrokerConfig
  /** Being created because somebody asked about them. */
  readonly #inCreation = new Set<string>()

  constructor(
    platform: { readonly random: Random; readonly logger: Logger },
    zk: RetryingZooKeeper,
    metadata: MetadataCache,
    config: () => BrokerConfig,
  ) {
    this.#metadata = metadata
    this.#logger = platform.logger
    this.#config = config
    this.#admin = new TopicAdmin(zk, platform.random, {
      aliveBrokers: () => [...metadata.image.brokers.values()],
      get defaults() {
        const { numPartitions, defaultReplicationFactor } = config()
        return { numPartitions, replicationFactor: defaultReplicationFactor }
      },
      configFault: (configs) => this.#configFault(configs),
    })
  }

  /** Creates, and waits until every partition has a leader that this broker knows of. `timeoutMs` ≤ 0 waits for nothing. */
  async create(topic: NewTopic, validateOnly: boolean, timeoutMs: number): Promise<CreatedTopic> {
    if (this.#metadata.image.topic(topic.name) !== undefined)
      return {
        ...alreadyExists(topic.name),
        name: topic.name,
        topicId: ZERO_UUID,
        numPartitions: -1,
        replicationFactor: -1,
      }
    const created = await this.#admin.createTopic(topic, { validateOnly })
    if (created.errorCode !== ErrorCode.NONE || validateOnly) return created
    this.#warnOfWaiting(topic)
    return { ...created, ...(await this.#untilLed(topic.name, created.numPartitions, timeoutMs)) }
  }

  /** Creates a topic that somebody asked about, or that the brokers need, without waiting. */
  async createUnasked(topic: NewTopic): Promise<Outcome> {
    if (this.#inCreation.has(topic.name)) return alreadyExists(topic.name)
    this.#inCreation.add(topic.name)
    try {
      return await this.#admin.createTopic(topic, { validateOnly: false })
    } finally {
      this.#inCreation.delete(topic.name)
    }
  }

  /** Grows a topic, and waits as `create` does. */
  async grow(
    growth: TopicGrowth,
    options: { readonly validateOnly: boolean; isQueuedForDeletion(topic: string): boolean },
    timeoutMs: number,
  ): Promise<Outcome> {
    const [outcome] = await this.#admin.createPartitions([growth], options)
    if (outcome!.errorCode !== ErrorCode.NONE || options.validateOnly) return outcome!
    return await this.#untilLed(growth.name, growth.count, timeoutMs)
  }

  /** Asks the controller to delete, and waits until this broker has heard that the topic is gone. */
  async delete(topic: string, timeoutMs: number): Promise<Outcome> {
    const [outcome] = await this.#admin.deleteTopics([topic])
    if (outcome!.errorCode !== ErrorCode.NONE) return outcome!
    const isGone = await this.#metadata.until((image) => image.topic(topic) === undefined, Math.max(0, timeoutMs))
    return isGone ? DONE : TIMED_OUT
  }

  async #untilLed(topic: string, partitionCount: number, timeoutMs: number): Promise<Outcome> {
    if (timeoutMs <= 0) return TIMED_OUT
    const isLed = await this.#metadata.until((image) => {
      const partitions = image.topic(topic)?.partitions
      if (partitions === undefined || partitions.size < partitionCount) return false
      return [...partitions.values()].every(({ leader }) => leader >= 0)
    }, timeoutMs)
    return isLed ? DONE : TIMED_OUT
  }

  #configFault(configs: NewTopic['configs']): string | null {
    try {
      validateTopicTexts(new Map(Object.entries(configs)), this.#config().texts)
      return null
    } catch (error) {
      if (error instanceof ConfigError) return error.message
      throw error
    }
  }

  #warnOfWaiting({ name, configs }: NewTopic): void {
    const waiting = validateTopicTexts(new Map(Object.entries(configs)), this.#config().texts)
    if (waiting.length > 0)
      this.#logger.warn(`topic ${name}: configurations that are not carried out yet: ${waiting.join(', ')}`)
  }
}

function alreadyExists(name: string): Outcome {
  return { errorCode: ErrorCode.TOPIC_ALREADY_EXISTS, errorMessage: `Topic '${name}' already exists.` }
}
