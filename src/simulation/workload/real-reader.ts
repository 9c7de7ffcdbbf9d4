import { sleep, type Platform } from '#platform'

import { keyOf, type TopicPartition } from './plain-cluster.ts'
import { WatchedConsumer, type RealConsumerOptions } from './real-consumer.ts'
import type { RealRecorder } from './real-recorder.ts'

/** So long a reader keeps to what it has assigned itself, ms. */
const ASSIGNMENT_MS_MAX = 6000
const SEEK_PROBABILITY = 0.1
const PAUSE_PROBABILITY = 0.3

/** Our consumer without a group: it assigns itself partitions, seeks and pauses as it likes, and in between must never skip. */
export class RealReader {
  readonly #platform: Platform
  readonly #options: RealConsumerOptions
  readonly #recorder: RealRecorder
  readonly #watched: WatchedConsumer

  constructor(platform: Platform, options: RealConsumerOptions, recorder: RealRecorder) {
    this.#platform = platform
    this.#options = options
    this.#recorder = recorder
    this.#watched = new WatchedConsumer(platform, options.process, options, recorder, {})
  }

  /** Reads until its process ends. */
  async run(): Promise<void> {
    const { clock, random } = this.#platform
    const { partitions, untilMs } = this.#options
    const { consumer } = this.#watched
    while (clock.monotonic() < untilMs) {
      const some = partitions.filter(() => random.below(2) === 0)
      this.#assign(some.length === 0 ? partitions : some)
      consumer.resume(consumer.paused())
      if (random.next() < PAUSE_PROBABILITY) consumer.pause(consumer.assignment().slice(1))
      if (random.next() < SEEK_PROBABILITY) this.#seekBack()
      const leftMs = Math.max(0, untilMs - clock.monotonic())
      await this.#readFor(Math.min(leftMs, ASSIGNMENT_MS_MAX * random.next()))
    }
    this.#assign(partitions)
    consumer.resume(consumer.paused())
    for await (const record of consumer) this.#watched.noteGiven([record])
  }

  /** Reads everything from its beginning, to the end that it finds. */
  async readAll(): Promise<void> {
    this.#assign(this.#options.partitions)
    for await (const { records } of this.#watched.consumer.batches({ toEnd: true })) this.#watched.noteGiven(records)
    await this.#watched.consumer.close()
  }

  #assign(partitions: readonly TopicPartition[]): void {
    this.#watched.consumer.assign(partitions)
    this.#watched.noteKeys(partitions.map(keyOf))
  }

  #seekBack(): void {
    const { random } = this.#platform
    const [partition] = this.#watched.consumer.assignment()
    const end = this.#recorder.highestReached(this.#options.name, keyOf(partition!)) + 1
    this.#watched.consumer.seek(partition!, random.below(end + 1))
    this.#watched.noteKeys(this.#watched.keys, { seek: true })
  }

  async #readFor(durationMs: number): Promise<void> {
    const { clock, random } = this.#platform
    const end = new AbortController()
    const reason = new Error('the time is over')
    const timer = clock.setTimer(durationMs, () => end.abort(reason))
    try {
      if (random.below(2) === 0) {
        for await (const record of this.#watched.consumer.records({ signal: end.signal })) {
          this.#watched.noteGiven([record])
          if (random.below(10) === 0) await sleep(clock, 40 * random.next())
        }
      } else {
        for await (const { records } of this.#watched.consumer.batches({ signal: end.signal })) {
          this.#watched.noteGiven(records)
          if (random.below(3) === 0) await sleep(clock, 100 * random.next())
        }
      }
    } catch (error) {
      if (error !== reason) throw error
    } finally {
      timer.cancel()
    }
  }
}
