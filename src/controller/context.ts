/**
 * What the active controller knows of the cluster. It is made at the election from what stands in ZooKeeper, changed by events only, and thrown
 * away when the controller stands down.
 */
import { assert } from '#base'
import type { BrokerRegistration, PartitionState, ReplicaAssignment } from '#metadata/znodes'

/** A partition's state as it stands in ZooKeeper. */
export interface Leadership extends PartitionState {
  /** Version of the state's znode. */
  readonly partitionEpoch: number
}

/** Leader of a partition that has none. */
export const NO_LEADER = -1
/** In requests about partitions of a topic that is being deleted. */
export const EPOCH_DURING_DELETE = -2
/** In requests about partitions without leadership. */
export const NO_EPOCH = -1

export type PartitionStage = 'nonExistent' | 'new' | 'online' | 'offline'

export type ReplicaStage =
  | 'nonExistent'
  | 'new'
  | 'online'
  | 'offline'
  | 'deletionStarted'
  | 'deletionSuccessful'
  | 'deletionIneligible'

export interface LiveBroker {
  registration: BrokerRegistration
  /** czxid of the registration: a restarted broker has a larger one. */
  readonly epoch: number
  /** It asked to leave: still reached, but no leader any more. */
  shuttingDown: boolean
}

/** `queued`: wanted, and waiting for its turn. `started`: brokers have been told to forget the partitions. */
export type TopicDeletion = 'none' | 'queued' | 'started'

export class ControlledTopic {
  readonly name: string
  /** Null only until the controller has given one. */
  topicId: string | null
  readonly partitions = new Map<number, ControlledPartition>()
  deletion: TopicDeletion = 'none'
  /** Deletion waits: a replica is offline, its deletion failed, or a reassignment is under way. */
  deletionHalted = false

  constructor(name: string, topicId: string | null) {
    this.name = name
    this.topicId = topicId
  }

  get isQueuedForDeletion(): boolean {
    return this.deletion !== 'none'
  }

  /** The full assignment, as it stands in the topic's znode. */
  assignments(): Map<number, ReplicaAssignment> {
    return new Map([...this.partitions].map(([index, partition]) => [index, partition.assignment]))
  }
}

export class ControlledPartition {
  readonly topic: ControlledTopic
  readonly index: number
  assignment: ReplicaAssignment
  /** Null until the first leader was elected. */
  leadership: Leadership | null = null
  stage: PartitionStage = 'nonExistent'
  /** A replica without an entry is non-existent. */
  readonly replicaStages = new Map<number, ReplicaStage>()

  constructor(topic: ControlledTopic, index: number, assignment: ReplicaAssignment) {
    this.topic = topic
    this.index = index
    this.assignment = assignment
  }

  get replicas(): readonly number[] {
    return this.assignment.replicas
  }

  get isBeingReassigned(): boolean {
    return this.assignment.addingReplicas.length > 0 || this.assignment.removingReplicas.length > 0
  }

  replicaStage(brokerId: number): ReplicaStage {
    return this.replicaStages.get(brokerId) ?? 'nonExistent'
  }

  /** As requests state it: a topic that is to be deleted overrides every epoch, so that no stale request outlives it (KIP-570). */
  get requestLeaderEpoch(): number {
    if (this.topic.isQueuedForDeletion) return EPOCH_DURING_DELETE
    return this.leadership?.leaderEpoch ?? NO_EPOCH
  }

  toString(): string {
    return `${this.topic.name}-${this.index}`
  }
}

/** One replica of one partition. */
export interface Replica {
  readonly partition: ControlledPartition
  readonly brokerId: number
}

export class ControllerContext {
  /** Of this controller; every control request carries it. */
  readonly epoch: number
  /** Version of /controller_epoch: every write to ZooKeeper is done only while it stands. */
  readonly epochZkVersion: number
  /** Live or shutting down. */
  readonly brokers = new Map<number, LiveBroker>()
  readonly topics = new Map<string, ControlledTopic>()
  /** Invariant: exactly the topics with an id. */
  readonly topicsById = new Map<string, ControlledTopic>()
  /** Replicas that their live broker cannot open, by broker. */
  readonly #offlineReplicas = new Map<number, Set<ControlledPartition>>()

