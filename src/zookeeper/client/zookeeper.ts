/**
 * What one can ask of ZooKeeper. `ZooKeeperClient` does it over a connection and fails with CONNECTIONLOSS when
 * that breaks; `RetryingZooKeeper` does the same and goes on after a reconnection.
 */
import { ZkErrorCode, zkErrorName, type Acl, type CreateMode, type Stat } from '#zookeeper/protocol'

/** The server refused, or the connection or session ended. */
export class ZkError extends Error {
  override name = 'ZkError'
  readonly code: ZkErrorCode
  readonly path: string

  constructor(code: number, path: string) {
    super(`${zkErrorName(code)} (${path})`)
    this.code = code as ZkErrorCode
    this.path = path
  }
}

/** A multi of which nothing was done, since one of its operations failed. `code` and `path` are that operation's. */
export class ZkMultiError extends ZkError {
  override name = 'ZkMultiError'
  /** Index of the operation that failed. */
  readonly index: number
  /** 0 for the operations before the failing one, its code, RUNTIMEINCONSISTENCY for those after it. */
  readonly codes: readonly ZkErrorCode[]

  constructor(codes: readonly ZkErrorCode[], index: number, path: string) {
    super(codes[index]!, path)
    this.codes = codes
    this.index = index
  }
}

export function isZkError(error: unknown, ...codes: readonly (keyof typeof ZkErrorCode)[]): error is ZkError {
  return error instanceof ZkError && (codes.length === 0 || codes.some((name) => ZkErrorCode[name] === error.code))
}

/** What a watch can tell of a znode, and that it was removed by its owner (`removeWatches`). */
export type WatchKind =
  | 'created'
  | 'deleted'
  | 'dataChanged'
  | 'childrenChanged'
  | 'dataWatchRemoved'
  | 'childWatchRemoved'
  | 'persistentWatchRemoved'

/** Something changed since it was read. To hear of the next change one must read again, unless the watch is a persistent one. */
export interface WatchEvent {
  readonly kind: WatchKind
  readonly path: string
  /** The transaction that it comes from. Only servers from 3.9 on tell. */
  readonly zxid?: bigint
}

/**
 * Called once, at most, unless given to `addWatch`. The same function given to several reads of one path is called once for all of them. When the session
 * ends it is dropped uncalled: who starts a new session reads again.
 */
export type Watcher = (event: WatchEvent) => void

export interface CreateOptions {
  /** `CreateMode.persistent` unless given. */
  mode?: CreateMode
  /** For the modes with TTL: how long, in ms, the znode lives unwritten and without children. Servers must have extended types enabled. */
  ttlMs?: number
  /** Open to everyone unless given. */
  acl?: readonly Acl[]
}

export interface Znode {
  /** Null and empty are different things to ZooKeeper. */
  readonly data: Uint8Array | null
  readonly stat: Stat
}

export interface ZnodeChildren {
  /** Names without the path, in no order. */
  readonly children: readonly string[]
  readonly stat: Stat
}

/** One step of a multi: all happen, or none. */
export type MultiStep =
  | ({ op: 'create'; path: string; data: Uint8Array | null } & CreateOptions)
  | { op: 'setData'; path: string; data: Uint8Array | null; version: number }
  | { op: 'delete'; path: string; version: number }
  | { op: 'check'; path: string; version: number }

/** `path` of a create (with its sequence number), `stat` of a setData. */
export interface MultiStepResult {
  readonly path?: string
  readonly stat?: Stat
}

export interface ReadStep {
  readonly op: 'getData' | 'getChildren'
  readonly path: string
}

export type ReadResult = Znode | { readonly children: readonly string[] } | ZkError

/** Members in the form of `server.N=…` lines, separated by commas: `3=host:2888:3888;2181`. */
export interface Reconfiguration {
  readonly joining?: string
  /** Ids, separated by commas. */
  readonly leaving?: string
  /** All members from now on, instead of `joining` and `leaving`. */
  readonly members?: string
  /** Done only if the present configuration has this version; any unless given. */
  readonly fromVersion?: bigint
}

/** Every version of −1 is any. All reject with `ZkError`. */
export interface ZooKeeper {
  /** The present session; 0 before the first. */
  readonly sessionId: bigint
  /** Returns the path, with the sequence number of a sequential znode. */
  create(path: string, data: Uint8Array | null, options?: CreateOptions): Promise<string>
  delete(path: string, version?: number): Promise<void>
  /** Null when there is none; a watcher then hears of its creation. */
  exists(path: string, watcher?: Watcher): Promise<Stat | null>
  getData(path: string, watcher?: Watcher): Promise<Znode>
  setData(path: string, data: Uint8Array | null, version?: number): Promise<Stat>
  getChildren(path: string, watcher?: Watcher): Promise<ZnodeChildren>
  getAcl(path: string): Promise<{ acl: Acl[]; stat: Stat }>
  /** `aclVersion` is compared with the znode's `aversion`. */
  setAcl(path: string, acl: readonly Acl[], aclVersion?: number): Promise<Stat>
  /** Rejects with `ZkMultiError`. */
  multi(steps: readonly MultiStep[]): Promise<MultiStepResult[]>
  /** Resolves when the connected server has caught up with all that was written before. */
  sync(path: string): Promise<void>
}

export const OPEN_ACL: readonly Acl[] = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]
