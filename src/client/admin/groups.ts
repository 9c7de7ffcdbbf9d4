/** What an administrator does with consumer groups. Each group is asked about at its coordinator. */
import { MalformedBytesError } from '#base'
import { ErrorCode } from '#protocol'
import { DeleteGroups } from '#protocol/messages/delete-groups'
import { DescribeGroups, type DescribeGroupsResponse } from '#protocol/messages/describe-groups'
import { ListGroups } from '#protocol/messages/list-groups'
import { OffsetDelete } from '#protocol/messages/offset-delete'

import type { CallOptions, Cluster } from '../cluster/index.ts'
import { CONSUMER_PROTOCOL_TYPE, decodeAssignment } from '../consumer/group-messages.ts'
import {
  byTopic,
  compareNames,
  compareTopicPartitions,
  keyOf,
  type TopicPartition,
} from '../consumer/topic-partition.ts'
import { KafkaError, kafkaError } from '../errors.ts'
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, fetchCommitted, listOffsets, type CommittedOffset } from '../offsets.ts'
import { commitGroupOffsets, planReset, type OffsetChange, type ResetTarget } from './offsets.ts'

export interface GroupListing {
  readonly groupId: string
  /** `consumer` for consumers; empty for a group that has offsets and never had members. */
  readonly protocolType: string
  /** Such as `Stable` and `Empty`; null where the broker is older than 2.6. */
  readonly state: string | null
}

export interface GroupMemberDescription {
  readonly memberId: string
  /** Null for a dynamic member. */
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  /** Null where the group is not one of consumers, or the assignment cannot be read. */
  readonly assignment: readonly TopicPartition[] | null
}

export interface GroupDescription {
  readonly groupId: string
  /** `Stable`, `PreparingRebalance`, `CompletingRebalance`, `Empty`, or `Dead`: there is no such group. */
  readonly state: string
  readonly protocolType: string
  /** The assignor that the members share; empty if there is none. */
  readonly protocol: string
  readonly coordinator: number
  readonly members: readonly GroupMemberDescription[]
}

/** How far a group has come in one partition. */
export interface PartitionLag extends TopicPartition {
  /** Null: nothing is committed. */
  readonly committed: number | null
  readonly logStart: number
  readonly logEnd: number
  /** Records from the committed offset to the end; null where nothing is committed. */
  readonly lag: number | null
  /** Who has the partition at present, or null. */
  readonly member: GroupMemberDescription | null
}

/** What became of each group of a call: null, or why it failed. */
export type GroupResults = Map<string, KafkaError | null>

export interface ResetOptions extends CallOptions {
  /** All partitions that the group has offsets of, if left out; of a topic without partitions named, all. */
  readonly topics?: readonly (string | TopicPartition)[]
  readonly to: ResetTarget
  /** Tells what would change, and changes nothing. */
  readonly dryRun?: boolean
}

