/** Data that gives way to a leader's: logs that are cut, trees that are replaced, and what a learner is sent. In a simulated world. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { joinPath, type Platform } from '#platform'
import { World, type SimulatedProcess } from '#simulation'
import { LoggedTxn, OpCode } from '#zookeeper/protocol'
import { ZnodeTree } from '#zookeeper/tree'

import { CommittedLog } from './committed-log.ts'
import { logAfter } from './log-range.ts'
import { fileName } from './names.ts'
import { recover } from './recovery.ts'
import { replaceData } from './replacement.ts'
import { writeSnapshot } from './snapshot.ts'
import { receiveSnapshot, sendSnapshot, type ByteSource } from './snapshot-stream.ts'
import { truncateData } from './truncation.ts'
import { TxnLog } from './txn-log.ts'

const FOLDERS = { snapshots: '/data/version-2', logs: '/logs/version-2' }
const RECOVERY = { extendedTypes: false, trustEmptySnapshot: false }
const LOG = { preAllocBytes: 1 << 16, fileBytesMax: 0, forceSync: true, syncWarningMs: 1000 }
const OPEN = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]
const SECOND_EPOCH = 1n << 32n

/** Creates /name. */
function creation(zxid: bigint, name: string, parentCVersion: number): LoggedTxn {
  return {
    header: { clientId: 1n, cxid: 0, zxid, time: 1, type: OpCode.create },
    txn: {
      type: OpCode.create,
      path: `/${name}`,
      data: new Uint8Array(100),
      acl: OPEN,
      ephemeral: false,
      parentCVersion,
    },
    digest: null,
  }
}

/** A tree in which each of these transactions has created a node of its own. */
function treeOf(zxids: readonly bigint[], prefix = ''): ZnodeTree {
  const tree = ZnodeTree.fresh(RECOVERY)
  for (const [index, zxid] of zxids.entries()) tree.apply(creation(zxid, `${prefix}${zxid}`, index + 1))
  return tree
}

function range(from: number, to: number, epoch = 0n): bigint[] {
  return Array.from({ length: to - from + 1 }, (_, index) => epoch + BigInt(from + index))
}

class Machine {
  readonly world: World
  readonly process: SimulatedProcess

  constructor(seed: number) {
    this.world = new World(seed)
    this.process = this.world.process('zookeeper')
  }

  async run<T>(program: (platform: Platform) => Promise<T>): Promise<T> {
    let outcome: { value: T } | { error: unknown } | null = null
    this.process.start(async (platform) => {
      try {
        outcome = { value: await program(platform) }
      } catch (error) {
        outcome = { error }
      }
    })
    assert.ok(await this.world.runUntil(() => outcome !== null, 60_000), 'the step does not end')
    this.process.crash()
    const ended = outcome as unknown as { value: T } | { error: unknown }
    if ('error' in ended) throw ended.error
    return ended.value
  }

  /** Begins it, and lets the power fail after so many ms. */
  async interrupt(program: (platform: Platform) => Promise<unknown>, afterMs: number): Promise<void> {
    this.process.start(async (platform) => void (await program(platform)))
    await this.world.run(afterMs)
    this.process.powerFail()
  }

  recover(): Promise<ZnodeTree> {
    return this.run(async (platform) => (await recover(platform, FOLDERS, RECOVERY)).tree)
  }

  /** A directory with these logs, each list a file of its own. */
  async write(logs: readonly bigint[][], prefix = ''): Promise<void> {
    await this.recover()
    await this.run(async (platform) => {
      let count = 0
      for (const zxids of logs) {
        const log = new TxnLog(platform, FOLDERS.logs, LOG, { onSynced() {}, onFailure: assert.fail })
        for (const zxid of zxids) log.append(zxid, LoggedTxn.encode(creation(zxid, `${prefix}${zxid}`, ++count)))
        await log.close()
      }
    })
  }

  snapshot(tree: ZnodeTree): Promise<unknown> {
    return this.run((platform) => writeSnapshot(platform, FOLDERS.snapshots, tree.freeze()))
  }

