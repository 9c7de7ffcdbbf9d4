/** Topic configurations as ZooKeeper holds them, over the broker's own: what is in force, kept as they change. */
import { ZnodeFormatError, ZnodePath, decodeConfig } from '#metadata/znodes'
import type { Logger } from '#platform'
import type { LogConfig } from '#storage'
import type { RetryingZooKeeper } from '#zookeeper/client'

import { topicLogConfig, type BrokerTexts, type TopicTexts } from './config/index.ts'

const NOTHING: TopicTexts = new Map()

export class TopicConfigStore {
  readonly #zk: RetryingZooKeeper
  readonly #logger: Logger
  #brokerTexts: BrokerTexts
  /** Of every topic that was read, also where nothing is set. */
  readonly #texts = new Map<string, TopicTexts>()
  /** Typed, made when first asked for. */
  readonly #typed = new Map<string, LogConfig>()
  readonly #listeners: ((topic: string, config: LogConfig) => void)[] = []

  constructor(zk: RetryingZooKeeper, logger: Logger, brokerTexts: BrokerTexts) {
    this.#zk = zk
    this.#logger = logger
    this.#brokerTexts = brokerTexts
  }

  /** Reads all topics' configurations. */
  async load(): Promise<void> {
    const topics = await this.#zk.childrenOf(ZnodePath.configType('topics'))
    await Promise.all(topics.map((topic) => this.reload(topic)))
  }

  /** Reads one topic's configuration again and tells those who obey it. */
  async reload(topic: string): Promise<void> {
    const texts = await this.read(topic)
    this.#texts.set(topic, texts)
    this.#typed.delete(topic)
    for (const listener of this.#listeners) listener(topic, this.of(topic))
  }

  /** Whether the topic's configuration was read: a new topic is not announced by a note, since its creator wrote it first. */
  isLoaded(topic: string): boolean {
    return this.#texts.has(topic)
  }

  /** A topic's own configuration, straight from ZooKeeper. */
  async read(topic: string): Promise<TopicTexts> {
    const znode = await this.#zk.find(ZnodePath.config('topics', topic))
    try {
      return new Map(Object.entries(decodeConfig(znode?.data ?? null)))
    } catch (error) {
      if (!(error instanceof ZnodeFormatError)) throw error
      this.#logger.warn(`configuration of topic ${topic} is ignored: ${error.message}`)
      return NOTHING
    }
  }

  /** A deleted topic leaves nothing behind. */
  forget(topic: string): void {
    this.#texts.delete(topic)
    this.#typed.delete(topic)
  }

  /** What the broker itself is told has changed: all topics may be touched. */
  setBrokerTexts(texts: BrokerTexts): void {
    this.#brokerTexts = texts
    const topics = [...this.#typed.keys()]
    this.#typed.clear()
    for (const topic of topics) for (const listener of this.#listeners) listener(topic, this.of(topic))
  }

  textsOf(topic: string): TopicTexts {
    return this.#texts.get(topic) ?? NOTHING
  }

  of(topic: string): LogConfig {
    const known = this.#typed.get(topic)
    if (known !== undefined) return known
    const config = topicLogConfig(this.textsOf(topic), this.#brokerTexts, (name, reason) =>
      this.#logger.warn(`topic ${topic}: ${name} in ZooKeeper is ignored: ${reason}`),
    )
    this.#typed.set(topic, config)
    return config
  }

  onChange(listener: (topic: string, config: LogConfig) => void): void {
    this.#listeners.push(listener)
  }
}
