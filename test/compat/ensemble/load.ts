/**
 * Writers and readers that keep account of what an ensemble told them, whatever happens to its servers meanwhile:
 *
 * - a write that was acknowledged stays; one whose outcome nobody told happens once or never, and which of the two is
 *   decided for good when a later write through the same client was acknowledged;
 * - what one session reads never goes back in time, and what it wrote it reads;
 * - an ephemeral node lives as long as its session, no shorter and, a time of grace apart, no longer.
 *
 * Each writer has nodes of its own, so what they must hold is known to it.
 */
import { setTimeout as sleep } from 'node:timers/promises'

import type { Network, Platform, Socket } from '../../../src/platform/index.ts'
import { CreateMode, ZooKeeperClient, isZkError } from '../../../src/zookeeper/client/index.ts'

export interface LoadOptions {
  platform: Platform
  /** One writer each. A writer of several servers goes from one to the next when it loses one. */
  connects: readonly string[]
  root: string
  sessionTimeoutMs: number
  /** Between two steps of a writer. */
  pauseMs: number
  /** How often a session is left to die, with its ephemeral node. Never if it is 0. */
  mortalEveryMs?: number
}

export interface LoadReport {
  acknowledged: number
  /** Writes of which nobody told whether they happened. */
  unknown: number
  /** Of these, those that did. */
  happened: number
  reads: number
  /** Sessions of writers that the servers ended. */
  expired: number
  /** Sessions that were left alone, and whose end was seen. */
  mortals: number
  faults: readonly string[]
}

const FAULTS_MAX = 20
const COUNTERS = 200
/** A session lives anew under each leader, and nobody ends it while nobody leads. */
const GRACE_MS = 60_000
/** Nothing takes that long while the servers are left alone. */
const STUCK_MS = 60_000
const CLOSED = new Error('the load has ended')

export class Load {
  readonly options: LoadOptions
  readonly faults: string[] = []
  readonly #writers: Writer[]
  readonly #stop = new AbortController()
  #running: Promise<unknown> = Promise.resolve()
  mortals = 0

  constructor(options: LoadOptions) {
    this.options = options
    this.#writers = options.connects.map((connect, index) => new Writer(this, `${options.root}/w${index}`, connect))
  }

  get stopped(): AbortSignal {
    return this.#stop.signal
  }

  /** Resolves when every writer has its session and its first nodes. */
  async start(): Promise<void> {
    const { platform, connects, root, sessionTimeoutMs, mortalEveryMs = 0 } = this.options
    const connect = connects.join(',')
    const client = await ZooKeeperClient.connect(platform, { connect, sessionTimeoutMs })
    for (const path of [root, `${root}/alive`, `${root}/mortal`]) await client.retrying.create(path, null)
    await client.retrying.create(`${root}/shared`, null)
    await client.close()
    await Promise.all(this.#writers.map((writer) => writer.begin()))
    const running = this.#writers.map((writer) => writer.run())
    if (mortalEveryMs > 0) running.push(new Mortals(this, connect).run(mortalEveryMs))
    this.#running = Promise.all(running.map((one) => one.catch((error: unknown) => this.#failed(error))))
  }

  /** Every writer has ended what it was at; one that cannot is a fault. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#inTime(this.#running)
  }

  /** Compares what is there with what was told. To be called when it has stopped. */
  async verify(): Promise<void> {
    for (const writer of this.#writers)
      await this.#inTime(writer.verify().catch((error: unknown) => this.#failed(error)))
  }

  /** The sessions end. */
  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#writers.map((writer) => writer.close()))
  }

  get acknowledged(): number {
    return this.#writers.reduce((sum, writer) => sum + writer.acknowledged, 0)
  }

  /** The least of what any writer had acknowledged: whether it goes on everywhere. */
  get acknowledgedByEach(): number[] {
    return this.#writers.map((writer) => writer.acknowledged)
  }

  report(): LoadReport {
    const sum = (of: (writer: Writer) => number): number =>
      this.#writers.reduce((total, writer) => total + of(writer), 0)
    return {
      acknowledged: this.acknowledged,
      unknown: sum(({ unknown }) => unknown),
      happened: sum(({ happened }) => happened),
      reads: sum(({ reads }) => reads),
      expired: sum(({ expired }) => expired),
      mortals: this.mortals,
      faults: this.faults,
    }
  }

  fault(what: string): void {
    if (this.faults.length < FAULTS_MAX) this.faults.push(what)
  }

  async #inTime(work: Promise<unknown>): Promise<void> {
    const done = new AbortController()
    const late = sleep(STUCK_MS, 'late', { signal: done.signal }).catch(() => 'done')
    if ((await Promise.race([work, late])) === 'late')
      this.fault(`stuck: ${this.#writers.map((writer) => writer.state).join('; ')}`)
    done.abort()
  }

