/** Clusters of both kinds of brokers: under load, and what Apache's tools do to it. */
import { Cluster, type Implementation, ToolServer, Wire, metadata, until } from '../../peers/index.ts'
import { Load } from '../faults/load.ts'

const RATE = 300
const PROGRESS_TIMEOUT_MS = 60_000

export const MIXES: readonly (readonly Implementation[])[] = [
  ['samsa', 'samsa', 'apache'],
  ['apache', 'apache', 'samsa'],
]

export const PARTITIONS = 3
/** Under load the whole time, each by another producer. */
export const TOPICS = ['java', 'librdkafka'] as const

export class Mixed {
  readonly cluster: Cluster
  readonly tools = new ToolServer()
  readonly #loads: Load[] = []

  private constructor(cluster: Cluster) {
    this.cluster = cluster
  }

  static async start(implementations: readonly Implementation[]): Promise<Mixed> {
    const properties = { 'min.insync.replicas': 2, 'replica.lag.time.max.ms': 10_000 }
    const mixed = new Mixed(await Cluster.start({ implementations, properties, heap: '384M' }))
    try {
      for (const name of TOPICS) await mixed.cluster.createTopic({ name, partitions: PARTITIONS, replicationFactor: 3 })
      mixed.#loads.push(Load.java(mixed.cluster, 'java', RATE), Load.librdkafka(mixed.cluster, 'librdkafka', RATE))
      await mixed.progress()
      return mixed
    } catch (error) {
      await mixed.close()
      throw error
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#loads.map((load) => load.stop()))
    await this.tools.close()
    await this.cluster.close()
  }

  /** Runs a tool of Apache's and gives what it printed. */
  async run(tool: Parameters<ToolServer['run']>[0], args: readonly string[], input?: string): Promise<string> {
    const options = input === undefined ? {} : { input }
    return (await this.tools.run(tool, ['--bootstrap-server', this.cluster.bootstrap, ...args], options)).stdout
  }

  /** Every partition has acknowledged something since now. */
  async progress(): Promise<void> {
    const now = Date.now()
    await Promise.all(this.#loads.map((load) => load.progress(PARTITIONS, now, PROGRESS_TIMEOUT_MS)))
  }

  async inSync(topics: readonly string[] = TOPICS): Promise<void> {
    await until(
      'every ISR is whole',
      async () => {
        const seen = await this.cluster.metadata([...topics])
        return seen.topics.every(({ partitions }) =>
          partitions.every(({ isr, replicas, leader }) => leader > 0 && isr.length === replicas.length),
        )
      },
      PROGRESS_TIMEOUT_MS,
      100,
    )
  }

  /** Every broker knows the topic with so many partitions. */
  async known(topic: string, partitions: number): Promise<void> {
    for (const { address, name } of this.cluster.brokers)
      await until(`${name} knows ${topic}`, async () => {
        const seen = await Wire.ask(address, (wire) => metadata(wire, [topic]))
        return seen.topics[0]?.partitions.length === partitions
      })
  }

  /** The others stand still while a new controller is elected, and learn afterwards that they are not it. */
  async makeController(id: number): Promise<void> {
    const { brokers, zookeeper } = this.cluster
    const others = brokers.filter((server) => server !== this.cluster.byId(id))
    for (const server of others) server.pause()
    try {
      await this.tools.run('zookeeper-shell', ['-server', zookeeper!.address, 'delete', '/controller'])
      await until(`broker ${id} is the controller`, async () => (await this.#elected()) === id, 5000, 20)
    } finally {
      for (const server of others) server.resume()
    }
    await this.cluster.ready()
    await until('everybody knows the controller', async () => {
      for (const { address } of brokers) {
        const { controllerId } = await Wire.ask(address, (wire) => metadata(wire))
        if (controllerId !== id) return false
      }
      return true
    })
  }

  async #elected(): Promise<number> {
    const where = ['-server', this.cluster.zookeeper!.address]
    const { stdout } = await this.tools.run('zookeeper-shell', [...where, 'get', '/controller'], { mayFail: true })
    return Number(/"brokerid":(\d+)/.exec(stdout)?.[1] ?? -1)
  }

  /** Everything that was acknowledged is there, once, and the replicas hold the same bytes. */
  async account(): Promise<{ acknowledged: number; missing: string[]; doubled: string[]; differing: string[] }> {
    await Promise.all(this.#loads.map((load) => load.stop()))
    const accounts = await Promise.all(this.#loads.map((load) => load.account()))
    this.#loads.length = 0
    await this.inSync()
    await Promise.all(this.cluster.brokers.map((server) => server.stop(60_000)))
    return {
      acknowledged: Math.min(...accounts.map(({ acknowledged }) => acknowledged)),
      missing: accounts.flatMap(({ missing }) => missing),
      doubled: accounts.flatMap(({ doubled }) => doubled),
      differing: this.cluster.differing(TOPICS, PARTITIONS),
    }
  }
}

/** Waits until every broker knows the partitions with exactly these replicas, and all of them in sync. */
export async function assigned(
  { brokers }: Cluster,
  topic: string,
  replicas: readonly (readonly number[])[],
): Promise<void> {
  for (const { name, address } of brokers)
    await until(`${name} knows the replicas of ${topic}`, async () => {
      const { topics } = await Wire.ask(address, (wire) => metadata(wire, [topic]))
      const found = topics[0]?.partitions ?? []
      if (found.some(({ leader, isr, replicas }) => leader < 0 || isr.length < replicas.length)) return false
      return JSON.stringify(found.map((partition) => partition.replicas)) === JSON.stringify(replicas)
    })
}
