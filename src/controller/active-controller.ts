/**
 * What the elected controller does, from its election until it is replaced. Everything that changes something runs as an
 * event of the controller's queue. Source: `kafka.controller.KafkaController`.
 */
import type { Clock, Logger, Random, Timer } from '#platform'
import { ErrorCode } from '#protocol'
import type { AlterPartitionRequest, AlterPartitionResponse } from '#protocol/messages/alter-partition'
import type { ControlledShutdownRequest, ControlledShutdownResponse } from '#protocol/messages/controlled-shutdown'
import type { RetryingZooKeeper, Watcher } from '#zookeeper/client'
import { ZnodeFormatError, ZnodePath, decodeLogDirEvent, decodePartitionList, sequenceNumberOf } from '#metadata/znodes'

import { alterPartitions } from './alter-partition.ts'
import { BrokerChanges } from './broker-changes.ts'
import { BrokerChannels, type ControlResponse } from './channels.ts'
import { ControllerContext, replicasOf, type ControlledPartition, type Replica } from './context.ts'
import { ControlBatch } from './control-batch.ts'
import type { Control } from './control.ts'
import type { ElectedEpoch } from './elector.ts'
import type { ControllerEvent, EventQueue } from './event-queue.ts'
import { LeaderElections } from './leader-elections.ts'
import type { ControllerConfig, ControllerPorts } from './ports.ts'
import { Reassignments } from './reassignments.ts'
import { StateMachines } from './state-machines.ts'
import { ControllerStore } from './store.ts'
import { TopicChanges } from './topic-changes.ts'
import { TopicDeletion } from './topic-deletion.ts'

/** After an election brokers may still be coming back: the first rebalance waits for them. */
const FIRST_REBALANCE_MS = 5000

export interface ActiveControllerParts {
  readonly platform: { readonly clock: Clock; readonly random: Random; readonly logger: Logger }
  readonly zk: RetryingZooKeeper
  readonly config: ControllerConfig
  readonly ports: ControllerPorts
  readonly elected: ElectedEpoch
  readonly events: EventQueue
}

export class ActiveController {
  readonly context: ControllerContext
  readonly elections: LeaderElections
  readonly reassignments: Reassignments
  readonly #parts: ActiveControllerParts
  readonly #control: Control
  readonly #channels: BrokerChannels
  readonly #brokers: BrokerChanges
  readonly #topics: TopicChanges
  readonly #deletion: TopicDeletion
  /** Those that have not fired, one function per name: what is read twice is watched once. */
  readonly #watchers = new Map<string, Watcher>()
  #rebalanceTimer: Timer | null = null
  #stopped = false

