/**
 * Idempotence: which id, epoch and sequence numbers batches are sent under, and what is done when the broker and the producer do
 * not agree about them any more. The rules are those of Java's TransactionManager (KIP-98, KIP-360); pure, no requests here.
 *
 * A broker takes a batch of a producer only if it follows the last one that it has. So sequences are given when a batch is drained,
 * once, and a batch keeps its own through its retries. When a batch is lost for good, what follows it would be refused for ever:
 * then the epoch is raised by one, and what is still under way starts at sequence 0 again.
 */
import { assert } from '#base'
import { ErrorCode, errorOf } from '#protocol'
import { sequenceAfter } from '#protocol/records'

import { NO_CLIENT_FAULTS, type ClientFaults } from '../faults.ts'
import type { ProducerBatch } from './batch.ts'
import type { PartitionQueue } from './partition-queue.ts'

const EPOCH_MAX = 32_767
const NONE = -1
/**
 * A broker remembers so many batches of a producer, and takes an older one that comes again for a gap. The bound on requests per
 * connection is not enough to stay within that:
 *
 * 1. batch 0 is appended, and its answer is lost; batches 1 to 4 are acknowledged
 * 2. batch 0 is sent again, to a broker that no longer leads; meanwhile the new leader is known
 * 3. batches 5 to 8 go to the new leader, and it forgets batch 0
 * 4. batch 0 comes to the new leader, which refuses it for ever
 *
 * So a new batch is at most the fourth behind the oldest that is not acknowledged, whether or not those between are.
 */
const BATCHES_REMEMBERED = 5

/**
 * So often a gap is doubted where batches may lie at the broker already. A deposed leader that does not know it yet lacks what its
 * successor has: taken at its word, the batch would get another sequence and be stored twice. Java's client believes the first.
 */
const GAPS_DOUBTED = 20

/** What is known of one partition. */
export class PartitionSequences {
  producerId = NONE
  producerEpoch = NONE
  /** Of the next record. */
  next = 0
  /** Of the last record that the broker has acknowledged; -1: of none. */
  lastAcked = NONE
  lastAckedOffset = NONE
  /** Batches with a sequence and no final answer, sent or waiting for a retry, in order. */
  readonly inFlight: ProducerBatch[] = []
  /** Batches that were given a sequence. */
  stampedCount = 0
  /** A batch was given up while nobody knows whether the broker has it: its end, as a sequence. Null: there is none. */
  unresolvedUntil: number | null = null

  isNext(sequence: number): boolean {
    return sequence === (this.lastAcked === NONE ? 0 : sequenceAfter(this.lastAcked, 1))
  }

  /** Batches with a sequence from the first in flight on, acknowledged or not. */
  get batchesSinceFirstInFlight(): number {
    const first = this.inFlight[0]
    return first === undefined ? 0 : this.stampedCount - first.stampedAs
  }

  insertInFlight(batch: ProducerBatch): void {
    const at = this.inFlight.findIndex((other) => other.ordinal > batch.ordinal)
    if (at < 0) this.inFlight.push(batch)
    else this.inFlight.splice(at, 0, batch)
  }

  removeInFlight(batch: ProducerBatch): void {
    const at = this.inFlight.indexOf(batch)
    if (at >= 0) this.inFlight.splice(at, 1)
  }
}

/** What the broker's answer says about the log, where it says it. */
export interface FailedAnswer {
  readonly errorCode: number
  /** -1: not told. */
  readonly logStartOffset: number
}

export class ProducerIdentity {
  producerId = NONE
  producerEpoch = NONE
  /** Partitions whose batches start anew under the next epoch. */
  readonly #toRestart = new Set<PartitionQueue>()
  readonly #unresolved = new Set<PartitionQueue>()
  readonly #faults: ClientFaults

  constructor(faults: ClientFaults = NO_CLIENT_FAULTS) {
    this.#faults = faults
  }

  get isKnown(): boolean {
    return this.producerId !== NONE
  }

  /** The answer to InitProducerId. */
  assign(producerId: number, producerEpoch: number): void {
    this.producerId = producerId
    this.producerEpoch = producerEpoch
    this.#restartPartitions()
  }

