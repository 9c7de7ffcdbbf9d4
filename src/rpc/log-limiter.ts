import type { Clock, Logger } from '#platform'

/** Lines per window: enough to see what is wrong, too few for a stranger to fill the disk with. */
const LINES_MAX = 10
const WINDOW_MS = 10_000

/** Warnings that others can provoke at will: beyond a few per window they are only counted. */
export class LogLimiter {
  readonly #clock: Clock
  readonly #logger: Logger
  #windowStart = Number.NEGATIVE_INFINITY
  #lines = 0

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock
    this.#logger = logger
  }

  warn(message: string, error?: unknown): void {
    const now = this.#clock.monotonic()
    if (now - this.#windowStart >= WINDOW_MS) {
      const suppressed = this.#lines - LINES_MAX
      if (suppressed > 0) this.#logger.warn(`${suppressed} more warnings of this kind were left out`)
      this.#windowStart = now
      this.#lines = 0
    }
    this.#lines++
    if (this.#lines > LINES_MAX) return
    if (error === undefined) this.#logger.warn(message)
    else this.#logger.warn(message, error)
  }

  /** What we did wrong is always told. */
  error(message: string, error: unknown): void {
    this.#logger.error(message, error)
  }
}
