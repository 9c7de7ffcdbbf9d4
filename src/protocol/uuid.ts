/** A uuid is written as its sixteen bytes in base64url, 22 characters: as in znodes and in Kafka's tools. */
export const ZERO_UUID = 'AAAAAAAAAAAAAAAAAAAAAA'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const DIGIT_OF = digitTable()

/**
 * Uuids repeat from request to request. Those seen lately are kept, so that the same bytes give the same
 * string object, whose hash is known when it comes to a lookup. A slot holds the last uuid that fell into it.
 */
const SLOTS = 1024
const words = new Int32Array(SLOTS * 4)
const texts: string[] = Array.from({ length: SLOTS }, () => ZERO_UUID)

export function uuidAt(view: DataView, at: number): string {
  const a = view.getInt32(at)
  const b = view.getInt32(at + 4)
  const c = view.getInt32(at + 8)
  const d = view.getInt32(at + 12)
  const slot = (a ^ b ^ c ^ d) & (SLOTS - 1)
  const base = slot * 4
  if (words[base] === a && words[base + 1] === b && words[base + 2] === c && words[base + 3] === d) return texts[slot]!
  words[base] = a
  words[base + 1] = b
  words[base + 2] = c
  words[base + 3] = d
  return (texts[slot] = formatUuid(view, at))
}

function formatUuid(view: DataView, at: number): string {
  let text = ''
  for (let group = 0; group < 15; group += 3) {
    const bits = (view.getUint16(at + group) << 8) | view.getUint8(at + group + 2)
    text += ALPHABET[bits >> 18]! + ALPHABET[(bits >> 12) & 63]! + ALPHABET[(bits >> 6) & 63]! + ALPHABET[bits & 63]!
  }
  const last = view.getUint8(at + 15)
  return text + ALPHABET[last >> 2]! + ALPHABET[(last & 3) << 4]!
}

export function isUuid(text: string): boolean {
  return /^[\w-]{21}[AQgw]$/.test(text)
}

export function uuidToBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(16)
  putUuid(new DataView(bytes.buffer), 0, text)
  return bytes
}

/** Characters outside the alphabet count as zero: check with `isUuid` what people have typed. */
export function putUuid(view: DataView, at: number, text: string): void {
  for (let group = 0, digits = 0; group < 15; group += 3, digits += 4) {
    const high = (digit(text, digits) << 10) | (digit(text, digits + 1) << 4) | (digit(text, digits + 2) >> 2)
    view.setUint16(at + group, high)
    view.setUint8(at + group + 2, (digit(text, digits + 2) << 6) | digit(text, digits + 3))
  }
  view.setUint8(at + 15, (digit(text, 20) << 2) | (digit(text, 21) >> 4))
}

export function uuidFromBytes(bytes: Uint8Array): string {
  return formatUuid(new DataView(bytes.buffer, bytes.byteOffset, 16), 0)
}

function digit(text: string, at: number): number {
  return DIGIT_OF[text.charCodeAt(at)] ?? 0
}

function digitTable(): Uint8Array {
  const table = new Uint8Array(128)
  for (let value = 0; value < ALPHABET.length; value++) table[ALPHABET.charCodeAt(value)] = value
  return table
}
