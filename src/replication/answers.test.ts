/** Whoever asks gets an answer, and in time, also when the disk fails under the request. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sleep, type Platform } from '#platform'
import { ErrorCode, ZERO_UUID } from '#protocol'
import type { LeaderAndIsrRequest } from '#protocol/messages/leader-and-isr'
import { RecordBatchBuilder } from '#protocol/records'
import { ReplicaManager, type FetchIsolation, type FetchRequestParameters } from '#replication'
import { World } from '#simulation'
import { LogManager, logConfig, type LogConfig } from '#storage'

const TIMEOUT_MS = 30_000

interface Setting {
  readonly world: World
  readonly platform: Platform
  readonly logs: LogManager
  readonly replicas: ReplicaManager
}

/** One broker that leads three partitions in one directory; the program runs in its process. */
async function onBroker(
  seed: number,
  program: (setting: Setting) => Promise<void>,
  config: Partial<LogConfig> = {},
): Promise<void> {
  const world = new World(seed)
  let outcome: { error: unknown } | null = null
  world.process('broker').start(
    async (platform) => {
      const logs = await LogManager.open({
        platform,
        directories: ['/data'],
        topicConfig: () => logConfig({ segmentBytes: 1000, ...config }),
        tailBounds: { totalBytes: 8192, bytesPerLog: 4096 },
      })
      const replicas = new ReplicaManager({
        platform,
        brokerId: 1,
        logs,
        topicConfigs: { of: () => logConfig() },
        metadata: { aliveBroker: () => null, rackOf: () => null, hasPartition: () => true },
        leaders: { endpoint: () => assert.fail('nobody is followed') },
        alterPartitions: { send: () => Promise.reject(new Error('there is no controller')) },
        isInternalTopic: () => false,
        brokerEpoch: () => 1,
      })
      replicas.becomeLeaderOrFollower(leaderOf(3))
      await program({ world, platform, logs, replicas })
      await replicas.close()
      await logs.close()
      outcome = { error: null }
    },
    (error) => (outcome = { error }),
  )
  await world.runUntil(() => outcome !== null, 600_000, 100)
  const { error } = outcome as unknown as { error: unknown }
  if (error !== null) throw error
  assert.deepEqual(world.findings, [])
}

function leaderOf(partitions: number): LeaderAndIsrRequest {
  const partitionStates = Array.from({ length: partitions }, (_, partitionIndex) => ({
    topicName: 't',
    partitionIndex,
    controllerEpoch: 1,
    leader: 1,
    leaderEpoch: 0,
    isr: [1],
    partitionEpoch: 0,
    replicas: [1],
    addingReplicas: [],
    removingReplicas: [],
    isNew: true,
    leaderRecoveryState: 0,
  }))
  return {
    controllerId: 1,
    isKRaftController: false,
    controllerEpoch: 1,
    brokerEpoch: -1,
    type: 0,
    ungroupedPartitionStates: [],
    topicStates: [{ topicName: 't', topicId: ZERO_UUID, partitionStates }],
    liveLeaders: [],
  }
}

function batch(bytes: number, timestamp = 1): Uint8Array {
  const builder = new RecordBatchBuilder()
  builder.append({ timestamp, key: null, value: new Uint8Array(bytes) })
  return builder.build()
}

function produce({ replicas }: Setting, acks: number, partitions: readonly number[], bytes = 600) {
  return replicas.appendRecords({
    acks,
    timeoutMs: TIMEOUT_MS,
    origin: 'client',
    internalTopicsAllowed: false,
    entries: partitions.map((partition) => ({ topic: 't', partition, records: batch(bytes) })),
  })
}

function fetchOf(partition: number, fetchOffset: number): FetchRequestParameters {
  return {
    replicaId: -1,
    maxWaitMs: 0,
    minBytes: 1,
    maxBytes: 1000,
    isolation: 'highWatermark',
    mayReadFromFollower: false,
    rackId: '',
    partitions: [
      {
        topic: 't',
        topicId: null,
        partition,
        fetchOffset,
        logStartOffset: -1,
        maxBytes: 1000,
        currentLeaderEpoch: -1,
        lastFetchedEpoch: -1,
      },
    ],
  }
}

