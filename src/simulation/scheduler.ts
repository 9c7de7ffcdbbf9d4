/**
 * Virtual time. Whatever happens in the simulated world is an event here: the earliest runs next, and of two
 * at the same time the one that was scheduled first. After each, the promise queue is drained by one return to the real
 * loop, so that everything that follows from an event has happened before the next one.
 */
export interface ScheduledEvent {
  readonly atMs: number
  readonly order: number
  /** What it is, for the trace. */
  readonly kind: string
  readonly run: () => void
  cancelled: boolean
}

/** So many events at one instant are no progress but a loop of turns. */
const EVENTS_PER_INSTANT_MAX = 200_000

export class Scheduler {
  #nowMs = 0
  #order = 0
  /** A binary heap: the earliest event is first, and none is later than its children at 2i+1 and 2i+2. */
  readonly #heap: ScheduledEvent[] = []
  #eventsAtInstant = 0
  #stopped = false
  #eventCount = 0
  /** Looks at the world after each event, when everything that followed from it has happened. */
  afterEvent: (() => void) | null = null

  /** Virtual ms since the world began. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** Events that were carried out. */
  get eventCount(): number {
    return this.#eventCount
  }

  at(atMs: number, kind: string, run: () => void): ScheduledEvent {
    const event = { atMs: Math.max(atMs, this.#nowMs), order: this.#order++, kind, run, cancelled: false }
    this.#push(event)
    return event
  }

  after(delayMs: number, kind: string, run: () => void): ScheduledEvent {
    return this.at(this.#nowMs + delayMs, kind, run)
  }

  /** Ends `run` after the present event. */
  stop(): void {
    this.#stopped = true
  }

  /** Carries out every event up to that time. Resolves when the next would be later, or after `stop`. */
  run(untilMs: number): Promise<void> {
    this.#stopped = false
    return new Promise((resolve, reject) => {
      const step = (): void => {
        try {
          this.afterEvent?.()
          if (!this.#stopped && this.#runNext(untilMs)) {
            setImmediate(step)
            return
          }
        } catch (error) {
          reject(error)
          return
        }
        if (!this.#stopped) this.#nowMs = Math.max(this.#nowMs, untilMs)
        resolve()
      }
      setImmediate(step)
    })
  }

  /** False when nothing is due by then. */
  #runNext(untilMs: number): boolean {
    for (;;) {
      const event = this.#heap[0]
      if (event === undefined || event.atMs > untilMs) return false
      this.#pop()
      if (event.cancelled) continue
      if (event.atMs > this.#nowMs) this.#eventsAtInstant = 0
      else if (++this.#eventsAtInstant > EVENTS_PER_INSTANT_MAX)
        throw new Error(
          `no progress: ${EVENTS_PER_INSTANT_MAX} events at ${this.#nowMs} ms, the last one ${event.kind}`,
        )
      this.#nowMs = event.atMs
      this.#eventCount += 1
      event.run()
      return true
    }
  }

  #push(event: ScheduledEvent): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (isEarlier(heap[parent]!, event)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    const length = heap.length
    if (length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= length) break
      if (child + 1 < length && isEarlier(heap[child + 1]!, heap[child]!)) child += 1
      if (isEarlier(last, heap[child]!)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }
}

function isEarlier(one: ScheduledEvent, other: ScheduledEvent): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order)
}
