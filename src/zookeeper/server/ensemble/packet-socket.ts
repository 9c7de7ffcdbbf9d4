/**
 * One connection of the quorum port. What is sent in a turn leaves in one write; a stream that takes longer (a snapshot, a
 * long piece of the log) keeps its place among the packets, while everyone else goes on.
 */
import { ByteWriter, MalformedBytesError } from '#base'
import type { Platform, Socket } from '#platform'
import { PacketReader, SNAPSHOT_SIGNATURE, writePacket, type QuorumPacket } from '#zookeeper/zab'

/** What waits for a learner that does not read; beyond it the connection is given up, and the learner synchronises anew. */
const QUEUE_BYTES_MAX = 1 << 28
/** A stream goes on as long as less than this waits in the socket. */
const STREAM_PENDING_BYTES = 1 << 20
/** After so many bytes of a stream everyone else has a turn, however fast they leave. */
const STREAM_TURN_BYTES = 1 << 18
/** What is read ahead while the receiver is busy; then the sender has to wait. */
const READ_AHEAD_BYTES = 1 << 22

export interface PacketHandler {
  onPacket(packet: QuorumPacket): void
  /** Bytes have come. */
  onHeard(): void
  /** Part of a stream has left. */
  onProgress?(): void
  /** Once; nothing is called afterwards. */
  onClose(error: Error | null): void
}

