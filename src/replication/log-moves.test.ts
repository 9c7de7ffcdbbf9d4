/** Replicas that move from one log directory to another. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { joinPath } from '#platform'
import { ErrorCode } from '#protocol'
import { World } from '#simulation'

import { TOPIC, TestCluster, type TestClusterOptions } from './test-cluster.ts'

const DIRECTORIES = ['/data', '/other']

async function filled(world: number | World, options: TestClusterOptions = {}): Promise<TestCluster> {
  const cluster = await TestCluster.started(typeof world === 'number' ? new World(world) : world, {
    directories: DIRECTORIES,
    log: { segmentBytes: 400 },
    ...options,
  })
  for (let value = 0; value < 20; value++) await cluster.produced(1, { value })
  return cluster
}

function move(cluster: TestCluster, id: number, directory: string): number {
  return cluster.manager(id).moveReplicas([{ topic: TOPIC, partition: 0, directory }])[0]!
}

function directoryOf(cluster: TestCluster, id: number): string {
  return cluster.log(id).directory.path
}

async function moved(cluster: TestCluster, id: number, directory: string): Promise<void> {
  assert.ok(await cluster.world.runUntil(() => directoryOf(cluster, id) === directory, 60_000), 'it moves')
}

const otherThan = (directory: string): string => DIRECTORIES.find((each) => each !== directory)!

test("a leader's replica and a follower's move under load, with all that they have", async () => {
  const cluster = await filled(1)
  for (const id of [1, 2]) {
    const target = otherThan(directoryOf(cluster, id))
    assert.equal(move(cluster, id, target), ErrorCode.NONE)
    for (let value = 20; value < 40; value++) assert.equal((await cluster.produced(1, { value })).errorCode, 0)
    await moved(cluster, id, target)
    assert.equal(cluster.broker(id).logs!.futureLog(TOPIC, 0), null)
  }
  await cluster.world.run(2000)
  const expected = [...Array(40).keys(), ...Array.from({ length: 20 }, (_, index) => index + 20)]
  for (const id of [1, 2, 3]) assert.deepEqual(await cluster.values(id), expected)
  assert.equal(cluster.log(1).highWatermark, 60)
  assert.deepEqual(cluster.log(2).epochs.entries, cluster.log(1).epochs.entries)
  // It goes on as the same replica after a crash, and nothing is left where it was.
  cluster.crash(2)
  await cluster.start(2)
  cluster.announce([2])
  await cluster.produced(1, { value: 60 })
  assert.deepEqual(await cluster.values(2), [...expected, 60])
  assert.deepEqual(cluster.world.findings, [])
})

test('what is wrong is answered; where it is already it stays, and a wish to stay ends a move', async () => {
  const cluster = await filled(2)
  const here = directoryOf(cluster, 1)
  assert.equal(move(cluster, 1, '/nowhere'), ErrorCode.LOG_DIR_NOT_FOUND)
  assert.equal(move(cluster, 1, here), ErrorCode.NONE)
  assert.equal(cluster.broker(1).logs!.futureLog(TOPIC, 0), null)
  cluster.manager(1).setThrottles({ leader: Infinity, follower: Infinity, moves: 1 })
  assert.equal(move(cluster, 1, otherThan(here)), ErrorCode.NONE)
  await cluster.world.run(1000)
  assert.notEqual(cluster.broker(1).logs!.futureLog(TOPIC, 0), null)
  assert.equal(move(cluster, 1, here), ErrorCode.NONE)
  assert.equal(cluster.broker(1).logs!.futureLog(TOPIC, 0), null)
  await cluster.world.run(10_000)
  assert.equal(directoryOf(cluster, 1), here)
})

test('a replica that is not here yet is made where it was wished', async () => {
  const cluster = new TestCluster(new World(3), { directories: DIRECTORIES })
  for (const { id } of cluster.brokers) await cluster.start(id)
  assert.equal(move(cluster, 1, '/other'), ErrorCode.REPLICA_NOT_AVAILABLE)
  cluster.announce()
  await cluster.world.run(100)
  assert.equal(directoryOf(cluster, 1), '/other')
})

test('a crash in the middle of a move loses nothing: it goes on when the replica has its role again', async () => {
  for (const powerFails of [false, true]) {
    const cluster = await filled(4, { log: { segmentBytes: 400, flushMessages: 1 } })
    const target = otherThan(directoryOf(cluster, 2))
    cluster.manager(2).setThrottles({ leader: Infinity, follower: Infinity, moves: 100 })
    move(cluster, 2, target)
    await cluster.world.run(500)
    assert.notEqual(directoryOf(cluster, 2), target)
    cluster.crash(2, powerFails)
    await cluster.start(2)
    cluster.announce([2])
    await moved(cluster, 2, target)
    await cluster.produced(1, { value: 20 })
    assert.deepEqual(await cluster.values(2), [...Array(21).keys()])
  }
})

test('what a power failure took of the topic id in the new directory comes back before the replica lives there', async () => {
  const cluster = await filled(4)
  const target = otherThan(directoryOf(cluster, 2))
  const { topicId } = cluster.log(2)
  assert.notEqual(topicId, null)
  cluster.manager(2).setThrottles({ leader: Infinity, follower: Infinity, moves: 100 })
  move(cluster, 2, target)
  await cluster.world.run(500)
  const { directory, folder } = cluster.broker(2).logs!.futureLog(TOPIC, 0)!
  directory.files.open(joinPath(folder, 'partition.metadata'), 'truncate').close()
  cluster.crash(2)
  await cluster.start(2)
  cluster.announce([2])
  await moved(cluster, 2, target)
  assert.equal(cluster.log(2).topicId, topicId)
  await cluster.produced(1, { value: 20 })
  assert.deepEqual(await cluster.values(2), [...Array(21).keys()])
})

test('a log that is cut while it moves takes its successor along', async () => {
  const cluster = await filled(5)
  const target = otherThan(directoryOf(cluster, 1))
  // Broker 1 has what nobody else has, copies it to the other directory, and must give it up as a follower.
  for (const id of [2, 3]) cluster.broker(id).isCutOff = true
  for (let value = 100; value < 110; value++) await cluster.produced(1, { value, acks: 1 })
  cluster.manager(1).setThrottles({ leader: Infinity, follower: Infinity, moves: 400 })
  move(cluster, 1, target)
  const future = cluster.broker(1).logs!.futureLog(TOPIC, 0)!
  assert.ok(await cluster.world.runUntil(() => future.logEndOffset > 20 || directoryOf(cluster, 1) === target, 60_000))
  for (const id of [2, 3]) cluster.broker(id).isCutOff = false
  cluster.elect(2, [1, 2, 3])
  await cluster.produced(2, { value: 20 })
  await moved(cluster, 1, target)
  await cluster.produced(2, { value: 21 })
  for (const id of [1, 2, 3]) assert.deepEqual(await cluster.values(id), [...Array(22).keys()])
})

test('a replica that a power failure left in two directories is the one that reaches further', async () => {
  const cluster = await filled(7)
  const here = directoryOf(cluster, 2)
  const there = otherThan(here)
  const { directory, folder, name } = cluster.log(2)
  directory.files.makeDirectory(joinPath(there, name))
  for (const file of directory.files.list(folder)) {
    const copy = directory.files.open(joinPath(there, name, file), 'truncate')
    void copy.write([directory.files.readFile(joinPath(folder, file))], 0)
    copy.close()
  }
  await cluster.produced(1, { value: 20 })
  await cluster.world.run(1000)
  cluster.crash(2)
  await cluster.start(2)
  cluster.announce([2])
  await cluster.produced(1, { value: 21 })
  assert.equal(directoryOf(cluster, 2), here)
  assert.deepEqual(await cluster.values(2), [...Array(22).keys()])
})

test('a directory that fails ends the moves into it, and the replica stays', async () => {
  const cluster = await filled(6)
  const here = directoryOf(cluster, 1)
  cluster.manager(1).setThrottles({ leader: Infinity, follower: Infinity, moves: 1 })
  move(cluster, 1, otherThan(here))
  await cluster.world.run(500)
  cluster.broker(1).logs!.directory(otherThan(here))!.fail('a test', new Error('EIO'))
  assert.equal(cluster.broker(1).logs!.futureLog(TOPIC, 0), null)
  assert.equal((await cluster.produced(1, { value: 20 })).errorCode, ErrorCode.NONE)
  assert.equal(directoryOf(cluster, 1), here)
})

test('a replica that goes while its move is held back by the quota is not looked at any more', async () => {
  const ways: readonly [string, (cluster: TestCluster) => void][] = [
    ['it is deleted', (cluster) => void cluster.stopReplica(1, { deletes: true })],
    ['its directory fails', (cluster) => cluster.log(1).directory.fail('a test', new Error('EIO'))],
    ['the broker closes', (cluster) => void cluster.manager(1).close()],
  ]
  for (const [way, goes] of ways) {
    const world = new World(8)
    const cluster = await filled(world)
    const target = otherThan(directoryOf(cluster, 1))
    // A batch is copied, and then the quota is used up for many seconds.
    cluster.manager(1).setThrottles({ leader: Infinity, follower: Infinity, moves: 1 })
    move(cluster, 1, target)
    const future = cluster.broker(1).logs!.futureLog(TOPIC, 0)!
    assert.ok(await cluster.world.runUntil(() => future.logEndOffset > 0, 5000), way)
    assert.ok(future.logEndOffset < cluster.log(1).logEndOffset, `${way}: there is more to copy`)
    const lines: string[] = []
    world.logSink = (_, line) => void lines.push(line)
    goes(cluster)
    await world.run(60_000)
    assert.deepEqual(world.findings, [], way)
    assert.deepEqual(
      lines.filter((line) => line.includes('does not move')),
      [],
      way,
    )
  }
})
