/**
 * Ensembles of ZooKeeper servers of either kind, each a process of its own on data that either kind can go on with:
 * a member may be ended in every way and started again, also as the other kind.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'

import { freePorts, removeFolder, temporaryFolder, until } from './processes.ts'
import {
  HERE,
  type Implementation,
  type Place,
  type Properties,
  Server,
  TARGET,
  writeProperties,
  zooKeeperCommand,
} from './servers.ts'

export type Mode = 'leader' | 'follower' | 'observer' | 'standalone' | 'read-only'

export interface EnsembleOptions {
  /** One per server; server N is number N − 1 of them. Three of the target if nothing is said. */
  servers?: readonly Implementation[]
  /** Numbers of those that do not vote. */
  observers?: readonly number[]
  properties?: Properties
  /** Of one server. */
  propertiesOf?: (id: number) => Properties
  /** Of Apache's servers. */
  heap?: string
  jvm?: string[]
  classPath?: string[]
  places?: readonly Place[]
}

const WORD_TIMEOUT_MS = 1000

/** One server of an ensemble. */
export class EnsembleServer extends Server {
  readonly id: number
  #implementation: Implementation
  readonly #commandOf: (implementation: Implementation) => [string, ...string[]]

  constructor(
    id: number,
    host: string,
    port: number,
    directory: string,
    implementation: Implementation,
    commandOf: (implementation: Implementation) => [string, ...string[]],
  ) {
    super(`zookeeper-${id}`, port, directory, commandOf(implementation), host)
    this.id = id
    this.#implementation = implementation
    this.#commandOf = commandOf
  }

  get implementation(): Implementation {
    return this.#implementation
  }

  /** As what it is started from now on, on the same data. */
  set implementation(implementation: Implementation) {
    this.#implementation = implementation
    this.setCommand(this.#commandOf(implementation))
  }

  /** Logs and snapshots, and the epochs. */
  get dataDirectory(): string {
    return join(this.directory, 'data/version-2')
  }

  /** What an admin word says; empty if nothing comes. */
  word(word: string): Promise<string> {
    return adminWord(this.host, this.port, word)
  }

  /** What it is at the moment; null while it serves nobody. */
  async mode(): Promise<Mode | null> {
    if (!this.running) return null
    const text = await this.word('srvr').catch(() => '')
    return (/^Mode: (.*)$/m.exec(text)?.[1] as Mode | undefined) ?? null
  }

  /** Waits until it leads, follows or observes. */
  serving(timeoutMs = 30_000): Promise<Mode> {
    return until(
      `${this.name} serves`,
      async () => {
        if (!this.running) throw new Error(`${this.name} has ended\n${this.log.slice(-3000)}`)
        return this.mode()
      },
      timeoutMs,
    )
  }
}

export class Ensemble {
  readonly directory: string
  readonly servers: readonly EnsembleServer[]

  private constructor(directory: string, servers: readonly EnsembleServer[]) {
    this.directory = directory
    this.servers = servers
  }

  /** Configured, and not yet started. */
  static async prepare(options: EnsembleOptions = {}): Promise<Ensemble> {
    const implementations = options.servers ?? [TARGET, TARGET, TARGET]
    const directory = temporaryFolder('samsa-ensemble-')
    const ports = await freePorts(3 * implementations.length)
    const placeOf = (index: number): Place => options.places?.[index] ?? HERE
    // A server alone is no ensemble, and needs no other ports.
    const members = Object.fromEntries(
      implementations.map((_, index) => {
        const role = options.observers?.includes(index + 1) === true ? 'observer' : 'participant'
        const [quorum, election] = [ports[3 * index + 1], ports[3 * index + 2]]
        return [`server.${index + 1}`, `${placeOf(index).host}:${quorum}:${election}:${role}`]
      }),
    )
    const servers = implementations.map((implementation, index) => {
      const id = index + 1
      const home = join(directory, `zookeeper-${id}`)
      mkdirSync(join(home, 'data'), { recursive: true })
      writeFileSync(join(home, 'data/myid'), `${id}\n`)
      const { host, prefix } = placeOf(index)
      const port = ports[3 * index]!
      const file = join(home, 'zoo.cfg')
      writeProperties(file, {
        dataDir: join(home, 'data'),
        clientPort: port,
        clientPortAddress: host,
        tickTime: 1000,
        initLimit: 10,
        syncLimit: 5,
        maxClientCnxns: 0,
        'admin.enableServer': false,
        '4lw.commands.whitelist': '*',
        ...(options.observers?.includes(id) === true ? { peerType: 'observer' } : {}),
        ...options.properties,
        ...options.propertiesOf?.(id),
        ...(implementations.length > 1 ? members : {}),
      })
      const java = { heap: options.heap ?? '256M', jvm: options.jvm ?? [], classPath: options.classPath ?? [] }
      return new EnsembleServer(id, host, port, home, implementation, (kind) => {
        const [program, ...rest] = [...prefix, ...zooKeeperCommand(kind, file, java)]
        return [program!, ...rest]
      })
    })
    return new Ensemble(directory, servers)
  }

