/** What the controller needs of its broker, and what its broker asks of it. */
import type { Api } from '#protocol'
import type { BrokerEndpoint } from '#metadata/znodes'

/** A broker as it is registered now; a restart makes it another one. */
export interface ControlTarget {
  readonly brokerId: number
  /** Epoch of the registration. */
  readonly brokerEpoch: number
  /** Its address on the listener between brokers. */
  readonly endpoint: BrokerEndpoint
}

/**
 * Requests to one broker, over one connection. It connects when it is first used, and again after a failure. No ApiVersions
 * are asked for: the versions are fixed by inter.broker.protocol.version. Client id: the own broker id.
 */
export interface ControlChannel {
  /** Rejects when the connection fails, breaks before the answer, or no answer comes within controller.socket.timeout.ms. */
  send<RequestOut, RequestIn, ResponseOut, ResponseIn>(
    api: Api<RequestOut, RequestIn, ResponseOut, ResponseIn>,
    version: number,
    request: RequestIn,
  ): Promise<ResponseOut>
  /** What is in flight may be left unanswered. */
  close(): void
}

export interface ControllerPorts {
  /** Opens nothing yet: see `ControlChannel`. The own broker is reached in the same way. */
  controlChannel(target: ControlTarget): ControlChannel
}

/** Configuration that steers the controller; names and defaults as in Kafka's. */
export interface ControllerConfig {
  readonly brokerId: number
  /** inter.broker.listener.name */
  readonly interBrokerListenerName: string
  /** auto.leader.rebalance.enable (true) */
  readonly autoLeaderRebalanceEnable: boolean
  /** leader.imbalance.check.interval.seconds (300) */
  readonly leaderImbalanceCheckIntervalSeconds: number
  /** leader.imbalance.per.broker.percentage (10) */
  readonly leaderImbalancePerBrokerPercentage: number
  /** unclean.leader.election.enable (false): for topics that say nothing themselves. */
  readonly uncleanLeaderElectionEnable: boolean
  /** delete.topic.enable (true) */
  readonly deleteTopicEnable: boolean
}

/** Identity of a partition towards the outside. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** An error that the protocol foresees; the message is for people. */
export interface Outcome {
  /** `ErrorCode.NONE` when it was done. */
  readonly errorCode: number
  readonly errorMessage: string | null
}
