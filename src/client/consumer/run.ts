/** `run`: handlers instead of loops. Each worker takes the records of one partition at a time, so that their order stays. */
import { ConfigError } from '../errors.ts'
import { batchOf, type ConsumerBatch } from './iterators.ts'
import type { Lease } from './lease.ts'
import type { PollCore, TakeOptions, Taker } from './poll-core.ts'
import type { ConsumerRecord } from './record.ts'

/** What a handler of single records is told beside the record. */
export interface MessageContext {
  /** Whether the partition is still this consumer's, at this position: a rebalance or a seek may have made the record somebody else's. */
  isStale(): boolean
}

/** What a handler of batches is told beside the batch. */
export interface BatchContext extends MessageContext {
  /** The records up to this offset are done, and need not come again when the handler fails further on. */
  finish(offset: number): void
}

export interface RunOptions {
  /** Called with one record after the other. One that throws ends the run, and its record comes again. */
  readonly eachMessage?: (record: ConsumerRecord, context: MessageContext) => unknown
  /** Called with one batch after the other. One that throws ends the run, and what was not finished comes again. */
  readonly eachBatch?: (batch: ConsumerBatch, context: BatchContext) => unknown
  /** So many partitions are worked on at a time; 1 if left out. */
  readonly partitionsConsumedConcurrently?: number
  readonly signal?: AbortSignal | undefined
}

/** Resolves when the consumer is closed; rejects with what a handler or the consumer threw, when all handlers have come back. */
export async function runHandlers(core: PollCore, options: RunOptions, countMax: number): Promise<void> {
  const { eachMessage, eachBatch, partitionsConsumedConcurrently: workerCount = 1 } = options
  if ((eachMessage === undefined) === (eachBatch === undefined))
    throw new ConfigError('run needs either eachMessage or eachBatch')
  if (!Number.isInteger(workerCount) || workerCount < 1)
    throw new ConfigError(`partitionsConsumedConcurrently is ${workerCount}, and must be a whole number of at least 1`)
  const stop = new AbortController()
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal])
  const handle =
    eachMessage === undefined
      ? (lease: Lease) => handleBatch(lease, eachBatch!)
      : (lease: Lease, touch: () => void) => handleMessages(lease, eachMessage, signal, touch)
  const workers = Array.from({ length: workerCount }, async () => {
    try {
      await work(core, handle, { countMax, signal })
    } catch (error) {
      stop.abort(error)
      throw error
    }
  })
  const ended = await Promise.allSettled(workers)
  const failure = ended.find((result) => result.status === 'rejected')
  if (failure !== undefined) throw stop.signal.reason
}

async function work(
  core: PollCore,
  handle: (lease: Lease, touch: () => void) => Promise<void>,
  options: TakeOptions,
): Promise<void> {
  const taker: Taker = core.register(null)
  const touch = (): void => core.touch(taker)
  try {
    for (;;) {
      const lease = await core.take(taker, options)
      if (lease === null) return
      let isDone = false
      try {
        await handle(lease, touch)
        isDone = true
      } finally {
        core.release(lease, { rewind: !isDone })
      }
    }
  } finally {
    core.unregister(taker)
  }
}

/** A rebalance, a pause or the end of the run stops between two records. */
async function handleMessages(
  lease: Lease,
  eachMessage: NonNullable<RunOptions['eachMessage']>,
  signal: AbortSignal,
  touch: () => void,
): Promise<void> {
  const context: MessageContext = { isStale: () => !lease.isValid }
  while (lease.hasNext && !signal.aborted) {
    touch()
    await eachMessage(lease.giveNext(), context)
    lease.finishGiven()
  }
}

async function handleBatch(lease: Lease, eachBatch: NonNullable<RunOptions['eachBatch']>): Promise<void> {
  lease.giveAll()
  await eachBatch(batchOf(lease), {
    isStale: () => !lease.isValid,
    finish: (offset) => lease.finishThrough(offset),
  })
  lease.finishGiven()
}
