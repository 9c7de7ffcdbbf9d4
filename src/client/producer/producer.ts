/**
 * Sends records to a cluster. `send` gives a promise per record, `sendBatch` one for many, and `push` none: it says whether there
 * was room, and what became of the records is told by `onDelivery` and `flush`. Inside all three are the same: records are encoded
 * into the batch of their partition at once, and a sender in the background carries the batches to the leaders.
 */
import type { Platform, Timer } from '#platform'
import { Codec, type PackedValues } from '#protocol/records'

import { Cluster, abortable, type CallOptions, type PartitionInfo } from '../cluster/index.ts'
import type { ProducerConfig, ProducerOptions } from '../config.ts'
import { ClosedError, type KafkaError, checkTopicName } from '../errors.ts'
import { NO_CLIENT_FAULTS, type ClientFaults } from '../faults.ts'
import { Accumulator } from './accumulator.ts'
import { Admission } from './admission.ts'
import { Barriers } from './barriers.ts'
import type { BatchFormat, Outcome, ProducerBatch } from './batch.ts'
import { BatchSink, RecordSink, type RecordMetadata, type SentBatch } from './delivery.ts'
import type { ProducerRecord } from './record.ts'
import { Sender } from './sender.ts'
import { resolveProducerConfig } from './settings.ts'

export interface SendOptions {
  /** Ends the wait for memory and metadata. A record that is in its batch is sent regardless. */
  readonly signal?: AbortSignal | undefined
}

export interface CloseOptions {
  /** How long what was sent may still take to be acknowledged; what is not by then fails. No bound if left out. */
  readonly timeoutMs?: number
}

export class Producer implements AsyncDisposable {
  /** Every setting with its value. */
  readonly config: ProducerConfig
  readonly #platform: Platform
  readonly #cluster: Cluster
  readonly #accumulator: Accumulator
  readonly #admission: Admission
  readonly #sender: Sender
  readonly #outcomes = new Barriers<ProducerBatch>()
  /** Calls of `flush` under way. */
  #flushing = 0
  #idleTimer: Timer | null = null
  #isClosing = false
  #closing: Promise<void> | null = null
  /** Of records that were pushed: nobody was told yet. */
  #untoldError: KafkaError | null = null

