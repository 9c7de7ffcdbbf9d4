import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sleep, type Platform, type Random } from '#platform'
import { Codec, RecordBatchBuilder, RecordBatchView, batchesOf } from '#protocol/records'
import { World } from '#simulation'
import {
  AppendErrorCode,
  FollowerAppendError,
  LogManager,
  logConfig,
  type AppendedBatch,
  type Log,
  type LogConfig,
} from '#storage'

const DIRECTORY = '/data'

/** Runs the program as a process of a world of its own and gives what it returns; whatever fails, fails the test. */
async function inWorld<T>(world: World, program: (platform: Platform) => Promise<T>): Promise<T> {
  let outcome: { value: T } | null = null
  let failure: unknown = null
  const machine = world.process('broker')
  machine.start(
    async (platform) => {
      outcome = { value: await program(platform) }
    },
    (error) => (failure = error),
  )
  await world.runUntil(() => outcome !== null || failure !== null, 3_600_000, 100)
  if (failure !== null) throw failure
  assert.deepEqual(world.findings, [])
  return (outcome as { value: T } | null)!.value
}

function openLogs(platform: Platform, config: Partial<LogConfig> = {}): Promise<LogManager> {
  return LogManager.open({ platform, directories: [DIRECTORY], topicConfig: () => logConfig(config) })
}

interface BatchSpec {
  records?: number
  bytes?: number
  timestamp?: number
  producerId?: number
  producerEpoch?: number
  baseSequence?: number
  isTransactional?: boolean
  codec?: Codec
}

function batchOf({ records = 1, bytes = 10, timestamp = 1000, ...options }: BatchSpec = {}): Uint8Array {
  const builder = new RecordBatchBuilder(options)
  for (let index = 0; index < records; index++)
    builder.append({ timestamp: timestamp + index, key: null, value: new Uint8Array(bytes).fill(index + timestamp) })
  return builder.build()
}

function append(log: Log, spec: BatchSpec = {}, epoch = 1): AppendedBatch {
  const appended = log.appendAsLeader(batchOf(spec), epoch, 'client')
  assert.ok(appended.kind === 'appended')
  return appended
}

/** Everything below the log's end, by reads of at most `maxBytes`. */
async function readAll(log: Log, maxBytes = 3000): Promise<Uint8Array[]> {
  const batches: Uint8Array[] = []
  for (let offset = log.logStartOffset; offset < log.logEndOffset;) {
    const { records, hold } = await log.read({ offset, maxBytes, upTo: log.logEndOffset, minOneBatch: true })
    for (const batch of batchesOf(records)) {
      assert.ok(batch.hasValidCrc())
      batches.push(batch.toBytes().slice())
      offset = batch.nextOffset
    }
    assert.ok(records.length > 0)
    hold?.release()
  }
  return batches
}

/** What the log is compared with: the batches in order, and where it begins and is committed. */
class Model {
  batches: { base: number; next: number; bytes: Uint8Array }[] = []
  startOffset = 0
  highWatermark = 0

  get end(): number {
    return Math.max(this.batches.at(-1)?.next ?? 0, this.startOffset)
  }

  note(log: Log, bytes: Uint8Array, base: number, epoch: number): void {
    const copy = bytes.slice()
    const view = new RecordBatchView(copy)
    view.baseOffset = base
    view.partitionLeaderEpoch = epoch
    this.batches.push({ base, next: view.nextOffset, bytes: copy })
    assert.equal(log.nextOffset, this.end)
  }

  truncate(offset: number): void {
    this.batches = this.batches.filter(({ next }) => next <= offset)
    this.highWatermark = Math.min(this.highWatermark, this.end)
  }

  raiseStart(offset: number): void {
    this.startOffset = offset
    this.highWatermark = Math.max(this.highWatermark, offset)
  }

  beginAnewAt(offset: number): void {
    this.batches = []
    this.startOffset = offset
    this.highWatermark = offset
  }

  /** Checkpoints tell the bounds after a restart: the start is written down when it moves, the high watermark now and then. */
  restarted(log: Log): void {
    assert.ok(log.logStartOffset <= this.startOffset, `${log.logStartOffset}, but it began at ${this.startOffset}`)
    this.startOffset = log.logStartOffset
    this.highWatermark = log.highWatermark
  }

