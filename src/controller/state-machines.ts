/**
 * Moves partitions and replicas from stage to stage: what a move writes to ZooKeeper, whom it tells, and what the context says
 * afterwards. Source: `kafka.controller.ZkPartitionStateMachine`, `ZkReplicaStateMachine`.
 */
import type { Logger } from '#platform'
import type { PartitionState } from '#metadata/znodes'

import type {
  ControlledPartition,
  ControllerContext,
  Leadership,
  PartitionStage,
  Replica,
  ReplicaStage,
} from './context.ts'
import { ControlBatch } from './control-batch.ts'
import {
  elect,
  firstState,
  withoutReplica,
  withoutStrangers,
  type Election,
  type ElectionStrategy,
} from './election.ts'
import { mayPartitionBecome, mayReplicaBecome } from './stages.ts'
import type { ControllerStore, FirstState, StateWrite } from './store.ts'

export interface Elections {
  /** Who has a leader now. */
  readonly online: ControlledPartition[]
  /** Who has none, or not the one wanted, and why. */
  readonly failed: Map<ControlledPartition, string>
}

type StateUpdate =
  | { readonly kind: 'updated'; readonly leadership: Leadership }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'refused'; readonly reason: string }

/** A conflict means that somebody wrote between reading and writing: read again. So often in a row it means something else. */
const CONFLICTS_MAX = 10

export class StateMachines {
  readonly #context: ControllerContext
  readonly #store: ControllerStore
  readonly #logger: Logger
  readonly #send: (batch: ControlBatch) => void
  readonly #uncleanByDefault: () => boolean

  constructor(parts: {
    context: ControllerContext
    store: ControllerStore
    logger: Logger
    send: (batch: ControlBatch) => void
    uncleanByDefault: () => boolean
  }) {
    this.#context = parts.context
    this.#store = parts.store
    this.#logger = parts.logger
    this.#send = parts.send
    this.#uncleanByDefault = parts.uncleanByDefault
  }

  // ---- partitions ----

