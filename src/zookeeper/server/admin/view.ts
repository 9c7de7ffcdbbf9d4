import type { SessionTracker, ZnodeTree } from '#zookeeper/tree'

import type { ClientConnection } from '../client-connection.ts'
import type { ZooKeeperConfig } from '../config.ts'
import type { LearnerView } from '../ensemble/office.ts'
import type { ServerRole } from '../host.ts'
import type { ServerMetrics } from '../metrics/server-metrics.ts'
import type { SizeStats, TrafficStats } from '../stats.ts'
import type { ProcessFigures } from './process.ts'

/** What dashboards and scripts take for a version of ZooKeeper. */
export const VERSION_TEXT = '3.9.4-samsa, built on 2025-01-01 00:00 UTC'

export const NOT_SERVING = 'This ZooKeeper instance is not currently serving requests'

/** What admin words, HTTP commands and metrics tell about: one server at this moment. */
export interface AdminView {
  readonly config: ZooKeeperConfig
  readonly metrics: ServerMetrics
  readonly stats: TrafficStats
  /** Answers to clients. */
  readonly responses: SizeStats
  readonly connections: Iterable<ClientConnection>
  readonly connectionCount: number
  readonly outstanding: number
  readonly port: number
  /** 0: there is none. */
  readonly securePort: number
  readonly uptimeMs: number
  /** Null while it looks for a leader or is not yet up to date: then no client is served. */
  readonly role: ServerRole | null
  readonly tree: ZnodeTree
  /** Of the server that keeps the time of sessions: null at a learner. */
  readonly tracker: SessionTracker | null
  /** Null for a server of its own. */
  readonly ensemble: EnsembleView | null
  /** For Java's trace log, which there is none of here: it is kept and told. */
  traceMask: bigint
  process(): ProcessFigures
  environment(): [string, string][]
  snapshotBytes(): number
  logBytes(): number
  /** The newest snapshot on disk. */
  lastSnapshot(): { zxid: bigint; wallMs: number } | null
  /** Wall clock of a monotonic moment. */
  wallOfMs(ms: number): number
  /** Wall clock of a moment on the clock of the sessions. */
  wallOfSessionMs(ms: number): number
}

export interface EnsembleView {
  /** Apache's name for what the peer does: `election`, `discovery`, `synchronization` or `broadcast`. */
  readonly phase: 'election' | 'discovery' | 'synchronization' | 'broadcast'
  readonly leaderSid: number | null
  /** Of the leader; null elsewhere. */
  readonly leadership: Leadership | null
}

export interface Leadership {
  readonly learners: readonly LearnerView[]
  readonly uptimeMs: number
  readonly proposals: SizeStats
}

/** A number that Java prints with a fraction, whatever it is. */
export class Decimal {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }

  toString(): string {
    const rounded = Math.round(this.value * 10_000) / 10_000
    return Number.isInteger(rounded) ? `${rounded}.0` : String(rounded)
  }
}
