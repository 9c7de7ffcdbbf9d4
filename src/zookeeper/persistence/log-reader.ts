/** Reads a transaction log from its beginning, and says how it ended. */
import { LoggedTxn } from '#zookeeper/protocol'
import { MalformedBytesError } from '#base'
import type { File } from '#platform'

import { adler32 } from './adler32.ts'
import { ENTRY_END, ENTRY_OVERHEAD_BYTES, FORMAT_VERSION, LOG_HEADER_BYTES, LOG_MAGIC } from './txn-log.ts'

const READ_BYTES = 1 << 20

export class LogReader {
  readonly #file: File
  readonly #size: number
  #buffer = new Uint8Array(READ_BYTES)
  /** Where in the file the buffer begins, and how much of it is read. */
  #bufferStart = 0
  #bufferBytes = 0
  /** End of the last good entry. */
  #position = LOG_HEADER_BYTES
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
    if (this.#damage !== null) return null
    const head = this.#bytes(this.#position, 12)
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
    if (checksumHigh !== 0 || adler32(entry, 12, 12 + length) !== checksum) return this.#end('a checksum is wrong')
    return this.#decode(entry.slice(12, 12 + length), entry.length)
  }

  #decode(bytes: Uint8Array, entryBytes: number): LoggedTxn | null {
    try {
      const logged = LoggedTxn.decode(bytes)
      this.#position += entryBytes
      return logged
    } catch (error) {
      if (error instanceof MalformedBytesError) return this.#end(error.message)
      throw error
    }
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
