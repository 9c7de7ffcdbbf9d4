import type { Producer } from '#client'

import type { DeliveryEvent } from '../checker/delivery-checks.ts'
import { Recorder } from './recorder.ts'

/** Switches that break a rule of our clients, to show that it is found. */
export type ClientFaults = NonNullable<ConstructorParameters<typeof Producer>[2]>

/** What the real clients of a run did and saw beside what the plain ones do. */
export class RealRecorder extends Recorder {
  readonly deliveries: DeliveryEvent[] = []
  /** What must never happen and is no anomaly of the history: memory beyond its bound, an error that no user should see. */
  readonly faults = new Set<string>()
  /** The most that a producer held at once. */
  bufferedBytesMax = 0
  /** Highest offset that a reader of that name came to, in any of its lives, by `name key`. */
  readonly #reached = new Map<string, number>()
  /** Highest offset that was committed, as requests had it, by key. */
  readonly #committed = new Map<string, number>()

  fault(what: string): void {
    this.faults.add(what)
  }

  reached(name: string, key: string, offset: number): void {
    const slot = `${name} ${key}`
    if (offset > (this.#reached.get(slot) ?? -1)) this.#reached.set(slot, offset)
  }

  /** -1: nothing was read. */
  highestReached(name: string, key: string): number {
    return this.#reached.get(`${name} ${key}`) ?? -1
  }

  commitSeen(key: string, offset: number, atMs: number): void {
    this.deliveries.push({ kind: 'commit', key, offset, atMs })
    if (offset > this.highestCommit(key)) this.#committed.set(key, offset)
  }

  /** 0: none. */
  highestCommit(key: string): number {
    return this.#committed.get(key) ?? 0
  }

  /** Offsets of the records that anybody read, ascending, by key. */
  recordsRead(): Map<string, number[]> {
    const offsets = new Map<string, Set<number>>()
    for (const operation of this.operations) {
      if (operation.kind !== 'poll') continue
      for (const { key, records } of operation.polls) {
        let known = offsets.get(key)
        if (known === undefined) offsets.set(key, (known = new Set()))
        for (const { offset } of records) known.add(offset)
      }
    }
    return new Map([...offsets].map(([key, known]) => [key, [...known].sort((a, b) => a - b)]))
  }
}