  /** Whatever has happened, the high watermark is one of this log's, and a consumer gets nothing beyond it (KAFKA-9196, KAFKA-9491). */
  async compareBounds(log: Log, random: Random): Promise<void> {
    const { logStartOffset, highWatermark, logEndOffset, nextOffset, lastStableOffset } = log
    assert.deepEqual([logStartOffset, highWatermark], [this.startOffset, this.highWatermark])
    assert.ok(logStartOffset <= highWatermark && highWatermark <= logEndOffset && logEndOffset <= nextOffset)
    assert.ok(lastStableOffset <= highWatermark)
    const offset = logStartOffset + random.below(highWatermark - logStartOffset + 1)
    const { records, hold } = await log.read({ offset, maxBytes: 100_000, upTo: highWatermark, minOneBatch: true })
    for (const batch of batchesOf(records)) assert.ok(batch.baseOffset < highWatermark)
    if (offset === highWatermark) assert.equal(records.length, 0)
    else assert.ok(records.length > 0)
    hold?.release()
  }

  async compare(log: Log, random: Random): Promise<void> {
    await log.settle()
    assert.equal(log.logEndOffset, this.end)
    const found = await readAll(log, 500 + random.below(5000))
    const expected = this.batches.filter(({ next }) => next > log.logStartOffset)
    assert.equal(found.length, expected.length)
    for (const [index, { bytes }] of expected.entries()) assert.deepEqual(found[index], bytes)
    if (expected.length === 0) return
    const probe = expected[random.below(expected.length)]!
    const offset = Math.max(log.logStartOffset, probe.base + random.below(probe.next - probe.base))
    const { records } = await log.read({ offset, maxBytes: 1, upTo: this.end, minOneBatch: true })
    assert.deepEqual(records.slice(), probe.bytes)
    const upTo = await log.read({ offset: log.logStartOffset, maxBytes: 100_000, upTo: probe.base, minOneBatch: true })
    for (const batch of batchesOf(upTo.records)) assert.ok(batch.baseOffset < probe.base)
    upTo.hold?.release()
  }
}

/** A hundred random steps on one log, each compared with the array; restarts may be clean or crashes. */
async function randomWalk(seed: number): Promise<void> {
  const world = new World(seed)
  const random = world.random.fork('walk')
  const model = new Model()
  const config = {
    segmentBytes: 4000 + random.below(8000),
    indexIntervalBytes: random.below(3000),
    fileDeleteDelayMs: 1000,
  }
  let epoch = 1
  const steps = async (platform: Platform, count: number): Promise<'clean' | 'crash'> => {
    const logs = await openLogs(platform, config)
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    model.restarted(log)
    await model.compare(log, random)
    for (let step = 0; step < count; step++) {
      await model.compareBounds(log, random)
      const choice = random.below(22)
      if (choice < 10) {
        const bytes = batchOf({
          records: 1 + random.below(5),
          bytes: random.below(700),
          timestamp: 1000 + random.below(5000),
        })
        const appended = log.appendAsLeader(bytes, epoch, 'client')
        assert.equal(appended.kind, 'appended')
        if (appended.kind === 'appended') model.note(log, bytes, appended.firstOffset, epoch)
      } else if (choice < 13) {
        const bytes = batchOf({ records: 2, bytes: random.below(900) })
        const view = new RecordBatchView(bytes)
        view.baseOffset = log.nextOffset
        view.partitionLeaderEpoch = epoch
        log.appendAsFollower(bytes)
        model.note(log, bytes, view.baseOffset, epoch)
      } else if (choice < 15) epoch += 1
      else if (choice < 16) {
        await log.settle()
        const offset = log.logStartOffset + random.below(log.logEndOffset - log.logStartOffset + 2)
        log.truncateTo(offset)
        if (offset < model.end) model.truncate(offset)
      } else if (choice < 18) {
        // A leader may know of more than this log has.
        const offset = log.logStartOffset + random.below(log.logEndOffset - log.logStartOffset + 3)
        log.raiseHighWatermark(offset)
        model.highWatermark = Math.max(model.highWatermark, Math.min(offset, log.logEndOffset))
      } else if (choice < 19) {
        const offset = log.logStartOffset + random.below(log.logEndOffset - log.logStartOffset + 1)
        if (log.raiseLogStart(offset)) model.raiseStart(offset)
      } else if (choice < 20 && random.next() < 0.3) {
        await log.settle()
        // Its leader's log begins behind it, or ends before it.
        const offset = Math.max(0, log.logStartOffset - 20) + random.below(log.logEndOffset - log.logStartOffset + 40)
        log.truncateFullyAndStartAt(offset)
        model.beginAnewAt(offset)
      } else await model.compare(log, random)
    }
    if (random.next() < 0.5) {
      await log.settle()
      // What it has of its start is written down at once.
      await sleep(platform.clock, 1)
      return 'crash'
    }
    await logs.close()
    return 'clean'
  }
  for (let life = 0; life < 5; life++) {
    await inWorld(world, (platform) => steps(platform, 25))
    world.process('broker').crash()
  }
}

