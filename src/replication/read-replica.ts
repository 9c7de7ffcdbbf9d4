/** Replicas that a consumer may read from instead of the leader (KIP-392). */
import type { RemoteReplica } from './remote-replica.ts'

/** `replica.selector.class`: the leader always, or a replica in the consumer's rack. */
export type ReplicaSelector = 'leader' | 'rack-aware'

export interface ReadReplicaChoice {
  /** The consumer's `client.rack`; '' names none. */
  readonly rack: string
  readonly leaderRack: string | null
  readonly fetchOffset: number
  /** Members of the ISR only: one that lags would be chosen again and again, and hold the consumer back (KAFKA-14372). */
  readonly inSync: readonly RemoteReplica[]
  /** Null: not alive, or no rack. */
  readonly rackOf: (brokerId: number) => string | null
}

/** The broker that the consumer should ask; null: the leader. Source: RackAwareReplicaSelector. */
export function chooseReadReplica({ rack, leaderRack, fetchOffset, inSync, rackOf }: ReadReplicaChoice): number | null {
  if (rack === '' || leaderRack === rack) return null
  let chosen: RemoteReplica | null = null
  for (const remote of inSync) {
    const hasIt = remote.logStartOffset <= fetchOffset && remote.logEndOffset >= fetchOffset
    if (!hasIt || rackOf(remote.brokerId) !== rack) continue
    if (chosen === null || isFurther(remote, chosen)) chosen = remote
  }
  return chosen?.brokerId ?? null
}

function isFurther(one: RemoteReplica, other: RemoteReplica): boolean {
  if (one.logEndOffset !== other.logEndOffset) return one.logEndOffset > other.logEndOffset
  if (one.caughtUpMs !== other.caughtUpMs) return one.caughtUpMs > other.caughtUpMs
  return one.brokerId > other.brokerId
}
