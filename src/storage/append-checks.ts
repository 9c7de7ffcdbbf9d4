/** What is checked before bytes become part of a log. */
import { BATCH_HEADER_BYTES, Codec, RecordBatchView, type ValidationRules } from '#protocol/records'

import { isCompacted, type LogConfig } from './log-config.ts'

const CODECS = { uncompressed: Codec.none, gzip: Codec.gzip, snappy: Codec.snappy, lz4: Codec.lz4, zstd: Codec.zstd }

/** What the topic asks of a batch that a client or coordinator produces. */
export function rulesFor(config: LogConfig, origin: 'client' | 'coordinator', nowMs: number): ValidationRules {
  return {
    origin,
    isCompacted: isCompacted(config),
    timestampType: config.messageTimestampType,
    timestampBeforeMaxMs: config.messageTimestampBeforeMaxMs,
    timestampAfterMaxMs: config.messageTimestampAfterMaxMs,
    compression: config.compressionType === 'producer' ? 'producer' : CODECS[config.compressionType],
    compressionLevel: levelOf(config),
    batchBytesMax: config.maxMessageBytes,
    nowMs,
  }
}

function levelOf(config: LogConfig): number | undefined {
  switch (config.compressionType) {
    case 'gzip':
      return config.compressionGzipLevel
    case 'lz4':
      return config.compressionLz4Level
    case 'zstd':
      return config.compressionZstdLevel
    default:
      return undefined
  }
}

/** Bytes from a leader that do not continue this log: they are refused whole, and the fetch is tried again. */
export class FollowerAppendError extends Error {
  override name = 'FollowerAppendError'
}

export interface BatchPlace {
  readonly position: number
  readonly size: number
}

/**
 * The whole batches of what a follower fetched, in order from `nextOffset` on; a cut last one is left out. Throws
 * `FollowerAppendError`. Checksums are looked at where the batches are copied to, which saves a copy.
 */
export function checkFollowed(records: Uint8Array, nextOffset: number, logName: string): BatchPlace[] {
  const batches: BatchPlace[] = []
  let expected = nextOffset
  let position = 0
  while (position < records.length) {
    const batch = wholeBatchAt(records, position, logName)
    if (batch === null) break
    // A compacted leader has gaps, but no leader goes back.
    if (batch.baseOffset < expected || batch.lastOffsetDelta < 0)
      throw new FollowerAppendError(`${logName}: offset ${batch.baseOffset} came where ${expected} was due`)
    expected = batch.nextOffset
    batches.push({ position, size: batch.sizeInBytes })
    position += batch.sizeInBytes
  }
  return batches
}

/**
 * Where the log must begin instead, if `records` begin with a batch that `offset` lies in, as a leader's do whose log start was moved into
 * a batch (DeleteRecords): batches are fetched whole. Null where they do not.
 */
export function batchStartAround(records: Uint8Array, offset: number, logName: string): number | null {
  const batch = wholeBatchAt(records, 0, logName)
  return batch !== null && batch.baseOffset < offset && batch.lastOffset >= offset ? batch.baseOffset : null
}

/** The batch at `position`; null when it is cut. */
function wholeBatchAt(records: Uint8Array, position: number, logName: string): RecordBatchView | null {
  if (position + BATCH_HEADER_BYTES > records.length) return null
  const batch = new RecordBatchView(records, position)
  const size = batch.sizeInBytes
  if (size < BATCH_HEADER_BYTES || batch.magic !== 2)
    throw new FollowerAppendError(`${logName}: what came at byte ${position} is no batch of format 2`)
  return position + size > records.length ? null : batch
}
