/**
 * A broker's life: its start, what happens when ZooKeeper's session ends, and the way out. What it is made of is in `parts.ts`.
 * Source: `kafka.server.KafkaServer`.
 */
import { sleep, type Platform } from '#platform'
import { isZkError, type SessionEvent } from '#zookeeper/client'

import { ConfigError, type BrokerConfig } from './config/index.ts'
import { controlledShutdown } from './controlled-shutdown.ts'
import { recordIdentity } from './identity.ts'
import { joinParts, type BrokerOptions, type Parts } from './parts.ts'
import type { BrokerServices } from './services.ts'

/** After a session's end ZooKeeper may be away for long. */
const RENEWAL_PAUSE_MS = 1000

export class Broker {
  readonly #platform: Platform
  readonly #parts: Parts
  #closed: Promise<void> | null = null
  readonly #stopped = Promise.withResolvers<void>()
  /** Follows the sessions one after the other. */
  #sessions: Promise<void> = Promise.resolve()

  /**
   * Resolves when the broker is registered and serves requests. Rejects with `ConfigError` when the configuration contradicts the
   * data, the cluster or the machine, else with what the machine says; nothing is left behind then.
   */
  static async start(platform: Platform, config: BrokerConfig, options: BrokerOptions = {}): Promise<Broker> {
    for (const warning of config.warnings) platform.logger.warn(warning)
    const opened: (() => Promise<void> | void)[] = []
    let broker: Broker | null = null
    try {
      const parts = await joinParts(platform, config, options, (close) => opened.unshift(close))
      broker = new Broker(platform, parts)
      await broker.#enter(options.signal)
      return broker
    } catch (cause) {
      const ownEnd = broker === null ? null : broker.#closed
      await ownEnd
      for (const close of opened) await Promise.resolve(close()).catch(() => {})
      throw ownEnd === null ? cause : new ConfigError('log.dirs: none of them can be used any more', { cause })
    }
  }

  private constructor(platform: Platform, parts: Parts) {
    this.#platform = platform
    this.#parts = parts
    // With no log there is nothing to hand over, and nobody is to be waited for. Apache's broker exits on the spot.
    parts.bound.halt = () => void this.close({ handOver: false })
  }

  get brokerId(): number {
    return this.#parts.identity.brokerId
  }

  get clusterId(): string {
    return this.#parts.identity.clusterId
  }

  /** Of the listener between brokers. */
  get boundPort(): number {
    return this.boundPorts.get(this.#parts.config.interBrokerListener)!
  }

  /** By listener name. */
  get boundPorts(): ReadonlyMap<string, number> {
    return this.#parts.listeners.ports
  }

  /** Whether this broker is the controller at the moment. */
  get isController(): boolean {
    return this.#parts.controller.isActive
  }

  /** Resolves when the broker has closed, which it does by itself when no log directory is left. */
  get stopped(): Promise<void> {
    return this.#stopped.promise
  }

  /** What the rooms offer, for the simulation and for tests. */
  get services(): BrokerServices {
    return this.#parts.services
  }

  /**
   * Hands leaderships over, closes the logs cleanly and leaves the cluster. Without `handOver` nobody is asked to take over, as
   * where all brokers leave together; by default the configuration decides.
   */
  close({ handOver = true }: { handOver?: boolean } = {}): Promise<void> {
    this.#closed ??= this.#close(handOver).finally(() => this.#stopped.resolve())
    return this.#closed
  }

  /** From here on the cluster knows the broker. */
  async #enter(signal?: AbortSignal): Promise<void> {
    const { zk, registration, identity, logs, controller, changes, features, rpc, replicas, strays } = this.#parts
    await this.#register(signal)
    zk.onSession((event) => this.#onSession(event))
    await recordIdentity(logs.liveDirectories, identity)
    // Before the controller can say anything. What was changed since the configurations were read has left a note.
    await Promise.all([changes.follow(), features.follow(), strays.putAside()]).catch(unlessExpired)
    if (this.#closed !== null) throw new Error('the broker has ended itself')
    replicas.start()
    rpc.open()
    controller.start()
    this.#platform.logger.info(
      `broker ${identity.brokerId} of cluster ${identity.clusterId} is registered with epoch ${registration.epoch}`,
    )
  }

  /** Opening large logs may have outlasted the session. */
  async #register(signal?: AbortSignal): Promise<void> {
    const { zk, registration } = this.#parts
    for (;;) {
      try {
        return await registration.register(signal)
      } catch (error) {
        unlessExpired(error)
        if (this.#closed !== null) throw error
        await zk.renew()
      }
    }
  }

  #onSession(event: SessionEvent): void {
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
    const { zk, registration, controller, changes, features, strays } = this.#parts
    registration.forget()
    await controller.onSessionExpired()
    let isRenewed = false
    for (;;) {
      if (this.#closed !== null) return
      try {
        if (!isRenewed) await zk.renew()
        isRenewed = true
        await strays.putAside()
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

  async #close(handOver: boolean): Promise<void> {
    const { rpc, services, controllerClient, groups, replicas, logs, controller, changes, zk, registration, strays } =
      this.#parts
    const { logger } = this.#platform
    if (handOver && services.config.controlledShutdownEnable && registration.isHeld)
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
    strays.close()
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

/** The listener for sessions begins the next one. */
function unlessExpired(error: unknown): void {
  if (!isZkError(error, 'SESSIONEXPIRED')) throw error
}
