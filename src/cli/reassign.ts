/** `samsa reassign …`: partitions move to other brokers (KIP-455). */
import type { Reassignment, TopicDescription } from '#client'

import { print, printJson, report, type ClusterOptions } from './cluster-options.ts'
import { formatTable } from './table.ts'
import { UserError } from './user-error.ts'
import { withAdmin } from './with-admin.ts'

interface StartOptions extends ClusterOptions {
  to: number[]
  replicationFactor?: number
  dryRun?: true
}

export interface Move {
  readonly topic: string
  readonly partition: number
  readonly replicas: readonly number[]
}

export function startReassignment(topics: string[], options: StartOptions): Promise<void> {
  return withAdmin(options, async (admin) => {
    const described = await admin.describeTopics(topics)
    const moves = planMoves(described, options.to, options.replicationFactor ?? null)
    const rows = moves.map(({ topic, partition, replicas }) => [topic, partition, replicas.join(',')])
    if (options.dryRun || moves.length === 0) {
      if (options.json) printJson(moves)
      else print(moves.length === 0 ? 'nothing has to move' : formatTable(['TOPIC', 'PARTITION', 'TO'], rows))
      return
    }
    report('moves', await admin.partitions.reassign(moves), options)
  })
}

/**
 * Spreads the partitions over the brokers: what lies on one of them already stays there, the rest goes where the fewest are, and
 * first replicas are spread as evenly as all. Partitions that need not move are left out.
 */
export function planMoves(
  topics: readonly TopicDescription[],
  to: readonly number[],
  replicationFactor: number | null,
): Move[] {
  if (new Set(to).size !== to.length) throw new UserError(`--to ${to.join(',')}: a broker is named twice`)
  const replicaCounts = new Map(to.map((id) => [id, 0]))
  const leaderCounts = new Map(to.map((id) => [id, 0]))
  const fewest = (among: readonly number[], counts: ReadonlyMap<number, number>): number =>
    among.reduce((best, id) => (counts.get(id)! < counts.get(best)! ? id : best))
  const moves: Move[] = []
  for (const { name: topic, partitions } of topics)
    for (const { partition, replicas } of partitions) {
      const wanted = replicationFactor ?? replicas.length
      if (wanted > to.length)
        throw new UserError(`${topic}-${partition} is to have ${wanted} replicas, and --to names ${to.length} brokers`)
      const target = replicas.filter((id) => to.includes(id)).slice(0, wanted)
      while (target.length < wanted)
        target.push(
          fewest(
            to.filter((id) => !target.includes(id)),
            replicaCounts,
          ),
        )
      for (const id of target) replicaCounts.set(id, replicaCounts.get(id)! + 1)
      const leader = fewest(target, leaderCounts)
      leaderCounts.set(leader, leaderCounts.get(leader)! + 1)
      const ordered = [leader, ...target.filter((id) => id !== leader)]
      const isThere = replicas.length === ordered.length && ordered.every((id) => replicas.includes(id))
      if (!isThere) moves.push({ topic, partition, replicas: ordered })
    }
  return moves
}

export function listReassignments(options: ClusterOptions & { check?: true }): Promise<void> {
  return withAdmin(options, async (admin) => {
    const moving = await admin.partitions.reassignments()
    if (options.json) printJson(moving)
    else if (moving.length === 0) print('no partition is moving')
    else print(formatTable(['TOPIC', 'PARTITION', 'REPLICAS', 'ADDING', 'REMOVING'], moving.map(rowOf)))
    if (options.check && moving.length > 0) throw new UserError(`${moving.length} partitions are moving`)
  })
}

function rowOf({ topic, partition, replicas, adding, removing }: Reassignment): (string | number)[] {
  return [topic, partition, replicas.join(','), adding.join(',') || '-', removing.join(',') || '-']
}

/** Of all topics when none is named. */
export function cancelReassignments(topics: string[], options: ClusterOptions): Promise<void> {
  return withAdmin(options, async (admin) => {
    const moving = await admin.partitions.reassignments()
    const cancelled = moving.filter(({ topic }) => topics.length === 0 || topics.includes(topic))
    if (cancelled.length === 0) return print('no partition is moving')
    const wishes = cancelled.map(({ topic, partition }) => ({ topic, partition, replicas: null }))
    report('called off', await admin.partitions.reassign(wishes), options)
  })
}
