/** Topics appear, grow and vanish in ZooKeeper, whoever wrote them there. */
import type { Watcher } from '#zookeeper/client'
import type { ReplicaAssignment, TopicAssignment } from '#metadata/znodes'

import { isBeingDeleted, replicasOf, type ControlledPartition, type ControlledTopic } from './context.ts'
import type { Control } from './control.ts'
import { randomUuid } from './random-uuid.ts'

export class TopicChanges {
  readonly #control: Control

  constructor(control: Control) {
    this.#control = control
  }

  /** The topics as they are at the election, with the states of their partitions. */
  async read(): Promise<void> {
    const { store, context } = this.#control
    await this.#addTopics(await store.readTopics(this.#changeWatcher()))
    const partitions = [...context.partitions()]
    const states = await Promise.all(partitions.map((partition) => store.readState(partition)))
    for (const [index, partition] of partitions.entries()) partition.leadership = states[index]!
  }

  #changeWatcher(): Watcher {
    return this.#control.watcher('TopicChange', () => this.#onChange())
  }

  async #onChange(): Promise<void> {
    const { store, context } = this.#control
    const names = new Set(await store.readTopics(this.#changeWatcher()))
    for (const topic of context.topics.values()) if (!names.has(topic.name)) context.removeTopic(topic)
    const added = await this.#addTopics([...names].filter((name) => !context.topics.has(name)))
    await this.#onNewPartitions(added.flatMap((topic) => [...topic.partitions.values()]))
  }

  async #addTopics(names: readonly string[]): Promise<ControlledTopic[]> {
    const { store, context } = this.#control
    const read = await Promise.all(names.map((name) => store.readTopic(name, this.#growthWatcher(name))))
    const added: ControlledTopic[] = []
    for (const [index, name] of names.entries()) {
      const found = read[index] ?? null
      if (found === null) continue
      const topic = context.addTopic(name, await this.#topicIdOf(name, found))
      this.#addPartitions(topic, found.partitions)
      added.push(topic)
    }
    return added
  }

  /** A creator older than 2.8 gave it none. */
  async #topicIdOf(name: string, found: TopicAssignment): Promise<string> {
    if (found.topicId !== null) return found.topicId
    const topicId = randomUuid(this.#control.random)
    await this.#control.store.writeTopicId(name, topicId, found)
    return topicId
  }

  #addPartitions(topic: ControlledTopic, assignments: ReadonlyMap<number, ReplicaAssignment>): ControlledPartition[] {
    return [...assignments]
      .filter(([index]) => !topic.partitions.has(index))
      .map(([index, assignment]) => this.#control.context.addPartition(topic, index, assignment))
  }

  #growthWatcher(name: string): Watcher {
    return this.#control.watcher(`PartitionModifications ${name}`, () => this.#onGrowth(name))
  }

  /** Only added partitions count: what else changes in the znode is this controller's own doing. */
  async #onGrowth(name: string): Promise<void> {
    const { store, context, logger } = this.#control
    const topic = context.topics.get(name)
    if (topic === undefined) return
    const found = await store.readTopic(name, this.#growthWatcher(name))
    const isGrown = [...(found?.partitions.keys() ?? [])].some((index) => !topic.partitions.has(index))
    if (found === null || !isGrown) return
    if (topic.isQueuedForDeletion) {
      logger.warn(`topic ${name} is being deleted and gets no more partitions`)
      return await store.writeTopic(topic)
    }
    await this.#onNewPartitions(this.#addPartitions(topic, found.partitions))
  }

  async #onNewPartitions(partitions: readonly ControlledPartition[]): Promise<void> {
    const { machines } = this.#control
    if (partitions.length === 0) return
    const replicas = replicasOf(partitions)
    machines.markPartitions(partitions, 'new')
    await machines.moveReplicas(replicas, 'new')
    await machines.bringOnline(partitions, await machines.offlineStrategy(partitions))
    await machines.moveReplicas(replicas, 'online')
  }

  /** Leaders from outside the ISR are allowed now: for this topic, or (null) where topics say nothing themselves. */
  async onUncleanElectionEnabled(topic: string | null): Promise<void> {
    const { context, machines } = this.#control
    const waiting = context
      .partitionsInStage('offline')
      .filter((partition) => !isBeingDeleted(partition) && (topic === null || partition.topic.name === topic))
    await machines.bringOnline(waiting, await machines.offlineStrategy(waiting))
  }
}
