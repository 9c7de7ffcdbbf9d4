/**
 * What clients are served with: their connections, and the term in which this server serves them. In an ensemble terms come and go
 * with the peer's offices; a server of its own has one that lasts.
 *
 *     lead or follow → commit, commit, … → retire → …
 */
import type { FramedConnection } from '#net'
import type { Platform } from '#platform'
import { OpCode, type LoggedTxn, hexLong } from '#zookeeper/protocol'
import { Decider, SessionIds, type Moment, type WriteBody, type ZnodeTree } from '#zookeeper/tree'
import type { EnsembleFaults } from '#zookeeper/zab'

import { Admission } from './admission.ts'
import type { AuditLog } from './audit-log.ts'
import { ClientConnection } from './client-connection.ts'
import { StandaloneCommitLog, type Commit, type CommitLog, type Waiter } from './commit-log.ts'
import type { ZooKeeperConfig } from './config.ts'
import { dueContainers } from './containers.ts'
import type { EnsembleServer, LeaderOffice, LearnerOffice } from './ensemble/office.ts'
import type { Host, ServerRole, Term } from './host.ts'
import { LeaderCommitLog } from './leader-commit-log.ts'
import { LearnerCommitLog } from './learner-commit-log.ts'
import type { ServerMetrics } from './metrics/server-metrics.ts'
import { ReadOnlyCommitLog, ReadOnlySessions } from './read-only.ts'
import type { Replica } from './replica.ts'
import type { Security } from './security.ts'
import { QuotaWarnings } from './quota-warnings.ts'
import { ForwardedSessions, OWN, TrackedSessions } from './sessions.ts'
import { SizeStats, TrafficStats } from './stats.ts'

/** Java's standalone server counts as this one when it numbers sessions. */
const STANDALONE_ID = 1

export interface ServiceOptions {
  readonly faults: EnsembleFaults
  readonly platform: Platform
  readonly config: ZooKeeperConfig
  readonly security: Security
  readonly replica: Replica
  readonly metrics: ServerMetrics
  readonly audit: AuditLog | null
  readonly adminWord: Host['adminWord']
  /** The server cannot go on. */
  readonly onFailure: (error: Error) => void
}

/** A term in which this server decides: it keeps the sessions' time and reaps containers. */
interface DecidingTerm extends Term {
  readonly sessions: TrackedSessions
}

/** Hands the commits of an ensemble to who waits for them. */
type CommitTaker = CommitLog & { onCommitted(logged: LoggedTxn): void }

export class Service implements Host, EnsembleServer {
  readonly config: ZooKeeperConfig
  readonly security: Security
  readonly logger: Platform['logger']
  readonly admission: Admission
  readonly stats = new TrafficStats()
  readonly responses = new SizeStats()
  readonly metrics: ServerMetrics
  readonly audit: AuditLog | null
  readonly connections = new Set<ClientConnection>()
  readonly adminWord: ServiceOptions['adminWord']
  readonly faults: EnsembleFaults

  readonly #platform: Platform
  readonly #replica: Replica
  readonly #onFailure: (error: Error) => void
  readonly #sessionIds: SessionIds
  readonly #quotaWarnings: QuotaWarnings
  readonly #bySession = new Map<bigint, ClientConnection>()
  #term: Term | null = null
  #termSinceMs = 0
  /** The same as `#term` while this server decides. */
  #deciding: DecidingTerm | null = null
  /** null unless this server serves reads alone. */
  #readOnly: ReadOnlySessions | null = null
  #leading: LeaderOffice | null = null
  /** null out of office, and in a server of its own. */
  #commits: CommitTaker | null = null
  /** Sessions of a former process, to be ended by the first one that may; null once another has served. */
  #stale: readonly bigint[] | null

  constructor({ platform, config, security, replica, metrics, audit, adminWord, onFailure, faults }: ServiceOptions) {
    this.faults = faults
    this.#platform = platform
    this.config = config
    this.security = security
    this.logger = platform.logger
    this.#replica = replica
    this.metrics = metrics
    this.audit = audit
    this.adminWord = adminWord
    this.#onFailure = onFailure
    this.admission = new Admission(platform.clock, config.globalOutstandingLimit)
    this.#quotaWarnings = new QuotaWarnings(platform)
    this.#sessionIds = new SessionIds(config.ensemble?.sid ?? STANDALONE_ID, platform.clock.now())
    this.#stale = config.closeStaleSessions ? [...replica.tree.sessions.keys()] : null
  }

