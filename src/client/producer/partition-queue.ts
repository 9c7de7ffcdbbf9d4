/** The batches of one partition that wait to be sent, in order, and what idempotence knows of the partition. */
import type { ProducerBatch } from './batch.ts'
import { PartitionSequences } from './sequences.ts'

export class PartitionQueue {
  readonly topic: string
  readonly partition: number
  /** The first is sent next; only the last may be open. Sorted by ordinal. */
  readonly batches: ProducerBatch[] = []
  /** One is in flight and no other may overtake it (one request in flight, no sequences). */
  isMuted = false
  readonly sequences = new PartitionSequences()

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  get name(): string {
    return `${this.topic}-${this.partition}`
  }

  /** The batch that takes records, if there is one. */
  get open(): ProducerBatch | null {
    const last = this.batches.at(-1)
    return last === undefined || last.isFull ? null : last
  }

  /** Puts a batch where it belongs: one that failed before those that were filled after it. */
  insert(batch: ProducerBatch): void {
    const at = this.batches.findIndex((other) => other.ordinal > batch.ordinal)
    if (at < 0) this.batches.push(batch)
    else this.batches.splice(at, 0, batch)
  }

  remove(batch: ProducerBatch): void {
    const at = this.batches.indexOf(batch)
    if (at >= 0) this.batches.splice(at, 1)
  }
}
