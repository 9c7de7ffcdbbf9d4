/** What an administrator asks of single partitions: their offsets, another leader, other replicas. */
import { ErrorCode } from '#protocol'
import { AlterPartitionReassignments } from '#protocol/messages/alter-partition-reassignments'
import { DeleteRecords } from '#protocol/messages/delete-records'
import { ElectLeaders } from '#protocol/messages/elect-leaders'
import { ListPartitionReassignments } from '#protocol/messages/list-partition-reassignments'

import type { CallOptions, Cluster } from '../cluster/index.ts'
import { byTopic, compareTopicPartitions, keyOf, type TopicPartition } from '../consumer/topic-partition.ts'
import { KafkaError, isStaleMetadata, kafkaError } from '../errors.ts'
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, knowTopic, listOffsets, type FoundOffset } from '../offsets.ts'

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

/** Which records of a partition go. */
export interface RecordDeletion extends TopicPartition {
  /** Offset of the first record that stays; `end`: whatever is committed goes. */
  readonly before: number | 'end'
}

/** What became of each partition, by `TOPIC-NUMBER`: null, or why it failed. */
export type PartitionResults = Map<string, KafkaError | null>

/** Asks for deletion up to there. */
const HIGH_WATERMARK = -1
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

  /**
   * Deletes what lies before an offset, on every replica (KIP-107). Returns by `TOPIC-NUMBER` the first offset that a replica still
   * has, or why it failed; OFFSET_OUT_OF_RANGE beyond the high watermark, POLICY_VIOLATION for a topic that is only compacted.
   */
  async deleteRecords(
    deletions: readonly RecordDeletion[],
    options: CallOptions = {},
  ): Promise<Map<string, number | KafkaError>> {
    const results = new Map<string, number | KafkaError>()
    for (const { topic } of deletions) await knowTopic(this.#cluster, topic, options)
    await this.#cluster.retry(
      'DeleteRecords',
      async () => {
        const left = deletions.filter((deletion) => {
          const result = results.get(keyOf(deletion))
          return result === undefined || (result instanceof KafkaError && result.retriable)
        })
        const byLeader = Map.groupBy(
          left,
          ({ topic, partition }) => this.#cluster.leaderOf(topic, partition)?.nodeId ?? null,
        )
        await Promise.all(
          Array.from(byLeader, ([leader, list]) => this.#deleteOnLeader(leader, list, results, options)),
        )
        for (const result of results.values()) if (result instanceof KafkaError && result.retriable) throw result
      },
      options,
    )
    return results
  }

  async #deleteOnLeader(
    leader: number | null,
    deletions: readonly RecordDeletion[],
    results: Map<string, number | KafkaError>,
    { signal }: CallOptions,
  ): Promise<void> {
    const { metadata, config } = this.#cluster
    if (leader === null) {
      metadata.requestUpdate()
      for (const deletion of deletions)
        results.set(keyOf(deletion), kafkaError(ErrorCode.LEADER_NOT_AVAILABLE, keyOf(deletion)))
      return
    }
    const request = {
      timeoutMs: config.requestTimeoutMs,
      topics: Array.from(byTopic(deletions), ([name, list]) => ({
        name,
        partitions: list.map(({ partition, before }) => ({
          partitionIndex: partition,
          offset: before === 'end' ? HIGH_WATERMARK : before,
        })),
      })),
    }
    const { topics } = await this.#cluster.send(leader, DeleteRecords, request, { signal })
    for (const { name, partitions } of topics)
      for (const { partitionIndex, lowWatermark, errorCode } of partitions) {
        const key = keyOf({ topic: name, partition: partitionIndex })
        if (isStaleMetadata(errorCode)) metadata.requestUpdate()
        results.set(key, errorCode === ErrorCode.NONE ? lowWatermark : kafkaError(errorCode, key))
      }
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
