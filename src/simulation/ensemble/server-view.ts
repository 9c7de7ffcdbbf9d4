import type { ServerMachine } from './ensemble.ts'

/** A server as it stands at this moment. */
export interface ServerView {
  /** null: clients are not answered, since it is looking for a leader, or not yet up to date. */
  readonly role: 'standalone' | 'leader' | 'follower' | 'observer' | null
  /** Of the term in office; 0 out of office and in a server of its own. */
  readonly epoch: number
  /** The last transaction in the tree. */
  readonly lastZxid: bigint
  readonly digest: bigint
  readonly sessions: ReadonlyMap<bigint, number>
}

/** null where none runs. */
export function viewOf({ server, process }: ServerMachine): ServerView | null {
  if (server === null || !process.isRunning) return null
  const { term, tree } = server
  // Who reads only while it looks for a leader promises nothing.
  const role = term === null || term.role === 'read-only' ? null : term.role
  return {
    role,
    epoch: role === null ? 0 : Number(term!.firstZxid >> 32n),
    lastZxid: tree.lastZxid,
    digest: tree.digest,
    sessions: tree.sessions,
  }
}
