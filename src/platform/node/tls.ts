/**
 * TLS over Node's sockets. A listener accepts in the clear and hands each connection to a `tls.Server` that listens nowhere;
 * what comes out has a finished handshake and a peer that is who it must be, or does not come out at all.
 */
import type * as net from 'node:net'
import type * as tls from 'node:tls'

import { NetworkError, type ConnectOptions, type Logger, type TlsListenOptions, type TlsOptions } from '#platform'

/** Loaded when it is first needed, since it is large. */
const nodeTls = (): typeof tls => process.getBuiltinModule('node:tls')

/** First byte of a handshake; no length of a frame and no admin word begins with it. */
const HANDSHAKE_RECORD = 0x16
/** Handshakes cost CPU before anyone has shown who it is: more at once are refused. */
const HANDSHAKES_MAX = 1000
/** Whoever floods us must not flood the log. */
const REFUSAL_LOG_INTERVAL_MS = 1000

/** Begins a connection; it is there with the event `secureConnect`, and the server is who it must be. */
export function connectWithTls({ host, port, tls: options }: ConnectOptions): tls.TLSSocket {
  const { isIP } = process.getBuiltinModule('node:net')
  return nodeTls().connect({
    ...contextOptions(options!),
    host,
    port,
    servername: isIP(host) === 0 ? host : '',
    rejectUnauthorized: true,
    allowHalfOpen: true,
    ...(options!.verifyHost ? {} : { checkServerIdentity: () => undefined }),
  } as tls.ConnectionOptions)
}

export class TlsAcceptor {
  readonly #options: TlsListenOptions
  readonly #logger: Logger
  readonly #server: tls.Server
  readonly #onConnection: (socket: net.Socket) => void
  /** Connections that have not been handed over, by the peer's address and port. */
  readonly #handshakes = new Set<string>()

  #toldMs = -REFUSAL_LOG_INTERVAL_MS
  /** Refusals that the log does not have. */
  #untold = 0

  /** `onConnection` gets encrypted sockets, and with `orPlain` others. Throws where key or certificates cannot be used. */
  constructor(options: TlsListenOptions, logger: Logger, onConnection: (socket: net.Socket) => void) {
    this.#options = options
    this.#logger = logger
    this.#onConnection = onConnection
    this.#server = nodeTls().createServer({
      ...contextOptions(options),
      requestCert: options.clientCertificate !== 'none',
      rejectUnauthorized: options.clientCertificate === 'required',
      handshakeTimeout: options.handshakeTimeoutMs,
      allowHalfOpen: true,
    })
    this.#server.on('secureConnection', (socket) => void this.#onSecure(socket))
    this.#server.on('tlsClientError', (error, socket) =>
      this.#refuse(socket, unbelieved(socket) ?? tlsReasonOf(error) ?? error.message),
    )
  }

  accept(raw: net.Socket): void {
    raw.on('error', () => {})
    if (this.#handshakes.size >= HANDSHAKES_MAX) return this.#refuse(raw, `${HANDSHAKES_MAX} handshakes are under way`)
    const peer = peerOf(raw)
    this.#handshakes.add(peer)
    raw.once('close', () => this.#handshakes.delete(peer))
    if (this.#options.orPlain) this.#listenIn(raw)
    else this.#begin(raw)
  }

  /** The first byte tells what it is. */
  #listenIn(raw: net.Socket): void {
    const timer = setTimeout(() => this.#refuse(raw, 'it says nothing'), this.#options.handshakeTimeoutMs)
    const onReadable = (): void => {
      const first = raw.read() as Buffer | null
      if (first === null) return
      clearTimeout(timer)
      raw.removeListener('readable', onReadable)
      raw.unshift(first)
      if (first[0] === HANDSHAKE_RECORD) this.#begin(raw)
      else this.#handOver(raw)
    }
    raw.on('readable', onReadable)
    raw.once('end', () => raw.destroy())
    raw.once('close', () => clearTimeout(timer))
  }

  #begin(raw: net.Socket): void {
    this.#server.emit('connection', raw)
  }

  async #onSecure(socket: tls.TLSSocket): Promise<void> {
    socket.on('error', () => {})
    const refusal = await this.#refusalOf(socket)
    if (socket.destroyed) return
    if (refusal === null) this.#handOver(socket)
    else this.#refuse(socket, refusal)
  }

  async #refusalOf(socket: tls.TLSSocket): Promise<string | null> {
    if (this.#options.clientCertificate === 'none' || socket.getPeerX509Certificate() === undefined) return null
    if (!socket.authorized) return unbelieved(socket)
    if (!this.#options.verifyClientHost || (await namesAddress(socket))) return null
    return 'its certificate does not name its address'
  }

  #handOver(socket: net.Socket): void {
    this.#handshakes.delete(peerOf(socket))
    this.#onConnection(socket)
  }

  #refuse(socket: net.Socket, why: string): void {
    this.#options.onRefused?.()
    const nowMs = performance.now()
    if (nowMs - this.#toldMs >= REFUSAL_LOG_INTERVAL_MS) {
      const before = this.#untold > 0 ? ` (and ${this.#untold} more since this was last said)` : ''
      this.#logger.warn(
        `a connection ${socket.remoteAddress === undefined ? '' : `from ${socket.remoteAddress} `}was refused: ${why}${before}`,
      )
      this.#toldMs = nowMs
      this.#untold = 0
    } else this.#untold++
    socket.destroy()
  }
}

