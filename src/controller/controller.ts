/**
 * Every broker's part in electing the controller, and the controller's work where it was elected. Whoever creates /controller
 * is it, until its session ends or another takes over.
 */
import type { Clock, Logger, Random } from '#platform'
import { ErrorCode } from '#protocol'
import type { AllocateProducerIdsRequest, AllocateProducerIdsResponse } from '#protocol/messages/allocate-producer-ids'
import type { AlterPartitionRequest, AlterPartitionResponse } from '#protocol/messages/alter-partition'
import type { ControlledShutdownRequest, ControlledShutdownResponse } from '#protocol/messages/controlled-shutdown'
import { PRODUCER_ID_BLOCK_SIZE, type ReplicaAssignment } from '#metadata/znodes'
import { isZkError, type RetryingZooKeeper } from '#zookeeper/client'

import { ActiveController } from './active-controller.ts'
import { refusal } from './alter-partition.ts'
import { ControllerMovedError, NO_CONTROLLER, becomeController, readControllerId } from './elector.ts'
import { EventQueue } from './event-queue.ts'
import type { ElectionOutcome, ElectionType } from './leader-elections.ts'
import type { ControllerConfig, ControllerPorts, Outcome, TopicPartition } from './ports.ts'
import { claimProducerIds } from './producer-ids.ts'
import type { ReassignmentRequest } from './reassignments.ts'

export interface ListedReassignment extends TopicPartition, ReplicaAssignment {}

const NOT_CONTROLLER: Outcome = {
  errorCode: ErrorCode.NOT_CONTROLLER,
  errorMessage: 'This is not the correct controller for this cluster.',
}

export class Controller {
  readonly #platform: { readonly clock: Clock; readonly random: Random; readonly logger: Logger }
  readonly #zk: RetryingZooKeeper
  readonly #config: ControllerConfig
  readonly #ports: ControllerPorts
  readonly #events: EventQueue
  #active: ActiveController | null = null
  #activeControllerId = NO_CONTROLLER
  #closed = false

  constructor(
    platform: { readonly clock: Clock; readonly random: Random; readonly logger: Logger },
    zk: RetryingZooKeeper,
    config: ControllerConfig,
    ports: ControllerPorts,
  ) {
    this.#platform = { ...platform, logger: platform.logger.named('controller') }
    this.#zk = zk
    this.#config = config
    this.#ports = ports
    this.#events = new EventQueue((event, error) => this.#onError(event, error))
  }

  /** Whether this broker is the controller, as far as it knows. */
  get isActive(): boolean {
    return this.#active !== null
  }

  /** Broker id of the controller as ZooKeeper last said; −1 when there is none. */
  get activeControllerId(): number {
    return this.#activeControllerId
  }

  /** Of this controller; −1 when it is not active. */
  get epoch(): number {
    return this.#active?.epoch ?? -1
  }

  /** Events that wait. */
  get eventQueueSize(): number {
    return this.#events.size
  }

  /** Numbers that operators watch; null when it is not active. Names as in Kafka's metrics. */
  metrics(): ControllerMetrics | null {
    return this.#active === null ? null : metricsOf(this.#active)
  }

  // ---- the broker's life ----

  /** Takes part in elections from now on. The broker is registered by then, or it elects a controller that does not know it. */
  start(): void {
    this.#events.put({ name: 'Startup', run: () => this.#elect() })
  }

  /**
   * The session is gone, and with it /controller if it was ours: stands down at once. What waits is answered with NOT_CONTROLLER.
   * Resolves when the event that was running has ended.
   */
  async onSessionExpired(): Promise<void> {
    this.#standDown()
    this.#activeControllerId = NO_CONTROLLER
    this.#events.clear()
    await this.#events.idle()
  }

  /** There is a new session, and the broker is registered with it. */
  onSessionRenewed(): void {
    this.start()
  }

  /** Stands down and takes part no more. /controller vanishes with the session, and what an event still waits for ends with it. */
  close(): void {
    this.#closed = true
    this.#standDown()
    this.#events.clear()
  }

  // ---- what brokers and administrators ask ----

