export {
  AddWatchMode,
  CreateMode,
  JUTE_MAXBUFFER_DEFAULT,
  KeeperState,
  OpCode,
  Perms,
  ReservedXid,
  WatchEventType,
  WatcherType,
  ZkErrorCode,
  zkErrorName,
} from './constants.ts'
export { buffer, int, long, nothing, record, time, ustring, vector, type Codec, type RecordCodec } from './jute.ts'
export {
  MultiReadRequest,
  MultiRequest,
  MultiResponse,
  type MultiOp,
  type MultiReadOp,
  type MultiResult,
} from './multi.ts'
export { operations, type Operation, type OperationName, type RequestOf, type ResponseOf } from './operations.ts'
export { pathFault } from './paths.ts'
export {
  Acl,
  ClientInfo,
  ConnectRequest,
  ConnectResponse,
  Id,
  MultiHeader,
  PASSWORD_BYTES,
  ReplyHeader,
  RequestHeader,
  Stat,
  StatPersisted,
  WatcherEvent,
} from './records.ts'
export * from './requests.ts'
export {
  LoggedTxn,
  TxnDigest,
  TxnHeader,
  readTxn,
  writeTxn,
  type LoggedBytes,
  type SimpleTxn,
  type Txn,
} from './transactions.ts'
export { counterOf, epochOf, follows, hexLong, zxidOf } from './zxid.ts'
