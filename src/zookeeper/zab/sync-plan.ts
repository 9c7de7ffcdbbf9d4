/**
 * How a learner gets the history that its leader has: a table of cases, the first that holds.
 *
 *     the learner's last transaction P                            it gets
 *     is the leader's last                                        DIFF, nothing more
 *     is beyond the leader's last, and a transaction              TRUNC to the leader's last
 *     is right before the log in memory                           DIFF, and all of that
 *     is within the log in memory, and in it                      DIFF, and what follows P
 *     is within the log in memory, and begins an epoch            DIFF, and what follows P
 *     is within, not in it, and before it is one of its epoch     TRUNC to that one, and what follows it
 *     is before it, in the log on disk, which is short enough     DIFF, and what follows P from disk and memory
 *     none of these                                               SNAP
 *
 * "Begins an epoch": low half zero. No transaction has such a zxid; a server has it from the snapshot of a leader that had
 * not proposed anything yet. It cannot be cut off, and it cannot be found in a log.
 * "Of its epoch": a TRUNC across epochs is not sent, since nobody knows what the learner has of the earlier one.
 * "Right before": ours, since after a snapshot Apache's servers do not know what the first transaction in memory follows; not
 * for who has nothing, which is how a learner asks for a snapshot.
 * Source: LearnerHandler.syncFollower and queueCommittedProposals.
 */
import { counterOf, epochOf, follows, type LoggedBytes } from '#zookeeper/protocol'

export interface History {
  /** The last transaction that took effect, or the beginning of an epoch. */
  readonly lastZxid: bigint
  /** The last committed transactions, in order and without a gap. The last of them is `lastZxid`, or an epoch has begun since. */
  readonly committed: readonly LoggedBytes[]
  /** What the first of them follows, where that is known: a transaction, or the beginning of an epoch. */
  readonly beforeZxid: bigint | null
  /**
   * What follows `zxid` on disk, without a gap, at least up to the first of `committed`; null where the log does not hold
   * `zxid` itself, or where it would be longer than is worth it.
   */
  logAfter(zxid: bigint): readonly LoggedBytes[] | null
}

export type SyncPlan =
  /** `zxid` is what DIFF and TRUNC carry; `transactions` follow, each with its COMMIT. */
  | { readonly kind: 'diff'; readonly zxid: bigint; readonly transactions: readonly LoggedBytes[] }
  | { readonly kind: 'trunc'; readonly zxid: bigint; readonly transactions: readonly LoggedBytes[] }
  | { readonly kind: 'snap' }

/** Where a server without data is. */
const NOTHING = 0n

export function syncPlan(peerZxid: bigint, history: History): SyncPlan {
  const { committed, lastZxid, beforeZxid } = history
  const min = committed[0]?.zxid ?? lastZxid
  const max = committed.at(-1)?.zxid ?? lastZxid
  const beginsEpoch = counterOf(peerZxid) === 0
  if (peerZxid === lastZxid) return { kind: 'diff', zxid: peerZxid, transactions: [] }
  if (peerZxid > max) return beginsEpoch ? { kind: 'snap' } : { kind: 'trunc', zxid: max, transactions: [] }
  if (peerZxid === beforeZxid && peerZxid !== NOTHING) return { kind: 'diff', zxid: max, transactions: committed }
  if (peerZxid >= min) return planWithin(peerZxid, beginsEpoch, committed, max)
  const onDisk = history.logAfter(peerZxid)
  if (onDisk === null) return { kind: 'snap' }
  return planFromDisk(peerZxid, onDisk, committed, max)
}

/** `committed` is not empty, unless `peerZxid` is the beginning of an epoch that the leader has, too. */
function planWithin(peerZxid: bigint, beginsEpoch: boolean, committed: readonly LoggedBytes[], max: bigint): SyncPlan {
  const at = indexFrom(committed, peerZxid)
  const found = committed[at]?.zxid === peerZxid
  if (found) return { kind: 'diff', zxid: max, transactions: committed.slice(at + 1) }
  const following = committed.slice(at)
  if (beginsEpoch) return { kind: 'diff', zxid: max, transactions: following }
  const before = committed[at - 1]?.zxid
  if (before === undefined || epochOf(before) !== epochOf(peerZxid)) return { kind: 'snap' }
  if (following.length > 0 && epochOf(following[0]!.zxid) !== epochOf(peerZxid)) return { kind: 'snap' }
  return { kind: 'trunc', zxid: before, transactions: following }
}

/** The log on disk may be behind the memory, since a quorum of others can commit before the own disk has it. */
function planFromDisk(
  peerZxid: bigint,
  onDisk: readonly LoggedBytes[],
  committed: readonly LoggedBytes[],
  max: bigint,
): SyncPlan {
  const min = committed[0]?.zxid
  const reach = min === undefined ? onDisk.length : onDisk.findIndex(({ zxid }) => zxid === min)
  if (reach < 0) return { kind: 'snap' }
  const transactions = [...onDisk.slice(0, reach), ...committed]
  if (!isGapless(peerZxid, transactions)) return { kind: 'snap' }
  return { kind: 'diff', zxid: max, transactions }
}

/** Index of the first transaction that is not before `zxid`. */
function indexFrom(transactions: readonly LoggedBytes[], zxid: bigint): number {
  let low = 0
  let high = transactions.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (transactions[middle]!.zxid < zxid) low = middle + 1
    else high = middle
  }
  return low
}

function isGapless(afterZxid: bigint, transactions: readonly LoggedBytes[]): boolean {
  let last = afterZxid
  for (const { zxid } of transactions) {
    if (!follows(zxid, last)) return false
    last = zxid
  }
  return true
}
