/**
 * A network on which servers authenticate each other before a connection is theirs; whoever listens and connects on it does not
 * notice.
 *
 *     quorum port      who connects: exchange, its own bytes
 *     election port    who connects: greeting, exchange, its own bytes        the greeting is kept back until the exchange is done
 *
 * Source: Learner.connectToLeader, LearnerHandler, QuorumCnxManager.startConnection, handleConnection.
 */
import { ByteReader, toBase64 } from '#base'
import {
  NetworkError,
  type Clock,
  type ConnectOptions,
  type ListenOptions,
  type Listener,
  type Logger,
  type Network,
  type Random,
  type Socket,
  type SocketHandler,
  type Timer,
} from '#platform'

import { QuorumAuthLearner, QuorumAuthServer, type QuorumAuth, type QuorumAuthState } from './quorum-auth.ts'
import type { QuorumSasl } from './security.ts'

/** A peer that has connected and says nothing is let go. */
const EXCHANGE_TIMEOUT_MS = 10_000
const NONCE_BYTES = 30

/** Whether a greeting stands before the exchange, and who gives it. */
type Greeting = 'none' | 'sent' | 'received'

interface World {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export class QuorumAuthNetwork implements Network {
  readonly hostName: string
  readonly #inner: Network
  readonly #world: World
  readonly #sasl: QuorumSasl
  readonly #isElectionPort: (host: string | null, port: number) => boolean

  /** `isElectionPort`: of a host, or of this server where there is none. */
  constructor(
    inner: Network,
    world: World,
    sasl: QuorumSasl,
    isElectionPort: (host: string | null, port: number) => boolean,
  ) {
    this.#inner = inner
    this.hostName = inner.hostName ?? 'localhost'
    this.#world = world
    this.#sasl = sasl
    this.#isElectionPort = isElectionPort
  }

