import { encodeUtf8 } from '#base'

/** A znode's bytes are not what its path promises: somebody else wrote them, so the reader decides what to do without it. */
export class ZnodeFormatError extends Error {
  override name = 'ZnodeFormatError'
}

export type Json = Readonly<Record<string, unknown>>

const decoder = new TextDecoder('utf-8')

/** Compact JSON in the key order given, as Jackson writes it. */
export function toJsonBytes(value: Json): Uint8Array {
  return encodeUtf8(JSON.stringify(value))
}

export function textOf(data: Uint8Array | null): string {
  return data === null ? '' : decoder.decode(data)
}

export function parseObject(data: Uint8Array | null, what: string): Json {
  const text = textOf(data)
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value)) return value
  } catch (cause) {
    throw new ZnodeFormatError(`${what} is not JSON: ${text.slice(0, 200)}`, { cause })
  }
  throw new ZnodeFormatError(`${what} is not a JSON object: ${text.slice(0, 200)}`)
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An integer, which some writers quote. */
export function integerOf(json: Json, key: string, what: string, absent?: number): number {
  const value = json[key]
  if (value === undefined && absent !== undefined) return absent
  const number = typeof value === 'string' ? Number(value) : value
  if (typeof number === 'number' && Number.isInteger(number)) return number
  throw new ZnodeFormatError(`${what}: "${key}" is not an integer: ${JSON.stringify(value)}`)
}

export function stringOf(json: Json, key: string, what: string): string {
  const value = json[key]
  if (typeof value === 'string') return value
  throw new ZnodeFormatError(`${what}: "${key}" is not a string: ${JSON.stringify(value)}`)
}

export function integersOf(value: unknown, what: string): number[] {
  if (Array.isArray(value) && value.every(Number.isInteger)) return value as number[]
  throw new ZnodeFormatError(`${what} is not a list of integers: ${JSON.stringify(value)}`)
}
