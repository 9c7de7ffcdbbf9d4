import { parentOf, type FileSystem } from '#platform'

/**
 * Replaces a small file. The new content stands under its name when the call returns (or, while the disk is slow, a
 * little later), so that a crash of the process keeps it; the promise resolves when a power failure would keep it too.
 */
export async function writeWhole(files: FileSystem, path: string, content: Uint8Array): Promise<void> {
  const replaced = replace(files, path, content)
  if (replaced !== undefined) await replaced
  await syncWhole(files, path)
}

/** As `writeWhole`, but a power failure may leave the old content, none, or a part. */
export function writeWholeUnsynced(files: FileSystem, path: string, content: Uint8Array): void | Promise<void> {
  return replace(files, path, content)
}

async function syncWhole(files: FileSystem, path: string): Promise<void> {
  const file = files.open(path, 'read')
  try {
    await file.sync()
  } finally {
    file.close()
  }
  await files.syncDirectory(parentOf(path))
}

function replace(files: FileSystem, path: string, content: Uint8Array): void | Promise<void> {
  const file = files.open(`${path}.tmp`, 'truncate')
  let done: void | Promise<void>
  try {
    done = file.write([content], 0)
  } catch (error) {
    file.close()
    throw error
  }
  const finish = (): void => {
    file.close()
    files.rename(`${path}.tmp`, path)
  }
  if (!(done instanceof Promise)) return finish()
  return done.then(finish, (error: unknown) => {
    file.close()
    throw error
  })
}

/** A small file that is replaced again and again: versions that are out of date before their turn are left out. */
export class WholeFile {
  readonly #files: FileSystem
  #path: string
  #next: Uint8Array | null = null
  /** A slow write that has not replaced the file yet. As a rule there is none: writes are done when they return. */
  #writing: Promise<void> | null = null
  /** Whether the last version is safe, or the sync under way covers it. */
  #isSynced = true
  #syncing: Promise<void> | null = null

  constructor(files: FileSystem, path: string) {
    this.#files = files
    this.#path = path
  }

  /** Resolves when this version or a later one is in the file; on return as a rule. `sync` makes it safe from a power failure. */
  async write(content: Uint8Array): Promise<void> {
    this.#isSynced = false
    if (this.#writing !== null) {
      this.#next = content
      return await this.#writing
    }
    const replaced = replace(this.#files, this.#path, content)
    if (replaced === undefined) return
    this.#writing = this.#finish(replaced)
    await this.#writing
  }

  async #finish(replaced: Promise<void>): Promise<void> {
    try {
      await replaced
      for (let next = this.#takeNext(); next !== null; next = this.#takeNext())
        await replace(this.#files, this.#path, next)
    } finally {
      this.#writing = null
    }
  }

  #takeNext(): Uint8Array | null {
    const next = this.#next
    this.#next = null
    return next
  }

  /** Its folder was renamed, and nothing is being written. */
  movedTo(path: string): void {
    this.#path = path
  }

  /** Makes what was last written safe from a power failure. */
  async sync(): Promise<void> {
    if (this.#writing !== null) await this.#writing
    if (this.#isSynced) {
      await this.#syncing
      return
    }
    this.#isSynced = true
    const syncing = syncWhole(this.#files, this.#path)
    this.#syncing = syncing
    try {
      await syncing
    } finally {
      if (this.#syncing === syncing) this.#syncing = null
    }
  }
}
