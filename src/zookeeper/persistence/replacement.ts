/**
 * All data gives way to a leader's snapshot. Whatever crash comes in between, recovery finds either the old data or the new, and
 * never the new tree with transactions of the old log on top, or the old tree with a hole before the new log (ZOOKEEPER-3642, 2872):
 *
 *  1. Old transactions beyond the snapshot go. None of them was committed, or the leader would have it.
 *  2. The mark `replacing.<zxid>` is made durable.
 *  3. The snapshot gets its name, durably. Up to here the old data counts, from here on the new.
 *  4. Old logs and snapshots go, then the mark.
 *
 * A start that finds the mark does step 4 again if the snapshot is there, and otherwise removes the mark.
 */
import { joinPath, type Platform } from '#platform'
import type { ZnodeTree } from '#zookeeper/tree'

import { fileName, listDated } from './names.ts'
import type { Folders } from './recovery.ts'
import { writeSnapshot } from './snapshot.ts'
import { removeLogsAfter } from './truncation.ts'

const MARK = /^replacing\.([\da-f]{1,16})$/

/** Resolves when only `tree` is there, durably. No log may be open. Once it has rejected, the folders must be recovered. */
export async function replaceData(platform: Platform, folders: Folders, tree: ZnodeTree): Promise<void> {
  const zxid = tree.lastZxid
  await removeLogsAfter(platform, folders, zxid)
  const mark = joinPath(folders.snapshots, `replacing.${BigInt.asUintN(64, zxid).toString(16)}`)
  platform.files.open(mark, 'write').close()
  await platform.files.syncDirectory(folders.snapshots)
  const frozen = tree.freeze()
  try {
    await writeSnapshot(platform, folders.snapshots, frozen)
  } finally {
    tree.thaw(frozen)
  }
  await finishReplacement(platform, folders)
}

/** Step 4, where it is due. */
export async function finishReplacement({ files }: Platform, folders: Folders): Promise<void> {
  for (const name of files.list(folders.snapshots)) {
    const zxid = MARK.exec(name)?.[1]
    if (zxid === undefined) continue
    const snapshot = fileName('snapshot', BigInt(`0x${zxid}`))
    if (files.exists(joinPath(folders.snapshots, snapshot))) {
      for (const { path } of listDated(files, folders.logs, 'log')) files.remove(path)
      await files.syncDirectory(folders.logs)
      for (const { path } of listDated(files, folders.snapshots, 'snapshot'))
        if (path !== joinPath(folders.snapshots, snapshot)) files.remove(path)
      await files.syncDirectory(folders.snapshots)
    }
    files.remove(joinPath(folders.snapshots, name))
    await files.syncDirectory(folders.snapshots)
  }
}
