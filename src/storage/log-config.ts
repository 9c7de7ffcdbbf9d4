/**
 * A topic's configuration as the log and its replicas use it: the typed form of Kafka's topic settings, with
 * the defaults of 3.9. Texts are parsed and checked by the broker's configuration; nothing here reads a text.
 */
export interface LogConfig {
  readonly cleanupPolicy: readonly CleanupPolicy[]
  /** `producer` keeps what the producer chose; anything else is what the leader rewrites batches to. */
  readonly compressionType: CompressionType
  readonly compressionGzipLevel: number
  readonly compressionLz4Level: number
  readonly compressionZstdLevel: number
  readonly deleteRetentionMs: number
  /** How long a deleted segment's file stays on disk under its `.deleted` name. */
  readonly fileDeleteDelayMs: number
  /** A sync is due when this many records are unsynced; it then counts before the append does. `UNLIMITED`: never. */
  readonly flushMessages: number
  /** A sync is due when the oldest unsynced record is this old. `UNLIMITED`: never. */
  readonly flushMs: number
  /** Replicas whose fetching, or feeding, is slowed (KIP-73): `partition:broker`, or `*`. */
  readonly followerThrottledReplicas: readonly string[]
  readonly leaderThrottledReplicas: readonly string[]
  readonly indexIntervalBytes: number
  readonly maxCompactionLagMs: number
  /** Largest record batch that a client may append, in bytes. */
  readonly maxMessageBytes: number
  readonly messageDownconversionEnable: boolean
  readonly messageTimestampType: TimestampType
  readonly messageTimestampBeforeMaxMs: number
  readonly messageTimestampAfterMaxMs: number
  readonly minCleanableDirtyRatio: number
  readonly minCompactionLagMs: number
  readonly minInsyncReplicas: number
  readonly preallocate: boolean
  /** −1: no bound. */
  readonly retentionBytes: number
  /** −1: no bound. */
  readonly retentionMs: number
  /** Bytes at which a segment is full; below 2^31, since positions in it are int32. */
  readonly segmentBytes: number
  readonly segmentIndexBytes: number
  readonly segmentJitterMs: number
  readonly segmentMs: number
  readonly uncleanLeaderElectionEnable: boolean
}

export type CleanupPolicy = 'delete' | 'compact'
export type CompressionType = 'producer' | 'uncompressed' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
export type TimestampType = 'CreateTime' | 'LogAppendTime'

/** Kafka's Long.MAX_VALUE where it means "never" or "no bound". */
export const UNLIMITED = Number.POSITIVE_INFINITY

const HOUR_MS = 3_600_000

export const DEFAULT_LOG_CONFIG: LogConfig = {
  cleanupPolicy: ['delete'],
  compressionType: 'producer',
  compressionGzipLevel: -1,
  compressionLz4Level: 9,
  compressionZstdLevel: 3,
  deleteRetentionMs: 24 * HOUR_MS,
  fileDeleteDelayMs: 60_000,
  flushMessages: UNLIMITED,
  flushMs: UNLIMITED,
  followerThrottledReplicas: [],
  leaderThrottledReplicas: [],
  indexIntervalBytes: 4096,
  maxCompactionLagMs: UNLIMITED,
  maxMessageBytes: 1_048_588,
  messageDownconversionEnable: true,
  messageTimestampType: 'CreateTime',
  messageTimestampBeforeMaxMs: UNLIMITED,
  messageTimestampAfterMaxMs: UNLIMITED,
  minCleanableDirtyRatio: 0.5,
  minCompactionLagMs: 0,
  minInsyncReplicas: 1,
  preallocate: false,
  retentionBytes: -1,
  retentionMs: 168 * HOUR_MS,
  segmentBytes: 1_073_741_824,
  segmentIndexBytes: 10_485_760,
  segmentJitterMs: 0,
  segmentMs: 168 * HOUR_MS,
  uncleanLeaderElectionEnable: false,
}

export function logConfig(overrides: Partial<LogConfig> = {}): LogConfig {
  return { ...DEFAULT_LOG_CONFIG, ...overrides }
}

export function isCompacted(config: LogConfig): boolean {
  return config.cleanupPolicy.includes('compact')
}
