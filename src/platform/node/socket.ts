import type * as net from 'node:net'

import { NetworkError, type Logger, type Socket, type SocketHandler } from '#platform'

import { peerCertificateOf, tlsReasonOf } from './tls.ts'

/** Neighbouring chunks smaller than this are joined: a chunk costs the stream more than copying so little. */
const JOIN_CHUNK_BYTES_MAX = 2048
/** How long a socket that was ended may go without any progress until it is destroyed: a peer that reads nothing or never closes. */
const LINGER_MS = 10_000

/** `false` stops reading. */
export type BytesCallback = (count: number, window: Uint8Array) => boolean

export interface ReadingSocket {
  socket: net.Socket
  readonly setCallback: (callback: BytesCallback) => void
}

export class NodeSocket implements Socket {
  readonly remoteHost: string
  readonly remotePort: number
  readonly encrypted: boolean
  readonly #socket: net.Socket
  readonly #logger: Logger
  readonly #setCallback: (callback: BytesCallback) => void
  #handler: SocketHandler | null = null
  #error: Error | null = null
  /** `end` was called: what still arrives is thrown away. */
  #ended = false
  #closed = false
  #paused = false
  /** The system did not take all of the last write; `onDrain` is owed. */
  #owesDrain = false
  #linger: NodeJS.Timeout | null = null

  constructor({ socket, setCallback }: ReadingSocket, logger: Logger) {
    this.#socket = socket
    this.#logger = logger
    this.#setCallback = setCallback
    this.remoteHost = socket.remoteAddress ?? ''
    this.remotePort = socket.remotePort ?? 0
    this.encrypted = 'encrypted' in socket
    socket.setNoDelay(true)
    socket.setKeepAlive(true)
    socket.on('error', (error) => (this.#error ??= networkError(error)))
    socket.on('end', () => this.#onPeerEnd())
    socket.on('drain', () => this.#onDrain())
    socket.on('finish', () => this.#onDrain())
    // Node carries out a `resume` a tick later, and reads again even if `pause` came in between.
    socket.on('resume', () => this.#paused && socket.pause())
    socket.on('close', () => this.#onClose())
  }

  get localHost(): string {
    return this.#socket.localAddress ?? ''
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0
  }

  get peerCertificate(): Uint8Array | null {
    return this.encrypted ? peerCertificateOf(this.#socket) : null
  }

  get pendingBytes(): number {
    return this.#socket.writableLength
  }

  start(handler: SocketHandler): void {
    this.#handler = handler
    if (this.#closed) {
      setImmediate(() => handler.onClose(this.#error))
      return
    }
    this.#setCallback((count, window) => {
      if (this.#ended) return true
      this.#call(() => handler.onBytes(window.subarray(0, count)))
      return true
    })
    this.#socket.resume()
  }

  write(chunks: readonly Uint8Array[]): void {
    const socket = this.#socket
    if (this.#ended || socket.destroyed || chunks.length === 0) return
    if (chunks.length === 1) socket.write(chunks[0]!)
    else {
      socket.cork()
      for (const chunk of joinedSmall(chunks)) socket.write(chunk)
      socket.uncork()
    }
    if (socket.writableLength === 0) return
    this.#owesDrain = true
    // Where a stream holds more than a byte before it asks for patience, it does not tell when that has left.
    if (socket.writableHighWaterMark > 1) socket.write('', () => socket.writableLength === 0 && this.#onDrain())
  }

  pause(): void {
    if (this.#ended) return
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    this.#socket.resume()
  }

  end(): void {
    if (this.#ended || this.#closed) return
    this.#ended = true
    this.#socket.end()
    // Read on, to see the peer's end; a socket closed with unread bytes would take back what it has sent.
    this.resume()
    this.#lingerWhile(this.#socket.writableLength)
  }

  destroy(error?: Error): void {
    this.#error ??= error ?? null
    this.#socket.destroy()
  }

  #lingerWhile(pendingBytes: number): void {
    this.#linger = setTimeout(() => {
      const remaining = this.#socket.writableLength
      if (remaining > 0 && remaining < pendingBytes) this.#lingerWhile(remaining)
      else this.#socket.destroy()
    }, LINGER_MS)
  }

  #onPeerEnd(): void {
    if (this.#ended) return
    const handler = this.#handler
    if (handler?.onEnd === undefined) this.end()
    else this.#call(() => handler.onEnd!())
  }

  #onDrain(): void {
    if (!this.#owesDrain) return
    this.#owesDrain = false
    this.#call(() => this.#handler?.onDrain())
  }

  #onClose(): void {
    this.#closed = true
    if (this.#linger !== null) clearTimeout(this.#linger)
    this.#call(() => this.#handler?.onClose(this.#error))
    this.#handler = null
  }

  /** A handler that throws loses its connection; the others of the loop do not notice. */
  #call(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#logger.error(`the connection with ${this.remoteHost}:${this.remotePort} failed and is closed`, error)
      this.destroy(error as Error)
    }
  }
}

/** The chunks, with runs of small ones copied into one. */
function joinedSmall(chunks: readonly Uint8Array[]): Uint8Array[] {
  const joined: Uint8Array[] = []
  for (let index = 0; index < chunks.length;) {
    let end = index
    let length = 0
    while (end < chunks.length && chunks[end]!.length < JOIN_CHUNK_BYTES_MAX) length += chunks[end++]!.length
    if (end - index < 2) {
      joined.push(chunks[index]!)
      index += 1
      continue
    }
    const together = Buffer.allocUnsafe(length)
    for (let at = 0; index < end; index++) {
      together.set(chunks[index]!, at)
      at += chunks[index]!.length
    }
    joined.push(together)
  }
  return joined
}

export function networkError(error: Error): NetworkError {
  if (error instanceof NetworkError) return error
  const { code, message } = error as NodeJS.ErrnoException
  return new NetworkError(code ?? 'EIO', tlsReasonOf(error) ?? message, { cause: error })
}

export function readByEvents(socket: net.Socket): ReadingSocket {
  return {
    socket,
    setCallback(callback) {
      socket.on('data', (bytes: Buffer) => {
        const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
        if (!callback(plain.length, plain)) socket.pause()
      })
    },
  }
}
