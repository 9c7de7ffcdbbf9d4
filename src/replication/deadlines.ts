import type { Clock, Timer } from '#platform'

/** Deadlines are met at the next multiple of this; thousands of waiting requests share a timer. */
const TICK_MS = 10

/** Something that is given up at a certain time. */
export interface Expiring {
  expire(): void
}

/** Who waits until when: adding and taking away cost next to nothing, since almost nobody waits to the end. */
export class Deadlines {
  readonly #clock: Clock
  readonly #buckets = new Map<number, Set<Expiring>>()
  #timer: Timer | null = null
  #armedFor = Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Returns the ticket that `cancel` takes. */
  add(waiting: Expiring, delayMs: number): number {
    const tick = Math.ceil((this.#clock.monotonic() + Math.max(0, delayMs)) / TICK_MS)
    const bucket = this.#buckets.get(tick)
    if (bucket === undefined) this.#buckets.set(tick, new Set([waiting]))
    else bucket.add(waiting)
    if (tick < this.#armedFor) this.#arm(tick)
    return tick
  }

  cancel(waiting: Expiring, ticket: number): void {
    const bucket = this.#buckets.get(ticket)
    if (bucket === undefined || !bucket.delete(waiting)) return
    if (bucket.size === 0) this.#buckets.delete(ticket)
  }

  close(): void {
    this.#timer?.cancel()
    this.#buckets.clear()
  }

  #arm(tick: number): void {
    this.#timer?.cancel()
    this.#armedFor = tick
    this.#timer = this.#clock.setTimer(Math.max(0, tick * TICK_MS - this.#clock.monotonic()), () => this.#fire())
  }

  #fire(): void {
    this.#timer = null
    this.#armedFor = Infinity
    const now = Math.floor(this.#clock.monotonic() / TICK_MS)
    const due = [...this.#buckets.keys()].filter((tick) => tick <= now).sort((a, b) => a - b)
    for (const tick of due) {
      const bucket = this.#buckets.get(tick)
      this.#buckets.delete(tick)
      for (const waiting of bucket ?? []) waiting.expire()
    }
    const next = Math.min(...this.#buckets.keys())
    if (next !== Infinity && next < this.#armedFor) this.#arm(next)
  }
}
