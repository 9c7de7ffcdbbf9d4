import { utf8Length } from '#base'
import { WatchEventType, type SetWatches2, type WatcherEvent } from '#zookeeper/protocol'

import type { WatchKind, Watcher } from './zookeeper.ts'

/**
 * Which of a znode's changes a watch is set for; `exist` waits for the creation of one that is not there. The last two stay until they
 * are removed: `persistent` for the znode and its children, `recursive` for it and everything below it.
 */
export type WatchTarget = 'data' | 'exist' | 'child' | 'persistent' | 'recursive'

/** A packet with more would be near the server's limit for a frame (ZOOKEEPER-706); Java's client splits at the same size. */
const SET_WATCHES_BYTES_MAX = 128 * 1024

/** What a server tells. (That a watch was removed, a client tells itself.) */
type ChangeKind = 'created' | 'deleted' | 'dataChanged' | 'childrenChanged'

const KIND_OF_EVENT: Readonly<Record<number, ChangeKind>> = {
  [WatchEventType.nodeCreated]: 'created',
  [WatchEventType.nodeDeleted]: 'deleted',
  [WatchEventType.nodeDataChanged]: 'dataChanged',
  [WatchEventType.nodeChildrenChanged]: 'childrenChanged',
}

/** Which one-shot watches an event uses up. */
const TARGETS_OF_KIND: Readonly<Record<ChangeKind, readonly WatchTarget[]>> = {
  created: ['data', 'exist'],
  deleted: ['data', 'exist', 'child'],
  dataChanged: ['data', 'exist'],
  childrenChanged: ['child'],
}

const LIST_OF_TARGET = {
  data: 'dataWatches',
  exist: 'existWatches',
  child: 'childWatches',
  persistent: 'persistentWatches',
  recursive: 'persistentRecursiveWatches',
} as const

const REMOVED_KIND: Readonly<Record<WatchTarget, WatchKind>> = {
  data: 'dataWatchRemoved',
  exist: 'dataWatchRemoved',
  child: 'childWatchRemoved',
  persistent: 'persistentWatchRemoved',
  recursive: 'persistentWatchRemoved',
}

const TARGETS = Object.keys(LIST_OF_TARGET) as WatchTarget[]

export interface Told {
  readonly kind: WatchKind
  readonly watchers: readonly Watcher[]
}

/**
 * The watches that are set, by path as the server knows it (chroot included). The server forgets them with the
 * connection; `packets` sets them again on the next one, and what happened meanwhile fires the one-shot ones at once.
 */
export class WatchRegistry {
  readonly #watches: Record<WatchTarget, Map<string, Set<Watcher>>> = {
    data: new Map(),
    exist: new Map(),
    child: new Map(),
    persistent: new Map(),
    recursive: new Map(),
  }

  add(target: WatchTarget, path: string, watcher: Watcher): void {
    // To the server a path has one mode, the later one: those who watched in the other see what comes now.
    if (target === 'persistent') this.#move('recursive', target, path)
    if (target === 'recursive') this.#move('persistent', target, path)
    const watches = this.#watches[target]
    const known = watches.get(path)
    if (known === undefined) watches.set(path, new Set([watcher]))
    else known.add(watcher)
  }

  has(target: WatchTarget, path: string): boolean {
    return this.#watches[target].has(path)
  }

  /** The watchers that the event is for; one-shot ones are no longer set. Null for an event of a kind that nobody asked for. */
  take(event: WatcherEvent): Told | null {
    const kind = KIND_OF_EVENT[event.type]
    if (kind === undefined) return null
    const watchers = new Set<Watcher>()
    for (const target of TARGETS_OF_KIND[kind]) {
      for (const watcher of this.#watches[target].get(event.path) ?? []) watchers.add(watcher)
      this.#watches[target].delete(event.path)
    }
    for (const watcher of this.#watches.persistent.get(event.path) ?? []) watchers.add(watcher)
    if (kind !== 'childrenChanged') for (const watcher of this.#recursive(event.path)) watchers.add(watcher)
    return { kind, watchers: [...watchers] }
  }

  /** They are no longer set. What is returned is for them to hear. */
  remove(targets: readonly WatchTarget[], path: string): Told[] {
    const removed = new Map<WatchKind, Set<Watcher>>()
    for (const target of targets) {
      const kind = REMOVED_KIND[target]
      const watchers = removed.get(kind) ?? new Set()
      for (const watcher of this.#watches[target].get(path) ?? []) removed.set(kind, watchers.add(watcher))
      this.#watches[target].delete(path)
    }
    return Array.from(removed, ([kind, watchers]) => ({ kind, watchers: [...watchers] }))
  }

  clear(): void {
    for (const watches of Object.values(this.#watches)) watches.clear()
  }

  get size(): number {
    return TARGETS.reduce((sum, target) => sum + this.#watches[target].size, 0)
  }

  /** `lastZxid`: what happened after it has not been seen. */
  packets(lastZxid: bigint, bytesMax = SET_WATCHES_BYTES_MAX): SetWatches2[] {
    const packets: SetWatches2[] = []
    let packet: SetWatches2 | null = null
    let bytes = 0
    for (const target of TARGETS) {
      for (const path of this.#watches[target].keys()) {
        const pathBytes = 4 + utf8Length(path)
        if (packet === null || bytes + pathBytes > bytesMax) {
          packet = emptyPacket(lastZxid)
          packets.push(packet)
          bytes = 0
        }
        packet[LIST_OF_TARGET[target]].push(path)
        bytes += pathBytes
      }
    }
    return packets
  }

  #move(from: WatchTarget, to: WatchTarget, path: string): void {
    const watchers = this.#watches[from].get(path)
    if (watchers === undefined) return
    this.#watches[from].delete(path)
    this.#watches[to].set(path, watchers)
  }

  /** Of the path and of every one above it. */
  *#recursive(path: string): Generator<Watcher> {
    if (this.#watches.recursive.size === 0) return
    for (let above = path; ; above = above.slice(0, above.lastIndexOf('/')) || '/') {
      yield* this.#watches.recursive.get(above) ?? []
      if (above === '/') return
    }
  }
}

function emptyPacket(relativeZxid: bigint): SetWatches2 {
  return {
    relativeZxid,
    dataWatches: [],
    existWatches: [],
    childWatches: [],
    persistentWatches: [],
    persistentRecursiveWatches: [],
  }
}
