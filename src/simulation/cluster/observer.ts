import { crc32 } from 'node:zlib'

import { decodeUtf8 } from '#base'
import { batchesOf } from '#protocol/records'

import {
  checkReplicaContents,
  checkReplicaStates,
  type ReplicaContent,
  type ReplicaState,
} from '../checker/replica-checks.ts'
import type { DiskFile, SimulatedDisk } from '../disk.ts'
import type { BrokerMachine, SimulatedCluster } from './cluster.ts'
import type { OperatorRecord } from './operator.ts'

type Partition = NonNullable<ReturnType<NonNullable<BrokerMachine['broker']>['services']['replicas']['partition']>>

/** How often the replicas are looked at, in virtual ms. */
const EVERY_MS = 100

/**
 * Looks at the replicas from outside while the cluster runs: counts elections and changes of the ISR, keeps
 * the states that the invariants are checked on, and compares the logs on the disks at the end.
 */
export class Observer {
  readonly #cluster: SimulatedCluster
  readonly #states: ReplicaState[] = []
  readonly #lastText = new Map<string, string>()
  readonly #epochs = new Map<string, number>()
  readonly #isrs = new Map<string, string>()
  readonly #highestAcknowledged: (partition: string) => number
  readonly #faults = new Set<string>()
  #stopped = false

  /** `highestAcknowledged` tells the highest offset of a partition that a client heard to be committed, or -1. */
  constructor(cluster: SimulatedCluster, highestAcknowledged: (partition: string) => number) {
    this.#cluster = cluster
    this.#highestAcknowledged = highestAcknowledged
  }