  /** To be called before batches are drained: settles what became clear since. */
  advance(): void {
    for (const queue of this.#unresolved) {
      const { sequences } = queue
      if (sequences.inFlight.length > 0) continue
      if (!sequences.isNext(sequences.next)) this.#restart(queue)
      this.#unresolved.delete(queue)
      sequences.unresolvedUntil = null
    }
    if (this.#toRestart.size === 0 || !this.isKnown) return
    if (this.producerEpoch === EPOCH_MAX) {
      // The epochs of this id are used up: the owner asks for another one.
      this.producerId = NONE
      this.producerEpoch = NONE
      return
    }
    this.producerEpoch += 1
    this.#restartPartitions()
  }

  /** Whether the batch, the first of its queue, may be sent now. */
  mayDrain(batch: ProducerBatch): boolean {
    if (!this.isKnown) return false
    const { sequences } = batch.queue
    if (batch.stamp === null) {
      // What is under way under the old epoch comes first: it may still be appended.
      if (sequences.inFlight.length > 0 && this.#isStale(sequences)) return false
      // Of a producer that it does not know a broker takes any sequence as the first: the second batch instead of one that it
      // refused. So the first goes alone, which Java's client does not do.
      if (sequences.inFlight.length > 0 && sequences.lastAcked === NONE) return false
      return sequences.unresolvedUntil === null && sequences.batchesSinceFirstInFlight < BATCHES_REMEMBERED
    }
    // Of batches that must be sent again only the first goes out, or the broker would refuse those behind it.
    return sequences.inFlight[0] === batch
  }

  /** Gives the batch its sequence, if it has none, and counts it as in flight. */
  stamp(batch: ProducerBatch): void {
    assert(this.isKnown, 'sequences belong to a producer id')
    if (batch.stamp !== null && !this.#faults.sequenceAtEverySend) return
    const { sequences } = batch.queue
    sequences.removeInFlight(batch)
    if (this.#isStale(sequences)) this.#startAtZero(sequences)
    const { producerId, producerEpoch, next } = sequences
    if (batch.stamp === null) batch.stamp = { producerId, producerEpoch, baseSequence: next }
    else batch.restamp({ producerId, producerEpoch, baseSequence: next })
    batch.stampedAs = sequences.stampedCount++
    sequences.next = sequenceAfter(next, batch.recordCount)
    sequences.insertInFlight(batch)
  }

  /** Parts of a batch that was too large share out its sequences. */
  replace(batch: ProducerBatch, parts: readonly ProducerBatch[]): void {
    if (batch.stamp === null) return
    const { sequences } = batch.queue
    let { baseSequence } = batch.stamp
    sequences.removeInFlight(batch)
    sequences.stampedCount += parts.length - 1
    for (const [index, part] of parts.entries()) {
      part.stamp = { ...batch.stamp, baseSequence }
      // Those behind keep theirs, which makes the distance to the newest seem larger than it is.
      part.stampedAs = batch.stampedAs + index
      baseSequence = sequenceAfter(baseSequence, part.recordCount)
      sequences.insertInFlight(part)
    }
  }

  acknowledged(batch: ProducerBatch, baseOffset: number): void {
    if (batch.stamp === null) return
    const { sequences } = batch.queue
    sequences.removeInFlight(batch)
    // An answer from before a restart says nothing about the sequences since.
    if (batch.stamp.producerId !== sequences.producerId || batch.stamp.producerEpoch !== sequences.producerEpoch) return
    const last = sequenceAfter(batch.stamp.baseSequence, batch.recordCount - 1)
    if (sequences.lastAcked === NONE || isAfter(last, sequences.lastAcked)) sequences.lastAcked = last
    if (baseOffset >= 0) sequences.lastAckedOffset = baseOffset + batch.recordCount - 1
  }

  /**
   * Whether the batch may be sent again after this error, perhaps under a new epoch, which is prepared here. `sentAs` is the stamp
   * that the answer is about: the batch may have been given another one since.
   */
  mayRetry(batch: ProducerBatch, sentAs: ProducerBatch['stamp'], { errorCode, logStartOffset }: FailedAnswer): boolean {
    const { queue } = batch
    const { sequences } = queue
    switch (errorCode) {
      case ErrorCode.UNKNOWN_PRODUCER_ID:
        if (logStartOffset < 0) return false
        // Retention has removed the producer's last batch, or the state is lost: the broker takes sequence 0 of a new epoch.
        if (sentAs === batch.stamp) this.#restart(queue)
        return true
      case ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER: {
        const { unresolvedUntil } = sequences
        const base = batch.stamp?.baseSequence ?? NONE
        // One before it failed, and goes first; or the sequence is another one by now.
        if (unresolvedUntil === null && (sentAs !== batch.stamp || !sequences.isNext(base))) return true
        if (unresolvedUntil !== null && base !== unresolvedUntil) return true
        const mayBeStored = sequences.inFlight.some(({ attempts }) => attempts > 1)
        if (!mayBeStored || ++batch.gapAnswers > GAPS_DOUBTED) this.#restart(queue)
        return true
      }
      default:
        return errorOf(errorCode).retriable
    }
  }

  /** The batch has failed for good. `isCertain`: the broker does not have it. */
  failed(batch: ProducerBatch, isCertain: boolean): void {
    if (batch.stamp === null) return
    const { queue } = batch
    queue.sequences.removeInFlight(batch)
    if (isCertain) {
      this.#restart(queue)
      return
    }
    const end = sequenceAfter(batch.stamp.baseSequence, batch.recordCount)
    const { unresolvedUntil } = queue.sequences
    queue.sequences.unresolvedUntil = unresolvedUntil !== null && isAfter(unresolvedUntil, end) ? unresolvedUntil : end
    this.#unresolved.add(queue)
  }

  #restart(queue: PartitionQueue): void {
    this.#toRestart.add(queue)
  }

  #restartPartitions(): void {
    for (const { sequences } of this.#toRestart) {
      this.#startAtZero(sequences)
      const { producerId, producerEpoch } = this
      for (const batch of sequences.inFlight) {
        batch.restamp({ producerId, producerEpoch, baseSequence: sequences.next })
        sequences.next = sequenceAfter(sequences.next, batch.recordCount)
      }
    }
    for (const queue of this.#toRestart) this.#unresolved.delete(queue)
    this.#toRestart.clear()
  }

  #startAtZero(sequences: PartitionSequences): void {
    sequences.producerId = this.producerId
    sequences.producerEpoch = this.producerEpoch
    sequences.next = 0
    sequences.lastAcked = NONE
    sequences.unresolvedUntil = null
  }

  #isStale({ producerId, producerEpoch }: PartitionSequences): boolean {
    return producerId !== this.producerId || producerEpoch !== this.producerEpoch
  }
}

/** Sequences wrap around at 2^31: of two the one that is ahead by less than half of that is the later. */
function isAfter(sequence: number, other: number): boolean {
  const ahead = (sequence - other) & 0x7fff_ffff
  return ahead > 0 && ahead < 0x4000_0000
}
