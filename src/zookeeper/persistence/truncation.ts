/**
 * Takes transactions back that no leader has: they were logged here and never committed. Source: FileTxnLog.truncate, where
 * snapshots that hold such transactions stay and bring them back at the next start; here they go, too.
 */
import { MalformedBytesError } from '#base'
import type { FileSystem, Platform } from '#platform'
import { hexLong } from '#zookeeper/protocol'

import { LogReader, zxidIn } from './log-reader.ts'
import { isEpochMark, listDated, type DatedFile } from './names.ts'
import { RecoveryError, TruncationError, type Folders } from './recovery.ts'
import { lastHeldBy } from './snapshot.ts'

/**
 * Resolves when the data ends with `zxid`, durably; then it must be recovered anew. No log may be open. Rejects with `TruncationError`,
 * before anything is changed, where that transaction is not here: what remained would not be what the leader thinks it is.
 */
export async function truncateData(platform: Platform, folders: Folders, zxid: bigint): Promise<void> {
  const { files } = platform
  const snapshots = listDated(files, folders.snapshots, 'snapshot')
  const [kept, gone] = [[], []] as [DatedFile[], DatedFile[]]
  for (const snapshot of snapshots) (lastHeldBy(files, snapshot) <= zxid ? kept : gone).push(snapshot)
  const base = kept.at(-1)
  if (base === undefined)
    throw new TruncationError(`transactions after ${hexLong(zxid)} are in every snapshot of ${folders.snapshots}`)
  const cut = findCut(files, listDated(files, folders.logs, 'log'), zxid)
  const endsThere = base.zxid === zxid || cut.last === zxid
  // The mark of an epoch is no transaction: then the transactions of earlier epochs remain, which all servers of this one share.
  if (!endsThere && !isEpochMark(zxid))
    throw new TruncationError(
      `transaction ${hexLong(zxid)}, after which the log is to be cut, is not in ${folders.logs}`,
    )
  for (const { path } of gone) files.remove(path)
  await files.syncDirectory(folders.snapshots)
  await removeLogsAfter(platform, folders, zxid)
}

/**
 * Cuts the logs after `zxid`. The newest file goes first, each durably, so that a crash in between leaves a log without a hole.
 */
export async function removeLogsAfter({ files }: Platform, folders: Folders, zxid: bigint): Promise<void> {
  const logs = listDated(files, folders.logs, 'log')
  for (const { path } of logs.filter((log) => log.zxid > zxid).reverse()) {
    files.remove(path)
    await files.syncDirectory(folders.logs)
  }
  const { log, position } = findCut(files, logs, zxid)
  if (log === null) return
  const file = files.open(log.path, 'write')
  try {
    file.truncate(position)
    await file.sync()
  } finally {
    file.close()
  }
}

/** The file that the cut is in (null: it lies before all of them), where, and the last transaction before it (null: none). */
function findCut(
  files: FileSystem,
  logs: readonly DatedFile[],
  zxid: bigint,
): { log: DatedFile | null; position: number; last: bigint | null } {
  const log = logs.findLast((each) => each.zxid <= zxid)
  if (log === undefined) return { log: null, position: 0, last: null }
  const file = files.open(log.path, 'read')
  try {
    const reader = new LogReader(file)
    let { position } = reader
    let last: bigint | null = null
    for (let bytes = reader.nextBytes(); bytes !== null && zxidIn(bytes) <= zxid; bytes = reader.nextBytes()) {
      position = reader.position
      last = zxidIn(bytes)
    }
    return { log, position, last }
  } catch (cause) {
    if (!(cause instanceof MalformedBytesError)) throw cause
    throw new RecoveryError(`${log.path} is damaged: ${cause.message}`, { cause })
  } finally {
    file.close()
  }
}
