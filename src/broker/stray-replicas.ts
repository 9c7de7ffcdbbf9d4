/**
 * Replicas that lie here and are assigned elsewhere: the controller's word to delete them was lost, or came while this broker was away, and
 * it is not said again. What ZooKeeper does not assign to this broker is put aside under a name that nothing takes for a
 * partition's, and kept for people to look at; a replica that a later topic of the name needs has its place then. Apache's brokers leave it
 * where it is in ZooKeeper mode, and cannot join the later topic (KAFKA-16234, KAFKA-13132 tell of relatives).
 */
import { ZnodeFormatError, ZnodePath, decodeTopic, type TopicAssignment } from '#metadata/znodes'
import type { MetadataDelta } from '#metadata'
import type { Platform, Timer } from '#platform'
import type { ReplicaManager } from '#replication'
import type { Log, LogManager } from '#storage'
import { isZkError, type RetryingZooKeeper } from '#zookeeper/client'

/** A request to delete follows the word of the new assignment: for so long it is waited for. */
const PATIENCE_MS = 5000

export class StrayReplicas {
  readonly #platform: Pick<Platform, 'clock' | 'logger'>
  readonly #brokerId: number
  readonly #zk: RetryingZooKeeper
  readonly #logs: LogManager
  readonly #replicas: ReplicaManager
  readonly #suspected = new Set<string>()
  #timer: Timer | null = null
  #isClosed = false

  constructor(parts: {
    readonly platform: Pick<Platform, 'clock' | 'logger'>
    readonly brokerId: number
    readonly zk: RetryingZooKeeper
    readonly logs: LogManager
    readonly replicas: ReplicaManager
  }) {
    this.#platform = parts.platform
    this.#brokerId = parts.brokerId
    this.#zk = parts.zk
    this.#logs = parts.logs
    this.#replicas = parts.replicas
  }

  /** To be called before the broker registers: nobody assigns it anything meanwhile. */
  async putAside(): Promise<void> {
    await this.#judge([...new Set([...this.#logs.logs].map(({ topic }) => topic))])
  }

  /** The cluster has changed: what is here and assigned elsewhere now should go soon. */
  metadataChanged({ updated, removed }: MetadataDelta): void {
    const elsewhere = updated.filter(({ replicas }) => !replicas.includes(this.#brokerId))
    for (const { topic, partition } of [...elsewhere, ...removed])
      if (this.#logs.log(topic, partition) !== null) this.#suspected.add(topic)
    if (this.#suspected.size === 0 || this.#timer !== null || this.#isClosed) return
    this.#timer = this.#platform.clock.setTimer(PATIENCE_MS, () => {
      this.#timer = null
      const topics = [...this.#suspected]
      this.#suspected.clear()
      this.#judge(topics).catch((error: unknown) => {
        // In the next session all are looked at.
        if (isZkError(error)) return
        this.#platform.logger.error('stray replicas could not be found', error)
      })
    })
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  async #judge(topics: readonly string[]): Promise<void> {
    await Promise.all(topics.map((topic) => this.#judgeTopic(topic)))
  }

  async #judgeTopic(topic: string): Promise<void> {
    const here = [...this.#logs.logs].filter((log) => log.topic === topic)
    const epochs = here.map((log) => this.#leaderEpochOf(log))
    const found = await this.#zk.find(ZnodePath.topic(topic))
    let assignment: TopicAssignment | null
    try {
      assignment = found === null ? null : decodeTopic(topic, found.data)
    } catch (error) {
      if (!(error instanceof ZnodeFormatError)) throw error
      return this.#platform.logger.error(error.message)
    }
    for (const [index, log] of here.entries()) {
      // A replica that was given a role meanwhile, or is another one now, is none of these.
      const isAsItWas =
        this.#logs.log(topic, log.partition) === log && this.#leaderEpochOf(log) === epochs[index] && !this.#isClosed
      if (!isAsItWas || isAssigned(assignment, log, this.#brokerId)) continue
      const folder = this.#replicas.setAside(topic, log.partition)
      const why = assignment === null ? 'there is no such topic' : 'it is assigned to other brokers'
      if (folder !== null) this.#platform.logger.warn(`${log.name} is a stray replica, ${why}: it is ${folder} now`)
    }
  }

  #leaderEpochOf({ topic, partition }: Log): number {
    return this.#replicas.partition(topic, partition)?.leaderEpoch ?? -1
  }
}

function isAssigned(topic: TopicAssignment | null, { topicId, partition }: Log, brokerId: number): boolean {
  if (topic === null) return false
  const isOther = topicId !== null && topic.topicId !== null && topic.topicId !== topicId
  return !isOther && (topic.partitions.get(partition)?.replicas.includes(brokerId) ?? false)
}
