/** `samsa cluster safe-to-restart ID`: whether a broker may go now without anybody noticing. */
import type { ClusterDescription, TopicDescription } from '#client'

import { print, printJson, type ClusterOptions } from './cluster-options.ts'
import { formatRanges, type Place } from './ranges.ts'
import { UserError } from './user-error.ts'
import { withAdmin } from './with-admin.ts'

export interface RestartSafety {
  readonly safe: boolean
  /** One sentence each; empty when it is safe. */
  readonly reasons: readonly string[]
}

const MIN_ISR = 'min.insync.replicas'

export function safeToRestart(id: number, options: ClusterOptions): Promise<void> {
  return withAdmin(options, async (admin) => {
    const [cluster, topics] = await Promise.all([admin.describeCluster(), admin.describeTopics(null)])
    const affected = topics.filter(({ partitions }) => partitions.some(({ replicas }) => replicas.includes(id)))
    const minIsr = new Map(
      await Promise.all(
        affected.map(async ({ name }): Promise<[string, number]> => {
          const [entry] = await admin.configs.describe({ topic: name }, { names: [MIN_ISR] })
          return [name, Number(entry?.value ?? 1)]
        }),
      ),
    )
    const { safe, reasons } = judgeRestart(id, cluster, affected, minIsr)
    if (options.json) printJson({ broker: id, safe, reasons })
    else if (safe) print(`broker ${id} may be restarted: every partition stays available without it`)
    if (!safe) throw new UserError(`broker ${id} should not be restarted now: ${reasons.join('; ')}`)
  })
}

/** Pure. `minIsr`: `min.insync.replicas` by topic. */
export function judgeRestart(
  id: number,
  { brokers, controllerId }: ClusterDescription,
  topics: readonly TopicDescription[],
  minIsr: ReadonlyMap<string, number>,
): RestartSafety {
  const reasons: string[] = []
  if (!brokers.some(({ nodeId }) => nodeId === id))
    reasons.push(`it is not in the cluster, which has ${brokers.map(({ nodeId }) => nodeId).join(', ')}`)
  if (controllerId === null) reasons.push('the cluster has no controller that would move its leaders')
  const alone: Place[] = []
  const last: Place[] = []
  const tooFew: Place[] = []
  for (const { name: topic, partitions } of topics)
    for (const { partition, replicas, isr } of partitions) {
      if (!replicas.includes(id)) continue
      const left = isr.filter((member) => member !== id).length
      const needed = Math.min(minIsr.get(topic) ?? 1, replicas.length)
      if (replicas.length === 1) alone.push({ topic, partition })
      else if (left === 0) last.push({ topic, partition })
      else if (left < needed) tooFew.push({ topic, partition })
    }
  if (alone.length > 0) reasons.push(`nobody else has a replica of ${formatRanges(alone)}`)
  if (last.length > 0) reasons.push(`nobody else is in sync in ${formatRanges(last)}`)
  if (tooFew.length > 0) reasons.push(`fewer than ${MIN_ISR} would be in sync in ${formatRanges(tooFew)}`)
  return { safe: reasons.length === 0, reasons }
}
