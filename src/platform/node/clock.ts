import type { Clock, Timer } from '#platform'

/**
 * Time and turns by Node's loop, whose phases are: due timers, then the poll (sockets, files, the pool's
 * completions), then immediates. Promises settle between any two callbacks.
 */
export class NodeClock implements Clock {
  #gathered: (() => void)[] = []

  now(): number {
    return Date.now()
  }

  monotonic(): number {
    return performance.now()
  }

  setTimer(delayMs: number, fire: (lateMs: number) => void): Timer {
    return new NodeTimer(delayMs, fire)
  }

  /**
   * An immediate, not a microtask: it runs after the whole poll, so that all that arrived with it, on any
   * connection, is gathered into one write per file and per connection. A microtask would run after each
   * socket's read. It delays nothing: with an immediate waiting, the loop does not sleep.
   */
  endOfTurn(run: () => void): void {
    if (this.#gathered.push(run) === 1) setImmediate(this.#runGathered)
  }

  /** Twice, because an immediate set during the poll runs at the end of that same poll. */
  nextTurn(run: () => void): void {
    setImmediate(() => setImmediate(run))
  }

  readonly #runGathered = (): void => {
    const gathered = this.#gathered
    this.#gathered = []
    for (let index = 0; index < gathered.length; index++) {
      try {
        gathered[index]!()
      } catch (error) {
        // What was gathered with the one that failed still runs; the failure is the process's.
        if (index + 1 < gathered.length) {
          this.#gathered = [...gathered.slice(index + 1), ...this.#gathered]
          setImmediate(this.#runGathered)
        } else if (this.#gathered.length > 0) setImmediate(this.#runGathered)
        throw error
      }
    }
  }
}

/**
 * A due timer fires only after one more poll. After a stall the loop runs its timers before it reads its
 * sockets, and a heartbeat that has long arrived would count as missed:
 *
 * 1. the process is stopped for 10 s; heartbeats arrive in the kernel's buffers
 * 2. it goes on; the loop finds the session's timer due, and only marks it with an immediate
 * 3. the poll reads the heartbeats; their handlers cancel or move the timer
 * 4. immediates run: what was cancelled does not fire
 */
class NodeTimer implements Timer {
  readonly #dueMs: number
  readonly #fire: (lateMs: number) => void
  #timeout: NodeJS.Timeout | null
  #immediate: NodeJS.Immediate | null = null

  constructor(delayMs: number, fire: (lateMs: number) => void) {
    const delay = Math.max(0, delayMs)
    this.#dueMs = performance.now() + delay
    this.#fire = fire
    this.#timeout = this.#arm(delay)
  }

  cancel(): void {
    if (this.#timeout !== null) clearTimeout(this.#timeout)
    if (this.#immediate !== null) clearImmediate(this.#immediate)
    this.#timeout = null
    this.#immediate = null
  }

  #arm(delayMs: number): NodeJS.Timeout {
    return setTimeout(this.#due, Math.min(delayMs, TIMEOUT_MS_MAX))
  }

  readonly #due = (): void => {
    const remainingMs = this.#dueMs - performance.now()
    if (remainingMs > 1) {
      this.#timeout = this.#arm(remainingMs)
      return
    }
    this.#timeout = null
    this.#immediate = setImmediate(this.#fireAfterPoll)
  }

  readonly #fireAfterPoll = (): void => {
    this.#immediate = null
    this.#fire(Math.max(0, performance.now() - this.#dueMs))
  }
}

/** Node's timers take an int32 of ms and fire at once beyond it; a longer delay is made of several. */
const TIMEOUT_MS_MAX = 0x7fff_ffff
