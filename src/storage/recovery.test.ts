/** What a crash or a power failure leaves, and what recovery makes of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { encodeUtf8 } from '#base'
import type { Platform } from '#platform'
import { RecordBatchBuilder, batchesOf } from '#protocol/records'
import { World } from '#simulation'
import { LogManager, logConfig, type Log, type LogConfig } from '#storage'

const FOLDER = '/data/t-0'

/** Runs the program in a simulated process; whatever fails, fails the test. */
async function inWorld(world: World, program: (platform: Platform) => Promise<void>): Promise<void> {
  let outcome: { error: unknown } | null = null
  world.process('broker').start(
    async (platform) => {
      await program(platform)
      outcome = { error: null }
    },
    (error) => (outcome = { error }),
  )
  await world.runUntil(() => outcome !== null, 3_600_000, 100)
  const { error } = outcome as unknown as { error: unknown }
  if (error !== null) throw error
}

const open = (platform: Platform, config: Partial<LogConfig> = {}): Promise<LogManager> =>
  LogManager.open({ platform, directories: ['/data'], topicConfig: () => logConfig(config) })

const later = (platform: Platform, ms: number): Promise<void> =>
  new Promise((resolve) => void platform.clock.setTimer(ms, () => resolve()))

/** Batches of one record each, of about 280 bytes. */
function append(log: Log, count: number, timestamp = 1000): void {
  for (let index = 0; index < count; index++) {
    const builder = new RecordBatchBuilder()
    builder.append({ timestamp: timestamp + index, key: null, value: new Uint8Array(200).fill(log.nextOffset) })
    assert.equal(log.appendAsLeader(builder.build(), 1, 'client').kind, 'appended')
  }
}

async function offsetsOf(log: Log): Promise<number[]> {
  const offsets: number[] = []
  for (let offset = log.logStartOffset; offset < log.logEndOffset;) {
    const { records, hold } = await log.read({ offset, maxBytes: 5000, upTo: log.logEndOffset, minOneBatch: true })
    assert.ok(records.length > 0)
    for (const batch of batchesOf(records)) {
      offsets.push(batch.baseOffset)
      offset = batch.nextOffset
    }
    hold?.release()
  }
  return offsets
}

const upTo = (end: number): number[] => Array.from({ length: end }, (_, index) => index)

/** A log of four segments, three records each, left by a crash before any of them was sealed; then the damage. */
async function crashedAndDamaged(world: World, damage: (platform: Platform) => Promise<void> | void): Promise<void> {
  await inWorld(world, async (platform) => {
    const logs = await open(platform, { segmentBytes: 1000 })
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    append(log, 12)
    log.writePending()
    assert.deepEqual(log.segmentBaseOffsets, [0, 3, 6, 9])
  })
  world.process('broker').crash()
  await inWorld(world, async (platform) => damage(platform))
  world.process('broker').crash()
}

/** Opens the log as it was left, and expects it to hold the records below `end` and to go on there. */
async function recoversTo(world: World, end: number, config: Partial<LogConfig> = {}): Promise<void> {
  await inWorld(world, async (platform) => {
    const logs = await open(platform, { segmentBytes: 1000, ...config })
    const log = logs.log('t', 0)
    assert.ok(log !== null, 'the directory is usable')
    assert.deepEqual(await offsetsOf(log), upTo(end))
    assert.equal(log.latestEpoch, 1)
    append(log, 1)
    await log.settle()
    assert.deepEqual(await offsetsOf(log), upTo(end + 1))
    await logs.close()
  })
}

const pathOf = (base: number, suffix = '.log'): string => `${FOLDER}/${String(base).padStart(20, '0')}${suffix}`

function cutOff(platform: Platform, path: string, bytes: number): void {
  const file = platform.files.open(path, 'write')
  file.truncate(file.size() - bytes)
  file.close()
}

test('a power failure leaves a prefix, however many segments were still to be synced', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const world = new World(500 + seed)
    await inWorld(world, async (platform) => {
      const logs = await open(platform, { segmentBytes: 1000 })
      const log = logs.getOrCreate({ topic: 't', partition: 0 })
      append(log, 4)
      await log.flush()
      for (let step = 0; step < 3; step++) {
        append(log, 4)
        await log.settle()
        await later(platform, platform.random.below(8))
      }
    })
    world.process('broker').powerFail()
    await inWorld(world, async (platform) => {
      const logs = await open(platform, { segmentBytes: 1000 })
      const log = logs.log('t', 0)!
      assert.ok(log.logEndOffset >= 4, `seed ${seed}`)
      assert.deepEqual(await offsetsOf(log), upTo(log.logEndOffset), `seed ${seed}`)
      await logs.close()
    })
  }
})