test('a log is an array of batches, through rolls, truncations, clean stops and crashes', async () => {
  for (let seed = 1; seed <= 60; seed++)
    await randomWalk(seed).catch((cause: unknown) => {
      throw new Error(`seed ${seed}`, { cause })
    })
})

test('offsets are assigned in order, and nothing is visible before it is written', async () => {
  await inWorld(new World(1), async (platform) => {
    const logs = await openLogs(platform)
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    assert.deepEqual([append(log, { records: 3 }).firstOffset, append(log, { records: 2 }).firstOffset], [0, 3])
    assert.equal(log.nextOffset, 5)
    assert.equal(log.logEndOffset, 0)
    let told = 0
    log.onEndMoved = () => void (told += 1)
    await new Promise<void>((resolve) => platform.clock.nextTurn(resolve))
    assert.equal(log.logEndOffset, 5)
    assert.equal(told, 1)
    await logs.close()
  })
})

test('what does not check is refused, and leaves no trace', async () => {
  await inWorld(new World(2), async (platform) => {
    const logs = await openLogs(platform, { maxMessageBytes: 2000, segmentBytes: 3000 })
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    const corrupt = batchOf()
    corrupt[70]! ^= 1
    const refusals = [
      [corrupt, AppendErrorCode.CORRUPT_MESSAGE],
      [batchOf({ bytes: 2500 }), AppendErrorCode.MESSAGE_TOO_LARGE],
      [batchOf({ bytes: 3500 }), AppendErrorCode.RECORD_LIST_TOO_LARGE],
      [batchOf().subarray(0, 50), AppendErrorCode.INVALID_RECORD],
    ] as const
    for (const [bytes, errorCode] of refusals) {
      const refused = log.appendAsLeader(bytes, 1, 'client')
      assert.equal(refused.kind, 'refused')
      assert.equal(refused.kind === 'refused' && refused.errorCode, errorCode)
    }
    assert.equal(append(log).firstOffset, 0)
    await log.settle()
    assert.equal((await readAll(log)).length, 1)
    await logs.close()
  })
})

test('a follower takes only what continues its log', async () => {
  await inWorld(new World(3), async (platform) => {
    const logs = await openLogs(platform)
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    const at = (offset: number, epoch: number): Uint8Array => {
      const bytes = batchOf({ records: 2 })
      const view = new RecordBatchView(bytes)
      view.baseOffset = offset
      view.partitionLeaderEpoch = epoch
      return bytes
    }
    const two = new Uint8Array([...at(0, 4), ...at(2, 5), ...at(4, 5).subarray(0, 40)])
    log.appendAsFollower(two)
    assert.equal(log.nextOffset, 4)
    assert.deepEqual(log.epochs.entries, [
      { epoch: 4, startOffset: 0 },
      { epoch: 5, startOffset: 2 },
    ])
    assert.throws(() => log.appendAsFollower(at(2, 5)), FollowerAppendError)
    const broken = at(4, 5)
    broken[65]! ^= 1
    assert.throws(() => log.appendAsFollower(broken), FollowerAppendError)
    assert.equal(log.nextOffset, 4)
    const later = at(6, 5)
    later[65]! ^= 1
    assert.throws(() => log.appendAsFollower(new Uint8Array([...at(4, 5), ...later])), FollowerAppendError)
    assert.equal(log.nextOffset, 6, 'what came before the broken batch is good')
    await logs.close()
  })
})

