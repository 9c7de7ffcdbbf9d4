/**
 * The log that makes a coordinator's decisions durable, as a port: a partition of an internal topic that this broker leads. The broker
 * joins it to the replicas; the coordinator never sees them.
 */
export interface CoordinatorLog {
  /**
   * Appends one batch of magic 2, in the order of the calls, and resolves when it is committed (`acks=all`, at least
   * `min.insync.replicas`, within `offsets.commit.timeout.ms`) or when it is known that it will not be acknowledged. The batch is
   * the log's from then on. A `leaderEpoch` that is not the partition's present one answers NOT_LEADER_OR_FOLLOWER. An error may leave
   * the batch in the log all the same (REQUEST_TIMED_OUT).
   */
  append(partition: number, leaderEpoch: number, batch: Uint8Array): Promise<AppendOutcome>
  /**
   * Everything from the log's start up to the end that it has when it is read out, in pieces of whole batches. A piece is valid until the
   * next one is asked for. Throws when this broker does not lead the partition in that epoch.
   */
  read(partition: number, leaderEpoch: number): AsyncIterable<Uint8Array>
  /**
   * Resolves with true when it is certain that this broker led the partition in that epoch at the time of the call, so that what the
   * coordinator knows is the newest there is; with false when it does not, or could not find out in time.
   */
  confirm(partition: number, leaderEpoch: number): Promise<boolean>
}

export interface AppendOutcome {
  /** `ErrorCode.NONE`, or what Produce would answer. */
  errorCode: number
  /** Offset of the batch's first record; -1 with an error. */
  baseOffset: number
}
