import type { Hold } from './tail-cache.ts'

const BYTES_MIN = 16 * 1024
const BYTES_MAX = 1024 * 1024
/** Kept for later reads, all sizes together. */
const POOLED_BYTES_MAX = 8 * 1024 * 1024

export interface ReadBuffer extends Hold {
  readonly bytes: Uint8Array
}

/** Buffers for what is read from files, used again when the answer has left the socket: fresh large memory costs more than the read. */
export class ReadBuffers {
  /** By size. */
  readonly #free = new Map<number, Uint8Array[]>()
  #pooledBytes = 0

  /** A buffer of exactly `length` bytes. One that is never released is left to the garbage collector. */
  take(length: number): ReadBuffer {
    const capacity = Math.max(BYTES_MIN, 2 ** Math.ceil(Math.log2(Math.max(1, length))))
    if (capacity > BYTES_MAX) return { bytes: new Uint8Array(length), release() {} }
    const pooled = this.#free.get(capacity)?.pop()
    if (pooled !== undefined) this.#pooledBytes -= capacity
    const whole = pooled ?? new Uint8Array(capacity)
    return { bytes: whole.subarray(0, length), release: () => this.#give(whole) }
  }

  #give(whole: Uint8Array): void {
    if (this.#pooledBytes + whole.length > POOLED_BYTES_MAX) return
    const list = this.#free.get(whole.length)
    if (list === undefined) this.#free.set(whole.length, [whole])
    else list.push(whole)
    this.#pooledBytes += whole.length
  }
}
