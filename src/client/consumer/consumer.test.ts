/** The running consumer, in virtual time against brokers that a test bends as it likes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { silentLogger, sleep, type Platform } from '#platform'
import { ErrorCode } from '#protocol'
import { World, type SimulatedProcess } from '#simulation'

import type { ConsumerOptions } from '../config.ts'
import { ClosedError, KafkaError } from '../errors.ts'
import { hostOf } from '../producer/testing.ts'
import { CommitFailedError } from './committer.ts'
import { Consumer } from './consumer.ts'
import { LogTruncatedError } from './position-finder.ts'
import type { ConsumerRecord } from './record.ts'
import { FakeConsumerCluster, type FakeLog } from './testing.ts'

interface Scene {
  readonly fake: FakeConsumerCluster
  readonly world: World
  readonly platform: Platform
  readonly brokers: readonly SimulatedProcess[]
  /** The machine that the test runs on. */
  readonly client: SimulatedProcess
  readonly consumer: (options?: Partial<ConsumerOptions>) => Consumer
}

/** Runs the test as the program of a client machine. Whatever it leaves open is closed, and nothing may go wrong unseen. */
async function scene(run: (scene: Scene) => Promise<void>): Promise<void> {
  const fake = new FakeConsumerCluster()
  const world = new World(1)
  const brokers = fake.cluster.brokerIds.map((id) => {
    const process = world.process(hostOf(id))
    process.start((platform) => fake.cluster.run(platform, id))
    return process
  })
  let failure: unknown = null
  let isDone = false
  const client = world.process('client')
  client.start(async (platform) => {
    const quiet = { ...platform, logger: silentLogger }
    const consumers: Consumer[] = []
    const consumer = (options: Partial<ConsumerOptions> = {}): Consumer => {
      const { bootstrapServers } = fake.cluster
      const created = new Consumer(quiet, { bootstrapServers, autoOffsetReset: 'earliest', ...options })
      consumers.push(created)
      return created
    }
    try {
      await run({ fake, world, platform: quiet, brokers, client, consumer })
    } catch (error) {
      failure = error
    }
    await Promise.allSettled(consumers.map((each) => each.close({ timeoutMs: 0 })))
    isDone = true
  })
  await world.runUntil(() => isDone, 10_000_000, 100)
  if (failure !== null) throw failure
  if (!isDone) throw new Error('the test did not end')
  if (world.findings.length > 0) throw new Error(`something went wrong unseen: ${JSON.stringify(world.findings)}`)
}

const PLACE = { topic: 't', partition: 0 }

function textOf({ value }: ConsumerRecord): string {
  return value === null ? '' : new TextDecoder().decode(value)
}

async function readToEnd(consumer: Consumer): Promise<string[]> {
  const texts: string[] = []
  for await (const record of consumer.records({ toEnd: true })) texts.push(textOf(record))
  return texts
}

function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => `${from + index}`)
}

/** Batches of one record each. */
function fill(log: FakeLog, count: number, padTo = 1): void {
  for (let index = 0; index < count; index++) log.append([`${log.endOffset}`.padEnd(padTo, '.')])
}

// Position and commits.

