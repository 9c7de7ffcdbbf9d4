/**
 * A ZooKeeper 3.9 server of its own.
 *
 *     connection → decide → transaction log (one sync for many) → apply → answer
 *
 * Everything that this class does is joining: the tree decides and applies, persistence makes durable, a
 * connection keeps its client's order. Source: ZooKeeperServerMain, ZooKeeperServer, SessionTrackerImpl.
 */
import { ConnectionLimits, FramedListener, type FramedConnection } from '#net'
import { FileError, joinPath, makeDirectoryDurably, type FileLock, type Platform, type Timer } from '#platform'
import { OpCode, type LoggedTxn } from '#zookeeper/protocol'
import { RecoveryError, TxnLog, VERSION_FOLDER, recover, type Folders, type Recovered } from '#zookeeper/persistence'
import { Decider, SessionIds, SessionTracker, type Moment, type WriteBody, type ZnodeTree } from '#zookeeper/tree'

import { answerAdminWord, type AdminView } from './admin-words.ts'
import { Admission } from './admission.ts'
import { ClientConnection } from './client-connection.ts'
import { StandaloneCommitLog, type CommitLog, type Waiter } from './commit-log.ts'
import { foldersOf, type ZooKeeperConfig } from './config.ts'
import { dueContainers } from './containers.ts'
import type { Host } from './host.ts'
import { Snapshotter } from './snapshotter.ts'
import { TrafficStats } from './stats.ts'

/** Java's standalone server counts as this one when it numbers sessions. */
const SERVER_ID = 1
/** How long a connection may go without a handshake. Source: NIOServerCnxnFactory. */
const GREETING_TIMEOUT_MS = 10_000
/** What waits for a client that does not read its answers; then it is not read from any more. */
const PENDING_BYTES_MAX = 1 << 20
const HOUR_MS = 3_600_000
const EXPIRIES_PER_TICK = 20

export class ZooKeeperServer implements Host {
  readonly config: ZooKeeperConfig
  readonly logger: Platform['logger']
  readonly tree: ZnodeTree
  readonly sessions: SessionTracker
  readonly commitLog: CommitLog
  readonly admission: Admission
  readonly stats = new TrafficStats()
  readonly owner = 'this server'
  /** Resolves when the server has stopped: with the reason if it had to, with null if it was asked to. */
  readonly stopped: Promise<Error | null>

  readonly #platform: Platform
  readonly #log: TxnLog
  readonly #lock: FileLock
  readonly #snapshotter: Snapshotter
  readonly #sessionIds: SessionIds
  readonly #connections = new Set<ClientConnection>()
  readonly #bySession = new Map<bigint, ClientConnection>()
  readonly #startedMs: number
  readonly #resolveStopped: (reason: Error | null) => void
  #listener: FramedListener | null = null
  #timers: Timer[] = []
  #sessionTimer: Timer | null = null
  /** ms that the process stood still: time that no session is blamed for. */
  #stalledMs = 0
  #state: 'running' | 'stopping' = 'running'

  /** Rejects with `RecoveryError`, `FileError` or `NetworkError` when the data or the port cannot be used. */
  static async start(platform: Platform, config: ZooKeeperConfig): Promise<ZooKeeperServer> {
    const lock = lockData(platform, config.dataDir)
    try {
      const recovered = await recover(platform, foldersOf(config, VERSION_FOLDER), config)
      const server = new ZooKeeperServer(platform, config, lock, recovered)
      await server.#open()
      return server
    } catch (error) {
      lock.release()
      throw error
    }
  }

