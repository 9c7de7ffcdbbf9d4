/**
 * What a server finds when it starts: the newest snapshot that is whole, and the transactions after it.
 *
 * A crash may have torn the end of the newest log: it is cut there, since nothing behind was acknowledged.
 * Damage anywhere else is not a crash's doing, and the server refuses to start rather than forget what it promised.
 * Source: FileTxnSnapLog.restore, with the traps of ZOOKEEPER-2325, 3056, 3644.
 */
import { MalformedBytesError } from '#base'
import { joinPath, makeDirectoryDurably, type File, type Platform } from '#platform'
import { type TxnDigest, follows, hexLong } from '#zookeeper/protocol'
import { DIGEST_VERSION, ZnodeTree, type TreeOptions } from '#zookeeper/tree'

import { LogReader } from './log-reader.ts'
import { listDated, logsFrom, type DatedFile } from './names.ts'
import { finishReplacement } from './replacement.ts'
import { readSnapshot, writeSnapshot } from './snapshot.ts'

/** Snapshots that are tried, newest first. */
const SNAPSHOTS_TRIED_MAX = 100

export interface Folders {
  /** `dataDir/version-2`: snapshots. */
  readonly snapshots: string
  /** `dataLogDir/version-2`: transaction logs. */
  readonly logs: string
}

export interface RecoveryOptions extends TreeOptions {
  /** Logs without any snapshot are taken as complete (`snapshot.trust.empty`), as an upgrade from 3.4 needs it. */
  trustEmptySnapshot: boolean
}

/** Hears of each transaction that is replayed; `bytes` are its own. */
export type OnReplayed = (zxid: bigint, bytes: Uint8Array) => void

export interface Recovered {
  readonly tree: ZnodeTree
  /** The snapshot that it came from. */
  readonly snapshotZxid: bigint
  /** Transactions replayed after it. */
  readonly replayed: number
  /** How long reading the snapshot took, and replaying; ms. */
  readonly tookMs: { readonly snapshot: number; readonly replay: number }
}

/** The data directory cannot be used as it is; the message says what to do. */
export class RecoveryError extends Error {
  override name = 'RecoveryError'
}

/** The data cannot be made to end where a leader wants it to, and is as it was. */
export class TruncationError extends RecoveryError {
  override name = 'TruncationError'
}

export async function recover(
  platform: Platform,
  folders: Folders,
  options: RecoveryOptions,
  onReplayed: OnReplayed = () => {},
): Promise<Recovered> {
  makeDirectoryDurably(platform.files, folders.snapshots)
  makeDirectoryDurably(platform.files, folders.logs)
  removeUnfinished(platform, folders.snapshots)
  await finishReplacement(platform, folders)
  const startMs = platform.clock.monotonic()
  const logs = listDated(platform.files, folders.logs, 'log')
  const loaded = newestWhole(platform, folders.snapshots, options)
  const tree = loaded ?? (await firstTree(platform, folders, logs, options))
  const snapshotZxid = tree.lastZxid
  const loadedMs = platform.clock.monotonic()
  const replayed = await replay(platform, logsFrom(logs, snapshotZxid), tree, onReplayed)
  const tookMs = { snapshot: loadedMs - startMs, replay: platform.clock.monotonic() - loadedMs }
  await platform.files.syncDirectory(folders.logs)
  await platform.files.syncDirectory(folders.snapshots)
  return { tree, snapshotZxid, replayed, tookMs }
}

/** Snapshots that a crash interrupted. */
function removeUnfinished(platform: Platform, folder: string): void {
  for (const name of platform.files.list(folder))
    if (/^snapshot\.[\da-f]+\.tmp$/.test(name)) platform.files.remove(joinPath(folder, name))
}

function newestWhole(platform: Platform, folder: string, options: TreeOptions): ZnodeTree | null {
  const snapshots = listDated(platform.files, folder, 'snapshot')
  for (const snapshot of snapshots.slice(-SNAPSHOTS_TRIED_MAX).reverse()) {
    try {
      return readSnapshot(platform, snapshot, options)
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error
      platform.logger.warn(`${snapshot.path} is passed over: ${error.message}`)
    }
  }
  if (snapshots.length > 0)
    throw new RecoveryError(`none of the snapshots in ${folder} is whole: restore one from a backup`)
  return null
}

