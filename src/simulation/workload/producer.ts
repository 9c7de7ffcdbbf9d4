import { encodeUtf8 } from '#base'
import { sleep, type Platform } from '#platform'
import { ErrorCode, errorOf } from '#protocol'
import { InitProducerId } from '#protocol/messages/init-producer-id'
import { Produce } from '#protocol/messages/produce'
import { Codec, RecordBatchBuilder } from '#protocol/records'

import { PlainCluster, RETRY_MS, isNoAnswer, keyOf, type Address, type TopicPartition } from './plain-cluster.ts'
import type { Recorder } from './recorder.ts'

export interface ProducerOptions {
  readonly process: string
  readonly bootstrap: readonly Address[]
  readonly partitions: readonly TopicPartition[]
  /** Usual pause between two batches, ms. */
  readonly pauseMs: number
  /** No batch is begun after this time, on the platform's monotonic clock. */
  readonly untilMs: number
}

const PRODUCE_VERSION = 7
const REQUEST_TIMEOUT_MS = 3000
/** Batches of a partition that wait for their answer: brokers remember as many. */
const IN_FLIGHT_MAX = 5
const RECORDS_PER_BATCH_MAX = 8
/** A first batch that is out of order so often has lost its predecessors. */
const OUT_OF_ORDER_MAX = 20
/** So many acknowledged batches are sent once more, as a client does that did not hear the answer. */
const RESEND_PROBABILITY = 0.03

interface Batch {
  readonly id: number
  readonly bytes: Uint8Array
  readonly count: number
  /** Times that it was out of order. */
  outOfOrder: number
}

/**
 * An idempotent producer with acks=all that never gives up: a batch is sent again, in its place, until it is
 * acknowledged or the producer learns that its sequence is broken. Then it ends, and another takes its place.
 */
export class PlainProducer {
  readonly #platform: Platform
  readonly #options: ProducerOptions
  readonly #recorder: Recorder
  readonly #cluster: PlainCluster
  #producerId = -1
  #producerEpoch = -1

  constructor(platform: Platform, options: ProducerOptions, recorder: Recorder) {
    this.#platform = platform
    this.#options = options
    this.#recorder = recorder
    this.#cluster = new PlainCluster(platform, options.process, options.bootstrap)
  }

  /** Resolves when the time is over and everything is acknowledged. */
  async run(): Promise<void> {
    await this.#obtainId()
    await Promise.all(this.#options.partitions.map((partition) => this.#produceTo(partition)))
  }

  async #obtainId(): Promise<void> {
    while (this.#producerId < 0) {
      try {
        const request = { transactionalId: null, transactionTimeoutMs: 60_000 }
        const answer = await this.#cluster.askAny(InitProducerId, 1, request)
        if (answer.errorCode === ErrorCode.NONE) {
          this.#producerId = answer.producerId
          this.#producerEpoch = answer.producerEpoch
          return
        }
      } catch (error) {
        if (!isNoAnswer(error)) throw error
      }
      await sleep(this.#platform.clock, RETRY_MS)
    }
  }

  /** Sends a run of batches, in order, until the time is over. */
  async #produceTo(partition: TopicPartition): Promise<void> {
    const { clock, random } = this.#platform
    let sequence = 0
    let window: Batch[] = []
    while (clock.monotonic() < this.#options.untilMs || window.length > 0) {
      // The first goes alone: of a producer that it does not know a broker takes any sequence as the first one.
      const roomMax = sequence === 0 ? 1 : 1 + random.below(IN_FLIGHT_MAX)
      const room = clock.monotonic() < this.#options.untilMs ? roomMax : 0
      while (window.length < room) {
        const batch = this.#newBatch(partition, sequence)
        sequence += batch.count
        window.push(batch)
      }
      window = await this.#sendAll(partition, window)
      await sleep(clock, this.#options.pauseMs * 2 * random.next())
    }
  }

  /** Sends the batches one behind the other, without waiting between them; returns those that must be sent again. */
  async #sendAll(partition: TopicPartition, window: Batch[]): Promise<Batch[]> {
    const leader = this.#cluster.leaderOf(partition)
    if (leader === null) {
      await this.#cluster.refresh()
      return window
    }
    const answers = await Promise.all(window.map((batch) => this.#send(leader, partition, batch)))
    const failed = answers.indexOf(false)
    if (failed < 0) {
      const last = window.at(-1)!
      if (this.#platform.random.next() < RESEND_PROBABILITY) await this.#sendAgain(leader, partition, last)
      return []
    }
    await this.#cluster.refresh()
    return window.filter((_, index) => !answers[index])
  }

  /** True when it is acknowledged. */
  async #send(leader: number, partition: TopicPartition, batch: Batch): Promise<boolean> {
    const answer = await this.#ask(leader, partition, batch)
    if (answer === null) return false
    const { errorCode, baseOffset } = answer
    // Beyond the five batches that a broker remembers it knows only that it has had it.
    if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.DUPLICATE_SEQUENCE_NUMBER) {
      this.#recorder.sendEnds(batch.id, 'ok', this.#platform.clock.monotonic(), baseOffset)
      return true
    }
    // Behind a batch that failed, those that followed it are out of order; they are sent again, in order.
    const isOutOfOrder = errorCode === ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    if (isOutOfOrder && batch.outOfOrder++ < OUT_OF_ORDER_MAX) return false
    this.#recorder.note(`Produce ${errorOf(errorCode).name}`)
    if (errorOf(errorCode).retriable) return false
    throw new Error(`${keyOf(partition)}: a batch is refused with ${errorOf(errorCode).name}`)
  }

  /** An acknowledged batch once more: the answer must be that of its first arrival, and no second copy. */
  async #sendAgain(leader: number, partition: TopicPartition, batch: Batch): Promise<void> {
    const answer = await this.#ask(leader, partition, batch)
    if (answer === null) return
    const { errorCode } = answer
    if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.DUPLICATE_SEQUENCE_NUMBER)
      this.#recorder.refusedDuplicates += 1
  }

  async #ask(
    leader: number,
    { topic, partition }: TopicPartition,
    batch: Batch,
  ): Promise<{ errorCode: number; baseOffset: number } | null> {
    const partitionData = [{ index: partition, records: batch.bytes }]
    const request = { acks: -1, timeoutMs: REQUEST_TIMEOUT_MS, topicData: [{ name: topic, partitionData }] }
    try {
      const answer = await this.#cluster.ask(leader, Produce, PRODUCE_VERSION, request, REQUEST_TIMEOUT_MS + 1000)
      return answer.responses[0]!.partitionResponses[0]!
    } catch (error) {
      if (isNoAnswer(error)) return null
      throw error
    }
  }

  #newBatch(partition: TopicPartition, baseSequence: number): Batch {
    const { clock, random } = this.#platform
    const builder = new RecordBatchBuilder({
      codec: random.below(8) === 0 ? Codec.zstd : Codec.none,
      producerId: this.#producerId,
      producerEpoch: this.#producerEpoch,
      baseSequence,
    })
    const values: string[] = []
    const count = 1 + random.below(RECORDS_PER_BATCH_MAX)
    for (let index = 0; index < count; index++) {
      const value = this.#recorder.nextValue()
      values.push(value)
      builder.append({ timestamp: clock.now(), value: encodeUtf8(`${value} ${'.'.repeat(random.below(200))}`) })
    }
    const id = this.#recorder.sendBegins(this.#options.process, clock.monotonic(), keyOf(partition), values)
    return { id, bytes: builder.build(), count, outOfOrder: 0 }
  }
}
