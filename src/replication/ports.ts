/** What replication needs from the rest of the house; `broker` joins it, tests and the simulation fake it. */
import type { AlterPartitionRequestInput, AlterPartitionResponse } from '#protocol/messages/alter-partition'
import type { FetchRequestInput, FetchResponse } from '#protocol/messages/fetch'
import type { ListOffsetsRequestInput, ListOffsetsResponse } from '#protocol/messages/list-offsets'
import type {
  OffsetForLeaderEpochRequestInput,
  OffsetForLeaderEpochResponse,
} from '#protocol/messages/offset-for-leader-epoch'
import type { LogConfig } from '#storage'

/** A broker's address on the listener that brokers use among themselves. */
export interface BrokerEndpoint {
  readonly id: number
  readonly host: string
  readonly port: number
}

/**
 * One connection to a leader broker, as its follower uses it: one request at a time. A promise rejects when the
 * connection fails or the answer does not come in time; the next call connects anew.
 */
export interface LeaderEndpoint {
  /**
   * A request that names itself by `replicaState` goes by topic ids (version 13 and later); one with `replicaId` goes
   * by names, since some topic has no id. `records` of the answer must stay as they are until the next `fetch`.
   */
  fetch(request: FetchRequestInput): Promise<FetchResponse>
  listOffsets(request: ListOffsetsRequestInput): Promise<ListOffsetsResponse>
  offsetForLeaderEpoch(request: OffsetForLeaderEpochRequestInput): Promise<OffsetForLeaderEpochResponse>
  /** Drops the connection; a pending call rejects. */
  close(): void
}

/** Opens endpoints: one per source broker and fetcher; nothing connects before the first call. */
export interface LeaderConnector {
  endpoint(leader: BrokerEndpoint, fetcherId: number): LeaderEndpoint
}

/** Sends to the active controller. Rejects when there is none or it cannot be reached; then it is tried again. */
export interface AlterPartitionSender {
  /** A request with `newIsrWithEpochs` goes by topic ids (version 3); one with `newIsr` by names, since some topic has no id (version 1). */
  send(request: AlterPartitionRequestInput): Promise<AlterPartitionResponse>
}

/** The cluster as the broker last heard of it from the controller. */
export interface MetadataView {
  /** The live broker's address for brokers, or null when it is not alive. */
  aliveBroker(id: number): BrokerEndpoint | null
  /** The rack of a live broker; null where it has none or is not alive. */
  rackOf(id: number): string | null
  /** Whether the topic has this partition at all; a request for another one is for an unknown partition. */
  hasPartition(topic: string, partition: number): boolean
}

/** A topic's configuration in force: the topic's own over the broker's. */
export interface TopicConfigs {
  of(topic: string): LogConfig
}

/**
 * What others want to hear about partitions, called synchronously when the change has been made. An exception
 * in one is logged and holds up nothing.
 */
export interface ReplicationEvents {
  /** This broker leads the partition in a new leader epoch; coordinators load now. */
  onLeader?(topic: string, partition: number, leaderEpoch: number): void
  /** This broker follows, or holds no replica any more (null); coordinators unload. */
  onFollower?(topic: string, partition: number, leaderEpoch: number | null): void
  /** The high watermark of a partition that is led here has moved. */
  onHighWatermark?(topic: string, partition: number, highWatermark: number): void
  /** A log directory has failed; its partitions are offline. `remaining` directories still work. */
  onDirectoryFailure?(path: string, remaining: number): void
}
