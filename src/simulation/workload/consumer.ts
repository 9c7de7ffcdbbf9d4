import { sleep, type Platform } from '#platform'

import { byLeader, FETCH_VERSIONS, fetchFrom, pollsOf } from './fetching.ts'
import { PlainCluster, keyOf, type Address, type TopicPartition } from './plain-cluster.ts'
import type { Recorder } from './recorder.ts'

export interface ConsumerOptions {
  readonly process: string
  readonly bootstrap: readonly Address[]
  /** All of the workload. */
  readonly partitions: readonly TopicPartition[]
  readonly pauseMs: number
}

/** After so many polls the consumer assigns itself other partitions. */
const POLLS_PER_ASSIGNMENT = 50

/** A consumer without a group: it assigns itself partitions, reads them from their beginning, and never skips. */
export class PlainConsumer {
  readonly #platform: Platform
  readonly #options: ConsumerOptions
  readonly #recorder: Recorder
  readonly #cluster: PlainCluster
  readonly #positions = new Map<TopicPartition, number>()

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

  /** One fetch from each leader, at the same time. */
  async #poll(version: number): Promise<{ partition: TopicPartition; nextOffset: number; highWatermark: number }[]> {
    const invokedMs = this.#platform.clock.monotonic()
    const leaders = byLeader(this.#cluster, [...this.#positions.keys()])
    if (leaders.size === 0) {
      await this.#cluster.refresh()
      return []
    }
    const answers = await Promise.all(
      [...leaders].map(([leader, partitions]) => {
        const positions = partitions.map((partition) => ({ partition, offset: this.#positions.get(partition)! }))
        return fetchFrom(this.#cluster, this.#recorder, leader, positions, version)
      }),
    )
    const fetched = answers.flatMap((answer) => answer ?? [])
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
