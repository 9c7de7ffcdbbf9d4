/**
 * The persistent watches of one connection, and what they are due: every change from their registration on, in the order of the
 * changes and once, however many of them it concerns.
 */
import { WatchEventType } from '#zookeeper/protocol'

import type { WatchKind } from './history.ts'
import type { ModelEvent } from './model.ts'
import type { Acl } from './permissions.ts'

export class PersistentWatches {
  readonly #persistent = new Set<string>()
  readonly #recursive = new Set<string>()
  /** All that happened, in its order. */
  readonly #events: readonly ModelEvent[]
  /** Of `#events` the first that has not been looked at. */
  #next = 0
  /** Due and not told. */
  #due: ModelEvent[] = []

  readonly #mayRead: (acl: Acl) => boolean

  /** `mayRead`: whether the connection's client may read a znode with this list. */
  constructor(events: readonly ModelEvent[], mayRead: (acl: Acl) => boolean) {
    this.#events = events
    this.#mayRead = mayRead
  }

  /** At the state of this transaction; what came before it is no concern of this watch. */
  add(path: string, recursive: boolean, zxid: bigint): void {
    this.#advance(zxid)
    ;(recursive ? this.#recursive : this.#persistent).add(path)
  }

  /** Whether there was one. */
  remove(path: string, of: WatchKind): boolean {
    const had = (of !== 'recursive' && this.#persistent.has(path)) || (of !== 'persistent' && this.#recursive.has(path))
    if (of !== 'recursive') this.#persistent.delete(path)
    if (of !== 'persistent') this.#recursive.delete(path)
    return had
  }

  /** They go with their connection. */
  clear(): void {
    this.#persistent.clear()
    this.#recursive.clear()
    this.#due = []
  }

  /** What has not been told of all that is due up to this transaction. It counts as told from now on. */
  takeDue(zxid: bigint): readonly ModelEvent[] {
    this.#advance(zxid)
    const end = this.#due.findIndex((each) => each.zxid > zxid)
    return this.#due.splice(0, end < 0 ? this.#due.length : end)
  }

  /** Whether an event was the next due of its path. */
  told({ type, path, zxid }: Omit<ModelEvent, 'acl'>): boolean {
    this.#advance(zxid)
    // The end of a session deletes in an order of its own: only what concerns one path has an order.
    const index = this.#due.findIndex((each) => each.path === path)
    const due = this.#due[index]
    if (due === undefined || due.type !== type || due.zxid !== zxid) return false
    this.#due.splice(index, 1)
    return true
  }

  #advance(zxid: bigint): void {
    for (; this.#next < this.#events.length; this.#next++) {
      const event = this.#events[this.#next]!
      if (event.zxid > zxid) return
      if (this.#concerns(event) && this.#mayRead(event.acl)) this.#due.push(event)
    }
  }

  #concerns({ type, path }: ModelEvent): boolean {
    if (this.#persistent.has(path)) return true
    if (type === WatchEventType.nodeChildrenChanged || this.#recursive.size === 0) return false
    for (let ancestor = path; ; ancestor = ancestor.slice(0, ancestor.lastIndexOf('/')) || '/') {
      if (this.#recursive.has(ancestor)) return true
      if (ancestor === '/') return false
    }
  }
}
