/**
 * A leader asks for another ISR (KIP-497). What it believes must be what stands in ZooKeeper, and nobody may come into the ISR who is
 * not alive. Source: `KafkaController.tryProcessAlterPartition`.
 */
import { ErrorCode } from '#protocol'
import type { AlterPartitionRequest, AlterPartitionResponse } from '#protocol/messages/alter-partition'
import { LeaderRecoveryState, type PartitionState } from '#metadata/znodes'

import type { ControlledPartition, ControlledTopic, ControllerContext, Leadership } from './context.ts'
import type { Control } from './control.ts'
import type { StateWrite } from './store.ts'

/** From this version on topics are told by their id. */
const TOPIC_IDS_SINCE = 2
/** From this version on members of the ISR come with their broker epochs. */
const ISR_WITH_EPOCHS_SINCE = 3

type TopicRequest = AlterPartitionRequest['topics'][number]
type PartitionRequest = TopicRequest['partitions'][number]
type PartitionResponse = AlterPartitionResponse['topics'][number]['partitions'][number]

/** What the leader asks for. */
export interface IsrChange {
  readonly brokerId: number
  readonly leaderEpoch: number
  readonly partitionEpoch: number
  readonly isr: readonly number[]
  /** The life in which each was seen to be in sync (KIP-903), as far as the leader tells; −1: it does not. */
  readonly brokerEpochs?: readonly number[]
  readonly leaderRecoveryState: number
}

export interface AlterPartitionResult {
  readonly response: AlterPartitionResponse
  /** Whose ISR has changed. */
  readonly changed: ControlledPartition[]
}

export async function alterPartitions(
  control: Control,
  request: AlterPartitionRequest,
  version: number,
): Promise<AlterPartitionResult> {
  const { context, store } = control
  if (context.brokers.get(request.brokerId)?.epoch !== request.brokerEpoch)
    return { response: refusal(ErrorCode.STALE_BROKER_EPOCH), changed: [] }

  const judged = judge(context, request, version)
  const writes = judged.flatMap((topic) => topic.partitions.flatMap(({ write }) => write ?? []))
  const results = await store.writeStates(writes)
  const changed: ControlledPartition[] = []
  const refused = new Set<StateWrite>()
  for (const [index, write] of writes.entries()) {
    const result = results[index]!
    const leadership = result.kind === 'written' ? result.leadership : await store.readState(write.partition)
    if (leadership !== null) write.partition.leadership = leadership
    if (leadership !== null && isWritten(write.state, leadership)) changed.push(write.partition)
    else refused.add(write)
  }
  const named = judged.flatMap((topic) => topic.partitions.flatMap(({ partition }) => partition ?? []))
  control.announce(named)
  return { response: responseTo(judged, refused), changed }
}

/** A conflict may be with this very write, when its first answer was lost with the connection. */
function isWritten(state: PartitionState, stored: Leadership): boolean {
  return (
    stored.controllerEpoch === state.controllerEpoch &&
    stored.leader === state.leader &&
    stored.leaderEpoch === state.leaderEpoch &&
    stored.leaderRecoveryState === state.leaderRecoveryState &&
    sameIsr(stored.isr, state.isr)
  )
}

function sameIsr(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((replica, index) => replica === b[index])
}

interface Judged {
  readonly topicName: string
  readonly topicId: string
  readonly partitions: {
    readonly index: number
    readonly partition: ControlledPartition | undefined
    readonly errorCode: number
    readonly write: StateWrite | null
  }[]
}

function judge(context: ControllerContext, request: AlterPartitionRequest, version: number): Judged[] {
  return request.topics.map(({ topicName, topicId, partitions }) => {
    const useIds = version >= TOPIC_IDS_SINCE
    const topic: ControlledTopic | undefined = useIds ? context.topicsById.get(topicId) : context.topics.get(topicName)
    const unknown = useIds && topic === undefined ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return {
      topicName,
      topicId,
      partitions: partitions.map((wanted) => {
        const index = wanted.partitionIndex
        const partition = topic?.partitions.get(index)
        const leadership = partition?.leadership ?? null
        if (partition === undefined || leadership === null) return { index, partition, errorCode: unknown, write: null }
        const change = changeOf(request.brokerId, wanted, version)
        const verdict = judgeChange(leadership, change, (id, epoch) => isEligible(context, leadership, id, epoch))
        if (verdict === 'as it is') return { index, partition, errorCode: ErrorCode.NONE, write: null }
        if (verdict !== 'change') return { index, partition, errorCode: errorFor(verdict, version), write: null }
        const state = stateAfter(leadership, change, context.epoch)
        const write = { partition, state, partitionEpoch: leadership.partitionEpoch }
        return { index, partition, errorCode: ErrorCode.NONE, write }
      }),
    }
  })
}

