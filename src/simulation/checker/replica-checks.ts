/** One broker's replica of a partition at one moment. Where a leader tells it, the ISR and the replica set too. */
export interface ReplicaState {
  readonly atMs: number
  readonly broker: number
  /** Which life of the broker: what must only grow, grows within one. */
  readonly life: number
  readonly partition: string
  readonly leaderEpoch: number
  readonly logStartOffset: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logEndOffset: number
  /** The end with what is appended and not yet written: a follower whose start lies within a batch ends before it for one write long. */
  readonly nextOffset: number
  /** Of the leader; null of followers. */
  readonly leader: { readonly isr: readonly number[]; readonly replicas: readonly number[] } | null
}

/** What must hold of every state that was ever observed; returns what did not. */
export function checkReplicaStates(states: readonly ReplicaState[]): string[] {
  const faults: string[] = []
  const epochs = new Map<string, number>()
  for (const state of states) {
    const who = `broker ${state.broker}, ${state.partition} at ${state.atMs.toFixed(0)}`
    const { leaderEpoch, logStartOffset, highWatermark, lastStableOffset, logEndOffset, nextOffset, leader } = state
    if (lastStableOffset > highWatermark)
      faults.push(`${who}: last stable offset ${lastStableOffset} > high watermark ${highWatermark}`)
    if (highWatermark > logEndOffset) faults.push(`${who}: high watermark ${highWatermark} > log end ${logEndOffset}`)
    if (logStartOffset > nextOffset) faults.push(`${who}: log start ${logStartOffset} > next offset ${nextOffset}`)
    const slot = `${state.broker}#${state.life} ${state.partition}`
    const before = epochs.get(slot) ?? -1
    if (leaderEpoch < before) faults.push(`${who}: leader epoch went from ${before} to ${leaderEpoch}`)
    epochs.set(slot, leaderEpoch)
    for (const id of leader?.isr ?? [])
      if (!leader!.replicas.includes(id)) faults.push(`${who}: ${id} is in the ISR and no replica`)
  }
  return faults
}

/** A replica's content at the end: its batches with their offsets and checksums. */
export interface ReplicaContent {
  readonly broker: number
  readonly partition: string
  readonly logStartOffset: number
  readonly highWatermark: number
  readonly inIsr: boolean
  readonly logEndOffset: number
  /** Ascending by base offset. `crc` covers the batch's bytes as stored, all of them. */
  readonly batches: readonly { readonly baseOffset: number; readonly lastOffset: number; readonly crc: number }[]
}

/**
 * Replicas of a partition are byte-identical up to the highest high watermark of any of them that both have reached, and
 * who is in the ISR has reached it. Returns what did not hold.
 */
export function checkReplicaContents(contents: readonly ReplicaContent[]): string[] {
  const faults: string[] = []
  for (const [partition, replicas] of byPartition(contents)) {
    const highWatermark = Math.max(...replicas.map((replica) => replica.highWatermark))
    for (const replica of replicas) {
      if (replica.inIsr && replica.logEndOffset < highWatermark)
        faults.push(
          `${partition}: broker ${replica.broker} is in the ISR with log end ${replica.logEndOffset} < high watermark ${highWatermark}`,
        )
    }
    const [first, ...others] = replicas
    for (const other of others) {
      const difference = firstDifference(first!, other, highWatermark)
      if (difference !== null)
        faults.push(`${partition}: brokers ${first!.broker} and ${other.broker} differ at offset ${difference}`)
    }
  }
  return faults
}

function byPartition(contents: readonly ReplicaContent[]): Map<string, ReplicaContent[]> {
  const replicas = new Map<string, ReplicaContent[]>()
  for (const content of contents) {
    const list = replicas.get(content.partition)
    if (list === undefined) replicas.set(content.partition, [content])
    else list.push(content)
  }
  return replicas
}

/** The first offset below the bound at which two replicas hold different bytes; null when there is none. */
function firstDifference(one: ReplicaContent, other: ReplicaContent, bound: number): number | null {
  const start = Math.max(one.logStartOffset, other.logStartOffset)
  const end = Math.min(bound, one.logEndOffset, other.logEndOffset)
  const within = ({ batches }: ReplicaContent): ReplicaContent['batches'] =>
    batches.filter(({ baseOffset, lastOffset }) => lastOffset >= start && baseOffset < end)
  const [mine, theirs] = [within(one), within(other)]
  for (let at = 0; at < Math.max(mine.length, theirs.length); at++) {
    const [a, b] = [mine[at], theirs[at]]
    if (a === undefined || b === undefined) return (a ?? b)!.baseOffset
    if (a.baseOffset !== b.baseOffset || a.lastOffset !== b.lastOffset || a.crc !== b.crc)
      return Math.min(a.baseOffset, b.baseOffset)
  }
  return null
}
