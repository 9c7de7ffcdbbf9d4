/**
 * The metadata of the topics that a client works with: asked for when a topic is new, when an error says that it is stale, and by
 * age. Readers take what is known, synchronously; whoever needs what is not there yet waits for it.
 */
import type { Platform, Timer } from '#platform'
import { ErrorCode } from '#protocol'
import type { MetadataResponse } from '#protocol/messages/metadata'

import type { ClusterConfig } from '../config.ts'
import { ClosedError, TimeoutError, isRetriable, kafkaError } from '../errors.ts'
import { Backoff } from './backoff.ts'
import { ClusterImage, type Node, type PartitionInfo, type TopicInfo } from './image.ts'

export interface WaitOptions {
  readonly timeoutMs: number
  /** The setting that `timeoutMs` comes from, for the message. */
  readonly timeoutName?: string
  readonly signal?: AbortSignal | undefined
  /** Waits until the topic has more partitions than this number. */
  readonly partition?: number
}

/** One request, with whatever broker answers. */
export type AskMetadata = (topics: readonly string[] | null) => Promise<MetadataResponse>

/** Topics that cannot come into being by waiting. */
const HOPELESS_CODES: ReadonlySet<number> = new Set([
  ErrorCode.INVALID_TOPIC_EXCEPTION,
  ErrorCode.TOPIC_AUTHORIZATION_FAILED,
])

export class MetadataCache {
  readonly #platform: Platform
  readonly #config: ClusterConfig
  readonly #ask: AskMetadata
  readonly #backoff: Backoff
  readonly #image = new ClusterImage()
  readonly #tracked = new Set<string>()
  readonly #listeners = new Set<() => void>()
  readonly #waiters = new Set<Waiter>()
  #tracksAll = false
  /** Topics that have been tracked since the last request was sent: asked for without a pause. */
  #newTopics = false
  #isWanted = false
  #isAsking = false
  #timer: Timer | null = null
  #timerAtMs = Infinity
  #lastAskMs = -Infinity
  #failures = 0
  /** Answers one after the other in which a tracked topic was missing. */
  #incomplete = 0
  #lastFailure: unknown = null
  #version = 0
  #isClosed = false

  constructor(platform: Platform, config: ClusterConfig, ask: AskMetadata) {
    this.#platform = platform
    this.#config = config
    this.#ask = ask
    this.#backoff = new Backoff(platform.random, config.retryBackoffMs, config.retryBackoffMaxMs)
  }

  /** Grows by one with every change of what is known. */
  get version(): number {
    return this.#version
  }

  get clusterId(): string | null {
    return this.#image.clusterId
  }

  /** -1: none at the moment. */
  get controllerId(): number {
    return this.#image.controllerId
  }

  get nodes(): ReadonlyMap<number, Node> {
    return this.#image.nodes
  }

  /** The topics that are known, tracked or not any more. */
  get topics(): ReadonlyMap<string, TopicInfo> {
    return this.#image.topics
  }

  /** Undefined while nothing is known of it. */
  topic(name: string): TopicInfo | undefined {
    return this.#image.topics.get(name)
  }

  partition(topic: string, partition: number): PartitionInfo | undefined {
    return this.#image.topics.get(topic)?.partitions[partition]
  }

  /** Why a tracked topic is not known, as an error code; undefined when it is, or was not asked for yet. */
  topicError(name: string): number | undefined {
    return this.#image.topicErrors.get(name)
  }