/** Sends bytes in their place among the packets; resolves when more are welcome. */
export type Stream = (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>

export class PacketSocket {
  readonly remoteHost: string
  readonly remotePort: number
  readonly #platform: Platform
  readonly #socket: Socket
  readonly #queueBytesMax: number
  readonly #reader = new PacketReader()
  #handler: PacketHandler | null = null
  #state: 'open' | 'closed' = 'open'
  /** Of this turn. */
  #writer: ByteWriter | null = null
  /** Behind a stream. */
  #waiting: (Uint8Array | Stream)[] = []
  #waitingBytes = 0
  #isStreaming = false
  #streamedInTurn = 0
  #isHeld = false
  #isPaused = false
  #pumping = false
  #onDrain: (() => void) | null = null
  #rawWanted: { length: number; resolve: (bytes: Uint8Array) => void; reject: (error: Error) => void } | null = null
  packetsSent = 0
  packetsReceived = 0

  constructor(platform: Platform, socket: Socket, queueBytesMax = QUEUE_BYTES_MAX) {
    this.#platform = platform
    this.#socket = socket
    this.#queueBytesMax = queueBytesMax
    this.remoteHost = socket.remoteHost
    this.remotePort = socket.remotePort
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Bytes that the system has not taken yet. */
  get queuedBytes(): number {
    return this.#waitingBytes + this.#socket.pendingBytes + (this.#writer?.length ?? 0)
  }

  /** What a packet of the other side may claim to hold. */
  set packetBytesMax(bytesMax: number) {
    this.#reader.bytesMax = bytesMax
  }

  start(handler: PacketHandler): void {
    this.#handler = handler
    this.#socket.start({
      onBytes: (bytes) => this.#onBytes(bytes),
      onDrain: () => {
        const resume = this.#onDrain
        this.#onDrain = null
        resume?.()
      },
      onClose: (error) => this.#onClose(error),
    })
  }

  send(packet: QuorumPacket): void {
    if (this.#state === 'closed') return
    this.packetsSent++
    writePacket(this.#openWriter(), packet)
  }

  /** What is sent later comes after it. If it fails the connection is given up. */
  stream(stream: Stream): void {
    if (this.#state === 'closed') return
    this.#flush()
    if (this.#isStreaming) this.#waiting.push(stream)
    else void this.#run(stream)
  }

  /** No packet is handed over until `release`. */
  hold(): void {
    this.#isHeld = true
  }

  release(): void {
    this.#isHeld = false
    this.#pump()
  }

  /** The bytes of a snapshot, after SNAP; at once where they are there. Rejects when the connection ends. */
  takeRaw(length: number): Uint8Array | Promise<Uint8Array> {
    const bytes = this.#reader.takeRaw(length)
    if (bytes !== null) return bytes
    if (this.#state === 'closed') return Promise.reject(new Error('the connection has ended'))
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    this.#rawWanted = { length, resolve, reject }
    this.#resume()
    return promise
  }

  /** After the last byte of a snapshot: packets follow. Rejects with `MalformedBytesError` where it does not end. */
  async endSnapshot(): Promise<void> {
    this.#reader.endSnapshot(await this.takeRaw(SNAPSHOT_SIGNATURE.length))
  }

  destroy(error?: Error): void {
    if (this.#state === 'closed') return
    this.#onClose(error ?? null)
    this.#socket.destroy(error)
  }

  #openWriter(): ByteWriter {
    if (this.#writer !== null) return this.#writer
    const writer = new ByteWriter(WRITER_BYTES)
    this.#writer = writer
    this.#platform.clock.endOfTurn(() => {
      if (this.#writer === writer) this.#flush()
    })
    return writer
  }

  #flush(): void {
    const writer = this.#writer
    this.#writer = null
    if (writer === null || this.#state === 'closed') return
    const { length } = writer
    const chunks = writer.chunks()
    if (this.#isStreaming) {
      this.#waiting.push(...chunks)
      this.#waitingBytes += length
    } else this.#socket.write(chunks)
    if (this.#waitingBytes + this.#socket.pendingBytes > this.#queueBytesMax)
      this.destroy(new Error(`${this.#queueBytesMax} bytes wait for a peer that does not read them`))
  }

  /** Streams one after the other, with what came between them. */
  async #run(first: Stream): Promise<void> {
    this.#isStreaming = true
    try {
      for (let stream: Stream | null = first; stream !== null; stream = this.#nextStream())
        await stream((bytes) => this.#writeStreamed(bytes))
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)))
    }
    this.#isStreaming = false
  }

  #nextStream(): Stream | null {
    const chunks: Uint8Array[] = []
    let next: Stream | null = null
    let taken = 0
    for (const item of this.#waiting) {
      taken++
      if (typeof item === 'function') {
        next = item
        break
      }
      this.#waitingBytes -= item.length
      chunks.push(item)
    }
    this.#waiting = this.#waiting.slice(taken)
    if (this.#state === 'closed') return null
    if (chunks.length > 0) this.#socket.write(chunks)
    return next
  }

  async #writeStreamed(bytes: Uint8Array): Promise<void> {
    if (this.#state === 'closed') throw new Error('the connection has ended')
    this.#socket.write([bytes])
    this.#handler?.onProgress?.()
    this.#streamedInTurn += bytes.length
    if (this.#streamedInTurn >= STREAM_TURN_BYTES) {
      this.#streamedInTurn = 0
      await new Promise<void>((resolve) => this.#platform.clock.nextTurn(resolve))
    }
    if (!this.isOpen || this.#socket.pendingBytes <= STREAM_PENDING_BYTES) return
    await new Promise<void>((resolve) => {
      this.#onDrain = resolve
    })
    this.#handler?.onProgress?.()
  }

  #onBytes(bytes: Uint8Array): void {
    if (this.#state === 'closed') return
    this.#reader.push(bytes)
    this.#handler?.onHeard()
    this.#giveRaw()
    this.#pump()
    const isWanted = this.#rawWanted !== null
    if (this.#reader.bufferedBytes > READ_AHEAD_BYTES && !isWanted && this.#isHeld && this.isOpen && !this.#isPaused) {
      this.#isPaused = true
      this.#socket.pause()
    }
  }

  #giveRaw(): void {
    const wanted = this.#rawWanted
    if (wanted === null) return
    const bytes = this.#reader.takeRaw(wanted.length)
    if (bytes === null) return
    this.#rawWanted = null
    wanted.resolve(bytes)
  }

  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    try {
      while (!this.#isHeld && this.#state === 'open') {
        const packet = this.#reader.next()
        if (packet === null) break
        this.packetsReceived++
        this.#handler?.onPacket(packet)
      }
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error
      this.destroy(error)
    } finally {
      this.#pumping = false
    }
    if (!this.#isHeld) this.#resume()
  }

  #resume(): void {
    if (!this.#isPaused || this.#state === 'closed') return
    this.#isPaused = false
    this.#socket.resume()
  }

  #onClose(error: Error | null): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#writer = null
    this.#waiting = []
    this.#waitingBytes = 0
    const drained = this.#onDrain
    this.#onDrain = null
    drained?.()
    this.#rawWanted?.reject(error ?? new Error('the connection has ended'))
    this.#rawWanted = null
    const handler = this.#handler
    this.#handler = null
    handler?.onClose(error)
  }
}

const WRITER_BYTES = 1024
