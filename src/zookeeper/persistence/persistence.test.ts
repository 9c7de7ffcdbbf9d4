/** The files in a simulated world: what was acknowledged is there after a power failure, and nothing is promised after a fault. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { joinPath, type FileSystem, type Platform } from '#platform'
import { World, type SimulatedProcess } from '#simulation'
import { LoggedTxn, OpCode } from '#zookeeper/protocol'
import { ZnodeTree } from '#zookeeper/tree'

import { fileName, listDated } from './names.ts'
import { purge } from './purge.ts'
import { recover, type Recovered } from './recovery.ts'
import { writeSnapshot } from './snapshot.ts'
import { TxnLog } from './txn-log.ts'

const FOLDERS = { snapshots: '/data/version-2', logs: '/data/version-2' }
const RECOVERY = { extendedTypes: false, trustEmptySnapshot: false }
const LOG = { preAllocBytes: 1 << 16, fileBytesMax: 0, forceSync: true, syncWarningMs: 1000 }
const OPEN = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]

/** The n-th transaction creates /n. */
function transaction(index: number): LoggedTxn {
  return {
    header: { clientId: 1n, cxid: index, zxid: BigInt(index), time: index, type: OpCode.create },
    txn: {
      type: OpCode.create,
      path: `/${index}`,
      data: new Uint8Array(index),
      acl: OPEN,
      ephemeral: false,
      parentCVersion: index,
    },
    digest: null,
  }
}

/** A machine on which one step after the other runs, each in a process of its own. */
class Machine {
  readonly world: World
  readonly process: SimulatedProcess

  constructor(seed: number) {
    this.world = new World(seed)
    this.process = this.world.process('zookeeper')
  }

  /** Runs it in a process that lives until the end of it. */
  async run<T>(program: (platform: Platform) => Promise<T>): Promise<T> {
    let outcome: { value: T } | { error: unknown } | null = null
    const record = async (platform: Platform): Promise<void> => {
      try {
        outcome = { value: await program(platform) }
      } catch (error) {
        outcome = { error }
      }
    }
    this.process.start(record)
    assert.ok(await this.world.runUntil(() => outcome !== null, 60_000), 'the step does not end')
    this.process.crash()
    const ended = outcome as unknown as { value: T } | { error: unknown }
    if ('error' in ended) throw ended.error
    return ended.value
  }

  recover(): Promise<Recovered> {
    return this.run((platform) => recover(platform, FOLDERS, RECOVERY))
  }

  /** Changes the bytes of a file, durably. */
  edit(path: string, change: (bytes: Uint8Array) => Uint8Array): Promise<void> {
    return this.run(async ({ files }) => {
      const changed = change(files.readFile(path))
      const file = files.open(path, 'truncate')
      await file.write([changed], 0)
      file.syncNow()
      file.close()
    })
  }

  /** A fresh directory with logs of these transactions, each list a file of its own. */
  async write(...logs: number[][]): Promise<void> {
    await this.recover()
    await this.run(async (platform) => {
      for (const indexes of logs) {
        const log = new TxnLog(platform, FOLDERS.logs, LOG, { onSynced() {}, onFailure: assert.fail })
        for (const index of indexes) log.append(BigInt(index), LoggedTxn.encode(transaction(index)))
        await log.close()
      }
    })
  }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

const logPath = (first: number): string => joinPath(FOLDERS.logs, fileName('log', BigInt(first)))

test('many transactions share one sync, and come back in their order', async () => {
  const machine = new Machine(1)
  await machine.recover()
  const { synced, groups } = await machine.run(async (platform) => {
    const synced: bigint[] = []
    const groups: number[] = []
    const log = new TxnLog(platform, FOLDERS.logs, LOG, {
      onSynced: (zxid) => void synced.push(zxid),
      onFailure: assert.fail,
      onGroup: (transactions) => void groups.push(transactions),
    })
    for (const index of range(1, 100)) log.append(BigInt(index), LoggedTxn.encode(transaction(index)))
    await log.close()
    return { synced, groups }
  })
  assert.deepEqual([synced, groups], [[100n], [100]])
  const { tree, replayed } = await machine.recover()
  assert.deepEqual([tree.lastZxid, replayed, tree.find('/')!.children!.size], [100n, 100, 101])
})

test('whenever the power fails, everything acknowledged is there, and what is there is a prefix', async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const machine = new Machine(seed)
    await machine.recover()
    let acknowledged = 0n
    machine.process.start(async (platform) => {
      const onSynced = (zxid: bigint): void => void (acknowledged = zxid)
      const log = new TxnLog(
        platform,
        FOLDERS.logs,
        { ...LOG, fileBytesMax: 4000 },
        { onSynced, onFailure: assert.fail },
      )
      for (let index = 1; ; index++) {
        log.append(BigInt(index), LoggedTxn.encode(transaction(index)))
        if (index % 3 === 0) await new Promise<void>((resolve) => platform.clock.setTimer(0.3, () => resolve()))
      }
    })
    await machine.world.run(20 + seed * 3)
    assert.ok(acknowledged > 0n, `seed ${seed}: nothing was acknowledged`)
    machine.process.powerFail()
    const { tree } = await machine.recover()
    assert.ok(
      tree.lastZxid >= acknowledged,
      `seed ${seed}: ${acknowledged} was acknowledged, ${tree.lastZxid} is there`,
    )
    for (let zxid = 1n; zxid <= tree.lastZxid; zxid++)
      assert.ok(tree.find(`/${zxid}`), `seed ${seed}: /${zxid} is missing`)
    // What recovery showed must not be lost by the next failure.
    machine.process.powerFail()
    assert.equal((await machine.recover()).tree.lastZxid, tree.lastZxid, `seed ${seed}`)
  }
})

