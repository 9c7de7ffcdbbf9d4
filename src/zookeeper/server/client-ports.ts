/** Where clients come in: `clientPort`, `secureClientPort`, or both. Their bounds are counted together. */
import { ConnectionLimits, FramedListener, type FramedConnection, type FramedHandler } from '#net'
import type { Platform, TlsListenOptions } from '#platform'

import type { ZooKeeperConfig } from './config.ts'
import type { ServerMetrics } from './metrics/server-metrics.ts'
import type { Security } from './security.ts'

/** What waits for a client that does not read its answers; then it is not read from any more. */
const PENDING_BYTES_MAX = 1 << 20

export class ClientPorts {
  readonly #plain: FramedListener | null
  readonly #secure: FramedListener | null

  /** Rejects with `NetworkError`; then neither port is taken. */
  static async open(
    platform: Platform,
    config: ZooKeeperConfig,
    security: Security,
    metrics: ServerMetrics,
    onConnection: (connection: FramedConnection) => FramedHandler,
  ): Promise<ClientPorts> {
    const limits = new ConnectionLimits({
      maxConnections: config.maxCnxns || Infinity,
      maxConnectionsPerIp: config.maxClientCnxns || Infinity,
      onRefused: () => metrics.connectionsRejected.add(),
    })
    const onRefused = (): void => {
      metrics.authFailures++
      metrics.handshakesFailed.add()
    }
    const listen = (host: string, port: number, tls: TlsListenOptions | null): Promise<FramedListener> =>
      FramedListener.listen(platform, {
        host,
        port,
        maxFrameBytes: config.juteMaxBuffer,
        pendingBytesMax: PENDING_BYTES_MAX,
        limits,
        onConnection,
        ...(tls === null ? {} : { tls: { ...tls, onRefused } }),
      })
    const { secureClientPort, secureClientPortAddress, portUnification } = config.security
    const both = portUnification ? { ...security.clientTls!, orPlain: true } : null
    const plain = config.clientPort === null ? null : await listen(config.clientPortAddress, config.clientPort, both)
    if (secureClientPort === null) return new ClientPorts(plain, null)
    try {
      return new ClientPorts(plain, await listen(secureClientPortAddress, secureClientPort, security.clientTls))
    } catch (error) {
      await plain?.close()
      throw error
    }
  }

  private constructor(plain: FramedListener | null, secure: FramedListener | null) {
    this.#plain = plain
    this.#secure = secure
  }

  /** 0: there is none. */
  get port(): number {
    return this.#plain?.port ?? 0
  }

  /** With TLS; 0: there is none. */
  get securePort(): number {
    return this.#secure?.port ?? 0
  }

  /** Open connections stay. */
  async stopAccepting(): Promise<void> {
    await Promise.all([this.#plain?.stopAccepting(), this.#secure?.stopAccepting()])
  }
}
