/**
 * What a handler makes of a request. It is called with the requests of a connection in their order, and when it returns, the
 * request has had its effect (a batch is appended), so that the next one may start; a `Deferred` says that the effect, too, is
 * still to come. The answer may come later as a promise; answers leave in the order of the requests.
 */
export type Answer<Response> = Settled<Response> | Promise<Settled<Response>> | Deferred<Response>

/** `null`: the client expects no answer (acks=0). */
export type Settled<Response> = Response | Reply<Response> | null | typeof CLOSE_CONNECTION

/** The only way to tell a client that wants no answer that something is wrong. */
export const CLOSE_CONNECTION: unique symbol = Symbol('close the connection')

/** An answer that points into memory which somebody wants back. */
export class Reply<Response> {
  readonly message: Response
  /** Called once, when the bytes have left the socket or the connection is gone. */
  readonly release: () => void

  constructor(message: Response, release: () => void) {
    this.message = message
    this.release = release
  }
}

/** No further request of the connection starts before `effect` has settled. */
export class Deferred<Response> {
  readonly effect: Promise<unknown>
  readonly response: Promise<Settled<Response>>

  constructor(effect: Promise<unknown>, response: Promise<Settled<Response>>) {
    this.effect = effect
    this.response = response
  }
}

export interface RpcRequest<Request = unknown> {
  /** `records` in it are views that die when the handler returns; everything else may be kept. */
  readonly message: Request
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  /** What the client calls itself. */
  readonly clientId: string | null
  /** Header and body. */
  readonly sizeInBytes: number
  readonly connection: RpcPeer
}

/** The other end of a connection, as handlers see it. */
export interface RpcPeer {
  /** Unique in this server. */
  readonly id: number
  readonly listenerName: string
  readonly remoteHost: string
  /** Told by the client in ApiVersions 3 and later (KIP-511); empty until then. */
  clientSoftwareName: string
  clientSoftwareVersion: string
}
