/** What the log on disk has after a transaction, for a learner that the committed log does not reach. Source: ZKDatabase.getProposalsFromTxnLog. */
import type { FileSystem } from '#platform'
import { follows, type LoggedBytes } from '#zookeeper/protocol'

import { LogReader, zxidIn } from './log-reader.ts'
import { listDated, logsFrom, type DatedFile } from './names.ts'

/**
 * Transactions after `zxid` up to `last`, or as far as the log goes. null where the log does not hold `zxid` itself, has more than `bytesMax` from there on, or
 * has a hole (after a leader's snapshot, or where a crash took what only a snapshot had).
 */
export function logAfter(
  files: FileSystem,
  folder: string,
  zxid: bigint,
  last: bigint,
  bytesMax: number,
): readonly LoggedBytes[] | null {
  const found: LoggedBytes[] = []
  let size = 0
  let previous: bigint | null = null
  for (const entry of entriesFrom(files, logsFrom(listDated(files, folder, 'log'), zxid), zxid)) {
    if (entry.zxid > last) break
    if (previous === null ? entry.zxid !== zxid : !follows(entry.zxid, previous)) return null
    if (previous !== null) {
      found.push(entry)
      size += entry.bytes.length
    }
    if (size > bytesMax) return null
    previous = entry.zxid
  }
  return previous === null ? null : found
}

/** A torn end ends the file: whether the next one goes on there is the caller's to see. */
function* entriesFrom(files: FileSystem, logs: readonly DatedFile[], zxid: bigint): Generator<LoggedBytes> {
  for (const { path } of logs) {
    const file = files.open(path, 'read')
    try {
      const reader = new LogReader(file)
      reader.seek(zxid)
      for (let bytes = reader.nextBytes(); bytes !== null; bytes = reader.nextBytes())
        yield { zxid: zxidIn(bytes), bytes }
    } finally {
      file.close()
    }
  }
}
