import assert from 'node:assert/strict'
import { test } from 'node:test'

import { judgeChange } from './alter-partition.ts'
import { ControllerContext, type Leadership, type PartitionStage, type ReplicaStage } from './context.ts'
import { elect, firstState, withoutReplica, type ElectionStrategy } from './election.ts'
import { originalReplicas, reassigned } from './reassignments.ts'
import { mayPartitionBecome, mayReplicaBecome } from './stages.ts'

interface Case {
  what: string
  strategy: ElectionStrategy
  replicas: number[]
  removing?: number[]
  isr: number[]
  leader?: number
  live: number[]
  leaving?: number[]
  brokenDirectories?: number[]
  /** `leader isr`, or null. */
  elected: string | null
}

const offline: ElectionStrategy = { kind: 'offline', allowUnclean: () => false }
const unclean: ElectionStrategy = { kind: 'offline', allowUnclean: () => true }
const preferred: ElectionStrategy = { kind: 'preferred' }
const reassign: ElectionStrategy = { kind: 'reassign' }
const shutdown: ElectionStrategy = { kind: 'controlledShutdown' }

const CASES: Case[] = [
  {
    what: 'first of the assignment that is live and in sync',
    strategy: offline,
    replicas: [1, 2, 3],
    isr: [3, 2],
    live: [2, 3],
    elected: '2 3,2',
  },
  { what: 'none out of sync', strategy: offline, replicas: [1, 2], isr: [1], live: [2], elected: null },
  {
    what: 'one in sync before one out of it, unclean or not',
    strategy: unclean,
    replicas: [1, 2, 3],
    isr: [3],
    live: [2, 3],
    elected: '3 3',
  },
  {
    what: 'the first live one, unclean',
    strategy: unclean,
    replicas: [1, 2, 3],
    isr: [1],
    live: [3, 2],
    elected: '2 2',
  },
  { what: 'nobody where nobody lives', strategy: unclean, replicas: [1], isr: [1], live: [], elected: null },
  {
    what: 'nobody whose directory is gone',
    strategy: offline,
    replicas: [1, 2],
    isr: [1, 2],
    live: [1, 2],
    brokenDirectories: [1],
    elected: '2 2',
  },
  {
    what: 'nobody who is leaving',
    strategy: offline,
    replicas: [1, 2],
    isr: [1, 2],
    live: [1, 2],
    leaving: [1],
    elected: '2 2',
  },
  {
    what: 'the preferred one, the ISR as it is',
    strategy: preferred,
    replicas: [1, 2],
    isr: [2, 1],
    live: [1, 2],
    elected: '1 2,1',
  },
  {
    what: 'not the preferred one out of sync',
    strategy: preferred,
    replicas: [1, 2],
    isr: [2],
    live: [1, 2],
    elected: null,
  },
  {
    what: 'one of the target',
    strategy: reassign,
    replicas: [3, 4, 1],
    removing: [1],
    isr: [1, 4],
    live: [1, 3, 4],
    elected: '4 1,4',
  },
  {
    what: 'another than the leaving one, which leaves the ISR',
    strategy: shutdown,
    replicas: [1, 2, 3],
    isr: [1, 2, 3],
    live: [1, 2, 3],
    leaving: [1],
    elected: '2 2,3',
  },
  {
    what: 'nobody else than the leaving one in sync',
    strategy: shutdown,
    replicas: [1, 2],
    isr: [1],
    live: [1, 2],
    leaving: [1],
    elected: null,
  },
]

for (const each of CASES)
  test(`elected is ${each.what}`, () => {
    const context = new ControllerContext(7, 0)
    for (const id of each.live)
      context.brokers.set(id, {
        registration: { id, endpoints: [], rack: null, jmxPort: -1, features: {} },
        epoch: id,
        shuttingDown: each.leaving?.includes(id) ?? false,
      })
    const assignment = { replicas: each.replicas, addingReplicas: [], removingReplicas: each.removing ?? [] }
    const partition = context.addPartition(context.addTopic('T', null), 0, assignment)
    for (const id of each.brokenDirectories ?? []) context.setReplicaInOfflineDirectory(partition, id, true)
    const election = elect(context, partition, leadership(each.leader ?? each.isr[0]!, each.isr), each.strategy)
    assert.equal(election && `${election.next.leader} ${election.next.isr.join()}`, each.elected)
    if (election === null) return
    assert.equal(election.next.leaderEpoch, 6)
    assert.equal(election.next.leaderRecoveryState, election.unclean ? 1 : 0)
  })

