import type { Random } from '#platform'

/** Pauses that double, give or take a fifth, so that many clients do not return at the same moment (KIP-580). */
export class Backoff {
  readonly #random: Random
  readonly #firstMs: number
  readonly #maxMs: number

  constructor(random: Random, firstMs: number, maxMs: number) {
    this.#random = random
    this.#firstMs = Math.min(firstMs, maxMs)
    this.#maxMs = maxMs
  }

  /** The pause after so many failures in a row, in ms. */
  afterFailures(count: number): number {
    if (count <= 0 || this.#firstMs === 0) return 0
    const full = Math.min(this.#firstMs * 2 ** (count - 1), this.#maxMs)
    return full * (1 - JITTER + 2 * JITTER * this.#random.next())
  }
}

const JITTER = 0.2
