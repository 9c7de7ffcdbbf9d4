/** A broker whose log directories fail: it serves with those that are left, and ends itself with the last. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode } from '#protocol'
import { CreateTopics } from '#protocol/messages/create-topics'
import { Metadata } from '#protocol/messages/metadata'
import { Produce } from '#protocol/messages/produce'
import { RecordBatchBuilder } from '#protocol/records'
import { World, type DiskFault } from '#simulation'
import { BrokerConnection } from '#rpc'
import { ZooKeeperServer, parseZooCfg } from '#zookeeper/server'

import { Broker } from './broker.ts'
import { ConfigError, parseServerProperties } from './config/index.ts'

const SESSION_MS = 120_000
const ZOO_CFG = `dataDir=/data\nclientPort=2181\nadmin.enableServer=false\ntickTime=500\nmaxSessionTimeout=${SESSION_MS}`
const EVERY = { code: 'EIO', times: Infinity } as const

/** What has become of a broker's start, and of the broker. */
interface Life {
  broker: Broker | null
  startError: unknown
  /** Its process would end now. */
  hasStopped: boolean
}

class TestCluster {
  readonly world: World
  readonly lines: string[] = []

  constructor(seed: number) {
    this.world = new World(seed)
    this.world.logSink = (_, line) => void this.lines.push(line)
    const { config } = parseZooCfg(ZOO_CFG)
    this.world.process('zookeeper').start(
      async (platform) => (await ZooKeeperServer.start(platform, config)).stopped,
      (error) => this.world.report('ZooKeeper ended', error),
    )
  }

  start(id: number, overrides: Record<string, string> = {}): Life {
    const life: Life = { broker: null, startError: null, hasStopped: false }
    const name = `broker-${id}`
    const config = parseServerProperties(
      '',
      {},
      {
        'broker.id': String(id),
        listeners: `PLAINTEXT://${name}:9092`,
        'log.dirs': '/a,/b',
        'zookeeper.connect': 'zookeeper:2181',
        // Long: who waits for the session to run out does not pass.
        'zookeeper.session.timeout.ms': String(SESSION_MS),
        ...overrides,
      },
    )
    this.world.process(name).start(
      async (platform) => {
        life.broker = await Broker.start(platform, config)
        await life.broker.stopped
        life.hasStopped = true
      },
      (error) => (life.startError = error),
    )
    return life
  }

  async until(holds: () => boolean, limitMs = 30_000): Promise<void> {
    assert.ok(await this.world.runUntil(holds, limitMs), this.lines.slice(-10).join('\n'))
  }

  async started(id: number, overrides?: Record<string, string>): Promise<Life> {
    const life = this.start(id, overrides)
    await this.until(() => life.broker !== null || life.startError !== null)
    if (life.startError !== null) throw life.startError
    return life
  }

  fail(id: number, path: string, fault: Partial<DiskFault> = {}): void {
    for (const operation of ['write', 'sync', 'open'] as const)
      this.world.process(`broker-${id}`).diskConditions.inject({ operation, path, ...EVERY, ...fault })
  }

  /** What a client hears from the broker. */
  async ask<Answer>(id: number, run: (connection: BrokerConnection) => Promise<Answer>): Promise<Answer> {
    let outcome: { answer: Answer } | { error: unknown } | null = null
    const client = this.world.process(`client-of-${id}`)
    client.start(
      async (platform) => {
        const connection = new BrokerConnection(platform, { host: `broker-${id}`, port: 9092, clientId: 'test' })
        outcome = { answer: await run(connection) }
      },
      (error) => (outcome = { error }),
    )
    await this.until(() => outcome !== null)
    client.crash()
    const ended = outcome as unknown as { answer: Answer } | { error: unknown }
    if ('error' in ended) throw ended.error
    return ended.answer
  }

