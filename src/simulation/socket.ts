import { concatBytes } from '#base'
import { NetworkError, type Socket, type SocketHandler } from '#platform'

import type { Incarnation } from './incarnation.ts'
import type { Fabric } from './network.ts'
import { FrameNames, type FrameNamer } from './frame-names.ts'

/** What the two kernels hold of one direction: sent and not yet read. What exceeds it stays with the sender as pending. */
const WINDOW_BYTES = 512 * 1024
/** The most that arrives at once. */
const SEGMENT_BYTES_MAX = 64 * 1024
/** The most that one read delivers; the memory that all sockets of a process share. */
const READ_BYTES_MAX = 256 * 1024
/** Where a stream is cut is nobody's business: so many segments are cut at an arbitrary place. */
const CUT_PROBABILITY = 0.05
/** How long a link may swallow everything until the sender's kernel gives the connection up. */
const GIVE_UP_MS = 30_000
/** How long an ended socket waits for its peer's end. */
const LINGER_MS = 10_000
/** What memory that is no longer valid holds: who reads it sees at once that it is not what arrived. */
const STALE = 0xdd

type Segment = { kind: 'data'; bytes: Uint8Array } | { kind: 'end' } | { kind: 'reset' }

/** One direction of a connection: what is under way, in order. */
export class Stream {
  readonly sender: SimulatedSocket
  readonly receiver: SimulatedSocket
  readonly from: string
  readonly to: string
  /** That the connection was made to. */
  readonly serverPort: number
  readonly isOfRequests: boolean
  /** The same for both directions of a connection. */
  readonly names: FrameNames
  readonly #fabric: Fabric
  readonly #namer: FrameNamer
  #flight: Segment[] = []
  #lastArrivalMs = 0
  /** Segments that arrived at a link that does not pass; they go again when it does. */
  #swallowed = 0
  #swallowedSinceMs = 0
  /** Bytes admitted of which the sender does not know that they were read. */
  unreadBytes = 0
  /** Read at the other end while no acknowledgement gets back. */
  #untoldBytes = 0

  constructor(
    fabric: Fabric,
    sender: SimulatedSocket,
    receiver: SimulatedSocket,
    names: FrameNames,
    isOfRequests: boolean,
  ) {
    this.#fabric = fabric
    this.sender = sender
    this.receiver = receiver
    this.from = sender.localHost
    this.to = receiver.localHost
    this.serverPort = isOfRequests ? receiver.localPort : sender.localPort
    this.names = names
    this.isOfRequests = isOfRequests
    this.#namer = isOfRequests ? names.ofRequests() : names.ofResponses()
    fabric.add(this)
  }

  send(segment: Segment): void {
    this.#flight.push(segment)
    if (segment.kind === 'data') this.unreadBytes += segment.bytes.length
    this.#scheduleArrival()
  }

