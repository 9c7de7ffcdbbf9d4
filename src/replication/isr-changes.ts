/**
 * Sends changes of ISRs to the controller (KIP-497, upstream `AlterPartitionManager`): one request in flight, with
 * all that has gathered meanwhile; at most one change per partition.
 */
import type { Clock, Logger, Timer } from '#platform'
import { ErrorCode } from '#protocol'
import type { AlterPartitionRequestInput, AlterPartitionResponse } from '#protocol/messages/alter-partition'

import type { AlterPartitionSender } from './ports.ts'

export interface IsrChange {
  readonly topic: string
  /** null: the topic has none. */
  readonly topicId: string | null
  readonly partition: number
  readonly leaderEpoch: number
  readonly partitionEpoch: number
  readonly isr: readonly number[]
  /** In which life each was seen to be in sync, as far as is known (KIP-903). */
  readonly brokerEpochs?: ReadonlyMap<number, number>
  /** Called once with what came of it; not at all when a change of a newer leader epoch took its place. */
  done(outcome: IsrChangeOutcome): void
}

export type IsrChangeOutcome =
  | {
      readonly kind: 'decided'
      readonly leaderEpoch: number
      readonly partitionEpoch: number
      readonly isr: readonly number[]
    }
  | { readonly kind: 'refused'; readonly errorCode: number }

/** Until what could not be decided is sent again. */
const RETRY_MS = 50
/** These decide a change. After any other error, or none, the same may succeed when it is tried again. */
const DECIDING_ERRORS: ReadonlySet<number> = new Set([
  ErrorCode.INELIGIBLE_REPLICA,
  ErrorCode.OPERATION_NOT_ATTEMPTED,
  ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  ErrorCode.UNKNOWN_TOPIC_ID,
  ErrorCode.FENCED_LEADER_EPOCH,
  ErrorCode.INVALID_UPDATE_VERSION,
  ErrorCode.INVALID_REQUEST,
  ErrorCode.NEW_LEADER_ELECTED,
])
/** LeaderRecoveryState: a leader that was elected uncleanly says so with its first change. */
const RECOVERED = 0

export interface IsrChangesOptions {
  readonly brokerId: number
  readonly clock: Clock
  readonly logger: Logger
  readonly sender: AlterPartitionSender
  brokerEpoch(): number
}

export class IsrChanges {
  readonly #options: IsrChangesOptions
  readonly #pending = new Map<string, IsrChange>()
  #isSending = false
  #isGathered = false
  #retry: Timer | null = null
  #isClosed = false

  constructor(options: IsrChangesOptions) {
    this.#options = options
  }

  /** Takes the change, unless one of the same partition and leader epoch is still under way: then false. */
  submit(change: IsrChange): boolean {
    const key = `${change.topic}-${change.partition}`
    if (this.#isClosed || (this.#pending.get(key)?.leaderEpoch ?? -1) >= change.leaderEpoch) return false
    this.#pending.set(key, change)
    this.#sendSoon()
    return true
  }

  close(): void {
    this.#isClosed = true
    this.#retry?.cancel()
    this.#pending.clear()
  }

  #sendSoon(): void {
    if (this.#isGathered || this.#isSending || this.#retry !== null || this.#isClosed || this.#pending.size === 0)
      return
    this.#isGathered = true
    this.#options.clock.endOfTurn(() => {
      this.#isGathered = false
      void this.#send([...this.#pending.values()])
    })
  }

  async #send(changes: readonly IsrChange[]): Promise<void> {
    if (this.#isSending || this.#isClosed || changes.length === 0) return
    this.#isSending = true
    try {
      const response = await this.#options.sender.send(this.#request(changes))
      if (response.errorCode === ErrorCode.NONE) this.#deliver(changes, response)
      else this.#failed(`the controller answers ${response.errorCode}`, null)
    } catch (error) {
      this.#failed('the controller cannot be reached', error)
    }
    this.#isSending = false
    this.#sendSoon()
  }

  /** What is undecided stays pending, and goes out again after a pause. */
  #failed(what: string, error: unknown): void {
    if (this.#isClosed || this.#retry !== null) return
    this.#options.logger.debug(
      `changes of ISRs are sent again: ${what}${error instanceof Error ? ` (${error.message})` : ''}`,
    )
    this.#retry = this.#options.clock.setTimer(RETRY_MS, () => {
      this.#retry = null
      this.#sendSoon()
    })
  }

  #request(changes: readonly IsrChange[]): AlterPartitionRequestInput {
    const usesIds = changes.every(({ topicId }) => topicId !== null)
    const byTopic = new Map<string, IsrChange[]>()
    for (const change of changes) byTopic.set(change.topic, [...(byTopic.get(change.topic) ?? []), change])
    return {
      brokerId: this.#options.brokerId,
      brokerEpoch: this.#options.brokerEpoch(),
      topics: [...byTopic].map(([topicName, ofTopic]) => ({
        topicName,
        ...(usesIds ? { topicId: ofTopic[0]!.topicId! } : {}),
        partitions: ofTopic.map((change) => ({
          partitionIndex: change.partition,
          leaderEpoch: change.leaderEpoch,
          ...(usesIds
            ? {
                newIsrWithEpochs: change.isr.map((brokerId) => ({
                  brokerId,
                  brokerEpoch: change.brokerEpochs?.get(brokerId) ?? -1,
                })),
              }
            : { newIsr: [...change.isr] }),
          leaderRecoveryState: RECOVERED,
          partitionEpoch: change.partitionEpoch,
        })),
      })),
    }
  }

  /** A change that the answer leaves out, or fails without deciding it, stays pending. */
  #deliver(changes: readonly IsrChange[], response: AlterPartitionResponse): void {
    for (const topic of response.topics)
      for (const answer of topic.partitions) {
        const change = changes.find(
          (sent) =>
            sent.partition === answer.partitionIndex &&
            (sent.topicId === topic.topicId || sent.topic === topic.topicName),
        )
        if (change === undefined || !this.#isPending(change)) continue
        const { errorCode } = answer
        if (errorCode !== ErrorCode.NONE && !DECIDING_ERRORS.has(errorCode)) continue
        this.#pending.delete(`${change.topic}-${change.partition}`)
        change.done(outcomeOf(answer))
      }
    const undecided = changes.filter((change) => this.#isPending(change))
    if (undecided.length > 0) this.#failed(`the controller leaves ${undecided.length} of them undecided`, null)
  }

  #isPending(change: IsrChange): boolean {
    return this.#pending.get(`${change.topic}-${change.partition}`) === change
  }
}

function outcomeOf(answer: AlterPartitionResponse['topics'][number]['partitions'][number]): IsrChangeOutcome {
  const { errorCode, leaderEpoch, partitionEpoch, isr } = answer
  return errorCode === ErrorCode.NONE
    ? { kind: 'decided', leaderEpoch, partitionEpoch, isr }
    : { kind: 'refused', errorCode }
}
