/**
 * Who may do what: the schemes world, auth, digest, ip, sasl and x509, and the cache that lets znodes share their lists.
 * Source: PrepRequestProcessor.fixupACL, ZooKeeperServer.checkACL, ReferenceCountedACLCache,
 * DigestAuthenticationProvider, IPAuthenticationProvider, SASLAuthenticationProvider, X509AuthenticationProvider.
 */
import { createHash } from 'node:crypto'

import { Perms, type Acl, type Id } from '#zookeeper/protocol'

import { addressMatches, isAddressExpression } from './addresses.ts'

/** What the administrator decides about ACLs. All servers of an ensemble must agree. */
export interface AclRules {
  /** Besides world and auth. An ACL of another scheme cannot be set, and where it stands it matches nobody. */
  readonly schemes: ReadonlySet<string>
  /** An id of the scheme sasl that stands for every user of it (`letAnySaslUserDoX`); null for none. */
  readonly anySaslUser: string | null
}

export const DEFAULT_ACL_RULES: AclRules = { schemes: new Set(['digest', 'ip']), anySaslUser: null }

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
export function permits(
  acl: SharedAcl,
  perms: number,
  ids: readonly Id[],
  rules: AclRules = DEFAULT_ACL_RULES,
): boolean {
  if ((acl.worldPerms & perms) !== 0) return true
  return permitsById(acl.list, perms, ids, rules)
}

function permitsById(list: readonly Acl[], perms: number, ids: readonly Id[], rules: AclRules): boolean {
  if (list.length === 0 || ids.some((id) => id.scheme === 'super')) return true
  return list.some((acl) => (acl.perms & perms) !== 0 && ids.some((id) => matches(id, acl.id, rules)))
}

function matches(id: Id, wanted: Id, { schemes, anySaslUser }: AclRules): boolean {
  if (id.scheme !== wanted.scheme || !schemes.has(id.scheme)) return false
  if (id.id === wanted.id) return true
  if (id.scheme === 'ip') return addressMatches(id.id, wanted.id)
  return id.scheme === 'sasl' && (id.id === 'super' || wanted.id === anySaslUser)
}

/**
 * The list that a znode gets when a client asks for this one: without duplicates, with `auth` replaced by the
 * caller's own authenticated ids. null where it is none: empty, an unknown scheme, an id that the scheme does
 * not have, or `auth` from a caller who has not authenticated.
 */
export function resolveAcl(
  wanted: readonly Acl[],
  ids: readonly Id[],
  rules: AclRules = DEFAULT_ACL_RULES,
): Acl[] | null {
  if (wanted.length === 1 && isWorld(wanted[0]!.id)) return [wanted[0]!]
  const resolved: Acl[] = []
  for (const acl of withoutDuplicates(wanted)) {
    if (acl.id.scheme === 'auth') {
      const authenticated = ids.filter(({ scheme }) => AUTHENTICATED.has(scheme) && rules.schemes.has(scheme))
      if (authenticated.length === 0) return null
      for (const id of authenticated) resolved.push({ perms: acl.perms, id })
    } else if (isWorld(acl.id) || (rules.schemes.has(acl.id.scheme) && isIdOfItsScheme(acl.id))) resolved.push(acl)
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

/** Schemes whose ids are proved and not only observed. */
const AUTHENTICATED: ReadonlySet<string> = new Set(['digest', 'sasl', 'x509'])

function isIdOfItsScheme({ scheme, id }: Id): boolean {
  switch (scheme) {
    case 'digest':
      return /^[^:]+:[^:]+$/.test(id)
    case 'ip':
      return isAddressExpression(id)
    case 'sasl':
      return isPrincipal(id)
    case 'x509':
      return isDistinguishedName(id)
    default:
      return false
  }
}

/** `primary[/instance]@REALM`, or a name without a realm. Source: KerberosName. */
function isPrincipal(id: string): boolean {
  return !id.includes('@') || /^[^/@]*(?:\/[^/@]*)?@[^/@]*$/.test(id)
}

/** As far as it matters: attributes with values. What is no name of a certificate matches nobody. Source: X500Principal. */
function isDistinguishedName(id: string): boolean {
  return id.split(/(?<!\\)[,+;]/).every((part) => /^\s*(?:[A-Za-z][\w-]*|[\d.]+)\s*=/.test(part)) || id === ''
}

/** As Java names the digests that it has, and as node:crypto does. */
const DIGEST_ALGORITHMS: Readonly<Record<string, string>> = {
  MD5: 'md5',
  SHA: 'sha1',
  SHA1: 'sha1',
  'SHA-1': 'sha1',
  'SHA-224': 'sha224',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
  'SHA-512/224': 'sha512-224',
  'SHA-512/256': 'sha512-256',
  'SHA3-224': 'sha3-224',
  'SHA3-256': 'sha3-256',
  'SHA3-384': 'sha3-384',
  'SHA3-512': 'sha3-512',
}

export function isDigestAlgorithm(name: string): boolean {
  return DIGEST_ALGORITHMS[name.toUpperCase()] !== undefined
}

/**
 * The id that `user:password` proves: `user:` and the base64 of the digest of the whole. `algorithm` as Java names it
 * (`DigestAuthenticationProvider.digestAlg`), one for which `isDigestAlgorithm` holds.
 */
export function digestIdOf(userAndPassword: string, algorithm = 'SHA1'): string {
  const user = userAndPassword.split(':', 1)[0]!
  const hash = createHash(DIGEST_ALGORITHMS[algorithm.toUpperCase()]!)
  return `${user}:${hash.update(userAndPassword, 'utf8').digest('base64')}`
}

/** As it is shown to someone without ADMIN: the hash of a digest id is hidden (CVE-2019-0201). */
export function withoutHashes(list: readonly Acl[]): Acl[] {
  return list.map((acl) =>
    acl.id.scheme === 'digest'
      ? { perms: acl.perms, id: { scheme: 'digest', id: acl.id.id.replace(/:.*/s, ':x') } }
      : acl,
  )
}
