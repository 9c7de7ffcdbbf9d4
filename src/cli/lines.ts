/** Takes a stream of bytes apart at its newlines. Pure; lines are views of the chunks where they lie in one. */
export class LineSplitter {
  readonly #lineBytesMax: number
  #chunk: Uint8Array = new Uint8Array(0)
  #position = 0
  /** The beginning of a line whose end has not come yet. */
  #pending: Uint8Array[] = []
  #pendingBytes = 0

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

  /** The last line where no newline ends it, or null. */
  rest(): Uint8Array | null {
    return this.#pendingBytes === 0 ? null : this.#complete(new Uint8Array(0))
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#pending.push(bytes)
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
