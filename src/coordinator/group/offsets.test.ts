import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ByteWriter } from '#base'
import { ErrorCode } from '#protocol'
import { ConsumerProtocolSubscription } from '#protocol/messages/consumer-protocol'
import type { OffsetCommitResponse } from '#protocol/messages/offset-commit'
import type { OffsetDeleteResponse } from '#protocol/messages/offset-delete'

import { groupEventCodec, type GroupEvent } from './events.ts'
import { Answer, Bench, SESSION_MS } from './testing.ts'

const {
  NONE,
  COORDINATOR_NOT_AVAILABLE,
  GROUP_ID_NOT_FOUND,
  GROUP_SUBSCRIBED_TO_TOPIC,
  ILLEGAL_GENERATION,
  INVALID_COMMIT_OFFSET_SIZE,
  MESSAGE_TOO_LARGE,
  NON_EMPTY_GROUP,
  NOT_COORDINATOR,
  NOT_LEADER_OR_FOLLOWER,
  OFFSET_METADATA_TOO_LARGE,
  REQUEST_TIMED_OUT,
  UNSTABLE_OFFSET_COMMIT,
} = ErrorCode

const DAY_MS = 24 * 3_600_000
const QUARTER_HOUR_MS = 900_000

function codeOf({ response }: Answer<OffsetCommitResponse>): number {
  return response.topics[0]!.partitions[0]!.errorCode
}

test('M5.7: who takes over goes on from the last commit, whatever was processed', () => {
  const bench = new Bench()
  const [leader] = bench.stableGroup(2)
  // Processed up to 30 and committed 20: ten are processed again.
  assert.equal(codeOf(bench.commit({ processed: 20 }, leader)), NONE)
  // Committed 40 before they were processed: those between are skipped.
  assert.equal(codeOf(bench.commit({ committed: 40 }, leader)), NONE)
  bench.advance(SESSION_MS)
  bench.failover()
  const next = bench.join()
  bench.advance(0)
  assert.equal(next.response.errorCode, NONE)
  assert.equal(bench.committed('processed'), 20)
  assert.equal(bench.committed('committed'), 40)
})

test('a commit is seen and answered only when it is durable', () => {
  const bench = new Bench()
  bench.commit({ t: 1 })
  bench.holdsAppends = true
  const commit = bench.commit({ t: 2 })
  assert.ok(commit.isAwaited)
  assert.equal(bench.committed('t'), 1)
  const stable = bench.machine.fetchOffset('g', 't', 0, true)
  assert.deepEqual([stable.errorCode, stable.committedOffset], [UNSTABLE_OFFSET_COMMIT, -1])
  bench.releaseAppends()
  assert.equal(codeOf(commit), NONE)
  assert.equal(bench.committed('t'), 2)
  assert.deepEqual(bench.machine.fetchOffset('g', 't', 0, true), {
    partitionIndex: 0,
    committedOffset: 2,
    committedLeaderEpoch: 4,
    metadata: '',
    errorCode: NONE,
  })
})

test('a commit that fails is forgotten, and told in words that clients know', () => {
  for (const [appendError, expected] of [
    [ErrorCode.NOT_ENOUGH_REPLICAS, COORDINATOR_NOT_AVAILABLE],
    [ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND, COORDINATOR_NOT_AVAILABLE],
    [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, COORDINATOR_NOT_AVAILABLE],
    [NOT_LEADER_OR_FOLLOWER, NOT_COORDINATOR],
    [ErrorCode.KAFKA_STORAGE_ERROR, NOT_COORDINATOR],
    [REQUEST_TIMED_OUT, REQUEST_TIMED_OUT],
    [MESSAGE_TOO_LARGE, INVALID_COMMIT_OFFSET_SIZE],
  ] as const) {
    const bench = new Bench()
    bench.holdsAppends = true
    const commit = bench.commit({ t: 2 })
    bench.releaseAppends(appendError)
    assert.equal(codeOf(commit), expected)
    assert.equal(bench.committed('t'), -1)
    assert.equal(bench.state, 'Dead', 'the group that was made for it is gone')
  }
})

