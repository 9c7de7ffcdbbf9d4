import type { CommittedOffset } from './events.ts'

export interface OffsetEntry {
  topic: string
  partition: number
  value: CommittedOffset
}

/** The offsets of one group: what is durable, and which partitions have a commit under way. */
export class GroupOffsets {
  readonly #topics = new Map<string, Map<number, { value: CommittedOffset; logOffset: number }>>()
  /** How many commits are decided and not durable, by topic and partition. */
  readonly #pending = new Map<string, number>()
  /** Inside open transactions, by producer id. */
  readonly #transactional = new Map<number, (OffsetEntry & { logOffset: number })[]>()

  get isEmpty(): boolean {
    return this.#topics.size === 0 && this.#pending.size === 0 && this.#transactional.size === 0
  }

  get(topic: string, partition: number): CommittedOffset | null {
    return this.#topics.get(topic)?.get(partition)?.value ?? null
  }

  /** `logOffset`: where the commit lies in the log; an older commit never replaces a later one. */
  set(topic: string, partition: number, value: CommittedOffset, logOffset: number): void {
    let partitions = this.#topics.get(topic)
    if (partitions === undefined) this.#topics.set(topic, (partitions = new Map()))
    const present = partitions.get(partition)
    if (present === undefined || present.logOffset <= logOffset) partitions.set(partition, { value, logOffset })
  }

  delete(topic: string, partition: number): void {
    const partitions = this.#topics.get(topic)
    partitions?.delete(partition)
    if (partitions?.size === 0) this.#topics.delete(topic)
  }

  /** Partitions with a commit that is decided and not durable. */
  *pendingCommits(): Generator<{ topic: string; partition: number }> {
    for (const key of this.#pending.keys()) {
      const colon = key.indexOf(':')
      yield { topic: key.slice(0, colon), partition: Number(key.slice(colon + 1)) }
    }
  }

  *entries(): Generator<OffsetEntry> {
    for (const [topic, partitions] of this.#topics)
      for (const [partition, { value }] of partitions) yield { topic, partition, value }
  }

  /** Topics in the order of their first commit, each with its partitions ascending. */
  byTopic(): { topic: string; partitions: number[] }[] {
    return [...this.#topics].map(([topic, partitions]) => ({
      topic,
      partitions: [...partitions.keys()].sort((a, b) => a - b),
    }))
  }

  beginCommit(topic: string, partition: number): void {
    const key = keyOf(topic, partition)
    this.#pending.set(key, (this.#pending.get(key) ?? 0) + 1)
  }

  /** The commit is durable or has failed. */
  endCommit(topic: string, partition: number): void {
    const key = keyOf(topic, partition)
    const count = this.#pending.get(key) ?? 0
    if (count > 1) this.#pending.set(key, count - 1)
    else this.#pending.delete(key)
  }

  /** A commit is under way, or waits for the end of its transaction. */
  isUnstable(topic: string, partition: number): boolean {
    return this.hasPendingCommit(topic, partition) || this.#hasTransactional(topic, partition)
  }

  /** Something is under way for any partition. */
  get hasAnyPending(): boolean {
    return this.#pending.size > 0 || this.#transactional.size > 0
  }

  hasPendingCommit(topic: string, partition: number): boolean {
    return this.#pending.has(keyOf(topic, partition))
  }

  setInTransaction(producerId: number, entry: OffsetEntry, logOffset: number): void {
    const entries = this.#transactional.get(producerId) ?? []
    entries.push({ ...entry, logOffset })
    this.#transactional.set(producerId, entries)
  }

  endTransaction(producerId: number, isCommitted: boolean): void {
    const entries = this.#transactional.get(producerId) ?? []
    this.#transactional.delete(producerId)
    if (!isCommitted) return
    for (const { topic, partition, value, logOffset } of entries) this.set(topic, partition, value, logOffset)
  }

  #hasTransactional(topic: string, partition: number): boolean {
    for (const entries of this.#transactional.values())
      if (entries.some((entry) => entry.topic === topic && entry.partition === partition)) return true
    return false
  }
}

/** A colon cannot be in a topic's name. */
function keyOf(topic: string, partition: number): string {
  return `${topic}:${partition}`
}
