import type { ConsumerRecord } from '#client/consumer'

/** Bytes that are put together before they are written in one go. It grows as needed and is used again after `clear`. */
export class OutputBuffer {
  #bytes: Buffer
  #length = 0

  constructor(capacity = 64 * 1024) {
    this.#bytes = Buffer.allocUnsafeSlow(capacity)
  }

  get length(): number {
    return this.#length
  }

  /** A view that is valid until something is added or the buffer is cleared. */
  get contents(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  clear(): void {
    this.#length = 0
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    if (bytes.length === 1) this.#bytes[this.#length] = bytes[0]!
    else this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** The value of a record, which must not be null. */
  value(record: Pick<ConsumerRecord, 'valueBytes' | 'copyValue'>): void {
    this.#reserve(record.valueBytes)
    record.copyValue(this.#bytes, this.#length)
    this.#length += record.valueBytes
  }

  text(text: string): void {
    // A UTF-16 unit takes at most three bytes of UTF-8.
    this.#reserve(text.length * 3)
    this.#length += this.#bytes.write(text, this.#length)
  }

  /** Big-endian. */
  int32(value: number): void {
    this.#reserve(4)
    this.#length = this.#bytes.writeInt32BE(value, this.#length)
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#bytes.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
    grown.set(this.contents)
    this.#bytes = grown
  }
}
