/** Znodes, ACLs, events and errors as Apache's zkCli prints them, and as JSON. Pure. */
import {
  Perms,
  ZkErrorCode,
  pathFault,
  zkErrorName,
  type Acl,
  type Stat,
  type WatchEvent,
  type WatchKind,
  type ZkError,
} from '#zookeeper/client'

import { UserError } from '../user-error.ts'

export function formatStat(stat: Stat): string {
  return [
    `cZxid = ${hex(stat.czxid)}`,
    `ctime = ${formatTime(stat.ctime)}`,
    `mZxid = ${hex(stat.mzxid)}`,
    `mtime = ${formatTime(stat.mtime)}`,
    `pZxid = ${hex(stat.pzxid)}`,
    `cversion = ${stat.cversion}`,
    `dataVersion = ${stat.version}`,
    `aclVersion = ${stat.aversion}`,
    `ephemeralOwner = ${hex(stat.ephemeralOwner)}`,
    `dataLength = ${stat.dataLength}`,
    `numChildren = ${stat.numChildren}`,
  ].join('\n')
}

/** Numbers of 64 bits as text, in the form that people see everywhere else; times in UTC. */
export function statJson(stat: Stat): Record<string, unknown> {
  return {
    czxid: hex(stat.czxid),
    mzxid: hex(stat.mzxid),
    pzxid: hex(stat.pzxid),
    ctime: new Date(stat.ctime).toISOString(),
    mtime: new Date(stat.mtime).toISOString(),
    dataVersion: stat.version,
    cversion: stat.cversion,
    aclVersion: stat.aversion,
    ephemeralOwner: stat.ephemeralOwner === 0n ? null : hex(stat.ephemeralOwner),
    dataLength: stat.dataLength,
    numChildren: stat.numChildren,
  }
}

/** Text where the data is UTF-8, base64 where it is not. */
export function dataJson(data: Uint8Array | null): { data: string | null; encoding?: 'base64' } {
  if (data === null) return { data: null }
  try {
    return { data: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data) }
  } catch {
    return { data: Buffer.from(data).toString('base64'), encoding: 'base64' }
  }
}

/** Unsigned, as Java's `Long.toHexString`. */
export function hex(value: bigint): string {
  return `0x${BigInt.asUintN(64, value).toString(16)}`
}

const TIME_PARTS = new Intl.DateTimeFormat('en-US', {
  weekday: 'short',
  month: 'short',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
  timeZoneName: 'short',
  year: 'numeric',
})

/** `Tue Nov 24 20:14:03 UTC 2026`, in the zone of this machine: Java's `Date.toString`. */
function formatTime(ms: number): string {
  const parts: Record<string, string> = {}
  for (const { type, value } of TIME_PARTS.formatToParts(ms)) parts[type] = value
  const clock = `${parts['hour']}:${parts['minute']}:${parts['second']}`
  return `${parts['weekday']} ${parts['month']} ${parts['day']} ${clock} ${parts['timeZoneName']} ${parts['year']}`
}

/** In the order in which zkCli writes them. */
const PERMISSIONS = [
  ['c', Perms.CREATE],
  ['d', Perms.DELETE],
  ['r', Perms.READ],
  ['w', Perms.WRITE],
  ['a', Perms.ADMIN],
] as const

export function formatPermissions(perms: number): string {
  return PERMISSIONS.flatMap(([letter, bit]) => ((perms & bit) === 0 ? [] : [letter])).join('')
}

/** Two lines, for that is how Apache's prints an id. */
export function formatAcl({ perms, id }: Acl): string {
  return `'${id.scheme},'${id.id}\n: ${formatPermissions(perms)}`
}

/** `scheme:id:permissions`, several with commas between them. The id may contain colons. Throws `UserError`. */
export function parseAcls(text: string): Acl[] {
  return text.split(',').map((part) => {
    const match = /^(?<scheme>[^:]+):(?<id>.*):(?<letters>[crwda]*)$/.exec(part)
    if (match === null)
      throw new UserError(`"${part}" is no ACL: write scheme:id:permissions, as in world:anyone:cdrwa`)
    const { scheme, id, letters } = match.groups as { scheme: string; id: string; letters: string }
    const bits = PERMISSIONS.map(([letter, bit]) => (letters.includes(letter) ? bit : 0))
    return { perms: bits.reduce<number>((all, bit) => all | bit, 0), id: { scheme, id } }
  })
}

/** Throws `UserError` for what is no path. A sequential znode may be asked for with a slash at the end. */
export function checkedPath(path: string, isSequential = false): string {
  const fault = pathFault(isSequential ? `${path}0` : path)
  if (fault !== null) throw new UserError(`"${path}" is no path: ${fault}`)
  return path
}

