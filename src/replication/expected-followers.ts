import type { Clock } from '#platform'

import type { Expiring } from './deadlines.ts'

/** How long a follower is expected after its partition got this leader, in ms. */
const EXPECTED_MS = 1000
/** Longest wait of its fetches meanwhile, in ms. */
const PATIENCE_MS = 20

/**
 * Followers of partitions that this broker has just begun to lead. A follower has one fetch per fetcher under way here; while
 * it is parked on behalf of other partitions it cannot ask for the new ones, and whoever produces to them with acks=all
 * waits. So its parked fetches end, and for a while none is parked for long: it may hear of its role after the leader does.
 */
export class ExpectedFollowers {
  readonly #clock: Clock
  readonly #untilMs = new Map<number, number>()
  readonly #parked = new Map<number, Set<Expiring>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  expect(brokerIds: Iterable<number>): void {
    const untilMs = this.#clock.monotonic() + EXPECTED_MS
    for (const brokerId of brokerIds) {
      this.#untilMs.set(brokerId, untilMs)
      // An end takes the wait out of the set.
      for (const wait of Array.from(this.#parked.get(brokerId) ?? [])) wait.expire()
    }
  }

  /** Longest sensible wait of a fetch of this broker, in ms. Consumers have negative ids and are never expected. */
  patienceMs(brokerId: number): number {
    const untilMs = this.#untilMs.get(brokerId)
    if (untilMs === undefined) return Infinity
    if (this.#clock.monotonic() < untilMs) return PATIENCE_MS
    this.#untilMs.delete(brokerId)
    return Infinity
  }

  park(brokerId: number, wait: Expiring): void {
    if (brokerId < 0) return
    let waits = this.#parked.get(brokerId)
    if (waits === undefined) this.#parked.set(brokerId, (waits = new Set()))
    waits.add(wait)
  }

  unpark(brokerId: number, wait: Expiring): void {
    this.#parked.get(brokerId)?.delete(wait)
  }
}
