import { encodeUtf8 } from '#base'
import { ZnodePath, encodePartitionList, encodeReassignments } from '#metadata/znodes'
import { sleep, type Platform } from '#platform'
import { ErrorCode, errorOf } from '#protocol'
import { AlterPartitionReassignments } from '#protocol/messages/alter-partition-reassignments'
import { AlterReplicaLogDirs } from '#protocol/messages/alter-replica-log-dirs'
import { CreatePartitions } from '#protocol/messages/create-partitions'
import { CreateTopics } from '#protocol/messages/create-topics'
import { DeleteRecords } from '#protocol/messages/delete-records'
import { DeleteTopics } from '#protocol/messages/delete-topics'
import { ElectLeaders } from '#protocol/messages/elect-leaders'
import { IncrementalAlterConfigs } from '#protocol/messages/incremental-alter-configs'
import { ListPartitionReassignments } from '#protocol/messages/list-partition-reassignments'
import type { MetadataResponse } from '#protocol/messages/metadata'
import { Produce } from '#protocol/messages/produce'
import { RecordBatchBuilder } from '#protocol/records'
import { ZooKeeperClient, isZkError } from '#zookeeper/client'

import type { SimulatedProcess } from '../process.ts'
import { PlainCluster, isNoAnswer, type TopicPartition } from '../workload/plain-cluster.ts'
import type { World } from '../world.ts'
import type { SimulatedCluster } from './cluster.ts'

/** A record of a topic that may be deleted: the topic's id tells which one of its name it went into. */
export interface OperatorRecord extends TopicPartition {
  readonly topicId: string
  readonly offset: number
  readonly value: string
  readonly acks: number
}

export interface OperatorOptions {
  /** Topics that are moved, and never deleted. */
  readonly topics: readonly string[]
  /** Usual time from one action to the next, ms. */
  readonly everyMs: number
}

type Action = readonly [name: string, weight: number, run: () => Promise<string>]
type Topic = MetadataResponse['topics'][number]

/** Topics that come and go. */
const TOPICS = ['d0', 'd1', 'd2']
/** Never deleted, moved or waited for; written to with acks=1. */
export const ACKS_1_TOPIC = 'o0'
const PARTITIONS_MAX = 5
const REQUEST_TIMEOUT_MS = 3000
const PRODUCE_EVERY_MS = 300
const THROTTLE_BYTES_PER_SECOND = 3000
const [SET, DELETE] = [0, 1]
const [TOPIC, BROKER] = [2, 4]
const THROTTLED = ['leader.replication.throttled.replicas', 'follower.replication.throttled.replicas']
const RATES = [
  'leader.replication.throttled.rate',
  'follower.replication.throttled.rate',
  'replica.alter.log.dirs.io.max.bytes.per.second',
]

/**
 * Administers the cluster at random while everything else goes on: topics are made, grown, deleted and made anew, partitions move
 * between brokers and between directories, leaders are elected, records deleted. Nobody waits for what was asked: how it stands
 * at the end is the business of `checkTruth`.
 */
export class Operator {
  readonly #world: World
  readonly #cluster: SimulatedCluster
  readonly #options: OperatorOptions
  readonly #process: SimulatedProcess
  /** What was asked, and what was answered, with how often. */
  readonly notes = new Map<string, number>()
  /** Acknowledged. */
  readonly records: OperatorRecord[] = []
  #values = 0
  #stopped = false
  #isSettled = false

  constructor(world: World, cluster: SimulatedCluster, options: OperatorOptions) {
    this.#world = world
    this.#cluster = cluster
    this.#options = options
    this.#process = world.process('operator')
  }

  start(): void {
    this.#process.start(async (platform) => {
      await new Session(this, this.#cluster, this.#options, platform).run()
      this.#isSettled = true
      await new Promise(() => {})
    })
  }

  /** No action is begun any more; throttles are lifted. */
  stop(): void {
    this.#stopped = true
  }

  get isStopped(): boolean {
    return this.#stopped
  }

  /** Whether everything that was begun has been answered, or given up, since `stop`. */
  get isSettled(): boolean {
    return this.#isSettled
  }

  note(what: string): void {
    this.notes.set(what, (this.notes.get(what) ?? 0) + 1)
  }

  tell(what: string): void {
    this.#world.logSink?.('info', `${this.#world.nowMs.toFixed(3)} operator: ${what}`)
  }

  after(delayMs: number, run: () => void): void {
    this.#world.after(delayMs, () => this.#stopped || run())
  }

  nextValue(): string {
    return `w${this.#values++}`
  }
}

