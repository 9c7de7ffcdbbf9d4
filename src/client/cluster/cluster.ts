/**
 * A cluster as a client sees it: its metadata, a connection to each broker, made when it is first needed, and calls that go to the
 * broker in charge and are tried again while that may help. Producer, consumer and admin each have one of their own.
 */
import { sleep, type Platform } from '#platform'
import { ErrorCode, type Api } from '#protocol'
import { FindCoordinator } from '#protocol/messages/find-coordinator'
import { Metadata, type MetadataResponse } from '#protocol/messages/metadata'
import type { SendOptions } from '#rpc'

import type { ClusterConfig } from '../config.ts'
import { ClosedError, KafkaError, TimeoutError, isRetriable, kafkaError } from '../errors.ts'
import { abortable } from './abortable.ts'
import { parseAddresses, type Address } from './addresses.ts'
import { Backoff } from './backoff.ts'
import { Connections, STAGGER_MS, type Purpose } from './connections.ts'
import { MetadataCache } from './metadata-cache.ts'
import type { NodeConnection } from './node-connection.ts'

export interface ClusterTraits {
  /** Whether a topic that is asked for may be created by the broker, if it is configured so. */
  readonly allowAutoTopicCreation?: boolean
  /** Requests on one connection that wait for their answer; more wait in its queue. */
  readonly inFlightMax?: number
}

export interface Leader {
  readonly nodeId: number
  /** -1: not told. */
  readonly leaderEpoch: number
}

export interface CallOptions {
  /** For the call with all its retries; `default.api.timeout.ms` if left out. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface RequestOptions extends SendOptions {
  readonly purpose?: Purpose
  readonly signal?: AbortSignal | undefined
}

export type CoordinatorKind = 'group' | 'transaction'

/** Tells the error codes of an answer: those that say that another broker is in charge are retried there. */
export type ErrorsOf<Response> = (response: Response) => readonly number[]

const COORDINATOR_KEY_TYPE = { group: 0, transaction: 1 } as const
/** From this version on FindCoordinator asks for several keys at once (KIP-699). */
const FIND_SEVERAL_VERSION_MIN = 4
const IN_FLIGHT_MAX = 5

export class Cluster implements AsyncDisposable {
  readonly config: ClusterConfig
  readonly metadata: MetadataCache
  readonly #platform: Platform
  readonly #traits: ClusterTraits
  readonly #bootstrap: readonly Address[]
  readonly #connections: Connections
  readonly #backoff: Backoff
  readonly #closing = new AbortController()
  /** By kind and key: who coordinates, or the question on its way. */
  readonly #coordinators = new Map<string, number>()
  readonly #coordinatorSearches = new Map<string, Promise<number>>()

