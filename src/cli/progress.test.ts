import assert from 'node:assert/strict'
import { test } from 'node:test'

import { progressText } from './progress.ts'

test('counts, sizes and rates for people', () => {
  const rows: [records: number, bytes: number, durationMs: number, expected: string][] = [
    [0, 0, 0, '0 records, 0 B in 0.0 s'],
    [1, 1023, 500, '1 record, 1023 B in 0.5 s (2/s)'],
    [1000, 1024, 1000, '1,000 records, 1.0 KiB in 1.0 s (1,000/s)'],
    [1_234_567, 5 * 1024 ** 3, 12_345, '1,234,567 records, 5.0 GiB in 12.3 s (100,005/s)'],
    [12, 3000 * 1024 ** 4, 1000, '12 records, 3000.0 TiB in 1.0 s (12/s)'],
  ]
  for (const [records, bytes, durationMs, expected] of rows)
    assert.equal(progressText(records, bytes, durationMs), expected)
})
