/**
 * Topics created, grown and deleted, as far as an administrator's request goes: checked, and written to ZooKeeper, where the controller finds
 * them. Nothing here waits for the controller. Any broker may do it (auto-creation); that requests of clients go to the controller's
 * broker is judged by their handlers. Source: `ZkAdminManager`, `AdminZkClient`.
 */
import type { Random } from '#platform'
import { ErrorCode, ZERO_UUID } from '#protocol'
import {
  ZnodePath,
  decodeTopic,
  encodeConfig,
  encodeTopic,
  type ConfigMap,
  type ReplicaAssignment,
  type TopicAssignment,
} from '#metadata/znodes'
import { ZkMultiError, isZkError, type MultiStep, type RetryingZooKeeper } from '#zookeeper/client'

import { assignReplicas, type AssignableBroker } from './assignment.ts'
import type { Outcome } from './ports.ts'
import { randomUuid } from './random-uuid.ts'
import { collides, topicNameFault } from './topic-names.ts'

export interface NewTopic {
  readonly name: string
  /** −1: the broker's default, or told by `assignments`. */
  readonly numPartitions: number
  /** −1: the broker's default, or told by `assignments`. */
  readonly replicationFactor: number
  /** Brokers by partition; empty: assigned here. */
  readonly assignments: ReadonlyMap<number, readonly number[]>
  readonly configs: ConfigMap
}

export interface CreatedTopic extends Outcome {
  readonly name: string
  /** `ZERO_UUID` unless it was created. */
  readonly topicId: string
  /** −1 when refused. */
  readonly numPartitions: number
  readonly replicationFactor: number
}

export interface TopicGrowth {
  readonly name: string
  /** Partitions that the topic shall have in the end. */
  readonly count: number
  /** Brokers of each new partition, in order; null: assigned here. */
  readonly assignments: readonly (readonly number[])[] | null
}

export interface TopicOutcome extends Outcome {
  readonly name: string
}

export interface TopicAdminPorts {
  /** Brokers that are alive as far as this broker knows. */
  aliveBrokers(): readonly AssignableBroker[]
  /** num.partitions and default.replication.factor. */
  readonly defaults: { readonly numPartitions: number; readonly replicationFactor: number }
  /** Why the configuration is not one of a topic; null when it is. Its message names the key and the value. */
  configFault(configs: ConfigMap): string | null
  /** create.topic.policy and its kin: why it is not allowed; null when it is. */
  policyFault?(topic: NewTopic): string | null
}

const OK: Outcome = { errorCode: ErrorCode.NONE, errorMessage: null }

export class TopicAdmin {
  readonly #zk: RetryingZooKeeper
  readonly #random: Random
  readonly #ports: TopicAdminPorts

  constructor(zk: RetryingZooKeeper, random: Random, ports: TopicAdminPorts) {
    this.#zk = zk
    this.#random = random
    this.#ports = ports
  }

  // ---- create ----

  /** Outcomes in the order of the topics. A name that stands twice is refused both times. */
  async createTopics(topics: readonly NewTopic[], options: { validateOnly: boolean }): Promise<CreatedTopic[]> {
    const created: CreatedTopic[] = []
    for (const topic of topics) {
      const isTwice = topics.some((other) => other !== topic && other.name === topic.name)
      const twice = refused(ErrorCode.INVALID_REQUEST, `Duplicate topic name: ${topic.name}`)
      created.push(isTwice ? notCreated(topic, twice) : await this.createTopic(topic, options))
    }
    return created
  }

  async createTopic(topic: NewTopic, { validateOnly }: { validateOnly: boolean }): Promise<CreatedTopic> {
    const refusal = await this.#nameRefusal(topic.name)
    if (refusal !== null) return notCreated(topic, refusal)
    const assignment = this.#assign(topic)
    if ('errorCode' in assignment) return notCreated(topic, assignment)
    const fault = this.#ports.configFault(topic.configs)
    if (fault !== null) return notCreated(topic, refused(ErrorCode.INVALID_CONFIG, fault))
    const policy = this.#ports.policyFault?.(topic) ?? null
    if (policy !== null) return notCreated(topic, refused(ErrorCode.POLICY_VIOLATION, policy))

    const counts = { numPartitions: assignment.size, replicationFactor: [...assignment.values()][0]!.length }
    if (validateOnly) return { name: topic.name, ...OK, topicId: ZERO_UUID, ...counts }
    const topicId = randomUuid(this.#random)
    const written = await this.#writeNewTopic(topic, topicId, assignment)
    return written ? { name: topic.name, ...OK, topicId, ...counts } : notCreated(topic, alreadyExists(topic.name))
  }

  async #nameRefusal(name: string): Promise<Outcome | null> {
    const fault = topicNameFault(name)
    if (fault !== null) return refused(ErrorCode.INVALID_TOPIC_EXCEPTION, fault)
    const existing = await this.#zk.childrenOf(ZnodePath.topics)
    if (existing.includes(name)) return alreadyExists(name)
    const other = existing.find((each) => collides(each, name))
    if (other === undefined) return null
    return refused(ErrorCode.INVALID_TOPIC_EXCEPTION, `Topic '${name}' collides with existing topics: ${other}`)
  }