  files(): Promise<string[]> {
    return this.run(async ({ files }) => [...files.list(FOLDERS.snapshots), ...files.list(FOLDERS.logs)])
  }
}

/** Gives the bytes in pieces of any size. */
function sourceOf(bytes: Uint8Array): ByteSource {
  let at = 0
  return {
    take(length) {
      if (at + length > bytes.length) return Promise.reject(new Error('the stream has ended'))
      at += length
      const taken = bytes.slice(at - length, at)
      return at % 3 === 0 ? Promise.resolve(taken) : taken
    },
  }
}

const THREE_FILES = [range(1, 10), range(11, 20), range(21, 30)]

for (const [zxid, logs] of [
  [30n, ['log.1', 'log.b', 'log.15']],
  [25n, ['log.1', 'log.b', 'log.15']],
  [21n, ['log.1', 'log.b', 'log.15']],
  [20n, ['log.1', 'log.b']],
  [11n, ['log.1', 'log.b']],
  [10n, ['log.1']],
  [1n, ['log.1']],
  [0n, []],
] as const)
  test(`the log is cut after transaction ${zxid}, and what comes then goes on there`, async () => {
    const machine = new Machine(1)
    await machine.write(THREE_FILES)
    await machine.run((platform) => truncateData(platform, FOLDERS, zxid))
    assert.deepEqual(
      (await machine.files()).filter((name) => name.startsWith('log')),
      [...logs].sort(),
    )
    machine.process.powerFail()
    const tree = await machine.recover()
    const left = treeOf(range(1, Number(zxid)))
    assert.deepEqual([tree.lastZxid, tree.digest], [zxid, left.digest])
    await machine.run(async (platform) => {
      const log = new TxnLog(platform, FOLDERS.logs, LOG, { onSynced() {}, onFailure: assert.fail })
      log.append(zxid + 1n, LoggedTxn.encode(creation(zxid + 1n, 'new', Number(zxid) + 1)))
      await log.close()
    })
    const goesOn = await machine.recover()
    assert.deepEqual([goesOn.lastZxid, goesOn.find('/new') !== undefined], [zxid + 1n, true])
  })

test('a snapshot that holds what is taken back goes, too', async () => {
  const machine = new Machine(2)
  await machine.write(THREE_FILES)
  await machine.snapshot(treeOf(range(1, 9)))
  await machine.snapshot(treeOf(range(1, 22)))
  await machine.run((platform) => truncateData(platform, FOLDERS, 15n))
  assert.deepEqual(await machine.files(), ['snapshot.0', 'snapshot.9', 'log.1', 'log.b'])
  assert.equal((await machine.recover()).lastZxid, 15n)
})

test('so does one of Apache’s that begins before the cut and ends after it', async () => {
  const machine = new Machine(10)
  await machine.write(THREE_FILES)
  await machine.snapshot(treeOf(range(1, 9)))
  await machine.run(async (platform) => {
    const { path } = await writeSnapshot(platform, FOLDERS.snapshots, treeOf(range(1, 18)).freeze())
    platform.files.rename(path, joinPath(FOLDERS.snapshots, 'snapshot.c'))
    await platform.files.syncDirectory(FOLDERS.snapshots)
  })
  await machine.run((platform) => truncateData(platform, FOLDERS, 15n))
  assert.deepEqual(await machine.files(), ['snapshot.0', 'snapshot.9', 'log.1', 'log.b'])
  assert.equal((await machine.recover()).digest, treeOf(range(1, 15)).digest)
})

test('nothing is cut where the transaction is not there, or in every snapshot', async () => {
  const machine = new Machine(3)
  await machine.write([range(1, 10), range(1, 5, SECOND_EPOCH)])
  const before = await machine.files()
  for (const zxid of [SECOND_EPOCH + 9n, 11n])
    await assert.rejects(
      machine.run((platform) => truncateData(platform, FOLDERS, zxid)),
      { name: 'TruncationError', message: /is not in/ },
    )
  await machine.snapshot(treeOf(range(1, 8)))
  await machine.run(async ({ files }) => files.remove(joinPath(FOLDERS.snapshots, 'snapshot.0')))
  await assert.rejects(
    machine.run((platform) => truncateData(platform, FOLDERS, 5n)),
    { name: 'TruncationError', message: /every snapshot/ },
  )
  assert.deepEqual(
    (await machine.files()).filter((name) => name.startsWith('log')),
    before.filter((name) => name.startsWith('log')),
  )
  assert.equal((await machine.recover()).lastZxid, SECOND_EPOCH + 5n)
})

