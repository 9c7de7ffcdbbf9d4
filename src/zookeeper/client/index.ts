export {
  CreateMode,
  Perms,
  WatcherType,
  ZkErrorCode,
  pathFault,
  zkErrorName,
  type Acl,
  type ClientInfo,
  type Stat,
} from '#zookeeper/protocol'
export { ZooKeeperClient } from './client.ts'
export { parseConnectString, type ConnectString, type ZooKeeperAddress } from './connect-string.ts'
export { RetryingZooKeeper, type ConditionalUpdate, type ReconnectingZooKeeper, type SessionEvent } from './retrying.ts'
export type { SaslLogin } from './sasl-login.ts'
export type { Identity, SessionState, ZooKeeperOptions } from './session.ts'
export {
  OPEN_ACL,
  ZkError,
  ZkMultiError,
  isZkError,
  type CreateOptions,
  type MultiStep,
  type MultiStepResult,
  type ReadResult,
  type ReadStep,
  type Reconfiguration,
  type WatchEvent,
  type WatchKind,
  type Watcher,
  type Znode,
  type ZnodeChildren,
  type ZooKeeper,
} from './zookeeper.ts'
