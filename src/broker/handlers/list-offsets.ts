/** ListOffsets: where a partition begins and ends, and which record came first after a moment. */
import { ErrorCode } from '#protocol'
import { ListOffsets, type ListOffsetsRequest, type ListOffsetsResponseInput } from '#protocol/messages/list-offsets'
import {
  ListOffsetsTimestamp,
  type FetchIsolation,
  type ListOffsetsPartition,
  type ListOffsetsResult,
} from '#replication'

import { groupedByTopic, handler } from './handler.ts'

const CONSUMER_ID = -1
const READ_COMMITTED = 1

/** The versions from which on the special timestamps may be asked for. */
const SINCE_VERSION: Readonly<Record<number, number>> = {
  [ListOffsetsTimestamp.maxTimestamp]: 7,
  [ListOffsetsTimestamp.earliestLocal]: 8,
  [ListOffsetsTimestamp.latestTiered]: 9,
}

export const listOffsets = handler(ListOffsets, (broker, message, { apiVersion }) => {
  const wanted = partitionsOf(message)
  const duplicates = duplicatesOf(wanted)
  const refusalOf = ({ topic, partition, timestamp }: ListOffsetsPartition): number => {
    if (duplicates.has(`${topic}/${partition}`)) return ErrorCode.INVALID_REQUEST
    return apiVersion < (SINCE_VERSION[timestamp] ?? 0) ? ErrorCode.UNSUPPORTED_VERSION : ErrorCode.NONE
  }
  const refused = wanted.flatMap((each): ListOffsetsResult[] => {
    const errorCode = refusalOf(each)
    if (errorCode === ErrorCode.NONE) return []
    return [{ topic: each.topic, partition: each.partition, errorCode, timestamp: -1, offset: -1, leaderEpoch: -1 }]
  })
  const partitions = wanted.filter((each) => refusalOf(each) === ErrorCode.NONE)
  const isolation = isolationOf(message)
  const listed = broker.replicas.listOffsets({ replicaId: message.replicaId, isolation, partitions })
  return answerOf([...refused, ...listed], apiVersion)
})

function partitionsOf({ topics }: ListOffsetsRequest): ListOffsetsPartition[] {
  return topics.flatMap(({ name: topic, partitions }) =>
    partitions.map(({ partitionIndex: partition, currentLeaderEpoch, timestamp }) => ({
      topic,
      partition,
      currentLeaderEpoch,
      timestamp,
    })),
  )
}

function duplicatesOf(partitions: readonly ListOffsetsPartition[]): Set<string> {
  const seen = new Set<string>()
  const duplicates = new Set<string>()
  for (const { topic, partition } of partitions) {
    const key = `${topic}/${partition}`
    if (seen.has(key)) duplicates.add(key)
    seen.add(key)
  }
  return duplicates
}

function isolationOf({ replicaId, isolationLevel }: ListOffsetsRequest): FetchIsolation {
  if (replicaId !== CONSUMER_ID) return 'logEnd'
  return isolationLevel === READ_COMMITTED ? 'lastStableOffset' : 'highWatermark'
}

function answerOf(results: readonly ListOffsetsResult[], apiVersion: number): ListOffsetsResponseInput {
  return {
    topics: groupedByTopic(results, (name, of) => ({
      name,
      partitions: of.map((result) => ({
        partitionIndex: result.partition,
        errorCode: errorFor(result.errorCode, apiVersion),
        ...(apiVersion === 0
          ? { oldStyleOffsets: result.offset >= 0 ? [result.offset] : [] }
          : { timestamp: result.timestamp, offset: result.offset }),
        ...(apiVersion >= 4 ? { leaderEpoch: result.leaderEpoch } : {}),
      })),
    })),
  }
}

function errorFor(errorCode: number, apiVersion: number): number {
  return apiVersion < 5 && errorCode === ErrorCode.OFFSET_NOT_AVAILABLE ? ErrorCode.LEADER_NOT_AVAILABLE : errorCode
}
