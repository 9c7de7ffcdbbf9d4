/** Listeners that come, move in what is advertised, and go while the broker runs (`kafka.server.DynamicListenerConfig`). */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SequencePrefix, ZnodePath, decodeBroker, encodeConfig, encodeConfigChange } from '#metadata/znodes'
import { silentLogger, type Platform } from '#platform'
import { ErrorCode } from '#protocol'
import { IncrementalAlterConfigs } from '#protocol/messages/incremental-alter-configs'
import { Metadata } from '#protocol/messages/metadata'
import { BrokerConnection } from '#rpc'
import { World } from '#simulation'
import { CreateMode, type RetryingZooKeeper } from '#zookeeper/client'
import { ZooKeeperServer, parseZooCfg } from '#zookeeper/server'

import { Broker } from './broker.ts'
import { parseServerProperties } from './config/index.ts'
import { Registration } from './registration.ts'

const SESSION_MS = 3000
const SET = 0
const DELETE = 1
const BROKER = 4

class TestCluster {
  readonly world: World
  readonly lines: string[] = []
  readonly #brokers = new Map<number, { platform: Platform; broker: Broker }>()

  constructor(seed: number) {
    this.world = new World(seed)
    this.world.logSink = (_, line) => void this.lines.push(line)
    const { config } = parseZooCfg('dataDir=/data\nclientPort=2181\nadmin.enableServer=false\ntickTime=500')
    this.world.process('zookeeper').start(
      async (platform) => (await ZooKeeperServer.start(platform, config)).stopped,
      (error) => this.world.report('ZooKeeper ended', error),
    )
  }

