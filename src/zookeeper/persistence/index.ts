export { CommittedLog } from './committed-log.ts'
export { EpochFiles, readMyId } from './epochs.ts'
export { logAfter } from './log-range.ts'
export { LogReader } from './log-reader.ts'
export { VERSION_FOLDER, fileName, listDated, type DatedFile, type FileKind } from './names.ts'
export { purge, SNAPSHOTS_RETAINED_MIN } from './purge.ts'
export {
  RecoveryError,
  TruncationError,
  recover,
  type Folders,
  type OnReplayed,
  type Recovered,
  type RecoveryOptions,
} from './recovery.ts'
export { replaceData } from './replacement.ts'
export { readSnapshot, writeSnapshot } from './snapshot.ts'
export { receiveSnapshot, sendSnapshot, type ByteSource } from './snapshot-stream.ts'
export { truncateData } from './truncation.ts'
export { TxnLog, type TxnLogEvents, type TxnLogOptions } from './txn-log.ts'
