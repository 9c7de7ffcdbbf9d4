/** What is counted and timed. Adding costs a few additions and no memory, since it happens for every request. */

/** Only ever grows. */
export class Counter {
  value = 0

  add(count = 1): void {
    this.value += count
  }

  reset(): void {
    this.value = 0
  }
}

/** How many of the latest values the quantiles are taken from. */
const LATEST_MAX = 512

/** How many values there were, their sum and bounds, and quantiles of the latest ones. */
export class Summary {
  /** Apache prints more of its quantiles. */
  readonly detailed: boolean
  count = 0
  sum = 0
  #min = Infinity
  #max = -Infinity
  /** A ring; made with the first value. */
  #latest: Float64Array | null = null

  constructor({ detailed = false } = {}) {
    this.detailed = detailed
  }

  /** 0 where there was none, as in the other figures. */
  get min(): number {
    return this.count === 0 ? 0 : this.#min
  }

  get max(): number {
    return this.count === 0 ? 0 : this.#max
  }

  get average(): number {
    return this.count === 0 ? 0 : this.sum / this.count
  }

  add(value: number): void {
    ;(this.#latest ??= new Float64Array(LATEST_MAX))[this.count % LATEST_MAX] = value
    this.count++
    this.sum += value
    if (value < this.#min) this.#min = value
    if (value > this.#max) this.#max = value
  }

  /** The values below which these shares (0 to 1) of the latest ones lie; null where there are none. */
  quantiles(shares: readonly number[]): number[] | null {
    if (this.#latest === null || this.count === 0) return null
    const values = this.#latest.slice(0, Math.min(this.count, LATEST_MAX)).sort()
    return shares.map((share) => values[Math.min(values.length - 1, Math.floor(share * values.length))]!)
  }

  reset(): void {
    this.count = 0
    this.sum = 0
    this.#min = Infinity
    this.#max = -Infinity
  }
}

/** A counter for each of several keys. */
export class CounterSet {
  readonly #byKey = new Map<string, Counter>()

  of(key: string): Counter {
    let counter = this.#byKey.get(key)
    if (counter === undefined) this.#byKey.set(key, (counter = new Counter()))
    return counter
  }

  entries(): Iterable<[string, Counter]> {
    return this.#byKey
  }

  /** Keys stay. */
  reset(): void {
    for (const counter of this.#byKey.values()) counter.reset()
  }
}

/** A summary for each of several keys: servers, parts of the tree. */
export class SummarySet {
  readonly detailed: boolean
  readonly #keysMax: number
  readonly #byKey = new Map<string, Summary>()

  constructor({ detailed = false, keysMax = Infinity } = {}) {
    this.detailed = detailed
    this.#keysMax = keysMax
  }

  /** Null: there are `keysMax` others. */
  of(key: string): Summary | null {
    let summary = this.#byKey.get(key)
    if (summary === undefined) {
      if (this.#byKey.size >= this.#keysMax) return null
      this.#byKey.set(key, (summary = new Summary({ detailed: this.detailed })))
    }
    return summary
  }

  entries(): Iterable<[string, Summary]> {
    return this.#byKey
  }

  /** Keys stay. */
  reset(): void {
    for (const summary of this.#byKey.values()) summary.reset()
  }
}
