import type {
  ConnectOptions,
  ListenOptions,
  Listener,
  Network,
  Socket,
  TlsConnectOptions,
  TlsListenOptions,
} from '#platform'

/** A network whose connections are encrypted; whoever listens and connects on it does not notice. Null: in the clear. */
export class TlsNetwork implements Network {
  readonly hostName: string
  readonly #inner: Network
  readonly #listen: TlsListenOptions | null
  readonly #connect: TlsConnectOptions | null

  constructor(inner: Network, tls: { listen: TlsListenOptions | null; connect: TlsConnectOptions | null }) {
    this.#inner = inner
    this.hostName = inner.hostName ?? 'localhost'
    this.#listen = tls.listen
    this.#connect = tls.connect
  }

  listen(options: ListenOptions): Promise<Listener> {
    return this.#inner.listen(this.#listen === null ? options : { ...options, tls: this.#listen })
  }

  connect(options: ConnectOptions): Promise<Socket> {
    return this.#inner.connect(this.#connect === null ? options : { ...options, tls: this.#connect })
  }
}
