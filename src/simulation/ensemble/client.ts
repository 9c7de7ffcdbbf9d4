/** What a client of the simulated ensemble does all day: session after session, several requests at a time. */
import { sleep, type Platform } from '#platform'

import type { Operation, Request, Step } from './history.ts'
import { OK } from './outcome.ts'
import { PlainSession } from './plain-session.ts'
import type { Recorder } from './recorder.ts'

export interface ClientOptions {
  readonly name: string
  readonly servers: readonly string[]
  readonly port: number
  /** Usual time between two bursts of requests, ms. */
  readonly pauseMs: number
  /** The most requests that are sent together. */
  readonly burstMax: number
  /** Of the largest value; 0: all are small. */
  readonly bytesMax: number
}

/** Set by whoever runs the clients, and by the clients when they are through. */
export interface Plan {
  /** `finish`: one more write and a look at everything, then nothing but pings. */
  phase: 'work' | 'finish'
  readonly finished: Set<string>
}

const REGISTERS = ['/r/0', '/r/1', '/r/2']
const DIRECTORY = '/d'
const NAMES = ['a', 'b', 'c', 'd', 'e']
const QUEUE = '/q'
const LOCKS = '/e'
/** Parents of everything, in this order. */
export const PARENTS: readonly string[] = ['/r', DIRECTORY, QUEUE, LOCKS, ...REGISTERS]
const ALL_PARENTS = ['/r', DIRECTORY, QUEUE, LOCKS]

const SESSION_TIMEOUTS_MS = [800, 1200, 2000, 3000]

/** Runs until its process dies. */
export async function runClient(
  platform: Platform,
  options: ClientOptions,
  plan: Plan,
  recorder: Recorder,
): Promise<never> {
  for (;;) {
    const { name, servers, port } = options
    const timeoutMs = SESSION_TIMEOUTS_MS[platform.random.below(SESSION_TIMEOUTS_MS.length)]!
    const session = new PlainSession(platform, { client: name, servers, port, timeoutMs }, recorder)
    await new Client(platform, options, plan, recorder, session).run()
    recorder.note('session over')
    await sleep(platform.clock, options.pauseMs)
  }
}

class Client {
  readonly #platform: Platform
  readonly #options: ClientOptions
  readonly #plan: Plan
  readonly #recorder: Recorder
  readonly #session: PlainSession
  /** Versions and sequential znodes that it has heard of. */
  readonly #versions = new Map<string, number>()
  readonly #queued: string[] = []

  constructor(platform: Platform, options: ClientOptions, plan: Plan, recorder: Recorder, session: PlainSession) {
    this.#platform = platform
    this.#options = options
    this.#plan = plan
    this.#recorder = recorder
    this.#session = session
  }

