import { MalformedBytesError } from '#base'
import { NetworkError, type Clock, type Logger, type Socket, type Timer } from '#platform'

import { giveBuffer, takeBuffer } from './buffers.ts'

export interface FramedHandler {
  /** A whole frame, without its length. The bytes are valid during this call only, unless they are `kept`: then they are the handler's. */
  onFrame(frame: Uint8Array, kept: boolean): void
  /**
   * The first four bytes of the connection, before they count as a length: ZooKeeper's admin words stand
   * there. `rest` came along with them, and lives until the call returns. `true` takes them: what follows is thrown away, and the
   * owner answers with `sendRaw` and `close`.
   */
  onFirstWord?(word: number, rest: Uint8Array): boolean
  /** The connection is gone, exactly once; nothing is called afterwards. */
  onClose(reason: CloseReason): void
}

/**
 * Why a connection ended.
 * - `peer`: the other side closed it
 * - `owner`: `close` or `destroy` was called
 * - `idle`: nothing moved for `idleTimeoutMs`
 * - `frame`: the peer's bytes are not frames, or not what its protocol says (`FrameError`, `MalformedBytesError`)
 * - `network`: the system says so (`NetworkError`: `ECONNRESET`, …)
 * - `failed`: a handler threw
 */
export interface CloseReason {
  kind: 'peer' | 'owner' | 'idle' | 'frame' | 'network' | 'failed'
  error: Error | null
}

export interface FramedOptions {
  /** Longest frame that is accepted (`socket.request.max.bytes`, `jute.maxbuffer`). A longer or negative claim closes the connection. */
  maxFrameBytes: number
  /**
   * Frames of these sizes that do not lie whole in what was read get memory of their own at once, of the length that the peer
   * claims, and the handler keeps it: no further copy, but only for peers that one trusts. Default: none.
   */
  keptFrames?: { readonly bytesMin: number; readonly bytesMax: number }
  /** Reading stops while more than this waits to be sent: a peer that does not read its answers is not read from. Default 1 MiB. */
  pendingBytesMax?: number
  /** Closes the connection when nothing was received or sent for so long, in ms. Default: never. */
  idleTimeoutMs?: number
}

const PENDING_BYTES_MAX_DEFAULT = 1024 * 1024
const LENGTH_BYTES = 4

/** A length that is negative or beyond the bound. */
export class FrameError extends Error {
  override name = 'FrameError'
  readonly claimedBytes: number
  constructor(claimedBytes: number, maxFrameBytes: number) {
    super(`a frame claims ${claimedBytes} bytes, where 0 to ${maxFrameBytes} are legal`)
    this.claimedBytes = claimedBytes
  }
}

/**
 * Frames over a byte stream, each an int32 length (big-endian) and as many bytes. Knows neither Kafka nor ZooKeeper.
 *
 * A frame that lies whole in what was read is handed on as a view of it, without a copy. Of one that does
 * not, the bytes gather in a buffer that grows as they arrive, not by the length that the peer claims (but see `keptFrames`).
 */
export class FramedConnection {
  readonly remoteHost: string
  readonly remotePort: number
  readonly #socket: Socket
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #maxFrameBytes: number
  readonly #keptFrames: { readonly bytesMin: number; readonly bytesMax: number } | null
  readonly #pendingBytesMax: number
  readonly #idleTimeoutMs: number
  #handler: FramedHandler | null = null

  /** Bytes received and not yet handed on: part of a frame, or whatever was read when the owner paused. */
  #held: Uint8Array | null = null
  #heldLength = 0
  /** What is held lies in memory that the handler will keep, and not in a buffer that is used again. */
  #heldIsKept = false
  #firstWordSeen = false
  /** An admin word was taken; bytes that follow mean nothing. */
  #deaf = false
  /** The owner asked for a pause. */
  #paused = false
  /** Too much waits to be sent. */
  #choked = false
  /** Frames are being handed on: what the handler pauses and resumes meanwhile shows at the end. */
  #delivering = false
  /** The socket was not told to pause. */
  #reading = true