/** Why a certificate that was shown is not believed; null where that is not known, or it is. */
function unbelieved({ authorizationError }: tls.TLSSocket): string | null {
  return authorizationError == null ? null : `its certificate is not believed (${String(authorizationError)})`
}

function peerOf(socket: net.Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}`
}

/** The address itself, or a name that it has. Source: ZKTrustManager.performHostVerification. */
async function namesAddress(socket: tls.TLSSocket): Promise<boolean> {
  const certificate = socket.getPeerCertificate()
  const address = (socket.remoteAddress ?? '').replace(/^::ffff:/, '')
  const fits = (name: string): boolean => nodeTls().checkServerIdentity(name, certificate) === undefined
  if (fits(address)) return true
  const names = await process
    .getBuiltinModule('node:dns')
    .promises.reverse(address)
    .catch((): string[] => [])
  return names.some(fits)
}

/** What OpenSSL says, without the lines of its source that it says it with. */
export function tlsReasonOf(error: Error): string | null {
  return (error as { reason?: string }).reason ?? null
}

/** What a peer has shown, in DER. */
export function peerCertificateOf(socket: net.Socket): Uint8Array | null {
  const raw = (socket as Partial<tls.TLSSocket>).getPeerX509Certificate?.()?.raw
  return raw === undefined ? null : new Uint8Array(raw)
}

function contextOptions(options: TlsOptions): tls.SecureContextOptions {
  const { identity, authorities, minVersion, maxVersion, ciphers } = options
  return {
    ...(identity === null ? {} : { key: identity.key, cert: identity.certificates }),
    ...(authorities === null ? {} : { ca: [...authorities] }),
    ...(ciphers === null ? {} : { ciphers: ciphers.map(opensslName).join(':') }),
    minVersion,
    maxVersion,
  }
}

/** OpenSSL's name of a cipher; IANA's name of one of TLS 1.3 is its own. Throws `NetworkError` where there is none. */
function opensslName(cipher: string): string {
  const known = nodeTls().getCiphers()
  const match = /^TLS_(?:(\w+)_)?WITH_(\w+)$/.exec(cipher)
  const name =
    match === null
      ? cipher
      : [match[1] === 'RSA' ? '' : match[1]!, match[2]!.replace(/^AES_(\d+)/, 'AES$1').replace('_CBC', '')]
          .filter((part) => part !== '')
          .join('-')
          .replaceAll('_', '-')
          .replace(/(CHACHA20-POLY1305)-SHA256$/, '$1')
  if (!known.includes(name.toLowerCase())) throw new NetworkError('EINVAL', `there is no cipher ${cipher}`)
  return name
}
