import { SetWatches, WatchEventType, type WatcherEvent } from '#zookeeper/protocol'
import { utf8Length } from '#base'

import type { WatchKind, Watcher } from './zookeeper.ts'

/** Which of a znode's changes a watch is set for; `exist` waits for the creation of one that is not there. */
export type WatchTarget = 'data' | 'exist' | 'child'

/** A packet with more would be near the server's limit for a frame (ZOOKEEPER-706); Java's client splits at the same size. */
const SET_WATCHES_BYTES_MAX = 128 * 1024

const KIND_OF_EVENT: Readonly<Record<number, WatchKind>> = {
  [WatchEventType.nodeCreated]: 'created',
  [WatchEventType.nodeDeleted]: 'deleted',
  [WatchEventType.nodeDataChanged]: 'dataChanged',
  [WatchEventType.nodeChildrenChanged]: 'childrenChanged',
}

/** Which watches an event uses up. */
const TARGETS_OF_KIND: Readonly<Record<WatchKind, readonly WatchTarget[]>> = {
  created: ['data', 'exist'],
  deleted: ['data', 'exist', 'child'],
  dataChanged: ['data', 'exist'],
  childrenChanged: ['child'],
}

/**
 * The one-shot watches that are set, by path as the server knows it (chroot included). The server forgets them with the
 * connection; `packets` sets them again on the next one, and what happened meanwhile fires at once.
 */
export class WatchRegistry {
  readonly #watches: Record<WatchTarget, Map<string, Set<Watcher>>> = {
    data: new Map(),
    exist: new Map(),
    child: new Map(),
  }

  add(target: WatchTarget, path: string, watcher: Watcher): void {
    const watches = this.#watches[target]
    const known = watches.get(path)
    if (known === undefined) watches.set(path, new Set([watcher]))
    else known.add(watcher)
  }

  /** The watchers that the event is for; they are no longer set. Null for an event of a kind that nobody asked for. */
  take(event: WatcherEvent): { kind: WatchKind; watchers: Watcher[] } | null {
    const kind = KIND_OF_EVENT[event.type]
    if (kind === undefined) return null
    const watchers = new Set<Watcher>()
    for (const target of TARGETS_OF_KIND[kind]) {
      for (const watcher of this.#watches[target].get(event.path) ?? []) watchers.add(watcher)
      this.#watches[target].delete(event.path)
    }
    return { kind, watchers: [...watchers] }
  }

  clear(): void {
    for (const watches of Object.values(this.#watches)) watches.clear()
  }

  get size(): number {
    return this.#watches.data.size + this.#watches.exist.size + this.#watches.child.size
  }

  /** `lastZxid`: what happened after it has not been seen. */
  packets(lastZxid: bigint, bytesMax = SET_WATCHES_BYTES_MAX): SetWatches[] {
    const packets: SetWatches[] = []
    let packet: SetWatches | null = null
    let bytes = 0
    for (const target of ['data', 'exist', 'child'] as const) {
      for (const path of this.#watches[target].keys()) {
        const pathBytes = 4 + utf8Length(path)
        if (packet === null || bytes + pathBytes > bytesMax) {
          packet = { relativeZxid: lastZxid, dataWatches: [], existWatches: [], childWatches: [] }
          packets.push(packet)
          bytes = 0
        }
        packet[`${target}Watches`].push(path)
        bytes += pathBytes
      }
    }
    return packets
  }
}
