/** Who may do what with a znode, as the documentation says it. Shares no code with `zookeeper/tree`. */
import { Perms } from '#zookeeper/protocol'

import type { AclEntry, Person } from './history.ts'

export const PASSWORDS: Record<Person, string> = { ann: 'cat', bob: 'dog' }
/** SHA-1 of `ann:cat` and the like. */
const HASHES: Record<Person, string> = { ann: 'dq1xrSAnHoh99/rhGZabRfnXApk=', bob: 'floy5PKwhVy2Jr9sYHmjlSAOfDQ=' }

/** A list that a znode has: all its entries are for somebody. */
export type Acl = readonly (AclEntry & { readonly who: Person | 'anyone' })[]

export const OPEN: Acl = [{ who: 'anyone', perms: Perms.ALL }]

/** The list that a znode gets when this person asks for it; null: it may not be had. */
export function resolved(acl: readonly AclEntry[], person: Person | null): Acl | null {
  const entries = acl.map(({ who, perms }) => ({ who: who === 'asker' ? person : who, perms }))
  return entries.every((each): each is Acl[number] => each.who !== null) ? entries : null
}

/** Whether this person may do one of these. */
export function permits(acl: Acl, perms: number, person: Person | null): boolean {
  return acl.some((entry) => (entry.perms & perms) !== 0 && (entry.who === 'anyone' || entry.who === person))
}

/** As a client names it, and sees it: the hash only who may change it. */
export function idOf(who: AclEntry['who'], withHash: boolean): { readonly scheme: string; readonly id: string } {
  if (who === 'anyone') return { scheme: 'world', id: 'anyone' }
  if (who === 'asker') return { scheme: 'auth', id: '' }
  return { scheme: 'digest', id: `${who}:${withHash ? HASHES[who] : 'x'}` }
}
