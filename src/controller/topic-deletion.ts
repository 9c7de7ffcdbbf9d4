/**
 * Deletes topics, once all their replicas are there to be deleted: brokers forget the partitions, replicas stop, logs go, and when every broker has
 * said so the znodes go. A reassignment under way is over with the request: all of its replicas are deleted. (Apache's controller waits for
 * its end, which may never come, since nobody is elected for a topic that is to be deleted.) A replica that is offline, or could not be deleted, halts its topic until something changes.
 * Source: `kafka.controller.TopicDeletionManager`.
 */
import { ZnodePath } from '#metadata/znodes'

import { replicasOf, type ControlledTopic, type Replica, type ReplicaStage } from './context.ts'
import type { Control } from './control.ts'

export class TopicDeletion {
  readonly #control: Control

  constructor(control: Control) {
    this.#control = control
  }

  /** What is requested in /admin/delete_topics. Requests for topics that do not exist, or while deletion is forbidden, are removed. */
  async requested(names: readonly string[]): Promise<void> {
    await this.#accept(names)
    await this.resume()
  }

  /** As `requested`, at the beginning: nothing is started yet, and what cannot be is known from the state of the replicas. */
  async requestedBefore(names: readonly string[]): Promise<void> {
    for (const topic of await this.#accept(names)) {
      const replicas = replicasOf(topic.partitions.values())
      if (replicas.some((replica) => !this.#isOnline(replica))) this.halt(topic, 'replicas are offline')
    }
  }

  /** Requests that cannot be carried out are removed: a later topic of the name must not meet them. */
  async #accept(names: readonly string[]): Promise<ControlledTopic[]> {
    const { context, store, config, logger } = this.#control
    const topics = config.deleteTopicEnable ? names.map((name) => context.topics.get(name)) : []
    const accepted = topics.filter((topic) => topic !== undefined)
    for (const name of names) {
      if (accepted.some((topic) => topic.name === name)) continue
      logger.warn(
        `topic ${name} is not deleted: ${config.deleteTopicEnable ? 'it does not exist' : 'delete.topic.enable is false'}`,
      )
      await store.deleteFenced(ZnodePath.deleteTopic(name))
    }
    accepted.forEach((topic) => this.#enqueue(topic))
    return accepted
  }

  #enqueue(topic: ControlledTopic): void {
    if (topic.deletion === 'none') topic.deletion = 'queued'
  }

  /** Only if it is to be deleted. */
  halt(topic: ControlledTopic, reason: string): void {
    if (!topic.isQueuedForDeletion || topic.deletionHalted) return
    topic.deletionHalted = true
    this.#control.logger.info(`the deletion of topic ${topic.name} waits: ${reason}`)
  }

  /** Something changed for these topics: those that were halted are tried again. */
  async resumeFor(topics: Iterable<ControlledTopic>): Promise<void> {
    const waiting = [...topics].filter((topic) => topic.isQueuedForDeletion)
    for (const topic of waiting) topic.deletionHalted = false
    if (waiting.length > 0) await this.resume()
  }

  /** A broker has deleted these replicas. */
  async replicasDeleted(replicas: readonly Replica[]): Promise<void> {
    const expected = replicas.filter((replica) => replica.partition.topic.isQueuedForDeletion)
    await this.#control.machines.moveReplicas(expected, 'deletionSuccessful')
    await this.resume()
  }

  /** A broker could not delete these replicas, or is gone. */
  async replicasFailed(replicas: readonly Replica[]): Promise<void> {
    const failed = replicas.filter((replica) => replica.partition.topic.isQueuedForDeletion)
    if (failed.length === 0) return
    await this.#control.machines.moveReplicas(
      failed.filter(({ partition, brokerId }) => partition.replicaStage(brokerId) === 'deletionStarted'),
      'deletionIneligible',
    )
    for (const { partition } of failed) this.halt(partition.topic, 'a replica could not be deleted')
    await this.resume()
  }

  /** Goes on with whatever can go on. */
  async resume(): Promise<void> {
    const { context, machines, logger } = this.#control
    const queued = [...context.topics.values()].filter((topic) => topic.isQueuedForDeletion)
    const retried: Replica[] = []
    const started: ControlledTopic[] = []
    for (const topic of queued) {
      const replicas = replicasOf(topic.partitions.values())
      if (replicas.every((replica) => stageOf(replica) === 'deletionSuccessful')) {
        await this.#complete(topic, replicas)
        continue
      }
      if (replicas.some((replica) => stageOf(replica) === 'deletionStarted')) continue
      retried.push(...replicas.filter((replica) => stageOf(replica) === 'deletionIneligible'))
      if (!topic.deletionHalted) started.push(topic)
    }
    if (retried.length > 0) await machines.moveReplicas(retried, 'offline')
    if (started.length === 0) return
    logger.info(`deleting ${started.map((topic) => topic.name).join(', ')}`)
    await this.#start(started)
  }

  async #start(topics: readonly ControlledTopic[]): Promise<void> {
    const { machines } = this.#control
    for (const topic of topics.filter((each) => each.deletion === 'queued')) {
      machines.markPartitions(topic.partitions.values(), 'offline')
      machines.markPartitions(topic.partitions.values(), 'nonExistent')
      topic.deletion = 'started'
    }
    const partitions = topics.flatMap((topic) => [...topic.partitions.values()])
    this.#control.announce(partitions)
    const replicas = replicasOf(partitions).filter((replica) => stageOf(replica) !== 'deletionSuccessful')
    const dead = replicas.filter((replica) => !this.#isOnline(replica))
    const live = replicas.filter((replica) => this.#isOnline(replica))
    await machines.moveReplicas(dead, 'deletionIneligible')
    await machines.moveReplicas(live, 'offline')
    await machines.moveReplicas(live, 'deletionStarted')
    for (const { partition } of dead) this.halt(partition.topic, 'replicas are offline')
  }

  async #complete(topic: ControlledTopic, replicas: readonly Replica[]): Promise<void> {
    const { context, machines, store, logger } = this.#control
    await machines.moveReplicas(replicas, 'nonExistent')
    await store.deleteTopic(topic.name)
    context.removeTopic(topic)
    logger.info(`topic ${topic.name} is deleted`)
  }

  #isOnline({ partition, brokerId }: Replica): boolean {
    return this.#control.context.isReplicaOnline(partition, brokerId)
  }
}

function stageOf({ partition, brokerId }: Replica): ReplicaStage {
  return partition.replicaStage(brokerId)
}