test('a torn segment ends the log, also where its index was never written', async () => {
  const world = new World(1)
  await crashedAndDamaged(world, (platform) => {
    platform.files.remove(pathOf(3, '.index'))
    cutOff(platform, pathOf(3), 10)
  })
  await recoversTo(world, 5)
})

test('a segment that ends before the next one begins ends the log', async () => {
  const world = new World(2)
  await crashedAndDamaged(world, (platform) => {
    const file = platform.files.open(pathOf(3), 'write')
    file.truncate((file.size() / 3) * 2)
    file.close()
  })
  await recoversTo(world, 5)
})

test('compaction leaves gaps between segments: they are none that end the log', async () => {
  const world = new World(3)
  await crashedAndDamaged(world, (platform) => {
    const file = platform.files.open(pathOf(3), 'write')
    file.truncate((file.size() / 3) * 2)
    file.close()
  })
  await inWorld(world, async (platform) => {
    const logs = await open(platform, { segmentBytes: 1000, cleanupPolicy: ['compact'] })
    assert.deepEqual(await offsetsOf(logs.log('t', 0)!), [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11])
    await logs.close()
  })
})

test('an unreadable epoch checkpoint beside a torn tail costs the tail, not the directory', async () => {
  for (const torn of [3, 9]) {
    const world = new World(4)
    await crashedAndDamaged(world, async (platform) => {
      await platform.files.open(`${FOLDER}/leader-epoch-checkpoint`, 'truncate').write([encodeUtf8('')], 0)
      cutOff(platform, pathOf(torn), 10)
    })
    await recoversTo(world, torn + 2)
  }
})

test('a producer that wrote only to earlier segments is still known after a crash', async () => {
  const world = new World(7)
  const batchOf = ({ clock }: Platform, producerId: number, baseSequence: number): Uint8Array => {
    const builder = new RecordBatchBuilder({ producerId, producerEpoch: 0, baseSequence })
    // Of today: a producer that was silent for a day is forgotten.
    builder.append({ timestamp: clock.now(), key: null, value: new Uint8Array(200) })
    return builder.build()
  }
  await inWorld(world, async (platform) => {
    const logs = await open(platform, { segmentBytes: 1000 })
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    log.appendAsLeader(batchOf(platform, 1, 0), 1, 'client')
    for (let sequence = 0; sequence < 3; sequence++) log.appendAsLeader(batchOf(platform, 2, sequence), 1, 'client')
    await log.settle()
    assert.deepEqual(log.segmentBaseOffsets, [0, 3])
    await logs.close()
  })
  world.process('broker').crash()
  // Left cleanly: what lies before the last segment counts as synced, and recovery begins with that segment.
  await inWorld(world, async (platform) => void (await open(platform, { segmentBytes: 1000 })))
  world.process('broker').crash()
  await inWorld(world, async (platform) => {
    const log = (await open(platform, { segmentBytes: 1000 })).log('t', 0)!
    const again = log.appendAsLeader(batchOf(platform, 1, 0), 1, 'client')
    assert.ok(again.kind === 'appended' && again.isDuplicate && again.firstOffset === 0, JSON.stringify(again))
  })
})

test('making an index anew keeps what is known of aborted transactions', async () => {
  const world = new World(5)
  const aborted = { producerId: 7, firstOffset: 4, lastOffset: 5, lastStableOffset: 6 }
  await inWorld(world, async (platform) => {
    const logs = await open(platform, { segmentBytes: 1000 })
    append(logs.getOrCreate({ topic: 't', partition: 0 }), 12)
    await logs.close()
    const entry = new DataView(new ArrayBuffer(34))
    const { producerId, firstOffset, lastOffset, lastStableOffset } = aborted
    for (const [at, value] of [producerId, firstOffset, lastOffset, lastStableOffset].entries())
      entry.setBigInt64(2 + 8 * at, BigInt(value))
    await platform.files.open(pathOf(3, '.txnindex'), 'write').write([new Uint8Array(entry.buffer)], 0)
    platform.files.remove(pathOf(3, '.timeindex'))
  })
  world.process('broker').crash()
  await inWorld(world, async (platform) => {
    const logs = await open(platform, { segmentBytes: 1000 })
    assert.deepEqual(logs.log('t', 0)!.abortedTransactions(0, 12), [aborted])
    await logs.close()
  })
})

