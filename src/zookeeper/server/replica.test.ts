/** One server's data in a simulated world: what waits in it, what is taken back, what takes its place. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Platform } from '#platform'
import { World, type SimulatedProcess } from '#simulation'
import type { ByteSource } from '#zookeeper/persistence'
import { LoggedTxn, OpCode } from '#zookeeper/protocol'

import { parseZooCfg, type ZooKeeperConfig } from './config.ts'
import { Replica } from './replica.ts'

const OPEN = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]
const EPOCH = 1n << 32n

function configOf(name: string, more = ''): ZooKeeperConfig {
  const members = 'server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2888:3888\ninitLimit=10\nsyncLimit=5\n'
  const text = `dataDir=/${name}\nclientPort=2181\npreAllocSize=64\n${members}${more}`
  return parseZooCfg(text, { sid: 1 }).config
}

function creation(count: number, name = `${count}`): LoggedTxn {
  return {
    header: { clientId: 1n, cxid: count, zxid: EPOCH + BigInt(count), time: 1, type: OpCode.create },
    txn: {
      type: OpCode.create,
      path: `/${name}`,
      data: new Uint8Array(50),
      acl: OPEN,
      ephemeral: false,
      parentCVersion: count,
    },
    digest: null,
  }
}

function log(replica: Replica, from: number, to: number, name = ''): void {
  for (let count = from; count <= to; count++)
    replica.append(EPOCH + BigInt(count), LoggedTxn.encode(creation(count, `${name}${count}`)))
}

function apply(replica: Replica, from: number, to: number, name = ''): void {
  for (let count = from; count <= to; count++) replica.apply(creation(count, `${name}${count}`))
}

const counterOf = (zxid: bigint): number => Number(zxid & 0xffff_ffffn)

async function run<T>(
  process: SimulatedProcess,
  world: World,
  program: (platform: Platform) => Promise<T>,
): Promise<T> {
  let outcome: { value: T } | { error: unknown } | null = null
  process.start(async (platform) => {
    try {
      outcome = { value: await program(platform) }
    } catch (error) {
      outcome = { error }
    }
  })
  assert.ok(await world.runUntil(() => outcome !== null, 60_000), 'the step does not end')
  const ended = outcome as unknown as { value: T } | { error: unknown }
  if ('error' in ended) throw ended.error
  return ended.value
}

function play<T>(seed: number, program: (platform: Platform, process: SimulatedProcess) => Promise<T>): Promise<T> {
  const world = new World(seed)
  const process = world.process('machine')
  return run(process, world, (platform) => program(platform, process))
}

/** Collects a snapshot, and gives it out again; `cutBy` bytes are missing at the end. */
async function sent(
  from: Replica,
  during: () => void = () => {},
): Promise<{ zxid: bigint; source: (cutBy: number) => ByteSource }> {
  const snapshot = from.beginSnapshot()
  const pieces: Uint8Array[] = []
  await snapshot.writeTo((bytes) => {
    pieces.push(bytes.slice())
    during()
  })
  const bytes = new Uint8Array(Buffer.concat(pieces))
  const source = (cutBy: number): ByteSource => {
    let at = 0
    return {
      take(length) {
        if (at + length > bytes.length - cutBy) throw new Error('the connection broke')
        at += length
        return bytes.subarray(at - length, at)
      },
    }
  }
  return { zxid: snapshot.zxid, source }
}

test('what is logged waits until it is applied, and before an election all of it is', () =>
  play(1, async (platform) => {
    const replica = await Replica.open(platform, configOf('a'))
    const synced: number[] = []
    replica.onSynced = (zxid) => void synced.push(counterOf(zxid))
    log(replica, 1, 5)
    await replica.synced()
    assert.deepEqual(synced, [5])
    assert.deepEqual([counterOf(replica.lastLoggedZxid), counterOf(replica.lastAppliedZxid)], [5, 0])
    apply(replica, 1, 3)
    assert.throws(() => replica.apply(creation(5)), /not the next/)
    assert.throws(() => replica.append(EPOCH + 5n, new Uint8Array(40)), /out of order/)
    assert.deepEqual([counterOf(replica.lastAppliedZxid), replica.committed.size], [3, 3])
    replica.fastForward()
    assert.ok(replica.tree.find('/5'))
    assert.deepEqual([counterOf(replica.committed.min), counterOf(replica.committed.max)], [1, 5])
    await replica.close()
    const again = await Replica.open(platform, configOf('a'))
    assert.deepEqual([again.tree.digest, again.committed.size], [replica.tree.digest, 5])
  }))

test('taking back reaches what is on its way to the disk, and the log goes on with another epoch', () =>
  play(2, async (platform) => {
    const replica = await Replica.open(platform, configOf('a'))
    log(replica, 1, 5)
    await replica.synced()
    log(replica, 6, 9)
    replica.fastForward()
    const before = replica.tree
    await replica.truncate(EPOCH + 4n)
    assert.notEqual(replica.tree, before)
    assert.deepEqual([counterOf(replica.lastLoggedZxid), counterOf(replica.lastAppliedZxid)], [4, 4])
    assert.deepEqual([replica.tree.find('/4') !== undefined, replica.tree.find('/5')], [true, undefined])
    assert.equal(counterOf(replica.committed.max), 4)
    await assert.rejects(replica.truncate(EPOCH + 3_000n), { name: 'TruncationError' })
    const next = { ...creation(1, 'next'), header: { ...creation(1).header, zxid: 2n * EPOCH + 1n } }
    replica.append(next.header.zxid, LoggedTxn.encode(next))
    replica.apply(next)
    await replica.close()
    const again = await Replica.open(platform, configOf('a'))
    assert.deepEqual([again.lastLoggedZxid, again.tree.digest], [2n * EPOCH + 1n, replica.tree.digest])
  }))

