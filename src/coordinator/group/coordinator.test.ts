import assert from 'node:assert/strict'
import { test } from 'node:test'

import { concatBytes, encodeUtf8 } from '#base'
import type { AppendOutcome, CoordinatorLog } from '#coordinator'
import { silentLogger, type Clock, type Timer } from '#platform'
import { ErrorCode } from '#protocol'
import { RecordBatchBuilder, RecordBatchView, endTransactionBatch } from '#protocol/records'

import { GroupCoordinator, groupConfigDefaults, groupEventCodec, type GroupConfig } from './index.ts'
import { sequence } from './testing.ts'

const {
  NONE,
  COORDINATOR_LOAD_IN_PROGRESS,
  COORDINATOR_NOT_AVAILABLE,
  GROUP_ID_NOT_FOUND,
  INVALID_GROUP_ID,
  NOT_COORDINATOR,
  REBALANCE_IN_PROGRESS,
  UNKNOWN_MEMBER_ID,
} = ErrorCode

/** Time that moves when it is told to; a turn ends when the promises have had theirs. */
class StandingClock implements Clock {
  #ms = 0
  readonly #timers = new Set<{ at: number; fire: (lateMs: number) => void }>()
  readonly #ends: (() => void)[] = []

  now = (): number => 1_700_000_000_000 + this.#ms
  monotonic = (): number => this.#ms

