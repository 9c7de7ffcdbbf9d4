/**
 * What a fetcher does when a partition goes in the middle of its work on it (KAFKA-10371): it lets go of the replica, which may be another
 * one's by then, and the other partitions go on at once. Each pause of the fetcher is a moment at which that happens.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ByteReader, ByteWriter } from '#base'
import { sleep, type Platform } from '#platform'
import { ErrorCode } from '#protocol'
import { Fetch, type FetchRequestInput, type FetchResponse } from '#protocol/messages/fetch'
import type { ListOffsetsRequestInput, ListOffsetsResponse } from '#protocol/messages/list-offsets'
import { RecordBatchBuilder } from '#protocol/records'
import { World, type DiskConditions } from '#simulation'
import { LogManager, logConfig, type Log, type LogConfig } from '#storage'

import { NO_FAULTS } from './faults.ts'
import { IsrChanges } from './isr-changes.ts'
import { Partition, type LeadershipState, type PartitionContext } from './partition.ts'
import { ReplicaFetcher } from './replica-fetcher.ts'
import { DEFAULT_REPLICATION_CONFIG } from './replication-config.ts'
import { ReplicationQuota } from './replication-quota.ts'
import { ListOffsetsTimestamp } from './requests.ts'

const TOPIC = 't'
const TOPIC_ID = 'AAECAwQFBgcICQoLDA0ODw'
const LEADER = 2
/** A fetcher that stumbles pauses for longer than this. */
const AT_ONCE_MS = 20

type Answer = Partial<FetchResponse['responses'][number]['partitions'][number]>

/** A request that waits for what the test has the leader say. */
interface Asked<Request, Response> {
  readonly request: Request
  readonly answer: (response: Response) => void
}

class Bench {
  readonly platform: Platform
  readonly world: World
  readonly logs: LogManager
  readonly fetcher: ReplicaFetcher
  readonly lines: string[] = []
  readonly #context: PartitionContext
  readonly #fetches: Asked<FetchRequestInput, FetchResponse>[] = []
  readonly #offsets: Asked<ListOffsetsRequestInput, ListOffsetsResponse>[] = []

