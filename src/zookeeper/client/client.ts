/**
 * A session with a ZooKeeper ensemble, kept across connections: when one breaks, the next server gets the session's id and
 * password, the last zxid seen and the watches. Only a server says that a session has expired; its owner then begins
 * a new one with `renew`, since ephemeral znodes and watches are gone and must be made again.
 */
import { assert } from '#base'
import { sleep, type Platform } from '#platform'
import {
  CreateMode,
  OpCode,
  PASSWORD_BYTES,
  ZkErrorCode,
  operations,
  type Acl,
  type MultiOp,
  type MultiResult,
  type Operation,
  type Stat,
  type WatcherEvent,
} from '#zookeeper/protocol'

import { parseConnectString, type ConnectString, type ZooKeeperAddress } from './connect-string.ts'
import { ServerConnection, type ConnectionHandler, type Outgoing, type Session } from './connection.ts'
import { RetryingZooKeeper, type ReconnectingZooKeeper, type SessionEvent } from './retrying.ts'
import { WatchRegistry, type WatchTarget } from './watches.ts'
import {
  OPEN_ACL,
  ZkError,
  ZkMultiError,
  type CreateOptions,
  type MultiStep,
  type MultiStepResult,
  type Watcher,
  type Znode,
  type ZnodeChildren,
} from './zookeeper.ts'

export interface ZooKeeperOptions {
  /** `host:port[,host:port…][/chroot]`. */
  connect: string
  /** Wanted; the server may grant another. */
  sessionTimeoutMs: number
  /** How long `connect` and `renew` wait for the first answer; the session timeout unless given. */
  connectionTimeoutMs?: number
  /** Requests sent and not answered; more wait here. */
  requestsInFlightMax?: number
  /** Makes the chroot, if it is not there. */
  createChroot?: boolean
  /** Identities of every connection, e.g. scheme `digest`, auth `user:password`. */
  auth?: readonly { scheme: string; auth: Uint8Array }[]
}

/** zookeeper.max.in.flight.requests of Kafka. */
const REQUESTS_IN_FLIGHT_MAX = 10

/** After all servers have failed once, the next round begins at a random time up to this. */
const ROUND_PAUSE_MS_MAX = 1000

/** How long a close waits for the server's word: if it does not come, the session expires by itself. */
const CLOSE_TIMEOUT_MS = 2000

const NEW_SESSION: Session = { id: 0n, password: new Uint8Array(PASSWORD_BYTES) }

type State =
  | { kind: 'connecting' }
  | { kind: 'connected'; connection: ServerConnection }
  | { kind: 'expired' }
  | { kind: 'authFailed' }
  | { kind: 'closed' }

export class ZooKeeperClient implements ReconnectingZooKeeper {
  /** The same operations, retried after a reconnection. */
  readonly retrying: RetryingZooKeeper
  readonly #platform: Platform
  readonly #options: ZooKeeperOptions
  readonly #target: ConnectString
  /** Shuffled, so that the clients of an ensemble spread. */
  readonly #hosts: readonly ZooKeeperAddress[]
  #nextHost = 0
  #state: State = { kind: 'connecting' }
  #session: Session = NEW_SESSION
  /** Sessions that this client had before the present one. */
  readonly #formerSessions = new Set<bigint>()
  #lastZxid = 0n
  #timeoutMs: number
  readonly #watches = new WatchRegistry()
  /** Waiting for a place in flight. Empty unless connected. */
  #queue: Outgoing[] = []
  readonly #listeners = new Set<(event: SessionEvent) => void>()
  /** Those who wait for the state to be another than connecting. */
  readonly #settled = new Set<() => void>()
  /** Ends the attempts to connect. */
  #stop = new AbortController()

  /** Resolves with a session; rejects when no server gave one in time. */
  static async connect(platform: Platform, options: ZooKeeperOptions): Promise<ZooKeeperClient> {
    const client = new ZooKeeperClient(platform, options)
    await client.#begin()
    if (options.createChroot === true) await client.#createChroot()
    return client
  }

  private constructor(platform: Platform, options: ZooKeeperOptions) {
    this.#platform = platform
    this.#options = options
    this.#target = parseConnectString(options.connect)
    this.#hosts = shuffled(this.#target.hosts, platform)
    this.#timeoutMs = options.sessionTimeoutMs
    this.retrying = new RetryingZooKeeper(this)
  }

  get sessionId(): bigint {
    return this.#session.id
  }

  get sessionPassword(): Uint8Array {
    return this.#session.password
  }

  /** As negotiated, ms. */
  get sessionTimeoutMs(): number {
    return this.#timeoutMs
  }

  get isConnected(): boolean {
    return this.#state.kind === 'connected'
  }