  /** Partitions of topic `t` with the leader that the broker knows; a leader below 0: none. */
  async leaders(id: number): Promise<{ errorCode: number; leaderId: number }[]> {
    const wanted = { topics: [{ name: 't' }], allowAutoTopicCreation: false }
    const { topics } = await this.ask(id, (connection) => connection.send(Metadata, wanted))
    return topics[0]!.partitions
      .toSorted((a, b) => a.partitionIndex - b.partitionIndex)
      .map(({ errorCode, leaderId }) => ({ errorCode, leaderId }))
  }

  async createTopic(id: number, assignment: readonly (readonly number[])[]): Promise<void> {
    const assignments = assignment.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds: [...brokerIds] }))
    const topic = { name: 't', numPartitions: -1, replicationFactor: -1, assignments, configs: [] }
    const { topics } = await this.ask(id, (connection) =>
      connection.send(CreateTopics, { topics: [topic], timeoutMs: 10_000 }),
    )
    assert.equal(topics[0]!.errorCode, ErrorCode.NONE)
    await this.world.run(1000)
  }

  async produce(id: number, partition: number): Promise<number> {
    const batch = new RecordBatchBuilder()
    batch.append({ timestamp: 1000, key: null, value: new Uint8Array(10) })
    const topicData = [{ name: 't', partitionData: [{ index: partition, records: batch.build() }] }]
    const { responses } = await this.ask(id, (connection) =>
      connection.send(Produce, { acks: -1, timeoutMs: 2000, topicData }),
    )
    return responses[0]!.partitionResponses[0]!.errorCode
  }

  directoryOf({ broker }: Life, partition: number): string {
    return broker!.services.logs.log('t', partition)!.directory.path
  }
}

test('a broker none of whose log directories can be used does not start, and says why', async () => {
  for (const operation of ['open', 'sync'] as const) {
    const cluster = new TestCluster(81)
    for (const path of ['/a/', '/b/'])
      cluster.world.process('broker-1').diskConditions.inject({ operation, path, ...EVERY })
    const life = cluster.start(1)
    await cluster.until(() => life.startError !== null)
    const { startError } = life
    assert.ok(startError instanceof ConfigError, String(startError))
    assert.match(startError.message, /^log\.dirs: /)
    assert.equal(life.broker, null)
    // It leaves nothing behind: another process may have the id at once.
    cluster.world.process('broker-1').diskConditions.clearFaults()
    await cluster.started(1)
    assert.deepEqual(cluster.world.findings, [])
  }
})

test('a broker starts with the log directories that can be used, also where the others do not tell whose they are', async () => {
  for (const life of ['first', 'later', 'later, unread once']) {
    const cluster = new TestCluster(82)
    if (life !== 'first') {
      const { broker } = await cluster.started(1)
      await cluster.world.run(1000)
      await cluster.createTopic(1, [[1], [1]])
      cluster.world.process('broker-1').signal(() => void broker!.close())
      await cluster.world.run(5000)
      cluster.world.process('broker-1').crash()
    }
    if (life === 'later, unread once') cluster.fail(1, '/a/meta.properties', { times: 1 })
    else cluster.fail(1, '/a/')
    const { broker } = await cluster.started(1)
    assert.deepEqual(
      broker!.services.logs.liveDirectories.map(({ path }) => path),
      ['/b'],
      life,
    )
    if (life === 'first') await cluster.createTopic(1, [[1], [1]])
    await cluster.world.run(1000)
    // What may lie in the directory that was not read is not made anew elsewhere.
    const errors = [await cluster.produce(1, 0), await cluster.produce(1, 1)]
    assert.deepEqual(
      errors.sort((a, b) => a - b),
      life === 'first' ? [0, 0] : [0, ErrorCode.KAFKA_STORAGE_ERROR],
    )
    assert.deepEqual([...broker!.services.logs.logs].length, life === 'first' ? 2 : 1)
    assert.deepEqual(cluster.world.findings, [])
  }
})

