/**
 * The transaction log.
 *
 *     file    "ZKLG" int32 | version int32 = 2 | dbid int64 = 0 | entry*  | zeros
 *     entry   Adler-32 of the bytes, int64 | length int32 | bytes (`LoggedTxn`) | 'B'
 *
 * Entries are gathered while the file is being synced: however many clients write, there is one sync after the
 * other, each for everything that came during the one before. Source: FileTxnLog, FilePadding.
 */
import { joinPath, type File, type Platform } from '#platform'

import { adler32 } from './adler32.ts'
import { fileName } from './names.ts'

export const LOG_MAGIC = 0x5a4b4c47
export const FORMAT_VERSION = 2
export const LOG_HEADER_BYTES = 16
/** Checksum and length before an entry, and the mark after it. */
export const ENTRY_OVERHEAD_BYTES = 13
export const ENTRY_END = 0x42

/** The file grows by a whole piece when less than this is left of it. Source: FilePadding. */
const PADDING_MARGIN_BYTES = 4096
const GROUP_BUFFER_BYTES = 1 << 16
/** A group's buffer that grew beyond this is not kept for the next group. */
const GROUP_BUFFER_KEPT_MAX = 1 << 20

export interface TxnLogOptions {
  /** By how much a file grows at a time, in bytes; 0 for not in advance. */
  preAllocBytes: number
  /** A file that has reached this many bytes is followed by another; 0 for never. */
  fileBytesMax: number
  /** Answers before the disk has it: for tests only (`forceSync=no`). */
  forceSync: boolean
  /** A sync that takes longer is worth a warning. */
  syncWarningMs: number
}

export interface TxnLogEvents {
  /** Everything up to this transaction is on stable storage. */
  onSynced(zxid: bigint): void
  /** A write or sync failed. What the file holds is unknown, and nothing may be written or acknowledged any more. */
  onFailure(error: unknown): void
  /** So many transactions are on stable storage together; the sync took so long. For people. */
  onGroup?(transactions: number, syncMs: number): void
}

/** Entries that go to the disk together. */
class Group {
  #bytes = new Uint8Array(GROUP_BUFFER_BYTES)
  #view = new DataView(this.#bytes.buffer)
  #length = 0
  count = 0
  firstZxid = 0n
  lastZxid = 0n

  get isEmpty(): boolean {
    return this.#length === 0
  }

  get content(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  add(zxid: bigint, bytes: Uint8Array): void {
    const at = this.#claim(bytes.length + ENTRY_OVERHEAD_BYTES)
    this.#view.setUint32(at, 0)
    this.#view.setUint32(at + 4, adler32(bytes))
    this.#view.setInt32(at + 8, bytes.length)
    this.#bytes.set(bytes, at + 12)
    this.#bytes[at + 12 + bytes.length] = ENTRY_END
    this.count++
    if (at === 0) this.firstZxid = zxid
    this.lastZxid = zxid
  }

  clear(): void {
    this.#length = 0
    this.count = 0
    if (this.#bytes.length > GROUP_BUFFER_KEPT_MAX) this.#writeInto(new Uint8Array(GROUP_BUFFER_BYTES))
  }

  #writeInto(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
  }

  #claim(size: number): number {
    const at = this.#length
    if (at + size > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#bytes.length * 2, at + size))
      larger.set(this.content)
      this.#writeInto(larger)
    }
    this.#length = at + size
    return at
  }
}

export class TxnLog {
  readonly #platform: Platform
  readonly #folder: string
  readonly #options: TxnLogOptions
  readonly #events: TxnLogEvents
  #file: File | null = null
  /** End of what was written to the file. */
  #position = 0
  /** Size that the file was given in advance. */
  #allocated = 0
  /** Grows while the other one is on its way to the disk. */
  #open = new Group()
  #onItsWay = new Group()
  #state: 'idle' | 'scheduled' | 'flushing' | 'stopped' = 'idle'
  #rollWanted = false
  #flushed: Promise<void> = Promise.resolve()
  /** Bytes appended since the server started. */
  appendedBytes = 0

  constructor(platform: Platform, folder: string, options: TxnLogOptions, events: TxnLogEvents) {
    this.#platform = platform
    this.#folder = folder
    this.#options = options
    this.#events = events
  }

