/** What a running server shows of itself: the words on its client port, the HTTP commands, the metrics for Prometheus. */
import type { HttpListener, Platform } from '#platform'
import { listDated } from '#zookeeper/persistence'
import type { SessionTracker, ZnodeTree } from '#zookeeper/tree'

import { answerAdminWord } from '../admin-words.ts'
import type { ClientConnection } from '../client-connection.ts'
import type { ClientPorts } from '../client-ports.ts'
import type { ZooKeeperConfig } from '../config.ts'
import type { ServerRole } from '../host.ts'
import { PROMETHEUS_CONTENT_TYPE, prometheusText } from '../metrics/prometheus.ts'
import type { ServerMetrics } from '../metrics/server-metrics.ts'
import { folderBytes, type Replica } from '../replica.ts'
import type { Service } from '../service.ts'
import type { Security } from '../security.ts'
import { PROMETHEUS_PROVIDER } from '../settings.ts'
import type { SizeStats, TrafficStats } from '../stats.ts'
import { AdminServer } from './admin-server.ts'
import { listenOrGoOn } from './http.ts'
import { environmentOf, processFigures, type ProcessFigures } from './process.ts'
import type { AdminView, EnsembleView, Leadership } from './view.ts'

/** What Java's servers begin with: everything but pings and reads. */
const TRACE_MASK_DEFAULT = 0b1_0011_0010n

export interface ServerParts {
  readonly platform: Platform
  readonly config: ZooKeeperConfig
  readonly security: Security
  readonly replica: Replica
  readonly service: Service
  readonly metrics: ServerMetrics
  /** Null before it listens. */
  readonly ports: () => ClientPorts | null
  /** Null in a server of its own, and before the peer has started. */
  readonly peer: () => Partial<PeerFigures> | null
}

/** Of `QuorumPeer`. */
export interface PeerFigures {
  readonly zabState: EnsembleView['phase']
  readonly leaderSid: number | null
}

export class ServerAdmin implements AdminView {
  traceMask = TRACE_MASK_DEFAULT
  readonly #parts: ServerParts
  readonly #startedMs: number
  #commands: HttpListener | null = null
  #metrics: HttpListener | null = null
  #isClosed = false

  constructor(parts: ServerParts) {
    this.#parts = parts
    this.#startedMs = parts.platform.clock.monotonic()
  }

  /** What cannot be opened is logged, and the server goes on without. */
  async open(): Promise<void> {
    const { platform, config, security, replica } = this.#parts
    const opened = await Promise.all([
      config.adminServer
        ? AdminServer.open(platform, this, { security, takeSnapshot: () => replica.takeSnapshot() })
        : null,
      config.metricsProvider === PROMETHEUS_PROVIDER ? this.#openMetrics() : null,
    ])
    ;[this.#commands, this.#metrics] = opened
    if (this.#isClosed) await this.close()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([this.#commands?.close(), this.#metrics?.close()])
  }

  /** Where the HTTP commands are; null: nowhere. */
  get commandsPort(): number | null {
    return this.#commands?.port ?? null
  }

  get metricsPort(): number | null {
    return this.#metrics?.port ?? null
  }

  async #openMetrics(): Promise<HttpListener | null> {
    const { platform, config } = this.#parts
    const listener = await listenOrGoOn(platform, 'the metrics server', {
      host: config.metricsHost,
      port: config.metricsPort,
      idleTimeoutMs: config.adminIdleTimeoutMs,
      onRequest: ({ method, path }) => {
        if (path !== '/metrics') return { status: 404, body: '' }
        if (method !== 'GET' && method !== 'HEAD') return { status: 405, body: '' }
        return { status: 200, headers: { 'content-type': PROMETHEUS_CONTENT_TYPE }, body: prometheusText(this) }
      },
    })
    if (listener !== null)
      platform.logger.info(`metrics for Prometheus are at http://${listener.host}:${listener.port}/metrics`)
    return listener
  }

  answerWord(name: string, rest: Uint8Array): string {
    return answerAdminWord(this, name, rest)
  }

  get config(): ZooKeeperConfig {
    return this.#parts.config
  }

  get metrics(): ServerMetrics {
    return this.#parts.metrics
  }

  get stats(): TrafficStats {
    return this.#parts.service.stats
  }

  get responses(): SizeStats {
    return this.#parts.service.responses
  }

  get connections(): ReadonlySet<ClientConnection> {
    return this.#parts.service.connections
  }

  get connectionCount(): number {
    return this.connections.size
  }

  get outstanding(): number {
    return this.#parts.service.admission.inProcess
  }

  get port(): number {
    return this.#parts.ports()?.port ?? 0
  }

  get securePort(): number {
    return this.#parts.ports()?.securePort ?? 0
  }

  get uptimeMs(): number {
    return this.#parts.platform.clock.monotonic() - this.#startedMs
  }

  get role(): ServerRole | null {
    return this.#parts.service.role
  }

  get tree(): ZnodeTree {
    return this.#parts.replica.tree
  }

  get tracker(): SessionTracker | null {
    return this.#parts.service.trackedSessions?.tracker ?? null
  }

  get ensemble(): EnsembleView | null {
    if (this.config.ensemble === null) return null
    const peer = this.#parts.peer()
    return {
      phase: peer?.zabState ?? 'election',
      leaderSid: peer?.leaderSid ?? null,
      leadership: this.#leadership(),
    }
  }

  #leadership(): Leadership | null {
    const { leaderOffice, termSinceMs } = this.#parts.service
    if (leaderOffice === null) return null
    return {
      learners: leaderOffice.learners(),
      uptimeMs: this.#parts.platform.clock.monotonic() - termSinceMs,
      proposals: this.metrics.proposalSizes,
    }
  }

  process(): ProcessFigures {
    return processFigures(this.#parts.platform)
  }

  environment(): [string, string][] {
    return environmentOf(this.#parts.platform)
  }

  snapshotBytes(): number {
    return folderBytes(this.#parts.platform, this.#parts.replica.folders.snapshots)
  }

  logBytes(): number {
    return folderBytes(this.#parts.platform, this.#parts.replica.folders.logs)
  }

  lastSnapshot(): { zxid: bigint; wallMs: number } | null {
    const { files } = this.#parts.platform
    const newest = listDated(files, this.#parts.replica.folders.snapshots, 'snapshot').at(-1)
    return newest === undefined ? null : { zxid: newest.zxid, wallMs: files.stat(newest.path).modifiedMs }
  }

  wallOfMs(ms: number): number {
    const { clock } = this.#parts.platform
    return clock.now() + ms - clock.monotonic()
  }

  wallOfSessionMs(ms: number): number {
    const { clock } = this.#parts.platform
    return clock.now() + ms - (this.#parts.service.trackedSessions?.nowMs ?? clock.monotonic())
  }
}