test('a commit of a generation that nobody knows is refused', () => {
  const bench = new Bench()
  assert.equal(codeOf(bench.commit({ t: 1 }, { generationId: 0, memberId: 'm' })), ILLEGAL_GENERATION)
  const [member] = bench.stableGroup(1)
  assert.equal(codeOf(bench.commit({ t: 1 }, { ...member!, generationId: 7 })), ILLEGAL_GENERATION)
})

test('metadata has a maximum, partition by partition', () => {
  const bench = new Bench({ offsetMetadataMaxBytes: 4 })
  assert.equal(codeOf(bench.commit({ t: 1 }, {}, { metadata: '12345' })), OFFSET_METADATA_TOO_LARGE)
  assert.equal(codeOf(bench.commit({ t: 2 }, {}, { metadata: '1234' })), NONE)
  assert.equal(codeOf(bench.commit({ t: 3 }, {}, { metadata: null })), NONE)
  assert.equal(bench.committed('t'), 3)
  const answer = new Answer<OffsetCommitResponse>()
  const partition = { committedOffset: 9, committedLeaderEpoch: -1, commitTimestamp: -1 }
  bench.machine.commitOffsets(
    {
      groupId: 'g',
      generationIdOrMemberEpoch: -1,
      memberId: '',
      groupInstanceId: null,
      retentionTimeMs: -1,
      topics: [
        {
          name: 't',
          partitions: [
            { ...partition, partitionIndex: 0, committedMetadata: 'long one' },
            { ...partition, partitionIndex: 1, committedMetadata: 'ok' },
          ],
        },
      ],
    },
    answer.resolve,
    bench.now,
  )
  bench.carryOut()
  assert.deepEqual(
    answer.response.topics[0]!.partitions.map(({ errorCode }) => errorCode),
    [OFFSET_METADATA_TOO_LARGE, NONE],
  )
  assert.equal(bench.committed('t'), 3)
  assert.equal(bench.machine.fetchOffset('g', 't', 1, false).committedOffset, 9)
})

test('offsets survive the coordinator, of members and of simple consumers', () => {
  const bench = new Bench()
  const [member] = bench.stableGroup(1)
  bench.commit({ a: 1 }, member)
  bench.commit({ a: 2, b: 2 ** 53 - 1 }, member, { metadata: 'größe' })
  bench.failover()
  assert.equal(bench.committed('a'), 2)
  assert.equal(bench.committed('b'), 2 ** 53 - 1)
  assert.equal(bench.machine.fetchOffset('g', 'a', 0, false).metadata, 'größe')
  assert.deepEqual(bench.machine.committedPartitions('g'), [
    { topic: 'a', partitions: [0] },
    { topic: 'b', partitions: [0] },
  ])
  const simple = new Bench()
  simple.commit({ t: 5 })
  simple.failover()
  assert.equal(simple.committed('t'), 5)
  assert.equal(simple.state, 'Empty')
})

test('nothing is known of partitions and groups without commits', () => {
  const bench = new Bench()
  assert.equal(bench.committed('t'), -1)
  assert.deepEqual(bench.machine.committedPartitions('g'), [])
})

// Retention (KIP-211).

test('a simple consumer loses an offset when its commit is old enough', () => {
  const bench = new Bench({ offsetsRetentionMs: 7 * DAY_MS })
  bench.commit({ old: 1 })
  bench.advance(DAY_MS)
  bench.commit({ young: 2 })
  expireAfter(bench, 6 * DAY_MS - 1)
  assert.equal(bench.committed('old'), 1)
  expireAfter(bench, 1)
  assert.deepEqual([bench.committed('old'), bench.committed('young')], [-1, 2])
  expireAfter(bench, DAY_MS)
  assert.equal(bench.state, 'Dead')
  bench.failover()
  assert.deepEqual(bench.machine.listGroups(), [])
})

function expireAfter(bench: Bench, ms: number): void {
  bench.advance(ms)
  bench.machine.expireOffsets(bench.now)
  bench.carryOut()
}