  /** Started, with a leader and everyone in its place. */
  static async start(options: EnsembleOptions = {}): Promise<Ensemble> {
    const ensemble = await Ensemble.prepare(options)
    try {
      for (const server of ensemble.servers) server.start()
      await ensemble.ready()
    } catch (error) {
      await ensemble.close()
      throw error
    }
    return ensemble
  }

  /** The connect string of all. */
  get connect(): string {
    return this.servers.map(({ address }) => address).join(',')
  }

  get running(): EnsembleServer[] {
    return this.servers.filter((server) => server.running)
  }

  byId(id: number): EnsembleServer {
    return this.servers[id - 1]!
  }

  /** Waits until every running server has its place under one leader. */
  async ready(timeoutMs = 40_000): Promise<EnsembleServer> {
    const { running } = this
    const found = await until(
      'one leads and the others follow',
      async () => {
        const ended = running.find((server) => !server.running)
        if (ended !== undefined) return { ended }
        const modes = await Promise.all(running.map((server) => server.mode()))
        const leaders = running.filter((_, index) => modes[index] === 'leader' || modes[index] === 'standalone')
        if (leaders.length !== 1 || modes.includes(null))
          throw new Error(running.map(({ name }, index) => `${name}: ${modes[index]}`).join(', '))
        return { leader: leaders[0]! }
      },
      timeoutMs,
    )
    if ('ended' in found) throw new Error(`${found.ended.name} has ended\n${found.ended.log.slice(-3000)}`)
    return found.leader
  }

  /** Waits until somebody leads. */
  leader(timeoutMs = 30_000): Promise<EnsembleServer> {
    return until(
      'somebody leads',
      async () => {
        const modes = await Promise.all(this.running.map(async (server) => ({ server, mode: await server.mode() })))
        return modes.find(({ mode }) => mode === 'leader')?.server ?? null
      },
      timeoutMs,
      20,
    )
  }

  /** SIGKILL to whoever leads; says who it was. */
  async killLeader(): Promise<EnsembleServer> {
    const leader = await this.leader()
    await leader.kill()
    return leader
  }

  /**
   * Makes that server of three lead. The newest history wins an election before the highest number does: so the
   * third one misses a write that the wanted server and the old leader have, and then elects with the wanted alone.
   */
  async lead(id: number, write: () => Promise<unknown>): Promise<void> {
    const leader = await this.ready()
    const wanted = this.byId(id)
    if (leader === wanted) return
    const third = this.servers.find((server) => server !== leader && server !== wanted)!
    await third.kill()
    await write()
    await leader.kill()
    third.start()
    await until(`${wanted.name} leads`, async () => (await wanted.mode()) === 'leader')
    leader.start()
    await this.ready()
  }

  /** Ends everybody, at once, and removes the data. */
  async close(): Promise<void> {
    for (const server of this.running) server.resume()
    await Promise.all(this.servers.map((server) => server.kill()))
    removeFolder(this.directory)
  }
}

/** What a server answers to one of the admin words of four letters. */
export function adminWord(host: string, port: number, word: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, host, () => socket.write(word))
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
    // Apache's server, just started, sometimes neither answers nor closes.
    socket.setTimeout(WORD_TIMEOUT_MS, () => socket.destroy())
    socket.once('close', () => resolve(text)).once('error', reject)
  })
}
