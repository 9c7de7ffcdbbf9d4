/** ListOffsets: where a partition begins and ends, and which record came first after a moment. */
import { ErrorCode } from '#protocol'
import { ListOffsets, type ListOffsetsRequest, type ListOffsetsResponseInput } from '#protocol/messages/list-offsets'
import {
  ListOffsetsTimestamp,
  type FetchIsolation,
  type ListOffsetsPartition,
  type ListOffsetsResult,
} from '#replication'

import type { BrokerServices } from '../services.ts'
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
  if (apiVersion === 0) return listSegments(broker, message)
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
  const listed = broker.replicas.listOffsets({
    replicaId: message.replicaId,
    isolation: isolationOf(message),
    partitions,
  })
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
      partitions: of.map(({ partition, errorCode, timestamp, offset, leaderEpoch }) => ({
        partitionIndex: partition,
        errorCode: errorFor(errorCode, apiVersion),
        timestamp,
        offset,
        ...(apiVersion >= 4 ? { leaderEpoch } : {}),
      })),
    })),
  }
}

function errorFor(errorCode: number, apiVersion: number): number {
  return apiVersion < 5 && errorCode === ErrorCode.OFFSET_NOT_AVAILABLE ? ErrorCode.LEADER_NOT_AVAILABLE : errorCode
}

/**
 * Version 0 asked for offsets where segments begin, newest first, at most `maxNumOffsets`: up to the end for "latest", the first one
 * for "earliest", and for a moment those up to the record that it finds. Source: `UnifiedLog.legacyFetchOffsetsBefore`.
 */
function listSegments(broker: BrokerServices, message: ListOffsetsRequest): ListOffsetsResponseInput {
  return {
    topics: message.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, timestamp, maxNumOffsets }) => {
        const [found] = broker.replicas.listOffsets({
          replicaId: message.replicaId,
          isolation: isolationOf(message),
          partitions: [{ topic: name, partition: partitionIndex, currentLeaderEpoch: -1, timestamp }],
        })
        const { offset } = found!
        const bases = broker.replicas.partition(name, partitionIndex)?.log?.segmentBaseOffsets ?? []
        const before = offset < 0 ? [] : bases.filter((base) => base < offset).reverse()
        const offsets =
          offset < 0 ? [] : timestamp < 0 ? [offset, ...before] : bases.filter((base) => base <= offset).reverse()
        return {
          partitionIndex,
          errorCode: errorFor(found!.errorCode, 0),
          oldStyleOffsets: offsets.slice(0, Math.max(0, maxNumOffsets)),
        }
      }),
    })),
  }
}
