/**
 * What an administrator does with a cluster. Works against any Kafka from 2.1 on: versions are negotiated
 * per broker. A call about several topics answers per topic, and one that fails does not fail the others.
 */
import type { Platform } from '#platform'
import { ErrorCode } from '#protocol'
import { CreatePartitions } from '#protocol/messages/create-partitions'
import { CreateTopics } from '#protocol/messages/create-topics'
import { DeleteTopics } from '#protocol/messages/delete-topics'

import { Cluster, type CallOptions } from '../cluster/index.ts'
import { resolveConfig } from '../config-table.ts'
import { adminSettings, type AdminOptions } from '../config.ts'
import { KafkaError, checkTopicName, described, kafkaError } from '../errors.ts'
import { ConfigAdmin, type ChangeOptions } from './configs.ts'
import { GroupAdmin } from './groups.ts'
import { PartitionAdmin } from './partitions.ts'

export interface NewTopic {
  name: string
  /** -1: the broker's `num.partitions`. */
  partitions?: number
  /** -1: the broker's `default.replication.factor`. */
  replicationFactor?: number
  /** Instead of both: the replicas of each partition, by broker id, the preferred leader first. */
  assignments?: readonly (readonly number[])[]
  configs?: Readonly<Record<string, string>>
}

export interface TopicListing {
  name: string
  topicId: string
  isInternal: boolean
  partitionCount: number
}

export interface TopicDescription extends TopicListing {
  partitions: PartitionDescription[]
}

export interface PartitionDescription {
  partition: number
  /** -1: no leader at the moment. */
  leader: number
  leaderEpoch: number
  replicas: number[]
  isr: number[]
  offlineReplicas: number[]
}

export interface ClusterDescription {
  clusterId: string | null
  /** Null while there is none. */
  controllerId: number | null
  brokers: { nodeId: number; host: string; port: number; rack: string | null }[]
}

/** What became of each topic of a call: null, or why it failed. */
export type TopicResults = Map<string, KafkaError | null>

/** Later versions of DeleteTopics name topics by id as well, in another field. */
const DELETE_BY_NAME_VERSION_MAX = 5

export class Admin implements AsyncDisposable {
  /** Consumer groups, their members and offsets. */
  readonly groups: GroupAdmin
  /** Configurations of topics and brokers. */
  readonly configs: ConfigAdmin
  /** Offsets, leaders and replicas of partitions. */
  readonly partitions: PartitionAdmin
  readonly #cluster: Cluster
  readonly #timeoutMs: number

  constructor(platform: Platform, options: AdminOptions) {
    this.#cluster = new Cluster(platform, resolveConfig(adminSettings, options, 'admin'))
    this.#timeoutMs = this.#cluster.config.requestTimeoutMs
    this.groups = new GroupAdmin(this.#cluster)
    this.configs = new ConfigAdmin(this.#cluster)
    this.partitions = new PartitionAdmin(this.#cluster)
  }

  async createTopics(topics: readonly NewTopic[], options: ChangeOptions = {}): Promise<TopicResults> {
    checkList(topics, 'topics', "[{ name: 'orders', partitions: 3 }]")
    for (const topic of topics as readonly (NewTopic | null)[]) checkTopicName(topic?.name)
    const request = {
      topics: topics.map(({ name, partitions = -1, replicationFactor = -1, assignments = [], configs = {} }) => ({
        name,
        numPartitions: partitions,
        replicationFactor,
        assignments: assignments.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds })),
        configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
      })),
      timeoutMs: this.#timeoutMs,
      validateOnly: options.validateOnly ?? false,
    }
    const response = await this.#cluster.sendToController(
      CreateTopics,
      request,
      (answer) => answer.topics.map(codeOf),
      options,
    )
    return resultsOf(response.topics)
  }

  /** Grows topics to the given number of partitions. */
  async createPartitions(counts: ReadonlyMap<string, number>, options: ChangeOptions = {}): Promise<TopicResults> {
    const request = {
      topics: Array.from(counts, ([name, count]) => ({ name, count, assignments: null })),
      timeoutMs: this.#timeoutMs,
      validateOnly: options.validateOnly ?? false,
    }
    const response = await this.#cluster.sendToController(
      CreatePartitions,
      request,
      (answer) => answer.results.map(codeOf),
      options,
    )
    return resultsOf(response.results)
  }

  async deleteTopics(names: readonly string[], options: CallOptions = {}): Promise<TopicResults> {
    checkList(names, 'topics to delete', "['orders']")
    for (const name of names) checkTopicName(name)
    const request = { topicNames: names, timeoutMs: this.#timeoutMs }
    const response = await this.#cluster.sendToController(
      DeleteTopics,
      request,
      (answer) => answer.responses.map(codeOf),
      { ...options, maxVersion: DELETE_BY_NAME_VERSION_MAX },
    )
    return resultsOf(response.responses.map((topic) => ({ ...topic, name: topic.name ?? '' })))
  }

  /** Sets configurations of a topic, and returns those with the value null to their default (KIP-339). */
  alterTopicConfigs(
    name: string,
    configs: ReadonlyMap<string, string | null>,
    options: ChangeOptions = {},
  ): Promise<void> {
    return this.configs.alter({ topic: name }, configs, options)
  }

  async describeCluster(options: CallOptions = {}): Promise<ClusterDescription> {
    const { clusterId, controllerId, brokers } = await this.#cluster.describe([], options)
    return { clusterId, controllerId: controllerId < 0 ? null : controllerId, brokers }
  }

  async listTopics(options: CallOptions = {}): Promise<TopicListing[]> {
    return (await this.describeTopics(null, options)).map(({ partitions: _, ...listing }) => listing)
  }

  /** Topics by name, sorted; all when null. Throws `KafkaError` for a topic that does not exist. */
  async describeTopics(names: readonly string[] | null, options: CallOptions = {}): Promise<TopicDescription[]> {
    const { topics } = await this.#cluster.describe(names, options)
    return topics.map(toDescription).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  close(): Promise<void> {
    return this.#cluster.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

type MetadataTopic = Awaited<ReturnType<Cluster['describe']>>['topics'][number]

function toDescription(topic: MetadataTopic): TopicDescription {
  const name = topic.name ?? ''
  // A topic without a leader is described all the same: that is what one wants to see.
  if (topic.errorCode !== ErrorCode.NONE && topic.errorCode !== ErrorCode.LEADER_NOT_AVAILABLE)
    throw kafkaError(topic.errorCode, `topic ${name}`)
  const partitions = topic.partitions
    .map((partition) => ({
      partition: partition.partitionIndex,
      leader: partition.leaderId,
      leaderEpoch: partition.leaderEpoch,
      replicas: partition.replicaNodes,
      isr: partition.isrNodes,
      offlineReplicas: partition.offlineReplicas,
    }))
    .sort((a, b) => a.partition - b.partition)
  return { name, topicId: topic.topicId, isInternal: topic.isInternal, partitionCount: partitions.length, partitions }
}

interface Result {
  name: string
  errorCode: number
  errorMessage: string | null
}

/** For callers without types. */
function checkList(given: unknown, what: string, example: string): void {
  if (!Array.isArray(given)) throw new KafkaError(`${what} are a list such as ${example}, and not ${described(given)}`)
}

function codeOf(result: { errorCode: number }): number {
  return result.errorCode
}

function resultsOf(results: readonly Result[]): TopicResults {
  return new Map(
    results.map(({ name, errorCode, errorMessage }) => [
      name,
      errorCode === ErrorCode.NONE ? null : kafkaError(errorCode, errorMessage),
    ]),
  )
}
