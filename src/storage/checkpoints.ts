/**
 * Kafka's checkpoint files, in text:
 *
 *     0                        version
 *     2                        number of entries
 *     orders 0 1734            topic partition offset     (offset checkpoints, one file per log directory)
 *     orders 1 988
 *
 * `leader-epoch-checkpoint` has the same frame with `epoch startOffset` in each entry.
 */
import { MalformedBytesError, decodeUtf8, encodeUtf8 } from '#base'
import type { FileSystem } from '#platform'

import type { EpochEntry } from './leader-epochs.ts'
import { partitionName } from './names.ts'

const VERSION = '0'

/** Offsets by `<topic>-<partition>`. */
export type OffsetCheckpoint = Map<string, number>

export interface OffsetCheckpointEntry {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** Empty when the file is missing; `MalformedBytesError` when it is not a checkpoint. */
export function readOffsetCheckpoint(files: FileSystem, path: string): OffsetCheckpoint {
  const offsets: OffsetCheckpoint = new Map()
  for (const [topic, partition, offset] of readEntries(files, path, 3))
    offsets.set(partitionName(topic!, numberIn(partition!)), numberIn(offset!))
  return offsets
}

export function encodeOffsetCheckpoint(entries: readonly OffsetCheckpointEntry[]): Uint8Array {
  return encodeCheckpoint(entries.map(({ topic, partition, offset }) => `${topic} ${partition} ${offset}`))
}

export function readEpochCheckpoint(files: FileSystem, path: string): EpochEntry[] {
  return readEntries(files, path, 2).map(([epoch, startOffset]) => ({
    epoch: numberIn(epoch!),
    startOffset: numberIn(startOffset!),
  }))
}

export function encodeEpochCheckpoint(entries: readonly EpochEntry[]): Uint8Array {
  return encodeCheckpoint(entries.map(({ epoch, startOffset }) => `${epoch} ${startOffset}`))
}

function encodeCheckpoint(lines: readonly string[]): Uint8Array {
  return encodeUtf8([VERSION, String(lines.length), ...lines, ''].join('\n'))
}

function readEntries(files: FileSystem, path: string, fields: number): string[][] {
  if (!files.exists(path)) return []
  const bytes = files.readFile(path)
  const lines = decodeUtf8(bytes, 0, bytes.length).split('\n')
  if (lines[0] !== VERSION) throw new MalformedBytesError(`${path}: version ${lines[0]} is not ${VERSION}`)
  const entries = lines.slice(2).filter((line) => line !== '')
  if (String(entries.length) !== lines[1])
    throw new MalformedBytesError(`${path}: announces ${lines[1]} entries and has ${entries.length}`)
  return entries.map((line) => {
    const parts = line.split(/\s+/)
    if (parts.length !== fields) throw new MalformedBytesError(`${path}: "${line}" has not ${fields} fields`)
    return parts
  })
}

function numberIn(text: string): number {
  if (!/^-?\d+$/.test(text)) throw new MalformedBytesError(`"${text}" is not a number`)
  return Number(text)
}
