/** A line of input as the record that it means. Pure. */
import type { Content, ProducerRecord } from '#client/producer'

export interface LineOptions {
  /** What stands between key and value; null: the whole line is the value. A line without it has no key. */
  readonly keyDelimiter: string | null
  /** `name=value`, or `name` alone for a header without a value; the same for each record. */
  readonly headers: readonly string[]
  readonly partition: number | undefined
  /** An empty key or value is null: of a value, a tombstone. */
  readonly emptyIsNull: boolean
}

export type LineReader = (line: Uint8Array) => ProducerRecord

export function lineReader({ keyDelimiter, headers, partition, emptyIsNull }: LineOptions): LineReader {
  const delimiter = keyDelimiter === null ? null : Buffer.from(keyDelimiter)
  const common = headers.length === 0 ? undefined : headers.map(headerOf)
  const content = (bytes: Uint8Array): Content => (emptyIsNull && bytes.length === 0 ? null : bytes)
  return (line) => {
    const at = delimiter === null ? -1 : bufferOf(line).indexOf(delimiter)
    const key = at < 0 ? null : content(line.subarray(0, at))
    const value = content(at < 0 ? line : line.subarray(at + delimiter!.length))
    return { key, value, headers: common, partition }
  }
}

function headerOf(text: string): { key: string; value: Content } {
  const equals = text.indexOf('=')
  return equals < 0 ? { key: text, value: null } : { key: text.slice(0, equals), value: text.slice(equals + 1) }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
