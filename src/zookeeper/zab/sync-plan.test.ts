import assert from 'node:assert/strict'
import { test } from 'node:test'
import { follows, type LoggedBytes } from '#zookeeper/protocol'

import { syncPlan } from './sync-plan.ts'

const zxid = (epoch: number, counter: number): bigint => (BigInt(epoch) << 32n) | BigInt(counter)
const at = (id: bigint): LoggedBytes => ({ zxid: id, bytes: new Uint8Array(0) })
/** Transactions `from` to `to` of an epoch. */
const range = (epoch: number, from: number, to: number): LoggedBytes[] =>
  Array.from({ length: to - from + 1 }, (_, index) => at(zxid(epoch, from + index)))

/** In memory: (2,5) to (2,9) and (3,1) to (3,4). On disk: everything from (2,1) on. */
const COMMITTED = [...range(2, 5, 9), ...range(3, 1, 4)]
const DISK = [...range(2, 1, 9), ...range(3, 1, 4)]
const onDisk =
  (disk: readonly LoggedBytes[]) =>
  (peer: bigint): LoggedBytes[] | null => {
    const found = disk.findIndex((each) => each.zxid === peer)
    return found < 0 ? null : disk.slice(found + 1)
  }

interface Row {
  name: string
  peer: bigint
  lastZxid?: bigint
  committed?: readonly LoggedBytes[]
  beforeZxid?: bigint
  disk?: readonly LoggedBytes[]
  plan: string
}

const ROWS: readonly Row[] = [
  { name: 'has everything', peer: zxid(3, 4), plan: 'diff 3:4, 0' },
  { name: 'has everything, an epoch has begun', peer: zxid(3, 4), lastZxid: zxid(4, 0), plan: 'diff 3:4, 0' },
  { name: 'has the beginning of the epoch, too', peer: zxid(4, 0), lastZxid: zxid(4, 0), plan: 'diff 4:0, 0' },
  { name: 'has more', peer: zxid(3, 6), plan: 'trunc 3:4, 0' },
  { name: 'has more, of a later epoch', peer: zxid(4, 2), plan: 'trunc 3:4, 0' },
  { name: 'has the beginning of a later epoch', peer: zxid(4, 0), plan: 'snap' },
  { name: 'lags, in memory', peer: zxid(3, 2), plan: 'diff 3:4, 2' },
  { name: 'lags by an epoch, in memory', peer: zxid(2, 7), plan: 'diff 3:4, 6' },
  { name: 'is at the oldest in memory', peer: zxid(2, 5), plan: 'diff 3:4, 8' },
  { name: 'is at the beginning of an epoch in memory', peer: zxid(3, 0), plan: 'diff 3:4, 4' },
  { name: 'has what was never committed at the end of an epoch', peer: zxid(2, 12), plan: 'snap' },
  {
    name: 'has what is missing within an epoch',
    peer: zxid(2, 6),
    committed: [at(zxid(2, 5)), at(zxid(2, 8)), ...range(3, 1, 4)],
    plan: 'trunc 2:5, 5',
  },
  { name: 'lags, on disk', peer: zxid(2, 3), plan: 'diff 3:4, 10' },
  { name: 'lags right before what is in memory', peer: zxid(2, 4), disk: [], plan: 'diff 3:4, 9' },
  {
    name: 'lags right before what is in memory, as the beginning of an epoch',
    peer: zxid(3, 0),
    committed: range(3, 1, 4),
    beforeZxid: zxid(3, 0),
    disk: [],
    plan: 'diff 3:4, 4',
  },
  { name: 'lags, and the disk does not go back so far', peer: zxid(1, 9), plan: 'snap' },
  { name: 'is new', peer: 0n, plan: 'snap' },
  { name: 'is new or says so, and all there ever was is in memory', peer: 0n, beforeZxid: 0n, plan: 'snap' },
  { name: 'is new, like the leader', peer: 0n, lastZxid: 0n, committed: [], disk: [], plan: 'diff 0:0, 0' },
  {
    name: 'lags, and the disk ends before what is in memory',
    peer: zxid(2, 1),
    disk: range(2, 1, 3),
    plan: 'snap',
  },
  {
    name: 'lags, and the disk has a hole',
    peer: zxid(2, 1),
    disk: [...range(2, 1, 2), ...range(2, 4, 9)],
    plan: 'snap',
  },
  {
    name: 'lags, and the disk is behind the memory',
    peer: zxid(2, 3),
    disk: [...range(2, 1, 9), ...range(3, 1, 1)],
    plan: 'diff 3:4, 10',
  },
  {
    name: 'lags behind a leader that has nothing in memory',
    peer: zxid(2, 3),
    committed: [],
    lastZxid: zxid(3, 4),
    plan: 'diff 3:4, 10',
  },
  {
    name: 'lags behind a leader that has only a snapshot',
    peer: zxid(2, 3),
    committed: [],
    disk: [],
    lastZxid: zxid(3, 0),
    plan: 'snap',
  },
  {
    name: 'has more than a leader that has only a snapshot',
    peer: zxid(3, 7),
    committed: [],
    disk: [],
    lastZxid: zxid(3, 4),
    plan: 'trunc 3:4, 0',
  },
]

for (const {
  name,
  peer,
  lastZxid = zxid(3, 4),
  committed = COMMITTED,
  beforeZxid = zxid(2, 4),
  disk = DISK,
  plan,
} of ROWS)
  test(`a learner that ${name}`, () => {
    const found = syncPlan(peer, { lastZxid, committed, beforeZxid, logAfter: onDisk(disk) })
    assert.equal(shown(found), plan)
    if (found.kind === 'snap' || found.transactions.length === 0) return
    // Nothing is left out, and all of it comes (ZOOKEEPER-4925).
    if (name !== 'has what is missing within an epoch') {
      let last = peer
      for (const transaction of found.transactions) {
        assert.ok(follows(transaction.zxid, last))
        last = transaction.zxid
      }
    }
    assert.equal(found.transactions.at(-1)!.zxid, zxid(3, 4))
  })

function shown(plan: ReturnType<typeof syncPlan>): string {
  if (plan.kind === 'snap') return 'snap'
  return `${plan.kind} ${plan.zxid >> 32n}:${plan.zxid & 0xffff_ffffn}, ${plan.transactions.length}`
}
