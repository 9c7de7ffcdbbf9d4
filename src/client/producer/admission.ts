/**
 * Sends that cannot be appended yet: they wait, first come first served, for metadata or for memory, `max.block.ms` at most.
 * A send to a topic that is not known holds up no other topic; one that waits for memory holds up all that come after it, so that
 * large records are not starved by small ones and records of a partition stay in order.
 */
import type { Platform, Timer } from '#platform'
import { ErrorCode } from '#protocol'
import type { PackedValues } from '#protocol/records'

import type { Cluster } from '../cluster/index.ts'
import type { ProducerConfig } from '../config.ts'
import { BufferExhaustedError, ClosedError, TimeoutError, kafkaError } from '../errors.ts'
import type { Accumulator, AppendResult } from './accumulator.ts'
import { Barriers } from './barriers.ts'
import type { DeliverySink } from './delivery.ts'
import type { ProducerRecord } from './record.ts'

/** Records of one call, in order. */
interface Waiting {
  readonly topic: string
  readonly records: readonly ProducerRecord[]
  /** The first that is not appended yet. */
  next: number
  readonly sink: DeliverySink | null
  /** Called when the last record is appended, or the rest has failed. */
  readonly onSettled: (error: unknown) => void
  readonly deadlineMs: number
  waitsFor: Exclude<AppendResult, 'appended'>
  endAbort: (() => void) | null
}

/** No waiting helps against these. */
const HOPELESS_CODES: ReadonlySet<number> = new Set([
  ErrorCode.INVALID_TOPIC_EXCEPTION,
  ErrorCode.TOPIC_AUTHORIZATION_FAILED,
])

export class Admission {
  readonly #platform: Platform
  readonly #config: ProducerConfig
  readonly #cluster: Cluster
  readonly #accumulator: Accumulator
  /** In order of their calls. */
  readonly #forMetadata = new Set<Waiting>()
  readonly #forMemory = new Set<Waiting>()
  /** By topic: how many wait since nothing is known of it. Whoever comes later waits behind them. */
  readonly #unknownTopics = new Map<string, number>()
  readonly #settled = new Barriers<Waiting>()
  #timer: Timer | null = null
  #timerAtMs = Infinity

  readonly #onMemoryWanted: () => void

  /** `onMemoryWanted`: somebody waits for memory now, and what lingers should go. */
  constructor(
    platform: Platform,
    config: ProducerConfig,
    cluster: Cluster,
    accumulator: Accumulator,
    onMemoryWanted: () => void,
  ) {
    this.#onMemoryWanted = onMemoryWanted
    this.#platform = platform
    this.#config = config
    this.#cluster = cluster
    this.#accumulator = accumulator
  }

  /** Resolves when none of those that wait now does so any more. */
  whenSettled(): Promise<void> {
    return this.#settled.wait([...this.#forMetadata, ...this.#forMemory])
  }

  /** Calls that wait. */
  get waitingCount(): number {
    return this.#forMetadata.size + this.#forMemory.size
  }

  get isMemoryWanted(): boolean {
    return this.#forMemory.size > 0
  }

