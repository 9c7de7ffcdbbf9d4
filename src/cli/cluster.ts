/** `samsa cluster describe`: brokers, who leads what, and what is not well. */
import type { ClusterDescription, TopicDescription } from '#client'

import { print, printJson, type ClusterOptions } from './cluster-options.ts'
import { healthOf, type PartitionReplicas } from './partition-health.ts'
import { formatRanges } from './ranges.ts'
import { formatTable } from './table.ts'
import { UserError } from './user-error.ts'
import { withAdmin } from './with-admin.ts'

interface Partition extends PartitionReplicas {
  readonly topic: string
  readonly partition: number
}

interface BrokerView {
  nodeId: number
  host: string
  port: number
  rack: string | null
  isController: boolean
  leads: Partition[]
  replicaCount: number
}

export interface ClusterView {
  clusterId: string | null
  controllerId: number | null
  topicCount: number
  partitionCount: number
  brokers: BrokerView[]
  underReplicated: Partition[]
  offline: Partition[]
}

export function describeCluster(options: ClusterOptions & { check?: true }): Promise<void> {
  return withAdmin(options, async (admin) => {
    const [cluster, topics] = await Promise.all([admin.describeCluster(), admin.describeTopics(null)])
    const view = viewOf(cluster, topics)
    if (options.json) printJson(toJson(view))
    else print(toText(view))
    const faults = faultsOf(view)
    if (options.check && faults.length > 0) throw new UserError(faults.join(', '))
  })
}

export function viewOf(cluster: ClusterDescription, topics: readonly TopicDescription[]): ClusterView {
  const partitions = topics.flatMap((topic): Partition[] =>
    topic.partitions.map(({ partition, leader, replicas, isr }) => ({
      topic: topic.name,
      partition,
      leader,
      replicas,
      isr,
    })),
  )
  const brokers = cluster.brokers
    .map((broker) => ({
      ...broker,
      isController: broker.nodeId === cluster.controllerId,
      leads: partitions.filter(({ leader }) => leader === broker.nodeId),
      replicaCount: partitions.filter(({ replicas }) => replicas.includes(broker.nodeId)).length,
    }))
    .sort((a, b) => a.nodeId - b.nodeId)
  return {
    clusterId: cluster.clusterId,
    controllerId: cluster.controllerId,
    topicCount: topics.length,
    partitionCount: partitions.length,
    brokers,
    underReplicated: partitions.filter((partition) => healthOf(partition) === 'under-replicated'),
    offline: partitions.filter((partition) => healthOf(partition) === 'offline'),
  }
}

export function toText(view: ClusterView): string {
  const { clusterId, controllerId, topicCount, partitionCount, brokers, underReplicated, offline } = view
  const sections = [
    [
      `Cluster     ${clusterId ?? '?'}`,
      `Controller  ${controllerId ?? 'none'}`,
      `Partitions  ${partitionCount} in ${topicCount} ${topicCount === 1 ? 'topic' : 'topics'}, ${underReplicated.length} under-replicated, ${offline.length} offline`,
    ].join('\n'),
    formatTable(
      ['BROKER', 'ADDRESS', 'RACK', 'REPLICAS', 'LEADS', 'WHICH'],
      brokers.map((broker) => [
        `${broker.nodeId}${broker.isController ? ' *' : ''}`,
        `${broker.host}:${broker.port}`,
        broker.rack ?? '-',
        broker.replicaCount,
        broker.leads.length,
        formatRanges(broker.leads),
      ]),
    ),
  ]
  const unwell = [...offline, ...underReplicated]
  if (unwell.length > 0)
    sections.push(
      formatTable(
        ['TOPIC', 'PARTITION', 'LEADER', 'REPLICAS', 'ISR', 'STATE'],
        unwell.map((partition) => [
          partition.topic,
          partition.partition,
          partition.leader < 0 ? 'none' : partition.leader,
          partition.replicas.join(','),
          partition.isr.join(','),
          healthOf(partition),
        ]),
      ),
    )
  return sections.join('\n\n')
}

/** What `--check` fails for. */
export function faultsOf({ controllerId, underReplicated, offline }: ClusterView): string[] {
  const faults: string[] = []
  if (controllerId === null) faults.push('the cluster has no controller')
  if (offline.length > 0) faults.push(`offline: ${formatRanges(offline)}`)
  if (underReplicated.length > 0) faults.push(`under-replicated: ${formatRanges(underReplicated)}`)
  return faults
}

function toJson({ brokers, ...view }: ClusterView): object {
  const place = ({ topic, partition }: Partition): object => ({ topic, partition })
  return { ...view, brokers: brokers.map((broker) => ({ ...broker, leads: broker.leads.map(place) })) }
}
