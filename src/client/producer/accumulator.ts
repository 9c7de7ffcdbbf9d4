/**
 * What was sent and is not acknowledged: batches by topic and partition, and the memory that they take. Appending is synchronous,
 * and says what is missing where it cannot; waiting is `Admission`'s part.
 */
import type { Platform } from '#platform'
import type { NewRecord, PackedValues } from '#protocol/records'

import type { Cluster, TopicInfo } from '../cluster/index.ts'
import type { ProducerConfig } from '../config.ts'
import { KafkaError, RecordTooLargeError } from '../errors.ts'
import { ProducerBatch, type BatchFormat } from './batch.ts'
import { BufferMemory } from './buffer-memory.ts'
import { RecordSink, type DeliverySink } from './delivery.ts'
import { partitionOfKey } from './murmur2.ts'
import { PartitionQueue } from './partition-queue.ts'
import { RoundRobinPartitioner, StickyPartitioner, type PartitionLoads } from './partitioner.ts'
import { batchBytesMax, checkRecord, encodeRecord, type ProducerRecord } from './record.ts'

/** `topic`, `partition`: nothing is known of it yet; `memory`: the buffer is full. */
export type AppendResult = 'appended' | 'topic' | 'partition' | 'memory'

/** What the accumulator tells its owner, who sends. */
export interface AccumulatorOwner {
  /** There is a new batch, or one has become full. */
  onBatch(): void
  /** False when the partition's broker has taken nothing for longer than `partitioner.availability.timeout.ms`. */
  isAvailable(nodeId: number): boolean
}

export class Accumulator {
  readonly memory: BufferMemory
  /** Queues that are not empty. */
  readonly active = new Set<PartitionQueue>()
  readonly #platform: Platform
  readonly #config: ProducerConfig
  readonly #cluster: Cluster
  readonly #format: BatchFormat
  readonly #owner: AccumulatorOwner
  readonly #topics = new Map<string, ProducerTopic>()
  /** Batches without an outcome, the oldest first. */
  #incomplete = new Set<ProducerBatch>()
  #batchCount = 0
  /** The time of this turn, for the records that it sends; null: nobody has asked yet. */
  #turnTimeMs: number | null = null

  constructor(
    platform: Platform,
    config: ProducerConfig,
    cluster: Cluster,
    format: BatchFormat,
    owner: AccumulatorOwner,
  ) {
    this.#platform = platform
    this.#config = config
    this.#cluster = cluster
    this.#format = format
    this.#owner = owner
    this.memory = new BufferMemory(config.bufferMemory)
  }

  get incomplete(): ReadonlySet<ProducerBatch> {
    return this.#incomplete
  }

