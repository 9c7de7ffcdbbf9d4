/** The way from this broker to whichever broker is the controller now. */
import type { Platform } from '#platform'
import type { Api } from '#protocol'
import { BrokerConnection, RpcError, type SendOptions } from '#rpc'

import type { MetadataCache } from './metadata-cache.ts'

export class ControllerClient {
  readonly #platform: Platform
  readonly #metadata: MetadataCache
  readonly #listenerName: string
  readonly #clientId: string
  readonly #connectTimeoutMs: number
  #connection: BrokerConnection | null = null
  #closed = false

  constructor(
    platform: Platform,
    metadata: MetadataCache,
    options: { listenerName: string; clientId: string; connectTimeoutMs: number },
  ) {
    this.#platform = platform
    this.#metadata = metadata
    this.#listenerName = options.listenerName
    this.#clientId = options.clientId
    this.#connectTimeoutMs = options.connectTimeoutMs
  }

  /** Rejects with a retriable `RpcError` when no controller is known or it cannot be reached: it may be another one by then. */
  async send<RequestOut, RequestIn, ResponseOut, ResponseIn>(
    api: Api<RequestOut, RequestIn, ResponseOut, ResponseIn>,
    request: RequestIn,
    options: SendOptions,
  ): Promise<ResponseOut> {
    return await this.#connect().send(api, request, options)
  }

  close(): void {
    this.#closed = true
    this.#connection?.close()
  }

  #connect(): BrokerConnection {
    if (this.#closed) throw new RpcError('closed', 'the broker is closing')
    const { image } = this.#metadata
    const endpoint = image.endpoint(image.controllerId, this.#listenerName)
    if (endpoint === undefined) throw new RpcError('connect', 'no controller is known at the moment')
    const { host, port } = endpoint
    if (this.#connection?.address !== `${host}:${port}`) {
      this.#connection?.close()
      this.#connection = new BrokerConnection(this.#platform, {
        host,
        port,
        clientId: this.#clientId,
        connectTimeoutMs: this.#connectTimeoutMs,
      })
    }
    return this.#connection
  }
}
