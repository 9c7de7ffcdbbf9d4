import type { Clock, Logger } from '#platform'
import type { QuotaExceeded } from '#zookeeper/tree'

/** Of one limit the log tells at most this often, however many writes go beyond it. Source: RateLogger. */
const INTERVAL_MS = 10_000
/** Limits that are remembered; with more, some are told of again too early. */
const LIMITS_MAX = 1000

export class QuotaWarnings {
  readonly #clock: Clock
  readonly #logger: Logger
  /** When the log told of each limit, by path and kind. */
  readonly #toldMs = new Map<string, number>()

  constructor({ clock, logger }: { clock: Clock; logger: Logger }) {
    this.#clock = clock
    this.#logger = logger
  }

  note({ path, hard, what, value, limit }: QuotaExceeded): void {
    const key = `${what} ${path}`
    const nowMs = this.#clock.monotonic()
    const toldMs = this.#toldMs.get(key)
    if (toldMs !== undefined && nowMs - toldMs < INTERVAL_MS) return
    if (this.#toldMs.size >= LIMITS_MAX) this.#toldMs.clear()
    this.#toldMs.set(key, nowMs)
    this.#logger.warn(
      `quota exceeded: ${path} comes to ${value} (${what}), its ${hard ? 'hard' : 'soft'} limit is ${limit}`,
    )
  }
}
