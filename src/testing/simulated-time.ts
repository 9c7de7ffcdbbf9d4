import type { World } from '#simulation'

import { SimulationError, type WithinOptions } from './simulated.ts'

const WITHIN_DEFAULT_MS = 600_000
/** Between two looks at a condition. */
const LOOK_EVERY_MS = 1

interface Wait {
  readonly deadlineMs: number
  /** Looked at when time stands. */
  readonly isOver: () => boolean
  /** Conditions are looked at often; what tells by itself when it is over stops time at that event. */
  readonly isLookedAt: boolean
  readonly resolve: (isOver: boolean) => void
  readonly reject: (error: unknown) => void
}

/** Virtual time, which passes only while somebody waits for something; several may wait at once. */
export class SimulatedTime {
  readonly #world: World
  readonly #waits = new Set<Wait>()
  #isPassing = false
  #findingsTold = 0

  constructor(world: World) {
    this.#world = world
  }

  async advance(durationMs: number): Promise<void> {
    await this.#wait(durationMs, () => false, false)
    this.#throwFindings()
  }

  async until<T>(awaited: PromiseLike<T>, options: WithinOptions = {}): Promise<T> {
    let isSettled = false
    const settled = (): void => {
      isSettled = true
      this.#world.scheduler.stop()
    }
    awaited.then(settled, settled)
    await this.#expect(() => isSettled, false, options)
    return awaited
  }

  untilTrue(condition: () => boolean, options: WithinOptions = {}): Promise<void> {
    return this.#expect(condition, true, options)
  }

  async run<T>(program: () => Promise<T>, options?: WithinOptions): Promise<T> {
    return this.until(program(), options)
  }

  async #expect(
    isOver: () => boolean,
    isLookedAt: boolean,
    { withinMs = WITHIN_DEFAULT_MS }: WithinOptions,
  ): Promise<void> {
    const came = await this.#wait(withinMs, isOver, isLookedAt)
    this.#throwFindings()
    if (!came) throw this.#error(`what was awaited has not come about within ${withinMs} ms of virtual time`)
  }

  #wait(durationMs: number, isOver: () => boolean, isLookedAt: boolean): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waits.add({ deadlineMs: this.#world.nowMs + durationMs, isOver, isLookedAt, resolve, reject })
      // Time that passes already may have a later goal.
      this.#world.scheduler.stop()
      if (!this.#isPassing) void this.#pass()
    })
  }

  async #pass(): Promise<void> {
    this.#isPassing = true
    try {
      while (this.#waits.size > 0) {
        await this.#passOnce()
        this.#settleWaits()
      }
    } catch (error) {
      for (const { reject } of this.#waits) reject(error)
      this.#waits.clear()
    } finally {
      this.#isPassing = false
    }
  }

  async #passOnce(): Promise<void> {
    const { nowMs } = this.#world
    const waits = [...this.#waits]
    // A promise that was settled already tells so in the turn after this one.
    const stepMs = waits.some(({ isLookedAt }) => isLookedAt) ? LOOK_EVERY_MS : Infinity
    if (waits.some(({ isLookedAt, isOver }) => isLookedAt && isOver())) return
    const goalMs = Math.min(nowMs + stepMs, ...waits.map(({ deadlineMs }) => deadlineMs))
    await this.#world.run(goalMs - nowMs)
  }

  #settleWaits(): void {
    for (const wait of this.#waits) {
      const isOver = wait.isOver()
      if (!isOver && this.#world.nowMs < wait.deadlineMs) continue
      this.#waits.delete(wait)
      wait.resolve(isOver)
    }
  }

  #throwFindings(): void {
    const findings = this.#world.findings.slice(this.#findingsTold)
    this.#findingsTold += findings.length
    if (findings.length > 0)
      throw this.#error(findings.map(({ atMs, what }) => `at ${atMs.toFixed(3)} ms: ${what}`).join('\n'))
  }

  #error(message: string): SimulationError {
    return new SimulationError(`seed ${this.#world.seed}: ${message}`)
  }
}