  constructor(parts: ActiveControllerParts) {
    const { platform, config, elected, zk } = parts
    const { logger, random } = platform
    const context = new ControllerContext(elected.epoch, elected.zkVersion)
    const store = new ControllerStore(zk, elected, logger)
    const channels = new BrokerChannels(platform, parts.ports, config.interBrokerListenerName, (response) =>
      this.#onResponse(response),
    )
    const send = (batch: ControlBatch): void => channels.send(batch.requests(config))
    const uncleanByDefault = (): boolean => config.uncleanLeaderElectionEnable
    const machines = new StateMachines({ context, store, logger, send, uncleanByDefault })
    this.#parts = parts
    this.context = context
    this.#channels = channels
    this.#control = {
      config,
      context,
      store,
      machines,
      channels,
      logger,
      random,
      send,
      announce: (partitions, brokerIds) => {
        const batch = new ControlBatch(context)
        batch.updateMetadata(partitions, brokerIds)
        send(batch)
      },
      enqueue: (name, run) => parts.events.put(this.#event(name, run)),
      watcher: (name, run) => this.#watcher(name, run),
    }
    this.#deletion = new TopicDeletion(this.#control)
    this.reassignments = new Reassignments(this.#control)
    this.elections = new LeaderElections(this.#control)
    this.#brokers = new BrokerChanges(this.#control, this.#deletion, this.reassignments)
    this.#topics = new TopicChanges(this.#control)
  }

  get epoch(): number {
    return this.context.epoch
  }

  /** Control requests that wait for their brokers. */
  get requestQueueSize(): number {
    return this.#channels.queueSize
  }

  /** Nothing is sent any more, and no timer fires. What a running event still writes is refused by its epoch. */
  stop(): void {
    this.#stopped = true
    this.#rebalanceTimer?.cancel()
    this.#channels.close()
  }

  /** Removes /controller, so that all brokers apply again. Nothing happens when another has it already. */
  async resign(): Promise<void> {
    await this.#control.store.deleteFenced(ZnodePath.controller)
  }

  /**
   * The queue outlives the office, and so do watches where the session goes on: an event of this office must neither do anything
   * in the next one nor stand in for an event of it.
   */
  #event(name: string, run: () => Promise<void>): ControllerEvent {
    return { name, owner: this, run: async () => (this.#stopped ? undefined : await run()) }
  }

  #watcher(name: string, run: () => Promise<void>): Watcher {
    const waiting = this.#watchers.get(name)
    if (waiting !== undefined) return waiting
    const watcher = (): void => {
      this.#watchers.delete(name)
      if (this.#stopped) return
      this.#parts.events.putOnce(this.#event(name, run))
    }
    this.#watchers.set(name, watcher)
    return watcher
  }

  // ---- taking over ----

  /** Brokers learn of each other, and of their controller, before they learn what they lead. */
  async takeOver(): Promise<void> {
    const { store, config, logger, announce } = this.#control
    await store.enableFeatures()
    await this.#dropNotifications(ZnodePath.logDirEventNotifications, this.#logDirWatcher())
    await this.#dropNotifications(ZnodePath.isrChangeNotifications, this.#isrChangeWatcher())
    await this.#brokers.read()
    await this.#topics.read()
    await this.#deletion.requestedBefore(await store.zk.childrenOf(ZnodePath.deleteTopics, this.#deletionWatcher()))
    announce([])
    await this.#startReplicas()
    await this.#startPartitions()
    await this.#dropStrangers()
    const { brokers, topics, epoch } = this.context
    logger.info(`controller with epoch ${epoch}: ${brokers.size} brokers, ${topics.size} topics`)
    const begun = await this.#onReassignmentZnode()
    await this.reassignments.resume(this.reassignments.underWay().filter((partition) => !begun.includes(partition)))
    await this.#deletion.resume()
    await this.#onElectionZnode()
    if (config.autoLeaderRebalanceEnable) this.#scheduleRebalance(FIRST_REBALANCE_MS)
  }

  async #startReplicas(): Promise<void> {
    const replicas = replicasOf(this.context.partitions())
    const isOnline = ({ partition, brokerId }: Replica): boolean => this.context.isReplicaOnline(partition, brokerId)
    const online = replicas.filter(isOnline)
    const offline = replicas.filter((replica) => !isOnline(replica))
    for (const { partition, brokerId } of online) partition.replicaStages.set(brokerId, 'online')
    for (const { partition, brokerId } of offline) partition.replicaStages.set(brokerId, 'deletionIneligible')
    await this.#control.machines.moveReplicas(online, 'online')
    await this.#control.machines.moveReplicas(offline, 'offline')
  }

  async #startPartitions(): Promise<void> {
    const { context } = this
    for (const partition of context.partitions())
      partition.stage = startStage(partition, context.hasOnlineLeader(partition))
    await this.#control.machines.bringOnlineWhatCan()
  }

  /** A controller that died between the write of an assignment and that of the state left members in the ISR that are no replicas. */
  async #dropStrangers(): Promise<void> {
    const found = [...this.context.partitions()].filter(
      ({ stage, leadership, replicas, topic }) =>
        stage === 'online' &&
        !topic.isQueuedForDeletion &&
        leadership!.isr.some((member) => !replicas.includes(member)),
    )
    await this.#control.machines.bringOnline(found, { kind: 'reassign' })
  }

  // ---- requests of brokers and administrators ----

