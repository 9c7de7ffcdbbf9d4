export { RecordBatchView, batchesOf, entrySizeAt, sequenceAfter, type TimestampType } from './batch.ts'
export {
  RecordBatchBuilder,
  withProducer,
  type BatchOptions,
  type NewRecord,
  type PackedValues,
  type ProducerStamp,
} from './builder.ts'
export { Codec, codecName, isCodec, type CodecName } from './codec.ts'
export { compress, decompress } from './compression.ts'
export { endTransactionBatch, readControlRecord, type ControlRecordType, type EndTransactionMarker } from './control.ts'
export { DecompressedTooLargeError, RecordErrorCode } from './errors.ts'
export { BATCH_HEADER_BYTES, ENTRY_PREFIX_BYTES } from './layout.ts'
export { Record, RecordCursor, type RecordHeader } from './record.ts'
export { LegacyMessage, legacyMessagesOf } from './legacy.ts'
export {
  checkProducedRecords,
  decompressedBytesMax,
  validateBatch,
  type RecordError,
  type RefusedRecords,
  type ValidBatch,
  type Validation,
  type ValidationRules,
} from './validate.ts'