  get tree(): ZnodeTree {
    return this.#replica.tree
  }

  get term(): Term | null {
    return this.#term
  }

  get role(): ServerRole | null {
    return this.#term?.role ?? null
  }

  /** null unless this server keeps the sessions' time. */
  get trackedSessions(): TrackedSessions | null {
    return this.#deciding?.sessions ?? null
  }

  /** Monotonic ms at which the term began. */
  get termSinceMs(): number {
    return this.#termSinceMs
  }

  /** null unless this server leads an ensemble. */
  get leaderOffice(): LeaderOffice | null {
    return this.#leading
  }

  serveAlone(): void {
    this.#decide('standalone', 0n, {}, (decider, moment, commit) => {
      return new StandaloneCommitLog(decider, this.#replica, moment, commit)
    })
  }

  lead(office: LeaderOffice): void {
    this.#leading = office
    const { sessions } = this.#decide(
      'leader',
      office.firstZxid,
      { lastZxid: office.firstZxid },
      (decider, moment, commit) => {
        return (this.#commits = new LeaderCommitLog(decider, office, moment, commit))
      },
    )
    sessions.serveLearners(office)
    if (this.faults.obeyFormerServer) obeyEveryLearner(office, sessions)
    this.logger.info(`leads epoch ${office.epoch}: clients are served`)
  }

  follow(office: LearnerOffice): void {
    const commitLog = new LearnerCommitLog(office, this.faults, (logged, waiter) => this.#commit(logged, waiter))
    this.#commits = commitLog
    this.#stale = null
    this.#beginTerm()
    this.#term = {
      role: this.config.ensemble?.role === 'observer' ? 'observer' : 'follower',
      commitLog,
      sessions: new ForwardedSessions(office),
      firstZxid: BigInt(office.epoch) << 32n,
    }
    this.logger.info(`${this.#term.role} of server ${office.leaderSid} in epoch ${office.epoch}: clients are served`)
  }

  serveReadOnly(): void {
    if (this.#term !== null) return
    const sessions = new ReadOnlySessions(this.#platform.clock, this.config.tickTimeMs, (id) => {
      sessions.forget(id)
      this.#bySession.get(id)?.close()
    })
    this.#readOnly = sessions
    this.#beginTerm()
    this.#term = { role: 'read-only', commitLog: new ReadOnlyCommitLog(this.tree, sessions), sessions, firstZxid: 0n }
    this.logger.warn('there is no leader: clients that can do with reads alone are served what is here')
  }

  retire(reason: string): void {
    if (this.#term === null) return
    this.#deciding?.sessions.end()
    this.#readOnly?.end()
    this.#readOnly = null
    this.#term = null
    this.#deciding = null
    this.#leading = null
    this.#commits = null
    this.logger.info(`clients are no longer served: ${reason}`)
    this.closeConnections()
  }

  commit(logged: LoggedTxn): void {
    this.#commits?.onCommitted(logged)
  }

  failed(error: Error): void {
    this.metrics.unrecoverableErrors.add()
    this.#onFailure(error)
  }

  now(): number {
    return this.#platform.clock.monotonic()
  }

  wallMs(): number {
    return this.#platform.clock.now()
  }

  newSessionId(): bigint {
    const { sessions } = this.#replica.tree
    return this.#sessionIds.take((id) => sessions.has(id) || this.#bySession.has(id))
  }

  accept(connection: FramedConnection): ClientConnection {
    const client = new ClientConnection(this, connection)
    this.connections.add(client)
    return client
  }

  attach(connection: ClientConnection): void {
    const former = this.#bySession.get(connection.sessionId)
    this.#bySession.set(connection.sessionId, connection)
    if (former !== connection) former?.close()
  }

  detach(connection: ClientConnection): void {
    this.connections.delete(connection)
    if (this.#bySession.get(connection.sessionId) === connection) this.#bySession.delete(connection.sessionId)
  }

  /** Whoever has not said a word for so long. */
  closeSilent(silentMs: number): void {
    for (const connection of this.connections)
      if (connection.sessionId === 0n && this.now() - connection.connectedMs > silentMs) {
        this.metrics.silentConnectionsClosed.add()
        connection.close()
      }
  }

  closeConnections(): void {
    for (const connection of this.connections) connection.drop()
  }

  /** Only who decides does: one is enough, and the others would ask it for the same. */
  deleteDueContainers(): void {
    if (this.#deciding === null) return
    const { containerNeverUsedMs, containersPerMinute, containerCheckMs } = this.config
    const countMax = Math.max(1, Math.floor((containersPerMinute * containerCheckMs) / 60_000))
    for (const path of dueContainers(this.tree, this.wallMs(), containerNeverUsedMs, countMax))
      this.#submitOwn(0n, { type: OpCode.deleteContainer, path })
  }

  #decide(
    role: ServerRole,
    firstZxid: bigint,
    numbering: { lastZxid?: bigint },
    commitLogOf: (decider: Decider, moment: () => Moment, commit: Commit) => CommitLog,
  ): DecidingTerm {
    const { clock } = this.#platform
    const sessions = new TrackedSessions(clock, this.config.tickTimeMs, this.tree, (id) => this.#expire(id))
    const decider = new Decider(this.tree, sessions.tracker, {
      skipAcl: this.config.skipAcl,
      aclRules: this.security.aclRules,
      enforceQuota: this.config.enforceQuota,
      onQuotaExceeded: (exceeded) => {
        if (exceeded.hard) this.metrics.quotaExceeded(exceeded.path)
        this.#quotaWarnings.note(exceeded)
      },
      ...numbering,
    })
    const moment = (): Moment => ({ wallMs: clock.now(), sessionMs: sessions.nowMs })
    const commitLog = commitLogOf(decider, moment, (logged, waiter) => this.#commit(logged, waiter))
    const term = { role, commitLog, sessions, firstZxid }
    this.#beginTerm()
    this.#term = term
    this.#deciding = term
    const stale = this.#stale ?? []
    this.#stale = null
    for (const id of stale) if (this.tree.sessions.has(id)) this.#submitOwn(id, { type: OpCode.closeSession })
    return term
  }

  /** Terms have a tree of their own: synchronising replaces it. */
  #beginTerm(): void {
    this.#termSinceMs = this.now()
    this.tree.watches.onTriggered = (type, watchers) => this.metrics.watchersOf(type).add(watchers)
  }

  /** What is committed takes effect, and whoever waited for it is answered. */
  #commit(logged: LoggedTxn, waiter: Waiter | null): void {
    const applied = this.#replica.apply(logged)
    this.metrics.writes.committed(logged)
    this.metrics.propagationLatency.add(Math.max(0, this.wallMs() - logged.header.time))
    waiter?.onCommitted(logged, applied)
    if (logged.txn.type === OpCode.closeSession)
      this.#forgetSession(logged.header.clientId, logged.txn.paths2Delete ?? [])
  }

  /** A client that closed its session has its answer by now; one whose session expired learns it here. */
  #forgetSession(id: bigint, ephemerals: readonly string[]): void {
    if (this.audit !== null) for (const path of ephemerals) this.audit.ephemeralDeleted(id, path)
    this.#term?.sessions.forget(id)
    this.#bySession.get(id)?.close()
  }

  #expire(id: bigint): void {
    const timeoutMs = this.tree.sessions.get(id) ?? 0
    this.metrics.sessionsExpired.add()
    this.logger.info(`session ${hexLong(id)} has expired: nothing was heard of it for ${timeoutMs} ms`)
    this.#submitOwn(id, { type: OpCode.closeSession })
  }

  #submitOwn(sessionId: bigint, body: WriteBody): void {
    this.#term?.commitLog.submit({ sessionId, cxid: 0, ids: [], owner: OWN, body }, null, null)
  }
}

/** Breaks a rule, for the simulation: whoever sends a write has the session. */
function obeyEveryLearner(office: LeaderOffice, sessions: TrackedSessions): void {
  const { onRequest } = office
  office.onRequest = (from, request) => {
    sessions.tracker.setOwner(request.sessionId, from)
    onRequest(from, request)
  }
}
