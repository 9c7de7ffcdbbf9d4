/**
 * Where learners connect. It is open all the time: those who know the outcome of an election before this server does wait
 * here for a moment, rather than try again after 100 ms; whoever follows sends them away.
 */
import { NetworkError, type Listener, type Network, type Socket } from '#platform'

/** Connections that wait for the outcome; the oldest goes first. */
const WAITING_MAX = 64

export type Taker = (socket: Socket) => void

export class QuorumPort {
  readonly #listener: Listener
  #taker: Taker | 'wait' | 'refuse'
  #waiting: Socket[] = []

  private constructor(listener: Listener) {
    this.#listener = listener
    this.#taker = 'wait'
  }

  /** Rejects with `NetworkError` (`EADDRINUSE`, …). */
  static async open(network: Network, host: string, port: number): Promise<QuorumPort> {
    let opened: QuorumPort | null = null
    const listener = await network.listen({
      host,
      port,
      onConnection: (socket) => (opened === null ? socket.destroy() : opened.#accept(socket)),
    })
    opened = new QuorumPort(listener)
    return opened
  }

  get port(): number {
    return this.#listener.port
  }

  /** While this server looks for a leader. */
  wait(): void {
    this.#taker = 'wait'
  }

  /** While it follows or observes. */
  refuse(): void {
    this.#taker = 'refuse'
    for (const socket of this.#takeWaiting()) refuse(socket)
  }

  /** While it leads. */
  give(taker: Taker): void {
    this.#taker = taker
    for (const socket of this.#takeWaiting()) taker(socket)
  }

  async close(): Promise<void> {
    this.refuse()
    await this.#listener.close()
  }

  #accept(socket: Socket): void {
    if (this.#taker === 'refuse') return refuse(socket)
    if (this.#taker !== 'wait') return this.#taker(socket)
    this.#waiting.push(socket)
    if (this.#waiting.length > WAITING_MAX) refuse(this.#waiting.shift()!)
    return undefined
  }

  #takeWaiting(): Socket[] {
    const waiting = this.#waiting
    this.#waiting = []
    return waiting
  }
}

function refuse(socket: Socket): void {
  socket.destroy(new NetworkError('ECONNABORTED', 'this server does not lead'))
}
