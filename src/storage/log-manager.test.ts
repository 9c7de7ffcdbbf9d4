import assert from 'node:assert/strict'
import { test } from 'node:test'

import { decodeUtf8, encodeUtf8 } from '#base'
import { sleep, type Platform } from '#platform'
import { RecordBatchBuilder } from '#protocol/records'
import { World } from '#simulation'
import { LogManager, logConfig, readMetaProperties, writeMetaProperties, type Log } from '#storage'

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
  world.process('broker').crash()
}

const open = (platform: Platform, ...directories: string[]): Promise<LogManager> =>
  LogManager.open({ platform, directories, topicConfig: () => logConfig({ fileDeleteDelayMs: 50 }) })

async function append(log: Log, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const builder = new RecordBatchBuilder()
    builder.append({ timestamp: 1000, key: null, value: new Uint8Array(100) })
    assert.equal(log.appendAsLeader(builder.build(), 1, 'client').kind, 'appended')
  }
  await log.settle()
}

const text = (platform: Platform, path: string): string => {
  const bytes = platform.files.readFile(path)
  return decodeUtf8(bytes, 0, bytes.length)
}

test('the files of a directory after a clean stop are Kafka’s, byte for byte', async () => {
  const world = new World(1)
  await inWorld(world, async (platform) => {
    const logs = await open(platform, '/data')
    const log = logs.getOrCreate({ topic: 'my-topic', partition: 3 })
    log.assignTopicId('AAECAwQFBgcICQoLDA0ODw')
    log.epochs.assign(1, 0)
    await append(log, 7)
    log.raiseHighWatermark(5)
    await logs.close()
    const expected = {
      'recovery-point-offset-checkpoint': '0\n1\nmy-topic 3 7\n',
      'replication-offset-checkpoint': '0\n1\nmy-topic 3 5\n',
      'log-start-offset-checkpoint': '0\n0\n',
      '.kafka_cleanshutdown': '{"version":0,"brokerEpoch":-1}',
      'my-topic-3/partition.metadata': 'version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw',
      'my-topic-3/leader-epoch-checkpoint': '0\n1\n1 0\n',
    }
    for (const [name, content] of Object.entries(expected)) assert.equal(text(platform, `/data/${name}`), content, name)
    assert.deepEqual(platform.files.list('/data/my-topic-3'), [
      '00000000000000000000.index',
      '00000000000000000000.log',
      '00000000000000000000.timeindex',
      '00000000000000000007.snapshot',
      'leader-epoch-checkpoint',
      'partition.metadata',
    ])
    // One entry, the one that closes the segment: timestamp 1000 at relative offset 0.
    assert.equal(
      Buffer.from(platform.files.readFile('/data/my-topic-3/00000000000000000000.timeindex')).toString('hex'),
      '00000000000003e800000000',
    )
  })
  await inWorld(world, async (platform) => {
    const logs = await open(platform, '/data')
    const log = logs.log('my-topic', 3)!
    assert.deepEqual(
      [log.topicId, log.highWatermark, log.logEndOffset, log.latestEpoch],
      ['AAECAwQFBgcICQoLDA0ODw', 5, 7, 1],
    )
    assert.equal(
      platform.files.exists('/data/.kafka_cleanshutdown'),
      false,
      'gone before anything is loaded (KAFKA-10471)',
    )
    await logs.close()
  })
})

