/**
 * The last transactions that were applied, in memory: most learners that come back need no others. Source: ZKDatabase.committedLog.
 *
 * Invariant: there is no hole in it. One would go to every learner that is synchronised from here, and transactions would be lost
 * (ZOOKEEPER-4925); where a transaction does not follow, what was before it is forgotten.
 */
import { follows, type LoggedBytes } from '#zookeeper/protocol'

/** Whatever `commitLogCount` says: 500 transactions of a megabyte each would be half a gigabyte. */
const BYTES_MAX = 1 << 25
const FORGOTTEN: LoggedBytes = { zxid: 0n, bytes: new Uint8Array(0) }
/** Forgotten entries at the head are cut off when there are this many. */
const COMPACTED_FROM = 1024

export class CommittedLog implements Iterable<LoggedBytes> {
  readonly #countMax: number
  readonly #bytesMax: number
  #entries: LoggedBytes[] = []
  #start = 0
  #bytes = 0
  #before: bigint | null = null

  constructor(countMax: number, bytesMax = BYTES_MAX) {
    this.#countMax = countMax
    this.#bytesMax = bytesMax
  }

  get size(): number {
    return this.#entries.length - this.#start
  }

  /** Zxid of the oldest transaction; 0 where there is none. */
  get min(): bigint {
    return this.#entries[this.#start]?.zxid ?? 0n
  }

  /** Zxid of the newest transaction; 0 where there is none. */
  get max(): bigint {
    return this.size === 0 ? 0n : this.#entries.at(-1)!.zxid
  }

  /** What comes right before the oldest transaction; null where it is not known. */
  get before(): bigint | null {
    return this.#before
  }

  /** The data go on from a snapshot as of this transaction, and nothing lies between it and what is here. */
  startsAfter(zxid: bigint): void {
    if (this.#before === null && (this.size === 0 || follows(this.min, zxid))) this.#before = zxid
  }

  add(zxid: bigint, bytes: Uint8Array): void {
    if (this.#countMax === 0) return
    const last = this.size > 0 ? this.max : this.#before
    if (last !== null && !follows(zxid, last)) this.clear()
    this.#entries.push({ zxid, bytes })
    this.#bytes += bytes.length
    while (this.size > this.#countMax || (this.#bytes > this.#bytesMax && this.size > 1)) this.#forgetOldest()
    if (this.#start < COMPACTED_FROM) return
    this.#entries = this.#entries.slice(this.#start)
    this.#start = 0
  }

  #forgetOldest(): void {
    this.#before = this.min
    this.#bytes -= this.#entries[this.#start]!.bytes.length
    this.#entries[this.#start++] = FORGOTTEN
  }

  clear(): void {
    this.#entries = []
    this.#start = 0
    this.#bytes = 0
    this.#before = null
  }

  /** Oldest first. */
  *[Symbol.iterator](): Generator<LoggedBytes> {
    const entries = this.#entries
    for (let index = this.#start; index < entries.length; index++) yield entries[index]!
  }
}
