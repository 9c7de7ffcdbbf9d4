import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { File, FileSystem, Platform } from '#platform'
import { RecordBatchBuilder } from '#protocol/records'
import { World } from '#simulation'
import { LogManager, logConfig } from '#storage'

const SEGMENTS = 20
const OPEN_MAX = 3

/** Counts the files of segments that are open. */
function counted(files: FileSystem): { files: FileSystem; open: Set<File> } {
  const open = new Set<File>()
  const proxy = new Proxy(files, {
    get(target, name) {
      if (name !== 'open') return (Reflect.get(target, name) as (...args: unknown[]) => unknown).bind(target)
      return (path: string, mode: 'read' | 'write' | 'truncate'): File => {
        const file = target.open(path, mode)
        if (!path.endsWith('.log')) return file
        open.add(file)
        const close = file.close.bind(file)
        file.close = () => {
          open.delete(file)
          close()
        }
        return file
      }
    },
  })
  return { files: proxy, open }
}

async function run(world: World, program: (platform: Platform) => Promise<void>): Promise<void> {
  let outcome: { error: unknown } | null = null
  world.process('broker').start(
    async (platform) => {
      await program(platform)
      outcome = { error: null }
    },
    (error) => (outcome = { error }),
  )
  await world.runUntil(() => outcome !== null, 600_000, 100)
  const { error } = outcome as unknown as { error: unknown }
  if (error !== null) throw error
  world.process('broker').crash()
}

test('who reads through a long log opens few of its files at a time; so does a recovery', async () => {
  const world = new World(1)
  await run(world, async (platform) => {
    const logs = await LogManager.open({ platform, directories: ['/data'], topicConfig: () => config })
    const log = logs.getOrCreate({ topic: 't', partition: 0 })
    for (let index = 0; index < SEGMENTS; index++) {
      const builder = new RecordBatchBuilder()
      builder.append({ timestamp: index, key: null, value: new Uint8Array(100) })
      assert.equal(log.appendAsLeader(builder.build(), 1, 'client').kind, 'appended')
    }
    await log.flush()
  })
  await run(world, async (platform) => {
    const { files, open } = counted(platform.files)
    let most = 0
    const logs = await LogManager.open({
      platform: { ...platform, clock: platform.clock, random: platform.random, logger: platform.logger, files },
      directories: ['/data'],
      topicConfig: () => config,
      openSegmentsMax: OPEN_MAX,
    })
    const log = logs.log('t', 0)!
    assert.equal(log.segmentBaseOffsets.length, SEGMENTS)
    assert.equal(open.size, 0)
    for (let round = 0; round < 2; round++)
      for (let offset = 0; offset < SEGMENTS; offset++) {
        const { records, hold } = await log.read({ offset, maxBytes: 1000, upTo: SEGMENTS, minOneBatch: true })
        assert.ok(records.length > 0)
        hold?.release()
        assert.equal(log.findTimestamp(BigInt(offset), SEGMENTS)?.offset, offset)
        most = Math.max(most, open.size)
      }
    // With the active segment.
    assert.equal(most, OPEN_MAX + 1)
    await logs.close()
    assert.equal(open.size, 0)
  })
})

const config = logConfig({ segmentBytes: 200 })
