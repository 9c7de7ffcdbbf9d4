import type { SimulatedRandom } from './random.ts'
import type { World } from './world.ts'

/** Thrown by the ports of a process that is dead: what its last turn still tries does not happen. */
export class DeadProcessError extends Error {
  override name = 'DeadProcessError'
}

interface HeldEvent {
  readonly kind: string
  readonly run: () => void
}

/**
 * One life of a process, from its start to its death. Every completion that its code waits for is an event
 * of this life: once dead, none of them happens, so that nothing of it ever runs again; while it is paused they
 * wait, and at its return what came from outside goes before the timers, as after a poll.
 */
export class Incarnation {
  readonly world: World
  readonly name: string
  readonly address: string
  readonly random: SimulatedRandom
  readonly startedMs: number
  alive = true
  paused = false
  readonly #heldArrivals: HeldEvent[] = []
  readonly #heldTimers: HeldEvent[] = []
  readonly #onDeath: (() => void)[] = []

  constructor(world: World, name: string, address: string, random: SimulatedRandom) {
    this.world = world
    this.name = name
    this.address = address
    this.random = random
    this.startedMs = world.nowMs
  }

  /** Runs `run` as this process after `delayMs`, if it lives then. Returns how to prevent it. */
  after(delayMs: number, kind: string, run: () => void): { cancel(): void } {
    const event = this.world.scheduler.after(delayMs, kind, () => {
      if (!this.alive || event.cancelled) return
      if (!this.paused) {
        this.world.trace.event(this.world.nowMs, kind, this.name)
        return this.enter(kind, run)
      }
      const held = kind === 'timer' ? this.#heldTimers : this.#heldArrivals
      held.push({ kind, run: () => event.cancelled || run() })
    })
    return {
      cancel() {
        event.cancelled = true
      },
    }
  }

  /** Runs `run` now, as this process. What it throws ends the process, as an uncaught exception does. */
  enter(kind: string, run: () => void): void {
    try {
      run()
    } catch (error) {
      if (error instanceof DeadProcessError) return
      this.world.report(`${this.name} ended by an uncaught error in ${kind}`, error)
      this.world.crash(this)
    }
  }

  /** For ports: throws when the process is dead. */
  expectAlive(): void {
    if (!this.alive) throw new DeadProcessError(`${this.name} is dead`)
  }

  onDeath(run: () => void): void {
    this.#onDeath.push(run)
  }

  die(): void {
    if (!this.alive) return
    this.alive = false
    for (const run of this.#onDeath) run()
  }

  /** What came meanwhile happens now, timers last. */
  releaseHeld(): void {
    for (const { kind, run } of [...this.#heldArrivals.splice(0), ...this.#heldTimers.splice(0)])
      this.after(0, kind, run)
  }
}
