/** `samsa groups …`: consumer groups of any Kafka cluster, with how far they are behind. */
import type { Admin, GroupDescription, GroupMemberDescription, PartitionLag } from '#client'

import { print, printJson, report, type ClusterOptions } from './cluster-options.ts'
import { parseResetTarget, parseTopicPartitions } from './places.ts'
import { formatRanges } from './ranges.ts'
import { formatTable } from './table.ts'
import { UserError } from './user-error.ts'
import { withAdmin } from './with-admin.ts'

interface ResetOptions extends ClusterOptions {
  to: string
  topic?: string[]
  execute?: true
}

interface Described extends GroupDescription {
  readonly partitions: readonly PartitionLag[]
}

/** Of a group that does not exist. */
const DEAD = 'Dead'

export function listGroups(options: ClusterOptions): Promise<void> {
  return withAdmin(options, async (admin) => {
    const groups = await admin.groups.list()
    if (options.json) return printJson(groups)
    print(
      formatTable(
        ['GROUP', 'STATE', 'TYPE'],
        groups.map(({ groupId, state, protocolType }) => [groupId, state ?? '?', protocolType || '-']),
      ),
    )
  })
}

export function describeGroups(names: string[], options: ClusterOptions & { members?: true }): Promise<void> {
  return withAdmin(options, async (admin) => {
    const groups = await admin.groups.describe(names)
    const missing = groups.filter(({ state }) => state === DEAD)
    if (missing.length > 0)
      throw new UserError(missing.map(({ groupId }) => `group ${groupId} does not exist`).join('\n'))
    const described = await Promise.all(
      groups.map(async (group): Promise<Described> => ({
        ...group,
        partitions: await admin.groups.lag(group.groupId),
      })),
    )
    if (options.json) return printJson(described.map(toJson))
    const table = options.members ? memberTable : lagTable
    print(described.map((group) => `${headline(group)}\n${table(group)}`).join('\n\n'))
  })
}

export async function resetOffsets(name: string, options: ResetOptions): Promise<void> {
  const to = parseResetTarget(options.to)
  const topics = options.topic?.flatMap(parseTopicPartitions)
  await withAdmin(options, async (admin) => {
    await mustBeEmpty(admin, name)
    const changes = await admin.groups.resetOffsets(name, {
      to,
      dryRun: options.execute !== true,
      ...(topics === undefined ? {} : { topics }),
    })
    if (changes.length === 0)
      throw new UserError(`group ${name} has committed nothing that could be moved: name its topics with --topic`)
    if (options.json) return printJson(changes)
    print(
      formatTable(
        ['TOPIC', 'PARTITION', 'BEFORE', 'AFTER'],
        changes.map(({ topic, partition, before, offset }) => [topic, partition, before ?? '-', offset]),
      ),
    )
    if (!options.execute) process.stderr.write('Nothing was changed: add --execute to do so.\n')
  })
}

export function deleteGroups(names: string[], options: ClusterOptions & { ifExists?: true }): Promise<void> {
  return withAdmin(options, async (admin) => {
    const contentWith = options.ifExists ? 'GROUP_ID_NOT_FOUND' : null
    report('deleted', await admin.groups.delete(names), options, contentWith)
  })
}

/** The broker would refuse a commit as well, with an error that says less. */
async function mustBeEmpty(admin: Admin, name: string): Promise<void> {
  const [group] = await admin.groups.describe([name])
  const count = group?.members.length ?? 0
  if (count > 0)
    throw new UserError(`group ${name} has members (${count}), who would go on where they are: stop them first`)
}

function headline({ groupId, state, protocol, coordinator, members, partitions }: Described): string {
  const lag = partitions.reduce((sum, partition) => sum + (partition.lag ?? 0), 0)
  const assignor = protocol === '' ? '' : `, ${protocol}`
  const count = `${members.length} ${members.length === 1 ? 'member' : 'members'}`
  return `${groupId}: ${state}${assignor}, ${count}, coordinator ${coordinator}, lag ${lag}`
}

function lagTable({ partitions }: Described): string {
  return formatTable(
    ['TOPIC', 'PARTITION', 'COMMITTED', 'END', 'LAG', 'MEMBER', 'HOST'],
    partitions.map(({ topic, partition, committed, logEnd, lag, member }) => [
      topic,
      partition,
      committed ?? '-',
      logEnd,
      lag ?? '-',
      member === null ? '-' : nameOf(member),
      member?.clientHost ?? '-',
    ]),
  )
}

function memberTable({ members }: Described): string {
  return formatTable(
    ['MEMBER', 'CLIENT', 'HOST', 'PARTITIONS'],
    members.map((member) => [nameOf(member), member.clientId, member.clientHost, partitionsOf(member)]),
  )
}

/** A static member is known by the name that it was given. */
function nameOf({ groupInstanceId, memberId }: GroupMemberDescription): string {
  return groupInstanceId ?? memberId
}

function partitionsOf({ assignment }: GroupMemberDescription): string {
  if (assignment === null) return '?'
  return assignment.length === 0 ? '-' : formatRanges(assignment)
}

/** Members are listed once, and named by their id where they own something. */
function toJson({ partitions, ...group }: Described): object {
  return {
    ...group,
    partitions: partitions.map((partition) => ({ ...partition, member: partition.member?.memberId ?? null })),
  }
}
