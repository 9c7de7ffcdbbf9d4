/**
 * What the controller tells this broker: LeaderAndIsr, UpdateMetadata, StopReplica. Whoever sends them must be the controller of now
 * (by its epoch) and mean this life of the broker (by the epoch of its registration).
 */
import { ErrorCode } from '#protocol'
import {
  LeaderAndIsr,
  type LeaderAndIsrRequest,
  type LeaderAndIsrResponseInput,
} from '#protocol/messages/leader-and-isr'
import { StopReplica } from '#protocol/messages/stop-replica'
import { UpdateMetadata } from '#protocol/messages/update-metadata'

import { handler } from './handler.ts'

/** From this version on the answer is grouped by topic ids. */
const GROUPED_ANSWER_SINCE = 5

/** A replica is made with its topic's configuration: that of a topic not heard of before is read first. */
export const leaderAndIsr = handler(LeaderAndIsr, (broker, message, { apiVersion }) => {
  const obey = (): LeaderAndIsrResponseInput => {
    const { errorCode, topics, partitionErrors } = broker.replicas.becomeLeaderOrFollower(message)
    return apiVersion >= GROUPED_ANSWER_SINCE ? { errorCode, topics } : { errorCode, partitionErrors }
  }
  const unread = newTopics(message).filter((topic) => !broker.topicConfigs.isLoaded(topic))
  if (unread.length === 0) return obey()
  return Promise.all(unread.map((topic) => broker.topicConfigs.reload(topic))).then(obey)
})

function newTopics({ topicStates, ungroupedPartitionStates }: LeaderAndIsrRequest): string[] {
  return [...new Set([...topicStates, ...ungroupedPartitionStates].map(({ topicName }) => topicName))]
}

export const stopReplica = handler(StopReplica, (broker, message) => broker.replicas.stopReplicas(message))

export const updateMetadata = handler(UpdateMetadata, (broker, message) => {
  const errorCode = broker.replicas.admitController(message.controllerEpoch, message.brokerEpoch)
  if (errorCode !== ErrorCode.NONE) return { errorCode }
  broker.metadata.update(message)
  return { errorCode: ErrorCode.NONE }
})
