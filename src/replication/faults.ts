/**
 * Seeded faults: each one breaks a rule that the room keeps, so that the simulation can show that its checker
 * would find such a fault. All are off unless a test turns one on.
 */
export interface Faults {
  /** acks=all is answered after the leader's own append. */
  readonly acknowledgeBeforeFollowers: boolean
  /** A follower told that it diverges keeps what it has and goes on from the leader's end. */
  readonly skipTruncation: boolean
  /** A follower truncates to its high watermark when it changes its leader, instead of asking by epoch (KIP-101's fault). */
  readonly truncateToHighWatermark: boolean
  /** A follower enters the ISR with its first fetch, whether or not it has reached the start of the leader's epoch (KAFKA-7128). */
  readonly joinIsrBeforeEpochStart: boolean
  /** LeaderAndIsr and StopReplica of a deposed controller are obeyed. */
  readonly acceptStaleControllerEpoch: boolean
  /** Requests meant for an earlier life of this broker are obeyed (KIP-380). */
  readonly acceptStaleBrokerEpoch: boolean
  /** A new leader does not know the sequences that it replicated, so that a retry is appended twice. */
  readonly forgetProducersOnLeaderChange: boolean
}

export const NO_FAULTS: Faults = {
  acknowledgeBeforeFollowers: false,
  skipTruncation: false,
  truncateToHighWatermark: false,
  joinIsrBeforeEpochStart: false,
  acceptStaleControllerEpoch: false,
  acceptStaleBrokerEpoch: false,
  forgetProducersOnLeaderChange: false,
}
