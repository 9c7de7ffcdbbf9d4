/** Puts records into a stream, many at a time, and knows when nobody reads it any more. */
import type { Writable } from 'node:stream'

import type { PrintableRecord, RecordFormat } from './format.ts'
import { OutputBuffer } from './output-buffer.ts'
import { UserError } from './user-error.ts'

const WRITE_BYTES = 256 * 1024

export class RecordPrinter {
  /** The reader has gone away, as `head` does when it has enough. */
  isBroken = false
  /** Bytes that were written so far. */
  writtenBytes = 0
  readonly #stream: Writable
  readonly #format: RecordFormat
  readonly #buffer = new OutputBuffer(WRITE_BYTES + WRITE_BYTES / 4)

  constructor(stream: Writable, format: RecordFormat) {
    this.#stream = stream
    this.#format = format
    // Each write hears of its own error.
    stream.on('error', () => {})
  }

  /**
   * Prints the records, and resolves with how many of them were written: all, unless the reader goes away or `signal` is aborted
   * between two writes.
   */
  async print(records: readonly PrintableRecord[], signal: AbortSignal): Promise<number> {
    let written = 0
    for (let index = 0; index < records.length; index++) {
      this.#format(records[index]!, this.#buffer)
      if (this.#buffer.length < WRITE_BYTES && index < records.length - 1) continue
      await this.#write()
      if (this.isBroken) return written
      written = index + 1
      if (signal.aborted) return written
    }
    return written
  }

  /** Waits until the stream is through with the bytes, so that the buffer can be used again. */
  async #write(): Promise<void> {
    const error = await new Promise<Error | null | undefined>((resolve) =>
      this.#stream.write(this.#buffer.contents, resolve),
    )
    if (!error) this.writtenBytes += this.#buffer.length
    this.#buffer.clear()
    if (!error) return
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EPIPE' && code !== 'ERR_STREAM_DESTROYED')
      throw new UserError(`the output cannot be written (${code}): ${error.message}`)
    this.isBroken = true
  }
}