test('a follower whose start lies inside the leader’s first batch takes that batch whole, and begins where it is to', async () => {
  const world = new World(31)
  await inWorld(world, async (platform) => {
    const logs = await openLogs(platform)
    const leader = logs.getOrCreate({ topic: 't', partition: 0 })
    append(leader, { records: 5 })
    append(leader, { records: 2 })
    await leader.settle()
    leader.raiseHighWatermark(7)
    leader.raiseLogStart(3)
    const { records } = await leader.read({ offset: 3, maxBytes: 10_000, upTo: 7, minOneBatch: true })
    const follower = logs.getOrCreate({ topic: 't', partition: 1 })
    follower.truncateFullyAndStartAt(3)
    follower.appendAsFollower(records)
    await follower.settle()
    assert.deepEqual([follower.logStartOffset, follower.logEndOffset, follower.segmentBaseOffsets], [3, 7, [0]])
    assert.deepEqual(await readAll(follower), await readAll(leader))
    // What has begun goes on where it ends, and nowhere else.
    assert.throws(() => follower.appendAsFollower(records), FollowerAppendError)
    await logs.close()
  })
  world.process('broker').crash()
  await inWorld(world, async (platform) => {
    const follower = (await openLogs(platform)).log('t', 1)!
    assert.deepEqual([follower.logStartOffset, follower.logEndOffset], [3, 7])
  })
})

