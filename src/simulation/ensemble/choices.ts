/**
 * What clients of the simulated ensemble ask for, and where: registers, a directory, a queue and locks for all that every client does;
 * znodes that are not for everybody, that end by themselves, and that have a quota.
 */
import type { Random } from '#platform'
import { Perms } from '#zookeeper/protocol'

import type { AclEntry, Operation, Person, ReadRequest, Request, Step, WatchKind, WatchRequest } from './history.ts'
import { OK } from './outcome.ts'
import { limitsText, quotaPaths } from './quota-model.ts'

export const REGISTERS = ['/r/0', '/r/1', '/r/2']
const DIRECTORY = '/d'
const NAMES = ['a', 'b', 'c', 'd', 'e']
const QUEUE = '/q'
const LOCKS = '/e'
/** What is below is not for everybody. */
const SECRETS = '/s'
const SECRET_NAMES = ['a', 'b', 'c', 'd']
export const PEOPLE: readonly Person[] = ['ann', 'bob']
/** In most of them somebody may change them again. */
const ACLS: readonly (readonly AclEntry[])[] = [
  [{ who: 'anyone', perms: Perms.ALL }],
  [{ who: 'anyone', perms: Perms.ALL & ~Perms.READ }],
  [{ who: 'anyone', perms: Perms.READ | Perms.ADMIN }],
  [{ who: 'asker', perms: Perms.ALL }],
  [
    { who: 'anyone', perms: Perms.READ },
    { who: 'asker', perms: Perms.ALL },
  ],
  [
    { who: 'ann', perms: Perms.ALL & ~Perms.WRITE },
    { who: 'bob', perms: Perms.READ | Perms.WRITE | Perms.CREATE },
  ],
  [
    { who: 'anyone', perms: Perms.WRITE | Perms.CREATE | Perms.ADMIN },
    { who: 'bob', perms: Perms.READ | Perms.DELETE },
  ],
]
/** Has a quota. */
const BOUNDED = '/b'
/** What is below ends by itself. */
export const TRANSIENT = '/t'
const CONTAINERS = [`${TRANSIENT}/c-1`, `${TRANSIENT}/c-2`]
/** Before the number of each. */
export const TTL_NODE = `${TRANSIENT}/t-`
const TTL_NODES = [`${TTL_NODE}1`, `${TTL_NODE}2`]
const TTLS_MS = [200, 600, 1500, 20_000]
export const ALL_PARENTS = ['/r', DIRECTORY, QUEUE, LOCKS, SECRETS, BOUNDED, TRANSIENT]
const BOUNDED_PATHS = quotaPaths(BOUNDED)
/** So little that it is reached again and again. */
const LIMITS = [limitsText(6, 40), limitsText(4, 1000), limitsText(9, 25)]
/** What is there before the clients, in this order. */
export const BEGINNING: readonly { readonly path: string; readonly data: string }[] = [
  ...[...ALL_PARENTS, ...REGISTERS, BOUNDED_PATHS.folder].map((path) => ({ path, data: '' })),
  { path: BOUNDED_PATHS.limits, data: LIMITS[0]! },
  { path: BOUNDED_PATHS.stats, data: '' },
]
const WATCH_KINDS: readonly WatchKind[] = ['data', 'children', 'any', 'persistent', 'recursive']

/** Of data below a quota, bytes. */
const SHORT = 16

export interface ChoicesOptions {
  readonly random: Random
  /** Each time another one. */
  readonly nextValue: () => string
  /** Of the largest value; 0: all are small. */
  readonly bytesMax: number
  /** Paths that the client watches. */
  readonly watched: () => readonly string[]
}

/** Of one session: it goes by what that has learnt. */
export class Choices {
  readonly #options: ChoicesOptions
  /** Versions and sequential znodes that it has heard of. */
  readonly #versions = new Map<string, number>()
  readonly #queued: string[] = []

  constructor(options: ChoicesOptions) {
    this.#options = options
  }

