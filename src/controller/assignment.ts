/**
 * Which brokers hold the replicas of new partitions. The aims: leaders and followers spread evenly, the followers of one leader
 * spread over the others, and replicas over racks. The sequence is Kafka's own, given the same two random
 * numbers. Source: `org.apache.kafka.admin.AdminUtils`, KIP-36.
 */
import { ErrorCode } from '#protocol'

export interface AssignableBroker {
  readonly id: number
  /** Null when it says none. */
  readonly rack: string | null
}

/** Where the round robin begins; −1 takes a random place. */
export interface AssignmentStart {
  /** Index of the broker that leads the first partition. */
  readonly startIndex: number
  /** Partition id to begin with: 0 for a new topic, the present count for one that grows. */
  readonly startPartition: number
}

export type AssignmentResult =
  | { readonly kind: 'assigned'; readonly assignment: Map<number, number[]> }
  | { readonly kind: 'refused'; readonly errorCode: number; readonly errorMessage: string }

/** `below` is uniform in [0, bound). */
export function assignReplicas(
  brokers: readonly AssignableBroker[],
  partitionCount: number,
  replicationFactor: number,
  below: (bound: number) => number,
  start: AssignmentStart = { startIndex: -1, startPartition: -1 },
): AssignmentResult {
  if (partitionCount <= 0) return refused(ErrorCode.INVALID_PARTITIONS, 'Number of partitions must be larger than 0.')
  if (replicationFactor <= 0)
    return refused(ErrorCode.INVALID_REPLICATION_FACTOR, 'Replication factor must be larger than 0.')
  if (replicationFactor > brokers.length)
    return refused(
      ErrorCode.INVALID_REPLICATION_FACTOR,
      `Replication factor: ${replicationFactor} larger than available brokers: ${brokers.length}.`,
    )
  const withRack = brokers.filter((broker) => broker.rack !== null).length
  if (withRack === 0) return assigned(spread(sortedIds(brokers), null, partitionCount, replicationFactor, below, start))
  if (withRack < brokers.length)
    return refused(
      ErrorCode.INVALID_REQUEST,
      'Not all brokers have rack information for replica rack aware assignment.',
    )
  const rackOf = new Map(brokers.map((broker) => [broker.id, broker.rack!]))
  const racks = { rackOf, count: new Set(rackOf.values()).size }
  return assigned(spread(interleavedByRack(rackOf), racks, partitionCount, replicationFactor, below, start))
}

interface Racks {
  readonly rackOf: ReadonlyMap<number, string>
  readonly count: number
}

/**
 * Partition p is led by broker (p + start) mod n; its j-th follower stands `1 + (shift + j) mod (n − 1)` places further. When p has gone
 * round once, shift grows by one, so that another broker follows. With racks, a broker is passed over while
 * its rack has a replica and other racks have none, or while it has one itself and other brokers have none.
 */
function spread(
  brokers: readonly number[],
  racks: Racks | null,
  partitionCount: number,
  replicationFactor: number,
  below: (bound: number) => number,
  start: AssignmentStart,
): Map<number, number[]> {
  const count = brokers.length
  const firstLeader = start.startIndex >= 0 ? start.startIndex : below(count)
  let shift = start.startIndex >= 0 ? start.startIndex : below(count)
  let partition = Math.max(0, start.startPartition)
  const assignment = new Map<number, number[]>()
  for (let made = 0; made < partitionCount; made++) {
    if (partition > 0 && partition % count === 0) shift += 1
    const leaderIndex = (partition + firstLeader) % count
    const replicas = [brokers[leaderIndex]!]
    for (let step = 0; replicas.length < replicationFactor; step++) {
      const broker = brokers[followerIndex(leaderIndex, shift, step, count, racks)]!
      if (racks === null || mayFollow(broker, replicas, racks, count)) replicas.push(broker)
    }
    assignment.set(partition, replicas)
    partition += 1
  }
  return assignment
}

/** Without racks the followers stand next to the leader; with racks, where brokers of one rack are apart, by multiples of the number of racks. */
function followerIndex(leaderIndex: number, shift: number, step: number, count: number, racks: Racks | null): number {
  const base = racks === null ? shift : shift * racks.count
  return (leaderIndex + 1 + ((base + step) % (count - 1))) % count
}

function mayFollow(broker: number, replicas: readonly number[], racks: Racks, brokerCount: number): boolean {
  const used = new Set(replicas.map((replica) => racks.rackOf.get(replica)!))
  if (used.has(racks.rackOf.get(broker)!) && used.size < racks.count) return false
  return !replicas.includes(broker) || new Set(replicas).size === brokerCount
}

/** One broker of each rack in turn, racks and brokers in order: 0 (a), 3 (b), 5 (c), 1 (a), 4 (b), 2 (a). */
function interleavedByRack(rackOf: ReadonlyMap<number, string>): number[] {
  const byRack = Map.groupBy([...rackOf.keys()].sort(ascending), (id) => rackOf.get(id)!)
  const columns = [...byRack.keys()].sort().map((rack) => byRack.get(rack)!)
  const depth = Math.max(...columns.map((column) => column.length))
  const order: number[] = []
  for (let row = 0; row < depth; row++) for (const column of columns) if (row < column.length) order.push(column[row]!)
  return order
}

function sortedIds(brokers: readonly AssignableBroker[]): number[] {
  return brokers.map((broker) => broker.id).sort(ascending)
}

function ascending(a: number, b: number): number {
  return a - b
}

function assigned(assignment: Map<number, number[]>): AssignmentResult {
  return { kind: 'assigned', assignment }
}

function refused(errorCode: number, errorMessage: string): AssignmentResult {
  return { kind: 'refused', errorCode, errorMessage }
}
