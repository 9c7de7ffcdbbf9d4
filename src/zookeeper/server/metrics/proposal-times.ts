/** How long the ensemble takes for what its leader proposes: until a server, until a quorum has it. */
import type { ServerMetrics } from './server-metrics.ts'

/** Who acknowledges later than so many further proposals is not timed. */
const PROPOSALS_MAX = 4096
const SLOT_MASK = BigInt(PROPOSALS_MAX - 1)
const COUNTER_MASK = 0xffff_ffffn

export class ProposalTimes {
  readonly #metrics: ServerMetrics
  /** A ring by the counter of the zxid: proposals of one epoch are numbered without a gap. */
  readonly #proposedMs = new Float64Array(PROPOSALS_MAX)
  #lastZxid = 0n

  constructor(metrics: ServerMetrics) {
    this.#metrics = metrics
  }

  onProposed(zxid: bigint, bytes: number, nowMs: number): void {
    this.#metrics.proposals.add()
    this.#metrics.proposalSizes.add(bytes)
    this.#proposedMs[Number(zxid & SLOT_MASK)] = nowMs
    this.#lastZxid = zxid
  }

  onAcknowledged(sid: number, zxid: bigint, nowMs: number): void {
    const tookMs = this.#tookMs(zxid, nowMs)
    if (tookMs !== null) this.#metrics.ackLatency.of(String(sid))!.add(tookMs)
  }

  onCommitted(zxid: bigint, nowMs: number): void {
    this.#metrics.commits.add()
    const tookMs = this.#tookMs(zxid, nowMs)
    if (tookMs === null) return
    this.#metrics.quorumAckLatency.add(tookMs)
    this.#metrics.proposalLatency.add(tookMs)
  }

  /** Null: not timed, or the mark of an epoch instead of a transaction. */
  #tookMs(zxid: bigint, nowMs: number): number | null {
    const isTimed = (zxid & COUNTER_MASK) !== 0n && zxid <= this.#lastZxid && this.#lastZxid - zxid <= SLOT_MASK
    return isTimed ? nowMs - this.#proposedMs[Number(zxid & SLOT_MASK)]! : null
  }
}
