import { anomaly } from './checker.ts'
import type { Anomaly } from './history.ts'

/** What members of consumer groups saw, in order of completion. */
export type GroupEvent =
  | {
      readonly kind: 'assigned'
      readonly group: string
      readonly generation: number
      readonly member: string
      readonly keys: readonly string[]
    }
  | {
      /** A commit was acknowledged. */
      readonly kind: 'committed'
      readonly group: string
      readonly key: string
      readonly offset: number
      readonly completedMs: number
    }
  | {
      /** What an OffsetFetch answered; -1: no offset. */
      readonly kind: 'fetched'
      readonly group: string
      readonly key: string
      readonly offset: number
      readonly invokedMs: number
    }

/**
 * Two members own a partition in one generation; or a committed offset has gone back. The members of the
 * workload commit ascending offsets only, each from where its predecessor's commit was.
 */
export function checkGroups(events: readonly GroupEvent[]): Anomaly[] {
  return [...twoOwners(events), ...commitsGoneBack(events)]
}

function* twoOwners(events: readonly GroupEvent[]): Generator<Anomaly> {
  const ownerOf = new Map<string, string>()
  for (const event of events) {
    if (event.kind !== 'assigned') continue
    for (const key of event.keys) {
      const slot = `${event.group} ${event.generation} ${key}`
      const owner = ownerOf.get(slot)
      if (owner !== undefined && owner !== event.member)
        yield anomaly(
          'two-owners',
          key,
          `${owner} and ${event.member} in generation ${event.generation} of ${event.group}`,
        )
      ownerOf.set(slot, event.member)
    }
  }
}

function* commitsGoneBack(events: readonly GroupEvent[]): Generator<Anomaly> {
  const commits = events.filter((event) => event.kind === 'committed')
  for (const event of events) {
    if (event.kind !== 'fetched') continue
    let highest = -1
    for (const { group, key, offset, completedMs } of commits)
      if (group === event.group && key === event.key && completedMs < event.invokedMs)
        highest = Math.max(highest, offset)
    if (event.offset < highest)
      yield anomaly(
        'commit-gone-back',
        event.key,
        `${event.group} read ${event.offset} at ${event.invokedMs}, where ${highest} was committed`,
      )
  }
}
