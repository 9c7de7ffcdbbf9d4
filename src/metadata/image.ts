/**
 * The cluster as a broker knows it: whatever the controller said in UpdateMetadata, folded into an
 * immutable image. Who holds an image may keep it across an `await`; it never changes under them.
 */
import { ZERO_UUID } from '#protocol'

/** One address of a broker, for one listener. */
export interface EndpointMetadata {
  readonly listenerName: string
  readonly host: string
  readonly port: number
  /** PLAINTEXT 0, SSL 1, SASL_PLAINTEXT 2, SASL_SSL 3. */
  readonly securityProtocol: number
}

/** A live broker. */
export interface BrokerMetadata {
  readonly id: number
  readonly rack: string | null
  /** By the listener's name. */
  readonly endpoints: ReadonlyMap<string, EndpointMetadata>
}

export interface PartitionMetadata {
  readonly topic: string
  readonly partition: number
  /** Epoch of the controller that wrote the partition's state. */
  readonly controllerEpoch: number
  /** −1: none. */
  readonly leader: number
  readonly leaderEpoch: number
  readonly isr: readonly number[]
  /** Partition epoch: the version of the state's znode. */
  readonly zkVersion: number
  readonly replicas: readonly number[]
  /** Assigned replicas whose broker is dead or whose log directory failed. */
  readonly offlineReplicas: readonly number[]
}

export interface TopicMetadata {
  readonly name: string
  /** `ZERO_UUID` when the topic has none. */
  readonly topicId: string
  readonly partitions: ReadonlyMap<number, PartitionMetadata>
}

interface ImageParts {
  /** −1: not known. */
  readonly controllerId: number
  readonly brokers: ReadonlyMap<number, BrokerMetadata>
  readonly topics: ReadonlyMap<string, TopicMetadata>
  /** Invariant: exactly the topics that have an id. */
  readonly topicNames: ReadonlyMap<string, string>
}

export class MetadataImage {
  static readonly empty = new MetadataImage({
    controllerId: -1,
    brokers: new Map(),
    topics: new Map(),
    topicNames: new Map(),
  })

  /** As the controller last named itself, alive or not; −1 before it did. See `liveControllerId`. */
  readonly controllerId: number
  /** The live brokers. */
  readonly brokers: ReadonlyMap<number, BrokerMetadata>
  readonly topics: ReadonlyMap<string, TopicMetadata>
  /** Topic names by id. */
  readonly topicNames: ReadonlyMap<string, string>

  constructor(parts: ImageParts) {
    this.controllerId = parts.controllerId
    this.brokers = parts.brokers
    this.topics = parts.topics
    this.topicNames = parts.topicNames
  }

  topic(name: string): TopicMetadata | undefined {
    return this.topics.get(name)
  }

  topicById(topicId: string): TopicMetadata | undefined {
    const name = this.topicNames.get(topicId)
    return name === undefined ? undefined : this.topics.get(name)
  }

  topicName(topicId: string): string | undefined {
    return this.topicNames.get(topicId)
  }

  /** `ZERO_UUID` when the topic is unknown or has none. */
  topicId(name: string): string {
    return this.topics.get(name)?.topicId ?? ZERO_UUID
  }

  partition(topic: string, partition: number): PartitionMetadata | undefined {
    return this.topics.get(topic)?.partitions.get(partition)
  }

  isAlive(brokerId: number): boolean {
    return this.brokers.has(brokerId)
  }

  /** Address of a live broker on that listener. */
  endpoint(brokerId: number, listenerName: string): EndpointMetadata | undefined {
    return this.brokers.get(brokerId)?.endpoints.get(listenerName)
  }

  /** −1 unless the controller's broker is alive. */
  get liveControllerId(): number {
    return this.brokers.has(this.controllerId) ? this.controllerId : -1
  }
}
