/**
 * Which sets of servers may decide: any two of them have a server in common. Either a majority of the voters, or, with
 * groups and weights, more than half of the weight in more than half of the groups.
 * Source: QuorumMaj, QuorumHierarchical, the administrator's guide on hierarchical quorums.
 */
export interface Quorum {
  /** Server ids of those who vote, ascending. */
  readonly voters: readonly number[]
  containsQuorum(sids: ReadonlySet<number>): boolean
  /** 0 for whoever has no vote; a voter of weight 0 is never elected. */
  weightOf(sid: number): number
  isVoter(sid: number): boolean
}

export function majorityOf(voters: Iterable<number>): Quorum {
  const sids = new Set(voters)
  const counted = (others: ReadonlySet<number>): number => sids.intersection(others).size
  return {
    voters: ascending(sids),
    containsQuorum: (others) => counted(others) > sids.size / 2,
    weightOf: (sid) => (sids.has(sid) ? 1 : 0),
    isVoter: (sid) => sids.has(sid),
  }
}

/**
 * Every voter is in exactly one group; one without a weight weighs 1. Groups of weight 0 do not count. The caller has
 * checked that.
 */
export function hierarchyOf(
  groups: readonly (readonly number[])[],
  weights: ReadonlyMap<number, number> = new Map(),
): Quorum {
  const sids = new Set(groups.flat())
  const weightOf = (sid: number): number => (sids.has(sid) ? (weights.get(sid) ?? 1) : 0)
  const weightIn = (group: readonly number[], others: ReadonlySet<number>): number =>
    group.reduce((sum, sid) => sum + (others.has(sid) ? weightOf(sid) : 0), 0)
  const counting = groups.filter((group) => weightIn(group, sids) > 0)
  return {
    voters: ascending(sids),
    containsQuorum: (others) =>
      counting.filter((group) => weightIn(group, others) > weightIn(group, sids) / 2).length > counting.length / 2,
    weightOf,
    isVoter: (sid) => sids.has(sid),
  }
}

function ascending(sids: ReadonlySet<number>): number[] {
  return Array.from(sids).sort((a, b) => a - b)
}
