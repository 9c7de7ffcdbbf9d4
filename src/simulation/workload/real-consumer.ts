import { decodeUtf8 } from '#base'
import { Consumer, type ConsumerListener, type ConsumerOptions, type ConsumerRecord } from '#client'
import type { Platform } from '#platform'

import { keyOf, type TopicPartition } from './plain-cluster.ts'
import { pick } from './real-producer.ts'
import type { ClientFaults, RealRecorder } from './real-recorder.ts'

export interface RealConsumerOptions {
  /** Its machine: the same in all of its lives. */
  readonly name: string
  readonly process: string
  readonly bootstrap: readonly string[]
  readonly partitions: readonly TopicPartition[]
  /** From this time on it only reads, without whims, on the platform's monotonic clock. */
  readonly untilMs: number
  readonly faults: ClientFaults
}

const FETCH_MAX_WAIT_MS = 300
const REQUEST_TIMEOUT_MS = 3000
/** Each partition of an answer may be larger than its part, by a batch. */
const FETCHED_BEYOND_MAX = 4 * 6000

/** A consumer of ours and what is noted of it. What is common to members of groups and to readers without one. */
export class WatchedConsumer {
  readonly consumer: Consumer
  /** Who it is in the history. */
  readonly process: string
  readonly #platform: Platform
  readonly #options: RealConsumerOptions
  readonly #recorder: RealRecorder
  #keys: readonly string[] = []

  constructor(
    platform: Platform,
    process: string,
    options: RealConsumerOptions,
    recorder: RealRecorder,
    settings: Partial<ConsumerOptions> & { listener?: ConsumerListener },
  ) {
    const { random } = platform
    this.#platform = platform
    this.process = process
    this.#options = options
    this.#recorder = recorder
    const fetchMaxBytes = pick(random, [2000, 20_000, 200_000])
    this.consumer = new Consumer(
      platform,
      {
        bootstrapServers: options.bootstrap,
        clientId: process,
        autoOffsetReset: 'earliest',
        fetchMaxBytes,
        maxPartitionFetchBytes: pick(random, [1000, 20_000]),
        maxPollRecords: pick(random, [1, 10, 500]),
        fetchMaxWaitMs: FETCH_MAX_WAIT_MS,
        requestTimeoutMs: REQUEST_TIMEOUT_MS,
        socketConnectionSetupTimeoutMs: 2000,
        ...settings,
      },
      options.faults,
    )
  }

  /** From now on it reads exactly these; `seek`: from elsewhere. */
  noteKeys(keys: readonly string[], { seek = false } = {}): void {
    const nowMs = this.#platform.clock.monotonic()
    this.#keys = keys
    this.#recorder.deliveries.push({ kind: 'owns', member: this.process, keys })
    this.#recorder.operations.push({
      kind: 'assign',
      process: this.process,
      invokedMs: nowMs,
      completedMs: nowMs,
      keys,
      seek,
    })
  }

  get keys(): readonly string[] {
    return this.#keys
  }

  /** The user was given these, of one partition. */
  noteGiven(records: readonly ConsumerRecord[]): void {
    const atMs = this.#platform.clock.monotonic()
    const key = keyOf(records[0]!)
    for (const { offset } of records)
      this.#recorder.deliveries.push({ kind: 'given', member: this.process, key, offset, atMs })
    this.#recorder.reached(this.#options.name.replace(/-\d+$/, ''), key, records.at(-1)!.offset)
    this.#recorder.operations.push({
      kind: 'poll',
      process: this.process,
      outcome: 'ok',
      invokedMs: atMs,
      completedMs: atMs,
      polls: [{ key, records: records.map((record) => ({ offset: record.offset, value: valueOf(record) })) }],
    })
    const { fetchMaxBytes } = this.consumer.config
    const { bufferedBytes } = this.consumer.load
    if (bufferedBytes > fetchMaxBytes + FETCHED_BEYOND_MAX)
      this.#recorder.fault(`${this.process} has ${bufferedBytes} bytes fetched ahead, and may have ${fetchMaxBytes}`)
  }

  /** From now on a commit may take these in. */
  noteCommittable(records: readonly ConsumerRecord[]): void {
    const atMs = this.#platform.clock.monotonic()
    const key = keyOf(records[0]!)
    for (const { offset } of records) this.#recorder.deliveries.push({ kind: 'committable', key, offset, atMs })
  }
}

function valueOf({ value }: ConsumerRecord): string {
  const text = decodeUtf8(value!, 0, value!.length)
  return text.slice(0, text.indexOf(' '))
}
