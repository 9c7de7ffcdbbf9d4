import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode } from '#protocol'

import type { GroupState } from './group.ts'
import { Bench, REBALANCE_MS, SESSION_MS } from './testing.ts'

const {
  NONE,
  COORDINATOR_NOT_AVAILABLE,
  FENCED_INSTANCE_ID,
  GROUP_MAX_SIZE_REACHED,
  ILLEGAL_GENERATION,
  INCONSISTENT_GROUP_PROTOCOL,
  INVALID_SESSION_TIMEOUT,
  MEMBER_ID_REQUIRED,
  NOT_COORDINATOR,
  NOT_ENOUGH_REPLICAS,
  REBALANCE_IN_PROGRESS,
  UNKNOWN_MEMBER_ID,
} = ErrorCode

test('the story of a group: two join, the first leads, each gets its share', () => {
  const bench = new Bench()
  const first = bench.join({ clientId: 'a' })
  const second = bench.join({ clientId: 'b' })
  assert.ok(first.isAwaited && second.isAwaited)
  bench.advance(0)
  const leader = first.response
  const follower = second.response
  assert.deepEqual([leader.generationId, leader.leader, leader.memberId], [1, 'a-1', 'a-1'])
  assert.deepEqual(
    leader.members.map(({ memberId }) => memberId),
    ['a-1', 'b-2'],
  )
  assert.deepEqual([follower.leader, follower.members], ['a-1', []])
  assert.deepEqual([leader.protocolType, leader.protocolName], ['consumer', 'range'])

  const waiting = bench.sync(follower)
  assert.ok(waiting.isAwaited)
  const own = bench.sync(leader, { 'a-1': Uint8Array.of(1), 'b-2': Uint8Array.of(2) })
  assert.deepEqual([...own.response.assignment], [1])
  assert.deepEqual([...waiting.response.assignment], [2])
  assert.equal(bench.state, 'Stable')
  assert.equal(bench.heartbeat(leader), NONE)
  assert.deepEqual([...bench.sync(follower).response.assignment], [2], 'a stable group answers again')
})

test('an assignment is answered only when it is durable', () => {
  const bench = new Bench()
  const join = bench.join()
  bench.advance(0)
  bench.holdsAppends = true
  const sync = bench.sync(join.response, { 'c-1': Uint8Array.of(7) })
  assert.ok(sync.isAwaited)
  assert.equal(bench.state, 'CompletingRebalance')
  bench.releaseAppends()
  assert.deepEqual([...sync.response.assignment], [7])
  assert.equal(bench.state, 'Stable')
})

test('an assignment that cannot be stored starts the rebalance anew', () => {
  const bench = new Bench()
  const [leader, follower] = bench.stableGroup(2)
  const [a, b] = [bench.join({ memberId: leader!.memberId }), bench.join({ memberId: follower!.memberId })]
  bench.holdsAppends = true
  const syncs = [bench.sync(a.response, {}), bench.sync(b.response)]
  bench.releaseAppends(NOT_ENOUGH_REPLICAS)
  assert.deepEqual(
    syncs.map(({ response }) => response.errorCode),
    [COORDINATOR_NOT_AVAILABLE, COORDINATOR_NOT_AVAILABLE],
  )
  assert.equal(bench.state, 'PreparingRebalance')
  assert.equal(bench.heartbeat(a.response), REBALANCE_IN_PROGRESS)
})

test('a rebalance that begins while an assignment is stored makes that assignment void', () => {
  const bench = new Bench()
  const join = bench.join()
  bench.advance(0)
  bench.holdsAppends = true
  const sync = bench.sync(join.response, { 'c-1': Uint8Array.of(7) })
  bench.join()
  assert.equal(sync.response.errorCode, REBALANCE_IN_PROGRESS)
  bench.releaseAppends()
  assert.equal(bench.state, 'PreparingRebalance')
})