  alterPartition(request: AlterPartitionRequest, version: number): Promise<AlterPartitionResponse> {
    return this.#ask('AlterPartition', refusal(ErrorCode.NOT_CONTROLLER), (active) =>
      active.alterPartition(request, version),
    )
  }

  /** Whoever is not the controller says so by STALE_CONTROLLER_EPOCH here. */
  controlledShutdown(request: ControlledShutdownRequest): Promise<ControlledShutdownResponse> {
    const moved = { errorCode: ErrorCode.STALE_CONTROLLER_EPOCH, remainingPartitions: [] }
    return this.#ask('ControlledShutdown', moved, (active) => active.controlledShutdown(request))
  }

  allocateProducerIds(request: AllocateProducerIdsRequest): Promise<AllocateProducerIdsResponse> {
    const answer = (errorCode: number, producerIdStart = 0, producerIdLen = 0): AllocateProducerIdsResponse => ({
      throttleTimeMs: 0,
      errorCode,
      producerIdStart,
      producerIdLen,
    })
    return this.#ask('AllocateProducerIds', answer(ErrorCode.NOT_CONTROLLER), async (active) => {
      const broker = active.context.brokers.get(request.brokerId)
      if (broker === undefined) return answer(ErrorCode.BROKER_ID_NOT_REGISTERED)
      if (broker.epoch !== request.brokerEpoch) return answer(ErrorCode.STALE_BROKER_EPOCH)
      const block = await claimProducerIds(this.#zk, request.brokerId)
      return answer(ErrorCode.NONE, block.start, PRODUCER_ID_BLOCK_SIZE)
    })
  }

  /** Null stands for all partitions. Resolves when the states are written; brokers learn of it afterwards. */
  electLeaders(
    type: ElectionType,
    partitions: readonly TopicPartition[] | null,
  ): Promise<Outcome & { readonly results: readonly ElectionOutcome[] }> {
    type Answer = Outcome & { readonly results: readonly ElectionOutcome[] }
    return this.#ask<Answer>('ElectLeaders', { ...NOT_CONTROLLER, results: [] }, async (active) => ({
      errorCode: ErrorCode.NONE,
      errorMessage: null,
      results: await active.elections.requested(type, partitions),
    }))
  }

  /** Null stands for all. Only those that are under way are listed. */
  listPartitionReassignments(
    partitions: readonly TopicPartition[] | null,
  ): Promise<Outcome & { readonly reassignments: readonly ListedReassignment[] }> {
    type Answer = Outcome & { readonly reassignments: readonly ListedReassignment[] }
    return this.#ask<Answer>('ListPartitionReassignments', { ...NOT_CONTROLLER, reassignments: [] }, async (active) => {
      const wanted = partitions?.map(({ topic, partition }) => active.context.partition(topic, partition))
      const found = active.reassignments.underWay().filter((partition) => wanted?.includes(partition) ?? true)
      const reassignments = found.map(({ topic, index, assignment }) => ({
        topic: topic.name,
        partition: index,
        ...assignment,
      }))
      return { errorCode: ErrorCode.NONE, errorMessage: null, reassignments }
    })
  }

  /** Outcomes in the order of the requests. Resolves when the new assignments are written; replicas move afterwards. */
  alterPartitionReassignments(
    requests: readonly ReassignmentRequest[],
  ): Promise<Outcome & { readonly results: readonly Outcome[] }> {
    type Answer = Outcome & { readonly results: readonly Outcome[] }
    return this.#ask<Answer>('AlterPartitionReassignments', { ...NOT_CONTROLLER, results: [] }, async (active) => ({
      errorCode: ErrorCode.NONE,
      errorMessage: null,
      results: await active.reassignments.requested(requests),
    }))
  }

  /** Whether the topic waits for its deletion. Only the active controller knows; others say no. */
  isTopicQueuedForDeletion(topic: string): boolean {
    return this.#active?.context.topics.get(topic)?.isQueuedForDeletion ?? false
  }

  /** unclean.leader.election.enable became true: for one topic, or (null) for those that say nothing themselves. */
  onUncleanLeaderElectionEnabled(topic: string | null): void {
    const idle = (): void => {}
    this.#ask('UncleanLeaderElectionEnable', undefined, (active) => active.onUncleanElectionEnabled(topic)).then(
      idle,
      idle,
    )
  }

  /** Resolves when no event runs or waits. For tests and for a clean stop. */
  async idle(): Promise<void> {
    await this.#events.idle()
  }

  /** Runs as an event of the active controller; whoever is not, or no longer when its turn comes, gives the other answer. */
  #ask<T>(name: string, otherwise: T, run: (active: ActiveController) => Promise<T>): Promise<T> {
    if (this.#active === null) return Promise.resolve(otherwise)
    return new Promise((resolve) => {
      this.#events.put({
        name,
        run: async () => {
          const active = this.#active
          if (active === null) return resolve(otherwise)
          try {
            resolve(await run(active))
          } catch (error) {
            resolve(otherwise)
            throw error
          }
        },
        drop: () => resolve(otherwise),
      })
    })
  }

  // ---- election ----

  /** Something happened to /controller. */
  readonly #onControllerZnode = (): void => {
    this.#events.putOnce({ name: 'ControllerChange', run: () => this.#elect() })
  }

  /** Looks who is the controller; stands down if it is no longer this broker, and applies if it is nobody. */
  async #elect(): Promise<void> {
    if (this.#closed) return
    this.#activeControllerId = await readControllerId(this.#zk, this.#onControllerZnode)
    if (this.#activeControllerId !== this.#config.brokerId) this.#standDown()
    if (this.#activeControllerId !== NO_CONTROLLER) return
    const { brokerId } = this.#config
    const elected = await becomeController(this.#zk, brokerId, this.#platform.clock.now())
    this.#activeControllerId = brokerId
    this.#active = new ActiveController({
      platform: this.#platform,
      zk: this.#zk,
      config: this.#config,
      ports: this.#ports,
      elected,
      events: this.#events,
    })
    this.#platform.logger.info(`elected as controller with epoch ${elected.epoch}`)
    await this.#takeOver(this.#active)
  }

  /** A controller that could not take over makes way: it removes /controller, and all apply again. */
  async #takeOver(active: ActiveController): Promise<void> {
    try {
      await active.takeOver()
    } catch (error) {
      if (error instanceof ControllerMovedError || isZkError(error, 'SESSIONEXPIRED')) throw error
      this.#platform.logger.error('could not take over as controller, making way', error)
      this.#standDown()
      await active.resign()
    }
  }

  #standDown(): void {
    if (this.#active === null) return
    this.#platform.logger.info(`no longer the controller (epoch ${this.#active.epoch})`)
    this.#active.stop()
    this.#active = null
  }

  async #onError(event: string, error: unknown): Promise<void> {
    if (error instanceof ControllerMovedError) {
      this.#platform.logger.info(`${event}: ${error.message}`)
      this.#standDown()
      this.#activeControllerId = await readControllerId(this.#zk).catch(() => NO_CONTROLLER)
      return
    }
    // The session's end is told by its owner, who calls `onSessionExpired`.
    if (isZkError(error, 'SESSIONEXPIRED')) return
    this.#platform.logger.error(`the event ${event} failed`, error)
  }
}

