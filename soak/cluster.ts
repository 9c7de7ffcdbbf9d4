/**
 * `npm run soak -- cluster`: three brokers of ours and their ZooKeeper, all of them processes, under our producer and consumer, while
 * leader, controller, follower and ZooKeeper are killed, paused and cut off in turn.
 *
 *     --minutes N    how long (default: 15)
 *     --rate N       records a second (default: 1000)
 *
 * Record n of a partition must lie at offset n and reach the consumer after record n − 1; afterwards the replicas' files are equal. Tells
 * for how long a partition took no record, by kind of disturbance; the brokers' session timeout, six seconds, is part of that.
 */
import { Cluster, sleep, until, type Server } from '../test/peers/index.ts'
import { ClientWatch } from './client-watch.ts'
import type { SoakOptions } from './clients.ts'
import { Networks, inOwnNetworks } from './networks.ts'

const TOPIC = 'soak'
const PARTITIONS = 3
const BROKERS = [1, 2, 3]
/** Its place among the networks. */
const ZOOKEEPER = 4
const DOWN_MS = 3000
/** Shorter and longer than the brokers' sessions. */
const SHORT_MS = 2000
const LONG_MS = 9000
const CALM_MS = 3000
const BACK_MS_MAX = 60_000

/** Returns the exit code. */
export async function soakCluster({ minutes, rate }: SoakOptions): Promise<number> {
  const inside = await inOwnNetworks()
  if (inside !== null) return inside
  const networks = await Networks.create(BROKERS.length + 1)
  if (networks === null) console.log('no namespaces for networks here: servers are killed and paused, not cut off')
  const cluster = await Cluster.start({
    brokers: BROKERS.length,
    implementation: 'samsa',
    properties: { 'min.insync.replicas': 2, 'replica.lag.time.max.ms': 6000 },
    ...(networks === null ? {} : { places: networks.places }),
  })
  let watch: ClientWatch | null = null
  try {
    await cluster.createTopic({ name: TOPIC, partitions: PARTITIONS, replicationFactor: BROKERS.length })
    const { bootstrap: bootstrapServers } = cluster
    watch = new ClientWatch({ bootstrapServers, topic: TOPIC, partitions: PARTITIONS, rate }, minutes)
    const disturbance = new Disturbance(cluster, networks)
    const faults = await disturbed(minutes, disturbance, watch)
    const last = await watch.stop()
    faults.push(...last.faults)
    if (!last.isComplete) faults.push('not everything was acknowledged and consumed')
    await Promise.all(cluster.brokers.map((server) => server.stop(60_000)))
    faults.push(...cluster.differing([TOPIC], PARTITIONS).map((name) => `the replicas of ${name} differ`))
    disturbance.print()
    console.log(
      `${last.sent} sent, ${last.acknowledged} acknowledged, ${last.consumed} consumed, ${last.redelivered} given again`,
    )
    for (const fault of faults) console.log(`fault: ${fault}`)
    console.log(faults.length === 0 ? 'good' : 'NOT GOOD')
    return faults.length === 0 ? 0 : 1
  } finally {
    watch?.kill()
    await cluster.close()
  }
}

async function disturbed(minutes: number, disturbance: Disturbance, watch: ClientWatch): Promise<string[]> {
  const endMs = performance.now() + minutes * 60_000
  for (let turn = 0; performance.now() < endMs && !watch.hasEnded; turn++) {
    await sleep(CALM_MS)
    const kind = disturbance.kinds[turn % disturbance.kinds.length]!
    try {
      watch.beginAnew()
      await kind.disturb()
      await disturbance.recovered(watch)
      disturbance.note(kind.name, watch.last!.longestPauseMs)
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : ''
      return [`turn ${turn}, ${kind.name}: ${String(error)}${cause}`]
    }
  }
  return []
}

interface Kind {
  readonly name: string
  disturb(): Promise<unknown>
}

/** Everything that is done to the servers; afterwards all of them run, and reach each other. */
class Disturbance {
  readonly kinds: readonly Kind[]
  readonly #cluster: Cluster
  readonly #networks: Networks | null
  /** Pauses in ms, by what was done. */
  readonly #pauses = new Map<string, number[]>()

