/**
 * The entries of an index file: a sorted array of fixed-size entries, kept in memory while its segment is active
 * and written out whole when the segment is rolled or the log closed cleanly; after a crash it is rebuilt from the log.
 * An inactive segment's entries are read when they are first needed, and may be dropped again.
 */
import type { FileSystem } from '#platform'

const NOTHING = new Uint8Array(0)
const CAPACITY_MIN = 256

export abstract class IndexEntries {
  readonly #files: FileSystem
  #path: string
  readonly #entryBytes: number
  /** Null while the entries are in the file only. */
  #bytes: Uint8Array | null
  #view: DataView = new DataView(NOTHING.buffer)
  #count = 0
  /** Whether memory and file differ. */
  #dirty: boolean

  /** `fresh`: begins empty, whatever the file holds. */
  constructor(files: FileSystem, path: string, entryBytes: number, fresh: boolean) {
    this.#files = files
    this.#path = path
    this.#entryBytes = entryBytes
    this.#bytes = fresh ? NOTHING : null
    this.#dirty = fresh
  }

  get count(): number {
    this.#load()
    return this.#count
  }

  get bytesInMemory(): number {
    return this.#bytes?.length ?? 0
  }

  /** The entry's position in `view`. */
  protected at(index: number): number {
    return index * this.#entryBytes
  }

  protected get view(): DataView {
    return this.#view
  }

  /** Makes room for one more entry and returns where to write it. */
  protected grow(): number {
    this.#load()
    const end = this.#count * this.#entryBytes
    if (end + this.#entryBytes > this.#bytes!.length) {
      const grown = new Uint8Array(Math.max(CAPACITY_MIN, this.#bytes!.length * 2))
      grown.set(this.#bytes!)
      this.#hold(grown)
    }
    this.#count += 1
    this.#dirty = true
    return end
  }

  protected cutTo(count: number): void {
    if (count === this.count) return
    this.#count = count
    this.#dirty = true
  }

  /** Index of the last entry for which `isAtMost` holds, −1 when there is none. Entries are sorted by it. */
  protected floor(isAtMost: (index: number) => boolean): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isAtMost(middle)) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** Whether the file is there and holds whole entries. */
  isFileSane(): boolean {
    return this.#files.exists(this.#path) && this.#files.stat(this.#path).size % this.#entryBytes === 0
  }

  reset(): void {
    this.#hold(NOTHING)
    this.#count = 0
    this.#dirty = true
  }

  /** Writes the entries out, so that the file holds exactly them. With `sync`, also to stable storage. */
  async save(sync: boolean): Promise<void> {
    if (!this.#dirty) return
    this.#dirty = false
    const size = this.#count * this.#entryBytes
    const file = this.#files.open(this.#path, 'write')
    try {
      if (size > 0) await file.write([this.#bytes!.subarray(0, size)], 0)
      if (file.size() > size) file.truncate(size)
      if (sync) await file.sync()
    } finally {
      file.close()
    }
  }

  /** Gives the memory back; the entries are read again when they are needed. */
  unload(): void {
    if (this.#dirty || this.#bytes === null) return
    this.#bytes = null
  }

  rename(path: string): void {
    if (this.#files.exists(this.#path)) this.#files.rename(this.#path, path)
    this.#path = path
  }

  movedTo(path: string): void {
    this.#path = path
  }

  remove(): void {
    this.#files.remove(this.#path)
  }

  #load(): void {
    if (this.#bytes !== null) return
    const content = this.#files.exists(this.#path) ? this.#files.readFile(this.#path) : NOTHING
    this.#hold(content)
    this.#count = Math.floor(content.length / this.#entryBytes)
  }

  #hold(bytes: Uint8Array): void {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
}
