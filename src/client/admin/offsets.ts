/** Where a group goes on: what a reset would change, and the commit that changes it. */
import { ErrorCode } from '#protocol'
import { OffsetCommit } from '#protocol/messages/offset-commit'

import type { CallOptions, Cluster } from '../cluster/index.ts'
import { byTopic, keyOf, type TopicPartition } from '../consumer/topic-partition.ts'
import { KafkaError, kafkaError } from '../errors.ts'
import {
  EARLIEST_TIMESTAMP,
  LATEST_TIMESTAMP,
  listOffsets,
  type CommittedOffset,
  type FoundOffset,
} from '../offsets.ts'

/**
 * Where to: the first record, behind the last one, where it is already (which drops what cannot be any more), an offset, the first record that is not older
 * than a time in ms, or so many records on (back, if negative). What lies outside the log becomes its nearer end.
 */
export type ResetTarget =
  | 'earliest'
  | 'latest'
  | 'current'
  | { readonly offset: number }
  | { readonly timestamp: number }
  | { readonly shiftBy: number }

export interface OffsetChange extends TopicPartition {
  /** Null: nothing was committed. */
  readonly before: number | null
  readonly offset: number
}

/** Throws `KafkaError` for a shift of a partition without a committed offset. */
export async function planReset(
  cluster: Cluster,
  partitions: readonly TopicPartition[],
  committed: ReadonlyMap<string, CommittedOffset>,
  to: ResetTarget,
  options: CallOptions = {},
): Promise<OffsetChange[]> {
  if (partitions.length === 0) return []
  const find = (timestamp: number): Promise<Map<string, FoundOffset>> =>
    listOffsets(
      cluster,
      partitions.map((partition) => ({ ...partition, timestamp })),
      'read_uncommitted',
      options,
    )
  const [starts, ends, atTime] = await Promise.all([
    find(EARLIEST_TIMESTAMP),
    find(LATEST_TIMESTAMP),
    typeof to === 'object' && 'timestamp' in to ? find(to.timestamp) : null,
  ])
  return partitions.map((place) => {
    const key = keyOf(place)
    const before = committed.get(key)?.offset ?? null
    const start = starts.get(key)!.offset
    const end = ends.get(key)!.offset
    const found = atTime?.get(key)?.offset ?? -1
    const target = targetOf(to, { key, before, start, end, found })
    return { ...place, before, offset: Math.min(Math.max(target, start), end) }
  })
}

function targetOf(
  to: ResetTarget,
  { key, before, start, end, found }: { key: string; before: number | null; start: number; end: number; found: number },
): number {
  if (to === 'earliest') return start
  if (to === 'latest') return end
  if (to === 'current') return before ?? end
  if ('offset' in to) return to.offset
  if ('timestamp' in to) return found < 0 ? end : found
  if (before === null) throw new KafkaError(`${key} has no committed offset that could be shifted`)
  return before + to.shiftBy
}

/** A commit from outside: the coordinator takes it only while the group has no members. Throws the first error of a partition. */
export async function commitGroupOffsets(
  cluster: Cluster,
  groupId: string,
  offsets: readonly (TopicPartition & { readonly offset: number; readonly metadata?: string })[],
  options: CallOptions = {},
): Promise<void> {
  if (offsets.length === 0) return
  const response = await cluster.sendToCoordinator(
    'group',
    groupId,
    OffsetCommit,
    {
      groupId,
      generationIdOrMemberEpoch: -1,
      memberId: '',
      topics: Array.from(byTopic(offsets), ([name, list]) => ({
        name,
        partitions: list.map(({ partition, offset, metadata }) => ({
          partitionIndex: partition,
          committedOffset: offset,
          committedMetadata: metadata ?? '',
        })),
      })),
    },
    ({ topics }) => topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode)),
    options,
  )
  for (const { name, partitions } of response.topics)
    for (const { partitionIndex, errorCode } of partitions)
      if (errorCode !== ErrorCode.NONE)
        throw kafkaError(errorCode, `${name}-${partitionIndex}: group ${groupId} must have no members`)
}
