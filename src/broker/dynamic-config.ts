/** The broker's configuration in force: what it was started with, under what `/config/brokers/…` says. */
import { DEFAULT_ENTITY, ZnodeFormatError, ZnodePath, decodeConfig } from '#metadata/znodes'
import type { Logger } from '#platform'
import type { RetryingZooKeeper } from '#zookeeper/client'

import { ConfigError, brokerConfig, brokerSetting, type BrokerConfig } from './config/index.ts'

export class DynamicConfig {
  readonly #zk: RetryingZooKeeper
  readonly #logger: Logger
  readonly #brokerId: number
  #config: BrokerConfig
  readonly #listeners: ((config: BrokerConfig) => void)[] = []

  constructor(zk: RetryingZooKeeper, logger: Logger, brokerId: number, given: BrokerConfig) {
    this.#zk = zk
    this.#logger = logger
    this.#brokerId = brokerId
    this.#config = given
  }

  get config(): BrokerConfig {
    return this.#config
  }

  onChange(listener: (config: BrokerConfig) => void): void {
    this.#listeners.push(listener)
  }

  /** Reads both nodes. What does not fit is left out with a warning, and the rest holds. */
  async reload(): Promise<void> {
    const [perBroker, clusterDefault] = await Promise.all([
      this.#read(String(this.#brokerId)),
      this.#read(DEFAULT_ENTITY),
    ])
    const { texts } = this.#config
    if (sameTexts(texts.perBroker, perBroker) && sameTexts(texts.clusterDefault, clusterDefault)) return
    try {
      this.#config = brokerConfig({ ...texts, perBroker, clusterDefault })
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      this.#logger.warn(`the changed configuration in ZooKeeper is not obeyed: ${error.message}`)
      return
    }
    for (const listener of this.#listeners) listener(this.#config)
  }

  async #read(entity: string): Promise<Map<string, string>> {
    const znode = await this.#zk.find(ZnodePath.config('brokers', entity))
    try {
      const entries = Object.entries(decodeConfig(znode?.data ?? null))
      return new Map(entries.filter(([name]) => this.#mayChange(name, entity)))
    } catch (error) {
      if (!(error instanceof ZnodeFormatError)) throw error
      this.#logger.warn(`/config/brokers/${entity} is ignored: ${error.message}`)
      return new Map()
    }
  }

  #mayChange(name: string, entity: string): boolean {
    const dynamic = brokerSetting(name)?.dynamic ?? 'no'
    if (dynamic === 'cluster') return true
    this.#logger.warn(`/config/brokers/${entity}: ${name} cannot be changed while the broker runs, and is ignored`)
    return false
  }
}

function sameTexts(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([name, text]) => b.get(name) === text)
}
