import { encodeUtf8 } from '#base'
import { BufferExhaustedError, KafkaError, Producer, type ProducerOptions } from '#client'
import { sleep, type Platform } from '#platform'

import { keyOf, type TopicPartition } from './plain-cluster.ts'
import type { ClientFaults, RealRecorder } from './real-recorder.ts'

export interface RealProducerOptions {
  readonly process: string
  readonly bootstrap: readonly string[]
  readonly partitions: readonly TopicPartition[]
  /** Usual pause between two bursts, ms. */
  readonly pauseMs: number
  /** No burst is begun after this time, on the platform's monotonic clock. */
  readonly untilMs: number
  /** Records are given up soon, for want of memory or of an answer; otherwise never. */
  readonly givesUp: boolean
  readonly faults: ClientFaults
}

const REQUEST_TIMEOUT_MS = 3000
const RECORDS_PER_BURST_MAX = 16
const PADDING_BYTES_MAX = 200
/** Sends of a partition without their outcome, at most: the rest of the burst waits. */
const OUTSTANDING_MAX = 60
/** One burst in so many waits for everything that was sent before the next. */
const FLUSH_PROBABILITY = 0.05
/** Long enough for whatever the faults do. */
const NEVER_MS = 600_000

/** Our producer, idempotent, under the hands of a user who sends more than fits into its memory while the cluster is in trouble. */
export class RealProducer {
  readonly #platform: Platform
  readonly #options: RealProducerOptions
  readonly #recorder: RealRecorder
  readonly #producer: Producer

  constructor(platform: Platform, options: RealProducerOptions, recorder: RealRecorder) {
    this.#platform = platform
    this.#options = options
    this.#recorder = recorder
    this.#producer = new Producer(platform, this.#settings(), options.faults)
  }

  /** Resolves when the time is over, everything has its outcome, and nothing is held any more. */
  async run(): Promise<void> {
    await Promise.all(this.#options.partitions.map((partition) => this.#produceTo(partition)))
    await this.#producer.flush()
    const { bufferedBytes, waitingSends, batches, requestsInFlight } = this.#producer.load
    // A batch that was given up while its request was on its way is held until that is answered.
    const isHeld = bufferedBytes > 0 && requestsInFlight === 0
    if (isHeld || waitingSends + batches > 0)
      this.#recorder.fault(
        `${this.#options.process} holds ${bufferedBytes} bytes, ${batches} batches and ${waitingSends} sends after its flush`,
      )
    await this.#producer.close()
  }

  #settings(): ProducerOptions {
    const { random } = this.#platform
    const { bootstrap, process, givesUp } = this.#options
    const batchSize = pick(random, [256, 1024, 4096])
    return {
      bootstrapServers: bootstrap,
      clientId: process,
      batchSize,
      bufferMemory: batchSize * (6 + random.below(20)),
      lingerMs: pick(random, [0, 0, 5, 50]),
      maxInFlightRequestsPerConnection: 1 + random.below(5),
      compressionType: pick(random, ['none', 'none', 'none', 'gzip', 'zstd', 'lz4', 'snappy']),
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      deliveryTimeoutMs: givesUp ? pick(random, [4000, 8000, 15_000]) : NEVER_MS,
      maxBlockMs: givesUp ? 1500 : NEVER_MS,
      socketConnectionSetupTimeoutMs: 2000,
    }
  }

  async #produceTo(partition: TopicPartition): Promise<void> {
    const { clock, random } = this.#platform
    const outstanding = new Set<Promise<void>>()
    while (clock.monotonic() < this.#options.untilMs) {
      for (let count = 1 + random.below(RECORDS_PER_BURST_MAX); count > 0; count--) {
        const sent = this.#send(partition).finally(() => outstanding.delete(sent))
        outstanding.add(sent)
      }
      if (random.next() < FLUSH_PROBABILITY) await this.#producer.flush()
      while (outstanding.size > OUTSTANDING_MAX) await Promise.race(outstanding)
      await sleep(clock, this.#options.pauseMs * 2 * random.next())
    }
    await Promise.all(outstanding)
  }

  async #send(partition: TopicPartition): Promise<void> {
    const { clock, random } = this.#platform
    const key = keyOf(partition)
    const value = this.#recorder.nextValue()
    const id = this.#recorder.sendBegins(this.#options.process, clock.monotonic(), key, [value])
    const content = encodeUtf8(`${value} ${'.'.repeat(random.below(PADDING_BYTES_MAX))}`)
    const sending = this.#producer.send(partition.topic, { value: content, partition: partition.partition })
    this.#checkMemory()
    try {
      const { offset } = await sending
      this.#recorder.sendEnds(id, 'ok', clock.monotonic(), offset)
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error
      // What found no room was surely not sent; of the rest nobody knows.
      const outcome = error instanceof BufferExhaustedError ? 'fail' : 'info'
      this.#recorder.sendEnds(id, outcome, clock.monotonic(), -1)
      this.#recorder.note(`send: ${error.name} ${error.codeName ?? ''}`)
      // The last answer before it was too late may be the broker's.
      if (!error.retriable || !this.#options.givesUp)
        this.#recorder.fault(`${this.#options.process}: a record for ${key} failed with ${error.message}`)
    }
  }

  #checkMemory(): void {
    const { bufferedBytes } = this.#producer.load
    const { bufferMemory } = this.#producer.config
    this.#recorder.bufferedBytesMax = Math.max(this.#recorder.bufferedBytesMax, bufferedBytes)
    if (bufferedBytes > bufferMemory)
      this.#recorder.fault(`${this.#options.process} holds ${bufferedBytes} bytes, and may hold ${bufferMemory}`)
  }
}

export function pick<T>(random: Platform['random'], items: readonly T[]): T {
  return items[random.below(items.length)]!
}
