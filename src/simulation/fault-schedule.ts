/** Faults at random times, and those of them that can happen to any process of a world. */
import type { SimulatedProcess } from './process.ts'
import type { SimulatedRandom } from './random.ts'
import type { World } from './world.ts'

/** What a fault did, and how to end it. */
export interface Fault {
  readonly what: string
  /** Whose silence it may be the cause of; absent: nobody's. */
  readonly machines?: readonly SimulatedProcess[]
  readonly lastsMs: number
  end(): void
}

/** By name: how often, compared with the others, and what happens. */
export type FaultKinds<Faults> = Readonly<Record<string, readonly [weight: number, kind: (faults: Faults) => Fault]>>

/** Makes faults at random times until it is stopped. Several may be in force at once. */
export abstract class FaultSchedule {
  readonly world: World
  readonly random: SimulatedRandom
  /** How often each kind happened. */
  readonly counts = new Map<string, number>()
  readonly #everyMs: number
  #stopped = false

  /** `everyMs`: usual time from one fault to the next. */
  constructor(world: World, everyMs: number) {
    this.world = world
    this.random = world.random.fork('faults')
    this.#everyMs = everyMs
  }

  get isStopped(): boolean {
    return this.#stopped
  }

  /** Those of the servers. */
  abstract get machines(): readonly SimulatedProcess[]

  /** From the last step of a story to its end, ms: at least, at most. */
  abstract readonly restMs: readonly [number, number]

  /** How long a fault lasts that has no time of its own, ms. */
  abstract durationMs(): number

  /** Lets one of the kinds happen. */
  protected abstract next(): [name: string, fault: Fault]

  start(): void {
    this.world.after(this.random.exponential(this.#everyMs), () => {
      if (this.#stopped) return
      this.happen(...this.next())
      this.start()
    })
  }

  protected happen(name: string, fault: Fault): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
    this.#tell(`${name}: ${fault.what} for ${fault.lastsMs.toFixed(0)} ms`)
    this.world.after(fault.lastsMs, () => {
      if (this.#stopped) return
      this.#tell(`${name} ends: ${fault.what}`)
      fault.end()
    })
  }

  /** Nothing breaks any more, and links work. The rest is for who knows what else there is to repair. */
  stop(): void {
    this.#stopped = true
    this.#tell('all faults end')
    this.world.heal()
  }

  #tell(what: string): void {
    this.world.logSink?.('info', `${this.world.nowMs.toFixed(3)} faults: ${what}`)
  }
}

/** Each name as often as its weight says. */
export function weighted<Faults>(kinds: FaultKinds<Faults>): [name: string, kind: (faults: Faults) => Fault][] {
  return Object.entries(kinds).flatMap(([name, [weight, kind]]) =>
    Array.from({ length: weight }, (): [string, typeof kind] => [name, kind]),
  )
}

export function pause(faults: FaultSchedule, process: SimulatedProcess): Fault {
  process.pause()
  return { what: process.name, machines: [process], lastsMs: faults.durationMs(), end: () => process.resume() }
}

export function slowDown(
  faults: FaultSchedule,
  one: SimulatedProcess,
  other: SimulatedProcess,
  factors: readonly number[],
): Fault {
  const slowness = faults.random.pick(factors)
  faults.world.slowDown(one, other, slowness)
  return {
    what: `${one.name} and ${other.name}, ${slowness} times`,
    machines: [one, other],
    lastsMs: faults.durationMs(),
    end: () => faults.world.slowDown(one, other, 1),
  }
}

export function connectionsLost({ world, random }: FaultSchedule, machine: SimulatedProcess): Fault {
  const count = world.fabric.resetConnections(machine.address, null, random.pick([0.3, 1]))
  return { what: `${count} of ${machine.name}`, machines: [machine], lastsMs: 0, end: () => {} }
}

export function clockJump({ random }: FaultSchedule, machines: readonly SimulatedProcess[]): Fault {
  const machine = random.pick(machines)
  const jumpMs = random.pick([-60_000, -1000, 1000, 60_000])
  machine.wallOffsetMs += jumpMs
  return { what: `${machine.name} by ${jumpMs} ms`, lastsMs: 0, end: () => {} }
}

/** Steps of a story that takes several faults in order; each may look how things stand. */
export function story(
  faults: FaultSchedule,
  what: string,
  steps: readonly (readonly [afterMs: number, step: () => void])[],
  end: () => void,
): Fault {
  let atMs = 0
  for (const [afterMs, step] of steps) {
    atMs += afterMs
    faults.world.after(atMs, () => faults.isStopped || step())
  }
  return { what, machines: faults.machines, lastsMs: atMs + faults.random.between(...faults.restMs), end }
}

/** All machines but this one. */
export function others({ machines }: FaultSchedule, process: SimulatedProcess): SimulatedProcess[] {
  return machines.filter((machine) => machine !== process)
}

export function namesOf(machines: readonly SimulatedProcess[]): string {
  return machines.map(({ name }) => name).join()
}
