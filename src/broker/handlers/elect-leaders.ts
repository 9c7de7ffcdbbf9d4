/** ElectLeaders: preferred leaders get their partitions back, or an unclean leader is taken where no other is left (KIP-460). */
import { ElectionType, type ElectionOutcome } from '#controller'
import type { MetadataImage } from '#metadata'
import { ErrorCode } from '#protocol'
import { ElectLeaders } from '#protocol/messages/elect-leaders'

import { groupedByTopic, handler } from './handler.ts'

export const electLeaders = handler(ElectLeaders, async (broker, message, { apiVersion }) => {
  const { topicPartitions, timeoutMs } = message
  // Version 0 knew preferred elections only.
  const type = apiVersion === 0 || message.electionType === 0 ? ElectionType.preferred : ElectionType.unclean
  const wanted = topicPartitions?.flatMap(({ topic, partitions }) =>
    partitions.map((partition) => ({ topic, partition })),
  )
  const { errorCode, results } = await broker.controller.electLeaders(type, wanted ?? null)
  const elected = results.filter((result) => result.errorCode === ErrorCode.NONE)
  const isKnown = await broker.metadata.until(
    (image) => elected.every((result) => isLed(image, type, result)),
    timeoutMs,
  )
  // Who asks for all wants to hear of those that something was done about.
  const told =
    wanted === undefined ? results.filter((result) => result.errorCode !== ErrorCode.ELECTION_NOT_NEEDED) : results
  return {
    throttleTimeMs: 0,
    errorCode,
    replicaElectionResults: groupedByTopic(told, (topic, of) => ({
      topic,
      partitionResult: of.map((result) => ({
        partitionId: result.partition,
        errorCode: isKnown || result.errorCode !== ErrorCode.NONE ? result.errorCode : ErrorCode.REQUEST_TIMED_OUT,
        errorMessage: result.errorMessage,
      })),
    })),
  }
})

function isLed(image: MetadataImage, type: ElectionType, { topic, partition }: ElectionOutcome): boolean {
  const state = image.partition(topic, partition)
  if (state === undefined) return true
  return type === ElectionType.preferred ? state.leader === state.replicas[0] : state.leader >= 0
}