  /** To `new`, `offline` or `nonExistent`: nobody is told. */
  markPartitions(partitions: Iterable<ControlledPartition>, next: 'new' | 'offline' | 'nonExistent'): void {
    for (const partition of partitions) if (this.#mayPartitionBecome(partition, next)) partition.stage = next
  }

  /** To `online`: new partitions get their first leader, the others one by the strategy. */
  async bringOnline(partitions: readonly ControlledPartition[], strategy: ElectionStrategy): Promise<Elections> {
    const eligible = partitions.filter((partition) => this.#mayPartitionBecome(partition, 'online'))
    const batch = new ControlBatch(this.#context)
    const elections: Elections = { online: [], failed: new Map() }
    const led = eligible.filter((partition) => partition.stage !== 'new')
    await this.#initialize(
      eligible.filter((partition) => partition.stage === 'new'),
      batch,
      elections,
    )
    await this.#electLeaders(led, strategy, batch, elections)
    this.#logFailures(elections, strategy)
    this.#send(batch)
    return elections
  }

  /** One line, however many there are. */
  #logFailures({ failed }: Elections, strategy: ElectionStrategy): void {
    const [first] = failed
    if (first === undefined) return
    const others = failed.size === 1 ? '' : ` and ${failed.size - 1} others`
    this.#logger.warn(`no ${strategy.kind} leader for ${String(first[0])}${others}: ${first[1]}`)
  }

  /** New and offline partitions, apart from those to be deleted: whenever a broker appears, one of them may find a leader. */
  async bringOnlineWhatCan(): Promise<Elections> {
    const waiting = this.#context.partitionsInStage('new', 'offline')
    return await this.bringOnline(
      waiting.filter((partition) => !partition.topic.isQueuedForDeletion),
      await this.offlineStrategy(waiting),
    )
  }

  /** Unclean election where the topic, or else the broker's configuration, allows it. */
  async offlineStrategy(partitions: readonly ControlledPartition[]): Promise<ElectionStrategy> {
    const led = partitions.filter((partition) => partition.leadership !== null)
    const needing = led.filter((partition) => !this.#hasCleanCandidate(partition))
    const topics = [...new Set(needing.map((partition) => partition.topic))]
    const allowed = await Promise.all(topics.map((topic) => this.#allowsUnclean(topic.name)))
    const unclean = new Set(topics.filter((_, index) => allowed[index]))
    return { kind: 'offline', allowUnclean: (partition) => unclean.has(partition.topic) }
  }

  #hasCleanCandidate(partition: ControlledPartition): boolean {
    const isr = partition.leadership?.isr ?? []
    return isr.some((replica) => this.#context.isReplicaOnline(partition, replica))
  }

  async #allowsUnclean(topic: string): Promise<boolean> {
    const own = (await this.#store.topicConfig(topic))['unclean.leader.election.enable']
    return own === undefined ? this.#uncleanByDefault() : own.trim().toLowerCase() === 'true'
  }

  async #initialize(
    partitions: readonly ControlledPartition[],
    batch: ControlBatch,
    { online, failed }: Elections,
  ): Promise<void> {
    const writes: FirstState[] = []
    for (const partition of partitions) {
      const first = firstState(this.#context, partition)
      if (first === null) failed.set(partition, `none of its replicas ${partition.replicas.join(', ')} is online`)
      else writes.push({ partition, state: this.#stateOf(first) })
    }
    const results = await this.#store.createStates(writes)
    for (const [index, { partition }] of writes.entries()) {
      const result = results[index]!
      // A state that is there already is this controller's own, its answer lost; or nobody knows whose.
      const leadership = result.kind === 'written' ? result.leadership : await this.#store.readState(partition)
      partition.leadership = leadership
      if (this.#context.hasOnlineLeader(partition)) {
        partition.stage = 'online'
        online.push(partition)
        batch.leaderAndIsr(partition.leadership!.isr, partition, true)
      } else {
        partition.stage = leadership === null ? 'new' : 'offline'
        failed.set(partition, 'its first state could not be written')
      }
    }
  }

  async #electLeaders(
    partitions: readonly ControlledPartition[],
    strategy: ElectionStrategy,
    batch: ControlBatch,
    { online, failed }: Elections,
  ): Promise<void> {
    const won = new Map<ControlledPartition, Election>()
    const outcomes = await this.#updateStates(partitions, (partition, leadership) => {
      const election = elect(this.#context, partition, leadership, strategy)
      if (election !== null) won.set(partition, election)
      return election?.next ?? null
    })
    for (const [partition, outcome] of outcomes) {
      const election = won.get(partition)
      if (outcome.kind === 'refused') failed.set(partition, outcome.reason)
      else if (outcome.kind === 'unchanged' || election === undefined)
        failed.set(partition, `none of its replicas ${partition.replicas.join(', ')} may lead`)
      else {
        if (election.unclean)
          this.#logger.warn(`unclean election: ${election.next.leader} leads ${String(partition)}, records may be lost`)
        this.#lead(partition, outcome.leadership)
        online.push(partition)
        batch.leaderAndIsr(election.recipients, partition, false)
      }
    }
  }

  #lead(partition: ControlledPartition, leadership: Leadership): void {
    partition.leadership = leadership
    partition.stage = 'online'
  }

  // ---- states ----

  /**
   * Writes the states that `next` makes of the present ones (null: none). The context knows the present ones, since only controllers
   * write them; where it turns out not to, they are read again.
   */
  async #updateStates(
    partitions: readonly ControlledPartition[],
    next: (partition: ControlledPartition, leadership: Leadership) => Election['next'] | null,
  ): Promise<Map<ControlledPartition, StateUpdate>> {
    const outcomes = new Map<ControlledPartition, StateUpdate>()
    let remaining = partitions
    for (let conflicts = 0; remaining.length > 0; conflicts++) {
      const writes: StateWrite[] = []
      for (const partition of remaining) {
        const write = this.#nextWrite(partition, next)
        if ('state' in write) writes.push(write)
        else outcomes.set(partition, write)
      }
      const results = await this.#store.writeStates(writes)
      const conflicting: ControlledPartition[] = []
      for (const [index, { partition }] of writes.entries()) {
        const result = results[index]!
        if (result.kind === 'failed') outcomes.set(partition, { kind: 'refused', reason: result.reason })
        else if (result.kind === 'conflict') conflicting.push(partition)
        else {
          partition.leadership = result.leadership
          outcomes.set(partition, { kind: 'updated', leadership: result.leadership })
        }
      }
      if (conflicts === CONFLICTS_MAX) {
        for (const partition of conflicting)
          outcomes.set(partition, { kind: 'refused', reason: 'its state keeps changing' })
        break
      }
      const reread = await Promise.all(conflicting.map((partition) => this.#store.readState(partition)))
      for (const [index, partition] of conflicting.entries()) partition.leadership = reread[index]!
      remaining = conflicting
    }
    return outcomes
  }

  #nextWrite(
    partition: ControlledPartition,
    next: (partition: ControlledPartition, leadership: Leadership) => Election['next'] | null,
  ): StateWrite | StateUpdate {
    const { leadership } = partition
    if (leadership === null) return { kind: 'refused', reason: 'it has no state in ZooKeeper' }
    if (leadership.controllerEpoch > this.#context.epoch)
      return {
        kind: 'refused',
        reason: `the controller with epoch ${leadership.controllerEpoch} has written its state`,
      }
    const state = next(partition, leadership)
    if (state === null) return { kind: 'unchanged' }
    return { partition, state: this.#stateOf(state), partitionEpoch: leadership.partitionEpoch }
  }

  /** A new leader epoch under the same leader: what a replica heard before is then out of date. Those that are no replicas any more leave the ISR. */
  async bumpLeaderEpoch(partition: ControlledPartition): Promise<boolean> {
    const outcomes = await this.#updateStates([partition], (_, leadership) => ({
      ...withoutStrangers(leadership, partition),
      leaderEpoch: leadership.leaderEpoch + 1,
    }))
    return outcomes.get(partition)?.kind === 'updated'
  }

  #stateOf(next: Election['next']): PartitionState {
    const { leader, leaderEpoch, isr, leaderRecoveryState } = next
    return { controllerEpoch: this.#context.epoch, leader, leaderEpoch, isr, leaderRecoveryState }
  }

  #mayPartitionBecome(partition: ControlledPartition, next: PartitionStage): boolean {
    if (mayPartitionBecome(partition.stage, next)) return true
    this.#logger.error(`${String(partition)} cannot become ${next}: it is ${partition.stage}`)
    return false
  }

  // ---- replicas ----

  async moveReplicas(replicas: readonly Replica[], next: ReplicaStage): Promise<void> {
    const batch = new ControlBatch(this.#context)
    // Broker by broker: a partition that loses several replicas has its state written once for each.
    for (const [brokerId, members] of Map.groupBy(replicas, (replica) => replica.brokerId)) {
      const partitions = members
        .map((replica) => replica.partition)
        .filter((partition) => this.#mayReplicaBecome(partition, brokerId, next))
      await this.#moveReplicasOn(brokerId, partitions, next, batch)
    }
    this.#send(batch)
  }

  async #moveReplicasOn(
    brokerId: number,
    partitions: readonly ControlledPartition[],
    next: ReplicaStage,
    batch: ControlBatch,
  ): Promise<void> {
    switch (next) {
      case 'new':
        for (const partition of partitions) this.#addReplica(partition, brokerId, batch)
        return undefined
      case 'online':
        for (const partition of partitions) this.#bringReplicaOnline(partition, brokerId, batch)
        return undefined
      case 'offline':
        return await this.#takeOffline(partitions, brokerId, batch)
      case 'deletionStarted':
        for (const partition of partitions) batch.stopReplica(brokerId, partition, true)
        return setStages(partitions, brokerId, next)
      case 'deletionSuccessful':
      case 'deletionIneligible':
        return setStages(partitions, brokerId, next)
      case 'nonExistent':
        for (const partition of partitions) forgetReplica(partition, brokerId)
        return undefined
    }
  }

  #addReplica(partition: ControlledPartition, brokerId: number, batch: ControlBatch): void {
    if (partition.leadership?.leader === brokerId)
      return this.#logger.error(`replica ${brokerId} of ${String(partition)} cannot be new: it is the leader`)
    if (partition.leadership !== null) batch.leaderAndIsr([brokerId], partition, true)
    partition.replicaStages.set(brokerId, 'new')
  }

  #bringReplicaOnline(partition: ControlledPartition, brokerId: number, batch: ControlBatch): void {
    if (partition.replicaStage(brokerId) === 'new') {
      if (!partition.replicas.includes(brokerId)) {
        const { assignment } = partition
        partition.assignment = { ...assignment, replicas: [...assignment.replicas, brokerId] }
      }
    } else if (partition.leadership !== null) batch.leaderAndIsr([brokerId], partition, false)
    partition.replicaStages.set(brokerId, 'online')
  }

