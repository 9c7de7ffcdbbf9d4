/** A record as the user gives it, and as the batch takes it. */
import { encodeUtf8, utf8Length } from '#base'
import { BATCH_HEADER_BYTES, type NewRecord } from '#protocol/records'

import { KafkaError, described } from '../errors.ts'

/** Text goes out as UTF-8. */
export type Content = Uint8Array | string | null

export interface ProducerRecord {
  readonly key?: Content | undefined
  /** Null is a tombstone: compaction removes the key. */
  readonly value: Content
  readonly headers?: ProducerHeaders | undefined
  /** In ms since the epoch; the time of `send` if left out. */
  readonly timestamp?: number | undefined
  /** Pins the record to a partition. */
  readonly partition?: number | undefined
}

/** By name, or as a list where a name occurs several times or the order matters. */
export type ProducerHeaders = Readonly<Record<string, Content>> | readonly Readonly<{ key: string; value: Content }>[]

/** What a record takes besides key, value and headers, at most: its length, attributes, timestamp and offset delta. */
const RECORD_OVERHEAD_BYTES_MAX = 21
const LENGTH_BYTES_MAX = 5
const NO_HEADERS: readonly { key: string; value: Uint8Array | null }[] = []

/** For callers without types. Throws `KafkaError`. */
export function checkRecord(record: ProducerRecord): void {
  if (typeof record !== 'object' || record === null)
    throw new KafkaError(`a record is an object such as { key, value }, and not ${described(record)}`)
  const { timestamp } = record
  if (timestamp !== undefined && !Number.isSafeInteger(timestamp))
    throw new KafkaError(
      `a record's timestamp is a whole number of ms since the epoch, and not ${described(timestamp)}`,
    )
}

export function encodeRecord(record: ProducerRecord, timestamp: number): NewRecord & { timestamp: number } {
  const { key, value, headers } = record
  return {
    timestamp,
    key: key === undefined ? null : bytesOf(key, 'key'),
    value: bytesOf(value, 'value'),
    headers: headers === undefined ? NO_HEADERS : encodeHeaders(headers),
  }
}

/** Bytes of a batch that holds this record alone, at most. */
export function batchBytesMax({ key, value, headers = NO_HEADERS }: NewRecord): number {
  let bytes = BATCH_HEADER_BYTES + RECORD_OVERHEAD_BYTES_MAX + 3 * LENGTH_BYTES_MAX
  bytes += (key?.length ?? 0) + (value?.length ?? 0)
  for (const header of headers) bytes += 2 * LENGTH_BYTES_MAX + utf8Length(header.key) + (header.value?.length ?? 0)
  return bytes
}

function bytesOf(content: Content, what: string): Uint8Array | null {
  if (typeof content === 'string') return encodeUtf8(content)
  if (content === null || content instanceof Uint8Array) return content
  throw new KafkaError(`a record's ${what} is bytes, text or null, and not ${described(content)}`)
}

function encodeHeaders(headers: ProducerHeaders): { key: string; value: Uint8Array | null }[] {
  const list = Array.isArray(headers)
    ? (headers as readonly { key: string; value: Content }[])
    : Object.entries(headers as Record<string, Content>).map(([key, value]) => ({ key, value }))
  return list.map(({ key, value }) => ({ key, value: bytesOf(value, `header ${key}`) }))
}
