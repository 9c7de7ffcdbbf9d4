import type { Logger } from '#platform'
import type { ZnodeTree } from '#zookeeper/tree'
import type { EnsembleFaults } from '#zookeeper/zab'

import type { Admission } from './admission.ts'
import type { AuditLog } from './audit-log.ts'
import type { ClientConnection } from './client-connection.ts'
import type { CommitLog } from './commit-log.ts'
import type { ZooKeeperConfig } from './config.ts'
import type { Security } from './security.ts'
import type { ServerMetrics } from './metrics/server-metrics.ts'
import type { Sessions } from './sessions.ts'
import type { SizeStats, TrafficStats } from './stats.ts'

export type ServerRole = 'standalone' | 'leader' | 'follower' | 'observer' | 'read-only'

/** As long as the server serves in one role. Of an ensemble one follows the other, with nothing in between that clients could use. */
export interface Term {
  readonly role: ServerRole
  readonly commitLog: CommitLog
  readonly sessions: Sessions
  /** Everything before this zxid is here, also where the last transaction is older: a client that has seen it may come. */
  readonly firstZxid: bigint
}

/** What a connection sees of its server. */
export interface Host {
  readonly config: ZooKeeperConfig
  readonly security: Security
  readonly logger: Logger
  readonly tree: ZnodeTree
  /** null while the server does not serve: it is looking for a leader, or not yet up to date. */
  readonly term: Term | null
  readonly admission: Admission
  readonly stats: TrafficStats
  readonly metrics: ServerMetrics
  /** Null: nobody wants it. */
  readonly audit: AuditLog | null
  /** Sizes of what is sent to clients. */
  readonly responses: SizeStats
  readonly faults: EnsembleFaults
  /** Monotonic ms. */
  now(): number
  /** Wall clock, for people. */
  wallMs(): number
  newSessionId(): bigint
  /** The connection carries its session from now on; one that carried it before is closed. */
  attach(connection: ClientConnection): void
  /** The connection is gone. */
  detach(connection: ClientConnection): void
  /** Answers an admin word; `rest` is what came along with it. */
  adminWord(name: string, rest: Uint8Array): string
}
