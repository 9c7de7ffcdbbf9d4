import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SimulatedRandom } from '#simulation'

import { keyOf, type TopicPartition } from '../topic-partition.ts'
import type { AssignableMember, Assignments, Assignor } from './assignor.ts'
import { cooperativeStickyAssignor, rangeAssignor, roundRobinAssignor } from './index.ts'

type Members = Record<string, Partial<AssignableMember> & { topics: string[] }>

function membersOf(members: Members): AssignableMember[] {
  return Object.entries(members).map(([memberId, member]) => ({
    memberId,
    groupInstanceId: null,
    ownedPartitions: [],
    generation: -1,
    userData: null,
    rackId: null,
    ...member,
  }))
}

/** `t-0 t-1` */
function partitions(text: string): TopicPartition[] {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => ({
      topic: word.slice(0, word.lastIndexOf('-')),
      partition: Number(word.slice(word.lastIndexOf('-') + 1)),
    }))
}

function printed(assignments: Assignments): Record<string, string> {
  return Object.fromEntries(Array.from(assignments, ([memberId, list]) => [memberId, list.map(keyOf).join(' ')]))
}

interface Case {
  name: string
  assignor: Assignor
  counts: Record<string, number>
  members: Members
  expected: Record<string, string>
}

/** The examples are those of the assignors' own documentation in Kafka 3.9, and of its tests. */
const CASES: Case[] = [
  {
    name: 'range cuts each topic',
    assignor: rangeAssignor,
    counts: { t0: 3, t1: 3 },
    members: { C0: { topics: ['t0', 't1'] }, C1: { topics: ['t0', 't1'] } },
    expected: { C0: 't0-0 t0-1 t1-0 t1-1', C1: 't0-2 t1-2' },
  },
  {
    name: 'range: more members than partitions leaves some idle',
    assignor: rangeAssignor,
    counts: { t: 1 },
    members: { b: { topics: ['t'] }, a: { topics: ['t'] } },
    expected: { a: 't-0', b: '' },
  },
  {
    name: 'range: a topic that does not exist, and one that only one member wants',
    assignor: rangeAssignor,
    counts: { t: 2, u: 2 },
    members: { a: { topics: ['t', 'u', 'missing'] }, b: { topics: ['t'] } },
    expected: { a: 't-0 u-0 u-1', b: 't-1' },
  },
  {
    name: 'range: static members come first, by their names',
    assignor: rangeAssignor,
    counts: { t: 3 },
    members: {
      a: { topics: ['t'] },
      c: { topics: ['t'], groupInstanceId: '2' },
      d: { topics: ['t'], groupInstanceId: '1' },
    },
    expected: { d: 't-0', c: 't-1', a: 't-2' },
  },
  {
    name: 'round-robin deals out all topics',
    assignor: roundRobinAssignor,
    counts: { t0: 3, t1: 3 },
    members: { C0: { topics: ['t0', 't1'] }, C1: { topics: ['t0', 't1'] } },
    expected: { C0: 't0-0 t0-2 t1-1', C1: 't0-1 t1-0 t1-2' },
  },
  {
    name: 'round-robin passes over those who do not want a topic',
    assignor: roundRobinAssignor,
    counts: { t0: 1, t1: 2, t2: 3 },
    members: { C0: { topics: ['t0'] }, C1: { topics: ['t0', 't1'] }, C2: { topics: ['t0', 't1', 't2'] } },
    expected: { C0: 't0-0', C1: 't1-0', C2: 't1-1 t2-0 t2-1 t2-2' },
  },
  {
    name: 'sticky: uneven subscriptions are balanced as far as they can be',
    assignor: cooperativeStickyAssignor,
    counts: { t0: 1, t1: 2, t2: 3 },
    members: { C0: { topics: ['t0'] }, C1: { topics: ['t0', 't1'] }, C2: { topics: ['t0', 't1', 't2'] } },
    expected: { C0: 't0-0', C1: 't1-0 t1-1', C2: 't2-0 t2-1 t2-2' },
  },
  {
    name: 'sticky: a first round deals out evenly',
    assignor: cooperativeStickyAssignor,
    counts: { t0: 2, t1: 2, t2: 2, t3: 2 },
    members: Object.fromEntries(['C0', 'C1', 'C2'].map((id) => [id, { topics: ['t0', 't1', 't2', 't3'] }])),
    expected: { C0: 't0-0 t1-1 t3-0', C1: 't0-1 t2-0 t3-1', C2: 't1-0 t2-1' },
  },
  {
    name: 'sticky: what a member that has left had is shared out, the rest stays',
    assignor: cooperativeStickyAssignor,
    counts: { t0: 2, t1: 2, t2: 2, t3: 2 },
    members: {
      C0: { topics: ['t0', 't1', 't2', 't3'], generation: 1, ownedPartitions: partitions('t0-0 t1-1 t3-0') },
      C2: { topics: ['t0', 't1', 't2', 't3'], generation: 1, ownedPartitions: partitions('t1-0 t2-1') },
    },
    expected: { C0: 't0-0 t3-0 t1-1 t0-1', C2: 't1-0 t2-1 t2-0 t3-1' },
  },
  {
    name: 'cooperative: what moves to a new member is nobody’s in this round',
    assignor: cooperativeStickyAssignor,
    counts: { t: 4 },
    members: {
      a: { topics: ['t'], generation: 1, ownedPartitions: partitions('t-0 t-1 t-2 t-3') },
      b: { topics: ['t'] },
    },
    expected: { a: 't-0 t-1', b: '' },
  },
  {
    name: 'cooperative: of two claims the newer generation’s counts',
    assignor: cooperativeStickyAssignor,
    counts: { t: 2 },
    members: {
      a: { topics: ['t'], generation: 4, ownedPartitions: partitions('t-0 t-1') },
      b: { topics: ['t'], generation: 5, ownedPartitions: partitions('t-1') },
    },
    expected: { a: 't-0', b: 't-1' },
  },
  {
    name: 'cooperative: what two claim in one generation both must give up first',
    assignor: cooperativeStickyAssignor,
    counts: { t: 2 },
    members: {
      a: { topics: ['t'], generation: 5, ownedPartitions: partitions('t-0') },
      b: { topics: ['t'], generation: 5, ownedPartitions: partitions('t-0') },
    },
    expected: { a: '', b: 't-1' },
  },
  {
    name: 'sticky: the generation in the user data of older clients',
    assignor: cooperativeStickyAssignor,
    counts: { t: 2 },
    members: {
      a: { topics: ['t'], userData: cooperativeStickyAssignor.userData(4), ownedPartitions: partitions('t-0 t-1') },
      b: { topics: ['t'], userData: cooperativeStickyAssignor.userData(5), ownedPartitions: partitions('t-1') },
    },
    expected: { a: 't-0', b: 't-1' },
  },
]

