import type { Clock, Timer } from '#platform'

import type { Incarnation } from './incarnation.ts'

/** Wall clock of the world's first moment: 2026-01-01T00:00:00Z. */
export const WORLD_EPOCH_MS = 1_767_225_600_000
/** Timers are late by up to this much, as those of real loops are. */
const TIMER_LATENESS_MS_MAX = 1
/** A turn of the loop takes time, or work cut into slices would stop the world's clock. */
const TURN_MS = 0.01

export class SimulatedClock implements Clock {
  readonly #incarnation: Incarnation
  readonly #wallOffsetMs: () => number
  #gathered: (() => void)[] = []

  /** `wallOffsetMs` tells how far this machine's wall clock is from the true one. */
  constructor(incarnation: Incarnation, wallOffsetMs: () => number) {
    this.#incarnation = incarnation
    this.#wallOffsetMs = wallOffsetMs
  }

  now(): number {
    return Math.floor(WORLD_EPOCH_MS + this.#incarnation.world.nowMs + this.#wallOffsetMs())
  }

  monotonic(): number {
    return this.#incarnation.world.nowMs
  }

  setTimer(delayMs: number, fire: (lateMs: number) => void): Timer {
    const incarnation = this.#incarnation
    const delay = Math.max(0, delayMs)
    const dueMs = incarnation.world.nowMs + delay
    const lateness = incarnation.random.next() * TIMER_LATENESS_MS_MAX
    return incarnation.after(delay + lateness, 'timer', () => fire(incarnation.world.nowMs - dueMs))
  }

  endOfTurn(run: () => void): void {
    if (this.#gathered.push(run) > 1) return
    this.#incarnation.after(0, 'turn', () => {
      const gathered = this.#gathered
      this.#gathered = []
      for (const run of gathered) run()
    })
  }

  nextTurn(run: () => void): void {
    this.#incarnation.after(TURN_MS, 'turn', run)
  }
}