  /**
   * Puts the record into a batch of its partition. Throws `KafkaError` for a record that can never be sent. Nothing has happened
   * when the result is not `appended`.
   */
  tryAppend(topicName: string, record: ProducerRecord, sink: DeliverySink | null): AppendResult {
    checkRecord(record)
    const topic = this.#topic(topicName)
    const info = this.#cluster.metadata.topic(topicName)
    if (info === undefined || info.partitions.length === 0) return 'topic'
    const pinned = record.partition
    if (pinned !== undefined && !(pinned < info.partitions.length)) {
      this.#checkPinned(pinned)
      if (sink === null) topic.refusedPartition = pinned
      return 'partition'
    }

    const encoded = encodeRecord(record, record.timestamp ?? this.#now())
    const bytesMax = batchBytesMax(encoded)
    this.#checkSize(bytesMax)
    const partition = pinned === undefined ? this.#choose(topic, info, encoded) : this.#checked(pinned, info)
    const result =
      partition === STICKY
        ? this.#appendSticky(topic, info, encoded, bytesMax, sink)
        : this.#append(topic.queue(partition), encoded, bytesMax, sink)
    if (result !== 'appended') {
      if (sink === null) topic.refusedBytes = bytesMax
      return result
    }
    if (sink === null) topic.forgetRefused()
    if (pinned === undefined && this.#config.partitioner === 'roundRobin') topic.roundRobin.advance()
    if (sink instanceof RecordSink) sink.timestamp = encoded.timestamp
    return result
  }

  /**
   * Appends values without key, headers and promise, from the `from`-th on, until one has no room. Returns how many. Throws
   * `KafkaError` when the first can never be sent.
   */
  tryAppendValues(topicName: string, values: PackedValues, from: number, partition: number | undefined): number {
    let next = from
    while (next < values.count) {
      if (!this.#tryAppendValue(topicName, values, next, partition, next > from)) break
      next += 1
      next += this.#appendBehind(this.#topic(topicName), values, next, partition)
    }
    return next - from
  }

  /** As any record. False when it has to wait or, where `isLater`, when its fault is to show with the next call. */
  #tryAppendValue(
    topicName: string,
    { bytes, bounds }: PackedValues,
    index: number,
    partition: number | undefined,
    isLater: boolean,
  ): boolean {
    const value = bytes.subarray(bounds[2 * index], bounds[2 * index + 1])
    try {
      return this.tryAppend(topicName, { value, partition }, null) === 'appended'
    } catch (error) {
      if (isLater && error instanceof KafkaError) return false
      throw error
    }
  }

  /** What goes to the same partition needs no choice: as many values as the open batch has room for. */
  #appendBehind(topic: ProducerTopic, values: PackedValues, from: number, pinned: number | undefined): number {
    const info = this.#cluster.metadata.topic(topic.name)
    if (info === undefined || (pinned === undefined && this.#config.partitioner !== 'default')) return 0
    const loads = this.#loadsOf(topic, info)
    const queue = topic.queue(pinned ?? topic.sticky.current(loads))
    const batch = queue.open
    if (batch === null || from === values.count) return 0
    const { batchSize, maxRequestSize } = this.#config
    const bytesBefore = batch.sizeInBytes
    const count = batch.appendValues(values, from, this.#now(), Math.min(batchSize, maxRequestSize))
    if (batch.isFull) this.#owner.onBatch()
    if (pinned === undefined) topic.sticky.appended(batch.sizeInBytes - bytesBefore, batch.isFull, loads)
    return count
  }

  /** What a record without a promise would wait for: one like the last that was refused, or any if none was since one was taken. */
  missingFor(topicName: string): Exclude<AppendResult, 'appended'> | null {
    const topic = this.#topic(topicName)
    const info = this.#cluster.metadata.topic(topicName)
    if (info === undefined || info.partitions.length === 0) return 'topic'
    if (topic.refusedPartition >= info.partitions.length) return 'partition'
    if (!this.memory.hasFree(this.#bytesToReserve(topic.refusedBytes))) return 'memory'
    return null
  }

  /** Whoever waited for room has given up, and wants something else. */
  forgetRefused(topicName: string): void {
    this.#topics.get(topicName)?.forgetRefused()
  }

  /** Takes the batch, the first of its queue, out of it to be sent. */
  take(batch: ProducerBatch): void {
    const { queue } = batch
    queue.remove(batch)
    if (queue.batches.length === 0) this.active.delete(queue)
  }

  /** Puts a batch back that will be sent again. */
  putBack(batch: ProducerBatch): void {
    batch.queue.insert(batch)
    this.active.add(batch.queue)
  }

  /** The batch is done: its memory is free, unless it is still on its way. */
  complete(batch: ProducerBatch): void {
    this.#incomplete.delete(batch)
    this.take(batch)
    if (!batch.isInFlight) this.release(batch)
  }

  /** Gives back what the batch holds. May be called more than once. */
  release(batch: ProducerBatch): void {
    this.memory.give(batch.reservedBytes)
    batch.reservedBytes = 0
  }

  /** The batch has its final bytes: what compression saved is free. */
  shrink(batch: ProducerBatch): void {
    const unused = batch.reservedBytes - batch.bytes().length
    // Uncompressed, the bytes are a view of the whole array.
    if (unused <= 0 || this.#format.codec === 0) return
    this.memory.give(unused)
    batch.reservedBytes -= unused
  }

  /** Replaces a batch that the broker found too large by smaller ones, each of half its size or of `batch.size`. */
  split(batch: ProducerBatch): ProducerBatch[] {
    const records = [...batch.takeApart()]
    const wholeBytes = records.reduce((sum, { record }) => sum + batchBytesMax(record), 0)
    const partBytes = Math.min(this.#config.batchSize, Math.ceil(wholeBytes / 2))
    const ordinalSpan = batch.ordinalSpan / (records.length + 1)
    const parts: ProducerBatch[] = []
    for (const { record, sink } of records) {
      if (parts.at(-1)?.tryAppend(record, sink, partBytes)) continue
      const part = new ProducerBatch(batch.queue, this.#format, {
        ordinal: batch.ordinal + parts.length * ordinalSpan,
        ordinalSpan,
        createdMs: batch.createdMs,
        reservedBytes: Math.max(partBytes, batchBytesMax(record)),
      })
      this.memory.take(part.reservedBytes)
      part.tryAppend(record, sink, partBytes)
      parts.push(part)
    }
    this.#incomplete.delete(batch)
    batch.isDone = true
    for (const part of parts) {
      part.isFull = true
      this.#incomplete.add(part)
      this.putBack(part)
    }
    // They are as old as the batch was, and whoever looks for the oldest looks at the first.
    this.#incomplete = new Set([...this.#incomplete].sort((a, b) => a.createdMs - b.createdMs))
    return parts
  }

  #topic(name: string): ProducerTopic {
    let topic = this.#topics.get(name)
    if (topic === undefined) this.#topics.set(name, (topic = new ProducerTopic(name, this.#platform, this.#config)))
    if (!topic.isTracked) this.#cluster.metadata.track(name)
    topic.isTracked = true
    topic.wasUsed = true
    return topic
  }

  /**
   * Lets go of the metadata of topics that nothing was sent to since the last call. Their sequences stay: to begin at 0 again
   * under the same epoch would pass new records off as old ones.
   */
  forgetIdleTopics(): void {
    for (const [name, topic] of this.#topics) {
      if (topic.isTracked && !topic.wasUsed && topic.isIdle) {
        topic.isTracked = false
        this.#cluster.metadata.untrack(name)
      }
      topic.wasUsed = false
    }
  }

  /** The partition, or `STICKY`. */
  #choose(topic: ProducerTopic, info: TopicInfo, { key = null, value }: NewRecord): number {
    const { partitioner, partitionerIgnoreKeys } = this.#config
    const { partitions } = info
    if (partitioner === 'roundRobin') return topic.roundRobin.choose(partitions)
    if (typeof partitioner === 'function')
      return this.#checked(
        partitioner({ key, value }, { topic: info.name, partitionCount: partitions.length, partitions }),
        info,
      )
    return key === null || partitionerIgnoreKeys ? STICKY : partitionOfKey(key, partitions.length)
  }

  #checked(partition: number, { name, partitions }: TopicInfo): number {
    if (Number.isInteger(partition) && partition >= 0 && partition < partitions.length) return partition
    throw new KafkaError(
      `topic ${name} has the partitions 0 to ${partitions.length - 1}, and no partition ${partition}`,
    )
  }

  #checkPinned(partition: number): void {
    if (Number.isInteger(partition) && partition >= 0) return
    throw new KafkaError(`a partition is a whole number from 0 on, and not ${partition}`)
  }

  #checkSize(bytes: number): void {
    const { maxRequestSize, bufferMemory } = this.#config
    if (bytes > maxRequestSize)
      throw new RecordTooLargeError(
        `a record takes up to ${bytes} bytes, more than max.request.size (${maxRequestSize})`,
      )
    if (bytes > bufferMemory)
      throw new RecordTooLargeError(`a record takes up to ${bytes} bytes, more than buffer.memory (${bufferMemory})`)
  }

  #appendSticky(
    topic: ProducerTopic,
    info: TopicInfo,
    record: NewRecord,
    bytesMax: number,
    sink: DeliverySink | null,
  ): AppendResult {
    const { sticky } = topic
    const loads = this.#loadsOf(topic, info)
    let queue = topic.queue(sticky.current(loads))
    const before = queue.open
    if (before !== null && before.tryAppend(record, sink, this.#config.batchSize)) {
      if (before.isFull) this.#owner.onBatch()
    } else {
      if (before !== null && sticky.movesOnBefore(bytesMax, loads)) queue = topic.queue(sticky.current(loads))
      const result = this.#append(queue, record, bytesMax, sink)
      if (result !== 'appended') return result
    }
    sticky.appended(bytesMax, queue.open === null, loads)
    return 'appended'
  }

  #loadsOf(topic: ProducerTopic, info: TopicInfo): PartitionLoads {
    return {
      partitionCount: info.partitions.length,
      queueLengthOf: (partition) => this.#loadOf(topic, info, partition),
    }
  }

