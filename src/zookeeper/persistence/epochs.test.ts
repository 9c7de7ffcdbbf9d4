/** The promises about epochs, on a disk that forgets what was not synced. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { encodeUtf8 } from '#base'
import { replaceFile, type FileSystem, type Platform } from '#platform'
import { World, type SimulatedProcess } from '#simulation'

import { EpochFiles, readMyId } from './epochs.ts'

const FOLDER = '/data/version-2'

/** Runs it as a process of this machine, to its end or the machine's. */
async function run<T>(machine: SimulatedProcess, program: (platform: Platform) => Promise<T>): Promise<T> {
  let result: Promise<T> | null = null
  machine.start(async (platform) => {
    if (!platform.files.exists(FOLDER)) {
      platform.files.makeDirectory(FOLDER)
      await platform.files.syncDirectory('/data')
      await platform.files.syncDirectory('/')
    }
    result = program(platform)
    await result.catch(() => {})
  })
  await machine.world.run(1000)
  machine.crash()
  return result!
}

/** Opens a folder with these files; `2 3`: accepted 3, current 2. */
function opened(contents: Readonly<Record<string, string>>, lastZxid: bigint): Promise<string> {
  return run(new World(1).process('zoo1'), async ({ files }) => {
    for (const [name, text] of Object.entries(contents)) await replaceFile(files, `${FOLDER}/${name}`, encodeUtf8(text))
    const epochs = await EpochFiles.open(files, FOLDER, lastZxid)
    const again = await EpochFiles.open(files, FOLDER, lastZxid)
    assert.deepEqual([again.current, again.accepted], [epochs.current, epochs.accepted], 'it is on the disk')
    return `${epochs.current} ${epochs.accepted}`
  })
}

test('what the files say, and what follows from the log where they are missing', async () => {
  const rows: [string, Record<string, string>, bigint, string][] = [
    ['a new server', {}, 0n, '0 0'],
    ['a server that was alone before', {}, 0x3_0000_0007n, '3 3'],
    ['between two elections', { currentEpoch: '2', acceptedEpoch: '3' }, 0x2_0000_0007n, '2 3'],
    ['a line end behind it', { currentEpoch: '2\n', acceptedEpoch: '2\r\n' }, 0x1_0000_0007n, '2 2'],
    [
      'a crash before the renaming',
      { currentEpoch: '2', 'currentEpoch.tmp': '4', acceptedEpoch: '4' },
      0x4_0000_0001n,
      '4 4',
    ],
    ['a crash before the file aside', { currentEpoch: '2', acceptedEpoch: '4' }, 0x4_0000_0001n, '4 4'],
    ['a torn file aside', { currentEpoch: '2', 'currentEpoch.tmp': '', acceptedEpoch: '4' }, 0x4_0000_0001n, '4 4'],
    ['an old file aside', { currentEpoch: '4', 'currentEpoch.tmp': '9', acceptedEpoch: '9' }, 0x4_0000_0001n, '4 9'],
  ]
  for (const [what, contents, lastZxid, expected] of rows)
    assert.equal(await opened(contents, lastZxid), expected, what)
})

test('files that cannot be believed are refused (ZOOKEEPER-2307)', async () => {
  const rows: [Record<string, string>, bigint, RegExp][] = [
    [{ currentEpoch: '4', acceptedEpoch: '3' }, 0x3_0000_0001n, /acceptedEpoch \(3\) is less than currentEpoch \(4\)/],
    [{ currentEpoch: '4' }, 0x3_0000_0001n, /acceptedEpoch \(3\) is less than currentEpoch \(4\)/],
    [{ currentEpoch: '2', acceptedEpoch: '3' }, 0x5_0000_0001n, /the log is of epoch 5, and currentEpoch says 2/],
    [{ currentEpoch: '', acceptedEpoch: '3' }, 0n, /currentEpoch has ""/],
    [{ currentEpoch: '1', acceptedEpoch: '-1' }, 0n, /acceptedEpoch has "-1"/],
    [{ currentEpoch: '1', acceptedEpoch: '99999999999' }, 0n, /acceptedEpoch has "99999999999"/],
  ]
  for (const [contents, lastZxid, message] of rows)
    await assert.rejects(opened(contents, lastZxid), { name: 'RecoveryError', message })
})

test('an epoch that was accepted or entered outlives the loss of power, and at no moment is current ahead of accepted', async () => {
  for (let seed = 1; seed <= 200; seed++) {
    const world = new World(seed)
    const machine = world.process('zoo1')
    const promised = { accepted: 0, current: 0 }
    machine.start(async ({ files }) => {
      files.makeDirectory(FOLDER)
      await files.syncDirectory('/data')
      await files.syncDirectory('/')
      const epochs = await EpochFiles.open(files, FOLDER, 0n)
      for (let epoch = 1; ; epoch++) {
        await epochs.accept(epoch)
        promised.accepted = epoch
        await epochs.enter(epoch)
        promised.current = epoch
      }
    })
    await world.run(world.random.between(1, 60))
    machine.powerFail()
    await run(machine, async ({ files }) => {
      const epochs = await EpochFiles.open(files, FOLDER, BigInt(promised.current) << 32n)
      assert.ok(epochs.accepted >= promised.accepted && epochs.accepted <= promised.accepted + 1, `seed ${seed}`)
      assert.ok(epochs.current >= promised.current && epochs.current <= epochs.accepted, `seed ${seed}`)
    })
  }
})

test('the own number', async () => {
  const idOf = (text: string | null): Promise<number | null> =>
    run(new World(1).process('zoo1'), async ({ files }: { files: FileSystem }) => {
      if (text !== null) await replaceFile(files, '/data/myid', encodeUtf8(text))
      return readMyId(files, '/data')
    })
  assert.equal(await idOf('3\n'), 3)
  assert.equal(await idOf(' 12 '), 12)
  assert.equal(await idOf(null), null)
  for (const text of ['', 'zoo1', '-1', '1.5']) await assert.rejects(idOf(text), /myid has/)
})
