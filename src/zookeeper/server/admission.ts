/**
 * Bounds the requests in process: beyond the limit, connections that have some are no longer read from until
 * others are answered. A connection without any is always heard. Source: ZooKeeperServer.shouldThrottle.
 */
import type { Clock } from '#platform'

export interface Throttled {
  pause(): void
  resume(): void
}

export class Admission {
  readonly #clock: Clock
  readonly #limit: number
  readonly #throttled = new Set<Throttled>()
  #inProcess = 0
  #resuming = false

  constructor(clock: Clock, limit: number) {
    this.#clock = clock
    this.#limit = limit
  }

  /** Requests received and not yet answered. */
  get inProcess(): number {
    return this.#inProcess
  }

  enter(from: Throttled): void {
    this.#inProcess++
    if (this.#inProcess <= this.#limit || this.#throttled.has(from)) return
    this.#throttled.add(from)
    from.pause()
  }

  leave(count: number): void {
    this.#inProcess -= count
    if (this.#throttled.size === 0 || this.#inProcess > this.#limit || this.#resuming) return
    this.#resuming = true
    this.#clock.endOfTurn(() => this.#resumeAll())
  }

  forget(connection: Throttled): void {
    this.#throttled.delete(connection)
  }

  #resumeAll(): void {
    this.#resuming = false
    const resumed = [...this.#throttled]
    this.#throttled.clear()
    for (const connection of resumed) connection.resume()
  }
}