/** What each API answers a member in each state; the rows of the table in upstream's coordinator. */
const TABLE: [GroupState, { heartbeat: number; sync: number | 'waits'; commit: number; simpleCommit: number }][] = [
  ['Empty', { heartbeat: UNKNOWN_MEMBER_ID, sync: UNKNOWN_MEMBER_ID, commit: UNKNOWN_MEMBER_ID, simpleCommit: NONE }],
  [
    'PreparingRebalance',
    { heartbeat: REBALANCE_IN_PROGRESS, sync: REBALANCE_IN_PROGRESS, commit: NONE, simpleCommit: UNKNOWN_MEMBER_ID },
  ],
  [
    'CompletingRebalance',
    { heartbeat: NONE, sync: 'waits', commit: REBALANCE_IN_PROGRESS, simpleCommit: UNKNOWN_MEMBER_ID },
  ],
  ['Stable', { heartbeat: NONE, sync: NONE, commit: NONE, simpleCommit: UNKNOWN_MEMBER_ID }],
]

for (const [state, expected] of TABLE)
  test(`answers in ${state}`, () => {
    const bench = new Bench()
    let [leader, follower] = bench.stableGroup(2)
    if (state === 'PreparingRebalance') bench.join({ memberId: leader!.memberId })
    if (state === 'CompletingRebalance') {
      const joins = [bench.join({ memberId: leader!.memberId }), bench.join({ memberId: follower!.memberId })]
      follower = joins[1]!.response
    }
    if (state === 'Empty') {
      bench.leave(leader!.memberId)
      bench.leave(follower!.memberId)
    }
    assert.equal(bench.state, state)
    assert.equal(bench.heartbeat(follower!), expected.heartbeat)
    const sync = bench.sync(follower!)
    assert.equal(sync.isAwaited ? 'waits' : sync.response.errorCode, expected.sync)
    const codeOf = ({ response }: ReturnType<Bench['commit']>): number => response.topics[0]!.partitions[0]!.errorCode
    assert.equal(codeOf(bench.commit({ t: 1 }, follower)), expected.commit)
    assert.equal(codeOf(bench.commit({ t: 1 })), expected.simpleCommit)
  })

test('a group that is being removed sends everybody away to ask again', () => {
  const bench = new Bench()
  const [member] = bench.stableGroup(1)
  bench.leave(member!.memberId)
  bench.holdsAppends = true
  let deleted = -1
  bench.machine.deleteGroup('g', (errorCode) => (deleted = errorCode))
  bench.carryOut()
  assert.equal(bench.join().response.errorCode, COORDINATOR_NOT_AVAILABLE)
  assert.equal(bench.heartbeat(member!), COORDINATOR_NOT_AVAILABLE)
  assert.equal(bench.sync(member!).response.errorCode, COORDINATOR_NOT_AVAILABLE)
  assert.equal(bench.leave(member!.memberId), COORDINATOR_NOT_AVAILABLE)
  assert.equal(bench.commit({ t: 1 }).response.topics[0]!.partitions[0]!.errorCode, COORDINATOR_NOT_AVAILABLE)
  bench.releaseAppends(NOT_ENOUGH_REPLICAS)
  assert.equal(deleted, COORDINATOR_NOT_AVAILABLE)
  assert.equal(bench.state, 'Empty')
})

test('from version 4 on a dynamic member is first given an id', () => {
  const bench = new Bench()
  const given = bench.join({ apiVersion: 4 }).response
  assert.deepEqual([given.errorCode, given.memberId], [MEMBER_ID_REQUIRED, 'c-1'])
  const join = bench.join({ apiVersion: 4, memberId: 'c-1' })
  bench.advance(0)
  assert.equal(join.response.memberId, 'c-1')
  assert.equal(join.response.generationId, 1)
})