  /** Chunks for the write at the end of this turn. */
  #outgoing: Uint8Array[] = []
  #outgoingBytes = 0
  #flushScheduled = false
  /** Bytes given to the socket so far. */
  #writtenBytes = 0
  /** Who wants to know when their bytes have left, in the order of the bytes. */
  #awaitingSent: { untilBytes: number; sent: () => void }[] = []

  #closing = false
  #closed = false
  #closedBy: CloseReason['kind'] | null = null
  #lastActivityMs: number
  #idleTimer: Timer | null = null

  constructor(platform: { clock: Clock; logger: Logger }, socket: Socket, options: FramedOptions) {
    this.#clock = platform.clock
    this.#logger = platform.logger
    this.#socket = socket
    this.#maxFrameBytes = options.maxFrameBytes
    this.#keptFrames = options.keptFrames ?? null
    this.#pendingBytesMax = options.pendingBytesMax ?? PENDING_BYTES_MAX_DEFAULT
    this.#idleTimeoutMs = options.idleTimeoutMs ?? 0
    this.remoteHost = socket.remoteHost
    this.remotePort = socket.remotePort
    this.#lastActivityMs = this.#clock.monotonic()
  }

  /** Begins to deliver. Called once. */
  start(handler: FramedHandler): void {
    this.#handler = handler
    this.#socket.start({
      onBytes: (bytes) => this.#onBytes(bytes),
      onDrain: () => this.#onDrain(),
      onEnd: () => this.#onEnd(),
      onClose: (error) => this.#onClose(error),
    })
    if (this.#idleTimeoutMs > 0) this.#armIdleTimer(this.#idleTimeoutMs)
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

  /** In DER; null where the peer has shown none. */
  get peerCertificate(): Uint8Array | null {
    return this.#socket.peerCertificate ?? null
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Bytes handed to `send` that the system has not taken yet. */
  get pendingBytes(): number {
    return this.#outgoingBytes + this.#socket.pendingBytes
  }

  /**
   * Sends one frame made of these chunks, written with all others of this turn in one system call. The
   * chunks must not change until `sent` is called: when the system has taken them, or the connection is gone.
   */
  send(chunks: readonly Uint8Array[], sent?: () => void): void {
    let length = 0
    for (const chunk of chunks) length += chunk.length
    this.#outgoing.push(lengthPrefix(length))
    this.#outgoingBytes += LENGTH_BYTES
    this.sendRaw(chunks, sent)
  }

  /** As `send`, without a length before it: the answer to an admin word. */
  sendRaw(chunks: readonly Uint8Array[], sent?: () => void): void {
    for (const chunk of chunks) {
      this.#outgoing.push(chunk)
      this.#outgoingBytes += chunk.length
    }
    if (sent !== undefined) {
      if (this.#closed) return this.#clock.endOfTurn(sent)
      this.#awaitingSent.push({ untilBytes: this.#writtenBytes + this.#outgoingBytes, sent })
    }
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    this.#clock.endOfTurn(this.#flush)
  }

  /** No further frame is delivered, and nothing is read, until `resume`. */
  pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#stopReading()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#goOn()
  }

  /** Closes once all that was sent has left. No further frame is delivered. */
  close(): void {
    if (this.#closing || this.#closed) return
    this.#closing = true
    this.#closedBy ??= 'owner'
    this.#flush()
    this.#socket.end()
  }

  /** Closes at once; what was not yet sent is lost. */
  destroy(error?: Error): void {
    this.#destroyAs('owner', error)
  }

  #destroyAs(kind: CloseReason['kind'], error?: Error): void {
    if (this.#closed) return
    this.#closing = true
    this.#closedBy ??= kind
    this.#socket.destroy(error)
  }

  #onBytes(bytes: Uint8Array): void {
    this.#lastActivityMs = this.#clock.monotonic()
    if (this.#deaf || this.#closing) return
    try {
      this.#delivering = true
      const rest = this.#heldLength > 0 ? this.#completeHeld(bytes) : bytes
      if (rest !== null) this.#deliver(rest)
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#delivering = false
    }
    if (this.#paused || this.#choked) this.#stopReading()
  }

  /** A peer that sends nonsense loses its connection; so does one over whose frame a handler of ours stumbled, which is logged. */
  #fail(error: unknown): void {
    if (error instanceof FrameError || error instanceof MalformedBytesError) return this.#destroyAs('frame', error)
    this.#logger.error(`the connection with ${this.remoteHost}:${this.remotePort} failed and is closed`, error)
    this.#destroyAs('failed', error as Error)
  }

  /** Adds to the frame that is held as much as it lacks; returns what remains, or null when all is used up. */
  #completeHeld(bytes: Uint8Array): Uint8Array | null {
    // The socket may still deliver what it had read when it was paused.
    if (this.#paused || this.#choked) return this.#hold(bytes)
    let used = 0
    if (this.#heldLength < LENGTH_BYTES) {
      used = Math.min(LENGTH_BYTES - this.#heldLength, bytes.length)
      this.#hold(bytes.subarray(0, used))
      if (this.#heldLength < LENGTH_BYTES) return null
      if (this.#takesFirstWord(readLength(this.#held!, 0), bytes, used)) return null
    }
    const frameEnd = LENGTH_BYTES + this.#lengthAt(this.#held!, 0)
    const lacking = Math.min(frameEnd - this.#heldLength, bytes.length - used)
    this.#hold(bytes.subarray(used, used + lacking), frameEnd)
    used += lacking
    if (this.#heldLength < frameEnd) return null
    const frame = this.#held!
    const kept = this.#heldIsKept
    this.#letGoOfHeld()
    this.#handler!.onFrame(frame.subarray(LENGTH_BYTES, frameEnd), kept)
    if (!kept) giveBuffer(frame)
    return used < bytes.length ? bytes.subarray(used) : null
  }

  /** Hands on every whole frame in `bytes` and holds what remains. */
  #deliver(bytes: Uint8Array): void {
    const length = bytes.length
    let at = 0
    let frameBytes = Infinity
    while (length - at >= LENGTH_BYTES) {
      if (this.#paused || this.#choked || this.#closing) break
      if (this.#takesFirstWord(readLength(bytes, at), bytes, at + LENGTH_BYTES)) return
      const end = at + LENGTH_BYTES + this.#lengthAt(bytes, at)
      if (end > length) {
        frameBytes = end - at
        break
      }
      this.#handler!.onFrame(bytes.subarray(at + LENGTH_BYTES, end), false)
      at = end
    }
    if (at < length && !this.#closing) this.#hold(at === 0 ? bytes : bytes.subarray(at), frameBytes)
  }

  #takesFirstWord(word: number, bytes: Uint8Array, restAt: number): boolean {
    if (this.#firstWordSeen) return false
    this.#firstWordSeen = true
    this.#deaf = this.#handler?.onFirstWord?.(word, bytes.subarray(restAt)) ?? false
    if (this.#deaf) this.#dropHeld()
    return this.#deaf
  }

  /** Length of the frame at `at`, within its bounds. */
  #lengthAt(bytes: Uint8Array, at: number): number {
    const length = readLength(bytes, at)
    if (length < 0 || length > this.#maxFrameBytes) throw new FrameError(length, this.#maxFrameBytes)
    return length
  }

  /** Copies `bytes` behind what is held, of a frame that ends at `frameEnd` if that is known. The buffer at most doubles, or is kept. */
  #hold(bytes: Uint8Array, frameEnd = Infinity): null {
    if (bytes.length === 0) return null
    const needed = this.#heldLength + bytes.length
    const held = this.#held
    if (held === null || needed > held.length) {
      const kept = this.#keeps(frameEnd)
      const doubled = Math.max(needed, Math.min((held?.length ?? 0) * 2, frameEnd))
      const grown = kept ? new Uint8Array(frameEnd) : takeBuffer(doubled)
      if (held !== null) {
        grown.set(held.subarray(0, this.#heldLength))
        if (!this.#heldIsKept) giveBuffer(held)
      }
      this.#held = grown
      this.#heldIsKept = kept
    }
    this.#held!.set(bytes, this.#heldLength)
    this.#heldLength = needed
    return null
  }

  #keeps(frameEnd: number): boolean {
    return this.#keptFrames !== null && frameEnd >= this.#keptFrames.bytesMin && frameEnd <= this.#keptFrames.bytesMax
  }

  #letGoOfHeld(): void {
    this.#held = null
    this.#heldLength = 0
    this.#heldIsKept = false
  }

  #dropHeld(): void {
    if (this.#held !== null && !this.#heldIsKept) giveBuffer(this.#held)
    this.#letGoOfHeld()
  }

  #stopReading(): void {
    if (!this.#reading || this.#delivering) return
    this.#reading = false
    this.#socket.pause()
  }

  /** After a pause: first what is held, at the end of the turn (never from within the caller), then the socket. */
  #goOn(): void {
    if (this.#delivering) return
    this.#clock.endOfTurn(() => {
      if (this.#paused || this.#choked || this.#closing) return
      const backlog = this.#held
      if (backlog !== null) {
        const length = this.#heldLength
        const kept = this.#heldIsKept
        this.#letGoOfHeld()
        this.#onBytes(backlog.subarray(0, length))
        if (!kept) giveBuffer(backlog)
      }
      if (this.#paused || this.#choked || this.#closing || this.#reading) return
      this.#reading = true
      this.#socket.resume()
    })
  }

  readonly #flush = (): void => {
    this.#flushScheduled = false
    if (this.#outgoing.length === 0 || this.#closed) return
    const chunks = this.#outgoing
    this.#writtenBytes += this.#outgoingBytes
    this.#outgoing = []
    this.#outgoingBytes = 0
    this.#lastActivityMs = this.#clock.monotonic()
    this.#socket.write(chunks)
    this.#reportSent()
    if (!this.#choked && this.#socket.pendingBytes > this.#pendingBytesMax) {
      this.#choked = true
      this.#stopReading()
    }
  }

  #onDrain(): void {
    this.#lastActivityMs = this.#clock.monotonic()
    this.#reportSent()
    if (!this.#choked) return
    this.#choked = false
    this.#goOn()
  }

  #reportSent(): void {
    const leftBytes = this.#closed ? Infinity : this.#writtenBytes - this.#socket.pendingBytes
    let count = 0
    while (count < this.#awaitingSent.length && this.#awaitingSent[count]!.untilBytes <= leftBytes) count += 1
    if (count === 0) return
    for (const { sent } of this.#awaitingSent.splice(0, count)) sent()
  }

  /** The peer sends no more. As in Kafka and ZooKeeper, its open requests are dropped; only an admin word is still answered. */
  #onEnd(): void {
    if (this.#deaf) return
    this.#closedBy ??= 'peer'
    this.close()
  }

  #onClose(error: Error | null): void {
    this.#closed = true
    this.#idleTimer?.cancel()
    this.#dropHeld()
    this.#outgoing = []
    this.#outgoingBytes = 0
    this.#reportSent()
    const kind = this.#closedBy ?? (error instanceof NetworkError ? 'network' : 'peer')
    this.#handler?.onClose({ kind, error })
    this.#handler = null
  }

  #armIdleTimer(delayMs: number): void {
    this.#idleTimer = this.#clock.setTimer(delayMs, (lateMs) => {
      // Silence during a stall of our own does not count.
      const idleMs = this.#clock.monotonic() - this.#lastActivityMs - lateMs
      if (idleMs >= this.#idleTimeoutMs - 1) this.#destroyAs('idle')
      else this.#armIdleTimer(Math.max(1, this.#idleTimeoutMs - idleMs))
    })
  }
}

function lengthPrefix(length: number): Uint8Array {
  return Uint8Array.of(length >>> 24, length >>> 16, length >>> 8, length)
}

function readLength(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}
