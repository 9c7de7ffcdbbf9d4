/** The broker's configuration in force: what it was started with, under what `/config/brokers/…` says. */
import { DEFAULT_ENTITY, ZnodeFormatError, ZnodePath, decodeConfig } from '#metadata/znodes'
import type { Logger } from '#platform'
import type { RetryingZooKeeper } from '#zookeeper/client'

import { ConfigError, brokerConfig, brokerSetting, type BrokerConfig, type BrokerTexts } from './config/index.ts'

export class DynamicConfig {
  readonly #zk: RetryingZooKeeper
  readonly #logger: Logger
  readonly #brokerId: number
  #config: BrokerConfig
  readonly #listeners: ((config: BrokerConfig) => void)[] = []
  /** What must have come about before a change is in force; a `ConfigError` leaves everything as it was. */
  prepare: (next: BrokerConfig) => Promise<void> = () => Promise.resolve()

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
      const next = brokerConfig({ ...texts, perBroker, clusterDefault })
      await this.prepare(next)
      this.#warnOfWaiting(texts, next.texts)
      this.#config = next
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
      return new Map(entries.filter(([name, text]) => this.#isKept(name, entity) && this.#fits(name, text, entity)))
    } catch (error) {
      if (!(error instanceof ZnodeFormatError)) throw error
      this.#logger.warn(`/config/brokers/${entity} is ignored: ${error.message}`)
      return new Map()
    }
  }

  /** What nobody here knows is kept to be shown, since Apache's tools write back all that they are shown and lose the rest. */
  #isKept(name: string, entity: string): boolean {
    const setting = brokerSetting(name)
    const isOwn = setting?.dynamic === 'perBroker' && setting.effect === 'carried' && entity !== DEFAULT_ENTITY
    if (setting?.dynamic === 'cluster' || isOwn) return true
    const fault = setting === undefined ? 'is unknown' : 'cannot be changed while the broker runs'
    this.#logger.warn(`/config/brokers/${entity}: ${name} ${fault}, and is ignored`)
    return setting === undefined
  }

  /** A value that is none is no reason to leave the others out. */
  #fits(name: string, text: string, entity: string): boolean {
    try {
      brokerSetting(name)?.parse(text)
      return true
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      this.#logger.warn(`/config/brokers/${entity}: ${name} is ignored: ${error.message}`)
      return false
    }
  }

  /** Of what has changed. */
  #warnOfWaiting(before: BrokerTexts, after: BrokerTexts): void {
    const waiting = (['perBroker', 'clusterDefault'] as const).flatMap((layer) =>
      [...after[layer]]
        .filter(([name, text]) => brokerSetting(name)?.effect === 'later' && before[layer].get(name) !== text)
        .map(([name]) => name),
    )
    if (waiting.length > 0)
      this.#logger.warn(`configurations that are not carried out yet: ${[...new Set(waiting)].join(', ')}`)
  }
}

function sameTexts(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([name, text]) => b.get(name) === text)
}
