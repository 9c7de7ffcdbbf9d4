/**
 * Finds what is wrong with a history. The classes and their definitions are those of the checker of Jepsen's
 * Kafka workload (jepsen `tests/kafka.clj`), as far as they do not concern transactions.
 */
import type { Anomaly, AnomalyKind, Operation, SendOperation } from './history.ts'
import { Reading } from './version-order.ts'

/** Every anomaly of a history that ended with everything read: after the faults were healed, all keys from their beginning. */
export function checkHistory(history: readonly Operation[]): Anomaly[] {
  const reading = new Reading(history)
  return [
    ...inconsistentOffsets(reading),
    ...duplicates(reading),
    ...lostWrites(reading),
    ...unseen(reading),
    ...abortedReads(reading),
    ...orderWithinPolls(reading),
    ...orderWithinSends(reading),
    ...orderBetweenSends(reading),
    ...orderBetweenPolls(reading),
  ]
}

/** One offset of a key has two values. */
function* inconsistentOffsets({ orders }: Reading): Generator<Anomaly> {
  for (const [key, { offsets }] of orders)
    for (const { offset, values } of offsets)
      if (values.length > 1) yield anomaly('inconsistent-offsets', key, `offset ${offset} is ${values.join(' and ')}`)
}

/** One value stands at two offsets. */
function* duplicates({ orders }: Reading): Generator<Anomaly> {
  for (const [key, { offsets, indexesOf }] of orders) {
    for (const [value, indexes] of indexesOf) {
      if (indexes.length === 1) continue
      const at = indexes.map((index) => offsets[index]!.offset).join(' and ')
      yield anomaly('duplicate', key, `${value} is at offsets ${at}`)
    }
  }
}

/**
 * A value that a reader must have come past was not read: its last index lies at or below the highest first
 * index of any value that was read, and its writer must have committed.
 */
function* lostWrites(reading: Reading): Generator<Anomaly> {
  for (const [key, { indexesOf, offsets }] of reading.orders) {
    const bound = highestReadIndex(reading, key)
    for (const [value, indexes] of indexesOf) {
      const lastIndex = indexes.at(-1)!
      if (lastIndex > bound || reading.isRead(key, value)) continue
      const writer = reading.writerOf.get(value)
      if (writer === undefined || !reading.mustHaveCommitted(writer)) continue
      const readUpTo = offsets[bound]!.offset
      yield anomaly(
        'lost-write',
        key,
        `${value} at offset ${offsets[lastIndex]!.offset}, though others read up to ${readUpTo}`,
      )
    }
  }
}

/** -1 when nothing of the key was read. */
function highestReadIndex(reading: Reading, key: string): number {
  let bound = -1
  for (const value of reading.readValues.get(key) ?? []) bound = Math.max(bound, reading.indexOf(key, value) ?? -1)
  return bound
}

/** A value was acknowledged and never read by anyone, and none behind it either, or it would count as lost. */
function* unseen(reading: Reading): Generator<Anomaly> {
  const bounds = new Map<string, number>()
  for (const { outcome, sends } of reading.sends) {
    if (outcome !== 'ok') continue
    for (const { key, value, offset } of sends) {
      if (reading.isRead(key, value)) continue
      if (!bounds.has(key)) bounds.set(key, highestReadIndex(reading, key))
      const index = reading.indexOf(key, value)
      if (index !== null && index <= bounds.get(key)!) continue
      yield anomaly('unseen', key, `${value} was acknowledged with offset ${offset ?? 'unknown'} and never read`)
    }
  }
}

/** A value whose send surely failed was read. */
function* abortedReads(reading: Reading): Generator<Anomaly> {
  for (const { outcome, sends } of reading.sends) {
    if (outcome !== 'fail') continue
    for (const { key, value } of sends)
      if (reading.isRead(key, value)) yield anomaly('G1a', key, `${value} was read, though its send failed`)
  }
}

