const PAGE_BYTES = 4096

/** The bytes of a file: pages where something was written, and zeros everywhere else up to its size. */
export class PagedBytes {
  #size = 0
  /** By number. What a page has behind the end of the file is zero, so that it is zero when the file grows. */
  readonly #pages = new Map<number, Uint8Array>()

  get size(): number {
    return this.#size
  }

  /** Reads until `into` is full or the end is reached; returns how many bytes. */
  read(into: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(into.length, this.#size - position))
    for (const { page, offset, start, length } of piecesOf(position, count)) {
      const bytes = this.#pages.get(page)
      if (bytes === undefined) into.fill(0, start, start + length)
      else into.set(bytes.subarray(offset, offset + length), start)
    }
    return count
  }

  write(bytes: Uint8Array, position: number): void {
    for (const { page, offset, start, length } of piecesOf(position, bytes.length))
      this.#page(page).set(bytes.subarray(start, start + length), offset)
    if (bytes.length > 0) this.#size = Math.max(this.#size, position + bytes.length)
  }

  /** Cuts the end off, or adds zeros. */
  resize(size: number): void {
    if (size < this.#size) {
      const end = Math.ceil(size / PAGE_BYTES)
      for (const page of this.#pages.keys()) if (page >= end) this.#pages.delete(page)
      if (size % PAGE_BYTES > 0) this.#pages.get(end - 1)?.fill(0, size % PAGE_BYTES)
    }
    this.#size = size
  }

  #page(number: number): Uint8Array {
    let page = this.#pages.get(number)
    if (page === undefined) this.#pages.set(number, (page = new Uint8Array(PAGE_BYTES)))
    return page
  }
}

/** The parts, each within one page, of so many bytes from there on: where in the page, and where in the bytes. */
function* piecesOf(
  position: number,
  count: number,
): Generator<{ page: number; offset: number; start: number; length: number }> {
  for (let start = 0; start < count;) {
    const at = position + start
    const offset = at % PAGE_BYTES
    const length = Math.min(PAGE_BYTES - offset, count - start)
    yield { page: Math.floor(at / PAGE_BYTES), offset, start, length }
    start += length
  }
}
