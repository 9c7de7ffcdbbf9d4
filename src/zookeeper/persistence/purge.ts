/** Removes what no recovery needs: all but the newest snapshots, and the logs that end before them. Source: PurgeTxnLog. */
import type { FileSystem } from '#platform'

import { listDated, logsFrom } from './names.ts'
import type { Folders } from './recovery.ts'

/** Fewer would leave nothing to fall back on. */
export const SNAPSHOTS_RETAINED_MIN = 3

/** Only snapshots under their final name count: those are whole (ZOOKEEPER-3231). Returns the paths removed. */
export function purge(files: FileSystem, folders: Folders, snapshotsRetained: number): string[] {
  const snapshots = listDated(files, folders.snapshots, 'snapshot')
  const retained = snapshots.slice(-Math.max(snapshotsRetained, SNAPSHOTS_RETAINED_MIN))
  const oldest = retained[0]
  if (oldest === undefined) return []
  const logs = listDated(files, folders.logs, 'log')
  const needed = new Set(logsFrom(logs, oldest.zxid))
  const superfluous = [
    ...snapshots.filter((snapshot) => snapshot.zxid < oldest.zxid),
    ...logs.filter((log) => !needed.has(log)),
  ]
  for (const { path } of superfluous) files.remove(path)
  return superfluous.map(({ path }) => path)
}