test('the beginning of an epoch, which is no transaction, takes all of the epoch back', async () => {
  const machine = new Machine(4)
  await machine.write([range(1, 10), range(1, 5, SECOND_EPOCH)])
  await machine.run((platform) => truncateData(platform, FOLDERS, SECOND_EPOCH))
  assert.equal((await machine.recover()).lastZxid, 10n)
})

test('whenever the power fails during a cut, a prefix is there', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const machine = new Machine(seed)
    await machine.write(THREE_FILES)
    await machine.interrupt((platform) => truncateData(platform, FOLDERS, 5n), seed / 4)
    const { lastZxid, digest } = await machine.recover()
    assert.ok(lastZxid >= 5n, `seed ${seed}`)
    assert.equal(digest, treeOf(range(1, Number(lastZxid))).digest, `seed ${seed}`)
  }
})

test('a leader’s snapshot replaces everything, and nothing of before comes back', async () => {
  const machine = new Machine(5)
  await machine.write(THREE_FILES, 'mine-')
  const zxid = SECOND_EPOCH + 7n
  await machine.run((platform) => replaceData(platform, FOLDERS, treeOf([...range(1, 3), zxid])))
  assert.deepEqual(await machine.files(), [fileName('snapshot', zxid)])
  assert.equal((await machine.recover()).digest, treeOf([...range(1, 3), zxid]).digest)
})

test('whenever the power fails during a replacement, the old data or the new is there, and never both', async () => {
  const outcomes = new Set<string>()
  for (let seed = 1; seed <= 60; seed++) {
    const machine = new Machine(seed)
    await machine.write(THREE_FILES, 'mine-')
    // Mine go to 30, the leader's to 15: what is beyond must not be replayed on top of its tree.
    const theirs = treeOf(range(1, 15), 'theirs-')
    await machine.interrupt((platform) => replaceData(platform, FOLDERS, theirs), seed / 6)
    const { lastZxid, digest } = await machine.recover()
    const mine = treeOf(range(1, Number(lastZxid)), 'mine-')
    assert.ok([theirs.digest, mine.digest].includes(digest), `seed ${seed}: ${lastZxid} is neither`)
    assert.ok(lastZxid >= 15n, `seed ${seed}`)
    outcomes.add(digest === theirs.digest ? 'theirs' : 'mine')
    const files = await machine.files()
    assert.ok(!files.some((name) => name.startsWith('replacing')), `seed ${seed}`)
    if (digest === theirs.digest) assert.deepEqual(files, ['snapshot.f'], `seed ${seed}`)
  }
  assert.deepEqual([...outcomes].sort(), ['mine', 'theirs'])
})

test('a full disk during a replacement leaves the old data', async () => {
  const machine = new Machine(6)
  await machine.write(THREE_FILES, 'mine-')
  machine.process.diskConditions.inject({ operation: 'write', code: 'ENOSPC', times: 1, after: 0 })
  await assert.rejects(
    machine.run((platform) => replaceData(platform, FOLDERS, treeOf(range(1, 40), 'theirs-'))),
    { name: 'FileError', code: 'ENOSPC' },
  )
  assert.equal((await machine.recover()).digest, treeOf(range(1, 30), 'mine-').digest)
})

test('a log that lacks transactions of an epoch stops the server', async () => {
  const machine = new Machine(7)
  await machine.write([range(1, 10), range(12, 20)])
  await assert.rejects(machine.recover(), { name: 'RecoveryError', message: /0xc after 0xa: those in between/ })
})

