/**
 * The client's side: a connection to one broker, opened when it is first needed and again after it broke. Requests go out in the
 * order of `send`; answers are matched by their correlation id, and a broker answers in order.
 */
import { ByteReader, ByteWriter, assert } from '#base'
import { FramedConnection } from '#net'
import type { Platform, Socket, Timer } from '#platform'
import {
  decodeResponseHeader,
  encodeRequestHeader,
  ErrorCode,
  type AnyApi,
  type Api,
  type VersionRange,
} from '#protocol'
import { ApiVersions, type ApiVersionsResponse } from '#protocol/messages/api-versions'

import { RpcError, type RpcErrorKind } from './error.ts'

export interface BrokerConnectionOptions {
  readonly host: string
  readonly port: number
  readonly clientId: string | null
  /** Without it the broker is asked for its versions first; with it every request says its own. For the controller's channel. */
  readonly fixedVersions?: boolean
  readonly connectTimeoutMs?: number
  /** Requests sent and not answered; more wait here. */
  readonly inFlightMax?: number
  /** Largest answer that is accepted. */
  readonly maxFrameBytes?: number
  /** What this client calls itself in ApiVersions. */
  readonly softwareName?: string
  readonly softwareVersion?: string
}

export interface SendOptions {
  /** ms until the answer must have come, counted from `send`. */
  readonly timeoutMs?: number
  /** This version and no other; else the highest that both sides have. */
  readonly version?: number
  /** No version above this. */
  readonly maxVersion?: number
  /** Resolves when the request has been written: no answer will come (acks=0). */
  readonly noAnswer?: boolean
}

const CONNECT_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
const IN_FLIGHT_MAX = 5
const FRAME_BYTES_MAX = 0x7fff_ffff
/** Answers to Fetch. What claims more may be no Kafka broker: the first bytes of HTTP are a length of 1.2 GB. */
const KEPT_FRAMES = { bytesMin: 64 << 10, bytesMax: 64 << 20 }
const CORRELATION_ID_MAX = 0x7fff_ffff

interface Pending {
  readonly api: AnyApi
  readonly request: unknown
  readonly options: SendOptions
  version: number
  timer: Timer | null
  resolve(response: unknown): void
  reject(error: RpcError): void
}

type State =
  | { kind: 'idle' }
  | { kind: 'connecting'; ready: Promise<Link>; abort: AbortController }
  | { kind: 'connected'; link: Link }
  | { kind: 'closed' }

/** One life of the connection. */
interface Link {
  readonly frames: FramedConnection
  readonly inFlight: Map<number, Pending>
  /** Null where versions are not negotiated. */
  versions: ReadonlyMap<number, VersionRange> | null
  broken: RpcError | null
}

export class BrokerConnection {
  readonly #platform: Platform
  readonly #options: BrokerConnectionOptions
  readonly #inFlightMax: number
  /** Not yet sent, in order. */
  #queue: Pending[] = []
  #state: State = { kind: 'idle' }
  #correlationId = 0

  constructor(platform: Platform, options: BrokerConnectionOptions) {
    this.#platform = platform
    this.#options = options
    this.#inFlightMax = options.inFlightMax ?? IN_FLIGHT_MAX
  }

  get address(): string {
    return `${this.#options.host}:${this.#options.port}`
  }

  get isConnected(): boolean {
    return this.#state.kind === 'connected'
  }

