import assert from 'node:assert/strict'
import { test } from 'node:test'

import { silentLogger, type Clock } from '#platform'
import { ErrorCode } from '#protocol'

import { ProducerIds } from './producer-ids.ts'

/** Timers fire at once. */
const clock = {
  setTimer: (_: number, fire: (lateMs: number) => void) => {
    queueMicrotask(() => fire(0))
    return { cancel() {} }
  },
} as unknown as Clock

function idsOf(blocks: (number | 'refused' | 'unreachable')[]) {
  const asked = { count: 0 }
  const ids = new ProducerIds({ clock, logger: silentLogger }, async () => {
    const block = blocks[Math.min(asked.count++, blocks.length - 1)]!
    if (block === 'unreachable') throw new Error('no controller')
    const errorCode = block === 'refused' ? ErrorCode.NOT_CONTROLLER : ErrorCode.NONE
    return { throttleTimeMs: 0, errorCode, producerIdStart: block === 'refused' ? -1 : block, producerIdLen: 10 }
  })
  return { ids, asked }
}

test('ids follow each other through a block and into the next, which is asked for early', async () => {
  const { ids, asked } = idsOf([0, 500])
  const taken: (number | null)[] = []
  for (let count = 0; count < 9; count++) taken.push(await ids.next())
  assert.deepEqual(taken, [0, 1, 2, 3, 4, 5, 6, 7, 8])
  assert.equal(asked.count, 2)
  assert.deepEqual([await ids.next(), await ids.next(), await ids.next()], [9, 500, 501])
})

test('many at once get different ids out of one block', async () => {
  const { ids, asked } = idsOf([0])
  const taken = await Promise.all(Array.from({ length: 5 }, () => ids.next()))
  assert.equal(new Set(taken).size, 5)
  assert.equal(asked.count, 1)
})

test('it is asked again while the controller is elsewhere, and given up after a while', async () => {
  assert.equal(await idsOf(['unreachable', 'refused', 7]).ids.next(), 7)
  assert.equal(await idsOf(['refused']).ids.next(), null)
})