  /** Batches that wait; null where the partition has no leader, or one that is not available. */
  #loadOf(topic: ProducerTopic, { partitions }: TopicInfo, partition: number): number | null {
    const leader = partitions[partition]!.leader
    if (leader < 0 || !this.#owner.isAvailable(leader)) return null
    return topic.queue(partition).batches.length
  }

  #append(queue: PartitionQueue, record: NewRecord, bytesMax: number, sink: DeliverySink | null): AppendResult {
    const { batchSize } = this.#config
    const { open } = queue
    if (open !== null) {
      const isAppended = open.tryAppend(record, sink, batchSize)
      if (open.isFull) this.#owner.onBatch()
      if (isAppended) return 'appended'
    }
    const reservedBytes = this.#bytesToReserve(bytesMax)
    if (!this.memory.tryTake(reservedBytes)) return 'memory'
    const batch = new ProducerBatch(queue, this.#format, {
      ordinal: ++this.#batchCount,
      createdMs: this.#platform.clock.monotonic(),
      reservedBytes,
    })
    batch.tryAppend(record, sink, batchSize)
    queue.batches.push(batch)
    this.#incomplete.add(batch)
    this.active.add(queue)
    this.#owner.onBatch()
    return 'appended'
  }

  /** For a batch that such a record opens. A buffer smaller than a batch holds one all the same. */
  #bytesToReserve(recordBytesMax: number): number {
    return Math.min(Math.max(this.#config.batchSize, recordBytesMax), this.memory.capacity)
  }

  /** The clock is read once per turn: what one turn sends is sent at one time. */
  #now(): number {
    if (this.#turnTimeMs === null) {
      this.#turnTimeMs = this.#platform.clock.now()
      this.#platform.clock.endOfTurn(() => {
        this.#turnTimeMs = null
      })
    }
    return this.#turnTimeMs
  }
}

