import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FileError, replaceFile, type Platform } from '#platform'
import { World, type SimulatedProcess } from '#simulation'

type Step = (platform: Platform) => Promise<void>

/** Runs a process on a machine; then what happens to it; then another process on the same machine. */
async function steps(
  world: World,
  first: Step,
  between: (process: SimulatedProcess) => void = () => {},
  second: Step = async () => {},
): Promise<void> {
  const machine = world.process('machine')
  await life(world, machine, first)
  between(machine)
  machine.crash()
  await life(world, machine, second)
}

async function life(world: World, machine: SimulatedProcess, step: Step): Promise<void> {
  let outcome: unknown = null
  const program: Step = async (platform) => {
    await step(platform)
    outcome = 'done'
  }
  machine.start(program, (error) => (outcome = error))
  assert.ok(await world.runUntil(() => outcome !== null, 10_000))
  if (outcome !== 'done') throw outcome as Error
}

const bytes = (value: number, length: number): Uint8Array => new Uint8Array(length).fill(value)

test('a crash keeps what was written, synced or not', async () => {
  await steps(
    new World(1),
    async ({ files }) => {
      files.makeDirectory('d')
      const file = files.open('d/f', 'write')
      await file.write([bytes(1, 5000), bytes(2, 10)], 0)
      await file.write([bytes(3, 10)], 4095)
    },
    (process) => process.crash(),
    async ({ files }) => {
      const content = files.readFile('d/f')
      assert.equal(content.length, 5010)
      assert.deepEqual([content[4094], content[4095], content[4105], content[5001]], [1, 3, 1, 2])
    },
  )
})

test('a power failure keeps what was synced, names too, and may lose the rest', async () => {
  let lost = 0
  let torn = 0
  let kept = 0
  for (let seed = 1; seed <= 60; seed++) {
    await steps(
      new World(seed),
      async ({ files }) => {
        files.makeDirectory('d')
        await files.syncDirectory('/')
        const file = files.open('d/f', 'write')
        await files.syncDirectory('d')
        await file.write([bytes(1, 10_000)], 0)
        await file.sync()
        await file.write([bytes(2, 10_000)], 10_000)
      },
      (process) => process.powerFail(),
      async ({ files }) => {
        const content = files.readFile('d/f')
        assert.ok(
          content.subarray(0, 10_000).every((value) => value === 1),
          'synced bytes are kept',
        )
        assert.ok(content.subarray(10_000).every((value) => value === 2 || value === 0))
        const count = content.reduce((sum, value) => sum + (value === 2 ? 1 : 0), 0)
        if (count === 0) lost += 1
        else if (count === 10_000) kept += 1
        else torn += 1
      },
    )
  }
  assert.ok(lost > 0 && torn > 0 && kept > 0, `${lost} ${torn} ${kept}`)
})

test('names that were not synced may be lost, and a replaced file is old or new', async () => {
  const seen = new Set<string>()
  for (let seed = 1; seed <= 40; seed++) {
    await steps(
      new World(seed),
      async ({ files }) => {
        await replaceFile(files, 'checkpoint', bytes(1, 3))
        files.open('fresh', 'write').close()
        const file = files.open('checkpoint.tmp', 'truncate')
        await file.write([bytes(2, 3)], 0)
        await file.sync()
        files.rename('checkpoint.tmp', 'checkpoint')
      },
      (process) => process.powerFail(),
      async ({ files }) => {
        const content = [...files.readFile('checkpoint')]
        assert.ok(content.every((value) => value === content[0]))
        seen.add(`${content[0]} ${files.exists('fresh')}`)
      },
    )
  }
  assert.deepEqual([...seen].sort(), ['1 false', '1 true', '2 true'])
})

test('a sync covers what was written before it began', async () => {
  const world = new World(3)
  await steps(
    world,
    async ({ files }) => {
      const file = files.open('f', 'write')
      await files.syncDirectory('/')
      await file.write([bytes(1, 100)], 0)
      const syncing = file.sync()
      await file.write([bytes(2, 100)], 0)
      await syncing
    },
    (process) => {
      process.disk.powerFail(world.random.fork('none'))
      process.crash()
    },
    async ({ files }) => {
      const content = files.readFile('f')
      assert.ok(content[0] === 1 || content[0] === 2)
      assert.equal(content.length, 100)
    },
  )
})

test('injected failures carry their code; a full disk takes what fits', async () => {
  const world = new World(4)
  const { diskConditions, disk } = world.process('machine')
  await steps(world, async ({ files }) => {
    const file = files.open('data/../f', 'write')
    diskConditions.inject({ operation: 'write', code: 'EIO', after: 1 })
    diskConditions.inject({ operation: 'sync', code: 'EIO', path: 'f' })
    file.write([bytes(1, 10)], 0)
    assert.throws(
      () => file.write([bytes(1, 10)], 10),
      (error) => error instanceof FileError && error.code === 'EIO',
    )
    await assert.rejects(file.sync(), FileError)
    await file.sync()
    disk.capacityBytes = 15
    assert.throws(
      () => file.write([bytes(2, 10)], 10),
      (error) => error instanceof FileError && error.code === 'ENOSPC',
    )
    assert.equal(file.size(), 15)
    file.truncate(10)
    assert.equal(disk.usedBytes, 10)
  })
})

test('truncation drops bytes for good, also when the file grows again', async () => {
  await steps(new World(5), async ({ files }) => {
    const file = files.open('f', 'write')
    await file.write([bytes(1, 9000)], 0)
    file.truncate(5000)
    await file.write([bytes(2, 10)], 8000)
    const content = files.readFile('f')
    assert.deepEqual([content[4999], content[5000], content[7999], content[8000]], [1, 0, 0, 2])
  })
})

test('a slow disk makes writes promises, in order', async () => {
  const world = new World(6)
  world.process('machine').diskConditions.slowness = 50
  await steps(world, async ({ files }) => {
    const file = files.open('f', 'write')
    const first = file.write([bytes(1, 10)], 0)
    const second = file.write([bytes(2, 5)], 0)
    assert.ok(first instanceof Promise && second instanceof Promise)
    assert.equal(file.size(), 0)
    await file.sync()
    assert.deepEqual([...files.readFile('f')], [...bytes(2, 5), ...bytes(1, 5)])
  })
})

test('a lock has one holder and dies with it', async () => {
  await steps(
    new World(7),
    async ({ files }) => {
      files.lock('.lock')
      assert.throws(
        () => files.lock('.lock'),
        (error) => error instanceof FileError && error.code === 'EWOULDBLOCK',
      )
    },
    (process) => process.crash(),
    async ({ files }) => void files.lock('.lock'),
  )
})

test('of two syncs of a directory the one that ends last does not undo the other', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    await steps(
      new World(seed),
      async ({ files }) => {
        const first = files.syncDirectory('/')
        files.open('f', 'write').close()
        await Promise.all([first, files.syncDirectory('/')])
      },
      (process) => process.powerFail(),
      async ({ files }) => assert.ok(files.exists('f')),
    )
  }
})
