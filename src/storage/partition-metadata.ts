/** `partition.metadata`: which topic, by id, a partition's folder belongs to. */
import { MalformedBytesError, decodeUtf8, encodeUtf8 } from '#base'
import { joinPath, type FileSystem } from '#platform'

import { PARTITION_METADATA_FILE } from './names.ts'

export function encodePartitionMetadata(topicId: string): Uint8Array {
  return encodeUtf8(`version: 0\ntopic_id: ${topicId}`)
}

/** Null when there is no such file. Throws `MalformedBytesError` for one that says something else. */
export function readPartitionMetadata(files: FileSystem, folder: string): string | null {
  const path = joinPath(folder, PARTITION_METADATA_FILE)
  if (!files.exists(path)) return null
  const bytes = files.readFile(path)
  const match = /^version: 0\s*\ntopic_id: ([A-Za-z0-9_-]{22})\s*$/.exec(decodeUtf8(bytes, 0, bytes.length))
  if (match === null) throw new MalformedBytesError(`${path} names no topic id`)
  return match[1]!
}
