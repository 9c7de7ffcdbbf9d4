/** What a client of the simulated ensemble does all day: session after session, several requests at a time. */
import { sleep, type Platform } from '#platform'

import { ALL_PARENTS, Choices, PEOPLE, REGISTERS } from './choices.ts'
import type { Operation } from './history.ts'
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
    const person = platform.random.next() < 0.6 ? PEOPLE[platform.random.below(PEOPLE.length)]! : null
    const session = new PlainSession(platform, { client: name, person, servers, port, timeoutMs }, recorder)
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
  readonly #choices: Choices

  constructor(platform: Platform, options: ClientOptions, plan: Plan, recorder: Recorder, session: PlainSession) {
    this.#platform = platform
    this.#options = options
    this.#plan = plan
    this.#recorder = recorder
    this.#session = session
    this.#choices = new Choices({
      random: platform.random,
      nextValue: () => recorder.nextValue(),
      bytesMax: options.bytesMax,
      watched: () => session.watched,
    })
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
      const request = this.#choices.next()
      asked.push(this.#session.submit(request))
      if (request.kind === 'sync' && this.#session.isOpen) asked.push(this.#session.submit(this.#choices.read()))
    }
    // At times it leaves before the answers come.
    if (this.#chance(0.03)) this.#session.move()
    for (const operation of await Promise.all(asked)) this.#choices.learn(operation)
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

  #chance(probability: number): boolean {
    return this.#platform.random.next() < probability
  }
}
