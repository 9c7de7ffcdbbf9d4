/** Brokers come, restart, move, fail in part, ask to leave and go. */
import { ErrorCode } from '#protocol'
import type { ControlledShutdownRequest, ControlledShutdownResponse } from '#protocol/messages/controlled-shutdown'
import type { LeaderAndIsrResponse } from '#protocol/messages/leader-and-isr'
import type { Watcher } from '#zookeeper/client'
import type { BrokerRegistration } from '#metadata/znodes'

import { isBeingDeleted, type ControlledPartition, type Replica } from './context.ts'
import type { Control } from './control.ts'
import type { Reassignments } from './reassignments.ts'
import type { TopicDeletion } from './topic-deletion.ts'

/** A broker epoch that the sender does not know: the request is not judged by it. */
const UNKNOWN_BROKER_EPOCH = -1

export class BrokerChanges {
  readonly #control: Control
  readonly #deletion: TopicDeletion
  readonly #reassignments: Reassignments

  constructor(control: Control, deletion: TopicDeletion, reassignments: Reassignments) {
    this.#control = control
    this.#deletion = deletion
    this.#reassignments = reassignments
  }

  /** The brokers as they are at the election. */
  async read(): Promise<void> {
    const { store, context } = this.#control
    for (const { registration, epoch } of (await store.readBrokers(this.#changeWatcher())).values())
      this.#add(registration, epoch)
    await this.#followEndpoints([...context.brokers.keys()])
  }

  #changeWatcher(): Watcher {
    return this.#control.watcher('BrokerChange', () => this.#onChange())
  }

  #add(registration: BrokerRegistration, epoch: number): void {
    const broker = { registration, epoch, shuttingDown: false }
    this.#control.context.brokers.set(registration.id, broker)
    this.#control.channels.add(broker)
  }

  async #onChange(): Promise<void> {
    const { store, context, channels, logger } = this.#control
    const found = await store.readBrokers(this.#changeWatcher())
    const ids = [...found.keys()].sort((a, b) => a - b)
    const appeared = ids.filter((id) => !context.brokers.has(id))
    // A restart between two looks: the same id, registered anew (KIP-380).
    const bounced = ids.filter((id) => (context.brokers.get(id)?.epoch ?? Infinity) < found.get(id)!.epoch)
    const vanished = [...context.brokers.keys()].filter((id) => !found.has(id))
    if (appeared.length + bounced.length + vanished.length === 0) return
    logger.info(`brokers: new [${appeared.join()}], restarted [${bounced.join()}], gone [${vanished.join()}]`)

    for (const id of [...bounced, ...vanished]) channels.remove(id)
    const add = (id: number): void => this.#add(found.get(id)!.registration, found.get(id)!.epoch)
    if (appeared.length > 0) {
      appeared.forEach(add)
      await this.#onUp(appeared)
    }
    if (bounced.length > 0) {
      await this.#onDown(bounced)
      bounced.forEach(add)
      await this.#onUp(bounced)
    }
    if (vanished.length > 0) await this.#onDown(vanished)
  }

  /** The others hear of them; they hear first who leads what, then what is theirs. */
  async #onUp(ids: readonly number[]): Promise<void> {
    const { context, machines, announce } = this.#control
    for (const id of ids) context.forgetOfflineDirectories(id)
    const others = [...context.brokers.keys()].filter((id) => !ids.includes(id))
    announce([], others)
    const led = [...context.partitions()].filter(({ leadership }) => leadership !== null)
    announce(
      led.filter((partition) => !isBeingDeleted(partition)),
      ids,
    )
    const replicas = ids.flatMap((id) => context.replicasOn(id))
    await machines.moveReplicas(replicas.filter(canComeOnline), 'online')
    await machines.bringOnlineWhatCan()
    const waiting = this.#reassignments.underWay()
    await this.#reassignments.resume(waiting.filter(({ replicas }) => ids.some((id) => replicas.includes(id))))
    await this.#deletion.resumeFor(new Set(replicas.map(({ partition }) => partition.topic)))
    await this.#followEndpoints(ids)
  }