  constructor(platform: Platform, config: ClusterConfig, traits: ClusterTraits = {}) {
    this.#platform = platform
    this.config = config
    this.#traits = traits
    this.#bootstrap = parseAddresses(config.bootstrapServers)
    this.#connections = new Connections(platform, config, traits.inFlightMax ?? IN_FLIGHT_MAX)
    this.#backoff = new Backoff(platform.random, config.retryBackoffMs, config.retryBackoffMaxMs)
    this.metadata = new MetadataCache(platform, config, (topics) => this.#askMetadata(topics))
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  /** The leader as far as it is known; null when the partition has none, or nothing is known of it. */
  leaderOf(topic: string, partition: number): Leader | null {
    const info = this.metadata.partition(topic, partition)
    if (info === undefined || info.leader < 0 || !this.metadata.nodes.has(info.leader)) return null
    return { nodeId: info.leader, leaderEpoch: info.leaderEpoch }
  }

  /** The connection to a broker by id, as it stands; null when metadata does not have the broker. */
  node(nodeId: number, purpose: Purpose = 'data'): NodeConnection | null {
    const node = this.metadata.nodes.get(nodeId)
    return node === undefined ? null : this.#connections.to(node, purpose)
  }

  /** One attempt at a broker of the metadata. Rejects with `KafkaError`, or the signal's reason. */
  async send<RequestOut, RequestIn, ResponseOut>(
    nodeId: number,
    api: Api<RequestOut, RequestIn, ResponseOut, unknown>,
    request: RequestIn,
    { purpose, signal, ...options }: RequestOptions = {},
  ): Promise<ResponseOut> {
    const connection = this.node(nodeId, purpose)
    if (connection === null) {
      this.metadata.requestUpdate()
      throw new KafkaError(`broker ${nodeId} is not in the cluster at the moment`, {
        code: ErrorCode.BROKER_NOT_AVAILABLE,
        retriable: true,
      })
    }
    return abortable(connection.send(api, request, options), signal)
  }

  /** Metadata of the topics named, fresh from a broker: of all when null; of none, brokers and controller only, when empty. */
  describe(topics: readonly string[] | null = [], options: CallOptions = {}): Promise<MetadataResponse> {
    return this.retry('Metadata', () => this.#askMetadata(topics), options)
  }

  /** Sends to a broker by id, or to any when null, and tries again while no answer comes. */
  sendTo<RequestOut, RequestIn, ResponseOut>(
    nodeId: number | null,
    api: Api<RequestOut, RequestIn, ResponseOut, unknown>,
    request: RequestIn,
    options: CallOptions & { maxVersion?: number } = {},
  ): Promise<ResponseOut> {
    const { signal, maxVersion } = options
    const sendOptions: SendOptions = maxVersion === undefined ? {} : { maxVersion }
    return this.retry(
      api.name,
      async () => {
        if (nodeId === null) return (await this.#any()).send(api, request, sendOptions)
        if (!this.metadata.nodes.has(nodeId)) await this.#askMetadata([])
        return this.send(nodeId, api, request, { signal, ...sendOptions })
      },
      options,
    )
  }

  /** Sends to the controller, and looks for it again when it has moved. */
  sendToController<RequestOut, RequestIn, ResponseOut>(
    api: Api<RequestOut, RequestIn, ResponseOut, unknown>,
    request: RequestIn,
    errorsOf: ErrorsOf<ResponseOut>,
    options: CallOptions & { maxVersion?: number } = {},
  ): Promise<ResponseOut> {
    const { signal, maxVersion } = options
    return this.retry(
      api.name,
      async () => {
        const { controllerId } = await this.#askMetadata([])
        if (controllerId < 0) throw new KafkaError('the cluster has no controller at the moment', { retriable: true })
        const sendOptions = maxVersion === undefined ? { signal } : { signal, maxVersion }
        const response = await this.send(controllerId, api, request, sendOptions)
        if (errorsOf(response).includes(ErrorCode.NOT_CONTROLLER))
          throw kafkaError(ErrorCode.NOT_CONTROLLER, 'the controller has moved')
        return response
      },
      options,
    )
  }

  /** The broker that coordinates a group or a transactional id; asked for once, until it is forgotten. */
  coordinatorOf(kind: CoordinatorKind, key: string, options: CallOptions = {}): Promise<number> {
    const name = `${kind} ${key}`
    const known = this.#coordinators.get(name)
    if (known !== undefined && this.metadata.nodes.has(known)) return Promise.resolve(known)
    let search = this.#coordinatorSearches.get(name)
    if (search === undefined) {
      // Shared by all who ask: it has no signal of one of them.
      search = this.retry('FindCoordinator', () => this.#findCoordinator(kind, key), {
        timeoutMs: options.timeoutMs,
      }).finally(() => this.#coordinatorSearches.delete(name))
      this.#coordinatorSearches.set(name, search)
    }
    return abortable(search, options.signal)
  }

  /** After NOT_COORDINATOR, or when the coordinator does not answer. */
  forgetCoordinator(kind: CoordinatorKind, key: string): void {
    this.#coordinators.delete(`${kind} ${key}`)
  }

  /** One attempt at the coordinator, over a connection of its own. It is forgotten when it does not answer or says that it is not. */
  async sendToCoordinatorOnce<RequestOut, RequestIn, ResponseOut>(
    kind: CoordinatorKind,
    key: string,
    api: Api<RequestOut, RequestIn, ResponseOut, unknown>,
    request: RequestIn,
    errorsOf: ErrorsOf<ResponseOut>,
    options: RequestOptions = {},
  ): Promise<ResponseOut> {
    const nodeId = await this.coordinatorOf(kind, key, { signal: options.signal })
    try {
      const response = await this.send(nodeId, api, request, { purpose: 'coordinator', ...options })
      if (errorsOf(response).some(isNotCoordinator)) this.forgetCoordinator(kind, key)
      return response
    } catch (error) {
      if (error instanceof KafkaError) this.forgetCoordinator(kind, key)
      throw error
    }
  }

  /** Sends to the coordinator, and tries again while it moves, loads, or does not answer. */
  sendToCoordinator<RequestOut, RequestIn, ResponseOut>(
    kind: CoordinatorKind,
    key: string,
    api: Api<RequestOut, RequestIn, ResponseOut, unknown>,
    request: RequestIn,
    errorsOf: ErrorsOf<ResponseOut>,
    options: CallOptions = {},
  ): Promise<ResponseOut> {
    const { signal } = options
    return this.retry(
      api.name,
      async () => {
        const response = await this.sendToCoordinatorOnce(kind, key, api, request, errorsOf, { signal })
        const moved = errorsOf(response).find(
          (code) => isNotCoordinator(code) || code === ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        )
        if (moved !== undefined) throw kafkaError(moved, `${kind} ${key}`)
        return response
      },
      options,
    )
  }

  /**
   * Calls `attempt` until it succeeds, with pauses that grow. Rejects with the first error that is not retriable, with
   * `TimeoutError` when the time is over, also in the middle of an attempt, and with the signal's reason.
   */
  async retry<T>(what: string, attempt: () => Promise<T>, options: CallOptions = {}): Promise<T> {
    const { signal, timeoutMs = this.config.defaultApiTimeoutMs } = options
    const { clock } = this.#platform
    const deadlineMs = clock.monotonic() + timeoutMs
    const late = (reason: string, cause?: unknown): TimeoutError =>
      new TimeoutError(`${what} did not succeed within ${timeoutMs} ms: ${reason}`, { cause })
    for (let failures = 1; ; failures++) {
      signal?.throwIfAborted()
      if (this.isClosed) throw new ClosedError('the client is closed')
      let answer: { readonly value: T } | null
      try {
        answer = await abortable(this.#inTime(attempt(), deadlineMs), signal)
      } catch (error) {
        if (!isRetriable(error) || this.isClosed) throw error
        const pauseMs = this.#backoff.afterFailures(failures)
        if (clock.monotonic() + pauseMs >= deadlineMs) throw late((error as Error).message, error)
        await this.pause(pauseMs, signal)
        continue
      }
      if (answer === null) throw late('no answer came')
      return answer.value
    }
  }

  /** What the promise resolves with, or null when it has not by then. */
  #inTime<T>(promise: Promise<T>, deadlineMs: number): Promise<{ readonly value: T } | null> {
    if (deadlineMs === Infinity) return promise.then((value) => ({ value }))
    const { clock } = this.#platform
    return new Promise((resolve, reject) => {
      const timer = clock.setTimer(deadlineMs - clock.monotonic(), () => resolve(null))
      promise.then(
        (value) => {
          timer.cancel()
          resolve({ value })
        },
        (error: unknown) => {
          timer.cancel()
          reject(error)
        },
      )
    })
  }

  /** Resolves after that time, or at once when the cluster is closed; rejects with the signal's reason. */
  async pause(durationMs: number, signal?: AbortSignal): Promise<void> {
    const closing = this.#closing.signal
    try {
      await abortable(sleep(this.#platform.clock, durationMs, closing), signal)
    } catch (error) {
      if (!closing.aborted) throw error
    }
  }

  /** Whatever waits is rejected. May be called more than once. */
  close(): Promise<void> {
    this.#closing.abort(new ClosedError('the client was closed'))
    this.metadata.close()
    this.#connections.close()
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #any(): Promise<NodeConnection> {
    return this.#connections.any([...this.metadata.nodes.values()], this.#bootstrap)
  }

  /** Of some broker, and of another one besides when it does not answer: whoever hangs may be the leader that others look for. */
  async #askMetadata(topics: readonly string[] | null): Promise<MetadataResponse> {
    const first = this.#askMetadataOnce(topics)
    const inTime = await this.#inTime(first, this.#platform.clock.monotonic() + STAGGER_MS)
    if (inTime !== null) return inTime.value
    const second = this.#askMetadataOnce(topics)
    try {
      return await Promise.any([first, second])
    } catch (error) {
      throw (error as AggregateError).errors[0]
    }
  }

  async #askMetadataOnce(topics: readonly string[] | null): Promise<MetadataResponse> {
    const connection = await this.#any()
    const response = await connection.send(Metadata, {
      topics: topics === null ? null : topics.map((name) => ({ name })),
      allowAutoTopicCreation: this.#traits.allowAutoTopicCreation ?? false,
    })
    this.metadata.learnNodes(response)
    this.#connections.retain([...this.metadata.nodes.values(), ...this.#bootstrap])
    return response
  }

  async #findCoordinator(kind: CoordinatorKind, key: string): Promise<number> {
    const connection = await this.#any()
    await connection.connect()
    const keyType = COORDINATOR_KEY_TYPE[kind]
    const asksSeveral = (connection.versionsOf(FindCoordinator)?.[1] ?? 0) >= FIND_SEVERAL_VERSION_MIN
    const response = await connection.send(
      FindCoordinator,
      asksSeveral ? { keyType, coordinatorKeys: [key] } : { keyType, key },
      asksSeveral ? {} : { maxVersion: FIND_SEVERAL_VERSION_MIN - 1 },
    )
    const { errorCode, errorMessage, nodeId, host, port } = response.coordinators[0] ?? response
    if (errorCode !== ErrorCode.NONE) throw kafkaError(errorCode, errorMessage || `coordinator of ${kind} ${key}`)
    this.metadata.learnNode({ nodeId, host, port, rack: this.metadata.nodes.get(nodeId)?.rack ?? null })
    this.#coordinators.set(`${kind} ${key}`, nodeId)
    return nodeId
  }
}

function isNotCoordinator(code: number): boolean {
  return code === ErrorCode.NOT_COORDINATOR || code === ErrorCode.COORDINATOR_NOT_AVAILABLE
}
