/**
 * The ISR as the leader sees it: committed, or with a change that the controller has not yet decided (KIP-497).
 * While a change is under way every rule uses the set that is safe for it.
 */
export type IsrState = { readonly kind: 'committed'; readonly isr: ReadonlySet<number> } | PendingIsr

export interface PendingIsr {
  readonly kind: 'pending'
  /** As the controller last had it; counts for `min.insync.replicas`. */
  readonly isr: ReadonlySet<number>
  /** What the leader asked for. */
  readonly proposed: ReadonlySet<number>
  /** Committed and proposed members together; these the high watermark waits for. */
  readonly maximal: ReadonlySet<number>
}

export function committed(isr: Iterable<number>): IsrState {
  return { kind: 'committed', isr: new Set(isr) }
}

export function pending(isr: ReadonlySet<number>, proposed: Iterable<number>): PendingIsr {
  const next = new Set(proposed)
  return { kind: 'pending', isr, proposed: next, maximal: new Set([...isr, ...next]) }
}

/** Every broker that may be in the ISR, whatever the controller decides. */
export function maximalIsr(state: IsrState): ReadonlySet<number> {
  return state.kind === 'committed' ? state.isr : state.maximal
}
