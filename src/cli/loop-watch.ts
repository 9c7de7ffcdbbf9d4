/** Watches how long the event loop is away: a broker that stays away too long misses its heartbeats. */
import { monitorEventLoopDelay } from 'node:perf_hooks'

/** The histogram counts from one sample to the next, so its resolution is part of what it measures. */
const RESOLUTION_MS = 10

export class LoopWatch {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })

  constructor() {
    this.#delay.enable()
  }

  /** The longest turn so far, in ms. */
  longestTurnMs(): number {
    return Math.max(0, this.#delay.max / 1e6 - RESOLUTION_MS)
  }
}