  /** Whether this client had that session before the present one: what it left behind may be removed. */
  isFormerSession(sessionId: bigint): boolean {
    return this.#formerSessions.has(sessionId)
  }

  /** Returns the function that ends it. */
  onSession(listener: (event: SessionEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Resolves when connected with the present session; rejects with `ZkError` when that has ended. */
  connected(): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): boolean => {
        if (this.#state.kind === 'connecting') return false
        if (this.#state.kind === 'connected') resolve()
        else reject(new ZkError(this.#lossCode(), '/'))
        return true
      }
      if (settle()) return
      const waiter = (): void => {
        if (settle()) this.#settled.delete(waiter)
      }
      this.#settled.add(waiter)
    })
  }

  /** Begins a new session after the former expired. Rejects when no server gave one in time; then it may be tried again. */
  async renew(): Promise<void> {
    assert(this.#state.kind === 'expired', `a session can be renewed when it has expired, not when ${this.#state.kind}`)
    this.#lastZxid = 0n
    this.#state = { kind: 'connecting' }
    await this.#begin()
  }

  /** Ends the session: its ephemeral znodes vanish at once. */
  async close(): Promise<void> {
    if (this.#state.kind === 'connected') await this.#closeSession(this.#state.connection)
    const connection = this.#state.kind === 'connected' ? this.#state.connection : null
    this.#become({ kind: 'closed' })
    this.#stop.abort(new Error('the ZooKeeper client was closed'))
    connection?.close()
    this.#watches.clear()
  }

  async create(path: string, data: Uint8Array | null, options: CreateOptions = {}): Promise<string> {
    const acl = [...(options.acl ?? OPEN_ACL)]
    const request = { path: this.#full(path), data, acl, flags: options.mode ?? CreateMode.persistent }
    return this.#short((await this.#call(operations.create, path, request)).path)
  }

  async delete(path: string, version = -1): Promise<void> {
    await this.#call(operations.delete, path, { path: this.#full(path), version })
  }

  async exists(path: string, watcher?: Watcher): Promise<Stat | null> {
    const request = { path: this.#full(path), watch: watcher !== undefined }
    try {
      const watch = this.#watching(path, watcher, (code) => (code === ZkErrorCode.OK ? 'data' : 'exist'))
      return (await this.#call(operations.exists, path, request, watch)).stat
    } catch (error) {
      if (error instanceof ZkError && error.code === ZkErrorCode.NONODE) return null
      throw error
    }
  }

  async getData(path: string, watcher?: Watcher): Promise<Znode> {
    const request = { path: this.#full(path), watch: watcher !== undefined }
    const watch = this.#watching(path, watcher, (code) => (code === ZkErrorCode.OK ? 'data' : null))
    return await this.#call(operations.getData, path, request, watch)
  }

  async setData(path: string, data: Uint8Array | null, version = -1): Promise<Stat> {
    return (await this.#call(operations.setData, path, { path: this.#full(path), data, version })).stat
  }

  async getChildren(path: string, watcher?: Watcher): Promise<ZnodeChildren> {
    const request = { path: this.#full(path), watch: watcher !== undefined }
    const watch = this.#watching(path, watcher, (code) => (code === ZkErrorCode.OK ? 'child' : null))
    return await this.#call(operations.getChildren2, path, request, watch)
  }

  async getAcl(path: string): Promise<{ acl: Acl[]; stat: Stat }> {
    return await this.#call(operations.getACL, path, { path: this.#full(path) })
  }

  async setAcl(path: string, acl: readonly Acl[], aclVersion = -1): Promise<Stat> {
    const request = { path: this.#full(path), acl: [...acl], version: aclVersion }
    return (await this.#call(operations.setACL, path, request)).stat
  }

  async multi(steps: readonly MultiStep[]): Promise<MultiStepResult[]> {
    if (steps.length === 0) return []
    const results = await this.#call(
      operations.multi,
      steps[0]!.path,
      steps.map((step) => this.#multiOp(step)),
    )
    const codes = results.map((result) => (result.type === OpCode.error ? (result.err as ZkErrorCode) : ZkErrorCode.OK))
    const failed = codes.findIndex((code) => code !== ZkErrorCode.OK)
    if (failed >= 0) throw new ZkMultiError(codes, failed, steps[failed]?.path ?? '/')
    return results.map((result) => this.#multiStepResult(result))
  }

  async sync(path: string): Promise<void> {
    await this.#call(operations.sync, path, { path: this.#full(path) })
  }

  #multiOp(step: MultiStep): MultiOp {
    const path = this.#full(step.path)
    switch (step.op) {
      case 'create': {
        const acl = [...(step.acl ?? OPEN_ACL)]
        return { type: OpCode.create, path, data: step.data, acl, flags: step.mode ?? CreateMode.persistent }
      }
      case 'setData':
        return { type: OpCode.setData, path, data: step.data, version: step.version }
      case 'delete':
        return { type: OpCode.delete, path, version: step.version }
      case 'check':
        return { type: OpCode.check, path, version: step.version }
    }
  }

  #multiStepResult(result: MultiResult): MultiStepResult {
    if ('path' in result) return { path: this.#short(result.path) }
    if ('stat' in result) return { stat: result.stat }
    return {}
  }

  /** The server set the watch, since it answered; which kind depends on the answer. */
  #watching(
    path: string,
    watcher: Watcher | undefined,
    target: (code: number) => WatchTarget | null,
  ): ((code: number) => void) | undefined {
    if (watcher === undefined) return undefined
    return (code) => {
      const chosen = code === ZkErrorCode.OK || code === ZkErrorCode.NONODE ? target(code) : null
      if (chosen !== null) this.#watches.add(chosen, this.#full(path), watcher)
    }
  }

  /** `answered` is called in the order of the wire, before any later event or answer. */
  #call<Request, Response>(
    operation: Operation<Request, Response>,
    path: string,
    request: Request,
    answered?: (code: number) => void,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      this.#submit({
        operation,
        request,
        onReply: (code, response) => {
          answered?.(code)
          if (code === ZkErrorCode.OK) resolve(copyData(response) as Response)
          else reject(new ZkError(code, path))
          this.#pump()
        },
        onLoss: () => reject(new ZkError(this.#lossCode(), path)),
      })
    })
  }

  #submit(outgoing: Outgoing): void {
    if (this.#state.kind !== 'connected') return outgoing.onLoss()
    this.#queue.push(outgoing)
    this.#pump()
  }

  #pump(): void {
    if (this.#state.kind !== 'connected') return
    const { connection } = this.#state
    const inFlightMax = this.#options.requestsInFlightMax ?? REQUESTS_IN_FLIGHT_MAX
    while (this.#queue.length > 0 && connection.inFlight < inFlightMax) connection.send(this.#queue.shift()!)
  }

  #lossCode(): ZkErrorCode {
    switch (this.#state.kind) {
      case 'expired':
      case 'closed':
        return ZkErrorCode.SESSIONEXPIRED
      case 'authFailed':
        return ZkErrorCode.AUTHFAILED
      case 'connecting':
      case 'connected':
        return ZkErrorCode.CONNECTIONLOSS
    }
  }

  /** A new session, within the time for connecting. Afterwards the client has one, or has given up. */
  async #begin(): Promise<void> {
    const timeoutMs = this.#options.connectionTimeoutMs ?? this.#options.sessionTimeoutMs
    this.#stop = new AbortController()
    void this.#reconnect()
    const late = Promise.withResolvers<never>()
    const deadline = this.#platform.clock.setTimer(timeoutMs, () =>
      late.reject(new Error(`no ZooKeeper server of ${this.#options.connect} answered within ${timeoutMs} ms`)),
    )
    try {
      await Promise.race([this.connected(), late.promise])
    } catch (error) {
      // Nobody is told: the session that did not begin cannot end.
      if (this.#state.kind === 'connecting') this.#state = { kind: 'expired' }
      this.#stop.abort(error)
      throw error
    } finally {
      deadline.cancel()
    }
  }

  /** Tries server after server until one takes the session or says that it has expired. */
  async #reconnect(): Promise<void> {
    const { signal } = this.#stop
    for (let attempts = 1; this.#state.kind === 'connecting' && !signal.aborted; attempts++) {
      await this.#attempt(signal)
      if (this.#state.kind !== 'connecting' || attempts % this.#hosts.length !== 0) continue
      const pauseMs = this.#platform.random.below(ROUND_PAUSE_MS_MAX)
      await sleep(this.#platform.clock, pauseMs, signal).catch(() => {})
    }
  }

  /** Resolves when the server has answered the handshake, or did not. */
  async #attempt(signal: AbortSignal): Promise<void> {
    const address = this.#hosts[this.#nextHost]!
    this.#nextHost = (this.#nextHost + 1) % this.#hosts.length
    const timeoutMs = this.#options.sessionTimeoutMs / this.#hosts.length
    const handshake = {
      session: this.#session,
      lastZxid: this.#lastZxid,
      timeoutMs: this.#options.sessionTimeoutMs,
    }
    await new Promise<void>((resolve) => {
      const handler: ConnectionHandler = {
        onSession: (connection, session, grantedMs) => {
          resolve()
          if (signal.aborted) connection.close()
          else this.#onSession(connection, session, grantedMs)
        },
        onExpired: () => this.#onExpired(),
        onAuthFailed: () => this.#become({ kind: 'authFailed' }),
        onEvent: (event) => this.#onEvent(event),
        onZxid: (zxid) => (this.#lastZxid = zxid),
        onClose: (connection, error) => {
          resolve()
          this.#onClose(connection, error)
        },
      }
      const failed = (error: Error): void => {
        this.#platform.logger.debug(`ZooKeeper server ${address.host}:${address.port}: ${error.message}`)
        resolve()
      }
      ServerConnection.open(this.#platform, address, timeoutMs, handshake, handler, signal).catch(failed)
    })
  }

  /** The connection is the session's now: identities first, then watches, then what waits. */
  #onSession(connection: ServerConnection, session: Session, timeoutMs: number): void {
    if (this.#session.id !== session.id && this.#session.id !== 0n) this.#formerSessions.add(this.#session.id)
    this.#session = session
    this.#timeoutMs = timeoutMs
    for (const { scheme, auth } of this.#options.auth ?? []) connection.authenticate(scheme, auth)
    for (const packet of this.#watches.packets(this.#lastZxid)) connection.setWatches(packet)
    this.#become({ kind: 'connected', connection })
  }

  #onExpired(): void {
    if (this.#state.kind !== 'connecting') return
    this.#formerSessions.add(this.#session.id)
    this.#session = NEW_SESSION
    this.#watches.clear()
    // Whoever hears of it may begin a new session at once: these attempts are not its own.
    this.#stop.abort(new Error('the session has expired'))
    this.#become({ kind: 'expired' })
  }

  #onEvent(event: WatcherEvent): void {
    const taken = this.#watches.take(event)
    if (taken === null) return
    const path = this.#short(event.path)
    for (const watcher of taken.watchers) watcher({ kind: taken.kind, path })
  }

  #onClose(connection: ServerConnection, error: Error | null): void {
    if (this.#state.kind !== 'connected' || this.#state.connection !== connection) return
    this.#platform.logger.info(`lost the connection to ZooKeeper: ${error?.message ?? 'closed by the server'}`)
    this.#become({ kind: 'connecting' })
    void this.#reconnect()
  }

  /** Every change of state goes through here: what waits for one is told, what cannot be answered any more fails. */
  #become(next: State): void {
    if (this.#state.kind === 'closed') return
    this.#state = next
    if (next.kind !== 'connected') for (const outgoing of this.#queue.splice(0)) outgoing.onLoss()
    for (const waiter of this.#settled) waiter()
    for (const listener of this.#listeners) listener(EVENT_OF_STATE[next.kind])
  }

  async #closeSession(connection: ServerConnection): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#platform.clock.setTimer(CLOSE_TIMEOUT_MS, () => resolve())
      const done = (): void => {
        timer.cancel()
        resolve()
      }
      connection.send({ operation: operations.closeSession, request: null, onReply: done, onLoss: done })
    })
  }

  async #createChroot(): Promise<void> {
    const { chroot } = this.#target
    const parts = chroot.split('/').slice(1)
    for (let depth = 1; depth <= parts.length; depth++) {
      const path = `/${parts.slice(0, depth).join('/')}`
      const request = { path, data: null, acl: [...OPEN_ACL], flags: CreateMode.persistent }
      await this.retrying.retry(() => this.#call(operations.create, path, request)).catch(ignoreNodeExists)
    }
  }

  #full(path: string): string {
    if (this.#target.chroot === '') return path
    return path === '/' ? this.#target.chroot : this.#target.chroot + path
  }

  /** Paths outside the chroot pass unchanged: events of /zookeeper/… do. */
  #short(path: string): string {
    const { chroot } = this.#target
    if (chroot === '' || !path.startsWith(chroot)) return path
    return path.length === chroot.length ? '/' : path.slice(chroot.length)
  }
}

const EVENT_OF_STATE: Readonly<Record<State['kind'], SessionEvent>> = {
  connecting: 'disconnected',
  connected: 'connected',
  expired: 'expired',
  authFailed: 'authFailed',
  closed: 'closed',
}

function ignoreNodeExists(error: unknown): void {
  if (!(error instanceof ZkError) || error.code !== ZkErrorCode.NODEEXISTS) throw error
}

/** An answer's data is a view into a frame that dies with this turn. (A Buffer's `slice` would be a view again.) */
function copyData(response: unknown): unknown {
  if (typeof response !== 'object' || response === null || !('data' in response)) return response
  const { data } = response
  return { ...response, data: data instanceof Uint8Array ? new Uint8Array(data) : null }
}

function shuffled<T>(items: readonly T[], platform: Platform): T[] {
  const mixed = [...items]
  for (let at = mixed.length - 1; at > 0; at--) {
    const other = platform.random.below(at + 1)
    ;[mixed[at], mixed[other]] = [mixed[other]!, mixed[at]!]
  }
  return mixed
}
