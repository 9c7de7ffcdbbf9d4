/** Rules of an ensemble that the simulation breaks on purpose, to show that it would find them broken. All are off elsewhere. */
export interface EnsembleFaults {
  /** A learner acknowledges NEWLEADER before what it was sent is on its disk (ZOOKEEPER-3911, 4646). */
  readonly acknowledgeNewLeaderEarly: boolean
  /** A leader commits what its own disk alone has. */
  readonly commitWithoutQuorum: boolean
  /** A leader commits what a quorum has in another order than it was proposed in; learners follow. */
  readonly commitOutOfOrder: boolean
  /** Accepted and current epoch are written, and not synced before they are acknowledged. */
  readonly epochsNotSynced: boolean
  /** A learner goes on with the log that it has where its leader says TRUNC. */
  readonly skipTruncation: boolean
  /** A learner serves clients from NEWLEADER on, without waiting for UPTODATE. */
  readonly serveBeforeUpToDate: boolean
  /** A leader proposes to a learner only from its acknowledgement of NEWLEADER on, not from the synchronisation on, and the learner does not notice (ZOOKEEPER-4925). */
  readonly forgetDuringSynchronisation: boolean
  /** A server takes in clients that have seen more than it has. */
  readonly readsGoBack: boolean
  /** A leader obeys writes that come from a server which the session has left. */
  readonly obeyFormerServer: boolean
  /** A learner answers a sync without asking its leader. */
  readonly syncAlone: boolean
}

export const NO_ENSEMBLE_FAULTS: EnsembleFaults = {
  acknowledgeNewLeaderEarly: false,
  commitWithoutQuorum: false,
  commitOutOfOrder: false,
  epochsNotSynced: false,
  skipTruncation: false,
  serveBeforeUpToDate: false,
  forgetDuringSynchronisation: false,
  readsGoBack: false,
  obeyFormerServer: false,
  syncAlone: false,
}