  /** From now on the topic is kept up to date; it is asked for at once when nothing is known of it. */
  track(topic: string): void {
    if (this.#tracked.has(topic)) return
    this.#tracked.add(topic)
    if (this.#image.topics.has(topic)) return this.#schedule()
    this.#newTopics = true
    this.requestUpdate()
  }

  untrack(topic: string): void {
    if (this.#tracked.delete(topic) && !this.#tracksAll) this.#image.forgetTopic(topic)
  }

  /** Keeps every topic of the cluster up to date: for subscriptions by pattern. */
  trackAll(tracksAll: boolean): void {
    if (this.#tracksAll === tracksAll) return
    this.#tracksAll = tracksAll
    if (tracksAll) {
      this.#newTopics = true
      this.requestUpdate()
    }
  }

  /** What is known is stale: asks soon, but no more often than the back-off allows. */
  requestUpdate(): void {
    this.#isWanted = true
    this.#schedule()
  }

  /** Called after every change of what is known. Returns how to end that. */
  onUpdate(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Resolves with the topic when it is known. Rejects with `TimeoutError`, a `KafkaError` that waiting cannot cure, or the signal's reason. */
  waitForTopic(name: string, options: WaitOptions): Promise<TopicInfo> {
    this.track(name)
    const isLate = (): string => `topic ${name} is not in the metadata (${this.whyMissing(name)})`
    return this.#wait(options, isLate, () => {
      const code = this.#image.topicErrors.get(name)
      if (code !== undefined && HOPELESS_CODES.has(code)) throw kafkaError(code, `topic ${name}`)
      const topic = this.#image.topics.get(name)
      return topic !== undefined && topic.partitions.length > (options.partition ?? -1) ? topic : undefined
    })
  }

  /** Resolves when an answer has come that was asked for after this call. */
  async waitForUpdate(options: WaitOptions): Promise<void> {
    const version = this.#version + (this.#isAsking ? 1 : 0)
    this.requestUpdate()
    const isLate = (): string =>
      `metadata did not come${this.#lastFailure instanceof Error ? ` (${this.#lastFailure.message})` : ''}`
    await this.#wait(options, isLate, () => (this.#version > version ? true : undefined))
  }

  /** Takes brokers and controller from an answer that others asked for. */
  learnNodes(response: MetadataResponse): void {
    this.#image.applyNodes(response)
  }

  /** Takes an address that another answer gives: a coordinator's, or a new leader's (KIP-951). */
  learnNode(node: Node): void {
    this.#image.nodes.set(node.nodeId, node)
  }

  /** Takes a leader that another answer tells of (KIP-951). False when it is no news. */
  learnLeader(topic: string, partition: number, leader: number, leaderEpoch: number): boolean {
    if (!this.#image.applyLeader(topic, partition, leader, leaderEpoch)) return false
    this.#changed()
    return true
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#timer = null
    for (const waiter of this.#waiters) waiter.fail(new ClosedError('the client was closed'))
  }

  #schedule(): void {
    if (this.#isClosed || this.#isAsking) return
    const now = this.#platform.clock.monotonic()
    const dueMs = this.#dueMs()
    if (dueMs === Infinity || dueMs >= this.#timerAtMs) return
    this.#timer?.cancel()
    this.#timerAtMs = dueMs
    this.#timer = this.#platform.clock.setTimer(dueMs - now, () => {
      this.#timer = null
      this.#timerAtMs = Infinity
      void this.#update()
    })
  }

  #dueMs(): number {
    if (this.#newTopics && this.#failures === 0) return this.#platform.clock.monotonic()
    if (this.#isWanted || this.#failures > 0)
      return this.#lastAskMs + this.#backoff.afterFailures(Math.max(1, this.#failures, this.#incomplete))
    const isNeeded = this.#tracksAll || this.#tracked.size > 0
    // An age of 0 would ask without a pause.
    const ageMs = Math.max(this.#config.metadataMaxAgeMs, this.#backoff.afterFailures(1))
    return isNeeded ? this.#lastAskMs + ageMs : Infinity
  }

  async #update(): Promise<void> {
    const topics = this.#tracksAll ? null : [...this.#tracked]
    this.#isAsking = true
    this.#isWanted = false
    this.#newTopics = false
    this.#lastAskMs = this.#platform.clock.monotonic()
    try {
      const response = await this.#ask(topics)
      this.#failures = 0
      this.#lastFailure = null
      this.#image.apply(response, topics === null)
      this.#incomplete = this.#isIncomplete() ? this.#incomplete + 1 : 0
      if (this.#incomplete > 0) this.#isWanted = true
      this.#changed()
    } catch (error) {
      this.#failures += 1
      this.#lastFailure = error
      if (!isRetriable(error)) for (const waiter of this.#waiters) waiter.fail(error)
    } finally {
      this.#isAsking = false
      if (this.#waiters.size > 0) this.#isWanted = true
      this.#schedule()
    }
  }

  /** A broker that has just started knows no topics yet, and whoever tracks one may wait for nothing but news of it. */
  #isIncomplete(): boolean {
    for (const name of this.#tracked) {
      const code = this.#image.topicErrors.get(name)
      if (code !== undefined && !HOPELESS_CODES.has(code)) return true
    }
    return false
  }

  #changed(): void {
    this.#version += 1
    for (const waiter of this.#waiters) waiter.check()
    for (const listener of this.#listeners) listener()
  }

  #wait<T>(options: WaitOptions, isLate: () => string, look: () => T | undefined): Promise<T> {
    const { clock } = this.#platform
    const { timeoutMs, timeoutName = 'the time given', signal } = options
    return new Promise<T>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error)
      if (this.#isClosed) return reject(new ClosedError('the client is closed'))
      const onAbort = (): void => waiter.fail(signal!.reason)
      const finish = (): void => {
        this.#waiters.delete(waiter)
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
      }
      const waiter: Waiter = {
        check: () => {
          try {
            const found = look()
            if (found === undefined) return
            finish()
            resolve(found)
          } catch (error) {
            waiter.fail(error)
          }
        },
        fail: (error) => {
          finish()
          reject(error)
        },
      }
      const timer = clock.setTimer(timeoutMs, () =>
        waiter.fail(this.#timeout(`${isLate()} after ${timeoutMs} ms (${timeoutName})`)),
      )
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiters.add(waiter)
      waiter.check()
      if (this.#waiters.has(waiter)) this.requestUpdate()
    })
  }

  #timeout(message: string): TimeoutError {
    return new TimeoutError(message, { cause: this.#lastFailure ?? undefined })
  }

  /** Why a topic is not known, for messages. */
  whyMissing(name: string): string {
    if (this.#lastFailure instanceof Error) return this.#lastFailure.message
    const code = this.#image.topicErrors.get(name)
    if (code !== undefined) return kafkaError(code).message
    return this.#image.topics.has(name) ? 'the topic has fewer partitions' : 'no broker has told of it yet'
  }
}

interface Waiter {
  check(): void
  fail(error: unknown): void
}
