/**
 * A cluster as a client sees it: the brokers to begin with, the metadata that they tell, and a connection to
 * each broker, made when it is first needed.
 */
import { assert } from '#base'
import { type Platform, sleep } from '#platform'
import { type Api, ErrorCode } from '#protocol'
import { Metadata, type MetadataResponse } from '#protocol/messages/metadata'
import { BrokerConnection, RpcError, type SendOptions } from '#rpc'

import { KafkaError } from './errors.ts'

export interface ClusterOptions {
  /** `host:port`, separated by commas. */
  bootstrapServers: string
  /** `client.id`. */
  clientId?: string
  /** `default.api.timeout.ms`: how long a call may take, with all its retries. */
  apiTimeoutMs?: number
  /** `request.timeout.ms`: how long one request may take. */
  requestTimeoutMs?: number
}

/** First pause before a call is tried again, doubled each time up to the maximum (KIP-580). */
const RETRY_BACKOFF_MS = 100
const RETRY_BACKOFF_MAX_MS = 1_000

interface Address {
  host: string
  port: number
}

export class Cluster {
  readonly #platform: Platform
  readonly #clientId: string
  readonly #apiTimeoutMs: number
  readonly #requestTimeoutMs: number
  readonly #bootstrap: readonly Address[]
  /** By `host:port`: a broker that comes back elsewhere gets a new connection. */
  readonly #connections = new Map<string, BrokerConnection>()
  #brokers: readonly Address[] = []
  #closed = false

  constructor(platform: Platform, options: ClusterOptions) {
    this.#platform = platform
    this.#clientId = options.clientId ?? 'samsa'
    this.#apiTimeoutMs = options.apiTimeoutMs ?? 60_000
    this.#requestTimeoutMs = options.requestTimeoutMs ?? 30_000
    this.#bootstrap = parseBootstrapServers(options.bootstrapServers)
  }

  /** Metadata of the topics named; of all when null; of none, brokers and controller only, when empty. */
  metadata(topics: readonly string[] | null = []): Promise<MetadataResponse> {
    return this.retry('metadata', async () => {
      const connection = await this.#anyConnection()
      const request = {
        topics: topics === null ? null : topics.map((name) => ({ name })),
        allowAutoTopicCreation: false,
      }
      const response = await connection.send(Metadata, request, { timeoutMs: this.#requestTimeoutMs })
      if (response.brokers.length > 0) this.#brokers = response.brokers
      return response
    })
  }

  /** Sends to the controller, and looks for it again when it has moved. `errorsOf` tells the codes of an answer. */
  sendToController<Request, Input, Response>(
    api: Api<Request, Input, Response, unknown>,
    request: Input,
    errorsOf: (response: Response) => readonly number[],
    options: SendOptions = {},
  ): Promise<Response> {
    return this.retry(api.name, async () => {
      const { brokers, controllerId } = await this.metadata()
      const controller = brokers.find((broker) => broker.nodeId === controllerId)
      if (controller === undefined)
        throw new KafkaError('the cluster has no controller at the moment', { retriable: true })
      const response = await this.#send(controller, api, request, options)
      if (errorsOf(response).includes(ErrorCode.NOT_CONTROLLER))
        throw new KafkaError('the controller has moved', { code: ErrorCode.NOT_CONTROLLER, retriable: true })
      return response
    })
  }

  /** Sends to a broker by id, or to any when `nodeId` is null. */
  sendTo<Request, Input, Response>(
    nodeId: number | null,
    api: Api<Request, Input, Response, unknown>,
    request: Input,
  ): Promise<Response> {
    return this.retry(api.name, async () => {
      if (nodeId === null)
        return (await this.#anyConnection()).send(api, request, { timeoutMs: this.#requestTimeoutMs })
      const { brokers } = await this.metadata()
      const broker = brokers.find((candidate) => candidate.nodeId === nodeId)
      if (broker === undefined)
        throw new KafkaError(`broker ${nodeId} is not in the cluster at the moment`, { retriable: true })
      return this.#send(broker, api, request)
    })
  }

  /** Calls `attempt` until it succeeds, fails for good, or `default.api.timeout.ms` has passed. */
  async retry<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    const deadline = this.#platform.clock.monotonic() + this.#apiTimeoutMs
    for (let backoffMs = RETRY_BACKOFF_MS; ; backoffMs = Math.min(backoffMs * 2, RETRY_BACKOFF_MAX_MS)) {
      try {
        return await attempt()
      } catch (error) {
        if (!isRetriable(error) || this.#closed) throw error
        if (this.#platform.clock.monotonic() + backoffMs >= deadline)
          throw new KafkaError(`${what} did not succeed within ${this.#apiTimeoutMs} ms: ${(error as Error).message}`, {
            cause: error,
          })
        await sleep(this.#platform.clock, backoffMs)
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const connection of this.#connections.values()) connection.close()
    this.#connections.clear()
  }

  async #send<Request, Input, Response>(
    address: Address,
    api: Api<Request, Input, Response, unknown>,
    request: Input,
    options: SendOptions = {},
  ): Promise<Response> {
    return this.#connectionTo(address).send(api, request, { timeoutMs: this.#requestTimeoutMs, ...options })
  }

  /** A connection to some broker that answers, those known from metadata first. */
  async #anyConnection(): Promise<BrokerConnection> {
    const failures: string[] = []
    for (const address of [...this.#brokers, ...this.#bootstrap]) {
      const connection = this.#connectionTo(address)
      try {
        await connection.connect()
        return connection
      } catch (error) {
        failures.push((error as Error).message)
      }
    }
    throw new KafkaError(`no broker can be reached: ${[...new Set(failures)].join('; ')}`, { retriable: true })
  }

  #connectionTo({ host, port }: Address): BrokerConnection {
    assert(!this.#closed, 'the cluster is closed')
    const key = `${host}:${port}`
    const known = this.#connections.get(key)
    if (known !== undefined) return known
    const connection = new BrokerConnection(this.#platform, { host, port, clientId: this.#clientId })
    this.#connections.set(key, connection)
    return connection
  }
}

export function parseBootstrapServers(text: string): Address[] {
  return text.split(',').map((server) => {
    const match = /^(?:\[(?<v6>[^\]]+)\]|(?<name>[^:]+)):(?<port>\d+)$/.exec(server.trim())
    const host = match?.groups?.['v6'] ?? match?.groups?.['name']
    const port = Number(match?.groups?.['port'])
    if (host === undefined || port < 1 || port > 65_535)
      throw new KafkaError(`bootstrap server "${server.trim()}" is not of the form host:port, such as 127.0.0.1:9092`)
    return { host, port }
  })
}

function isRetriable(error: unknown): boolean {
  return (error instanceof KafkaError || error instanceof RpcError) && error.retriable
}
