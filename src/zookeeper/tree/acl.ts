/**
 * Who may do what: the schemes world, auth, digest and ip, and the cache that lets znodes share their lists.
 * Source: PrepRequestProcessor.fixupACL, ZooKeeperServer.checkACL, ReferenceCountedACLCache,
 * DigestAuthenticationProvider, IPAuthenticationProvider.
 */
import { createHash } from 'node:crypto'

import { Perms, type Acl, type Id } from '#zookeeper/protocol'

import { addressMatches, isAddressExpression } from './addresses.ts'

/** A list of ACLs as znodes share it. `id` is its number in snapshots. */
export interface SharedAcl {
  readonly id: bigint
  readonly list: readonly Acl[]
  /** What `world`/`anyone` may do: most znodes are decided by this alone. */
  readonly worldPerms: number
  /** Znodes that have it. At 0 the cache forgets it. */
  uses: number
}

/** Stands for a list that is not in the cache: znodes that the server made itself. Nothing is refused. */
export const OPEN_ACL: SharedAcl = {
  id: -1n,
  list: [{ perms: Perms.ALL, id: { scheme: 'world', id: 'anyone' } }],
  worldPerms: Perms.ALL,
  uses: 0,
}

export class AclCache {
  readonly #byId = new Map<bigint, SharedAcl>()
  readonly #byKey = new Map<string, SharedAcl>()
  #lastId = 0n

  get size(): number {
    return this.#byId.size
  }

  /** The shared list that is equal to this one; the caller is one more user of it. */
  use(list: readonly Acl[]): SharedAcl {
    const key = keyOf(list)
    const shared = this.#byKey.get(key) ?? this.#add(++this.#lastId, key, list)
    shared.uses++
    return shared
  }

  release(shared: SharedAcl): void {
    if (shared.id === OPEN_ACL.id) return
    shared.uses--
    if (shared.uses > 0) return
    this.#byId.delete(shared.id)
    this.#byKey.delete(keyOf(shared.list))
  }

  /** From a snapshot, before its znodes; their uses follow. */
  load(id: bigint, list: readonly Acl[]): void {
    if (id > this.#lastId) this.#lastId = id
    this.#add(id, keyOf(list), list)
  }

  /** One more user of what `load` brought; undefined when the snapshot names a list that it does not hold. */
  useById(id: bigint): SharedAcl | undefined {
    if (id === OPEN_ACL.id) return OPEN_ACL
    const shared = this.#byId.get(id)
    if (shared !== undefined) shared.uses++
    return shared
  }

  forgetUnused(): void {
    for (const shared of this.#byId.values()) {
      if (shared.uses > 0) continue
      this.#byId.delete(shared.id)
      this.#byKey.delete(keyOf(shared.list))
    }
  }

  /** All lists as they are now, for a snapshot. */
  entries(): [bigint, readonly Acl[]][] {
    return Array.from(this.#byId.values(), (shared) => [shared.id, shared.list])
  }

  #add(id: bigint, key: string, list: readonly Acl[]): SharedAcl {
    const shared = { id, list, worldPerms: worldPermsOf(list), uses: 0 }
    this.#byId.set(id, shared)
    this.#byKey.set(key, shared)
    return shared
  }
}

/** Lengths first, so that no text inside an id can make two lists look the same. */
function keyOf(list: readonly Acl[]): string {
  let key = ''
  for (const { perms, id } of list) key += `${perms},${id.scheme.length},${id.id.length}:${id.scheme}${id.id}`
  return key
}

function worldPermsOf(list: readonly Acl[]): number {
  let perms = 0
  for (const acl of list) if (isWorld(acl.id)) perms |= acl.perms
  return perms
}

function isWorld(id: Id): boolean {
  return id.scheme === 'world' && id.id === 'anyone'
}

/** A list that is not in the cache yet, since its transaction has not been applied. */
export function unsharedAcl(list: readonly Acl[]): SharedAcl {
  return { id: 0n, list, worldPerms: worldPermsOf(list), uses: 0 }
}

/** Whether someone with these ids has one of the permissions in `perms`. An empty list forbids nothing. */
export function permits(acl: SharedAcl, perms: number, ids: readonly Id[]): boolean {
  if ((acl.worldPerms & perms) !== 0) return true
  return permitsById(acl.list, perms, ids)
}

function permitsById(list: readonly Acl[], perms: number, ids: readonly Id[]): boolean {
  if (list.length === 0 || ids.some((id) => id.scheme === 'super')) return true
  return list.some((acl) => (acl.perms & perms) !== 0 && ids.some((id) => matches(id, acl.id)))
}

function matches(id: Id, wanted: Id): boolean {
  if (id.scheme !== wanted.scheme) return false
  if (id.scheme === 'ip') return addressMatches(id.id, wanted.id)
  return id.id === wanted.id
}

/**
 * The list that a znode gets when a client asks for this one: without duplicates, with `auth` replaced by the
 * caller's own authenticated ids. null where it is none: empty, an unknown scheme, an id that the scheme does
 * not have, or `auth` from a caller who has not authenticated.
 */
export function resolveAcl(wanted: readonly Acl[], ids: readonly Id[]): Acl[] | null {
  if (wanted.length === 1 && isWorld(wanted[0]!.id)) return [wanted[0]!]
  const resolved: Acl[] = []
  for (const acl of withoutDuplicates(wanted)) {
    if (acl.id.scheme === 'auth') {
      const authenticated = ids.filter((id) => id.scheme === 'digest' || id.scheme === 'sasl' || id.scheme === 'x509')
      if (authenticated.length === 0) return null
      for (const id of authenticated) resolved.push({ perms: acl.perms, id })
    } else if (isWorld(acl.id) || isIdOfItsScheme(acl.id)) resolved.push(acl)
    else return null
  }
  return resolved.length === 0 ? null : resolved
}

function withoutDuplicates(list: readonly Acl[]): readonly Acl[] {
  const seen = new Set<string>()
  return list.filter((acl) => {
    const key = keyOf([acl])
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

function isIdOfItsScheme({ scheme, id }: Id): boolean {
  if (scheme === 'digest') return /^[^:]+:[^:]+$/.test(id)
  if (scheme === 'ip') return isAddressExpression(id)
  return false
}

/** The id that `user:password` proves: `user:` and the base64 of the SHA-1 of the whole. */
export function digestIdOf(userAndPassword: string): string {
  const user = userAndPassword.split(':', 1)[0]!
  return `${user}:${createHash('sha1').update(userAndPassword, 'utf8').digest('base64')}`
}

/** As it is shown to someone without ADMIN: the hash of a digest id is hidden (CVE-2019-0201). */
export function withoutHashes(list: readonly Acl[]): Acl[] {
  return list.map((acl) =>
    acl.id.scheme === 'digest'
      ? { perms: acl.perms, id: { scheme: 'digest', id: acl.id.id.replace(/:.*/s, ':x') } }
      : acl,
  )
}