test('an id given out holds the rebalance up until it is used, lapses or leaves', () => {
  for (const end of ['used', 'lapses', 'leaves'] as const) {
    const bench = new Bench()
    const [member] = bench.stableGroup(1, () => ({ sessionTimeoutMs: 100_000 }))
    const given = bench.join({ apiVersion: 4 }).response
    const again = bench.join({ memberId: member!.memberId, sessionTimeoutMs: 100_000 })
    assert.ok(again.isAwaited)
    if (end === 'used') bench.join({ apiVersion: 4, memberId: given.memberId })
    if (end === 'leaves') assert.equal(bench.leave(given.memberId), NONE)
    if (end === 'lapses') {
      bench.advance(SESSION_MS - 1)
      assert.ok(again.isAwaited)
      bench.advance(1)
    }
    assert.equal(again.response.generationId, 2, end)
    assert.equal(again.response.members.length, end === 'used' ? 2 : 1)
  }
})

test('unknown ids, generations and instances are told apart', () => {
  const bench = new Bench()
  const [leader, instance] = bench.stableGroup(2, (index) => ({ groupInstanceId: index === 1 ? 'i' : null }))
  assert.equal(bench.join({ memberId: 'nobody' }).response.errorCode, UNKNOWN_MEMBER_ID)
  assert.equal(bench.heartbeat({ memberId: 'nobody', generationId: 1 }), UNKNOWN_MEMBER_ID)
  assert.equal(bench.heartbeat({ memberId: leader!.memberId, generationId: 0 }), ILLEGAL_GENERATION)
  assert.equal(bench.heartbeat({ memberId: leader!.memberId, generationId: 1 }, 'i'), FENCED_INSTANCE_ID)
  assert.equal(bench.heartbeat({ memberId: leader!.memberId, generationId: 1 }, 'j'), UNKNOWN_MEMBER_ID)
  assert.equal(bench.heartbeat(instance!, 'i'), NONE)
  assert.equal(bench.sync({ memberId: leader!.memberId, generationId: 9 }).response.errorCode, ILLEGAL_GENERATION)
  const other = { type: 'connect', name: 'range' }
  assert.equal(bench.sync(leader!, {}, null, other).response.errorCode, INCONSISTENT_GROUP_PROTOCOL)
  assert.equal(
    bench.sync(leader!, {}, null, { type: 'consumer', name: 'x' }).response.errorCode,
    INCONSISTENT_GROUP_PROTOCOL,
  )
  assert.equal(bench.sync(leader!, {}, null, { type: 'consumer', name: 'range' }).response.errorCode, NONE)
  assert.equal(bench.leave('nobody'), UNKNOWN_MEMBER_ID)
  assert.equal(bench.leave('', 'j'), UNKNOWN_MEMBER_ID)
  assert.equal(bench.leave(leader!.memberId, 'i'), FENCED_INSTANCE_ID)
})

test('protocols must have one in common, and the most votes win', () => {
  const bytes = new Uint8Array(0)
  const bench = new Bench()
  const joins = [
    bench.join({ protocols: { range: bytes, sticky: bytes, odd: bytes } }),
    bench.join({ protocols: { sticky: bytes, range: bytes } }),
    bench.join({ protocols: { sticky: bytes, range: bytes, odd: bytes } }),
  ]
  assert.equal(bench.join({ protocols: { odd: bytes } }).response.errorCode, INCONSISTENT_GROUP_PROTOCOL)
  assert.equal(bench.join({ protocolType: 'connect' }).response.errorCode, INCONSISTENT_GROUP_PROTOCOL)
  bench.advance(0)
  assert.deepEqual(
    joins.map(({ response }) => response.protocolName),
    ['sticky', 'sticky', 'sticky'],
  )
  assert.equal(new Bench().join({ protocols: {} }).response.errorCode, INCONSISTENT_GROUP_PROTOCOL)
  assert.equal(new Bench().join({ protocolType: '' }).response.errorCode, INCONSISTENT_GROUP_PROTOCOL)
})

test('session timeouts have bounds', () => {
  const bench = new Bench()
  assert.equal(bench.join({ sessionTimeoutMs: 5999 }).response.errorCode, INVALID_SESSION_TIMEOUT)
  assert.equal(bench.join({ sessionTimeoutMs: 1_800_001 }).response.errorCode, INVALID_SESSION_TIMEOUT)
  assert.equal(bench.state, 'Dead', 'no group is left behind')
})