  #failed(error: unknown): void {
    if (error !== CLOSED) this.fault(`it failed: ${(error as Error).stack ?? String(error)}`)
  }
}

type Outcome<T> = { kind: 'done'; value: T } | { kind: 'unknown' }

class Writer {
  readonly #load: Load
  readonly #path: string
  readonly #connect: string
  #client!: ZooKeeperClient
  /** What each node must hold; null: it must not be there. */
  readonly #nodes = new Map<string, string | null>()
  /** Tags of sequential nodes: names that were told, or null if only the outcome is. */
  readonly #sequential = new Map<string, string | null>()
  #counter = 0
  #step = 0
  /** Last change of the common node that this session has seen. */
  #seen = 0n
  #ephemeral = ''
  #isClosed = false
  /** Ephemeral nodes of former sessions, and when they must be gone. */
  readonly #dying = new Map<string, number>()
  acknowledged = 0
  unknown = 0
  happened = 0
  reads = 0
  expired = 0

  constructor(load: Load, path: string, connect: string) {
    this.#load = load
    this.#path = path
    this.#connect = connect
  }

  async begin(): Promise<void> {
    const { platform, sessionTimeoutMs } = this.#load.options
    this.#client = await ZooKeeperClient.connect(platform, { connect: this.#connect, sessionTimeoutMs })
    for (const path of ['', '/q', '/counter', '/barrier'])
      await this.#client.retrying.create(`${this.#path}${path}`, null)
    await this.#beAlive()
  }

  async run(): Promise<void> {
    const { pauseMs } = this.#load.options
    while (!this.#load.stopped.aborted) {
      await this.#next()
      if (pauseMs > 0) await sleep(pauseMs)
    }
  }