test('the position moves with what the user is given, not with what is fetched, and commits take what is done', () =>
  scene(async ({ fake, platform, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    log!.append(numbers(0, 10))
    const client = consumer({ groupId: 'g', autoCommitIntervalMs: 100 })
    client.subscribe('t')
    const records = client.records()
    for (let index = 0; index < 4; index++) assert.equal((await records.next()).value!.offset, index)
    await sleep(platform.clock, 1000)
    assert.equal(await client.position(PLACE), 4)
    assert.deepEqual([...new Set(fake.commits.map(({ offset }) => offset))], [3], 'the fourth is still with the user')
    await client.commit()
    assert.equal(fake.committed.get('t-0'), 4)
    // Left with a record in hand: it was committed by hand, and nothing else was given.
    await client.close()
    assert.equal(fake.committed.get('t-0'), 4)
    assert.equal(fake.leaves.length, 1)
  }))

test('what a loop was given last when it ended comes again, and no record is left out', () =>
  scene(async ({ fake, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    log!.append(numbers(0, 10))
    const client = consumer({ groupId: 'g' })
    client.subscribe('t')
    for await (const { offset } of client) if (offset === 3) break
    await client.close()
    assert.equal(fake.committed.get('t-0'), 3)
    const other = consumer({ groupId: 'g' })
    other.subscribe('t')
    assert.deepEqual(await readToEnd(other), numbers(3, 10))
  }))

test('a commit is tried again while the coordinator loads or the group rebalances, and fails when the member is out', () =>
  scene(async ({ fake, platform, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    log!.append(numbers(0, 3))
    const lost: number[] = []
    const failed: string[] = []
    const client = consumer({
      groupId: 'g',
      enableAutoCommit: false,
      listener: {
        partitionsLost: (partitions) => void lost.push(partitions.length),
        commitFailed: ({ message }) => void failed.push(message),
      },
    })
    client.subscribe('t')
    const records = client.records()
    await records.next()
    fake.commitCode = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    const committing = client.commit()
    await sleep(platform.clock, 500)
    fake.commitCode = ErrorCode.NONE
    await committing
    assert.equal(fake.committed.get('t-0'), 1)

    fake.coordinator = 2
    await records.next()
    await client.commit()
    assert.equal(fake.committed.get('t-0'), 2)

    // Thrown out: what it has may be another's, who goes on from the last commit.
    fake.memberId = 'somebody else'
    await assert.rejects(client.commit([{ ...PLACE, offset: 3, leaderEpoch: -1 }]), CommitFailedError)
    fake.memberId = ''
    assert.equal((await records.next()).value!.offset, 2)
    assert.deepEqual(lost, [1])
    assert.equal(fake.committed.get('t-0'), 2)
    assert.deepEqual(failed, [])
  }))

test('an automatic commit that fails is told to the listener, whose own failure harms nothing', () =>
  scene(async ({ fake, platform, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    log!.append(numbers(0, 3))
    let told = 0
    const commitFailed = (): void => {
      told += 1
      throw new Error('the listener fails')
    }
    const client = consumer({ groupId: 'g', autoCommitIntervalMs: 100, listener: { commitFailed } })
    client.subscribe('t')
    const records = client.records()
    await records.next()
    await records.next()
    fake.commitCode = ErrorCode.OFFSET_METADATA_TOO_LARGE
    await sleep(platform.clock, 1000)
    assert.ok(told > 0)
    fake.commitCode = ErrorCode.NONE
    await sleep(platform.clock, 1000)
    assert.equal(fake.committed.get('t-0'), 1)
  }))

// Membership.

test('heartbeats go out while a handler awaits; a rebalance waits for it, and commits what is done first', () =>
  scene(async ({ fake, platform, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    log!.append(numbers(0, 3))
    const client = consumer({ groupId: 'g', heartbeatIntervalMs: 1000, sessionTimeoutMs: 10_000 })
    client.subscribe('t')
    const seen: number[] = []
    const running = client.run({
      async eachMessage({ offset }) {
        await sleep(platform.clock, offset === 1 ? 30_000 : 10)
        seen.push(offset)
      },
    })
    await sleep(platform.clock, 20_000)
    assert.ok(fake.heartbeats.length >= 18, `${fake.heartbeats.length}`)
    assert.equal(fake.joins.length, 1)
    fake.heartbeatCode = ErrorCode.REBALANCE_IN_PROGRESS
    await sleep(platform.clock, 5000)
    assert.deepEqual([fake.joins.length, seen], [1, [0]], 'the handler is not through')
    await sleep(platform.clock, 10_000)
    assert.equal(fake.joins.length, 2)
    assert.deepEqual(seen, [0, 1, 2])
    const before = fake.commits.filter(({ atMs }) => atMs <= fake.joins[1]!)
    assert.equal(before.at(-1)!.offset, 2, 'what is done is committed before it is given up')
    await client.close()
    await running
  }))

test('a loop that stands still past half the session timeout is told of', () =>
  scene(async ({ fake, world, client: machine, platform, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    log!.append(numbers(0, 3))
    const blocked: number[] = []
    const client = consumer({
      groupId: 'g',
      sessionTimeoutMs: 10_000,
      heartbeatIntervalMs: 1000,
      listener: {
        loopBlocked: ({ blockedMs }) => {
          blocked.push(blockedMs)
          throw new Error('the listener fails')
        },
      },
    })
    client.subscribe('t')
    await client.records().next()
    for (const standstillMs of [3000, 7000]) {
      world.after(10, () => machine.pause())
      world.after(10 + standstillMs, () => machine.resume())
      await sleep(platform.clock, 12_000)
    }
    assert.equal(blocked.length, 1)
    assert.ok(blocked[0]! > 5000 && blocked[0]! < 9000, `${blocked[0]}`)
    assert.ok(platform.clock.monotonic() - fake.heartbeats.at(-1)! < 2000, 'heartbeats go on')
  }))

test('whoever asks for nothing within max.poll.interval.ms leaves, and joins again when they ask', () =>
  scene(async ({ fake, platform, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    log!.append(numbers(0, 3))
    const events: string[] = []
    const client = consumer({
      groupId: 'g',
      maxPollIntervalMs: 20_000,
      listener: {
        pollIntervalExceeded: () => void events.push('exceeded'),
        partitionsLost: () => void events.push('lost'),
      },
    })
    client.subscribe('t')
    const records = client.records()
    await records.next()
    const askedMs = platform.clock.monotonic()
    await sleep(platform.clock, 19_000)
    assert.deepEqual([fake.leaves.length, events], [0, []])
    await sleep(platform.clock, 2000)
    assert.deepEqual(events, ['exceeded', 'lost'])
    assert.ok(fake.leaves[0]! - askedMs >= 20_000 && fake.leaves[0]! - askedMs < 20_200)
    const silentFrom = fake.heartbeats.length
    await sleep(platform.clock, 30_000)
    assert.equal(fake.heartbeats.length, silentFrom, 'no heartbeats from outside')
    assert.equal((await records.next()).value!.offset, 0, 'nothing was done with it as far as anybody knows')
    // Who waits for records is not late, however long none comes.
    await records.next()
    await records.next()
    const waiting = records.next()
    await sleep(platform.clock, 60_000)
    assert.equal(fake.leaves.length, 1)
    log!.append(['more'])
    assert.equal((await waiting).value!.offset, 3)
  }))

test('a listener may ask for the positions of what it is told of, and seek', () =>
  scene(async ({ fake, consumer }) => {
    const logs = fake.createTopic('t', 2)
    for (const log of logs) log.append(numbers(0, 5))
    fake.committed.set('t-0', 2)
    const positions: number[] = []
    const client = consumer({
      groupId: 'g',
      listener: {
        async partitionsAssigned(partitions) {
          for (const place of partitions) positions.push(await client.position(place))
          client.seek({ topic: 't', partition: 1 }, 4)
        },
      },
    })
    client.subscribe('t')
    const texts = await readToEnd(client)
    assert.deepEqual(positions, [2, 0])
    assert.deepEqual(texts.sort(), ['2', '3', '4', '4'])
  }))

test('a group that rebalances while the member joins is asked again', () =>
  scene(async ({ fake, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    log!.append(numbers(0, 5))
    fake.joinCodes.push(ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    const client = consumer({ groupId: 'g' })
    client.subscribe('t')
    assert.equal((await client.records().next()).value!.offset, 0)
    assert.equal(fake.joins.length, 1)
  }))

test('a coordinator that moves costs no generation, and one that hangs is looked for again', () =>
  scene(async ({ fake, brokers, platform, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    log!.partition.leader = 3
    log!.append(numbers(0, 3))
    const client = consumer({ groupId: 'g', sessionTimeoutMs: 10_000, requestTimeoutMs: 5000 })
    client.subscribe('t')
    const records = client.records()
    await records.next()
    fake.coordinator = 2
    await sleep(platform.clock, 10_000)
    assert.deepEqual([client.groupMetadata().generation, fake.joins.length], [1, 1])
    brokers[1]!.pause()
    fake.coordinator = 3
    await sleep(platform.clock, 30_000)
    const { length } = fake.heartbeats
    await sleep(platform.clock, 10_000)
    assert.ok(fake.heartbeats.length >= length + 3)
    assert.equal(fake.joins.length, 1)
  }))

test('unsubscribe in the body of a loop does not wait for that body', () =>
  scene(async ({ fake, platform, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    log!.append(numbers(0, 5))
    const client = consumer({ groupId: 'g' })
    client.subscribe('t')
    const records = client.records()
    await records.next()
    await records.next()
    const begunMs = platform.clock.monotonic()
    await client.unsubscribe()
    assert.ok(platform.clock.monotonic() - begunMs < 1000)
    assert.equal(fake.committed.get('t-0'), 1)
    assert.deepEqual([fake.leaves.length, client.assignment()], [1, []])
    await assert.rejects(records.next(), /nothing to consume/)
    client.subscribe('t')
    assert.deepEqual(await readToEnd(client), numbers(1, 5))
  }))

// Transactions.

test('read_committed: aborted records and markers are for nobody, and what is open waits for its end', () =>
  scene(async ({ fake, platform, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    log!.append(['a'])
    log!.appendOpen(7, ['aborted 1', 'aborted 2'])
    log!.append(['b'])
    log!.endTransaction('abort', 7, 1)
    log!.appendOpen(8, ['c'])
    const all = consumer()
    all.assign([PLACE])
    assert.deepEqual(await readToEnd(all), ['a', 'aborted 1', 'aborted 2', 'b', 'c'])

    const client = consumer({ isolationLevel: 'read_committed' })
    client.assign([PLACE])
    assert.deepEqual(await readToEnd(client), ['a', 'b'])
    assert.equal(await client.position(PLACE), 5)
    assert.deepEqual(await client.endOffsets([PLACE]), [5])
    assert.equal(client.lag(PLACE), 0)
    const next = client.records().next()
    await sleep(platform.clock, 2000)
    assert.equal(await Promise.race([next, Promise.resolve('nothing')]), 'nothing')
    log!.endTransaction('commit', 8, 5)
    assert.equal(textOf((await next).value!), 'c')
    assert.equal(await client.position(PLACE), 7, 'behind the marker')
  }))

// Truncation (KIP-320).

test('a log that was truncated behind the position: by auto.offset.reset the consumer goes back to where the logs part', () =>
  scene(async ({ fake, platform, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    fill(log!, 10)
    const client = consumer({ metadataMaxAgeMs: 500 })
    client.assign([PLACE])
    const records = client.records()
    for (let index = 0; index < 10; index++) await records.next()
    assert.equal(fake.epochQuestions, 0)
    // A leader that has all of it: nothing happens.
    log!.partition.leader = 2
    log!.partition.leaderEpoch = 1
    await sleep(platform.clock, 2000)
    assert.equal(fake.epochQuestions, 1)
    assert.equal(await client.position(PLACE), 10)
    // One that lacks the last four, and has others since.
    log!.truncate(6)
    log!.partition.leaderEpoch = 2
    log!.append(['new 6'])
    log!.append(['new 7'])
    assert.equal(textOf((await records.next()).value!), 'new 6')
    assert.equal(textOf((await records.next()).value!), 'new 7')
  }))

test('without auto.offset.reset truncation is an error, as often as one asks, until the user seeks', () =>
  scene(async ({ fake, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    fill(log!, 10)
    const client = consumer({ metadataMaxAgeMs: 500, autoOffsetReset: 'none' })
    client.assign([PLACE])
    client.seek(PLACE, 0)
    const records = client.records()
    for (let index = 0; index < 10; index++) await records.next()
    log!.truncate(6)
    log!.partition.leaderEpoch = 2
    fill(log!, 20)
    for (const loop of [records, client.records()]) {
      const error = await loop.next().catch((reason: unknown) => reason)
      assert.ok(error instanceof LogTruncatedError, String(error))
      assert.equal(error.divergenceOffset, 6)
    }
    client.seek(PLACE, 6)
    assert.equal((await client.records().next()).value!.offset, 6)
  }))

test('a leader older than the committed offset is not asked for records: its log may end before them', () =>
  scene(async ({ fake, platform, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    log!.partition.leaderEpoch = 2
    fill(log!, 5)
    fake.committed.set('t-0', 8)
    fake.committedLeaderEpoch = 3
    const client = consumer({ groupId: 'g', metadataMaxAgeMs: 60_000 })
    client.assign([PLACE])
    const first = client.records().next()
    await sleep(platform.clock, 20_000)
    assert.equal(fake.fetches.length, 0)
    // The metadata of the leader's successor is found, although it would not be asked for by its age.
    log!.partition.leader = 2
    log!.partition.leaderEpoch = 3
    fill(log!, 5)
    assert.equal((await first).value!.offset, 8)
  }))

test('a topic that was made anew begins at epoch 0: it is read from its beginning in the end', () =>
  scene(async ({ fake, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    fill(log!, 5)
    fake.committed.set('t-0', 8)
    fake.committedLeaderEpoch = 3
    const client = consumer({ groupId: 'g', defaultApiTimeoutMs: 5000 })
    client.assign([PLACE])
    assert.equal((await client.records().next()).value!.offset, 0)
  }))

// Replicas nearby (KIP-392).

test('a replica nearby is read from while it serves, and the leader has the last word', () =>
  scene(async ({ fake, platform, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    let followerCode: number = ErrorCode.NONE
    fake.onFetch = (_log, broker) => {
      if (broker === 2) return { errorCode: followerCode }
      return followerCode === ErrorCode.NONE ? { preferredReadReplica: 2 } : null
    }
    fill(log!, 3)
    const client = consumer({ clientRack: 'r2', metadataMaxAgeMs: 60_000, fetchMaxWaitMs: 1000 })
    client.assign([PLACE])
    const records = client.records()
    for (let index = 0; index < 3; index++) await records.next()
    assert.equal(fake.fetchesOf(1), 1, 'the leader names the replica once')
    assert.ok(fake.fetches.every(({ rackId }) => rackId === 'r2'))
    // After metadata.max.age.ms the leader is asked again who is near.
    await sleep(platform.clock, 61_000)
    assert.equal(fake.fetchesOf(1), 2)
    // A follower that lags does not reset the position.
    followerCode = ErrorCode.OFFSET_OUT_OF_RANGE
    fill(log!, 2)
    const fourth = await records.next()
    assert.equal(fourth.value!.offset, 3)
    assert.equal(fake.fetchesOf(1), 3)
  }))

test('a new leader is asked itself, whatever the old one said of replicas', () =>
  scene(async ({ fake, platform, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    fake.onFetch = ({ partition }, broker) => {
      if (broker === partition.leader && partition.leaderEpoch === 0) return { preferredReadReplica: 2 }
      return broker === 2 ? { errorCode: ErrorCode.NONE } : null
    }
    fill(log!, 3)
    const client = consumer({ clientRack: 'r2', metadataMaxAgeMs: 2000, fetchMaxWaitMs: 200 })
    client.assign([PLACE])
    const records = client.records()
    for (let index = 0; index < 3; index++) await records.next()
    log!.partition.leader = 3
    log!.partition.leaderEpoch = 1
    await sleep(platform.clock, 5000)
    assert.ok(fake.fetchesOf(3) > 5)
  }))

// Fetching ahead.

test('what is fetched ahead stays within fetch.max.bytes, and a reader still gets all', () =>
  scene(async ({ fake, platform, consumer }) => {
    const logs = fake.createTopic('t', 6)
    for (const log of logs) fill(log, 200, 1000)
    const client = consumer({ fetchMaxBytes: 60_000, maxPartitionFetchBytes: 8000 })
    client.assign(logs.map((_, partition) => ({ topic: 't', partition })))
    const records = client.records()
    await records.next()
    await sleep(platform.clock, 10_000)
    // Besides, the answer that the user has in hand.
    assert.ok(fake.bytesServed <= 60_000 + 8000, `${fake.bytesServed}`)
    let count = 1
    for (; count < 1200; count++) await records.next()
    assert.equal(client.lag(PLACE), 0)
  }))

test('a paused partition takes no room from the others for long, and is read on from where it was', () =>
  scene(async ({ fake, platform, consumer }) => {
    const logs = fake.createTopic('t', 2)
    for (const log of logs) fill(log, 50, 1000)
    const client = consumer({ fetchMaxBytes: 20_000, maxPartitionFetchBytes: 20_000 })
    client.assign([PLACE, { topic: 't', partition: 1 }])
    await sleep(platform.clock, 1000)
    client.pause([PLACE])
    const records = client.records()
    for (let index = 0; index < 50; index++) assert.equal((await records.next()).value!.partition, 1)
    client.resume([PLACE])
    for (let index = 0; index < 50; index++) assert.equal((await records.next()).value!.offset, index)
  }))

test('a broker that is down is asked with pauses, and read from when it is back', () =>
  scene(async ({ fake, brokers, platform, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    fill(log!, 1)
    const client = consumer()
    client.assign([PLACE])
    const records = client.records()
    await records.next()
    brokers[0]!.crash()
    const { metadataCount } = fake.cluster
    await sleep(platform.clock, 30_000)
    assert.ok(fake.cluster.metadataCount - metadataCount < 60, 'no storm')
    fill(log!, 1)
    brokers[0]!.start((broker) => fake.cluster.run(broker, 1))
    assert.equal((await records.next()).value!.offset, 1)
  }))

// Loops.

test('reading to the end ends where the end was at the start, however fast others write', () =>
  scene(async ({ fake, world, consumer }) => {
    const logs = fake.createTopic('t', 2)
    for (const log of logs) log.append(numbers(0, 20))
    let isWriting = true
    const write = (): void => {
      for (const log of logs) log.append(numbers(0, 50))
      if (isWriting) world.after(1, write)
    }
    world.after(1, write)
    const client = consumer({ maxPollRecords: 7 })
    client.assign([PLACE, { topic: 't', partition: 1 }])
    let count = 0
    const ends = await client.endOffsets([PLACE, { topic: 't', partition: 1 }])
    for await (const { partition } of client.records({ toEnd: true })) {
      count += 1
      if (count > 100_000) break
      void partition
    }
    isWriting = false
    const positions = [await client.position(PLACE), await client.position({ topic: 't', partition: 1 })]
    assert.equal(count, positions[0]! + positions[1]!, 'nothing beyond the position was given')
    for (const [index, position] of positions.entries())
      assert.ok(position >= ends[index]! && position < ends[index]! + 5000, `${position} ${ends[index]}`)
    // The loop after it goes on from there.
    const { partition, offset } = (await client.records().next()).value!
    assert.equal(offset, positions[partition])
  }))

test('reading to the end: no record beyond it is given, in the middle of an answer and of a batch as well', () =>
  scene(async ({ fake, platform, consumer }) => {
    const logs = fake.createTopic('t', 3)
    logs[0]!.append(numbers(0, 5))
    logs[2]!.append(numbers(0, 3))
    // The ends are told late: more is there when they come.
    fake.listDelayMs = 500
    const client = consumer({ autoOffsetReset: 'none' })
    const places = [0, 1, 2].map((partition) => ({ topic: 't', partition }))
    client.assign(places)
    for (const place of places) client.seek(place, 0)
    const batches = client.batches({ toEnd: true })
    const first = batches.next()
    await sleep(platform.clock, 200)
    for (const log of logs) log.append(numbers(5, 9))
    const given: string[] = []
    for (let step = await first; step.done !== true; step = await batches.next())
      given.push(`${step.value.partition}: ${step.value.firstOffset}-${step.value.lastOffset}`)
    assert.deepEqual(given.sort(), ['0: 0-4', '2: 0-2'])
    assert.deepEqual(await Promise.all(places.map((place) => client.position(place))), [5, 0, 3])
  }))

test('a loop that is ended from outside while it waits lets go of the partition', () =>
  scene(async ({ fake, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    const client = consumer()
    client.assign([PLACE])
    const records = client.records()
    const waiting = records.next()
    await records.return!()
    assert.deepEqual(await waiting, { done: true, value: undefined })
    log!.append(numbers(0, 2))
    assert.deepEqual(await readToEnd(client), ['0', '1'])
  }))

test('calls of next that do not wait for one another get one record each, in order', () =>
  scene(async ({ fake, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    for (let index = 0; index < 3; index++) log!.append(numbers(3 * index, 3 * index + 3))
    const client = consumer({ maxPollRecords: 2 })
    client.assign([PLACE])
    const records = client.records()
    const results = await Promise.all(Array.from({ length: 9 }, () => records.next()))
    assert.deepEqual(
      results.map(({ value }) => textOf(value!)),
      numbers(0, 9),
    )
  }))

// Close.

test('close does not wait longer than it is told to, even when all brokers hang, and leaves nothing running', () =>
  scene(async ({ fake, brokers, platform, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    log!.append(numbers(0, 5))
    const client = consumer({ groupId: 'g' })
    client.subscribe('t')
    const records = client.records()
    await records.next()
    await records.next()
    for (const broker of brokers) broker.pause()
    const begunMs = platform.clock.monotonic()
    await client.close({ timeoutMs: 2000 })
    assert.ok(platform.clock.monotonic() - begunMs < 2100)
    assert.equal((await records.next()).done, true)
    await assert.rejects(client.commit([{ ...PLACE, offset: 1, leaderEpoch: -1 }]), ClosedError)
    for (const broker of brokers) broker.resume()
    await sleep(platform.clock, 1000)
    const { requests } = fake
    await sleep(platform.clock, 60_000)
    assert.equal(fake.requests, requests)
  }))

test('a listener that fails in close does not keep the member in its group', () =>
  scene(async ({ fake, platform, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    log!.append(numbers(0, 5))
    const partitionsRevoked = (): void => {
      throw new Error('the listener fails')
    }
    const client = consumer({ groupId: 'g', listener: { partitionsRevoked } })
    client.subscribe('t')
    await client.records().next()
    await assert.rejects(client.close(), /the listener fails/)
    assert.equal(fake.leaves.length, 1)
    const { requests } = fake
    await sleep(platform.clock, 60_000)
    assert.equal(fake.requests, requests)
  }))

test('a call with a time of its own ends with it, in the middle of a request as well', () =>
  scene(async ({ fake, brokers, platform, consumer }) => {
    fake.createTopic('t', 1)
    const client = consumer({ groupId: 'g' })
    client.assign([PLACE])
    await client.position(PLACE)
    for (const broker of brokers) broker.pause()
    const begunMs = platform.clock.monotonic()
    const results = await Promise.allSettled([
      client.endOffsets([PLACE], { timeoutMs: 1000 }),
      client.committed([PLACE], { timeoutMs: 1000 }),
      client.commit([{ ...PLACE, offset: 1 }], { timeoutMs: 1000 }),
    ])
    for (const result of results) {
      assert.ok(result.status === 'rejected' && result.reason instanceof KafkaError)
      assert.match(result.reason.message, /1000 ms/)
    }
    assert.ok(platform.clock.monotonic() - begunMs < 1100)
  }))

test('what a leader says of an epoch is about the position that was asked about, wherever the user is by then', () =>
  scene(async ({ fake, platform, consumer }) => {
    const [log] = fake.createTopic('t', 1)
    log!.append(['a', 'b'])
    log!.partition.leaderEpoch = 1
    log!.append(['c', 'd'])
    // The consumer fetches all of it before it hears of the new epoch.
    log!.partition.leaderEpoch = 0
    fake.epochDelayMs = 500
    const reader = consumer({ metadataMaxAgeMs: 200 })
    reader.assign([PLACE])
    const texts: string[] = []
    for await (const record of reader.records()) {
      texts.push(textOf(record))
      log!.partition.leaderEpoch = 1
      // The question about epoch 0 at offset 1 is on its way when the user reads on, into epoch 1.
      while (fake.epochQuestions === 0) await sleep(platform.clock, 10)
      if (texts.length === 4) break
    }
    await sleep(platform.clock, 2000)
    assert.deepEqual(texts, ['a', 'b', 'c', 'd'])
    assert.equal(await reader.position(PLACE), 4)
  }))

test('a broker that is asked for the first time while the others are waited for gets its part of fetch.max.bytes', () =>
  scene(async ({ fake, platform, consumer }) => {
    const logs = fake.createTopic('t', 3)
    const reader = consumer()
    reader.assign([0, 1].map((partition) => ({ topic: 't', partition })))
    const next = reader.records().next()
    // Both brokers are being asked, and have all of it between them.
    await sleep(platform.clock, 300)
    reader.assign([0, 1, 2].map((partition) => ({ topic: 't', partition })))
    logs[2]!.append(['late'])
    const { value } = await next
    assert.equal(textOf(value!), 'late')
    assert.ok(platform.clock.monotonic() < 10_000)
  }))
