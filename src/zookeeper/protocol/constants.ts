/** Numbers of the protocol. Source: ZooDefs, KeeperException.Code, Watcher.Event, CreateMode. */

export const OpCode = {
  notification: 0,
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  getACL: 6,
  setACL: 7,
  getChildren: 8,
  sync: 9,
  ping: 11,
  getChildren2: 12,
  check: 13,
  multi: 14,
  create2: 15,
  reconfig: 16,
  checkWatches: 17,
  removeWatches: 18,
  createContainer: 19,
  deleteContainer: 20,
  createTTL: 21,
  multiRead: 22,
  auth: 100,
  setWatches: 101,
  sasl: 102,
  getEphemerals: 103,
  getAllChildrenNumber: 104,
  setWatches2: 105,
  addWatch: 106,
  whoAmI: 107,
  createSession: -10,
  closeSession: -11,
  error: -1,
} as const
export type OpCode = (typeof OpCode)[keyof typeof OpCode]

/** Xids that are no client's request number. */
export const ReservedXid = { notification: -1, ping: -2, auth: -4, setWatches: -8 } as const

export const ZkErrorCode = {
  OK: 0,
  SYSTEMERROR: -1,
  RUNTIMEINCONSISTENCY: -2,
  DATAINCONSISTENCY: -3,
  /** Never sent: what a client reports when its connection broke before the answer. */
  CONNECTIONLOSS: -4,
  MARSHALLINGERROR: -5,
  UNIMPLEMENTED: -6,
  OPERATIONTIMEOUT: -7,
  BADARGUMENTS: -8,
  UNKNOWNSESSION: -12,
  NEWCONFIGNOQUORUM: -13,
  RECONFIGINPROGRESS: -14,
  APIERROR: -100,
  NONODE: -101,
  NOAUTH: -102,
  BADVERSION: -103,
  NOCHILDRENFOREPHEMERALS: -108,
  NODEEXISTS: -110,
  NOTEMPTY: -111,
  SESSIONEXPIRED: -112,
  INVALIDCALLBACK: -113,
  INVALIDACL: -114,
  AUTHFAILED: -115,
  SESSIONMOVED: -118,
  NOTREADONLY: -119,
  EPHEMERALONLOCALSESSION: -120,
  NOWATCHER: -121,
  REQUESTTIMEOUT: -122,
  RECONFIGDISABLED: -123,
  SESSIONCLOSEDREQUIRESASLAUTH: -124,
  QUOTAEXCEEDED: -125,
  THROTTLEDOP: -127,
} as const
export type ZkErrorCode = (typeof ZkErrorCode)[keyof typeof ZkErrorCode]

const errorNames = new Map<number, string>(Object.entries(ZkErrorCode).map(([name, code]) => [code, name]))

/** `NONODE` for -101; the number itself for a code that 3.9 does not know. */
export function zkErrorName(code: number): string {
  return errorNames.get(code) ?? `error ${code}`
}

export const Perms = { READ: 1, WRITE: 2, CREATE: 4, DELETE: 8, ADMIN: 16, ALL: 31 } as const

/** The `flags` of a create request. */
export const CreateMode = {
  persistent: 0,
  ephemeral: 1,
  persistentSequential: 2,
  ephemeralSequential: 3,
  container: 4,
  persistentTtl: 5,
  persistentSequentialTtl: 6,
} as const
export type CreateMode = (typeof CreateMode)[keyof typeof CreateMode]

export const WatchEventType = {
  none: -1,
  nodeCreated: 1,
  nodeDeleted: 2,
  nodeDataChanged: 3,
  nodeChildrenChanged: 4,
  dataWatchRemoved: 5,
  childWatchRemoved: 6,
  persistentWatchRemoved: 7,
} as const
export type WatchEventType = (typeof WatchEventType)[keyof typeof WatchEventType]

/** Only `syncConnected` is ever on the wire; clients make up the others. */
export const KeeperState = {
  disconnected: 0,
  syncConnected: 3,
  authFailed: 4,
  connectedReadOnly: 5,
  saslAuthenticated: 6,
  closed: 7,
  expired: -112,
} as const
export type KeeperState = (typeof KeeperState)[keyof typeof KeeperState]

/** The `type` of checkWatches and removeWatches. */
export const WatcherType = { children: 1, data: 2, any: 3, persistent: 4, persistentRecursive: 5 } as const
export type WatcherType = (typeof WatcherType)[keyof typeof WatcherType]

/** The `mode` of addWatch. */
export const AddWatchMode = { persistent: 0, persistentRecursive: 1 } as const

/** `jute.maxbuffer` unless configured: the largest frame that a client may send, in bytes. */
export const JUTE_MAXBUFFER_DEFAULT = 0xfffff