  /** `bytes` is an encoded `LoggedTxn`. Entries come in the order of their zxids. */
  append(zxid: bigint, bytes: Uint8Array): void {
    if (this.#state === 'stopped') return
    this.#open.add(zxid, bytes)
    this.appendedBytes += bytes.length + ENTRY_OVERHEAD_BYTES
    if (this.#state !== 'idle') return
    this.#state = 'scheduled'
    this.#platform.clock.endOfTurn(() => this.#start())
  }

  /** The next group begins another file. */
  roll(): void {
    this.#rollWanted = true
  }

  /** Everything appended so far is synced. Rejects where it cannot be; `onFailure` has told the reason. */
  async settled(): Promise<void> {
    while (this.#state === 'scheduled' || this.#state === 'flushing') {
      this.#start()
      await this.#flushed
    }
    if (this.#state === 'stopped') throw new Error('the transaction log has failed or is closed')
  }

  /** As `settled`, and no file is open any more: whoever asks may change them. The next group begins another one. */
  async release(): Promise<void> {
    await this.settled()
    this.#file?.close()
    this.#file = null
  }

  /** Ends when what was appended is synced or has failed; nothing is accepted afterwards. */
  async close(): Promise<void> {
    this.#start()
    await this.#flushed
    this.#state = 'stopped'
    this.#file?.close()
    this.#file = null
  }

  #start(): void {
    if (this.#state !== 'scheduled') return
    this.#state = 'flushing'
    this.#flushed = this.#flushAll()
  }

  /** Group after group, until one sync ends and nothing has come meanwhile. */
  async #flushAll(): Promise<void> {
    try {
      while (!this.#open.isEmpty) {
        const group = this.#open
        this.#open = this.#onItsWay
        this.#onItsWay = group
        await this.#flush(group)
        group.clear()
        this.#events.onSynced(group.lastZxid)
      }
      this.#state = 'idle'
    } catch (error) {
      this.#state = 'stopped'
      this.#events.onFailure(error)
    }
  }

  async #flush(group: Group): Promise<void> {
    const isNewFile = this.#file === null || this.#rollWanted || this.#isFull()
    const file = isNewFile ? await this.#openFile(group.firstZxid) : this.#file!
    await this.#pad(file)
    await file.write([group.content], this.#position)
    this.#position += group.content.length
    if (this.#options.forceSync) await this.#sync(file, isNewFile, group.count)
  }

  #isFull(): boolean {
    return this.#options.fileBytesMax > 0 && this.#position >= this.#options.fileBytesMax
  }

  async #openFile(firstZxid: bigint): Promise<File> {
    this.#file?.close()
    this.#rollWanted = false
    this.#file = this.#platform.files.open(joinPath(this.#folder, fileName('log', firstZxid)), 'truncate')
    await this.#file.write([logHeader()], 0)
    this.#position = LOG_HEADER_BYTES
    this.#allocated = LOG_HEADER_BYTES
    return this.#file
  }

  /** One zero at its end gives the file its new size; what lies between reads as zeros, too. */
  async #pad(file: File): Promise<void> {
    const piece = this.#options.preAllocBytes
    if (piece === 0 || this.#position + PADDING_MARGIN_BYTES < this.#allocated) return
    if (this.#position > this.#allocated) {
      const wanted = this.#position + piece
      this.#allocated = wanted - (wanted % piece)
    } else this.#allocated += piece
    await file.write([ONE_ZERO], this.#allocated - 1)
  }

  async #sync(file: File, isNewFile: boolean, transactions: number): Promise<void> {
    const startMs = this.#platform.clock.monotonic()
    await file.sync()
    if (isNewFile) await this.#platform.files.syncDirectory(this.#folder)
    const tookMs = this.#platform.clock.monotonic() - startMs
    this.#events.onGroup?.(transactions, tookMs)
    if (tookMs > this.#options.syncWarningMs)
      this.#platform.logger.warn(`syncing the transaction log took ${tookMs.toFixed(0)} ms: clients waited for it`)
  }
}

const ONE_ZERO = new Uint8Array(1)

function logHeader(): Uint8Array {
  const header = new Uint8Array(LOG_HEADER_BYTES)
  const view = new DataView(header.buffer)
  view.setInt32(0, LOG_MAGIC)
  view.setInt32(4, FORMAT_VERSION)
  return header
}