  /** The link passes again, or its machine has power again. */
  retransmit(): void {
    this.acknowledge(0)
    if (!this.#fabric.passes(this.from, this.to, this.serverPort)) return
    const { world } = this.#fabric
    const count = this.#swallowed
    this.#swallowed = 0
    // TCP waits longer from try to try.
    if (count > 0) this.#lastArrivalMs = world.nowMs + world.random.between(1, 200)
    for (let index = 0; index < count; index++) this.#scheduleArrival()
  }

  /** The receiver has read so many bytes more; the sender's window opens, if the way back is open. */
  acknowledge(bytes: number): void {
    this.#untoldBytes += bytes
    if (this.#untoldBytes === 0 || !this.#fabric.passes(this.to, this.from, this.serverPort)) return
    this.unreadBytes -= this.#untoldBytes
    this.#untoldBytes = 0
    this.sender.admit()
  }

  /** Of a sender without power nothing follows. */
  drop(): void {
    this.#flight = []
  }

  /** The fabric forgets a direction in which nothing is under way and nothing will be sent. */
  settle(): void {
    if (this.sender.isGone && this.#flight.length === 0) this.#fabric.remove(this)
  }

  #scheduleArrival(): void {
    const { world } = this.#fabric
    const atMs = Math.max(world.nowMs + this.#fabric.delayMs(this.from, this.to), this.#lastArrivalMs)
    this.#lastArrivalMs = atMs
    world.scheduler.at(atMs, 'arrival', () => this.#arrive())
  }

  #arrive(): void {
    if (this.#flight.length === 0) return
    if (!this.#fabric.passes(this.from, this.to, this.serverPort)) return this.#swallow()
    const segment = this.#flight.shift()!
    this.#trace(segment)
    this.receiver.arrive(segment)
    this.settle()
  }

  #swallow(): void {
    const { world } = this.#fabric
    if (this.#swallowed++ > 0) return
    const sinceMs = world.nowMs
    this.#swallowedSinceMs = sinceMs
    world.scheduler.after(GIVE_UP_MS, 'give-up', () => {
      if (this.#swallowed > 0 && this.#swallowedSinceMs === sinceMs) this.sender.reset('ETIMEDOUT')
    })
  }

  #trace(segment: Segment): void {
    const { world } = this.#fabric
    const { trace } = world
    const from = this.sender.owner.name
    const to = this.receiver.owner.name
    if (segment.kind === 'data') {
      trace.bytes(world.nowMs, from, to, segment.bytes, this.#namer)
      world.onBytes?.(this, segment.bytes)
    } else trace.signal(world.nowMs, from, to, segment.kind)
  }
}

/** One end of a connection: the process's socket, and what its kernel holds of it. */
export class SimulatedSocket implements Socket {
  readonly remoteHost: string
  readonly remotePort: number
  readonly localHost: string
  readonly localPort: number
  readonly owner: Incarnation
  readonly #fabric: Fabric
  #outward!: Stream
  #inward!: Stream
  #handler: SocketHandler | null = null
  /** Given to `write` and not yet admitted by the kernel. */
  #outbox: Uint8Array[] = []
  #pendingBytes = 0
  #owesDrain = false
  /** Arrived and not yet read. */
  #inbox: Uint8Array[] = []
  #paused = false
  #deliveryScheduled = false
  /** `end` was called. */
  #ended = false
  #endSent = false
  /** The peer's end has arrived, behind what is in the inbox. */
  #peerEnded = false
  #peerEndTold = false
  /** Nothing more is sent or received. */
  #gone = false

  /** Both ends of a new connection, the client's first. */
  static pair(
    fabric: Fabric,
    client: Incarnation,
    clientPort: number,
    server: Incarnation,
    serverPort: number,
  ): [SimulatedSocket, SimulatedSocket] {
    const near = new SimulatedSocket(fabric, client, clientPort, server, serverPort)
    const far = new SimulatedSocket(fabric, server, serverPort, client, clientPort)
    const names = new FrameNames()
    near.#outward = far.#inward = new Stream(fabric, near, far, names, true)
    far.#outward = near.#inward = new Stream(fabric, far, near, names, false)
    return [near, far]
  }

  private constructor(fabric: Fabric, owner: Incarnation, port: number, peer: Incarnation, peerPort: number) {
    this.#fabric = fabric
    this.owner = owner
    this.localHost = owner.address
    this.localPort = port
    this.remoteHost = peer.address
    this.remotePort = peerPort
    owner.onDeath(() => this.vanish())
  }

  get pendingBytes(): number {
    return this.#pendingBytes
  }

  get isGone(): boolean {
    return this.#gone
  }

  start(handler: SocketHandler): void {
    this.#handler = handler
    if (this.#gone) this.owner.after(0, 'closed', () => handler.onClose(null))
    else this.#scheduleDelivery()
  }

  write(chunks: readonly Uint8Array[]): void {
    if (this.#gone || this.#ended || !this.owner.alive) return
    for (const chunk of chunks) {
      if (chunk.length === 0) continue
      this.#outbox.push(chunk)
      this.#pendingBytes += chunk.length
    }
    this.admit()
    if (this.#pendingBytes > 0) this.#owesDrain = true
  }

  pause(): void {
    if (!this.#ended) this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#scheduleDelivery()
  }

  end(): void {
    if (this.#ended || this.#gone) return
    this.#ended = true
    this.admit()
    this.resume()
    this.owner.after(LINGER_MS, 'timer', () => {
      if (!this.#gone) this.destroy()
    })
  }

  destroy(error?: Error): void {
    if (this.#gone || !this.owner.alive) return
    this.vanish()
    this.#tellClosed(error ?? null)
  }

  /** The connection breaks: the kernel says so, and what was not yet read is lost. */
  reset(code: string): void {
    if (this.#gone) return
    this.#outward.drop()
    this.#drop()
    this.#tellClosed(new NetworkError(code, `the connection with ${this.remoteHost}:${this.remotePort} broke`))
  }

  /** This end is no more, without a word to its owner. The kernel tells the peer, unless the power is out. */
  vanish(): void {
    if (this.#gone) return
    this.#drop()
    if (this.#fabric.isDark(this.localHost)) this.#outward.drop()
    else if (!this.#endSent) this.#outward.send({ kind: 'end' })
    this.#outward.settle()
  }

  /** Lets the kernel take what its window has room for: here bytes are copied, and no sooner. */
  admit(): void {
    if (this.#gone) return
    while (this.#outbox.length > 0) {
      const room = WINDOW_BYTES - this.#outward.unreadBytes
      if (room <= 0) break
      this.#outward.send({ kind: 'data', bytes: this.#takeSegment(Math.min(room, SEGMENT_BYTES_MAX)) })
    }
    if (this.#pendingBytes > 0) return
    if (this.#owesDrain) {
      this.#owesDrain = false
      this.owner.after(0, 'drain', () => {
        if (!this.#gone) this.#call(() => this.#handler?.onDrain())
      })
    }
    if (this.#ended && !this.#endSent) {
      this.#endSent = true
      this.#outward.send({ kind: 'end' })
    }
  }

  #takeSegment(bytesMax: number): Uint8Array {
    const { random } = this.#fabric.world
    let length = Math.min(bytesMax, this.#pendingBytes)
    if (length > 1 && random.chance(CUT_PROBABILITY)) length = 1 + random.below(length - 1)
    const segment = new Uint8Array(length)
    for (let at = 0; at < length;) {
      const chunk = this.#outbox[0]!
      const count = Math.min(chunk.length, length - at)
      segment.set(chunk.subarray(0, count), at)
      at += count
      if (count === chunk.length) this.#outbox.shift()
      else this.#outbox[0] = chunk.subarray(count)
    }
    this.#pendingBytes -= length
    return segment
  }

  arrive(segment: Segment): void {
    if (segment.kind === 'reset') return this.reset('ECONNRESET')
    if (this.#gone) {
      // Nobody is here: the kernel says so to whoever still sends.
      if (segment.kind === 'data') this.#outward.send({ kind: 'reset' })
      return
    }
    if (segment.kind === 'end') this.#peerEnded = true
    else this.#inbox.push(segment.bytes)
    if (this.owner.paused) return
    this.owner.enter('read', () => this.#deliver())
  }

  /** Its process goes on after a pause. */
  wake(incarnation: Incarnation): void {
    if (this.owner === incarnation && (this.#inbox.length > 0 || this.#peerEnded)) this.#scheduleDelivery()
  }

  #scheduleDelivery(): void {
    if (this.#deliveryScheduled || (this.#inbox.length === 0 && !this.#peerEnded)) return
    this.#deliveryScheduled = true
    this.owner.after(0, 'read', () => {
      this.#deliveryScheduled = false
      this.#deliver()
    })
  }

  #deliver(): void {
    while (this.#inbox.length > 0) {
      if (this.#gone || this.#handler === null || this.#paused) return
      const bytes = this.#takeArrived()
      if (!this.#ended) this.#call(() => this.#handler!.onBytes(bytes))
      bytes.fill(STALE)
      this.#inward.acknowledge(bytes.length)
    }
    if (!this.#peerEnded || this.#peerEndTold || this.#gone || this.#handler === null) return
    this.#peerEndTold = true
    if (!this.#ended && this.#handler.onEnd !== undefined) this.#call(() => this.#handler!.onEnd!())
    else this.end()
    this.#closeWhenBothEnded()
  }

  #closeWhenBothEnded(): void {
    if (this.#gone || !this.#endSent || !this.#peerEndTold) return
    this.#drop()
    this.#tellClosed(null)
  }

  /** The arrived bytes that one read delivers: segments that lie ready come together. */
  #takeArrived(): Uint8Array {
    if (this.#inbox.length === 1) return this.#inbox.pop()!
    const together: Uint8Array[] = []
    let length = 0
    while (this.#inbox.length > 0 && length + this.#inbox[0]!.length <= READ_BYTES_MAX) {
      length += this.#inbox[0]!.length
      together.push(this.#inbox.shift()!)
    }
    return concatBytes(together)
  }

  #drop(): void {
    this.#gone = true
    this.#outbox = []
    this.#pendingBytes = 0
    this.#inbox = []
    this.#outward.settle()
  }

  #tellClosed(error: Error | null): void {
    this.owner.after(0, 'closed', () => {
      this.#call(() => this.#handler?.onClose(error))
      this.#handler = null
    })
  }

  /** A handler that throws loses its connection, as in `platform/node`. */
  #call(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.owner.world.report(`a handler of ${this.owner.name} failed`, error)
      this.destroy(error as Error)
    }
  }
}