test('after a clean stop the last five batches of a producer are known, as before it', async () => {
  // Not so old that the producer would be forgotten.
  const timestamp = 1_900_000_000_000
  for (const config of [{}, { segmentBytes: 500 }]) {
    const world = new World(32)
    await inWorld(world, async (platform) => {
      const logs = await openLogs(platform, config)
      const log = logs.getOrCreate({ topic: 't', partition: 0 })
      for (let sequence = 0; sequence < 7; sequence++) {
        append(log, { producerId: 7, producerEpoch: 0, baseSequence: sequence, timestamp })
        append(log, { producerId: 8, producerEpoch: 0, baseSequence: sequence, timestamp })
      }
      await logs.close()
    })
    world.process('broker').crash()
    await inWorld(world, async (platform) => {
      const log = (await openLogs(platform, config)).log('t', 0)!
      for (const sequence of [2, 3, 4, 5, 6]) {
        const again = append(log, { producerId: 8, producerEpoch: 0, baseSequence: sequence, timestamp })
        assert.deepEqual([again.isDuplicate, again.firstOffset], [true, 2 * sequence + 1])
      }
      const older = log.appendAsLeader(
        batchOf({ producerId: 8, producerEpoch: 0, baseSequence: 1, timestamp }),
        1,
        'client',
      )
      assert.equal(older.kind === 'refused' && older.errorCode, AppendErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
      assert.equal(append(log, { producerId: 7, producerEpoch: 0, baseSequence: 7, timestamp }).firstOffset, 14)
    })
  }
})

test('a repeated batch is answered with its first offsets, also after a restart and on a new leader', async () => {
  const world = new World(4)
  // A producer whose stamps are old counts as long silent, and is not restored.
  const timestamp = world.process('broker').world.nowMs + 2_000_000_000_000
  const send = (log: Log, baseSequence: number): ReturnType<typeof append> =>
    append(log, { records: 2, producerId: 9, producerEpoch: 0, baseSequence, timestamp })
  await inWorld(world, async (platform) => {
    const logs = await openLogs(platform)
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    for (let sequence = 0; sequence < 12; sequence += 2) send(log, sequence)
    assert.deepEqual(send(log, 4), { ...send(log, 4), firstOffset: 4, lastOffset: 5, isDuplicate: true })
    // Only the last five batches are remembered (KAFKA-5494).
    const forgotten = log.appendAsLeader(
      batchOf({ records: 2, producerId: 9, producerEpoch: 0, baseSequence: 0 }),
      1,
      'client',
    )
    assert.equal(forgotten.kind === 'refused' && forgotten.errorCode, AppendErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
    await log.settle()
    const records = new Uint8Array((await readAll(log)).flatMap((batch) => [...batch]))
    const follower = logs.getOrCreate({ topic: 't', partition: 1 })
    follower.appendAsFollower(records)
    assert.equal(send(follower, 8).firstOffset, 8)
    assert.equal(send(follower, 8).isDuplicate, true)
  })
  world.process('broker').crash()
  await inWorld(world, async (platform) => {
    const logs = await openLogs(platform)
    assert.deepEqual(send(logs.log('t', 0)!, 10).isDuplicate, true)
    await logs.close()
  })
  world.process('broker').crash()
  await inWorld(world, async (platform) => {
    const logs = await openLogs(platform)
    // From the snapshot: of each producer the last batch only.
    assert.equal(send(logs.log('t', 0)!, 10).isDuplicate, true)
    assert.equal(send(logs.log('t', 0)!, 12).firstOffset, 12)
    await logs.close()
  })
})

test('records are found by their time', async () => {
  await inWorld(new World(5), async (platform) => {
    const logs = await openLogs(platform, { segmentBytes: 2000 })
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    for (let index = 0; index < 40; index++) append(log, { records: 5, bytes: 50, timestamp: 10_000 + index * 100 })
    await log.settle()
    assert.ok(log.segmentBaseOffsets.length > 3)
    assert.deepEqual(log.findTimestamp(0n, 1000), { timestamp: 10_000n, offset: 0 })
    assert.deepEqual(log.findTimestamp(11_002n, 1000), { timestamp: 11_002n, offset: 52 })
    assert.deepEqual(log.findTimestamp(11_005n, 1000), { timestamp: 11_100n, offset: 55 })
    assert.equal(log.findTimestamp(13_904n, 199), null)
    assert.equal(log.findTimestamp(13_905n, 1000), null)
    assert.deepEqual(log.findMaxTimestamp(), { timestamp: 13_904n, offset: 199 })
    await logs.close()
  })
})

test('where the topic asks for syncs, an end counts only after its sync', async () => {
  const world = new World(6)
  await inWorld(world, async (platform) => {
    const logs = await openLogs(platform, { flushMessages: 1 })
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    append(log, { records: 3 })
    log.writePending()
    assert.equal(log.logEndOffset, 3)
    assert.equal(log.countedEndOffset, 0)
    append(log)
    log.writePending()
    await new Promise<void>((resolve) => (log.onEndMoved = () => log.countedEndOffset === 4 && resolve()))
    assert.equal(log.recoveryPoint, 4)
    append(log)
    log.writePending()
  })
  world.process('broker').powerFail()
  await inWorld(world, async (platform) => {
    const logs = await openLogs(platform)
    assert.ok(logs.log('t', 0)!.logEndOffset >= 4, 'what had counted is still there')
    await logs.close()
  })
})

test('after a power failure the log is a prefix of what was written, with all that was flushed', async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const world = new World(100 + seed)
    const written: Uint8Array[] = []
    const flushed = await inWorld(world, async (platform) => {
      const logs = await openLogs(platform, { segmentBytes: 3000 })
      const log = logs.getOrCreate({ topic: 't', partition: 0 })
      for (let index = 0; index < 20; index++) append(log, { records: 2, bytes: 200, timestamp: index })
      await log.flush()
      const flushed = log.logEndOffset
      for (let index = 0; index < 20; index++) append(log, { records: 2, bytes: 200, timestamp: index })
      await log.settle()
      written.push(...(await readAll(log)))
      return flushed
    })
    world.process('broker').powerFail()
    await inWorld(world, async (platform) => {
      const logs = await openLogs(platform, { segmentBytes: 3000 })
      const log = logs.log('t', 0)!
      const found = await readAll(log)
      assert.ok(log.logEndOffset >= flushed, `seed ${seed}: ${log.logEndOffset} of ${flushed} flushed`)
      for (const [index, bytes] of found.entries()) assert.deepEqual(bytes, written[index], `seed ${seed}`)
      append(log)
      await log.settle()
      await logs.close()
    })
  }
})

