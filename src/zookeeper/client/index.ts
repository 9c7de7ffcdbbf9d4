export { CreateMode, Perms, ZkErrorCode, type Acl, type Stat } from '#zookeeper/protocol'
export { ZooKeeperClient, type ZooKeeperOptions } from './client.ts'
export { parseConnectString, type ConnectString, type ZooKeeperAddress } from './connect-string.ts'
export { RetryingZooKeeper, type ConditionalUpdate, type ReconnectingZooKeeper, type SessionEvent } from './retrying.ts'
export {
  OPEN_ACL,
  ZkError,
  ZkMultiError,
  isZkError,
  type CreateOptions,
  type MultiStep,
  type MultiStepResult,
  type WatchEvent,
  type WatchKind,
  type Watcher,
  type Znode,
  type ZnodeChildren,
  type ZooKeeper,
} from './zookeeper.ts'
