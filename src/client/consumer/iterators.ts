/** The async iterators over the poll core: record by record, and batch by batch. Asking for the next one says that the last one is done. */
import type { TopicPartition } from './topic-partition.ts'
import type { Lease } from './lease.ts'
import type { PollCore, TakeOptions, Taker } from './poll-core.ts'
import type { ConsumerRecord } from './record.ts'

/** Records of one partition, in order. */
export interface ConsumerBatch extends TopicPartition {
  /** At least one, at most `max.poll.records`. */
  readonly records: readonly ConsumerRecord[]
  readonly firstOffset: number
  readonly lastOffset: number
  /** First offset that is not yet on every replica in sync, as the broker last told. */
  readonly highWatermark: number
}

export class RecordIterator implements AsyncIterableIterator<ConsumerRecord, undefined> {
  readonly #core: PollCore
  readonly #taker: Taker
  readonly #options: TakeOptions
  #lease: Lease | null = null
  #isDone = false

  constructor(core: PollCore, options: TakeOptions) {
    this.#core = core
    this.#options = options
    this.#taker = core.register(() => this.#release())
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<ConsumerRecord, undefined>> {
    const lease = this.#lease
    if (lease !== null) {
      lease.finishGiven()
      if (lease.hasNext && this.#options.signal?.aborted !== true) {
        this.#core.touch(this.#taker)
        return Promise.resolve({ done: false, value: lease.giveNext() })
      }
    }
    return this.#take()
  }

  /** The loop was left: what it was given last is not done, as far as automatic commits know. */
  return(): Promise<IteratorResult<ConsumerRecord, undefined>> {
    this.#end()
    return Promise.resolve({ done: true, value: undefined })
  }

  async #take(): Promise<IteratorResult<ConsumerRecord, undefined>> {
    this.#release()
    if (this.#isDone) return { done: true, value: undefined }
    try {
      for (;;) {
        const lease = await this.#core.take(this.#taker, this.#options)
        if (lease === null) break
        if (lease.hasNext) {
          this.#lease = lease
          return { done: false, value: lease.giveNext() }
        }
        this.#core.release(lease)
      }
    } catch (error) {
      this.#end()
      throw error
    }
    this.#end()
    return { done: true, value: undefined }
  }

  #release(): void {
    const lease = this.#lease
    this.#lease = null
    if (lease !== null) this.#core.release(lease)
  }

  #end(): void {
    this.#isDone = true
    this.#release()
    this.#core.unregister(this.#taker)
  }
}

export class BatchIterator implements AsyncIterableIterator<ConsumerBatch, undefined> {
  readonly #core: PollCore
  readonly #taker: Taker
  readonly #options: TakeOptions
  #lease: Lease | null = null
  #isDone = false

  constructor(core: PollCore, options: TakeOptions) {
    this.#core = core
    this.#options = options
    this.#taker = core.register(() => this.#release())
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<ConsumerBatch, undefined>> {
    this.#lease?.finishGiven()
    this.#release()
    if (this.#isDone) return { done: true, value: undefined }
    try {
      const lease = await this.#core.take(this.#taker, this.#options)
      if (lease !== null) {
        this.#lease = lease
        lease.giveAll()
        return { done: false, value: batchOf(lease) }
      }
    } catch (error) {
      this.#end()
      throw error
    }
    this.#end()
    return { done: true, value: undefined }
  }

  /** As for records. */
  return(): Promise<IteratorResult<ConsumerBatch, undefined>> {
    this.#end()
    return Promise.resolve({ done: true, value: undefined })
  }

  #release(): void {
    const lease = this.#lease
    this.#lease = null
    if (lease !== null) this.#core.release(lease)
  }

  #end(): void {
    this.#isDone = true
    this.#release()
    this.#core.unregister(this.#taker)
  }
}

export function batchOf({ state, records }: Lease): ConsumerBatch {
  return {
    topic: state.topic,
    partition: state.partition,
    records,
    firstOffset: records[0]!.offset,
    lastOffset: records.at(-1)!.offset,
    highWatermark: state.highWatermark,
  }
}
