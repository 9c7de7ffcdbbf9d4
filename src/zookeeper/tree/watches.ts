/**
 * Who wants to hear of which path. One-shot watches go with their first event; persistent ones stay, and
 * recursive ones hear of every descendant too. Source: WatchManager, DataTree.
 */
import { AddWatchMode, WatchEventType, WatcherType } from '#zookeeper/protocol'

import type { SharedAcl } from './acl.ts'

export interface WatchEvent {
  type: WatchEventType
  path: string
  zxid: bigint
}

/** A connection. Several registrations of one watcher for one path are one. */
export interface Watcher {
  readonly sessionId: bigint
  /** `acl` is the znode's, for whom it must not be told (CVE-2024-23944); null: nothing to hide. */
  notify(event: WatchEvent, acl: SharedAcl | null): void
}

const STANDARD = 1
const PERSISTENT = 2
const RECURSIVE = 4
const ANY = STANDARD | PERSISTENT | RECURSIVE

export class Watches {
  /** How many watchers hear of an event; for who counts them. */
  onTriggered: (type: WatchEventType, watchers: number) => void = () => {}

  readonly #data = new WatchTable((type, watchers) => this.onTriggered(type, watchers))
  readonly #children = new WatchTable((type, watchers) => this.onTriggered(type, watchers))

  /** Watches that are registered, counted as the admin words do. */
  get count(): number {
    return this.#data.count + this.#children.count
  }

  watchData(path: string, watcher: Watcher): void {
    this.#data.add(path, watcher, STANDARD)
  }

  watchChildren(path: string, watcher: Watcher): void {
    this.#children.add(path, watcher, STANDARD)
  }

  /** `mode` is an `AddWatchMode`; a path may have both, and hears of a change once all the same. */
  add(path: string, watcher: Watcher, mode: number): void {
    if (mode === AddWatchMode.persistentRecursive) return this.#data.add(path, watcher, RECURSIVE)
    this.#data.add(path, watcher, PERSISTENT)
    this.#children.add(path, watcher, PERSISTENT)
  }

  /** `type` is a `WatcherType`. False when there was none. */
  remove(path: string, watcher: Watcher, type: number): boolean {
    const { data, children } = modesOf(type)
    const fromData = data !== 0 && this.#data.remove(path, watcher, data)
    const fromChildren = children !== 0 && this.#children.remove(path, watcher, children)
    return fromData || fromChildren
  }