test('a failed write or sync takes the directory offline, and nothing is tried again (KAFKA-10778)', async () => {
  for (const operation of ['write', 'sync'] as const) {
    const world = new World(7)
    await inWorld(world, async (platform) => {
      const logs = await openLogs(platform, operation === 'sync' ? { flushMessages: 1 } : {})
      const log = logs.getOrCreate({ topic: 't', partition: 0 })
      append(log, { records: 3 })
      await log.flush()
      let failed = 0
      logs.onDirectoryFailure = (_directory, lost) => {
        failed += 1
        assert.deepEqual(lost, [log])
      }
      world.process('broker').diskConditions.inject({ operation, code: 'EIO', path: '.log' })
      append(log)
      log.writePending()
      await new Promise((resolve) => platform.clock.setTimer(100, resolve))
      assert.equal(failed, 1)
      assert.equal(log.countedEndOffset, 3)
      const refused = log.appendAsLeader(batchOf(), 1, 'client')
      assert.equal(refused.kind === 'refused' && refused.errorCode, AppendErrorCode.KAFKA_STORAGE_ERROR)
      assert.throws(() => logs.getOrCreate({ topic: 't', partition: 0 }), /failed/)
      await logs.close()
      assert.equal(platform.files.exists(`${DIRECTORY}/.kafka_cleanshutdown`), false)
    })
    world.process('broker').crash()
    await inWorld(world, async (platform) => {
      const logs = await openLogs(platform)
      assert.ok(logs.log('t', 0)!.logEndOffset >= 3)
      await logs.close()
    })
  }
})

test('truncation drops epochs that begin at the end, and producers of what was cut (KAFKA-10706, KAFKA-12153)', async () => {
  await inWorld(new World(8), async (platform) => {
    const logs = await openLogs(platform)
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    append(log, { records: 5, producerId: 1, producerEpoch: 0, baseSequence: 0 }, 1)
    append(log, { records: 5, producerId: 2, producerEpoch: 0, baseSequence: 0 }, 2)
    await log.settle()
    log.epochs.assign(3, 10)
    log.truncateTo(10)
    assert.equal(log.latestEpoch, 2)
    log.raiseHighWatermark(8)
    log.truncateTo(7)
    assert.equal(log.logEndOffset, 5, 'a batch that holds the offset goes whole')
    assert.equal(log.highWatermark, 5)
    assert.equal(log.latestEpoch, 1)
    assert.equal(log.producers.producer(2), null)
    assert.equal(log.producers.producer(1)!.batches.at(-1)!.lastSequence, 4)
    log.truncateFullyAndStartAt(100)
    assert.deepEqual([log.logStartOffset, log.logEndOffset, log.highWatermark, log.latestEpoch], [100, 100, 100, -1])
    assert.equal(append(log).firstOffset, 100)
    await logs.close()
  })
})

test('a cut forgets the producers that later snapshots have, of a roll or of a clean stop (KAFKA-12153)', async () => {
  const world = new World(27)
  const snapshots = (log: Log): number[] =>
    log.directory.files
      .list(log.folder)
      .filter((name) => name.endsWith('.snapshot'))
      .map((name) => Number.parseInt(name, 10))
  const known = (log: Log): (number | undefined)[] =>
    [1, 2, 3].map((id) => log.producers.producer(id)?.batches.at(-1)!.lastSequence)
  const config = { segmentBytes: 300 }
  await inWorld(world, async (platform) => {
    const logs = await openLogs(platform, config)
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    const timestamp = platform.clock.now()
    // Three segments; each has a producer more, and the snapshot at its end has all until then.
    for (const producerId of [1, 2, 3])
      append(log, { records: 2, bytes: 100, timestamp, producerId, producerEpoch: 0, baseSequence: 0 })
    await logs.close()
    assert.deepEqual(
      [log.segmentBaseOffsets, snapshots(log)],
      [
        [0, 2, 4],
        [2, 4, 6],
      ],
    )
  })
  world.process('broker').crash()
  await inWorld(world, async (platform) => {
    const log = (await openLogs(platform, config)).log('t', 0)!
    assert.deepEqual(known(log), [1, 1, 1])
    log.truncateTo(5)
    assert.deepEqual([log.logEndOffset, known(log), snapshots(log)], [4, [1, 1, undefined], [2, 4]])
    log.truncateTo(3)
    assert.deepEqual([log.logEndOffset, known(log), snapshots(log)], [2, [1, undefined, undefined], [2]])
  })
})

