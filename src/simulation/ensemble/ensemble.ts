import { FileError, NetworkError, joinPath, type Platform } from '#platform'
import { ZooKeeperServer, parseZooCfg } from '#zookeeper/server'
import type { EnsembleFaults } from '#zookeeper/zab'

import type { SimulatedProcess } from '../process.ts'
import type { World } from '../world.ts'
import { logOnDisk } from './log-files.ts'

export const CLIENT_PORT = 2181
export const QUORUM_PORT = 2888
export const ELECTION_PORT = 3888
export const TICK_MS = 200
export const SYNC_LIMIT = 4
export const INIT_LIMIT = 8
const DATA = '/data'
/** Time between two looks for znodes that are to end by themselves. */
const REAPER_MS = 300
/** A process that ended by itself is started again after this, as a supervisor does. */
const RESTART_MS = 700

export interface EnsembleOptions {
  /** 1: a server of its own. */
  readonly voters: number
  readonly observers: number
  /** A quorum is a majority in each of a majority of these groups; null: a majority of all voters. */
  readonly groups: readonly (readonly number[])[] | null
  readonly snapCount: number
  readonly commitLogCount: number
  /** Bytes of a log file before the next begins; 0: only snapshots begin one. */
  readonly logKb: number
  /** Log and snapshots in different folders. */
  readonly separateLogs: boolean
  /** Lines of `zoo.cfg` that break a rule, to show that it is found. */
  readonly settings: readonly string[]
  readonly faults: Partial<EnsembleFaults>
}

/** A server's machine, and the server that runs there now. */
export interface ServerMachine {
  readonly sid: number
  readonly role: 'participant' | 'observer'
  readonly process: SimulatedProcess
  server: ZooKeeperServer | null
  lives: number
  /** Its disk failed under its transaction log in this life. */
  logFailedMs: number | null
}

/** The servers of an ensemble in a world, and how to make them go and come back. */
export class SimulatedEnsemble {
  readonly world: World
  readonly options: EnsembleOptions
  readonly machines: readonly ServerMachine[]
  readonly counters = { crashes: 0, powerFailures: 0, logFailures: 0, endedByThemselves: 0 }
  #staysUp = false

  constructor(world: World, options: EnsembleOptions) {
    this.world = world
    this.options = options
    this.machines = Array.from({ length: options.voters + options.observers }, (_, index) => ({
      sid: index + 1,
      role: index < options.voters ? 'participant' : 'observer',
      process: world.process(`zk-${index + 1}`),
      server: null,
      lives: 0,
      logFailedMs: null,
    }))
    for (const machine of this.machines) this.#watchDisk(machine)
  }

  get voters(): ServerMachine[] {
    return this.machines.filter(({ role }) => role === 'participant')
  }

  get processes(): SimulatedProcess[] {
    return this.machines.map(({ process }) => process)
  }

  get names(): string[] {
    return this.machines.map(({ process }) => process.name)
  }

  get quorumSize(): number {
    return Math.floor(this.options.voters / 2) + 1
  }

  /** Whether these can decide. */
  isQuorum(sids: ReadonlySet<number>): boolean {
    const { groups } = this.options
    if (groups === null) return sids.size >= this.quorumSize
    const agreeing = groups.filter((group) => group.filter((sid) => sids.has(sid)).length * 2 > group.length)
    return agreeing.length * 2 > groups.length
  }

  machineNamed(name: string): ServerMachine {
    return this.machines.find(({ process }) => process.name === name)!
  }

  machineOf(process: SimulatedProcess): ServerMachine {
    return this.machines.find((machine) => machine.process === process)!
  }

  /** Where a server's transaction logs are. */
  logFolderOf(sid: number): string {
    return joinPath(this.#dataLogDirOf(sid), 'version-2')
  }

  /** What a server's transaction logs hold, durable or not, by zxid. */
  logOf(sid: number): Map<bigint, Uint8Array> {
    return logOnDisk(this.machines[sid - 1]!.process.disk, this.logFolderOf(sid))
  }

  #dataLogDirOf(sid: number): string {
    return joinPath(DATA, `zookeeper-${this.options.separateLogs ? 'log-' : ''}${sid}`)
  }

  /** Starts whatever does not run, and whatever is still about to stop. */
  stayUp(): void {
    this.#staysUp = true
    this.startAll()
  }

