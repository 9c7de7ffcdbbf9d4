import { KafkaError, type ConsumerListener, type ConsumerOptions, type ConsumerRecord } from '#client'
import { sleep, type Platform, type Timer } from '#platform'

import { keyOf, type TopicPartition } from './plain-cluster.ts'
import { WatchedConsumer, type RealConsumerOptions } from './real-consumer.ts'
import { pick } from './real-producer.ts'
import type { RealRecorder } from './real-recorder.ts'

export interface RealMemberOptions extends RealConsumerOptions {
  readonly group: string
  /** The same for all members. */
  readonly strategy: readonly string[]
}

/** How groups of the workload may share their partitions. */
export const STRATEGIES: readonly (readonly string[])[] = [
  ['range', 'cooperative-sticky'],
  ['cooperative-sticky'],
  ['roundrobin'],
]

const SESSION_TIMEOUT_MS = 6000
const HEARTBEAT_INTERVAL_MS = 500
const MAX_POLL_INTERVAL_MS = 8000
const AUTO_COMMIT_INTERVAL_MS = 700
/** A member that lives so long leaves its group and comes back as another. */
const LIFE_MS = 25_000
const AWAY_MS = 1500
const STATIC_PROBABILITY = 0.3
const COMMIT_PROBABILITY = 0.2
/** One record in so many keeps its user for longer than `max.poll.interval.ms`. */
const LATE_PROBABILITY = 0.001
const END_COMMIT_INTERVAL_MS = 1000
const SLOW_PROBABILITY = 0.05

/**
 * Our consumer as a member of a group: by loop or handler, by record or batch, with commits by hand or of its own, coming
 * and going. It never ends by itself.
 */
export class RealMember {
  readonly #platform: Platform
  readonly #options: RealMemberOptions
  readonly #recorder: RealRecorder

  constructor(platform: Platform, options: RealMemberOptions, recorder: RealRecorder) {
    this.#platform = platform
    this.#options = options
    this.#recorder = recorder
  }

  /** Takes part until its process ends. */
  async run(): Promise<void> {
    const { clock, random } = this.#platform
    for (let life = 1; ; life++) {
      try {
        await new MemberLife(this.#platform, `${this.#options.process}.${life}`, this.#options, this.#recorder).run()
      } catch (error) {
        // A static member that was given a new id by a coordinator which then lost it is fenced by the old one: with Apache's too.
        if (!(error instanceof KafkaError) || error.codeName !== 'FENCED_INSTANCE_ID') throw error
        this.#recorder.note(`member: ${error.codeName}`)
      }
      await sleep(clock, AWAY_MS * random.next())
    }
  }
}

/** From the first join to leaving. */
class MemberLife {
  readonly #platform: Platform
  readonly #options: RealMemberOptions
  readonly #recorder: RealRecorder
  readonly #watched: WatchedConsumer
  readonly #commitsByItself: boolean
  #endTimer: Timer | null = null

  constructor(platform: Platform, process: string, options: RealMemberOptions, recorder: RealRecorder) {
    const { random } = platform
    this.#platform = platform
    this.#options = options
    this.#recorder = recorder
    this.#commitsByItself = random.below(2) === 0
    const settings: Partial<ConsumerOptions> & { listener: ConsumerListener } = {
      groupId: options.group,
      groupInstanceId: random.next() < STATIC_PROBABILITY ? options.name : null,
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
      maxPollIntervalMs: MAX_POLL_INTERVAL_MS,
      partitionAssignmentStrategy: options.strategy,
      enableAutoCommit: this.#commitsByItself,
      autoCommitIntervalMs: AUTO_COMMIT_INTERVAL_MS,
      listener: {
        partitionsAssigned: (added) => this.#onAssigned(added),
        partitionsRevoked: (removed) => this.#onRevoked(removed),
        partitionsLost: (removed) => this.#remove(removed),
      },
    }
    this.#watched = new WatchedConsumer(platform, process, options, recorder, settings)
  }