/** Within one poll a key's records are neighbours, and ascend. */
function* orderWithinPolls(reading: Reading): Generator<Anomaly> {
  for (const { polls, process, rebalanced, invokedMs } of reading.polls) {
    for (const { key, records } of polls) {
      if (rebalanced?.includes(key)) continue
      for (let at = 1; at < records.length; at++) {
        const [before, after] = [records[at - 1]!, records[at]!]
        const delta = deltaOf(reading, key, before.value, after.value)
        if (delta === null || delta === 1) continue
        const kind = delta > 1 ? 'int-poll-skip' : 'int-nonmonotonic-poll'
        yield anomaly(kind, key, `${process} at ${invokedMs} read ${told(before)}, then ${told(after)} in one poll`)
      }
    }
  }
}

/** Within one operation a key's sends ascend. */
function* orderWithinSends(reading: Reading): Generator<Anomaly> {
  for (const { sends, process } of reading.sends) {
    const lastOf = new Map<string, string>()
    for (const { key, value } of sends) {
      const before = lastOf.get(key)
      const delta = before === undefined ? null : deltaOf(reading, key, before, value)
      if (delta !== null && delta < 1)
        yield anomaly('int-nonmonotonic-send', key, `${process} sent ${before}, then ${value}, which stands before it`)
      lastOf.set(key, value)
    }
  }
}

/** From one operation of a process to its next the sends of a key ascend. */
function* orderBetweenSends(reading: Reading): Generator<Anomaly> {
  const lastOf = new Map<string, string>()
  for (const { outcome, process, sends } of inOrderOfBeginning(reading.sends)) {
    if (outcome === 'fail') continue
    const seen = new Set<string>()
    for (const { key, value } of sends) {
      const slot = `${process} ${key}`
      const before = lastOf.get(slot)
      const delta = before === undefined || seen.has(key) ? null : deltaOf(reading, key, before, value)
      if (delta !== null && delta < 1)
        yield anomaly('nonmonotonic-send', key, `${process} sent ${before}, later ${value}, which stands before it`)
      seen.add(key)
      if (reading.indexOf(key, value) !== null) lastOf.set(slot, value)
    }
  }
}

/**
 * From one poll of a process to its next a key's records are neighbours, and ascend. What a process assigned
 * itself it must read without a gap; what a group gives it may have been read by others meanwhile.
 */
function* orderBetweenPolls(reading: Reading): Generator<Anomaly> {
  const positions = new Map<string, Map<string, ReadonlyLast>>()
  const subscribed = new Set<string>()
  for (const operation of reading.history) {
    const { process } = operation
    if (operation.kind === 'assign' || operation.kind === 'subscribe') {
      const kept = operation.seek
        ? []
        : [...(positions.get(process) ?? [])].filter(([key]) => operation.keys.includes(key))
      positions.set(process, new Map(kept))
      if (operation.kind === 'subscribe') subscribed.add(process)
      else subscribed.delete(process)
      continue
    }
    if (operation.kind !== 'poll' || operation.outcome !== 'ok') continue
    let lastOf = positions.get(process)
    if (lastOf === undefined) positions.set(process, (lastOf = new Map()))
    for (const { key, records } of operation.polls) {
      const first = records[0]
      if (first === undefined) continue
      const before = lastOf.get(key)
      const delta = before === undefined ? null : deltaOf(reading, key, before.value, first.value)
      if (delta !== null && delta !== 1 && !subscribed.has(process)) {
        const kind = delta > 1 ? 'poll-skip' : 'nonmonotonic-poll'
        yield anomaly(kind, key, `${process} at ${operation.invokedMs} read ${told(first)} after ${told(before!)}`)
      }
      lastOf.set(key, records.at(-1)!)
    }
  }
}

type ReadonlyLast = { readonly offset: number; readonly value: string }

/** How far apart two values stand in their key's order; null when one's place is not known. */
function deltaOf(reading: Reading, key: string, before: string, after: string): number | null {
  const [from, to] = [reading.indexOf(key, before), reading.indexOf(key, after)]
  return from === null || to === null ? null : to - from
}

function inOrderOfBeginning(sends: readonly SendOperation[]): SendOperation[] {
  return [...sends].sort((a, b) => a.number - b.number)
}

function told({ offset, value }: { offset: number; value: string }): string {
  return `${value} at ${offset}`
}

export function anomaly(kind: AnomalyKind, key: string, detail: string): Anomaly {
  return { kind, key, detail }
}