  /** The range of an API that the broker serves; null before it was asked, or when it has none. */
  versionsOf(api: { readonly key: number }): VersionRange | null {
    return (this.#state.kind === 'connected' ? this.#state.link.versions?.get(api.key) : null) ?? null
  }

  /** Resolves when connected and the versions are known. Rejects with `RpcError`. */
  async connect(): Promise<void> {
    await this.#link()
  }

  /**
   * Sends, and resolves with the answer, whose `records` lie in memory of their own. Rejects with `RpcError`; a request that timed
   * out or whose connection broke may have been carried out.
   */
  send<RequestOut, RequestIn, ResponseOut>(
    api: Api<RequestOut, RequestIn, ResponseOut, unknown>,
    request: RequestIn,
    options: SendOptions = {},
  ): Promise<ResponseOut> {
    return new Promise<ResponseOut>((resolve, reject) => {
      const pending: Pending = {
        api,
        request,
        options,
        version: -1,
        timer: null,
        resolve,
        reject,
      }
      if (this.#state.kind === 'closed') return reject(this.#error('closed', 'is closed'))
      const timeoutMs = options.timeoutMs ?? REQUEST_TIMEOUT_MS
      pending.timer = this.#platform.clock.setTimer(timeoutMs, () => this.#onTimeout(pending, timeoutMs))
      this.#queue.push(pending)
      this.#pump()
    })
  }

  /** Everything unanswered is rejected. */
  close(): void {
    const before = this.#state
    this.#state = { kind: 'closed' }
    const error = this.#error('closed', 'was closed')
    if (before.kind === 'connecting') before.abort.abort(error)
    if (before.kind === 'connected') this.#break(before.link, error)
    this.#rejectQueue(error)
  }

  /** Sends what waits, as far as the bound allows, and connects first where needed. */
  #pump(): void {
    if (this.#state.kind === 'idle') {
      // Failures reject the queue.
      this.#link().catch(() => {})
      return
    }
    if (this.#state.kind !== 'connected') return
    const { link } = this.#state
    while (this.#queue.length > 0 && link.inFlight.size < this.#inFlightMax && link.broken === null)
      this.#write(link, this.#queue.shift()!)
  }

  #write(link: Link, pending: Pending): void {
    const correlationId = (this.#correlationId = (this.#correlationId + 1) & CORRELATION_ID_MAX)
    try {
      pending.version = this.#versionFor(link, pending)
      const writer = new ByteWriter()
      const { clientId } = this.#options
      encodeRequestHeader(writer, { apiKey: pending.api.key, apiVersion: pending.version, correlationId, clientId })
      pending.api.request.encode(writer, pending.request, pending.version)
      link.frames.send(writer.chunks())
    } catch (error) {
      pending.timer?.cancel()
      pending.reject(error as RpcError)
      return
    }
    if (pending.options.noAnswer === true) {
      pending.timer?.cancel()
      pending.resolve(undefined)
    } else link.inFlight.set(correlationId, pending)
  }

  #versionFor(link: Link, { api, options }: Pending): number {
    if (options.version !== undefined) return options.version
    const ours = Math.min(api.versions[1], options.maxVersion ?? Number.POSITIVE_INFINITY)
    if (link.versions === null) return ours
    const theirs = link.versions.get(api.key)
    const version = theirs === undefined ? -1 : Math.min(theirs[1], ours)
    if (theirs === undefined || version < theirs[0] || version < api.versions[0])
      throw this.#error('unsupportedVersion', `serves no version of ${api.name} that we speak`)
    return version
  }

  #link(): Promise<Link> {
    switch (this.#state.kind) {
      case 'connected':
        return Promise.resolve(this.#state.link)
      case 'connecting':
        return this.#state.ready
      case 'closed':
        return Promise.reject(this.#error('closed', 'is closed'))
      case 'idle': {
        const abort = new AbortController()
        const ready = this.#open(abort.signal)
        this.#state = { kind: 'connecting', ready, abort }
        return ready
      }
    }
  }

  async #open(signal: AbortSignal): Promise<Link> {
    let link: Link | null = null
    try {
      const socket = await this.#connect(signal)
      link = this.#attach(socket)
      if (this.#options.fixedVersions !== true) link.versions = await this.#negotiate(link)
      if (this.#state.kind === 'closed') throw this.#error('closed', 'was closed')
      if (link.broken !== null) throw link.broken
    } catch (cause) {
      const error =
        cause instanceof RpcError ? cause : this.#error('connect', `cannot be reached: ${textOf(cause)}`, cause)
      link?.frames.destroy()
      if (this.#state.kind === 'connecting') this.#state = { kind: 'idle' }
      this.#rejectQueue(error)
      throw error
    }
    this.#state = { kind: 'connected', link }
    this.#pump()
    return link
  }

  async #connect(signal: AbortSignal): Promise<Socket> {
    const { host, port, connectTimeoutMs = CONNECT_TIMEOUT_MS } = this.#options
    const socket = await this.#platform.network.connect({ host, port, timeoutMs: connectTimeoutMs, signal })
    if (!signal.aborted) return socket
    socket.destroy()
    throw signal.reason as Error
  }

  #attach(socket: Socket): Link {
    const maxFrameBytes = this.#options.maxFrameBytes ?? FRAME_BYTES_MAX
    const frames = new FramedConnection(this.#platform, socket, { maxFrameBytes, keptFrames: KEPT_FRAMES })
    const link: Link = { frames, inFlight: new Map(), versions: null, broken: null }
    frames.start({
      onFrame: (frame, kept) => this.#onFrame(link, frame, kept),
      onClose: ({ kind, error }) => {
        const reason = error === null ? (kind === 'peer' ? '' : `: ${kind}`) : `: ${error.message}`
        this.#break(link, this.#error('disconnected', `closed the connection${reason}`, error))
      },
    })
    return link
  }

  /** Asks in the highest version, and once more in version 0 where the broker is older than that (KIP-511). */
  async #negotiate(link: Link): Promise<Map<number, VersionRange>> {
    let answer = await this.#askVersions(link, ApiVersions.versions[1])
    if (answer.errorCode === ErrorCode.UNSUPPORTED_VERSION) {
      const offered = answer.apiKeys.find(({ apiKey }) => apiKey === ApiVersions.key)?.maxVersion ?? 0
      answer = await this.#askVersions(link, Math.min(offered, ApiVersions.versions[1]))
    }
    if (answer.errorCode !== ErrorCode.NONE)
      throw this.#error('unsupportedVersion', `answers ApiVersions with error ${answer.errorCode}`)
    return new Map(answer.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]]))
  }