  async run(): Promise<void> {
    const { clock, random } = this.#platform
    const { consumer } = this.#watched
    consumer.subscribe([...new Set(this.#options.partitions.map(({ topic }) => topic))])
    let closing: Promise<void> | null = null
    const timer = clock.setTimer(LIFE_MS * (0.2 + random.next()), () => {
      if (clock.monotonic() < this.#options.untilMs) closing = consumer.close({ timeoutMs: MAX_POLL_INTERVAL_MS })
    })
    this.#commitInTheEnd()
    try {
      await this.#consume(random.below(4))
    } catch (error) {
      closing ??= consumer.close({ timeoutMs: MAX_POLL_INTERVAL_MS })
      throw error
    } finally {
      timer.cancel()
      this.#endTimer?.cancel()
      await closing
    }
  }

  async #consume(skin: number): Promise<void> {
    const { random } = this.#platform
    const { consumer } = this.#watched
    const partitionsConsumedConcurrently = 1 + random.below(3)
    const eachMessage = (record: ConsumerRecord): Promise<void> => this.#work([record])
    switch (skin) {
      case 0:
        for await (const record of consumer) await this.#work([record])
        return
      case 1:
        for await (const { records } of consumer.batches()) await this.#work(records)
        return
      case 2:
        return await consumer.run({ eachMessage, partitionsConsumedConcurrently })
      default:
        return await consumer.run({ eachBatch: ({ records }) => this.#work(records), partitionsConsumedConcurrently })
    }
  }

  async #work(records: readonly ConsumerRecord[]): Promise<void> {
    const { clock, random } = this.#platform
    this.#watched.noteGiven(records)
    if (!this.#commitsByItself) this.#watched.noteCommittable(records)
    const isEager = clock.monotonic() < this.#options.untilMs
    if (isEager && random.next() < LATE_PROBABILITY) await sleep(clock, MAX_POLL_INTERVAL_MS * (1 + random.next()))
    else if (random.next() < SLOW_PROBABILITY) await sleep(clock, pick(this.#platform.random, [1, 30, 200]))
    if (this.#commitsByItself) this.#watched.noteCommittable(records)
    else if (!isEager || random.next() < COMMIT_PROBABILITY) await this.#commit()
  }

  async #commit(): Promise<void> {
    try {
      await this.#watched.consumer.commit()
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error
      this.#recorder.note(`commit: ${error.name} ${error.codeName ?? ''}`)
    }
  }

  /** Who commits by hand may have given up a commit, and no record comes any more that would bring another. */
  #commitInTheEnd(): void {
    if (this.#commitsByItself) return
    const { clock } = this.#platform
    this.#endTimer = clock.setTimer(Math.max(END_COMMIT_INTERVAL_MS, this.#options.untilMs - clock.monotonic()), () => {
      this.#commitInTheEnd()
      void this.#commit()
    })
  }

  #onAssigned(added: readonly TopicPartition[]): void {
    const { consumer, process, keys } = this.#watched
    const all = [...new Set([...keys, ...added.map(keyOf)])]
    this.#watched.noteKeys(all)
    const { generation } = consumer.groupMetadata()
    if (generation >= 0)
      this.#recorder.groupEvents.push({
        kind: 'assigned',
        group: this.#options.group,
        generation,
        // A static member keeps its place from one life to the next.
        member: consumer.config.groupInstanceId ?? process,
        keys: all,
      })
  }

  async #onRevoked(removed: readonly TopicPartition[]): Promise<void> {
    if (!this.#commitsByItself && this.#platform.random.below(2) === 0) await this.#commit()
    this.#remove(removed)
  }

  #remove(removed: readonly TopicPartition[]): void {
    const gone = removed.map(keyOf)
    this.#watched.noteKeys(this.#watched.keys.filter((key) => !gone.includes(key)))
  }
}
