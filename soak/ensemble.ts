/**
 * `npm run soak -- ensemble`: three ZooKeeper servers of ours, all of them processes, under load, while leader and
 * followers are killed, paused and cut off in turn. What the load may hear is in `test/compat/ensemble/load.ts`.
 *
 *     --minutes N       how long (default: 15)
 *     --against apache  Apache's servers instead, to show that the load asks for what ZooKeeper promises
 */
import { nodePlatform } from '../src/platform/node/index.ts'
import { Load } from '../test/compat/ensemble/load.ts'
import { assertSameTrees } from '../test/compat/ensemble/tree.ts'
import { Ensemble, type EnsembleServer, type Implementation, sleep, until, usageOf } from '../test/peers/index.ts'
import { Networks, inOwnNetworks } from './networks.ts'

export interface EnsembleSoakOptions {
  readonly minutes: number
  readonly implementation: Implementation
}

const SERVERS = 3
const SESSION_TIMEOUT_MS = 6000
/** Shorter and longer than what servers wait for each other (three ticks of a second), and than a session. */
const SHORT_MS = 1500
const LONG_MS = 9000
const DOWN_MS = 2000
const CALM_MS = 3000
/** Leaders and followers are back in office within that time, and every writer goes on. */
const BACK_MS_MAX = 40_000
const MORTAL_EVERY_MS = 3000
const SAMPLE_MS = 2000
const MIB = 2 ** 20
/** A server under this load has no reason to hold more. */
const RESIDENT_MIB_MAX = 256

const platform = nodePlatform({ logLevel: 'error' })

/** Returns the exit code. */
export async function soakEnsemble({ minutes, implementation }: EnsembleSoakOptions): Promise<number> {
  const inside = await inOwnNetworks()
  if (inside !== null) return inside
  const networks = await Networks.create(SERVERS)
  if (networks === null) console.log('no namespaces for networks here: servers are killed and paused, not cut off')
  const ensemble = await Ensemble.start({
    servers: Array<Implementation>(SERVERS).fill(implementation),
    properties: { syncLimit: 3, snapCount: 5000, 'autopurge.purgeInterval': 1, 'autopurge.snapRetainCount': 3 },
    ...(networks === null ? {} : { places: networks.places }),
  })
  const faults: string[] = []
  // Two that go from server to server, and one at each server, which meets it in every state.
  const connects = [ensemble.connect, ensemble.connect, ...ensemble.servers.map(({ address }) => address)]
  const load = new Load({
    platform,
    connects,
    root: '/soak',
    sessionTimeoutMs: SESSION_TIMEOUT_MS,
    pauseMs: 3,
    mortalEveryMs: MORTAL_EVERY_MS,
  })
  try {
    await load.start()
    const disturbance = new Disturbance(ensemble, networks)
    const memory = new Memory(ensemble)
    await disturbed(minutes, disturbance, load, faults)
    memory.stop()
    await load.stop()
    await load.verify()
    const nodes = await assertSameTrees(platform, ensemble).catch((error: Error) => void faults.push(error.message))
    faults.push(...load.faults)
    return report(load, disturbance, memory, nodes ?? 0, faults)
  } finally {
    await load.close().catch(() => {})
    await ensemble.close()
  }
}

async function disturbed(minutes: number, disturbance: Disturbance, load: Load, faults: string[]): Promise<void> {
  const startMs = performance.now()
  const endMs = startMs + minutes * 60_000
  let printed = 0
  for (let turn = 0; performance.now() < endMs && faults.length + load.faults.length === 0; turn++) {
    const what = disturbance.kinds[turn % disturbance.kinds.length]!
    try {
      await what.disturb()
      await disturbance.recovered(load)
    } catch (error) {
      faults.push(`turn ${turn}, ${what.name}: ${told(error)}`)
    }
    disturbance.counts[what.name] = (disturbance.counts[what.name] ?? 0) + 1
    const minute = Math.floor((performance.now() - startMs) / 60_000)
    if (minute > printed) {
      printed = minute
      const { acknowledged, unknown, reads, expired, mortals } = load.report()
      console.log(
        `minute ${minute}: ${turn + 1} disturbances, ${acknowledged} writes acknowledged, ${unknown} in doubt, ${reads} reads, ` +
          `${expired} sessions expired, ${mortals} mortal ones gone`,
      )
    }
    await sleep(CALM_MS)
  }
}

interface Kind {
  name: string
  disturb(): Promise<void>
}

/** Everything that is done to the servers; afterwards all of them run, and reach each other. */
class Disturbance {
  readonly #ensemble: Ensemble
  readonly #networks: Networks | null
  readonly counts: Record<string, number> = {}
  readonly kinds: readonly Kind[]