  async start(id: number): Promise<void> {
    const name = `broker-${id}`
    const config = parseServerProperties(
      '',
      {},
      {
        'broker.id': String(id),
        listeners: `PLAINTEXT://${name}:9092`,
        'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,OUTSIDE:PLAINTEXT,INSIDE:PLAINTEXT,SSL:SSL',
        'log.dirs': '/data',
        'zookeeper.connect': 'zookeeper:2181',
        'zookeeper.session.timeout.ms': String(SESSION_MS),
      },
    )
    this.#brokers.delete(id)
    this.world.process(name).start(
      async (platform) => void this.#brokers.set(id, { platform, broker: await Broker.start(platform, config) }),
      (error) => this.world.report(`broker ${id} ended`, error),
    )
    await this.until(() => this.#brokers.has(id))
    await this.world.run(500)
  }

  broker(id: number): Broker {
    return this.#brokers.get(id)!.broker
  }

  async until(holds: () => boolean, limitMs = 20_000): Promise<void> {
    assert.ok(await this.world.runUntil(holds, limitMs), this.lines.slice(-10).join('\n'))
  }

  /** Something that is done in the broker's process. */
  async within<T>(id: number, run: (platform: Platform, broker: Broker) => Promise<T>): Promise<T> {
    let outcome: { value: T } | { error: unknown } | null = null
    const { platform, broker } = this.#brokers.get(id)!
    this.world.process(`broker-${id}`).signal(() => {
      run(platform, broker).then(
        (value) => (outcome = { value }),
        (error: unknown) => (outcome = { error }),
      )
    })
    await this.until(() => outcome !== null)
    const ended = outcome as unknown as { value: T } | { error: unknown }
    if ('error' in ended) throw ended.error
    return ended.value
  }

  /** What a client at that port hears of where the brokers are; null: nobody answers there. */
  async brokersSeenAt(id: number, port: number): Promise<string[] | null> {
    let outcome: string[] | null | undefined
    const client = this.world.process('client')
    client.start(async (platform) => {
      const connection = new BrokerConnection(platform, { host: `broker-${id}`, port, clientId: 'test' })
      outcome = await connection.send(Metadata, { topics: [] }, { timeoutMs: 2000 }).then(
        ({ brokers }) => brokers.map(({ nodeId, host, port: at }) => `${nodeId}@${host}:${at}`).sort(),
        () => null,
      )
    })
    await this.until(() => outcome !== undefined)
    client.crash()
    return outcome!
  }

  /** Connections that stay. */
  async guestsAt(id: number, ports: readonly number[]): Promise<BrokerConnection[]> {
    const guests: BrokerConnection[] = []
    this.world.process('guest').start(async (platform) => {
      for (const port of ports) {
        const guest = new BrokerConnection(platform, { host: `broker-${id}`, port, clientId: 'guest' })
        await guest.send(Metadata, { topics: [] })
        guests.push(guest)
      }
    })
    await this.until(() => guests.length === ports.length)
    return guests
  }

  /** Changes the configuration of broker 1, or of all (''); null deletes. */
  async alter(entity: string, texts: Record<string, string | null>): Promise<{ code: number; message: string | null }> {
    const configs = Object.entries(texts).map(([name, value]) => ({
      name,
      value,
      configOperation: value === null ? DELETE : SET,
    }))
    const resources = [{ resourceType: BROKER, resourceName: entity, configs }]
    const { responses } = await this.within(1, (platform) =>
      new BrokerConnection(platform, { host: 'broker-1', port: 9092, clientId: 'test' }).send(IncrementalAlterConfigs, {
        resources,
        validateOnly: false,
      }),
    )
    await this.world.run(1000)
    return { code: responses[0]!.errorCode, message: responses[0]!.errorMessage }
  }

  async registered(id: number): Promise<string[]> {
    return await this.within(1, async (_, { services }) => {
      const { endpoints } = decodeBroker(id, (await services.zk.find(ZnodePath.broker(id)))!.data)
      return endpoints.map(({ listenerName, host, port }) => `${listenerName}://${host}:${port}`)
    })
  }
}

const DONE = { code: ErrorCode.NONE, message: null }
const BOTH = 'PLAINTEXT://broker-1:9092,OUTSIDE://broker-1:9093'

test('a listener that is added is listened on, registered and told to the others; removed, it is gone', async () => {
  const cluster = new TestCluster(111)
  await cluster.start(1)
  await cluster.start(2)
  assert.equal(await cluster.brokersSeenAt(1, 9093), null)
  assert.deepEqual(await cluster.alter('1', { listeners: BOTH }), DONE)
  assert.deepEqual(await cluster.registered(1), ['PLAINTEXT://broker-1:9092', 'OUTSIDE://broker-1:9093'])
  assert.deepEqual(await cluster.brokersSeenAt(1, 9093), ['1@broker-1:9093'])
  assert.deepEqual(await cluster.brokersSeenAt(2, 9092), ['1@broker-1:9092', '2@broker-2:9092'])
  assert.equal(cluster.broker(2).services.metadata.image.endpoint(1, 'OUTSIDE')?.port, 9093)

  // What is advertised moves without the listener.
  const advertised = 'PLAINTEXT://broker-1:9092,OUTSIDE://gate.example:443'
  assert.deepEqual(await cluster.alter('1', { 'advertised.listeners': advertised }), DONE)
  assert.deepEqual(await cluster.brokersSeenAt(1, 9093), ['1@gate.example:443'])

  // A client that is there goes, one of the other listener stays.
  const guests = await cluster.guestsAt(1, [9093, 9092])
  assert.deepEqual(await cluster.alter('1', { listeners: null, 'advertised.listeners': null }), DONE)
  assert.deepEqual(
    guests.map(({ isConnected }) => isConnected),
    [false, true],
  )
  assert.deepEqual(await cluster.registered(1), ['PLAINTEXT://broker-1:9092'])
  assert.equal(await cluster.brokersSeenAt(1, 9093), null)
  assert.deepEqual(await cluster.brokersSeenAt(1, 9092), ['1@broker-1:9092', '2@broker-2:9092'])
  assert.deepEqual([...cluster.broker(1).boundPorts], [['PLAINTEXT', 9092]])
  assert.deepEqual(cluster.world.findings, [])
})

const REFUSED: readonly [what: string, entity: string, texts: Record<string, string>, message: RegExp][] = [
  ['for all brokers', '', { listeners: BOTH }, /per-broker|at default cluster level/],
  ['where one would move', '1', { listeners: 'PLAINTEXT://broker-1:9099' }, /PLAINTEXT cannot move to broker-1:9099/],
  ['where one would be protected', '1', { listeners: `${BOTH},SSL://broker-1:9094` }, /SSL, which is not carried out/],
  ['without the listener among brokers', '1', { listeners: 'OUTSIDE://broker-1:9093' }, /inter.broker.listener.name/],
  [
    'without a protocol',
    '1',
    { listeners: `${BOTH},OTHER://broker-1:9094` },
    /does not say which protocol OTHER speaks/,
  ],
  ['that is advertised and not there', '1', { 'advertised.listeners': BOTH }, /OUTSIDE is not among the listeners/],
  ['whose keys are not carried out', '1', { 'ssl.keystore.location': '/k' }, /not carried out/],
  ['that nothing changes at run time', '1', { 'inter.broker.listener.name': 'OUTSIDE' }, /Cannot update these configs/],
]

test('a change of listeners that cannot be is refused with the reason, and changes nothing', async () => {
  const cluster = new TestCluster(112)
  await cluster.start(1)
  for (const [what, entity, texts, message] of REFUSED) {
    const outcome = await cluster.alter(entity, texts)
    assert.equal(outcome.code, ErrorCode.INVALID_REQUEST, what)
    assert.match(outcome.message!, message, what)
  }
  assert.deepEqual(await cluster.registered(1), ['PLAINTEXT://broker-1:9092'])
  assert.deepEqual([...cluster.broker(1).boundPorts], [['PLAINTEXT', 9092]])
})

test('where a listener cannot be opened, or its address is another broker’s, the broker goes on as before and says so', async () => {
  const cluster = new TestCluster(113)
  await cluster.start(1)
  await cluster.start(2)
  const occupied = await cluster.within(1, (platform) =>
    platform.network.listen({ host: 'broker-1', port: 9093, onConnection: (socket) => socket.destroy() }),
  )
  for (const texts of [
    { listeners: `PLAINTEXT://broker-1:9092,INSIDE://broker-1:9094,OUTSIDE://broker-1:9093` },
    { listeners: BOTH.replace('9093', '9094'), 'advertised.listeners': 'PLAINTEXT://broker-2:9092' },
  ]) {
    const said = cluster.lines.length
    assert.deepEqual(await cluster.alter('1', texts), DONE)
    assert.ok(cluster.lines.slice(said).some((line) => /configuration in ZooKeeper is not obeyed/.test(line)))
    assert.deepEqual(await cluster.registered(1), ['PLAINTEXT://broker-1:9092'])
    assert.deepEqual([...cluster.broker(1).boundPorts], [['PLAINTEXT', 9092]])
    assert.equal(await cluster.brokersSeenAt(1, 9094), null)
  }
  // With the obstacle gone the next change finds it done.
  await cluster.within(1, async () => await occupied.close())
  assert.deepEqual(await cluster.alter('1', { listeners: BOTH, 'advertised.listeners': null }), DONE)
  assert.deepEqual(await cluster.brokersSeenAt(1, 9093), ['1@broker-1:9093'])
})

test('what somebody writes into ZooKeeper past the broker is obeyed only where it can be', async () => {
  const cluster = new TestCluster(115)
  await cluster.start(1)
  const write = async (entity: string, texts: Record<string, string>): Promise<void> => {
    await cluster.within(1, async (_, { services: { zk } }) => {
      const [path, data] = [ZnodePath.config('brokers', entity), encodeConfig(texts)]
      if (!(await zk.ensurePath(path, data))) await zk.setData(path, data)
      const note = encodeConfigChange(`brokers/${entity}`)
      await zk.create(SequencePrefix.configChange, note, { mode: CreateMode.persistentSequential })
    })
    await cluster.world.run(1000)
  }
  // That of all brokers would be wrong for each of them but one.
  await write('<default>', { listeners: BOTH })
  assert.deepEqual([...cluster.broker(1).boundPorts], [['PLAINTEXT', 9092]])
  await write('1', { listeners: 'PLAINTEXT://broker-1:9099' })
  assert.ok(cluster.lines.some((line) => /not obeyed: .*PLAINTEXT cannot move to broker-1:9099/.test(line)))
  assert.deepEqual([...cluster.broker(1).boundPorts], [['PLAINTEXT', 9092]])
  assert.deepEqual(await cluster.registered(1), ['PLAINTEXT://broker-1:9092'])
  await write('1', { listeners: BOTH })
  assert.deepEqual(await cluster.brokersSeenAt(1, 9093), ['1@broker-1:9093'])
})

test('an address that changes while the broker registers is registered all the same', async () => {
  const written: string[] = []
  const created = Promise.withResolvers<{ czxid: bigint }>()
  const note = (data: Uint8Array): void =>
    void written.push(
      decodeBroker(1, data)
        .endpoints.map(({ port }) => port)
        .join(),
    )
  const zk = {
    childrenOf: () => Promise.resolve([]),
    createEphemeral(_: string, data: Uint8Array) {
      note(data)
      return created.promise
    },
    setData: (_: string, data: Uint8Array) => Promise.resolve(note(data)),
  } as unknown as RetryingZooKeeper
  const endpointsAt = (port: number) => [
    { listenerName: 'PLAINTEXT', securityProtocol: 'PLAINTEXT', host: 'b', port } as const,
  ]
  const platform = { clock: { now: () => 0 }, logger: silentLogger } as unknown as Platform
  const registration = new Registration(platform, zk, { id: 1, endpoints: endpointsAt(1), rack: null })
  const registering = registration.register()
  await Promise.resolve()
  await registration.advertise(endpointsAt(2))
  assert.deepEqual(written, ['1'], 'there is nothing yet to be changed')
  created.resolve({ czxid: 5n })
  await registering
  assert.deepEqual(written, ['1', '2'])
})

test('a listener that was added is there after a session’s end, and after a new start', async () => {
  const cluster = new TestCluster(114)
  await cluster.start(1)
  assert.deepEqual(await cluster.alter('1', { listeners: BOTH }), DONE)
  const { world } = cluster
  const [broker, zookeeper] = [world.process('broker-1'), world.process('zookeeper')]
  world.partition([broker], [zookeeper])
  await world.run(SESSION_MS * 2)
  world.mend([broker], [zookeeper])
  world.mend([zookeeper], [broker])
  const epoch = cluster.broker(1).services.brokerEpoch
  await cluster.until(() => cluster.broker(1).services.brokerEpoch > epoch)
  assert.deepEqual(await cluster.registered(1), ['PLAINTEXT://broker-1:9092', 'OUTSIDE://broker-1:9093'])
  broker.crash()
  await cluster.start(1)
  assert.deepEqual(await cluster.registered(1), ['PLAINTEXT://broker-1:9092', 'OUTSIDE://broker-1:9093'])
  assert.deepEqual(await cluster.brokersSeenAt(1, 9093), ['1@broker-1:9093'])
  assert.deepEqual(world.findings, [])
})
