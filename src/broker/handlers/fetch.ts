/**
 * Fetch, for consumers and followers: what is wanted comes from the request and its session (`fetch-sessions.ts`), what there is
 * from the replica manager. Versions below 4 would need old record formats and come with the issue on the log.
 */
import { ErrorCode } from '#protocol'
import { Fetch, type FetchRequest, type FetchResponseInput } from '#protocol/messages/fetch'
import type { FetchIsolation, FetchPartitionResult } from '#replication'
import { Reply, type RpcRequest, type Settled } from '#rpc'

import type { BrokerServices } from '../services.ts'
import type { FetchContext, FetchRequestSession, WantedPartition } from './fetch-sessions.ts'
import { handler } from './handler.ts'
import { namesLeader, nodeEndpointsOf } from './node-endpoints.ts'

const CONSUMER_ID = -1
const READ_COMMITTED = 1
/** Topic ids instead of names. */
const TOPIC_ID_VERSION = 13

export const fetch = handler(
  Fetch,
  (broker, message, request) => {
    const { apiVersion } = request
    const replicaId = apiVersion >= 15 ? message.replicaState.replicaId : message.replicaId
    const session = sessionOf(broker, message, replicaId >= 0, apiVersion)
    const topicNameOf = (topicId: string): string | undefined => broker.metadata.image.topicName(topicId)
    const context = broker.fetchSessions.contextOf(session, topicNameOf, broker.platform.clock.monotonic())
    if (context.errorCode !== ErrorCode.NONE) return { errorCode: context.errorCode, responses: [] }

    const refusals = context.partitions.map((wanted) => refusalOf(broker, wanted, replicaId, apiVersion))
    const asked = context.partitions.filter((_, index) => refusals[index] === null)
    const fetched = broker.replicas.fetch({
      replicaId,
      replicaEpoch: message.replicaState.replicaEpoch,
      maxWaitMs: refusals.length > asked.length ? 0 : Math.min(message.maxWaitMs, context.patienceMs),
      minBytes: message.minBytes,
      maxBytes: message.maxBytes,
      isolation: isolationOf(replicaId, message.isolationLevel),
      mayReadFromFollower: apiVersion >= 11 && replicaId === CONSUMER_ID,
      rackId: message.rackId,
      partitions: asked,
    })
    const settle = (result: Awaited<typeof fetched>): Settled<FetchResponseInput> => {
      let next = 0
      const answers = refusals.map((refusal) => refusal ?? result.partitions[next++]!)
      return new Reply(answerOf(broker, request, context, answers), () => result.release())
    }
    return fetched instanceof Promise ? fetched.then(settle) : settle(fetched)
  },
  { minVersion: 4 },
)

function sessionOf(
  { metadata }: BrokerServices,
  message: FetchRequest,
  privileged: boolean,
  apiVersion: number,
): FetchRequestSession {
  const usesTopicIds = apiVersion >= TOPIC_ID_VERSION
  const nameOf = (topic: { topic: string; topicId: string }): string =>
    usesTopicIds ? (metadata.image.topicName(topic.topicId) ?? '') : topic.topic
  const partitions: WantedPartition[] = []
  for (const topic of message.topics) {
    const name = nameOf(topic)
    const topicId = usesTopicIds ? topic.topicId : null
    for (const {
      partition,
      currentLeaderEpoch,
      fetchOffset,
      lastFetchedEpoch,
      logStartOffset,
      partitionMaxBytes,
    } of topic.partitions)
      partitions.push({
        topic: name,
        topicId,
        partition,
        fetchOffset,
        logStartOffset,
        maxBytes: partitionMaxBytes,
        currentLeaderEpoch,
        lastFetchedEpoch,
      })
  }
  const forgotten = message.forgottenTopicsData.flatMap((topic) =>
    topic.partitions.map((partition) => ({
      topic: nameOf(topic),
      topicId: usesTopicIds ? topic.topicId : null,
      partition,
    })),
  )
  const { sessionId, sessionEpoch } = message
  return { sessionId, sessionEpoch, privileged, usesTopicIds, partitions, forgotten }
}

function isolationOf(replicaId: number, isolationLevel: number): FetchIsolation {
  if (replicaId !== CONSUMER_ID) return 'logEnd'
  return isolationLevel === READ_COMMITTED ? 'lastStableOffset' : 'highWatermark'
}

/** What is refused without asking the replica manager. */
function refusalOf(
  broker: BrokerServices,
  wanted: WantedPartition,
  replicaId: number,
  apiVersion: number,
): FetchPartitionResult | null {
  if (wanted.topic === '') return refused(wanted, ErrorCode.UNKNOWN_TOPIC_ID)
  if (apiVersion < 10 && replicaId < 0 && broker.topicConfigs.of(wanted.topic).compressionType === 'zstd')
    return refused(wanted, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)
  return null
}

const NO_RECORDS = new Uint8Array(0)

function refused({ topic, topicId, partition }: WantedPartition, errorCode: number): FetchPartitionResult {
  return {
    topic,
    topicId,
    partition,
    errorCode,
    highWatermark: -1,
    lastStableOffset: -1,
    logStartOffset: -1,
    abortedTransactions: null,
    records: NO_RECORDS,
    divergingEpoch: null,
    currentLeader: null,
    preferredReadReplica: -1,
  }
}

function answerOf(
  broker: BrokerServices,
  { apiVersion, connection }: RpcRequest,
  context: FetchContext,
  results: readonly FetchPartitionResult[],
): FetchResponseInput {
  const { errorCode, sessionId, answers } = context.answer(results)
  const responses: FetchTopic[] = []
  let topic: { name: string; topicId: string | null; partitions: FetchPartition[] } | null = null
  for (const answered of answers) {
    if (topic === null || topic.name !== answered.topic || topic.topicId !== answered.topicId) {
      topic = { name: answered.topic, topicId: answered.topicId, partitions: [] }
      responses.push({
        topic: answered.topic,
        ...(topic.topicId === null ? {} : { topicId: topic.topicId }),
        partitions: topic.partitions,
      })
    }
    topic.partitions.push(partitionAnswer(answered, apiVersion))
  }
  const newLeaders = apiVersion >= 16 && answers.some((answered) => namesLeader(answered.errorCode))
  return {
    errorCode,
    sessionId,
    responses,
    nodeEndpoints: newLeaders ? nodeEndpointsOf(broker, connection.listenerName, answers) : [],
  }
}

type FetchTopic = FetchResponseInput['responses'][number]
type FetchPartition = FetchTopic['partitions'][number]

function partitionAnswer(answered: FetchPartitionResult, apiVersion: number): FetchPartition {
  const { divergingEpoch, currentLeader } = answered
  // Clients before version 6 do not know the error and would not look for another leader.
  const unknownToClient = apiVersion < 6 && answered.errorCode === ErrorCode.KAFKA_STORAGE_ERROR
  return {
    partitionIndex: answered.partition,
    errorCode: unknownToClient ? ErrorCode.NOT_LEADER_OR_FOLLOWER : answered.errorCode,
    highWatermark: answered.highWatermark,
    lastStableOffset: answered.lastStableOffset,
    logStartOffset: answered.logStartOffset,
    abortedTransactions: answered.abortedTransactions,
    preferredReadReplica: answered.preferredReadReplica,
    records: answered.records,
    ...(apiVersion >= 12 && divergingEpoch !== null ? { divergingEpoch } : {}),
    ...(apiVersion >= 12 && currentLeader !== null ? { currentLeader } : {}),
  }
}
