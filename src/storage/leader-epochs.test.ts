import assert from 'node:assert/strict'
import { test } from 'node:test'

import { LeaderEpochs } from './leader-epochs.ts'

const of = (...entries: [number, number][]): LeaderEpochs =>
  new LeaderEpochs(entries.map(([epoch, startOffset]) => ({ epoch, startOffset })))
const list = (epochs: LeaderEpochs): number[][] => epochs.entries.map(({ epoch, startOffset }) => [epoch, startOffset])

test('where an epoch ends', () => {
  const epochs = of([2, 10], [4, 20], [7, 50])
  const rows: [number, number[] | null][] = [
    [-1, null],
    [1, [1, 10]],
    [2, [2, 20]],
    [3, [2, 20]],
    [4, [4, 50]],
    [6, [4, 50]],
    [7, [7, 99]],
    [8, null],
  ]
  for (const [epoch, expected] of rows) {
    const end = epochs.endOffsetFor(epoch, 99)
    assert.deepEqual(end === null ? null : [end.epoch, end.endOffset], expected, `epoch ${epoch}`)
  }
  assert.equal(of().endOffsetFor(0, 5), null)
  assert.deepEqual(
    [5, 10, 19, 20, 1000].map((offset) => epochs.epochAt(offset)),
    [-1, 2, 2, 4, 7],
  )
})

test('an assignment drops what contradicts it, and tells of changes only', () => {
  const epochs = of()
  const saved: number[][][] = []
  epochs.onChange = () => saved.push(list(epochs))
  epochs.assign(0, 0)
  epochs.assign(0, 5)
  epochs.assign(3, 10)
  epochs.assign(5, 10)
  assert.deepEqual(list(epochs), [
    [0, 0],
    [5, 10],
  ])
  epochs.assign(4, 8)
  assert.deepEqual(list(epochs), [
    [0, 0],
    [4, 8],
  ])
  assert.equal(saved.length, 4)
})

test('truncation from either end', () => {
  const epochs = of([0, 0], [2, 10], [4, 20])
  epochs.truncateFromEnd(20)
  assert.deepEqual(list(epochs), [
    [0, 0],
    [2, 10],
  ])
  epochs.truncateFromStart(15)
  assert.deepEqual(list(epochs), [[2, 15]])
  epochs.truncateFromStart(15)
  epochs.truncateFromEnd(15)
  assert.deepEqual(list(epochs), [])
  assert.equal(epochs.latestEpoch, -1)
})
