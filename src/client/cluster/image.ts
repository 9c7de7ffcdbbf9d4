/**
 * What a client knows of the cluster, folded together from the answers to Metadata and from what other answers say by the way.
 * Pure: asking is `MetadataCache`'s part.
 */
import { ErrorCode, ZERO_UUID } from '#protocol'
import type { MetadataResponse } from '#protocol/messages/metadata'

export interface Node {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

export interface PartitionInfo {
  readonly partition: number
  /** -1: none at the moment. */
  readonly leader: number
  /** -1: not told. */
  readonly leaderEpoch: number
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
  readonly offlineReplicas: readonly number[]
}

export interface TopicInfo {
  readonly name: string
  /** 22 zero characters' worth where the broker is older than topic ids. */
  readonly topicId: string
  readonly isInternal: boolean
  /** By number, without gaps. */
  readonly partitions: readonly PartitionInfo[]
}

/** Of topics that are gone from the cluster for good, too, where all of them are followed. */
const MISSING_MAX = 1000

export class ClusterImage {
  clusterId: string | null = null
  /** -1: none at the moment. */
  controllerId = -1
  readonly nodes = new Map<number, Node>()
  readonly topics = new Map<string, TopicInfo>()
  /** Why a topic that was asked for is not in `topics`: an error code. */
  readonly topicErrors = new Map<string, number>()
  /** Topics that an answer lacked: a broker that has just started knows none, and the next one may know less than was known before. */
  readonly #missing = new Map<string, TopicInfo>()

  /** Takes an answer. Topics that it does not speak of stay, unless it speaks of all there are. */
  apply(response: MetadataResponse, isOfAllTopics: boolean): void {
    this.applyNodes(response)
    if (isOfAllTopics) {
      const told = new Set(response.topics.map(({ name }) => name))
      for (const name of this.topics.keys()) if (!told.has(name)) this.#miss(name)
    }
    for (const topic of response.topics) this.#applyTopic(topic)
  }

  /** Brokers and controller only. */
  applyNodes({ brokers, clusterId, controllerId }: MetadataResponse): void {
    // An answer without brokers comes from one that has not heard of any yet.
    if (brokers.length === 0) return
    this.nodes.clear()
    for (const { nodeId, host, port, rack } of brokers) this.nodes.set(nodeId, { nodeId, host, port, rack })
    this.clusterId = clusterId
    this.controllerId = controllerId
  }

  /** Takes what an answer of another API says of a partition's leader (KIP-951). False when it is no news. */
  applyLeader(topic: string, partition: number, leader: number, leaderEpoch: number): boolean {
    const info = this.topics.get(topic)
    const known = info?.partitions[partition]
    if (info === undefined || known === undefined || leaderEpoch <= known.leaderEpoch) return false
    const partitions = info.partitions.with(partition, { ...known, leader, leaderEpoch })
    this.topics.set(topic, { ...info, partitions })
    return true
  }

  forgetTopic(name: string): void {
    this.topics.delete(name)
    this.topicErrors.delete(name)
    this.#missing.delete(name)
  }

  #miss(name: string): void {
    const topic = this.topics.get(name)
    if (topic === undefined) return
    this.topics.delete(name)
    // Without an id nothing would tell it from one that is made anew under its name.
    if (topic.topicId === ZERO_UUID) return
    this.#missing.set(name, topic)
    if (this.#missing.size > MISSING_MAX) this.#missing.delete(this.#missing.keys().next().value!)
  }

  #applyTopic(topic: MetadataResponse['topics'][number]): void {
    const { name, topicId, isInternal, errorCode } = topic
    if (name === null) return
    if (errorCode !== ErrorCode.NONE) {
      this.#miss(name)
      this.topicErrors.set(name, errorCode)
      return
    }
    const before = this.topics.get(name) ?? this.#missing.get(name)
    this.#missing.delete(name)
    const isSame = before !== undefined && (before.topicId === topicId || topicId === ZERO_UUID)
    const partitions = topic.partitions
      .map((partition) => {
        const known = isSame ? before.partitions[partition.partitionIndex] : undefined
        // A broker that lags behind tells of an older leader (KIP-320).
        if (known !== undefined && partition.leaderEpoch >= 0 && partition.leaderEpoch < known.leaderEpoch) return known
        return {
          partition: partition.partitionIndex,
          leader: partition.leaderId,
          leaderEpoch: partition.leaderEpoch,
          replicas: partition.replicaNodes,
          isr: partition.isrNodes,
          offlineReplicas: partition.offlineReplicas,
        }
      })
      .sort((a, b) => a.partition - b.partition)
    this.topics.set(name, { name, topicId, isInternal, partitions })
    this.topicErrors.delete(name)
  }
}
