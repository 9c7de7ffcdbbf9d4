/**
 * Who leads a partition next. Pure: from the partition's state and who is alive to the next state, or to none.
 * Source: `kafka.controller.Election`, `PartitionLeaderElectionAlgorithms`.
 */
import { LeaderRecoveryState } from '#metadata/znodes'

import { NO_LEADER, type ControlledPartition, type ControllerContext, type Leadership } from './context.ts'

export type ElectionStrategy =
  /** The leader is gone. `allowUnclean` says for which partitions a leader from outside the ISR is better than none. */
  | { readonly kind: 'offline'; readonly allowUnclean: (partition: ControlledPartition) => boolean }
  /** The leader is not one of the target replicas. */
  | { readonly kind: 'reassign' }
  /** The first of the assignment shall lead. */
  | { readonly kind: 'preferred' }
  /** The leader wants to leave. */
  | { readonly kind: 'controlledShutdown' }

export interface Election {
  readonly next: Omit<Leadership, 'partitionEpoch' | 'controllerEpoch'>
  /** Who is told by LeaderAndIsr. */
  readonly recipients: readonly number[]
  readonly unclean: boolean
}

/** Null: no replica may lead. `leadership` is what the next state is made from. */
export function elect(
  context: ControllerContext,
  partition: ControlledPartition,
  leadership: Leadership,
  strategy: ElectionStrategy,
): Election | null {
  switch (strategy.kind) {
    case 'offline':
      return electOffline(context, partition, leadership, strategy.allowUnclean(partition))
    case 'reassign':
      return electOnline(context, partition, withoutStrangers(leadership, partition), targetReplicas(partition))
    case 'preferred':
      return electOnline(context, partition, leadership, partition.replicas.slice(0, 1), partition.replicas)
    case 'controlledShutdown':
      return electForShutdown(context, partition, leadership)
  }
}

/** Replicas that stay when a reassignment is through: all, when there is none. */
export function targetReplicas(partition: ControlledPartition): number[] {
  const { replicas, removingReplicas } = partition.assignment
  return replicas.filter((replica) => !removingReplicas.includes(replica))
}

/** Who is no replica any more leaves the ISR; a leader that heard otherwise would count on it (KAFKA-9672). */
export function withoutStrangers(leadership: Leadership, partition: ControlledPartition): Leadership {
  const isr = leadership.isr.filter((member) => partition.replicas.includes(member))
  return isr.length === 0 ? leadership : { ...leadership, isr }
}

function electOffline(
  context: ControllerContext,
  partition: ControlledPartition,
  leadership: Leadership,
  allowUnclean: boolean,
): Election | null {
  const live = partition.replicas.filter((replica) => context.isReplicaOnline(partition, replica))
  const clean = live.find((replica) => leadership.isr.includes(replica))
  if (clean !== undefined) {
    const isr = leadership.isr.filter((replica) => context.isReplicaOnline(partition, replica))
    return { next: successor(leadership, clean, isr), recipients: live, unclean: false }
  }
  const unclean = allowUnclean ? live[0] : undefined
  if (unclean === undefined) return null
  // What the new leader lacks is lost. It says so until the log has been made consistent (KIP-704).
  const next = { ...successor(leadership, unclean, [unclean]), leaderRecoveryState: LeaderRecoveryState.RECOVERING }
  return { next, recipients: live, unclean: true }
}

/** The first candidate that is online and in sync; the ISR stays as it is. */
function electOnline(
  context: ControllerContext,
  partition: ControlledPartition,
  leadership: Leadership,
  candidates: readonly number[],
  recipients = candidates,
): Election | null {
  const leader = candidates.find(
    (replica) => context.isReplicaOnline(partition, replica) && leadership.isr.includes(replica),
  )
  if (leader === undefined) return null
  return {
    next: successor(leadership, leader, leadership.isr),
    recipients,
    unclean: false,
  }
}

function electForShutdown(
  context: ControllerContext,
  partition: ControlledPartition,
  leadership: Leadership,
): Election | null {
  const reachable = partition.replicas.filter((replica) => context.isReplicaReachable(partition, replica))
  const staysIn = (replica: number): boolean => leadership.isr.includes(replica) && !isShuttingDown(context, replica)
  const leader = reachable.find(staysIn)
  if (leader === undefined) return null
  const isr = leadership.isr.filter((replica) => !isShuttingDown(context, replica))
  return { next: successor(leadership, leader, isr), recipients: reachable, unclean: false }
}

function isShuttingDown(context: ControllerContext, brokerId: number): boolean {
  return context.brokers.get(brokerId)?.shuttingDown ?? false
}

/** Every change of leader or ISR by the controller begins a new leader epoch. */
export function successor(leadership: Leadership, leader: number, isr: readonly number[]): Election['next'] {
  return { leader, leaderEpoch: leadership.leaderEpoch + 1, isr, leaderRecoveryState: leadership.leaderRecoveryState }
}

/** The first state of a partition; null while none of its replicas is online. */
export function firstState(context: ControllerContext, partition: ControlledPartition): Election['next'] | null {
  const live = partition.replicas.filter((replica) => context.isReplicaOnline(partition, replica))
  if (live.length === 0) return null
  return { leader: live[0]!, leaderEpoch: 0, isr: live, leaderRecoveryState: LeaderRecoveryState.RECOVERED }
}

/**
 * The state after a replica left; null when it is not in the ISR, and nothing changes. The last member stays in the ISR, since it alone has
 * everything: the partition waits for it without a leader.
 */
export function withoutReplica(leadership: Leadership, brokerId: number): Election['next'] | null {
  if (!leadership.isr.includes(brokerId)) return null
  const leader = leadership.leader === brokerId ? NO_LEADER : leadership.leader
  const isr = leadership.isr.length === 1 ? leadership.isr : leadership.isr.filter((replica) => replica !== brokerId)
  return successor(leadership, leader, isr)
}