  /** Appends now, or says why not. Throws for a record that can never be sent. */
  tryNow(topic: string, record: ProducerRecord, sink: DeliverySink | null): AppendResult {
    if (this.#unknownTopics.size > 0 && this.#unknownTopics.has(topic)) return 'topic'
    if (this.#forMemory.size > 0) return 'memory'
    return this.#accumulator.tryAppend(topic, record, sink)
  }

  /** As `tryNow`, for values that lie packed: how many were appended. */
  tryValuesNow(topic: string, values: PackedValues, from: number, partition: number | undefined): number {
    if (this.#forMemory.size > 0 || this.#unknownTopics.has(topic)) return 0
    return this.#accumulator.tryAppendValues(topic, values, from, partition)
  }

  /**
   * Appends the records one after the other, as soon as that is possible. The sink hears of every record; `onSettled`, once,
   * when none waits any more. A signal ends the wait, and the records that are not appended by then fail with its reason.
   */
  admit(
    topic: string,
    records: readonly ProducerRecord[],
    sink: DeliverySink | null,
    signal?: AbortSignal,
    onSettled: (error: unknown) => void = () => {},
  ): void {
    const waiting: Waiting = {
      topic,
      records,
      next: 0,
      sink,
      onSettled,
      deadlineMs: this.#platform.clock.monotonic() + this.#config.maxBlockMs,
      waitsFor: 'topic',
      endAbort: null,
    }
    if (signal?.aborted) return this.#fail(waiting, signal.reason)
    const queued = this.#unknownTopics.has(topic) ? 'topic' : this.#forMemory.size > 0 ? 'memory' : null
    const missing = queued ?? this.#advance(waiting)
    if (missing === null) return
    if (signal !== undefined) {
      const onAbort = (): void => this.#fail(waiting, signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      waiting.endAbort = () => signal.removeEventListener('abort', onAbort)
    }
    this.#enqueue(waiting, missing)
    this.#armTimer(waiting.deadlineMs)
  }

  /** Metadata has changed. */
  onMetadata(): void {
    for (const waiting of this.#forMetadata) {
      const code = this.#cluster.metadata.topicError(waiting.topic)
      if (code !== undefined && HOPELESS_CODES.has(code))
        this.#fail(waiting, kafkaError(code, `topic ${waiting.topic}`))
      else this.#retry(waiting)
    }
    if (this.#forMetadata.size > 0) this.#cluster.metadata.requestUpdate()
  }

  /** Memory has become free. */
  onMemory(): void {
    for (const waiting of this.#forMemory) {
      this.#retry(waiting)
      if (waiting.waitsFor === 'memory' && this.#forMemory.has(waiting)) return
    }
  }

  close(): void {
    for (const waiting of [...this.#forMetadata, ...this.#forMemory])
      this.#fail(waiting, new ClosedError('the producer was closed while the record waited for memory or metadata'))
    this.#timer?.cancel()
    this.#timer = null
  }

  #retry(waiting: Waiting): void {
    const before = waiting.waitsFor
    // Nobody overtakes those that wait for memory already.
    const missing = before !== 'memory' && this.#forMemory.size > 0 ? 'memory' : this.#advance(waiting)
    if (missing === before) return
    this.#dequeue(waiting, before)
    if (missing !== null) this.#enqueue(waiting, missing)
  }

  /** Appends what can be; null when nothing is left to do, else what is missing. */
  #advance(waiting: Waiting): Exclude<AppendResult, 'appended'> | null {
    const { topic, records, sink } = waiting
    while (waiting.next < records.length) {
      try {
        const result = this.#accumulator.tryAppend(topic, records[waiting.next]!, sink)
        if (result !== 'appended') return result
      } catch (error) {
        sink?.failed(1, error)
      }
      waiting.next += 1
    }
    // Without records: somebody asks when there will be room.
    const missing = records.length === 0 ? this.#accumulator.missingFor(topic) : null
    if (missing !== null) return missing
    this.#settle(waiting, null)
    return null
  }

  #fail(waiting: Waiting, error: unknown): void {
    this.#dequeue(waiting, waiting.waitsFor)
    const rest = waiting.records.length - waiting.next
    if (rest > 0) waiting.sink?.failed(rest, error)
    if (waiting.records.length === 0) this.#accumulator.forgetRefused(waiting.topic)
    this.#settle(waiting, error)
  }

  #settle(waiting: Waiting, error: unknown): void {
    waiting.endAbort?.()
    waiting.onSettled(error)
    this.#settled.done(waiting)
  }

  #enqueue(waiting: Waiting, missing: Exclude<AppendResult, 'appended'>): void {
    waiting.waitsFor = missing
    if (missing === 'memory') {
      this.#forMemory.add(waiting)
      if (this.#forMemory.size === 1) this.#onMemoryWanted()
    } else {
      this.#forMetadata.add(waiting)
      this.#cluster.metadata.requestUpdate()
    }
    if (missing === 'topic') this.#countUnknown(waiting.topic, 1)
  }

  #dequeue(waiting: Waiting, waitedFor: Waiting['waitsFor']): void {
    const queue = waitedFor === 'memory' ? this.#forMemory : this.#forMetadata
    if (queue.delete(waiting) && waitedFor === 'topic') this.#countUnknown(waiting.topic, -1)
  }

  #countUnknown(topic: string, change: number): void {
    const count = (this.#unknownTopics.get(topic) ?? 0) + change
    if (count > 0) this.#unknownTopics.set(topic, count)
    else this.#unknownTopics.delete(topic)
  }

  #armTimer(atMs: number): void {
    if (atMs >= this.#timerAtMs || atMs === Infinity) return
    this.#timer?.cancel()
    this.#timerAtMs = atMs
    this.#timer = this.#platform.clock.setTimer(atMs - this.#platform.clock.monotonic(), () => this.#onTimer())
  }

  #onTimer(): void {
    this.#timer = null
    this.#timerAtMs = Infinity
    const now = this.#platform.clock.monotonic()
    let nextMs = Infinity
    for (const waiting of [...this.#forMetadata, ...this.#forMemory]) {
      if (waiting.deadlineMs <= now) this.#fail(waiting, this.#timeout(waiting))
      else if (waiting.deadlineMs < nextMs) nextMs = waiting.deadlineMs
    }
    this.#armTimer(nextMs)
  }

  #timeout({ topic, waitsFor }: Waiting): TimeoutError {
    const { maxBlockMs } = this.#config
    if (waitsFor !== 'memory') {
      const reason = this.#cluster.metadata.whyMissing(topic)
      return new TimeoutError(`topic ${topic} is not in the metadata after max.block.ms (${maxBlockMs}): ${reason}`)
    }
    const { used, capacity } = this.#accumulator.memory
    return new BufferExhaustedError(
      `no room in buffer.memory for max.block.ms (${maxBlockMs}): ${used} of ${capacity} bytes wait to be sent or acknowledged`,
    )
  }
}
