/** Bytes read and written by part of the tree: the first name of each path. Source: DataTree.updateReadStat, updateWriteStat. */
import { OpCode, type LoggedTxn } from '#zookeeper/protocol'

import type { Summary, SummarySet } from './instruments.ts'

/** Of a `Stat` on the wire. */
const STAT_BYTES = 68

/** The root is no part of itself. What is asked for again and again costs a comparison, and no memory. */
export class NamespaceTraffic {
  readonly #set: SummarySet
  /** With the slash before it. */
  #latestName = '/'
  #latest: Summary | null = null

  constructor(set: SummarySet) {
    this.#set = set
  }

  /** `bytes`: of data or of names of children. */
  read(path: string, bytes: number): void {
    this.#of(path)?.add(path.length + bytes + STAT_BYTES)
  }

  written(path: string, bytes: number): void {
    this.#of(path)?.add(path.length + bytes)
  }

  /** What is committed has been written. */
  committed({ txn }: LoggedTxn): void {
    if (txn.type !== OpCode.multi) return this.#writtenBy(txn)
    if (txn.txns.some(({ type }) => type === OpCode.error)) return
    for (const each of txn.txns) this.#writtenBy(each)
  }

  #writtenBy(txn: LoggedTxn['txn']): void {
    switch (txn.type) {
      case OpCode.create:
      case OpCode.create2:
      case OpCode.createContainer:
      case OpCode.createTTL:
      case OpCode.setData:
        return this.written(txn.path, txn.data?.length ?? 0)
      case OpCode.delete:
      case OpCode.deleteContainer:
        return this.written(txn.path, 0)
      default:
        return undefined
    }
  }

  #of(path: string): Summary | null {
    const name = this.#latestName
    if (path.startsWith(name) && (path.length === name.length || path.charCodeAt(name.length) === SLASH))
      return this.#latest
    const end = path.indexOf('/', 1)
    this.#latestName = end < 0 ? path : path.slice(0, end)
    this.#latest = this.#latestName.length < 2 ? null : this.#set.of(this.#latestName.slice(1))
    return this.#latest
  }
}

const SLASH = 0x2f

/** The first name of a path. */
export function namespaceOf(path: string): string {
  const end = path.indexOf('/', 1)
  return end < 0 ? path.slice(1) : path.slice(1, end)
}
