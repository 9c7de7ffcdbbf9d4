/** Offsets as brokers tell them: of partitions by time, and of groups as they were committed. For the consumer and for admin. */
import { ErrorCode } from '#protocol'
import { ListOffsets } from '#protocol/messages/list-offsets'
import { OffsetFetch } from '#protocol/messages/offset-fetch'

import type { CallOptions, Cluster } from './cluster/index.ts'
import { byTopic, keyOf, type TopicPartition } from './consumer/topic-partition.ts'
import { KafkaError, isStaleMetadata, kafkaError } from './errors.ts'

/** Timestamps of ListOffsets that mean a place in the log. */
export const LATEST_TIMESTAMP = -1
export const EARLIEST_TIMESTAMP = -2

export type IsolationLevel = 'read_uncommitted' | 'read_committed'

export interface OffsetQuery extends TopicPartition {
  /** The first record that is not older, in ms; -1: the end; -2: the beginning. */
  readonly timestamp: number
}

export interface FoundOffset {
  /** -1: no record is so young. */
  readonly offset: number
  /** Of the record; -1 for the ends of the log. */
  readonly timestamp: number
  readonly leaderEpoch: number
}

export interface CommittedOffset {
  /** Of the next record to consume. */
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string
}

const ISOLATION_CODE = { read_uncommitted: 0, read_committed: 1 } as const
/** Version 0 answers with a list of segments. */
const CONSUMER_REPLICA_ID = -1

/** What became of each partition of one round: found, or why not. */
export type OffsetAnswers = Map<string, FoundOffset | KafkaError>

/** One attempt at every leader. A partition whose leader is not known has a retriable error. Never rejects with a `KafkaError`. */
export async function listOffsetsOnce(
  cluster: Cluster,
  queries: readonly OffsetQuery[],
  isolationLevel: IsolationLevel,
  signal?: AbortSignal,
): Promise<OffsetAnswers> {
  const answers: OffsetAnswers = new Map()
  const byLeader = new Map<number, OffsetQuery[]>()
  for (const query of queries) {
    const leader = cluster.leaderOf(query.topic, query.partition)
    if (leader === null) {
      cluster.metadata.track(query.topic)
      cluster.metadata.requestUpdate()
      const topicError = cluster.metadata.topicError(query.topic)
      answers.set(keyOf(query), kafkaError(topicError ?? ErrorCode.LEADER_NOT_AVAILABLE, keyOf(query)))
    } else byLeader.set(leader.nodeId, [...(byLeader.get(leader.nodeId) ?? []), query])
  }
  await Promise.all(
    Array.from(byLeader, ([leader, list]) => askLeader(cluster, leader, list, isolationLevel, signal, answers)),
  )
  return answers
}

async function askLeader(
  cluster: Cluster,
  leader: number,
  queries: readonly OffsetQuery[],
  isolationLevel: IsolationLevel,
  signal: AbortSignal | undefined,
  answers: OffsetAnswers,
): Promise<void> {
  const request = {
    replicaId: CONSUMER_REPLICA_ID,
    isolationLevel: ISOLATION_CODE[isolationLevel],
    topics: Array.from(byTopic(queries), ([name, list]) => ({
      name,
      partitions: list.map(({ topic, partition, timestamp }) => ({
        partitionIndex: partition,
        currentLeaderEpoch: cluster.leaderOf(topic, partition)?.leaderEpoch ?? -1,
        timestamp,
      })),
    })),
  }
  try {
    const { topics } = await cluster.send(leader, ListOffsets, request, { signal })
    for (const { name, partitions } of topics)
      for (const { partitionIndex, errorCode, offset, timestamp, leaderEpoch } of partitions) {
        const key = keyOf({ topic: name, partition: partitionIndex })
        if (isStaleMetadata(errorCode)) cluster.metadata.requestUpdate()
        answers.set(key, errorCode === ErrorCode.NONE ? { offset, timestamp, leaderEpoch } : kafkaError(errorCode, key))
      }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    cluster.metadata.requestUpdate()
    for (const query of queries) answers.set(keyOf(query), error)
  }
}

