/**
 * The link to one other server for elections: at most one connection, and at most one message that waits for it. A newer
 * message replaces the one that waits, since only the newest vote counts; the last one that left is sent again on a new
 * connection, since nobody knows whether it arrived.
 *
 * Of two servers the one with the larger id opens the connection. The smaller one opens one only to say that it is there,
 * and the larger calls back. Source: QuorumCnxManager (SendWorker, RecvWorker, startConnection).
 */
import { MalformedBytesError } from '#base'
import { NetworkError, type Network, type Platform, type Socket, type SocketHandler } from '#platform'
import { decodeNotification, encodeHello, type Notification } from '#zookeeper/zab'

import { memberOf, type EnsembleConfig, type EnsembleMember } from '../ensemble-config.ts'
import { ByteQueue } from './byte-queue.ts'

/** Apache's bound, too. */
const MESSAGE_BYTES_MAX = 512 * 1024
/** After an attempt that failed; a larger server has as long to call back. */
const PAUSE_MS = 500

/** Servers of an ensemble do not start at the same moment: for so long, one that cannot be reached is not worth a warning. */
const STARTING_MS = 5000

export interface ElectionLinkContext {
  readonly platform: Platform
  readonly network: Network
  readonly ensemble: EnsembleConfig
  readonly onNotification: (from: number, notification: Notification) => void
}

export class ElectionLink {
  readonly #context: ElectionLinkContext
  readonly #member: EnsembleMember
  readonly #abort = new AbortController()
  #socket: Socket | null = null
  #received = new ByteQueue()
  #isConnecting = false
  /** No attempt before: one has failed, or the other server was asked to call. */
  #pausedUntilMs = -Infinity
  /** Not sent yet. */
  #waiting: Uint8Array | null = null
  #last: Uint8Array | null = null
  #unreachableSinceMs: number | null = null
  /** What is wrong is told once, until it is right again. */
  #isComplaining = false

  constructor(context: ElectionLinkContext, member: EnsembleMember) {
    this.#context = context
    this.#member = member
  }

  get isConnected(): boolean {
    return this.#socket !== null
  }

  send(message: Uint8Array): void {
    this.#waiting = message
    if (this.#socket === null) this.connect()
    else this.#flush(this.#socket)
  }

  /** Tries to have a connection, unless it has just tried. */
  connect(): void {
    if (this.#socket !== null || this.#isConnecting || this.#abort.signal.aborted) return
    if (this.#now() < this.#pausedUntilMs) return
    this.#isConnecting = true
    void this.#open().then(
      (socket) => this.#onOpened(socket),
      (error: unknown) => this.#onRefused(error),
    )
  }

  /** The other server, with the larger id, has opened `socket`: what comes behind its hello is for the handler. */
  accept(socket: Socket): SocketHandler {
    const handler = this.#use(socket)
    this.#sendAgain(socket)
    return handler
  }

  /** The other server, with the smaller id, wants a connection: it knows of none, whatever this one believes. */
  callBack(): void {
    this.#drop()
    this.#pausedUntilMs = -Infinity
    this.connect()
  }

  close(): void {
    this.#abort.abort()
    this.#drop()
  }

  #now(): number {
    return this.#context.platform.clock.monotonic()
  }

  #open(): Promise<Socket> {
    const { network, ensemble } = this.#context
    const { host, electionPort: port } = this.#member
    const { signal } = this.#abort
    return network.connect({ host, port, timeoutMs: ensemble.cnxTimeoutMs, signal })
  }

  #onOpened(socket: Socket): void {
    this.#isConnecting = false
    const { ensemble } = this.#context
    if (this.#abort.signal.aborted) return socket.destroy()
    const { host, electionPort } = memberOf(ensemble, ensemble.sid)!
    const hello = encodeHello(ensemble.sid, host, electionPort)
    if (this.#member.sid < ensemble.sid) {
      socket.start(this.#use(socket))
      socket.write([hello])
      return this.#sendAgain(socket)
    }
    socket.start({ onBytes() {}, onDrain() {}, onClose() {} })
    socket.write([hello])
    socket.end()
    this.#pausedUntilMs = this.#now() + PAUSE_MS
    return undefined
  }

  #onRefused(error: unknown): void {
    this.#isConnecting = false
    if (this.#abort.signal.aborted) return
    if (!(error instanceof NetworkError)) throw error
    const nowMs = this.#now()
    this.#pausedUntilMs = nowMs + PAUSE_MS
    this.#unreachableSinceMs ??= nowMs
    const what = `server ${this.#member.sid} cannot be reached for an election: ${error.message}`
    if (nowMs - this.#unreachableSinceMs >= STARTING_MS) this.#complain(what)
    else this.#context.platform.logger.debug(what)
  }

  #use(socket: Socket): SocketHandler {
    this.#drop()
    this.#socket = socket
    this.#received = new ByteQueue()
    this.#isComplaining = false
    this.#unreachableSinceMs = null
    return {
      onBytes: (bytes) => this.#onBytes(socket, bytes),
      onDrain: () => this.#flush(socket),
      onClose: () => {
        if (this.#socket === socket) this.#socket = null
      },
    }
  }

  #sendAgain(socket: Socket): void {
    this.#waiting ??= this.#last
    this.#flush(socket)
  }

  #drop(): void {
    const socket = this.#socket
    this.#socket = null
    socket?.destroy()
  }

  /** While the other server does not read, the newest message waits. */
  #flush(socket: Socket): void {
    const message = this.#waiting
    if (message === null || this.#socket !== socket || socket.pendingBytes > 0) return
    this.#waiting = null
    this.#last = message
    const length = new Uint8Array(4)
    new DataView(length.buffer).setInt32(0, message.length)
    socket.write([length, message])
  }

  #onBytes(socket: Socket, bytes: Uint8Array): void {
    if (this.#socket !== socket) return
    const received = this.#received
    received.push(bytes)
    while (this.#socket === socket) {
      const length = received.int32()
      if (length === null) return
      if (length <= 0 || length > MESSAGE_BYTES_MAX) {
        this.#complain(`server ${this.#member.sid} sent ${length} as the length of a vote`)
        this.#drop()
        return
      }
      const message = received.take(4, length)
      if (message === null) return
      this.#onMessage(message)
    }
  }

  /** One that cannot be read is passed over, as Apache's servers do: the next one may be better. */
  #onMessage(message: Uint8Array): void {
    let notification: Notification
    try {
      notification = decodeNotification(message)
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error
      return this.#complain(`server ${this.#member.sid} sent no vote: ${error.message}`)
    }
    this.#context.onNotification(this.#member.sid, notification)
  }

  #complain(what: string): void {
    const { logger } = this.#context.platform
    if (this.#isComplaining) logger.debug(what)
    else logger.warn(what)
    this.#isComplaining = true
  }
}
