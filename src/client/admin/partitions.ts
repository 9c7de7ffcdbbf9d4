/** What an administrator asks of single partitions: their offsets, another leader, other replicas. */
import { ErrorCode } from '#protocol'
import { AlterPartitionReassignments } from '#protocol/messages/alter-partition-reassignments'
import { ElectLeaders } from '#protocol/messages/elect-leaders'
import { ListPartitionReassignments } from '#protocol/messages/list-partition-reassignments'

import type { CallOptions, Cluster } from '../cluster/index.ts'
import { byTopic, compareTopicPartitions, keyOf, type TopicPartition } from '../consumer/topic-partition.ts'
import { kafkaError, type KafkaError } from '../errors.ts'
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, listOffsets, type FoundOffset } from '../offsets.ts'

/** The first record, behind the last one, or the first record that is not older than a time in ms. */
export type OffsetPlace = 'earliest' | 'latest' | { readonly timestamp: number }

export interface PartitionOffset extends TopicPartition {
  /** Null: no record is so young. */
  readonly found: FoundOffset | null
}

/** `preferred`: the first of the replicas. `unclean`: any that lives, even if it lacks records that were acknowledged. */
export type ElectionKind = 'preferred' | 'unclean'

/** A partition that moves to other replicas. */
export interface Reassignment extends TopicPartition {
  /** The old and the new ones. */
  readonly replicas: readonly number[]
  readonly adding: readonly number[]
  readonly removing: readonly number[]
}

/** What became of each partition, by `TOPIC-NUMBER`: null, or why it failed. */
export type PartitionResults = Map<string, KafkaError | null>

const ELECTION_TYPE = { preferred: 0, unclean: 1 } as const
const PLACE_TIMESTAMP = { earliest: EARLIEST_TIMESTAMP, latest: LATEST_TIMESTAMP } as const

export class PartitionAdmin {
  readonly #cluster: Cluster

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** In the order given. */
  async offsets(
    partitions: readonly TopicPartition[],
    place: OffsetPlace,
    options: CallOptions = {},
  ): Promise<PartitionOffset[]> {
    const timestamp = typeof place === 'string' ? PLACE_TIMESTAMP[place] : place.timestamp
    const queries = partitions.map(({ topic, partition }) => ({ topic, partition, timestamp }))
    const found = await listOffsets(this.#cluster, queries, 'read_uncommitted', options)
    return queries.map(({ topic, partition }) => {
      const offset = found.get(keyOf({ topic, partition }))!
      return { topic, partition, found: offset.offset < 0 ? null : offset }
    })
  }

  /** Elects leaders, of all partitions when null. One that leads already fails with ELECTION_NOT_NEEDED; of all it is left out. */
  async electLeaders(
    kind: ElectionKind,
    partitions: readonly TopicPartition[] | null = null,
    options: CallOptions = {},
  ): Promise<PartitionResults> {
    const request = {
      electionType: ELECTION_TYPE[kind],
      topicPartitions:
        partitions === null
          ? null
          : Array.from(byTopic(partitions), ([topic, list]) => ({
              topic,
              partitions: list.map(({ partition }) => partition),
            })),
      timeoutMs: this.#cluster.config.requestTimeoutMs,
    }
    const response = await this.#cluster.sendToController(ElectLeaders, request, topLevelCode, options)
    if (response.errorCode !== ErrorCode.NONE) throw kafkaError(response.errorCode)
    return resultsOf(
      response.replicaElectionResults.flatMap(({ topic, partitionResult }) =>
        partitionResult.map(({ partitionId, ...result }) => ({ topic, partition: partitionId, ...result })),
      ),
    )
  }

  /** Moves partitions to other replicas, by broker id, the preferred leader first; null ends a move that is under way (KIP-455). */
  async reassign(
    moves: readonly (TopicPartition & { readonly replicas: readonly number[] | null })[],
    options: CallOptions = {},
  ): Promise<PartitionResults> {
    const request = {
      timeoutMs: this.#cluster.config.requestTimeoutMs,
      topics: Array.from(byTopic(moves), ([name, list]) => ({
        name,
        partitions: list.map(({ partition, replicas }) => ({ partitionIndex: partition, replicas })),
      })),
    }
    const response = await this.#cluster.sendToController(AlterPartitionReassignments, request, topLevelCode, options)
    if (response.errorCode !== ErrorCode.NONE) throw kafkaError(response.errorCode, response.errorMessage)
    return resultsOf(
      response.responses.flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex, ...result }) => ({ topic: name, partition: partitionIndex, ...result })),
      ),
    )
  }

  /** What moves at present. */
  async reassignments(options: CallOptions = {}): Promise<Reassignment[]> {
    const request = { timeoutMs: this.#cluster.config.requestTimeoutMs, topics: null }
    const response = await this.#cluster.sendToController(ListPartitionReassignments, request, topLevelCode, options)
    if (response.errorCode !== ErrorCode.NONE) throw kafkaError(response.errorCode, response.errorMessage)
    return response.topics
      .flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex, replicas, addingReplicas, removingReplicas }) => ({
          topic: name,
          partition: partitionIndex,
          replicas,
          adding: addingReplicas,
          removing: removingReplicas,
        })),
      )
      .sort(compareTopicPartitions)
  }
}

function topLevelCode({ errorCode }: { readonly errorCode: number }): readonly number[] {
  return [errorCode]
}

function resultsOf(
  results: readonly (TopicPartition & { readonly errorCode: number; readonly errorMessage: string | null })[],
): PartitionResults {
  return new Map(
    results.map(({ errorCode, errorMessage, ...place }) => [
      keyOf(place),
      errorCode === ErrorCode.NONE ? null : kafkaError(errorCode, errorMessage ?? keyOf(place)),
    ]),
  )
}
