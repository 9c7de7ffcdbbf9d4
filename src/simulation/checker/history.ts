/**
 * What clients did and saw, operation by operation, in the order of completion. A key is a partition
 * (`t0-1`), a value a text that is sent once and never again.
 *
 * - `ok`: it happened, and what is noted is what the client saw
 * - `fail`: it surely did not happen
 * - `info`: nobody knows. Timeouts, lost connections and NOT_LEADER_OR_FOLLOWER (KAFKA-13574) end like this.
 */
export type Outcome = 'ok' | 'fail' | 'info'

export type Operation = SendOperation | PollOperation | AssignOperation

interface OperationBase {
  /** Who: a client from its start to its crash. A client that comes back is another process. */
  readonly process: string
  /** Virtual ms. */
  readonly invokedMs: number
  readonly completedMs: number
}

export interface SendOperation extends OperationBase {
  readonly kind: 'send'
  /** Sends are numbered in the order in which they began; several may begin at one moment. */
  readonly number: number
  readonly outcome: Outcome
  /** In the order in which they were sent. `offset` where the answer told it. */
  readonly sends: readonly { readonly key: string; readonly value: string; readonly offset: number | null }[]
}

export interface PollOperation extends OperationBase {
  readonly kind: 'poll'
  readonly outcome: Outcome
  readonly polls: readonly { readonly key: string; readonly records: readonly ReadRecord[] }[]
  /** Keys that were gained or lost in a rebalance during the poll: for them order within it means nothing. */
  readonly rebalanced?: readonly string[]
}

export interface ReadRecord {
  readonly offset: number
  readonly value: string
}

export interface AssignOperation extends OperationBase {
  /** `assign`: the client chose these keys; `subscribe`: its group gave it these. */
  readonly kind: 'assign' | 'subscribe'
  readonly keys: readonly string[]
  /** Reading of all keys starts elsewhere than where it was. */
  readonly seek?: boolean
}

/** One way in which a history is wrong. */
export interface Anomaly {
  readonly kind: AnomalyKind
  readonly key: string
  /** What exactly, for people. */
  readonly detail: string
}

export type AnomalyKind =
  | 'inconsistent-offsets'
  | 'duplicate'
  | 'lost-write'
  | 'unseen'
  | 'G1a'
  | 'int-poll-skip'
  | 'int-nonmonotonic-poll'
  | 'int-nonmonotonic-send'
  | 'nonmonotonic-send'
  | 'poll-skip'
  | 'nonmonotonic-poll'
  | 'two-owners'
  | 'commit-gone-back'
  | 'not-owner'
  | 'commit-ahead'
