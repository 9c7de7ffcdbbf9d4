import type { Committed, Session } from './history.ts'
import type { Office } from './invariants.ts'
import { hex } from './outcome.ts'

export interface ExpiryConditions {
  /** What heartbeats may take on their way from client to leader. */
  readonly slackMs: number
  /** Whether something kept one of these from being heard in that time. */
  readonly isDisturbed: (names: readonly string[], fromMs: number, toMs: number) => boolean
}

/**
 * No session is lost while its client is connected to the side of the quorum: where a client was connected to one server all the
 * while, that server followed one leader, and nothing disturbed any of the three, its session must not expire.
 */
export function checkExpiries(
  expired: ReadonlyMap<bigint, Committed>,
  sessions: readonly Session[],
  offices: readonly Office[],
  { slackMs, isDisturbed }: ExpiryConditions,
): string[] {
  const faults: string[] = []
  for (const session of sessions) {
    const end = expired.get(session.id)
    if (end === undefined) continue
    const fromMs = end.atMs - session.timeoutMs - slackMs
    const server = connectedSince(session, fromMs, end.atMs)
    if (server === null) continue
    const term = offices.find((each) => each.server === server && each.fromMs <= fromMs && each.toMs >= end.atMs)
    if (term === undefined) continue
    const leader = offices.find(
      ({ epoch, role }) => epoch === term.epoch && (role === 'leader' || role === 'standalone'),
    )
    if (leader === undefined || leader.fromMs > fromMs) continue
    if (isDisturbed([session.client, server, leader.server], fromMs, end.atMs)) continue
    faults.push(
      `session ${hex(session.id)} of ${session.client} expired at ${end.atMs.toFixed(0)} (${hex(end.zxid)}), and had been connected to ${server} since before ${fromMs.toFixed(0)}`,
    )
  }
  return faults
}

/** The one server that the client was connected to in all this time; null when there is none. */
function connectedSince({ events }: Session, fromMs: number, toMs: number): string | null {
  let server: string | null = null
  for (const event of events) {
    if (event.kind === 'connected') {
      if (event.atMs > fromMs) return event.atMs > toMs ? server : null
      server = event.server
    } else if (event.kind === 'disconnected' || event.kind === 'ended') {
      if (event.atMs < toMs) {
        if (event.atMs > fromMs) return null
        server = null
      } else return server
    }
  }
  return server
}
