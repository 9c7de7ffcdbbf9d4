/**
 * What the log knows of the producers that number their batches: enough to refuse gaps and stale epochs, to
 * answer a repeated batch with the offsets it got the first time, and to tell where open transactions begin.
 * Leaders check; followers and recovery fold in what they read. Kafka's `ProducerStateManager`.
 */
import { assert } from '#base'
import { readControlRecord, type ControlRecordType, type RecordBatchView } from '#protocol/records'

import { AppendErrorCode } from './append-errors.ts'

export type ProducerVerdict =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'duplicate'; readonly batch: ProducedBatch }
  | { readonly kind: 'refused'; readonly errorCode: AppendErrorCode; readonly message: string }

/** A batch that the log has, by its sequences. */
export interface ProducedBatch {
  readonly firstSequence: number
  readonly lastSequence: number
  readonly firstOffset: number
  readonly lastOffset: number
  readonly timestamp: bigint
}

export interface ProducerState {
  readonly producerId: number
  producerEpoch: number
  /** −1: no marker was ever seen. */
  coordinatorEpoch: number
  /** Of the last batch or marker, in ms. */
  lastTimestamp: bigint
  /** Where the open transaction began; −1: none is open. */
  transactionFirstOffset: number
  /** The latest batches of this epoch, oldest first, at most `BATCHES_KEPT`. */
  batches: ProducedBatch[]
}

export interface CompletedTransaction {
  readonly producerId: number
  readonly firstOffset: number
  /** Of the marker. */
  readonly lastOffset: number
  readonly aborted: boolean
}

/** As many as an idempotent producer may have in flight (KAFKA-5494). */
const BATCHES_KEPT = 5

const NO_SEQUENCE = -1
const SEQUENCE_MAX = 2 ** 31 - 1

const ACCEPTED: ProducerVerdict = { kind: 'accepted' }

interface Transaction {
  readonly producerId: number
  readonly firstOffset: number
  /** Of its marker; −1 while it is open. */
  lastOffset: number
}

export class ProducerStates {
  readonly #producers = new Map<number, ProducerState>()
  /** By first offset, in the order in which they began, which is the order of their offsets. */
  readonly #open = new Map<number, Transaction>()
  /** Completed, but with a marker that is not yet below the high watermark. */
  readonly #unreplicated = new Map<number, Transaction>()

  /** One past the last offset folded in: what a snapshot taken now is named by. */
  endOffset = 0

  get size(): number {
    return this.#producers.size
  }

  /** In the order in which the producers first wrote. */
  producers(): Iterable<ProducerState> {
    return this.#producers.values()
  }

  producer(id: number): ProducerState | null {
    return this.#producers.get(id) ?? null
  }

  /** Judges a batch that a client or coordinator (whose sequences are not checked) wants to append. Changes nothing. */
  check(batch: RecordBatchView, origin: 'client' | 'coordinator'): ProducerVerdict {
    const state = this.#producers.get(batch.producerId)
    if (state === undefined) return ACCEPTED
    if (batch.isControl) return this.#checkMarker(state, batch)
    if (origin === 'client') {
      const repeated = findRepeated(state, batch)
      if (repeated !== null) return { kind: 'duplicate', batch: repeated }
    }
    if (batch.producerEpoch < state.producerEpoch) return staleEpoch(state, batch)
    if (origin === 'client') {
      const gap = sequenceFault(state, batch)
      if (gap !== null) return refused(AppendErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, gap)
    }
    if (state.transactionFirstOffset >= 0 && !batch.isTransactional)
      return refused(
        AppendErrorCode.INVALID_TXN_STATE,
        `producer ${state.producerId} has an open transaction, the batch is not part of it`,
      )
    return ACCEPTED
  }

