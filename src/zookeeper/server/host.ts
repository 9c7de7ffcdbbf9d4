import type { Logger } from '#platform'
import type { SessionTracker, ZnodeTree } from '#zookeeper/tree'

import type { Admission } from './admission.ts'
import type { ClientConnection } from './client-connection.ts'
import type { CommitLog } from './commit-log.ts'
import type { ZooKeeperConfig } from './config.ts'
import type { TrafficStats } from './stats.ts'

/** What a connection sees of its server. */
export interface Host {
  readonly config: ZooKeeperConfig
  readonly logger: Logger
  readonly tree: ZnodeTree
  readonly sessions: SessionTracker
  readonly commitLog: CommitLog
  readonly admission: Admission
  readonly stats: TrafficStats
  /** Stands for this server where an ensemble asks who owns a session. */
  readonly owner: unknown
  /** Monotonic ms. */
  now(): number
  /** Wall clock, for people. */
  wallMs(): number
  /** ms on the clock that sessions expire by. */
  sessionNow(): number
  newSessionId(): bigint
  /** The connection carries its session from now on; one that carried it before is closed. */
  attach(connection: ClientConnection): void
  /** The connection is gone. */
  detach(connection: ClientConnection): void
  /** Answers an admin word; null where there is none of that name. */
  adminWord(name: string): string | null
}
