import assert from 'node:assert/strict'
import { test } from 'node:test'

import { checkHistory } from './checker.ts'
import { checkGroups } from './group-checks.ts'
import type { Operation, Outcome } from './history.ts'
import { checkReplicaContents, checkReplicaStates, type ReplicaContent, type ReplicaState } from './replica-checks.ts'

/** Histories as a few words: `p1 send ok x=a@0,b@1`, `c1 poll ok x=a@0`, `c1 assign x,y`, `c1 assign! x` (with a seek). `@?`: no offset. `send!` began after the next one. */
function historyOf(script: string): Operation[] {
  const lines = script.trim().split('\n')
  return lines.map((line, index) => {
    const [process, word, ...rest] = line.trim().split(/\s+/)
    const common = { process: process!, invokedMs: index, completedMs: index + 0.5 }
    if (word === 'assign' || word === 'assign!' || word === 'subscribe')
      return {
        ...common,
        kind: word === 'subscribe' ? word : 'assign',
        keys: rest[0]!.split(','),
        seek: word === 'assign!',
      }
    const outcome = rest[0] as Outcome
    const rebalanced = rest.find((part) => part.startsWith('~'))
    const groups = rest
      .slice(1)
      .filter((part) => !part.startsWith('~'))
      .map((part) => {
        const [key, items] = part.split('=')
        const records = items!.split(',').map((item) => {
          const [value, at] = item.split('@')
          return { key: key!, value: value!, offset: at === '?' ? null : Number(at) }
        })
        return { key: key!, records }
      })
    if (word === 'send' || word === 'send!')
      return {
        ...common,
        kind: 'send',
        number: word === 'send!' ? index + 1.5 : index,
        outcome,
        sends: groups.flatMap(({ records }) => records),
      }
    const polls = groups.map(({ key, records }) => ({
      key,
      records: records.map(({ value, offset }) => ({ value, offset: offset! })),
    }))
    return {
      ...common,
      kind: 'poll',
      outcome,
      polls,
      ...(rebalanced ? { rebalanced: rebalanced.slice(1).split(',') } : {}),
    }
  })
}

/** Each story with the anomalies that it must show, and no others. */
const STORIES: Record<string, [script: string, ...kinds: string[]]> = {
  'all is well': [
    `p1 send ok x=a@0,b@1
     p1 send info x=c@?
     c1 poll ok x=a@0
     c1 poll ok x=b@1,c@5`,
  ],
  'an unknown send may be missing': [
    `p1 send info x=a@?
     p1 send ok x=b@0
     c1 poll ok x=b@0`,
  ],
  'a failed send that is missing': [
    `p1 send fail x=a@?
     p1 send ok x=b@0
     c1 poll ok x=b@0`,
  ],
  'two values at one offset, by two readers': [
    `p1 send info x=a@?
     p2 send info x=b@?
     c1 poll ok x=a@0
     c2 poll ok x=b@0`,
    'inconsistent-offsets',
  ],
  'the acknowledged offset holds another value': [
    `p1 send ok x=a@0
     p2 send ok x=b@0
     c1 poll ok x=b@0`,
    'inconsistent-offsets',
    'lost-write',
  ],
  'one value at two offsets': [
    `p1 send ok x=a@0
     c1 poll ok x=a@0,a@1`,
    'duplicate',
    'int-nonmonotonic-poll',
  ],
  'an acknowledged value is gone, though a later one was read': [
    `p1 send ok x=a@0
     p1 send ok x=b@1
     p1 send ok x=c@2
     c1 poll ok x=a@0
     c2 poll ok x=c@2`,
    'lost-write',
  ],
  'of an unknown send one value was read: the other must be there': [
    `p1 send info x=a@0,b@1
     p1 send ok x=c@2
     c1 poll ok x=a@0
     c2 poll ok x=c@2`,
    'lost-write',
  ],
  'an acknowledged value is never read': [
    `p1 send ok x=a@0
     p1 send ok x=b@1
     c1 poll ok x=a@0`,
    'unseen',
  ],
  'nothing of a key is ever read': [`p1 send ok x=a@0`, 'unseen'],
  'a failed send is read': [
    `p1 send fail x=a@?
     c1 poll ok x=a@0`,
    'G1a',
  ],
  'one poll leaves out what others read': [
    `p1 send ok x=a@0,b@1,c@2
     c1 poll ok x=a@0,c@2
     c2 poll ok x=a@0,b@1,c@2`,
    'int-poll-skip',
  ],
  'one poll goes back': [
    `p1 send ok x=a@0,b@1
     c1 poll ok x=b@1,a@0`,
    'int-nonmonotonic-poll',
  ],
  'a rebalance within a poll excuses it': [
    `p1 send ok x=a@0,b@1
     c1 poll ok ~x x=b@1,a@0`,
  ],
  'offsets without records between them are no gap': [
    `p1 send ok x=a@0
     p1 send ok x=b@7
     c1 poll ok x=a@0,b@7`,
  ],
  'one operation sends backwards': [
    `p1 send ok x=b@1,a@0
     c1 poll ok x=a@0,b@1`,
    'int-nonmonotonic-send',
  ],
  'a process sends backwards from operation to operation': [
    `p1 send ok x=b@1
     p1 send ok x=a@0
     c1 poll ok x=a@0,b@1`,
    'nonmonotonic-send',
  ],
  'sends that overlap may be answered in any order': [
    `p1 send! ok x=b@1
     p1 send ok x=a@0
     c1 poll ok x=a@0,b@1`,
  ],
  'a reader jumps over a value from poll to poll': [
    `p1 send ok x=a@0,b@1,c@2
     c1 assign x
     c1 poll ok x=a@0
     c1 poll ok x=c@2
     c2 poll ok x=a@0,b@1,c@2`,
    'poll-skip',
  ],
  'a reader goes back from poll to poll': [
    `p1 send ok x=a@0,b@1
     c1 assign x
     c1 poll ok x=a@0,b@1
     c1 poll ok x=b@1`,
    'nonmonotonic-poll',
  ],
  'a seek forgets the position, and so does losing the key': [
    `p1 send ok x=a@0,b@1
     c1 assign x
     c1 poll ok x=a@0,b@1
     c1 assign! x
     c1 poll ok x=a@0
     c1 assign y
     c1 assign x
     c1 poll ok x=a@0,b@1`,
  ],
  'a failed poll does not move the position': [
    `p1 send ok x=a@0,b@1
     c1 assign x
     c1 poll info x=a@0
     c1 poll ok x=a@0,b@1`,
  ],
  'a member of a group may find its keys further on': [
    `p1 send ok x=a@0,b@1,c@2
     c1 subscribe x
     c1 poll ok x=a@0
     c2 subscribe x
     c2 poll ok x=b@1
     c1 poll ok x=c@2`,
  ],
  'another process has positions of its own': [
    `p1 send ok x=a@0,b@1
     c1 poll ok x=a@0,b@1
     c1#2 poll ok x=a@0,b@1`,
  ],
}