  #checkMarker(state: ProducerState, batch: RecordBatchView): ProducerVerdict {
    if (batch.producerEpoch < state.producerEpoch) return staleEpoch(state, batch)
    const marker = markerIn(batch)
    if (marker !== null && marker.coordinatorEpoch < state.coordinatorEpoch)
      return refused(
        AppendErrorCode.TRANSACTION_COORDINATOR_FENCED,
        `coordinator epoch ${marker.coordinatorEpoch} is older than ${state.coordinatorEpoch}`,
      )
    return ACCEPTED
  }

  /** Folds in a batch that the log has, with its final offsets. Returns the transaction that it ends, if any. */
  apply(batch: RecordBatchView): CompletedTransaction | null {
    if (batch.producerId < 0) return null
    const state = this.#producers.get(batch.producerId) ?? this.#add(batch)
    return batch.isControl ? this.#applyMarker(state, batch) : this.#applyData(state, batch)
  }

  /**
   * A batch from before the snapshot that was restored, which keeps only the last one of each producer: a retry of those before
   * it is to be known too. To be called in the order of the log, before anything is applied.
   */
  recall(batch: RecordBatchView): void {
    const state = this.#producers.get(batch.producerId)
    const last = state?.batches.at(-1)
    if (state === undefined || last === undefined || batch.isControl) return
    if (batch.producerEpoch !== state.producerEpoch || batch.lastOffset >= last.firstOffset) return
    state.batches.splice(-1, 0, produced(batch))
    if (state.batches.length > BATCHES_KEPT) state.batches.shift()
  }

  #add(batch: RecordBatchView): ProducerState {
    const state: ProducerState = {
      producerId: batch.producerId,
      producerEpoch: batch.producerEpoch,
      coordinatorEpoch: -1,
      lastTimestamp: -1n,
      transactionFirstOffset: -1,
      batches: [],
    }
    this.#producers.set(state.producerId, state)
    return state
  }

  #applyData(state: ProducerState, batch: RecordBatchView): null {
    enterEpoch(state, batch.producerEpoch)
    state.lastTimestamp = batch.maxTimestampExact
    if (state.batches.length === BATCHES_KEPT) state.batches.shift()
    state.batches.push(produced(batch))
    if (batch.isTransactional && state.transactionFirstOffset < 0) {
      const firstOffset = batch.baseOffset
      state.transactionFirstOffset = firstOffset
      this.#open.set(firstOffset, { producerId: state.producerId, firstOffset, lastOffset: -1 })
    }
    return null
  }

  #applyMarker(state: ProducerState, batch: RecordBatchView): CompletedTransaction | null {
    const marker = markerIn(batch)
    if (marker === null || marker.type === 'other') return null
    enterEpoch(state, batch.producerEpoch)
    state.coordinatorEpoch = marker.coordinatorEpoch
    state.lastTimestamp = batch.maxTimestampExact
    const firstOffset = state.transactionFirstOffset
    state.transactionFirstOffset = -1
    // A transaction without data moves neither the last stable offset nor the transaction index.
    if (firstOffset < 0) return null
    return { producerId: state.producerId, firstOffset, lastOffset: batch.lastOffset, aborted: marker.type === 'abort' }
  }

  /**
   * The last stable offset as it will be once `completed` is: where the next open transaction begins, else behind
   * the marker. To be asked before `complete`.
   */
  lastStableOffsetAfter(completed: CompletedTransaction): number {
    for (const transaction of this.#open.values())
      if (transaction.producerId !== completed.producerId) return transaction.firstOffset
    return completed.lastOffset + 1
  }

  complete(completed: CompletedTransaction): void {
    const transaction = this.#open.get(completed.firstOffset)
    assert(transaction !== undefined, 'a transaction is completed that never began')
    this.#open.delete(completed.firstOffset)
    transaction.lastOffset = completed.lastOffset
    this.#unreplicated.set(completed.firstOffset, transaction)
  }

  /** First offset of the earliest transaction that is open or whose marker is not yet replicated; null: none. */
  get firstUnstableOffset(): number | null {
    const open = firstOf(this.#open)
    const unreplicated = firstOf(this.#unreplicated)
    if (open === null || unreplicated === null) return open ?? unreplicated
    return Math.min(open, unreplicated)
  }

  /** Markers below the high watermark (or the log start) hold up nobody any more. */
  forgetReplicatedBelow(offset: number): void {
    if (this.#unreplicated.size === 0) return
    for (const [firstOffset, transaction] of this.#unreplicated)
      if (transaction.lastOffset < offset) this.#unreplicated.delete(firstOffset)
  }

  /** Forgets producers without an open transaction that were silent for `expirationMs`. */
  expire(nowMs: number, expirationMs: number): void {
    for (const state of this.#producers.values())
      if (isExpired(state, nowMs, expirationMs)) this.#producers.delete(state.producerId)
  }

  clear(endOffset: number): void {
    this.#producers.clear()
    this.#open.clear()
    this.#unreplicated.clear()
    this.endOffset = endOffset
  }

  /** Starts over from a snapshot taken at `endOffset`; producers that have expired since are left out. */
  restore(states: readonly ProducerState[], endOffset: number, nowMs: number, expirationMs: number): void {
    this.clear(endOffset)
    for (const state of states) {
      if (isExpired(state, nowMs, expirationMs)) continue
      this.#producers.set(state.producerId, state)
      const { producerId, transactionFirstOffset: firstOffset } = state
      if (firstOffset >= 0) this.#open.set(firstOffset, { producerId, firstOffset, lastOffset: -1 })
    }
    // Snapshots list producers, but transactions must be found in the order in which they began.
    const open = [...this.#open.entries()].sort(([a], [b]) => a - b)
    this.#open.clear()
    for (const [firstOffset, transaction] of open) this.#open.set(firstOffset, transaction)
  }
}

function produced(batch: RecordBatchView): ProducedBatch {
  return {
    firstSequence: batch.baseSequence,
    lastSequence: batch.lastSequence,
    firstOffset: batch.baseOffset,
    lastOffset: batch.lastOffset,
    timestamp: batch.maxTimestampExact,
  }
}

/** An emptied control batch is what compaction leaves of a transaction whose records are all gone. */
function markerIn(batch: RecordBatchView): { type: ControlRecordType; coordinatorEpoch: number } | null {
  const record = batch.records()[0]
  return record === undefined ? null : readControlRecord(record)
}

function findRepeated(state: ProducerState, batch: RecordBatchView): ProducedBatch | null {
  if (batch.producerEpoch !== state.producerEpoch) return null
  for (const known of state.batches)
    if (known.firstSequence === batch.baseSequence && known.lastSequence === batch.lastSequence) return known
  return null
}

/** What is wrong with the batch's first sequence, or null. */
function sequenceFault(state: ProducerState, batch: RecordBatchView): string | null {
  const first = batch.baseSequence
  if (batch.producerEpoch !== state.producerEpoch)
    return first === 0
      ? null
      : `producer ${state.producerId} begins epoch ${batch.producerEpoch} with sequence ${first}`
  // After nothing but a marker of this epoch the last sequence is −1, so that 0 comes next.
  const last = state.batches.at(-1)?.lastSequence ?? NO_SEQUENCE
  const next = last === SEQUENCE_MAX ? 0 : last + 1
  return first === next ? null : `producer ${state.producerId} sent sequence ${first} where ${next} comes next`
}

function staleEpoch(state: ProducerState, batch: RecordBatchView): ProducerVerdict {
  return refused(
    AppendErrorCode.INVALID_PRODUCER_EPOCH,
    `producer ${state.producerId} sent epoch ${batch.producerEpoch}, epoch ${state.producerEpoch} was seen`,
  )
}

function refused(errorCode: AppendErrorCode, message: string): ProducerVerdict {
  return { kind: 'refused', errorCode, message }
}

function enterEpoch(state: ProducerState, epoch: number): void {
  if (state.producerEpoch === epoch) return
  state.producerEpoch = epoch
  state.batches = []
}

function isExpired(state: ProducerState, nowMs: number, expirationMs: number): boolean {
  return state.transactionFirstOffset < 0 && nowMs - Number(state.lastTimestamp) >= expirationMs
}

function firstOf(transactions: ReadonlyMap<number, Transaction>): number | null {
  for (const firstOffset of transactions.keys()) return firstOffset
  return null
}