test('a group has a maximum size', () => {
  const bench = new Bench({ groupMaxSize: 2 })
  const members = bench.stableGroup(2)
  assert.equal(bench.join().response.errorCode, GROUP_MAX_SIZE_REACHED)
  const joins = members.map(({ memberId }) => bench.join({ memberId }))
  assert.deepEqual(
    joins.map(({ response }) => response.generationId),
    [2, 2],
  )
})

test('while a generation forms, the maximum counts those who wait', () => {
  const bench = new Bench({ groupMaxSize: 2 })
  const [a, b] = [bench.join(), bench.join()]
  assert.equal(bench.join().response.errorCode, GROUP_MAX_SIZE_REACHED)
  bench.advance(0)
  assert.equal(a.response.generationId, b.response.generationId)
})

test('an empty group waits for more members, longer while they come, up to the rebalance timeout', () => {
  const bench = new Bench({ initialRebalanceDelayMs: 3000 })
  const first = bench.join({ rebalanceTimeoutMs: 8000 })
  for (const ms of [2000, 2000, 2000]) {
    bench.advance(ms)
    assert.ok(first.isAwaited)
    bench.join({ rebalanceTimeoutMs: 8000 })
  }
  bench.advance(1999)
  assert.ok(first.isAwaited)
  bench.advance(1)
  assert.equal(first.response.members.length, 4)
})

test('without newcomers the first generation begins after one delay', () => {
  const bench = new Bench({ initialRebalanceDelayMs: 3000 })
  const first = bench.join()
  bench.advance(2999)
  assert.ok(first.isAwaited)
  bench.advance(1)
  assert.equal(first.response.generationId, 1)
})

test('a member that is silent for its session is thrown out, and the rest rebalances', () => {
  const bench = new Bench()
  const [leader, follower] = bench.stableGroup(2)
  bench.advance(SESSION_MS - 1)
  assert.equal(bench.heartbeat(follower!), NONE)
  bench.advance(1)
  assert.equal(bench.state, 'PreparingRebalance')
  assert.equal(bench.heartbeat(leader!), UNKNOWN_MEMBER_ID)
  assert.equal(bench.heartbeat(follower!), REBALANCE_IN_PROGRESS)
  const again = bench.join({ memberId: follower!.memberId })
  assert.deepEqual([again.response.generationId, again.response.leader], [2, follower!.memberId])
})

test('commits and syncs renew the session as heartbeats do', () => {
  const bench = new Bench()
  const [member] = bench.stableGroup(1)
  for (let round = 0; round < 5; round++) {
    bench.advance(SESSION_MS - 1)
    if (round % 2) bench.commit({ t: round }, member)
    else bench.sync(member!)
    assert.equal(bench.state, 'Stable')
  }
})

test('who waits for an answer is not judged by its session', () => {
  const bench = new Bench()
  const [leader, follower] = bench.stableGroup(2)
  const join = bench.join({ memberId: leader!.memberId })
  // The follower keeps its session and does not join: the leader waits up to the rebalance timeout.
  for (let ms = 0; ms < REBALANCE_MS; ms += 5000) {
    assert.ok(join.isAwaited)
    assert.equal(bench.heartbeat(follower!), REBALANCE_IN_PROGRESS)
    bench.advance(5000)
  }
  assert.deepEqual([join.response.generationId, join.response.members.length], [2, 1])
  assert.equal(bench.heartbeat(follower!), UNKNOWN_MEMBER_ID)
})

test('a new member that waits too long for its first generation is given up', () => {
  const bench = new Bench()
  const [member] = bench.stableGroup(1, () => ({ rebalanceTimeoutMs: 3_600_000 }))
  const join = bench.join()
  for (let ms = 0; ms < 300_000; ms += 5000) {
    assert.ok(join.isAwaited)
    bench.heartbeat(member!)
    bench.advance(5000)
  }
  assert.deepEqual([join.response.errorCode, join.response.memberId], [UNKNOWN_MEMBER_ID, ''])
})

