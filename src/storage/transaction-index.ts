import { ByteReader, ByteWriter } from '#base'
import type { FileSystem } from '#platform'

/** int16 version, int64 producerId, int64 firstOffset, int64 lastOffset, int64 lastStableOffset. */
const ENTRY_BYTES = 34
const VERSION = 0

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
  /** Of the marker. */
  readonly lastOffset: number
  /** When the marker was written: no transaction that began below it was aborted later than in this entry. */
  readonly lastStableOffset: number
}

/**
 * `%020d.txnindex`: the aborted transactions whose markers lie in the segment, for consumers that read only
 * committed records. The file exists only when there are some; entries are few and written at once.
 */
export class TransactionIndex {
  readonly #files: FileSystem
  #path: string
  #entries: AbortedTransaction[] | null

  constructor(files: FileSystem, path: string, fresh: boolean) {
    this.#files = files
    this.#path = path
    this.#entries = fresh ? [] : null
  }

  get entries(): readonly AbortedTransaction[] {
    return this.#load()
  }

  async append(entry: AbortedTransaction): Promise<void> {
    this.#load().push(entry)
    await this.#write()
  }

  reset(): void {
    if (this.#load().length === 0) return
    this.#entries = []
    this.#files.remove(this.#path)
  }

  /** Keeps the transactions whose marker lies below `offset`. */
  async truncateTo(offset: number): Promise<void> {
    const kept = this.#load().filter((entry) => entry.lastOffset < offset)
    if (kept.length === this.#load().length) return
    this.#entries = kept
    await this.#write()
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

  async sync(): Promise<void> {
    if (!this.#files.exists(this.#path)) return
    const file = this.#files.open(this.#path, 'write')
    try {
      await file.sync()
    } finally {
      file.close()
    }
  }

  #load(): AbortedTransaction[] {
    if (this.#entries !== null) return this.#entries
    this.#entries = this.#files.exists(this.#path) ? decode(this.#files.readFile(this.#path)) : []
    return this.#entries
  }

  async #write(): Promise<void> {
    const bytes = encode(this.#entries ?? [])
    const file = this.#files.open(this.#path, 'write')
    try {
      if (bytes.length > 0) await file.write([bytes], 0)
      file.truncate(bytes.length)
    } finally {
      file.close()
    }
  }
}

function encode(entries: readonly AbortedTransaction[]): Uint8Array {
  const writer = new ByteWriter(Math.max(1, entries.length) * ENTRY_BYTES)
  for (const entry of entries) {
    writer.int16(VERSION)
    writer.int64(entry.producerId)
    writer.int64(entry.firstOffset)
    writer.int64(entry.lastOffset)
    writer.int64(entry.lastStableOffset)
  }
  return writer.toBytes()
}

/** A torn last entry is left out; its segment is recovered in any case. */
function decode(bytes: Uint8Array): AbortedTransaction[] {
  const reader = new ByteReader(bytes)
  const entries: AbortedTransaction[] = []
  while (reader.remaining >= ENTRY_BYTES) {
    reader.int16()
    entries.push({
      producerId: reader.int64(),
      firstOffset: reader.int64(),
      lastOffset: reader.int64(),
      lastStableOffset: reader.int64(),
    })
  }
  return entries
}
