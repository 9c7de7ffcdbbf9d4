/**
 * The listeners of a broker: bound at the start, added and removed while it runs (`kafka.server.DynamicListenerConfig`), and where others are
 * told to reach them.
 */
import { NetworkError, type Platform } from '#platform'
import type { RpcServer } from '#rpc'

import { ConfigError, listenerChangeFault, type ListenerEndpoint, type Listeners } from './config/index.ts'
import type { Registration } from './registration.ts'

export class OpenListeners {
  readonly #network: Platform['network']
  readonly #rpc: RpcServer
  readonly #ports = new Map<string, number>()

  constructor({ network }: Pick<Platform, 'network'>, rpc: RpcServer) {
    this.#network = network
    this.#rpc = rpc
  }

  /** Bound ports by listener name. */
  get ports(): ReadonlyMap<string, number> {
    return this.#ports
  }

  /** Opens all of them, or none: throws `ConfigError` where one cannot listen. */
  async open(endpoints: readonly ListenerEndpoint[]): Promise<void> {
    const opened: string[] = []
    try {
      for (const { listenerName, host, port } of endpoints) {
        this.#ports.set(listenerName, await this.#listen(listenerName, host, port))
        opened.push(listenerName)
      }
    } catch (error) {
      await this.#close(opened)
      throw error
    }
  }

  /**
   * Those that are new are opened and told to the cluster before those that are gone close. Throws `ConfigError`, with nothing changed, where
   * that cannot be.
   */
  async change(now: Listeners, next: Listeners, registration: Registration): Promise<void> {
    const fault = listenerChangeFault(now, next)
    if (fault !== null) throw new ConfigError(fault)
    const names = new Set(next.endpoints.map(({ listenerName }) => listenerName))
    const added = next.endpoints.filter(({ listenerName }) => !this.#ports.has(listenerName))
    await this.open(added)
    try {
      await registration.advertise(this.advertised(next))
    } catch (error) {
      await this.#close(added.map(({ listenerName }) => listenerName))
      throw error
    }
    await this.#close([...this.#ports.keys()].filter((name) => !names.has(name)))
  }

  /** With the ports that were free, and the machine's name where none was given. */
  advertised({ advertisedEndpoints }: Listeners): ListenerEndpoint[] {
    return advertisedEndpoints.map((endpoint) => ({
      ...endpoint,
      host: endpoint.host === '' ? (this.#network.hostName ?? 'localhost') : endpoint.host,
      port: endpoint.port === 0 ? this.#ports.get(endpoint.listenerName)! : endpoint.port,
    }))
  }

  async #listen(listenerName: string, host: string, port: number): Promise<number> {
    try {
      return await this.#rpc.listen(listenerName, host === '' ? '0.0.0.0' : host, port)
    } catch (cause) {
      if (!(cause instanceof NetworkError)) throw cause
      throw new ConfigError(`listeners: ${listenerName} cannot listen on ${host}:${port}: ${cause.message}`, { cause })
    }
  }

  async #close(names: readonly string[]): Promise<void> {
    for (const name of names) {
      this.#ports.delete(name)
      await this.#rpc.closeListener(name)
    }
  }
}
