/** `samsa topics …`: topics of any Kafka cluster. */
import type { TopicDescription } from '#client'

import { print, printJson, report, type ClusterOptions } from './cluster-options.ts'
import { healthOf } from './partition-health.ts'
import { formatTable } from './table.ts'
import { UserError, parseAssignments } from './user-error.ts'
import { withAdmin } from './with-admin.ts'

interface CreateOptions extends ClusterOptions {
  partitions?: number
  replicationFactor?: number
  config?: string[]
  ifNotExists?: true
}

interface AlterOptions extends ClusterOptions {
  partitions?: number
  config?: string[]
  deleteConfig?: string[]
}

export function createTopics(names: string[], options: CreateOptions): Promise<void> {
  const configs = parseAssignments('--config', options.config)
  return withAdmin(options, async (admin) => {
    const results = await admin.createTopics(
      names.map((name) => ({
        name,
        partitions: options.partitions ?? -1,
        replicationFactor: options.replicationFactor ?? -1,
        configs,
      })),
    )
    report('created', results, options, options.ifNotExists ? 'TOPIC_ALREADY_EXISTS' : null)
  })
}

export function deleteTopics(names: string[], options: ClusterOptions & { ifExists?: true }): Promise<void> {
  return withAdmin(options, async (admin) => {
    report('deleted', await admin.deleteTopics(names), options, options.ifExists ? 'UNKNOWN_TOPIC_OR_PARTITION' : null)
  })
}

export function listTopics(options: ClusterOptions & { internal?: true }): Promise<void> {
  return withAdmin(options, async (admin) => {
    const topics = (await admin.listTopics()).filter((topic) => options.internal || !topic.isInternal)
    if (options.json) printJson(topics)
    else
      print(
        formatTable(
          ['TOPIC', 'PARTITIONS'],
          topics.map((topic) => [topic.name, topic.partitionCount]),
        ),
      )
  })
}

export function describeTopics(names: string[], options: ClusterOptions): Promise<void> {
  return withAdmin(options, async (admin) => {
    const topics = await admin.describeTopics(names.length === 0 ? null : names)
    if (options.json) printJson(topics)
    else print(formatTable(DESCRIPTION_HEADER, topics.flatMap(descriptionRows)))
  })
}

export function alterTopic(name: string, options: AlterOptions): Promise<void> {
  const set = Object.entries(parseAssignments('--config', options.config))
  const configs = new Map<string, string | null>([
    ...set,
    ...(options.deleteConfig ?? []).map((key) => [key, null] as const),
  ])
  if (configs.size === 0 && options.partitions === undefined)
    throw new UserError('nothing to alter: give --partitions, --config or --delete-config')
  return withAdmin(options, async (admin) => {
    if (configs.size > 0) await admin.alterTopicConfigs(name, configs)
    const results =
      options.partitions === undefined
        ? new Map([[name, null]])
        : await admin.createPartitions(new Map([[name, options.partitions]]))
    report('altered', results, options)
  })
}

const DESCRIPTION_HEADER = ['TOPIC', 'PARTITION', 'LEADER', 'EPOCH', 'REPLICAS', 'ISR', 'STATE']

function descriptionRows(topic: TopicDescription): (string | number)[][] {
  return topic.partitions.map((partition) => [
    topic.name,
    partition.partition,
    partition.leader < 0 ? 'none' : partition.leader,
    partition.leaderEpoch,
    partition.replicas.join(','),
    partition.isr.join(','),
    healthOf(partition),
  ])
}
