/** Which partition a record without a key goes to, and the door for partitioners of one's own. */
import type { Random } from '#platform'

import type { PartitionInfo } from '../cluster/index.ts'

/** What a partitioner of one's own sees of a topic. */
export interface PartitionerView {
  readonly topic: string
  readonly partitionCount: number
  /** All of them, by number; `leader` is -1 where there is none. */
  readonly partitions: readonly PartitionInfo[]
}

/** Chooses the partition of a record: a whole number from 0 to `partitionCount - 1`. Called for records that are not pinned to one. */
export type Partitioner = (
  record: Readonly<{ key: Uint8Array | null; value: Uint8Array | null }>,
  view: PartitionerView,
) => number

/** What the sticky partitioner asks about a topic's partitions. */
export interface PartitionLoads {
  readonly partitionCount: number
  /** Batches that wait to be sent; null when nothing should go there: no leader, or one that takes nothing. */
  queueLengthOf(partition: number): number | null
}

/**
 * Stays with a partition for about `batch.size` bytes, so that batches are full, and then moves on: to any, or more often to those
 * with short queues, whose brokers are fast (KIP-794). Since bytes count and not batches, a broker that takes small batches often
 * gets no more than its share.
 */
export class StickyPartitioner {
  readonly #random: Random
  readonly #stickyBytes: number
  readonly #isAdaptive: boolean
  #partition = -1
  #producedBytes = 0

  constructor(random: Random, stickyBytes: number, isAdaptive: boolean) {
    this.#random = random
    this.#stickyBytes = stickyBytes
    this.#isAdaptive = isAdaptive
  }

  /** The partition to append to. */
  current(loads: PartitionLoads): number {
    if (this.#partition < 0 || this.#partition >= loads.partitionCount) this.#moveOn(loads)
    return this.#partition
  }

  /** Whether `bytes` more, that the open batch has no room for, are for the next partition. It is the current one then. */
  movesOnBefore(bytes: number, loads: PartitionLoads): boolean {
    if (this.#producedBytes === 0 || this.#producedBytes + bytes < this.#stickyBytes) return false
    this.#moveOn(loads)
    return true
  }

  /** `bytes` were appended; `isBatchClosed`: the partition has no batch that is open and not full. */
  appended(bytes: number, isBatchClosed: boolean, loads: PartitionLoads): void {
    this.#producedBytes += bytes
    const isDue = this.#producedBytes >= this.#stickyBytes && isBatchClosed
    if (isDue || this.#producedBytes >= this.#stickyBytes * 2) this.#moveOn(loads)
  }

  #moveOn(loads: PartitionLoads): void {
    this.#producedBytes = 0
    this.#partition = choosePartition(this.#random, this.#isAdaptive, loads)
  }
}

/** Among those that accept records, by the inverse of their queues; among all when none accepts any. */
function choosePartition(random: Random, isAdaptive: boolean, loads: PartitionLoads): number {
  const lengths: { partition: number; length: number }[] = []
  let longest = 0
  for (let partition = 0; partition < loads.partitionCount; partition++) {
    const length = loads.queueLengthOf(partition)
    if (length === null) continue
    lengths.push({ partition, length })
    if (length > longest) longest = length
  }
  if (lengths.length === 0) return random.below(loads.partitionCount)
  if (!isAdaptive || longest === 0) return lengths[random.below(lengths.length)]!.partition
  const total = lengths.reduce((sum, { length }) => sum + longest + 1 - length, 0)
  let drawn = random.below(total)
  for (const { partition, length } of lengths) {
    drawn -= longest + 1 - length
    if (drawn < 0) return partition
  }
  return lengths.at(-1)!.partition
}

/** One after the other, those with a leader if there are any. */
export class RoundRobinPartitioner {
  #turn: number

  constructor(random: Random) {
    // Many producers that start together would all begin with the same one.
    this.#turn = random.below(0x1_0000)
  }

  /** Whose turn it is. The same again until `advance`, since a record may have to wait and ask again. */
  choose(partitions: readonly PartitionInfo[]): number {
    for (let step = 0; step < partitions.length; step++) {
      const candidate = partitions[(this.#turn + step) % partitions.length]!
      if (candidate.leader < 0) continue
      this.#turn += step
      return candidate.partition
    }
    return this.#turn % partitions.length
  }

  advance(): void {
    this.#turn += 1
  }
}