  constructor(world: World, platform: Platform, logs: LogManager) {
    const { clock, logger } = platform
    this.world = world
    this.platform = platform
    this.logs = logs
    world.logSink = (_, line) => void this.lines.push(line)
    const config = { ...DEFAULT_REPLICATION_CONFIG, replicaFetchBackoffMs: 500 }
    const quota = new ReplicationQuota(clock, { samples: 11, sampleMs: 1000 })
    const shared = { brokerId: 1, clock, logger, config, faults: NO_FAULTS, brokerEpoch: () => 1 }
    const isrChanges = new IsrChanges({ ...shared, sender: { send: () => new Promise(() => {}) } })
    const metadata = { aliveBroker: () => null, rackOf: () => null, hasPartition: () => true }
    const quotas = { leader: quota, follower: quota }
    this.#context = { ...shared, metadata, isrChanges, quotas, highWatermarkMoved() {} }
    const ask = <Request, Response>(queue: Asked<Request, Response>[], request: Request): Promise<Response> =>
      new Promise((resolve) => queue.push({ request, answer: resolve }))
    this.fetcher = new ReplicaFetcher({
      ...shared,
      leaderId: LEADER,
      quota,
      endpoint: {
        fetch: (request) => ask(this.#fetches, request),
        listOffsets: (request) => ask(this.#offsets, request),
        offsetForLeaderEpoch: () => assert.fail('not asked'),
        close() {},
      },
    })
  }

  /** A replica of its own, which follows in this leader epoch. */
  follow(index: number, leaderEpoch: number): Partition {
    const partition = new Partition(TOPIC, index, this.#context)
    const log = this.logs.getOrCreate(partition)
    if (log.topicId === null) log.assignTopicId(TOPIC_ID)
    partition.useLog(log)
    partition.makeFollower(this.state(leaderEpoch))
    this.fetcher.add(keyOf(index), partition)
    return partition
  }

  readonly state = (leaderEpoch: number): LeadershipState => {
    const sets = { isr: [LEADER], replicas: [1, LEADER], addingReplicas: [], removingReplicas: [] }
    return { leader: LEADER, leaderEpoch, partitionEpoch: leaderEpoch, ...sets }
  }

  get disk(): DiskConditions {
    return this.world.process('broker').diskConditions
  }

  /** As StopReplica does it. */
  delete(partition: Partition): void {
    this.fetcher.remove(keyOf(partition.partition))
    partition.delete()
    this.logs.delete(TOPIC, partition.partition)
  }

  /** The fetch that is under way, or comes within that time. */
  async fetch(withinMs = 5000): Promise<Asked<FetchRequestInput, FetchResponse>> {
    return await this.#next(this.#fetches, withinMs)
  }

  async listOffsets(): Promise<Asked<ListOffsetsRequestInput, ListOffsetsResponse>> {
    return await this.#next(this.#offsets, 5000)
  }

  async #next<T>(queue: T[], withinMs: number): Promise<T> {
    const { clock } = this.platform
    for (const untilMs = clock.monotonic() + withinMs; queue.length === 0; await sleep(clock, 1))
      assert.ok(clock.monotonic() < untilMs, `it asks within ${withinMs} ms\n${this.lines.join('\n')}`)
    return queue.shift()!
  }
}

const keyOf = (index: number): string => `${TOPIC}-${index}`

function batchAt(offset: number, leaderEpoch = 0): Uint8Array {
  const builder = new RecordBatchBuilder({ baseOffset: offset, partitionLeaderEpoch: leaderEpoch })
  for (let count = 0; count < 3; count++)
    builder.append({ timestamp: 1000, key: null, value: new Uint8Array(10).fill(offset) })
  return builder.build()
}

/** A leader's answer, by partition, as it comes out of the wire. */
function answerOf(answers: Readonly<Record<number, Answer>>): FetchResponse {
  const version = 17
  const partitions = Object.entries(answers).map(([index, answer]) => ({
    partitionIndex: Number(index),
    errorCode: ErrorCode.NONE,
    highWatermark: 0,
    lastStableOffset: 0,
    logStartOffset: 0,
    abortedTransactions: null,
    preferredReadReplica: -1,
    records: null,
    ...answer,
  }))
  const writer = new ByteWriter()
  Fetch.response.encode(writer, { sessionId: 7, responses: [{ topicId: TOPIC_ID, partitions }] }, version)
  return Fetch.response.decode(new ByteReader(writer.toBytes()), version)
}

function offsetsOf(offset: number): ListOffsetsResponse {
  const partition = { partitionIndex: 0, errorCode: ErrorCode.NONE, timestamp: -1, offset, leaderEpoch: 0 }
  return { topics: [{ name: TOPIC, partitions: [partition] }] } as unknown as ListOffsetsResponse
}

/** What a fetcher may move in a replica. */
function boundsOf({ logStartOffset, highWatermark, nextOffset, segmentBaseOffsets }: Log): object {
  return { logStartOffset, highWatermark, nextOffset, segmentBaseOffsets: [...segmentBaseOffsets] }
}

const GOOD_ANSWER = { records: batchAt(0), highWatermark: 2, logStartOffset: 1 }
const OUT_OF_RANGE = { errorCode: ErrorCode.OFFSET_OUT_OF_RANGE, highWatermark: -1 }

/** Where the fetcher waits with partition 0 in its hands. */
interface Moment {
  readonly log?: Partial<LogConfig>
  /** Brings it there; returns what lets it go on. */
  reach(bench: Bench, log: Log): Promise<() => void>
  /** Until it asks for partition 1 again, in ms. */
  readonly nextFetchMs: number
  /** Where partition 1 ends then. */
  readonly otherEnd?: number
}

const MOMENTS: Readonly<Record<string, Moment>> = {
  'its fetch is under way': {
    nextFetchMs: AT_ONCE_MS,
    async reach(bench) {
      const { answer } = await bench.fetch()
      return () => answer(answerOf({ 0: GOOD_ANSWER, 1: GOOD_ANSWER }))
    },
  },
  'what came for it is being written': {
    nextFetchMs: 1000,
    async reach(bench, log) {
      bench.disk.slowness = 100
      const { answer } = await bench.fetch()
      answer(answerOf({ 0: GOOD_ANSWER, 1: GOOD_ANSWER }))
      await sleep(bench.platform.clock, 0)
      assert.deepEqual([log.isSettled, log.nextOffset, log.highWatermark], [false, 3, 0])
      return () => {}
    },
  },
  'what it has is being synced': {
    log: { flushMessages: 1 },
    nextFetchMs: 1000,
    async reach(bench, log) {
      bench.disk.syncMs = 100
      const { answer } = await bench.fetch()
      answer(answerOf({ 0: GOOD_ANSWER, 1: GOOD_ANSWER }))
      await sleep(bench.platform.clock, 5)
      assert.deepEqual([log.isSettled, log.logEndOffset, log.countedEndOffset], [true, 3, 0])
      return () => {}
    },
  },
  'the fetcher pauses for it': {
    nextFetchMs: AT_ONCE_MS,
    otherEnd: 6,
    async reach(bench) {
      const { answer } = await bench.fetch()
      answer(answerOf({ 0: { errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER }, 1: GOOD_ANSWER }))
      const { answer: answerLater } = await bench.fetch()
      await sleep(bench.platform.clock, 200)
      return () => answerLater(answerOf({ 1: { ...GOOD_ANSWER, records: batchAt(3) } }))
    },
  },
  'its leader is asked for its end': {
    nextFetchMs: AT_ONCE_MS,
    async reach(bench) {
      const { answer } = await bench.fetch()
      answer(answerOf({ 0: OUT_OF_RANGE, 1: GOOD_ANSWER }))
      const { request, answer: answerEnd } = await bench.listOffsets()
      assert.equal(request.topics[0]!.partitions[0]!.timestamp, ListOffsetsTimestamp.latest)
      return () => answerEnd(offsetsOf(20))
    },
  },
  'its leader is asked for its start': {
    nextFetchMs: AT_ONCE_MS,
    async reach(bench) {
      const { answer } = await bench.fetch()
      answer(answerOf({ 0: OUT_OF_RANGE, 1: GOOD_ANSWER }))
      ;(await bench.listOffsets()).answer(offsetsOf(20))
      const { request, answer: answerStart } = await bench.listOffsets()
      assert.equal(request.topics[0]!.partitions[0]!.timestamp, ListOffsetsTimestamp.earliestLocal)
      return () => answerStart(offsetsOf(10))
    },
  },
}

interface Going {
  go(bench: Bench, partition: Partition): void
  /** It is followed as another replica afterwards. */
  readonly isAnew?: true
  /** The wait for a sync ends when its partition is told. */
  readonly isUntold?: true
}

const WAYS: Readonly<Record<string, Going>> = {
  'it is stopped': { go: ({ fetcher }) => fetcher.remove(keyOf(0)) },
  'it is deleted': { go: (bench, partition) => bench.delete(partition) },
  'it is deleted and made anew': {
    isAnew: true,
    go(bench, partition) {
      bench.delete(partition)
      bench.follow(0, 1)
    },
  },
  'this broker leads it': { go: ({ state }, partition) => void partition.makeLeader(state(1)) },
  'its leader has a new epoch': { go: ({ state }, partition) => void partition.makeFollower(state(1)) },
  'its directory fails': {
    go({ fetcher }, partition) {
      partition.log!.directory.fail('a test', new Error('EIO'))
      fetcher.remove(keyOf(0))
      partition.markOffline()
    },
  },
  'its directory has just failed': {
    isUntold: true,
    go: (_, partition) => partition.log!.directory.fail('a test', new Error('EIO')),
  },
}

async function lives(bench: Bench, moment: Moment, way: Going): Promise<void> {
  const partition = bench.follow(0, 0)
  const other = bench.follow(1, 0)
  const log = partition.log!
  const goOn = await moment.reach(bench, log)
  const before = boundsOf(log)
  way.go(bench, partition)
  goOn()
  const { request, answer } = await bench.fetch(moment.nextFetchMs)
  const otherEnd = moment.otherEnd ?? 3
  // The replica is left as it was, whoever it belongs to now, and the other one has all that came for it.
  assert.deepEqual(boundsOf(log), before)
  assert.deepEqual(boundsOf(other.log!), {
    logStartOffset: 1,
    highWatermark: 2,
    nextOffset: otherEnd,
    segmentBaseOffsets: [0],
  })
  const wanted = request.topics.flatMap(({ partitions }) => partitions ?? [])
  assert.deepEqual(
    wanted.map(({ partition: index, fetchOffset, currentLeaderEpoch }) => [index, fetchOffset, currentLeaderEpoch]),
    way.isAnew === true
      ? [
          [1, otherEnd, 0],
          [0, 0, 1],
        ]
      : [[1, otherEnd, 0]],
  )
  assert.equal(bench.fetcher.size, way.isAnew === true ? 2 : 1)
  // The one that is in its place is filled like any other.
  const records = { records: batchAt(0, 1), highWatermark: 3, logStartOffset: 0 }
  answer(answerOf(way.isAnew === true ? { 0: records, 1: { highWatermark: 3 } } : { 1: { highWatermark: 3 } }))
  await bench.fetch(1000)
  assert.equal(other.log!.highWatermark, 3)
  if (way.isAnew === true) assert.equal(bench.logs.log(TOPIC, 0)!.highWatermark, 3)
  const complaints = bench.lines.filter((line) => !/is offline until the next start|answers 6 for t-0/.test(line))
  assert.deepEqual(complaints, [])
}

for (const [when, moment] of Object.entries(MOMENTS))
  test(`a replica that goes while ${when} is let go of, and the others go on (KAFKA-10371)`, async () => {
    for (const [how, way] of Object.entries(WAYS)) {
      if (way.isUntold === true && moment.log !== undefined) continue
      await inBench(moment, async (bench) => await lives(bench, moment, way)).catch((cause: unknown) => {
        throw new Error(how, { cause })
      })
    }
  })

/** Runs the test in a simulated process; whatever fails, fails it. */
async function inBench({ log = {} }: Moment, program: (bench: Bench) => Promise<void>): Promise<void> {
  const world = new World(91)
  let outcome: { error: unknown } | null = null
  world.process('broker').start(
    async (platform) => {
      const topicConfig = () => logConfig(log)
      const logs = await LogManager.open({ platform, directories: ['/a', '/b'], topicConfig })
      await program(new Bench(world, platform, logs))
      outcome = { error: null }
    },
    (error) => (outcome = { error }),
  )
  await world.runUntil(() => outcome !== null, 60_000)
  world.process('broker').crash()
  const { error } = outcome as unknown as { error: unknown }
  if (error !== null) throw error
  assert.deepEqual(world.findings, [])
}