  async #takeOffline(partitions: readonly ControlledPartition[], brokerId: number, batch: ControlBatch): Promise<void> {
    for (const partition of partitions) batch.stopReplica(brokerId, partition, false)
    for (const partition of partitions.filter((each) => each.leadership === null)) {
      batch.updateMetadata([partition])
      partition.replicaStages.set(brokerId, 'offline')
    }
    const led = partitions.filter((partition) => partition.leadership !== null)
    const outcomes = await this.#updateStates(led, (_, leadership) => withoutReplica(leadership, brokerId))
    for (const [partition, outcome] of outcomes) {
      if (outcome.kind === 'refused') {
        this.#logger.error(`replica ${brokerId} of ${String(partition)} stays in its ISR: ${outcome.reason}`)
        continue
      }
      // While the topic is being deleted nobody shall take over.
      const others = partition.replicas.filter((replica) => replica !== brokerId)
      if (!partition.topic.isQueuedForDeletion) batch.leaderAndIsr(others, partition, false)
      partition.replicaStages.set(brokerId, 'offline')
    }
  }

  #mayReplicaBecome(partition: ControlledPartition, brokerId: number, next: ReplicaStage): boolean {
    const stage = partition.replicaStage(brokerId)
    if (mayReplicaBecome(stage, next)) return true
    this.#logger.error(`replica ${brokerId} of ${String(partition)} cannot become ${next}: it is ${stage}`)
    return false
  }
}

function setStages(partitions: readonly ControlledPartition[], brokerId: number, stage: ReplicaStage): void {
  for (const partition of partitions) partition.replicaStages.set(brokerId, stage)
}

function forgetReplica(partition: ControlledPartition, brokerId: number): void {
  const { replicas, addingReplicas, removingReplicas } = partition.assignment
  const others = (list: readonly number[]): number[] => list.filter((replica) => replica !== brokerId)
  partition.assignment = {
    replicas: others(replicas),
    addingReplicas: others(addingReplicas),
    removingReplicas: others(removingReplicas),
  }
  partition.replicaStages.delete(brokerId)
}
