/**
 * Our assignors give what Java's give, for random groups with everything that a rebalance meets: members that come and go, subscriptions
 * that differ, claims of different generations, racks (KIP-881). Java's cooperative-sticky hands partitions to a member that subscribes to nothing; such members are left out.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import {
  ASSIGNORS,
  type AssignableMember,
  type Assignments,
  type PartitionRacks,
  type TopicPartition,
} from '../../../src/client/consumer/index.ts'
import { SimulatedRandom } from '../../../src/simulation/index.ts'
import { javaArguments, run } from '../../peers/index.ts'

const GROUPS = 2000
const RACKS = ['a', 'b', 'c']
const NAMES = ['range', 'roundrobin', 'cooperative-sticky']

interface Group {
  readonly counts: ReadonlyMap<string, number>
  readonly members: readonly AssignableMember[]
  readonly racks: PartitionRacks
}

test('assignments of random groups are those of Java', { timeout: 120_000 }, async (t) => {
  const groups = Array.from({ length: GROUPS }, (_, seed) => randomGroup(new SimulatedRandom(`assignors ${seed}`)))
  const oracle = join(import.meta.dirname, 'AssignorOracle.java')
  // `java FILE.java` compiles and runs in one go.
  const { stdout } = await run('java', javaArguments(oracle, []), { input: `${groups.map(lineOf).join('\n')}\n` })
  const answers = stdout.trimEnd().split('\n')
  assert.equal(answers.length, groups.length)
  groups.forEach((group, index) => {
    const ours = NAMES.map((name) => printed(ASSIGNORS.get(name)!.assign(group.counts, group.members, group.racks)))
    assert.deepEqual(ours, answers[index]!.split('\t'), lineOf(group))
  })
  t.diagnostic(`${groups.length} groups compared`)
})

function randomGroup(random: SimulatedRandom): Group {
  const topics = Array.from({ length: 1 + random.below(5) }, (_, index) => `t${index}`)
  const allWantAll = random.below(2) === 0
  const subscriptions = Array.from({ length: 1 + random.below(6) }, () => {
    const wanted = topics.filter(() => allWantAll || random.below(3) > 0)
    return wanted.length > 0 ? wanted : [topics[0]!]
  })
  const counts = new Map(
    topics
      .filter((topic) => subscriptions.some((wanted) => wanted.includes(topic)))
      .map((topic) => [topic, 1 + random.below(6)]),
  )
  const isConfused = random.below(3) === 0
  const hasRacks = random.below(2) === 0
  const owned = subscriptions.map((): TopicPartition[] => [])
  for (const [topic, count] of counts)
    for (let partition = 0; partition < count; partition++) {
      const owner = random.below(subscriptions.length)
      const mayOwn = isConfused || subscriptions[owner]!.includes(topic)
      if (mayOwn && random.below(4) > 0) owned[owner]!.push({ topic, partition })
    }
  const members = subscriptions.map((wanted, index) => ({
    memberId: `m${index}`,
    groupInstanceId: null,
    topics: wanted,
    ownedPartitions: owned[index]!,
    generation: owned[index]!.length === 0 ? -1 : isConfused ? 4 + random.below(2) : 5,
    userData: null,
    rackId: hasRacks && random.below(4) > 0 ? RACKS[random.below(RACKS.length)]! : null,
  }))
  // Replicas lie where they happen to, or everywhere, or brokers have no racks.
  const layout = hasRacks ? random.below(4) : 0
  const racks = new Map(
    Array.from(counts, ([topic, count]) => [
      topic,
      Array.from(
        { length: count },
        () => new Set(RACKS.filter(() => (layout > 1 ? random.below(2) > 0 : layout === 1))),
      ),
    ]),
  )
  return { counts, members, racks }
}

function lineOf({ counts, members, racks }: Group): string {
  return [
    Array.from(
      counts.keys(),
      (topic) =>
        `${topic}=${racks
          .get(topic)!
          .map((each) => [...each].join('+'))
          .join('/')}`,
    ).join(','),
    ...members.map(({ memberId, topics, generation, ownedPartitions, rackId }) =>
      [memberId, topics.join(','), generation, words(ownedPartitions).join(','), rackId ?? ''].join('|'),
    ),
  ].join(';')
}

function printed(assignments: Assignments): string {
  const members = [...assignments].sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([memberId, list]) => `${memberId}=${words(list).sort(inOrder).join(' ')}`).join(', ')}}`
}

function words(partitions: readonly TopicPartition[]): string[] {
  return partitions.map(({ topic, partition }) => `${topic}-${partition}`)
}

function inOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
