import {
  NetworkError,
  type ConnectOptions,
  type ListenOptions,
  type Listener,
  type Network,
  type Socket,
} from '#platform'

import type { Incarnation } from './incarnation.ts'
import { SimulatedSocket, type Stream } from './socket.ts'
import type { World } from './world.ts'

/** Connection attempts are repeated while nothing answers, as the system repeats its SYN. */
const SYN_RETRY_MS = 1000
/** Within one machine. */
const LOOPBACK_DELAY_MS = 0.02
const EPHEMERAL_PORT_FIRST = 40_000

/** How packets travel from one machine to another. One value for each direction. */
interface Link {
  /** Usual delay, ms. */
  delayMs: number
  /** Everything takes so many times as long. */
  slowness: number
  /** Nothing arrives. */
  blocked: boolean
  /** Nothing arrives of connections that were made to these ports, at either end. */
  readonly blockedPorts: Set<number>
}

interface Binding {
  readonly incarnation: Incarnation
  readonly options: ListenOptions
}

/**
 * The cables between the machines, and each machine's kernel as far as connections go: what arrives while a
 * process is paused waits there, and what a dead one leaves behind is answered there.
 *
 * Within a connection bytes arrive in order; between connections, in any. What a blocked link swallows is sent again when it
 * opens, or the connection ends with ETIMEDOUT.
 */
export class Fabric {
  readonly world: World
  readonly #links = new Map<string, Link>()
  readonly #bindings = new Map<string, Binding>()
  readonly #streams = new Set<Stream>()
  /** Machines without power: nothing answers there. */
  readonly #dark = new Set<string>()
  #nextPort = EPHEMERAL_PORT_FIRST

  constructor(world: World) {
    this.world = world
  }

  link(from: string, to: string): Link {
    const key = `${from}>${to}`
    let link = this.#links.get(key)
    if (link === undefined) {
      const delayMs = from === to ? LOOPBACK_DELAY_MS : this.world.random.between(0.05, 0.5)
      this.#links.set(key, (link = { delayMs, slowness: 1, blocked: false, blockedPorts: new Set() }))
    }
    return link
  }

