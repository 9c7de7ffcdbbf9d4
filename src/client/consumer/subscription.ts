/**
 * What a consumer subscribes to: topics by name, or those that match a pattern. Watches the metadata for what asks for a new
 * rebalance: a topic that matches now, and, on the member that leads the group, partitions that were added.
 */
import type { Cluster } from '../cluster/index.ts'
import type { PartitionRacks } from './assignors/index.ts'
import { compareNames } from './topic-partition.ts'

export interface SubscriptionOptions {
  /** `exclude.internal.topics` */
  readonly excludeInternalTopics: boolean
  /** `client.rack`, empty if there is none. */
  readonly clientRack: string
}

export class Subscription {
  readonly #cluster: Cluster
  readonly #wanted: readonly string[] | RegExp
  readonly #options: SubscriptionOptions
  /** As the group was last told; null before. */
  #told: string | null = null
  /** What the member that leads the group has shared out; null on the others. */
  #shared: { readonly topics: ReadonlySet<string>; readonly layout: string } | null = null

  constructor(cluster: Cluster, wanted: readonly string[] | RegExp, options: SubscriptionOptions) {
    this.#cluster = cluster
    this.#wanted = wanted
    this.#options = options
    if (wanted instanceof RegExp) cluster.metadata.trackAll(true)
    else for (const topic of wanted) cluster.metadata.track(topic)
  }

  /** The topics at present, and from now on a change is one from these. */
  async topics(): Promise<readonly string[]> {
    const { metadata, config } = this.#cluster
    // A pattern means nothing before the topics are known.
    if (this.#wanted instanceof RegExp && metadata.version === 0)
      await metadata.waitForUpdate({ timeoutMs: config.requestTimeoutMs })
    const topics = this.#present()
    this.#told = JSON.stringify(topics)
    this.#shared = null
    return topics
  }

  /** How many partitions each of the group's topics has; a topic that does not exist is left out. From now on a change of that is one. */
  async lead(topics: ReadonlySet<string>): Promise<ReadonlyMap<string, number>> {
    const { metadata } = this.#cluster
    for (const topic of topics) metadata.track(topic)
    const isSettled = (): boolean =>
      [...topics].every((topic) => metadata.topic(topic) !== undefined || metadata.topicError(topic) !== undefined)
    if (!isSettled()) await metadata.waitForUpdate({ timeoutMs: this.#cluster.config.requestTimeoutMs })
    const counts = this.#counts(topics)
    this.#shared = { topics, layout: this.#layout(topics) }
    return counts
  }

  /** Where the replicas of these topics are. */
  racks(topics: ReadonlySet<string>): PartitionRacks {
    const { metadata } = this.#cluster
    const rackOf = (nodeId: number): string | never[] => metadata.nodes.get(nodeId)?.rack ?? []
    return new Map(
      Array.from(topics, (name) => [
        name,
        (metadata.topic(name)?.partitions ?? []).map(({ replicas }) => new Set(replicas.flatMap(rackOf))),
      ]),
    )
  }

  /** Why the group must rebalance, or null. */
  changeOf(): string | null {
    if (this.#told !== null && JSON.stringify(this.#present()) !== this.#told) return 'other topics match the pattern'
    if (this.#shared === null) return null
    const { topics, layout } = this.#shared
    return this.#layout(topics) === layout ? null : 'the partitions of a topic have changed'
  }

  /** The same, without a promise that changes are told from here on. */
  get present(): readonly string[] {
    return this.#present()
  }

  close(): void {
    if (this.#wanted instanceof RegExp) this.#cluster.metadata.trackAll(false)
  }

  #present(): readonly string[] {
    const wanted = this.#wanted
    if (!(wanted instanceof RegExp)) return wanted
    return Array.from(this.#cluster.metadata.topics.values())
      .filter(
        ({ name, isInternal }) => name.search(wanted) >= 0 && !(isInternal && this.#options.excludeInternalTopics),
      )
      .map(({ name }) => name)
      .sort(compareNames)
  }

  /** What asks for a rebalance when it changes: other partitions, and, for a member that has a rack itself, other racks. */
  #layout(topics: ReadonlySet<string>): string {
    const counts = [...this.#counts(topics)]
    if (this.#options.clientRack === '') return JSON.stringify(counts)
    const racks = Array.from(this.racks(topics), ([topic, list]) => [topic, list.map((racks) => [...racks].sort())])
    return JSON.stringify([counts, racks])
  }

  #counts(topics: ReadonlySet<string>): Map<string, number> {
    const counts = new Map<string, number>()
    for (const name of [...topics].sort(compareNames)) {
      const topic = this.#cluster.metadata.topic(name)
      if (topic !== undefined && topic.partitions.length > 0) counts.set(name, topic.partitions.length)
    }
    return counts
  }
}
