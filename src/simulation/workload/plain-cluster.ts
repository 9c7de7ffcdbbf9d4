import { sleep, type Platform } from '#platform'
import { ErrorCode, type Api } from '#protocol'
import { CreateTopics } from '#protocol/messages/create-topics'
import { FindCoordinator } from '#protocol/messages/find-coordinator'
import { Metadata, type MetadataResponse } from '#protocol/messages/metadata'

import { NoAnswerError, PlainConnection } from './plain-connection.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** `t0-1` is partition 1 of topic t0. */
export function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`
}

const REQUEST_TIMEOUT_MS = 3000
const METADATA_VERSION = 10
/** Pause before something that failed is tried again. */
export const RETRY_MS = 100

/** What a client knows of the cluster, and its connections. */
export class PlainCluster {
  readonly platform: Platform
  readonly clientId: string
  readonly #bootstrap: readonly Address[]
  readonly #addresses = new Map<number, Address>()
  readonly #connections = new Map<string, Promise<PlainConnection>>()
  readonly #leaders = new Map<string, number>()
  readonly #topicIds = new Map<string, string>()
  #controllerId = -1
  #refreshing: Promise<void> | null = null

  constructor(platform: Platform, clientId: string, bootstrap: readonly Address[]) {
    this.platform = platform
    this.clientId = clientId
    this.#bootstrap = bootstrap
  }

  /** Rejects with `NoAnswerError` when the node is unknown, cannot be reached or does not answer. */
  async ask<RequestOut, RequestIn, ResponseOut>(
    nodeId: number,
    api: Api<RequestOut, RequestIn, ResponseOut, unknown>,
    version: number,
    request: RequestIn,
    timeoutMs = REQUEST_TIMEOUT_MS,
  ): Promise<ResponseOut> {
    const address = this.#addresses.get(nodeId)
    if (address === undefined) throw new NoAnswerError(`broker ${nodeId} is unknown`)
    const connection = await this.#connectionTo(address)
    return await connection.ask(api, version, request, timeoutMs)
  }

  /** Asks whoever answers. */
  async askAny<RequestOut, RequestIn, ResponseOut>(
    api: Api<RequestOut, RequestIn, ResponseOut, unknown>,
    version: number,
    request: RequestIn,
  ): Promise<ResponseOut> {
    const address = this.#bootstrap[this.platform.random.below(this.#bootstrap.length)]!
    const connection = await this.#connectionTo(address)
    return await connection.ask(api, version, request, REQUEST_TIMEOUT_MS)
  }

  leaderOf(partition: TopicPartition): number | null {
    return this.#leaders.get(keyOf(partition)) ?? null
  }

  /** As last heard. -1: none. */
  get controllerId(): number {
    return this.#controllerId
  }

  topicIdOf(topic: string): string | null {
    return this.#topicIds.get(topic) ?? null
  }

  /** Learns leaders and addresses anew. Callers at the same time share one request. Failures are for the next try. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = null))
    return this.#refreshing
  }

  /** What one of the brokers says of the whole cluster. Rejects with `NoAnswerError`. */
  async metadata(): Promise<MetadataResponse> {
    const answer = await this.askAny(Metadata, METADATA_VERSION, { topics: null, allowAutoTopicCreation: false })
    this.#learn(answer)
    return answer
  }

  async #refresh(): Promise<void> {
    try {
      await this.metadata()
    } catch (error) {
      if (!isNoAnswer(error)) throw error
    }
    await sleep(this.platform.clock, RETRY_MS)
  }

  #learn(metadata: MetadataResponse): void {
    for (const { nodeId, host, port } of metadata.brokers) this.#addresses.set(nodeId, { host, port })
    this.#controllerId = metadata.controllerId
    for (const { name, topicId, errorCode, partitions } of metadata.topics) {
      if (name === null || errorCode !== ErrorCode.NONE) continue
      this.#topicIds.set(name, topicId)
      for (const { partitionIndex, leaderId } of partitions) {
        const key = keyOf({ topic: name, partition: partitionIndex })
        if (leaderId >= 0) this.#leaders.set(key, leaderId)
        else this.#leaders.delete(key)
      }
    }
  }

  /** Tries until each topic exists. */
  async createTopics(
    topics: readonly { name: string; partitions: number }[],
    configs: Record<string, string>,
  ): Promise<void> {
    const missing = new Set(topics.map(({ name }) => name))
    while (missing.size > 0) {
      await this.refresh()
      const wanted = topics
        .filter(({ name }) => missing.has(name))
        .map(({ name, partitions }) => ({
          name,
          numPartitions: partitions,
          replicationFactor: REPLICATION_FACTOR,
          assignments: [],
          configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
        }))
      try {
        const answer = await this.ask(this.#controllerId, CreateTopics, 4, {
          topics: wanted,
          timeoutMs: REQUEST_TIMEOUT_MS,
        })
        for (const { name, errorCode } of answer.topics)
          if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.TOPIC_ALREADY_EXISTS) missing.delete(name)
      } catch (error) {
        if (!isNoAnswer(error)) throw error
      }
    }
    const known = (): boolean =>
      topics.every(({ name, partitions }) =>
        Array.from({ length: partitions }, (_, partition) => this.leaderOf({ topic: name, partition })).every(
          (id) => id !== null,
        ),
      )
    while (!known()) await this.refresh()
  }

  /** Tries until somebody knows it. */
  async coordinatorOf(group: string): Promise<number> {
    for (;;) {
      try {
        const answer = await this.askAny(FindCoordinator, 2, { key: group, keyType: 0 })
        if (answer.errorCode === ErrorCode.NONE) {
          this.#addresses.set(answer.nodeId, { host: answer.host, port: answer.port })
          return answer.nodeId
        }
      } catch (error) {
        if (!isNoAnswer(error)) throw error
      }
      await sleep(this.platform.clock, RETRY_MS)
    }
  }

  /** The connection of that moment: a broken one is replaced at the next call. */
  async #connectionTo({ host, port }: Address): Promise<PlainConnection> {
    const name = `${host}:${port}`
    const present = this.#connections.get(name)
    if (present !== undefined) {
      const connection = await present.catch(() => null)
      if (connection !== null && !connection.isClosed) return connection
      if (this.#connections.get(name) === present) this.#connections.delete(name)
    }
    let opening = this.#connections.get(name)
    if (opening === undefined) {
      opening = PlainConnection.open(this.platform, host, port, this.clientId)
      opening.catch(() => {})
      this.#connections.set(name, opening)
    }
    try {
      return await opening
    } catch (cause) {
      throw new NoAnswerError(`${name} cannot be reached`, { cause })
    }
  }
}

const REPLICATION_FACTOR = 3

export function isNoAnswer(error: unknown): error is NoAnswerError {
  return error instanceof NoAnswerError
}