  private constructor(
    platform: Platform,
    config: ZooKeeperConfig,
    lock: FileLock,
    { tree, snapshotZxid, replayed }: Recovered,
  ) {
    this.#platform = platform
    this.config = config
    this.logger = platform.logger
    this.#lock = lock
    this.tree = tree
    this.#startedMs = platform.clock.monotonic()
    const { promise, resolve } = Promise.withResolvers<Error | null>()
    this.stopped = promise
    this.#resolveStopped = resolve

    this.sessions = new SessionTracker(Math.ceil(config.tickTimeMs / EXPIRIES_PER_TICK), this.sessionNow())
    for (const [id, timeoutMs] of tree.sessions) this.sessions.track(id, timeoutMs, this.sessionNow())
    this.#sessionIds = new SessionIds(SERVER_ID, platform.clock.now())
    this.admission = new Admission(platform.clock, config.globalOutstandingLimit)

    const folders: Folders = foldersOf(config, VERSION_FOLDER)
    const log = new TxnLog(platform, folders.logs, logOptions(config), {
      onSynced: (zxid) => commitLog.onSynced(zxid),
      onFailure: (error) => this.#onLogFailure(error),
    })
    const decider = new Decider(tree, this.sessions, { skipAcl: config.skipAcl })
    const commitLog = new StandaloneCommitLog(
      decider,
      log,
      () => this.#moment(),
      (logged, waiter) => this.#commit(logged, waiter),
    )
    this.#log = log
    this.commitLog = commitLog
    this.#snapshotter = new Snapshotter(platform, folders, tree, log, config)
    this.logger.info(
      `${tree.nodeCount} znodes and ${tree.sessions.size} sessions from snapshot ${hex(snapshotZxid)} and ${replayed} transactions after it`,
    )
  }

  /** Where it listens. */
  get port(): number {
    return this.#listener?.port ?? 0
  }

  /** Answers what has been handed in, and closes everything. Sessions live on in the data until they expire. */
  async close(): Promise<void> {
    await this.#stop(null)
  }