for (const [name, [script, ...kinds]] of Object.entries(STORIES)) {
  test(name, () => {
    assert.deepEqual(
      checkHistory(historyOf(script)).map(({ kind }) => kind),
      kinds,
    )
  })
}

test('two owners of a partition in one generation', () => {
  const assigned = (generation: number, member: string, ...keys: string[]) =>
    ({ kind: 'assigned', group: 'g', generation, member, keys }) as const
  assert.deepEqual(checkGroups([assigned(1, 'm1', 'x'), assigned(1, 'm2', 'y'), assigned(2, 'm2', 'x', 'y')]), [])
  const faults = checkGroups([assigned(1, 'm1', 'x'), assigned(1, 'm2', 'x')])
  assert.deepEqual(
    faults.map(({ kind }) => kind),
    ['two-owners'],
  )
})

test('a committed offset that has gone back', () => {
  const committed = { kind: 'committed', group: 'g', key: 'x', offset: 5, completedMs: 10 } as const
  const fetched = (offset: number, invokedMs: number) =>
    ({ kind: 'fetched', group: 'g', key: 'x', offset, invokedMs }) as const
  assert.deepEqual(checkGroups([committed, fetched(5, 11), fetched(9, 12), fetched(-1, 9)]), [])
  for (const offset of [4, -1])
    assert.deepEqual(
      checkGroups([committed, fetched(offset, 11)]).map(({ kind }) => kind),
      ['commit-gone-back'],
    )
})

test('the order of watermarks, epochs and the ISR', () => {
  const good: ReplicaState = {
    atMs: 1,
    broker: 1,
    life: 1,
    partition: 'x',
    leaderEpoch: 3,
    logStartOffset: 0,
    lastStableOffset: 4,
    highWatermark: 5,
    logEndOffset: 6,
    nextOffset: 6,
    leader: { isr: [1, 2], replicas: [1, 2, 3] },
  }
  assert.deepEqual(checkReplicaStates([good, { ...good, leaderEpoch: 4 }, { ...good, life: 2, leaderEpoch: 1 }]), [])
  const bad: Partial<ReplicaState>[] = [
    { lastStableOffset: 6 },
    { highWatermark: 7 },
    { logStartOffset: 7 },
    { leaderEpoch: 2 },
    { leader: { isr: [4], replicas: [1] } },
  ]
  for (const change of bad) assert.equal(checkReplicaStates([good, { ...good, ...change }]).length, 1)
})

test('replicas are the same up to the high watermark', () => {
  const replica = (broker: number, crcs: number[], highWatermark: number, inIsr = true): ReplicaContent => ({
    broker,
    partition: 'x',
    logStartOffset: 0,
    highWatermark,
    inIsr,
    logEndOffset: crcs.length * 10,
    batches: crcs.map((crc, index) => ({ baseOffset: index * 10, lastOffset: index * 10 + 9, crc })),
  })
  assert.deepEqual(checkReplicaContents([replica(1, [7, 8, 9], 20), replica(2, [7, 8, 1], 20)]), [])
  assert.deepEqual(checkReplicaContents([replica(1, [7, 8], 20), replica(2, [7], 10, false)]), [])
  assert.deepEqual(checkReplicaContents([replica(1, [7, 8], 20), replica(2, [7, 9], 10)]), [
    'x: brokers 1 and 2 differ at offset 10',
  ])
  assert.equal(checkReplicaContents([replica(1, [7, 8], 20), replica(2, [7], 10)]).length, 1)
})
