import type { PackedValues } from '#client/producer'

/** Lines that are given together, at most: enough that what is done once for all of them costs nothing. */
const RUN_LINES_MAX = 4096

/** Takes a stream of bytes apart at its newlines. Pure; lines are views of the chunks where they lie in one, and a chunk may
 * change once all of it was taken. */
export class LineSplitter {
  readonly #lineBytesMax: number
  #chunk: Uint8Array = new Uint8Array(0)
  #position = 0
  /** The beginning of a line whose end has not come yet. */
  #pending: Uint8Array[] = []
  #pendingBytes = 0
  readonly #bounds = new Int32Array(2 * RUN_LINES_MAX)

  /** A line without an end must not fill the memory. */
  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax
  }

  /** The next bytes; `next` must have given null before. */
  feed(chunk: Uint8Array): void {
    this.#chunk = chunk
    this.#position = 0
  }

  /** The next whole line without its newline, or null when more bytes are needed. Throws `LineTooLongError`. */
  next(): Uint8Array | null {
    const newline = this.#chunk.indexOf(NEWLINE, this.#position)
    if (newline < 0) {
      this.#keep(this.#chunk.subarray(this.#position))
      this.#position = this.#chunk.length
      return null
    }
    const line = this.#chunk.subarray(this.#position, newline)
    this.#position = newline + 1
    return this.#pendingBytes === 0 ? line : this.#complete(line)
  }

  /**
   * The next whole lines, several at once and without a view of each, or null when more bytes are needed. Valid until the next call.
   * Throws `LineTooLongError`.
   */
  nextRun(): PackedValues | null {
    if (this.#pendingBytes > 0) {
      const line = this.next()
      return line === null ? null : { bytes: line, bounds: Int32Array.of(0, line.length), count: 1 }
    }
    const bytes = this.#chunk
    const bounds = this.#bounds
    const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const wordsEnd = bytes.length - 3
    let count = 0
    let start = this.#position
    let at = start
    while (at < bytes.length && count < RUN_LINES_MAX) {
      while (at < wordsEnd && !hasNewline(words.getInt32(at))) at += 4
      const end = Math.min(at + 4, bytes.length)
      for (; at < end && count < RUN_LINES_MAX; at++) {
        if (bytes[at] !== NEWLINE) continue
        bounds[2 * count] = start
        bounds[2 * count + 1] = at
        count += 1
        start = at + 1
      }
    }
    this.#position = start
    if (count > 0) return { bytes, bounds, count }
    this.#keep(bytes.subarray(start))
    this.#position = bytes.length
    return null
  }

  /** The last line where no newline ends it, or null. */
  rest(): Uint8Array | null {
    return this.#pendingBytes === 0 ? null : this.#complete(new Uint8Array(0))
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#pending.push(new Uint8Array(bytes))
    this.#pendingBytes += bytes.length
    if (this.#pendingBytes > this.#lineBytesMax) throw new LineTooLongError(this.#lineBytesMax)
  }

  #complete(end: Uint8Array): Uint8Array {
    const line = Buffer.concat([...this.#pending, end])
    this.#pending = []
    this.#pendingBytes = 0
    return line
  }
}

export class LineTooLongError extends Error {
  override name = 'LineTooLongError'
  constructor(lineBytesMax: number) {
    super(`longer than ${lineBytesMax} bytes`)
  }
}

const NEWLINE = 0x0a
const NEWLINES = 0x0a0a0a0a
const LOW_BITS = 0x01010101
const HIGH_BITS = 0x80808080

/** Whether one of four bytes is a newline: by `^` the newlines become zero, and only then the subtraction borrows into the high bit. */
function hasNewline(word: number): boolean {
  const zeros = word ^ NEWLINES
  return ((zeros - LOW_BITS) & ~zeros & HIGH_BITS) !== 0
}