  #askVersions(link: Link, version: number): Promise<ApiVersionsResponse> {
    return new Promise<ApiVersionsResponse>((resolve, reject) => {
      const pending: Pending = {
        api: ApiVersions,
        request: {
          clientSoftwareName: this.#options.softwareName ?? 'samsa',
          clientSoftwareVersion: this.#options.softwareVersion ?? '0.1.0',
        },
        options: { version },
        version,
        timer: this.#platform.clock.setTimer(this.#options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS, () => {
          this.#break(link, this.#error('timeout', 'did not answer ApiVersions in time'))
        }),
        resolve,
        reject,
      }
      this.#write(link, pending)
    })
  }

  #onFrame(link: Link, frame: Uint8Array, kept: boolean): void {
    try {
      const reader = new ByteReader(frame)
      const correlationId = reader.view.getInt32(reader.take(4))
      const pending = link.inFlight.get(correlationId)
      if (pending === undefined) throw new Error(`nothing was asked under the correlation id ${correlationId}`)
      link.inFlight.delete(correlationId)
      pending.timer?.cancel()
      this.#answer(pending, frame, kept)
    } catch (cause) {
      this.#break(link, this.#error('malformedAnswer', `sent no answer: ${textOf(cause)}`, cause))
      return
    }
    this.#pump()
  }

  /** A frame that is not kept is a view that dies with this call, and records of the answer are views into the frame. */
  #answer(pending: Pending, frame: Uint8Array, kept: boolean): void {
    const { api, version } = pending
    const reader = new ByteReader(CARRIES_RECORDS.has(api.name) && !kept ? frame.slice() : frame)
    let response: unknown
    try {
      decodeResponseHeader(reader, api.key, answeredVersion(api, version, reader))
      response = api.response.decode(reader, answeredVersion(api, version, reader))
    } catch (cause) {
      pending.reject(this.#error('malformedAnswer', `sent no answer to ${api.name}: ${textOf(cause)}`, cause))
      throw cause
    }
    pending.resolve(response)
  }

  #onTimeout(pending: Pending, timeoutMs: number): void {
    const error = this.#error('timeout', `did not answer ${pending.api.name} within ${timeoutMs} ms`)
    const waiting = this.#queue.indexOf(pending)
    if (waiting >= 0) this.#queue.splice(waiting, 1)
    pending.reject(error)
    // An answer that still comes would be taken for another one's; a connection without answers is as good as broken.
    if (waiting < 0 && this.#state.kind === 'connected') this.#break(this.#state.link, error)
  }

  #break(link: Link, error: RpcError): void {
    if (link.broken !== null) return
    link.broken = error
    link.frames.destroy()
    if (this.#state.kind === 'connected' && this.#state.link === link) this.#state = { kind: 'idle' }
    for (const pending of link.inFlight.values()) {
      pending.timer?.cancel()
      pending.reject(error)
    }
    link.inFlight.clear()
    if (this.#queue.length > 0) this.#pump()
  }

  #rejectQueue(error: RpcError): void {
    const queue = this.#queue
    this.#queue = []
    for (const pending of queue) {
      pending.timer?.cancel()
      pending.reject(error)
    }
  }

  #error(kind: RpcErrorKind, what: string, cause?: unknown): RpcError {
    return new RpcError(kind, `${this.address} ${what}`, cause === undefined || cause === null ? {} : { cause })
  }
}

const CARRIES_RECORDS: ReadonlySet<string> = new Set(['Fetch'])

const CORRELATION_ID_BYTES = 4

/** A broker that does not know our version of ApiVersions answers in version 0, with that error (KIP-511). */
function answeredVersion(api: AnyApi, version: number, reader: ByteReader): number {
  if (api.key !== ApiVersions.key || version === 0) return version
  const at = CORRELATION_ID_BYTES
  assert(reader.end >= at + 2, 'an ApiVersions answer has at least an error code')
  return reader.view.getInt16(at) === ErrorCode.UNSUPPORTED_VERSION ? 0 : version
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