/** As ZooKeeper does, a new server leaves a snapshot at once: from then on logs without a snapshot mean a loss. */
async function firstTree(
  platform: Platform,
  { snapshots, logs: folder }: Folders,
  logs: readonly DatedFile[],
  options: RecoveryOptions,
): Promise<ZnodeTree> {
  const tree = ZnodeTree.fresh(options)
  if (logs.length > 0) {
    if (options.trustEmptySnapshot) return tree
    throw new RecoveryError(
      `${folder} holds transaction logs, but ${snapshots} no snapshot: something was lost. ` +
        'If the logs are complete (an upgrade from 3.4), start once with snapshot.trust.empty=true',
    )
  }
  const frozen = tree.freeze()
  await writeSnapshot(platform, snapshots, frozen)
  tree.thaw(frozen)
  return tree
}

async function replay(
  platform: Platform,
  logs: readonly DatedFile[],
  tree: ZnodeTree,
  onReplayed: OnReplayed,
): Promise<number> {
  let replayed = 0
  // In between, a snapshot taken on the fly (Apache's) holds more than its transactions so far: only the end counts.
  let lastDigest: TxnDigest | null = null
  for (const [index, log] of logs.entries()) {
    const isNewest = index === logs.length - 1
    const file = platform.files.open(log.path, isNewest ? 'write' : 'read')
    try {
      const reader = readerOf(log, file)
      for (let logged = reader.next(); logged !== null; logged = reader.next()) {
        const { zxid } = logged.header
        if (zxid <= tree.lastZxid) continue
        if (!follows(zxid, tree.lastZxid)) throw gap(log, tree.lastZxid, zxid)
        tree.apply({ ...logged, digest: null })
        onReplayed(zxid, reader.lastBytes)
        lastDigest = logged.digest
        replayed++
      }
      if (reader.damage !== null) judgeDamage(platform, log, reader, tree.lastZxid, logs[index + 1])
      if (isNewest) {
        if (reader.damage !== null) file.truncate(reader.position)
        // What a crashed process had written and not synced was read here, and is about to be shown to clients.
        await file.sync()
      }
    } finally {
      file.close()
    }
  }
  if (lastDigest?.version === DIGEST_VERSION && lastDigest.treeDigest !== tree.digest)
    platform.logger.warn(`after ${hexLong(tree.lastZxid)} the tree is not the one that the log was written for`)
  return replayed
}

/** Every transaction has the next number of its epoch, refused ones too: where some are missing, something was lost. */
function gap(log: DatedFile, last: bigint, next: bigint): RecoveryError {
  return new RecoveryError(
    `${log.path} goes on with transaction ${hexLong(next)} after ${hexLong(last)}: those in between are missing. ` +
      'Restore the files from a backup, or remove the data of this server and let it take the data of its ensemble',
  )
}

function readerOf(log: DatedFile, file: File): LogReader {
  try {
    return new LogReader(file)
  } catch (cause) {
    if (!(cause instanceof MalformedBytesError)) throw cause
    throw new RecoveryError(`${log.path} is damaged: ${cause.message}. Restore the file from a backup`, { cause })
  }
}

/** An older log may be torn where an earlier crash tore it: then the next one goes on exactly there. */
function judgeDamage(
  platform: Platform,
  log: DatedFile,
  reader: LogReader,
  lastZxid: bigint,
  next: DatedFile | undefined,
): void {
  if (next === undefined) {
    platform.logger.warn(
      `${log.path} is cut at byte ${reader.position}, after transaction ${hexLong(lastZxid)}: ${reader.damage}`,
    )
    return
  }
  if (follows(next.zxid, lastZxid)) return
  throw new RecoveryError(
    `${log.path} is damaged at byte ${reader.position}, after transaction ${hexLong(lastZxid)} (${reader.damage}), ` +
      `and ${next.path} does not go on there: transactions are missing. Restore the file from a backup`,
  )
}