for (const { name, assignor, counts, members, expected } of CASES)
  test(name, () => {
    assert.deepEqual(printed(assignor.assign(new Map(Object.entries(counts)), membersOf(members))), expected)
  })

/** `a,b c` : the racks of each partition. */
function racksOf(topics: Record<string, string>): Map<string, Set<string>[]> {
  return new Map(
    Object.entries(topics).map(([topic, text]) => [topic, text.split(' ').map((racks) => new Set(racks.split(',')))]),
  )
}

const RACK_CASES: (Case & { racks: Record<string, string> })[] = [
  {
    name: 'range: members get partitions in their racks, as many as before',
    assignor: rangeAssignor,
    counts: { t: 4 },
    racks: { t: 'b a b a' },
    members: { m0: { topics: ['t'], rackId: 'a' }, m1: { topics: ['t'], rackId: 'b' } },
    expected: { m0: 't-1 t-3', m1: 't-0 t-2' },
  },
  {
    name: 'range: topics that are cut alike stay so, also where that costs nearness',
    assignor: rangeAssignor,
    counts: { t: 2, u: 2 },
    racks: { t: 'b a', u: 'b b' },
    members: { m0: { topics: ['t', 'u'], rackId: 'a' }, m1: { topics: ['t', 'u'], rackId: 'b' } },
    expected: { m0: 't-1 u-1', m1: 't-0 u-0' },
  },
  {
    name: 'range: where every partition is in every rack nothing changes',
    assignor: rangeAssignor,
    counts: { t: 4 },
    racks: { t: 'a,b b,a a,b a,b' },
    members: { m0: { topics: ['t'], rackId: 'b' }, m1: { topics: ['t'], rackId: 'a' } },
    expected: { m0: 't-0 t-1', m1: 't-2 t-3' },
  },
  {
    name: 'sticky: what a member holds in another rack moves, in the round after next',
    assignor: cooperativeStickyAssignor,
    counts: { t: 4 },
    racks: { t: 'a a b b' },
    members: {
      m0: { topics: ['t'], rackId: 'a', generation: 1, ownedPartitions: partitions('t-0 t-2') },
      m1: { topics: ['t'], rackId: 'b', generation: 1, ownedPartitions: partitions('t-1 t-3') },
    },
    expected: { m0: 't-0', m1: 't-3' },
  },
  {
    name: 'sticky: members of different subscriptions are near where the balance allows it',
    assignor: cooperativeStickyAssignor,
    counts: { t: 2, u: 2 },
    racks: { t: 'a b', u: 'a b' },
    members: { m0: { topics: ['t', 'u'], rackId: 'b' }, m1: { topics: ['t'], rackId: 'a' } },
    expected: { m0: 'u-1 u-0', m1: 't-0 t-1' },
  },
]

