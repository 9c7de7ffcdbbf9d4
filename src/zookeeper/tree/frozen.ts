/**
 * The tree as it was at one transaction, while later ones go on. Before a node changes for the first time, the
 * tree hands over what it was (`keep`); everything else is read from the live tree. So a snapshot is consistent
 * without a stop of the world, at the cost of one copy for each node that changes meanwhile.
 */
import type { Acl } from '#zookeeper/protocol'

import type { Znode } from './znode.ts'

export interface FrozenState {
  /** The last transaction that the frozen tree holds. */
  readonly zxid: bigint
  readonly digest: bigint
  /** Timeouts in ms by session id. */
  readonly sessions: readonly (readonly [bigint, number])[]
  readonly acls: readonly (readonly [bigint, readonly Acl[]])[]
}

export class FrozenTree {
  readonly state: FrozenState
  readonly #live: ReadonlyMap<string, Znode>
  /** As they were; null: did not exist. */
  readonly #kept = new Map<string, Znode | null>()
  /** Names of children that existed and have changed or gone since, by the parent's path. */
  readonly #touched = new Map<string, Set<string>>()

  constructor(live: ReadonlyMap<string, Znode>, state: FrozenState) {
    this.#live = live
    this.state = state
  }

  /**
   * `path` is about to change or go (`node` is what is there) or to come (undefined).
   * Invariant: the first call for a path says what it was when the tree froze.
   */
  keep(path: string, node: Znode | undefined): void {
    const known = this.#kept.get(path)
    if (known === undefined) this.#kept.set(path, node === undefined ? null : { ...node })
    if (known === null || node === undefined || path === '') return
    this.#rememberName(path)
  }

  /** All nodes, each after its parent. Between two steps the live tree may change as it likes. */
  *nodes(): Generator<[string, Znode]> {
    const root = this.#find('')
    if (root === undefined) return
    yield ['', root]
    const levels = [{ path: '', names: this.#namesUnder(''), at: 0 }]
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = level.names[level.at++]
      if (name === undefined) {
        levels.pop()
        continue
      }
      const path = `${level.path}/${name}`
      const node = this.#find(path)
      if (node === undefined) continue
      yield [path, node]
      levels.push({ path, names: this.#namesUnder(path), at: 0 })
    }
  }

  #find(path: string): Znode | undefined {
    const kept = this.#kept.get(path)
    return kept === undefined ? this.#live.get(path) : (kept ?? undefined)
  }

  /** Some of them may have come since the tree froze: `#find` says so. */
  #namesUnder(path: string): string[] {
    const live = this.#live.get(path)?.children ?? NO_NAMES
    const names = [...live]
    for (const name of this.#touched.get(path) ?? []) if (!live.has(name)) names.push(name)
    return names
  }

  #rememberName(path: string): void {
    const slash = path.lastIndexOf('/')
    const parent = path.slice(0, slash)
    const names = this.#touched.get(parent)
    if (names === undefined) this.#touched.set(parent, new Set([path.slice(slash + 1)]))
    else names.add(path.slice(slash + 1))
  }
}

const NO_NAMES: ReadonlySet<string> = new Set()
