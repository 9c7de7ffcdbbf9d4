/**
 * One connection to one server: handshake, requests answered in their order, pings, silence. It knows nothing of
 * reconnection; when it ends, `onClose` is called once, and everything in flight has failed.
 *
 *     frame  int32 length, then   ConnectRequest / ConnectResponse            the first one each way
 *                                 RequestHeader, request                      afterwards, to the server
 *                                 ReplyHeader, response or WatcherEvent       afterwards, from the server
 */
import { ByteReader, ByteWriter, MalformedBytesError } from '#base'
import { FramedConnection } from '#net'
import type { Clock, Platform, Socket, Timer } from '#platform'
import {
  AuthPacket,
  ConnectRequest,
  ConnectResponse,
  PASSWORD_BYTES,
  ReplyHeader,
  RequestHeader,
  ReservedXid,
  SetWatches2,
  WatcherEvent,
  operations,
  type Operation,
} from '#zookeeper/protocol'

import type { ZooKeeperAddress } from './connect-string.ts'

/** Larger frames come from no ZooKeeper: jute.maxbuffer twice, as Java's client allows by default. */
const FRAME_BYTES_MAX = 2 * 0xfffff

/** Pings at least this often, whatever the timeout: firewalls forget silent connections. */
const PING_INTERVAL_MS_MAX = 10_000

/** Ordinary xids count from 1 and wrap. */
const XID_MAX = 0x7fff_ffff

export interface Session {
  /** 0 asks for a new one. */
  id: bigint
  password: Uint8Array
}

export interface Outgoing {
  readonly operation: Operation<unknown, unknown>
  readonly request: unknown
  /** Called with the frame still valid: what is kept of it must be copied. */
  onReply(error: number, response: unknown): void
  onLoss(): void
}

export interface GrantedSession {
  readonly session: Session
  readonly timeoutMs: number
  /** The server has lost its quorum, and serves reads only. */
  readonly readOnly: boolean
}

export interface ConnectionHandler {
  onSession(connection: ServerConnection, granted: GrantedSession): void
  /** The server no longer knows the session. */
  onExpired(): void
  onAuthFailed(): void
  /** `zxid` of the transaction that it comes from; −1 from servers before 3.9. */
  onEvent(event: WatcherEvent, zxid: bigint): void
  onZxid(zxid: bigint): void
  onClose(connection: ServerConnection, error: Error | null): void
}

export interface Handshake {
  session: Session
  lastZxid: bigint
  /** Wanted session timeout, ms. */
  timeoutMs: number
  /** Content with a server that serves reads only. */
  readOnly: boolean
}

export class ServerConnection {
  readonly #clock: Clock
  readonly #handler: ConnectionHandler
  readonly #frames: FramedConnection
  #established = false
  #xid = 0
  /** Sent, in order, and not answered. */
  readonly #inFlight: { xid: number; outgoing: Outgoing }[] = []
  /** Of identities that were sent, in order, and not answered: who wants to hear. Null stands for a lost connection. */
  readonly #authenticating: ((error: number | null) => void)[] = []
  #timer: Timer | null = null
  #lastHeardMs = 0
  #lastSentMs = 0
  #readTimeoutMs: number

  /** Rejects with `NetworkError` when no connection comes about within `timeoutMs`. */
  static async open(
    platform: Platform,
    address: ZooKeeperAddress,
    timeoutMs: number,
    handshake: Handshake,
    handler: ConnectionHandler,
    signal: AbortSignal,
  ): Promise<ServerConnection> {
    const socket = await platform.network.connect({ ...address, timeoutMs, signal })
    return new ServerConnection(platform, socket, timeoutMs, handshake, handler)
  }