  #assign(topic: NewTopic): Map<number, number[]> | Outcome {
    if (topic.assignments.size > 0) {
      if (topic.numPartitions !== -1 || topic.replicationFactor !== -1)
        return refused(
          ErrorCode.INVALID_REQUEST,
          'Both numPartitions or replicationFactor and replicasAssignments were set. Both cannot be used at the same time.',
        )
      const copied = new Map([...topic.assignments].map(([partition, brokers]) => [partition, [...brokers]]))
      const fault = manualAssignmentFault(copied)
      return fault === null ? copied : refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, fault)
    }
    const { defaults } = this.#ports
    const result = assignReplicas(
      this.#ports.aliveBrokers(),
      topic.numPartitions === -1 ? defaults.numPartitions : topic.numPartitions,
      topic.replicationFactor === -1 ? defaults.replicationFactor : topic.replicationFactor,
      (bound) => this.#random.below(bound),
    )
    return result.kind === 'assigned' ? result.assignment : refused(result.errorCode, result.errorMessage)
  }

  /**
   * Configuration and topic in one step: who finds the topic finds its configuration, and neither is left alone or taken for that of an earlier
   * topic of the name, which is just being deleted. False when another was faster.
   */
  async #writeNewTopic(topic: NewTopic, topicId: string, assignment: Map<number, number[]>): Promise<boolean> {
    const config = encodeConfig(topic.configs)
    const configPath = ZnodePath.config('topics', topic.name)
    const partitions = new Map([...assignment].map(([partition, replicas]) => [partition, fixed(replicas)]))
    const create: MultiStep = {
      op: 'create',
      path: ZnodePath.topic(topic.name),
      data: encodeTopic({ topicId, partitions }),
    }
    for (;;) {
      const hasConfig = (await this.#zk.exists(configPath)) !== null
      const configure: MultiStep = hasConfig
        ? { op: 'setData', path: configPath, data: config, version: -1 }
        : { op: 'create', path: configPath, data: config }
      try {
        await this.#zk.multi([configure, create])
        return true
      } catch (error) {
        if (!(error instanceof ZkMultiError) || !isZkError(error, 'NODEEXISTS', 'NONODE')) throw error
        // Its configuration came or went meanwhile.
        if (error.index === 0) continue
        if (!isZkError(error, 'NODEEXISTS')) throw error
        // Its answer may have been lost with the connection.
        const found = await this.#readTopic(topic.name)
        return found?.assignment.topicId === topicId
      }
    }
  }

  // ---- grow ----

  /** Outcomes in the order of the requests. `isQueuedForDeletion`: what the controller knows of the topic. */
  async createPartitions(
    requests: readonly TopicGrowth[],
    options: { validateOnly: boolean; isQueuedForDeletion(topic: string): boolean },
  ): Promise<TopicOutcome[]> {
    const outcomes: TopicOutcome[] = []
    for (const request of requests) {
      const isTwice = requests.some((other) => other !== request && other.name === request.name)
      const outcome = isTwice
        ? refused(ErrorCode.INVALID_REQUEST, `Duplicate topic in request: ${request.name}`)
        : options.isQueuedForDeletion(request.name)
          ? refused(ErrorCode.INVALID_TOPIC_EXCEPTION, 'The topic is queued for deletion.')
          : await this.#grow(request, options.validateOnly)
      outcomes.push({ name: request.name, ...outcome })
    }
    return outcomes
  }

  async #grow(request: TopicGrowth, validateOnly: boolean): Promise<Outcome> {
    const found = await this.#readTopic(request.name)
    if (found === null)
      return refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `The topic '${request.name}' does not exist.`)
    const { partitions, topicId } = found.assignment
    if ([...partitions.values()].some(isBeingReassigned))
      return refused(
        ErrorCode.REASSIGNMENT_IN_PROGRESS,
        `A partition reassignment is in progress for the topic '${request.name}'.`,
      )
    const refusal = growthRefusal(partitions.size, request.count)
    if (refusal !== null) return refusal
    const added = this.#assignMore(request, partitions)
    if ('errorCode' in added) return added
    if (validateOnly) return OK
    const all = new Map([...partitions, ...[...added].map(([index, replicas]) => [index, fixed(replicas)] as const)])
    const data = encodeTopic({ topicId, partitions: all })
    const update = await this.#zk.updateConditionally(ZnodePath.topic(request.name), data, found.version)
    if (update.kind === 'updated') return OK
    return await this.#grow(request, validateOnly)
  }

  /** Goes on as if the topic had been made with more partitions: after the leader of partition 0. */
  #assignMore(
    request: TopicGrowth,
    partitions: ReadonlyMap<number, ReplicaAssignment>,
  ): Map<number, number[]> | Outcome {
    const first = partitions.get(0)?.replicas
    if (first === undefined)
      return refused(ErrorCode.INVALID_REQUEST, `Partition 0 of topic '${request.name}' has no assignment.`)
    const brokers = this.#ports.aliveBrokers()
    const count = request.count - partitions.size
    if (request.assignments !== null) {
      const manual = new Map(request.assignments.map((replicas, index) => [partitions.size + index, [...replicas]]))
      const fault =
        request.assignments.length === count
          ? manualGrowthFault(manual, first.length, new Set(brokers.map((broker) => broker.id)))
          : `Increasing the number of partitions by ${count} but ${request.assignments.length} assignments provided.`
      return fault === null ? manual : refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, fault)
    }
    const order = [...brokers].sort((a, b) => a.id - b.id)
    const startIndex = Math.max(
      0,
      order.findIndex((broker) => broker.id >= first[0]!),
    )
    const start = { startIndex, startPartition: partitions.size }
    const result = assignReplicas(order, count, first.length, (bound) => this.#random.below(bound), start)
    return result.kind === 'assigned' ? result.assignment : refused(result.errorCode, result.errorMessage)
  }

  // ---- delete ----

  /** Asks the controller to delete. Outcomes in the order of the names; that it was asked before is fine. */
  async deleteTopics(names: readonly string[]): Promise<TopicOutcome[]> {
    return await Promise.all(names.map(async (name) => ({ name, ...(await this.#requestDeletion(name)) })))
  }

  async #requestDeletion(name: string): Promise<Outcome> {
    if ((await this.#zk.exists(ZnodePath.topic(name))) === null)
      return refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, 'This server does not host this topic-partition.')
    await this.#zk.ensurePath(ZnodePath.deleteTopic(name))
    return OK
  }

  async #readTopic(name: string): Promise<{ assignment: TopicAssignment; version: number } | null> {
    const found = await this.#zk.find(ZnodePath.topic(name))
    return found === null ? null : { assignment: decodeTopic(name, found.data), version: found.stat.version }
  }
}

function growthRefusal(present: number, wanted: number): Outcome | null {
  if (wanted > present) return null
  return refused(
    ErrorCode.INVALID_PARTITIONS,
    wanted === present
      ? `Topic already has ${present} partition(s).`
      : `The topic currently has ${present} partition(s); ${wanted} would not be an increase.`,
  )
}

/** Of a new topic: partitions 0, 1, … without a gap, all with as many brokers, none twice. */
function manualAssignmentFault(assignment: ReadonlyMap<number, readonly number[]>): string | null {
  const indexes = [...assignment.keys()].sort((a, b) => a - b)
  if (indexes.some((index, at) => index !== at))
    return `Partitions should be a consecutive 0-based integer sequence: ${indexes.join(', ')}`
  const size = [...assignment.values()][0]!.length
  for (const [partition, brokers] of assignment) {
    if (brokers.length === 0) return `The list of replicas of partition ${partition} is empty.`
    if (new Set(brokers).size < brokers.length)
      return `Duplicate replica assignment found: ${partition} -> ${brokers.join(', ')}`
    if (brokers.some((broker) => broker < 0)) return `A broker id is negative: ${partition} -> ${brokers.join(', ')}`
    if (brokers.length !== size) return 'All partitions should have the same number of replicas.'
  }
  return null
}

/** Of a topic that grows: the brokers must be alive, and as many as the topic's other partitions have. */
function manualGrowthFault(
  assignment: ReadonlyMap<number, readonly number[]>,
  replicationFactor: number,
  alive: ReadonlySet<number>,
): string | null {
  for (const [partition, brokers] of assignment) {
    if (brokers.length === 0) return `Cannot have replication factor of 0 for partition id ${partition}.`
    if (new Set(brokers).size < brokers.length)
      return `Duplicate brokers not allowed in replica assignment: ${brokers.join(', ')} for partition id ${partition}.`
    const unknown = brokers.filter((broker) => !alive.has(broker))
    if (unknown.length > 0) return `Unknown broker(s) in replica assignment: ${unknown.join(', ')}.`
    if (brokers.length !== replicationFactor)
      return `Inconsistent replication factor between partitions, partition 0 has ${replicationFactor} while partition ${partition} has ${brokers.length}.`
  }
  return null
}

function isBeingReassigned({ addingReplicas, removingReplicas }: ReplicaAssignment): boolean {
  return addingReplicas.length > 0 || removingReplicas.length > 0
}

function fixed(replicas: readonly number[]): ReplicaAssignment {
  return { replicas, addingReplicas: [], removingReplicas: [] }
}

function alreadyExists(name: string): Outcome {
  return refused(ErrorCode.TOPIC_ALREADY_EXISTS, `Topic '${name}' already exists.`)
}

function refused(errorCode: number, errorMessage: string): Outcome {
  return { errorCode, errorMessage }
}

function notCreated(topic: NewTopic, outcome: Outcome): CreatedTopic {
  return { name: topic.name, ...outcome, topicId: ZERO_UUID, numPartitions: -1, replicationFactor: -1 }
}
