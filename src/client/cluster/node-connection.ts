/**
 * A broker as a client reaches it: one connection, opened when it is asked for, with pauses between attempts that fail, so that a
 * broker that is down is not called in a loop.
 */
import { sleep, type Platform } from '#platform'
import type { Api, VersionRange } from '#protocol'
import { BrokerConnection, type SendOptions } from '#rpc'

import type { ClusterConfig } from '../config.ts'
import { asKafkaError } from '../errors.ts'
import { Backoff } from './backoff.ts'

export class NodeConnection {
  readonly host: string
  readonly port: number
  /** Requests without their answer. */
  inFlightCount = 0
  /** Since when it owes the next answer; it gives them in order. */
  #owesSinceMs = 0
  /** When the last request was sent or answered, on the monotonic clock. */
  lastUsedMs: number
  readonly #platform: Platform
  readonly #rpc: BrokerConnection
  readonly #requestTimeoutMs: number
  readonly #backoff: Backoff
  readonly #closing = new AbortController()
  #connecting: Promise<void> | null = null
  #failures = 0
  /** No attempt to connect before this time. */
  #retryAtMs = 0
  /** A broker that throttles the client reads nothing from it before this time (KIP-219). */
  #throttledUntilMs = 0

  constructor(platform: Platform, config: ClusterConfig, host: string, port: number, inFlightMax: number) {
    this.#platform = platform
    this.host = host
    this.port = port
    this.#requestTimeoutMs = config.requestTimeoutMs
    this.#backoff = new Backoff(platform.random, config.reconnectBackoffMs, config.reconnectBackoffMaxMs)
    this.#rpc = new BrokerConnection(platform, {
      host,
      port,
      clientId: config.clientId,
      connectTimeoutMs: config.socketConnectionSetupTimeoutMs,
      inFlightMax,
    })
    this.lastUsedMs = platform.clock.monotonic()
  }

  get isConnected(): boolean {
    return this.#rpc.isConnected
  }

  /** Somebody waits for an answer, or for the connection to stand. */
  get isBusy(): boolean {
    return this.inFlightCount > 0 || this.#connecting !== null
  }

  /** How long the next answer has been waited for, in ms; 0 while none is owed. */
  get silentForMs(): number {
    return this.inFlightCount === 0 ? 0 : this.#platform.clock.monotonic() - this.#owesSinceMs
  }

  /** How long the broker wants to be left alone, in ms; 0: not at all. */
  get throttledForMs(): number {
    return this.#throttledUntilMs === 0 ? 0 : Math.max(0, this.#throttledUntilMs - this.#platform.clock.monotonic())
  }

  /** The versions of an API that the broker serves; null before it is connected, or when it serves none. */
  versionsOf(api: { readonly key: number }): VersionRange | null {
    return this.#rpc.versionsOf(api)
  }

  /** Resolves when connected. One attempt, after the pause that earlier failures ask for, shared by all who wait. */
  connect(): Promise<void> {
    if (this.#rpc.isConnected) return Promise.resolve()
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = null
    })
    return this.#connecting
  }

  /** One attempt. Rejects with `KafkaError`; the request may have been carried out all the same. */
  async send<RequestOut, RequestIn, ResponseOut>(
    api: Api<RequestOut, RequestIn, ResponseOut, unknown>,
    request: RequestIn,
    options: SendOptions = {},
  ): Promise<ResponseOut> {
    if (this.inFlightCount === 0) this.#owesSinceMs = this.#platform.clock.monotonic()
    this.inFlightCount += 1
    try {
      if (!this.#rpc.isConnected) await this.connect()
      const response = await this.#rpc.send(api, request, { timeoutMs: this.#requestTimeoutMs, ...options })
      const throttleMs = (response as { throttleTimeMs?: number } | undefined)?.throttleTimeMs ?? 0
      if (throttleMs > 0) this.#throttledUntilMs = this.#platform.clock.monotonic() + throttleMs
      return response
    } catch (error) {
      throw asKafkaError(error)
    } finally {
      this.inFlightCount -= 1
      this.lastUsedMs = this.#owesSinceMs = this.#platform.clock.monotonic()
    }
  }

  /** Everything unanswered is rejected. */
  close(): void {
    this.#rpc.close()
    this.#closing.abort(new Error('closed'))
  }

  async #open(): Promise<void> {
    const { clock } = this.#platform
    const waitMs = this.#retryAtMs - clock.monotonic()
    // A wait that `close` ended meets a connection that is closed, which says so.
    if (waitMs > 0) await sleep(clock, waitMs, this.#closing.signal).catch(() => {})
    // Counted as failed until it succeeds, so that a broker which closes each connection at once is not called in a loop either.
    this.#retryAtMs = clock.monotonic() + this.#backoff.afterFailures(this.#failures + 1)
    try {
      await this.#rpc.connect()
      this.#failures = 0
    } catch (error) {
      this.#failures += 1
      throw asKafkaError(error)
    }
  }
}
