/** Files in memory against those of the machine: the same calls, the same answers. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { FileError, joinPath, makeDirectoryDurably, replaceFile, type File, type FileSystem } from '#platform'
import { memoryFiles } from '#platform/memory'
import { nodePlatform } from '#platform/node'
import { SimulatedRandom } from '#simulation'

const clock = { now: () => 1000 }

interface Disk {
  readonly files: FileSystem
  readonly root: string
}

/** What a call answers: its value, or the code that it fails with. */
async function answerOf(run: () => unknown): Promise<unknown> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof FileError) return error.code
    throw error
  }
}

function read(file: File, position: number, length: number): number[] {
  const into = new Uint8Array(length).fill(7)
  const count = file.read(into, position)
  return [count, ...into]
}

const NAMES = ['a', 'b', 'd/a', 'd/e/b', 'd', 'd/e', 'none/x']
const KINDS = [
  'write',
  'cut',
  'read',
  'rename',
  'remove',
  'removeTree',
  'mkdir',
  'list',
  'stat',
  'readFile',
  'truncate',
]

/** One random call, the same for both. */
function randomCall(random: SimulatedRandom): { what: string; call: (disk: Disk) => unknown } {
  const name = random.pick(NAMES)
  const other = random.pick(NAMES)
  const position = random.pick([0, 1, 4090, 4096, 9000, 70_000])
  const bytes = new Uint8Array(random.pick([0, 1, 10, 4096, 5000])).fill(random.below(256))
  const kind = random.pick(KINDS)
  const within = (
    files: FileSystem,
    path: string,
    mode: 'read' | 'write' | 'truncate',
    use: (file: File) => unknown,
  ) => {
    const file = files.open(path, mode)
    try {
      return use(file)
    } finally {
      file.close()
    }
  }
  const call = ({ files, root }: Disk): unknown => {
    const path = joinPath(root, name)
    switch (kind) {
      case 'write':
        return within(files, path, 'write', (file) => file.write([bytes, bytes.subarray(0, 3)], position))
      case 'cut':
        return within(files, path, 'write', (file) => file.truncate(position))
      case 'truncate':
        return within(files, path, 'truncate', (file) => file.size())
      case 'read':
        return within(files, path, 'read', (file) => [file.size(), read(file, position, 20)])
      case 'rename':
        return files.rename(path, joinPath(root, other))
      case 'remove':
        return files.remove(path)
      case 'removeTree':
        return files.removeTree(path)
      case 'mkdir':
        return files.makeDirectory(path)
      case 'list':
        return files.list(path)
      case 'stat': {
        const { kind: what, size } = files.stat(path)
        return [what, what === 'file' ? size : 0, files.exists(path)]
      }
      default:
        return [...files.readFile(path)]
    }
  }
  return { what: `${kind} ${name} ${other} ${position}`, call }
}

/** Everything below a directory. */
function contents(files: FileSystem, path: string): unknown {
  if (files.stat(path).kind === 'file') return [...files.readFile(path)]
  return files.list(path).map((name) => [name, contents(files, joinPath(path, name))])
}

test('random calls have the outcome that they have on a disk', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'samsa-memory-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const seed of [1, 2, 3, 4]) {
    const random = new SimulatedRandom(`memory ${seed}`)
    const disks: Disk[] = [
      { files: memoryFiles(clock), root: '/root' },
      { files: nodePlatform().files, root: join(folder, String(seed)) },
    ]
    for (const { files, root } of disks) files.makeDirectory(root)
    for (let step = 0; step < 300; step++) {
      const { what, call } = randomCall(random)
      const [ours, theirs] = [await answerOf(() => call(disks[0]!)), await answerOf(() => call(disks[1]!))]
      // Where two faults meet, systems name either.
      const bothFail = typeof ours === 'string' && typeof theirs === 'string'
      if (!bothFail) assert.deepEqual(ours, theirs, `seed ${seed}, step ${step}: ${what}`)
    }
    assert.deepEqual(contents(disks[0]!.files, '/root'), contents(disks[1]!.files, disks[1]!.root))
  }
})

test('what is behind a cut is zero when the file grows again', () => {
  const file = memoryFiles(clock).open('f', 'write')
  file.write([new Uint8Array(10_000).fill(1)], 0)
  file.truncate(5)
  file.truncate(9000)
  assert.deepEqual(read(file, 3, 4), [4, 1, 1, 0, 0])
  assert.deepEqual(read(file, 8999, 4), [1, 0, 7, 7, 7])
})

test('a file survives its handles, its new name and its removal while it is open', () => {
  const files = memoryFiles(clock)
  const file = files.open('f', 'write')
  file.write([Uint8Array.of(1)], 0)
  files.rename('f', 'g')
  file.write([Uint8Array.of(2)], 1)
  assert.deepEqual([...files.readFile('g')], [1, 2])
  files.remove('g')
  assert.equal(files.exists('g'), false)
  assert.equal(file.size(), 2)
  file.close()
  assert.throws(() => file.size(), { code: 'EBADF' })
})

test('the helpers of the platform work on it, and a lock is held once', async () => {
  const files = memoryFiles(clock)
  makeDirectoryDurably(files, 'x/y')
  await replaceFile(files, 'x/y/f', Uint8Array.of(1, 2))
  await replaceFile(files, 'x/y/f', Uint8Array.of(3))
  assert.deepEqual(contents(files, 'x'), [['y', [['f', [3]]]]])
  assert.deepEqual(files.stat('x/y/f'), { kind: 'file', size: 1, modifiedMs: 1000 })
  const lock = files.lock('x/.lock')
  assert.throws(() => files.lock('x/.lock'), { code: 'EWOULDBLOCK' })
  lock.release()
  files.lock('x/.lock').release()
})