test('a snapshot on its way to a learner stays what it was, and is the same there', async () => {
  const tree = treeOf(range(1, 50))
  tree.apply({
    header: { clientId: -7n, cxid: 0, zxid: 51n, time: 1, type: OpCode.createSession },
    txn: { type: OpCode.createSession, timeOut: 4000 },
    digest: null,
  })
  tree.setConfig(new TextEncoder().encode('server.1=a:1:2:participant\nversion=0'), 5)
  const { digest } = tree
  const frozen = tree.freeze()
  const pieces: Uint8Array[] = []
  let next = 52n
  await sendSnapshot(
    frozen,
    (bytes) => {
      pieces.push(bytes.slice())
      tree.apply(creation(next, `later-${next}`, Number(next++)))
    },
    (run) => run(),
  )
  const received = await receiveSnapshot(sourceOf(Buffer.concat(pieces)), 51n, RECOVERY, (run) => run())
  assert.deepEqual([received.lastZxid, received.digest, received.nodeCount], [51n, digest, 55])
  assert.deepEqual([...received.sessions], [[-7n, 4000]])
  assert.deepEqual(
    Buffer.from(received.find('/zookeeper/config')!.data!).toString(),
    'server.1=a:1:2:participant\nversion=0',
  )
  await assert.rejects(
    receiveSnapshot(sourceOf(Buffer.concat(pieces).subarray(0, -1)), 51n, RECOVERY, (run) => run()),
    /stream has ended/,
  )
  const huge = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff)
  await assert.rejects(
    receiveSnapshot(sourceOf(huge), 51n, RECOVERY, (run) => run()),
    { name: 'MalformedBytesError' },
  )
})

test('the log on disk is read from a transaction on, where it has that and all after it', async () => {
  const machine = new Machine(8)
  await machine
    .write([range(5, 10), range(11, 20), range(1, 3, SECOND_EPOCH), range(6, 8, SECOND_EPOCH)])
    .catch(() => {})
  const read = (zxid: bigint, last: bigint, bytesMax = 1 << 20): Promise<bigint[] | null> =>
    machine.run(async ({ files }) => {
      const entries = logAfter(files, FOLDERS.logs, zxid, last, bytesMax)
      return entries === null ? null : Array.from(entries, (entry) => entry.zxid)
    })
  assert.deepEqual(await read(8n, 13n), [9n, 10n, 11n, 12n, 13n])
  assert.deepEqual(await read(18n, SECOND_EPOCH + 2n), [19n, 20n, SECOND_EPOCH + 1n, SECOND_EPOCH + 2n])
  assert.deepEqual(await read(20n, 20n), [])
  assert.deepEqual(await read(SECOND_EPOCH + 7n, SECOND_EPOCH + 9n), [SECOND_EPOCH + 8n], 'as far as it goes')
  // Not there, before the first, a hole, too much.
  assert.equal(await read(21n, SECOND_EPOCH + 2n), null)
  assert.equal(await read(4n, 13n), null)
  assert.equal(await read(18n, SECOND_EPOCH + 7n), null)
  assert.equal(await read(5n, 20n, 500), null)
})

test('the committed log is bounded and has no hole', () => {
  const log = new CommittedLog(3, 1000)
  const zxids = (): bigint[] => Array.from(log, ({ zxid }) => zxid)
  assert.deepEqual([log.size, log.min, log.max], [0, 0n, 0n])
  for (const zxid of range(1, 5)) log.add(zxid, new Uint8Array(10))
  assert.deepEqual([zxids(), log.min, log.max], [[3n, 4n, 5n], 3n, 5n])
  log.add(6n, new Uint8Array(985))
  assert.deepEqual(zxids(), [5n, 6n])
  log.add(7n, new Uint8Array(2000))
  assert.deepEqual(zxids(), [7n])
  log.add(SECOND_EPOCH + 1n, new Uint8Array(1))
  log.add(SECOND_EPOCH + 3n, new Uint8Array(1))
  assert.deepEqual(zxids(), [SECOND_EPOCH + 3n], 'what was before a hole')
  log.clear()
  assert.equal(log.size, 0)
})