  listen(options: ListenOptions): Promise<Listener> {
    const { users, required } = this.#sasl
    const isGreeted = this.#isElectionPort(null, options.port)
    const onConnection = (socket: Socket): void => {
      const auth = new QuorumAuthServer({ users, required, nonce: this.#nonce() })
      options.onConnection(new GuardedSocket(this.#world, socket, auth, isGreeted ? 'received' : 'none'))
    }
    return this.#inner.listen({ ...options, onConnection })
  }

  async connect(options: ConnectOptions): Promise<Socket> {
    const socket = await this.#inner.connect(options)
    if (!this.#sasl.authenticates) return socket
    const auth = new QuorumAuthLearner({ ...this.#sasl.login, cnonce: this.#nonce() })
    const isGreeted = this.#isElectionPort(options.host, options.port)
    return new GuardedSocket(this.#world, socket, auth, isGreeted ? 'sent' : 'none')
  }

  #nonce(): string {
    return toBase64(this.#world.random.bytes(NONCE_BYTES))
  }
}

/** Until the exchange is done its owner hears nothing, and what the owner writes waits. */
class GuardedSocket implements Socket {
  readonly remoteHost: string
  readonly remotePort: number
  readonly #world: World
  readonly #socket: Socket
  readonly #auth: QuorumAuth
  readonly #greeting: Greeting
  #state: 'greeting' | 'exchange' | 'open' | 'closed'
  #handler: SocketHandler | null = null
  /** The owner's, or the peer's, which the owner has not seen. */
  #greetingBytes: Uint8Array = new Uint8Array(0)
  #waiting: Uint8Array[] = []
  #timer: Timer | null = null
  #ending = false
  #paused = false

  constructor(world: World, socket: Socket, auth: QuorumAuth, greeting: Greeting) {
    this.#world = world
    this.#socket = socket
    this.#auth = auth
    this.#greeting = greeting
    this.#state = greeting === 'none' ? 'exchange' : 'greeting'
    this.remoteHost = socket.remoteHost
    this.remotePort = socket.remotePort
  }

  get localHost(): string {
    return this.#socket.localHost
  }

  get localPort(): number {
    return this.#socket.localPort
  }

  get encrypted(): boolean {
    return this.#socket.encrypted ?? false
  }

  get peerCertificate(): Uint8Array | null {
    return this.#socket.peerCertificate ?? null
  }

  get pendingBytes(): number {
    return this.#socket.pendingBytes + this.#waiting.reduce((sum, chunk) => sum + chunk.length, 0)
  }

  start(handler: SocketHandler): void {
    this.#handler = handler
    this.#timer = this.#world.clock.setTimer(EXCHANGE_TIMEOUT_MS, () => this.#refuse('it says nothing'))
    this.#socket.start({
      onBytes: (bytes) => this.#onBytes(bytes),
      onDrain: () => this.#handler?.onDrain(),
      onEnd: () => (handler.onEnd === undefined || this.#state !== 'open' ? this.#socket.end() : handler.onEnd()),
      onClose: (error) => {
        this.#state = 'closed'
        this.#timer?.cancel()
        handler.onClose(error)
      },
    })
    if (this.#state === 'exchange') this.#beginExchange()
  }

  write(chunks: readonly Uint8Array[]): void {
    if (this.#state === 'open') return this.#socket.write(chunks)
    if (this.#state === 'closed') return
    for (const chunk of chunks) this.#writeBefore(chunk)
  }

  pause(): void {
    this.#paused = true
    if (this.#state === 'open') this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    this.#socket.resume()
  }

  end(): void {
    if (this.#waiting.length === 0) return this.#socket.end()
    this.#ending = true
  }

  destroy(error?: Error): void {
    this.#socket.destroy(error)
  }

  /** A greeting leaves at once, what comes after it waits. */
  #writeBefore(chunk: Uint8Array): void {
    if (this.#greeting !== 'sent' || this.#state !== 'greeting') return void this.#waiting.push(chunk)
    const all = joined(this.#greetingBytes, chunk)
    const length = greetingLength(all)
    const ofGreeting = length === null ? chunk.length : length - this.#greetingBytes.length
    this.#socket.write([chunk.subarray(0, ofGreeting)])
    this.#greetingBytes = all.slice(0, length ?? all.length)
    if (length === null) return
    if (ofGreeting < chunk.length) this.#waiting.push(chunk.subarray(ofGreeting))
    this.#state = 'exchange'
    this.#beginExchange()
  }

  #beginExchange(): void {
    const first = this.#auth.begin()
    if (first.length > 0) this.#socket.write(first)
  }

  #onBytes(bytes: Uint8Array): void {
    if (this.#state === 'open') return this.#handler!.onBytes(bytes)
    if (this.#state === 'closed') return
    if (this.#state === 'greeting') return this.#onGreeting(bytes)
    const { send, state } = this.#auth.receive(bytes)
    if (send.length > 0) this.#socket.write(send)
    this.#become(state)
  }

  #onGreeting(bytes: Uint8Array): void {
    if (this.#greeting === 'sent') return this.#refuse('it speaks before it was greeted')
    const all = joined(this.#greetingBytes, bytes)
    const length = greetingLength(all)
    this.#greetingBytes = all.slice(0, length ?? all.length)
    if (length === null) return
    this.#state = 'exchange'
    if (length < all.length) this.#onBytes(all.subarray(length))
  }

  #become(state: QuorumAuthState): void {
    if (state.kind === 'goingOn') return
    if (state.kind === 'refused') return this.#refuse(state.reason)
    this.#timer?.cancel()
    this.#state = 'open'
    const waiting = this.#waiting.splice(0)
    if (waiting.length > 0) this.#socket.write(waiting)
    const own = this.#greeting === 'received' ? joined(this.#greetingBytes, state.rest) : state.rest
    if (own.length > 0) this.#handler!.onBytes(own)
    if (this.#paused) this.#socket.pause()
    if (this.#ending) this.#socket.end()
  }

  #refuse(reason: string): void {
    if (this.#state === 'open' || this.#state === 'closed') return
    const message = `${this.remoteHost}:${this.remotePort} is no server of this ensemble: ${reason}`
    this.#world.logger.warn(message)
    this.#socket.destroy(new NetworkError('EACCES', message))
  }
}

/** Bytes of an election port's greeting; null where that has not come far enough. */
function greetingLength(bytes: Uint8Array): number | null {
  if (bytes.length < 8) return null
  const reader = new ByteReader(bytes)
  // Servers before 3.5 give their id only.
  if (reader.bigint64() >= 0n) return 8
  if (bytes.length < 20) return null
  reader.bigint64()
  const length = 20 + Math.max(0, reader.int32())
  return bytes.length < length ? null : length
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}