  constructor(cluster: Cluster, networks: Networks | null) {
    this.#cluster = cluster
    this.#networks = networks
    const roles: Record<string, () => Promise<number>> = {
      leader: () => this.#leader(),
      controller: async () => (await cluster.metadata()).controllerId,
      follower: async () => ((await this.#leader()) % BROKERS.length) + 1,
    }
    const ofRoles = Object.entries(roles).flatMap(([role, find]): Kind[] => [
      { name: `${role} killed`, disturb: async () => this.#kill(cluster.byId(await find())) },
      { name: `${role} paused`, disturb: async () => this.#pause(cluster.byId(await find()), LONG_MS) },
      { name: `${role} paused shortly`, disturb: async () => this.#pause(cluster.byId(await find()), SHORT_MS) },
      ...(networks === null
        ? []
        : [
            { name: `${role} unplugged`, disturb: async () => this.#unplug(await find(), LONG_MS) },
            { name: `${role} cut off from ZooKeeper`, disturb: async () => this.#block(await find(), [ZOOKEEPER]) },
            {
              name: `${role} heard by no other broker`,
              disturb: async () => {
                const id = await find()
                await this.#block(
                  id,
                  BROKERS.filter((other) => other !== id),
                )
              },
            },
          ]),
    ])
    const zookeeper = cluster.zookeeper!
    const ofZooKeeper: Kind[] = [
      { name: 'ZooKeeper killed', disturb: () => this.#kill(zookeeper) },
      { name: 'ZooKeeper paused', disturb: () => this.#pause(zookeeper, LONG_MS) },
      { name: 'two brokers killed', disturb: async () => this.#kill(cluster.byId(1), cluster.byId(3)) },
      { name: 'all brokers killed', disturb: () => this.#kill(...cluster.brokers) },
    ]
    if (networks !== null)
      ofZooKeeper.push({ name: 'ZooKeeper unplugged', disturb: () => this.#unplug(ZOOKEEPER, LONG_MS) })
    this.kinds = [...ofRoles, ...ofZooKeeper]
  }

  /** Everything is in sync, and every partition takes records again. */
  async recovered(watch: ClientWatch): Promise<void> {
    await this.#cluster.ready(BACK_MS_MAX)
    await until(
      'everything is in sync',
      async () => {
        const { topics } = await this.#cluster.metadata([TOPIC])
        return topics[0]!.partitions.every(({ isr, leader }) => leader > 0 && isr.length === BROKERS.length)
      },
      BACK_MS_MAX,
    )
    const before = watch.last?.acknowledged ?? 0
    await until('records are acknowledged', () => (watch.last?.acknowledged ?? 0) > before, BACK_MS_MAX)
  }

  note(kind: string, pauseMs: number): void {
    console.log(`${kind}: ${(pauseMs / 1000).toFixed(1)} s`)
    this.#pauses.set(kind, [...(this.#pauses.get(kind) ?? []), pauseMs])
  }

  print(): void {
    for (const [kind, pauses] of this.#pauses)
      console.log(
        `${kind}, ${pauses.length} times: no record for ${(Math.max(...pauses) / 1000).toFixed(1)} s at most, ` +
          `${(pauses.reduce((sum, ms) => sum + ms, 0) / pauses.length / 1000).toFixed(1)} s on average`,
      )
  }

  async #leader(): Promise<number> {
    return this.#cluster.brokers.indexOf(await this.#cluster.leaderOf(TOPIC)) + 1
  }

  async #kill(...servers: Server[]): Promise<void> {
    await Promise.all(servers.map((server) => server.kill()))
    await sleep(DOWN_MS)
    await Promise.all(servers.map((server) => server.startAgain()))
  }

  async #pause(server: Server, ms: number): Promise<void> {
    server.pause()
    await sleep(ms)
    server.resume()
  }

  async #unplug(id: number, ms: number): Promise<void> {
    await this.#networks!.unplug(id)
    await sleep(ms)
    await this.#networks!.plug(id)
  }

  /** What it sends to them vanishes; clients are as before. */
  async #block(id: number, others: readonly number[]): Promise<void> {
    for (const other of others) await this.#networks!.block(id, other)
    await sleep(LONG_MS)
    for (const other of others) await this.#networks!.unblock(id, other)
  }
}
