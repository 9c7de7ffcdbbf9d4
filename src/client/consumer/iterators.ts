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

/** What the iterators differ in: what they give of a lease. */
interface Serving<Item> {
  /** The next piece of the lease; null when there is none. */
  next(lease: Lease): Item | null
}

const RECORDS: Serving<ConsumerRecord> = { next: (lease) => (lease.hasNext ? lease.giveNext() : null) }

const BATCHES: Serving<ConsumerBatch> = {
  next(lease) {
    if (lease.isGiven) return null
    lease.giveAll()
    return batchOf(lease)
  },
}

export interface IteratorOptions extends TakeOptions {
  /** Called once, when the loop is over, however it came to that. */
  readonly onEnd?: () => void
}

export function iterateRecords(
  core: PollCore,
  options: IteratorOptions,
): AsyncIterableIterator<ConsumerRecord, undefined> {
  return new LeaseIterator(core, options, RECORDS)
}

export function iterateBatches(
  core: PollCore,
  options: IteratorOptions,
): AsyncIterableIterator<ConsumerBatch, undefined> {
  return new LeaseIterator(core, options, BATCHES)
}

class LeaseIterator<Item> implements AsyncIterableIterator<Item, undefined> {
  readonly #core: PollCore
  readonly #taker: Taker
  readonly #options: TakeOptions
  readonly #serving: Serving<Item>
  readonly #onEnd: () => void
  #lease: Lease | null = null
  #isDone = false
  /** Calls of `next` without an answer. One that comes meanwhile waits behind them, so that each lease has one who gives it back. */
  #callCount = 0
  #lastCall: Promise<unknown> = Promise.resolve()

  constructor(core: PollCore, options: IteratorOptions, serving: Serving<Item>) {
    this.#core = core
    this.#options = { ...options, isDone: () => this.#isDone || options.isDone?.() === true }
    this.#serving = serving
    this.#onEnd = options.onEnd ?? ignore
    this.#taker = core.register(() => this.#release())
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Item, undefined>> {
    if (this.#callCount === 0) {
      const item = this.#nextOfLease()
      if (item !== null) return Promise.resolve({ done: false, value: item })
    }
    const result = this.#nextInTurn()
    this.#lastCall = result.then(ignore, ignore)
    return result
  }

  /** The loop was left: what it was given last is not done, as far as automatic commits know. A call that waits ends as well. */
  return(): Promise<IteratorResult<Item, undefined>> {
    this.#end()
    this.#core.wake()
    return Promise.resolve({ done: true, value: undefined })
  }

  #nextOfLease(): Item | null {
    const lease = this.#lease
    if (lease === null) return null
    lease.finishGiven()
    if (this.#options.signal?.aborted === true) return null
    const item = this.#serving.next(lease)
    if (item !== null) this.#core.touch(this.#taker)
    return item
  }

  async #nextInTurn(): Promise<IteratorResult<Item, undefined>> {
    this.#callCount += 1
    try {
      if (this.#callCount > 1) {
        await this.#lastCall
        const item = this.#nextOfLease()
        if (item !== null) return { done: false, value: item }
      }
      return await this.#take()
    } finally {
      // Before the caller goes on: its next call may be served at once.
      this.#callCount -= 1
    }
  }

  async #take(): Promise<IteratorResult<Item, undefined>> {
    this.#release()
    try {
      while (!this.#isDone) {
        const lease = await this.#core.take(this.#taker, this.#options)
        if (lease === null) break
        const item = this.#isDone ? null : this.#serving.next(lease)
        if (item !== null) {
          this.#lease = lease
          return { done: false, value: item }
        }
        this.#core.release(lease)
      }
    } finally {
      if (this.#lease === null) this.#end()
    }
    return { done: true, value: undefined }
  }

  #release(): void {
    const lease = this.#lease
    this.#lease = null
    if (lease !== null) this.#core.release(lease)
  }

  #end(): void {
    if (this.#isDone) return
    this.#isDone = true
    this.#release()
    this.#core.unregister(this.#taker)
    this.#onEnd()
  }
}

function ignore(): void {}

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