test('a torn tail is cut at the last good batch, whatever it looks like', async () => {
  const tails: [string, (batch: Uint8Array) => Uint8Array][] = [
    ['a cut batch', (batch) => batch.subarray(0, batch.length - 1)],
    ['a cut header', (batch) => batch.subarray(0, 30)],
    ['zeros', () => new Uint8Array(5000)],
    ['a wrong CRC', (batch) => batch.with(100, 99)],
    ['a length that lies', (batch) => batch.with(8, 0x7f)],
    ['an offset that was there', (batch) => batch],
    ['noise', () => Uint8Array.from({ length: 300 }, (_, index) => (index * 7919) >> 3)],
  ]
  for (const [what, tailOf] of tails) {
    const world = new World(2)
    await inWorld(world, async (platform) => {
      const logs = await open(platform, '/data')
      const log = logs.getOrCreate({ topic: 't', partition: 0 })
      await append(log, 5)
      const path = '/data/t-0/00000000000000000000.log'
      const content = platform.files.readFile(path)
      const file = platform.files.open(path, 'write')
      await file.write([tailOf(content.slice(0, content.length / 5))], content.length)
    })
    await inWorld(world, async (platform) => {
      const logs = await open(platform, '/data')
      const log = logs.log('t', 0)!
      assert.equal(log.logEndOffset, 5, what)
      await append(log, 1)
      assert.equal(log.logEndOffset, 6)
      await logs.close()
    })
  }
})

test('indexes that are missing or cut are made anew, unreadable checkpoints count as empty', async () => {
  const world = new World(3)
  await inWorld(world, async (platform) => {
    const logs = await open(platform, '/data')
    await append(logs.getOrCreate({ topic: 't', partition: 0 }), 200)
    await logs.close()
    const { files } = platform
    const index = files.readFile('/data/t-0/00000000000000000000.index')
    assert.ok(index.length > 0)
    files.remove('/data/t-0/00000000000000000000.index')
    files.open('/data/t-0/00000000000000000000.timeindex', 'write').truncate(5)
    for (const name of [
      'recovery-point-offset-checkpoint',
      'replication-offset-checkpoint',
      't-0/leader-epoch-checkpoint',
      't-0/00000000000000000200.snapshot',
    ])
      await files.open(`/data/${name}`, 'truncate').write([encodeUtf8('nonsense\n')], 0)
  })
  await inWorld(world, async (platform) => {
    const logs = await open(platform, '/data')
    const log = logs.log('t', 0)!
    assert.equal(log.logEndOffset, 200)
    assert.deepEqual(log.epochs.entries, [{ epoch: 1, startOffset: 0 }])
    await logs.close()
    assert.ok(platform.files.readFile('/data/t-0/00000000000000000000.index').length > 0)
  })
})

test('whoever has begun to load is no clean stop any more, also when the power fails then (KAFKA-10471)', async () => {
  for (let seed = 11; seed < 21; seed++) {
    const world = new World(seed)
    await inWorld(world, async (platform) => {
      await (await open(platform, '/data')).close()
    })
    await inWorld(world, async (platform) => {
      await open(platform, '/data')
    })
    world.process('broker').powerFail()
    await inWorld(world, async (platform) => {
      assert.equal(platform.files.exists('/data/.kafka_cleanshutdown'), false, `seed ${seed}`)
      await Promise.resolve()
    })
  }
})

test('a directory belongs to one process', async () => {
  await inWorld(new World(7), async (platform) => {
    const logs = await open(platform, '/data')
    await assert.rejects(open(platform, '/data'), /another process uses the log directory/)
    await logs.close()
    await (await open(platform, '/data')).close()
  })
})

test('a deleted partition’s folder is out of the way at once and gone later; one left behind goes at the next start', async () => {
  const world = new World(4)
  const folders = (platform: Platform): string[] => platform.files.list('/data').filter((name) => name.startsWith('t-'))
  await inWorld(world, async (platform) => {
    const logs = await open(platform, '/data')
    await append(logs.getOrCreate({ topic: 't', partition: 0 }), 3)
    logs.delete('t', 0)
    assert.match(folders(platform)[0]!, /^t-0\.[0-9a-f]{32}-delete$/)
    const fresh = logs.getOrCreate({ topic: 't', partition: 0 })
    assert.equal(fresh.logEndOffset, 0)
    await new Promise((resolve) => platform.clock.setTimer(1000, resolve))
    assert.deepEqual(folders(platform), ['t-0'])
    logs.delete('t', 0)
  })
  await inWorld(world, async (platform) => {
    const logs = await open(platform, '/data')
    await new Promise((resolve) => platform.clock.setTimer(1000, resolve))
    assert.deepEqual(folders(platform), [])
    await logs.close()
  })
})

