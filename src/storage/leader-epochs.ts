/**
 * Which leader epoch began at which offset: what replicas compare to find where their logs part (KIP-101, KIP-279).
 * Kafka's `LeaderEpochFileCache`.
 *
 * Invariant: epochs and start offsets both grow strictly from entry to entry.
 */
export interface EpochEntry {
  readonly epoch: number
  readonly startOffset: number
}

export interface EpochEnd {
  readonly epoch: number
  readonly endOffset: number
}

export class LeaderEpochs {
  /** Makes the entries durable; called after every change with all of them. */
  onChange: (entries: readonly EpochEntry[]) => void = () => {}
  #entries: EpochEntry[]

  constructor(entries: readonly EpochEntry[] = []) {
    this.#entries = [...entries]
  }

  get entries(): readonly EpochEntry[] {
    return this.#entries
  }

  /** −1 when nothing was ever written. */
  get latestEpoch(): number {
    return this.#entries.at(-1)?.epoch ?? -1
  }

  /** Where the latest epoch began; −1 when there is none. */
  get latestStartOffset(): number {
    return this.#entries.at(-1)?.startOffset ?? -1
  }

  /**
   * Notes that records of `epoch` begin at `startOffset`. Entries that contradict it (a later epoch, or a later
   * start) are dropped: they describe what was truncated.
   */
  assign(epoch: number, startOffset: number): void {
    const last = this.#entries.at(-1)
    if (last !== undefined && last.epoch === epoch && startOffset >= last.startOffset) return
    while (this.#entries.length > 0 && contradicts(this.#entries.at(-1)!, epoch, startOffset)) this.#entries.pop()
    this.#entries.push({ epoch, startOffset })
    this.#changed()
  }

  /**
   * The largest epoch not above `epoch` that the log knows, and the offset where it ends. Null when that cannot be
   * told: nothing is known, or the epoch lies in the future.
   */
  endOffsetFor(epoch: number, logEndOffset: number): EpochEnd | null {
    const latest = this.#entries.at(-1)
    if (latest === undefined || epoch < 0 || epoch > latest.epoch) return null
    if (epoch === latest.epoch) return { epoch, endOffset: logEndOffset }
    const next = this.#entries.findIndex((entry) => entry.epoch > epoch)
    const floor = this.#entries[next - 1]
    return { epoch: floor?.epoch ?? epoch, endOffset: this.#entries[next]!.startOffset }
  }

  /** The epoch of the record at `offset`; −1 when no entry covers it. */
  epochAt(offset: number): number {
    return this.#entries.findLast((entry) => entry.startOffset <= offset)?.epoch ?? -1
  }

  /** The log now ends at `endOffset`. */
  truncateFromEnd(endOffset: number): void {
    const kept = this.#entries.filter((entry) => entry.startOffset < endOffset)
    if (kept.length === this.#entries.length) return
    this.#entries = kept
    this.#changed()
  }

  /** The log now starts at `startOffset`: the entry that covers it is kept, and begins there. */
  truncateFromStart(startOffset: number): void {
    const floor = this.#entries.findLastIndex((entry) => entry.startOffset <= startOffset)
    if (floor < 0 || (floor === 0 && this.#entries[0]!.startOffset === startOffset)) return
    const rest = this.#entries.slice(floor + 1)
    this.#entries = [{ epoch: this.#entries[floor]!.epoch, startOffset }, ...rest]
    this.#changed()
  }

  clear(): void {
    if (this.#entries.length === 0) return
    this.#entries = []
    this.#changed()
  }

  #changed(): void {
    this.onChange(this.#entries)
  }
}

function contradicts(entry: EpochEntry, epoch: number, startOffset: number): boolean {
  return entry.epoch >= epoch || entry.startOffset >= startOffset
}
