import type { Clock, Listener, Logger, Network, Socket, TlsListenOptions } from '#platform'

import { FramedConnection, type FramedHandler, type FramedOptions } from './connection.ts'

export interface ConnectionLimitsOptions {
  /** All connections together (`max.connections`). Default: no bound. */
  maxConnections?: number
  /** Connections from one address (`max.connections.per.ip`, `maxClientCnxns`). Default: no bound. */
  maxConnectionsPerIp?: number
  /** Bounds of single addresses (`max.connections.per.ip.overrides`). */
  perIpOverrides?: ReadonlyMap<string, number>
  /** Hears of each connection that was refused. */
  onRefused?: () => void
}

/** Counts connections against their bounds. Several listeners of one server share it. */
export class ConnectionLimits {
  #maxConnections = Infinity
  #maxConnectionsPerIp = Infinity
  #perIpOverrides: ReadonlyMap<string, number> = new Map()
  readonly #onRefused: () => void
  readonly #countByIp = new Map<string, number>()
  #count = 0

  constructor(options: ConnectionLimitsOptions = {}) {
    this.#onRefused = options.onRefused ?? (() => {})
    this.set(options)
  }

  /** Other bounds hold for connections from now on; those that are open stay. */
  set(bounds: Omit<ConnectionLimitsOptions, 'onRefused'>): void {
    this.#maxConnections = bounds.maxConnections ?? Infinity
    this.#maxConnectionsPerIp = bounds.maxConnectionsPerIp ?? Infinity
    this.#perIpOverrides = bounds.perIpOverrides ?? new Map()
  }

  get count(): number {
    return this.#count
  }

  /** Counts a connection in and returns null, or tells which bound refuses it. */
  admit(ip: string): string | null {
    if (this.#count >= this.#maxConnections)
      return this.#refuse(`${this.#count} connections are open, the limit of this server`)
    const countOfIp = this.#countByIp.get(ip) ?? 0
    const bound = this.#perIpOverrides.get(ip) ?? this.#maxConnectionsPerIp
    if (countOfIp >= bound)
      return this.#refuse(`${countOfIp} connections are open from ${ip}, the limit of one address`)
    this.#count += 1
    this.#countByIp.set(ip, countOfIp + 1)
    return null
  }

  #refuse(why: string): string {
    this.#onRefused()
    return why
  }

  release(ip: string): void {
    this.#count -= 1
    const countOfIp = this.#countByIp.get(ip)! - 1
    if (countOfIp === 0) this.#countByIp.delete(ip)
    else this.#countByIp.set(ip, countOfIp)
  }
}

export interface FramedListenOptions extends FramedOptions {
  host: string
  port: number
  limits?: ConnectionLimits
  /** Connections are encrypted; limits count those whose handshake is done. */
  tls?: TlsListenOptions
  /** Takes a connection over; it starts with the handler that is returned. */
  onConnection(connection: FramedConnection): FramedHandler
}

/** Refusals are told at most this often: whoever floods us must not flood the log. */
const REFUSAL_LOG_INTERVAL_MS = 60_000

/** Accepts framed connections within their limits; what exceeds them is closed at once. */
export class FramedListener {
  readonly host: string
  readonly port: number
  readonly #listener: Listener
  readonly #connections: Set<FramedConnection>

  private constructor(listener: Listener, connections: Set<FramedConnection>) {
    this.host = listener.host
    this.port = listener.port
    this.#listener = listener
    this.#connections = connections
  }

  /** Rejects with `NetworkError` (`EADDRINUSE`, …). */
  static async listen(
    platform: { clock: Clock; network: Network; logger: Logger },
    options: FramedListenOptions,
  ): Promise<FramedListener> {
    const connections = new Set<FramedConnection>()
    const refusals = new Refusals(platform.clock, platform.logger)
    const limits = options.limits ?? new ConnectionLimits()
    const takenOver = (connection: FramedConnection): FramedHandler => {
      try {
        return options.onConnection(connection)
      } catch (error) {
        platform.logger.error(`a connection from ${connection.remoteHost} could not be taken over`, error)
        connection.destroy(error as Error)
        return { onFrame() {}, onClose() {} }
      }
    }
    const accept = (socket: Socket): void => {
      const refusal = limits.admit(socket.remoteHost)
      if (refusal !== null) {
        refusals.note(refusal)
        socket.destroy()
        return
      }
      const connection = new FramedConnection(platform, socket, options)
      connections.add(connection)
      const handler = takenOver(connection)
      connection.start({
        onFrame: (frame, kept) => handler.onFrame(frame, kept),
        onFirstWord: (word, rest) => handler.onFirstWord?.(word, rest) ?? false,
        onClose(reason) {
          connections.delete(connection)
          limits.release(socket.remoteHost)
          handler.onClose(reason)
        },
      })
    }
    const { host, port, tls } = options
    const listening = { host, port, onConnection: accept, ...(tls === undefined ? {} : { tls }) }
    return new FramedListener(await platform.network.listen(listening), connections)
  }

  /** Open connections. */
  get connections(): ReadonlySet<FramedConnection> {
    return this.#connections
  }

  /** Stops accepting; open connections stay. */
  stopAccepting(): Promise<void> {
    return this.#listener.close()
  }

  /** Stops accepting and closes every connection, each after what was sent on it. */
  async close(): Promise<void> {
    const stopped = this.#listener.close()
    for (const connection of this.#connections) connection.close()
    await stopped
  }
}

class Refusals {
  readonly #clock: Clock
  readonly #logger: Logger
  #silentUntilMs = 0
  #untold = 0

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock
    this.#logger = logger
  }

  note(why: string): void {
    const nowMs = this.#clock.monotonic()
    if (nowMs < this.#silentUntilMs) {
      this.#untold += 1
      return
    }
    const before = this.#untold > 0 ? ` (and ${this.#untold} more since this was last said)` : ''
    this.#logger.warn(`a connection was refused: ${why}${before}`)
    this.#silentUntilMs = nowMs + REFUSAL_LOG_INTERVAL_MS
    this.#untold = 0
  }
}