/** All of them, tried again until each is found. Rejects with the first error that waiting cannot cure. */
export async function listOffsets(
  cluster: Cluster,
  queries: readonly OffsetQuery[],
  isolationLevel: IsolationLevel = 'read_uncommitted',
  options: CallOptions = {},
): Promise<Map<string, FoundOffset>> {
  const found = new Map<string, FoundOffset>()
  await cluster.retry(
    'ListOffsets',
    async () => {
      const missing = queries.filter((query) => !found.has(keyOf(query)))
      await Promise.all(
        Array.from(new Set(missing.map(({ topic }) => topic)), (topic) => knowTopic(cluster, topic, options)),
      )
      let failure: KafkaError | null = null
      for (const [key, answer] of await listOffsetsOnce(cluster, missing, isolationLevel, options.signal)) {
        if (!(answer instanceof KafkaError)) found.set(key, answer)
        else if (failure === null || (failure.retriable && !answer.retriable)) failure = answer
      }
      if (failure !== null) throw failure
    },
    options,
  )
  return found
}

/** Before anything is asked of leaders, so that the first attempt is not lost. */
export async function knowTopic(cluster: Cluster, topic: string, { timeoutMs, signal }: CallOptions): Promise<void> {
  if (cluster.metadata.topic(topic) !== undefined) return
  await cluster.metadata.waitForTopic(topic, { timeoutMs: timeoutMs ?? cluster.config.defaultApiTimeoutMs, signal })
}

/** From this version on several groups are asked about at once; the form for one serves all brokers. */
const FETCH_ONE_GROUP_VERSION_MAX = 7
const REQUIRE_STABLE_VERSION_MIN = 7

/** What a group has committed, of these partitions or of all when null; a partition without has no entry. */
export async function fetchCommitted(
  cluster: Cluster,
  groupId: string,
  partitions: readonly TopicPartition[] | null,
  options: CallOptions = {},
): Promise<Map<string, CommittedOffset & TopicPartition>> {
  const request = {
    groupId,
    topics:
      partitions === null
        ? null
        : Array.from(byTopic(partitions), ([name, list]) => ({
            name,
            partitionIndexes: list.map(({ partition }) => partition),
          })),
  }
  return cluster.retry(
    'OffsetFetch',
    async () => {
      const requireStable = await canRequireStable(cluster, groupId, options)
      const response = await cluster.sendToCoordinatorOnce(
        'group',
        groupId,
        OffsetFetch,
        { ...request, requireStable },
        (answer) => [answer.errorCode],
        { signal: options.signal, maxVersion: FETCH_ONE_GROUP_VERSION_MAX },
      )
      if (response.errorCode !== ErrorCode.NONE) throw kafkaError(response.errorCode, `group ${groupId}`)
      const committed = new Map<string, CommittedOffset & TopicPartition>()
      for (const { name, partitions: answers } of response.topics)
        for (const { partitionIndex, committedOffset, committedLeaderEpoch, metadata, errorCode } of answers) {
          const place = { topic: name, partition: partitionIndex }
          if (errorCode !== ErrorCode.NONE) throw kafkaError(errorCode, `${keyOf(place)} of group ${groupId}`)
          if (committedOffset < 0) continue
          committed.set(keyOf(place), {
            ...place,
            offset: committedOffset,
            leaderEpoch: committedLeaderEpoch,
            metadata: metadata ?? '',
          })
        }
      return committed
    },
    options,
  )
}

/** Whether the coordinator can be asked to tell no offset that an open transaction is about to change (KIP-447, from 2.5 on). */
async function canRequireStable(cluster: Cluster, groupId: string, { signal }: CallOptions): Promise<boolean> {
  const connection = cluster.node(await cluster.coordinatorOf('group', groupId, { signal }), 'coordinator')
  if (connection === null) return false
  try {
    await connection.connect()
  } catch (error) {
    cluster.forgetCoordinator('group', groupId)
    throw error
  }
  return (connection.versionsOf(OffsetFetch)?.[1] ?? 0) >= REQUIRE_STABLE_VERSION_MIN
}