  private constructor(
    platform: Platform,
    socket: Socket,
    connectTimeoutMs: number,
    handshake: Handshake,
    handler: ConnectionHandler,
  ) {
    this.#clock = platform.clock
    this.#handler = handler
    // Until the server has answered the handshake, silence is judged by the time allowed for connecting.
    this.#readTimeoutMs = connectTimeoutMs
    this.#frames = new FramedConnection(platform, socket, { maxFrameBytes: FRAME_BYTES_MAX })
    this.#frames.start({
      onFrame: (frame) => this.#onFrame(frame),
      onClose: ({ error }) => this.#onClose(error),
    })
    this.#greet(handshake)
  }

  get inFlight(): number {
    return this.#inFlight.length
  }

  send(outgoing: Outgoing): void {
    this.#xid = this.#xid === XID_MAX ? 1 : this.#xid + 1
    this.#inFlight.push({ xid: this.#xid, outgoing })
    this.#write(this.#xid, outgoing.operation, outgoing.request)
  }

  /** Adds an identity to the connection. The server's refusal ends the session (`onAuthFailed`). */
  authenticate(scheme: string, auth: Uint8Array, onReply: (error: number | null) => void = () => {}): void {
    this.#authenticating.push(onReply)
    this.#write(ReservedXid.auth, operations.auth, { type: 0, scheme, auth } satisfies AuthPacket)
  }

  setWatches(watches: SetWatches2): void {
    // Servers before 3.6 know the first form only.
    if (watches.persistentWatches.length + watches.persistentRecursiveWatches.length === 0)
      this.#write(ReservedXid.setWatches, operations.setWatches, watches)
    else this.#write(ReservedXid.setWatches, operations.setWatches2, watches)
  }

  close(error: Error | null = null): void {
    this.#frames.destroy(error ?? undefined)
  }

  #greet(handshake: Handshake): void {
    const writer = new ByteWriter(64)
    ConnectRequest.write(writer, {
      protocolVersion: 0,
      lastZxidSeen: handshake.lastZxid,
      timeOut: handshake.timeoutMs,
      sessionId: handshake.session.id,
      passwd: handshake.session.password,
      readOnly: handshake.readOnly,
    })
    this.#frames.send(writer.chunks())
    this.#lastHeardMs = this.#lastSentMs = this.#clock.monotonic()
    this.#watchSilence()
  }

  #write<Request>(xid: number, operation: Operation<Request, unknown>, request: Request): void {
    const writer = new ByteWriter()
    RequestHeader.write(writer, { xid, type: operation.code })
    operation.request.write(writer, request)
    this.#frames.send(writer.chunks())
    this.#lastSentMs = this.#clock.monotonic()
  }

  #onFrame(frame: Uint8Array): void {
    this.#lastHeardMs = this.#clock.monotonic()
    if (this.#established) this.#onReply(new ByteReader(frame))
    else this.#onConnectResponse(ConnectResponse.decode(frame))
  }

  #onConnectResponse(response: ConnectResponse): void {
    if (response.timeOut <= 0) {
      this.#handler.onExpired()
      return this.close()
    }
    this.#established = true
    this.#readTimeoutMs = (response.timeOut * 2) / 3
    this.#watchSilence()
    const password = new Uint8Array(PASSWORD_BYTES)
    password.set((response.passwd ?? password).subarray(0, PASSWORD_BYTES))
    this.#handler.onSession(this, {
      session: { id: response.sessionId, password },
      timeoutMs: response.timeOut,
      readOnly: response.readOnly ?? false,
    })
  }

  #onReply(reader: ByteReader): void {
    const { xid, zxid, err } = ReplyHeader.read(reader)
    switch (xid) {
      case ReservedXid.notification:
        return this.#handler.onEvent(WatcherEvent.read(reader), zxid)
      case ReservedXid.ping:
      case ReservedXid.setWatches:
        return undefined
      case ReservedXid.auth:
        if (err !== 0) this.#handler.onAuthFailed()
        return this.#authenticating.shift()?.(err)
      default:
    }
    const first = this.#inFlight[0]
    if (first?.xid !== xid)
      throw new MalformedBytesError(`answer to request ${xid}, where ${first?.xid ?? 'none'} was next`)
    const { outgoing } = first
    const response: unknown = err === 0 ? outgoing.operation.response.read(reader) : null
    this.#inFlight.shift()
    if (zxid > 0n) this.#handler.onZxid(zxid)
    outgoing.onReply(err, response)
  }

  /** One timer for the next thing due: a ping after a third of the session timeout, or the end of patience after two. */
  #watchSilence(): void {
    this.#timer?.cancel()
    const now = this.#clock.monotonic()
    const silenceDue = this.#lastHeardMs + this.#readTimeoutMs - now
    const pingDue = this.#established ? this.#lastSentMs + this.#pingIntervalMs - now : Infinity
    this.#timer = this.#clock.setTimer(Math.max(0, Math.min(silenceDue, pingDue)), (lateMs) => this.#onTimer(lateMs))
  }

  get #pingIntervalMs(): number {
    return Math.min(this.#readTimeoutMs / 2, PING_INTERVAL_MS_MAX)
  }

  /** While the loop stood still nobody could be heard: silence is counted without the timer's lateness. */
  #onTimer(lateMs: number): void {
    const now = this.#clock.monotonic()
    this.#lastHeardMs = Math.min(now, this.#lastHeardMs + lateMs)
    const silentMs = now - this.#lastHeardMs
    if (silentMs >= this.#readTimeoutMs)
      return this.close(new Error(`nothing heard from ZooKeeper for ${Math.round(silentMs)} ms`))
    if (this.#established && now - this.#lastSentMs >= this.#pingIntervalMs)
      this.#write(ReservedXid.ping, operations.ping, null)
    this.#watchSilence()
  }

  #onClose(error: Error | null): void {
    this.#timer?.cancel()
    for (const { outgoing } of this.#inFlight.splice(0)) outgoing.onLoss()
    for (const onReply of this.#authenticating.splice(0)) onReply(null)
    this.#handler.onClose(this, error)
  }
}
