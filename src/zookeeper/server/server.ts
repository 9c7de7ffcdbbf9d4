/**
 * A ZooKeeper 3.9 server: of its own, or one of an ensemble.
 *
 *     connection → decide → transaction log (one sync for many) → apply → answer          of its own
 *     connection → leader: decide → a quorum's transaction logs → apply → answer          in an ensemble
 *
 * Here its parts are joined, started and stopped. Source: ZooKeeperServerMain, QuorumPeerMain.
 */
import { FileError, joinPath, makeDirectoryDurably, type FileLock, type Platform, type Timer } from '#platform'
import { RecoveryError } from '#zookeeper/persistence'
import type { ZnodeTree } from '#zookeeper/tree'
import { NO_ENSEMBLE_FAULTS, type EnsembleFaults } from '#zookeeper/zab'

import { userOf } from './admin/process.ts'
import { ServerAdmin, type PeerFigures } from './admin/server-admin.ts'
import { AuditLog } from './audit-log.ts'
import { GREETING_TIMEOUT_MS } from './client-connection.ts'
import { ClientPorts } from './client-ports.ts'
import type { ZooKeeperConfig } from './config.ts'
import type { EnsembleConfig } from './ensemble-config.ts'
import type { EnsembleServer } from './ensemble/office.ts'
import { QuorumPeer } from './ensemble/peer.ts'
import { ServerMetrics } from './metrics/server-metrics.ts'
import { Replica } from './replica.ts'
import { Security } from './security.ts'
import type { Term } from './host.ts'
import { Service } from './service.ts'

const HOUR_MS = 3_600_000

/** What the server needs of whoever finds it a place in its ensemble. */
export interface Peer extends Partial<PeerFigures> {
  close(): Promise<void>
}

export type StartPeer = (
  platform: Platform,
  config: ZooKeeperConfig & { ensemble: EnsembleConfig },
  replica: Replica,
  server: EnsembleServer,
  options: { readonly faults: EnsembleFaults },
) => Promise<Peer>

export interface ServerOptions {
  /** What finds the server's place in its ensemble; `QuorumPeer` unless given. */
  readonly startPeer?: StartPeer
  /** Rules to break, for the simulation. */
  readonly faults?: Partial<EnsembleFaults>
}

const startQuorumPeer: StartPeer = (platform, config, replica, server, options) =>
  QuorumPeer.start(platform, config, replica, server, options)

export class ZooKeeperServer {
  readonly config: ZooKeeperConfig
  readonly replica: Replica
  /** Resolves when the server has stopped: with the reason if it had to, with null if it was asked to. */
  readonly stopped: Promise<Error | null>

  readonly #platform: Platform
  readonly #lock: FileLock
  readonly #service: Service
  readonly #faults: EnsembleFaults
  readonly #metrics: ServerMetrics
  readonly #audit: AuditLog | null
  readonly #admin: ServerAdmin
  readonly #resolveStopped: (reason: Error | null) => void
  readonly #security: Security
  #ports: ClientPorts | null = null
  #peer: Peer | null = null
  #timers: Timer[] = []
  #state: 'running' | 'stopping' = 'running'

  /**
   * Rejects with `RecoveryError`, `FileError` or `NetworkError` when the data or a port cannot be used, with `ZooCfgError` when a file
   * that the configuration names cannot.
   */
  static async start(
    platform: Platform,
    config: ZooKeeperConfig,
    { startPeer = startQuorumPeer, faults }: ServerOptions = {},
  ): Promise<ZooKeeperServer> {
    const security = Security.open(platform, config)
    const lock = lockData(platform, config.dataDir)
    let server: ZooKeeperServer | null = null
    try {
      const metrics = new ServerMetrics()
      const replica = await Replica.open(platform, config, metrics)
      server = new ZooKeeperServer(platform, config, security, lock, replica, metrics, {
        ...NO_ENSEMBLE_FAULTS,
        ...faults,
      })
      await server.#open(startPeer)
      return server
    } catch (error) {
      if (server === null) lock.release()
      else await server.#stop(null)
      throw error
    }
  }

