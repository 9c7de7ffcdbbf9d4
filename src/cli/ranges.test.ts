import assert from 'node:assert/strict'
import { test } from 'node:test'

import { formatRanges } from './ranges.ts'

test('runs of partitions, by topic', () => {
  const rows: [Record<string, number[]>, string][] = [
    [{}, ''],
    [{ a: [0] }, 'a:0'],
    [{ a: [0, 1] }, 'a:0-1'],
    [{ b: [7, 1, 2, 3, 5], a: [10, 9] }, 'a:9-10 b:1-3,5,7'],
  ]
  for (const [topics, expected] of rows) {
    const partitions = Object.entries(topics).flatMap(([topic, list]) =>
      list.map((partition) => ({ topic, partition })),
    )
    assert.equal(formatRanges(partitions), expected)
  }
})
