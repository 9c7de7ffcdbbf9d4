import { inspect } from 'node:util'

import type { LogLevel } from '#platform'

import { DeadProcessError, type Incarnation } from './incarnation.ts'
import { Fabric } from './network.ts'
import { SimulatedProcess } from './process.ts'
import { SimulatedRandom } from './random.ts'
import { Scheduler } from './scheduler.ts'
import type { Stream } from './socket.ts'
import { Trace } from './trace.ts'

/** Something that must not happen in any run, whatever the faults. */
export interface Finding {
  readonly atMs: number
  readonly what: string
}

/**
 * Machines, processes and the network between them, on one scheduler with virtual time. Everything that
 * happens follows from the seed: two runs of one seed, alone or among others, give the same trace.
 */
export class World {
  readonly seed: number
  /** Draws of the world itself: delays, what survives a power failure. Processes have forks of their own. */
  readonly random: SimulatedRandom
  readonly scheduler = new Scheduler()
  readonly trace = new Trace()
  readonly fabric: Fabric
  readonly findings: Finding[] = []
  /** Takes the lines that processes log. */
  logSink: ((level: LogLevel, line: string) => void) | null = null
  /** Sees what arrives, when it arrives. */
  onBytes: ((stream: Stream, bytes: Uint8Array) => void) | null = null
  readonly #processes = new Map<string, SimulatedProcess>()

  constructor(seed: number) {
    this.seed = seed
    this.random = new SimulatedRandom(`world ${seed}`)
    this.fabric = new Fabric(this)
  }

  get nowMs(): number {
    return this.scheduler.nowMs
  }

  get processes(): SimulatedProcess[] {
    return [...this.#processes.values()]
  }

  /** The machine of that name, made on first use. Others reach it by its name. */
  process(name: string): SimulatedProcess {
    let process = this.#processes.get(name)
    if (process === undefined) {
      process = new SimulatedProcess(this, name, `10.0.0.${this.#processes.size + 1}`)
      this.#processes.set(name, process)
    }
    return process
  }

  /** What a host name means to a process; null when it is nobody's. */
  addressOf(host: string, asker: Incarnation): string | null {
    if (host === 'localhost' || host === '127.0.0.1' || host === '0.0.0.0' || host === '::1') return asker.address
    for (const { name, address } of this.#processes.values()) if (host === name || host === address) return address
    return null
  }

  /** Lets the world go on for that long. An unhandled rejection on the way is a finding. */
  async run(durationMs: number): Promise<void> {
    const onUnhandled = (reason: unknown): void => {
      if (!(reason instanceof DeadProcessError)) this.report('a rejection that nobody handled', reason)
    }
    process.on('unhandledRejection', onUnhandled)
    try {
      await this.scheduler.run(this.nowMs + durationMs)
    } finally {
      process.off('unhandledRejection', onUnhandled)
    }
  }

  /** Lets the world go on until `done`, at most for that long; false when it was not. Looked at every `everyMs`. */
  async runUntil(done: () => boolean, durationMs: number, everyMs = 10): Promise<boolean> {
    const endMs = this.nowMs + durationMs
    while (!done() && this.nowMs < endMs) await this.run(Math.min(everyMs, endMs - this.nowMs))
    return done()
  }

  /** Runs `run` at that time from now, outside of every process: faults and observers. */
  after(delayMs: number, run: () => void): void {
    this.scheduler.after(delayMs, 'world', run)
  }

  report(what: string, error?: unknown): void {
    this.findings.push({ atMs: this.nowMs, what: error === undefined ? what : `${what}: ${inspect(error)}` })
  }

  crash(incarnation: Incarnation): void {
    for (const process of this.#processes.values()) if (process.incarnation === incarnation) process.crash()
  }

  /** Cuts these machines off from those, both ways. */
  partition(one: readonly SimulatedProcess[], other: readonly SimulatedProcess[]): void {
    this.cut(one, other)
    this.cut(other, one)
  }

  /** Nothing from these machines reaches those; the way back stays open. `port`: only connections that were made to it. */
  cut(from: readonly SimulatedProcess[], to: readonly SimulatedProcess[], port: number | null = null): void {
    for (const source of from)
      for (const target of to) if (source !== target) this.fabric.block(source.address, target.address, port)
  }

  /** Ends a `cut`. */
  mend(from: readonly SimulatedProcess[], to: readonly SimulatedProcess[]): void {
    for (const source of from)
      for (const target of to) if (source !== target) this.fabric.unblock(source.address, target.address)
  }

  /** All links are open and as fast as ever. */
  heal(): void {
    this.fabric.heal()
  }

  /** Both directions between these machines take so many times as long. */
  slowDown(one: SimulatedProcess, other: SimulatedProcess, slowness: number): void {
    this.fabric.link(one.address, other.address).slowness = slowness
    this.fabric.link(other.address, one.address).slowness = slowness
  }
}
