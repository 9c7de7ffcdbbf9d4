/**
 * The election port and the links to all other servers of the ensemble. Source: QuorumCnxManager.
 */
import { MalformedBytesError } from '#base'
import {
  NetworkError,
  sleep,
  type Listener,
  type Logger,
  type Network,
  type Platform,
  type Socket,
  type SocketHandler,
  type Timer,
} from '#platform'
import { HELLO_BYTES_MAX, decodeHello, encodeNotification, type Notification } from '#zookeeper/zab'

import { memberOf, type EnsembleConfig } from '../ensemble-config.ts'
import { ByteQueue } from './byte-queue.ts'
import { ElectionLink } from './election-link.ts'

/** Connections that have not said who they are; the oldest goes first. The port is open to everyone. */
const STRANGERS_MAX = 64
const BIND_PAUSE_MS = 1000

export interface ElectionLinkEvents {
  onNotification(from: number, notification: Notification): void
}

export class ElectionLinks {
  readonly #platform: Platform
  readonly #network: Network
  readonly #ensemble: EnsembleConfig
  readonly #helloTimeoutMs: number
  readonly #links = new Map<number, ElectionLink>()
  readonly #strangers = new Set<Stranger>()
  #listener: Listener | null = null
  #isClosed = false

  /**
   * Listens on the own election port. `network` carries the connections. Rejects with `NetworkError` when the port cannot be had, after
   * `electionPortBindRetry` attempts.
   */
  static async open(
    platform: Platform,
    ensemble: EnsembleConfig,
    tickTimeMs: number,
    events: ElectionLinkEvents,
    network: Network = platform.network,
  ): Promise<ElectionLinks> {
    const links = new ElectionLinks(platform, ensemble, tickTimeMs, events, network)
    links.#listener = await links.#listen()
    return links
  }

  private constructor(
    platform: Platform,
    ensemble: EnsembleConfig,
    tickTimeMs: number,
    events: ElectionLinkEvents,
    network: Network,
  ) {
    this.#platform = platform
    this.#network = network
    this.#ensemble = ensemble
    const { quorumCnxnTimeoutMs, syncLimit, sid, members } = ensemble
    this.#helloTimeoutMs = quorumCnxnTimeoutMs > 0 ? quorumCnxnTimeoutMs : syncLimit * tickTimeMs
    const onNotification = (from: number, notification: Notification): void => {
      if (!this.#isClosed) events.onNotification(from, notification)
    }
    for (const member of members)
      if (member.sid !== sid)
        this.#links.set(member.sid, new ElectionLink({ platform, network, ensemble, onNotification }, member))
  }

  get port(): number {
    return this.#listener!.port
  }

  /** Servers with a connection now. */
  get connected(): number[] {
    return Array.from(this.#links)
      .filter(([, link]) => link.isConnected)
      .map(([sid]) => sid)
  }

  /** Now or when there is a connection, unless a newer one comes before. */
  send(to: number, notification: Notification): void {
    this.#links.get(to)?.send(encodeNotification(notification))
  }

  connectAll(): void {
    for (const link of this.#links.values()) link.connect()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const stranger of this.#strangers) stranger.dismiss('this server stops')
    for (const link of this.#links.values()) link.close()
    await this.#listener?.close()
  }

  async #listen(): Promise<Listener> {
    const ensemble = this.#ensemble
    const own = memberOf(ensemble, ensemble.sid)!
    const host = ensemble.listenOnAllIps ? '0.0.0.0' : own.host
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#network.listen({
          host,
          port: own.electionPort,
          onConnection: (socket) => this.#onConnection(socket),
        })
      } catch (error) {
        if (!(error instanceof NetworkError) || attempt === ensemble.electionPortBindRetry) throw error
        this.#platform.logger.warn(`the election port ${own.electionPort} cannot be had yet`, error)
      }
      await sleep(this.#platform.clock, BIND_PAUSE_MS)
    }
  }

  #onConnection(socket: Socket): void {
    if (this.#isClosed) return socket.destroy()
    if (this.#strangers.size >= STRANGERS_MAX)
      for (const oldest of this.#strangers.values().take(1))
        oldest.dismiss('too many others came before it said who it is')
    const stranger = new Stranger(this.#platform, socket, this.#helloTimeoutMs, {
      onHello: (sid) => this.#onHello(socket, sid),
      onGone: () => this.#strangers.delete(stranger),
    })
    this.#strangers.add(stranger)
    return undefined
  }

  /** Null: the connection is not kept. */
  #onHello(socket: Socket, sid: number): SocketHandler | null {
    const link = this.#links.get(sid)
    if (link === undefined) {
      const whose = sid === this.#ensemble.sid ? 'the id of this server' : 'in no server.N line'
      this.#platform.logger.warn(`election port: ${socket.remoteHost} says it is server ${sid}, which is ${whose}`)
      return null
    }
    if (sid > this.#ensemble.sid) return link.accept(socket)
    link.callBack()
    return null
  }
}

interface StrangerEvents {
  /** Who takes the connection over; null: nobody. */
  readonly onHello: (sid: number) => SocketHandler | null
  /** It is a stranger no more. */
  readonly onGone: () => void
}

/** Someone at the election port who has not said who it is. */
class Stranger {
  readonly #logger: Logger
  readonly #socket: Socket
  readonly #events: StrangerEvents
  readonly #received = new ByteQueue()
  readonly #timer: Timer
  #isGone = false
  #next: SocketHandler | null = null

  constructor({ clock, logger }: Platform, socket: Socket, timeoutMs: number, events: StrangerEvents) {
    this.#logger = logger
    this.#socket = socket
    this.#events = events
    this.#timer = clock.setTimer(timeoutMs, () => this.dismiss(`it did not say who it is in ${timeoutMs} ms`))
    socket.start({
      onBytes: (bytes) => (this.#next === null ? this.#onBytes(bytes) : this.#next.onBytes(bytes)),
      onDrain: () => this.#next?.onDrain(),
      onClose: (error) => {
        this.#leave()
        this.#next?.onClose(error)
      },
    })
  }

  dismiss(reason: string): void {
    if (this.#isGone) return
    this.#logger.warn(`election port: the connection from ${this.#socket.remoteHost} is closed: ${reason}`)
    this.#leave()
    this.#socket.destroy()
  }

  #leave(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#timer.cancel()
    this.#events.onGone()
  }

  #onBytes(bytes: Uint8Array): void {
    if (this.#isGone) return
    this.#received.push(bytes)
    try {
      const hello = decodeHello(this.#received.view)
      if (hello !== null) this.#introduce(hello)
      else if (this.#received.length > HELLO_BYTES_MAX) this.dismiss('its hello does not end')
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error
      this.dismiss(error.message)
    }
  }

  #introduce(hello: { sid: number; bytes: number }): void {
    this.#leave()
    this.#next = this.#events.onHello(hello.sid)
    if (this.#next === null) return this.#socket.destroy()
    const early = this.#received.view.subarray(hello.bytes)
    if (early.length > 0) this.#next.onBytes(early)
    return undefined
  }
}
