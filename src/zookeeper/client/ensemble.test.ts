/** Three servers in a simulated world, and clients that are moved from one to another. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { World, type SimulatedProcess } from '#simulation'
import { CreateMode } from '#zookeeper/protocol'
import { ZooKeeperServer, parseZooCfg } from '#zookeeper/server'

import { ZooKeeperClient } from './client.ts'
import type { SessionEvent } from './retrying.ts'

const SIDS = [1, 2, 3]
const LINES = SIDS.map((sid) => `server.${sid}=zoo${sid}:2888:3888`).join('\n')
const CONFIG = `dataDir=/data\nclientPort=2181\ntickTime=1000\ninitLimit=10\nsyncLimit=5\npreAllocSize=64\nreadonlymode.enabled=true\n${LINES}`
const CONNECT = SIDS.map((sid) => `zoo${sid}:2181`).join()
const SETTLE_MS = 30_000

class Fixture {
  readonly world: World
  readonly #servers = new Map<string, ZooKeeperServer>()

  constructor(seed: number) {
    this.world = new World(seed)
    for (const sid of SIDS) this.start(this.world.process(`zoo${sid}`), sid)
  }

  start(machine: SimulatedProcess, sid: number): void {
    machine.start(async (platform) => {
      const server = await ZooKeeperServer.start(platform, parseZooCfg(CONFIG, { sid }).config)
      this.#servers.set(machine.name, server)
      await server.stopped
    })
  }

  async client(name: string, options: { readOnly?: boolean } = {}): Promise<ZooKeeperClient> {
    const found: ZooKeeperClient[] = []
    this.world.process(name).start(async (platform) => {
      found.push(await ZooKeeperClient.connect(platform, { connect: CONNECT, sessionTimeoutMs: 8000, ...options }))
      await new Promise(() => {})
    })
    await this.until(`${name} is connected`, () => found.length > 0)
    return found[0]!
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    assert.ok(await this.world.runUntil(holds, SETTLE_MS), `${what}: not within ${SETTLE_MS} ms`)
  }

  /** What the promise brings; the world goes on meanwhile. */
  async get<T>(promise: Promise<T>): Promise<T> {
    let outcome: { value: T } | { error: unknown } | null = null
    promise.then(
      (value) => (outcome = { value }),
      (error: unknown) => (outcome = { error }),
    )
    await this.until('an answer', () => outcome !== null)
    const settled = outcome as unknown as { value: T } | { error: Error }
    if ('error' in settled) throw settled.error
    return settled.value
  }

  hostOf(client: ZooKeeperClient): SimulatedProcess {
    return this.world.process(client.server!.host)
  }

  crash(machine: SimulatedProcess): void {
    machine.crash()
    this.#servers.delete(machine.name)
  }
}

test('a client keeps its session, its ephemeral znode and its watches when its server dies', async () => {
  const fixture = new Fixture(1)
  const client = await fixture.client('client')
  const seen: string[] = []
  const sessions: SessionEvent[] = []
  client.onSession((event) => sessions.push(event))
  await fixture.get(client.create('/a', null))
  await fixture.get(client.create('/a/mine', null, { mode: CreateMode.ephemeral }))
  await fixture.get(client.getData('/a', ({ kind }) => seen.push(`once ${kind}`)))
  await fixture.get(client.addWatch('/a', 'recursive', ({ kind, path }) => seen.push(`${kind} ${path}`)))
  const { sessionId } = client
  const first = fixture.hostOf(client)

  fixture.crash(first)
  await fixture.until('it is elsewhere', () => sessions.at(-1) === 'connected')
  assert.deepEqual(sessions, ['disconnected', 'connected'])
  assert.equal(client.sessionId, sessionId)
  assert.notEqual(fixture.hostOf(client), first)

  const other = await fixture.client('other')
  await fixture.get(other.retrying.setData('/a', new Uint8Array([1])))
  await fixture.get(other.retrying.create('/a/new', null))
  await fixture.until('both watches have told', () => seen.length === 3)
  assert.deepEqual(seen, ['once dataChanged', 'dataChanged /a', 'created /a/new'])
  await fixture.world.run(20_000)
  const stat = await fixture.get(other.retrying.exists('/a/mine'))
  assert.equal(stat?.ephemeralOwner, sessionId)
})

test('a client that dies takes its ephemeral znode with it, soon after its timeout', async () => {
  const fixture = new Fixture(2)
  const [client, other] = [await fixture.client('client'), await fixture.client('other')]
  await fixture.get(client.create('/mine', null, { mode: CreateMode.ephemeral }))
  let deleted = false
  await fixture.get(other.sync('/'))
  await fixture.get(other.exists('/mine', () => (deleted = true)))
  fixture.world.process('client').crash()
  await fixture.world.run(6000)
  assert.equal(deleted, false)
  await fixture.until('it is gone', () => deleted)
})

test('without a quorum a client that is content with reads has them, and goes back to one that has it', async () => {
  const fixture = new Fixture(3)
  const writer = await fixture.client('writer')
  await fixture.get(writer.create('/a', new Uint8Array([7])))
  await fixture.get(writer.close())
  await fixture.world.run(5000)
  const lost = ['zoo2', 'zoo3'].map((name) => fixture.world.process(name))
  for (const machine of lost) fixture.crash(machine)
  await fixture.world.run(10_000)

  const reader = await fixture.client('reader', { readOnly: true })
  assert.ok(reader.isReadOnly)
  assert.equal((await fixture.get(reader.getData('/a'))).data?.[0], 7)
  await assert.rejects(fixture.get(reader.setData('/a', null)), { message: 'NOTREADONLY (/a)' })

  for (const [index, machine] of lost.entries()) fixture.start(machine, index + 2)
  await fixture.until('it writes', () => reader.isConnected && !reader.isReadOnly)
  await fixture.get(reader.retrying.setData('/a', new Uint8Array([8])))
  assert.equal((await fixture.get(reader.getData('/a'))).data?.[0], 8)
})