  constructor(ensemble: Ensemble, networks: Networks | null) {
    this.#ensemble = ensemble
    this.#networks = networks
    const leader = (): Promise<EnsembleServer> => ensemble.leader()
    const follower = (): Promise<EnsembleServer> => this.#follower()
    const always: Kind[] = [
      { name: 'leader killed', disturb: async () => this.#kill([await leader()]) },
      { name: 'follower paused', disturb: async () => this.#pause(await follower(), LONG_MS) },
      { name: 'follower killed', disturb: async () => this.#kill([await follower()]) },
      { name: 'leader paused', disturb: async () => this.#pause(await leader(), LONG_MS) },
      { name: 'leader paused shortly', disturb: async () => this.#pause(await leader(), SHORT_MS) },
      { name: 'leader and follower killed', disturb: async () => this.#kill([await leader(), await follower()]) },
      { name: 'all killed', disturb: () => this.#kill(ensemble.servers) },
    ]
    const cuts: Kind[] = [
      { name: 'leader unplugged', disturb: async () => this.#unplug(await leader(), LONG_MS) },
      { name: 'leader cut off from its followers', disturb: async () => this.#block(await leader(), 'both') },
      { name: 'follower unplugged', disturb: async () => this.#unplug(await follower(), LONG_MS) },
      { name: 'leader heard by nobody', disturb: async () => this.#block(await leader(), 'outward') },
      { name: 'leader unplugged shortly', disturb: async () => this.#unplug(await leader(), SHORT_MS) },
      { name: 'follower heard by nobody', disturb: async () => this.#block(await follower(), 'outward') },
      { name: 'follower cut off from the others', disturb: async () => this.#block(await follower(), 'both') },
    ]
    // One of these, one of those.
    this.kinds = networks === null ? always : always.flatMap((kind, index) => [kind, cuts[index]!])
  }

  /** Everybody has a place, and every writer goes on. */
  async recovered(load: Load): Promise<void> {
    await this.#ensemble.ready(BACK_MS_MAX)
    const before = load.acknowledgedByEach
    await until(
      'every writer goes on',
      () => load.acknowledgedByEach.every((count, index) => count > before[index]!),
      BACK_MS_MAX,
    )
  }

  async #follower(): Promise<EnsembleServer> {
    const leader = await this.#ensemble.leader()
    const followers = this.#ensemble.servers.filter((server) => server !== leader)
    return followers[Math.floor(Math.random() * followers.length)]!
  }

  async #kill(servers: readonly EnsembleServer[]): Promise<void> {
    await Promise.all(servers.map((server) => server.kill()))
    await sleep(DOWN_MS)
    for (const server of servers) server.start()
  }

  async #pause(server: EnsembleServer, ms: number): Promise<void> {
    server.pause()
    await sleep(ms)
    server.resume()
  }

  async #unplug(server: EnsembleServer, ms: number): Promise<void> {
    await this.#networks!.unplug(server.id)
    await sleep(ms)
    await this.#networks!.plug(server.id)
  }

  /** Its clients still reach it. */
  async #block(server: EnsembleServer, ways: 'both' | 'outward'): Promise<void> {
    const others = this.#ensemble.servers.filter((other) => other !== server)
    const pairs = others.flatMap(({ id }) => [
      [server.id, id] as const,
      ...(ways === 'both' ? [[id, server.id] as const] : []),
    ])
    for (const [from, to] of pairs) await this.#networks!.block(from, to)
    await sleep(LONG_MS)
    for (const [from, to] of pairs) await this.#networks!.unblock(from, to)
  }
}

/** The most that any of the servers ever held. */
class Memory {
  residentBytesMax = 0
  readonly #timer: NodeJS.Timeout

  constructor(ensemble: Ensemble) {
    this.#timer = setInterval(() => {
      for (const server of ensemble.running)
        try {
          this.residentBytesMax = Math.max(this.residentBytesMax, usageOf(server.pid).residentBytes)
        } catch {
          // It has just been killed.
        }
    }, SAMPLE_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

function report(load: Load, { counts }: Disturbance, memory: Memory, nodes: number, faults: string[]): number {
  const { acknowledged, unknown, happened, reads, expired, mortals } = load.report()
  const residentMib = memory.residentBytesMax / MIB
  if (residentMib > RESIDENT_MIB_MAX) faults.push(`a server held ${residentMib.toFixed(0)} MiB`)
  for (const [name, count] of Object.entries(counts)) console.log(`${count} times: ${name}`)
  console.log(
    `${acknowledged} writes acknowledged; of ${unknown} in doubt at least ${happened} happened; ${reads} reads`,
  )
  console.log(`${expired} sessions of writers expired; ${mortals} were left alone and went in their time`)
  console.log(`${nodes} nodes, the same on every server; at most ${residentMib.toFixed(0)} MiB resident`)
  for (const fault of faults) console.log(`fault: ${fault}`)
  console.log(faults.length === 0 ? 'good' : 'NOT GOOD')
  return faults.length === 0 ? 0 : 1
}

function told(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${told(error.cause)}`
}
