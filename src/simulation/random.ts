import type { Random } from '#platform'

/**
 * Randomness that follows from a text alone (sfc32, Chris Doty-Humphrey's small fast counter generator). A
 * fork depends on its name only, so that a process that draws more does not change what others draw.
 */
export class SimulatedRandom implements Random {
  readonly #seed: string
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: string) {
    this.#seed = seed
    let hash = 0x811c9dc5
    const words: number[] = []
    for (const salt of ['a', 'b', 'c']) {
      for (const char of `${salt}${seed}`) hash = Math.imul(hash ^ char.codePointAt(0)!, 0x01000193) >>> 0
      words.push(hash)
    }
    ;[this.#a, this.#b, this.#c] = words as [number, number, number]
    for (let round = 0; round < 16; round++) this.#next32()
  }

  fork(name: string): SimulatedRandom {
    return new SimulatedRandom(`${this.#seed}/${name}`)
  }

  next(): number {
    const high = this.#next32() >>> 5
    return (high * 2 ** 26 + (this.#next32() >>> 6)) / 2 ** 53
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound)
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; at++) bytes[at] = this.#next32()
    return bytes
  }

  /** Uniform in [from, to). */
  between(from: number, to: number): number {
    return from + this.next() * (to - from)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }

  /** The items in an arbitrary order. */
  shuffled<T>(items: readonly T[]): T[] {
    const shuffled = [...items]
    for (let at = shuffled.length - 1; at > 0; at--) {
      const other = this.below(at + 1)
      ;[shuffled[at], shuffled[other]] = [shuffled[other]!, shuffled[at]!]
    }
    return shuffled
  }

  /** Mostly near `mean`, seldom many times as much: how waiting times on machines and networks look. */
  exponential(mean: number): number {
    return -Math.log(1 - this.next()) * mean
  }

  #next32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    return sum >>> 0
  }
}
