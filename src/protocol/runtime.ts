/** What compiled codecs call: everything that is longer than a line. */
import { type ByteReader, ByteWriter, setInt64, utf8Length } from '#base'

import { STRING_BYTES_MAX } from './schema.ts'
import { putUuid, uuidAt } from './uuid.ts'

/** A varint of any length. Returns -1 if it is malformed, and otherwise leaves the reader behind it. */
export function varint(reader: ByteReader, at: number): number {
  const { bytes, end } = reader
  let value = 0
  for (let shift = 0, next = at; shift < 35; shift += 7) {
    if (next >= end) return -1
    const byte = bytes[next++]!
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) {
      reader.position = next
      return value >>> 0
    }
  }
  return -1
}

/** Passes over a tag section of which no tag is known. Returns where it ends, or -1 if it is malformed. */
export function passTags(reader: ByteReader, at: number): number {
  let count = varint(reader, at)
  for (let previous = -1; count > 0; count--) {
    const tag = varint(reader, reader.position)
    if (tag <= previous) return -1
    previous = tag
    const size = varint(reader, reader.position)
    if (size < 0 || size > reader.remaining) return -1
    reader.position += size
  }
  return count < 0 ? -1 : reader.position
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * Short texts (names of topics, hosts, groups) repeat from request to request. Those seen lately are kept,
 * so that the same bytes give the same string object, whose hash is known when it comes to a lookup.
 * A slot holds the last text that fell into it, so a hostile client can make this useless, never large.
 */
const KEPT_TEXT_BYTES_MAX = 48
const KEPT_TEXT_SLOTS = 2048
const keptBytes = new Uint8Array(KEPT_TEXT_SLOTS * KEPT_TEXT_BYTES_MAX)
const keptTexts: string[] = Array.from({ length: KEPT_TEXT_SLOTS }, () => '')
const keptLengths = new Uint8Array(KEPT_TEXT_SLOTS)

export function text(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start
  if (length === 0) return ''
  if (length > KEPT_TEXT_BYTES_MAX) return decoder.decode(bytes.subarray(start, end))
  let hash = length
  for (let at = start; at < end; at++) hash = Math.imul(hash, 31) + bytes[at]!
  const slot = (hash ^ (hash >>> 15)) & (KEPT_TEXT_SLOTS - 1)
  const kept = slot * KEPT_TEXT_BYTES_MAX
  if (keptLengths[slot] === length) {
    let index = 0
    while (index < length && keptBytes[kept + index] === bytes[start + index]) index++
    if (index === length) return keptTexts[slot]!
  }
  const view = bytes.subarray(start, end)
  keptBytes.set(view, kept)
  keptLengths[slot] = length
  return (keptTexts[slot] = decoder.decode(view))
}

/** An array of its own costs some hundred bytes: a frame must not buy so many of them for one byte each. */
const EMPTY_BYTES = new Uint8Array(0)

/** A copy that outlives the frame. */
export function copy(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return start === end ? EMPTY_BYTES : new Uint8Array(bytes.subarray(start, end))
}

/** False if the text is too long for Kafka. */
export function writeString(writer: ByteWriter, value: string): boolean {
  const length = utf8Length(value)
  if (length > STRING_BYTES_MAX) return false
  const at = writer.claim(2 + length)
  writer.view.setInt16(at, length)
  putText(writer.view, at + 2, value, length)
  return true
}

export function writeCompactString(writer: ByteWriter, value: string): boolean {
  const length = utf8Length(value)
  if (length > STRING_BYTES_MAX) return false
  if (length < 127) writer.int8(length + 1)
  else writer.unsignedVarint(length + 1)
  const at = writer.claim(length)
  putText(writer.view, at, value, length)
  return true
}

const encoder = new TextEncoder()

function putText(view: DataView, start: number, value: string, length: number): void {
  if (length === value.length) for (let at = 0; at < length; at++) view.setUint8(start + at, value.charCodeAt(at))
  else encoder.encodeInto(value, new Uint8Array(view.buffer, view.byteOffset + start, length))
}

export function writeBytes(writer: ByteWriter, value: Uint8Array | readonly Uint8Array[], flexible: boolean): void {
  const pieces = value instanceof Uint8Array ? [value] : value
  let length = 0
  for (const piece of pieces) length += piece.length
  if (flexible) writer.unsignedVarint(length + 1)
  else writer.int32(length)
  for (const piece of pieces) writer.bytes(piece)
}

export function writeUuid(writer: ByteWriter, value: string): void {
  const at = writer.claim(16)
  putUuid(writer.view, at, value)
}

/** The content of a tag is written apart, since its size comes before it. */
export function scratch(): ByteWriter {
  return new ByteWriter(64)
}

export function writeTag(writer: ByteWriter, tag: number, content: ByteWriter): void {
  writer.unsignedVarint(tag)
  writer.unsignedVarint(content.length)
  writer.bytes(content.toBytes())
}

export { putUuid, setInt64, uuidAt }