test('a member that does not sync in time is out', () => {
  const bench = new Bench()
  const joins = [bench.join(), bench.join()]
  bench.advance(0)
  const [leader, follower] = joins.map(({ response }) => response)
  const sync = bench.sync(follower!)
  for (let ms = 0; ms < REBALANCE_MS; ms += 5000) {
    assert.ok(sync.isAwaited)
    assert.equal(bench.heartbeat(leader!), NONE)
    bench.advance(5000)
  }
  assert.equal(sync.response.errorCode, REBALANCE_IN_PROGRESS)
  assert.equal(bench.heartbeat(leader!), UNKNOWN_MEMBER_ID)
})

test('when the last member leaves, the group is empty and that is stored', () => {
  const bench = new Bench()
  const [member] = bench.stableGroup(1)
  const records = bench.log.length
  assert.equal(bench.leave(member!.memberId), NONE)
  assert.equal(bench.state, 'Empty')
  assert.equal(bench.log.length, records + 1)
  bench.failover()
  assert.equal(bench.state, 'Empty')
  const join = bench.join()
  bench.advance(0)
  assert.equal(join.response.generationId, 3, 'generations go on')
})

test('a leader that leaves is followed by another', () => {
  const bench = new Bench()
  const [leader, second, third] = bench.stableGroup(3)
  bench.leave(leader!.memberId)
  const joins = [third!, second!].map(({ memberId }) => bench.join({ memberId }))
  assert.deepEqual(
    joins.map(({ response }) => response.leader),
    [second!.memberId, second!.memberId],
  )
})

test('a follower that joins again unchanged is told its generation; a leader, or a change, begins a new one', () => {
  const bench = new Bench()
  const [leader, follower] = bench.stableGroup(2)
  const unchanged = bench.join({ memberId: follower!.memberId })
  assert.deepEqual([unchanged.response.generationId, unchanged.response.members], [1, []])
  const changed = bench.join({ memberId: follower!.memberId, protocols: { range: Uint8Array.of(9) } })
  assert.ok(changed.isAwaited)
  assert.equal(bench.join({ memberId: leader!.memberId }).response.generationId, 2)
  assert.equal(changed.response.generationId, 2)
  // In CompletingRebalance both may have lost their answers.
  assert.equal(bench.join({ memberId: leader!.memberId }).response.members.length, 2)
})

test('a second request of a member answers the first', () => {
  const bench = new Bench()
  const [leader] = bench.stableGroup(2)
  const first = bench.join({ memberId: leader!.memberId })
  const second = bench.join({ memberId: leader!.memberId })
  assert.equal(first.response.errorCode, REBALANCE_IN_PROGRESS)
  assert.ok(second.isAwaited)
})

test('assignments for strangers are ignored, and who is left out gets nothing', () => {
  const bench = new Bench()
  const joins = [bench.join(), bench.join()]
  bench.advance(0)
  const [leader, follower] = joins.map(({ response }) => response)
  const sync = bench.sync(follower!)
  bench.sync(leader!, { stranger: Uint8Array.of(1), [leader!.memberId]: Uint8Array.of(2) })
  assert.equal(sync.response.errorCode, NONE)
  assert.equal(sync.response.assignment.length, 0)
})

test('assignments of a member that does not lead are ignored', () => {
  const bench = new Bench()
  const joins = [bench.join(), bench.join()]
  bench.advance(0)
  const [leader, follower] = joins.map(({ response }) => response)
  const sync = bench.sync(follower!, { [follower!.memberId]: Uint8Array.of(66) })
  bench.sync(leader!, { [follower!.memberId]: Uint8Array.of(1) })
  assert.deepEqual([...sync.response.assignment], [1])
})

// Static members (KIP-345).

const statically = (index: number): { groupInstanceId: string } => ({ groupInstanceId: `i${index}` })

