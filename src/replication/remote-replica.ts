/**
 * What the leader knows of a follower. Times are monotonic ms; `-Infinity`: never.
 */
export class RemoteReplica {
  readonly brokerId: number
  /** Where its next fetch began, so that it has everything below; −1: not known in this epoch. */
  logEndOffset = -1
  logStartOffset = -1
  /** Of its latest life that fetched; −1: it did not tell. */
  brokerEpoch = -1
  /** When it last had all that the leader had. */
  caughtUpMs = -Infinity
  #lastFetchMs = -Infinity
  /** The leader's end at its last fetch. */
  #leaderEndAtLastFetch = -1

  constructor(brokerId: number) {
    this.brokerId = brokerId
  }

  /** It fetches from `fetchOffset`, while the leader ends at `leaderEndOffset`. */
  fetched(fetchOffset: number, logStartOffset: number, leaderEndOffset: number, nowMs: number): void {
    // Whoever reaches the end that the leader had at the previous fetch had caught up then.
    if (fetchOffset >= leaderEndOffset) this.caughtUpMs = Math.max(this.caughtUpMs, nowMs)
    else if (fetchOffset >= this.#leaderEndAtLastFetch) this.caughtUpMs = Math.max(this.caughtUpMs, this.#lastFetchMs)
    this.logEndOffset = fetchOffset
    this.logStartOffset = logStartOffset
    this.#leaderEndAtLastFetch = Math.max(leaderEndOffset, this.#leaderEndAtLastFetch)
    this.#lastFetchMs = nowMs
  }

  /** A leader begins an epoch. One that led before keeps what it knows of offsets. */
  enterEpoch(leadsAnew: boolean, isInSync: boolean, leaderEndOffset: number, nowMs: number): void {
    if (leadsAnew) {
      this.logEndOffset = -1
      this.logStartOffset = -1
      this.#leaderEndAtLastFetch = -1
      this.#lastFetchMs = -Infinity
    } else {
      this.#leaderEndAtLastFetch = leaderEndOffset
      this.#lastFetchMs = isInSync ? nowMs : -Infinity
    }
    this.caughtUpMs = isInSync ? nowMs : -Infinity
  }

  isCaughtUp(leaderEndOffset: number, nowMs: number, lagMaxMs: number): boolean {
    return this.logEndOffset === leaderEndOffset || nowMs - this.caughtUpMs <= lagMaxMs
  }
}
