/** Where partitions go when they are spread over other brokers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { TopicDescription } from '#client'

import { planMoves } from './reassign.ts'
import { UserError } from './user-error.ts'

function topic(...replicas: readonly number[][]): TopicDescription {
  return {
    name: 't',
    topicId: '',
    isInternal: false,
    partitionCount: replicas.length,
    partitions: replicas.map((list, partition) => ({
      partition,
      leader: list[0]!,
      leaderEpoch: 0,
      replicas: list,
      isr: list,
      offlineReplicas: [],
    })),
  }
}

test('replicas that lie on one of the brokers stay, the others are spread', () => {
  const moves = planMoves([topic([1, 2], [2, 1], [1, 2], [2, 1])], [2, 3, 4], null)
  assert.equal(moves.length, 4)
  const counts = new Map<number, number>()
  for (const { replicas } of moves) {
    assert.ok(replicas.includes(2), 'what is there stays')
    for (const id of replicas) counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  assert.deepEqual([counts.get(2), counts.get(3), counts.get(4)], [4, 2, 2])
  const leaders = new Set(moves.map(({ replicas }) => replicas[0]))
  assert.equal(leaders.size, 3, 'each of them leads something')
})

test('what is where it should be does not move', () => {
  assert.deepEqual(planMoves([topic([1, 2, 3], [2, 3, 1])], [1, 2, 3], null), [])
})

test('the number of replicas grows and shrinks', () => {
  assert.deepEqual(
    planMoves([topic([1])], [1, 2, 3], 3).map(({ replicas }) => replicas.toSorted((a, b) => a - b)),
    [[1, 2, 3]],
  )
  assert.equal(planMoves([topic([1, 2, 3])], [1, 2, 3], 1)[0]!.replicas.length, 1)
})

test('more replicas than brokers, or a broker twice, is refused', () => {
  assert.throws(() => planMoves([topic([1, 2, 3])], [1, 2], null), UserError)
  assert.throws(() => planMoves([topic([1])], [2, 2], null), UserError)
})