  async run(): Promise<void> {
    const { clock, random } = this.#platform
    while (!this.#session.hasEnded) {
      await this.#session.opened()
      if (this.#session.hasEnded) return
      if (this.#plan.phase === 'finish') await this.#finish()
      else await this.#burst()
      const pauseMs = -Math.log(1 - random.next()) * this.#options.pauseMs
      await sleep(clock, this.#plan.phase === 'finish' ? this.#options.pauseMs : pauseMs)
    }
  }

  /** Requests that are sent together; or another way to spend the time. */
  async #burst(): Promise<void> {
    const { random } = this.#platform
    if (this.#chance(0.04)) return this.#session.move()
    if (this.#chance(0.015)) return void (await this.#session.submit({ kind: 'close' }))
    const asked: Promise<Operation>[] = []
    for (let count = this.#chance(0.6) ? 1 : 1 + random.below(this.#options.burstMax); count > 0; count--) {
      if (!this.#session.isOpen) break
      const request = this.#nextRequest()
      asked.push(this.#session.submit(request))
      if (request.kind === 'sync' && this.#session.isOpen) asked.push(this.#session.submit(this.#read()))
    }
    // At times it leaves before the answers come.
    if (this.#chance(0.03)) this.#session.move()
    for (const operation of await Promise.all(asked)) this.#learn(operation)
  }

  /** Once everything works again: a write is acknowledged, and a sync shows it. */
  async #finish(): Promise<void> {
    const { name } = this.#options
    if (this.#plan.finished.has(name)) return
    const data = this.#recorder.nextValue()
    const path = REGISTERS[0]!
    const [write, sync, ...reads] = await Promise.all([
      this.#session.submit({ kind: 'set', path, data, version: -1 }),
      this.#session.submit({ kind: 'sync' }),
      ...[...REGISTERS, ...ALL_PARENTS].map((each) => this.#session.submit({ kind: 'get', path: each, watch: false })),
      ...ALL_PARENTS.map((each) => this.#session.submit({ kind: 'children', path: each, watch: false })),
    ])
    if ([write, sync, ...reads].every(({ answer }) => answer?.err === OK)) this.#plan.finished.add(name)
  }

  #nextRequest(): Request {
    const roll = this.#platform.random.below(100)
    if (roll < 30) return this.#read()
    if (roll < 37) return { kind: 'sync' }
    if (roll < 45) return { kind: 'multi', steps: Array.from({ length: 2 + this.#below(2) }, () => this.#step()) }
    const step = this.#step()
    // A check is something only within a multi.
    return step.kind === 'check' ? { kind: 'multi', steps: [step, this.#step()] } : step
  }

  #read(): Request {
    const watch = this.#chance(0.4)
    const roll = this.#below(4)
    if (roll === 0) return { kind: 'children', path: this.#pick([DIRECTORY, QUEUE, LOCKS]), watch }
    if (roll === 1) return { kind: 'exists', path: this.#pick([...this.#places(), ...REGISTERS]), watch }
    return { kind: 'get', path: this.#pick([...REGISTERS, this.#pick(this.#places())]), watch }
  }

  #step(): Step {
    const data = this.#value()
    const roll = this.#below(12)
    if (roll < 3) return { kind: 'set', path: this.#pick(REGISTERS), data, version: -1 }
    if (roll < 5) return this.#conditional(this.#pick(REGISTERS), data)
    if (roll === 5) return { kind: 'create', path: `${QUEUE}/n-`, data, ephemeral: false, sequential: true }
    if (roll === 6) return { kind: 'create', path: `${LOCKS}/s-`, data, ephemeral: true, sequential: true }
    if (roll === 7) return { kind: 'create', path: this.#pick(this.#locks()), data, ephemeral: true, sequential: false }
    if (roll === 8) return { kind: 'create', path: this.#place(), data, ephemeral: false, sequential: false }
    if (roll === 9) return { kind: 'set', path: this.#pick(this.#places()), data, version: -1 }
    if (roll === 10 && this.#queued.length > 0) return { kind: 'delete', path: this.#queued.shift()!, version: -1 }
    return { kind: 'delete', path: this.#pick(this.#places()), version: -1 }
  }

  #conditional(path: string, data: string): Step {
    const version = this.#versions.get(path) ?? 0
    if (this.#chance(0.2)) return { kind: 'check', path, version }
    this.#versions.set(path, version + 1)
    return { kind: 'set', path, data, version }
  }

  #value(): string {
    const value = this.#recorder.nextValue()
    const { bytesMax } = this.#options
    return bytesMax > 0 && this.#chance(0.3) ? value.padEnd(this.#below(bytesMax), '.') : value
  }

  #learn({ request, answer }: Operation): void {
    if (answer === null || answer.err !== OK || !('path' in request)) return
    const version = / v(\d+) /.exec(answer.text)?.[1]
    if (version !== undefined) this.#versions.set(request.path, Number(version))
    if (request.kind === 'create' && request.sequential) this.#queued.push(answer.text)
  }

  #place(): string {
    const name = this.#pick(NAMES)
    return this.#chance(0.3) ? `${DIRECTORY}/${name}/${this.#pick(NAMES)}` : `${DIRECTORY}/${name}`
  }

  #locks(): string[] {
    return NAMES.slice(0, 3).map((name) => `${LOCKS}/${name}`)
  }

  #places(): string[] {
    return [this.#place(), this.#place(), ...this.#locks(), ...(this.#queued.length > 0 ? [this.#queued[0]!] : [])]
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#below(items.length)]!
  }

  #below(bound: number): number {
    return this.#platform.random.below(bound)
  }

  #chance(probability: number): boolean {
    return this.#platform.random.next() < probability
  }
}
