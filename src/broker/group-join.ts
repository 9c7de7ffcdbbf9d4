/** Joins the group coordinator to its log: the partitions of `__consumer_offsets` that this broker leads. */
import type { AppendOutcome, CoordinatorLog } from '#coordinator'
import { GroupCoordinator } from '#coordinator/group'
import type { Platform } from '#platform'
import { ErrorCode } from '#protocol'
import { batchesOf } from '#protocol/records'
import type { ReplicaManager } from '#replication'

import type { BrokerConfig } from './config/index.ts'
import { GROUP_METADATA_TOPIC } from './internal-topics.ts'
import type { MetadataCache } from './metadata-cache.ts'

const MINUTE_MS = 60_000

export function joinGroupCoordinator(
  platform: Platform,
  config: BrokerConfig,
  metadata: MetadataCache,
  replicas: ReplicaManager,
): GroupCoordinator {
  return new GroupCoordinator({
    clock: platform.clock,
    random: platform.random,
    logger: platform.logger.named('groups'),
    log: new GroupMetadataLog(replicas, config),
    partitionCount: () =>
      metadata.image.topic(GROUP_METADATA_TOPIC)?.partitions.size ?? config.offsetsTopicNumPartitions,
    config: {
      minSessionTimeoutMs: config.groupMinSessionTimeoutMs,
      maxSessionTimeoutMs: config.groupMaxSessionTimeoutMs,
      groupMaxSize: config.groupMaxSize,
      initialRebalanceDelayMs: config.groupInitialRebalanceDelayMs,
      offsetMetadataMaxBytes: config.offsetMetadataMaxBytes,
      offsetsRetentionMs: config.offsetsRetentionMinutes * MINUTE_MS,
      offsetsRetentionCheckIntervalMs: config.offsetsRetentionCheckIntervalMs,
    },
  })
}

class GroupMetadataLog implements CoordinatorLog {
  readonly #replicas: ReplicaManager
  readonly #config: BrokerConfig

  constructor(replicas: ReplicaManager, config: BrokerConfig) {
    this.#replicas = replicas
    this.#config = config
  }

  async append(partition: number, leaderEpoch: number, batch: Uint8Array): Promise<AppendOutcome> {
    if (!this.#leads(partition, leaderEpoch)) return { errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER, baseOffset: -1 }
    const [result] = await this.#replicas.appendRecords({
      acks: -1,
      timeoutMs: this.#config.offsetsCommitTimeoutMs,
      origin: 'coordinator',
      internalTopicsAllowed: true,
      entries: [{ topic: GROUP_METADATA_TOPIC, partition, records: batch }],
    })
    return { errorCode: result!.errorCode, baseOffset: result!.baseOffset }
  }

  async *read(partition: number, leaderEpoch: number): AsyncIterable<Uint8Array> {
    const log = this.#replicas.partition(GROUP_METADATA_TOPIC, partition)?.log
    if (log == null || !this.#leads(partition, leaderEpoch)) throw new Error(`partition ${partition} is not led here`)
    // What this broker fetched last as a follower may still be on its way to the file.
    await log.settle()
    let offset = log.logStartOffset
    while (offset < log.logEndOffset) {
      if (!this.#leads(partition, leaderEpoch)) throw new Error(`partition ${partition} is no longer led here`)
      const read = await log.read({
        offset,
        maxBytes: this.#config.offsetsLoadBufferSize,
        upTo: log.logEndOffset,
        minOneBatch: true,
      })
      try {
        for (const batch of batchesOf(read.records)) offset = batch.nextOffset
        yield read.records
      } finally {
        read.hold?.release()
      }
      if (read.records.length === 0) return
    }
  }

  async confirm(partition: number, leaderEpoch: number): Promise<boolean> {
    if (!this.#leads(partition, leaderEpoch)) return false
    const led = this.#replicas.partition(GROUP_METADATA_TOPIC, partition)!
    return (await led.proveLeadership(this.#config.offsetsCommitTimeoutMs)) && this.#leads(partition, leaderEpoch)
  }

  #leads(partition: number, leaderEpoch: number): boolean {
    const led = this.#replicas.partition(GROUP_METADATA_TOPIC, partition)
    return led !== null && led.isLeader && led.leaderEpoch === leaderEpoch
  }
}