  async verify(): Promise<void> {
    await this.#barrier()
    const found = new Map<string, string>()
    const { children } = await this.#read(() => this.#client.getChildren(this.#path))
    for (const name of children.filter((each) => each.startsWith('n-')))
      found.set(name, await this.#text(`${this.#path}/${name}`))
    for (const [name, value] of this.#nodes)
      if ((found.get(name) ?? null) !== value)
        this.#fault(`${name} holds ${found.get(name) ?? 'nothing'} and not ${value ?? 'nothing'}`)
    for (const name of found.keys()) if (!this.#nodes.has(name)) this.#fault(`${name} is there, and nobody wrote it`)
    await this.#verifyCounter(0)
    await this.#verifySequential()
    await this.#checkAlive()
    for (const path of this.#dying.keys()) await this.#goesAtLast(path)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#client.close()
  }

  get state(): string {
    const connection = this.#client.isConnected ? 'connected' : 'not connected'
    return `${this.#path} (${this.#connect}) at step ${this.#step}, ${connection}`
  }

  async #next(): Promise<void> {
    const step = this.#step++
    switch (step % 8) {
      case 0:
      case 1:
        return this.#create(`n-${step}`)
      case 2:
        return this.#remove(step)
      case 3:
        return this.#count()
      case 4:
        return this.#createSequential(`t${step}`)
      case 5:
        return this.#writeShared()
      case 6:
        return this.#readShared()
      default:
        return this.#checkAlive()
    }
  }

  async #create(name: string): Promise<void> {
    const path = `${this.#path}/${name}`
    const outcome = await this.#write(() => this.#client.create(path, bytes(name)))
    if (outcome.kind === 'done') this.#nodes.set(name, name)
    else this.#nodes.set(name, await this.#afterwards(path))
  }

  /** As many as are created between two calls, so that the tree does not grow for ever. */
  async #remove(step: number): Promise<void> {
    const old = [...this.#nodes.keys()].filter((name) => Number(name.slice(2)) < step - 8 * COUNTERS)
    for (const name of old) await this.#removeOne(name)
  }

  async #removeOne(name: string): Promise<void> {
    const path = `${this.#path}/${name}`
    if (this.#nodes.get(name) === null) {
      if ((await this.#read(() => this.#client.exists(path))) !== null) this.#fault(`${name} came late`)
    } else {
      const outcome = await this.#write(() => this.#client.delete(path))
      if (outcome.kind === 'unknown' && (await this.#afterwards(path)) !== null) return
    }
    this.#nodes.delete(name)
  }

  async #count(): Promise<void> {
    const path = `${this.#path}/counter`
    const wanted = this.#counter + 1
    const outcome = await this.#write(() => this.#client.setData(path, bytes(String(wanted)), this.#counter))
    if (outcome.kind === 'unknown') return this.#verifyCounter(1)
    if (outcome.value.version !== wanted) this.#fault(`the counter is at ${outcome.value.version} and not ${wanted}`)
    this.#counter = wanted
  }

  /** It may be further by so many steps as nobody told of. */
  async #verifyCounter(steps: number): Promise<void> {
    if (steps > 0) await this.#barrier()
    const { data, stat } = await this.#read(() => this.#client.getData(`${this.#path}/counter`))
    const isKnown = stat.version >= this.#counter && stat.version <= this.#counter + steps
    const value = stat.version === 0 ? '' : String(stat.version)
    if (!isKnown || text(data) !== value)
      this.#fault(`the counter is at ${stat.version} and holds ${text(data)}; it was at ${this.#counter}`)
    if (stat.version > this.#counter) this.happened += 1
    this.#counter = stat.version
  }

  async #createSequential(tag: string): Promise<void> {
    const path = `${this.#path}/q/s-`
    const options = { mode: CreateMode.persistentSequential }
    const outcome = await this.#write(() => this.#client.create(path, bytes(tag), options))
    this.#sequential.set(tag, outcome.kind === 'done' ? outcome.value : null)
    if (this.#sequential.size < COUNTERS) return
    await this.#verifySequential()
    const { children } = await this.#read(() => this.#client.getChildren(`${this.#path}/q`))
    for (const name of children) {
      const remove = (): Promise<void> => this.#client.delete(`${this.#path}/q/${name}`).catch(unlessMissing)
      while ((await this.#write(remove)).kind === 'unknown');
    }
    this.#sequential.clear()
  }

  async #verifySequential(): Promise<void> {
    await this.#barrier()
    const parent = `${this.#path}/q`
    const { children } = await this.#read(() => this.#client.getChildren(parent))
    const names = new Map<string, string>()
    for (const name of children) {
      const tag = await this.#text(`${parent}/${name}`)
      if (names.has(tag)) this.#fault(`${tag} was created twice: ${names.get(tag)} and ${name}`)
      if (!this.#sequential.has(tag)) this.#fault(`${name} holds ${tag}, which nobody wrote`)
      names.set(tag, `${parent}/${name}`)
    }
    for (const [tag, told] of this.#sequential)
      if (told !== null && names.get(tag) !== told) this.#fault(`${tag} was created as ${told}, is ${names.get(tag)}`)
  }

  async #writeShared(): Promise<void> {
    const path = `${this.#load.options.root}/shared`
    const outcome = await this.#write(() => this.#client.setData(path, bytes(this.#path)))
    if (outcome.kind === 'done') this.#see(outcome.value.mzxid, 'wrote')
  }

  async #readShared(): Promise<void> {
    const { client, session } = { client: this.#client, session: this.#client.sessionId }
    const { stat } = await this.#read(() => client.getData(`${this.#load.options.root}/shared`))
    // A new session begins anew, maybe on a server that lags.
    if (client.sessionId === session) this.#see(stat.mzxid, 'read')
  }

  #see(mzxid: bigint, what: string): void {
    if (mzxid < this.#seen)
      this.#fault(`time goes back: ${what} 0x${mzxid.toString(16)} after 0x${this.#seen.toString(16)}`)
    this.#seen = mzxid
  }

  async #beAlive(): Promise<void> {
    this.#seen = 0n
    const path = `${this.#load.options.root}/alive/${this.#path.split('/').at(-1)}-${this.#client.sessionId.toString(16)}`
    await this.#client.retrying.retry(async () => {
      try {
        await this.#client.create(path, null, { mode: CreateMode.ephemeral })
      } catch (error) {
        if (!isZkError(error, 'NODEEXISTS')) throw error
      }
    })
    this.#ephemeral = path
  }

  async #checkAlive(): Promise<void> {
    const [path, session] = [this.#ephemeral, this.#client.sessionId]
    const stat = await this.#read(() => this.#client.exists(path))
    // It was another session's when the answer came.
    if (this.#client.sessionId !== session || path !== this.#ephemeral) return
    if (stat === null) this.#fault(`${path} is gone before its session`)
    else if (stat.ephemeralOwner !== session) this.#fault(`${path} has another owner`)
    for (const [former, deadlineMs] of this.#dying) {
      if ((await this.#read(() => this.#client.exists(former))) === null) this.#dying.delete(former)
      else if (performance.now() > deadlineMs) this.#fault(`${former} outlives its session`)
    }
  }

  async #goesAtLast(path: string): Promise<void> {
    const deadlineMs = performance.now() + 3 * this.#load.options.sessionTimeoutMs
    while ((await this.#read(() => this.#client.exists(path))) !== null) {
      if (performance.now() > deadlineMs) return this.#fault(`${path} outlives its session`)
      await sleep(50)
    }
  }

  async #write<T>(attempt: () => Promise<T>): Promise<Outcome<T>> {
    try {
      const value = await attempt()
      this.acknowledged += 1
      return { kind: 'done', value }
    } catch (error) {
      if (!isZkError(error, 'CONNECTIONLOSS', 'SESSIONEXPIRED', 'OPERATIONTIMEOUT', 'SESSIONMOVED')) throw error
      this.unknown += 1
      await this.#connected()
      return { kind: 'unknown' }
    }
  }

  async #read<T>(attempt: () => Promise<T>): Promise<T> {
    for (;;)
      try {
        const value = await attempt()
        this.reads += 1
        return value
      } catch (error) {
        if (!isZkError(error, 'CONNECTIONLOSS', 'SESSIONEXPIRED', 'OPERATIONTIMEOUT', 'SESSIONMOVED')) throw error
        await this.#connected()
      }
  }

  /**
   * Whoever has had a write acknowledged now sees everything that was before it: neither a server that lags nor one
   * that is still taken for the leader by itself can do that.
   */
  async #barrier(): Promise<void> {
    while ((await this.#write(() => this.#client.setData(`${this.#path}/barrier`, null))).kind === 'unknown');
  }

  /** What a node holds after a write of unknown outcome, from now on for ever. */
  async #afterwards(path: string): Promise<string | null> {
    await this.#barrier()
    try {
      const { data } = await this.#read(() => this.#client.getData(path))
      this.happened += 1
      return text(data)
    } catch (error) {
      if (isZkError(error, 'NONODE')) return null
      throw error
    }
  }

  async #text(path: string): Promise<string> {
    return text((await this.#read(() => this.#client.getData(path))).data)
  }

  /** The session goes on, or a new one is there. */
  async #connected(): Promise<void> {
    for (;;)
      try {
        return await this.#client.connected()
      } catch (error) {
        if (this.#isClosed) throw CLOSED
        if (!isZkError(error, 'SESSIONEXPIRED')) throw error
        await this.#renew()
      }
  }

  async #renew(): Promise<void> {
    this.expired += 1
    if (this.#ephemeral !== '') this.#dying.set(this.#ephemeral, performance.now() + GRACE_MS)
    for (;;)
      try {
        await this.#client.renew()
        await this.#beAlive()
        return
      } catch {
        // Nobody leads, or the session has ended again.
        await sleep(100)
        if (this.#isClosed) throw CLOSED
        if (this.#client.isConnected) await this.#beAlive().catch(() => {})
        if (this.#client.isConnected) return
      }
  }

  #fault(what: string): void {
    this.#load.fault(`${this.#path}: ${what}`)
  }
}

/** Sessions whose connection is cut and not made again: their nodes go, and not before their time. */
class Mortals {
  readonly #load: Load
  readonly #connect: string

  constructor(load: Load, connect: string) {
    this.#load = load
    this.#connect = connect
  }

  async run(everyMs: number): Promise<void> {
    const { platform, sessionTimeoutMs } = this.#load.options
    const watching = await ZooKeeperClient.connect(platform, { connect: this.#connect, sessionTimeoutMs: 60_000 })
    const lives: Promise<void>[] = []
    try {
      for (let number = 0; !this.#load.stopped.aborted; number++) {
        lives.push(this.#live(watching, number, sessionTimeoutMs))
        await sleep(everyMs, undefined, { signal: this.#load.stopped }).catch(() => {})
      }
      await Promise.all(lives)
    } finally {
      await watching.close()
    }
  }

  async #live(watching: ZooKeeperClient, number: number, sessionTimeoutMs: number): Promise<void> {
    const path = `${this.#load.options.root}/mortal/${number}`
    const network = new CutNetwork(this.#load.options.platform.network)
    const platform = { ...this.#load.options.platform, network }
    // Later signs of life reach the leader with the next ping only, if there is one.
    const begunMs = performance.now()
    let client: ZooKeeperClient | null = null
    let timeoutMs: number
    try {
      client = await ZooKeeperClient.connect(platform, { connect: this.#connect, sessionTimeoutMs })
      await client.create(path, null, { mode: CreateMode.ephemeral })
      timeoutMs = client.sessionTimeoutMs
    } catch {
      // The servers were disturbed just now; what is left of it goes by itself, unseen.
      return
    } finally {
      network.cut()
      // Nothing of it leaves this machine: it only stops trying.
      client?.close().catch(() => {})
    }
    // The server that is watched from may lag.
    while ((await watching.retrying.exists(path)) === null) {
      if (performance.now() > begunMs + timeoutMs) return
      await sleep(25)
    }
    const deadlineMs = performance.now() + 3 * timeoutMs + GRACE_MS
    while ((await watching.retrying.exists(path)) !== null) {
      if (performance.now() > deadlineMs) return this.#load.fault(`${path} outlives its session`)
      await sleep(25)
    }
    if (performance.now() < begunMs + timeoutMs) this.#load.fault(`${path} is gone before its session`)
    this.#load.mortals += 1
  }
}

/** A network that can be taken away for good, without a word to the other side's program. */
class CutNetwork implements Network {
  readonly #network: Network
  readonly #sockets: Socket[] = []
  #isCut = false

  constructor(network: Network) {
    this.#network = network
  }

  listen: Network['listen'] = (options) => this.#network.listen(options)

  connect: Network['connect'] = async (options) => {
    if (this.#isCut) throw new Error('cut')
    const socket = await this.#network.connect(options)
    this.#sockets.push(socket)
    return socket
  }

  cut(): void {
    this.#isCut = true
    for (const socket of this.#sockets) socket.destroy()
  }
}

/** It has been removed already, by the same request the first time. */
function unlessMissing(error: unknown): void {
  if (!isZkError(error, 'NONODE')) throw error
}

function bytes(value: string): Uint8Array {
  return Buffer.from(value)
}

function text(data: Uint8Array | null): string {
  return data === null ? '' : Buffer.from(data).toString()
}
