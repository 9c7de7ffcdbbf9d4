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
} from '#platform'

import { NodeSocket, networkError, readByEvents, type BytesCallback, type ReadingSocket } from './socket.ts'
import { TlsAcceptor, connectWithTls } from './tls.ts'

/** What one read may bring. All sockets of the loop share this memory: each read is consumed before the next begins. */
const WINDOW_BYTES = 256 * 1024
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
    return new Promise((resolve, reject) => {
      const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, this.#acceptorOf(options))
      const refuse = (error: Error): void => reject(networkError(error))
      server.once('error', refuse)
      server.listen({ host: options.host, port: options.port, exclusive: true }, () => {
        server.removeListener('error', refuse)
        server.on('error', (error) => this.#logger.error(`cannot accept connections on port ${options.port}`, error))
        resolve(new NodeListener(server))
      })
    })
  }

  /** Throws where the keys of TLS cannot be used. */
  #acceptorOf(options: ListenOptions): (accepted: net.Socket) => void {
    const { tls } = options
    const handOver = (reading: ReadingSocket): void =>
      this.#guard(() => options.onConnection(new NodeSocket(reading, this.#logger)))
    if (tls === undefined) return (accepted) => handOver(readIntoWindow(accepted))
    const acceptor = new TlsAcceptor(tls, this.#logger, (socket) => handOver(readByEvents(socket)))
    return (accepted) => acceptor.accept(accepted)
  }

  connect(options: ConnectOptions): Promise<Socket> {
    const { host, port, timeoutMs, signal } = options
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error)
      const reading = options.tls === undefined ? connectPlainly(options) : readByEvents(connectWithTls(options))
      const { socket } = reading
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
      socket.once(options.tls === undefined ? 'connect' : 'secureConnect', () => {
        settle()
        resolve(new NodeSocket(reading, this.#logger))
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

function connectPlainly({ host, port }: ConnectOptions): ReadingSocket {
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
  socket.connect({ host, port })
  return { socket, setCallback: (callback) => void (handOver = callback) }
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
