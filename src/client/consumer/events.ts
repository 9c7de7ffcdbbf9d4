import type { KafkaError } from '../errors.ts'
import type { TopicPartition } from './topic-partition.ts'

/**
 * What a consumer tells its user beside records. Functions about partitions are waited for, a rebalance with them: for
 * at most `max.poll.interval.ms`. One that throws stops the consumer with its error; what one of the others throws is logged.
 */
export interface ConsumerListener {
  /** New ones; with cooperative rebalances those that stayed are not named again. */
  partitionsAssigned?(partitions: readonly TopicPartition[]): void | Promise<void>
  /** Are about to go to another member. Still one's own: offsets can be committed here. */
  partitionsRevoked?(partitions: readonly TopicPartition[]): void | Promise<void>
  /** Have gone without a word: the member was thrown out of its group. Another one may already read them. */
  partitionsLost?(partitions: readonly TopicPartition[]): void | Promise<void>
  /** Something kept the event loop for longer than half of `session.timeout.ms`, and no heartbeat went out meanwhile. Twice as long and the member is thrown out. */
  loopBlocked?(event: { readonly blockedMs: number; readonly sessionTimeoutMs: number }): void
  /** Nothing was asked for within `max.poll.interval.ms`, and the member has left its group. It joins again with the next record that is asked for. */
  pollIntervalExceeded?(event: { readonly maxPollIntervalMs: number }): void
  /** A commit that the consumer made by itself has failed; the next one takes its place. */
  commitFailed?(error: KafkaError): void
}
