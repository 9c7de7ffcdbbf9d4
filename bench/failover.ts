/**
 * `node bench/failover.ts`: what an operator and a producer notice when brokers come and go, Apache's cluster and ours in turn, at the
 * same settings: three brokers, replication factor 3, a producer with acks=all on every partition of a topic.
 *
 *     --rounds 5       how often each is measured
 *     --only samsa     one side
 *
 * What it costs at least, before the clock: a session that is not renewed ends `zookeeper.session.timeout.ms` later, the same for both
 * sides; after that the controller reads and writes a znode per partition (600 of them, in batches on one connection) and sends each
 * broker one request. A clean stop needs no timeout: the same writes, and the request that asks for them.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { Admin, Producer } from '../src/samsa-client.ts'
import { nodePlatform } from '../src/platform/node/index.ts'
import { ZooKeeperClient } from '../src/zookeeper/client/index.ts'
import {
  CACHE,
  Cluster,
  IMPLEMENTATIONS,
  ROOT,
  Wire,
  metadata,
  sleep,
  until,
  type Implementation,
  type Server,
} from '../test/peers/index.ts'
import { build } from '../tools/build.ts'
import { scriptOptions } from '../tools/options.ts'
import { quiet } from './gate.ts'
import { writeBetween } from './report.ts'

const PARTITIONS = 600
const LOADED_PARTITIONS = 12
const CREATED_PARTITIONS = 1000
const RECORDS_PER_SECOND = 500
const POLL_MS = 5

const BEGIN = '<!-- Written by `node bench/failover.ts`; changes here are overwritten. -->'
const END = '<!-- End of what `node bench/failover.ts` writes. -->'

const options = scriptOptions({ rounds: 5, only: IMPLEMENTATIONS })

/** ms by what was measured, one for each round. */
type Figures = Map<string, number[]>

const ROWS = [
  'create a topic of 1,000 partitions, until every broker knows its leaders',
  'SIGTERM: until its partitions are led elsewhere',
  'SIGTERM: until the process is gone',
  'SIGTERM: longest pause of a producer',
  'SIGKILL: from the end of its registration until all of its partitions are led elsewhere',
  'SIGKILL: longest pause of a producer, session timeout of 6 s included',
  'SIGKILL of the controller: from the end of its registration until all of its partitions are led elsewhere',
  'SIGKILL of the controller: longest pause of a producer, session timeout included',
] as const

async function main(): Promise<void> {
  process.env['SAMSA_BUILT'] = '1'
  await build()
  const all = new Map<Implementation, Figures>()
  for (const implementation of IMPLEMENTATIONS) {
    if (options.only !== undefined && options.only !== implementation) continue
    await quiet()
    const figures = await measure(implementation, options.rounds)
    all.set(implementation, figures)
    for (const [row, ms] of figures)
      console.log(`${implementation}\t${row}\t${ms.map((each) => each.toFixed(0)).join(' ')}`)
  }
  remember(all)
}

async function measure(implementation: Implementation, rounds: number): Promise<Figures> {
  const figures: Figures = new Map()
  const note = (row: (typeof ROWS)[number], ms: number): void => {
    figures.set(row, [...(figures.get(row) ?? []), ms])
  }
  const cluster = await Cluster.start({
    brokers: 3,
    implementation,
    heap: '1G',
    properties: { 'min.insync.replicas': 2 },
  })
  const zk = await ZooKeeperClient.connect(nodePlatform({ logLevel: 'error' }), {
    connect: cluster.zookeeperConnect,
    sessionTimeoutMs: 10_000,
  })
  try {
    await cluster.createTopic({ name: 'loaded', partitions: LOADED_PARTITIONS, replicationFactor: 3 })
    await cluster.createTopic({ name: 'many', partitions: PARTITIONS, replicationFactor: 3 })
    for (let round = 0; round < rounds; round++) {
      const begun = performance.now()
      await cluster.createTopic({ name: `created-${round}`, partitions: CREATED_PARTITIONS, replicationFactor: 3 })
      note(ROWS[0], performance.now() - begun)
      await balanced(cluster)

      const { controllerId } = await cluster.metadata()
      const plain = [1, 2, 3].filter((id) => id !== controllerId)
      const clean = await stopped(cluster, plain[round % 2]!, zk, 'SIGTERM')
      note(ROWS[1], clean.ledElsewhereMs)
      note(ROWS[2], clean.goneMs)
      note(ROWS[3], clean.pauseMs)
      await back(cluster)
      const killed = await stopped(cluster, plain[(round + 1) % 2]!, zk, 'SIGKILL')
      note(ROWS[4], killed.ledElsewhereMs - killed.registrationMs)
      note(ROWS[5], killed.pauseMs)
      await back(cluster)
      const controller = await stopped(cluster, (await cluster.metadata()).controllerId, zk, 'SIGKILL')
      note(ROWS[6], controller.ledElsewhereMs - controller.registrationMs)
      note(ROWS[7], controller.pauseMs)
      await back(cluster)
    }
    return figures
  } finally {
    await zk.close()
    await cluster.close()
  }
}

interface Departure {
  readonly registrationMs: number
  readonly ledElsewhereMs: number
  readonly goneMs: number
  readonly pauseMs: number
}

