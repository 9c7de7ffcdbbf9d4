/** The files of a data directory: `log.<zxid of the first transaction>` and `snapshot.<zxid of the last>`, in hex. */
import { joinPath, type FileSystem } from '#platform'
import { counterOf } from '#zookeeper/protocol'

export interface DatedFile {
  readonly path: string
  readonly zxid: bigint
}

export type FileKind = 'log' | 'snapshot'

/** ZooKeeper keeps its files in this folder of `dataDir` and `dataLogDir`. */
export const VERSION_FOLDER = 'version-2'

/** Zxids are signed in the tree and unsigned in names. */
export function fileName(kind: FileKind, zxid: bigint): string {
  return `${kind}.${BigInt.asUintN(64, zxid).toString(16)}`
}

/** Oldest first. */
export function listDated(files: FileSystem, folder: string, kind: FileKind): DatedFile[] {
  const found: DatedFile[] = []
  for (const name of files.list(folder)) {
    const match = /^(log|snapshot)\.([\da-f]{1,16})$/.exec(name)
    if (match?.[1] === kind)
      found.push({ path: joinPath(folder, name), zxid: BigInt.asIntN(64, BigInt(`0x${match[2]}`)) })
  }
  return found.sort((a, b) => (a.zxid < b.zxid ? -1 : a.zxid > b.zxid ? 1 : 0))
}

/** The newest file that begins at or before `zxid`, and all after it: where the transactions after `zxid` are. */
export function logsFrom(logs: readonly DatedFile[], zxid: bigint): DatedFile[] {
  const first = logs.findLastIndex((log) => log.zxid <= zxid)
  return logs.slice(Math.max(first, 0))
}

/** No transaction, but the beginning of an epoch: where a server stands that has followed its leader and seen none since. */
export function isEpochMark(zxid: bigint): boolean {
  return counterOf(zxid) === 0
}
