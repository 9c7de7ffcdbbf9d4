import { MalformedBytesError } from '#base'
import { FileError } from '#platform'
import { ErrorCode } from '#protocol'
import type { Log } from '#storage'

/** What is answered for a partition whose log could not be read; null: that is no fault of the disk, but ours. */
export function readErrorCode(log: Log, error: unknown): number | null {
  if (log.isOffline || error instanceof FileError) return ErrorCode.KAFKA_STORAGE_ERROR
  return error instanceof MalformedBytesError ? ErrorCode.CORRUPT_MESSAGE : null
}
