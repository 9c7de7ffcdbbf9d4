/**
 * A session with a ZooKeeper ensemble, kept across connections: when one breaks, the next server gets the session's id and
 * password, the last zxid seen and the watches. Only a server says that a session has expired; its owner then begins
 * a new one with `renew`, since ephemeral znodes and watches are gone and must be made again.
 */
import { assert } from '#base'
import { sleep, type Platform, type TlsConnectOptions } from '#platform'
import { TlsNetwork } from '#security/tls'
import { PASSWORD_BYTES, ZkErrorCode, operations, type Operation, type WatcherEvent } from '#zookeeper/protocol'

import { parseConnectString, type ConnectString, type ZooKeeperAddress } from './connect-string.ts'
import {
  ServerConnection,
  type ConnectionHandler,
  type GrantedSession,
  type Outgoing,
  type Session,
} from './connection.ts'
import { findReadWriteServer } from './read-write-search.ts'
import type { SessionEvent } from './retrying.ts'
import { loginBySasl, type SaslLogin } from './sasl-login.ts'
import { WatchRegistry } from './watches.ts'
import { ZkError } from './zookeeper.ts'

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
  auth?: readonly Identity[]
  /** Who we are by SASL. A server that does not take it ends the session (`authFailed`). */
  sasl?: SaslLogin
  /** Connections are encrypted: to the servers' `secureClientPort`. */
  tls?: TlsConnectOptions
  /**
   * Content with a server that has lost its quorum and serves reads only, until one is found that has not. False unless given:
   * such a server then refuses the connection.
   */
  readOnly?: boolean
}

export interface Identity {
  readonly scheme: string
  readonly auth: Uint8Array
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
  | { kind: 'connected'; connection: ServerConnection; readOnly: boolean; address: ZooKeeperAddress }
  | { kind: 'expired' }
  | { kind: 'authFailed' }
  | { kind: 'closed' }

export type SessionState = State['kind']

export class ClientSession {
  readonly watches = new WatchRegistry()
  readonly #platform: Platform
  readonly #options: ZooKeeperOptions
  readonly #target: ConnectString
  /** Shuffled, so that the clients of an ensemble spread. */
  readonly #hosts: readonly ZooKeeperAddress[]
  #nextHost = 0
  #lastFailure = ''
  #state: State = { kind: 'connecting' }
  #session: Session = NEW_SESSION
  /** A read-only server makes up a session that no other one knows. */
  #isKnownToEnsemble = false
  /** Sessions that this client had before the present one. */
  readonly #formerSessions = new Set<bigint>()
  #lastZxid = 0n
  #timeoutMs: number
  readonly #identities: Identity[]
  /** Waiting for a place in flight. Empty unless connected. */
  #queue: Outgoing[] = []
  readonly #listeners = new Set<(event: SessionEvent) => void>()
  /** Those who wait for the state to be another than connecting. */
  readonly #settled = new Set<() => void>()
  /** Ends the attempts to connect. */
  #stop = new AbortController()

  /** Throws for a connect string that is none. */
  constructor(platform: Platform, options: ZooKeeperOptions) {
    this.#platform = options.tls === undefined ? platform : withTls(platform, options.tls)
    this.#options = options
    this.#target = parseConnectString(options.connect)
    this.#hosts = shuffled(this.#target.hosts, platform)
    this.#timeoutMs = options.sessionTimeoutMs
    this.#identities = [...(options.auth ?? [])]
  }

  get id(): bigint {
    return this.#session.id
  }

  get password(): Uint8Array {
    return this.#session.password
  }

  /** As negotiated, ms. */
  get timeoutMs(): number {
    return this.#timeoutMs
  }

  get state(): SessionState {
    return this.#state.kind
  }

  /** Connected to a server that serves reads only. */
  get isReadOnly(): boolean {
    return this.#state.kind === 'connected' && this.#state.readOnly
  }