/** The operator's process. */
class Session {
  readonly #operator: Operator
  readonly #machines: SimulatedCluster
  readonly #options: OperatorOptions
  readonly #platform: Platform
  readonly #cluster: PlainCluster
  #zk: ZooKeeperClient | null = null
  readonly #underWay = new Set<Promise<void>>()
  readonly #actions: readonly Action[] = [
    ['reassign', 7, () => this.#reassign()],
    ['reassign through ZooKeeper', 3, () => this.#reassignInZooKeeper()],
    ['cancel reassignments', 4, () => this.#cancelReassignments()],
    ['throttle', 2, () => this.#throttle()],
    ['lift throttle', 2, () => this.#liftThrottle()],
    ['create topic', 5, () => this.#createTopic()],
    ['grow topic', 3, () => this.#growTopic()],
    ['delete topic', 4, () => this.#deleteTopic()],
    ['make topic anew', 3, () => this.#makeAnew()],
    ['elect preferred', 3, () => this.#electPreferred()],
    ['delete records', 4, () => this.#deleteRecords()],
    ['move directory', 5, () => this.#moveDirectory()],
    ['join', 1, () => this.#join()],
  ]

  constructor(operator: Operator, machines: SimulatedCluster, options: OperatorOptions, platform: Platform) {
    this.#operator = operator
    this.#machines = machines
    this.#options = options
    this.#platform = platform
    this.#cluster = new PlainCluster(platform, 'operator', machines.bootstrap)
  }

  async run(): Promise<void> {
    const { clock } = this.#platform
    const writers = [this.#write(-1, TOPICS), this.#write(1, [ACKS_1_TOPIC])]
    while (!this.#operator.isStopped) {
      await sleep(clock, -Math.log(1 - this.#platform.random.next()) * this.#options.everyMs)
      if (!this.#operator.isStopped) this.#begin(this.#pickWeighted())
    }
    await Promise.all([...writers, ...this.#underWay])
    while (!(await this.#answered('lift throttle', () => this.#liftThrottle()))) await sleep(clock, 500)
    await this.#zk?.close()
  }

  #begin([name, , run]: Action): void {
    const action = this.#answered(name, run).then(() => void this.#underWay.delete(action))
    this.#underWay.add(action)
    // What is half done when the controller dies is what the next one must finish.
    if (this.#chance(0.08)) this.#killController()
  }

  #killController(): void {
    const { random } = this.#platform
    this.#operator.after(random.next() * 60, () => {
      const controller = this.#machines.brokers.find(({ broker }) => broker?.isController === true)
      if (controller === undefined) return
      this.#operator.note('controller dies in the middle')
      this.#operator.tell(`the controller ${controller.process.name} dies in the middle`)
      this.#machines.crash(controller.process)
      this.#operator.after(500 + random.next() * 5000, () => this.#machines.start(controller.process))
    })
  }

  async #answered(name: string, run: () => Promise<string>): Promise<boolean> {
    try {
      const answer = await run()
      this.#operator.note(`${name}: ${answer}`)
      this.#operator.tell(`${name}: ${answer}`)
      return true
    } catch (error) {
      if (!isNoAnswer(error) && !isZkError(error)) throw error
      this.#operator.note(`${name}: no answer`)
      return false
    }
  }

  // ---- what is done ----

  async #reassign(): Promise<string> {
    const moves = await this.#moves()
    if (moves.length === 0) return 'nothing to move'
    this.#operator.tell(
      `reassign ${moves.map(({ topic, partition, replicas }) => `${topic}-${partition} to ${replicas.join()}`).join('; ')}`,
    )
    return await this.#askReassign(moves)
  }

  async #askReassign(
    moves: readonly (TopicPartition & { readonly replicas: readonly number[] | null })[],
  ): Promise<string> {
    const answer = await this.#askController(AlterPartitionReassignments, 0, {
      timeoutMs: REQUEST_TIMEOUT_MS,
      topics: moves.map(({ topic, partition, replicas }) => ({
        name: topic,
        partitions: [{ partitionIndex: partition, replicas: replicas === null ? null : [...replicas] }],
      })),
    })
    if (answer.errorCode !== ErrorCode.NONE) return nameOf(answer.errorCode)
    return nameOf(answer.responses.flatMap(({ partitions }) => partitions)[0]?.errorCode ?? ErrorCode.NONE)
  }

  async #reassignInZooKeeper(): Promise<string> {
    const moves = await this.#moves()
    if (moves.length === 0) return 'nothing to move'
    return await this.#createZnode(ZnodePath.reassignPartitions, encodeReassignments(moves))
  }

  async #cancelReassignments(): Promise<string> {
    const listed = await this.#askController(ListPartitionReassignments, 0, {
      timeoutMs: REQUEST_TIMEOUT_MS,
      topics: null,
    })
    if (listed.errorCode !== ErrorCode.NONE) return nameOf(listed.errorCode)
    const cancelled = listed.topics.flatMap(({ name, partitions }) =>
      partitions.map(({ partitionIndex }) => ({ topic: name, partition: partitionIndex, replicas: null })),
    )
    return cancelled.length === 0 ? 'nothing moves' : await this.#askReassign(cancelled)
  }

  async #throttle(): Promise<string> {
    const topics = (await this.#cluster.metadata()).topics.map(({ name }) => name!)
    return await this.#alterConfigs([
      ...topics.map((name) => resource(TOPIC, name, THROTTLED, SET, '*')),
      resource(BROKER, '', RATES, SET, String(THROTTLE_BYTES_PER_SECOND)),
    ])
  }

  async #liftThrottle(): Promise<string> {
    const topics = (await this.#cluster.metadata()).topics.map(({ name }) => name!)
    return await this.#alterConfigs([
      ...topics.map((name) => resource(TOPIC, name, THROTTLED, DELETE, null)),
      resource(BROKER, '', RATES, DELETE, null),
    ])
  }

  async #alterConfigs(resources: ReturnType<typeof resource>[]): Promise<string> {
    const answer = await this.#cluster.askAny(IncrementalAlterConfigs, 1, { resources, validateOnly: false })
    return nameOf(answer.responses.at(-1)!.errorCode)
  }

  async #createTopic(name = this.#pick(TOPICS)): Promise<string> {
    const brokers = this.#machines.brokers.map(({ id }) => id)
    const partitions = 1 + this.#platform.random.below(3)
    const byHand = this.#chance(0.3)
    const assignments = Array.from({ length: byHand ? partitions : 0 }, (_, partitionIndex) => ({
      partitionIndex,
      brokerIds: this.#shuffled(brokers).slice(0, 2),
    }))
    const sizes = byHand ? [-1, -1] : [partitions, 1 + this.#platform.random.below(3)]
    const topic = { name, numPartitions: sizes[0]!, replicationFactor: sizes[1]!, assignments, configs: SMALL_TOPIC }
    const answer = await this.#askController(CreateTopics, 4, { topics: [topic], timeoutMs: REQUEST_TIMEOUT_MS })
    return nameOf(answer.topics[0]!.errorCode)
  }

  async #growTopic(): Promise<string> {
    const topic = await this.#topicOf(TOPICS)
    if (topic === null || topic.partitions.length >= PARTITIONS_MAX) return 'nothing to grow'
    const count = topic.partitions.length + 1 + this.#platform.random.below(2)
    const answer = await this.#askController(CreatePartitions, 3, {
      topics: [{ name: topic.name!, count, assignments: null }],
      timeoutMs: REQUEST_TIMEOUT_MS,
      validateOnly: false,
    })
    return nameOf(answer.results[0]!.errorCode)
  }

  async #deleteTopic(): Promise<string> {
    const topic = await this.#topicOf(TOPICS)
    if (topic === null) return 'nothing to delete'
    if (this.#chance(0.2)) return await this.#createZnode(ZnodePath.deleteTopic(topic.name!), null)
    return await this.#askDelete(topic.name!)
  }

  async #askDelete(name: string): Promise<string> {
    const answer = await this.#askController(DeleteTopics, 5, { topicNames: [name], timeoutMs: REQUEST_TIMEOUT_MS })
    return nameOf(answer.responses[0]!.errorCode)
  }

  /** As soon as the name is free again. */
  async #makeAnew(): Promise<string> {
    const topic = await this.#topicOf(TOPICS)
    if (topic === null) return 'nothing to delete'
    await this.#askDelete(topic.name!)
    for (let tries = 0; tries < 10; tries++) {
      const answer = await this.#createTopic(topic.name!)
      if (answer !== 'TOPIC_ALREADY_EXISTS') return answer
      await sleep(this.#platform.clock, 200)
    }
    return 'gave up'
  }

  async #electPreferred(): Promise<string> {
    if (this.#chance(0.3)) {
      const { topics } = await this.#cluster.metadata()
      const partitions = topics.flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex }) => ({ topic: name!, partition: partitionIndex })),
      )
      return await this.#createZnode(ZnodePath.preferredReplicaElection, encodePartitionList(partitions))
    }
    const request = { electionType: 0, topicPartitions: null, timeoutMs: REQUEST_TIMEOUT_MS }
    return nameOf((await this.#askController(ElectLeaders, 2, request)).errorCode)
  }

  async #deleteRecords(): Promise<string> {
    const topic = await this.#topicOf(TOPICS)
    const partition = topic === null ? undefined : this.#pick(topic.partitions)
    if (partition === undefined || partition.leaderId < 0) return 'nothing to delete'
    const offset = this.#chance(0.3) ? -1 : this.#platform.random.below(20)
    const answer = await this.#cluster.ask(partition.leaderId, DeleteRecords, 2, {
      topics: [{ name: topic!.name!, partitions: [{ partitionIndex: partition.partitionIndex, offset }] }],
      timeoutMs: REQUEST_TIMEOUT_MS - 500,
    })
    return nameOf(answer.topics[0]!.partitions[0]!.errorCode)
  }

  async #moveDirectory(): Promise<string> {
    const machines = this.#machines.brokers.filter(({ logDirectories }) => logDirectories.length > 1)
    const { topics } = await this.#cluster.metadata()
    const [machine, topic] = [this.#pick(machines), this.#pick(topics)]
    if (machine === undefined || topic === undefined) return 'nothing to move'
    const partitions = topic.partitions.map(({ partitionIndex }) => partitionIndex)
    const answer = await this.#cluster.ask(machine.id, AlterReplicaLogDirs, 2, {
      dirs: [{ path: this.#pick(machine.logDirectories), topics: [{ name: topic.name!, partitions }] }],
    })
    return nameOf(answer.results[0]?.partitions[0]?.errorCode ?? ErrorCode.NONE)
  }

  async #join(): Promise<string> {
    this.#machines.join()
    return 'done'
  }

  /** Writes to whichever of these topics is there. */
  async #write(acks: number, topics: readonly string[]): Promise<void> {
    const { clock, random } = this.#platform
    while (!this.#operator.isStopped) {
      await sleep(clock, PRODUCE_EVERY_MS * 2 * random.next())
      try {
        await this.#writeOnce(acks, topics)
      } catch (error) {
        if (!isNoAnswer(error)) throw error
      }
    }
  }

  async #writeOnce(acks: number, topics: readonly string[]): Promise<void> {
    const topic = await this.#topicOf(topics)
    const partition = topic === null ? undefined : this.#pick(topic.partitions)
    if (partition === undefined || partition.leaderId < 0) return
    const builder = new RecordBatchBuilder({})
    const values = Array.from({ length: 1 + this.#platform.random.below(4) }, () => this.#operator.nextValue())
    for (const value of values)
      builder.append({
        timestamp: this.#platform.clock.now(),
        value: encodeUtf8(`${value} ${'.'.repeat(this.#platform.random.below(300))}`),
      })
    const name = topic!.name!
    const partitionData = [{ index: partition.partitionIndex, records: builder.build() }]
    const request = { acks, timeoutMs: REQUEST_TIMEOUT_MS - 500, topicData: [{ name, partitionData }] }
    const answer = await this.#cluster.ask(partition.leaderId, Produce, 7, request)
    const { errorCode, baseOffset } = answer.responses[0]!.partitionResponses[0]!
    this.#operator.note(`write with acks=${acks}: ${nameOf(errorCode)}`)
    if (errorCode !== ErrorCode.NONE) return
    // Only where the topic is the same afterwards is it known which one took the records.
    const { topicId } = topic!
    const now = (await this.#cluster.metadata()).topics.find((each) => each.name === name)
    if (now?.topicId !== topicId) return
    for (const [index, value] of values.entries())
      this.#operator.records.push({
        topic: name,
        partition: partition.partitionIndex,
        topicId,
        offset: baseOffset + index,
        value,
        acks,
      })
  }

  // ---- how it is asked ----

  async #askController<RequestOut, RequestIn, ResponseOut>(
    api: Parameters<typeof PlainCluster.prototype.ask<RequestOut, RequestIn, ResponseOut>>[1],
    version: number,
    request: RequestIn,
  ): Promise<ResponseOut> {
    if (this.#cluster.controllerId < 0 || this.#chance(0.3)) await this.#cluster.metadata()
    return await this.#cluster.ask(this.#cluster.controllerId, api, version, request)
  }

  async #createZnode(path: string, data: Uint8Array | null): Promise<string> {
    this.#zk ??= await ZooKeeperClient.connect(this.#platform, {
      connect: this.#machines.zookeeperAddress,
      sessionTimeoutMs: 6000,
    }).catch(() => null)
    try {
      await this.#zk?.create(path, data)
      return 'created'
    } catch (error) {
      if (isZkError(error, 'SESSIONEXPIRED')) {
        void this.#zk?.close()
        this.#zk = null
      }
      if (isZkError(error, 'NODEEXISTS')) return 'is there already'
      throw error
    }
  }

  /** A few partitions, and where they shall be. */
  async #moves(): Promise<(TopicPartition & { replicas: number[] })[]> {
    const { topics, brokers } = await this.#cluster.metadata()
    const moved = topics.filter(({ name }) => TOPICS.includes(name!) || this.#options.topics.includes(name!))
    const partitions = moved.flatMap(({ name, partitions }) =>
      partitions.map(({ partitionIndex }) => ({ topic: name!, partition: partitionIndex })),
    )
    const count = 1 + this.#platform.random.below(3)
    return this.#shuffled(partitions)
      .slice(0, count)
      .map((partition) => ({
        ...partition,
        replicas: this.#shuffled(brokers.map(({ nodeId }) => nodeId)).slice(
          0,
          TOPICS.includes(partition.topic) ? 1 + this.#platform.random.below(3) : 2 + this.#platform.random.below(2),
        ),
      }))
      .filter(({ replicas }) => replicas.length > 0)
  }

  /** One of these that is there. */
  async #topicOf(names: readonly string[]): Promise<Topic | null> {
    const { topics } = await this.#cluster.metadata()
    return (
      this.#pick(
        topics.filter(
          ({ name, errorCode, partitions }) => errorCode === 0 && partitions.length > 0 && names.includes(name!),
        ),
      ) ?? null
    )
  }

  #pickWeighted(): Action {
    const total = this.#actions.reduce((sum, [, weight]) => sum + weight, 0)
    let at = this.#platform.random.below(total)
    for (const action of this.#actions) if ((at -= action[1]) < 0) return action
    return this.#actions[0]!
  }

  #chance(probability: number): boolean {
    return this.#platform.random.next() < probability
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#platform.random.below(items.length)]!
  }

  #shuffled<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, order: this.#platform.random.next() }))
      .sort((a, b) => a.order - b.order)
      .map(({ item }) => item)
  }
}

const SMALL_TOPIC = [
  { name: 'file.delete.delay.ms', value: '500' },
  { name: 'min.insync.replicas', value: '1' },
]

function resource(
  resourceType: number,
  resourceName: string,
  names: readonly string[],
  configOperation: number,
  value: string | null,
) {
  return { resourceType, resourceName, configs: names.map((name) => ({ name, configOperation, value })) }
}

function nameOf(errorCode: number): string {
  return errorOf(errorCode).name
}
