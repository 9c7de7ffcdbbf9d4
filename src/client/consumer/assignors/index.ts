import type { Assignor } from './assignor.ts'
import { cooperativeStickyAssignor } from './cooperative-sticky.ts'
import { rangeAssignor } from './range.ts'
import { roundRobinAssignor } from './round-robin.ts'

export type { AssignableMember, Assignments, Assignor, RebalanceProtocol } from './assignor.ts'
export type { PartitionRacks } from './racks.ts'
export { cooperativeStickyAssignor } from './cooperative-sticky.ts'
export { rangeAssignor } from './range.ts'
export { roundRobinAssignor } from './round-robin.ts'

/** By the names of `partition.assignment.strategy`. */
export const ASSIGNORS: ReadonlyMap<string, Assignor> = new Map(
  [rangeAssignor, roundRobinAssignor, cooperativeStickyAssignor].map((assignor) => [assignor.name, assignor]),
)