export class GroupAdmin {
  readonly #cluster: Cluster

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** Every group of the cluster, by name: each broker tells those that it coordinates. */
  async list(options: CallOptions = {}): Promise<GroupListing[]> {
    const { brokers } = await this.#cluster.describe([], options)
    const answers = await Promise.all(
      brokers.map(({ nodeId }) =>
        this.#cluster.retry(
          'ListGroups',
          async () => {
            const response = await this.#cluster.send(nodeId, ListGroups, {}, { signal: options.signal })
            if (response.errorCode !== ErrorCode.NONE) throw kafkaError(response.errorCode, `broker ${nodeId}`)
            return response.groups
          },
          options,
        ),
      ),
    )
    const groups = new Map(answers.flat().map((group) => [group.groupId, group]))
    return Array.from(groups.values(), ({ groupId, protocolType, groupState }) => ({
      groupId,
      protocolType,
      state: groupState === '' ? null : groupState,
    })).sort((a, b) => compareNames(a.groupId, b.groupId))
  }

  /** In the order given. A group that does not exist has the state `Dead`. */
  describe(groupIds: readonly string[], options: CallOptions = {}): Promise<GroupDescription[]> {
    return Promise.all(groupIds.map((groupId) => this.#describe(groupId, options)))
  }

  /** Deletes groups with their offsets. A group that has members fails with NON_EMPTY_GROUP. */
  async delete(groupIds: readonly string[], options: CallOptions = {}): Promise<GroupResults> {
    const results = await Promise.all(
      groupIds.map(async (groupId): Promise<[string, KafkaError | null]> => {
        const { results: answers } = await this.#cluster.sendToCoordinator(
          'group',
          groupId,
          DeleteGroups,
          { groupsNames: [groupId] },
          (response) => response.results.map(({ errorCode }) => errorCode),
          options,
        )
        const code = answers[0]?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR
        return [groupId, code === ErrorCode.NONE ? null : kafkaError(code, `group ${groupId}`)]
      }),
    )
    return new Map(results)
  }

  /** What a group has committed, of these partitions or of all. */
  async offsets(
    groupId: string,
    partitions: readonly TopicPartition[] | null = null,
    options: CallOptions = {},
  ): Promise<(CommittedOffset & TopicPartition)[]> {
    const committed = await fetchCommitted(this.#cluster, groupId, partitions, options)
    return [...committed.values()].sort(compareTopicPartitions)
  }

  /** How far a group has come, in everything that it has offsets of or is assigned. */
  async lag(groupId: string, options: CallOptions = {}): Promise<PartitionLag[]> {
    const [committed, { members }] = await Promise.all([
      fetchCommitted(this.#cluster, groupId, null, options),
      this.#describe(groupId, options),
    ])
    const owners = new Map<string, GroupMemberDescription>()
    const partitions = new Map<string, TopicPartition>(committed)
    for (const member of members)
      for (const partition of member.assignment ?? []) {
        owners.set(keyOf(partition), member)
        partitions.set(keyOf(partition), partition)
      }
    const existing = await this.#existing([...partitions.values()], options)
    const [starts, ends] = await Promise.all(
      [EARLIEST_TIMESTAMP, LATEST_TIMESTAMP].map((timestamp) =>
        listOffsets(
          this.#cluster,
          existing.map((partition) => ({ ...partition, timestamp })),
          'read_uncommitted',
          options,
        ),
      ),
    )
    return existing.map((partition) => {
      const key = keyOf(partition)
      const offset = committed.get(key)?.offset ?? null
      const logEnd = ends!.get(key)!.offset
      return {
        ...partition,
        committed: offset,
        logStart: starts!.get(key)!.offset,
        logEnd,
        lag: offset === null ? null : Math.max(0, logEnd - offset),
        member: owners.get(key) ?? null,
      }
    })
  }

  /**
   * Sets where a group goes on. Rejects with UNKNOWN_MEMBER_ID while it has members, who would not notice. Resolves with what has
   * changed, or would.
   */
  async resetOffsets(
    groupId: string,
    { topics, to, dryRun = false, ...options }: ResetOptions,
  ): Promise<OffsetChange[]> {
    const committed = await fetchCommitted(this.#cluster, groupId, null, options)
    const wanted = topics === undefined ? [...committed.values()] : await this.#resolve(topics, options)
    const existing = await this.#existing(wanted, options)
    const changes = await planReset(this.#cluster, existing, committed, to, options)
    if (!dryRun)
      await commitGroupOffsets(
        this.#cluster,
        groupId,
        changes.map(({ topic, partition, offset }) => ({ topic, partition, offset })),
        options,
      )
    return changes
  }

  /** Sets offsets, of a group without members. */
  alterOffsets(
    groupId: string,
    offsets: readonly (TopicPartition & { readonly offset: number; readonly metadata?: string })[],
    options: CallOptions = {},
  ): Promise<void> {
    return commitGroupOffsets(this.#cluster, groupId, offsets, options)
  }

  /** Forgets offsets, of topics that no member subscribes to; the others fail with GROUP_SUBSCRIBED_TO_TOPIC. */
  async deleteOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
    options: CallOptions = {},
  ): Promise<Map<string, KafkaError | null>> {
    const response = await this.#cluster.sendToCoordinator(
      'group',
      groupId,
      OffsetDelete,
      {
        groupId,
        topics: Array.from(byTopic(partitions), ([name, list]) => ({
          name,
          partitions: list.map(({ partition }) => ({ partitionIndex: partition })),
        })),
      },
      ({ errorCode }) => [errorCode],
      options,
    )
    if (response.errorCode !== ErrorCode.NONE) throw kafkaError(response.errorCode, `group ${groupId}`)
    return new Map(
      response.topics.flatMap(({ name, partitions: answers }) =>
        answers.map(({ partitionIndex, errorCode }): [string, KafkaError | null] => {
          const key = keyOf({ topic: name, partition: partitionIndex })
          return [key, errorCode === ErrorCode.NONE ? null : kafkaError(errorCode, key)]
        }),
      ),
    )
  }

  async #describe(groupId: string, options: CallOptions): Promise<GroupDescription> {
    const response = await this.#cluster.sendToCoordinator(
      'group',
      groupId,
      DescribeGroups,
      { groups: [groupId] },
      ({ groups }) => groups.map(({ errorCode }) => errorCode),
      options,
    )
    const group = response.groups[0]
    if (group === undefined) throw new KafkaError(`the coordinator says nothing of group ${groupId}`)
    // Brokers from 4.0 on say so of a group that does not exist; older ones say Dead.
    if (group.errorCode === ErrorCode.GROUP_ID_NOT_FOUND) return { ...describedGroup(group, -1), state: 'Dead' }
    if (group.errorCode !== ErrorCode.NONE) throw kafkaError(group.errorCode, `group ${groupId}`)
    return describedGroup(group, await this.#cluster.coordinatorOf('group', groupId, options))
  }

  /** Topics by name become their partitions. */
  async #resolve(topics: readonly (string | TopicPartition)[], options: CallOptions): Promise<TopicPartition[]> {
    const names = topics.filter((topic) => typeof topic === 'string')
    const { topics: described } = await this.#cluster.describe(names, options)
    const partitions = described.flatMap(({ name, errorCode, partitions: list }) => {
      if (errorCode !== ErrorCode.NONE) throw kafkaError(errorCode, `topic ${name}`)
      return list.map(({ partitionIndex }) => ({ topic: name!, partition: partitionIndex }))
    })
    return [...partitions, ...topics.filter((topic) => typeof topic !== 'string')].sort(compareTopicPartitions)
  }

  /** Of offsets that outlived their topic nothing can be told. */
  async #existing(partitions: readonly TopicPartition[], options: CallOptions): Promise<TopicPartition[]> {
    const names = [...byTopic(partitions).keys()]
    if (names.length === 0) return []
    const { topics } = await this.#cluster.describe(names, options)
    const keys = new Set(
      topics.flatMap(({ name, partitions: list }) =>
        list.map(({ partitionIndex }) => keyOf({ topic: name ?? '', partition: partitionIndex })),
      ),
    )
    return partitions
      .filter((partition) => keys.has(keyOf(partition)))
      .map(({ topic, partition }) => ({ topic, partition }))
      .sort(compareTopicPartitions)
  }
}

function describedGroup(group: DescribeGroupsResponse['groups'][number], coordinator: number): GroupDescription {
  const { groupId, groupState, protocolType, protocolData, members } = group
  return {
    groupId,
    state: groupState,
    protocolType,
    protocol: protocolData,
    coordinator,
    members: members.map(({ memberId, groupInstanceId, clientId, clientHost, memberAssignment }) => ({
      memberId,
      groupInstanceId,
      clientId,
      clientHost,
      assignment: protocolType === CONSUMER_PROTOCOL_TYPE ? assignmentOf(memberAssignment) : null,
    })),
  }
}

function assignmentOf(bytes: Uint8Array): readonly TopicPartition[] | null {
  try {
    return decodeAssignment(bytes).sort(compareTopicPartitions)
  } catch (error) {
    if (error instanceof MalformedBytesError) return null
    throw error
  }
}