test('a static member that comes back keeps its place without a rebalance, and its former self is fenced', () => {
  const bench = new Bench()
  const [leader, follower] = bench.stableGroup(2, statically)
  const records = bench.log.length
  const back = bench.join({ groupInstanceId: 'i1', apiVersion: 9 }).response
  assert.equal(back.errorCode, NONE)
  assert.notEqual(back.memberId, follower!.memberId)
  assert.deepEqual([back.generationId, back.leader, back.skipAssignment], [1, leader!.memberId, false])
  assert.equal(bench.log.length, records + 1, 'the new id is stored')
  assert.equal(bench.state, 'Stable')
  assert.deepEqual([...bench.sync(back, {}, 'i1').response.assignment], [1])
  assert.equal(bench.heartbeat(follower!, 'i1'), FENCED_INSTANCE_ID)
  assert.equal(
    bench.commit({ t: 1 }, { ...follower!, groupInstanceId: 'i1' }).response.topics[0]!.partitions[0]!.errorCode,
    FENCED_INSTANCE_ID,
  )
  assert.equal(bench.sync(follower!, {}, 'i1').response.errorCode, FENCED_INSTANCE_ID)
  bench.failover()
  assert.equal(bench.heartbeat(follower!, 'i1'), FENCED_INSTANCE_ID, 'also by the next coordinator')
  assert.equal(bench.heartbeat(back, 'i1'), NONE)
})

test('a static leader that comes back does not assign anew', () => {
  const bench = new Bench()
  const [leader] = bench.stableGroup(2, statically)
  const old = bench.join({ groupInstanceId: 'i0', apiVersion: 5 }).response
  assert.deepEqual([old.leader, old.members, old.skipAssignment], [leader!.memberId, [], false])
  const young = bench.join({ groupInstanceId: 'i0', apiVersion: 9 }).response
  assert.deepEqual([young.leader, young.members.length, young.skipAssignment], [young.memberId, 2, true])
})

test('a static member whose return cannot be stored is told so, and its former self goes on', () => {
  const bench = new Bench()
  const [, follower] = bench.stableGroup(2, statically)
  bench.holdsAppends = true
  const back = bench.join({ groupInstanceId: 'i1', apiVersion: 9 })
  assert.ok(back.isAwaited)
  bench.releaseAppends(NOT_ENOUGH_REPLICAS)
  assert.deepEqual([back.response.errorCode, back.response.memberId], [COORDINATOR_NOT_AVAILABLE, ''])
  assert.equal(bench.heartbeat(follower!, 'i1'), NONE)
})

test('a static member that comes back while its return is stored, or while a rebalance begins, is answered once', () => {
  const bench = new Bench()
  bench.stableGroup(2, statically)
  bench.holdsAppends = true
  const first = bench.join({ groupInstanceId: 'i1', apiVersion: 9 })
  const second = bench.join({ groupInstanceId: 'i1', apiVersion: 9 })
  assert.equal(first.response.errorCode, FENCED_INSTANCE_ID)
  const newcomer = bench.join()
  assert.equal(bench.state, 'PreparingRebalance')
  bench.holdsAppends = false
  bench.releaseAppends()
  assert.ok(second.isAwaited && newcomer.isAwaited)
  bench.join({ groupInstanceId: 'i0' })
  assert.equal(second.response.generationId, 2)
})

test('a static member that comes back with another protocol begins a rebalance', () => {
  const bytes = new Uint8Array(0)
  const bench = new Bench()
  const protocols = { range: bytes, sticky: bytes }
  bench.stableGroup(1, () => ({ groupInstanceId: 'i', protocols }))
  const back = bench.join({ groupInstanceId: 'i', protocols: { sticky: bytes, range: bytes } })
  assert.deepEqual([back.response.generationId, back.response.protocolName], [2, 'sticky'])
})

test('a static member that comes back during the leader is assigning begins a rebalance', () => {
  const bench = new Bench()
  const joins = [bench.join(statically(0)), bench.join(statically(1))]
  bench.advance(0)
  const sync = bench.sync(joins[1]!.response, {}, 'i1')
  const back = bench.join({ groupInstanceId: 'i1' })
  assert.equal(sync.response.errorCode, FENCED_INSTANCE_ID)
  assert.ok(back.isAwaited)
  assert.equal(bench.state, 'PreparingRebalance')
})