const NONE = -1

/** Not a partition: the sticky partitioner says which. */
const STICKY = -1

class ProducerTopic {
  /** Whether metadata is kept for it. */
  isTracked = false
  wasUsed = true
  /** Of the last record that was pushed and found no room, until one does; 0: none. */
  refusedBytes = 0
  /** The last partition that was wanted and does not exist; -1: there is none. */
  refusedPartition = NONE
  readonly sticky: StickyPartitioner
  readonly roundRobin: RoundRobinPartitioner
  readonly name: string
  readonly #queues: PartitionQueue[] = []

  constructor(name: string, platform: Platform, config: ProducerConfig) {
    this.name = name
    this.sticky = new StickyPartitioner(
      platform.random,
      Math.max(1, config.batchSize),
      config.partitionerAdaptivePartitioningEnable,
    )
    this.roundRobin = new RoundRobinPartitioner(platform.random)
  }

  queue(partition: number): PartitionQueue {
    return (this.#queues[partition] ??= new PartitionQueue(this.name, partition))
  }

  forgetRefused(): void {
    this.refusedBytes = 0
    this.refusedPartition = NONE
  }

  get isIdle(): boolean {
    return this.#queues.every(({ batches, sequences }) => batches.length === 0 && sequences.inFlight.length === 0)
  }
}