/** Ends a broker under load, and watches. */
async function stopped(
  cluster: Cluster,
  id: number,
  zk: ZooKeeperClient,
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<Departure> {
  const server = cluster.byId(id)
  await using load = new Load(cluster)
  await load.running()
  const begun = performance.now()
  const since = (): number => performance.now() - begun
  const ended = signal === 'SIGTERM' ? server.stop(120_000) : server.kill()
  const gone = ended.then(since)
  const registration = until(
    'the registration has ended',
    async () => ((await zk.exists(`/brokers/ids/${id}`)) === null ? since() : null),
    60_000,
    POLL_MS,
  )
  const witness = cluster.brokers.find((other) => other !== server)!
  const ledElsewhere = until(
    'its partitions are led elsewhere',
    async () => ((await leads(witness, id)) ? null : since()),
    120_000,
    POLL_MS,
  )
  const [goneMs, registrationMs, ledElsewhereMs] = await Promise.all([gone, registration, ledElsewhere])
  return { goneMs, registrationMs, ledElsewhereMs, pauseMs: await load.longestPauseSince(begun) }
}

async function leads(witness: Server, id: number): Promise<boolean> {
  const { topics } = await Wire.ask(witness.address, (wire) => metadata(wire, ['many', 'loaded']))
  return topics.some(({ partitions }) => partitions.some(({ leader }) => leader === id || leader < 0))
}

/** The broker that went is there again, in sync, and leads what it prefers to. */
async function back(cluster: Cluster): Promise<void> {
  for (const server of cluster.brokers) if (!server.running) await server.startAgain()
  await cluster.ready()
  await balanced(cluster)
}

async function balanced(cluster: Cluster): Promise<void> {
  await using admin = new Admin({ bootstrapServers: cluster.bootstrap })
  await until(
    'everything is in sync and led by whom it should be',
    async () => {
      const topics = await admin.describeTopics(null)
      const unwell = topics.some(({ partitions }) =>
        partitions.some(({ isr, replicas }) => isr.length < replicas.length),
      )
      if (unwell) return false
      if (topics.every(({ partitions }) => partitions.every(({ leader, replicas }) => leader === replicas[0])))
        return true
      await admin.partitions.electLeaders('preferred')
      return false
    },
    120_000,
    200,
  )
}

/** Records at a steady pace to every partition of a topic, and when each of those was acknowledged. */
class Load {
  readonly #producer: Producer
  readonly #acknowledged = Array.from({ length: LOADED_PARTITIONS }, (): number[] => [])
  readonly #sending: Promise<void>
  #isStopped = false

  constructor(cluster: Cluster) {
    this.#producer = new Producer({
      bootstrapServers: cluster.bootstrap,
      lingerMs: 0,
      retryBackoffMs: 20,
      retryBackoffMaxMs: 100,
      deliveryTimeoutMs: 120_000,
    })
    this.#sending = this.#send()
  }

  async #send(): Promise<void> {
    const value = 'x'.repeat(100)
    const pending = new Set<Promise<void>>()
    for (let count = 0; !this.#isStopped; count++) {
      const partition = count % LOADED_PARTITIONS
      const sent = this.#producer.send('loaded', { partition, value }).then(() => {
        this.#acknowledged[partition]!.push(performance.now())
        pending.delete(sent)
      })
      pending.add(sent)
      await sleep(1000 / RECORDS_PER_SECOND)
    }
    await Promise.all(pending)
  }

  async running(): Promise<void> {
    await until('every partition takes records', () => this.#acknowledged.every((times) => times.length > 20))
  }

  /** The longest time in which a partition acknowledged nothing. */
  async longestPauseSince(begun: number): Promise<number> {
    const now = performance.now()
    await until(
      'every partition goes on',
      () => this.#acknowledged.every((times) => times.at(-1)! > now),
      60_000,
      POLL_MS,
    )
    let longest = 0
    for (const times of this.#acknowledged)
      for (const [index, time] of times.entries())
        if (time > begun && index > 0) longest = Math.max(longest, time - Math.max(begun, times[index - 1]!))
    return longest
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    await this.#sending
    await this.#producer.close()
  }
}

/** Of both sides, kept from run to run, and written down. */
function remember(measured: ReadonlyMap<Implementation, Figures>): void {
  const path = join(CACHE, 'bench/failover.json')
  const kept = existsSync(path)
    ? (JSON.parse(readFileSync(path, 'utf8')) as Record<string, Record<string, number[]>>)
    : {}
  for (const [implementation, figures] of measured) kept[implementation] = Object.fromEntries(figures)
  mkdirSync(join(CACHE, 'bench'), { recursive: true })
  writeFileSync(path, JSON.stringify(kept, null, 1))
  const rows = ROWS.map((row) => {
    const [samsa, apache] = [kept['samsa']?.[row], kept['apache']?.[row]]
    const ratio = samsa === undefined || apache === undefined ? '' : (medianOf(samsa) / medianOf(apache)).toFixed(2)
    return `| ${row} | ${shown(samsa)} | ${shown(apache)} | ${ratio} |`
  })
  const head = ['| what | Samsa, ms | Apache, ms | ratio |', '| --- | --- | --- | --- |']
  writeBetween(join(ROOT, 'docs/performance.md'), [BEGIN, '', ...head, ...rows, '', END].join('\n'), BEGIN, END)
}

function shown(ms: readonly number[] | undefined): string {
  if (ms === undefined) return ''
  return `${medianOf(ms).toFixed(0)} (worst ${Math.max(...ms).toFixed(0)})`
}

function medianOf(ms: readonly number[]): number {
  return ms.toSorted((a, b) => a - b)[Math.floor(ms.length / 2)]!
}

await main()