test('an empty group keeps its offsets from the moment when it became empty', () => {
  const bench = new Bench({ offsetsRetentionMs: 7 * DAY_MS })
  const [member] = bench.stableGroup(1, () => ({ sessionTimeoutMs: 1_800_000 }))
  bench.commit({ t: 1 }, member)
  for (let quarter = 0; quarter < 20 * 24 * 2; quarter++) {
    assert.equal(bench.heartbeat(member!), NONE)
    expireAfter(bench, QUARTER_HOUR_MS)
  }
  assert.equal(bench.committed('t'), 1)
  bench.leave(member!.memberId)
  expireAfter(bench, 7 * DAY_MS - 1)
  bench.failover()
  assert.equal(bench.committed('t'), 1)
  expireAfter(bench, 1)
  assert.equal(bench.committed('t'), -1)
  assert.equal(bench.state, 'Dead')
  bench.failover()
  assert.deepEqual(bench.machine.listGroups(), [], 'the tombstone is in the log')
})

test('a consumer group loses offsets of topics that it no longer subscribes to', () => {
  const bench = new Bench({ offsetsRetentionMs: DAY_MS })
  const protocols = { range: subscription('mine') }
  const [member] = bench.stableGroup(1, () => ({ protocols, sessionTimeoutMs: 1_800_000 }))
  bench.commit({ mine: 1, other: 2 }, member)
  for (let round = 0; round < 96; round++) {
    bench.heartbeat(member!)
    expireAfter(bench, QUARTER_HOUR_MS)
  }
  assert.deepEqual([bench.committed('mine'), bench.committed('other')], [1, -1])
  assert.equal(bench.state, 'Stable')
})

test('a group whose subscriptions cannot be read loses nothing', () => {
  const bench = new Bench({ offsetsRetentionMs: DAY_MS })
  const [member] = bench.stableGroup(1, () => ({ protocols: { range: Uint8Array.of(9) }, sessionTimeoutMs: 1_800_000 }))
  bench.commit({ t: 1 }, member)
  for (let round = 0; round < 100; round++) {
    bench.heartbeat(member!)
    expireAfter(bench, QUARTER_HOUR_MS)
  }
  assert.equal(bench.committed('t'), 1)
})

function subscription(...topics: string[]): Uint8Array {
  const writer = new ByteWriter()
  writer.int16(0)
  ConsumerProtocolSubscription.encode(writer, { topics }, 0)
  return writer.toBytes()
}

test('a retention asked for with the commit is obeyed, and survives the coordinator', () => {
  const bench = new Bench({ offsetsRetentionMs: 7 * DAY_MS })
  bench.commit({ t: 1 }, {}, { retentionTimeMs: 1000 })
  bench.failover()
  expireAfter(bench, 999)
  assert.equal(bench.committed('t'), 1)
  expireAfter(bench, 1)
  assert.equal(bench.committed('t'), -1)
})

test('a time of commit of the client itself counts (version 1)', () => {
  const bench = new Bench({ offsetsRetentionMs: DAY_MS })
  bench.commit({ t: 1 }, {}, { commitTimestamp: bench.now.wallMs - DAY_MS + 10 })
  expireAfter(bench, 10)
  assert.equal(bench.committed('t'), -1)
})

test('an offset is not dropped while a commit for it is under way', () => {
  const bench = new Bench({ offsetsRetentionMs: DAY_MS })
  bench.commit({ t: 1 })
  bench.advance(2 * DAY_MS)
  bench.holdsAppends = true
  const commit = bench.commit({ t: 2 })
  bench.machine.expireOffsets(bench.now)
  bench.carryOut()
  bench.releaseAppends()
  assert.equal(codeOf(commit), NONE)
  assert.equal(bench.committed('t'), 2)
})

// Administration.

function deleteGroup(bench: Bench): Answer<number> {
  const answer = new Answer<number>()
  bench.machine.deleteGroup('g', answer.resolve)
  bench.carryOut()
  return answer
}