test('static members keep their place through a rebalance until their session ends', () => {
  const bench = new Bench()
  const [first] = bench.stableGroup(2, (index) => ({ ...statically(index), sessionTimeoutMs: 300_000 }))
  const again = bench.join({ memberId: first!.memberId, groupInstanceId: 'i0', sessionTimeoutMs: 300_000 })
  bench.advance(REBALANCE_MS)
  assert.deepEqual([again.response.generationId, again.response.members.length], [2, 2])
})

test('if no static member joins again, the generation waits for one', () => {
  const bench = new Bench()
  const [first] = bench.stableGroup(2, (index) => ({ ...statically(index), sessionTimeoutMs: 300_000 }))
  const given = bench.join({ apiVersion: 3 })
  bench.leave('', 'i1')
  bench.advance(1)
  assert.ok(given.isAwaited)
  bench.advance(REBALANCE_MS)
  // The newcomer alone has joined: it leads, and the static one keeps its place.
  assert.equal(given.response.leader, given.response.memberId)
  assert.deepEqual(
    given.response.members.map(({ groupInstanceId }) => groupInstanceId),
    ['i0', null],
  )
  assert.equal(bench.heartbeat({ memberId: first!.memberId, generationId: 2 }, 'i0'), NONE)
})

test('an administrator removes a static member by its instance', () => {
  const bench = new Bench()
  const [first, second] = bench.stableGroup(2, statically)
  assert.equal(bench.leave('', 'i0'), NONE)
  assert.equal(bench.heartbeat(first!, 'i0'), UNKNOWN_MEMBER_ID)
  assert.equal(bench.heartbeat(second!, 'i1'), REBALANCE_IN_PROGRESS)
})

// The coordinator's own life.

test('a new coordinator goes on with the last stored generation', () => {
  const bench = new Bench()
  const [leader, follower] = bench.stableGroup(2)
  const before = bench.machine.describeGroup('g')
  bench.failover()
  assert.deepEqual(bench.machine.describeGroup('g'), before)
  assert.equal(bench.heartbeat(leader!), NONE)
  assert.deepEqual([...bench.sync(follower!).response.assignment], [1])
  bench.advance(SESSION_MS)
  assert.equal(bench.state, 'Empty', 'sessions begin anew, and end')
})

test('whoever waits when the coordinator goes is sent to find the next one', () => {
  const bench = new Bench()
  const [leader, follower] = bench.stableGroup(2)
  const join = bench.join({ memberId: leader!.memberId })
  bench.failover()
  assert.equal(join.response.errorCode, NOT_COORDINATOR)
  const joins = [leader!, follower!].map(({ memberId }) => bench.join({ memberId }))
  bench.holdsAppends = true
  const sync = bench.sync(joins[0]!.response, {})
  bench.failover()
  assert.equal(sync.response.errorCode, NOT_COORDINATOR)
  assert.equal(bench.heartbeat(leader!), NONE, 'the generation before is the one that is stored')
})

test('a loaded group that is too large by now forms anew', () => {
  const bench = new Bench()
  bench.stableGroup(3)
  const smaller = new Bench({ groupMaxSize: 2 })
  smaller.log.push(...bench.log)
  smaller.failover()
  assert.equal(smaller.state, 'PreparingRebalance')
})

test('after a stall nobody is thrown out before it could send a heartbeat', () => {
  const bench = new Bench()
  const [member] = bench.stableGroup(1)
  bench.stall(60_000)
  assert.equal(bench.heartbeat(member!), NONE)
  bench.advance(SESSION_MS)
  assert.equal(bench.state, 'Empty', 'once, not for ever')
})

test('a machine that is always late still judges', () => {
  const bench = new Bench()
  bench.stableGroup(1)
  bench.advance(40_000, 600)
  assert.equal(bench.state, 'Empty')
})

test('ten thousand members join in a moment', () => {
  const bench = new Bench({}, 'large')
  const joins = Array.from({ length: 10_000 }, () => bench.join())
  bench.advance(0)
  assert.equal(joins[0]!.response.members.length, 10_000)
})
