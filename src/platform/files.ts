/**
 * Files, as a port. Paths are absolute or relative with `/` between their parts.
 *
 * What is `sync` here may block the loop for microseconds and is meant for the hot path (appends, reads at
 * the tail); what returns a promise goes to the pool. Failures are `FileError`s.
 */
export interface FileSystem {
  /** `read`: must exist. `write`: read and write, created when missing. `truncate`: as `write`, emptied. */
  open(path: string, mode: 'read' | 'write' | 'truncate'): File
  exists(path: string): boolean
  stat(path: string): FileStat
  /** Names in a directory, sorted. */
  list(path: string): string[]
  /** Creates the directory and its missing parents. */
  makeDirectory(path: string): void
  /** Atomic; replaces what is at `to`. Durable only after `syncDirectory` of the parent. */
  rename(from: string, to: string): void
  /** Removes a file; missing is fine. */
  remove(path: string): void
  /** Removes a directory with all that is in it; missing is fine. */
  removeTree(path: string): Promise<void>
  readFile(path: string): Uint8Array
  /** Makes names in this directory (created, renamed, removed) survive a power failure. */
  syncDirectory(path: string): Promise<void>
  /** As `syncDirectory`, blocking: for start and stop. */
  syncDirectoryNow(path: string): void
  /** Takes an exclusive lock that dies with the process. Throws `FileError` with code `EWOULDBLOCK` when another process holds it. */
  lock(path: string): FileLock
}

export interface FileStat {
  kind: 'file' | 'directory' | 'other'
  size: number
  /** Time of last modification, in ms since the epoch. */
  modifiedMs: number
}

export interface FileLock {
  release(): void
}

export interface File {
  readonly path: string
  size(): number
  /** Reads at `position` until `into` is full or the file ends; returns how many bytes it read. */
  read(into: Uint8Array, position: number): number
  /**
   * As `read`, for what is far behind the tail or over 1 MiB: in the pool, but at once while the device answers such reads as fast as
   * memory does.
   */
  readBehind(into: Uint8Array, position: number): number | Promise<number>
  /**
   * Writes all chunks at `position`, gathered, and returns once the file has them: at once as a rule, or a
   * promise while the directory is slow. A short write is a `FileError` (`ENOSPC`): what was written stays, and the owner truncates.
   */
  write(chunks: readonly Uint8Array[], position: number): void | Promise<void>
  /** Resolves when everything written before the call is on stable storage (fdatasync, in the pool). */
  sync(): Promise<void>
  /** As `sync`, blocking: for start and stop. */
  syncNow(): void
  truncate(size: number): void
  close(): void
}

/** What the machine did to us, with the system's code (`ENOENT`, `EIO`, `ENOSPC`, `EEXIST`, …). */
export class FileError extends Error {
  override name = 'FileError'
  readonly code: string
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * Replaces the content of `path` so that a crash or power failure at any moment leaves either the old or the
 * new content: write aside, sync, rename, sync the directory.
 */
export async function replaceFile(files: FileSystem, path: string, content: Uint8Array): Promise<void> {
  const file = files.open(`${path}.tmp`, 'truncate')
  try {
    await file.write([content], 0)
    await file.sync()
  } finally {
    file.close()
  }
  files.rename(`${path}.tmp`, path)
  await files.syncDirectory(parentOf(path))
}

/**
 * Makes the directory with its parents, so that their names survive a power failure; for starts. One that is there already
 * may have been made by a life that died before it synced.
 */
export function makeDirectoryDurably(files: FileSystem, path: string): void {
  const parent = parentOf(path)
  if (!files.exists(path)) {
    if (parent !== path) makeDirectoryDurably(files, parent)
    files.makeDirectory(path)
  }
  files.syncDirectoryNow(parent)
}

export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '.' : slash === 0 ? '/' : path.slice(0, slash)
}

export function joinPath(...parts: string[]): string {
  return parts
    .filter((part) => part !== '')
    .join('/')
    .replace(/\/{2,}/g, '/')
}
