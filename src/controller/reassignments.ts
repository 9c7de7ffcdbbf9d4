/**
 * Moves partitions to other replicas (KIP-455). The full replica list is the target followed by those that are to go; replicas
 * are added, and once all of the target are in the ISR the others leave. It can be cancelled until then.
 * Source: `KafkaController.onPartitionReassignment`.
 */
import { ErrorCode } from '#protocol'
import { ZnodePath, decodeReassignments, encodeReassignments, type ReplicaAssignment } from '#metadata/znodes'

import type { ControlledPartition, Replica } from './context.ts'
import { ControlBatch } from './control-batch.ts'
import type { Control } from './control.ts'
import { targetReplicas } from './election.ts'
import type { Outcome, TopicPartition } from './ports.ts'

export interface ReassignmentRequest extends TopicPartition {
  /** Null cancels the one under way. */
  readonly replicas: readonly number[] | null
}

const DONE: Outcome = { errorCode: ErrorCode.NONE, errorMessage: null }

export class Reassignments {
  readonly #control: Control

  constructor(control: Control) {
    this.#control = control
  }

  underWay(): ControlledPartition[] {
    return [...this.#control.context.partitions()].filter(isUnderWay)
  }

  /** From the API; outcomes in the order of the requests. What /admin/reassign_partitions says of the same partitions is removed from there. */
  async requested(requests: readonly ReassignmentRequest[]): Promise<Outcome[]> {
    const checked = requests.map((request) => ({ request, refusal: this.#refusal(request) }))
    const accepted = checked.filter(({ refusal }) => refusal === null).map(({ request }) => request)
    await this.#removeFromZnode((listed) => accepted.some((request) => isSame(request, listed)))
    const outcomes: Outcome[] = []
    for (const { request, refusal } of checked) outcomes.push(refusal ?? (await this.#begin(request)))
    return outcomes
  }

  /** From /admin/reassign_partitions; what cannot be done is removed from there. Returns the partitions that were begun. */
  async requestedInZnode(): Promise<ControlledPartition[]> {
    const found = await this.#control.store.zk.find(ZnodePath.reassignPartitions)
    if (found === null) return []
    const begun: ControlledPartition[] = []
    for (const request of decodeReassignments(found.data)) {
      const outcome = await this.#begin(request)
      if (outcome.errorCode === ErrorCode.NONE)
        begun.push(this.#control.context.partition(request.topic, request.partition)!)
      else await this.#removeFromZnode((listed) => isSame(request, listed))
    }
    return begun
  }

  /** What /admin/reassign_partitions says of topics that are to be deleted, or are gone, is removed from there. */
  async forgetDeleted(): Promise<void> {
    const { context } = this.#control
    await this.#removeFromZnode(({ topic }) => context.topics.get(topic)?.isQueuedForDeletion ?? true)
  }

  /** Whoever waited for a replica that has come, or into the ISR, goes on. */
  async resume(partitions: readonly ControlledPartition[]): Promise<void> {
    for (const partition of partitions) if (isUnderWay(partition)) await this.#proceed(partition)
  }

  /** The ISR of these has changed: those that wait for no more replicas are finished. */
  async completeWhatCan(partitions: readonly ControlledPartition[]): Promise<void> {
    for (const partition of partitions)
      if (isUnderWay(partition) && isTargetInSync(partition)) await this.#complete(partition)
  }

  #refusal({ topic, partition, replicas }: ReassignmentRequest): Outcome | null {
    const { context } = this.#control
    const invalid = (message: string): Outcome => ({
      errorCode: ErrorCode.INVALID_REPLICA_ASSIGNMENT,
      errorMessage: message,
    })
    const found = context.partition(topic, partition)
    if (replicas !== null) {
      if (replicas.length === 0) return invalid('The list of replicas is empty.')
      if (new Set(replicas).size < replicas.length) return invalid(`A replica is listed twice: ${replicas.join(', ')}.`)
      if (replicas.some((replica) => replica < 0)) return invalid(`A broker id is negative: ${replicas.join(', ')}.`)
      const known = new Set(found?.replicas)
      const dead = replicas.filter((replica) => !known.has(replica) && !context.isLive(replica))
      if (dead.length > 0) return invalid(`Brokers that are not alive cannot get replicas: ${dead.join(', ')}.`)
    }
    if (found === undefined || found.topic.isQueuedForDeletion)
      return { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, errorMessage: 'The partition does not exist.' }
    if (replicas === null && !found.isBeingReassigned)
      return { errorCode: ErrorCode.NO_REASSIGNMENT_IN_PROGRESS, errorMessage: null }
    return null
  }

  async #begin({ topic, partition, replicas }: ReassignmentRequest): Promise<Outcome> {
    const found = this.#control.context.partition(topic, partition)
    if (found === undefined || found.topic.isQueuedForDeletion)
      return { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, errorMessage: 'The partition does not exist.' }
    const next = reassigned(found.assignment, replicas ?? originalReplicas(found.assignment))
    if (losesIsr(found, next.replicas))
      return {
        errorCode: ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        errorMessage: `None of the replicas ${next.replicas.join(', ')} that would stay is in sync; in sync are ${found.leadership!.isr.join(', ')}.`,
      }
    await this.#replaceAssignment(found, next)
    await this.#proceed(found)
    return DONE
  }

  /** Overriding an earlier reassignment may leave replicas that nobody needs: they are stopped at once. */
  async #replaceAssignment(partition: ControlledPartition, next: ReplicaAssignment): Promise<void> {
    const unneeded = partition.replicas.filter((replica) => !next.replicas.includes(replica))
    const before = partition.assignment
    partition.assignment = next
    try {
      await this.#control.store.writeTopic(partition.topic)
    } catch (error) {
      partition.assignment = before
      throw error
    }
    await this.#dropReplicas(partition, unneeded)
  }

  async #proceed(partition: ControlledPartition): Promise<void> {
    if (isTargetInSync(partition)) await this.#complete(partition)
    else await this.#addReplicas(partition)
  }

  /** All replicas hear the new list, under a new leader epoch; the new ones begin to fetch. */
  async #addReplicas(partition: ControlledPartition): Promise<void> {
    const { addingReplicas } = partition.assignment
    await this.#tellNewEpoch(partition)
    const added = addingReplicas.filter((replica) => partition.replicaStage(replica) === 'nonExistent')
    await this.#control.machines.moveReplicas(replicas(partition, added), 'new')
  }

  async #tellNewEpoch(partition: ControlledPartition): Promise<void> {
    const { context, machines } = this.#control
    if (!(await machines.bumpLeaderEpoch(partition))) return
    const { addingReplicas } = partition.assignment
    const batch = new ControlBatch(context)
    batch.leaderAndIsr(originalReplicas(partition.assignment), partition, false)
    batch.leaderAndIsr(addingReplicas, partition, true)
    this.#control.send(batch)
  }

  async #complete(partition: ControlledPartition): Promise<void> {
    const { context, machines, store } = this.#control
    const { addingReplicas, removingReplicas } = partition.assignment
    const target = targetReplicas(partition)
    // Whoever is to go serves until one of those that stay can; the reassignment goes on when it comes back.
    if (partition.isBeingReassigned && !target.some((replica) => context.isReplicaOnline(partition, replica))) return
    await machines.moveReplicas(replicas(partition, addingReplicas), 'online')
    partition.assignment = { replicas: target, addingReplicas: [], removingReplicas: [] }
    const leader = partition.leadership?.leader ?? -1
    if (target.includes(leader) && context.isReplicaOnline(partition, leader)) await this.#tellNewEpoch(partition)
    else await machines.bringOnline([partition], { kind: 'reassign' })
    await this.#dropReplicas(partition, removingReplicas)
    await store.writeTopic(partition.topic)
    await this.#removeFromZnode(
      (listed) =>
        isSame({ topic: partition.topic.name, partition: partition.index }, listed) &&
        sameList(listed.replicas, target),
    )
    this.#control.announce([partition])
    this.#control.logger.info(`${String(partition)} is reassigned to ${target.join(', ')}`)
  }

  /** The replicas leave the ISR, stop and are deleted; nobody waits for the answer. */
  async #dropReplicas(partition: ControlledPartition, brokerIds: readonly number[]): Promise<void> {
    const dropped = replicas(partition, brokerIds)
    for (const stage of ['offline', 'deletionStarted', 'deletionSuccessful', 'nonExistent'] as const)
      await this.#control.machines.moveReplicas(dropped, stage)
  }

  async #removeFromZnode(
    isDone: (listed: TopicPartition & { readonly replicas: readonly number[] }) => boolean,
  ): Promise<void> {
    const { store } = this.#control
    const found = await store.zk.find(ZnodePath.reassignPartitions)
    if (found === null) return
    const remaining = decodeReassignments(found.data).filter((listed) => !isDone(listed))
    if (remaining.length === 0) return await store.deleteFenced(ZnodePath.reassignPartitions)
    const data = encodeReassignments(remaining)
    await store.fenced([{ op: 'setData', path: ZnodePath.reassignPartitions, data, version: -1 }])
  }
}

