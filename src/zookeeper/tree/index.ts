export {
  AclCache,
  DEFAULT_ACL_RULES,
  OPEN_ACL,
  digestIdOf,
  isDigestAlgorithm,
  permits,
  withoutHashes,
  type AclRules,
  type SharedAcl,
} from './acl.ts'
export { Decider, type DeciderOptions, type Moment, type Write, type WriteBody } from './decide.ts'
export type { FrozenTree } from './frozen.ts'
export { LIMITS_NAME, QuotaText, STATS_NAME, type QuotaExceeded } from './quotas.ts'
export { SessionIds, SessionTracker, isPasswordOf, passwordOf } from './sessions.ts'
export { QUOTA_PATH, ZnodeTree, type Applied, type TreeOptions } from './tree.ts'
export { Watches, type WatchEvent, type Watcher } from './watches.ts'
export { DIGEST_UNKNOWN, DIGEST_VERSION, emptyZnode, ttlOf, type Znode } from './znode.ts'