test('the log start moves up, and segments below it go', async () => {
  const world = new World(9)
  await inWorld(world, async (platform) => {
    const logs = await openLogs(platform, { segmentBytes: 1000, fileDeleteDelayMs: 10 })
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    for (let index = 0; index < 20; index++) append(log, { bytes: 200 })
    await log.settle()
    log.raiseLogStart(11)
    assert.equal(log.logStartOffset, 11)
    assert.ok(log.segmentBaseOffsets[0]! > 0 && log.segmentBaseOffsets[0]! <= 11)
    assert.deepEqual(log.epochs.entries, [{ epoch: 1, startOffset: 11 }])
    await new Promise((resolve) => platform.clock.setTimer(100, resolve))
    assert.equal(
      platform.files.list(log.folder).some((name) => name.endsWith('.deleted')),
      false,
    )
    await logs.close()
  })
  world.process('broker').crash()
  await inWorld(world, async (platform) => {
    const logs = await openLogs(platform)
    assert.equal(logs.log('t', 0)!.logStartOffset, 11)
    await logs.close()
  })
})

test('the last stable offset is the beginning of an open transaction, and never beyond the high watermark (KAFKA-9807)', async () => {
  await inWorld(new World(26), async (platform) => {
    const log = (await openLogs(platform)).getOrCreate({ topic: 't', partition: 0 })
    append(log, { records: 4 })
    append(log, { records: 2, producerId: 7, producerEpoch: 0, baseSequence: 0, isTransactional: true })
    append(log, { records: 2 })
    await log.settle()
    const stable = [0, 3, 4, 5, 8].map((offset) => {
      log.raiseHighWatermark(offset)
      return log.lastStableOffset
    })
    assert.deepEqual(stable, [0, 3, 4, 4, 4])
  })
})

test('a log that begins anew before its former start has its records after a crash', async () => {
  const world = new World(25)
  await inWorld(world, async (platform) => {
    const log = (await openLogs(platform)).getOrCreate({ topic: 't', partition: 0 })
    append(log, { records: 10 })
    await log.settle()
    log.raiseLogStart(8)
    await sleep(platform.clock, 1)
    // Its new leader has less, after an unclean election.
    log.truncateFullyAndStartAt(5)
    assert.equal(log.highWatermark, 5)
    const batch = new RecordBatchView(batchOf({ records: 2 }))
    batch.baseOffset = 5
    batch.partitionLeaderEpoch = 2
    log.appendAsFollower(batch.bytes)
    await log.settle()
    await sleep(platform.clock, 1)
  })
  world.process('broker').crash()
  await inWorld(world, async (platform) => {
    const log = (await openLogs(platform)).getOrCreate({ topic: 't', partition: 0 })
    assert.deepEqual([log.logStartOffset, log.logEndOffset], [5, 7])
    assert.equal((await readAll(log)).length, 1)
  })
})

test('a topic with a codec of its own and log append time rewrites what arrives', async () => {
  await inWorld(new World(10), async (platform) => {
    const logs = await openLogs(platform, { compressionType: 'gzip', messageTimestampType: 'LogAppendTime' })
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    const appended = log.appendAsLeader(batchOf({ records: 100, bytes: 100 }), 1, 'client')
    assert.equal(appended.kind === 'appended' && appended.logAppendTimeMs, platform.clock.now())
    await log.settle()
    const [bytes] = await readAll(log)
    const batch = new RecordBatchView(bytes!)
    assert.equal(batch.codec, Codec.gzip)
    assert.equal(batch.timestampType, 'LogAppendTime')
    assert.equal(batch.records().length, 100)
    await logs.close()
  })
})

test('a reader that holds a chunk keeps its bytes, whatever is written meanwhile', async () => {
  await inWorld(new World(11), async (platform) => {
    const logs = await LogManager.open({
      platform,
      directories: [DIRECTORY],
      topicConfig: () => logConfig(),
      tailBounds: { totalBytes: 64 * 1024, bytesPerLog: 32 * 1024 },
    })
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    append(log, { bytes: 1000, timestamp: 7 })
    await log.settle()
    const { records, hold } = await log.read({ offset: 0, maxBytes: 10_000, upTo: 1, minOneBatch: true })
    assert.notEqual(hold, null)
    const before = records.slice()
    for (let index = 0; index < 500; index++) {
      append(logs.getOrCreate({ topic: 't', partition: index % 5 }), { bytes: 1000, timestamp: index })
      if (index % 10 === 0) await log.settle()
    }
    assert.deepEqual(records.slice(), before)
    hold!.release()
    await logs.close()
  })
})