test('the first leader is the first live replica, and all live ones are in sync', () => {
  const context = new ControllerContext(1, 0)
  const partition = context.addPartition(context.addTopic('T', null), 0, reassigned(none(), [2, 1, 3]))
  assert.equal(firstState(context, partition), null)
  for (const id of [1, 3])
    context.brokers.set(id, {
      registration: { id, endpoints: [], rack: null, jmxPort: -1, features: {} },
      epoch: id,
      shuttingDown: false,
    })
  assert.deepEqual(firstState(context, partition), { leader: 1, leaderEpoch: 0, isr: [1, 3], leaderRecoveryState: 0 })
})

const LEAVING: readonly [leader: number, isr: number[], gone: number, expected: string | null][] = [
  [1, [1, 2], 2, '1 1'],
  [1, [1, 2], 1, '-1 2'],
  [1, [1], 1, '-1 1'],
  [1, [1, 2], 3, null],
]

for (const [leader, isr, gone, expected] of LEAVING)
  test(`when ${gone} leaves an ISR of ${isr.join()} led by ${leader}`, () => {
    const next = withoutReplica(leadership(leader, isr), gone)
    assert.equal(next && `${next.leader} ${next.isr.join()}`, expected)
    if (next !== null) assert.equal(next.leaderEpoch, 6)
  })

const isLive = (brokerId: number): boolean => brokerId < 5
const asked = { brokerId: 1, leaderEpoch: 5, partitionEpoch: 9, isr: [1, 2], leaderRecoveryState: 0 }

const VERDICTS: readonly [string, Partial<Leadership>, Partial<typeof asked>, string][] = [
  ['a change', {}, {}, 'change'],
  ['a partition epoch from the future', {}, { partitionEpoch: 10 }, 'NOT_CONTROLLER'],
  ['a leader epoch from the future', {}, { leaderEpoch: 6 }, 'NOT_CONTROLLER'],
  ['a leader epoch of the past', {}, { leaderEpoch: 4 }, 'FENCED_LEADER_EPOCH'],
  ['what stands there already', { isr: [1, 2] }, { partitionEpoch: 8 }, 'as it is'],
  ['a partition epoch of the past', {}, { partitionEpoch: 8 }, 'INVALID_UPDATE_VERSION'],
  ['company while recovering', { leaderRecoveryState: 1 }, { leaderRecoveryState: 1 }, 'INVALID_REQUEST'],
  ['the end of a recovery', { leaderRecoveryState: 1 }, {}, 'change'],
  ['a recovery out of nothing', {}, { leaderRecoveryState: 1, isr: [1] }, 'INVALID_REQUEST'],
  ['a dead member', {}, { isr: [1, 7] }, 'INELIGIBLE_REPLICA'],
]

for (const [what, now, change, verdict] of VERDICTS)
  test(`a leader that asks for ${what} hears ${verdict}`, () => {
    assert.equal(judgeChange({ ...leadership(1, [1]), ...now }, { ...asked, ...change }, isLive), verdict)
  })

test('stages follow each other as the tables say, and in no other way', () => {
  const partitions: PartitionStage[] = ['nonExistent', 'new', 'online', 'offline']
  const allowed = partitions.flatMap((stage) =>
    partitions.filter((next) => mayPartitionBecome(stage, next)).map((next) => `${stage}>${next}`),
  )
  assert.equal(
    allowed.join(' '),
    'nonExistent>new new>online new>offline online>online online>offline offline>nonExistent offline>online offline>offline',
  )
  const replicas: ReplicaStage[] = [
    'nonExistent',
    'new',
    'online',
    'offline',
    'deletionStarted',
    'deletionSuccessful',
    'deletionIneligible',
  ]
  const moves = replicas.map((stage) => replicas.filter((next) => mayReplicaBecome(stage, next)).join())
  assert.deepEqual(moves, [
    'new',
    'online,offline',
    'online,offline',
    'online,offline,deletionStarted,deletionIneligible',
    'deletionSuccessful,deletionIneligible',
    'nonExistent',
    'online,offline',
  ])
})

test('a reassignment lists the target first, and can be overridden and taken back', () => {
  const start = { replicas: [1, 2, 3], addingReplicas: [], removingReplicas: [] }
  const under = reassigned(start, [3, 4])
  assert.deepEqual(under, { replicas: [3, 4, 1, 2], addingReplicas: [4], removingReplicas: [1, 2] })
  assert.deepEqual(reassigned(under, [5, 1]), {
    replicas: [5, 1, 3, 2],
    addingReplicas: [5],
    removingReplicas: [3, 2],
  })
  const back = reassigned(under, originalReplicas(under))
  assert.deepEqual([back.addingReplicas, back.removingReplicas], [[], []])
})

function leadership(leader: number, isr: number[]): Leadership {
  return { controllerEpoch: 3, leader, leaderEpoch: 5, isr, leaderRecoveryState: 0, partitionEpoch: 9 }
}

function none() {
  return { replicas: [], addingReplicas: [], removingReplicas: [] }
}
