/**
 * The controller's events, one at a time, in the order in which they came. Everything that reads or changes the context runs here,
 * so nothing needs a lock, and an event may wait for ZooKeeper without another seeing it half-way.
 */
export interface ControllerEvent {
  readonly name: string
  /** Whose event it is: one of another owner with the same name is another event. */
  readonly owner?: object
  run(): Promise<void>
  /** Called instead of `run` when the queue is cleared. */
  drop?(): void
}

export class EventQueue {
  readonly #waiting: ControllerEvent[] = []
  readonly #onError: (event: string, error: unknown) => Promise<void>
  #running: Promise<void> | null = null

  /** `onError` is given what an event throws, before the next one runs. */
  constructor(onError: (event: string, error: unknown) => Promise<void>) {
    this.#onError = onError
  }

  get size(): number {
    return this.#waiting.length
  }

  put(event: ControllerEvent): void {
    this.#waiting.push(event)
    this.#running ??= this.#runAll()
  }

  /** For events that say no more than "look again": one of the same owner that waits already will see everything. */
  putOnce(event: ControllerEvent): void {
    if (!this.#waiting.some(({ name, owner }) => name === event.name && owner === event.owner)) this.put(event)
  }

  /** Drops what waits. The event that runs is left to end. */
  clear(): void {
    for (const event of this.#waiting.splice(0)) event.drop?.()
  }

  /** Resolves when nothing runs and nothing waits. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running
  }

  async #runAll(): Promise<void> {
    // Begins in a later microtask, so that whoever puts an event is never re-entered.
    await Promise.resolve()
    for (let event = this.#waiting.shift(); event !== undefined; event = this.#waiting.shift()) {
      try {
        await event.run()
      } catch (error) {
        await this.#onError(event.name, error)
      }
    }
    this.#running = null
  }
}