for (const { name, assignor, counts, racks, members, expected } of RACK_CASES)
  test(name, () => {
    const assignments = assignor.assign(new Map(Object.entries(counts)), membersOf(members), racksOf(racks))
    assert.deepEqual(printed(assignments), expected)
  })

test('the user data of cooperative-sticky is the generation', () => {
  assert.deepEqual(cooperativeStickyAssignor.userData(258), Uint8Array.of(0, 0, 1, 2))
})

test('range and round-robin give every partition to one of those who want it, and depend on no order of members', () => {
  forSomeGroups((random, counts, members) => {
    for (const assignor of [rangeAssignor, roundRobinAssignor]) {
      const assignments = assignor.assign(counts, members)
      checkComplete(counts, members, assignments)
      const shuffled = [...members].sort(() => random.below(3) - 1)
      const again = assignor.assign(counts, shuffled)
      for (const [memberId, list] of assignments) assert.deepEqual(again.get(memberId), list)
    }
  })
})

test('cooperative-sticky comes to rest: everything given out, even where all want the same, and then nothing moves', () => {
  forSomeGroups((random, counts, members) => {
    let generation = 0
    let present = members
    let before: Record<string, string> = {}
    for (let round = 0; round < 4; round++) {
      const assignments = cooperativeStickyAssignor.assign(counts, present)
      checkNoTheft(present, assignments)
      generation += 1
      before = printed(assignments)
      present = present.map((member) => ({ ...member, generation, ownedPartitions: assignments.get(member.memberId)! }))
    }
    const last = cooperativeStickyAssignor.assign(counts, present)
    checkComplete(counts, present, last)
    for (const [memberId, list] of last)
      assert.deepEqual(list.map(keyOf).sort(), before[memberId]!.split(' ').filter(Boolean).sort())
    if (new Set(members.map(({ topics }) => topics.join())).size === 1) {
      const sizes = Array.from(last.values(), ({ length }) => length)
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1)
    }
    void random
  })
})

function forSomeGroups(
  check: (random: SimulatedRandom, counts: Map<string, number>, members: AssignableMember[]) => void,
): void {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new SimulatedRandom(String(seed))
    const topics = Array.from({ length: 1 + random.below(4) }, (_, index) => `t${index}`)
    const counts = new Map(topics.map((topic) => [topic, 1 + random.below(5)]))
    const allWantAll = random.below(2) === 0
    const members = Object.fromEntries(
      Array.from({ length: 1 + random.below(5) }, (_, index) => [
        `m${index}`,
        { topics: topics.filter(() => allWantAll || random.below(3) > 0) },
      ]),
    )
    // Some of them held something before the first round.
    const list = membersOf(members)
    const held = list.map((member) => ({ ...member, generation: 0, ownedPartitions: [] as TopicPartition[] }))
    for (const topic of topics)
      for (let partition = 0; partition < counts.get(topic)!; partition++)
        if (random.below(2) === 0) held[random.below(held.length)]!.ownedPartitions.push({ topic, partition })
    check(random, counts, held)
  }
}

/** Each partition that somebody wants has one owner, who wants it. */
function checkComplete(
  counts: ReadonlyMap<string, number>,
  members: readonly AssignableMember[],
  assignments: Assignments,
): void {
  const given = [...assignments.values()].flat().map(keyOf)
  const wanted = [...counts]
    .filter(([topic]) => members.some(({ topics }) => topics.includes(topic)))
    .flatMap(([topic, count]) => Array.from({ length: count }, (_, partition) => keyOf({ topic, partition })))
  assert.deepEqual(given.sort(), wanted.sort())
  for (const { memberId, topics } of members)
    for (const { topic } of assignments.get(memberId)!) assert.ok(topics.includes(topic))
}

/** Nobody is given what another one holds. */
function checkNoTheft(members: readonly AssignableMember[], assignments: Assignments): void {
  const holders = new Map(
    members.flatMap(({ memberId, ownedPartitions }) =>
      ownedPartitions.map((partition) => [keyOf(partition), memberId]),
    ),
  )
  for (const [memberId, list] of assignments)
    for (const partition of list) assert.equal(holders.get(keyOf(partition)) ?? memberId, memberId)
}
