/** Bytes that have arrived and are not understood yet: it grows as they come, whatever length they claim. */
export class ByteQueue {
  #bytes = new Uint8Array(256)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** What is there: a view that lives until the next call. */
  get view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  push(bytes: Uint8Array): void {
    const wanted = this.#length + bytes.length
    if (wanted > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(wanted, this.#bytes.length * 2))
      larger.set(this.view)
      this.#bytes = larger
    }
    this.#bytes.set(bytes, this.#length)
    this.#length = wanted
  }

  /** The first four bytes as a number; null while there are fewer. They stay. */
  int32(): number | null {
    return this.#length < 4 ? null : new DataView(this.#bytes.buffer).getInt32(0)
  }

  /** A copy of `length` bytes behind the first `skip`, which go with them; null while they are not all there. */
  take(skip: number, length: number): Uint8Array | null {
    if (this.#length < skip + length) return null
    const taken = this.#bytes.slice(skip, skip + length)
    this.#bytes.copyWithin(0, skip + length, this.#length)
    this.#length -= skip + length
    return taken
  }
}