test('a directory that fails under an append answers at once, for whatever else the request holds', async () => {
  for (const acks of [1, -1])
    await onBroker(1, async (setting) => {
      const { world, platform } = setting
      for (const { errorCode } of await produce(setting, acks, [0, 1])) assert.equal(errorCode, ErrorCode.NONE)
      // The second append to partition 1 begins a segment, which fails.
      world.process('broker').diskConditions.inject({ operation: 'open', code: 'EIO', path: '/data/t-1/' })
      const start = platform.clock.monotonic()
      const results = await produce(setting, acks, [2, 1])
      assert.deepEqual(
        results.map(({ errorCode, baseOffset }) => [errorCode, baseOffset]),
        [
          [ErrorCode.KAFKA_STORAGE_ERROR, -1],
          [ErrorCode.KAFKA_STORAGE_ERROR, -1],
        ],
      )
      assert.ok(platform.clock.monotonic() - start < TIMEOUT_MS / 2)
    })
})

test('a read that fails takes the directory offline and is answered with it', async () => {
  await onBroker(2, async (setting) => {
    const { world, replicas, logs } = setting
    for (let index = 0; index < 20; index++) await produce(setting, 1, [0])
    world.process('broker').diskConditions.inject({ operation: 'read', code: 'EIO', path: '/data/t-0/' })
    const fetched = await replicas.fetch(fetchOf(0, 0))
    fetched.release()
    assert.deepEqual(
      fetched.partitions.map(({ errorCode }) => errorCode),
      [ErrorCode.KAFKA_STORAGE_ERROR],
    )
    assert.equal(logs.isOffline('t', 1), true)
  })
})

/** Overwrites the magic of the first batch of the partition. */
async function damage({ platform }: Setting, partition: number): Promise<void> {
  const file = platform.files.open(`/data/t-${partition}/00000000000000000000.log`, 'write')
  await file.write([Uint8Array.of(77)], 16)
  file.close()
}

function timestampOf({ replicas }: Setting, partition: number, timestamp: number): number[] {
  const partitions = [{ topic: 't', partition, currentLeaderEpoch: -1, timestamp }]
  return replicas
    .listOffsets({ replicaId: -1, isolation: 'highWatermark', partitions })
    .flatMap(({ errorCode, offset }) => [errorCode, offset])
}

test('what cannot be a batch is told of, for its partition only', async () => {
  await onBroker(7, async (setting) => {
    const { replicas, logs } = setting
    for (let index = 0; index < 20; index++) await produce(setting, 1, [0, 1])
    await damage(setting, 0)
    const request = fetchOf(0, 0)
    const both = { ...request, partitions: [...request.partitions, ...fetchOf(1, 0).partitions] }
    const fetched = await replicas.fetch(both)
    fetched.release()
    assert.deepEqual(
      fetched.partitions.map(({ errorCode, records }) => [errorCode, records.length > 0]),
      [
        [ErrorCode.CORRUPT_MESSAGE, false],
        [ErrorCode.NONE, true],
      ],
    )
    assert.deepEqual(timestampOf(setting, 0, 1), [ErrorCode.CORRUPT_MESSAGE, -1])
    assert.deepEqual(timestampOf(setting, 1, 1), [ErrorCode.NONE, 0])
    assert.equal(logs.isOffline('t', 0), false)
  })
})

test('a search by timestamp that the disk fails takes the directory offline', async () => {
  await onBroker(8, async (setting) => {
    for (let index = 0; index < 20; index++) await produce(setting, 1, [0])
    setting.world.process('broker').diskConditions.inject({ operation: 'read', code: 'EIO', path: '/data/t-0/' })
    assert.deepEqual(timestampOf(setting, 0, 1), [ErrorCode.KAFKA_STORAGE_ERROR, -1])
    assert.equal(setting.logs.isOffline('t', 1), true)
  })
})

