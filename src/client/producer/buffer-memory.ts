/**
 * The bytes of `buffer.memory`, counted and not kept: every batch has an array of its own that is never used again, so that no
 * late write, no retry and no user can see another record's bytes in it (CVE-2026-35554 was such a pool).
 */
import { assert } from '#base'

export class BufferMemory {
  readonly capacity: number
  #used = 0

  constructor(capacity: number) {
    this.capacity = capacity
  }

  get used(): number {
    return this.#used
  }

  hasFree(bytes: number): boolean {
    return this.#used + bytes <= this.capacity
  }

  /** False when so many are not free. */
  tryTake(bytes: number): boolean {
    if (!this.hasFree(bytes)) return false
    this.#used += bytes
    return true
  }

  /** Takes them even beyond the capacity: for what replaces a batch that is already in memory. */
  take(bytes: number): void {
    this.#used += bytes
  }

  give(bytes: number): void {
    this.#used -= bytes
    assert(this.#used >= 0, 'no more memory comes back than was taken')
  }
}
