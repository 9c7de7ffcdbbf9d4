/**
 * Byte streams, as a port. TLS and the simulated network look the same from here.
 */
export interface Network {
  /** What this machine calls itself; others reach it under this name. `localhost` where it is not told. */
  readonly hostName?: string
  /** Resolves when it listens; rejects with `NetworkError` (`EADDRINUSE`, …). Port 0 picks a free one. */
  listen(options: ListenOptions): Promise<Listener>
  /** Resolves when connected; rejects with `NetworkError` (`ECONNREFUSED`, `ETIMEDOUT`, `ENOTFOUND`, …) or the signal's reason. */
  connect(options: ConnectOptions): Promise<Socket>
}

export interface ListenOptions {
  host: string
  port: number
  /** Called once per accepted connection; the socket delivers nothing until `start`. */
  onConnection(socket: Socket): void
}

export interface Listener {
  readonly host: string
  readonly port: number
  /** Stops accepting; open connections stay. */
  close(): Promise<void>
}

export interface ConnectOptions {
  host: string
  port: number
  /** ms until the attempt is given up. */
  timeoutMs: number
  signal?: AbortSignal
}

export interface SocketHandler {
  /**
   * Bytes have arrived. `bytes` is a view into a window that all sockets of the loop share: it is valid
   * during this call only, and the same memory holds something else after it returns.
   */
  onBytes(bytes: Uint8Array): void
  /** What `write` could not hand over at once has now left. */
  onDrain(): void
  /**
   * The peer has sent its last byte and may still read: what is written now reaches it. Whoever has this
   * method calls `end` when done; without it the connection is ended at once.
   */
  onEnd?(): void
  /** The connection is gone, exactly once: by either end, or by `error`. Nothing is called afterwards. */
  onClose(error: Error | null): void
}

export interface Socket {
  readonly remoteHost: string
  readonly remotePort: number
  readonly localHost: string
  readonly localPort: number
  start(handler: SocketHandler): void
  /** Hands chunks over in order, gathered into one system call. They must not change until `pendingBytes` has gone past them. */
  write(chunks: readonly Uint8Array[]): void
  /** Bytes handed to `write` that the system has not taken yet. */
  readonly pendingBytes: number
  /** Stops reading, so that the peer's window fills. */
  pause(): void
  resume(): void
  /** Closes once everything written has left. What still arrives is thrown away. */
  end(): void
  /** Closes now; what was not sent is lost. */
  destroy(error?: Error): void
}

export class NetworkError extends Error {
  override name = 'NetworkError'
  readonly code: string
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