test('a read for which there is no descriptor fails by itself', async () => {
  await onBroker(9, async (setting) => {
    const { replicas, logs, world, platform } = setting
    for (let index = 0; index < 20; index++) await produce(setting, 1, [0])
    // By then the old segments are sealed and closed.
    await sleep(platform.clock, 1000)
    world.process('broker').diskConditions.inject({ operation: 'open', code: 'EMFILE', path: '/data/t-0/' })
    for (const expected of [ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NONE]) {
      const fetched = await replicas.fetch(fetchOf(0, 0))
      fetched.release()
      assert.deepEqual(
        fetched.partitions.map(({ errorCode }) => errorCode),
        [expected],
      )
    }
    assert.equal(logs.isOffline('t', 0), false)
  })
})

test('who produces faster than the disk writes is told when to go on', async () => {
  await onBroker(
    3,
    async (setting) => {
      const { world, replicas } = setting
      const entries = [{ topic: 't', partition: 0, records: batch(1) }]
      const log = replicas.partition('t', 0)!.log!
      world.process('broker').diskConditions.slowness = 100
      await produce(setting, 1, [0], 1_000_000)
      assert.equal(replicas.backlogOf(entries), null)
      for (let index = 0; index < 20; index++) void produce(setting, 0, [0], 1_000_000)
      const backlog = replicas.backlogOf(entries)
      assert.ok(backlog !== null && log.unwrittenBytes > 16 * 1024 * 1024)
      await backlog
      assert.equal(log.unwrittenBytes, 0)
      assert.equal(log.logEndOffset, 21)
    },
    { segmentBytes: 1e9 },
  )
})

test('the record with the largest timestamp is named only where it may be fetched', async () => {
  await onBroker(4, async ({ replicas, logs }) => {
    const log = logs.log('t', 0)!
    log.appendAsFollower(batch(10))
    await log.settle()
    // A leader in an epoch of its own, whose follower has not come yet.
    const request = leaderOf(1)
    const [state] = request.topicStates[0]!.partitionStates
    Object.assign(state!, { leaderEpoch: 1, partitionEpoch: 1, replicas: [1, 2], isr: [1, 2] })
    const before = log.highWatermark
    replicas.becomeLeaderOrFollower(request)
    assert.equal(before, 1)
    log.appendAsLeader(batch(10, 2), 1, 'client')
    await log.settle()
    const largest = (isolation: FetchIsolation): number[] =>
      replicas
        .listOffsets({
          replicaId: -1,
          isolation,
          partitions: [{ topic: 't', partition: 0, currentLeaderEpoch: -1, timestamp: -3 }],
        })
        .flatMap(({ errorCode, offset }) => [errorCode, offset])
    assert.deepEqual(largest('highWatermark'), [ErrorCode.NONE, -1])
    assert.deepEqual(largest('logEnd'), [ErrorCode.NONE, 1])
  })
})

test('who has closed takes up no role any more', async () => {
  await onBroker(5, async ({ replicas, logs }) => {
    await replicas.close()
    const { errorCode } = replicas.becomeLeaderOrFollower(leaderOf(4))
    assert.equal(errorCode, ErrorCode.BROKER_NOT_AVAILABLE)
    assert.deepEqual([...replicas.partitions], [])
    assert.equal(logs.log('t', 3), null)
  })
})

test('replicas that are being added count for how many must be in sync', async () => {
  await onBroker(
    6,
    async (setting) => {
      const request = leaderOf(1)
      const [state] = request.topicStates[0]!.partitionStates
      Object.assign(state!, { leaderEpoch: 1, partitionEpoch: 1, replicas: [1, 2], addingReplicas: [2] })
      setting.replicas.becomeLeaderOrFollower(request)
      const [refused] = await produce(setting, -1, [0])
      assert.equal(refused!.errorCode, ErrorCode.NOT_ENOUGH_REPLICAS)
      const [alone] = await produce(setting, -1, [1])
      assert.equal(alone!.errorCode, ErrorCode.NONE)
    },
    { minInsyncReplicas: 2 },
  )
})
