import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseResetTarget, parseStartPlace, parseTopicPartitions } from './places.ts'

test('where to begin, as kcat has it', () => {
  const rows: [string, unknown][] = [
    ['beginning', { kind: 'beginning' }],
    ['latest', { kind: 'end' }],
    ['0', { kind: 'offset', offset: 0 }],
    ['42', { kind: 'offset', offset: 42 }],
    ['-10', { kind: 'last', count: 10 }],
    ['s@1700000000000', { kind: 'time', timestamp: 1_700_000_000_000 }],
    ['s@2025-03-01T12:00:00Z', { kind: 'time', timestamp: 1_740_830_400_000 }],
  ]
  for (const [text, expected] of rows) assert.deepEqual(parseStartPlace(text), expected, text)
  for (const text of ['', 'middle', '1.5', '99999999999999999999', 's@', 's@noon'])
    assert.throws(() => parseStartPlace(text), /--offset/, text)
})

test('where a group is set to', () => {
  const rows: [string, unknown][] = [
    ['earliest', 'earliest'],
    ['current', 'current'],
    ['7', { offset: 7 }],
    ['+3', { shiftBy: 3 }],
    ['-3', { shiftBy: -3 }],
    ['2025-03-01T12:00:00Z', { timestamp: 1_740_830_400_000 }],
  ]
  for (const [text, expected] of rows) assert.deepEqual(parseResetTarget(text), expected, text)
  for (const text of ['', 'beginning', '1e3', '2025-99-01']) assert.throws(() => parseResetTarget(text), /--to/, text)
})

test('a topic, or some of its partitions', () => {
  assert.deepEqual(parseTopicPartitions('orders'), ['orders'])
  assert.deepEqual(parseTopicPartitions('orders:0,12'), [
    { topic: 'orders', partition: 0 },
    { topic: 'orders', partition: 12 },
  ])
  for (const text of ['orders:', ':1', 'orders:-1', 'orders:a', 'orders:1,'])
    assert.throws(() => parseTopicPartitions(text), /--topic/, text)
})
