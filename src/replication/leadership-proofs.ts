/**
 * Proof that this broker still leads a partition, for reads that must not be stale. A leader that was deposed while it was
 * paused or cut off does not know it; Apache's group coordinator then answers committed offsets that a newer one has moved on.
 *
 * A new leader comes out of the ISR, and a replica that leads, or follows another leader, no longer fetches here. So when every
 * member of the maximal ISR has sent a fetch after the read began, nobody else had been elected when it began (Raft's ReadIndex,
 * carried over to the ISR):
 *
 * 1. The read begins. A follower's fetch is parked here, or is on its way.
 * 2. A parked one is answered at once.
 * 3. The follower's next fetch was sent after that answer, so after 1: it proves. One that was on its way at 1 proves nothing; it
 *    is answered at once as well, and the one after it counts.
 */
import type { Clock, Timer } from '#platform'

interface Proof {
  /** Fetches that are still to come, by follower. */
  readonly missing: Map<number, number>
  readonly timer: Timer
  resolve(isProven: boolean): void
}

export class LeadershipProofs {
  readonly #clock: Clock
  readonly #open = new Set<Proof>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves with true once all followers have proven it; with false after `timeoutMs`, or when the role ends. */
  begin(followers: readonly number[], isParked: (brokerId: number) => boolean, timeoutMs: number): Promise<boolean> {
    if (followers.length === 0) return Promise.resolve(true)
    return new Promise((resolve) => {
      const proof: Proof = {
        missing: new Map(followers.map((id) => [id, isParked(id) ? 1 : 2])),
        timer: this.#clock.setTimer(timeoutMs, () => this.#end(proof, false)),
        resolve,
      }
      this.#open.add(proof)
    })
  }

  /** Whether a fetch of this follower should be answered at once, so that it sends the next. */
  awaits(brokerId: number): boolean {
    for (const proof of this.#open) if (proof.missing.has(brokerId)) return true
    return false
  }

  fetched(brokerId: number): void {
    for (const proof of this.#open) {
      const missing = proof.missing.get(brokerId)
      if (missing === undefined) continue
      if (missing > 1) proof.missing.set(brokerId, missing - 1)
      else proof.missing.delete(brokerId)
      if (proof.missing.size === 0) this.#end(proof, true)
    }
  }

  failAll(): void {
    for (const proof of this.#open) this.#end(proof, false)
  }

  #end(proof: Proof, isProven: boolean): void {
    this.#open.delete(proof)
    proof.timer.cancel()
    proof.resolve(isProven)
  }
}
