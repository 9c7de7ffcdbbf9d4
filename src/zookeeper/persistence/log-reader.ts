/** Reads a transaction log from its beginning, and says how it ended. */
import { LoggedTxn } from '#zookeeper/protocol'
import { MalformedBytesError } from '#base'
import type { File } from '#platform'

import { adler32 } from './adler32.ts'
import { ENTRY_END, ENTRY_OVERHEAD_BYTES, FORMAT_VERSION, LOG_HEADER_BYTES, LOG_MAGIC } from './txn-log.ts'

const READ_BYTES = 1 << 20
/** Session, xid, zxid, time, type. */
const TXN_HEADER_BYTES = 32
const ZXID_AT = 12
/** Checksum and length of an entry. */
const HEAD_BYTES = 12

export class LogReader {
  readonly #file: File
  readonly #size: number
  #buffer = new Uint8Array(READ_BYTES)
  /** Where in the file the buffer begins, and how much of it is read. */
  #bufferStart = 0
  #bufferBytes = 0
  /** End of the last good entry. */
  #position = LOG_HEADER_BYTES
  /** What `next` decoded last: an encoded `LoggedTxn`, whose buffers are views into it. */
  lastBytes: Uint8Array = new Uint8Array(0)
  /** What is wrong behind the last good entry; null: there the log ends as it should. */
  #damage: string | null = null

  /**
   * A header that is cut off or all zeros is what a crash leaves of a file at its birth: it has no entry and is
   * damaged. Throws `MalformedBytesError` for any other header: what follows may well be good, and must not be cut.
   */
  constructor(file: File) {
    this.#file = file
    this.#size = file.size()
    const header = this.#bytes(0, LOG_HEADER_BYTES)
    if (header === null || header.every((byte) => byte === 0)) {
      this.#position = 0
      this.#damage = 'its header is missing'
      return
    }
    const view = new DataView(header.buffer, header.byteOffset)
    if (view.getInt32(0) !== LOG_MAGIC || view.getInt32(4) !== FORMAT_VERSION)
      throw new MalformedBytesError('its header is not one of a transaction log')
  }

  /** End of the last good entry: where a torn file must be cut. */
  get position(): number {
    return this.#position
  }

  get damage(): string | null {
    return this.#damage
  }

  /** null at the end or at the first damage. Buffers of the result are its own. */
  next(): LoggedTxn | null {
    const bytes = this.nextBytes()
    if (bytes === null) return null
    this.lastBytes = bytes
    try {
      return LoggedTxn.decode(bytes)
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error
      this.#position -= bytes.length + ENTRY_OVERHEAD_BYTES
      return this.#end(error.message)
    }
  }

  /**
   * Goes to the transaction with this zxid, or to the first one after it, without looking at what comes before more than it must:
   * damage there goes unnoticed, unless it hides where the next entry begins.
   */
  seek(zxid: bigint): void {
    if (this.#damage !== null) return
    for (;;) {
      const start = this.#bytes(this.#position, HEAD_BYTES + ZXID_AT + 8)
      if (start === null) return
      const view = new DataView(start.buffer, start.byteOffset)
      const length = view.getInt32(8)
      const end = this.#position + length + ENTRY_OVERHEAD_BYTES
      if (length < TXN_HEADER_BYTES || end > this.#size || view.getBigInt64(HEAD_BYTES + ZXID_AT) >= zxid) return
      this.#position = end
    }
  }

  /** As `next`, for who passes the transaction on as it is: an encoded `LoggedTxn` of its own. */
  nextBytes(): Uint8Array | null {
    if (this.#damage !== null) return null
    const head = this.#bytes(this.#position, HEAD_BYTES)
    if (head === null) {
      if (!this.#isZero(this.#position, this.#size)) this.#damage = 'an entry is cut off'
      return null
    }
    const view = new DataView(head.buffer, head.byteOffset)
    const checksumHigh = view.getUint32(0)
    const checksum = view.getUint32(4)
    const length = view.getInt32(8)
    if (checksumHigh === 0 && checksum === 0 && length === 0) return null
    const entry = length <= 0 ? null : this.#bytes(this.#position, length + ENTRY_OVERHEAD_BYTES)
    if (entry === null || entry[entry.length - 1] !== ENTRY_END) return this.#end('an entry is cut off')
    if (checksumHigh !== 0 || adler32(entry, HEAD_BYTES, HEAD_BYTES + length) !== checksum)
      return this.#end('a checksum is wrong')
    if (length < TXN_HEADER_BYTES) return this.#end('an entry is too short for a transaction')
    this.#position += entry.length
    return entry.slice(HEAD_BYTES, HEAD_BYTES + length)
  }

  #end(damage: string): null {
    this.#damage = damage
    return null
  }

  #isZero(start: number, end: number): boolean {
    return this.#bytes(start, end - start)?.every((byte) => byte === 0) ?? true
  }

  /** A view that lives until the next call, or null where the file has fewer bytes. */
  #bytes(start: number, length: number): Uint8Array | null {
    if (length < 0 || start + length > this.#size) return null
    const offset = start - this.#bufferStart
    if (offset >= 0 && offset + length <= this.#bufferBytes) return this.#buffer.subarray(offset, offset + length)
    if (length > this.#buffer.length) this.#buffer = new Uint8Array(length)
    this.#bufferStart = start
    this.#bufferBytes = this.#file.read(this.#buffer, start)
    return length <= this.#bufferBytes ? this.#buffer.subarray(0, length) : null
  }
}

/** Of an encoded `LoggedTxn`, without decoding the rest. */
export function zxidIn(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(ZXID_AT)
}