  setTimer(delayMs: number, fire: (lateMs: number) => void): Timer {
    const timer = { at: this.#ms + delayMs, fire }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  endOfTurn(run: () => void): void {
    this.#ends.push(run)
  }

  nextTurn(run: () => void): void {
    this.#ends.push(run)
  }

  get timerCount(): number {
    return this.#timers.size
  }

  async turn(): Promise<void> {
    for (let round = 0; round < 20; round++) {
      for (const run of this.#ends.splice(0)) run()
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async advance(ms: number): Promise<void> {
    const end = this.#ms + ms
    for (;;) {
      await this.turn()
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.#timers.delete(next)
      this.#ms = Math.max(this.#ms, next.at)
      next.fire(0)
    }
    this.#ms = end
  }
}

/** Partitions of `__consumer_offsets` as lists of batches. */
class MemoryLog implements CoordinatorLog {
  readonly batches = new Map<number, Uint8Array[]>()
  outcome: AppendOutcome['errorCode'] = NONE
  /** While it is set, reading waits for it. */
  gate: Promise<void> | null = null
  failingReads = 0
  /** What `confirm` answers. */
  isConfirmed = true
  readonly epochs: number[] = []

  async append(partition: number, leaderEpoch: number, bytes: Uint8Array): Promise<AppendOutcome> {
    this.epochs.push(leaderEpoch)
    const { outcome } = this
    if (outcome !== NONE) return { errorCode: outcome, baseOffset: -1 }
    return { errorCode: NONE, baseOffset: this.put(partition, bytes) }
  }

  put(partition: number, bytes: Uint8Array): number {
    const batches = this.batches.get(partition) ?? []
    this.batches.set(partition, batches)
    const last = batches.at(-1)
    const batch = new RecordBatchView(bytes)
    batch.baseOffset = last === undefined ? 0 : new RecordBatchView(last).nextOffset
    batches.push(bytes)
    return batch.baseOffset
  }

  confirm(): Promise<boolean> {
    return Promise.resolve(this.isConfirmed)
  }

  async *read(partition: number): AsyncGenerator<Uint8Array> {
    await this.gate
    if (this.failingReads > 0) {
      this.failingReads -= 1
      throw new Error('the disk is on fire')
    }
    const window = new Uint8Array(100_000)
    for (const batch of this.batches.get(partition) ?? []) {
      window.set(batch)
      yield window.subarray(0, batch.length)
      // A piece is valid only until the next one is asked for.
      window.fill(0xee)
    }
  }
}

function setUp(
  config: Partial<GroupConfig> = {},
  log = new MemoryLog(),
  clock = new StandingClock(),
): { coordinator: GroupCoordinator; log: MemoryLog; clock: StandingClock } {
  const next = sequence(5)
  const coordinator = new GroupCoordinator({
    clock,
    random: {
      next: () => next(1000) / 1000,
      below: next,
      bytes: (length) => Uint8Array.from({ length }, () => next(256)),
    },
    logger: silentLogger,
    log,
    config: { ...groupConfigDefaults, initialRebalanceDelayMs: 0, ...config },
    partitionCount: () => 1,
  })
  return { coordinator, log, clock }
}

const context = { apiVersion: 9, clientId: 'app', clientHost: '/127.0.0.1' }

function joinRequest(memberId = '', groupId = 'g'): Parameters<GroupCoordinator['joinGroup']>[0] {
  return {
    groupId,
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 60_000,
    memberId,
    groupInstanceId: null,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: new Uint8Array(0) }],
    reason: null,
  }
}

function syncRequest(
  memberId: string,
  generationId: number,
  assignments: { memberId: string; assignment: Uint8Array }[] = [],
): Parameters<GroupCoordinator['syncGroup']>[0] {
  return {
    groupId: 'g',
    generationId,
    memberId,
    groupInstanceId: null,
    protocolType: null,
    protocolName: null,
    assignments,
  }
}

function commitRequest(offset: number, topic = 't', groupId = 'g'): Parameters<GroupCoordinator['commitOffsets']>[0] {
  const partition = { partitionIndex: 0, committedOffset: offset, committedLeaderEpoch: -1, commitTimestamp: -1 }
  return {
    groupId,
    generationIdOrMemberEpoch: -1,
    memberId: '',
    groupInstanceId: null,
    retentionTimeMs: -1,
    topics: [{ name: topic, partitions: [{ ...partition, committedMetadata: '' }] }],
  }
}

function fetchRequest(groupId = 'g', topics: string[] | null = ['t']): Parameters<GroupCoordinator['fetchOffsets']>[0] {
  const wanted = topics && topics.map((name) => ({ name, partitionIndexes: [0] }))
  return {
    groupId,
    topics: wanted,
    groups: [{ groupId, memberId: null, memberEpoch: -1, topics: wanted }],
    requireStable: false,
  }
}

test('a group from the first join to a commit, over the log and back', async () => {
  const { coordinator, log, clock } = setUp()
  await coordinator.becomeLeader(0, 3)
  const given = await coordinator.joinGroup(joinRequest(), context)
  assert.equal(given.errorCode, ErrorCode.MEMBER_ID_REQUIRED)
  assert.match(given.memberId, /^app-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  const joining = coordinator.joinGroup(joinRequest(given.memberId), context)
  await clock.advance(10)
  const { memberId, generationId } = await joining
  const syncing = coordinator.syncGroup(
    syncRequest(memberId, generationId, [{ memberId, assignment: Uint8Array.of(1) }]),
  )
  await clock.turn()
  assert.deepEqual([...(await syncing).assignment], [1])
  const commit = { ...commitRequest(42), generationIdOrMemberEpoch: generationId, memberId }
  const committing = coordinator.commitOffsets(commit)
  await clock.turn()
  assert.deepEqual((await committing).topics, [{ name: 't', partitions: [{ partitionIndex: 0, errorCode: NONE }] }])
  assert.deepEqual(log.epochs, [3, 3])

  const next = setUp({}, log, clock).coordinator
  await next.becomeLeader(0, 4)
  assert.equal((await next.heartbeat({ groupId: 'g', generationId, memberId, groupInstanceId: null })).errorCode, NONE)
  const fetched = await next.fetchOffsets(fetchRequest(), context)
  assert.equal(fetched.groups[0]!.topics[0]!.partitions[0]!.committedOffset, 42)
  const described = await next.describeGroups({ groups: ['g', 'other'], includeAuthorizedOperations: false })
  assert.deepEqual(
    described.groups.map(({ groupState }) => groupState),
    ['Stable', 'Dead'],
  )
})

test('a coordinator that may have been deposed answers no offsets', async () => {
  const { coordinator, log, clock } = setUp()
  await coordinator.becomeLeader(0, 0)
  const committing = coordinator.commitOffsets(commitRequest(42))
  await clock.turn()
  await committing
  log.isConfirmed = false
  const { groups } = await coordinator.fetchOffsets(fetchRequest(), context)
  assert.deepEqual(groups, [{ groupId: 'g', topics: [], errorCode: ErrorCode.NOT_COORDINATOR }])
})

test('what is decided in one turn shares a batch, in its order', async () => {
  const { coordinator, log, clock } = setUp()
  await coordinator.becomeLeader(0, 0)
  const commits = Array.from({ length: 100 }, (_, index) =>
    coordinator.commitOffsets(commitRequest(index, 't', `g${index % 3}`)),
  )
  await clock.turn()
  for (const commit of await Promise.all(commits)) assert.equal(commit.topics[0]!.partitions[0]!.errorCode, NONE)
  const [batch, ...others] = log.batches.get(0)!
  assert.equal(others.length, 0)
  assert.equal(new RecordBatchView(batch!).recordCount, 100)
  const fetched = await coordinator.fetchOffsets(fetchRequest('g0'), context)
  assert.equal(fetched.groups[0]!.topics[0]!.partitions[0]!.committedOffset, 99)
})

test('batches stay small, and a decision stays whole', async () => {
  const { coordinator, log, clock } = setUp()
  await coordinator.becomeLeader(0, 0)
  const large = commitRequest(1)
  large.topics = Array.from({ length: 3000 }, (_, index) => ({
    ...large.topics[0]!,
    name: `topic-with-a-name-${index}`,
  }))
  const commits = [large, large, commitRequest(2)].map((request) => coordinator.commitOffsets(request))
  await clock.turn()
  await Promise.all(commits)
  assert.deepEqual(
    log.batches.get(0)!.map((bytes) => new RecordBatchView(bytes).recordCount),
    [3000, 3000, 1],
  )
})

test('until it is loaded a partition says so, each API in its way', async () => {
  const { coordinator, log, clock } = setUp()
  let open = (): void => {}
  log.gate = new Promise((resolve) => (open = resolve))
  const loading = coordinator.becomeLeader(0, 0)
  assert.equal((await coordinator.joinGroup(joinRequest(), context)).errorCode, COORDINATOR_LOAD_IN_PROGRESS)
  assert.equal((await coordinator.syncGroup(syncRequest('m', 1))).errorCode, REBALANCE_IN_PROGRESS)
  const beat = { groupId: 'g', generationId: 1, memberId: 'm', groupInstanceId: null }
  assert.equal((await coordinator.heartbeat(beat)).errorCode, NONE)
  assert.equal(
    (await coordinator.commitOffsets(commitRequest(1))).topics[0]!.partitions[0]!.errorCode,
    COORDINATOR_LOAD_IN_PROGRESS,
  )
  assert.equal(
    (await coordinator.fetchOffsets(fetchRequest(), context)).groups[0]!.errorCode,
    COORDINATOR_LOAD_IN_PROGRESS,
  )
  assert.equal(
    (await coordinator.listGroups({ statesFilter: [], typesFilter: [] })).errorCode,
    COORDINATOR_LOAD_IN_PROGRESS,
  )
  open()
  await clock.turn()
  await loading
  assert.equal((await coordinator.heartbeat(beat)).errorCode, UNKNOWN_MEMBER_ID)
})

test('a partition that cannot be read is tried again', async () => {
  const { coordinator, log, clock } = setUp()
  log.failingReads = 2
  const loading = coordinator.becomeLeader(0, 0)
  await clock.advance(1999)
  assert.equal((await coordinator.joinGroup(joinRequest(), context)).errorCode, COORDINATOR_LOAD_IN_PROGRESS)
  await clock.advance(1)
  await loading
  assert.equal((await coordinator.deleteGroups({ groupsNames: ['g'] })).results[0]!.errorCode, GROUP_ID_NOT_FOUND)
})

test('resigning ends a load, and answers whoever waits', async () => {
  const { coordinator, log, clock } = setUp()
  log.failingReads = 1
  const loading = coordinator.becomeLeader(0, 0)
  await clock.turn()
  coordinator.resign(0, 1)
  await loading
  assert.equal((await coordinator.joinGroup(joinRequest(), context)).errorCode, NOT_COORDINATOR)

  await coordinator.becomeLeader(0, 2)
  const joining = coordinator.joinGroup(joinRequest(), { ...context, apiVersion: 3 })
  const committing = coordinator.commitOffsets(commitRequest(1, 't', 'simple'))
  coordinator.resign(0, 1)
  coordinator.resign(0, 3)
  const { errorCode, protocolName } = await joining
  assert.deepEqual([errorCode, protocolName], [NOT_COORDINATOR, ''], 'old clients know no null')
  assert.equal((await committing).topics[0]!.partitions[0]!.errorCode, NOT_COORDINATOR)
  await clock.turn()
  assert.deepEqual(log.epochs, [], 'what was not handed over is not')
})

test('a stale resignation is ignored, and the next epoch of the same leader needs no load', async () => {
  const { coordinator, log, clock } = setUp()
  await coordinator.becomeLeader(0, 5)
  coordinator.resign(0, 4)
  log.gate = new Promise(() => {})
  await coordinator.becomeLeader(0, 6)
  const committing = coordinator.commitOffsets(commitRequest(1))
  await clock.turn()
  assert.equal((await committing).topics[0]!.partitions[0]!.errorCode, NONE)
  assert.deepEqual(log.epochs, [6])
  await coordinator.becomeLeader(0, 6)
  void coordinator.becomeLeader(0, 8)
  assert.equal(
    (await coordinator.joinGroup(joinRequest(), context)).errorCode,
    COORDINATOR_LOAD_IN_PROGRESS,
    'somebody else led in 7',
  )
})

test('an append that fails, or throws, is answered', async () => {
  const { coordinator, log, clock } = setUp()
  await coordinator.becomeLeader(0, 0)
  log.outcome = ErrorCode.NOT_ENOUGH_REPLICAS
  const refused = coordinator.commitOffsets(commitRequest(1))
  await clock.turn()
  assert.equal((await refused).topics[0]!.partitions[0]!.errorCode, COORDINATOR_NOT_AVAILABLE)
  log.append = () => Promise.reject(new Error('no such thing'))
  const failed = coordinator.commitOffsets(commitRequest(1))
  await clock.turn()
  assert.equal((await failed).topics[0]!.partitions[0]!.errorCode, ErrorCode.UNKNOWN_SERVER_ERROR)
})

test('an empty group id is for offsets only', async () => {
  const { coordinator, clock } = setUp()
  await coordinator.becomeLeader(0, 0)
  assert.equal((await coordinator.joinGroup(joinRequest('', ''), context)).errorCode, INVALID_GROUP_ID)
  assert.equal(
    (await coordinator.leaveGroup({ groupId: '', memberId: 'm', members: [] }, context)).errorCode,
    INVALID_GROUP_ID,
  )
  const committing = coordinator.commitOffsets(commitRequest(1, 't', ''))
  await clock.turn()
  assert.equal((await committing).topics[0]!.partitions[0]!.errorCode, NONE)
  const fetched = await coordinator.fetchOffsets(fetchRequest('', null), context)
  assert.equal(fetched.groups[0]!.topics[0]!.name, 't')
})

test('answers of old versions have their old shape', async () => {
  const { coordinator, clock } = setUp()
  const elsewhere = await coordinator.fetchOffsets(fetchRequest(), { ...context, apiVersion: 1 })
  assert.equal(elsewhere.topics[0]!.partitions[0]!.errorCode, NOT_COORDINATOR)
  const top = await coordinator.fetchOffsets(fetchRequest(), { ...context, apiVersion: 2 })
  assert.deepEqual([top.errorCode, top.topics], [NOT_COORDINATOR, []])
  await coordinator.becomeLeader(0, 0)
  const joining = coordinator.joinGroup(joinRequest(), { ...context, apiVersion: 2 })
  await clock.advance(10)
  const { memberId } = await joining
  const leave = { groupId: 'g', memberId: 'nobody', members: [] }
  assert.equal((await coordinator.leaveGroup(leave, { ...context, apiVersion: 2 })).errorCode, UNKNOWN_MEMBER_ID)
  const members = ['nobody', memberId].map((id) => ({ memberId: id, groupInstanceId: null, reason: null }))
  const left = await coordinator.leaveGroup({ groupId: 'g', memberId: '', members }, { ...context, apiVersion: 5 })
  assert.equal(left.errorCode, NONE)
  assert.deepEqual(
    left.members.map(({ errorCode }) => errorCode),
    [UNKNOWN_MEMBER_ID, NONE],
  )
})

test('groups are listed by state and kind', async () => {
  const { coordinator, clock } = setUp()
  await coordinator.becomeLeader(0, 0)
  void coordinator.joinGroup(joinRequest('', 'joining'), { ...context, apiVersion: 2 })
  const committing = coordinator.commitOffsets(commitRequest(1, 't', 'simple'))
  await clock.turn()
  await committing
  const ids = async (statesFilter: string[], typesFilter: string[]): Promise<string[]> =>
    (await coordinator.listGroups({ statesFilter, typesFilter })).groups.map(({ groupId }) => groupId).sort()
  assert.deepEqual(await ids([], []), ['joining', 'simple'])
  assert.deepEqual(await ids(['empty'], []), ['simple'])
  assert.deepEqual(await ids(['PREPARINGREBALANCE'], ['Classic']), ['joining'])
  assert.deepEqual(await ids([], ['consumer']), [])
  assert.equal(coordinator.countGroups().PreparingRebalance, 1)
})

test('retention is checked at its interval', async () => {
  const { coordinator, log, clock } = setUp({ offsetsRetentionMs: 1_000_000, offsetsRetentionCheckIntervalMs: 600_000 })
  await coordinator.becomeLeader(0, 0)
  void coordinator.commitOffsets(commitRequest(1))
  await clock.advance(1_100_000)
  assert.equal((await coordinator.listGroups({ statesFilter: [], typesFilter: [] })).groups.length, 1)
  await clock.advance(100_000)
  await clock.turn()
  assert.equal((await coordinator.listGroups({ statesFilter: [], typesFilter: [] })).groups.length, 0)
  assert.equal(log.batches.get(0)!.length, 2)
})

test('sessions end by the clock', async () => {
  const { coordinator, clock } = setUp()
  await coordinator.becomeLeader(0, 0)
  const joining = coordinator.joinGroup(joinRequest(), { ...context, apiVersion: 2 })
  await clock.advance(10)
  const { memberId, generationId } = await joining
  const syncing = coordinator.syncGroup(syncRequest(memberId, generationId))
  await clock.advance(10_100)
  await syncing
  const beat = { groupId: 'g', generationId, memberId, groupInstanceId: null }
  assert.equal((await coordinator.heartbeat(beat)).errorCode, UNKNOWN_MEMBER_ID)
})

test('loading passes over what it cannot read, and obeys transactions', async () => {
  const { coordinator, log, clock } = setUp()
  const offset = (topic: string, value: number): { key: Uint8Array; value: Uint8Array | null } =>
    groupEventCodec.encode({
      kind: 'offset',
      groupId: 'g',
      topic,
      partition: 0,
      value: { offset: value, leaderEpoch: -1, metadata: '', commitTimestamp: 1, expireTimestamp: -1 },
    })
  const batch = (records: { key: Uint8Array; value: Uint8Array | null }[], producerId = -1): Uint8Array => {
    const builder = new RecordBatchBuilder({
      producerId,
      producerEpoch: 0,
      baseSequence: 0,
      isTransactional: producerId >= 0,
    })
    for (const record of records) builder.append({ timestamp: 1, ...record })
    return builder.build()
  }
  const marker = (producerId: number, type: 'commit' | 'abort'): Uint8Array =>
    endTransactionBatch({ type, coordinatorEpoch: 0, producerId, producerEpoch: 0, timestamp: 1 })
  const broken = { ...offset('broken', 1), value: encodeUtf8('??') }
  const unknown = { key: Uint8Array.of(0, 77), value: null }
  for (const bytes of [
    batch([broken, unknown, offset('plain', 1)]),
    batch([offset('committed', 2)], 7),
    batch([offset('aborted', 3)], 8),
    batch([offset('open', 4)], 9),
    marker(8, 'abort'),
    marker(7, 'commit'),
  ])
    log.put(0, bytes)
  await coordinator.becomeLeader(0, 0)
  await clock.turn()
  const fetched = await coordinator.fetchOffsets(fetchRequest('g', null), context)
  const offsets = fetched.groups[0]!.topics.map(({ name, partitions }) => [name, partitions[0]!.committedOffset])
  assert.deepEqual(offsets, [
    ['plain', 1],
    ['committed', 2],
  ])
  const unstable = await coordinator.fetchOffsets({ ...fetchRequest('g', ['open']), requireStable: true }, context)
  assert.equal(unstable.groups[0]!.topics[0]!.partitions[0]!.errorCode, ErrorCode.UNSTABLE_OFFSET_COMMIT)
})

test('offsets of deleted topics go, and deleted groups', async () => {
  const { coordinator, log, clock } = setUp()
  await coordinator.becomeLeader(0, 0)
  void coordinator.commitOffsets(commitRequest(1, 'gone'))
  void coordinator.commitOffsets(commitRequest(2, 'kept'))
  await clock.turn()
  coordinator.onPartitionsDeleted([{ topic: 'gone', partition: 0 }])
  await clock.turn()
  const fetched = await coordinator.fetchOffsets(fetchRequest('g', null), context)
  assert.deepEqual(
    fetched.groups[0]!.topics.map(({ name }) => name),
    ['kept'],
  )
  const deleting = coordinator.deleteGroups({ groupsNames: ['g', 'g', 'h'] })
  await clock.turn()
  assert.deepEqual((await deleting).results, [
    { groupId: 'g', errorCode: NONE },
    { groupId: 'h', errorCode: GROUP_ID_NOT_FOUND },
  ])
  const next = setUp({}, log, clock).coordinator
  await next.becomeLeader(0, 1)
  assert.deepEqual((await next.listGroups({ statesFilter: [], typesFilter: [] })).groups, [])
})

test('a closed coordinator holds nothing back', async () => {
  const { coordinator, clock } = setUp()
  await coordinator.becomeLeader(0, 0)
  const joining = coordinator.joinGroup(joinRequest(), { ...context, apiVersion: 3 })
  coordinator.close()
  assert.equal((await joining).errorCode, NOT_COORDINATOR)
  assert.equal((await coordinator.joinGroup(joinRequest(), context)).errorCode, COORDINATOR_NOT_AVAILABLE)
  assert.equal(
    (await coordinator.listGroups({ statesFilter: [], typesFilter: [] })).errorCode,
    COORDINATOR_NOT_AVAILABLE,
  )
  assert.equal(clock.timerCount, 0)
})

test('the log holds batches that any reader of the topic can read', async () => {
  const { coordinator, log, clock } = setUp()
  await coordinator.becomeLeader(0, 0)
  void coordinator.commitOffsets(commitRequest(1))
  await clock.turn()
  const batch = new RecordBatchView(concatBytes(log.batches.get(0)!))
  assert.ok(batch.hasValidCrc())
  assert.deepEqual(
    [batch.producerId, batch.baseSequence, batch.partitionLeaderEpoch, batch.timestampType],
    [-1, -1, -1, 'CreateTime'],
  )
  assert.equal(batch.maxTimestamp, clock.now())
})
