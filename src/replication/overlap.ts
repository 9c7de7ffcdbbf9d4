import { BATCH_HEADER_BYTES, RecordBatchView } from '#protocol/records'

/**
 * Where the leader's log leaves ours within one epoch, judged by a first batch that our end lies inside of; null where it does not.
 *
 * A leader that lost what was not synced (a power failure) and comes back before anybody noticed leads on in the same epoch, so
 * epochs do not tell that its log has left ours; its batches may. Offsets lie outside of a batch's CRC, so a batch that is
 * damaged anyhow says nothing.
 */
export function overlapStart(records: Uint8Array, logEndOffset: number): number | null {
  if (records.length < BATCH_HEADER_BYTES) return null
  const batch = new RecordBatchView(records, 0)
  if (batch.sizeInBytes > records.length || batch.baseOffset >= logEndOffset || batch.lastOffset < logEndOffset)
    return null
  return batch.hasValidCrc() ? batch.baseOffset : null
}
