import type { Operation, PollOperation, SendOperation } from './history.ts'

/** The order of a key's values, as far as sends and reads together tell it. */
export interface VersionOrder {
  /** Every offset that was seen, ascending, with its values: more than one is an inconsistency. */
  readonly offsets: readonly { readonly offset: number; readonly values: readonly string[] }[]
  /** Indexes into `offsets` at which a value stands, ascending: more than one is a duplicate. Holes between offsets do not count. */
  readonly indexesOf: ReadonlyMap<string, readonly number[]>
}

/** What the checks ask of a history, computed once. */
export class Reading {
  readonly history: readonly Operation[]
  readonly sends: readonly SendOperation[]
  readonly polls: readonly PollOperation[]
  /** The operation that sent a value. */
  readonly writerOf = new Map<string, SendOperation>()
  /** Values that some `ok` poll returned, by key. */
  readonly readValues = new Map<string, Set<string>>()
  readonly orders: ReadonlyMap<string, VersionOrder>

  constructor(history: readonly Operation[]) {
    this.history = history
    this.sends = history.filter((operation) => operation.kind === 'send')
    this.polls = history.filter((operation) => operation.kind === 'poll')
    for (const operation of this.sends) for (const { value } of operation.sends) this.writerOf.set(value, operation)
    for (const { outcome, polls } of this.polls)
      if (outcome === 'ok')
        for (const { key, records } of polls) for (const { value } of records) this.#valuesReadOf(key).add(value)
    this.orders = this.#versionOrders()
  }

  isRead(key: string, value: string): boolean {
    return this.readValues.get(key)?.has(value) ?? false
  }

  /** It is `ok`, or one of its values was read: then all of them must be there. */
  mustHaveCommitted(operation: SendOperation): boolean {
    if (operation.outcome !== 'info') return operation.outcome === 'ok'
    return operation.sends.some(({ key, value }) => this.isRead(key, value))
  }

  /** Where a value stands first in its key's order; null where its offset is not known. */
  indexOf(key: string, value: string): number | null {
    return this.orders.get(key)?.indexesOf.get(value)?.[0] ?? null
  }

  #valuesReadOf(key: string): Set<string> {
    let values = this.readValues.get(key)
    if (values === undefined) this.readValues.set(key, (values = new Set()))
    return values
  }

  /** Offsets come from sends that must have committed, and from all polls: also what a failed poll returned must never be wrong. */
  #versionOrders(): Map<string, VersionOrder> {
    const valuesAt = new Map<string, Map<number, Set<string>>>()
    const note = (key: string, offset: number, value: string): void => {
      let offsets = valuesAt.get(key)
      if (offsets === undefined) valuesAt.set(key, (offsets = new Map()))
      const values = offsets.get(offset)
      if (values === undefined) offsets.set(offset, new Set([value]))
      else values.add(value)
    }
    for (const operation of this.sends) {
      if (!this.mustHaveCommitted(operation)) continue
      for (const { key, value, offset } of operation.sends) if (offset !== null) note(key, offset, value)
    }
    for (const { polls } of this.polls)
      for (const { key, records } of polls) for (const { offset, value } of records) note(key, offset, value)
    return new Map([...valuesAt].map(([key, offsets]) => [key, orderOf(offsets)]))
  }
}

function orderOf(valuesAt: Map<number, Set<string>>): VersionOrder {
  const offsets = [...valuesAt]
    .sort(([a], [b]) => a - b)
    .map(([offset, values]) => ({ offset, values: [...values].sort() }))
  const indexesOf = new Map<string, number[]>()
  for (const [index, { values }] of offsets.entries()) {
    for (const value of values) {
      const indexes = indexesOf.get(value)
      if (indexes === undefined) indexesOf.set(value, [index])
      else indexes.push(index)
    }
  }
  return { offsets, indexesOf }
}
