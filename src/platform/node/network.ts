import * as net from 'node:net'
import { hostname } from 'node:os'

import {
  NetworkError,
  type ConnectOptions,
  type ListenOptions,
  type Listener,
  type Logger,
  type Network,
  type Socket,
  type SocketHandler,
} from '#platform'

/** What one read may bring. All sockets of the loop share this memory: each read is consumed before the next begins. */
const WINDOW_BYTES = 256 * 1024
/** Neighbouring chunks smaller than this are joined: a chunk costs the stream more than copying so little. */
const JOIN_CHUNK_BYTES_MAX = 2048
/** How long a socket that was ended may go without any progress until it is destroyed: a peer that reads nothing or never closes. */
const LINGER_MS = 10_000

/** No Buffer, whose `slice` would be a view where everybody else's is a copy. */
let sharedWindow: Uint8Array | null = null

function windowOfLoop(): Uint8Array {
  return (sharedWindow ??= new Uint8Array(WINDOW_BYTES))
}

export class NodeNetwork implements Network {
  readonly hostName = hostname()
  readonly #logger: Logger

  constructor(logger: Logger) {
    this.#logger = logger
  }

  listen(options: ListenOptions): Promise<Listener> {
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (accepted) => {
      this.#guard(() => options.onConnection(new NodeSocket(readIntoWindow(accepted), this.#logger)))
    })
    return new Promise((resolve, reject) => {
      const refuse = (error: Error): void => reject(networkError(error))
      server.once('error', refuse)
      server.listen({ host: options.host, port: options.port, exclusive: true }, () => {
        server.removeListener('error', refuse)
        server.on('error', (error) => this.#logger.error(`cannot accept connections on port ${options.port}`, error))
        resolve(new NodeListener(server))
      })
    })
  }

  connect(options: ConnectOptions): Promise<Socket> {
    const { host, port, timeoutMs, signal } = options
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error)
      let handOver: BytesCallback = () => true
      const onread = {
        buffer: windowOfLoop(),
        callback: (count: number, window: Uint8Array): boolean => handOver(count, window),
      }
      const socket = new net.Socket({
        allowHalfOpen: true,
        writableHighWaterMark: 1,
        onread,
      } as net.SocketConstructorOpts)
      socket.pause()
      const settle = (): void => {
        clearTimeout(timeout)
        signal?.removeEventListener('abort', onAbort)
        socket.removeListener('error', onError)
      }
      const fail = (error: Error): void => {
        settle()
        socket.on('error', () => {})
        socket.destroy()
        reject(error)
      }
      const onError = (error: Error): void => fail(networkError(error))
      const onAbort = (): void => fail(signal!.reason as Error)
      const timeout = setTimeout(() => {
        fail(new NetworkError('ETIMEDOUT', `${host}:${port} did not answer within ${timeoutMs} ms`))
      }, timeoutMs)
      signal?.addEventListener('abort', onAbort, { once: true })
      socket.once('error', onError)
      socket.connect({ host, port }, () => {
        settle()
        const setCallback = (callback: BytesCallback): void => void (handOver = callback)
        resolve(new NodeSocket({ socket, setCallback }, this.#logger))
      })
    })
  }

  #guard(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#logger.error('a connection could not be taken over', error)
    }
  }
}

class NodeListener implements Listener {
  readonly host: string
  readonly port: number
  readonly #server: net.Server

  constructor(server: net.Server) {
    const address = server.address() as net.AddressInfo
    this.host = address.address
    this.port = address.port
    this.#server = server
  }

  /** The port is free when it resolves. The server's own word comes only when no connection is left that it counts, and they stay. */
  close(): Promise<void> {
    this.#server.close()
    return new Promise((resolve) => setImmediate(resolve))
  }
}

/** `false` stops reading. */
type BytesCallback = (count: number, window: Uint8Array) => boolean

interface ReadingSocket {
  socket: net.Socket
  readonly setCallback: (callback: BytesCallback) => void
}

/**
 * Makes an accepted socket read into the loop's window. `net.createServer` has no such option, so the
 * accepted handle is taken out of its socket and wrapped anew (`_handle` is not public; Node 24 and 26 have
 * it). Reading a fresh buffer per `data` event costs two to three times the CPU and is what happens where
 * the handle cannot be had.
 */
function readIntoWindow(accepted: net.Socket): ReadingSocket {
  const holder = accepted as unknown as { _handle?: { useUserBuffer?: unknown } | null }
  const handle = holder._handle
  if (typeof handle?.useUserBuffer !== 'function') return readByEvents(accepted)
  holder._handle = null
  // The empty shell leaves the server's count of connections.
  accepted.destroy()
  let handOver: BytesCallback = () => true
  const socket = new net.Socket({
    handle,
    allowHalfOpen: true,
    pauseOnCreate: true,
    writableHighWaterMark: 1,
    onread: { buffer: windowOfLoop(), callback: (count: number, window: Uint8Array) => handOver(count, window) },
  } as unknown as net.SocketConstructorOpts)
  return { socket, setCallback: (callback) => void (handOver = callback) }
}

function readByEvents(socket: net.Socket): ReadingSocket {
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

class NodeSocket implements Socket {
  readonly remoteHost: string
  readonly remotePort: number
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
    if (socket.writableLength > 0) this.#owesDrain = true
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

function networkError(error: Error): NetworkError {
  if (error instanceof NetworkError) return error
  const { code, message } = error as NodeJS.ErrnoException
  return new NetworkError(code ?? 'EIO', message, { cause: error })
}
