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
  /** Called once per accepted connection, with TLS once its handshake is done; the socket delivers nothing until `start`. */
  onConnection(socket: Socket): void
  /** Connections are encrypted. One whose handshake fails is closed and logged, and nobody else hears of it. */
  tls?: TlsListenOptions
}

/** A private key, and its certificate followed by those that lead up to an authority; both PEM. */
export interface TlsIdentity {
  readonly key: string
  readonly certificates: string
}

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'

export interface TlsOptions {
  /** Null: we show none, which only a client may. */
  readonly identity: TlsIdentity | null
  /** Certificates in PEM that a peer's must lead up to; null: those that the system trusts. */
  readonly authorities: readonly string[] | null
  readonly minVersion: TlsVersion
  readonly maxVersion: TlsVersion
  /** As IANA and Java, or as OpenSSL names them; null: the system's choice. */
  readonly ciphers: readonly string[] | null
}

export interface TlsListenOptions extends TlsOptions {
  /** `wanted`: a client may show none; what it shows must be right. */
  readonly clientCertificate: 'required' | 'wanted' | 'none'
  /** Whether the client's certificate must name the address that it comes from. */
  readonly verifyClientHost: boolean
  /** Connections that begin with anything else than a handshake are taken, too, and stay in the clear. */
  readonly orPlain: boolean
  /** ms that a handshake may take. */
  readonly handshakeTimeoutMs: number
  /** Told of each connection that was refused before it was anyone's. */
  readonly onRefused?: () => void
}

export interface TlsConnectOptions extends TlsOptions {
  /** Whether the server's certificate must name the host that was asked for. */
  readonly verifyHost: boolean
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
  /** The connection is encrypted; it resolves after the handshake, within the same time. */
  tls?: TlsConnectOptions
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
  /** Whether the connection is encrypted. Absent: it is not. */
  readonly encrypted?: boolean
  /** The peer's certificate in DER, which leads up to an authority that we believe; null or absent: it showed none. */
  readonly peerCertificate?: Uint8Array | null
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