  private constructor(
    platform: Platform,
    config: ZooKeeperConfig,
    security: Security,
    lock: FileLock,
    replica: Replica,
    metrics: ServerMetrics,
    faults: EnsembleFaults,
  ) {
    this.#faults = faults
    this.#security = security
    this.#platform = platform
    this.config = config
    this.replica = replica
    this.#lock = lock
    this.#metrics = metrics
    this.#audit = config.audit ? new AuditLog(platform.logger, userOf()) : null
    const { promise, resolve } = Promise.withResolvers<Error | null>()
    this.stopped = promise
    this.#resolveStopped = resolve
    replica.onFailure = (error) => this.#onFailure(error)
    this.#service = new Service({
      platform,
      config,
      security,
      replica,
      faults,
      metrics,
      audit: this.#audit,
      adminWord: (name, rest) => this.#admin.answerWord(name, rest),
      onFailure: (error) => this.#onFailure(error),
    })
    this.#admin = new ServerAdmin({
      platform,
      config,
      security,
      replica,
      service: this.#service,
      metrics,
      ports: () => this.#ports,
      peer: () => this.#peer,
    })
  }

  /** Where it listens for clients; 0: with TLS only. */
  get port(): number {
    return this.#ports?.port ?? 0
  }

  /** Where it listens for clients with TLS; 0: nowhere, or on `port` only. */
  get securePort(): number {
    return this.#ports?.securePort ?? 0
  }

  /** Where the HTTP commands are; null: nowhere. */
  get adminPort(): number | null {
    return this.#admin.commandsPort
  }

  /** Where the metrics for Prometheus are; null: nowhere. */
  get metricsPort(): number | null {
    return this.#admin.metricsPort
  }

  /** null while clients are not served. */
  get term(): Term | null {
    return this.#service.term
  }

  get tree(): ZnodeTree {
    return this.replica.tree
  }

  /** Requests received and not yet answered. */
  get outstanding(): number {
    return this.#service.admission.inProcess
  }

  /** Finds this server's place in its ensemble; null in a server of its own. */
  get peer(): Peer | null {
    return this.#peer
  }

  /** Answers what has been handed in, and closes everything. Sessions live on in the data until they expire. */
  async close(): Promise<void> {
    await this.#stop(null)
  }

  adminWord(name: string): string {
    return this.#admin.answerWord(name, new Uint8Array())
  }

  async #open(startPeer: StartPeer): Promise<void> {
    const { ensemble } = this.config
    if (ensemble === null) this.#service.serveAlone()
    this.#ports = await ClientPorts.open(this.#platform, this.config, this.#security, this.#metrics, (connection) =>
      this.#service.accept(connection),
    )
    if (ensemble !== null)
      this.#peer = await startPeer(
        this.#platformOfQuorum(ensemble),
        { ...this.config, ensemble },
        this.replica,
        this.#service,
        {
          faults: this.#faults,
        },
      )
    await this.#admin.open()
    this.#audit?.serverStarted()
    this.#repeat(GREETING_TIMEOUT_MS, () => this.#service.closeSilent(GREETING_TIMEOUT_MS))
    this.#repeat(this.config.containerCheckMs, () => this.#service.deleteDueContainers())
    if (this.config.purgeIntervalHours > 0)
      this.#repeat(this.config.purgeIntervalHours * HOUR_MS, () => this.replica.purge(this.config.snapRetainCount))
  }

  /** Quorum and election ports have a protection of their own. */
  #platformOfQuorum(ensemble: EnsembleConfig): Platform {
    const { clock, random, files, http, logger } = this.#platform
    return { clock, random, files, http, logger, network: this.#security.quorumNetwork(this.#platform, ensemble) }
  }

  #repeat(everyMs: number, run: () => void): void {
    if (this.#state === 'stopping') return
    const index = this.#timers.length
    const arm = (): Timer =>
      this.#platform.clock.setTimer(everyMs, () => {
        run()
        if (this.#state === 'running') this.#timers[index] = arm()
      })
    this.#timers.push(arm())
  }

  /** What the disk holds is unknown, or contradicts the ensemble: nothing may be acknowledged any more, and a retry would lie. */
  #onFailure(error: unknown): void {
    if (this.#state === 'stopping') return
    this.#platform.logger.error('the server stops, since it can promise nothing any more', error)
    void this.#stop(error instanceof Error ? error : new Error(String(error)))
  }

  async #stop(reason: Error | null): Promise<void> {
    if (this.#state === 'stopping') {
      await this.stopped
      return
    }
    this.#state = 'stopping'
    this.#audit?.serverStops()
    for (const timer of this.#timers) timer.cancel()
    const accepting = this.#ports?.stopAccepting()
    const watched = this.#admin.close()
    await this.#peer?.close()
    await this.replica.close()
    this.#service.retire('the server stops')
    this.#service.closeConnections()
    await accepting
    await watched
    this.#lock.release()
    this.#resolveStopped(reason)
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