export interface ControllerMetrics {
  readonly OfflinePartitionsCount: number
  readonly PreferredReplicaImbalanceCount: number
  readonly GlobalTopicCount: number
  readonly GlobalPartitionCount: number
  readonly TopicsToDeleteCount: number
  readonly TopicsIneligibleToDeleteCount: number
  readonly ActiveBrokerCount: number
  /** Requests that wait for their brokers. */
  readonly TotalQueueSize: number
}

function metricsOf(active: ActiveController): ControllerMetrics {
  const topics = [...active.context.topics.values()]
  const kept = [...active.context.partitions()].filter((partition) => partition.topic.deletion !== 'started')
  const astray = kept.filter(({ leadership, replicas }) => leadership !== null && leadership.leader !== replicas[0])
  return {
    OfflinePartitionsCount: kept.filter((partition) => partition.stage === 'offline').length,
    PreferredReplicaImbalanceCount: astray.length,
    GlobalTopicCount: topics.length,
    GlobalPartitionCount: [...active.context.partitions()].length,
    TopicsToDeleteCount: topics.filter((topic) => topic.isQueuedForDeletion).length,
    TopicsIneligibleToDeleteCount: topics.filter((topic) => topic.deletionHalted).length,
    ActiveBrokerCount: active.context.brokers.size,
    TotalQueueSize: active.requestQueueSize,
  }
}
