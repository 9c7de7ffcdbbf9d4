import { randomFillSync } from 'node:crypto'

import type { Random } from '#platform'

/** Asking the system costs microseconds whatever the amount, so that numbers are cut from a block. */
const BLOCK_BYTES = 4096
const BYTES_PER_NUMBER = 8

export class NodeRandom implements Random {
  readonly #block = new DataView(new ArrayBuffer(BLOCK_BYTES))
  #position = BLOCK_BYTES

  next(): number {
    if (this.#position === BLOCK_BYTES) {
      randomFillSync(this.#block)
      this.#position = 0
    }
    const high = this.#block.getUint32(this.#position) >>> 5
    const low = this.#block.getUint32(this.#position + 4) >>> 6
    this.#position += BYTES_PER_NUMBER
    return (high * 2 ** 26 + low) / 2 ** 53
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound)
  }

  bytes(length: number): Uint8Array {
    return randomFillSync(new Uint8Array(length))
  }
}
