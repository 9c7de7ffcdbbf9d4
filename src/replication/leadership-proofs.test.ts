import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Clock } from '#platform'

import { LeadershipProofs } from './leadership-proofs.ts'

/** Timers fire by hand. */
function handClock(): { clock: Clock; expire: () => void } {
  const timers = new Set<() => void>()
  const clock: Clock = {
    now: () => 0,
    monotonic: () => 0,
    setTimer(_delayMs, fire) {
      const run = (): void => fire(0)
      timers.add(run)
      return { cancel: () => void timers.delete(run) }
    },
    endOfTurn: (run) => run(),
    nextTurn: (run) => run(),
  }
  return { clock, expire: () => timers.forEach((run) => run()) }
}

test('a leader without followers in its ISR needs no proof', async () => {
  assert.equal(await new LeadershipProofs(handClock().clock).begin([], () => false, 1000), true)
})

test('the answer to a parked fetch brings the one that proves; one that was on its way proves nothing', async () => {
  const proofs = new LeadershipProofs(handClock().clock)
  const proven = proofs.begin([2, 3], (id) => id === 2, 1000)
  assert(proofs.awaits(2) && proofs.awaits(3), 'both are answered at once')
  proofs.fetched(2)
  assert(!proofs.awaits(2), 'the parked follower has proven')
  proofs.fetched(3)
  assert(proofs.awaits(3), 'the first fetch of the other may have left before the read began')
  proofs.fetched(3)
  assert.equal(await proven, true)
})

test('silence and the end of the role are no proof', async () => {
  const { clock, expire } = handClock()
  const proofs = new LeadershipProofs(clock)
  const silent = proofs.begin([2], () => true, 1000)
  expire()
  assert.equal(await silent, false)
  const deposed = proofs.begin([2], () => true, 1000)
  proofs.failAll()
  assert.equal(await deposed, false)
  assert(!proofs.awaits(2), 'nothing is awaited any more')
})