  start(): void {
    const look = (): void => {
      if (this.#stopped) return
      for (const machine of this.#cluster.brokers) this.#look(machine)
      this.#lookAtIsrs()
      this.#cluster.world.after(EVERY_MS, look)
    }
    look()
  }

  /** What did not hold, of the states seen and of the logs as they are now. */
  finish(): string[] {
    this.#stopped = true
    return [...this.#faults, ...checkReplicaStates(this.#states), ...checkReplicaContents(this.#contents())]
  }

  /** Those of these records that the leaders of now do not have, though they should. A topic that was deleted has taken its own along. */
  lostOf(records: readonly OperatorRecord[]): { acks: number; what: string }[] {
    const stored = new Map<string, { start: number; values: Map<number, string> }>()
    for (const { broker, process } of this.#cluster.brokers)
      for (const replica of broker?.services.replicas.partitions ?? [])
        if (replica.isLeader && replica.log !== null)
          stored.set(`${replica.topicId} ${replica.partition}`, {
            start: replica.log.logStartOffset,
            values: valuesOnDisk(process.disk, replica.log.folder),
          })
    return records.flatMap(({ topic, topicId, partition, offset, value, acks }) => {
      const found = stored.get(`${topicId} ${partition}`)
      if (found === undefined || offset < found.start || found.values.get(offset) === value) return []
      const instead = found.values.get(offset) ?? 'nothing'
      return [
        { acks, what: `${topic}-${partition}: ${value} was acknowledged at offset ${offset}, where ${instead} is` },
      ]
    })
  }

  #look({ id, broker, lives, process }: BrokerMachine): void {
    if (broker === null || !process.isRunning) return
    for (const partition of broker.services.replicas.partitions) {
      const { log } = partition
      if (log === null || log.isOffline) continue
      const name = keyOf(partition)
      const state: ReplicaState = {
        atMs: this.#cluster.world.nowMs,
        broker: id,
        life: lives,
        partition: name,
        leaderEpoch: partition.leaderEpoch,
        logStartOffset: log.logStartOffset,
        highWatermark: log.highWatermark,
        lastStableOffset: log.lastStableOffset,
        logEndOffset: log.logEndOffset,
        nextOffset: log.nextOffset,
        leader: partition.isLeader
          ? { isr: [...partition.isr].sort((a, b) => a - b), replicas: partition.replicas }
          : null,
      }
      this.#note(state)
    }
  }

  /**
   * Every member of an ISR has every record that a client heard to be committed: whichever of them leads next, nothing
   * is lost. The ISR is the one that the leader of the latest epoch knows; a deposed leader may be wrong about it.
   */
  #lookAtIsrs(): void {
    const leaders = new Map<string, Partition>()
    for (const { broker } of this.#cluster.brokers) {
      for (const replica of broker?.services.replicas.partitions ?? []) {
        const name = keyOf(replica)
        const latest = leaders.get(name)
        if (latest === undefined || replica.leaderEpoch > latest.leaderEpoch) leaders.set(name, replica)
        else if (replica.leaderEpoch === latest.leaderEpoch && replica.isLeader) leaders.set(name, replica)
      }
    }
    for (const [name, leader] of leaders) {
      const acknowledged = this.#highestAcknowledged(`${leader.topic}-${leader.partition}`)
      if (!leader.isLeader || acknowledged < 0 || leader.leaderEpoch < this.#epochs.get(name)!) continue
      for (const { id, broker } of this.#cluster.brokers) {
        const log = broker?.services.replicas.partition(leader.topic, leader.partition)?.log
        if (!leader.isr.has(id) || !log || log.isOffline || log.logEndOffset > acknowledged) continue
        this.#faults.add(
          `${name}: broker ${id} is in the ISR of epoch ${leader.leaderEpoch} and lacks acknowledged records`,
        )
      }
    }
  }

  /** Replicas that are not in the ISR that their leader knows, and partitions that nobody leads. */
  outOfSync(): string[] {
    const missing = new Map<string, string>()
    for (const { broker } of this.#cluster.brokers)
      for (const replica of broker?.services.replicas.partitions ?? []) {
        const { leaderEpoch, isLeader, isr, replicas } = replica
        const name = keyOf(replica)
        if (!isLeader || leaderEpoch < this.#epochs.get(name)!) {
          if (!missing.has(name)) missing.set(name, `${name} has no leader`)
          continue
        }
        const away = replicas.filter((id) => !isr.has(id))
        missing.set(
          name,
          away.length === 0 ? '' : `${name}: ${away.join()} stays out of the ISR of epoch ${leaderEpoch}`,
        )
      }
    return [...missing.values()].filter((what) => what !== '')
  }

  #note(state: ReplicaState): void {
    const { partition, leaderEpoch, leader, broker } = state
    const text = JSON.stringify({ ...state, atMs: 0 })
    const slot = `${broker} ${partition}`
    if (this.#lastText.get(slot) === text) return
    this.#lastText.set(slot, text)
    this.#states.push(state)
    const { counters } = this.#cluster
    const epoch = this.#epochs.get(partition)
    if (epoch === undefined || leaderEpoch > epoch) {
      this.#epochs.set(partition, leaderEpoch)
      if (epoch !== undefined) counters.elections += 1
    }
    if (leader === null || leaderEpoch < (epoch ?? 0)) return
    const isr = leader.isr.join()
    const before = this.#isrs.get(partition)
    if (before !== undefined && before !== isr) counters.isrChanges += 1
    this.#isrs.set(partition, isr)
  }

  #contents(): ReplicaContent[] {
    const contents: ReplicaContent[] = []
    for (const { id, broker, process } of this.#cluster.brokers) {
      if (broker === null) continue
      for (const partition of broker.services.replicas.partitions) {
        const { log } = partition
        if (log === null || log.isOffline) continue
        contents.push({
          broker: id,
          partition: `${partition.topic}-${partition.partition}`,
          logStartOffset: log.logStartOffset,
          highWatermark: log.highWatermark,
          logEndOffset: log.logEndOffset,
          inIsr: this.#isInIsr(partition.topic, partition.partition, id),
          batches: batchesOnDisk(process.disk, log.folder),
        })
      }
    }
    return contents
  }

  #isInIsr(topic: string, partition: number, id: number): boolean {
    for (const { broker } of this.#cluster.brokers) {
      const replica = broker?.services.replicas.partition(topic, partition)
      if (replica?.isLeader) return replica.isr.has(id)
    }
    return false
  }
}

function batchesOnDisk(disk: SimulatedDisk, folder: string): ReplicaContent['batches'] {
  return segmentsOnDisk(disk, folder).flatMap((content) =>
    [...batchesOf(content)].map((batch) => ({
      baseOffset: batch.baseOffset,
      lastOffset: batch.lastOffset,
      crc: crc32(batch.toBytes()),
    })),
  )
}

/** A topic that was made anew under its name is another one. */
function keyOf({ topic, partition, topicId }: Partition): string {
  return `${topic}-${partition} (${topicId})`
}

/** By offset. */
function valuesOnDisk(disk: SimulatedDisk, folder: string): Map<number, string> {
  const values = new Map<number, string>()
  for (const content of segmentsOnDisk(disk, folder))
    for (const batch of batchesOf(content))
      for (const { offset, value } of batch.records(RECORDS_BYTES_MAX)) {
        const text = decodeUtf8(value!, 0, value!.length)
        values.set(offset, text.slice(0, text.indexOf(' ')))
      }
  return values
}

const RECORDS_BYTES_MAX = 10_000_000

function segmentsOnDisk(disk: SimulatedDisk, folder: string): Uint8Array[] {
  const directory = disk.find(folder)
  if (directory?.kind !== 'directory') return []
  const segments = [...directory.entries].filter(([name]) => name.endsWith('.log')).sort(([a], [b]) => (a < b ? -1 : 1))
  return segments.map(([, node]) => {
    const file = node as DiskFile
    const content = new Uint8Array(file.size)
    disk.read(file, content, 0)
    return content
  })
}