  /** Connects at the first send. Throws `ConfigError`. `faults` are the simulation's. */
  constructor(platform: Platform, options: ProducerOptions, faults: Partial<ClientFaults> = {}) {
    this.#platform = platform
    this.config = resolveProducerConfig(options)
    this.#cluster = new Cluster(platform, this.config, {
      allowAutoTopicCreation: true,
      // The sender counts by itself; metadata may always be asked for.
      inFlightMax: this.config.maxInFlightRequestsPerConnection + 1,
    })
    this.#accumulator = new Accumulator(platform, this.config, this.#cluster, formatOf(this.config), {
      onBatch: () => this.#sender.wake(),
      isAvailable: (nodeId) => this.#sender.isAvailable(nodeId),
    })
    this.#admission = new Admission(platform, this.config, this.#cluster, this.#accumulator, () => this.#sender.wake())
    this.#sender = new Sender(platform, this.config, this.#cluster, this.#accumulator, {
      onOutcome: (batch, outcome, untold) => this.#onOutcome(batch, outcome, untold),
      onSplit: (batch, parts) => this.#outcomes.replace(batch, parts),
      onMemory: () => this.#admission.onMemory(),
      isHurried: () => this.#isClosing || this.#flushing > 0 || this.#admission.isMemoryWanted,
      faults: { ...NO_CLIENT_FAULTS, ...faults },
    })
    this.#cluster.metadata.onUpdate(() => {
      this.#admission.onMetadata()
      this.#sender.wake()
      this.#watchIdleTopics()
    })
  }

  /**
   * Sends one record. Resolves when it is acknowledged as `acks` says. Rejects with `KafkaError`: `BufferExhaustedError` or
   * `TimeoutError` after `max.block.ms`, `RecordTooLargeError`, `TimeoutError` after `delivery.timeout.ms`, or the broker's error.
   * The record must not be changed until it is in its batch: at once, unless memory or metadata is waited for.
   */
  send(topic: string, record: ProducerRecord, options: SendOptions = {}): Promise<RecordMetadata> {
    return new Promise((resolve, reject) => {
      const sink = new RecordSink(topic, resolve, reject)
      const unusable = this.#unusable(topic)
      if (unusable !== null) return reject(unusable)
      options.signal?.throwIfAborted()
      if (this.#admission.tryNow(topic, record, sink) === 'appended') return
      this.#admission.admit(topic, [record], sink, options.signal)
    })
  }

  /**
   * Sends many records with one promise. It settles when each has its outcome: resolves with where they lie, or rejects with the
   * first error, although others may have been acknowledged.
   */
  sendBatch(topic: string, records: readonly ProducerRecord[], options: SendOptions = {}): Promise<SentBatch> {
    return new Promise((resolve, reject) => {
      const unusable = this.#unusable(topic)
      if (unusable !== null) return reject(unusable)
      if (records.length === 0) return resolve({ topic, recordCount: 0, runs: [] })
      this.#admission.admit(topic, records, new BatchSink(topic, records.length, resolve, reject), options.signal)
    })
  }

  /**
   * Sends one record without a promise. False, and the record is not taken, while memory is full or the topic is not known yet:
   * wait for `ready`. Throws `KafkaError` for a record that can never be sent.
   */
  push(topic: string, record: ProducerRecord): boolean {
    const unusable = this.#unusable(topic)
    if (unusable !== null) throw unusable
    return this.#admission.tryNow(topic, record, null) === 'appended'
  }

  /**
   * `push` for many values that lie packed in memory, as records without key and headers; nothing is made per record. Returns how
   * many were taken, from the `from`-th on: all, or those up to one that `push` would not have taken. Throws where `push` would for
   * the first. The bytes may change when it returns.
   */
  pushValues(
    topic: string,
    values: PackedValues,
    options: { from?: number; partition?: number | undefined } = {},
  ): number {
    const unusable = this.#unusable(topic)
    if (unusable !== null) throw unusable
    return this.#admission.tryValuesNow(topic, values, options.from ?? 0, options.partition)
  }

  /** Resolves when `push` to the topic has room again for a record like the last that it refused. Rejects after `max.block.ms`, or with the signal's reason. */
  ready(topic: string, options: SendOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const unusable = this.#unusable(topic)
      if (unusable !== null) return reject(unusable)
      this.#admission.admit(topic, [], null, options.signal, (error) => (error === null ? resolve() : reject(error)))
    })
  }

  /**
   * Sends what was sent so far without waiting for full batches, and resolves when each record has its outcome. Rejects with the
   * first error since the last flush of records that were pushed where there is no `onDelivery` to tell of it.
   */
  async flush(options: SendOptions = {}): Promise<void> {
    const { signal } = options
    signal?.throwIfAborted()
    this.#flushing += 1
    this.#sender.wake()
    try {
      await abortable(this.#admission.whenSettled(), signal)
      this.#sender.wake()
      await abortable(this.#outcomes.wait(this.#accumulator.incomplete), signal)
    } finally {
      this.#flushing -= 1
    }
    const error = this.#untoldError
    this.#untoldError = null
    if (error !== null) throw error
  }

  /** The topic's partitions, waited for as `send` does. */
  async partitionsOf(topic: string, options: CallOptions = {}): Promise<readonly PartitionInfo[]> {
    const { timeoutMs = this.config.maxBlockMs, signal } = options
    checkTopicName(topic)
    const info = await this.#cluster.metadata.waitForTopic(topic, { timeoutMs, timeoutName: 'max.block.ms', signal })
    return info.partitions
  }

  /** What the producer holds at the moment. */
  get load(): { bufferedBytes: number; waitingSends: number; batches: number; requestsInFlight: number } {
    return {
      bufferedBytes: this.#accumulator.memory.used,
      waitingSends: this.#admission.waitingCount,
      batches: this.#accumulator.incomplete.size,
      requestsInFlight: this.#sender.inFlightCount,
    }
  }

  /** Takes no more records, sends what it has, and lets go of everything. May be called more than once. */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options.timeoutMs ?? Infinity)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#isClosing = true
    this.#idleTimer?.cancel()
    this.#admission.close()
    this.#sender.wake()
    const drained = this.#outcomes.wait(this.#accumulator.incomplete)
    if (timeoutMs === Infinity) await drained
    else await this.#within(timeoutMs, drained)
    this.#sender.abort(new ClosedError(`the producer was closed before the record was acknowledged`))
    this.#sender.close()
    await this.#cluster.close()
  }

  #onOutcome(batch: ProducerBatch, outcome: Outcome, untold: number): void {
    const { recordCount, queue } = batch
    const { error } = outcome
    if (this.config.onDelivery === null) {
      if (untold > 0) this.#untoldError ??= error
    } else {
      const baseOffset = outcome.error === null ? outcome.baseOffset : -1
      try {
        this.config.onDelivery({ topic: queue.topic, partition: queue.partition, recordCount, baseOffset, error })
      } catch (thrown) {
        this.#platform.logger.warn('onDelivery threw', thrown)
      }
    }
    this.#outcomes.done(batch)
  }

  /** Why no record can be sent; null when one can. */
  /** What stands against sending anything to the topic. Throws where that is no topic's name. */
  #unusable(topic: string): KafkaError | null {
    checkTopicName(topic)
    return this.#isClosing ? new ClosedError('the producer is closed') : this.#sender.fatalError
  }

  #watchIdleTopics(): void {
    if (this.#isClosing) return
    this.#idleTimer ??= this.#platform.clock.setTimer(this.config.metadataMaxIdleMs, () => {
      this.#idleTimer = null
      this.#accumulator.forgetIdleTopics()
      this.#watchIdleTopics()
    })
  }

  /** Resolves with the promise or after that time. */
  #within(timeoutMs: number, promise: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#platform.clock.setTimer(timeoutMs, () => resolve())
      void promise.then(() => {
        timer.cancel()
        resolve()
      })
    })
  }
}

const NO_LEVEL = -1

function formatOf({ compressionType, compressionGzipLevel, compressionZstdLevel }: ProducerConfig): BatchFormat {
  const codec = Codec[compressionType]
  if (codec === Codec.zstd) return { codec, compressionLevel: compressionZstdLevel }
  const isLeveled = codec === Codec.gzip && compressionGzipLevel !== NO_LEVEL
  return { codec, compressionLevel: isLeveled ? compressionGzipLevel : undefined }
}