  /** Whether a packet of a connection to that port gets through from there to there now. */
  passes(from: string, to: string, port: number): boolean {
    if (this.#dark.has(from) || this.#dark.has(to)) return false
    if (from === to) return true
    const { blocked, blockedPorts } = this.link(from, to)
    return !blocked && !blockedPorts.has(port)
  }

  delayMs(from: string, to: string): number {
    const link = this.link(from, to)
    return (link.delayMs + this.world.random.exponential(link.delayMs / 2)) * link.slowness
  }

  /** `port`: only connections that were made to it. */
  block(from: string, to: string, port: number | null = null): void {
    const link = this.link(from, to)
    if (port === null) link.blocked = true
    else link.blockedPorts.add(port)
  }

  unblock(from: string, to: string): void {
    const link = this.link(from, to)
    link.blocked = false
    link.blockedPorts.clear()
    this.#retransmit()
  }

  /** Opens every link and gives it its usual speed. */
  heal(): void {
    for (const link of this.#links.values()) {
      link.blocked = false
      link.blockedPorts.clear()
      link.slowness = 1
    }
    this.#retransmit()
  }

  /** The machine has lost its power, or has it back. */
  setDark(address: string, dark: boolean): void {
    if (dark) this.#dark.add(address)
    else this.#dark.delete(address)
    this.#retransmit()
  }

  isDark(address: string): boolean {
    return this.#dark.has(address)
  }

  #retransmit(): void {
    for (const stream of this.#streams) stream.retransmit()
  }

  /** Breaks open connections between the two (or any, where null is given), each with this probability; returns how many. */
  resetConnections(one: string | null, other: string | null, probability: number): number {
    let count = 0
    for (const stream of this.#streams) {
      if (stream.sender.isGone || stream.receiver.isGone) continue
      const { from, to } = stream
      const concerns = (address: string | null): boolean => address === null || address === from || address === to
      if (!concerns(one) || !concerns(other) || !this.world.random.chance(probability)) continue
      stream.sender.reset('ECONNRESET')
      stream.receiver.reset('ECONNRESET')
      count += 1
    }
    return count
  }

  /** Something arrives at a process that is running again: it reads what its connections hold. */
  wake(incarnation: Incarnation): void {
    for (const stream of this.#streams) stream.receiver.wake(incarnation)
  }

  add(stream: Stream): void {
    this.#streams.add(stream)
  }

  remove(stream: Stream): void {
    this.#streams.delete(stream)
  }

  bind(incarnation: Incarnation, options: ListenOptions): number {
    const port = options.port === 0 ? this.#nextPort++ : options.port
    const key = `${incarnation.address}:${port}`
    if (this.#bindings.has(key)) throw new NetworkError('EADDRINUSE', `${key} is in use`)
    this.#bindings.set(key, { incarnation, options })
    return port
  }

  unbind(incarnation: Incarnation, port: number): void {
    const key = `${incarnation.address}:${port}`
    if (this.#bindings.get(key)?.incarnation === incarnation) this.#bindings.delete(key)
  }

  /** Tries until something answers: `established` or `refused` happens in the kernel, maybe long after the caller gave up. */
  connect(
    client: Incarnation,
    address: string,
    port: number,
    attempt: { given: boolean; established(socket: SimulatedSocket): void; refused(error: NetworkError): void },
  ): void {
    const { scheduler } = this.world
    const from = client.address
    scheduler.after(this.delayMs(from, address), 'syn', () => {
      if (attempt.given || !client.alive) return
      if (!this.passes(from, address, port) || !this.passes(address, from, port)) {
        scheduler.after(SYN_RETRY_MS, 'syn', () => {
          if (!attempt.given && client.alive) this.connect(client, address, port, attempt)
        })
        return
      }
      const binding = this.#bindings.get(`${address}:${port}`)
      const backMs = this.delayMs(address, from)
      if (binding === undefined) {
        scheduler.after(backMs, 'rst', () =>
          attempt.refused(new NetworkError('ECONNREFUSED', `nothing listens at ${address}:${port}`)),
        )
        return
      }
      const { incarnation: server, options } = binding
      const [near, far] = SimulatedSocket.pair(this, client, this.#nextPort++, server, port)
      server.after(0, 'accept', () => options.onConnection(far))
      scheduler.after(backMs, 'ack', () => {
        if (client.alive && !attempt.given) attempt.established(near)
        else near.vanish()
      })
    })
  }
}

/** The network as one life of a process sees it. */
export class SimulatedNetwork implements Network {
  readonly hostName: string
  readonly #fabric: Fabric
  readonly #incarnation: Incarnation

  constructor(fabric: Fabric, incarnation: Incarnation) {
    this.#fabric = fabric
    this.#incarnation = incarnation
    this.hostName = incarnation.name
  }

  listen(options: ListenOptions): Promise<Listener> {
    const fabric = this.#fabric
    const incarnation = this.#incarnation
    return new Promise((resolve, reject) => {
      if (!incarnation.alive) return
      incarnation.after(0, 'listen', () => {
        try {
          const port = fabric.bind(incarnation, options)
          incarnation.onDeath(() => fabric.unbind(incarnation, port))
          const close = (): Promise<void> => {
            fabric.unbind(incarnation, port)
            return new Promise((closed) => incarnation.after(0, 'close', closed))
          }
          resolve({ host: incarnation.address, port, close })
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  connect(options: ConnectOptions): Promise<Socket> {
    const { host, port, timeoutMs, signal } = options
    const incarnation = this.#incarnation
    return new Promise((resolve, reject) => {
      if (!incarnation.alive) return
      if (signal?.aborted) return reject(signal.reason as Error)
      const settle = (kind: string, then: () => void): void => {
        if (attempt.given) return
        attempt.given = true
        timeout.cancel()
        signal?.removeEventListener('abort', onAbort)
        incarnation.after(0, kind, then)
      }
      const attempt = {
        given: false,
        established: (socket: SimulatedSocket) => settle('connected', () => resolve(socket)),
        refused: (error: NetworkError) => settle('refused', () => reject(error)),
      }
      const onAbort = (): void => settle('aborted', () => reject(signal!.reason as Error))
      const timeout = incarnation.after(timeoutMs, 'timer', () =>
        settle('refused', () =>
          reject(new NetworkError('ETIMEDOUT', `${host}:${port} did not answer within ${timeoutMs} ms`)),
        ),
      )
      signal?.addEventListener('abort', onAbort, { once: true })
      const address = this.#fabric.world.addressOf(host, incarnation)
      if (address === null) attempt.refused(new NetworkError('ENOTFOUND', `${host} is not the name of a machine`))
      else this.#fabric.connect(incarnation, address, port, attempt)
    })
  }
}