  /** The server that the session is connected to now; null without a connection. */
  get server(): ZooKeeperAddress | null {
    return this.#state.kind === 'connected' ? this.#state.address : null
  }

  get chroot(): string {
    return this.#target.chroot
  }

  isFormer(sessionId: bigint): boolean {
    return this.#formerSessions.has(sessionId)
  }

  /** Returns the function that ends it. */
  onEvent(listener: (event: SessionEvent) => void): () => void {
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

  /** A new session, within the time for connecting. Afterwards there is one, or it was given up. */
  async begin(): Promise<void> {
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

  /** Begins a new session after the former expired. Rejects when no server gave one in time; then it may be tried again. */
  async renew(): Promise<void> {
    assert(this.#state.kind === 'expired', `a session can be renewed when it has expired, not when ${this.#state.kind}`)
    this.#lastZxid = 0n
    this.#state = { kind: 'connecting' }
    await this.begin()
  }

  /** Ends the session: its ephemeral znodes vanish at once. */
  async close(): Promise<void> {
    if (this.#state.kind === 'connected') await this.#closeSession(this.#state.connection)
    const connection = this.#state.kind === 'connected' ? this.#state.connection : null
    this.#become({ kind: 'closed' })
    this.#stop.abort(new Error('the ZooKeeper client was closed'))
    connection?.close()
    this.watches.clear()
  }

  /** `answered` is called in the order of the wire, before any later event or answer. */
  call<Request, Response>(
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
          if (code === ZkErrorCode.OK) resolve(copied(response) as Response)
          else reject(new ZkError(code, path))
          this.#pump()
        },
        onLoss: () => reject(new ZkError(this.#lossCode(), path)),
      })
    })
  }

  /** The identity is the session's from now on, on every connection. Resolves when the server has taken it. */
  authenticate(identity: Identity): Promise<void> {
    this.#identities.push(identity)
    return new Promise((resolve, reject) => {
      if (this.#state.kind !== 'connected') return reject(new ZkError(this.#lossCode(), '/'))
      this.#state.connection.authenticate(identity.scheme, identity.auth, (code) =>
        code === ZkErrorCode.OK ? resolve() : reject(new ZkError(code ?? this.#lossCode(), '/')),
      )
    })
  }

  /** As the server knows the path: below the chroot. */
  full(path: string): string {
    if (this.#target.chroot === '') return path
    return path === '/' ? this.#target.chroot : this.#target.chroot + path
  }

  /** Paths outside the chroot pass unchanged: events of /zookeeper/… do. */
  short(path: string): string {
    const { chroot } = this.#target
    if (chroot === '' || !path.startsWith(chroot)) return path
    return path.length === chroot.length ? '/' : path.slice(chroot.length)
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
      session: this.#isKnownToEnsemble ? this.#session : NEW_SESSION,
      lastZxid: this.#lastZxid,
      timeoutMs: this.#options.sessionTimeoutMs,
      readOnly: this.#options.readOnly ?? false,
    }
    await new Promise<void>((resolve) => {
      const handler: ConnectionHandler = {
        onSession: (connection, granted) => {
          this.#login(connection, () => {
            resolve()
            if (signal.aborted) connection.close()
            else this.#onSession(connection, granted, address)
          })
        },
        onExpired: () => this.#onExpired(),
        onAuthFailed: () => this.#become({ kind: 'authFailed' }),
        onEvent: (event, zxid) => this.#onEvent(event, zxid),
        onZxid: (zxid) => (this.#lastZxid = zxid),
        onClose: (connection, error) => {
          if (error !== null && this.#state.kind === 'connecting') this.#noteFailure(address, error)
          resolve()
          this.#onClose(connection, error)
        },
      }
      const failed = (error: Error): void => {
        this.#noteFailure(address, error)
        resolve()
      }
      ServerConnection.open(this.#platform, address, timeoutMs, handshake, handler, signal).catch(failed)
    })
  }

  /** A certificate that does not fit will not do so by itself: that is told where people see it, but not again and again. */
  #noteFailure({ host, port }: ZooKeeperAddress, { message }: Error): void {
    const isNews = this.#options.tls !== undefined && message !== this.#lastFailure
    this.#lastFailure = message
    this.#platform.logger[isNews ? 'warn' : 'debug'](`ZooKeeper server ${host}:${port}: ${message}`)
  }

  #login(connection: ServerConnection, done: () => void): void {
    const { sasl } = this.#options
    if (sasl === undefined) return done()
    loginBySasl(connection, sasl, this.#platform.random, (failure) => {
      if (failure === null) return done()
      this.#platform.logger.error(`ZooKeeper does not take ${sasl.user} by SASL: ${failure}`)
      this.#become({ kind: 'authFailed' })
      connection.close()
    })
  }

  /** The connection is the session's now: identities first, then watches, then what waits. */
  #onSession(connection: ServerConnection, granted: GrantedSession, address: ZooKeeperAddress): void {
    const { session, timeoutMs, readOnly } = granted
    if (this.#session.id !== session.id && this.#session.id !== 0n) this.#formerSessions.add(this.#session.id)
    this.#session = session
    this.#isKnownToEnsemble ||= !readOnly
    this.#timeoutMs = timeoutMs
    for (const { scheme, auth } of this.#identities) connection.authenticate(scheme, auth)
    for (const packet of this.watches.packets(this.#lastZxid)) connection.setWatches(packet)
    this.#become({ kind: 'connected', connection, readOnly, address })
    if (readOnly) void this.#seekReadWrite(connection)
  }

  /** A server that serves writes, too, is preferred as soon as there is one. */
  async #seekReadWrite(connection: ServerConnection): Promise<void> {
    const isWanted = (): boolean => this.#state.kind === 'connected' && this.#state.connection === connection
    const found = await findReadWriteServer(this.#platform, this.#hosts, isWanted, this.#stop.signal)
    if (found === null || !isWanted()) return
    this.#nextHost = this.#hosts.indexOf(found)
    connection.close(new Error(`${found.host}:${found.port} serves writes, too`))
  }

  #onExpired(): void {
    if (this.#state.kind !== 'connecting') return
    this.#formerSessions.add(this.#session.id)
    this.#session = NEW_SESSION
    this.#isKnownToEnsemble = false
    this.watches.clear()
    // Whoever hears of it may begin a new session at once: these attempts are not its own.
    this.#stop.abort(new Error('the session has expired'))
    this.#become({ kind: 'expired' })
  }

  #onEvent(event: WatcherEvent, zxid: bigint): void {
    const taken = this.watches.take(event)
    if (taken === null) return
    const told = { kind: taken.kind, path: this.short(event.path), ...(zxid > 0n && { zxid }) }
    for (const watcher of taken.watchers) watcher(told)
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
}

const EVENT_OF_STATE: Readonly<Record<SessionState, SessionEvent>> = {
  connecting: 'disconnected',
  connected: 'connected',
  expired: 'expired',
  authFailed: 'authFailed',
  closed: 'closed',
}

/** An answer's data is a view into a frame that dies with this turn. (A Buffer's `slice` would be a view again.) */
function copied(response: unknown): unknown {
  if (Array.isArray(response)) return response.map(copied)
  if (typeof response !== 'object' || response === null || !('data' in response)) return response
  const { data } = response
  return { ...response, data: data instanceof Uint8Array ? new Uint8Array(data) : null }
}

function withTls({ clock, random, files, network, http, logger }: Platform, connect: TlsConnectOptions): Platform {
  return { clock, random, files, http, logger, network: new TlsNetwork(network, { listen: null, connect }) }
}

function shuffled<T>(items: readonly T[], platform: Platform): T[] {
  const mixed = [...items]
  for (let at = mixed.length - 1; at > 0; at--) {
    const other = platform.random.below(at + 1)
    ;[mixed[at], mixed[other]] = [mixed[other]!, mixed[at]!]
  }
  return mixed
}
