import { anomaly } from './checker.ts'
import type { Anomaly } from './history.ts'

/** What members of a consumer group were given and committed, in order of time. A member is one consumer from its start to its end. */
export type DeliveryEvent =
  | {
      /** From now on the member has exactly these partitions, as it was told. */
      readonly kind: 'owns'
      readonly member: string
      readonly keys: readonly string[]
    }
  | {
      readonly kind: 'given'
      readonly member: string
      readonly key: string
      readonly offset: number
      readonly atMs: number
    }
  | {
      /** The member's user is through with the record, or commits by hand before that: from now on a commit may take it in. */
      readonly kind: 'committable'
      readonly key: string
      readonly offset: number
      readonly atMs: number
    }
  | {
      /** A request to commit arrived at a broker, whatever became of it. */
      readonly kind: 'commit'
      readonly key: string
      readonly offset: number
      readonly atMs: number
    }

/**
 * A record was given to a member that does not have its partition; or a commit takes in a record that nobody was
 * through with. `recordsOf`: the offsets of all records that exist, ascending, by key.
 */
export function checkDeliveries(
  events: readonly DeliveryEvent[],
  recordsOf: ReadonlyMap<string, readonly number[]>,
): Anomaly[] {
  return [...givenToOthers(events), ...commitsAhead(events, recordsOf)]
}

function* givenToOthers(events: readonly DeliveryEvent[]): Generator<Anomaly> {
  const owned = new Map<string, readonly string[]>()
  for (const event of events) {
    if (event.kind === 'owns') owned.set(event.member, event.keys)
    if (event.kind !== 'given' || owned.get(event.member)?.includes(event.key) === true) continue
    yield anomaly(
      'not-owner',
      event.key,
      `${event.member} was given offset ${event.offset} at ${event.atMs}, and has ${owned.get(event.member)?.join(', ') ?? 'nothing'}`,
    )
  }
}

function* commitsAhead(
  events: readonly DeliveryEvent[],
  recordsOf: ReadonlyMap<string, readonly number[]>,
): Generator<Anomaly> {
  const committable = new Map<string, Set<number>>()
  /** By key: how many of its records, from the first on, may be committed without a gap. */
  const runs = new Map<string, number>()
  for (const event of events) {
    if (event.kind === 'committable') {
      const offsets = committable.get(event.key)
      if (offsets === undefined) committable.set(event.key, new Set([event.offset]))
      else offsets.add(event.offset)
    }
    if (event.kind !== 'commit') continue
    const { key, offset, atMs } = event
    const records = recordsOf.get(key) ?? []
    let run = runs.get(key) ?? 0
    while (run < records.length && committable.get(key)?.has(records[run]!) === true) run += 1
    runs.set(key, run)
    if (run < records.length && records[run]! < offset)
      yield anomaly(
        'commit-ahead',
        key,
        `${offset} was committed at ${atMs}, and nobody was through with ${records[run]!}`,
      )
  }
}
