/** Watches how long the event loop is away: a broker that stays away too long misses its heartbeats. */
import { monitorEventLoopDelay } from 'node:perf_hooks'

/** Short enough to tell a slow turn from a normal one, long enough not to keep an idle machine awake. */
const RESOLUTION_MS = 10

export class LoopWatch {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })

  constructor() {
    this.#delay.enable()
  }

  /** No turn so far took longer than this, in ms. It may say up to the resolution too much. */
  longestTurnMs(): number {
    return this.#delay.max / 1e6
  }
}
