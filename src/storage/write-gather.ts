import type { Clock } from '#platform'

/** Something with appended bytes that its file has not yet. */
export interface Unwritten {
  /** Hands the bytes to the file; never throws. */
  writePending(): void
}

/** Gathers the appends of a turn: each log that took some is written once, when the turn has done its other work. */
export class WriteGather {
  readonly #clock: Clock
  #logs: Unwritten[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** To be called once per log and turn. */
  add(log: Unwritten): void {
    if (this.#logs.push(log) === 1) this.#clock.endOfTurn(() => this.#run())
  }

  #run(): void {
    const logs = this.#logs
    this.#logs = []
    for (const log of logs) log.writePending()
  }
}
