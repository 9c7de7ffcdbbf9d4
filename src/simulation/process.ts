import { inspect } from 'node:util'

import { noHttp, silentLogger, type LogLevel, type Logger, type Platform } from '#platform'

import { SimulatedClock } from './clock.ts'
import { SimulatedDisk } from './disk.ts'
import { DiskConditions, SimulatedFileSystem } from './files.ts'
import { Incarnation } from './incarnation.ts'
import { SimulatedNetwork } from './network.ts'
import type { World } from './world.ts'

/** What a process runs. Its promise may go on for as long as the process lives; a rejection ends the process. */
export type Program = (platform: Platform) => Promise<unknown>

/**
 * A machine with its disk, its address, and at most one process at a time.
 *
 * - `crash`: the process dies (SIGKILL). What it wrote is kept; its connections are closed by the kernel.
 * - `powerFail`: the machine goes dark. What was not synced is lost; its peers hear nothing.
 * - `pause`, `resume`: SIGSTOP and SIGCONT.
 */
export class SimulatedProcess {
  readonly world: World
  readonly name: string
  readonly address: string
  readonly disk = new SimulatedDisk()
  readonly diskConditions = new DiskConditions()
  /** How far this machine's wall clock is from the true time, ms. */
  wallOffsetMs = 0
  #incarnation: Incarnation | null = null
  #lives = 0
  readonly #locks = new Set<string>()

  constructor(world: World, name: string, address: string) {
    this.world = world
    this.name = name
    this.address = address
  }

  get isRunning(): boolean {
    return this.#incarnation?.alive ?? false
  }

  get isPaused(): boolean {
    return this.isRunning && this.#incarnation!.paused
  }

  /** The process that runs now, as its events know it. */
  get incarnation(): Incarnation | null {
    return this.isRunning ? this.#incarnation : null
  }

  /** Starts the machine if it is dark, and the program as its first event. `onExit` hears if the program rejects. */
  start(program: Program, onExit?: (error: unknown) => void): void {
    if (this.isRunning) throw new Error(`${this.name} is running`)
    const { world } = this
    this.#lives += 1
    const incarnation = new Incarnation(
      world,
      this.name,
      this.address,
      world.random.fork(`${this.name}#${this.#lives}`),
    )
    this.#incarnation = incarnation
    world.fabric.setDark(this.address, false)
    const platform = this.#platformOf(incarnation)
    incarnation.after(0, 'start', () => {
      program(platform).catch((error: unknown) => {
        if (!incarnation.alive) return
        incarnation.die()
        onExit?.(error)
      })
    })
  }

  #platformOf(incarnation: Incarnation): Platform {
    const clock = new SimulatedClock(incarnation, () => this.wallOffsetMs)
    return {
      clock,
      random: incarnation.random.fork('random'),
      files: new SimulatedFileSystem(incarnation, clock, this.disk, this.diskConditions, this.#locks),
      network: new SimulatedNetwork(this.world.fabric, incarnation),
      http: noHttp,
      logger: new SimulatedLogger(incarnation, this.name),
    }
  }

  /** Runs `run` within the process, as a signal that it handles. Nothing happens when none runs. */
  signal(run: () => void): void {
    this.incarnation?.after(0, 'signal', run)
  }

  /** The process dies at once; false when none ran. */
  crash(): boolean {
    if (!this.isRunning) return false
    this.#incarnation!.die()
    return true
  }

  /** The machine loses its power: whether or not a process runs, what was not synced is gone. */
  powerFail(): void {
    this.world.fabric.setDark(this.address, true)
    this.#incarnation?.die()
    this.disk.powerFail(this.world.random)
  }

  pause(): void {
    if (this.isRunning) this.#incarnation!.paused = true
  }

  resume(): void {
    const incarnation = this.incarnation
    if (!incarnation?.paused) return
    incarnation.paused = false
    this.world.fabric.wake(incarnation)
    incarnation.releaseHeld()
  }
}

/** Errors of ours, whoever caught them: a finding in any run. */
const OWN_FAULTS = ['AssertionError', 'TypeError', 'ReferenceError', 'RangeError', 'SyntaxError']

/** Lines go to the world, as text with virtual time; an assertion or a type error among them is a finding. */
class SimulatedLogger implements Logger {
  readonly #incarnation: Incarnation
  readonly #name: string

  constructor(incarnation: Incarnation, name: string) {
    this.#incarnation = incarnation
    this.#name = name
  }

  debug(message: string): void {
    this.#print('debug', message)
  }

  info(message: string): void {
    this.#print('info', message)
  }

  warn(message: string, error?: unknown): void {
    this.#print('warn', message, error)
  }

  error(message: string, error?: unknown): void {
    this.#print('error', message, error)
  }

  /** Everything is kept: `--log` decides what is shown. */
  readonly level = 'debug'
  readonly children: ReadonlyMap<string, Logger> = new Map()

  setLevel(): void {}

  named(name: string): Logger {
    return this.#incarnation.alive ? new SimulatedLogger(this.#incarnation, `${this.#name} ${name}`) : silentLogger
  }

  #print(level: LogLevel, message: string, error?: unknown): void {
    if (!this.#incarnation.alive) return
    const { world } = this.#incarnation
    if (error instanceof Error && OWN_FAULTS.includes(error.name)) world.report(`${this.#name}: ${message}`, error)
    if (world.logSink === null) return
    const reason = error === undefined ? '' : `: ${error instanceof Error ? error.message : inspect(error)}`
    world.logSink(level, `${world.nowMs.toFixed(3)} ${this.#name}: ${message}${reason}`)
  }
}