  startAll(): void {
    for (const machine of this.machines) this.start(machine)
  }

  start(machine: ServerMachine): void {
    const { process } = machine
    if (process.isRunning) return
    machine.lives += 1
    machine.logFailedMs = null
    process.start(
      async (platform: Platform) => {
        const server = await this.#startServer(platform, machine)
        machine.server = server
        const failure = await server.stopped
        if (failure !== null) throw failure
        await forever()
      },
      (error) => {
        machine.server = null
        this.counters.endedByThemselves += 1
        const why = error instanceof Error ? `${error.name} ${error.message}` : String(error)
        this.#tell(`${process.name} ended by itself: ${why}`)
        // The disk may fail it. What it wrote it must be able to read, and never contradict the others.
        if (!isOfDisk(error) && !(error instanceof NetworkError))
          this.world.report(`${process.name} ended by itself`, why)
        this.world.after(RESTART_MS, () => this.start(machine))
      },
    )
  }

  crash(machine: ServerMachine): void {
    if (!machine.process.crash()) return
    machine.server = null
    this.counters.crashes += 1
  }

  powerFail(machine: ServerMachine): void {
    machine.process.powerFail()
    machine.server = null
    this.counters.powerFailures += 1
  }

  /** SIGTERM. */
  stopCleanly(machine: ServerMachine): void {
    const { server, process } = machine
    if (server === null) return
    process.signal(() => {
      void server.close().then(() => {
        machine.server = null
        process.crash()
        if (this.#staysUp) this.start(machine)
      })
    })
  }

  async #startServer(platform: Platform, { sid, role }: ServerMachine): Promise<ZooKeeperServer> {
    const { config } = parseZooCfg(this.#zooCfg(sid, role), { sid })
    return await ZooKeeperServer.start(platform, config, { faults: this.options.faults })
  }

  /** Whatever fails under the log of a server: it must stop, and not answer any more. */
  #watchDisk(machine: ServerMachine): void {
    machine.process.diskConditions.onFailure = (operation, path) => {
      if (operation !== 'write' && operation !== 'sync') return
      if (!/\/log\.[\da-f]+$/.test(path) || machine.logFailedMs !== null) return
      machine.logFailedMs = this.world.nowMs
      this.counters.logFailures += 1
    }
  }

  #tell(line: string): void {
    this.world.logSink?.('warn', `${this.world.nowMs.toFixed(3)} ${line}`)
  }

  #zooCfg(sid: number, role: ServerMachine['role']): string {
    const { snapCount, commitLogCount, logKb, settings, voters, groups } = this.options
    const servers = this.machines.map(
      (machine) => `server.${machine.sid}=${machine.process.name}:${QUORUM_PORT}:${ELECTION_PORT}:${machine.role}`,
    )
    return [
      `dataDir=${joinPath(DATA, `zookeeper-${sid}`)}`,
      'admin.enableServer=false',
      `dataLogDir=${this.#dataLogDirOf(sid)}`,
      `clientPort=${CLIENT_PORT}`,
      `tickTime=${TICK_MS}`,
      'maxClientCnxns=0',
      'preAllocSize=16',
      `snapCount=${snapCount}`,
      ...(logKb > 0 ? [`txnLogSizeLimitInKb=${logKb}`] : []),
      'extendedTypesEnabled=true',
      'enforceQuota=true',
      `znode.container.checkIntervalMs=${REAPER_MS}`,
      ...(voters === 1
        ? []
        : [
            ...servers,
            ...(groups ?? []).map((group, index) => `group.${index + 1}=${group.join(':')}`),
            `initLimit=${INIT_LIMIT}`,
            `syncLimit=${SYNC_LIMIT}`,
            'cnxTimeout=500',
            `commitLogCount=${commitLogCount}`,
            ...(role === 'observer' ? ['peerType=observer'] : []),
          ]),
      ...settings,
    ].join('\n')
  }
}

/** Each its own: a promise that never settles keeps alive all who wait for it. */
const forever = (): Promise<never> => new Promise(() => {})

/** Or follows from it. */
function isOfDisk(error: unknown): boolean {
  return error instanceof FileError || (error instanceof Error && error.cause !== undefined && isOfDisk(error.cause))
}
