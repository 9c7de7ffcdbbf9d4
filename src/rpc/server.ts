/**
 * The server's side of Kafka's protocol: listeners, connections and their bounds. What the requests mean is the handlers' affair.
 */
import { ConnectionLimits, FramedListener, type ConnectionLimitsOptions } from '#net'
import type { Platform } from '#platform'
import type { AnyApi } from '#protocol'

import type { Answer, RpcRequest } from './answer.ts'
import { LogLimiter } from './log-limiter.ts'
import { ServerConnection, type ServerConnectionOwner } from './server-connection.ts'

export interface RpcHandler {
  readonly api: AnyApi
  /** Served, both ends included; may be less than what the codec reads. */
  readonly minVersion: number
  readonly maxVersion: number
  /**
   * Several such requests of one connection may be waiting for their answers at once. Of all others a connection has one in work,
   * as in Apache's broker: what a client that pipelines may have the broker hold is bounded so.
   */
  readonly pipelined: boolean
  handle(request: RpcRequest): Answer<unknown>
}

/** Under Kafka's names. */
export interface RpcLimits {
  readonly socketRequestMaxBytes: number
  readonly maxConnections: number
  readonly maxConnectionsPerIp: number
  /** Where an address has a bound of its own. */
  readonly maxConnectionsPerIpByAddress: ReadonlyMap<string, number>
  /** Requests of all connections whose effect is still to come; beyond that nothing is read. */
  readonly queuedMaxRequests: number
  /** Negative = never. */
  readonly connectionsMaxIdleMs: number
}

function boundsOf(limits: RpcLimits): ConnectionLimitsOptions {
  return {
    maxConnections: limits.maxConnections,
    maxConnectionsPerIp: limits.maxConnectionsPerIp,
    perIpOverrides: limits.maxConnectionsPerIpByAddress,
  }
}

export class RpcServer {
  readonly #platform: Platform
  readonly #limits: RpcLimits
  readonly #connectionLimits: ConnectionLimits
  readonly #owner: ServerConnectionOwner
  /** By name. */
  readonly #listeners = new Map<string, FramedListener>()
  readonly #connections = new Set<ServerConnection>()
  /** Connections that wait for the work of others to become less. */
  readonly #waiting = new Set<ServerConnection>()
  #effectsPending = 0
  #nextConnectionId = 1
  #isOpen = false
  #isClosed = false

  constructor(platform: Platform, handlers: Iterable<RpcHandler>, limits: RpcLimits) {
    this.#platform = platform
    this.#limits = limits
    this.#connectionLimits = new ConnectionLimits(boundsOf(limits))
    const byKey = new Map<number, RpcHandler>()
    for (const handler of handlers) byKey.set(handler.api.key, handler)
    this.#owner = {
      handlers: byKey,
      log: new LogLimiter(platform.clock, platform.logger),
      isOpen: () => this.#isOpen,
      mayWork: () => this.#effectsPending < this.#limits.queuedMaxRequests,
      waitForWork: (connection) => this.#waiting.add(connection),
      onEffectBegins: () => void this.#effectsPending++,
      onEffectEnds: () => this.#onEffectEnds(),
      onClose: (connection) => this.#onClose(connection),
    }
  }

  /** The bounds on connections have changed; those that are open stay. */
  setConnectionLimits(limits: RpcLimits): void {
    this.#connectionLimits.set(boundsOf(limits))
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  /**
   * Listens; resolves with the port. Connections are accepted at once, and their requests carried out from `open` on. Rejects with
   * `NetworkError`.
   */
  async listen(listenerName: string, host: string, port: number): Promise<number> {
    const { socketRequestMaxBytes, connectionsMaxIdleMs } = this.#limits
    const listener = await FramedListener.listen(this.#platform, {
      host,
      port,
      limits: this.#connectionLimits,
      maxFrameBytes: socketRequestMaxBytes,
      ...(connectionsMaxIdleMs > 0 ? { idleTimeoutMs: connectionsMaxIdleMs } : {}),
      onConnection: (frames) => {
        const id = this.#nextConnectionId++
        const connection = new ServerConnection(this.#owner, frames, id, listenerName)
        this.#connections.add(connection)
        return connection
      },
    })
    this.#listeners.set(listenerName, listener)
    // Closed while it began to listen.
    if (this.#isClosed) await listener.close()
    return listener.port
  }

  /** From now on requests are carried out. */
  open(): void {
    this.#isOpen = true
    for (const connection of this.#connections) connection.proceed()
  }

  /** Stops listening; connections stay, and what they ask is answered. */
  async stopAccepting(): Promise<void> {
    await Promise.all(Array.from(this.#listeners.values(), (listener) => listener.stopAccepting()))
  }

  /** Stops listening and closes the connections, each after what was answered on it. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(Array.from(this.#listeners.values(), (listener) => listener.close()))
  }

  /** As `close`, of one listener: its connections end, and nobody else's. */
  async closeListener(listenerName: string): Promise<void> {
    const listener = this.#listeners.get(listenerName)
    this.#listeners.delete(listenerName)
    await listener?.close()
  }

  #onClose(connection: ServerConnection): void {
    this.#connections.delete(connection)
    this.#waiting.delete(connection)
  }

  #onEffectEnds(): void {
    this.#effectsPending--
    for (const connection of this.#waiting) {
      if (!this.#owner.mayWork()) return
      this.#waiting.delete(connection)
      connection.proceed()
    }
  }
}