test('only a group that nobody is in can be deleted, and then all of it is gone', () => {
  const bench = new Bench()
  assert.equal(deleteGroup(bench).response, GROUP_ID_NOT_FOUND)
  const [member] = bench.stableGroup(1)
  bench.commit({ t: 1 }, member)
  assert.equal(deleteGroup(bench).response, NON_EMPTY_GROUP)
  bench.leave(member!.memberId)
  assert.equal(deleteGroup(bench).response, NONE)
  assert.deepEqual([bench.state, bench.committed('t')], ['Dead', -1])
  bench.failover()
  assert.deepEqual([bench.state, bench.committed('t')], ['Dead', -1])
  const join = bench.join()
  bench.advance(0)
  assert.equal(join.response.generationId, 1)
})

test('a group is deleted with the commit that is under way', () => {
  const bench = new Bench()
  bench.holdsAppends = true
  const commit = bench.commit({ t: 1 })
  const deleted = deleteGroup(bench)
  bench.releaseAppends()
  assert.deepEqual([codeOf(commit), deleted.response, bench.committed('t')], [NONE, NONE, -1])
  bench.failover()
  assert.equal(bench.committed('t'), -1)
})

function deleteOffsets(bench: Bench, ...names: string[]): Answer<OffsetDeleteResponse> {
  const answer = new Answer<OffsetDeleteResponse>()
  const topics = names.map((name) => ({ name, partitions: [{ partitionIndex: 0 }] }))
  bench.machine.deleteOffsets({ groupId: 'g', topics }, answer.resolve)
  bench.carryOut()
  return answer
}

test('offsets of a topic in use cannot be deleted, others can', () => {
  const bench = new Bench()
  assert.equal(deleteOffsets(bench, 't').response.errorCode, GROUP_ID_NOT_FOUND)
  const [member] = bench.stableGroup(1, () => ({ protocols: { range: subscription('mine') } }))
  bench.commit({ mine: 1, other: 2 }, member)
  const { response } = deleteOffsets(bench, 'mine', 'other')
  assert.equal(response.errorCode, NONE)
  assert.deepEqual(
    response.topics.map(({ partitions }) => partitions[0]!.errorCode),
    [GROUP_SUBSCRIBED_TO_TOPIC, NONE],
  )
  bench.failover()
  assert.deepEqual([bench.committed('mine'), bench.committed('other')], [1, -1])
})

test('offsets of a group of another kind can be deleted only while nobody is in it', () => {
  const bench = new Bench()
  const [member] = bench.stableGroup(1, () => ({ protocolType: 'connect' }))
  assert.equal(deleteOffsets(bench, 't').response.errorCode, NON_EMPTY_GROUP)
  bench.commit({ t: 1 }, member)
  bench.leave(member!.memberId)
  assert.equal(deleteOffsets(bench, 't').response.topics[0]!.partitions[0]!.errorCode, NONE)
  assert.equal(bench.committed('t'), -1)
})

test('offsets go with their topic', () => {
  const bench = new Bench()
  bench.commit({ gone: 1, kept: 2 })
  bench.machine.forgetPartitions([{ topic: 'gone', partition: 0 }])
  bench.carryOut()
  bench.failover()
  assert.deepEqual([bench.committed('gone'), bench.committed('kept')], [-1, 2])
})

test('groups are listed and described', () => {
  const bench = new Bench()
  bench.stableGroup(1, () => ({ groupInstanceId: 'i', clientId: 'app' }))
  assert.deepEqual(bench.machine.listGroups(), [{ groupId: 'g', protocolType: 'consumer', groupState: 'Stable' }])
  assert.deepEqual(bench.machine.describeGroup('g'), {
    groupState: 'Stable',
    protocolType: 'consumer',
    protocolData: 'range',
    members: [
      {
        memberId: 'i-1',
        groupInstanceId: 'i',
        clientId: 'app',
        clientHost: '/127.0.0.1',
        memberMetadata: Uint8Array.of(1),
        memberAssignment: Uint8Array.of(0),
      },
    ],
  })
  bench.join()
  const { groupState, protocolData, members } = bench.machine.describeGroup('g')
  assert.deepEqual([groupState, protocolData, members[0]!.memberAssignment.length], ['PreparingRebalance', '', 0])
  assert.equal(bench.machine.describeGroup('nobody').groupState, 'Dead')
})

// The log.

