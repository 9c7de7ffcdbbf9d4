import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode } from '#protocol'

import { assignReplicas, type AssignableBroker } from './assignment.ts'

const FIVE: AssignableBroker[] = [0, 1, 2, 3, 4].map((id) => ({ id, rack: null }))
const SIX_IN_THREE: AssignableBroker[] = [0, 1, 2, 3, 4, 5].map((id) => ({ id, rack: `r${id % 3}` }))
const UNEVEN: AssignableBroker[] = ['a', 'b', 'b', 'c', 'a', 'a', 'c'].map((rack, at) => ({ id: 10 + at, rack }))

/** What Kafka 3.9.1 assigns: brokers, partitions, factor, start index, start partition, replicas. */
const KAFKA_ASSIGNS: readonly [AssignableBroker[], number, number, number, number, string][] = [
  [FIVE, 10, 3, 0, -1, '012 123 234 340 401 023 134 240 301 412'],
  [FIVE, 8, 2, 2, -1, '20 31 42 03 14 21 32 43'],
  [FIVE, 7, 4, 1, 5, '1402 2013 3124 4230 0341 1023 2134'],
  [SIX_IN_THREE, 10, 3, 0, -1, '012 123 234 345 450 501 045 150 201 312'],
  [SIX_IN_THREE, 8, 2, 2, -1, '24 35 40 51 02 13 21 32'],
  [SIX_IN_THREE, 7, 4, 1, 5, '0451 1350 2401 3512 4023 5134 0245'],
  [UNEVEN, 10, 3, 0, -1, '013 134 342 426 265 651 513 026 165 351'],
  [UNEVEN, 8, 2, 2, -1, '34 42 26 65 51 01 13 35'],
  [UNEVEN, 7, 4, 1, 5, '5260 0265 1342 3426 4265 2650 6513'],
]

for (const [brokers, partitions, factor, startIndex, startPartition, expected] of KAFKA_ASSIGNS)
  test(`${partitions} partitions of ${factor} on ${brokers.length} brokers from ${startIndex}, ${startPartition} as Kafka`, () => {
    const result = assignReplicas(brokers, partitions, factor, () => 0, { startIndex, startPartition })
    assert.equal(result.kind, 'assigned')
    const found = result.kind === 'assigned' ? result.assignment : new Map<number, number[]>()
    assert.equal([...found.values()].map((replicas) => replicas.map((id) => id % 10).join('')).join(' '), expected)
    assert.equal([...found.keys()][0], Math.max(0, startPartition))
  })

test('leaders and replicas are spread evenly, and every rack has one, whatever the start', () => {
  for (let seed = 0; seed < 36; seed++) {
    const result = assignReplicas(SIX_IN_THREE, 24, 3, (bound) => seed % bound)
    assert.equal(result.kind, 'assigned')
    if (result.kind !== 'assigned') continue
    const lists = [...result.assignment.values()]
    for (const replicas of lists) assert.equal(new Set(replicas.map((id) => id % 3)).size, 3)
    for (const { id } of SIX_IN_THREE) {
      assert.equal(lists.filter((replicas) => replicas[0] === id).length, 4)
      assert.equal(lists.filter((replicas) => replicas.includes(id)).length, 12)
    }
  }
})

test('what cannot be assigned is refused with the reason', () => {
  const refusals: readonly [AssignableBroker[], number, number, number][] = [
    [FIVE, 0, 1, ErrorCode.INVALID_PARTITIONS],
    [FIVE, 1, 0, ErrorCode.INVALID_REPLICATION_FACTOR],
    [FIVE, 1, 6, ErrorCode.INVALID_REPLICATION_FACTOR],
    [[...FIVE, { id: 9, rack: 'r' }], 1, 1, ErrorCode.INVALID_REQUEST],
  ]
  for (const [brokers, partitions, factor, errorCode] of refusals) {
    const result = assignReplicas(brokers, partitions, factor, () => 0)
    assert.equal(result.kind === 'refused' && result.errorCode, errorCode)
  }
})

test('one broker is enough for one replica', () => {
  const result = assignReplicas([{ id: 7, rack: null }], 3, 1, () => 0)
  assert.deepEqual(result.kind === 'assigned' && [...result.assignment.values()], [[7], [7], [7]])
})