for (const operation of ['write', 'sync', 'open', 'syncDirectory'] as const)
  test(`after a failed ${operation} nothing is acknowledged any more`, async () => {
    const machine = new Machine(2)
    await machine.recover()
    machine.process.diskConditions.inject({
      operation,
      code: 'EIO',
      times: 1,
      after: operation === 'open' || operation === 'syncDirectory' ? 0 : 3,
    })
    const told = await machine.run(async (platform) => {
      const events: string[] = []
      const log = new TxnLog(platform, FOLDERS.logs, LOG, {
        onSynced: (zxid) => void events.push(`synced ${zxid}`),
        onFailure: (error) => void events.push(`failed ${(error as Error).name}`),
      })
      for (const index of range(1, 20)) {
        log.append(BigInt(index), LoggedTxn.encode(transaction(index)))
        await new Promise<void>((resolve) => platform.clock.setTimer(5, () => resolve()))
      }
      await log.close()
      return events
    })
    assert.equal(told.at(-1), 'failed FileError')
    assert.equal(told.filter((event) => event.startsWith('failed')).length, 1)
    assert.ok(told.length < 5, 'it goes on after the failure')
  })

test('a torn end of the newest log is cut, however much of it is there', async () => {
  for (const cut of [1, 5, 13, 40, 200]) {
    const machine = new Machine(3)
    await machine.write(range(1, 10))
    let end = 0
    await machine.edit(logPath(1), (bytes) => {
      end = bytes.findLastIndex((byte) => byte !== 0) + 1
      return bytes.subarray(0, end - cut)
    })
    const { tree } = await machine.recover()
    assert.ok(tree.lastZxid < 10n && tree.lastZxid > 5n, `cut by ${cut}: ${tree.lastZxid}`)
    assert.equal((await machine.recover()).tree.lastZxid, tree.lastZxid)
  }
})

test('a byte that flipped in the newest log ends it there', async () => {
  const machine = new Machine(4)
  await machine.write(range(1, 10))
  await machine.edit(logPath(1), (bytes) => {
    bytes[400]! ^= 1
    return bytes
  })
  const { tree } = await machine.recover()
  assert.ok(tree.lastZxid < 10n)
})

test('a newest log without a header has no transactions, one with another header stops the server', async () => {
  for (const [length, fill] of [
    [0, 0],
    [7, 0x5a],
    [500, 0],
  ] as const) {
    const newborn = new Machine(20)
    await newborn.write(range(1, 10), [11])
    await newborn.edit(logPath(11), () => new Uint8Array(length).fill(fill))
    assert.equal((await newborn.recover()).tree.lastZxid, 10n, `${length} bytes`)
  }
  const damaged = new Machine(21)
  await damaged.write(range(1, 10))
  await damaged.edit(logPath(1), (bytes) => {
    bytes[1]! ^= 1
    return bytes
  })
  await assert.rejects(damaged.recover(), { name: 'RecoveryError', message: /log\.1 is damaged: its header/ })
})

test('damage in an older log stops the server, unless the next one goes on exactly there', async () => {
  const damaged = new Machine(5)
  await damaged.write(range(1, 10), range(11, 20))
  await damaged.edit(logPath(1), (bytes) => bytes.subarray(0, 500))
  await assert.rejects(damaged.recover(), {
    name: 'RecoveryError',
    message: /log\.1 is damaged at byte \d+.*log\.b does not go on there/,
  })

  const torn = new Machine(6)
  await torn.write(range(1, 10))
  await torn.edit(logPath(1), (bytes) =>
    bytes.subarray(
      0,
      bytes.findLastIndex((byte) => byte !== 0),
    ),
  )
  await torn.run(async (platform) => {
    const log = new TxnLog(platform, FOLDERS.logs, LOG, { onSynced() {}, onFailure: assert.fail })
    for (const index of range(10, 12)) log.append(BigInt(index), LoggedTxn.encode(transaction(index)))
    await log.close()
  })
  assert.equal((await torn.recover()).tree.lastZxid, 12n)
})

