/**
 * Brokers killed with SIGKILL under load: the leader, the controller, then all three at once. With acks=all nothing
 * acknowledged is missing, an idempotent producer's records are not doubled, and producing goes on in time.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Cluster, SESSION_TIMEOUT_MS, type Server, TARGET, sleep, until } from '../../peers/index.ts'
import { Load } from './load.ts'

const PARTITIONS = 3
const RATE = 1000
/** Every partition has a leader within the session timeout plus this. */
const TAKEOVER_MS = 2000
const PROGRESS_TIMEOUT_MS = 30_000

let cluster: Cluster
let loads: Load[]

before(async () => {
  cluster = await Cluster.start({ brokers: 3, properties: { 'min.insync.replicas': 2 } })
  for (const topic of ['java', 'librdkafka'])
    await cluster.createTopic({ name: topic, partitions: PARTITIONS, replicationFactor: 3 })
  loads = [Load.java(cluster, 'java', RATE), Load.librdkafka(cluster, 'librdkafka', RATE)]
  await progress(Date.now(), PROGRESS_TIMEOUT_MS)
})

after(async () => {
  await Promise.all(loads?.map((load) => load.stop()) ?? [])
  await cluster?.close()
})

test('the leader of a partition is killed', async (context) => {
  context.diagnostic(await killed(await cluster.leaderOf('java', 0)))
})

test('the controller is killed', async (context) => {
  const { controllerId } = await cluster.metadata()
  context.diagnostic(await killed(cluster.byId(controllerId)))
  const { controllerId: next } = await cluster.metadata()
  assert.notEqual(next, controllerId, 'another broker is the controller')
})

test('all three are killed at once', async (context) => {
  await Promise.all(cluster.brokers.map((server) => server.kill()))
  await Promise.all(cluster.brokers.map((server) => server.startAgain()))
  await cluster.ready()
  const back = Date.now()
  await progress(back, PROGRESS_TIMEOUT_MS)
  context.diagnostic(`producing goes on ${gap(back)} ms after all are back`)
  await inSync()
})

test('nothing acknowledged is missing, nothing is doubled', async (context) => {
  await Promise.all(loads.map((load) => load.stop()))
  for (const load of loads) {
    const { acknowledged, missing, doubled } = await load.account()
    context.diagnostic(`${load.topic}: ${acknowledged} records acknowledged`)
    assert.ok(acknowledged > 5 * RATE, `${load.topic}: only ${acknowledged} acknowledged`)
    assert.deepEqual({ missing, doubled }, { missing: [], doubled: [] }, load.topic)
  }
  loads = []
})

/** Kills a broker, sees producing go on, lets the broker return. */
async function killed(server: Server): Promise<string> {
  await server.kill()
  const at = Date.now()
  const id = cluster.brokers.indexOf(server) + 1
  await until('what it led has other leaders', () => leadsNothing(id), PROGRESS_TIMEOUT_MS, 20)
  const took = Date.now() - at
  await progress(at, PROGRESS_TIMEOUT_MS)
  const producers = gap(at)
  // Let it be missed for a while, so that it has something to catch up with.
  await sleep(2000)
  await server.startAgain()
  await cluster.ready()
  await inSync()
  if (TARGET === 'samsa')
    assert.ok(took <= SESSION_TIMEOUT_MS + TAKEOVER_MS, `${server.name}: others lead only after ${took} ms`)
  return `${server.name}: others lead after ${took} ms, producing goes on after ${producers} ms`
}

async function leadsNothing(id: number): Promise<boolean> {
  const { topics } = await cluster.metadata(['java', 'librdkafka'])
  return topics.every(({ partitions }) => partitions.every(({ leader }) => leader !== id && leader > 0))
}

async function progress(since: number, timeoutMs: number): Promise<void> {
  await Promise.all(loads.map((load) => load.progress(PARTITIONS, since, timeoutMs)))
}

function gap(since: number): number {
  return Math.max(...loads.map((load) => load.gapAfter(since)))
}

/** The returned broker has caught up and is in every ISR again. */
async function inSync(): Promise<void> {
  await until(
    'every ISR is whole',
    async () => {
      const { topics } = await cluster.metadata(['java', 'librdkafka'])
      return topics.every(({ partitions }) => partitions.every(({ isr }) => isr.length === 3))
    },
    PROGRESS_TIMEOUT_MS,
  )
}