  async alterPartition(request: AlterPartitionRequest, version: number): Promise<AlterPartitionResponse> {
    const { response, changed } = await alterPartitions(this.#control, request, version)
    // The leader has its answer before a reassignment that waited for this goes on.
    if (changed.some((partition) => partition.isBeingReassigned))
      this.#control.enqueue('ReassignmentCompletion', () => this.reassignments.completeWhatCan(changed))
    return response
  }

  async controlledShutdown(request: ControlledShutdownRequest): Promise<ControlledShutdownResponse> {
    return await this.#brokers.controlledShutdown(request)
  }

  /** See `TopicChanges`. */
  async onUncleanElectionEnabled(topic: string | null): Promise<void> {
    await this.#topics.onUncleanElectionEnabled(topic)
  }

  // ---- requests in znodes ----

  #deletionWatcher(): Watcher {
    return this.#control.watcher('TopicDeletion', async () => {
      await this.#deletion.requested(
        await this.#control.store.zk.childrenOf(ZnodePath.deleteTopics, this.#deletionWatcher()),
      )
      await this.#unlessMalformed(() => this.reassignments.forgetDeleted(), undefined)
    })
  }

  async #onReassignmentZnode(): Promise<ControlledPartition[]> {
    const watcher = this.#control.watcher(
      'ZkPartitionReassignment',
      async () => void (await this.#onReassignmentZnode()),
    )
    // A watch that is set by exists waits for the creation too.
    if ((await this.#control.store.zk.exists(ZnodePath.reassignPartitions, watcher)) === null) return []
    return await this.#unlessMalformed(() => this.reassignments.requestedInZnode(), [])
  }

  async #onElectionZnode(): Promise<void> {
    const watcher = this.#control.watcher('PreferredLeaderElection', () => this.#onElectionZnode())
    if ((await this.#control.store.zk.exists(ZnodePath.preferredReplicaElection, watcher)) === null) return
    await this.#unlessMalformed(() => this.elections.requestedInZnode(), undefined)
  }

  async #unlessMalformed<T>(run: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await run()
    } catch (error) {
      if (!(error instanceof ZnodeFormatError)) throw error
      this.#control.logger.error(error.message)
      return otherwise
    }
  }

  // ---- notifications ----

  #logDirWatcher(): Watcher {
    return this.#control.watcher('LogDirEventNotification', async () => {
      const brokerIds = await this.#takeNotifications(
        ZnodePath.logDirEventNotifications,
        this.#logDirWatcher(),
        decodeLogDirEvent,
      )
      await this.#brokers.onLogDirFailure([...new Set(brokerIds)])
    })
  }

  /** Leaders older than 2.7 write their ISRs themselves, and say so here. */
  #isrChangeWatcher(): Watcher {
    return this.#control.watcher('IsrChangeNotification', async () => {
      const { store, announce } = this.#control
      const lists = await this.#takeNotifications(
        ZnodePath.isrChangeNotifications,
        this.#isrChangeWatcher(),
        decodePartitionList,
      )
      const found = lists.flat().map(({ topic, partition }) => this.context.partition(topic, partition))
      const partitions = [...new Set(found)].filter((partition) => partition !== undefined)
      const states = await Promise.all(partitions.map((partition) => store.readState(partition)))
      for (const [index, partition] of partitions.entries())
        partition.leadership = states[index] ?? partition.leadership
      announce(partitions)
      await this.reassignments.completeWhatCan(partitions)
    })
  }

  /** What the notifications say, in their order. They are deleted. */
  async #takeNotifications<T>(root: string, watcher: Watcher, decode: (data: Uint8Array | null) => T): Promise<T[]> {
    const { store, logger } = this.#control
    const names = [...(await store.zk.childrenOf(root, watcher))].sort(
      (a, b) => sequenceNumberOf(a) - sequenceNumberOf(b),
    )
    const taken: T[] = []
    for (const name of names) {
      const found = await store.zk.find(`${root}/${name}`)
      try {
        if (found !== null) taken.push(decode(found.data))
      } catch (error) {
        if (!(error instanceof ZnodeFormatError)) throw error
        logger.error(error.message)
      }
      await store.deleteFenced(`${root}/${name}`)
    }
    return taken
  }

  /** At the election everything is read anyway: what was notified before says nothing more. */
  async #dropNotifications(root: string, watcher: Watcher): Promise<void> {
    const { store } = this.#control
    const names = await store.zk.childrenOf(root, watcher)
    await Promise.all(names.map((name) => store.deleteFenced(`${root}/${name}`)))
  }

  // ---- answers of brokers ----

  #onResponse(received: ControlResponse): void {
    const { kind, brokerId, response } = received
    if (this.#stopped) return
    if (response.errorCode !== ErrorCode.NONE)
      this.#control.logger.error(`broker ${brokerId} answered ${kind} with error ${response.errorCode}`)
    if (received.kind === 'leaderAndIsr' && received.response.errorCode === ErrorCode.NONE)
      this.#brokers.onLeaderAndIsrResponse(brokerId, received.response)
    if (received.kind === 'stopReplica') this.#onStopReplicaResponse(received)
  }

  /** Of interest only for topics that are being deleted: which replicas are gone, and which could not be deleted. */
  #onStopReplicaResponse({ brokerId, request, response }: Extract<ControlResponse, { kind: 'stopReplica' }>): void {
    const deleted: Replica[] = []
    const failed: Replica[] = []
    for (const { topicName, partitionIndex, errorCode } of response.partitionErrors) {
      const partition = this.context.partition(topicName, partitionIndex)
      if (partition?.topic.deletion !== 'started' || !isDeletion(request, topicName, partitionIndex)) continue
      const isDone = errorCode === ErrorCode.NONE && response.errorCode === ErrorCode.NONE
      ;(isDone ? deleted : failed).push({ partition, brokerId })
    }
    if (deleted.length + failed.length === 0) return
    this.#control.enqueue('TopicDeletionStopReplicaResponse', async () => {
      await this.#deletion.replicasFailed(failed)
      await this.#deletion.replicasDeleted(deleted)
    })
  }

  // ---- rebalance ----

  #scheduleRebalance(delayMs: number): void {
    const intervalMs = this.#parts.config.leaderImbalanceCheckIntervalSeconds * 1000
    this.#rebalanceTimer = this.#parts.platform.clock.setTimer(delayMs, () =>
      this.#control.enqueue('AutoPreferredReplicaLeaderElection', async () => {
        try {
          await this.elections.rebalance()
        } finally {
          if (!this.#stopped) this.#scheduleRebalance(intervalMs)
        }
      }),
    )
  }
}

function startStage(partition: ControlledPartition, isLed: boolean): 'new' | 'online' | 'offline' {
  if (partition.leadership === null) return 'new'
  return isLed ? 'online' : 'offline'
}

type StopReplicaRequest = Extract<ControlResponse, { kind: 'stopReplica' }>['request']

/** Whether the log was to go too, and not only the replica to stop. */
function isDeletion(request: StopReplicaRequest, topicName: string, partitionIndex: number): boolean {
  const topic = request.topicStates?.find((each) => each.topicName === topicName)
  const state = topic?.partitionStates.find((each) => each.partitionIndex === partitionIndex)
  return state?.deletePartition ?? false
}
