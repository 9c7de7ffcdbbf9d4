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
  /** Grows from one frozen tree to the next, so that a node's `keptBy` tells which of them know what it was. */
  readonly id: number
  readonly state: FrozenState
  readonly #live: ReadonlyMap<string, Znode>
  /** As they were; null: did not exist. */
  readonly #kept = new Map<string, Znode | null>()
  /** Names of children that existed and have changed or gone since, by the parent's path. */
  readonly #touched = new Map<string, Set<string>>()

  constructor(id: number, live: ReadonlyMap<string, Znode>, state: FrozenState) {
    this.id = id
    this.#live = live
    this.state = state
  }

  /**
   * `path` is about to change or go (`node` is what is there) or to come (undefined).
   * Invariant: the first call for a path says what it was when the tree froze.
   */
  keep(path: string, node: Znode | undefined): void {
    if (node !== undefined && node.keptBy >= this.id) return
    const known = this.#kept.get(path)
    if (known === undefined) this.#kept.set(path, node === undefined ? null : { ...node })
    if (node !== undefined && path !== '') this.#rememberName(path)
  }

  /** All nodes, each after its parent. Between two steps the live tree may change as it likes. */
  *nodes(): Generator<[string, Znode]> {
    const root = this.#asItWas('', this.#live.get(''))
    if (root === undefined) return
    yield ['', root]
    const levels = [this.#levelUnder('', root)]
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = level.names[level.at++]
      if (name === undefined) {
        levels.pop()
        continue
      }
      const path = `${level.path}/${name}`
      const node = this.#asItWas(path, level.live.get(name))
      if (node === undefined) continue
      yield [path, node]
      if (node.children !== null) levels.push(this.#levelUnder(path, node))
    }
  }

  /** A node without the mark has not changed since: most are, and their paths need not be looked up. */
  #asItWas(path: string, live: Znode | undefined): Znode | undefined {
    if (live !== undefined && live.keptBy < this.id) return live
    return this.#kept.get(path) ?? undefined
  }

  /** Some of the names may have come since the tree froze: `#asItWas` says so. */
  #levelUnder(
    path: string,
    node: Znode,
  ): { path: string; live: ReadonlyMap<string, Znode>; names: string[]; at: number } {
    // A node that was kept is a copy: its children of today are those of the node at its path, if there is one.
    const live =
      (node.keptBy >= this.id || this.#kept.has(path) ? this.#live.get(path)?.children : node.children) ?? NOBODY
    const names = [...live.keys()]
    for (const name of this.#touched.get(path) ?? []) if (!live.has(name)) names.push(name)
    return { path, live, names, at: 0 }
  }

  #rememberName(path: string): void {
    const slash = path.lastIndexOf('/')
    const parent = path.slice(0, slash)
    const names = this.#touched.get(parent)
    if (names === undefined) this.#touched.set(parent, new Set([path.slice(slash + 1)]))
    else names.add(path.slice(slash + 1))
  }
}

const NOBODY: ReadonlyMap<string, Znode> = new Map()
