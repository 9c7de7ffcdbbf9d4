/** Producer states from disk: the newest readable snapshot, the last batches before it, and those behind it. */
import { MalformedBytesError } from '#base'
import { joinPath, type FileSystem, type Logger } from '#platform'
import type { RecordBatchView } from '#protocol/records'

import { CorruptSegmentError } from './batch-scan.ts'
import type { LogSegment } from './log-segment.ts'
import { SNAPSHOT_SUFFIX, baseOffsetOf, segmentFileName } from './names.ts'
import { decodeProducerSnapshot } from './producer-snapshot.ts'
import type { ProducerStates } from './producer-states.ts'

export interface ProducerRecovery {
  readonly files: FileSystem
  readonly folder: string
  readonly segments: readonly LogSegment[]
  readonly producers: ProducerStates
  readonly logStartOffset: number
  /** Up to where the states are wanted. */
  readonly endOffset: number
  readonly nowMs: number
  readonly expirationMs: number
  readonly logger: Logger
}

/** So much of the log before a snapshot is looked through, at every start, for batches that clients may still send again. */
const RECALLED_BYTES_MAX = 1024 * 1024
const RECALLED_SEGMENTS_MAX = 8

/** Makes `producers` what they were at `endOffset`. Snapshots that cannot be read are removed, older ones used. */
export function rebuildProducers(recovery: ProducerRecovery): void {
  const { producers, endOffset } = recovery
  restoreNewest(recovery)
  const from = producers.endOffset
  if (producers.size > 0) recallBefore(recovery, from)
  if (from < endOffset) replay(recovery, from)
  producers.endOffset = endOffset
}

/** The offsets that snapshots were taken at, ascending. */
export function snapshotOffsets(files: FileSystem, folder: string): number[] {
  const offsets: number[] = []
  for (const name of files.list(folder)) if (name.endsWith(SNAPSHOT_SUFFIX)) offsets.push(baseOffsetOf(name) ?? -1)
  return offsets.filter((offset) => offset >= 0)
}

function restoreNewest({
  files,
  folder,
  producers,
  logStartOffset,
  endOffset,
  nowMs,
  expirationMs,
  logger,
}: ProducerRecovery): void {
  for (const offset of snapshotOffsets(files, folder).reverse()) {
    if (offset > endOffset || offset <= logStartOffset) continue
    const path = joinPath(folder, segmentFileName(offset, SNAPSHOT_SUFFIX))
    try {
      return producers.restore(decodeProducerSnapshot(files.readFile(path)), offset, nowMs, expirationMs)
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error
      logger.warn(`${path} cannot be read and is removed; an older snapshot or the log itself is used`, error)
      files.remove(path)
    }
  }
  producers.clear(logStartOffset)
}

/**
 * Retries are answered for the last five batches of a producer, of which a snapshot has one. An Apache broker answers the others
 * with OUT_OF_ORDER_SEQUENCE_NUMBER after a clean stop, although the log has them.
 */
function recallBefore({ segments, producers }: ProducerRecovery, snapshotOffset: number): void {
  try {
    for (const { segment, start, end } of tailBefore(segments, snapshotOffset))
      for (const { batch } of segment.headersBetween(start, end)) if (batch.producerId >= 0) producers.recall(batch)
  } catch (error) {
    // Recovery judges what is damaged. Here it is only help that is not had.
    if (!(error instanceof CorruptSegmentError)) throw error
  }
}

/** Where the last bytes before `offset` lie, in order. */
function tailBefore(
  segments: readonly LogSegment[],
  offset: number,
): { segment: LogSegment; start: number; end: number }[] {
  const parts: { segment: LogSegment; start: number; end: number }[] = []
  let bytes = RECALLED_BYTES_MAX
  for (const segment of segments.filter(({ baseOffset }) => baseOffset < offset).reverse()) {
    const end = (parts.length === 0 ? segment.positionOf(offset) : null) ?? segment.size
    parts.unshift({ segment, start: end - bytes, end })
    bytes -= end
    if (bytes <= 0 || parts.length === RECALLED_SEGMENTS_MAX) break
  }
  return parts
}

function replay({ segments, producers, endOffset }: ProducerRecovery, from: number): void {
  for (const [index, segment] of segments.entries()) {
    if ((segments[index + 1]?.baseOffset ?? Infinity) <= from) continue
    for (const { batch, position } of segment.headersFrom(from)) {
      if (batch.lastOffset < from || batch.producerId < 0) continue
      if (batch.baseOffset >= endOffset) return
      foldIn(producers, batch.isControl ? segment.batchAt(position) : batch)
    }
  }
}

/** Folds in a batch of the log, a marker with what it completes. Returns the transaction that it aborts, if any. */
export function foldIn(
  producers: ProducerStates,
  batch: RecordBatchView,
): { producerId: number; firstOffset: number; lastOffset: number; lastStableOffset: number } | null {
  const completed = producers.apply(batch)
  if (completed === null) return null
  const lastStableOffset = producers.lastStableOffsetAfter(completed)
  producers.complete(completed)
  const { producerId, firstOffset, lastOffset } = completed
  return completed.aborted ? { producerId, firstOffset, lastOffset, lastStableOffset } : null
}
