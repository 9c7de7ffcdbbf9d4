import { sleep, type Platform } from '#platform'

import { byLeader, FETCH_VERSIONS, fetchFrom, pollsOf, type Fetched } from './fetching.ts'
import { PlainCluster, keyOf, type Address, type TopicPartition } from './plain-cluster.ts'
import type { Recorder } from './recorder.ts'

export interface ConsumerOptions {
  readonly process: string
  readonly bootstrap: readonly Address[]
  /** All of the workload. */
  readonly partitions: readonly TopicPartition[]
  readonly pauseMs: number
  /** Where it stands: it reads from a replica there, if the leader sends it to one. */
  readonly rackId?: string
}

/** After so many polls the consumer assigns itself other partitions. */
const POLLS_PER_ASSIGNMENT = 50

/** So long a consumer reads from another replica before it asks the leader again. */
const NEARBY_MS = 5000

/** A consumer without a group: it assigns itself partitions, reads them from their beginning, and never skips. */
export class PlainConsumer {
  readonly #platform: Platform
  readonly #options: ConsumerOptions
  readonly #recorder: Recorder
  readonly #cluster: PlainCluster
  readonly #positions = new Map<TopicPartition, number>()
  /** Replicas that leaders sent it to. */
  readonly #nearby = new Map<TopicPartition, { replica: number; untilMs: number }>()

  constructor(platform: Platform, options: ConsumerOptions, recorder: Recorder) {
    this.#platform = platform
    this.#options = options
    this.#recorder = recorder
    this.#cluster = new PlainCluster(platform, options.process, options.bootstrap)
  }

  /** Reads until its process ends. */
  async run(): Promise<void> {
    const { random, clock } = this.#platform
    for (;;) {
      const some = this.#options.partitions.filter(() => random.below(2) === 0)
      this.#assign(some.length === 0 ? this.#options.partitions : some)
      for (let polls = 0; polls < POLLS_PER_ASSIGNMENT; polls++) {
        await this.#poll(FETCH_VERSIONS[random.below(FETCH_VERSIONS.length)]!)
        await sleep(clock, this.#options.pauseMs * 2 * random.next())
      }
    }
  }

  /**
   * Reads everything from its beginning; resolves when each partition has been read to its high watermark, and
   * what was acknowledged too, unless it may be lost.
   */
  async readAll(mayBeLost: boolean): Promise<void> {
    this.#assign(this.#options.partitions)
    const unread = new Set(this.#options.partitions)
    while (unread.size > 0) {
      for (const { partition, nextOffset, highWatermark } of await this.#poll(FETCH_VERSIONS[0]))
        if (
          nextOffset >= highWatermark &&
          (mayBeLost || nextOffset > this.#recorder.highestAcknowledged(keyOf(partition)))
        )
          unread.delete(partition)
    }
  }

  #assign(partitions: readonly TopicPartition[]): void {
    for (const partition of this.#positions.keys())
      if (!partitions.includes(partition)) this.#positions.delete(partition)
    for (const partition of partitions) if (!this.#positions.has(partition)) this.#positions.set(partition, 0)
    const nowMs = this.#platform.clock.monotonic()
    this.#recorder.operations.push({
      kind: 'assign',
      process: this.#options.process,
      invokedMs: nowMs,
      completedMs: nowMs,
      keys: partitions.map(keyOf),
    })
  }

  /** By broker: those that a leader sent here for a while, and those that it leads. */
  #readFrom(nowMs: number): Map<number, TopicPartition[]> {
    for (const [partition, { untilMs }] of this.#nearby)
      if (nowMs >= untilMs || !this.#positions.has(partition)) this.#nearby.delete(partition)
    const sources = byLeader(
      this.#cluster,
      [...this.#positions.keys()].filter((partition) => !this.#nearby.has(partition)),
    )
    for (const [partition, { replica }] of this.#nearby)
      sources.set(replica, [...(sources.get(replica) ?? []), partition])
    return sources
  }

  /** A replica that has an error to tell, or does not answer, is left for the leader. */
  async #fetch(broker: number, partitions: readonly TopicPartition[], version: number): Promise<Fetched[]> {
    const positions = partitions.map((partition) => ({ partition, offset: this.#positions.get(partition)! }))
    const { rackId } = this.#options
    const fetched = (await fetchFrom(this.#cluster, this.#recorder, broker, positions, version, rackId)) ?? []
    for (const partition of partitions) {
      const answer = fetched.find((each) => each.partition === partition)
      if (answer === undefined) this.#nearby.delete(partition)
      else if (answer.preferredReadReplica >= 0) {
        this.#recorder.note('sent to a replica nearby')
        const untilMs = this.#platform.clock.monotonic() + NEARBY_MS
        this.#nearby.set(partition, { replica: answer.preferredReadReplica, untilMs })
      }
    }
    return fetched
  }

  /** One fetch from each broker, at the same time. */
  async #poll(version: number): Promise<{ partition: TopicPartition; nextOffset: number; highWatermark: number }[]> {
    const invokedMs = this.#platform.clock.monotonic()
    const leaders = this.#readFrom(invokedMs)
    if (leaders.size === 0) {
      await this.#cluster.refresh()
      return []
    }
    const answers = await Promise.all(
      [...leaders].map(([leader, partitions]) => this.#fetch(leader, partitions, version)),
    )
    const fetched = answers.flat()
    for (const { partition, nextOffset } of fetched) this.#positions.set(partition, nextOffset)
    const polls = pollsOf(fetched)
    if (polls.length > 0)
      this.#recorder.operations.push({
        kind: 'poll',
        process: this.#options.process,
        outcome: 'ok',
        invokedMs,
        completedMs: this.#platform.clock.monotonic(),
        polls,
      })
    return fetched
  }
}
