/**
 * The broker's znode under `/brokers/ids`: as long as it is there the cluster counts the broker as alive. Its czxid is the
 * broker's epoch, by which requests meant for an earlier life are told from others (KIP-380).
 */
import { assert } from '#base'
import {
  ZnodeFormatError,
  ZnodePath,
  decodeBroker,
  encodeBroker,
  type BrokerEndpoint,
  type BrokerRegistration,
} from '#metadata/znodes'
import type { Platform } from '#platform'
import { isZkError, type RetryingZooKeeper } from '#zookeeper/client'

import { ConfigError } from './config/index.ts'

export class Registration {
  readonly #platform: Platform
  readonly #zk: RetryingZooKeeper
  #broker: BrokerRegistration
  #epoch = -1
  #isHeld = false

  constructor(
    platform: Platform,
    zk: RetryingZooKeeper,
    broker: { readonly id: number; readonly endpoints: readonly BrokerEndpoint[]; readonly rack: string | null },
  ) {
    this.#platform = platform
    this.#zk = zk
    this.#broker = { ...broker, jmxPort: -1, features: {} }
  }

  /** Of the last registration, also when its session has ended: what is meant for lives before it stays refused. −1 before the first. */
  get epoch(): number {
    return this.#epoch
  }

  /** Whether the znode is there, as far as is known. */
  get isHeld(): boolean {
    return this.#isHeld
  }

  /** The broker is reached there from now on. Throws `ConfigError`, with nothing changed, when another broker has such an address. */
  async advertise(endpoints: readonly BrokerEndpoint[]): Promise<void> {
    const broker = { ...this.#broker, endpoints }
    if (sameEndpoints(endpoints, this.#broker.endpoints)) return
    await this.#checkAddresses(broker)
    this.#broker = broker
    if (this.#isHeld) await this.#rewrite()
  }

  /** Where the session has ended meanwhile the next registration says it. */
  async #rewrite(): Promise<void> {
    const data = encodeBroker(this.#broker, this.#platform.clock.now())
    try {
      await this.#zk.setData(ZnodePath.broker(this.#broker.id), data)
    } catch (error) {
      if (!isZkError(error, 'NONODE', 'SESSIONEXPIRED')) throw error
    }
  }

  /** The session has ended, and the znode with it. */
  forget(): void {
    this.#isHeld = false
  }

  /**
   * Registers in the present session. Where an earlier life's session still holds the id, it is waited for: a broker that was killed
   * comes back before its session has run out. Throws `ConfigError` when another broker has our address.
   */
  async register(signal?: AbortSignal): Promise<void> {
    const path = ZnodePath.broker(this.#broker.id)
    for (let waited = false; ; waited = true) {
      const broker = this.#broker
      await this.#checkAddresses(broker)
      try {
        const data = encodeBroker(broker, this.#platform.clock.now())
        const { czxid } = await this.#zk.createEphemeral(path, data)
        this.#epoch = Number(czxid)
        assert(Number.isSafeInteger(this.#epoch), 'a broker epoch lies within 2^53')
        this.#isHeld = true
        if (this.#broker !== broker) await this.#rewrite()
        return
      } catch (error) {
        if (!isZkError(error, 'NODEEXISTS')) throw error
      }
      if (!waited)
        this.#platform.logger.warn(
          `broker ${this.#broker.id} is still registered by a session that has not expired: waiting for its end`,
        )
      await this.#zk.untilDeleted(path, signal)
    }
  }

  /** Two brokers under one address would make clients talk to the wrong one. */
  async #checkAddresses(broker: BrokerRegistration): Promise<void> {
    for (const id of await this.#zk.childrenOf(ZnodePath.brokerIds)) {
      if (Number(id) === broker.id) continue
      const other = await this.#read(Number(id))
      for (const mine of broker.endpoints)
        if (other?.endpoints.some(({ host, port }) => host === mine.host && port === mine.port) === true)
          throw new ConfigError(`advertised.listeners: ${mine.host}:${mine.port} is registered by broker ${id} already`)
    }
  }

  async #read(id: number): Promise<BrokerRegistration | null> {
    const znode = await this.#zk.find(ZnodePath.broker(id))
    try {
      return znode === null ? null : decodeBroker(id, znode.data)
    } catch (error) {
      if (error instanceof ZnodeFormatError) return null
      throw error
    }
  }
}

function sameEndpoints(a: readonly BrokerEndpoint[], b: readonly BrokerEndpoint[]): boolean {
  const text = (endpoints: readonly BrokerEndpoint[]): string =>
    endpoints
      .map(({ listenerName, securityProtocol, host, port }) => `${listenerName} ${securityProtocol} ${host}:${port}`)
      .join()
  return text(a) === text(b)
}