test('offsets inside a transaction count from its commit on, and never after an abort', () => {
  const bench = new Bench()
  const offset = (value: number): GroupEvent => ({
    kind: 'offset',
    groupId: 'g',
    topic: 't',
    partition: 0,
    value: { offset: value, leaderEpoch: -1, metadata: '', commitTimestamp: 1, expireTimestamp: -1 },
  })
  bench.machine.applyInTransaction(7, offset(1), 10)
  assert.equal(bench.committed('t'), -1)
  assert.equal(bench.machine.fetchOffset('g', 't', 0, true).errorCode, UNSTABLE_OFFSET_COMMIT)
  bench.machine.endTransaction(7, true)
  assert.equal(bench.committed('t'), 1)
  bench.machine.applyInTransaction(7, offset(2), 11)
  bench.machine.endTransaction(7, false)
  assert.equal(bench.committed('t'), 1)
  // A plain commit that lies behind a transaction's in the log wins, whichever is ended later.
  bench.machine.applyInTransaction(7, offset(3), 12)
  bench.machine.apply(offset(4), 13)
  bench.machine.endTransaction(7, true)
  assert.equal(bench.committed('t'), 4)
})

test('records have the bytes of Kafka', () => {
  const hex = (bytes: Uint8Array | null): string | null => bytes && Buffer.from(bytes).toString('hex')
  const bytesOf = (event: GroupEvent): (string | null)[] => {
    const { key, value } = groupEventCodec.encode(event)
    assert.deepEqual(groupEventCodec.decode(key, value), event)
    return [hex(key), hex(value)]
  }
  const committed = {
    offset: 42,
    leaderEpoch: 3,
    metadata: 'm',
    commitTimestamp: 1_700_000_000_123,
    expireTimestamp: -1,
  }
  const at = { kind: 'offset', groupId: 'grp', topic: 'top', partition: 7 } as const
  // As the classes of Apache Kafka 3.9.1 write them.
  assert.deepEqual(bytesOf({ ...at, value: committed }), [
    '000100036772700003746f7000000007',
    '0003000000000000002a0000000300016d0000018bcfe5687b',
  ])
  assert.deepEqual(bytesOf({ ...at, value: { ...committed, leaderEpoch: -1, expireTimestamp: 1_700_000_001_123 } }), [
    '000100036772700003746f7000000007',
    '0001000000000000002a00016d0000018bcfe5687b0000018bcfe56c63',
  ])
  assert.deepEqual(bytesOf({ ...at, value: null }), ['000100036772700003746f7000000007', null])
  const member = {
    memberId: 'm1',
    groupInstanceId: 'i1',
    clientId: 'c1',
    clientHost: '/h',
    rebalanceTimeout: 60_000,
    sessionTimeout: 10_000,
  }
  const group = {
    protocolType: 'consumer',
    generation: 5,
    protocol: 'range',
    leader: 'm1',
    currentStateTimestamp: 1_700_000_000_000,
  }
  const members = [{ ...member, subscription: Uint8Array.of(1, 2), assignment: Uint8Array.of(3) }]
  assert.deepEqual(bytesOf({ kind: 'group', groupId: 'grp', value: { ...group, members } }), [
    '00020003677270',
    '00030008636f6e73756d657200000005000572616e676500026d310000018bcfe568000000000100026d310002693100026331' +
      '00022f680000ea6000002710000000020102000000' +
      '0103',
  ])
  const empty = { ...group, protocol: null, leader: null, members: [] }
  assert.deepEqual(bytesOf({ kind: 'group', groupId: 'grp', value: empty }), [
    '00020003677270',
    '00030008636f6e73756d657200000005ffffffff0000018bcfe5680000000000',
  ])
})

test('keys of a kind that is not known are left out, and values of a version that is not are refused', () => {
  assert.equal(groupEventCodec.decode(Uint8Array.of(0, 3, 0, 0), null), null)
  const { key } = groupEventCodec.encode({ kind: 'offset', groupId: 'g', topic: 't', partition: 0, value: null })
  assert.throws(() => groupEventCodec.decode(key, Uint8Array.of(0, 9, 0)), /version 9/)
  assert.throws(() => groupEventCodec.decode(Uint8Array.of(0, 1, 0), null), /MalformedBytesError|bytes/)
})