test('where the topic asks for syncs, what a killed process left counts only after its sync', async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const world = new World(700 + seed)
    const config = { segmentBytes: 1000, flushMessages: 1 }
    await inWorld(world, async (platform) => {
      const logs = await open(platform, config)
      const log = logs.getOrCreate({ topic: 't', partition: 0 })
      append(log, 2)
      await log.flush()
      world.process('broker').diskConditions.syncMs = 60_000
      append(log, 3)
      log.writePending()
    })
    world.process('broker').crash()
    world.process('broker').diskConditions.syncMs = 0.5
    let counted = 0
    await inWorld(world, async (platform) => {
      const logs = await open(platform, config)
      counted = logs.log('t', 0)!.countedEndOffset
    })
    assert.equal(counted, 5)
    world.process('broker').powerFail()
    await inWorld(world, async (platform) => {
      const logs = await open(platform, config)
      assert.equal(logs.log('t', 0)!.logEndOffset, counted, `seed ${seed}`)
      await logs.close()
    })
  }
})

test('a segment whose sealing was overtaken by a cut is sealed at a clean stop', async () => {
  const world = new World(7)
  await inWorld(world, async (platform) => {
    const logs = await open(platform, { segmentBytes: 1000 })
    append(logs.getOrCreate({ topic: 't', partition: 0 }), 2, 1000)
    await logs.close()
  })
  world.process('broker').crash()
  await inWorld(world, async (platform) => {
    const logs = await open(platform, { segmentBytes: 1000 })
    const log = logs.log('t', 0)!
    append(log, 10, 2000)
    log.writePending()
    log.truncateTo(7)
    assert.deepEqual(log.segmentBaseOffsets, [0, 3, 6])
    await later(platform, 1000)
    assert.equal(log.recoveryPoint, 0, 'indexes of the first segment are not safe')
    await log.flush()
    assert.equal(log.recoveryPoint, 0)
    await logs.close()
  })
  world.process('broker').crash()
  await inWorld(world, async (platform) => {
    const logs = await open(platform, { segmentBytes: 1000 })
    assert.deepEqual(logs.log('t', 0)!.findTimestamp(2000n, 7), { timestamp: 2000n, offset: 2 })
    await logs.close()
  })
})

test('a log that is let go of makes no files any more', async () => {
  await inWorld(new World(8), async (platform) => {
    const logs = await open(platform, { segmentBytes: 1000, flushMessages: 1, fileDeleteDelayMs: 1 })
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    append(log, 12)
    log.writePending()
    logs.delete('t', 0)
    const fresh = logs.getOrCreate({ topic: 't', partition: 0 })
    append(fresh, 1)
    await later(platform, 1000)
    assert.equal(fresh.isOffline, false)
    assert.deepEqual(
      platform.files.list(FOLDER).filter((name) => name.endsWith('.log')),
      ['00000000000000000000.log'],
    )
    await logs.close()
  })
})

test('a rolled segment that the disk is still writing can be read as far as it is written', async () => {
  const world = new World(9)
  await inWorld(world, async (platform) => {
    const logs = await LogManager.open({
      platform,
      directories: ['/data'],
      topicConfig: () => logConfig({ segmentBytes: 20_000 }),
      tailBounds: { totalBytes: 8192, bytesPerLog: 8192 },
    })
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    append(log, 60)
    await log.settle()
    world.process('broker').diskConditions.slowness = 100
    append(log, 30, 2000)
    log.writePending()
    assert.deepEqual([log.segmentBaseOffsets.length, log.logEndOffset], [2, 60])
    const { records, hold } = await log.read({ offset: 0, maxBytes: 100_000, upTo: 60, minOneBatch: true })
    assert.ok([...batchesOf(records)].length > 0)
    hold?.release()
    assert.equal(log.findTimestamp(2000n, 60), null)
    await log.settle()
    assert.deepEqual(await offsetsOf(log), upTo(90))
    await logs.close()
  })
})
