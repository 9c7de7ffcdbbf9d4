import assert from 'node:assert/strict'
import { test } from 'node:test'

import { hierarchyOf, majorityOf, type Quorum } from './quorum.ts'

function decides(quorum: Quorum, ...sids: number[]): boolean {
  return quorum.containsQuorum(new Set(sids))
}

test('a majority of the voters', () => {
  const quorum = majorityOf([3, 1, 2, 4])
  assert.deepEqual(quorum.voters, [1, 2, 3, 4])
  assert.ok(decides(quorum, 1, 2, 4))
  assert.ok(!decides(quorum, 1, 2), 'half of them')
  assert.ok(!decides(quorum, 1, 2, 7, 8), 'others have no say')
  assert.deepEqual([quorum.weightOf(1), quorum.weightOf(7), quorum.isVoter(4), quorum.isVoter(7)], [1, 0, true, false])
  assert.ok(decides(majorityOf([5]), 5))
})

test('more than half of the weight in more than half of the groups', () => {
  const quorum = hierarchyOf([
    [1, 2, 3],
    [4, 5, 6],
    [7, 8, 9],
  ])
  assert.ok(decides(quorum, 1, 2, 4, 5), 'two of three in two of three')
  assert.ok(!decides(quorum, 1, 2, 3, 4, 7), 'all of one, one of each other')
  const weighted = hierarchyOf(
    [[1, 2, 3]],
    new Map([
      [1, 3],
      [2, 2],
      [3, 0],
    ]),
  )
  assert.ok(decides(weighted, 1) && !decides(weighted, 2, 3))
  assert.deepEqual([weighted.weightOf(3), weighted.isVoter(3), weighted.weightOf(4)], [0, true, 0])
})

test('a group without weight does not count', () => {
  const weights = new Map([
    [4, 0],
    [5, 0],
    [6, 0],
  ])
  const quorum = hierarchyOf(
    [
      [1, 2, 3],
      [4, 5, 6],
    ],
    weights,
  )
  assert.ok(decides(quorum, 1, 2) && !decides(quorum, 1, 4, 5, 6))
})

test('any two quorums have a server in common', () => {
  const quorums = [
    majorityOf([1, 2, 3, 4]),
    hierarchyOf(
      [[1, 2, 3], [4, 5], [6]],
      new Map([
        [1, 2],
        [5, 0],
      ]),
    ),
    hierarchyOf(
      [
        [1, 2],
        [3, 4, 5, 6],
      ],
      new Map([
        [1, 3],
        [6, 2],
      ]),
    ),
  ]
  for (const quorum of quorums)
    for (let chosen = 0; chosen < 1 << 6; chosen++) {
      const inside = [1, 2, 3, 4, 5, 6].filter((sid) => (chosen >> (sid - 1)) & 1)
      const outside = [1, 2, 3, 4, 5, 6].filter((sid) => !inside.includes(sid))
      assert.ok(!decides(quorum, ...inside) || !decides(quorum, ...outside), `${inside.join()} and ${outside.join()}`)
    }
})
