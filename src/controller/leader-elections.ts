/** Leaders moved on purpose: back to the preferred replicas, by hand or by the timer, and unclean ones by hand. */
import { ErrorCode } from '#protocol'
import { ZnodePath, decodePartitionList } from '#metadata/znodes'

import type { ControlledPartition } from './context.ts'
import type { Control } from './control.ts'
import { elect, type ElectionStrategy } from './election.ts'
import type { Outcome, TopicPartition } from './ports.ts'

/** As in ElectLeaders. */
export const ElectionType = { preferred: 0, unclean: 1 } as const
export type ElectionType = (typeof ElectionType)[keyof typeof ElectionType]

export type ElectionOutcome = TopicPartition & Outcome

export class LeaderElections {
  readonly #control: Control

  constructor(control: Control) {
    this.#control = control
  }

  /** From the API: null stands for all partitions. Only those whose leader is not as wanted get an election. */
  async requested(type: ElectionType, wanted: readonly TopicPartition[] | null): Promise<ElectionOutcome[]> {
    const { context, machines } = this.#control
    const all = (): TopicPartition[] =>
      [...context.partitions()].map((partition) => ({ topic: partition.topic.name, partition: partition.index }))
    const outcomes: ElectionOutcome[] = []
    const electable: ControlledPartition[] = []
    for (const { topic, partition } of wanted ?? all()) {
      const found = context.partition(topic, partition)
      const refusal = this.#refusal(type, found)
      if (refusal !== null) outcomes.push({ topic, partition, ...refusal })
      else electable.push(found!)
    }
    const { failed } = await machines.bringOnline(electable, strategyOf(type))
    for (const found of electable)
      outcomes.push({ topic: found.topic.name, partition: found.index, ...outcomeOf(type, failed.get(found)) })
    return outcomes
  }

  #refusal(type: ElectionType, partition: ControlledPartition | undefined): Outcome | null {
    if (partition === undefined)
      return { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, errorMessage: 'The partition does not exist.' }
    if (partition.topic.isQueuedForDeletion)
      return { errorCode: ErrorCode.INVALID_TOPIC_EXCEPTION, errorMessage: 'The topic is being deleted.' }
    const leader = partition.leadership?.leader ?? -1
    const isAsWanted =
      type === ElectionType.preferred ? leader === partition.replicas[0] : this.#control.context.isLive(leader)
    return isAsWanted ? { errorCode: ErrorCode.ELECTION_NOT_NEEDED, errorMessage: null } : null
  }

  /** From /admin/preferred_replica_election, which is removed afterwards. */
  async requestedInZnode(): Promise<void> {
    const { store } = this.#control
    const found = await store.zk.find(ZnodePath.preferredReplicaElection)
    if (found === null) return
    try {
      await this.requested(ElectionType.preferred, decodePartitionList(found.data))
    } finally {
      await store.deleteFenced(ZnodePath.preferredReplicaElection)
    }
  }

  /**
   * Where a broker leads too few of the partitions that it should lead, it gets them back, if it is in their ISR.
   * Source: `KafkaController.checkAndTriggerAutoLeaderRebalance`.
   */
  async rebalance(): Promise<void> {
    const { context, config, machines, logger } = this.#control
    const partitions = [...context.partitions()].filter((partition) => !partition.topic.isQueuedForDeletion)
    for (const [preferred, owned] of Map.groupBy(partitions, (partition) => partition.replicas[0]!)) {
      const astray = owned.filter(({ leadership }) => leadership !== null && leadership.leader !== preferred)
      if (astray.length / owned.length <= config.leaderImbalancePerBrokerPercentage / 100) continue
      const movable = astray.filter(
        (partition) => elect(context, partition, partition.leadership!, { kind: 'preferred' }) !== null,
      )
      if (movable.length === 0) continue
      logger.info(`broker ${preferred} leads again ${movable.length} of the partitions that prefer it`)
      await machines.bringOnline(movable, { kind: 'preferred' })
    }
  }
}

/** Only somebody who asks for an unclean election gets one where the topic does not allow it. */
function strategyOf(type: ElectionType): ElectionStrategy {
  return type === ElectionType.preferred ? { kind: 'preferred' } : { kind: 'offline', allowUnclean: () => true }
}

function outcomeOf(type: ElectionType, failure: string | undefined): Outcome {
  if (failure === undefined) return { errorCode: ErrorCode.NONE, errorMessage: null }
  return {
    errorCode:
      type === ElectionType.preferred
        ? ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE
        : ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE,
    errorMessage: `No leader was elected: ${failure}.`,
  }
}
