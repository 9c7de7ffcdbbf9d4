/** File and folder names of a log directory, as Kafka has them. */
import { toHex } from '#base'

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export const LOG_SUFFIX = '.log'
export const INDEX_SUFFIX = '.index'
export const TIME_INDEX_SUFFIX = '.timeindex'
export const TRANSACTION_INDEX_SUFFIX = '.txnindex'
export const SNAPSHOT_SUFFIX = '.snapshot'
/** A file that waits for its deletion. */
export const DELETED_SUFFIX = '.deleted'
/** Output of the cleaner that is not complete. */
export const CLEANED_SUFFIX = '.cleaned'
/** Output of the cleaner that is complete and about to replace what it was made from. */
export const SWAP_SUFFIX = '.swap'

export const CLEAN_SHUTDOWN_FILE = '.kafka_cleanshutdown'
export const LOCK_FILE = '.lock'
export const META_PROPERTIES_FILE = 'meta.properties'
export const RECOVERY_POINT_FILE = 'recovery-point-offset-checkpoint'
export const LOG_START_OFFSET_FILE = 'log-start-offset-checkpoint'
export const HIGH_WATERMARK_FILE = 'replication-offset-checkpoint'
export const LEADER_EPOCH_FILE = 'leader-epoch-checkpoint'
export const PARTITION_METADATA_FILE = 'partition.metadata'

/** Linux's bound on a file name; a folder that is being deleted cuts its topic to fit. */
const NAME_BYTES_MAX = 255

/** `<topic>-<partition>`: the partition's folder, and its key wherever partitions are looked up by text. */
export function partitionName(topic: string, partition: number): string {
  return `${topic}-${partition}`
}

/** The partition that a folder holds, or null when the name is not a partition's. */
export function parsePartitionName(name: string): TopicPartition | null {
  const dash = name.lastIndexOf('-')
  const digits = name.slice(dash + 1)
  if (dash <= 0 || !/^\d+$/.test(digits)) return null
  return { topic: name.slice(0, dash), partition: Number(digits) }
}

/** `<topic>-<partition>.<32 hex digits>-delete`. */
export function deletedFolderName(name: string, unique: Uint8Array): string {
  const dash = name.lastIndexOf('-')
  const suffix = `${name.slice(dash)}.${toHex(unique)}-delete`
  return `${name.slice(0, Math.min(dash, NAME_BYTES_MAX - suffix.length))}${suffix}`
}

/** `<topic>-<partition>.<32 hex digits>-future`: a replica on its way to this directory from another one. */
export function futureFolderName(name: string, unique: Uint8Array): string {
  return `${name}.${toHex(unique)}-future`
}

/** `<topic>-<partition>.<32 hex digits>-stray`: a replica that is in the way, and kept for people to look at. */
export function strayFolderName(name: string, unique: Uint8Array): string {
  return `${name}.${toHex(unique)}-stray`
}

/** The partition whose replica is on its way in such a folder; null for any other. */
export function parseFutureFolder(name: string): TopicPartition | null {
  const match = /^(.+)\.[0-9a-f]{32}-future$/.exec(name)
  return match === null ? null : parsePartitionName(match[1]!)
}

export function isDeletedFolder(name: string): boolean {
  return /-\d+\.[0-9a-f]{32}-delete$/.test(name)
}

/** `%020d<suffix>`. */
export function segmentFileName(baseOffset: number, suffix: string): string {
  return `${String(baseOffset).padStart(20, '0')}${suffix}`
}

/** The base offset in a segment file's name, or null when the name is not one. */
export function baseOffsetOf(name: string): number | null {
  const match = /^(\d{20})\./.exec(name)
  return match === null ? null : Number(match[1])
}
