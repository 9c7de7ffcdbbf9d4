/** Walking through a segment's file: batch by batch, with as few reads as possible. */
import { MalformedBytesError } from '#base'
import type { File } from '#platform'
import { BATCH_HEADER_BYTES, RecordBatchView } from '#protocol/records'

/** A read for headers; small batches come many at a time. */
const HEADER_BLOCK_BYTES = 16 * 1024
const WHOLE_BLOCK_BYTES = 1024 * 1024
/** The only format that 3.9 writes; older ones need Kafka's own conversion. */
const MAGIC = 2
const OLD_MESSAGE_BYTES_MIN = 26

export interface ScannedBatch {
  /** A view that is valid until the next step. */
  readonly batch: RecordBatchView
  /** Where it begins in the file. */
  readonly position: number
}

/** Bytes that are no batch: a torn tail or damage. `position` is where the last good batch ended. */
export class CorruptSegmentError extends MalformedBytesError {
  override name = 'CorruptSegmentError'
  readonly position: number
  constructor(message: string, position: number) {
    super(message)
    this.position = position
  }
}

/** The headers of the batches from `start` on that lie whole before `end`. Sizes are checked, contents are not. */
export function* headersIn(file: File, start: number, end: number): Generator<ScannedBatch> {
  yield* scan(file, start, end, HEADER_BLOCK_BYTES, false)
}

/** The batches from `start` to `end`, whole and with a valid CRC; throws `CorruptSegmentError` at the first that is not. */
export function* batchesIn(file: File, start: number, end: number): Generator<ScannedBatch> {
  for (const scanned of scan(file, start, end, WHOLE_BLOCK_BYTES, true)) {
    if (!scanned.batch.hasValidCrc()) throw new CorruptSegmentError('CRC is wrong', scanned.position)
    yield scanned
  }
}

/** The whole batch at `position`. */
export function batchAt(file: File, position: number, end: number): RecordBatchView {
  for (const { batch } of scan(file, position, end, BATCH_HEADER_BYTES, true)) return batch
  throw new CorruptSegmentError('no batch', position)
}

function* scan(file: File, start: number, end: number, blockBytes: number, whole: boolean): Generator<ScannedBatch> {
  let block: Uint8Array = new Uint8Array(0)
  /** Where `block` begins in the file. */
  let blockAt = start
  let position = start
  while (position < end) {
    if (position + BATCH_HEADER_BYTES > end) throw new CorruptSegmentError('the last batch is cut', position)
    if (position + BATCH_HEADER_BYTES > blockAt + block.length) {
      block = readBlock(file, position, Math.min(end - position, blockBytes))
      blockAt = position
    }
    let batch = new RecordBatchView(block, position - blockAt)
    const size = checkedSize(batch, position)
    if (position + size > end) throw new CorruptSegmentError('the last batch is cut', position)
    if (whole && position + size > blockAt + block.length) {
      block = readBlock(file, position, Math.min(end - position, Math.max(blockBytes, size)))
      blockAt = position
      batch = new RecordBatchView(block, 0)
    }
    yield { batch, position }
    position += size
  }
}

function checkedSize(batch: RecordBatchView, position: number): number {
  const size = batch.sizeInBytes
  if (batch.magic !== MAGIC) {
    // A segment that begins with messages of an old format is whole; what looks like one further on is damage (zeros, for one).
    if (position === 0 && size >= OLD_MESSAGE_BYTES_MIN && batch.magic >= 0)
      throw new MalformedBytesError(`segments of message format ${batch.magic} are not supported`)
    throw new CorruptSegmentError(`magic ${batch.magic} is none`, position)
  }
  if (size < BATCH_HEADER_BYTES) throw new CorruptSegmentError(`a batch of ${size} bytes`, position)
  return size
}

function readBlock(file: File, position: number, length: number): Uint8Array {
  const block = new Uint8Array(length)
  const count = file.read(block, position)
  if (count < length) throw new CorruptSegmentError(`the file ends ${length - count} bytes early`, position)
  return block
}
