/**
 * A vote: who should lead, and how much that server knows. Source: Vote, FastLeaderElection.totalOrderPredicate.
 */
import type { Quorum } from './quorum.ts'

export type PeerState = 'looking' | 'following' | 'leading' | 'observing'

export interface Vote {
  /** Id of the server voted for; `NO_SID` of an observer that has not heard of any. */
  readonly leader: number
  /** The last transaction in that server's log, whether or not it is committed. */
  readonly zxid: bigint
  /** The round: a count of elections, which voters bring into line as they go. */
  readonly electionEpoch: number
  /** The newest epoch whose history that server has (`currentEpoch`); of a leader in office, the epoch that it leads. */
  readonly peerEpoch: number
}

/** A vote as its voter sent it. */
export interface CastVote extends Vote {
  readonly state: PeerState
  /** Of the message: 0 is from before servers agreed on the epoch that they report while in office. */
  readonly version: number
}

const LONG_MIN = -(2n ** 63n)
/** Less than every server's. */
export const NO_SID = Number(LONG_MIN)

/** What a server without a vote proposes: anything is better. */
export function blankVote(electionEpoch: number): Vote {
  return { leader: NO_SID, zxid: LONG_MIN, electionEpoch, peerEpoch: NO_SID }
}

/** Newer history first, longer history next, then the larger id. Whoever has no weight never wins. */
export function isBetter(vote: Vote, than: Vote, quorum: Quorum): boolean {
  if (quorum.weightOf(vote.leader) === 0) return false
  if (vote.peerEpoch !== than.peerEpoch) return vote.peerEpoch > than.peerEpoch
  if (vote.zxid !== than.zxid) return vote.zxid > than.zxid
  return vote.leader > than.leader
}

/** Whether a vote cast in this round supports the other, down to the last number. */
export function isSame(a: Vote, b: Vote): boolean {
  return (
    a.leader === b.leader && a.zxid === b.zxid && a.electionEpoch === b.electionEpoch && a.peerEpoch === b.peerEpoch
  )
}

/**
 * Whether two servers in office report the same leader. Their rounds and zxids differ rightly, when they joined at
 * different times (ZOOKEEPER-1805), and servers of version 0 do not report the epoch (ZOOKEEPER-1732).
 */
export function isSameOffice(a: CastVote, b: CastVote): boolean {
  return a.leader === b.leader && (a.peerEpoch === b.peerEpoch || a.version > 0 !== b.version > 0)
}
