/**
 * JSON as Apache's admin server lays it out: two blanks a level for objects, arrays on one line, 64-bit numbers in full (which
 * `JSON.stringify` cannot), and a fraction on what Java has as a double.
 */
import { Decimal } from './view.ts'

export type Json =
  | null
  | boolean
  | number
  | bigint
  | string
  | Decimal
  | readonly Json[]
  | ReadonlyMap<string, Json>
  | { readonly [key: string]: Json }

export function writeJson(value: Json, indent = ''): string {
  if (value instanceof Decimal) return Number.isFinite(value.value) ? String(value) : `"${value.value}"`
  if (typeof value === 'bigint') return String(value)
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (isArray(value)) {
    if (value.length === 0) return '[ ]'
    return `[ ${value.map((item) => writeJson(item, indent)).join(', ')} ]`
  }
  const entries = value instanceof Map ? [...(value as ReadonlyMap<string, Json>)] : Object.entries(value)
  if (entries.length === 0) return '{ }'
  const inner = `${indent}  `
  const lines = entries.map(([key, item]) => `${inner}${JSON.stringify(key)} : ${writeJson(item, inner)}`)
  return `{\n${lines.join(',\n')}\n${indent}}`
}

function isArray(value: object): value is readonly Json[] {
  return Array.isArray(value)
}
