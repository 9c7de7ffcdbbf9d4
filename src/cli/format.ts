/**
 * How a record is printed: kcat's format string, or a line of JSON. Pure.
 *
 *     %s value   %S its bytes (-1: null)   %R the same as four bytes, big-endian
 *     %k key     %K its bytes (-1: null)   %h headers, as name=value with commas between them
 *     %t topic   %p partition   %o offset  %T timestamp in ms (-1: none)   %% a percent sign
 *     \n \r \t   \xHH a byte in hexadecimal   \N a byte in decimal, \0N in octal   \\ a backslash
 *
 * As in kcat nothing is added at the end: a line needs its \n. Of what kcat does not document: null and empty look alike in %s, %k
 * and %h unless there is a text for null.
 */
import { isUtf8 } from 'node:buffer'

import type { ConsumerRecord } from '#client'

import type { OutputBuffer } from './output-buffer.ts'
import { UserError } from './user-error.ts'

export type PrintableRecord = Pick<
  ConsumerRecord,
  'topic' | 'partition' | 'offset' | 'timestampExact' | 'key' | 'value' | 'valueBytes' | 'copyValue' | 'headers'
>

export type RecordFormat = (record: PrintableRecord, out: OutputBuffer) => void

export interface FormatOptions {
  /** Printed for a null value, key or header; nothing is if left out. */
  readonly nullText?: string
}

const FIELDS = {
  s: (record, out, nullText) => {
    if (record.valueBytes < 0) out.text(nullText)
    else out.value(record)
  },
  S: ({ valueBytes }, out) => out.text(String(valueBytes)),
  R: ({ valueBytes }, out) => out.int32(valueBytes),
  k: ({ key }, out, nullText) => putContent(key, out, nullText),
  K: ({ key }, out) => out.text(String(sizeOf(key))),
  t: ({ topic }, out) => out.text(topic),
  p: ({ partition }, out) => out.text(String(partition)),
  o: ({ offset }, out) => out.text(String(offset)),
  T: ({ timestampExact }, out) => out.text(String(timestampExact)),
  h: putHeaders,
} satisfies Record<string, (record: PrintableRecord, out: OutputBuffer, nullText: string) => void>

/** Throws `UserError` for a format that is none. */
export function parseFormat(format: string, { nullText = '' }: FormatOptions = {}): RecordFormat {
  const parts = Array.from(partsOf(format), (part): RecordFormat => {
    if (typeof part !== 'string') return (_record, out) => out.bytes(part)
    const put = FIELDS[part as keyof typeof FIELDS]
    return (record, out) => put(record, out, nullText)
  })
  return (record, out) => {
    for (const put of parts) put(record, out)
  }
}

/** One line of JSON per record. Bytes that are not UTF-8 are an object: `{"base64": "…"}`. */
export const jsonFormat: RecordFormat = ({ topic, partition, offset, timestampExact, key, value, headers }, out) => {
  const line = {
    topic,
    partition,
    offset,
    timestamp: Number(timestampExact),
    key: jsonContent(key),
    value: jsonContent(value),
    headers: headers.map((header) => ({ key: header.key, value: jsonContent(header.value) })),
  }
  out.text(`${JSON.stringify(line)}\n`)
}

/** Letters of fields, and the bytes between them. */
function* partsOf(format: string): Generator<string | Uint8Array> {
  const pattern = /%(?<field>.?)|(?<text>(?:\\[^]|[^%])+)/guy
  for (const { groups } of format.matchAll(pattern)) {
    const { field, text } = groups!
    if (text !== undefined) yield unescape(text)
    else if (field === '%') yield Buffer.from('%')
    else if (field !== undefined && Object.hasOwn(FIELDS, field)) yield field
    else
      throw new UserError(
        `--format: %${field} is none of ${[...Object.keys(FIELDS), '%'].map((f) => `%${f}`).join(' ')}`,
      )
  }
}

const ESCAPE = /\\(?:x(?<hex>[0-9A-Fa-f]{1,2})|0(?<octal>[0-7]{1,3})|(?<decimal>\d{1,3})|(?<letter>[^]))/gu
const LETTERS: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }

function unescape(text: string): Uint8Array {
  const chunks: Uint8Array[] = []
  let end = 0
  for (const { 0: whole, index, groups } of text.matchAll(ESCAPE)) {
    chunks.push(Buffer.from(text.slice(end, index)), escaped(groups!))
    end = index + whole.length
  }
  chunks.push(Buffer.from(text.slice(end)))
  return Buffer.concat(chunks)
}

function escaped({ hex, octal, decimal, letter }: Record<string, string | undefined>): Uint8Array {
  if (letter !== undefined) return Buffer.from(LETTERS[letter] ?? letter)
  const byte =
    hex === undefined ? (octal === undefined ? Number(decimal) : Number.parseInt(octal, 8)) : Number.parseInt(hex, 16)
  if (byte > 255) throw new UserError(`--format: \\${octal ?? decimal} is no byte, which goes up to 255`)
  return Uint8Array.of(byte)
}

function sizeOf(content: Uint8Array | null): number {
  return content?.length ?? -1
}

function putContent(content: Uint8Array | null, out: OutputBuffer, nullText: string): void {
  if (content === null) out.text(nullText)
  else out.bytes(content)
}

function putHeaders({ headers }: PrintableRecord, out: OutputBuffer, nullText: string): void {
  headers.forEach(({ key, value }, index) => {
    out.text(`${index === 0 ? '' : ','}${key}=`)
    putContent(value, out, nullText)
  })
}

function jsonContent(content: Uint8Array | null): string | { base64: string } | null {
  if (content === null) return null
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length)
  return isUtf8(bytes) ? bytes.toString('utf8') : { base64: bytes.toString('base64') }
}