  async #onDown(ids: readonly number[]): Promise<void> {
    const { context } = this.#control
    for (const id of ids) {
      context.brokers.delete(id)
      context.forgetOfflineDirectories(id)
    }
    await this.#onReplicasOffline(ids.flatMap((id) => context.replicasOn(id)))
  }

  /** Partitions that lost their leader get another, where there is one; then the replicas leave the ISRs. */
  async #onReplicasOffline(replicas: readonly Replica[]): Promise<void> {
    const { context, machines, announce } = this.#control
    const staying = replicas.filter(({ partition }) => !isBeingDeleted(partition))
    const orphaned = [...context.partitions()].filter(
      (partition) => partition.leadership !== null && !isBeingDeleted(partition) && !context.hasOnlineLeader(partition),
    )
    machines.markPartitions(orphaned, 'offline')
    const elected = await machines.bringOnlineWhatCan()
    await machines.moveReplicas(staying, 'offline')
    await this.#deletion.replicasFailed(replicas.filter(({ partition }) => isBeingDeleted(partition)))
    // Where no partition told the brokers of the loss, they are told by themselves.
    if (staying.length === 0 && elected.online.length === 0) announce([])
  }

  // ---- endpoints ----

  /** A broker may write its registration again, with other endpoints and the same epoch. */
  async #followEndpoints(ids: readonly number[]): Promise<void> {
    await Promise.all(ids.map((id) => this.#readEndpoints(id)))
  }

  async #readEndpoints(id: number): Promise<void> {
    const { store, context, channels, announce } = this.#control
    const found = await store.readBroker(
      id,
      this.#control.watcher(`BrokerModification ${id}`, () => this.#readEndpoints(id)),
    )
    const known = context.brokers.get(id)
    if (found === null || known?.epoch !== found.epoch) return
    if (JSON.stringify(found.registration) === JSON.stringify(known.registration)) return
    known.registration = found.registration
    channels.readdress(known)
    announce([])
  }

  // ---- log directories ----

  /** These brokers say that a log directory failed: asked again for all their replicas, they say which ones are gone. */
  async onLogDirFailure(ids: readonly number[]): Promise<void> {
    const { context, machines } = this.#control
    const replicas = ids.filter((id) => context.brokers.has(id)).flatMap((id) => context.replicasOn(id))
    await machines.moveReplicas(replicas.filter(canComeOnline), 'online')
  }

  /** The answer tells which replicas the broker could not open, and which it can open again. */
  onLeaderAndIsrResponse(brokerId: number, response: LeaderAndIsrResponse): void {
    const { context, enqueue } = this.#control
    const changed: { partition: ControlledPartition; offline: boolean }[] = []
    for (const { topicId, partitionErrors } of response.topics) {
      const topic = context.topicsById.get(topicId)
      for (const { partitionIndex, errorCode } of partitionErrors) {
        const partition = topic?.partitions.get(partitionIndex)
        const offline = errorCode === ErrorCode.KAFKA_STORAGE_ERROR
        if (partition === undefined || (!offline && errorCode !== ErrorCode.NONE)) continue
        if (context.isReplicaInOfflineDirectory(partition, brokerId) !== offline) changed.push({ partition, offline })
      }
    }
    if (changed.length === 0) return
    enqueue('LeaderAndIsrResponse', async () => {
      for (const { partition, offline } of changed) context.setReplicaInOfflineDirectory(partition, brokerId, offline)
      const lost = changed.filter(({ offline }) => offline).map(({ partition }) => ({ partition, brokerId }))
      if (lost.length > 0) await this.#onReplicasOffline(lost)
    })
  }

  // ---- leaving ----

  /** Moves leaders away from a broker that wants to leave, and tells which partitions it still leads. */
  async controlledShutdown({ brokerId, brokerEpoch }: ControlledShutdownRequest): Promise<ControlledShutdownResponse> {
    const { context, machines, logger } = this.#control
    const broker = context.brokers.get(brokerId)
    if (broker === undefined) return { errorCode: ErrorCode.BROKER_NOT_AVAILABLE, remainingPartitions: [] }
    if (brokerEpoch !== UNKNOWN_BROKER_EPOCH && brokerEpoch < broker.epoch)
      return { errorCode: ErrorCode.STALE_BROKER_EPOCH, remainingPartitions: [] }
    logger.info(`broker ${brokerId} asks to leave`)
    broker.shuttingDown = true
    const partitions = context.replicasOn(brokerId).map(({ partition }) => partition)
    const replicated = partitions.filter((partition) => partition.replicas.length > 1 && !isBeingDeleted(partition))
    const isLed = ({ leadership }: ControlledPartition): boolean => leadership?.leader === brokerId
    const followed = replicated.filter((partition) => partition.leadership !== null && !isLed(partition))
    await machines.bringOnline(replicated.filter(isLed), { kind: 'controlledShutdown' })
    await machines.moveReplicas(
      followed.map((partition) => ({ partition, brokerId })),
      'offline',
    )
    const remaining = replicated.filter(isLed)
    const remainingPartitions = remaining.map(({ topic, index }) => ({ topicName: topic.name, partitionIndex: index }))
    return { errorCode: ErrorCode.NONE, remainingPartitions }
  }
}

/** Not those of a topic whose deletion has gone so far that a broker must not open them again. */
function canComeOnline({ partition, brokerId }: Replica): boolean {
  const stage = partition.replicaStage(brokerId)
  return stage !== 'deletionStarted' && stage !== 'deletionSuccessful'
}
