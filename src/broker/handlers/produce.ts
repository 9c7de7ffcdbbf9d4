/** Produce: what arrives is appended while the frame that it lies in is valid, and answered when acks asks for it. */
import { ErrorCode } from '#protocol'
import { Produce, type ProduceRequest, type ProduceResponseInput } from '#protocol/messages/produce'
import { checkProducedRecords } from '#protocol/records'
import type { AppendEntry, AppendResult } from '#replication'
import { CLOSE_CONNECTION, Deferred, type RpcRequest, type Settled } from '#rpc'

import type { BrokerServices } from '../services.ts'
import { groupedByTopic, handler } from './handler.ts'
import { namesLeader, nodeEndpointsOf } from './node-endpoints.ts'

/** The only client that may write to internal topics. */
const ADMIN_CLIENT_ID = '__admin_client'

const NO_RECORDS = new Uint8Array(0)

const TRANSACTIONS_MISSING = 'Transactions are not served by this broker yet.'

export const produce = handler(
  Produce,
  (broker, message, request) => {
    const { acks, timeoutMs } = message
    if (acks < -1 || acks > 1) return settle(broker, request, acks, refuseAll(message, ErrorCode.INVALID_REQUIRED_ACKS))
    if (message.transactionalId !== null) {
      const code = ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
      return settle(broker, request, acks, refuseAll(message, code, TRANSACTIONS_MISSING))
    }

    const refused: AppendResult[] = []
    const entries: AppendEntry[] = []
    for (const { name: topic, partitionData } of message.topicData)
      for (const { index: partition, records } of partitionData) {
        const fault = checkProducedRecords(records, request.apiVersion)
        if (fault === null) entries.push({ topic, partition, records: records ?? NO_RECORDS })
        else refused.push(refusal(topic, partition, fault.errorCode, fault.message))
      }
    if (entries.length === 0) return settle(broker, request, acks, refused)

    const appended = broker.replicas.appendRecords({
      acks,
      timeoutMs,
      origin: 'client',
      internalTopicsAllowed: request.clientId === ADMIN_CLIENT_ID,
      entries,
    })
    const answer = (results: readonly AppendResult[]): Settled<ProduceResponseInput> =>
      settle(broker, request, acks, [...refused, ...results])
    const answered = appended instanceof Promise ? appended.then(answer) : answer(appended)
    const backlog = broker.replicas.backlogOf(entries)
    return backlog === null ? answered : new Deferred(backlog, Promise.resolve(answered))
  },
  { pipelined: true },
)

function refuseAll(message: ProduceRequest, errorCode: number, text: string | null = null): AppendResult[] {
  return message.topicData.flatMap(({ name, partitionData }) =>
    partitionData.map(({ index }) => refusal(name, index, errorCode, text)),
  )
}

function refusal(topic: string, partition: number, errorCode: number, errorMessage: string | null): AppendResult {
  return {
    topic,
    partition,
    errorCode,
    errorMessage,
    baseOffset: -1,
    logAppendTimeMs: -1,
    logStartOffset: -1,
    recordErrors: [],
    currentLeader: null,
  }
}

/** A client that wants no answer learns of an error by the end of the connection: it then asks for metadata again. */
function settle(
  broker: BrokerServices,
  request: RpcRequest,
  acks: number,
  results: readonly AppendResult[],
): Settled<ProduceResponseInput> {
  if (acks !== 0) return answerOf(broker, request, results)
  return results.every((result) => result.errorCode === ErrorCode.NONE) ? null : CLOSE_CONNECTION
}

function answerOf(
  broker: BrokerServices,
  { apiVersion, connection }: RpcRequest,
  results: readonly AppendResult[],
): ProduceResponseInput {
  const newLeaders = apiVersion >= 10 && results.some((result) => namesLeader(result.errorCode))
  return {
    responses: groupedByTopic(results, (name, of) => ({
      name,
      partitionResponses: of.map((result) => partitionAnswer(result, newLeaders)),
    })),
    nodeEndpoints: newLeaders ? nodeEndpointsOf(broker, connection.listenerName, results) : [],
  }
}

function partitionAnswer(
  result: AppendResult,
  newLeaders: boolean,
): ProduceResponseInput['responses'][number]['partitionResponses'][number] {
  const { partition, errorCode, baseOffset, logAppendTimeMs, logStartOffset, recordErrors, errorMessage } = result
  return {
    index: partition,
    errorCode,
    baseOffset,
    logAppendTimeMs,
    logStartOffset,
    recordErrors,
    errorMessage,
    ...(newLeaders && result.currentLeader !== null ? { currentLeader: result.currentLeader } : {}),
  }
}
