/** A cluster of both kinds of brokers at rest, of which each broker can be asked alone, with Apache's tools. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import {
  Cluster,
  type Implementation,
  type JavaTool,
  type ToolServer,
  freePorts,
  removeFolder,
  temporaryFolder,
} from '../../peers/index.ts'
import { assigned } from './mixed.ts'

/** A broker of each kind, in every mix. */
export const SIDES = [1, 3] as const

export class Sides {
  readonly cluster: Cluster
  /** The one of `SIDES` that is Apache's. */
  readonly apache: number
  readonly #tools: ToolServer
  readonly #folder = temporaryFolder('samsa-sides-')
  /**
   * A second address of each broker, of a listener that no other broker has: whoever comes that way is told of this broker only, so
   * that it answers what otherwise any broker may.
   */
  readonly #alone: readonly string[]

  private constructor(cluster: Cluster, tools: ToolServer, apache: number, alone: readonly string[]) {
    this.cluster = cluster
    this.#tools = tools
    this.apache = apache
    this.#alone = alone
  }

  static async start(implementations: readonly Implementation[], tools: ToolServer): Promise<Sides> {
    const ports = await freePorts(implementations.length)
    const alone = ports.map((port) => `127.0.0.1:${port}`)
    const cluster = await Cluster.start({
      implementations,
      heap: '384M',
      // The cleaner takes another buffer when configurations change: two of the usual 128 MiB are too much for a small heap.
      properties: { 'auto.leader.rebalance.enable': false, 'log.cleaner.dedupe.buffer.size': 10 * 2 ** 20 },
      propertiesOf: (id, port) => listening({ PLAINTEXT: `127.0.0.1:${port}`, [`ALONE_${id}`]: alone[id - 1]! }),
    })
    const apache = SIDES.find((id) => implementations[id - 1] === 'apache')!
    return new Sides(cluster, tools, apache, alone)
  }

  /** The settings of a broker that has one more listener. */
  listeningAlso(id: number, name: string, address: string): Record<string, string> {
    return listening({
      PLAINTEXT: this.cluster.byId(id).address,
      [`ALONE_${id}`]: this.#alone[id - 1]!,
      [name]: address,
    })
  }

  async close(): Promise<void> {
    await this.cluster.close()
    removeFolder(this.#folder)
  }

  /** What a tool prints that knows all brokers. */
  async run(tool: JavaTool, args: readonly string[], input = ''): Promise<string> {
    return (await this.#tools.run(tool, ['--bootstrap-server', this.cluster.bootstrap, ...args], { input })).stdout
  }

  /** What a tool prints that knows this broker only. */
  async ask(id: number, tool: JavaTool, args: readonly string[]): Promise<string> {
    return (await this.#tools.run(tool, ['--bootstrap-server', this.#alone[id - 1]!, ...args])).stdout
  }

  /** The name of the error that this broker alone refuses with. */
  async refusal(id: number, tool: JavaTool, args: readonly string[]): Promise<string> {
    const where = ['--bootstrap-server', this.#alone[id - 1]!]
    const { code, stdout, stderr } = await this.#tools.run(tool, [...where, ...args], { mayFail: true })
    const name = /\.errors\.(\w+Exception)/.exec(stdout + stderr)?.[1]
    assert.ok(code !== 0 && name !== undefined, `${tool} ${args.join(' ')} at broker ${id}: ${stdout}${stderr}`)
    return name
  }

  /** The answer of both sides, which must be the same. */
  async same<T>(question: (id: number) => Promise<T>): Promise<T> {
    const [one, other] = [await question(SIDES[0]), await question(SIDES[1])]
    assert.deepEqual(one, other)
    return one
  }

  /** Its partitions have these replicas; every broker knows it afterwards. */
  async createTopic(name: string, replicas: readonly (readonly number[])[]): Promise<void> {
    const assignment = replicas.map((ids) => ids.join(':')).join(',')
    await this.run('kafka-topics', ['--create', '--topic', name, '--replica-assignment', assignment])
    await assigned(this.cluster, name, replicas)
  }

  /** The path of a file that a tool reads. */
  file(name: string, content: object): string {
    const path = join(this.#folder, name)
    writeFileSync(path, JSON.stringify(content))
    return path
  }
}

/** Addresses by listener name, none of them protected, as a broker's settings. */
function listening(addresses: Readonly<Record<string, string>>): Record<string, string> {
  return {
    listeners: Object.entries(addresses)
      .map(([name, address]) => `${name}://${address}`)
      .join(','),
    'listener.security.protocol.map': Object.keys(addresses)
      .map((name) => `${name}:PLAINTEXT`)
      .join(','),
  }
}