test('logs go where the fewest are; one directory may fail and the other serves on (KAFKA-4763, KAFKA-16234)', async () => {
  const world = new World(5)
  await inWorld(world, async (platform) => {
    const logs = await open(platform, '/a', '/b')
    const made = [0, 1, 2, 3].map((partition) => logs.getOrCreate({ topic: 't', partition }))
    assert.deepEqual(made.map(({ directory }) => directory.path).sort(), ['/a', '/a', '/b', '/b'])
    const lost: string[] = []
    logs.onDirectoryFailure = (directory, gone) => lost.push(directory.path, ...gone.map(({ name }) => name))
    world.process('broker').diskConditions.inject({ operation: 'write', code: 'ENOSPC', path: '/a/' })
    await append(
      made.find(({ directory }) => directory.path === '/a')!,
      1,
    )
    assert.deepEqual(lost.length, 3)
    const survivor = made.find(({ directory }) => directory.path === '/b')!
    await append(survivor, 1)
    assert.equal(survivor.logEndOffset, 1)
    const offline = made.find(({ directory }) => directory.path === '/a')!
    assert.equal(logs.isOffline('t', offline.partition), true)
    assert.throws(() => logs.getOrCreate(offline), /failed/, 'it is not made anew in the other directory')
    assert.equal(logs.getOrCreate({ topic: 't', partition: 9 }).directory.path, '/b')
    await logs.close()
    assert.equal(platform.files.exists('/b/.kafka_cleanshutdown'), true)
    assert.equal(platform.files.exists('/a/.kafka_cleanshutdown'), false)
  })
})

test('meta.properties keeps what it does not know', async () => {
  await inWorld(new World(6), async (platform) => {
    const { files } = platform
    files.makeDirectory('/data')
    assert.equal(readMetaProperties(files, '/data'), null)
    await writeMetaProperties(files, '/data', { brokerId: 3, clusterId: 'a-b_c' })
    assert.equal(text(platform, '/data/meta.properties'), '#\nversion=0\nbroker.id=3\ncluster.id=a-b_c\n')
    await files
      .open('/data/meta.properties', 'truncate')
      .write([encodeUtf8('#\n#Tue Nov 24\ncluster.id=x\\:y\nversion=0\nbroker.id=4\ndirectory.id=zzz\n')], 0)
    const read = readMetaProperties(files, '/data')!
    assert.deepEqual([read.brokerId, read.clusterId, read.entries.get('directory.id')], [4, 'x:y', 'zzz'])
  })
})

test('while a directory that failed unread is offline only new replicas are made elsewhere (KIP-112)', async () => {
  const world = new World(8)
  await inWorld(world, async (platform) => {
    world.process('broker').diskConditions.inject({ operation: 'open', code: 'EIO', path: '/a/', times: Infinity })
    const logs = await open(platform, '/a', '/b')
    assert.throws(() => logs.getOrCreate({ topic: 't', partition: 0 }, { isNew: false }), /failed/)
    assert.equal(logs.isOffline('t', 0), true)
    assert.equal(logs.getOrCreate({ topic: 't', partition: 1 }, { isNew: true }).directory.path, '/b')
    await logs.close()
  })
})

test('a raised log start is remembered by a process that is killed, and a replica put aside is in nobody’s way', async () => {
  const world = new World(9)
  await inWorld(world, async (platform) => {
    const logs = await open(platform, '/data')
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    await append(log, 5)
    log.raiseHighWatermark(5)
    log.raiseLogStart(3)
    await sleep(platform.clock, 1)
  })
  await inWorld(world, async (platform) => {
    const logs = await open(platform, '/data')
    assert.equal(logs.log('t', 0)!.logStartOffset, 3)
    assert.match(logs.setAside('t', 0)!, /t-0\.[0-9a-f]{32}-stray$/)
    assert.equal(logs.log('t', 0), null)
    assert.equal(logs.getOrCreate({ topic: 't', partition: 0 }).logEndOffset, 0)
    await logs.close()
  })
})