  async #open(): Promise<void> {
    if (this.config.closeStaleSessions)
      for (const id of this.tree.sessions.keys()) this.#submitOwn(id, { type: OpCode.closeSession })
    this.#listener = await FramedListener.listen(this.#platform, {
      host: this.config.clientPortAddress,
      port: this.config.clientPort,
      maxFrameBytes: this.config.juteMaxBuffer,
      pendingBytesMax: PENDING_BYTES_MAX,
      limits: new ConnectionLimits({
        maxConnections: this.config.maxCnxns || Infinity,
        maxConnectionsPerIp: this.config.maxClientCnxns || Infinity,
      }),
      onConnection: (connection) => this.#accept(connection),
    })
    this.#watchSessions()
    this.#repeat(GREETING_TIMEOUT_MS, () => this.#closeSilent())
    this.#repeat(this.config.containerCheckMs, () => this.#deleteDueContainers())
    if (this.config.purgeIntervalHours > 0)
      this.#repeat(this.config.purgeIntervalHours * HOUR_MS, () => this.#snapshotter.purge(this.config.snapRetainCount))
  }

  now(): number {
    return this.#platform.clock.monotonic()
  }

  wallMs(): number {
    return this.#platform.clock.now()
  }

  sessionNow(): number {
    return this.#platform.clock.monotonic() - this.#stalledMs
  }

  newSessionId(): bigint {
    return this.#sessionIds.take((id) => this.sessions.has(id))
  }

  attach(connection: ClientConnection): void {
    const former = this.#bySession.get(connection.sessionId)
    this.#bySession.set(connection.sessionId, connection)
    former?.close()
  }

  detach(connection: ClientConnection): void {
    this.#connections.delete(connection)
    if (this.#bySession.get(connection.sessionId) === connection) this.#bySession.delete(connection.sessionId)
  }

  adminWord(name: string): string | null {
    return answerAdminWord(this.#adminView(), name)
  }

  #accept(connection: FramedConnection): ClientConnection {
    const client = new ClientConnection(this, connection)
    this.#connections.add(client)
    return client
  }

  #moment(): Moment {
    return { wallMs: this.wallMs(), sessionMs: this.sessionNow() }
  }

  /** What is durable takes effect, and whoever waited for it is answered. */
  #commit(logged: LoggedTxn, waiter: Waiter | null): void {
    const applied = this.tree.apply(logged)
    this.#snapshotter.onApplied()
    waiter?.onCommitted(logged, applied)
    if (logged.txn.type === OpCode.closeSession) this.#forgetSession(logged.header.clientId)
  }

  /** A client that closed its session has its answer by now; one whose session expired learns it here. */
  #forgetSession(id: bigint): void {
    this.sessions.remove(id)
    this.#bySession.get(id)?.close()
  }

  #submitOwn(sessionId: bigint, body: WriteBody): void {
    this.commitLog.submit({ sessionId, cxid: 0, ids: [], owner: this.owner, body }, null)
  }

  /**
   * Expiry is judged after a poll: what clients sent while the process stood still has been read when the timer
   * fires, and the clock of the sessions did not go on meanwhile.
   */
  #watchSessions(): void {
    this.#sessionTimer = this.#platform.clock.setTimer(this.sessions.dueInMs(this.sessionNow()), (lateMs) => {
      this.#stalledMs += lateMs
      for (const id of this.sessions.takeExpired(this.sessionNow())) {
        this.logger.info(
          `session ${hex(id)} has expired: nothing was heard of it for ${this.tree.sessions.get(id) ?? 0} ms`,
        )
        this.#submitOwn(id, { type: OpCode.closeSession })
      }
      if (this.#state === 'running') this.#watchSessions()
    })
  }

  #closeSilent(): void {
    for (const connection of this.#connections)
      if (connection.sessionId === 0n && this.now() - connection.connectedMs > GREETING_TIMEOUT_MS) connection.close()
  }

  #deleteDueContainers(): void {
    const { containerNeverUsedMs, containersPerMinute, containerCheckMs } = this.config
    const countMax = Math.max(1, Math.floor((containersPerMinute * containerCheckMs) / 60_000))
    for (const path of dueContainers(this.tree, this.wallMs(), containerNeverUsedMs, countMax))
      this.#submitOwn(0n, { type: OpCode.deleteContainer, path })
  }

  #repeat(everyMs: number, run: () => void): void {
    const index = this.#timers.length
    const arm = (): Timer =>
      this.#platform.clock.setTimer(everyMs, () => {
        run()
        if (this.#state === 'running') this.#timers[index] = arm()
      })
    this.#timers.push(arm())
  }

  /** What the disk holds is unknown: nothing may be acknowledged any more, and a retry would lie. */
  #onLogFailure(error: unknown): void {
    this.logger.error(
      'the transaction log cannot be written: the server stops, since it can promise nothing any more',
      error,
    )
    void this.#stop(error instanceof Error ? error : new Error(String(error)))
  }

  async #stop(reason: Error | null): Promise<void> {
    if (this.#state === 'stopping') {
      await this.stopped
      return
    }
    this.#state = 'stopping'
    this.#sessionTimer?.cancel()
    for (const timer of this.#timers) timer.cancel()
    const accepting = this.#listener?.stopAccepting()
    await this.commitLog.close()
    for (const connection of this.#connections) connection.close()
    await accepting
    await this.#snapshotter.settled()
    this.#lock.release()
    this.#resolveStopped(reason)
  }

  #adminView(): AdminView {
    const folders = foldersOf(this.config, VERSION_FOLDER)
    return {
      config: this.config,
      tree: this.tree,
      sessions: this.sessions,
      stats: this.stats,
      connections: this.#connections,
      connectionCount: this.#connections.size,
      outstanding: this.admission.inProcess,
      port: this.port,
      uptimeMs: this.now() - this.#startedMs,
      syncs: this.#log.syncs,
      snapshotBytes: () => folderBytes(this.#platform, folders.snapshots),
      logBytes: () => folderBytes(this.#platform, folders.logs),
      wallOfSessionMs: (ms) => this.wallMs() + ms - this.sessionNow(),
    }
  }
}

/** Two servers on the same data would destroy it. */
function lockData(platform: Platform, dataDir: string): FileLock {
  makeDirectoryDurably(platform.files, dataDir)
  try {
    return platform.files.lock(joinPath(dataDir, '.lock'))
  } catch (error) {
    if (error instanceof FileError && error.code === 'EWOULDBLOCK')
      throw new RecoveryError(`${dataDir} is in use by another process: stop it first, or name another dataDir`, {
        cause: error,
      })
    throw error
  }
}

function logOptions(config: ZooKeeperConfig): ConstructorParameters<typeof TxnLog>[2] {
  return {
    preAllocBytes: config.preAllocBytes,
    fileBytesMax: config.txnLogBytesMax,
    forceSync: config.forceSync,
    syncWarningMs: config.fsyncWarningMs,
  }
}

function folderBytes({ files }: Platform, folder: string): number {
  return files.list(folder).reduce((sum, name) => sum + files.stat(joinPath(folder, name)).size, 0)
}

function hex(value: bigint): string {
  return `0x${BigInt.asUintN(64, value).toString(16)}`
}
