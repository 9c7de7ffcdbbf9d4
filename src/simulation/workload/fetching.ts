import { decodeUtf8 } from '#base'
import { ErrorCode, errorOf } from '#protocol'
import { Fetch } from '#protocol/messages/fetch'
import { batchesOf } from '#protocol/records'

import type { ReadRecord } from '../checker/history.ts'
import { PlainCluster, isNoAnswer, keyOf, type TopicPartition } from './plain-cluster.ts'
import type { Recorder } from './recorder.ts'

/** Without sessions, with topic names; with leader epochs; with topic ids. */
export const FETCH_VERSIONS = [4, 8, 11, 12, 13, 16] as const
const MAX_WAIT_MS = 300
const REQUEST_TIMEOUT_MS = 3000
const FIRST_VERSION_WITH_IDS = 13

/** What one fetch brought of one partition, and where the next one begins. */
export interface Fetched {
  readonly partition: TopicPartition
  readonly records: readonly ReadRecord[]
  readonly nextOffset: number
  readonly highWatermark: number
  /** Where the consumer should read instead (KIP-392). -1: here. */
  readonly preferredReadReplica: number
}

/**
 * Fetches from one leader what it has of these partitions. Null: no answer. Errors of partitions are noted,
 * leaders are learned anew, and the partition is left out.
 */
export async function fetchFrom(
  cluster: PlainCluster,
  recorder: Recorder,
  leader: number,
  positions: readonly { partition: TopicPartition; offset: number }[],
  version: number,
  rackId = '',
): Promise<Fetched[] | null> {
  const topicsById = new Map(positions.map(({ partition: { topic } }) => [cluster.topicIdOf(topic), topic]))
  const request = {
    maxWaitMs: MAX_WAIT_MS,
    minBytes: 1,
    maxBytes: 1_000_000,
    topics: positions.map(({ partition: { topic, partition }, offset }) => ({
      topic,
      topicId: cluster.topicIdOf(topic)!,
      partitions: [{ partition, fetchOffset: offset, partitionMaxBytes: 20_000 }],
    })),
    forgottenTopicsData: [],
    rackId,
  }
  try {
    const answer = await cluster.ask(leader, Fetch, version, request, REQUEST_TIMEOUT_MS)
    if (answer.errorCode !== ErrorCode.NONE) recorder.note(`Fetch ${errorOf(answer.errorCode).name}`)
    const fetched: Fetched[] = []
    for (const { topic, topicId, partitions } of answer.responses) {
      const name = version < FIRST_VERSION_WITH_IDS ? topic : topicsById.get(topicId)
      for (const { partitionIndex, errorCode, records, highWatermark, preferredReadReplica } of partitions) {
        const position = positions.find(
          ({ partition }) => partition.topic === name && partition.partition === partitionIndex,
        )
        if (errorCode !== ErrorCode.NONE) recorder.note(`Fetch ${errorOf(errorCode).name}`)
        if (position === undefined || errorCode !== ErrorCode.NONE) continue
        const read = recordsFrom(records, position.offset)
        fetched.push({ partition: position.partition, highWatermark, preferredReadReplica, ...read })
      }
    }
    if (fetched.length < positions.length) await cluster.refresh()
    return fetched
  } catch (error) {
    if (!isNoAnswer(error)) throw error
    await cluster.refresh()
    return null
  }
}

/** A batch may begin before the offset that was asked for; its first records are then not meant. */
function recordsFrom(bytes: Uint8Array | null, offset: number): { records: ReadRecord[]; nextOffset: number } {
  const records: ReadRecord[] = []
  let nextOffset = offset
  for (const batch of batchesOf(bytes ?? new Uint8Array(0))) {
    if (!batch.hasValidCrc()) throw new Error(`a batch at offset ${batch.baseOffset} has a wrong checksum`)
    for (const record of batch.records(RECORDS_BYTES_MAX)) {
      if (record.offset < offset) continue
      const text = decodeUtf8(record.value!, 0, record.value!.length)
      records.push({ offset: record.offset, value: text.slice(0, text.indexOf(' ')) })
    }
    nextOffset = Math.max(nextOffset, batch.nextOffset)
  }
  return { records, nextOffset }
}

const RECORDS_BYTES_MAX = 10_000_000

/** Partitions by their leader; those without one are left out. */
export function byLeader(cluster: PlainCluster, partitions: readonly TopicPartition[]): Map<number, TopicPartition[]> {
  const groups = new Map<number, TopicPartition[]>()
  for (const partition of partitions) {
    const leader = cluster.leaderOf(partition)
    if (leader === null || cluster.topicIdOf(partition.topic) === null) continue
    const group = groups.get(leader)
    if (group === undefined) groups.set(leader, [partition])
    else group.push(partition)
  }
  return groups
}

/** As an operation of the history: what one fetch brought. */
export function pollsOf(fetched: readonly Fetched[]): { key: string; records: readonly ReadRecord[] }[] {
  return fetched
    .filter(({ records }) => records.length > 0)
    .map(({ partition, records }) => ({ key: keyOf(partition), records }))
}