  constructor(epoch: number, epochZkVersion: number) {
    this.epoch = epoch
    this.epochZkVersion = epochZkVersion
  }

  addTopic(name: string, topicId: string | null): ControlledTopic {
    assert(!this.topics.has(name), `topic ${name} is known already`)
    const topic = new ControlledTopic(name, topicId)
    this.topics.set(name, topic)
    if (topicId !== null) this.topicsById.set(topicId, topic)
    return topic
  }

  addPartition(topic: ControlledTopic, index: number, assignment: ReplicaAssignment): ControlledPartition {
    const partition = new ControlledPartition(topic, index, assignment)
    topic.partitions.set(index, partition)
    return partition
  }

  removeTopic(topic: ControlledTopic): void {
    this.topics.delete(topic.name)
    if (topic.topicId !== null) this.topicsById.delete(topic.topicId)
    for (const offline of this.#offlineReplicas.values())
      for (const partition of topic.partitions.values()) offline.delete(partition)
  }

  partition(topic: string, index: number): ControlledPartition | undefined {
    return this.topics.get(topic)?.partitions.get(index)
  }

  *partitions(): Generator<ControlledPartition> {
    for (const topic of this.topics.values()) yield* topic.partitions.values()
  }

  partitionsInStage(...stages: PartitionStage[]): ControlledPartition[] {
    return [...this.partitions()].filter((partition) => stages.includes(partition.stage))
  }

  /** Assigned replicas on that broker. */
  replicasOn(brokerId: number): Replica[] {
    const replicas: Replica[] = []
    for (const partition of this.partitions())
      if (partition.replicas.includes(brokerId)) replicas.push({ partition, brokerId })
    return replicas
  }

  /** Registered, and not on its way out. */
  isLive(brokerId: number): boolean {
    const broker = this.brokers.get(brokerId)
    return broker !== undefined && !broker.shuttingDown
  }

  /** Whether the replica's broker is live and could open its log directory. */
  isReplicaOnline(partition: ControlledPartition, brokerId: number): boolean {
    return this.isLive(brokerId) && !this.isReplicaInOfflineDirectory(partition, brokerId)
  }

  /** As `isReplicaOnline`, brokers that are shutting down included. */
  isReplicaReachable(partition: ControlledPartition, brokerId: number): boolean {
    return this.brokers.has(brokerId) && !this.isReplicaInOfflineDirectory(partition, brokerId)
  }

  isReplicaInOfflineDirectory(partition: ControlledPartition, brokerId: number): boolean {
    return this.#offlineReplicas.get(brokerId)?.has(partition) ?? false
  }

  setReplicaInOfflineDirectory(partition: ControlledPartition, brokerId: number, offline: boolean): void {
    const replicas = this.#offlineReplicas.get(brokerId)
    if (!offline) replicas?.delete(partition)
    else if (replicas === undefined) this.#offlineReplicas.set(brokerId, new Set([partition]))
    else replicas.add(partition)
  }

  /** A restarted broker opens its directories anew. */
  forgetOfflineDirectories(brokerId: number): void {
    this.#offlineReplicas.delete(brokerId)
  }

  /** Whether the partition has a leader, and that leader serves it. */
  hasOnlineLeader(partition: ControlledPartition): boolean {
    return partition.leadership !== null && this.isReplicaOnline(partition, partition.leadership.leader)
  }
}

export function replicasOf(partitions: Iterable<ControlledPartition>): Replica[] {
  const replicas: Replica[] = []
  for (const partition of partitions) for (const brokerId of partition.replicas) replicas.push({ partition, brokerId })
  return replicas
}

export function isBeingDeleted(partition: ControlledPartition): boolean {
  return partition.topic.isQueuedForDeletion
}
