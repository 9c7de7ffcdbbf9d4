import { parentOf, type FileSystem } from '#platform'

/**
 * Replaces a small file. The new content stands under its name when the call returns (or, while the disk is slow, a
 * little later), so that a crash of the process keeps it; the promise resolves when a power failure would keep it too.
 */
export async function writeWhole(files: FileSystem, path: string, content: Uint8Array): Promise<void> {
  const file = files.open(`${path}.tmp`, 'truncate')
  try {
    const done = file.write([content], 0)
    if (done instanceof Promise) await done
    files.rename(`${path}.tmp`, path)
    await file.sync()
  } finally {
    file.close()
  }
  await files.syncDirectory(parentOf(path))
}

/** A small file that is replaced again and again: versions that are out of date before their turn are left out. */
export class WholeFile {
  readonly #files: FileSystem
  readonly #path: string
  #next: Uint8Array | null = null
  #writing: Promise<void> | null = null

  constructor(files: FileSystem, path: string) {
    this.#files = files
    this.#path = path
  }

  /** Resolves when this version or a later one is safe from a power failure. */
  write(content: Uint8Array): Promise<void> {
    if (this.#writing !== null) {
      this.#next = content
      return this.#writing
    }
    this.#writing = this.#run(content)
    return this.#writing
  }

  async #run(content: Uint8Array): Promise<void> {
    try {
      await writeWhole(this.#files, this.#path, content)
      for (let next = this.#next; next !== null; next = this.#next) {
        this.#next = null
        await writeWhole(this.#files, this.#path, next)
      }
    } finally {
      this.#writing = null
    }
  }
}