test('a snapshot that is not whole is passed over, and none at all stops the server', async () => {
  const machine = new Machine(7)
  await machine.write(range(1, 10))
  await machine.run(async (platform) => {
    const { tree } = await recover(platform, FOLDERS, RECOVERY)
    await writeSnapshot(platform, FOLDERS.snapshots, tree.freeze())
  })
  const whole = await machine.recover()
  assert.deepEqual([whole.snapshotZxid, whole.replayed], [10n, 0])
  const path = joinPath(FOLDERS.snapshots, fileName('snapshot', 10n))
  await machine.edit(path, (bytes) => {
    bytes[bytes.length >> 1]! ^= 1
    return bytes
  })
  const older = await machine.recover()
  assert.deepEqual([older.snapshotZxid, older.replayed, older.tree.digest], [0n, 10, whole.tree.digest])
  await machine.edit(joinPath(FOLDERS.snapshots, 'snapshot.0'), (bytes) => bytes.subarray(0, 100))
  await assert.rejects(machine.recover(), { name: 'RecoveryError', message: /none of the snapshots/ })
  await machine.run(async ({ files }) => {
    for (const { path } of listDated(files, FOLDERS.snapshots, 'snapshot')) files.remove(path)
  })
  await assert.rejects(machine.recover(), { name: 'RecoveryError', message: /transaction logs, but .* no snapshot/ })
  const trusting = await machine.run((platform) =>
    recover(platform, FOLDERS, { ...RECOVERY, trustEmptySnapshot: true }),
  )
  assert.equal(trusting.tree.lastZxid, 10n)
})

test('a snapshot comes back as it was: sessions, ACLs, owners, null data', async () => {
  const machine = new Machine(8)
  await machine.recover()
  const closed = [{ perms: 1, id: { scheme: 'digest', id: 'a:b' } }]
  const build = (): ZnodeTree => {
    const tree = ZnodeTree.fresh(RECOVERY)
    const header = { clientId: 5n, cxid: 0, time: 1 }
    tree.apply({
      header: { ...header, zxid: 1n, type: OpCode.createSession },
      txn: { type: OpCode.createSession, timeOut: 9 },
      digest: null,
    })
    for (const [zxid, path, acl] of [
      [2n, '/x', closed],
      [3n, '/x/ü', OPEN],
      [4n, '/y', closed],
    ] as const)
      tree.apply({
        header: { ...header, zxid, type: OpCode.create },
        txn: { type: OpCode.create, path, data: null, acl: [...acl], ephemeral: path === '/y', parentCVersion: 1 },
        digest: null,
      })
    return tree
  }
  await machine.run((platform) => writeSnapshot(platform, FOLDERS.snapshots, build().freeze()))
  const { tree } = await machine.recover()
  const expected = build()
  assert.deepEqual([...tree.sessions], [[5n, 9]])
  assert.deepEqual([...tree.ephemeralsOf(5n)], ['/y'])
  for (const path of ['/', '/x', '/x/ü', '/y', '/zookeeper/config']) {
    const [found, wanted] = [tree.find(path)!, expected.find(path)!]
    assert.deepEqual(tree.statOf(found), expected.statOf(wanted), path)
    assert.deepEqual([found.data, found.acl.list], [wanted.data, wanted.acl.list], path)
  }
  assert.deepEqual([tree.digest, tree.dataSize, tree.acls.size], [expected.digest, expected.dataSize, 3])
})

test('purging keeps three snapshots and the logs that the oldest of them needs', async () => {
  const machine = new Machine(9)
  await machine.recover()
  const left = await machine.run(async ({ files }) => {
    for (const zxid of [5n, 10n, 20n, 30n]) touch(files, fileName('snapshot', zxid))
    for (const zxid of [1n, 6n, 9n, 12n, 21n]) touch(files, fileName('log', zxid))
    purge(files, FOLDERS, 1)
    return files.list(FOLDERS.snapshots)
  })
  assert.deepEqual(left, ['log.15', 'log.9', 'log.c', 'snapshot.14', 'snapshot.1e', 'snapshot.a'])
})

function touch(files: FileSystem, name: string): void {
  files.open(joinPath(FOLDERS.snapshots, name), 'write').close()
}