  next(): Request {
    const roll = this.#options.random.below(100)
    if (roll < 27) return this.read()
    if (roll < 33) return { kind: 'sync' }
    if (roll < 37) return this.#watchRequest()
    if (roll < 39) return { kind: 'setAcl', path: this.#secret(), acl: this.#pick(ACLS), version: this.#aversion() }
    if (roll < 47) return { kind: 'multi', steps: Array.from({ length: 2 + this.#below(2) }, () => this.#step()) }
    const step = this.#step()
    // A check is something only within a multi.
    return step.kind === 'check' ? { kind: 'multi', steps: [step, this.#step()] } : step
  }

  read(): ReadRequest {
    const watch = this.#chance(0.4)
    const roll = this.#below(10)
    if (roll === 9) return { kind: 'get', path: this.#pick([BOUNDED_PATHS.stats, this.#bounded()]), watch }
    if (roll === 8) return { kind: 'acl', path: this.#pick([this.#secret(), ...REGISTERS]), watch: false }
    if (roll === 7) return { kind: this.#chance(0.5) ? 'get' : 'exists', path: this.#secret(), watch }
    if (roll < 2)
      return {
        kind: 'children',
        path: this.#pick([DIRECTORY, QUEUE, LOCKS, TRANSIENT, SECRETS, this.#secret()]),
        watch,
      }
    if (roll < 4) return { kind: 'exists', path: this.#pick([...this.#places(), ...REGISTERS]), watch }
    return { kind: 'get', path: this.#pick([...REGISTERS, this.#pick(this.#places())]), watch }
  }

  learn({ request, answer }: Operation): void {
    if (answer === null || answer.err !== OK || !('path' in request)) return
    const version = / v(\d+) /.exec(answer.text)?.[1]
    if (version !== undefined) this.#versions.set(request.path, Number(version))
    if (request.kind === 'create' && request.life === 'persistent' && request.sequential) this.#queued.push(answer.text)
  }

  #watchRequest(): WatchRequest {
    const watched = this.#options.watched()
    if (this.#chance(0.5)) {
      const path = this.#pick([DIRECTORY, LOCKS, QUEUE, SECRETS, this.#secret(), '/', ...REGISTERS, ...this.#places()])
      return { kind: 'addWatch', path, recursive: this.#chance(0.5) }
    }
    const path = this.#pick(watched.length > 0 ? watched : REGISTERS)
    return { kind: 'removeWatches', path, of: this.#pick(WATCH_KINDS) }
  }

  #step(): Step {
    const data = this.#value()
    const roll = this.#below(18)
    if (roll < 3) return { kind: 'set', path: this.#pick(REGISTERS), data, version: -1 }
    if (roll < 5) return this.#conditional(this.#pick(REGISTERS), data)
    if (roll === 5) return { kind: 'create', path: `${QUEUE}/n-`, data, life: 'persistent', sequential: true }
    if (roll === 6) return { kind: 'create', path: `${LOCKS}/s-`, data, life: 'ephemeral', sequential: true }
    if (roll === 7)
      return { kind: 'create', path: this.#pick(this.#locks()), data, life: 'ephemeral', sequential: false }
    if (roll === 8) return { kind: 'create', path: this.#place(), data, life: 'persistent', sequential: false }
    if (roll === 9) return { kind: 'set', path: this.#pick(this.#places()), data, version: -1 }
    if (roll >= 16) return this.#boundedStep(data)
    if (roll >= 14) return this.#secretStep(data)
    if (roll >= 12) return this.#transientStep(data)
    if (roll === 10 && this.#queued.length > 0) return { kind: 'delete', path: this.#queued.shift()!, version: -1 }
    return { kind: 'delete', path: this.#pick(this.#places()), version: -1 }
  }

  #transientStep(data: string): Step {
    const parent = this.#pick([...CONTAINERS, ...TTL_NODES])
    const child = `${parent}/${this.#pick(NAMES.slice(0, 2))}`
    const roll = this.#below(6)
    if (roll < 2) {
      if (CONTAINERS.includes(parent))
        return { kind: 'create', path: parent, data, life: 'container', sequential: false }
      const life = { ttlMs: this.#pick(TTLS_MS) }
      if (this.#chance(0.2)) return { kind: 'create', path: TTL_NODE, data, life, sequential: true }
      return { kind: 'create', path: parent, data, life, sequential: false }
    }
    if (roll === 2) return { kind: 'create', path: child, data, life: 'ephemeral', sequential: false }
    if (roll === 3) return { kind: 'create', path: child, data, life: 'persistent', sequential: false }
    if (roll === 4) return { kind: 'set', path: parent, data, version: -1 }
    return { kind: 'delete', path: child, version: -1 }
  }

  #secretStep(data: string): Step {
    const path = this.#secret()
    const roll = this.#below(8)
    if (roll < 3) return { kind: 'create', path, data, life: 'persistent', sequential: false, acl: this.#pick(ACLS) }
    if (roll === 3) return { kind: 'check', path, version: -1 }
    if (roll < 6) return { kind: 'set', path, data, version: -1 }
    return { kind: 'delete', path, version: -1 }
  }

  #boundedStep(value: string): Step {
    const path = this.#bounded()
    const data = value.slice(0, SHORT).padEnd(this.#below(SHORT), '.')
    const roll = this.#below(12)
    if (roll < 5)
      return { kind: 'create', path, data, life: roll === 0 ? 'ephemeral' : 'persistent', sequential: false }
    if (roll < 8) return { kind: 'set', path, data, version: -1 }
    if (roll === 8) return { kind: 'set', path: BOUNDED_PATHS.limits, data: this.#pick(LIMITS), version: -1 }
    return { kind: 'delete', path, version: -1 }
  }

  #bounded(): string {
    const path = `${BOUNDED}/${this.#pick(NAMES)}`
    return this.#chance(0.3) ? `${path}/${this.#pick(NAMES)}` : path
  }

  #secret(): string {
    const path = `${SECRETS}/${this.#pick(SECRET_NAMES)}`
    return this.#chance(0.3) ? `${path}/${this.#pick(SECRET_NAMES)}` : path
  }

  /** Of a list: any, or one that it may have. */
  #aversion(): number {
    return this.#chance(0.8) ? -1 : this.#below(3)
  }

  #conditional(path: string, data: string): Step {
    const version = this.#versions.get(path) ?? 0
    if (this.#chance(0.2)) return { kind: 'check', path, version }
    this.#versions.set(path, version + 1)
    return { kind: 'set', path, data, version }
  }

  #value(): string {
    const { bytesMax, nextValue } = this.#options
    const value = nextValue()
    return bytesMax > 0 && this.#chance(0.3) ? value.padEnd(this.#below(bytesMax), '.') : value
  }

  #place(): string {
    const name = this.#pick(NAMES)
    return this.#chance(0.3) ? `${DIRECTORY}/${name}/${this.#pick(NAMES)}` : `${DIRECTORY}/${name}`
  }

  #locks(): string[] {
    return NAMES.slice(0, 3).map((name) => `${LOCKS}/${name}`)
  }

  #places(): string[] {
    return [
      this.#place(),
      this.#place(),
      ...this.#locks(),
      this.#pick([...CONTAINERS, ...TTL_NODES]),
      ...(this.#queued.length > 0 ? [this.#queued[0]!] : []),
    ]
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#below(items.length)]!
  }

  #below(bound: number): number {
    return this.#options.random.below(bound)
  }

  #chance(probability: number): boolean {
    return this.#options.random.next() < probability
  }
}