  has(path: string, watcher: Watcher, type: number): boolean {
    const { data, children } = modesOf(type)
    return (this.#data.modes(path, watcher) & data) !== 0 || (this.#children.modes(path, watcher) & children) !== 0
  }

  forget(watcher: Watcher): void {
    this.#data.forget(watcher)
    this.#children.forget(watcher)
  }

  created(path: string, parent: string, zxid: bigint, acl: SharedAcl, parentAcl: SharedAcl): void {
    this.#data.trigger({ type: WatchEventType.nodeCreated, path, zxid }, acl, null)
    this.#children.trigger({ type: WatchEventType.nodeChildrenChanged, path: parent, zxid }, parentAcl, null)
  }

  changed(path: string, zxid: bigint, acl: SharedAcl): void {
    this.#data.trigger({ type: WatchEventType.nodeDataChanged, path, zxid }, acl, null)
  }

  /** Who watches both data and children of the node hears of its end once. */
  deleted(path: string, parent: string, zxid: bigint, acl: SharedAcl, parentAcl: SharedAcl): void {
    const event = { type: WatchEventType.nodeDeleted, path, zxid }
    const told = this.#data.trigger(event, acl, null)
    this.#children.trigger(event, acl, told)
    this.#children.trigger({ type: WatchEventType.nodeChildrenChanged, path: parent, zxid }, parentAcl, null)
  }

  /** Connections, paths and watches, of data watches as `wchs` counts them. */
  summary(): { connections: number; paths: number; watches: number } {
    return { connections: this.#data.watchers, paths: this.#data.paths, watches: this.#data.count }
  }

  bySession(): Map<bigint, string[]> {
    return this.#data.bySession()
  }

  byPath(): Map<string, bigint[]> {
    return this.#data.byPath()
  }
}

/** Which modes of which table a `WatcherType` means. */
function modesOf(type: number): { data: number; children: number } {
  switch (type) {
    case WatcherType.children:
      return { data: 0, children: STANDARD }
    case WatcherType.data:
      return { data: STANDARD, children: 0 }
    case WatcherType.persistent:
      return { data: PERSISTENT, children: PERSISTENT }
    case WatcherType.persistentRecursive:
      return { data: RECURSIVE, children: 0 }
    case WatcherType.any:
      return { data: ANY, children: ANY }
    default:
      return { data: 0, children: 0 }
  }
}

/** Invariant: `#byPath` and `#byWatcher` hold the same pairs, and no empty set. */
class WatchTable {
  readonly #byPath = new Map<string, Map<Watcher, number>>()
  readonly #byWatcher = new Map<Watcher, Set<string>>()
  readonly #onTriggered: (type: WatchEventType, watchers: number) => void
  /** While it is 0, ancestors need not be looked at. */
  #recursive = 0
  count = 0

  constructor(onTriggered: (type: WatchEventType, watchers: number) => void) {
    this.#onTriggered = onTriggered
  }

  get paths(): number {
    return this.#byPath.size
  }

  get watchers(): number {
    return this.#byWatcher.size
  }

  modes(path: string, watcher: Watcher): number {
    return this.#byPath.get(path)?.get(watcher) ?? 0
  }

  add(path: string, watcher: Watcher, mode: number): void {
    this.#set(path, watcher, this.modes(path, watcher) | mode)
  }

  remove(path: string, watcher: Watcher, modes: number): boolean {
    const before = this.modes(path, watcher)
    this.#set(path, watcher, before & ~modes)
    return (before & modes) !== 0
  }

  forget(watcher: Watcher): void {
    for (const path of this.#byWatcher.get(watcher) ?? []) this.#set(path, watcher, 0)
  }

  /** Tells everyone who is concerned, except who was `told` before; returns whom. */
  trigger(event: WatchEvent, acl: SharedAcl, told: ReadonlySet<Watcher> | null): ReadonlySet<Watcher> | null {
    if (this.#byPath.size === 0) return null
    const concerned = this.#concerned(event.path)
    if (concerned !== null) this.#onTriggered(event.type, concerned.size)
    for (const watcher of concerned ?? []) if (!told?.has(watcher)) watcher.notify(event, acl)
    return concerned
  }

  #concerned(path: string): Set<Watcher> | null {
    const here = this.#byPath.get(path)
    const concerned = here === undefined ? null : new Set(here.keys())
    if (here !== undefined) for (const [watcher, modes] of here) this.#set(path, watcher, modes & ~STANDARD)
    return this.#recursive === 0 ? concerned : this.#withAncestors(path, concerned)
  }

  #withAncestors(path: string, concerned: Set<Watcher> | null): Set<Watcher> | null {
    let all = concerned
    for (let ancestor = path; ancestor !== '/';) {
      ancestor = ancestor.slice(0, ancestor.lastIndexOf('/')) || '/'
      for (const [watcher, modes] of this.#byPath.get(ancestor) ?? [])
        if ((modes & RECURSIVE) !== 0) (all ??= new Set()).add(watcher)
    }
    return all
  }

  #set(path: string, watcher: Watcher, modes: number): void {
    const before = this.modes(path, watcher)
    if (modes === before) return
    this.#recursive += Number((modes & RECURSIVE) !== 0) - Number((before & RECURSIVE) !== 0)
    this.count += Number(modes !== 0) - Number(before !== 0)
    if (modes === 0) this.#drop(path, watcher)
    else {
      put(this.#byPath, path, () => new Map<Watcher, number>()).set(watcher, modes)
      put(this.#byWatcher, watcher, () => new Set<string>()).add(path)
    }
  }

  #drop(path: string, watcher: Watcher): void {
    const watchers = this.#byPath.get(path)
    watchers?.delete(watcher)
    if (watchers?.size === 0) this.#byPath.delete(path)
    const paths = this.#byWatcher.get(watcher)
    paths?.delete(path)
    if (paths?.size === 0) this.#byWatcher.delete(watcher)
  }

  bySession(): Map<bigint, string[]> {
    return new Map(Array.from(this.#byWatcher, ([watcher, paths]) => [watcher.sessionId, [...paths]]))
  }

  byPath(): Map<string, bigint[]> {
    return new Map(
      Array.from(this.#byPath, ([path, watchers]) => [path, Array.from(watchers.keys(), (each) => each.sessionId)]),
    )
  }
}

function put<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = make()))
  return value
}