test('a snapshot goes from one to the other while transactions go on, and is there after a restart', () =>
  play(3, async (platform) => {
    const leader = await Replica.open(platform, configOf('leader'))
    log(leader, 1, 200)
    apply(leader, 1, 100)
    let next = 101
    const { zxid, source } = await sent(leader, () => apply(leader, next, next++))
    assert.equal(counterOf(zxid), 100)
    const learner = await Replica.open(platform, configOf('learner', 'dataLogDir=/learner-logs\n'))
    log(learner, 1, 150, 'mine-')
    await learner.loadSnapshot(source(0), zxid)
    assert.deepEqual([counterOf(learner.lastLoggedZxid), counterOf(learner.lastAppliedZxid)], [100, 100])
    assert.deepEqual([learner.tree.find('/100') !== undefined, learner.tree.find('/101')], [true, undefined])
    assert.deepEqual([learner.committed.size, learner.logAfter(EPOCH + 50n, 1 << 20)], [0, null])
    log(learner, 101, 110)
    apply(learner, 101, 105)
    assert.deepEqual(
      learner.logAfter(EPOCH + 101n, 1 << 20)?.map((entry) => counterOf(entry.zxid)) ?? null,
      null,
      'not written yet',
    )
    await learner.synced()
    assert.deepEqual(
      learner.logAfter(EPOCH + 101n, 1 << 20)!.map((entry) => counterOf(entry.zxid)),
      [102, 103, 104, 105],
    )
    assert.ok(learner.snapshotBytes() > 100 * 100)
    await learner.close()
    const again = await Replica.open(platform, configOf('learner', 'dataLogDir=/learner-logs\n'))
    assert.equal(counterOf(again.lastAppliedZxid), 110)
    assert.equal(again.tree.find('/mine-1'), undefined)
    assert.match(Buffer.from(again.tree.find('/zookeeper/config')!.data!).toString(), /^server\.1=a:2888:3888/)
  }))

test('a snapshot that breaks off changes nothing', () =>
  play(4, async (platform) => {
    const leader = await Replica.open(platform, configOf('leader'))
    log(leader, 1, 20)
    apply(leader, 1, 20)
    const { zxid, source } = await sent(leader)
    const learner = await Replica.open(platform, configOf('learner'))
    learner.onFailure = (error) => assert.fail(String(error))
    log(learner, 1, 30, 'mine-')
    apply(learner, 1, 25, 'mine-')
    const { tree } = learner
    await assert.rejects(learner.loadSnapshot(source(1), zxid), /connection broke/)
    const endless = { ...source(0), end: () => Promise.reject(new Error('no signature')) }
    await assert.rejects(learner.loadSnapshot(endless, zxid), /no signature/)
    assert.equal(learner.tree, tree)
    apply(learner, 26, 30, 'mine-')
    await learner.close()
    assert.equal((await Replica.open(platform, configOf('learner'))).tree.digest, tree.digest)
  }))

test('a snapshot that the disk does not take stops the server: in memory and on disk there would be two histories', () =>
  play(5, async (platform, process) => {
    const leader = await Replica.open(platform, configOf('leader'))
    log(leader, 1, 20)
    apply(leader, 1, 20)
    const { zxid, source } = await sent(leader)
    const learner = await Replica.open(platform, configOf('learner'))
    const failures: unknown[] = []
    learner.onFailure = (error) => void failures.push(error)
    log(learner, 1, 10, 'mine-')
    apply(learner, 1, 10, 'mine-')
    await learner.synced()
    process.diskConditions.inject({ operation: 'write', code: 'ENOSPC', times: 1, after: 0 })
    await assert.rejects(learner.loadSnapshot(source(0), zxid), { code: 'ENOSPC' })
    assert.equal(failures.length, 1)
    const again = await Replica.open(platform, configOf('learner'))
    assert.equal(again.tree.digest, learner.tree.digest)
  }))

test('a snapshot of its own that is being written is given up when the data is taken back', () =>
  play(6, async (platform) => {
    const config = configOf('a', 'snapCount=20\n')
    const replica = await Replica.open(platform, config)
    log(replica, 1, 30)
    apply(replica, 1, 30)
    await replica.truncate(EPOCH + 5n)
    assert.deepEqual(
      platform.files.list('/a/version-2').filter((name) => name.startsWith('snapshot')),
      ['snapshot.0'],
    )
    assert.equal(counterOf(replica.lastAppliedZxid), 5)
  }))

test('while data is taken back or replaced, nobody gets a snapshot of what was there', () =>
  play(7, async (platform) => {
    const replica = await Replica.open(platform, configOf('a'))
    log(replica, 1, 30)
    apply(replica, 1, 30)
    const early = replica.takeSnapshot()
    const waiting = replica.takeSnapshot()
    const truncated = replica.truncate(EPOCH + 5n)
    const late = replica.takeSnapshot()
    await truncated
    assert.deepEqual([await early, await waiting, await late], [null, null, null])
    const snapshots = (): string[] => platform.files.list('/a/version-2').filter((name) => name.startsWith('snapshot'))
    assert.deepEqual(snapshots(), ['snapshot.0'])
    assert.ok(await replica.takeSnapshot())
    assert.deepEqual(snapshots(), ['snapshot.0', 'snapshot.100000005'])
  }))