const TYPE_OF_KIND: Readonly<Record<WatchKind, string>> = {
  created: 'NodeCreated',
  deleted: 'NodeDeleted',
  dataChanged: 'NodeDataChanged',
  childrenChanged: 'NodeChildrenChanged',
  dataWatchRemoved: 'DataWatchRemoved',
  childWatchRemoved: 'ChildWatchRemoved',
  persistentWatchRemoved: 'PersistentWatchRemoved',
}

export function formatEvent({ kind, path, zxid }: WatchEvent): string {
  return eventLines('SyncConnected', TYPE_OF_KIND[kind], path, zxid)
}

export function formatSessionEvent(state: string): string {
  return eventLines(state, 'None', null)
}

function eventLines(state: string, type: string, path: string | null, zxid = -1n): string {
  return `\nWATCHER::\n\nWatchedEvent state:${state} type:${type} path:${path} zxid: ${zxid}`
}

export function eventJson({ kind, path, zxid }: WatchEvent): Record<string, unknown> {
  return { event: kind, path, ...(zxid !== undefined && { zxid: hex(zxid) }) }
}

/** For codes of which zkCli speaks in plain words. */
const PLAIN_ERRORS: Partial<Record<ZkErrorCode, string>> = {
  [ZkErrorCode.NONODE]: 'Node does not exist: ',
  [ZkErrorCode.NOCHILDRENFOREPHEMERALS]: 'Ephemerals cannot have children: ',
  [ZkErrorCode.NODEEXISTS]: 'Node already exists: ',
  [ZkErrorCode.NOTEMPTY]: 'Node not empty: ',
  [ZkErrorCode.NOTREADONLY]: 'Not a read-only call: ',
  [ZkErrorCode.INVALIDACL]: 'Acl is not valid : ',
  [ZkErrorCode.NOAUTH]: 'Insufficient permission : ',
  [ZkErrorCode.BADARGUMENTS]: 'Arguments are not valid : ',
  [ZkErrorCode.BADVERSION]: 'version No is not valid : ',
  [ZkErrorCode.QUOTAEXCEEDED]: 'Quota has exceeded : ',
}

/** Names of Java's `KeeperException.Code` where they are not made of ours. */
const ERROR_NAMES: Partial<Record<ZkErrorCode, string>> = {
  [ZkErrorCode.CONNECTIONLOSS]: 'ConnectionLoss',
  [ZkErrorCode.OPERATIONTIMEOUT]: 'OperationTimeout',
  [ZkErrorCode.UNIMPLEMENTED]: 'Unimplemented',
  [ZkErrorCode.AUTHFAILED]: 'AuthFailed',
  [ZkErrorCode.SESSIONEXPIRED]: 'Session expired',
  [ZkErrorCode.SESSIONMOVED]: 'Session moved',
  [ZkErrorCode.NOWATCHER]: 'No such watcher',
  [ZkErrorCode.RECONFIGDISABLED]: 'Reconfig is disabled',
  [ZkErrorCode.RECONFIGINPROGRESS]: 'ReconfigInProgress',
  [ZkErrorCode.NEWCONFIGNOQUORUM]: 'NewConfigNoQuorum',
  [ZkErrorCode.SESSIONCLOSEDREQUIRESASLAUTH]: 'Session closed because client failed to authenticate',
  [ZkErrorCode.THROTTLEDOP]: 'Op throttled due to high load',
}

export function formatError({ code, path }: ZkError): string {
  const plain = PLAIN_ERRORS[code]
  if (plain !== undefined) return plain + path
  return `KeeperErrorCode = ${ERROR_NAMES[code] ?? zkErrorName(code)} for ${path}`
}

const DUMP_HEADER = `         +-------------------------------------------------+
         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |
+--------+-------------------------------------------------+----------------+`
const DUMP_FOOTER = '+--------+-------------------------------------------------+----------------+'

/** As Netty draws it; nothing for no bytes. */
export function hexDump(bytes: Uint8Array): string {
  if (bytes.length === 0) return ''
  const rows: string[] = []
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)]
    const digits = row.map((byte) => ` ${byte.toString(16).padStart(2, '0')}`).join('')
    const text = row.map((byte) => (byte > 0x1f && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
    rows.push(`|${at.toString(16).padStart(8, '0')}|${digits.padEnd(48)} |${text.padEnd(16)}|`)
  }
  return [DUMP_HEADER, ...rows, DUMP_FOOTER].join('\n')
}