function changeOf(brokerId: number, wanted: PartitionRequest, version: number): IsrChange {
  const { leaderEpoch, partitionEpoch, leaderRecoveryState } = wanted
  const isr =
    version >= ISR_WITH_EPOCHS_SINCE ? wanted.newIsrWithEpochs.map((member) => member.brokerId) : wanted.newIsr
  const brokerEpochs =
    version >= ISR_WITH_EPOCHS_SINCE ? wanted.newIsrWithEpochs.map((member) => member.brokerEpoch) : []
  return { brokerId, leaderEpoch, partitionEpoch, isr, brokerEpochs, leaderRecoveryState }
}

/** Live; and who comes in does so in the life in which the leader saw it: one that restarted may have lost what it had (KAFKA-15221). */
function isEligible(context: ControllerContext, { isr }: Leadership, id: number, epoch: number): boolean {
  if (!context.isLive(id)) return false
  return epoch < 0 || isr.includes(id) || context.brokers.get(id)!.epoch === epoch
}

type Verdict =
  | 'change'
  /** The leader asks again for what it got already: the answer was lost. */
  | 'as it is'
  | 'NOT_CONTROLLER'
  | 'FENCED_LEADER_EPOCH'
  | 'INVALID_UPDATE_VERSION'
  | 'INVALID_REQUEST'
  | 'INELIGIBLE_REPLICA'

/** The first row that applies. A leader that knows of newer epochs than the controller talks to a controller that was deposed. */
export function judgeChange(
  now: Leadership,
  change: IsrChange,
  isEligible: (brokerId: number, brokerEpoch: number) => boolean,
): Verdict {
  const { RECOVERED, RECOVERING } = LeaderRecoveryState
  const rows: readonly [boolean, Verdict][] = [
    [change.partitionEpoch > now.partitionEpoch || change.leaderEpoch > now.leaderEpoch, 'NOT_CONTROLLER'],
    [change.leaderEpoch < now.leaderEpoch, 'FENCED_LEADER_EPOCH'],
    [isAsItIs(now, change), 'as it is'],
    [change.partitionEpoch < now.partitionEpoch, 'INVALID_UPDATE_VERSION'],
    [change.leaderRecoveryState === RECOVERING && change.isr.length > 1, 'INVALID_REQUEST'],
    [now.leaderRecoveryState === RECOVERED && change.leaderRecoveryState === RECOVERING, 'INVALID_REQUEST'],
    [!change.isr.every((id, index) => isEligible(id, change.brokerEpochs?.[index] ?? -1)), 'INELIGIBLE_REPLICA'],
  ]
  return rows.find(([applies]) => applies)?.[1] ?? 'change'
}

/** The partition epoch may be an older one. */
function isAsItIs(now: Leadership, change: IsrChange): boolean {
  return (
    change.partitionEpoch <= now.partitionEpoch &&
    change.brokerId === now.leader &&
    change.leaderRecoveryState === now.leaderRecoveryState &&
    sameIsr(change.isr, now.isr)
  )
}

/** Versions without topic ids know no INELIGIBLE_REPLICA (KIP-841). */
function errorFor(verdict: Exclude<Verdict, 'change' | 'as it is'>, version: number): number {
  if (verdict === 'INELIGIBLE_REPLICA' && version < TOPIC_IDS_SINCE) return ErrorCode.OPERATION_NOT_ATTEMPTED
  return ErrorCode[verdict]
}

/** The leader epoch stays: followers go on fetching as they do. */
function stateAfter(now: Leadership, change: IsrChange, controllerEpoch: number): PartitionState {
  const { RECOVERED, RECOVERING } = LeaderRecoveryState
  const leaderRecoveryState = change.leaderRecoveryState === RECOVERING ? RECOVERING : RECOVERED
  return {
    controllerEpoch,
    leader: change.brokerId,
    leaderEpoch: now.leaderEpoch,
    isr: change.isr,
    leaderRecoveryState,
  }
}

function responseTo(judged: readonly Judged[], refused: ReadonlySet<StateWrite>): AlterPartitionResponse {
  const topics = judged.map(({ topicName, topicId, partitions }) => ({
    topicName,
    topicId,
    partitions: partitions.map(({ index, partition, errorCode, write }) => {
      if (write !== null && refused.has(write)) return partitionResponse(index, ErrorCode.INVALID_UPDATE_VERSION, null)
      return partitionResponse(index, errorCode, errorCode === ErrorCode.NONE ? (partition?.leadership ?? null) : null)
    }),
  }))
  return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, topics }
}

function partitionResponse(
  partitionIndex: number,
  errorCode: number,
  leadership: Leadership | null,
): PartitionResponse {
  return {
    partitionIndex,
    errorCode,
    leaderId: leadership?.leader ?? 0,
    leaderEpoch: leadership?.leaderEpoch ?? 0,
    isr: [...(leadership?.isr ?? [])],
    leaderRecoveryState: leadership?.leaderRecoveryState ?? LeaderRecoveryState.RECOVERED,
    partitionEpoch: leadership?.partitionEpoch ?? 0,
  }
}

export function refusal(errorCode: number): AlterPartitionResponse {
  return { throttleTimeMs: 0, errorCode, topics: [] }
}
