import assert from 'node:assert/strict'
import { test } from 'node:test'

import { encodeUtf8 } from '#base'
import type { Platform } from '#platform'
import { World } from '#simulation'

import { WholeFile } from './whole-files.ts'

test('whoever asks for a sync while one is under way waits for it too', async () => {
  const world = new World(1)
  let outcome: { error: unknown } | null = null
  const program = async ({ files }: Platform): Promise<void> => {
    files.makeDirectory('/data')
    const file = new WholeFile(files, '/data/small')
    await file.write(encodeUtf8('1'))
    const done: string[] = []
    const first = file.sync().then(() => done.push('first'))
    const second = file.sync().then(() => done.push('second'))
    await second
    await first
    assert.deepEqual(done, ['first', 'second'])

    const old = file.sync()
    await file.write(encodeUtf8('2'))
    let isFresh = false
    const fresh = file.sync().then(() => (isFresh = true))
    await file.sync()
    assert.equal(isFresh, true, 'the last one covers the last write')
    await Promise.all([old, fresh])
  }
  world.process('p').start(
    async (platform) => {
      await program(platform)
      outcome = { error: null }
    },
    (error) => (outcome = { error }),
  )
  await world.runUntil(() => outcome !== null, 60_000, 100)
  assert.equal((outcome as unknown as { error: unknown }).error, null)
})
