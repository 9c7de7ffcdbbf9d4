/** What the tests of this room share. */
import type { Record, ValidationRules } from './index.ts'

/** Rules that allow everything, changed by `changes`. */
export function rules(changes: Partial<ValidationRules> = {}): ValidationRules {
  return {
    origin: 'client',
    isCompacted: false,
    timestampType: 'CreateTime',
    timestampBeforeMaxMs: Infinity,
    timestampAfterMaxMs: Infinity,
    compression: 'producer',
    batchBytesMax: 1024 * 1024,
    nowMs: 1_700_000_000_000,
    ...changes,
  }
}

export interface DescribedRecord {
  offset: number
  timestamp: string
  key: string | null
  value: string | null
  headers: [string, string | null][]
}

export function describeRecords(records: readonly Record[]): DescribedRecord[] {
  return records.map((record) => ({
    offset: record.offset,
    timestamp: String(record.timestampExact),
    key: hex(record.key),
    value: hex(record.value),
    headers: record.headers.map(({ key, value }) => [key, hex(value)]),
  }))
}

function hex(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString('hex')
}

/** A small generator (xorshift32), so that a failure names its seed. */
export function sequence(seed: number): (bound: number) => number {
  let state = seed | 1
  return (bound) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % bound
  }
}
