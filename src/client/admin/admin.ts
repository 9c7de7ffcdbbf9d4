/**
 * What an administrator does with a cluster. Works against any Kafka from 2.1 on: versions are negotiated
 * per broker. A call about several topics answers per topic, and one that fails does not fail the others.
 */
import type { Platform } from '#platform'
import { ErrorCode } from '#protocol'
import { CreatePartitions } from '#protocol/messages/create-partitions'
import { CreateTopics } from '#protocol/messages/create-topics'
import { DeleteTopics } from '#protocol/messages/delete-topics'
import { IncrementalAlterConfigs } from '#protocol/messages/incremental-alter-configs'

import { Cluster } from '../cluster/index.ts'
import { resolveConfig } from '../config-table.ts'
import { adminSettings, type AdminOptions } from '../config.ts'
import { type KafkaError, kafkaError } from '../errors.ts'
import { GroupAdmin } from './groups.ts'

export interface NewTopic {
  name: string
  /** -1: the broker's `num.partitions`. */
  partitions?: number
  /** -1: the broker's `default.replication.factor`. */
  replicationFactor?: number
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

/** `resource.type` of a topic in the configuration APIs. */
const RESOURCE_TOPIC = 2
/** Later versions of DeleteTopics name topics by id as well, in another field. */
const DELETE_BY_NAME_VERSION_MAX = 5
const CONFIG_SET = 0
const CONFIG_DELETE = 1

export class Admin implements AsyncDisposable {
  /** Consumer groups, their members and offsets. */
  readonly groups: GroupAdmin
  readonly #cluster: Cluster
  readonly #timeoutMs: number

  constructor(platform: Platform, options: AdminOptions) {
    this.#cluster = new Cluster(platform, resolveConfig(adminSettings, options, 'admin'))
    this.#timeoutMs = this.#cluster.config.requestTimeoutMs
    this.groups = new GroupAdmin(this.#cluster)
  }

  async createTopics(topics: readonly NewTopic[]): Promise<TopicResults> {
    const request = {
      topics: topics.map(({ name, partitions = -1, replicationFactor = -1, configs = {} }) => ({
        name,
        numPartitions: partitions,
        replicationFactor,
        assignments: [],
        configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
      })),
      timeoutMs: this.#timeoutMs,
    }
    const response = await this.#cluster.sendToController(CreateTopics, request, (answer) => answer.topics.map(codeOf))
    return resultsOf(response.topics)
  }

  /** Grows topics to the given number of partitions. */
  async createPartitions(counts: ReadonlyMap<string, number>): Promise<TopicResults> {
    const request = {
      topics: Array.from(counts, ([name, count]) => ({ name, count, assignments: null })),
      timeoutMs: this.#timeoutMs,
      validateOnly: false,
    }
    const response = await this.#cluster.sendToController(CreatePartitions, request, (answer) =>
      answer.results.map(codeOf),
    )
    return resultsOf(response.results)
  }

  async deleteTopics(names: readonly string[]): Promise<TopicResults> {
    const request = { topicNames: names, timeoutMs: this.#timeoutMs }
    const response = await this.#cluster.sendToController(
      DeleteTopics,
      request,
      (answer) => answer.responses.map(codeOf),
      { maxVersion: DELETE_BY_NAME_VERSION_MAX },
    )
    return resultsOf(response.responses.map((topic) => ({ ...topic, name: topic.name ?? '' })))
  }

  /** Sets configurations of a topic, and returns those with the value null to their default (KIP-339). */
  async alterTopicConfigs(name: string, configs: ReadonlyMap<string, string | null>): Promise<void> {
    const request = {
      resources: [
        {
          resourceType: RESOURCE_TOPIC,
          resourceName: name,
          configs: Array.from(configs, ([key, value]) => ({
            name: key,
            configOperation: value === null ? CONFIG_DELETE : CONFIG_SET,
            value,
          })),
        },
      ],
      validateOnly: false,
    }
    const response = await this.#cluster.sendTo(null, IncrementalAlterConfigs, request)
    const failed = response.responses.find((resource) => resource.errorCode !== ErrorCode.NONE)
    if (failed !== undefined) throw kafkaError(failed.errorCode, failed.errorMessage)
  }

  async describeCluster(): Promise<ClusterDescription> {
    const { clusterId, controllerId, brokers } = await this.#cluster.describe()
    return { clusterId, controllerId: controllerId < 0 ? null : controllerId, brokers }
  }

  async listTopics(): Promise<TopicListing[]> {
    return (await this.#describe(null)).map(({ partitions: _, ...listing }) => listing)
  }

  /** Topics by name, sorted; all when null. Throws `KafkaError` for a topic that does not exist. */
  async describeTopics(names: readonly string[] | null): Promise<TopicDescription[]> {
    return this.#describe(names)
  }

  async #describe(names: readonly string[] | null): Promise<TopicDescription[]> {
    const { topics } = await this.#cluster.describe(names)
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