/** Target first, then what was there and is to go. Source: `ReplicaAssignment.reassignTo`. */
export function reassigned(assignment: ReplicaAssignment, target: readonly number[]): ReplicaAssignment {
  const original = originalReplicas(assignment)
  const all = [...new Set([...target, ...original])]
  return {
    replicas: all,
    addingReplicas: all.filter((replica) => !original.includes(replica)),
    removingReplicas: all.filter((replica) => !target.includes(replica)),
  }
}

export function originalReplicas({ replicas, addingReplicas }: ReplicaAssignment): number[] {
  return replicas.filter((replica) => !addingReplicas.includes(replica))
}

/** What is to be deleted moves nowhere. */
function isUnderWay({ isBeingReassigned, topic }: ControlledPartition): boolean {
  return isBeingReassigned && !topic.isQueuedForDeletion
}

/** Whether nobody who has every record would be left: KRaft refuses that, and ZooKeeper's controller loses the records. */
function losesIsr({ leadership }: ControlledPartition, replicas: readonly number[]): boolean {
  return leadership !== null && leadership.isr.length > 0 && !leadership.isr.some((member) => replicas.includes(member))
}

function isTargetInSync(partition: ControlledPartition): boolean {
  const isr = partition.leadership?.isr ?? []
  return !partition.isBeingReassigned || targetReplicas(partition).every((replica) => isr.includes(replica))
}

function replicas(partition: ControlledPartition, brokerIds: readonly number[]): Replica[] {
  return brokerIds.map((brokerId) => ({ partition, brokerId }))
}

function isSame(a: TopicPartition, b: TopicPartition): boolean {
  return a.topic === b.topic && a.partition === b.partition
}

function sameList(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((replica, index) => replica === b[index])
}