test('a broker whose last directory fails while it waits for its id does not start', async () => {
  const cluster = new TestCluster(84)
  await cluster.started(1)
  // Its session has two minutes to go; meanwhile the checkpoints of the logs are written.
  cluster.world.process('broker-1').crash()
  const life = cluster.start(1)
  await cluster.until(() => cluster.lines.some((line) => /still registered/.test(line)))
  for (const path of ['/a/', '/b/']) cluster.fail(1, path)
  await cluster.until(() => life.startError !== null, SESSION_MS / 2 + 5000)
  assert.match(String(life.startError), /ConfigError: log\.dirs: none of them can be used any more/)
  assert.doesNotMatch(String((life.startError as Error).cause), /AssertionError/)
  assert.equal(life.broker, null)
  assert.deepEqual(cluster.world.findings, [])
})

test('a broker without a directory waits neither for a controller that it cannot reach nor for a ZooKeeper', async () => {
  for (const unreachable of ['broker-1', 'zookeeper']) {
    const cluster = new TestCluster(85)
    await cluster.started(1)
    const second = await cluster.started(2)
    await cluster.world.run(1000)
    await cluster.createTopic(1, [[2]])
    const { world } = cluster
    world.partition([world.process('broker-2')], [world.process(unreachable)])
    await world.run(500)
    for (const path of ['/a/', '/b/']) cluster.fail(2, path)
    const failedMs = world.nowMs
    for (const log of second.broker!.services.logs.directories) log.fail('a test', new Error('EIO'))
    await cluster.until(() => second.hasStopped, 300_000)
    assert.ok(world.nowMs - failedMs < 3000, `${unreachable}: it stopped after ${world.nowMs - failedMs} ms`)
    assert.deepEqual(world.findings, [])
  }
})

test('a broker serves on without a directory, and ends itself with the last one; the others go on at once', async () => {
  const cluster = new TestCluster(83)
  const lives = [await cluster.started(1), await cluster.started(2)]
  const [, second] = lives
  await cluster.world.run(1000)
  // Broker 2 is no controller, and leads both; it keeps them in different directories.
  await cluster.createTopic(1, [
    [2, 1],
    [2, 1],
  ])
  const [first, last] = [cluster.directoryOf(second!, 0), cluster.directoryOf(second!, 1)]
  assert.notEqual(first, last)
  for (const partition of [0, 1]) assert.equal(await cluster.produce(2, partition), ErrorCode.NONE)

  cluster.fail(2, `${first}/`)
  assert.equal(await cluster.produce(2, 0), ErrorCode.KAFKA_STORAGE_ERROR)
  await cluster.world.run(2000)
  assert.equal(second!.hasStopped, false)
  assert.deepEqual(await cluster.leaders(1), [
    { errorCode: 0, leaderId: 1 },
    { errorCode: 0, leaderId: 2 },
  ])
  assert.equal(await cluster.produce(1, 0), ErrorCode.NONE)
  assert.equal(await cluster.produce(2, 1), ErrorCode.NONE)

  const failedMs = cluster.world.nowMs
  cluster.fail(2, `${last}/`)
  await cluster.produce(2, 1).catch(() => {})
  await cluster.until(() => second!.hasStopped)
  assert.ok(cluster.world.nowMs - failedMs < 1000, `it stopped after ${cluster.world.nowMs - failedMs} ms`)
  assert.ok(cluster.lines.some((line) => /broker-2: no log directory is left/.test(line)))
  await cluster.world.run(1000)
  assert.deepEqual(await cluster.leaders(1), [
    { errorCode: 0, leaderId: 1 },
    { errorCode: 0, leaderId: 1 },
  ])
  for (const partition of [0, 1]) assert.equal(await cluster.produce(1, partition), ErrorCode.NONE)
  assert.equal(lives[0]!.hasStopped, false)
  assert.deepEqual(cluster.world.findings, [])
})
